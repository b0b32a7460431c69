//! A hierarchy as a folder: the FUSE adapter.
//!
//! [`Mount::spawn`] shows a hierarchy, or a past version of it, in a directory of the host. It
//! uses [`Fs`] as any other program does.
//!
//! - **Writing.** What is written to an open file is kept in memory and becomes one entry at
//!   `close` or `fsync`. What cannot be written is refused before the first byte is taken: where
//!   the author's key may not write, `open` says `EACCES`, and `write` once it was revoked; above [`MAX_FILE_SIZE`], `write` says
//!   `EFBIG`; above [`MAX_STAGED`] in all, or where the disk of the store is full, `ENOSPC`. A file
//!   that was created, or cut to nothing, and into which nothing was written becomes an entry when
//!   the last handle is closed.
//! - **Reading.** Whoever opens a file goes on with that version to the end, also when a peer changes
//!   or removes it meanwhile; who opens it afterwards reads the new one. What is written to it
//!   becomes a version that stands on the one that was opened. So if a peer has written meanwhile
//!   the two are a conflict: neither is overwritten unseen, it is decided which one shows, and
//!   `.basefs/conflicts` and the attribute `user.basefs.conflict` tell of the other.
//! - **Names** that are kept are UTF-8, without control characters, of at most 255 bytes. `rename`
//!   replaces in one step. `RENAME_EXCHANGE` is refused with `EINVAL`; moving a directory to where
//!   others may write than before with `EXDEV`, so that `mv` copies it.
//! - **Durability.** `close` makes an entry that is on disk within half a second, `fsync` one that
//!   is on disk when it returns. A peer sees neither before it is durable here.
//! - **What is not kept.** Owners, modes other than the executable bit, and times. `chown` to
//!   somebody else is refused with `EPERM`; of a mode only the executable bit counts; `utimens`
//!   is kept while the kernel remembers the file. After that times are those of versions. Device
//!   nodes, pipes and sockets are refused with `EPERM`, and so are hard links.
//! - **Who may write** is decided by keys, not by users: everything belongs to the user who mounts.
//! - **Attributes.** `user.basefs.author`, `.rank`, `.version`, and where there is one `.conflict`
//!   can be read with `getfattr`.
//! - **`/.basefs`** is not listed, and there for those who name it: `versions/PATH` with what every
//!   path was, `conflicts`, `lost+found`, `status`.
//! - **Changes by peers** invalidate what the kernel remembers, and wake those who watch with
//!   inotify: a new or changed name as `IN_MODIFY` of that name, a removed name as `IN_MODIFY` of
//!   its directory, and as `IN_DELETE_SELF` for those who watch the file itself. The kernel has no
//!   way to say `IN_CREATE` or `IN_DELETE` on behalf of a file system.

mod attributes;
mod errno;
mod file;
mod kernel;
mod naming;
mod notify;
mod source;
mod special;
mod staging;
mod table;
mod volume;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use rustix::mount::{UnmountFlags, unmount};

use crate::fs::{Fs, Snapshot, WatchFrom};

use kernel::Kernel;
use notify::Teller;
use source::Source;
use volume::Volume;

pub use file::MAX_FILE_SIZE;
pub use staging::MAX_STAGED;

/// Threads that answer the kernel: one that waits for a disk does not keep the others waiting.
const THREADS: usize = 4;

/// What `statfs` says of every FUSE file system; a constant of Linux.
const FUSE_SUPER_MAGIC: rustix::fs::FsWord = 0x6573_5546;

/// How a hierarchy is mounted.
///
/// ```
/// use basefs::fuse::MountOptions;
///
/// let mut options = MountOptions::default();
/// options.read_only = true;
/// assert!(!options.confine_symlinks);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MountOptions {
    /// Shows the hierarchy as it was at a version. It is read-only then, and stays as it is.
    pub at: Option<Snapshot>,
    /// Refuses all changes with `EROFS`. What others change still shows.
    pub read_only: bool,
    /// Refuses to read, and to make, symbolic links that can lead out of the mount: absolute ones,
    /// those with more `..` than there are directories above, and those that go up after going
    /// down.
    pub confine_symlinks: bool,
    /// Lets other users in; what they may do is said by the modes. Needs `user_allow_other` in
    /// `/etc/fuse.conf`, unless root mounts.
    pub allow_other: bool,
    /// The directory that the store is in: what room its disk has is what the mount tells, and what
    /// does not fit is refused while it is written.
    pub data_dir: Option<PathBuf>,
}

/// Why a hierarchy was not mounted, or not unmounted. Nothing in it was changed.
///
/// ```
/// use basefs::fuse::{Mount, MountError, MountOptions};
///
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("mine"), "")?; // a mount would hide it
/// let mounted = Mount::spawn(&basefs::Fs::in_memory()?, dir.path(), &MountOptions::default());
/// assert!(matches!(mounted, Err(MountError::NotEmpty { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum MountError {
    /// The mount point is not a directory.
    NotADirectory {
        /// The mount point.
        dir: PathBuf,
    },
    /// The mount point is not empty: what is in it would be hidden.
    NotEmpty {
        /// The mount point.
        dir: PathBuf,
    },
    /// The mount point is a FUSE mount already, of this hierarchy or of something else.
    AlreadyMounted {
        /// The mount point.
        dir: PathBuf,
    },
    /// The mount point is a mount whose program has ended.
    Stale {
        /// The mount point.
        dir: PathBuf,
    },
    /// The system has no FUSE, or this process may not use it.
    NoDevice(io::Error),
    /// Whoever is not root mounts with the help of the program `fusermount3`, and it is not
    /// installed.
    NoHelper {
        /// The mount point.
        dir: PathBuf,
    },
    /// The system refused.
    Io {
        /// The mount point.
        dir: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What was written to files that are still open could not be made durable. The mount is gone.
    Lost(io::Error),
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::NotADirectory { dir } => {
                write!(f, "{}: not a directory; make one to mount at", dir.display())
            }
            MountError::NotEmpty { dir } => {
                write!(f, "{}: not empty; mount at an empty directory", dir.display())
            }
            MountError::AlreadyMounted { dir } => {
                let dir = dir.display();
                write!(f, "{dir}: something is mounted there; `fusermount3 -u {dir}` ends that")
            }
            MountError::Stale { dir } => {
                let dir = dir.display();
                write!(f, "{dir}: is a mount whose program has ended; `fusermount3 -u {dir}` first")
            }
            MountError::NoDevice(error) => {
                write!(f, "/dev/fuse: {error}; load the module `fuse`, or ask for access to it")
            }
            MountError::NoHelper { dir } => {
                let dir = dir.display();
                write!(f, "{dir}: to mount, who is not root needs `fusermount3`; install `fuse3`")
            }
            MountError::Io { dir, error } => {
                write!(f, "{}: the system refused: {error}", dir.display())
            }
            MountError::Lost(error) => {
                write!(f, "open files could not be written: {error}; it was unmounted")
            }
        }
    }
}

impl core::error::Error for MountError {}

/// A mounted hierarchy. Dropping it unmounts.
///
/// ```no_run
/// use basefs::Fs;
/// use basefs::fuse::{Mount, MountOptions};
///
/// let fs = Fs::open("/var/lib/shared")?;
/// let mount = Mount::spawn(&fs, "/mnt/shared", &MountOptions::default())?;
/// std::fs::write("/mnt/shared/motd", "hello")?;
/// assert_eq!(fs.read("/motd")?, "hello");
/// mount.unmount()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Mount {
    dir: PathBuf,
    volume: Arc<Volume>,
    session: Option<BackgroundSession>,
    /// None for the past, which does not change.
    teller: Option<Teller>,
}

impl Mount {
    /// Mounts a hierarchy at an empty directory, and answers the kernel in threads of its own.
    ///
    /// # Errors
    ///
    /// See [`MountError`]; nothing was mounted.
    ///
    /// ```no_run
    /// use basefs::Fs;
    /// use basefs::fuse::{Mount, MountOptions};
    ///
    /// let fs = Fs::open("/var/lib/shared")?;
    /// let mut options = MountOptions::default();
    /// options.at = Some(fs.at(&fs.version()?)?); // as it is now, for as long as it is mounted
    /// let mount = Mount::spawn(&fs, "/mnt/yesterday", &options)?;
    /// assert!(std::fs::write("/mnt/yesterday/motd", "hello").is_err());
    /// mount.unmount()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn(
        fs: &Fs,
        dir: impl AsRef<Path>,
        options: &MountOptions,
    ) -> Result<Self, MountError> {
        let dir = check_dir(dir.as_ref())?;
        let fs = fs.with_durability(crate::store::Durability::Deferred);
        // From before anything is shown.
        let watch = match &options.at {
            None => fs.watch("/", WatchFrom::Now).ok(),
            Some(_) => None,
        };
        let source = Source::new(fs, options.at.clone(), options.read_only);
        let volume = Arc::new(Volume::new(source, options));
        let kernel = Kernel(Arc::clone(&volume));
        let mounted = fuser::spawn_mount(kernel, &dir, &config(options));
        let session = mounted.map_err(|error| refused(&dir, error))?;
        let notifier = volume.notifier.get_or_init(|| session.notifier()).clone();
        let mut mount = Self { dir, volume, session: Some(session), teller: None };
        if let Some(watch) = watch {
            let (volume, dir) = (Arc::clone(&mount.volume), mount.dir.clone());
            let teller = Teller::spawn(volume, watch, notifier, dir);
            mount.teller = Some(teller.map_err(|error| mount.io(error))?);
        }
        Ok(mount)
    }

    /// Where it is mounted.
    ///
    /// ```no_run
    /// # let fs = basefs::Fs::open("/var/lib/shared")?;
    /// use basefs::fuse::{Mount, MountOptions};
    /// use std::path::Path;
    ///
    /// let mount = Mount::spawn(&fs, "/mnt/../mnt/shared", &MountOptions::default())?;
    /// assert_eq!(mount.dir(), Path::new("/mnt/shared")); // absolute, and without links
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether it is: `fusermount3 -u` and `umount` unmount it too.
    ///
    /// ```no_run
    /// # let fs = basefs::Fs::open("/var/lib/shared")?;
    /// use basefs::fuse::{Mount, MountOptions};
    ///
    /// let mount = Mount::spawn(&fs, "/mnt/shared", &MountOptions::default())?;
    /// assert!(mount.is_mounted());
    /// std::process::Command::new("fusermount3").arg("-u").arg(mount.dir()).status()?;
    /// assert!(!mount.is_mounted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_mounted(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.guard.is_finished())
    }

    /// Waits until somebody else unmounts it.
    ///
    /// # Errors
    ///
    /// The connection to the kernel broke.
    ///
    /// ```no_run
    /// # let fs = basefs::Fs::open("/var/lib/shared")?;
    /// use basefs::fuse::{Mount, MountOptions};
    ///
    /// let mount = Mount::spawn(&fs, "/mnt/shared", &MountOptions::default())?;
    /// mount.join()?; // a program that does nothing else, until `umount /mnt/shared`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(mut self) -> Result<(), MountError> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let done = session.join().map_err(|error| self.io(error));
        self.volume.publish_all().map_err(|error| MountError::Lost(of_errno(error)))?;
        done
    }

    /// Makes entries of what was written to files that are still open, and unmounts. Where the
    /// mount is in use it disappears at once, and for those who use it when they are done.
    ///
    /// # Errors
    ///
    /// [`MountError::Lost`], or the system refused to unmount.
    ///
    /// ```no_run
    /// # let fs = basefs::Fs::open("/var/lib/shared")?;
    /// use basefs::fuse::{Mount, MountError, MountOptions};
    ///
    /// let mount = Mount::spawn(&fs, "/mnt/shared", &MountOptions::default())?;
    /// match mount.unmount() {
    ///     Err(MountError::Lost(error)) => eprintln!("what was being written is gone: {error}"),
    ///     other => other?,
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unmount(mut self) -> Result<(), MountError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), MountError> {
        let Some(session) = self.session.take() else { return Ok(()) };
        // It uses the mount itself.
        self.teller = None;
        let published = self.volume.publish_all();
        if session.guard.is_finished() {
            // Somebody has unmounted it.
        } else if let Err(error) = unmount(&self.dir, UnmountFlags::empty()) {
            match error {
                rustix::io::Errno::BUSY => {
                    let done = unmount(&self.dir, UnmountFlags::DETACH);
                    // It goes on answering those who use it. Dropped, it would unmount what is
                    // mounted there next.
                    core::mem::forget(session);
                    done.map_err(|error| self.io(error.into()))?;
                    return published.map_err(|error| MountError::Lost(of_errno(error)));
                }
                // Not root: the helper does it.
                _ => return session.umount_and_join().map_err(|error| self.io(error)),
            }
        }
        session.join().map_err(|error| self.io(error))?;
        published.map_err(|error| MountError::Lost(of_errno(error)))
    }

    fn io(&self, error: io::Error) -> MountError {
        MountError::Io { dir: self.dir.clone(), error }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "unmounting");
        }
    }
}

fn of_errno(error: fuser::Errno) -> io::Error {
    io::Error::from_raw_os_error(error.code())
}

/// The mount point, if something can be mounted there.
fn check_dir(dir: &Path) -> Result<PathBuf, MountError> {
    let refused = |error: io::Error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::NOTCONN.raw_os_error() => {
            MountError::Stale { dir: dir.to_owned() }
        }
        _ if error.kind() == ErrorKind::NotADirectory => {
            MountError::NotADirectory { dir: dir.to_owned() }
        }
        _ => MountError::Io { dir: dir.to_owned(), error },
    };
    let mut entries = std::fs::read_dir(dir).map_err(refused)?;
    if is_mount(dir).map_err(refused)? {
        return Err(MountError::AlreadyMounted { dir: dir.to_owned() });
    }
    match entries.next() {
        Some(_) => Err(MountError::NotEmpty { dir: dir.to_owned() }),
        None => dir.canonicalize().map_err(refused),
    }
}

/// Whether a directory is where FUSE has mounted something.
fn is_mount(dir: &Path) -> io::Result<bool> {
    let is_fuse = rustix::fs::statfs(dir)?.f_type == FUSE_SUPER_MAGIC;
    Ok(is_fuse && dir.metadata()?.dev() != dir.join("..").metadata()?.dev())
}

fn refused(dir: &Path, error: io::Error) -> MountError {
    match File::options().read(true).write(true).open("/dev/fuse") {
        Ok(_) if !rustix::process::geteuid().is_root() && !has_helper() => {
            MountError::NoHelper { dir: dir.to_owned() }
        }
        Ok(_) => MountError::Io { dir: dir.to_owned(), error },
        Err(error) => MountError::NoDevice(error),
    }
}

/// Whether a program that mounts for whoever is not root is to be found.
fn has_helper() -> bool {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    ["fusermount3", "fusermount", "/bin/fusermount3"].into_iter().any(is_there)
}

fn config(options: &MountOptions) -> Config {
    let mut mount_options = Vec::from([
        MountOption::FSName(String::from("basefs")),
        MountOption::Subtype(String::from("basefs")),
        MountOption::DefaultPermissions,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
    ]);
    if options.at.is_some() {
        mount_options.push(MountOption::RO);
    }
    let mut config = Config::default();
    config.mount_options = mount_options;
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(THREADS);
    config
}

/// The directory of a path, and the name in it. None for the root.
fn split(path: &str) -> Option<(&str, &str)> {
    let (dir, name) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty())?;
    Some((if dir.is_empty() { "/" } else { dir }, name))
}
