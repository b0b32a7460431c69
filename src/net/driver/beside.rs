//! What travels beside the stream of a link: datagrams, pushes, and what the transport has learnt.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Host;
use super::core::{Core, drain};
use super::registry::Signals;
use crate::gossip::{Path, PushId};
use crate::net::{Connection, LinkError, MAX_PUSH, Transport};
use crate::node::{Input, LinkId};

/// Bytes of pushes to one peer that are under way. A node pushes less at a time; of a peer that
/// takes nothing, the pushes beyond this are given up at once.
const MAX_PUSHING: u32 = 4 << 20;
/// What a push is counted for beside its bytes: its task and its stream.
const PUSH_COST: u32 = 2_048;
const _: () = assert!(PUSH_COST as usize + MAX_PUSH <= MAX_PUSHING as usize);

/// How often it is looked whether a path has changed.
const LOOK: Duration = Duration::from_secs(1);
/// The node is told of a round trip that has changed by more than one part in so many.
const RTT_PART: u32 = 8;

/// A connection in use.
pub(super) struct Live<C> {
    connection: C,
    /// Room for pushes.
    pushing: Arc<Semaphore>,
    /// What the node was told of the path.
    told: Option<Path>,
}

impl<C> Live<C> {
    pub(super) fn new(connection: C) -> Self {
        let pushing = Arc::new(Semaphore::new(MAX_PUSHING as usize));
        Self { connection, pushing, told: None }
    }
}

/// What comes in.
impl<T: Transport, H: Host> Core<T, H> {
    /// Takes in all that comes beside the stream, until the link ends.
    pub(super) async fn stay_beside(
        self: &Arc<Self>,
        link: LinkId,
        signals: &Signals,
        connection: &T::Connection,
    ) -> LinkError {
        tokio::select! {
            error = self.receive_datagrams(link, connection) => error,
            error = self.receive_pushes(link, signals, connection) => error,
        }
    }

    /// Datagrams are read also while the node has no room for entries: they say who is alive.
    async fn receive_datagrams(
        self: &Arc<Self>,
        link: LinkId,
        connection: &T::Connection,
    ) -> LinkError {
        loop {
            match connection.receive_datagram().await {
                Ok(bytes) => self.input(Input::Datagram { link, bytes }),
                Err(error) => return error,
            }
            tokio::task::consume_budget().await;
        }
    }

    async fn receive_pushes(
        self: &Arc<Self>,
        link: LinkId,
        signals: &Signals,
        connection: &T::Connection,
    ) -> LinkError {
        let mut has_room = true;
        loop {
            while !has_room {
                signals.receive_push.notified().await;
                has_room = self.host.with_node(|node| node.wants_input(link));
            }
            let bytes = match connection.receive_push().await {
                Ok(bytes) => bytes,
                Err(error) => return error,
            };
            let now = self.now();
            let drained = self.host.with_node(|node| {
                node.handle(now, Input::Pushed { link, bytes });
                has_room = node.wants_input(link);
                drain(node)
            });
            self.dispatch(drained);
            tokio::task::consume_budget().await;
        }
    }
}

/// What goes out.
impl<T: Transport, H: Host> Core<T, H> {
    pub(super) fn send_datagram(&self, link: LinkId, bytes: Bytes) {
        if let Some(live) = self.live.lock().get(&link) {
            live.connection.send_datagram(bytes);
        }
    }

    pub(super) fn push(self: &Arc<Self>, link: LinkId, push: PushId, bytes: Bytes) {
        // Without a connection, the node is about to hear that the link is gone.
        let Some(way) = self.way_of(link, bytes.len()) else { return };
        let mut pushing = Box::pin(way.push(bytes));
        // A first step here: the bytes are on their way before the task runs, which looks again.
        let first = pushing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let core = self.clone();
        tokio::spawn(async move {
            let delivered = match first {
                Poll::Ready(delivered) => delivered,
                Poll::Pending => pushing.await,
            };
            core.input(Input::PushEnded { link, push, delivered });
        });
    }

    fn way_of(&self, link: LinkId, bytes: usize) -> Option<Way<T::Connection>> {
        let live = self.live.lock();
        let Live { connection, pushing, .. } = live.get(&link)?;
        let cost = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(PUSH_COST);
        let room = pushing.clone().try_acquire_many_owned(cost).ok();
        Some(Way { connection: connection.clone(), room })
    }
}

/// What a push needs.
struct Way<C> {
    connection: C,
    /// Nothing if too much is under way.
    room: Option<OwnedSemaphorePermit>,
}

impl<C: Connection> Way<C> {
    /// Gives whether the peer has it.
    async fn push(self, frame: Bytes) -> bool {
        let Some(_room) = &self.room else { return false };
        self.connection.push(frame).await.is_ok()
    }
}

/// What the transport learns.
impl<T: Transport, H: Host> Core<T, H> {
    /// Tells the node of paths that have changed, for as long as the driver runs.
    pub(super) async fn watch_paths(self: Arc<Self>) {
        loop {
            self.registry.until_linked().await;
            tokio::time::sleep(LOOK).await;
            self.tell_paths();
        }
    }

    /// Tells the node of paths that have changed, and of those it knows nothing of.
    pub(super) fn tell_paths(self: &Arc<Self>) {
        let news: Vec<(LinkId, Path)> = {
            let mut live = self.live.lock();
            let news = live.iter_mut().filter_map(|(link, live)| {
                let path = live.connection.path();
                is_news(live.told, path).then(|| (*link, *live.told.insert(path)))
            });
            news.collect()
        };
        for (link, path) in news {
            self.input(Input::Path { link, path });
        }
    }
}

/// Whether a node that was told one thing of a path wants to know another.
fn is_news(told: Option<Path>, path: Path) -> bool {
    told.is_none_or(|told| {
        told.rtt.abs_diff(path.rtt) > told.rtt / RTT_PART
            || (told.packets, told.lost) != (path.packets, path.lost)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told() {
        let path = |millis, lost| Path { rtt: Duration::from_millis(millis), packets: 100, lost };
        assert!(is_news(None, path(0, 0)));
        let told = Some(path(80, 10));
        assert!(!is_news(told, path(80, 10)) && is_news(told, path(80, 11)));
        assert!(!is_news(told, path(90, 10)) && is_news(told, path(91, 10)));
        assert!(!is_news(told, path(70, 10)) && is_news(told, path(69, 10)));
        // On one machine round trips are of microseconds, in memory of none.
        assert!(!is_news(Some(path(0, 0)), path(0, 0)));
    }
}
