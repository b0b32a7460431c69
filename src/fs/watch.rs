//! Watching a subtree: a stream of what changes in it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::time::Instant;

use futures_core::Stream;
use parking_lot::{Condvar, Mutex};

use crate::fs::engine::{Engine, Ticket};
use crate::fs::error::ReadError;
use crate::fs::overruled::{Overruled, overruled};
use crate::fs::path::{join, parse};
use crate::fs::read::{DirEntry, list_subtree};
use crate::fs::shown::Shown;
use crate::id::{EntryId, PublicKey};
use crate::log::{EntryNo, Log, Value};
use crate::node::{Effects, Replica};
use crate::view::SlotChange;

/// Events that wait for a slow consumer; beyond that they become one
/// [`Resync`](WatchEvent::Resync). About 10 MiB a watch.
pub const MAX_WAITING_EVENTS: usize = 65_536;

/// Where a watch starts.
///
/// ```
/// use std::time::Duration;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// let watch = fs.watch("/", WatchFrom::Snapshot)?;
/// assert_eq!(watch.next_blocking(Duration::ZERO), Some(WatchEvent::SnapshotEnd), "it is empty");
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
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It is there: part of a snapshot.
    Present,
    /// It was not there before. If it is a directory, what is below may have come with it, and is
    /// not told of path by path: list it.
    Created,
    /// It shows another version than before, whose content may be the same.
    Modified,
    /// It is not there any more, nor is anything below it.
    Removed,
}

/// A change of one path.
///
/// ```
/// use std::time::Duration;
/// use basefs::fs::ChangeKind;
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
/// assert_eq!(change.author, Some(fs.author()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathChange {
    /// The path.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The version before, if there was one.
    pub before: Option<EntryId>,
    /// The version now, if there is one.
    pub after: Option<EntryId>,
    /// Who wrote the version now, or removed what was there.
    pub author: Option<PublicKey>,
    /// A warning: this hides what the replica's own author wrote.
    pub overruled: Option<Overruled>,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A path changed. The change is durable on this replica.
    Change(PathChange),
    /// All that was there has been told; what follows are changes.
    SnapshotEnd,
    /// The consumer was too slow and events were dropped: look at the whole subtree again.
    Resync,
}

/// What a watch and the engine share.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<WatchEvent>,
    waker: Option<Waker>,
    /// Changes that came since the queue was last empty; what a snapshot put there has no limit
    /// but the subtree itself.
    waiting_changes: usize,
}

#[derive(Debug)]
struct Watcher {
    subtree: Vec<Arc<str>>,
    /// Changes up to this ticket are not news.
    after: Ticket,
    queue: Arc<Queue>,
}

/// The watches of an engine.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    list: Mutex<(u64, BTreeMap<u64, Watcher>)>,
}

impl Watchers {
    fn add(&self, watcher: Watcher) -> u64 {
        let mut list = self.list.lock();
        list.0 += 1;
        let id = list.0;
        list.1.insert(id, watcher);
        id
    }

    fn remove(&self, id: u64) {
        self.list.lock().1.remove(&id);
    }

    /// Tells every watch what concerns it. Costs nothing while nobody watches.
    pub(super) fn publish(&self, queue: &[(Ticket, Effects)], engine: &Engine) {
        if self.list.lock().1.is_empty() {
            return;
        }
        // Described before the list is locked: whoever registers holds the state and then the list.
        let changes: Vec<(Ticket, Vec<Arc<str>>, PathChange)> = engine.read(|node| {
            let slots = queue.iter().flat_map(|(ticket, effects)| {
                effects.slots.iter().map(move |change| (*ticket, change))
            });
            let describe = |(ticket, change)| {
                let (names, change) = describe(node.replica(), change, engine.author_key())?;
                Some((ticket, names, change))
            };
            slots.filter_map(describe).collect()
        });
        let list = self.list.lock();
        for watcher in list.1.values() {
            let concerns = |(ticket, names, _): &&(Ticket, Vec<Arc<str>>, PathChange)| {
                // What hides or shows a directory above the subtree changes all of it.
                let common = names.len().min(watcher.subtree.len());
                *ticket > watcher.after && names[..common] == watcher.subtree[..common]
            };
            let events = changes.iter().filter(concerns);
            watcher.queue.push(events.map(|(_, _, change)| WatchEvent::Change(change.clone())));
        }
    }
}

/// The path and kind of a change; nothing if it is not visible anywhere.
fn describe(
    replica: &Replica,
    change: &SlotChange,
    own: &PublicKey,
) -> Option<(Vec<Arc<str>>, PathChange)> {
    let log = replica.log();
    let shows = |no: Option<EntryNo>| no.filter(|no| log.value(*no) != Some(&Value::Tomb));
    let (before, after) = (shows(change.before), shows(change.after));
    let kind = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => ChangeKind::Created,
        (Some(_), None) => ChangeKind::Removed,
        (Some(before), Some(after)) if before == after => return None,
        _ => ChangeKind::Modified,
    };
    let dir = log.slot_dir(change.slot);
    let mut names = replica.view().path_of_dir(log, replica.authority(), dir)?;
    names.push(log.slot_name(change.slot).clone());
    let id = |no: Option<EntryNo>| no.map(|no| log.id(no));
    let author = change.after.map(|no| Log::author(log, no));
    let path = join(&names);
    let overruled = overruled(Shown::now(replica), change, own);
    let (before, after) = (id(before), id(after));
    Some((names, PathChange { path, kind, before, after, author, overruled }))
}

impl QueueState {
    fn pop(&mut self) -> Option<WatchEvent> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.waiting_changes = 0;
        }
        event
    }
}

impl Queue {
    fn push(&self, events: impl Iterator<Item = WatchEvent>) {
        let mut state = self.state.lock();
        let mut any = false;
        for event in events {
            any = true;
            state.waiting_changes += 1;
            if state.waiting_changes > MAX_WAITING_EVENTS {
                state.events.clear();
                state.events.push_back(WatchEvent::Resync);
                state.waiting_changes = 0;
            }
            state.events.push_back(event);
        }
        if any {
            self.arrived.notify_all();
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }
}

/// A stream of the changes in a subtree.
///
/// Use it as a [`Stream`] with any executor, or with [`next_blocking`](Self::next_blocking)
/// without one. It never ends by itself; dropping it ends the watch. It keeps the replica open,
/// like a handle.
///
/// ```
/// use std::future::poll_fn;
/// use std::pin::Pin;
/// use basefs::{Fs, WatchFrom};
/// use futures_core::Stream;
///
/// let fs = Fs::in_memory()?;
/// let mut watch = fs.watch("/", WatchFrom::Snapshot)?;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let event = poll_fn(|context| Pin::new(&mut watch).poll_next(context)).await;
/// assert!(event.is_some());
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    engine: Arc<Engine>,
    id: u64,
    queue: Arc<Queue>,
}

impl Watch {
    pub(super) fn new(
        engine: &Arc<Engine>,
        subtree: &str,
        from: WatchFrom,
    ) -> Result<Self, ReadError> {
        let names = parse(subtree)?;
        let queue = Arc::new(Queue::default());
        // Registered and listed under one look at the state: a change is in the snapshot or comes
        // after it, and not both.
        let id = engine.read_at(|node, given| {
            let subtree = names.iter().map(|name| Arc::from(*name)).collect();
            let watcher = Watcher { subtree, after: given, queue: Arc::clone(&queue) };
            let id = engine.watchers().add(watcher);
            if from == WatchFrom::Snapshot {
                let present = snapshot(node.replica(), &names);
                queue.state.lock().events = present
                    .into_iter()
                    .map(WatchEvent::Change)
                    .chain([WatchEvent::SnapshotEnd])
                    .collect();
            }
            id
        });
        Ok(Self { engine: Arc::clone(engine), id, queue })
    }

    /// The next event, or nothing if none comes in time. Blocks the thread.
    pub fn next_blocking(&self, timeout: Duration) -> Option<WatchEvent> {
        let deadline = Instant::now() + timeout;
        let mut state = self.queue.state.lock();
        loop {
            if let Some(event) = state.pop() {
                return Some(event);
            }
            if self.queue.arrived.wait_until(&mut state, deadline).timed_out() {
                return state.pop();
            }
        }
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        let mut state = self.queue.state.lock();
        match state.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.engine.watchers().remove(self.id);
    }
}

/// Everything that a subtree shows, as it is now.
fn snapshot(replica: &Replica, names: &[&str]) -> Vec<PathChange> {
    let number = |id: Option<EntryId>| replica.log().number(&id?);
    let present = |entry: DirEntry| PathChange {
        kind: ChangeKind::Present,
        before: None,
        after: entry.metadata().version(),
        author: number(entry.metadata().version()).map(|no| replica.log().author(no)),
        path: entry.into_path(),
        overruled: None,
    };
    list_subtree(Shown::now(replica), names).into_iter().map(present).collect()
}
