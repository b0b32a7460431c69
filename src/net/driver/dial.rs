//! Dialling a peer once, at all its addresses.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::net::SocketAddr;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::Host;
use super::core::Core;
use super::link::Meeting;
use crate::id::NodeId;
use crate::net::{ConnectError, DIAL_TIMEOUT, Established, Transport, dial};
use crate::node::Input;

/// How long an address may stay silent before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// When a silent address is tried again beside the tries under way. Each loss makes a handshake
/// wait twice as long as the one before, a new one begins with the shortest wait; and a peer that
/// was just started is found.
const AGAIN: [Duration; 3] =
    [Duration::from_secs(3), Duration::from_secs(7), Duration::from_secs(20)];
/// Peers that are dialled at a time because the node wants it; each costs about 100 KB. Dialling
/// more fails at once.
const MAX_DIALS: usize = 32;

impl<T: Transport, H: Host> Core<T, H> {
    /// Dials once because the node wants it, and tells it if no connection came of it.
    pub(super) fn dial_for_node(self: &Arc<Self>, peer: NodeId, addresses: Vec<SocketAddr>) {
        let mut dialing = self.dialing.lock();
        if let Some(wish) = dialing.get(&peer) {
            // The node knows better addresses by now, or hopes for another answer.
            wish.send_replace(addresses);
            return;
        }
        // A connection that the node does not know of is about to end.
        let has_room = dialing.len() < MAX_DIALS && !self.registry.is_connected(peer);
        let (wish, wishes) = watch::channel(addresses);
        if has_room {
            dialing.insert(peer, wish);
        }
        let core = self.clone();
        tokio::spawn(async move {
            if has_room {
                tokio::select! {
                    () = core.dial_as_wished(peer, wishes) => {}
                    () = core.registry.stopped() => return,
                }
                core.dialing.lock().remove(&peer);
            }
            // Says nothing new to a node that has the link.
            core.input(Input::DialFailed { peer });
        });
    }

    /// Dials, from the beginning whenever the node wishes it anew.
    async fn dial_as_wished(
        self: &Arc<Self>,
        peer: NodeId,
        mut wishes: watch::Receiver<Vec<SocketAddr>>,
    ) {
        loop {
            let addresses = wishes.borrow_and_update().clone();
            tokio::select! {
                () = self.dial_if_welcome(peer, &addresses) => return,
                () = self.registry.until_connected(peer) => return,
                // The sender goes with the last wish.
                Ok(()) = wishes.changed() => {}
            }
        }
    }

    async fn dial_if_welcome(self: &Arc<Self>, peer: NodeId, addresses: &[SocketAddr]) {
        if self.gate.admission().expelled.contains(&peer) {
            return;
        }
        if let Err(error) = self.dial_once(peer, addresses).await {
            tracing::debug!(peer = %format_args!("{peer:.16}"), %error, "dialling failed");
            self.registry.dial_failed_again(peer, error);
        }
    }

    /// Tries every address, the later ones a little later; done when one is connected and in use.
    /// If the peer is being dialled already, only waits for the outcome.
    pub(super) async fn dial_once(
        self: &Arc<Self>,
        peer: NodeId,
        addresses: &[SocketAddr],
    ) -> Result<(), ConnectError> {
        let Some(_dialing) = self.registry.begin_dial(peer) else {
            self.registry.until_not_dialed(peer).await;
            let is_connected = self.registry.is_connected(peer);
            return if is_connected { Ok(()) } else { Err(ConnectError::TimedOut) };
        };
        let mut attempts = JoinSet::new();
        for (at, address) in (0..).zip(addresses.iter().copied()) {
            let core = self.clone();
            attempts.spawn(async move {
                tokio::time::sleep(STAGGER * at).await;
                core.dial_address(peer, address).await
            });
        }
        let mut error = ConnectError::TimedOut;
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok(Ok(established)) => {
                    // Before it is in use: the peer would see two.
                    attempts.shutdown().await;
                    self.hand_over(established).await;
                    return Ok(());
                }
                Ok(Err(failed)) => {
                    let is_answer = is_answer(&failed);
                    error = failed;
                    if is_answer {
                        attempts.shutdown().await;
                        break;
                    }
                }
                Err(_panicked) => {}
            }
        }
        Err(error)
    }

    /// Tries one address several times beside each other, within [`DIAL_TIMEOUT`].
    async fn dial_address(
        self: Arc<Self>,
        peer: NodeId,
        address: SocketAddr,
    ) -> Result<Established<T::Connection>, ConnectError> {
        let dialing = async {
            let mut tries = JoinSet::new();
            let mut later = AGAIN.into_iter();
            loop {
                let core = self.clone();
                tries.spawn(async move {
                    dial(&core.transport, address, peer, &core.gate.admission()).await
                });
                let next = later.next().unwrap_or(DIAL_TIMEOUT);
                tokio::select! {
                    // The others are dropped: whoever answers would give the same answer.
                    Some(Ok(done)) = tries.join_next() => return done,
                    () = tokio::time::sleep(next) => {}
                }
            }
        };
        tokio::time::timeout(DIAL_TIMEOUT, dialing).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    async fn hand_over(&self, established: Established<T::Connection>) {
        let (settled, done) = oneshot::channel();
        let meeting =
            Meeting { established, dialed: true, outlasted: false, settled: Some(settled) };
        if self.met.send(meeting).await.is_ok() {
            // Fails if the connection was turned down: then it is closed.
            let _ = done.await;
        }
    }
}

/// Whether it was the peer itself that refused: it would do the same at any other address.
fn is_answer(error: &ConnectError) -> bool {
    use ConnectError::{Expelled, OtherHierarchy, WrongSecret};
    matches!(error, Expelled | OtherHierarchy | WrongSecret)
}
