//! Watching a subtree: a stream of what changes in it.
//!
//! What a change is to those who watch is put into words right after it (`news`), while paths and
//! conflicts are those of that moment; it is told once it is durable (`registry`), to the watches
//! that it concerns, each of which keeps what waits for its consumer (`queue`).

mod cursor;
mod event;
mod news;
mod queue;
mod registry;
mod resume;
mod stream;
mod tracking;

/// Events that wait for a slow consumer; beyond that they become one
/// [`Resync`](WatchEvent::Resync). Of each path one waits, in which all that happened to it is
/// merged. About 15 MiB a watch.
pub const MAX_WAITING_EVENTS: usize = 65_536;

pub use cursor::{Cursor, ParseCursorError};
pub(super) use cursor::{Position, ReplicaId};
pub use event::{
    ChangeKind, ConflictChange, ContentArrived, PathChange, PermissionChange, ResyncReason,
    WatchEvent, WatchFrom,
};
pub(super) use news::News;
pub(super) use registry::Watchers;
pub use stream::{Watch, WatchIter};
