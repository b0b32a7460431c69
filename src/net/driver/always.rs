//! Dialling the peers of tickets until they are connected, again and again.

use alloc::sync::Arc;

use super::Host;
use super::core::Core;
use crate::id::NodeId;
use crate::net::{Backoff, Transport};

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
}

/// Any number. If the system has none left, nodes that lose a peer together come back together.
fn random() -> u32 {
    getrandom::u32().unwrap_or(0)
}
