//! A disk that is full under a mount.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use basefs::Fs;
use basefs::fuse::MountOptions;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{World, errno};

const ENOSPC: i32 = 28;
/// What the disk has room for, in bytes; a mount leaves 16 MiB of it free.
const DISK: &str = "size=32m";

/// A small file system in memory, gone when this is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(DISK).unwrap();
        let done = mount("basefs-test", dir.path(), "tmpfs", MountFlags::empty(), Some(&*options));
        if let Err(error) = done {
            println!("skipped: this process may not mount a disk: {error}");
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).ok();
    }
}

#[test]
fn a_disk_that_fills_up_refuses_writes_and_keeps_what_is_there() {
    let Some(disk) = Disk::new() else { return };
    let data = disk.path().join("replica");
    let mut options = MountOptions::default();
    options.data_dir = Some(data.clone());
    let Some(mut world) = World::mount(Fs::open(&data).unwrap(), &options) else { return };
    let mut kept = Vec::new();
    let refused = loop {
        let name = format!("{:02}", kept.len());
        assert!(kept.len() < 32, "it never fills up");
        // Not the same content twice, for that would be kept once.
        let number = u8::try_from(kept.len()).unwrap();
        let byte = |at: u32| u8::try_from(at % 251).unwrap() ^ number;
        let content: Vec<u8> = (0..1 << 20).map(byte).collect();
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(world.at(&name)).unwrap();
        // The answer comes with the bytes, not when the program is done with them.
        if let Err(error) = file.write_all(&content) {
            break error;
        }
        file.sync_all().unwrap();
        kept.push((name, content));
    };
    assert_eq!(refused.raw_os_error(), Some(ENOSPC));
    assert!(kept.len() > 2, "{} files", kept.len());
    println!("{} files of 1 MiB on a disk with {DISK}", kept.len());
    // Other programs fill what the mount has left.
    let other = fs::write(disk.path().join("other"), vec![1; 32 << 20]);
    assert_eq!(errno(other), Some(ENOSPC));
    assert_eq!(errno(fs::write(world.at("/late"), "x")), Some(ENOSPC));
    for (name, content) in &kept {
        assert!(fs::read(world.at(name)).unwrap() == *content, "{name}");
    }
    // There is room again, and it goes on; what was kept is there after all.
    fs::remove_file(disk.path().join("other")).unwrap();
    fs::remove_file(world.at("/00")).unwrap();
    drop(world.mount.take());
    drop(world);
    let again = Fs::open(&data).unwrap();
    assert!(!again.exists("/00"));
    for (name, content) in &kept[1..] {
        assert!(again.read(name).unwrap() == *content, "{name}");
    }
}
