//! The whole hierarchy as it was at a version.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::fs::Fs;
use crate::fs::engine::Engine;
use crate::fs::error::ReadError;
use crate::fs::explain::Explanation;
use crate::fs::history::Version;
use crate::fs::read::{DirEntry, Metadata, Walk};
use crate::fs::shown::Reading;
use crate::id::{DirId, VersionId};
use crate::log::{Frontier, MissingHeads};
use crate::store::{StoreError, layout};
use crate::view::Past;

/// Why a version of the whole hierarchy cannot be shown. Nothing was changed.
///
/// ```
/// use basefs::fs::SnapshotError;
/// use basefs::{Fs, id::VersionId};
///
/// let (fs, other) = (Fs::in_memory()?, Fs::in_memory()?);
/// other.write("/motd", "hello")?;
/// let version = other.version()?;
/// assert!(matches!(fs.at(&version), Err(SnapshotError::Missing(_))));
/// assert_eq!(fs.find_version(&version.id()), Err(SnapshotError::Unknown(version.id())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Entries of it are not here yet, or are of another hierarchy.
    Missing(MissingHeads),
    /// This replica never gave out a version of that id, or has forgotten it: ask for the version
    /// in full.
    Unknown(VersionId),
    /// The store failed, or is damaged.
    Store(StoreError),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Missing(missing) => missing.fmt(f),
            SnapshotError::Unknown(id) => {
                write!(f, "this replica does not know version {id:.16}; ask for its full text")
            }
            SnapshotError::Store(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl From<StoreError> for SnapshotError {
    fn from(error: StoreError) -> Self {
        SnapshotError::Store(error)
    }
}

impl From<MissingHeads> for SnapshotError {
    fn from(missing: MissingHeads) -> Self {
        SnapshotError::Missing(missing)
    }
}

impl Fs {
    /// The version of the whole hierarchy as this replica has it now.
    ///
    /// Printed, it is a line that every replica with the same entries can show with
    /// [`at`](Self::at). This replica also remembers its [id](Frontier::id), for
    /// [`find_version`](Self::find_version); it remembers the latest 1,024. Linear in the log.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// let version = fs.version()?;
    /// fs.write("/motd", "good morning")?;
    /// let then = fs.at(&version.to_string().parse()?)?;
    /// assert_eq!(then.read("/motd")?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // rule: AT-1
    pub fn version(&self) -> Result<Frontier, StoreError> {
        let (frontier, entries) = self.engine.read(|node| {
            let log = node.replica().log();
            (log.frontier(), log.len())
        });
        layout::remember_version(&**self.engine.store(), &frontier.id(), entries)?;
        Ok(frontier)
    }

    /// The version that an id means, of those that [`version`](Self::version) gave out here.
    ///
    /// # Errors
    ///
    /// See [`SnapshotError`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.version()?;
    /// fs.write("/motd", "hello")?;
    /// assert_eq!(fs.find_version(&version.id())?, version);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // rule: AT-1
    pub fn find_version(&self, id: &VersionId) -> Result<Frontier, SnapshotError> {
        let entries = layout::remembered_version(&**self.engine.store(), id)?;
        let entries = entries.ok_or(SnapshotError::Unknown(*id))?;
        let frontier = self.engine.read(|node| node.replica().log().frontier_of_first(entries));
        // After a crash the log may have gone on otherwise than before.
        if frontier.id() == *id { Ok(frontier) } else { Err(SnapshotError::Unknown(*id)) }
    }

    /// The whole hierarchy as it was at a version, with the authority of then: what was revoked
    /// later counts again. It is for reading and does not change.
    ///
    /// Takes about 40 ms for each 100,000 entries, during which writers wait, and up to 40 bytes of
    /// memory for each entry.
    ///
    /// # Errors
    ///
    /// See [`SnapshotError`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let empty = fs.version()?;
    /// fs.write("/motd", "hello")?;
    /// assert!(!fs.at(&empty)?.exists("/motd"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // rule: AT-1
    pub fn at(&self, version: &Frontier) -> Result<Snapshot, SnapshotError> {
        let past = self.engine.read(|node| {
            let replica = node.replica();
            replica.view().at(replica.log(), version)
        })?;
        let engine = Arc::clone(&self.engine);
        Ok(Snapshot { engine, past: Arc::new(past), version: Arc::new(version.clone()) })
    }
}

/// The whole hierarchy as it was at a version: [`Fs::at`] makes one.
///
/// It reads as [`Fs`] does, and stays as it is. Content that is not here now cannot be read; and a
/// version whose content was never here does not show. It keeps the replica open, like a handle,
/// and is cheap to clone.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/etc/motd", "hello")?;
/// let then = fs.at(&fs.version()?)?;
/// fs.write("/etc/motd", "good morning")?;
/// fs.write("/etc/hosts", "")?;
/// assert_eq!(then.read("/etc/motd")?, "hello");
/// assert!(!then.exists("/etc/hosts"));
/// assert_eq!((then.read_dir("/etc")?.len(), then.walk("/")?.count()), (1, 2));
/// assert_eq!((then.versions("/etc/motd")?.len(), then.metadata("/etc/motd")?.len()), (1, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) engine: Arc<Engine>,
    pub(super) past: Arc<Past>,
    version: Arc<Frontier>,
}

impl Snapshot {
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { engine: &self.engine, past: Some(&self.past) }
    }

    /// The version it is of.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.version()?;
    /// assert_eq!(fs.at(&version)?.version(), &version);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn version(&self) -> &Frontier {
        &self.version
    }

    /// Reads a whole file, as [`Fs::read`] does.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// let then = fs.at(&fs.version()?)?;
    /// fs.remove("/motd")?;
    /// assert_eq!(then.read("/motd")?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, path: impl AsRef<str>) -> Result<Bytes, ReadError> {
        Ok(self.reading().read_file(path.as_ref())?.0)
    }

    /// Reads the text of a symbolic link.
    ///
    /// # Errors
    ///
    /// Nothing was there, or something else.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.symlink("releases/1", "/current")?;
    /// let then = fs.at(&fs.version()?)?;
    /// fs.remove("/current")?;
    /// fs.symlink("releases/2", "/current")?;
    /// assert_eq!(then.read_link("/current")?, "releases/1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_link(&self, path: impl AsRef<str>) -> Result<String, ReadError> {
        self.reading().read_link(path.as_ref())
    }

    /// Lists a directory in the order of names.
    ///
    /// # Errors
    ///
    /// Nothing was there, or not a directory.
    pub fn read_dir(&self, path: impl AsRef<str>) -> Result<Vec<DirEntry>, ReadError> {
        self.reading().read_dir(path.as_ref())
    }

    /// About what was at a path; symbolic links are not followed.
    ///
    /// # Errors
    ///
    /// Nothing was there.
    pub fn metadata(&self, path: impl AsRef<str>) -> Result<Metadata, ReadError> {
        self.reading().metadata(path.as_ref())
    }

    /// Whether something was at a path.
    pub fn exists(&self, path: impl AsRef<str>) -> bool {
        self.reading().exists(path.as_ref())
    }

    /// The id of the directory at a path.
    ///
    /// # Errors
    ///
    /// Nothing was there, or not a directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.create_dir_all("/drafts")?;
    /// let then = fs.at(&fs.version()?)?;
    /// fs.rename("/drafts", "/letters")?;
    /// assert_eq!(then.dir_id("/drafts")?, fs.dir_id("/letters")?); // the same directory
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dir_id(&self, path: impl AsRef<str>) -> Result<DirId, ReadError> {
        self.reading().dir_id(path.as_ref())
    }

    /// Everything below a directory, parents before children.
    ///
    /// # Errors
    ///
    /// Nothing was there, or not a directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/etc/hosts", "")?;
    /// let then = fs.at(&fs.version()?)?;
    /// fs.remove_all("/etc")?;
    /// let paths: Vec<String> = then.walk("/")?.map(|entry| entry.path().to_owned()).collect();
    /// assert_eq!(paths, ["/etc", "/etc/hosts"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn walk(&self, path: impl AsRef<str>) -> Result<Walk, ReadError> {
        let mut open = self.read_dir(path)?;
        open.reverse();
        let past = Some(Arc::clone(&self.past));
        Ok(Walk { engine: Arc::clone(&self.engine), past, open })
    }

    /// The versions that a path had then, with where they stood.
    ///
    /// # Errors
    ///
    /// Nothing was ever there, or the directory was not shown.
    ///
    /// ```
    /// use basefs::view::Status;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// let then = fs.at(&fs.version()?)?;
    /// fs.write("/motd", "good morning")?;
    /// assert_eq!(then.versions("/motd")?[0].status, Status::Current);
    /// assert_eq!(fs.versions("/motd")?[1].status, Status::Superseded); // the same one, now
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn versions(&self, path: impl AsRef<str>) -> Result<Vec<Version>, ReadError> {
        self.reading().versions(path.as_ref())
    }

    /// How what a path showed came to be, as [`Fs::history`] says it.
    ///
    /// # Errors
    ///
    /// Nothing was ever there, or the directory was not shown.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let first = fs.write("/motd", "hello")?;
    /// let then = fs.at(&fs.version()?)?;
    /// fs.write("/motd", "good morning")?;
    /// let history = then.history("/motd")?;
    /// assert_eq!((history.len(), history[0].id), (1, first));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn history(&self, path: impl AsRef<str>) -> Result<Vec<Version>, ReadError> {
        self.reading().history(path.as_ref())
    }

    /// Why a path showed what it did.
    ///
    /// # Errors
    ///
    /// Nothing was ever there.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/motd", "hello")?;
    /// let then = fs.at(&fs.version()?)?;
    /// fs.remove("/motd")?;
    /// assert_eq!(then.explain("/motd")?.winner.map(|winner| winner.id), Some(version));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, path: impl AsRef<str>) -> Result<Explanation, ReadError> {
        self.reading().explain(path.as_ref())
    }
}
