//! What the durable store needs of an operating system: a few files that can be synced.
//!
//! The store reaches its files through [`Disk`] alone. [`OsDisk`] is a directory; a test brings a
//! disk that loses power, an application may bring one that encrypts.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files with names, in one directory or below.
///
/// Names are relative and use `/`. Nothing that was done to a name is safe from a crash before
/// [`sync_names`](Disk::sync_names) returned, nothing written to a file before its
/// [`sync`](DiskFile::sync) did.
///
/// ```
/// use std::io;
/// use std::path::Path;
/// use std::sync::Arc;
/// use basefs::store::redb::{Disk, DiskFile, OsDisk};
/// use basefs::store::{RedbOptions, RedbStore, StoreError};
///
/// /// A disk on which nothing can be made.
/// #[derive(Debug)]
/// struct Full(OsDisk);
///
/// impl Disk for Full {
///     fn create(&self, _name: &str) -> io::Result<Arc<dyn DiskFile>> {
///         Err(io::ErrorKind::StorageFull.into())
///     }
///     // The rest is passed on.
/// #     fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> { self.0.open(name) }
/// #     fn rename(&self, from: &str, to: &str) -> io::Result<()> { self.0.rename(from, to) }
/// #     fn remove(&self, name: &str) -> io::Result<()> { self.0.remove(name) }
/// #     fn sync_names(&self) -> io::Result<()> { self.0.sync_names() }
/// }
///
/// let dir = tempfile::tempdir()?;
/// let disk = Arc::new(Full(OsDisk::new(dir.path())?));
/// assert!(matches!(RedbStore::open_on(disk, RedbOptions::default()), Err(StoreError::Full)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file for reading and writing; gives nothing if there is none of this name.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// ```
    /// use basefs::store::redb::{Disk, OsDisk};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let disk = OsDisk::new(dir.path())?;
    /// assert!(disk.open("new")?.is_none());
    /// disk.create("new")?;
    /// disk.rename("new", "kept")?;
    /// assert!(disk.open("new")?.is_none() && disk.open("kept")?.is_some());
    /// disk.remove("kept")?;
    /// disk.remove("kept")?; // it is gone already: no error
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>>;

    /// Creates an empty file for reading and writing, in place of one that has the name.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, in one step, in place of one that has it.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; removing what is not there is no error.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Waits until every creation, renaming and removal is on the disk.
    ///
    /// # Errors
    ///
    /// What the system says; what had been done may be lost.
    fn sync_names(&self) -> io::Result<()>;
}

/// One open file of a [`Disk`].
///
/// ```
/// use basefs::store::redb::{Disk, OsDisk};
///
/// let dir = tempfile::tempdir()?;
/// let disk = OsDisk::new(dir.path())?;
/// let file = disk.create("notes")?;
/// file.write_at(3, b"lo")?; // what is before it is zeros
/// file.write_at(0, b"hel")?;
/// file.sync()?;
/// disk.sync_names()?; // only now it has its name for sure
///
/// let mut read = [0; 5];
/// file.read_at(0, &mut read)?;
/// assert_eq!((&read, file.size()?), (b"hello", 5));
/// file.set_size(2)?;
/// let error = file.read_at(0, &mut read).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Its size in bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before, else what the system says.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`; the file grows as needed.
    ///
    /// # Errors
    ///
    /// `StorageFull` if no space is left, else what the system says; some may be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Waits until what was written, and the size, are on the disk.
    ///
    /// # Errors
    ///
    /// What the system says. What was written may then be lost even if a later sync succeeds.
    fn sync(&self) -> io::Result<()>;
}

/// The files of one directory of the operating system.
///
/// ```
/// use std::sync::Arc;
/// use basefs::store::redb::{Disk, OsDisk};
/// use basefs::store::{RedbOptions, RedbStore};
///
/// let dir = tempfile::tempdir()?;
/// let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(dir.path())?);
/// let _store = RedbStore::open_on(disk, RedbOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OsDisk {
    root: PathBuf,
}

impl OsDisk {
    /// The directory and its subdirectory for pack files; both are made if need be.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root.join(super::packs::DIRECTORY))?;
        let disk = Self { root: root.to_path_buf() };
        if let Some(parent) = root.canonicalize()?.parent() {
            sync_directory(parent)?;
        }
        disk.sync_names()?;
        Ok(disk)
    }
}

impl Disk for OsDisk {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match OpenOptions::new().read(true).write(true).open(self.root.join(name)) {
            Ok(file) => Ok(Some(Arc::new(OsFile::new(file)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.root.join(name))?;
        Ok(Arc::new(OsFile::new(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_directory(&self.root.join(super::packs::DIRECTORY))?;
        sync_directory(&self.root)
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file, and the file system keeps names in order.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[derive(Debug)]
pub(super) struct OsFile(File);

#[cfg(unix)]
impl OsFile {
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }

    fn with<T>(&self, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        act(&self.0)
    }
}

/// Without positioned reads the cursor of the file is shared, so everybody takes turns.
#[cfg(not(unix))]
#[derive(Debug)]
pub(super) struct OsFile(parking_lot::Mutex<File>);

#[cfg(not(unix))]
impl OsFile {
    pub(super) fn new(file: File) -> Self {
        Self(parking_lot::Mutex::new(file))
    }

    fn with<T>(&self, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        act(&self.0.lock())
    }
}

impl DiskFile for OsFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|file| Ok(file.metadata()?.len()))
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|file| read_exact_at(file, offset, out))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|file| write_all_at(file, offset, bytes))
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.with(|file| file.set_len(size))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(File::sync_data)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek};
    file.seek(io::SeekFrom::Start(offset))?;
    file.read_exact(out)
}

#[cfg(not(unix))]
fn write_all_at(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    use std::io::{Seek, Write};
    file.seek(io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}
