//! Dialling peers until they are connected, again and again.

use alloc::sync::Arc;
use core::time::Duration;
use std::net::SocketAddr;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Host;
use super::core::Core;
use super::link::Meeting;
use crate::id::NodeId;
use crate::net::{Backoff, ConnectError, Established, Transport, dial};

/// How long an address may stay silent before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

impl<T: Transport, H: Host> Core<T, H> {
    /// Keeps one peer connected as far as that depends on dialling.
    pub(super) async fn dial_always(self: Arc<Self>, peer: NodeId) {
        let mut backoff = Backoff::new();
        let mut gate = self.gate.changes();
        loop {
            // The sender is ours, so waiting cannot fail.
            let _ = gate.wait_for(|admission| !admission.expelled.contains(&peer)).await;
            let addresses = self.registry.addresses(peer);
            let attempt = tokio::select! {
                attempt = self.dial_once(peer, &addresses) => attempt,
                () = self.registry.until_connected(peer) => Ok(()),
                // An address that stays silent takes its time; one just learnt need not wait.
                () = self.registry.until_moved(peer, &addresses) => continue,
                // Nor need a secret just learnt, nor whoever was just expelled be dialled.
                Ok(()) = gate.changed() => continue,
            };
            match attempt {
                Ok(()) => {
                    backoff.connected(self.now());
                    self.registry.until_disconnected(peer).await;
                }
                Err(error) => {
                    tracing::debug!(peer = %format_args!("{peer:.16}"), %error, "dialling failed");
                    self.registry.dial_failed(peer, Some(error), backoff.failures() + 1);
                }
            }
            let due = backoff.failed(self.now(), random());
            tokio::select! {
                () = tokio::time::sleep(due - self.now()) => {}
                () = self.registry.until_connected(peer) => {}
                () = self.registry.until_moved(peer, &addresses) => {}
                // A new secret may be the one that was missing.
                Ok(()) = gate.changed() => {}
            }
        }
    }

    /// Tries every address, the later ones a little later; done when one is connected and in use.
    pub(super) async fn dial_once(
        self: &Arc<Self>,
        peer: NodeId,
        addresses: &[SocketAddr],
    ) -> Result<(), ConnectError> {
        let mut attempts = JoinSet::new();
        for (at, address) in (0..).zip(addresses.iter().copied()) {
            let core = self.clone();
            attempts.spawn(async move {
                tokio::time::sleep(STAGGER * at).await;
                dial(&core.transport, address, peer, &core.gate.admission()).await
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

    async fn hand_over(&self, established: Established<T::Connection>) {
        let (settled, done) = oneshot::channel();
        let meeting = Meeting { established, dialed: true, settled: Some(settled) };
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

/// Any number. If the system has none left, nodes that lose a peer together come back together.
fn random() -> u32 {
    getrandom::u32().unwrap_or(0)
}
