//! A replica on the network.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::fs::Fs;
use crate::fs::engine::Engine;
use crate::id::BlockId;
use crate::log::EntryNo;
use crate::net::{
    Access, Admission, BindError, Driver, DriverError, Handle, Host, PeerAddress, PeerStatus,
    QuicConfig, QuicTransport, SynchroniseError, Ticket, Transport,
};
use crate::node::{Archive, Node};
use crate::store::{Batch, Durability, Store, StoreError, Table};

/// Where the peers of a replica are kept: as a ticket without the secret.
const PEERS_KEY: &[u8] = b"peers";

/// How often a wait looks again whether a peer has connected or content has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why a replica could not go on the network. Nothing was changed.
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
        self.commit_all()
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
        let transport =
            QuicTransport::bind(config, &self.identity.node).map_err(ServeError::Bind)?;
        self.serve_on(transport)
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
        let access =
            Access::Secret { current: self.identity.secret.clone(), also_accepted: Vec::new() };
        let admission = Admission::new(self.hierarchy(), access);
        let peers = load_peers(&**self.engine.store())?;
        let handle = Driver::spawn(transport, Arc::clone(&self.engine), admission, peers);
        Ok(Serving { fs: self.clone(), handle })
    }

    /// A ticket for this hierarchy that names these peers. Whoever has it can read everything.
    pub fn ticket(&self, peers: Vec<PeerAddress>) -> Ticket {
        Ticket::new(self.hierarchy(), Some(self.identity.secret.clone()), peers)
    }
}

/// The peers that a replica was told of.
fn load_peers(store: &dyn Store) -> Result<Vec<PeerAddress>, StoreError> {
    let Some(text) = store.get(Table::Meta, PEERS_KEY)? else { return Ok(Vec::new()) };
    let ticket = core::str::from_utf8(&text).ok().and_then(|text| text.parse::<Ticket>().ok());
    let damaged = || StoreError::Corrupt { what: "the list of peers is unreadable".into() };
    Ok(ticket.ok_or_else(damaged)?.peers().to_vec())
}

/// Keeps the peers of a ticket besides those known before; one entry a node, the newer addresses.
pub(super) fn remember_peers(store: &dyn Store, ticket: &Ticket) -> Result<(), StoreError> {
    let mut peers = load_peers(store)?;
    peers.retain(|known| ticket.peers().iter().all(|new| new.node != known.node));
    peers.extend_from_slice(ticket.peers());
    let public = Ticket::new(ticket.hierarchy(), None, peers);
    let mut batch = Batch::new();
    batch.put(Table::Meta, PEERS_KEY, public.to_string().into_bytes());
    store.commit(&batch, Durability::Durable)
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

    /// Connects to a peer, now and whenever the connection is lost, until this node stops.
    pub fn add_peer(&self, peer: PeerAddress) {
        self.handle.add_peer(peer);
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

    /// Sends what waits to be sent, within two seconds, closes all connections and goes off the
    /// network.
    ///
    /// # Errors
    ///
    /// The store had failed.
    pub async fn shutdown(self) -> Result<(), DriverError> {
        self.handle.shutdown().await
    }
}
