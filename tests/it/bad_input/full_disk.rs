//! No space left: on a disk that says so when told, and on a real one.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use basefs::store::redb::{Disk, DiskFile, OsDisk};
use basefs::store::{Durability, RedbOptions, RedbStore, StoreError};
use basefs::{Fs, OpenError, WriteError};

use super::world::{Failure, World};
use super::{Row, nothing};
use crate::store::noise;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a full disk",
        prepare: nothing,
        meet: |world| {
            let (fs, disk) = on_filling_disk(world, Durability::Durable);
            disk.fill();
            let failure = fs.write("/new", "x").unwrap_err();
            assert_eq!(fs.write("/new", "x"), Err(WriteError::Store(StoreError::Poisoned)));
            failure.into()
        },
        expected: is_full,
        words: &["no space is left", "what was durable is intact", "whole or not at all"],
    },
    Row {
        name: "a full disk under a large file",
        prepare: nothing,
        meet: |world| {
            let (fs, disk) = on_filling_disk(world, Durability::Durable);
            disk.fill();
            fs.write("/new", noise(2, 900_000)).unwrap_err().into()
        },
        expected: is_full,
        words: &["no space is left", "what was durable is intact"],
    },
    Row {
        name: "a disk that is full when a deferred write gets to it",
        prepare: nothing,
        meet: |world| {
            let (fs, disk) = on_filling_disk(world, Durability::Deferred);
            disk.fill();
            fs.write("/new", "x").unwrap();
            // Deferred writes are committed within half a second.
            std::thread::sleep(Duration::from_millis(1_000));
            let failure = fs.write("/next", "x").unwrap_err();
            assert_eq!(fs.write("/next", "x"), Err(WriteError::Store(StoreError::Poisoned)));
            failure.into()
        },
        expected: is_full,
        words: &["no space is left", "what was durable is intact"],
    },
    Row {
        name: "a store that has failed before",
        prepare: nothing,
        meet: |world| {
            let (fs, disk) = on_filling_disk(world, Durability::Durable);
            disk.fill();
            fs.write("/new", "x").unwrap_err();
            fs.read("/users/ana/info").unwrap_err().into()
        },
        expected: |failure| failure.store() == Some(&StoreError::Poisoned),
        words: &["what was durable is intact", "open it again"],
    },
];

fn is_full(failure: &Failure) -> bool {
    matches!(failure, Failure::Write(WriteError::Store(StoreError::Full)))
}

/// The directory of a world, until it is full.
#[derive(Clone, Debug)]
struct FillingDisk {
    disk: OsDisk,
    is_full: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FillingFile {
    file: Arc<dyn DiskFile>,
    is_full: Arc<AtomicBool>,
}

fn on_filling_disk(world: &World, durability: Durability) -> (Fs, FillingDisk) {
    let disk = FillingDisk { disk: OsDisk::new(world.dir()).unwrap(), is_full: Arc::default() };
    let store = RedbStore::open_on(Arc::new(disk.clone()), RedbOptions::default()).unwrap();
    let fs = Fs::builder().dir(world.dir()).store(Arc::new(store)).durability(durability);
    (fs.open().unwrap(), disk)
}

fn space(is_full: &AtomicBool) -> io::Result<()> {
    match is_full.load(Ordering::Acquire) {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    }
}

impl FillingDisk {
    fn fill(&self) {
        self.is_full.store(true, Ordering::Release);
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FillingFile { file, is_full: Arc::clone(&self.is_full) })
    }
}

impl Disk for FillingDisk {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        Ok(self.disk.open(name)?.map(|file| self.file(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        space(&self.is_full)?;
        self.disk.create(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()
    }
}

impl DiskFile for FillingFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        space(&self.is_full)?;
        self.file.write_at(offset, bytes)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        space(&self.is_full)?;
        self.file.set_size(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// A small file system of its own; gone with the value.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// Nothing, with a loud word, where mounting is not allowed.
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "basefs-test"]).arg(at.path());
        match mount.status() {
            Ok(status) if status.success() => Some(Self(at)),
            other => {
                println!("SKIPPED: no file system of our own could be mounted ({other:?})");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(self.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

/// Takes all the space that is left.
pub(crate) fn fill_up(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let block = vec![1; 4_096];
    while io::Write::write_all(&mut file, &block).is_ok() {}
}

/// Writes numbered files until there is no space; gives how many were acknowledged.
fn write_until_full(fs: &Fs, large: bool) -> (u64, WriteError) {
    for number in 0u64.. {
        let length = if large && number % 2 == 0 { 100_000 } else { 300 };
        if let Err(error) = fs.write(format!("/n/{number}"), noise(number, length)) {
            return (number, error);
        }
    }
    unreachable!("no disk is endless");
}

fn check_numbered(fs: &Fs, acknowledged: u64) {
    let found = fs.read_dir("/n").unwrap().len() as u64;
    // The write that failed may have reached the disk whole.
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} of {acknowledged}");
    for number in 0..acknowledged {
        let bytes = fs.read(format!("/n/{number}")).unwrap();
        assert!(bytes == noise(number, bytes.len()), "{number}");
    }
}

#[test]
fn a_real_disk_fills_up_and_nothing_durable_is_lost() {
    for large in [true, false] {
        let Some(disk) = Tmpfs::mount(12) else { return };
        let (dir, ballast) = (disk.path().join("data"), disk.path().join("ballast"));
        let fs = Fs::open(&dir).unwrap();
        if !large {
            // Small entries would take long to fill it.
            fs::write(&ballast, vec![1; 7 << 20]).unwrap();
        }
        let (acknowledged, error) = write_until_full(&fs, large);
        assert_eq!(error, WriteError::Store(StoreError::Full));
        assert!(acknowledged > 10, "{acknowledged}");
        drop(fs);

        // Opened again while the disk is full: reading works, writing fails as before.
        fill_up(&disk.path().join("rest"));
        let fs = Fs::open(&dir).unwrap();
        check_numbered(&fs, acknowledged);
        let entries = fs.entries();
        let refused = fs.write("/after", noise(7, 50_000)).unwrap_err();
        assert_eq!(refused, WriteError::Store(StoreError::Full));
        drop(fs);

        fs::remove_file(disk.path().join("rest")).unwrap();
        let _ = fs::remove_file(&ballast);
        disk.remount("size=24m");
        let fs = Fs::open(&dir).unwrap();
        check_numbered(&fs, acknowledged);
        assert!(fs.entries() >= entries);
        fs.write("/after", noise(8, 50_000)).unwrap();
        drop(fs);
        assert_eq!(Fs::open(&dir).unwrap().read("/after").unwrap(), noise(8, 50_000));
    }
}

#[test]
fn no_key_is_half_written_on_a_full_disk() {
    let Some(disk) = Tmpfs::mount(1) else { return };
    let dir = disk.path().join("data");
    fs::create_dir(&dir).unwrap();
    fill_up(&disk.path().join("ballast"));
    let error = Fs::open(&dir).unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Full)), "{error:?}");
    // The store is there but not the keys.
    let in_memory = || Fs::builder().dir(&dir).store(Arc::new(basefs::store::MemoryStore::new()));
    let error = in_memory().open().unwrap_err();
    assert!(
        matches!(&error, OpenError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull),
        "{error:?}"
    );
    assert!(error.to_string().contains("author"), "{error}");
    fs::remove_file(disk.path().join("ballast")).unwrap();
    let fs = in_memory().open().unwrap();
    fs.write("/x", "1").unwrap();
}

#[test]
fn a_read_only_disk_is_refused_and_not_touched() {
    let Some(disk) = Tmpfs::mount(12) else { return };
    let fs = Fs::open(disk.path()).unwrap();
    fs.write("/x", "1").unwrap();
    drop(fs);
    let before = fs::read(disk.path().join("store.redb")).unwrap();
    disk.remount("ro");
    let error = Fs::open(disk.path()).unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Io { .. })), "{error:?}");
    for word in ["the system refused", "Read-only file system", "intact"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(fs::read(disk.path().join("store.redb")).unwrap() == before);
    disk.remount("rw");
    assert_eq!(Fs::open(disk.path()).unwrap().read("/x").unwrap(), "1");
}
