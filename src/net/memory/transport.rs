//! Plugs in the network in memory.

use alloc::vec;
use alloc::vec::Vec;
use std::net::SocketAddr;

use tokio::sync::{Mutex, mpsc};

use super::{Ended, MemoryConnection, MemoryNetwork, Side};
use crate::id::NodeId;
use crate::net::{CloseReason, ConnectError, Transport};

/// A node's plug in a [`MemoryNetwork`]. Dropping it closes its connections and frees its address.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// use basefs::net::Transport;
///
/// assert_eq!((at_ana.node(), at_ana.local_addresses()), (ana, vec!["10.0.0.1:1".parse()?]));
/// drop(at_ben);
/// assert!(at_ana.connect("10.0.0.2:1".parse()?, ben).await.is_err(), "nobody is there");
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryTransport {
    network: MemoryNetwork,
    address: SocketAddr,
    node: NodeId,
    ready: Mutex<mpsc::Receiver<MemoryConnection>>,
}

impl MemoryTransport {
    pub(super) fn new(
        network: MemoryNetwork,
        address: SocketAddr,
        node: NodeId,
        ready: mpsc::Receiver<MemoryConnection>,
    ) -> Self {
        Self { network, address, node, ready: Mutex::new(ready) }
    }
}

impl Transport for MemoryTransport {
    type Connection = MemoryConnection;

    fn node(&self) -> NodeId {
        self.node
    }

    fn local_addresses(&self) -> Vec<SocketAddr> {
        vec![self.address]
    }

    async fn connect(
        &self,
        address: SocketAddr,
        expected: NodeId,
    ) -> Result<MemoryConnection, ConnectError> {
        let mut registry = self.network.registry.lock();
        if !registry.listeners.contains_key(&self.address) {
            return Err(ConnectError::Local { what: "the transport is closed".into() });
        }
        registry.connect(self.node, address, expected)
    }

    async fn accept(&self) -> Option<MemoryConnection> {
        let mut ready = self.ready.lock().await;
        loop {
            let connection = ready.recv().await?;
            if connection.end.link.ended.borrow().is_none() {
                return Some(connection);
            }
        }
    }

    fn close(&self) {
        let mut registry = self.network.registry.lock();
        // The address may be somebody else's by now if this is the second call.
        if registry.listeners.get(&self.address).is_some_and(|found| found.node == self.node) {
            registry.listeners.remove(&self.address);
        }
        for side in [Side::Dialer, Side::Responder] {
            let ended = Ended::Closed { by: side, reason: CloseReason::Done };
            registry.end_links(|link| link.nodes[side.index()] == self.node, ended);
        }
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.close();
    }
}
