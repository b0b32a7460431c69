//! Hierarchies that are really mounted. Where the system has no FUSE the tests say so and pass.

mod disk;
mod mapped;
mod names;
mod ordinary;
mod peers;
mod pjdfstest;
mod process;
mod random;
mod reading;
mod soak;
mod special;
mod stress;
mod unseen;
mod writing;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::OnceLock;

use basefs::Fs;
use basefs::fuse::{Mount, MountError, MountOptions};
use tempfile::TempDir;

/// Whether this process may mount. Containers often have `/dev/fuse` and may not use it; any other
/// failure is one of the tests.
pub(crate) fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    let can = *CAN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let tried = Mount::spawn(&Fs::in_memory().unwrap(), dir.path(), &MountOptions::default());
        let is_refused = match &tried {
            Err(MountError::NoDevice(_)) => true,
            Err(MountError::Io { error, .. }) => error.kind() == ErrorKind::PermissionDenied,
            _ => false,
        };
        !is_refused
    });
    if !can {
        println!("skipped: this process may not mount");
    }
    can
}

/// A mounted hierarchy and the directory it is mounted at.
pub(super) struct World {
    pub(super) fs: Fs,
    // Before the directory, which cannot be removed while it is a mount.
    pub(super) mount: Option<Mount>,
    pub(super) dir: TempDir,
}

impl World {
    /// Mounts a hierarchy, unless there is no FUSE here.
    pub(super) fn mount(fs: Fs, options: &MountOptions) -> Option<Self> {
        if !can_mount() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mount = Mount::spawn(&fs, dir.path(), options).unwrap();
        Some(Self { fs, mount: Some(mount), dir })
    }

    /// A new hierarchy in memory.
    pub(super) fn new() -> Option<Self> {
        Self::mount(Fs::in_memory().unwrap(), &MountOptions::default())
    }

    /// Where a path of the hierarchy is in the file system of the host.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }
}

/// The number of the error that an operation answered.
pub(super) fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}
