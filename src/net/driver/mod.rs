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
mod storing;

use ::core::fmt;
use ::core::time::Duration;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::net::SocketAddr;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use self::core::Core;
use self::registry::Registry;
use super::{ConnectError, Gate, LinkStats, PeerAddress, Transport};
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

/// What is known of a peer.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// let ana = Fs::in_memory()?;
/// let at_ana = ana.serve(config.clone()).await?;
/// let ben = Fs::builder().join(&at_ana.ticket()).open()?;
/// let at_ben = ben.serve(config).await?;
/// at_ben.wait_synced(Duration::from_secs(9)).await?;
/// let peer = &at_ben.peers()[0];
/// assert_eq!((peer.node, peer.error.as_ref()), (ana.node(), None));
/// assert!(peer.link.as_ref().is_some_and(|link| link.stats.received > 0));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Who.
    pub node: NodeId,
    /// Where it is dialled; nothing if it only ever dialled this node.
    pub addresses: Vec<SocketAddr>,
    /// Its connection, if there is one.
    pub link: Option<LinkStatus>,
    /// How many attempts to dial it failed in a row.
    pub failures: u32,
    /// Why the last attempt failed, unless one succeeded since.
    pub error: Option<ConnectError>,
}

/// What is known of a connection.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// # let ana = Fs::in_memory()?;
/// # let at_ana = ana.serve(config.clone()).await?;
/// # let ben = Fs::builder().join(&at_ana.ticket()).open()?;
/// # let at_ben = ben.serve(config).await?;
/// # at_ben.wait_synced(Duration::from_secs(9)).await?;
/// let link = at_ben.peers()[0].link.clone().ok_or("not connected")?;
/// assert!(link.dialed, "Ben joined, so he dialled");
/// println!("for {:?}, {} bytes received", link.age, link.stats.received);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStatus {
    /// Whether this node dialled.
    pub dialed: bool,
    /// For how long it has been connected.
    pub age: Duration,
    /// Counters of the connection.
    pub stats: LinkStats,
    /// The last session of reconciliation that ended.
    pub last_sync: Option<SyncReport>,
}

/// How a session of reconciliation ended.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// # let ana = Fs::in_memory()?;
/// # let at_ana = ana.serve(config.clone()).await?;
/// # let ben = Fs::builder().join(&at_ana.ticket()).open()?;
/// # let at_ben = ben.serve(config).await?;
/// # at_ben.wait_synced(Duration::from_secs(9)).await?;
/// let link = at_ben.peers()[0].link.clone().ok_or("not connected")?;
/// if let Some(sync) = link.last_sync {
///     assert!(sync.equal);
///     println!("{} sent, {} received, {:?} ago", sync.sent, sync.received, sync.age);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// Whether both sides had the same entries.
    pub equal: bool,
    /// Entries sent in it.
    pub sent: u64,
    /// Entries received in it.
    pub received: u64,
    /// How long ago it ended.
    pub age: Duration,
}

/// Why waiting for a peer to be equal was given up.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// use basefs::net::SynchroniseError;
///
/// let node = Fs::in_memory()?.serve(config).await?;
/// match node.wait_synced(Duration::from_millis(10)).await {
///     Ok(()) => println!("as far as everybody else"),
///     Err(SynchroniseError::NotConnected) => println!("nobody is there: look at `peers`"),
///     Err(error) => println!("{error}"),
/// }
/// let alone = node.sync_now(Duration::from_secs(9)).await;
/// assert_eq!(alone, Err(SynchroniseError::NotConnected));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynchroniseError {
    /// No peer, or not the one given, is connected, or the last of them was lost meanwhile.
    NotConnected,
    /// It took too long.
    TimedOut,
    /// The node was stopped.
    Stopped,
}

impl fmt::Display for SynchroniseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SynchroniseError::NotConnected => "not connected to a peer to synchronise with",
            SynchroniseError::TimedOut => "synchronising took too long; it goes on",
            SynchroniseError::Stopped => "the node was stopped",
        })
    }
}

impl ::core::error::Error for SynchroniseError {}

/// Why waiting for peers to have something was given up. Nothing is undone: it spreads on.
///
/// ```
/// use basefs::net::ReplicationError;
///
/// let error = ReplicationError::TimedOut { reached: 1 };
/// assert_eq!(error.to_string(), "only 1 of the peers had it in time; it spreads on");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicationError {
    /// It took too long.
    TimedOut {
        /// How many peers have it.
        reached: usize,
    },
    /// The node was stopped.
    Stopped,
}

impl fmt::Display for ReplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplicationError::TimedOut { reached } => {
                write!(f, "only {reached} of the peers had it in time; it spreads on")
            }
            ReplicationError::Stopped => f.write_str("the node was stopped"),
        }
    }
}

impl ::core::error::Error for ReplicationError {}

/// Why a node stopped otherwise than it was told to. All its connections are closed.
///
/// ```
/// use basefs::net::DriverError;
///
/// let error = DriverError::Host { what: "no space is left on the device".into() };
/// let told = error.to_string();
/// assert_eq!(told, "the node stopped, its store failed: no space is left on the device");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverError {
    /// The host could not read or store.
    Host {
        /// What it said.
        what: String,
    },
    /// A task of the driver panicked: a bug.
    Panicked,
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriverError::Host { what } => write!(f, "the node stopped, its store failed: {what}"),
            DriverError::Panicked => f.write_str("the node stopped because of a bug in it"),
        }
    }
}

impl ::core::error::Error for DriverError {}
