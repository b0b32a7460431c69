//! A replica on the network.

mod door;
mod peers;
mod status;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::Ordering;
use core::time::Duration;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::fs::Fs;
use crate::fs::engine::Engine;
use crate::gossip::{LocalMember, Member, MemberEvent, Profile};
use crate::id::BlockId;
use crate::id::NodeId;
use crate::log::EntryNo;
use crate::log::Frontier;
use crate::net::{
    BindError, Driver, DriverError, Handle, Host, PeerAddress, PeerStatus, QuicConfig,
    QuicTransport, ReplicationError, SynchroniseError, Ticket, Transport,
};
use crate::node::{Archive, Node, NodeEvent};
use crate::store::StoreError;

pub use door::{AdoptTicketError, DropSecretsError, RotateSecretError};
pub use peers::{ExpelError, MAX_EXPELLED};
pub use status::{PeerReport, Status};

pub(super) use door::Door;
use peers::load_peers;
use peers::remember_members;
pub(super) use peers::{load_expelled, remember_peers};

/// The time for telling others that this node leaves.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often a wait looks again whether a peer has connected or content has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why a replica could not go on the network. Nothing was changed.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// use basefs::fs::ServeError;
///
/// let first = Fs::in_memory()?.serve(config.clone()).await?;
/// config.listen = first.address().addresses[0]; // taken
/// let failed = Fs::in_memory()?.serve(config).await.map(|_| ());
/// assert!(matches!(failed, Err(ServeError::Bind(_))));
/// # first.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The socket could not be opened.
    Bind(BindError),
    /// The store failed.
    Store(StoreError),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Bind(error) => error.fmt(f),
            ServeError::Store(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ServeError {}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        ServeError::Store(error)
    }
}

/// The wall clock. Only that it goes on matters: a node that starts again is newer than before.
fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Archive for Engine {
    type Error = StoreError;

    fn entry(&self, no: EntryNo) -> Result<Bytes, StoreError> {
        self.entry_bytes(no)
    }

    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, StoreError> {
        Engine::block(self, id)
    }
}

impl Host for Engine {
    fn with_node<R>(&self, work: impl FnOnce(&mut Node) -> R) -> R {
        self.change(work).0
    }

    fn store(&self) -> Result<(), StoreError> {
        self.commit_all()?;
        if self.members_changed.swap(false, Ordering::AcqRel) {
            remember_members(self)?;
        }
        Ok(())
    }

    fn note(&self, event: &NodeEvent) -> bool {
        use MemberEvent::{Joined, Moved, Returned};
        let is_news = matches!(event, NodeEvent::Member(Joined(_) | Moved(_) | Returned(_)));
        is_news && !self.members_changed.swap(true, Ordering::AcqRel)
    }

    fn wake(&self) -> &Notify {
        self.waker()
    }
}

impl Fs {
    /// Puts the replica on the network over QUIC: accepts peers and keeps connections to those it
    /// knows from tickets. Must be called on a tokio runtime. Local work goes on as before.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use basefs::Fs;
    /// use basefs::net::QuicConfig;
    ///
    /// let mut config = QuicConfig::default();
    /// config.listen = "127.0.0.1:0".parse()?;
    /// let fs = Fs::in_memory()?;
    /// let node = fs.serve(config).await?;
    /// println!("join me with {}", node.ticket());
    /// node.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn serve(&self, config: QuicConfig) -> Result<Serving, ServeError> {
        let profile = config.profile;
        let transport =
            QuicTransport::bind(config, &self.identity.node).map_err(ServeError::Bind)?;
        self.serve_as(transport, profile)
    }

    /// Puts the replica on a network of the caller's choice. The transport must have the identity
    /// [`Fs::node`].
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::net::memory::MemoryNetwork;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let (fs, network) = (Fs::in_memory()?, MemoryNetwork::new());
    /// let node = fs.serve_on(network.bind("10.0.0.1:1".parse()?, fs.node())?)?;
    /// node.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn serve_on<T: Transport>(&self, transport: T) -> Result<Serving, ServeError> {
        self.serve_as(transport, Profile::default())
    }

    fn serve_as<T: Transport>(
        &self,
        transport: T,
        profile: Profile,
    ) -> Result<Serving, ServeError> {
        let peers = load_peers(&**self.engine.store())?;
        let local = LocalMember {
            key: self.identity.node.clone(),
            addresses: transport.local_addresses(),
            weight: 1,
            zone: String::new(),
            profile,
        };
        self.engine.change(|node| node.join(local, wall_millis()));
        let handle =
            Driver::spawn(transport, Arc::clone(&self.engine), self.door.gate().clone(), peers);
        Ok(Serving { fs: self.clone(), handle })
    }

    /// A ticket for this hierarchy that names these peers. Whoever has it can read everything,
    /// until its secret is [rotated](Self::rotate_secret).
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::net::{PeerAddress, Ticket};
    ///
    /// let fs = Fs::in_memory()?;
    /// let peer = PeerAddress { node: fs.node(), addresses: vec!["192.0.2.1:4433".parse()?] };
    /// let text = fs.ticket(vec![peer]).to_string(); // keep it like a password
    /// let ticket: Ticket = text.parse()?;
    /// assert_eq!((ticket.hierarchy(), ticket.peers().len()), (fs.hierarchy(), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ticket(&self, peers: Vec<PeerAddress>) -> Ticket {
        let (hierarchy, secret) = self.pass();
        Ticket::new(hierarchy, secret, peers)
    }
}

/// A replica that is on the network. Dropping it takes it off, without waiting for what is under
/// way; the [`Fs`] stays usable.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// let fs = basefs::Fs::in_memory()?;
/// let node = fs.serve(config).await?;
/// assert_eq!(node.ticket().peers(), [node.address()]);
/// for peer in node.peers() {
///     println!("{}: {:?}", peer.node, peer.error);
/// }
/// node.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Serving {
    fs: Fs,
    handle: Handle,
}

impl Serving {
    /// A ticket that names this node.
    pub fn ticket(&self) -> Ticket {
        self.fs.ticket(Vec::from([self.address()]))
    }

    /// Where this node can be reached, as far as it knows.
    pub fn address(&self) -> PeerAddress {
        let addresses = self.handle.local_addresses().to_vec();
        PeerAddress { node: self.handle.node(), addresses }
    }

    /// Connects to a peer, now and whenever the connection is lost, until this node stops. Unlike
    /// [`join`](Self::join), it is not remembered.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use basefs::Fs;
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    /// # use std::time::Duration;
    /// let ana = Fs::in_memory()?;
    /// let ben = Fs::builder().join(&ana.ticket(vec![])).open()?; // names nobody
    /// let (at_ana, at_ben) = (ana.serve(config.clone()).await?, ben.serve(config).await?);
    /// at_ben.add_peer(at_ana.address());
    /// at_ben.wait_synced(Duration::from_secs(9)).await?;
    /// assert_eq!(at_ben.peers()[0].node, ana.node());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_peer(&self, peer: PeerAddress) {
        self.handle.add_peer(peer);
    }

    /// Connects to the peers that a newer ticket of this hierarchy names, now and whenever this
    /// replica is served. If the ticket has a read secret that is not known here, it is taken over
    /// as by [`Fs::adopt_ticket`]; one that is known stays what it is.
    ///
    /// # Errors
    ///
    /// See [`AdoptTicketError`]; nobody is connected to because of it.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use std::time::Duration;
    /// # use basefs::Fs;
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    /// let ana = Fs::in_memory()?;
    /// let ben = Fs::builder().join(&ana.ticket(vec![])).open()?; // names nobody
    /// let (at_ana, at_ben) = (ana.serve(config.clone()).await?, ben.serve(config).await?);
    /// at_ben.join(&at_ana.ticket())?;
    /// at_ben.wait_synced(Duration::from_secs(9)).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self, ticket: &Ticket) -> Result<(), AdoptTicketError> {
        self.fs.take_ticket(ticket, |admission| !admission.accepts(ticket.secret()))?;
        ticket.peers().iter().for_each(|peer| self.add_peer(peer.clone()));
        Ok(())
    }

    /// The members of the group that this node has heard of, itself excepted: who they are, where
    /// they can be reached, and whether they are alive.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    /// let node = basefs::Fs::in_memory()?.serve(config).await?;
    /// for member in node.members() {
    ///     println!("{}: {:?} for {:?}", member.node, member.state, member.zone);
    /// }
    /// # node.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn members(&self) -> Vec<Member> {
        self.fs.engine.read(|node| node.members().cloned().collect())
    }

    /// The peers that are known or connected.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.handle.peers()
    }

    /// Waits until a peer is connected, this replica and all that are connected have the same
    /// entries, and all content is here. What is written meanwhile may or may not be part of it.
    ///
    /// # Errors
    ///
    /// It took too long, or the node was stopped; synchronising goes on in the background.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use basefs::Fs;
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    /// # use std::time::Duration;
    /// let ana = Fs::in_memory()?;
    /// ana.write("/motd", "hello")?;
    /// let at_ana = ana.serve(config.clone()).await?;
    /// let ben = Fs::builder().join(&at_ana.ticket()).open()?;
    /// let at_ben = ben.serve(config).await?;
    /// at_ben.wait_synced(Duration::from_secs(9)).await?;
    /// assert_eq!(ben.read("/motd")?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_synced(&self, timeout: Duration) -> Result<(), SynchroniseError> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.handle.synchronise(None, left).await {
                Ok(()) if self.fs.engine.read(Node::wanted) == 0 => return Ok(()),
                // Content is on its way, or a connection is.
                Ok(()) | Err(SynchroniseError::NotConnected) if !left.is_zero() => {
                    sleep(LOOK_AGAIN).await;
                }
                Ok(()) => return Err(SynchroniseError::TimedOut),
                Err(error) => return Err(error),
            }
        }
    }

    /// Compares with every connected peer now, whether or not anything is known to differ, and
    /// waits until all have the same entries. Unlike [`wait_synced`](Self::wait_synced) it does not
    /// wait for content, nor for somebody to be connected.
    ///
    /// # Errors
    ///
    /// Nobody is connected, it took too long, or the node was stopped; what is under way goes on.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use std::time::Duration;
    /// use basefs::net::SynchroniseError;
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    ///
    /// let node = basefs::Fs::in_memory()?.serve(config).await?;
    /// let alone = node.sync_now(Duration::from_secs(9)).await;
    /// assert_eq!(alone, Err(SynchroniseError::NotConnected));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn sync_now(&self, timeout: Duration) -> Result<(), SynchroniseError> {
        self.handle.synchronise(None, timeout).await
    }

    /// Waits until at least `peers` other nodes have told that they hold everything in a version
    /// durably, and gives who they are: so a write survives the loss of this machine. Without a
    /// version the present one is meant. Nodes that connect meanwhile are asked as well, and a node
    /// that has told and was lost since still counts.
    ///
    /// What was written with [deferred durability](Fs::with_durability) leaves this node when it is
    /// durable here, which [`Fs::sync`] makes it at once.
    ///
    /// What they hold is entries, and with them contents of up to 320 bytes; longer ones are
    /// fetched later. It is their word: a node that lies about it cannot be told from one that
    /// loses its disk.
    ///
    /// # Errors
    ///
    /// [`ReplicationError`]: it took too long, or the node was stopped. Nothing is undone, and
    /// everything spreads on.
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
    /// ana.write("/motd", "hello")?;
    /// let holders = at_ana.wait_replicated(None, 1, Duration::from_secs(9)).await?;
    /// assert_eq!(holders, [ben.node()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_replicated(
        &self,
        version: Option<&Frontier>,
        peers: usize,
        timeout: Duration,
    ) -> Result<Vec<NodeId>, ReplicationError> {
        let present = || self.fs.engine.read(|node| node.replica().log().frontier());
        let version = version.cloned().unwrap_or_else(present);
        self.handle.wait_replicated(version.heads().to_vec(), peers, timeout).await
    }

    /// Leaves in order: says goodbye, so that nobody looks for this node, and stops as
    /// [`shutdown`](Self::shutdown) does. For a node that will not be back soon; one that is only
    /// restarted is shut down.
    ///
    /// # Errors
    ///
    /// The store had failed.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    /// let node = basefs::Fs::in_memory()?.serve(config).await?;
    /// node.leave().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn leave(self) -> Result<(), DriverError> {
        self.handle.leave(FAREWELL).await;
        self.handle.shutdown().await
    }

    /// Sends what waits to be sent, within two seconds, closes all connections and goes off the
    /// network.
    ///
    /// # Errors
    ///
    /// The store had failed.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    /// let fs = basefs::Fs::in_memory()?;
    /// let node = fs.serve(config.clone()).await?;
    /// node.shutdown().await?;
    /// fs.write("/motd", "written off the network")?;
    /// let node = fs.serve(config).await?; // on again
    /// # node.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn shutdown(self) -> Result<(), DriverError> {
        self.handle.shutdown().await
    }
}
