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
mod open;
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
mod write;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::entry::SignedEntry;
use crate::log::{EntryNo, Offered};
use crate::store::{Durability, StoreError};
use crate::wire::SecretKey;

use engine::{Engine, Ticket};
use flusher::Flusher;
use plan::Plan;

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
