//! What travels beside the stream of a link: datagrams, pushes, and what the transport has learnt.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::Host;
use super::core::Core;
use crate::gossip::{Path, PushId};
use crate::id::NodeId;
use crate::net::{Connection, LinkError, LinkStats, PushReceiver, Transport};
use crate::node::{Input, LinkId};

/// Pushes of one peer that are read at a time.
const MAX_READS: usize = 32;
/// How often it is looked whether the node takes pushes again, after it had enough.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How often the node is told of a path that has changed.
const LOOK_AT_PATHS: Duration = Duration::from_secs(1);
/// Looks that the loss of a path is computed over.
const LOOKS: usize = 10;
/// Packets that say something about loss.
const MIN_PACKETS: u64 = 20;
/// A change of loss, in permille, that is worth telling.
const LOSS_STEP: u16 = 20;

impl<T: Transport, H: Host> Core<T, H> {
    /// Takes in all that comes beside the stream, and watches the path, until the link ends.
    pub(super) async fn stay_beside(
        self: &Arc<Self>,
        link: LinkId,
        connection: &T::Connection,
    ) -> LinkError {
        let datagrams = async {
            loop {
                match connection.receive_datagram().await {
                    Ok(bytes) => self.input(Input::Datagram { link, bytes }),
                    Err(error) => return error,
                }
            }
        };
        let watching = async {
            let mut watch = PathWatch::default();
            loop {
                if let Some(path) = watch.look(&connection.stats()) {
                    self.input(Input::Path { link, path });
                }
                tokio::time::sleep(LOOK_AT_PATHS).await;
            }
        };
        tokio::select! {
            error = datagrams => error,
            error = self.receive_pushes(link, connection) => error,
            never = watching => never,
        }
    }

    async fn receive_pushes(
        self: &Arc<Self>,
        link: LinkId,
        connection: &T::Connection,
    ) -> LinkError {
        let mut reads = JoinSet::new();
        loop {
            let frame = tokio::select! {
                push = connection.accept_push(), if reads.len() < MAX_READS => {
                    let push = match push {
                        Ok(push) => push,
                        Err(error) => return error,
                    };
                    let mut reading = Box::pin(push.receive());
                    // Most are here in whole: then no task is needed.
                    match look(reading.as_mut()).await {
                        Some(frame) => frame,
                        None => {
                            reads.spawn(reading);
                            continue;
                        }
                    }
                }
                Some(read) = reads.join_next() => match read {
                    Ok(frame) => frame,
                    Err(_panicked) => continue,
                }
            };
            match frame {
                Ok(bytes) => self.take_push(link, bytes).await,
                Err(error @ LinkError::FrameTooLong { .. }) => return error,
                // A push that was broken off; the peer may have had a reason.
                Err(_) => {}
            }
        }
    }

    async fn take_push(self: &Arc<Self>, link: LinkId, bytes: Bytes) {
        while !self.host.with_node(|node| node.wants_input(link)) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.input(Input::Pushed { link, bytes });
    }

    pub(super) fn send_datagram(&self, link: LinkId, bytes: Bytes) {
        let connection = self.connections.lock().get(&link).cloned();
        if let Some(connection) = connection {
            connection.send_datagram(bytes);
        }
    }

    pub(super) fn push(self: &Arc<Self>, link: LinkId, push: PushId, bytes: Bytes) {
        // Without a connection, the node is about to hear that the link is gone.
        let Some(connection) = self.connections.lock().get(&link).cloned() else { return };
        let core = self.clone();
        tokio::spawn(async move {
            let delivered = connection.push(bytes).await.is_ok();
            core.input(Input::PushEnded { link, push, delivered });
        });
    }

    /// Dials once because the node wants it.
    pub(super) fn dial_for_node(self: &Arc<Self>, peer: NodeId, addresses: Vec<SocketAddr>) {
        if self.registry.is_connected(peer) || !self.dialing.lock().insert(peer) {
            return;
        }
        let core = self.clone();
        tokio::spawn(async move {
            let is_expelled = core.gate.admission().expelled.contains(&peer);
            let attempt = async {
                if is_expelled {
                    return false;
                }
                let dialed = core.dial_once(peer, &addresses).await;
                if let Err(error) = &dialed {
                    tracing::debug!(peer = %format_args!("{peer:.16}"), %error, "dialling failed");
                }
                dialed.is_ok()
            };
            let connected = tokio::select! {
                connected = attempt => connected,
                () = core.registry.until_connected(peer) => true,
                () = core.registry.stopped() => return,
            };
            core.dialing.lock().remove(&peer);
            if !connected {
                core.input(Input::DialFailed { peer });
            }
        });
    }
}

/// What a future has to say already.
async fn look<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Tells what is worth telling of the counters of a connection.
#[derive(Debug, Default)]
struct PathWatch {
    /// Packets sent and lost, at each look; the newest last.
    looks: VecDeque<(u64, u64)>,
    told: Option<Path>,
}

impl PathWatch {
    fn look(&mut self, stats: &LinkStats) -> Option<Path> {
        self.looks.push_back((stats.packets, stats.lost));
        if self.looks.len() > LOOKS + 1 {
            self.looks.pop_front();
        }
        let (sent, lost) = self.looks.front().map_or((0, 0), |(packets, lost)| {
            (stats.packets.saturating_sub(*packets), stats.lost.saturating_sub(*lost))
        });
        let before = self.told.map_or(0, |path| path.loss_permille);
        let loss_permille = if sent < MIN_PACKETS {
            before
        } else {
            u16::try_from(lost.saturating_mul(1_000) / sent).unwrap_or(1_000).min(1_000)
        };
        let path = Path { rtt: Duration::from_micros(stats.rtt_micros), loss_permille };
        let is_news = self.told.is_none_or(|told| {
            told.rtt.abs_diff(path.rtt) > told.rtt / 8
                || told.loss_permille.abs_diff(path.loss_permille) >= LOSS_STEP
        });
        if !is_news {
            return None;
        }
        self.told = Some(path);
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told() {
        let mut watch = PathWatch::default();
        let at = |packets, lost, rtt_micros| LinkStats {
            packets,
            lost,
            rtt_micros,
            ..LinkStats::default()
        };
        let first = watch.look(&at(10, 0, 1_000));
        assert_eq!(first.map(|path| path.rtt), Some(Duration::from_millis(1)));
        assert_eq!(watch.look(&at(20, 5, 1_100)), None, "too few packets, too little change");
        let lossy = watch.look(&at(110, 30, 1_100));
        assert_eq!(lossy.map(|path| path.loss_permille), Some(300));
        assert_eq!(watch.look(&at(210, 60, 1_100)), None);
        assert!(watch.look(&at(310, 90, 2_000)).is_some(), "slower");
    }
}
