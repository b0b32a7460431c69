//! Pack files: large blocks one after the other, in files that are only appended to.
//!
//! The database would round a large value up to a power of two and write it through its cache;
//! a file for each would cost two syncs and an inode. A pack has no structure of its own: the
//! database says where each block lies and how far each pack is used. What lies beyond that end,
//! as after a crash, is overwritten by the next block.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::String;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use ::redb::{ReadableTable, TableDefinition, WriteTransaction};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::disk::{Disk, DiskFile};
use super::error::{database_error, io_error};
use super::record::{Location, checksum};
use crate::store::StoreError;

/// The subdirectory of the packs.
pub(super) const DIRECTORY: &str = "packs";
/// Pack number to the end of its used part and the bytes in it that are still referred to.
pub(super) const ROWS: TableDefinition<'static, u32, (u64, u64)> = TableDefinition::new("packs");

/// Packs that are kept open for reading: a handful of large files in use, far from the limit of
/// 1,024 open files that processes commonly have.
const MAX_OPEN: usize = 64;

fn name(pack: u32) -> String {
    format!("{DIRECTORY}/{pack:04}.pack")
}

/// Reads blocks. Readers take no lock that a commit holds while it waits for the disk.
#[derive(Debug)]
pub(super) struct Packs {
    disk: Arc<dyn Disk>,
    open: Mutex<BTreeMap<u32, Arc<dyn DiskFile>>>,
    /// Shared while somebody may hold a location; a pack is removed only while nobody does.
    readers: RwLock<()>,
}

impl Packs {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: Mutex::default(), readers: RwLock::default() }
    }

    /// Keeps every pack in place until the guard is dropped. Never waits for a commit: the other
    /// side only ever tries.
    pub(super) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.readers.read()
    }

    /// Reads a block and checks it.
    pub(super) fn read(&self, location: &Location) -> Result<Bytes, StoreError> {
        let name = name(location.pack);
        let file = self
            .file(location.pack)?
            .ok_or_else(|| StoreError::Corrupt { what: format!("{name} is missing") })?;
        let size = file.size().map_err(|error| io_error("measuring a pack", &error))?;
        let end = location.offset.saturating_add(u64::from(location.length));
        if end > size {
            return Err(StoreError::Corrupt {
                what: format!("{name} has {size} bytes, a block ends at {end}"),
            });
        }
        let mut block = vec![0; location.length as usize];
        file.read_at(location.offset, &mut block)
            .map_err(|error| io_error("reading a pack", &error))?;
        if checksum(&block) != location.checksum {
            return Err(StoreError::Corrupt {
                what: format!("{name}: the block at {} fails its checksum", location.offset),
            });
        }
        Ok(block.into())
    }

    fn file(&self, pack: u32) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(&pack) {
            return Ok(Some(Arc::clone(file)));
        }
        let found =
            self.disk.open(&name(pack)).map_err(|error| io_error("opening a pack", &error))?;
        if let Some(file) = &found {
            remember(&mut open, pack, file);
        }
        Ok(found)
    }

    fn create(&self, pack: u32) -> Result<Arc<dyn DiskFile>, StoreError> {
        let file =
            self.disk.create(&name(pack)).map_err(|error| io_error("creating a pack", &error))?;
        remember(&mut self.open.lock(), pack, &file);
        Ok(file)
    }

    /// Removes a pack, unless somebody may be reading it or the system refuses.
    fn remove(&self, pack: u32) -> bool {
        let Some(nobody) = self.readers.try_write() else { return false };
        self.open.lock().remove(&pack);
        let removed = self.disk.remove(&name(pack));
        drop(nobody);
        removed.and_then(|()| self.disk.sync_names()).is_ok()
    }
}

fn remember(open: &mut BTreeMap<u32, Arc<dyn DiskFile>>, pack: u32, file: &Arc<dyn DiskFile>) {
    if open.len() >= MAX_OPEN {
        open.pop_first();
    }
    open.insert(pack, Arc::clone(file));
}

/// One pack, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// Where the next block goes.
    end: u64,
    /// How much of it the database refers to.
    live: u64,
}

/// A pack that can be appended to.
#[derive(Clone, Debug)]
struct OpenPack {
    number: u32,
    file: Arc<dyn DiskFile>,
}

/// Appends blocks and knows how full each pack is. Belongs to the one writer; after an error it
/// may be ahead of the database and must not be used again.
#[derive(Debug)]
pub(super) struct Ledger {
    rows: BTreeMap<u32, Row>,
    /// The pack that is appended to, once one was opened for that.
    active: Option<OpenPack>,
    /// A pack that takes no more blocks although there is room.
    closed: BTreeSet<u32>,
    /// Appended to since they were synced.
    unsynced: BTreeMap<u32, Arc<dyn DiskFile>>,
    /// Whether a pack was created whose name is not on the disk yet.
    unnamed: bool,
    /// Rows that differ from those in the database.
    changed: BTreeSet<u32>,
    /// Size from which on a pack takes no more blocks.
    full_at: u64,
}

impl Ledger {
    /// Reads the rows of the database.
    pub(super) fn load(
        rows: &impl ReadableTable<u32, (u64, u64)>,
        full_at: u64,
    ) -> Result<Self, StoreError> {
        let doing = "reading the list of packs";
        let mut ledger = Self {
            rows: BTreeMap::new(),
            active: None,
            closed: BTreeSet::new(),
            unsynced: BTreeMap::new(),
            unnamed: false,
            changed: BTreeSet::new(),
            full_at,
        };
        for row in rows.iter().map_err(|error| database_error(doing, error))? {
            let (pack, row) = row.map_err(|error| database_error(doing, error))?;
            let (end, live) = row.value();
            ledger.rows.insert(pack.value(), Row { end, live });
        }
        Ok(ledger)
    }

    /// Appends a block to the pack in use, or to a new one.
    pub(super) fn append(&mut self, packs: &Packs, block: &[u8]) -> Result<Location, StoreError> {
        let length = u32::try_from(block.len())
            .map_err(|_| StoreError::TooLarge { length: block.len() as u64 })?;
        let OpenPack { number: pack, file } = self.writable(packs)?;
        let row = self.rows.entry(pack).or_default();
        file.write_at(row.end, block).map_err(|error| io_error("appending to a pack", &error))?;
        let location = Location { pack, offset: row.end, length, checksum: checksum(block) };
        row.end += u64::from(length);
        row.live += u64::from(length);
        self.changed.insert(pack);
        self.unsynced.insert(pack, file);
        Ok(location)
    }

    /// Notes that a block is no longer referred to.
    pub(super) fn release(&mut self, location: &Location) {
        if let Some(row) = self.rows.get_mut(&location.pack) {
            row.live = row.live.saturating_sub(u64::from(location.length));
            self.changed.insert(location.pack);
        }
    }

    /// Waits until every block appended so far is on the disk: one sync for each pack touched,
    /// which is one in all unless a pack became full.
    pub(super) fn sync(&mut self, packs: &Packs) -> Result<(), StoreError> {
        for file in self.unsynced.values() {
            file.sync().map_err(|error| io_error("syncing a pack", &error))?;
        }
        self.unsynced.clear();
        if self.unnamed {
            packs.disk.sync_names().map_err(|error| io_error("syncing the packs", &error))?;
            self.unnamed = false;
        }
        Ok(())
    }

    /// Writes the rows that changed.
    pub(super) fn write_rows(&mut self, txn: &WriteTransaction) -> Result<(), StoreError> {
        let doing = "writing the list of packs";
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut table = txn.open_table(ROWS).map_err(|error| database_error(doing, error))?;
        for pack in core::mem::take(&mut self.changed) {
            match self.rows.get(&pack) {
                Some(row) => table.insert(pack, (row.end, row.live)),
                None => table.remove(pack),
            }
            .map_err(|error| database_error(doing, error))?;
        }
        Ok(())
    }

    /// Removes packs that nothing refers to. To be called when the database without those
    /// references is on the disk. The row goes with the next commit, so that a crash in between
    /// leaves no file that is not listed.
    pub(super) fn sweep(&mut self, packs: &Packs) {
        let dead = |(pack, row): (&u32, &Row)| (row.live == 0).then_some(*pack);
        for pack in self.rows.iter().filter_map(dead).collect::<Vec<_>>() {
            if packs.remove(pack) {
                self.close(pack);
                self.closed.remove(&pack);
                self.rows.remove(&pack);
                self.changed.insert(pack);
            }
        }
    }

    /// Packs of which less than half is referred to. They take no more blocks: what is still in
    /// use is to be written again elsewhere.
    pub(super) fn close_sparse(&mut self) -> BTreeSet<u32> {
        let sparse = |(pack, row): (&u32, &Row)| (row.live < row.end / 2).then_some(*pack);
        let sparse: BTreeSet<u32> = self.rows.iter().filter_map(sparse).collect();
        for &pack in &sparse {
            self.close(pack);
        }
        sparse
    }

    fn close(&mut self, pack: u32) {
        self.active.take_if(|active| active.number == pack);
        self.closed.insert(pack);
    }

    /// The pack for the next block.
    fn writable(&mut self, packs: &Packs) -> Result<OpenPack, StoreError> {
        if let Some(active) = &self.active
            && self.rows.get(&active.number).is_none_or(|row| row.end < self.full_at)
        {
            return Ok(active.clone());
        }
        let pack = match self.reopen(packs)? {
            Some(last) => last,
            None => {
                let last = self.rows.last_key_value().map_or(0, |(number, _)| *number);
                let number = last.checked_add(1).ok_or_else(|| StoreError::Corrupt {
                    what: String::from("the numbers of packs are used up"),
                })?;
                self.unnamed = true;
                OpenPack { number, file: packs.create(number)? }
            }
        };
        self.active = Some(pack.clone());
        Ok(pack)
    }

    /// The last pack of an earlier run, if it has room. What a crash left after its end is cut
    /// off. A pack that is shorter than it should be is damaged and is left alone.
    fn reopen(&mut self, packs: &Packs) -> Result<Option<OpenPack>, StoreError> {
        let Some((&number, row)) = self.rows.last_key_value() else { return Ok(None) };
        if row.end >= self.full_at || self.closed.contains(&number) {
            return Ok(None);
        }
        let Some(file) = packs.file(number)? else { return Ok(None) };
        let size = file.size().map_err(|error| io_error("measuring a pack", &error))?;
        if size < row.end {
            return Ok(None);
        }
        if size > row.end {
            file.set_size(row.end).map_err(|error| io_error("trimming a pack", &error))?;
        }
        Ok(Some(OpenPack { number, file }))
    }
}
