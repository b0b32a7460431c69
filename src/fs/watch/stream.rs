//! The consumer's end of a watch.

use alloc::sync::Arc;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::Instant;

use futures_core::Stream;

use super::cursor::{Cursor, Position};
use super::event::{ResyncReason, WatchEvent, WatchFrom};
use super::queue::{Queue, State};
use super::registry::{Names, names};
use super::resume::{Since, snapshot};
use crate::fs::engine::Engine;
use crate::fs::error::ReadError;
use crate::fs::path::parse;
use crate::store::{StoreError, layout};

/// A stream of the changes in a subtree.
///
/// Use it as a [`Stream`] with any executor, or without one as an [iterator](Self::iter) or with
/// [`next_blocking`](Self::next_blocking). It never ends by itself; dropping it ends the watch. It
/// keeps the replica open, like a handle.
///
/// An event is taken from the watch in the moment in which it is given out: a future that waits
/// for the next one can be dropped at any time, and none is lost.
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
    subtree: Names,
    id: u64,
    queue: Arc<Queue>,
}

impl Watch {
    pub(in crate::fs) fn new(
        engine: &Arc<Engine>,
        subtree: &str,
        from: WatchFrom,
    ) -> Result<Self, ReadError> {
        let subtree = names(&parse(subtree)?);
        let (id, queue) = engine.read_at(|node, given| {
            let queue = Arc::new(Queue::new(given));
            let id = engine.watchers().add(subtree.clone(), Arc::clone(&queue), node.replica());
            (id, queue)
        });
        let watch = Self { engine: Arc::clone(engine), subtree, id, queue };
        match from {
            WatchFrom::Now => {}
            WatchFrom::Snapshot => watch.resync(ResyncReason::Initial)?,
            WatchFrom::After(cursor) => match cursor.at(engine.replica_id()) {
                None => watch.resync(ResyncReason::ForeignCursor)?,
                Some(position) => watch.catch_up(position)?,
            },
        }
        Ok(watch)
    }

    /// Tells what is there. It is durable when this returns.
    fn resync(&self, reason: ResyncReason) -> Result<(), StoreError> {
        let given = self.engine.read_at(|node, given| {
            let cursor = Cursor::UNSET;
            let present = snapshot(node.replica(), &self.subtree);
            let mut state = self.queue.state.lock();
            state.restart(given);
            state.first.push_back(WatchEvent::Resync { reason, cursor });
            state.first.extend(present);
            state.first.push_back(WatchEvent::SnapshotEnd { cursor });
            given
        });
        self.engine.commit(given)
    }

    /// Tells what may have changed since a position. What changes while that is found out may be
    /// told twice.
    fn catch_up(&self, position: Position) -> Result<(), StoreError> {
        if position == Position::START {
            return self.resync(ResyncReason::Initial);
        }
        // Which contents became complete is asked of the store: it must know all.
        self.engine.commit_all()?;
        let contents = layout::completed_since(&**self.engine.store(), position.contents)?;
        let published = self.engine.watchers().published();
        let (outcome, given) = self.engine.read_at(|node, given| {
            let replica = node.replica();
            if !position.is_before(replica.log(), &published) {
                return (Err(ResyncReason::ForeignCursor), given);
            }
            let news = Since::new(replica, &self.subtree, position, &contents).news();
            (news.ok_or(ResyncReason::Compacted), given)
        });
        match outcome {
            Err(reason) => self.resync(reason),
            Ok(news) => {
                let mut state = self.queue.state.lock();
                state.resume = position;
                state.first.extend(news);
                drop(state);
                self.engine.commit(given)
            }
        }
    }

    /// The next event, or nothing if none comes in time. Blocks the thread.
    ///
    /// ```
    /// use std::time::Duration;
    /// use basefs::{Fs, WatchFrom};
    ///
    /// let fs = Fs::in_memory()?;
    /// let watch = fs.watch("/", WatchFrom::Now)?;
    /// assert_eq!(watch.next_blocking(Duration::from_millis(1)), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_blocking(&self, timeout: Duration) -> Option<WatchEvent> {
        // A time that no clock reaches is no limit.
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// The events as they come. Blocks the thread until there is one, and never ends.
    ///
    /// ```
    /// use basefs::{Fs, WatchEvent, WatchFrom};
    ///
    /// let fs = Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// let watch = fs.watch("/", WatchFrom::Snapshot)?;
    /// for event in watch.iter() {
    ///     match event {
    ///         WatchEvent::Change(change) => println!("{:?} {}", change.kind, change.path),
    ///         WatchEvent::SnapshotEnd { .. } => break,
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> WatchIter<'_> {
        WatchIter { watch: self }
    }

    /// Where to resume: everything up to here was given out, or does not concern the subtree. It
    /// moves on while nothing happens in the subtree, which the cursors of events cannot.
    ///
    /// ```
    /// use basefs::{Fs, WatchFrom};
    ///
    /// let fs = Fs::in_memory()?;
    /// let watch = fs.watch("/quiet", WatchFrom::Now)?;
    /// let before = watch.cursor();
    /// fs.write("/busy", "1")?;
    /// assert!(watch.cursor() != before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cursor(&self) -> Cursor {
        let state = self.queue.state.lock();
        self.cursor_at(&state.position(|| self.engine.watchers().published()))
    }

    fn cursor_at(&self, position: &Position) -> Cursor {
        Cursor::new(self.engine.replica_id(), position)
    }

    fn next_until(&self, deadline: Option<Instant>) -> Option<WatchEvent> {
        let mut is_late = false;
        loop {
            self.resync_if_lagging();
            let mut state = self.queue.state.lock();
            if let Some(event) = self.take(&mut state) {
                return Some(event);
            }
            match deadline {
                _ if state.is_lagging => {}
                _ if is_late => return None,
                Some(deadline) => {
                    is_late = self.queue.arrived.wait_until(&mut state, deadline).timed_out();
                }
                None => self.queue.arrived.wait(&mut state),
            }
        }
    }

    fn take(&self, state: &mut State) -> Option<WatchEvent> {
        let (mut event, position) = state.pop(|| self.engine.watchers().published())?;
        event.set_cursor(self.cursor_at(&position));
        Some(event)
    }

    /// Makes the snapshot that a consumer who was too slow needs.
    fn resync_if_lagging(&self) {
        let is_lagging = self.queue.state.lock().is_lagging;
        if is_lagging && let Err(error) = self.resync(ResyncReason::Lagged) {
            // Nothing becomes durable any more, and whoever writes is told.
            tracing::error!(%error, "what a watch shows anew could not be made durable");
        }
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.resync_if_lagging();
        let mut state = self.queue.state.lock();
        if let Some(event) = self.take(&mut state) {
            return Poll::Ready(Some(event));
        }
        if state.is_lagging {
            // That it does has been told before there was a waker.
            context.waker().wake_by_ref();
        } else {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.engine.watchers().remove(&self.subtree, self.id);
    }
}

/// The events of a watch as they come; see [`Watch::iter`].
///
/// ```
/// use basefs::{Fs, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// let watch = fs.watch("/", WatchFrom::Snapshot)?;
/// assert_eq!(watch.iter().take(2).count(), 2, "where the snapshot begins, and where it ends");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct WatchIter<'a> {
    watch: &'a Watch,
}

impl Iterator for WatchIter<'_> {
    type Item = WatchEvent;

    fn next(&mut self) -> Option<WatchEvent> {
        self.watch.next_until(None)
    }
}

impl<'a> IntoIterator for &'a Watch {
    type Item = WatchEvent;
    type IntoIter = WatchIter<'a>;

    fn into_iter(self) -> WatchIter<'a> {
        self.iter()
    }
}
