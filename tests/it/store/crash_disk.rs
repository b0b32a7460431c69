//! A disk in memory that loses power: what was not synced is kept, lost or torn at random.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use basefs::store::redb::{Disk, DiskFile};

use super::Random;

/// What a disk writes in one piece.
const SECTOR: usize = 512;

/// Files in memory. Every change counts down a fuse; when it is out, everything fails.
#[derive(Clone)]
pub(crate) struct CrashDisk(Arc<Mutex<State>>);

struct State {
    files: Vec<Image>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    fuse: u64,
    failure: io::ErrorKind,
}

#[derive(Default)]
struct Image {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Write>,
}

enum Write {
    Bytes { offset: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Remove(String),
}

impl CrashDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            fuse: u64::MAX,
            failure: io::ErrorKind::Other,
        })))
    }

    /// Lets so many changes succeed, then fails every call in this way.
    pub(crate) fn set_fuse(&self, changes: u64, failure: io::ErrorKind) {
        let mut state = self.state();
        state.fuse = changes;
        state.failure = failure;
    }

    /// Changes left until the failure.
    pub(crate) fn fuse(&self) -> u64 {
        self.state().fuse
    }

    /// The disk as it may look after the power came back.
    pub(crate) fn after_power_loss(&self, random: &mut Random) -> CrashDisk {
        let state = self.state();
        // From "the disk had written everything" to "it had written nothing".
        let keep = random.below(5) * 25;
        let files = state.files.iter().map(|file| file.after_power_loss(keep, random)).collect();
        // Journals keep names in order: what survives is a beginning.
        let mut names = state.synced_names.clone();
        let survive = random.below(state.unsynced_names.len() + 1);
        for change in &state.unsynced_names[..survive] {
            change.apply(&mut names);
        }
        CrashDisk(Arc::new(Mutex::new(State {
            files,
            synced_names: names.clone(),
            names,
            unsynced_names: Vec::new(),
            fuse: u64::MAX,
            failure: io::ErrorKind::Other,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl fmt::Debug for CrashDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CrashDisk")
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.fuse == 0 { Err(self.failure.into()) } else { Ok(()) }
    }

    fn burn(&mut self) -> io::Result<()> {
        self.alive()?;
        self.fuse -= 1;
        Ok(())
    }

    fn rename(&mut self, change: NameChange) -> io::Result<()> {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
        self.burn()
    }

    fn file(&mut self, file: usize) -> &mut Image {
        &mut self.files[file]
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, file) => names.insert(name.clone(), *file),
            NameChange::Remove(name) => names.remove(name),
        };
    }
}

impl Image {
    fn write(&mut self, write: Write) {
        write.apply(&mut self.now, |_| true);
        self.unsynced.push(write);
    }

    fn after_power_loss(&self, keep: usize, random: &mut Random) -> Image {
        let mut bytes = self.synced.clone();
        for write in &self.unsynced {
            // Whole or not at all, as a rule; sometimes sector by sector.
            let torn = random.below(4) == 0;
            let whole = random.below(100) < keep;
            write.apply(&mut bytes, |_| if torn { random.below(100) < keep } else { whole });
        }
        Image { now: bytes.clone(), synced: bytes, unsynced: Vec::new() }
    }
}

impl Write {
    /// Applies those sectors that `survives` lets through.
    fn apply(&self, to: &mut Vec<u8>, mut survives: impl FnMut(usize) -> bool) {
        match self {
            Write::Size(size) => {
                if survives(0) {
                    to.resize(*size, 0);
                }
            }
            Write::Bytes { offset, bytes } => {
                for (sector, part) in bytes.chunks(SECTOR).enumerate() {
                    if survives(sector) {
                        let start = offset + sector * SECTOR;
                        to.resize(to.len().max(start + part.len()), 0);
                        to[start..][..part.len()].copy_from_slice(part);
                    }
                }
            }
        }
    }
}

impl Disk for CrashDisk {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        self.state().alive()?;
        let file = self.state().names.get(name).copied();
        Ok(file.map(|file| Arc::new(CrashFile { disk: self.clone(), file }) as Arc<dyn DiskFile>))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.alive()?;
        let file = state.files.len();
        state.files.push(Image::default());
        state.rename(NameChange::Set(name.to_owned(), file))?;
        Ok(Arc::new(CrashFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        // Unkinder than a real disk: a crash in between leaves both names.
        state.rename(NameChange::Set(to.to_owned(), file))?;
        state.rename(NameChange::Remove(from.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        state.rename(NameChange::Remove(name.to_owned()))
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        state.burn()?;
        state.synced_names = state.names.clone();
        state.unsynced_names.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct CrashFile {
    disk: CrashDisk,
    file: usize,
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl DiskFile for CrashFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.alive()?;
        Ok(state.file(self.file).now.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive()?;
        let file = state.file(self.file);
        let bytes = file.now.get(position(offset)..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive()?;
        let write = Write::Bytes { offset: position(offset), bytes: bytes.to_vec() };
        // The write that meets the end of the power may still reach the disk in part.
        state.file(self.file).write(write);
        state.burn()
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive()?;
        state.file(self.file).write(Write::Size(position(size)));
        state.burn()
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.burn()?;
        let file = state.file(self.file);
        file.synced = file.now.clone();
        file.unsynced.clear();
        Ok(())
    }
}
