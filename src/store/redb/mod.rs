//! The durable store: tables in a redb database, large blocks in pack files beside it.
//!
//! ```text
//! data/lock             who has the store open
//! data/store.redb       a page that says what the file is, then the database
//! data/packs/0001.pack  large blocks
//! ```
//!
//! A durable commit is one transaction of the database. By default it waits for the disk twice:
//! once for the pages, once for the byte that makes them current. With one wait
//! ([`RedbOptions::one_phase`]) a torn commit is told from a whole one by a checksum that is not
//! cryptographic, over bytes that strangers choose; and after a crash the whole file is read. A
//! deferred commit waits for nothing; the next durable one, or closing the store, takes it along.
//!
//! Every value carries a checksum, so a read returns what was written or an error. redb itself
//! checks pages only on repair and may panic on a file that was changed behind its back; such a
//! panic is caught here and becomes [`StoreError::Corrupt`]. (Programs built with
//! `panic = "abort"` end instead.)
//!
//! After any failed commit the store is poisoned: nothing more goes to the disk, and every call
//! answers [`StoreError::Poisoned`] until the store is opened again.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::vec::Vec;

use ::redb::{
    Database, ReadableDatabase, Table as DatabaseTable, TableDefinition, WriteTransaction,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use self::backend::Backend;
use self::error::{database_error, io_error, panic_error};
use self::lock::Lock;
use self::packs::{Ledger, Packs};
use self::record::Record;
use self::snapshot::Snapshot;
use super::{Batch, Change, Durability, Store, StoreError, StoreStats, Table};

mod backend;
mod disk;
mod error;
mod lock;
mod packs;
mod record;
mod snapshot;

pub use self::disk::{Disk, DiskFile, OsDisk};

/// Default size of the cache of the database, in bytes: the upper levels of the trees of a
/// million entries. redb's own default is 1 GiB.
pub const DEFAULT_CACHE: usize = 64 << 20;
/// Default size from which on a pack takes no more blocks, in bytes: large enough that a store of
/// 100 GiB has 400 files, small enough to be copied when most of it is no longer needed.
pub const DEFAULT_PACK: u64 = 256 << 20;
/// Longest block that is kept in the database, in bytes. redb gives a large value a page of the
/// next power of two; with its key, checksum and page header this one still fits 32 KiB. A longer
/// one would take 64 KiB or more, which is worse than the sync of the pack that it costs instead.
pub const MAX_IN_DATABASE: usize = 32_768 - 256;

const NAME: &str = "store.redb";
/// A new file gets its name when it is complete: a crash while redb lays it out leaves one that
/// never opens.
const NEW_NAME: &str = "store.redb.new";
const LOCK_NAME: &str = "lock";

/// How a [`RedbStore`] is kept.
///
/// ```
/// use basefs::store::RedbOptions;
///
/// let options = RedbOptions { one_phase: true, ..RedbOptions::default() };
/// assert!(!options.verify);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedbOptions {
    /// Wait for the disk once a commit instead of twice; see the [module](self) for the price.
    pub one_phase: bool,
    /// Memory for caching pages, in bytes.
    pub cache_bytes: usize,
    /// Size from which on a pack takes no more blocks, in bytes.
    pub pack_bytes: u64,
    /// Read and check the whole database when opening it. A damaged page is otherwise found when
    /// a value on it is read, or, if the damage hides keys, not at all.
    pub verify: bool,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self {
            one_phase: false,
            cache_bytes: DEFAULT_CACHE,
            pack_bytes: DEFAULT_PACK,
            verify: false,
        }
    }
}

/// A durable store in a directory; one process at a time.
///
/// ```
/// use basefs::store::{Batch, Durability, RedbStore, Store, Table};
///
/// let dir = tempfile::tempdir()?;
/// let store = RedbStore::open(dir.path())?;
/// let mut batch = Batch::new();
/// batch.put(Table::Meta, "kind", "example");
/// store.commit(&batch, Durability::Durable)?;
/// drop(store);
///
/// let store = RedbStore::open(dir.path())?;
/// assert_eq!(store.get(Table::Meta, b"kind")?.as_deref(), Some(b"example".as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RedbStore {
    /// Always there, except while the store is being dropped.
    database: Option<Database>,
    packs: Packs,
    writer: Mutex<Writer>,
    /// What reads look at, made by the first one after a commit.
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    stats: Mutex<StoreStats>,
    poisoned: Arc<AtomicBool>,
    one_phase: bool,
    /// The last field: let go of when everything else is closed.
    lock: Option<Lock>,
}

/// What only the one who commits uses.
#[derive(Debug)]
struct Writer {
    ledger: Ledger,
    /// Whether a deferred commit waits for the next durable one.
    deferred: bool,
}

impl RedbStore {
    /// Opens the store in a directory, or creates both.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if it is open already, here or in another process;
    /// [`StoreError::Foreign`], [`StoreError::NewerFormat`]: the file was not touched;
    /// [`StoreError::Corrupt`], [`StoreError::Full`], [`StoreError::Io`].
    ///
    /// ```
    /// use basefs::store::{RedbStore, StoreError};
    ///
    /// let dir = tempfile::tempdir()?;
    /// std::fs::write(dir.path().join("store.redb"), "the diary of somebody else")?;
    /// assert!(matches!(RedbStore::open(dir.path()), Err(StoreError::Foreign { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, RedbOptions::default())
    }

    /// Opens or creates a store with options.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// ```
    /// use basefs::store::{RedbOptions, RedbStore};
    ///
    /// let dir = tempfile::tempdir()?;
    /// drop(RedbStore::open(dir.path())?);
    /// let options = RedbOptions { verify: true, ..RedbOptions::default() };
    /// RedbStore::open_with(dir.path(), options)?; // every page was read and is intact
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with(dir: &Path, options: RedbOptions) -> Result<Self, StoreError> {
        // Before the lock file, for a directory that is not ours should not get one.
        inspect(&dir.join(NAME))?;
        let disk = OsDisk::new(dir).map_err(|error| io_error("making the directory", &error))?;
        let lock = Lock::acquire(&dir.join(LOCK_NAME))?;
        let mut store = Self::open_on(Arc::new(disk), options)?;
        store.lock = Some(lock);
        Ok(store)
    }

    /// Opens or creates a store on a disk of the caller's. Nothing keeps another process, or
    /// another call, from opening it too: that is up to the caller.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), without [`StoreError::Locked`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use basefs::store::redb::OsDisk;
    /// use basefs::store::{RedbOptions, RedbStore, Store, Table};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let store = RedbStore::open_on(Arc::new(OsDisk::new(dir.path())?), RedbOptions::default())?;
    /// assert_eq!(store.get(Table::Meta, b"kind")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_on(disk: Arc<dyn Disk>, options: RedbOptions) -> Result<Self, StoreError> {
        let poisoned = Arc::new(AtomicBool::new(false));
        contained(&poisoned, || {
            let file = match open_file(&*disk)? {
                Some(file) => file,
                None => create(&*disk, options)?,
            };
            backend::check_header(&*file)?;
            let backend = Backend::new(file, Arc::clone(&poisoned));
            let database = builder(options)
                .create_with_backend(backend)
                .map_err(|error| database_error("opening the database", error))?;
            let ledger = load_ledger(&database, options)?;
            Ok(Self {
                database: Some(database),
                packs: Packs::new(disk),
                writer: Mutex::new(Writer { ledger, deferred: false }),
                snapshot: RwLock::default(),
                stats: Mutex::default(),
                poisoned: Arc::clone(&poisoned),
                one_phase: options.one_phase,
                lock: None,
            })
        })
    }

    /// Gives space that is no longer used back to the file system: packs that are mostly unused
    /// are written anew, and the database is shortened. Takes time in proportion to what is kept.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`]; what was stored stays stored.
    ///
    /// ```
    /// use basefs::store::RedbStore;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let mut store = RedbStore::open(dir.path())?;
    /// store.compact()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compact(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.repack()?;
        // Whatever still reads keeps pages where they are.
        *self.snapshot.get_mut() = None;
        let Some(database) = self.database.as_mut() else { return Err(StoreError::Poisoned) };
        let result = contained(&self.poisoned, || {
            database
                .compact()
                .map(|_| ())
                .map_err(|error| database_error("compacting the database", error))
        });
        self.poison_on_error(result)
    }

    /// Writes the blocks of sparse packs again, so that those packs can go.
    fn repack(&self) -> Result<(), StoreError> {
        let sparse = self.writer.lock().ledger.close_sparse();
        if sparse.is_empty() {
            return Ok(());
        }
        let mut moving = Vec::new();
        self.scan_records(Table::Blocks, &[], |key, record| {
            if matches!(record, Record::Packed(location) if sparse.contains(&location.pack)) {
                moving.push(Bytes::copy_from_slice(key));
            }
            Ok(true)
        })?;
        // One block a batch would sync for each; all of them in one would be held in memory.
        const BATCH: usize = 64;
        for keys in moving.chunks(BATCH) {
            let mut batch = Batch::new();
            for key in keys {
                if let Some(block) = self.get(Table::Blocks, key)? {
                    batch.put(Table::Blocks, key.clone(), block);
                }
            }
            self.commit(&batch, Durability::Durable)?;
        }
        Ok(())
    }

    fn scan_records(
        &self,
        table: Table,
        from: &[u8],
        mut visit: impl FnMut(&[u8], Record<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let doing = "scanning a table";
        let mut pairs = self.reading(|database| {
            let snapshot = self.snapshot(database)?;
            let pairs = snapshot.table(table).range_owned::<&[u8]>(from..);
            pairs.map_err(|error| database_error(doing, error))
        })?;
        // `visit` runs outside of the containment: its panics are not the database's.
        while let Some((key, bytes)) = self.reading(|_| {
            let pair = pairs.next().transpose().map_err(|error| database_error(doing, error))?;
            if let Some((key, bytes)) = &pair {
                // A damaged page may name a range outside of itself, which shows at the first
                // look: better here than below.
                let _ = (key.value(), bytes.value());
            }
            Ok(pair)
        })? {
            if !visit(key.value(), Record::parse(key.value(), bytes.value())?)? {
                break;
            }
        }
        Ok(())
    }

    /// Runs something that reads the database.
    fn reading<T>(
        &self,
        look: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        let Some(database) = &self.database else { return Err(StoreError::Poisoned) };
        contained(&self.poisoned, || look(database))
    }

    /// The tables as the last commit left them.
    fn snapshot(&self, database: &Database) -> Result<Arc<Snapshot>, StoreError> {
        if let Some(snapshot) = &*self.snapshot.read() {
            return Ok(Arc::clone(snapshot));
        }
        // Taken under the lock: a commit that ends meanwhile finds it and lets go of it.
        let mut latest = self.snapshot.write();
        if let Some(snapshot) = &*latest {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(Snapshot::take(database)?);
        Ok(Arc::clone(latest.insert(snapshot)))
    }

    /// Commits changes, all or none. After an error nobody knows what reached the disk, and the
    /// ledger may be ahead of the database, so the store is poisoned.
    fn write(
        &self,
        writer: &mut Writer,
        changes: &[Change],
        durability: Durability,
    ) -> Result<(), StoreError> {
        let result = self.reading(|database| self.transact(database, writer, changes, durability));
        *self.snapshot.write() = None;
        self.poison_on_error(result)
    }

    fn poison_on_error<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.poisoned.store(true, Ordering::Release);
        }
        result
    }

    fn transact(
        &self,
        database: &Database,
        writer: &mut Writer,
        changes: &[Change],
        durability: Durability,
    ) -> Result<(), StoreError> {
        let mut txn =
            database.begin_write().map_err(|error| database_error("beginning a commit", error))?;
        match durability {
            // Includes the second phase. Without it the state of the allocator is not saved.
            Durability::Durable => txn.set_quick_repair(!self.one_phase),
            Durability::Deferred => txn
                .set_durability(::redb::Durability::None)
                .map_err(|error| database_error("beginning a commit", error))?,
        }
        for changes in settled(changes).chunk_by(|a, b| a.table == b.table) {
            self.apply(&txn, &mut writer.ledger, changes)?;
        }
        if durability == Durability::Durable {
            // Before the database refers to what was appended, now or in deferred commits.
            writer.ledger.sync(&self.packs)?;
        }
        writer.ledger.write_rows(&txn)?;
        txn.commit().map_err(|error| database_error("committing", error))?;
        writer.deferred = durability == Durability::Deferred;
        if durability == Durability::Durable {
            writer.ledger.sweep(&self.packs);
        }
        Ok(())
    }

    /// Makes changes of one table, in the order of its keys.
    fn apply(
        &self,
        txn: &WriteTransaction,
        ledger: &mut Ledger,
        changes: &[&Change],
    ) -> Result<(), StoreError> {
        let Some(first) = changes.first() else { return Ok(()) };
        let mut table = txn
            .open_table(definition(first.table))
            .map_err(|error| database_error("opening a table", error))?;
        let blocks = first.table == Table::Blocks;
        let mut bytes = Vec::new();
        for change in changes {
            let record = match &change.value {
                None => None,
                Some(value) if blocks && value.len() > MAX_IN_DATABASE => {
                    Some(Record::Packed(ledger.append(&self.packs, value)?))
                }
                Some(value) => Some(Record::Inline(value)),
            };
            replace(&mut table, ledger, &change.key, record, &mut bytes)?;
        }
        Ok(())
    }
}

impl Store for RedbStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let doing = "reading a value";
        let _hold = (table == Table::Blocks).then(|| self.packs.hold());
        self.reading(|database| {
            let found = self.snapshot(database)?.table(table).get_owned(key);
            let found = found.map_err(|error| database_error(doing, error))?;
            let Some(bytes) = found else { return Ok(None) };
            match Record::parse(key, bytes.value())? {
                Record::Inline(value) => Ok(Some(Bytes::copy_from_slice(value))),
                Record::Packed(location) => self.packs.read(&location).map(Some),
            }
        })
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let _hold = (table == Table::Blocks).then(|| self.packs.hold());
        self.scan_records(table, from, |key, record| match record {
            Record::Inline(value) => Ok(visit(key, value)),
            Record::Packed(location) => Ok(visit(key, &self.packs.read(&location)?)),
        })
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        if batch.is_empty() {
            return if durability == Durability::Durable { self.flush() } else { Ok(()) };
        }
        batch.check()?;
        let mut writer = self.writer.lock();
        self.write(&mut writer, batch.changes(), durability)?;
        self.stats.lock().count(batch, durability);
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        if writer.deferred {
            self.write(&mut writer, &[], Durability::Durable)?;
            self.stats.lock().durable_commits += 1;
        }
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        *self.stats.lock()
    }
}

impl Drop for RedbStore {
    /// Makes deferred commits durable, if the store is in order; errors have nobody to go to.
    fn drop(&mut self) {
        let _ = self.flush();
        *self.snapshot.get_mut() = None;
        let database = self.database.take();
        let _ = contained(&self.poisoned, || {
            drop(database);
            Ok(())
        });
    }
}

/// Puts a record in place of what a key had, and lets go of the block it referred to.
fn replace(
    table: &mut DatabaseTable<'_, &'static [u8], &'static [u8]>,
    ledger: &mut Ledger,
    key: &[u8],
    record: Option<Record<'_>>,
    bytes: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let old = match record {
        Some(record) => {
            record.encode(key, bytes);
            table.insert(key, bytes.as_slice())
        }
        None => table.remove(key),
    };
    let old = old.map_err(|error| database_error("writing a value", error))?;
    // A damaged record may name any pack: better to lose track of a block than to free another.
    if let Some(old) = old
        && let Ok(Record::Packed(location)) = Record::parse(key, old.value())
    {
        ledger.release(&location);
    }
    Ok(())
}

/// The last change of each key, in the order of tables and keys.
fn settled(changes: &[Change]) -> Vec<&Change> {
    let mut order: Vec<&Change> = changes.iter().rev().collect();
    // Stable, so the latest change of a key stays the first.
    order.sort_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
    order.dedup_by(|later, first| later.table == first.table && later.key == first.key);
    order
}

/// Runs something that calls the database; its panics become errors and poison the store.
fn contained<T>(
    poisoned: &AtomicBool,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // Whatever the panic left half done is not used again: the store is poisoned.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        poisoned.store(true, Ordering::Release);
        Err(panic_error(&*payload))
    })
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn builder(options: RedbOptions) -> ::redb::Builder {
    let mut builder = ::redb::Builder::new();
    builder.set_cache_size(options.cache_bytes).set_check_integrity_on_open(options.verify);
    builder
}

fn inspect(path: &Path) -> Result<(), StoreError> {
    match File::open(path) {
        Ok(file) => backend::check_header(&disk::OsFile::new(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("opening the store", &error)),
    }
}

fn open_file(disk: &dyn Disk) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
    disk.open(NAME).map_err(|error| io_error("opening the store", &error))
}

/// Makes a database with empty tables that has its name only once it is whole.
fn create(disk: &dyn Disk, options: RedbOptions) -> Result<Arc<dyn DiskFile>, StoreError> {
    let doing = "creating the database";
    let io = |error: std::io::Error| io_error("creating the store", &error);
    let file = disk.create(NEW_NAME).map_err(io)?;
    backend::write_header(&*file).map_err(io)?;
    let backend = Backend::new(Arc::clone(&file), Arc::default());
    let database = builder(options)
        .create_with_backend(backend)
        .map_err(|error| database_error(doing, error))?;
    let mut txn = database.begin_write().map_err(|error| database_error(doing, error))?;
    txn.set_quick_repair(true);
    for table in Table::ALL {
        txn.open_table(definition(table)).map_err(|error| database_error(doing, error))?;
    }
    txn.open_table(packs::ROWS).map_err(|error| database_error(doing, error))?;
    txn.commit().map_err(|error| database_error(doing, error))?;
    database.close().map_err(|error| database_error(doing, error))?;
    file.sync().map_err(io)?;
    disk.rename(NEW_NAME, NAME).map_err(io)?;
    disk.sync_names().map_err(io)?;
    Ok(file)
}

fn load_ledger(database: &Database, options: RedbOptions) -> Result<Ledger, StoreError> {
    let doing = "reading the list of packs";
    // A table that is missing shows now, not in the middle of the work.
    Snapshot::take(database)?;
    let txn = database.begin_read().map_err(|error| database_error(doing, error))?;
    let rows = txn.open_table(packs::ROWS).map_err(|error| database_error(doing, error))?;
    Ledger::load(&rows, options.pack_bytes)
}
