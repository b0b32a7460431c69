//! Runs a [`Node`](crate::node::Node) over a transport: connects, reads, writes, keeps time.
//!
//! The node decides, the driver does. It keeps one connection to each peer, with one stream of
//! frames, and redials those it was told of. The replica belongs to a [`Host`], which stores what
//! the node says must be stored.
//!
//! Beside that stream, a connection carries datagrams and pushes. Datagrams are always read: they
//! say who is alive. Frames and pushes are not read while the node has no room for what a peer
//! sends.
//!
//! No task waits for a slow peer except that peer's own. A peer that does not read makes its own
//! writer wait, and what the node has for it is read from the store only when it goes on.

mod always;
mod beside;
mod core;
mod dial;
mod link;
mod registry;
mod report;
mod storing;

use ::core::fmt;
use ::core::time::Duration;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::net::SocketAddr;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use self::core::Core;
use self::registry::Registry;
pub use self::report::{
    DriverError, LinkStatus, PeerStatus, ReplicationError, SyncReport, SynchroniseError,
};
use super::{Gate, PeerAddress, Transport};
use crate::id::{EntryId, NodeId};
use crate::node::{Archive, Node, NodeEvent};
use crate::time::Timestamp;

/// Who owns the replica: keeps the [`Node`] behind a lock, and its store.
///
/// The driver calls all of it from several threads. What may block, [`store`](Self::store) and the
/// methods of [`Archive`], it calls where blocking is allowed.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use basefs::id::BlockId;
/// use basefs::log::EntryNo;
/// use basefs::net::Host;
/// use basefs::node::{Archive, Node, Replica};
/// use bytes::Bytes;
/// use parking_lot::Mutex;
/// use tokio::sync::Notify;
///
/// /// A replica that is forgotten with the process.
/// struct Shelf {
///     node: Mutex<Node>,
///     kept: Mutex<(Vec<Bytes>, BTreeMap<BlockId, Bytes>)>,
///     wake: Notify,
/// }
///
/// impl Archive for Shelf {
///     type Error = Infallible;
///
///     fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
///         Ok(self.kept.lock().0[no.index()].clone())
///     }
///
///     fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
///         Ok(self.kept.lock().1.get(id).cloned())
///     }
/// }
///
/// impl Host for Shelf {
///     fn with_node<R>(&self, work: impl FnOnce(&mut Node) -> R) -> R {
///         work(&mut self.node.lock())
///     }
///
///     fn store(&self) -> Result<(), Infallible> {
///         let mut kept = self.kept.lock(); // held from taking to storing: in order
///         let effects = self.node.lock().take_effects();
///         kept.0.extend(effects.admitted.iter().map(|entry| entry.bytes().clone()));
///         kept.1.extend(effects.blocks);
///         self.node.lock().stored(effects.mark);
///         Ok(())
///     }
///
///     fn wake(&self) -> &Notify {
///         &self.wake
///     }
/// }
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::{EntryId, NodeId};
/// # use basefs::net::memory::MemoryNetwork;
/// # use basefs::net::{Access, Admission, Driver};
/// # let network = MemoryNetwork::new();
/// # let transport = network.bind("10.0.0.1:1".parse()?, NodeId::from_bytes([1; 32]))?;
/// let hierarchy = EntryId::from_bytes([7; 32]);
/// let node = Mutex::new(Node::new(Replica::new(hierarchy, 1), [9; 32]));
/// let host = Arc::new(Shelf { node, kept: Mutex::default(), wake: Notify::new() });
/// let running = Driver::spawn(transport, host, Admission::new(hierarchy, Access::Public), []);
/// running.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Host: Archive<Error: fmt::Display + Send> + Send + Sync + 'static {
    /// Runs `work` on the node, alone. It takes some milliseconds at most and must not be made to
    /// wait for a disk: whoever holds the lock does not commit.
    fn with_node<R>(&self, work: impl FnOnce(&mut Node) -> R) -> R;

    /// Takes the effects that the node has collected, makes them durable, and then tells the node
    /// that they are [`stored`](Node::stored). Effects must become durable in the order in which
    /// they were taken, also if the host does the same elsewhere for local changes. Called by one
    /// thread at a time; may find nothing to do.
    ///
    /// # Errors
    ///
    /// The store failed. The driver closes all connections and stops; the error is what
    /// [`Handle::shutdown`] gives.
    fn store(&self) -> Result<(), Self::Error>;

    /// Something happened that the host may want to know of; says whether it wants something
    /// [stored](Self::store) because of it. Must not block.
    fn note(&self, event: &NodeEvent) -> bool {
        let _ = event;
        false
    }

    /// What the host notifies (`notify_one`) after every change of the node that the driver did
    /// not ask for: above all after local entries are [`stored`](Node::stored).
    fn wake(&self) -> &Notify;
}

/// Starts to run a node.
///
/// ```
/// use basefs::Fs;
/// use basefs::net::memory::MemoryNetwork;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// // `Fs::serve_on` calls it with the replica as host.
/// let (fs, network) = (Fs::in_memory()?, MemoryNetwork::new());
/// let node = fs.serve_on(network.bind("10.0.0.1:1".parse()?, fs.node())?)?;
/// assert!(node.peers().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Driver;

impl Driver {
    /// Accepts peers, and dials `peers` until each is connected, again and again. Must be called
    /// on a tokio runtime, which runs it until [`Handle::shutdown`], or until the handle is
    /// dropped. Who is let in can be changed through the gate while it runs; an
    /// [`Admission`](super::Admission) makes one that nobody else has.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use std::convert::Infallible;
    /// # use std::sync::Arc;
    /// # use basefs::id::BlockId;
    /// # use basefs::log::EntryNo;
    /// # use basefs::net::Host;
    /// # use basefs::node::{Archive, Node, Replica};
    /// # use bytes::Bytes;
    /// # use parking_lot::Mutex;
    /// # use tokio::sync::Notify;
    /// # /// A replica that is forgotten with the process.
    /// # struct Shelf {
    /// #     node: Mutex<Node>,
    /// #     kept: Mutex<(Vec<Bytes>, BTreeMap<BlockId, Bytes>)>,
    /// #     wake: Notify,
    /// # }
    /// #
    /// # impl Archive for Shelf {
    /// #     type Error = Infallible;
    /// #
    /// #     fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
    /// #         Ok(self.kept.lock().0[no.index()].clone())
    /// #     }
    /// #
    /// #     fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
    /// #         Ok(self.kept.lock().1.get(id).cloned())
    /// #     }
    /// # }
    /// #
    /// # impl Host for Shelf {
    /// #     fn with_node<R>(&self, work: impl FnOnce(&mut Node) -> R) -> R {
    /// #         work(&mut self.node.lock())
    /// #     }
    /// #
    /// #     fn store(&self) -> Result<(), Infallible> {
    /// #         let mut kept = self.kept.lock(); // held from taking to storing: in order
    /// #         let effects = self.node.lock().take_effects();
    /// #         kept.0.extend(effects.admitted.iter().map(|entry| entry.bytes().clone()));
    /// #         kept.1.extend(effects.blocks);
    /// #         self.node.lock().stored(effects.mark);
    /// #         Ok(())
    /// #     }
    /// #
    /// #     fn wake(&self) -> &Notify {
    /// #         &self.wake
    /// #     }
    /// # }
    /// # let shelf = |genesis, seed| {
    /// #     let node = Mutex::new(Node::new(Replica::new(genesis, 1), [seed; 32]));
    /// #     Arc::new(Shelf { node, kept: Mutex::default(), wake: Notify::new() })
    /// # };
    /// # use basefs::entry::{Body, Payload};
    /// # use basefs::id::{DirId, EntryId, NodeId};
    /// # use basefs::net::memory::MemoryNetwork;
    /// # use basefs::time::WallTime;
    /// # use basefs::wire::SecretKey;
    /// # let key = SecretKey::from_seed([7; 32]);
    /// # let genesis = Body {
    /// #     dir: DirId::from_bytes([0; 32]),
    /// #     name: "example".into(),
    /// #     prev: vec![],
    /// #     cap: EntryId::from_bytes([0; 32]),
    /// #     key: key.public(),
    /// #     seq: 0,
    /// #     aprev: None,
    /// #     ts: WallTime::from_millis(0),
    /// #     payload: Payload::Genesis { roots: vec![key.public()], nonce: [1; 16] },
    /// # }
    /// # .sign(&key)?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
    /// # let network = MemoryNetwork::new();
    /// use basefs::net::{Access, Admission, Driver, Gate, PeerAddress};
    ///
    /// let (here, there) = (shelf(genesis.id(), 1), shelf(genesis.id(), 2)); // hosts: see [`Host`]
    /// let gate = Gate::new(Admission::new(genesis.id(), Access::Public)); // kept, to change it later
    /// let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
    /// let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
    /// let ana = PeerAddress { node: ana, addresses: vec!["10.0.0.1:1".parse()?] };
    /// let answering = Driver::spawn(at_ana, here, gate.clone(), []);
    /// let dialling = Driver::spawn(at_ben, there, gate.clone(), [ana]);
    /// assert_eq!(dialling.peers()[0].node, answering.node());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<T: Transport, H: Host>(
        transport: T,
        host: Arc<H>,
        gate: impl Into<Gate>,
        peers: impl IntoIterator<Item = PeerAddress>,
    ) -> Handle {
        let registry = Arc::new(Registry::new(transport.node(), host.with_node(|node| node.now())));
        peers.into_iter().for_each(|peer| registry.add_peer(peer));
        let (node, addresses) = (transport.node(), transport.local_addresses());
        let (met, meetings) = mpsc::channel(1);
        let core = Arc::new(Core::new(transport, host, gate.into(), registry.clone(), met));
        let running = Some(tokio::spawn(core.run(meetings)));
        Handle { registry, node, addresses, running }
    }
}

/// A running node. Dropping it stops the node, without waiting for what is under way.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use std::convert::Infallible;
/// # use std::sync::Arc;
/// # use basefs::id::BlockId;
/// # use basefs::log::EntryNo;
/// # use basefs::net::Host;
/// # use basefs::node::{Archive, Node, Replica};
/// # use bytes::Bytes;
/// # use parking_lot::Mutex;
/// # use tokio::sync::Notify;
/// # /// A replica that is forgotten with the process.
/// # struct Shelf {
/// #     node: Mutex<Node>,
/// #     kept: Mutex<(Vec<Bytes>, BTreeMap<BlockId, Bytes>)>,
/// #     wake: Notify,
/// # }
/// #
/// # impl Archive for Shelf {
/// #     type Error = Infallible;
/// #
/// #     fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
/// #         Ok(self.kept.lock().0[no.index()].clone())
/// #     }
/// #
/// #     fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
/// #         Ok(self.kept.lock().1.get(id).cloned())
/// #     }
/// # }
/// #
/// # impl Host for Shelf {
/// #     fn with_node<R>(&self, work: impl FnOnce(&mut Node) -> R) -> R {
/// #         work(&mut self.node.lock())
/// #     }
/// #
/// #     fn store(&self) -> Result<(), Infallible> {
/// #         let mut kept = self.kept.lock(); // held from taking to storing: in order
/// #         let effects = self.node.lock().take_effects();
/// #         kept.0.extend(effects.admitted.iter().map(|entry| entry.bytes().clone()));
/// #         kept.1.extend(effects.blocks);
/// #         self.node.lock().stored(effects.mark);
/// #         Ok(())
/// #     }
/// #
/// #     fn wake(&self) -> &Notify {
/// #         &self.wake
/// #     }
/// # }
/// # let shelf = |genesis, seed| {
/// #     let node = Mutex::new(Node::new(Replica::new(genesis, 1), [seed; 32]));
/// #     Arc::new(Shelf { node, kept: Mutex::default(), wake: Notify::new() })
/// # };
/// # use basefs::entry::{Body, Payload};
/// # use basefs::id::{DirId, EntryId, NodeId};
/// # use basefs::net::memory::MemoryNetwork;
/// # use basefs::time::WallTime;
/// # use basefs::wire::SecretKey;
/// # let key = SecretKey::from_seed([7; 32]);
/// # let genesis = Body {
/// #     dir: DirId::from_bytes([0; 32]),
/// #     name: "example".into(),
/// #     prev: vec![],
/// #     cap: EntryId::from_bytes([0; 32]),
/// #     key: key.public(),
/// #     seq: 0,
/// #     aprev: None,
/// #     ts: WallTime::from_millis(0),
/// #     payload: Payload::Genesis { roots: vec![key.public()], nonce: [1; 16] },
/// # }
/// # .sign(&key)?;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # use std::time::Duration;
/// # use basefs::net::{Access, Admission, Driver, PeerAddress};
/// # let admission = Admission::new(genesis.id(), Access::Public);
/// # let (here, there) = (shelf(genesis.id(), 1), shelf(genesis.id(), 2));
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # let (id, seconds) = (genesis.id(), Duration::from_secs(9));
/// # here.with_node(|node| node.offer(genesis));
/// # here.store()?;
/// let at_ana = Driver::spawn(at_ana, here, admission.clone(), []); // she has one entry
/// let at_ben = Driver::spawn(at_ben, there.clone(), admission, []);
/// let addresses = at_ana.local_addresses().to_vec();
/// at_ben.add_peer(PeerAddress { node: at_ana.node(), addresses });
///
/// assert_eq!(at_ana.wait_replicated(vec![id], 1, seconds).await?, [ben]);
/// at_ben.synchronise(Some(ana), seconds).await?;
/// assert_eq!(there.with_node(|node| node.replica().log().len()), 1);
/// let link = at_ben.peers()[0].link.clone().ok_or("not connected")?;
/// assert!(link.dialed && link.last_sync.is_some_and(|sync| sync.equal));
///
/// println!("{link:?} at {:?}", at_ben.now());
/// let stopped = tokio::time::timeout(Duration::from_millis(1), at_ben.stopped());
/// assert!(stopped.await.is_err(), "it runs");
/// at_ben.leave(seconds).await; // says goodbye
/// at_ben.shutdown().await?;
/// at_ana.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Handle {
    registry: Arc<Registry>,
    node: NodeId,
    addresses: Vec<SocketAddr>,
    running: Option<JoinHandle<()>>,
}

impl Handle {
    /// The identity of this node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The addresses at which peers can reach this node, as far as the transport knows.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Dials a peer from now on, or learns further addresses of one that is known.
    pub fn add_peer(&self, peer: PeerAddress) {
        self.registry.add_peer(peer);
    }

    /// The peers that were added or are connected, in the order of their ids.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.registry.peers()
    }

    /// Takes leave of the other members, so that they do not take this node for dead, and waits
    /// until all connections are closed, at most so long. A node that is no member does nothing.
    pub async fn leave(&self, timeout: Duration) {
        // Whoever was not told in time finds out.
        let _ = tokio::time::timeout(timeout, self.registry.leave()).await;
    }

    /// Waits until every connected peer, or the one given, has the same entries as this node: a
    /// session that began after the call must end so. What is written here meanwhile may or may
    /// not be part of it. Contents may arrive later.
    ///
    /// # Errors
    ///
    /// [`SynchroniseError`]; sessions go on all the same.
    pub async fn synchronise(
        &self,
        with: Option<NodeId>,
        timeout: Duration,
    ) -> Result<(), SynchroniseError> {
        let waiting = self.registry.synchronise(with);
        tokio::time::timeout(timeout, waiting).await.unwrap_or(Err(SynchroniseError::TimedOut))
    }

    /// Waits until at least that many peers have told that they have these entries, and all that
    /// they refer to, durably; gives who they are. It is their word. Peers that connect meanwhile
    /// are asked as well. Without any entry, the genesis is meant.
    ///
    /// # Errors
    ///
    /// [`ReplicationError`]; entries spread all the same.
    pub async fn wait_replicated(
        &self,
        entries: Vec<EntryId>,
        peers: usize,
        timeout: Duration,
    ) -> Result<Vec<NodeId>, ReplicationError> {
        self.registry.replicated(entries, peers, timeout).await
    }

    /// The present in the node's own time, to compare with what a [`Node`] says: it begins with the
    /// node, and goes on when it is run again.
    pub fn now(&self) -> Timestamp {
        self.registry.now()
    }

    /// Waits until the node stops by itself, which it does only if its host fails.
    pub async fn stopped(&self) {
        self.registry.stopped().await;
    }

    /// Sends what waits to be sent, within two seconds, closes all connections, stores what came,
    /// and ends.
    ///
    /// # Errors
    ///
    /// [`DriverError`] if the host had failed, before or now; all connections are closed.
    pub async fn shutdown(mut self) -> Result<(), DriverError> {
        self.registry.stop();
        if let Some(running) = self.running.take()
            && running.await.is_err()
        {
            return Err(DriverError::Panicked);
        }
        self.registry.failure().map_or(Ok(()), |what| Err(DriverError::Host { what }))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.registry.stop();
    }
}
