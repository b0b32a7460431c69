//! What a watch tells.

use alloc::string::String;

use super::cursor::Cursor;
use crate::fs::overruled::Overruled;
use crate::id::{EntryId, PublicKey};
use crate::node::Origin;

/// Where a watch starts.
///
/// ```
/// use std::time::Duration;
/// use basefs::fs::ResyncReason;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// let watch = fs.watch("/", WatchFrom::Snapshot)?;
/// let next = || watch.next_blocking(Duration::ZERO);
/// assert!(matches!(next(), Some(WatchEvent::Resync { reason: ResyncReason::Initial, .. })));
/// assert!(matches!(next(), Some(WatchEvent::SnapshotEnd { .. })), "it is empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchFrom {
    /// What changes from now on.
    #[default]
    Now,
    /// What is there, then what changes, with no gap between.
    Snapshot,
    /// What may have changed since a cursor, then what changes, with no gap between. What happened
    /// to a path in the meantime is one event, whose [kind](PathChange::kind) is
    /// [`Present`](ChangeKind::Present) or [`Removed`](ChangeKind::Removed): what was before is
    /// not known any more. An event may repeat what was told before; none is lost. If that cannot
    /// be, a [`Resync`](WatchEvent::Resync) says why and a snapshot follows.
    After(Cursor),
}

/// What happened to a path.
///
/// ```
/// use std::time::Duration;
/// use basefs::fs::ChangeKind;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// let watch = fs.watch("/", WatchFrom::Now)?;
/// fs.remove("/motd")?;
/// let Some(WatchEvent::Change(change)) = watch.next_blocking(Duration::from_secs(1)) else {
///     panic!("a change was expected");
/// };
/// assert_eq!((change.kind, change.after), (ChangeKind::Removed, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It is there: part of a snapshot, or of what may have changed since a cursor.
    Present,
    /// It was not there before. If it is a directory, what is below may have come with it, and is
    /// not told of path by path: list it.
    Created,
    /// It shows another version than before, whose content may be the same. If it is or was a
    /// directory, what is below may be other than before. The versions before and after are the
    /// same where a directory came or went: who had moved it was revoked, for example, and what
    /// had become a second name is the directory again.
    Modified,
    /// It is not there any more, nor is anything below it.
    Removed,
}

/// A change of one path.
///
/// ```
/// use std::time::Duration;
/// use basefs::fs::{ChangeKind, Origin};
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// let old = fs.write("/motd", "hello")?;
/// let watch = fs.watch("/motd", WatchFrom::Now)?;
/// let new = fs.write("/motd", "good morning")?;
/// let Some(WatchEvent::Change(change)) = watch.next_blocking(Duration::from_secs(1)) else {
///     panic!("a change was expected");
/// };
/// assert_eq!(change.kind, ChangeKind::Modified);
/// assert_eq!((change.before, change.after), (Some(old), Some(new)));
/// assert_eq!((change.author, change.origin), (Some(fs.author()), Origin::Local));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathChange {
    /// The path.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The version before, if there was one and it is known.
    pub before: Option<EntryId>,
    /// The version now, if there is one. All of its content is here.
    pub after: Option<EntryId>,
    /// Who wrote the version now, or removed what was there.
    pub author: Option<PublicKey>,
    /// Where the entry that caused it came from.
    pub origin: Origin,
    /// A warning: this hides what the replica's own author wrote.
    pub overruled: Option<Overruled>,
    /// Where to resume once this has been dealt with.
    pub cursor: Cursor,
}

/// Authors began or ceased to disagree about a path.
///
/// ```
/// use std::time::Duration;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// # let fs = Fs::in_memory()?;
/// # let watch = fs.watch("/", WatchFrom::Now)?;
/// while let Some(event) = watch.next_blocking(Duration::ZERO) {
///     if let WatchEvent::Conflict(conflict) = event
///         && conflict.is_open
///     {
///         println!("{}", fs.explain(&conflict.path)?);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConflictChange {
    /// The path.
    pub path: String,
    /// Whether there is a conflict now: some latest version lost and says something else than the
    /// one that shows. [`Fs::conflicts`](crate::Fs::conflicts) has the details.
    pub is_open: bool,
    /// Where the entry that caused it came from.
    pub origin: Origin,
    /// Where to resume once this has been dealt with.
    pub cursor: Cursor,
}

/// Somebody may do more or less than before, in a directory that is the watched one, above it or
/// below it.
///
/// ```
/// use std::time::Duration;
/// use basefs::wire::SecretKey;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// fs.write("/users/ana/info", "Ana")?;
/// let ana = SecretKey::from_seed([1; 32]).public();
/// let watch = fs.watch("/users/ana/info", WatchFrom::Now)?;
/// fs.grant("/users/ana", ana)?;
/// let Some(WatchEvent::Permission(change)) = watch.next_blocking(Duration::from_secs(1)) else {
///     panic!("a grant was expected");
/// };
/// assert_eq!((change.path.as_str(), change.key), ("/users/ana", ana));
/// assert!(!change.is_revoke);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermissionChange {
    /// The directory that the grant or the revoke is about.
    pub path: String,
    /// Who is granted or revoked something.
    pub key: PublicKey,
    /// Whether it is a revoke; else it is a grant.
    pub is_revoke: bool,
    /// Who did that.
    pub author: PublicKey,
    /// The grant or the revoke.
    pub entry: EntryId,
    /// Where it came from.
    pub origin: Origin,
    /// Where to resume once this has been dealt with.
    pub cursor: Cursor,
}

/// The content of a version has arrived, and the version does not show: others go before it. Of
/// one that shows from then on a [`Change`](WatchEvent::Change) tells.
///
/// ```
/// use basefs::{Fs, WatchEvent};
///
/// fn tell(fs: &Fs, event: &WatchEvent) -> Result<(), basefs::ReadError> {
///     if let WatchEvent::Content(arrived) = event {
///         let bytes = fs.read_version(&arrived.version)?;
///         println!("{}: {} bytes of another version are here", arrived.path, bytes.len());
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentArrived {
    /// The path.
    pub path: String,
    /// The version that is complete now.
    pub version: EntryId,
    /// Where to resume once this has been dealt with.
    pub cursor: Cursor,
}

/// Why a consumer has to begin anew.
///
/// ```
/// use std::time::Duration;
/// use basefs::fs::ResyncReason;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let (fs, other) = (Fs::in_memory()?, Fs::in_memory()?);
/// let cursor = other.watch("/", WatchFrom::Now)?.cursor();
/// let watch = fs.watch("/", WatchFrom::After(cursor))?;
/// let Some(WatchEvent::Resync { reason, .. }) = watch.next_blocking(Duration::ZERO) else {
///     panic!("a resync was expected");
/// };
/// assert_eq!(reason, ResyncReason::ForeignCursor);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResyncReason {
    /// A snapshot was asked for, or the cursor is of before one had been told in whole.
    Initial,
    /// The consumer was too slow: more than
    /// [`MAX_WAITING_EVENTS`](super::MAX_WAITING_EVENTS) events waited, and were dropped.
    Lagged,
    /// What happened since the cursor cannot be told path by path: too much of it, or a revoke was
    /// among it.
    Compacted,
    /// The cursor is of another replica, or of this one before a backup was restored.
    ForeignCursor,
}

/// What a watch tells.
///
/// ```
/// use std::time::Duration;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// let watch = fs.watch("/", WatchFrom::Snapshot)?;
/// let mut kinds = Vec::new();
/// while let Some(event) = watch.next_blocking(Duration::from_millis(100)) {
///     kinds.push(match event {
///         WatchEvent::Resync { .. } => "forget everything",
///         WatchEvent::Change(_) => "a change",
///         WatchEvent::SnapshotEnd { .. } => "that is all",
///         _ => "something else",
///     });
/// }
/// assert_eq!(kinds, ["forget everything", "a change", "that is all"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A path changed. The change is durable on this replica.
    Change(PathChange),
    /// A conflict at a path began or ended.
    Conflict(ConflictChange),
    /// Somebody was granted or revoked something that concerns the subtree.
    Permission(PermissionChange),
    /// The content of a version that does not show has arrived.
    Content(ContentArrived),
    /// Begin anew: what was told before need not be so any more. What is there follows, as
    /// [`Present`](ChangeKind::Present) changes, and then [`SnapshotEnd`](Self::SnapshotEnd); of
    /// paths that are not among it nothing is there.
    Resync {
        /// Why.
        reason: ResyncReason,
        /// Where to resume: the snapshot will be told anew.
        cursor: Cursor,
    },
    /// All that was there has been told; what follows are changes.
    SnapshotEnd {
        /// Where to resume once the snapshot has been dealt with.
        cursor: Cursor,
    },
}

impl WatchEvent {
    /// Where to resume once this event and all before it have been dealt with:
    /// [`WatchFrom::After`]. Resuming may repeat events, and loses none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use basefs::{Fs, WatchFrom};
    ///
    /// let fs = Fs::in_memory()?;
    /// let watch = fs.watch("/", WatchFrom::Now)?;
    /// fs.write("/motd", "hello")?;
    /// let event = watch.next_blocking(Duration::from_secs(1)).ok_or("nothing came")?;
    /// let resumed = fs.watch("/", WatchFrom::After(event.cursor()))?;
    /// assert_eq!(resumed.next_blocking(Duration::ZERO), None, "it has been dealt with");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cursor(&self) -> Cursor {
        match self {
            WatchEvent::Change(change) => change.cursor,
            WatchEvent::Conflict(change) => change.cursor,
            WatchEvent::Permission(change) => change.cursor,
            WatchEvent::Content(arrived) => arrived.cursor,
            WatchEvent::Resync { cursor, .. } | WatchEvent::SnapshotEnd { cursor } => *cursor,
        }
    }

    pub(super) fn set_cursor(&mut self, at: Cursor) {
        match self {
            WatchEvent::Change(change) => change.cursor = at,
            WatchEvent::Conflict(change) => change.cursor = at,
            WatchEvent::Permission(change) => change.cursor = at,
            WatchEvent::Content(arrived) => arrived.cursor = at,
            WatchEvent::Resync { cursor, .. } | WatchEvent::SnapshotEnd { cursor } => *cursor = at,
        }
    }

    /// The path that it is about; none for [`Resync`](Self::Resync) and
    /// [`SnapshotEnd`](Self::SnapshotEnd).
    ///
    /// ```
    /// use std::time::Duration;
    /// use basefs::{Fs, WatchFrom};
    ///
    /// let fs = Fs::in_memory()?;
    /// let watch = fs.watch("/", WatchFrom::Now)?;
    /// fs.write("/motd", "hello")?;
    /// let event = watch.next_blocking(Duration::from_secs(1)).ok_or("nothing came")?;
    /// assert_eq!(event.path(), Some("/motd"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> Option<&str> {
        match self {
            WatchEvent::Change(change) => Some(&change.path),
            WatchEvent::Conflict(change) => Some(&change.path),
            WatchEvent::Permission(change) => Some(&change.path),
            WatchEvent::Content(arrived) => Some(&arrived.path),
            WatchEvent::Resync { .. } | WatchEvent::SnapshotEnd { .. } => None,
        }
    }
}
