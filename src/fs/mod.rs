//! What applications use: a hierarchy like a versioned map of files.
//!
//! [`Fs`] is a handle to one replica. Its methods are named after `std::fs` where that has them,
//! are synchronous, and never touch the network; handles are cheap to clone and can be used from
//! any thread. Readers wait neither for the disk sync of a writer nor for a peer.

mod adopt;
mod audit;
mod batch;
mod builder;
mod conflicts;
mod diff;
mod engine;
mod error;
mod explain;
mod flusher;
mod grants;
mod history;
mod keyfile;
mod overruled;
mod path;
mod plan;
mod read;
mod rename;
mod revoke;
#[cfg(feature = "quic")]
mod serve;
mod shown;
mod snapshot;
mod verbs;
mod watch;
mod words;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
#[cfg(feature = "redb")]
use std::path::Path;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::entry::SignedEntry;
use crate::id::{DirId, EntryId, NodeId, PublicKey};
use crate::log::{EntryNo, Offered};
use crate::store::{Durability, StoreError, StoreStats};
use crate::wire::SecretKey;

use engine::{Engine, Ticket};
use flusher::Flusher;
use plan::{Plan, check_size, prepare};

pub use crate::node::Origin;
pub use audit::{Audit, Chain, Equivocation};
pub use batch::Batch;
pub use builder::{AUTHOR_KEY_FILE, Builder, NODE_KEY_FILE, OLD_SECRETS_FILE, READ_SECRET_FILE};
pub use conflicts::{Conflict, LostDir, Orphan};
pub use diff::{DiffError, Difference, DifferenceKind};
pub use error::{OpenError, ReadError, WriteError};
pub use explain::{
    CutReason, CutVersion, Explanation, Hidden, IncompleteVersion, Loser, Place, Reason,
};
pub use grants::{Boundary, KeyInfo};
pub use history::Version;
pub use keyfile::MAX_OLD_SECRETS;
pub use overruled::{Overruled, Overruling};
pub use path::PathError;
pub use read::{DirEntry, FileType, Metadata, Walk};
pub use revoke::{Keep, PathEffect, RevokeError, RevokePlan};
#[cfg(feature = "quic")]
pub use serve::{
    AdoptTicketError, DropSecretsError, ExpelError, MAX_EXPELLED, PeerReport, RotateSecretError,
    ServeError, Serving, Status,
};
pub use snapshot::{Snapshot, SnapshotError};
pub use verbs::{Expected, RevertError};
pub use watch::{
    ChangeKind, ConflictChange, ContentArrived, Cursor, MAX_WAITING_EVENTS, ParseCursorError,
    PathChange, PermissionChange, ResyncReason, Watch, WatchEvent, WatchFrom, WatchIter,
};

/// The keys of a replica.
#[derive(Debug)]
struct Identity {
    author: SecretKey,
    node: SecretKey,
}

/// A handle to one replica of a hierarchy.
///
/// ```
/// use basefs::Fs;
///
/// let dir = tempfile::tempdir()?;
/// let fs = Fs::open(dir.path())?;
/// fs.write("/users/ana/info", "Ana, Barcelona")?;
/// assert_eq!(fs.read("/users/ana/info")?, "Ana, Barcelona");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fs {
    /// The first field, for it is to let go of the engine before the last handle does.
    flusher: Arc<Flusher>,
    engine: Arc<Engine>,
    identity: Arc<Identity>,
    /// Who is let in on the network.
    #[cfg(feature = "quic")]
    door: Arc<serve::Door>,
    /// Held by whoever plans and signs: the chain of an author has one end.
    planning: Arc<Mutex<()>>,
    durability: Durability,
}

impl Fs {
    /// Opens the replica in a directory, or creates it together with a new hierarchy.
    ///
    /// A new hierarchy gets a new root key, which is kept in the directory (`author.key`, mode
    /// 0600) and writes everything. That is right for trying things out. For more, grant daily
    /// work to other keys and keep the root key on no machine: who has it can do everything, and
    /// it cannot be revoked.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; what was there before is as it was.
    #[cfg(feature = "redb")]
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder().dir(dir).open()
    }

    /// Makes a replica of an existing hierarchy in a directory, or opens it again.
    ///
    /// It has a new author key, which may write once somebody [grants](Self::grant) it something,
    /// and is empty until it is connected to a peer.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; what was there before is as it was.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// # let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// let fs = Fs::open(here.path())?;
    /// let ticket = fs.ticket(vec![]).to_string(); // that of `Serving::ticket` says where to connect to
    /// let other = Fs::join(there.path(), &ticket.parse()?)?;
    /// assert_eq!(other.hierarchy(), fs.hierarchy());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(all(feature = "redb", feature = "quic"))]
    pub fn join(dir: impl AsRef<Path>, ticket: &crate::net::Ticket) -> Result<Self, OpenError> {
        Self::builder().dir(dir).join(ticket).open()
    }

    /// A new hierarchy that is forgotten with the process.
    ///
    /// # Errors
    ///
    /// The system gave no randomness or no thread.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// assert_eq!((fs.entries(), fs.keys()?[0].key), (1, fs.author())); // the genesis; the root key
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::builder().open()
    }

    /// All the ways to open a replica.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The id of the hierarchy: that of its genesis entry.
    pub fn hierarchy(&self) -> EntryId {
        self.engine.hierarchy()
    }

    /// The key that this handle writes with.
    pub fn author(&self) -> PublicKey {
        self.identity.author.public()
    }

    /// The identity of this replica on the network.
    pub fn node(&self) -> NodeId {
        NodeId::from_bytes(*self.identity.node.public().as_bytes())
    }

    /// A handle that writes with other durability.
    ///
    /// ```
    /// use basefs::store::Durability;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let fast = fs.with_durability(Durability::Deferred);
    /// fast.write("/counter", "1")?; // on disk within half a second
    /// fast.sync()?; // or now
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self { durability, ..self.clone() }
    }

    /// Reads a whole file: the winning version, of those whose content is all here.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]. A symbolic link is one, [`IsASymlink`](ReadError::IsASymlink), for links
    /// are not followed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// assert_eq!(fs.read("/motd")?, "hello");
    /// assert!(fs.read("/nothing").is_err() && !fs.exists("/nothing"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, path: impl AsRef<str>) -> Result<Bytes, ReadError> {
        Ok(self.engine.now().read_file(path.as_ref())?.0)
    }

    /// Reads the text of a symbolic link.
    ///
    /// # Errors
    ///
    /// Nothing is there, or something else.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.symlink("../etc", "/conf")?;
    /// assert_eq!(fs.read_link("/conf")?, "../etc");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_link(&self, path: impl AsRef<str>) -> Result<String, ReadError> {
        self.engine.now().read_link(path.as_ref())
    }

    /// Lists a directory in the order of names.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not a directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/etc/hosts", "")?;
    /// let names: Vec<String> = fs.read_dir("/etc")?.iter().map(|e| e.name().to_owned()).collect();
    /// assert_eq!(names, ["hosts"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_dir(&self, path: impl AsRef<str>) -> Result<Vec<DirEntry>, ReadError> {
        self.engine.now().read_dir(path.as_ref())
    }

    /// About what is at a path; symbolic links are not followed.
    ///
    /// # Errors
    ///
    /// Nothing is there.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/motd", "hello")?;
    /// let about = fs.metadata("/motd")?;
    /// assert_eq!((about.is_file(), about.len(), about.version()), (true, 5, Some(version)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metadata(&self, path: impl AsRef<str>) -> Result<Metadata, ReadError> {
        self.engine.now().metadata(path.as_ref())
    }

    /// Whether something is at a path.
    pub fn exists(&self, path: impl AsRef<str>) -> bool {
        self.engine.now().exists(path.as_ref())
    }

    /// Everything below a directory, parents before children.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not a directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/a/b", "1")?;
    /// let paths: Vec<String> = fs.walk("/")?.map(|entry| entry.path().to_owned()).collect();
    /// assert_eq!(paths, ["/a", "/a/b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn walk(&self, path: impl AsRef<str>) -> Result<Walk, ReadError> {
        let mut open = self.read_dir(path)?;
        open.reverse();
        Ok(Walk { engine: Arc::clone(&self.engine), past: None, open })
    }

    /// Writes a whole file, and makes the directories above it. An executable file stays one.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/users/ana/info", "Ana, Barcelona")?;
    /// assert_eq!(fs.versions("/users/ana/info")?[0].id, version);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(
        &self,
        path: impl AsRef<str>,
        content: impl AsRef<[u8]>,
    ) -> Result<EntryId, WriteError> {
        let content = content.as_ref();
        // Before it is copied.
        check_size(content.len() as u64)?;
        let content = prepare(Bytes::copy_from_slice(content))?;
        self.plan(|plan| plan.write(path.as_ref(), content, None))
    }

    /// Says whether a file is a program: a new version with the same content.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/bin/tool", "#!/bin/sh")?;
    /// fs.set_executable("/bin/tool", true)?;
    /// fs.write("/bin/tool", "#!/bin/bash")?; // it stays one
    /// assert!(fs.metadata("/bin/tool")?.is_executable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_executable(
        &self,
        path: impl AsRef<str>,
        executable: bool,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.set_executable(path.as_ref(), executable))
    }

    /// Makes a symbolic link at `path` with the text `target`, which is kept as it is.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.symlink("../nowhere", "/etc/link")?;
    /// assert_eq!(fs.read_link("/etc/link")?, "../nowhere");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn symlink(
        &self,
        target: impl AsRef<str>,
        path: impl AsRef<str>,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.symlink(target.as_ref(), path.as_ref()))
    }

    /// Makes a directory and those above it; it is no error if they exist.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    pub fn create_dir_all(&self, path: impl AsRef<str>) -> Result<(), WriteError> {
        self.plan(|plan| plan.create_dir_all(path.as_ref()))
    }

    /// Removes a file, a symbolic link or an empty directory. Older versions stay in the history.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/tmp/x", "1")?;
    /// assert!(fs.remove("/tmp").is_err(), "it is not empty");
    /// fs.remove("/tmp/x")?;
    /// fs.remove("/tmp")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, path: impl AsRef<str>) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.remove(path.as_ref(), false))
    }

    /// Removes whatever is at a path, and everything below; one entry, however much that is.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/tmp/a/b", "1")?;
    /// fs.remove_all("/tmp")?;
    /// assert!(!fs.exists("/tmp/a/b"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_all(&self, path: impl AsRef<str>) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.remove(path.as_ref(), true))
    }

    /// Collects operations that will be done together.
    pub fn batch(&self) -> Batch {
        Batch::new(self)
    }

    /// The versions of a path: the winning line first, then the others.
    ///
    /// # Errors
    ///
    /// Nothing was ever there, or the directory is not shown.
    ///
    /// ```
    /// use basefs::view::Status;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// fs.remove("/motd")?;
    /// let statuses: Vec<Status> = fs.versions("/motd")?.iter().map(|v| v.status).collect();
    /// assert_eq!(statuses, [Status::Current, Status::Superseded], "a deletion is a version too");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn versions(&self, path: impl AsRef<str>) -> Result<Vec<Version>, ReadError> {
        self.engine.now().versions(path.as_ref())
    }

    /// Why a path shows what it shows: who won, who lost, and by which rule.
    ///
    /// # Errors
    ///
    /// Nothing was ever there; the root directory has no versions either. Of a path that is hidden
    /// the reason is told.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// let why = fs.explain("/motd")?;
    /// assert!(why.losers.is_empty());
    /// assert!(why.to_string().starts_with("/motd: "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, path: impl AsRef<str>) -> Result<Explanation, ReadError> {
        self.engine.now().explain(path.as_ref())
    }

    /// Watches a subtree.
    ///
    /// # Errors
    ///
    /// The text is not a path, or the store failed. The subtree need not exist yet.
    ///
    /// ```
    /// use std::time::Duration;
    /// use basefs::{WatchEvent, WatchFrom};
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut changes = fs.watch("/users", WatchFrom::Now)?;
    /// fs.write("/users/ana/info", "Ana")?;
    /// let Some(WatchEvent::Change(change)) = changes.next_blocking(Duration::from_secs(1)) else {
    ///     panic!("a change was expected");
    /// };
    /// assert_eq!(change.path, "/users");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch(&self, subtree: impl AsRef<str>, from: WatchFrom) -> Result<Watch, ReadError> {
        Watch::new(&self.engine, subtree.as_ref(), from)
    }

    /// Makes deferred writes durable now.
    ///
    /// # Errors
    ///
    /// The store failed; what was durable before is intact.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.engine.flush()
    }

    /// Counters of the store since it was opened.
    pub fn store_stats(&self) -> StoreStats {
        self.engine.stats()
    }

    /// The bytes of every entry in the order of admission, for [`admit`](Self::admit) elsewhere.
    /// An item is an error if the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// assert_eq!(fs.export().count(), 2, "the genesis and the write");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self) -> impl Iterator<Item = Result<Bytes, StoreError>> {
        let numbers = (0..self.entries()).filter_map(EntryNo::from_index);
        numbers.map(|no| self.engine.entry_bytes(no))
    }

    /// Takes in an entry that came by other means than a connection: on a stick, by mail, from a
    /// tool. It is checked like any other. Says what became of it; content in blocks is not part
    /// of an entry.
    ///
    /// # Errors
    ///
    /// The bytes are no valid entry, or the store failed.
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::log::Offered;
    ///
    /// let fs = Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// # #[cfg(feature = "quic")] {
    /// let other = Fs::builder().join(&fs.ticket(vec![])).open()?;
    /// for entry in fs.export() {
    ///     assert_eq!(other.admit(&entry?)?, Offered::Admitted);
    /// }
    /// assert_eq!(other.read("/motd")?, "hello");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn admit(&self, entry: &[u8]) -> Result<Offered, WriteError> {
        self.engine.check()?;
        let entry = SignedEntry::decode(entry)?.verify()?;
        let (offered, ticket) = self.engine.change(|node| node.offer(entry));
        self.settle(ticket)?;
        Ok(offered)
    }

    /// The id of the directory at a path.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not a directory.
    pub fn dir_id(&self, path: impl AsRef<str>) -> Result<DirId, ReadError> {
        self.engine.now().dir_id(path.as_ref())
    }

    /// Number of entries in the log.
    pub fn entries(&self) -> usize {
        self.engine.read(|node| node.replica().log().len())
    }

    /// Waits until a change is as durable as this handle's changes are to be.
    fn settle(&self, ticket: Ticket) -> Result<(), StoreError> {
        if self.durability == Durability::Deferred {
            self.flusher.wake();
        }
        self.engine.settle(ticket, self.durability)
    }

    /// A plan that is only looked at.
    fn draft(&self) -> Plan<'_> {
        Plan::new(&self.engine, &self.identity.author)
    }

    /// Plans, signs, takes in and makes durable what `wish` asks for.
    fn plan<T, E: From<WriteError>>(
        &self,
        wish: impl FnOnce(&mut Plan<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let failed = |error: StoreError| E::from(WriteError::Store(error));
        self.engine.check().map_err(failed)?;
        let planning = self.planning.lock();
        let mut plan = self.draft();
        let done = wish(&mut plan)?;
        let Plan { entries, mut blocks, contents, .. } = plan;
        if entries.is_empty() {
            return Ok(done);
        }
        self.engine.retain_new(&mut blocks).map_err(failed)?;
        let ticket = self.engine.author(entries, blocks, &contents).map_err(failed)?;
        drop(planning);
        self.settle(ticket).map_err(failed)?;
        Ok(done)
    }
}
