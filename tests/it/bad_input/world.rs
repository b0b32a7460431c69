//! A directory to damage, its hash, and every error that a row may end in.

use std::fs;
use std::path::{Path, PathBuf};

use basefs::net::{ConnectError, LinkError, TicketError};
use basefs::store::{Batch, Durability, RedbStore, Store, StoreError, Table};
use basefs::{Fs, OpenError, ReadError, WriteError};
use tempfile::TempDir;

use crate::store::noise;

/// How a row failed.
#[derive(Debug)]
pub(super) enum Failure {
    Open(OpenError),
    Read(ReadError),
    Write(WriteError),
    Ticket(TicketError),
    Connect(ConnectError),
    Link(LinkError),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Open(error) => error.fmt(f),
            Failure::Read(error) => error.fmt(f),
            Failure::Write(error) => error.fmt(f),
            Failure::Ticket(error) => error.fmt(f),
            Failure::Connect(error) => error.fmt(f),
            Failure::Link(error) => error.fmt(f),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Failure::Read(error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Failure::Write(error)
    }
}

impl Failure {
    /// The error of the store behind the failure.
    pub(super) fn store(&self) -> Option<&StoreError> {
        match self {
            Failure::Open(OpenError::Store(error))
            | Failure::Read(ReadError::Store(error))
            | Failure::Write(WriteError::Store(error)) => Some(error),
            _ => None,
        }
    }
}

/// What `/users/ana/info` says: found again in the file of the store by whoever wants to damage
/// the entry.
pub(super) const INFO: &str = "Ana, Barcelona, in the street of the bakers";
/// The length of `/large`, in bytes: several blocks, all of them in packs.
pub(super) const LARGE: usize = 600_000;

/// The hierarchy that every row starts from.
pub(super) fn sample() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::open(dir.path()).unwrap();
    fs.write("/users/ana/info", "Ana").unwrap();
    fs.write("/users/ana/info", INFO).unwrap();
    fs.write("/large", noise(1, LARGE)).unwrap();
    fs.symlink("users/ana", "/link").unwrap();
    fs.create_dir_all("/empty").unwrap();
    drop(fs);
    dir
}

/// A directory of its own for each row.
pub(super) struct World(TempDir);

impl World {
    pub(super) fn copy_of(sample: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(sample, dir.path());
        Self(dir)
    }

    pub(super) fn dir(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(super) fn fs(&self) -> Fs {
        Fs::open(self.dir()).unwrap()
    }

    /// Opening fails.
    pub(super) fn refused(&self) -> Failure {
        Failure::Open(Fs::open(self.dir()).unwrap_err())
    }

    /// Reading a file fails, though the rest can be opened.
    pub(super) fn unreadable(&self, path: &str) -> Failure {
        self.fs().read(path).unwrap_err().into()
    }

    /// Changes the bytes of a file.
    pub(super) fn patch(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Changes tables behind the back of the replica, with every checksum of the store in order.
    pub(super) fn edit(&self, change: impl FnOnce(&RedbStore, &mut Batch)) {
        let store = RedbStore::open(self.dir()).unwrap();
        let mut batch = Batch::new();
        change(&store, &mut batch);
        store.commit(&batch, Durability::Durable).unwrap();
    }

    /// A hash over every pair of every table, as far as they can be read; over the bytes of the
    /// files if the store cannot be opened.
    pub(super) fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        if !self.path("store.redb").exists() {
            return hasher.finalize();
        }
        match RedbStore::open(self.dir()) {
            Ok(store) => hash_tables(&store, &mut hasher),
            Err(_) => {
                hasher.update(&fs::read(self.path("store.redb")).unwrap());
                for pack in files(&self.path("packs")) {
                    hasher.update(&fs::read(pack).unwrap());
                }
            }
        }
        hasher.finalize()
    }
}

/// Adds every pair of a store to a hash.
pub(super) fn hash_tables(store: &dyn Store, hasher: &mut blake3::Hasher) {
    for table in Table::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            for part in [table.name().as_bytes(), key, value] {
                hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
            }
            true
        };
        let scanned = store.scan(table, &[], &mut visit);
        hasher.update(format!("{scanned:?}").as_bytes());
    }
}

/// The files in a directory, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            // Copies the mode too, which matters for keys.
            fs::copy(&path, &target).unwrap();
        }
    }
}
