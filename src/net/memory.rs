//! A network inside one process, for tests: no sockets, no cryptography, and cables to cut.
//!
//! ```
//! use basefs::id::NodeId;
//! use basefs::net::memory::MemoryNetwork;
//! use basefs::net::{ConnectError, Transport};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let network = MemoryNetwork::new();
//! let (ana, bob) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
//! let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
//! let _at_bob = network.bind("10.0.0.2:1".parse()?, bob)?;
//! at_ana.connect("10.0.0.2:1".parse()?, bob).await?;
//!
//! network.partition(ana, bob);
//! let refused = at_ana.connect("10.0.0.2:1".parse()?, bob).await;
//! assert_eq!(refused.err(), Some(ConnectError::TimedOut));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::{BindError, CloseReason, ConnectError, Connection, LinkError, LinkStats, framing};
use crate::gossip::Path;
use crate::id::NodeId;
use crate::limits::MAX_DATAGRAM;

mod stream;
mod transport;

use stream::Announcement;
pub use stream::{MemoryReceiver, MemorySender};
pub use transport::MemoryTransport;

/// Connections that wait to be accepted, as for the real transport.
const MAX_READY: usize = 64;
/// Streams that wait to be accepted.
const MAX_STREAMS: usize = 64;
/// Frames on their way on one stream; 4 MiB of the longest.
const MAX_FRAMES: usize = 16;
/// Pushed frames on their way; whoever pushes more waits.
const MAX_PUSHES: usize = 64;
/// Datagrams on their way; further ones are lost.
const MAX_DATAGRAMS: usize = 64;

/// The cables and who is plugged in. Clones are the same network.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// let network = MemoryNetwork::new();
/// let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// use basefs::net::{Connection, Transport};
///
/// let connection = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// assert_eq!((connection.node(), connection.peer()), (ana, ben));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryNetwork {
    registry: Arc<parking_lot::Mutex<Registry>>,
}

#[derive(Debug, Default)]
struct Registry {
    listeners: BTreeMap<SocketAddr, Listener>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    links: Vec<Weak<Link>>,
    /// How many connections were made; no two have the same binding.
    made: u64,
}

#[derive(Debug)]
struct Listener {
    node: NodeId,
    ready: mpsc::Sender<MemoryConnection>,
}

impl MemoryNetwork {
    /// A network without nodes.
    ///
    /// ```
    /// use basefs::id::NodeId;
    /// use basefs::net::memory::MemoryNetwork;
    ///
    /// let (one, other) = (MemoryNetwork::new(), MemoryNetwork::new());
    /// let (address, node) = ("10.0.0.1:1".parse()?, NodeId::from_bytes([1; 32]));
    /// let _plugs = (one.bind(address, node)?, other.bind(address, node)?); // they do not touch
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Plugs a node in at a made-up address.
    ///
    /// # Errors
    ///
    /// [`BindError::Address`] if the address is taken; nothing was changed.
    ///
    /// ```
    /// use basefs::id::NodeId;
    /// use basefs::net::BindError;
    /// use basefs::net::memory::MemoryNetwork;
    ///
    /// let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
    /// let (network, address) = (MemoryNetwork::new(), "10.0.0.1:1".parse()?);
    /// let at_ana = network.bind(address, ana)?;
    /// assert!(matches!(network.bind(address, ben), Err(BindError::Address { .. })));
    /// drop(at_ana);
    /// network.bind(address, ben)?; // it is free again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind(&self, address: SocketAddr, node: NodeId) -> Result<MemoryTransport, BindError> {
        let mut registry = self.registry.lock();
        if registry.listeners.contains_key(&address) {
            return Err(BindError::Address { what: "it is taken".into() });
        }
        let (sender, ready) = mpsc::channel(MAX_READY);
        registry.listeners.insert(address, Listener { node, ready: sender });
        Ok(MemoryTransport::new(self.clone(), address, node, ready))
    }

    /// Cuts two nodes off from each other: their connections time out at once, and neither reaches
    /// the other until [`Self::heal`].
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use basefs::id::NodeId;
    /// # use basefs::net::memory::MemoryNetwork;
    /// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
    /// # let network = MemoryNetwork::new();
    /// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
    /// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
    /// # use basefs::net::Transport;
    /// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
    /// # let _to_ana = at_ben.accept().await.ok_or("closed")?;
    /// use basefs::net::{ConnectError, Connection, LinkError};
    ///
    /// network.partition(ana, ben);
    /// assert_eq!(to_ben.closed().await, LinkError::TimedOut);
    /// let again = at_ana.connect("10.0.0.2:1".parse()?, ben).await.map(|_| ());
    /// assert_eq!(again, Err(ConnectError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn partition(&self, one: NodeId, other: NodeId) {
        let mut registry = self.registry.lock();
        registry.cuts.insert(pair(one, other));
        registry
            .end_links(|link| pair(link.nodes[0], link.nodes[1]) == pair(one, other), Ended::Cut);
    }

    /// Undoes a [`Self::partition`]; connections must be made anew.
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
    /// network.partition(ana, ben);
    /// assert!(at_ana.connect("10.0.0.2:1".parse()?, ben).await.is_err());
    /// network.heal(ben, ana); // in either order
    /// assert!(at_ana.connect("10.0.0.2:1".parse()?, ben).await.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn heal(&self, one: NodeId, other: NodeId) {
        self.registry.lock().cuts.remove(&pair(one, other));
    }
}

fn pair(one: NodeId, other: NodeId) -> (NodeId, NodeId) {
    (one.min(other), one.max(other))
}

impl Registry {
    fn end_links(&mut self, which: impl Fn(&Link) -> bool, ended: Ended) {
        self.links.retain(|link| link.strong_count() > 0);
        for link in self.links.iter().filter_map(Weak::upgrade).filter(|link| which(link)) {
            link.end(ended);
        }
    }

    fn connect(
        &mut self,
        dialer: NodeId,
        address: SocketAddr,
        expected: NodeId,
    ) -> Result<MemoryConnection, ConnectError> {
        let listener = self.listeners.get(&address).ok_or(ConnectError::TimedOut)?;
        if self.cuts.contains(&pair(dialer, listener.node)) {
            return Err(ConnectError::TimedOut);
        }
        if listener.node != expected {
            return Err(ConnectError::OtherNode { expected });
        }
        let place = listener.ready.try_reserve().map_err(|_| ConnectError::Busy)?;
        self.made += 1;
        let (ours, theirs) = connection([dialer, expected], self.made);
        self.links.retain(|link| link.strong_count() > 0);
        self.links.push(Arc::downgrade(&ours.end.link));
        place.send(theirs);
        Ok(ours)
    }
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Dialer,
    Responder,
}

impl Side {
    const fn index(self) -> usize {
        match self {
            Side::Dialer => 0,
            Side::Responder => 1,
        }
    }

    const fn other(self) -> Side {
        match self {
            Side::Dialer => Side::Responder,
            Side::Responder => Side::Dialer,
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Closed { by: Side, reason: CloseReason },
    Cut,
}

/// What the two ends of a connection share.
#[derive(Debug)]
struct Link {
    nodes: [NodeId; 2],
    binding: [u8; 32],
    ended: watch::Sender<Option<Ended>>,
    /// Bytes sent from each side.
    sent: [AtomicU64; 2],
}

impl Link {
    /// Ends the connection; only the first end counts.
    fn end(&self, ended: Ended) {
        self.ended.send_if_modified(|now| {
            let first = now.is_none();
            now.get_or_insert(ended);
            first
        });
    }

    /// Waits for the end, as `side` sees it.
    async fn ended(&self, side: Side) -> LinkError {
        let mut watch = self.ended.subscribe();
        // The sender is ours, so waiting cannot fail.
        let ended = watch.wait_for(Option::is_some).await.map(|ended| *ended).unwrap_or_default();
        match ended {
            Some(Ended::Closed { by, .. }) if by == side => LinkError::ClosedHere,
            Some(Ended::Closed { reason, .. }) => LinkError::Closed(reason),
            Some(Ended::Cut) | None => LinkError::TimedOut,
        }
    }
}

/// The two ends of a new stream, as they travel to whoever accepts it.
type Pipes = (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>);

/// One end of a connection; the connection closes when it is dropped.
#[derive(Debug)]
struct End {
    link: Arc<Link>,
    side: Side,
    streams: Exchange<Pipes>,
    datagrams: Exchange<Bytes>,
    /// Each with what tells the sender that it was taken.
    pushes: Exchange<(Bytes, oneshot::Sender<()>)>,
}

/// What goes out at one end and comes in from the other.
#[derive(Debug)]
struct Exchange<M> {
    out: mpsc::Sender<M>,
    arrived: Mutex<mpsc::Receiver<M>>,
}

/// Two of them that belong together.
fn exchange<M>(capacity: usize) -> (Exchange<M>, Exchange<M>) {
    let (to_one, at_one) = mpsc::channel(capacity);
    let (to_other, at_other) = mpsc::channel(capacity);
    let exchange = |out, arrived| Exchange { out, arrived: Mutex::new(arrived) };
    (exchange(to_other, at_one), exchange(to_one, at_other))
}

impl End {
    fn count(&self, sent: u64) {
        self.link.sent[self.side.index()].fetch_add(sent, Ordering::Relaxed);
    }

    /// Fails if the connection has ended.
    async fn check(&self) -> Result<(), LinkError> {
        let ended = self.link.ended.borrow().is_some();
        if ended { Err(self.link.ended(self.side).await) } else { Ok(()) }
    }

    /// Runs `work` until the connection ends. What had arrived by then is still delivered.
    async fn until_ended<T>(
        &self,
        work: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        tokio::select! {
            biased;
            done = work => done,
            error = self.link.ended(self.side) => Err(error),
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.link.end(Ended::Closed { by: self.side, reason: CloseReason::Done });
    }
}

/// A connection in a [`MemoryNetwork`]. Clones are the same connection.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::net::Transport;
/// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// # let to_ana = at_ben.accept().await.ok_or("closed")?;
/// use basefs::net::Connection;
///
/// to_ben.send_datagram("hello".into());
/// assert_eq!(to_ana.receive_datagram().await?, "hello"); // none is ever lost
/// assert_eq!((to_ben.stats().sent, to_ana.stats().received), (5, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryConnection {
    end: Arc<End>,
}

/// Makes the two ends of the connection number `made`.
fn connection(nodes: [NodeId; 2], made: u64) -> (MemoryConnection, MemoryConnection) {
    let link = Arc::new(Link {
        nodes,
        binding: blake3::derive_key("basefs v1 memory binding", &made.to_be_bytes()),
        ended: watch::Sender::new(None),
        sent: [AtomicU64::new(0), AtomicU64::new(0)],
    });
    let (streams, datagrams) = (exchange(MAX_STREAMS), exchange(MAX_DATAGRAMS));
    let pushes = exchange(MAX_PUSHES);
    let end = |side, streams, datagrams, pushes| MemoryConnection {
        end: Arc::new(End { link: link.clone(), side, streams, datagrams, pushes }),
    };
    (
        end(Side::Dialer, streams.0, datagrams.0, pushes.0),
        end(Side::Responder, streams.1, datagrams.1, pushes.1),
    )
}

impl MemoryConnection {
    fn stream(
        &self,
        (frames, arrived): Pipes,
        announcement: Option<Announcement>,
    ) -> (MemorySender, MemoryReceiver) {
        (
            MemorySender::new(self.end.clone(), frames, announcement),
            MemoryReceiver::new(self.end.clone(), arrived),
        )
    }
}

impl Connection for MemoryConnection {
    type Sender = MemorySender;
    type Receiver = MemoryReceiver;

    fn node(&self) -> NodeId {
        self.end.link.nodes[self.end.side.index()]
    }

    fn peer(&self) -> NodeId {
        self.end.link.nodes[self.end.side.other().index()]
    }

    fn binding(&self) -> [u8; 32] {
        self.end.link.binding
    }

    /// Nothing is held back from strangers here.
    fn admit(&self) {}

    async fn open(&self) -> Result<(MemorySender, MemoryReceiver), LinkError> {
        let end = &self.end;
        end.check().await?;
        let place = end.until_ended(async {
            let opened = end.streams.out.clone();
            opened.reserve_owned().await.map_err(|_| LinkError::Closed(CloseReason::Done))
        });
        let place = place.await?;
        let (to_peer, from_us) = mpsc::channel(MAX_FRAMES);
        let (to_us, from_peer) = mpsc::channel(MAX_FRAMES);
        let announcement = Announcement { place, pipes: (to_us, from_us) };
        Ok(self.stream((to_peer, from_peer), Some(announcement)))
    }

    async fn accept(&self) -> Result<(MemorySender, MemoryReceiver), LinkError> {
        let end = &self.end;
        let next = end.until_ended(async {
            let pipes = end.streams.arrived.lock().await.recv().await;
            pipes.ok_or(LinkError::Closed(CloseReason::Done))
        });
        Ok(self.stream(next.await?, None))
    }

    fn send_datagram(&self, datagram: Bytes) {
        let length = datagram.len() as u64;
        let is_open = self.end.link.ended.borrow().is_none();
        if is_open
            && datagram.len() <= MAX_DATAGRAM
            && self.end.datagrams.out.try_send(datagram).is_ok()
        {
            self.end.count(length);
        }
    }

    async fn receive_datagram(&self) -> Result<Bytes, LinkError> {
        let end = &self.end;
        end.until_ended(async {
            let datagram = end.datagrams.arrived.lock().await.recv().await;
            datagram.ok_or(LinkError::Closed(CloseReason::Done))
        })
        .await
    }

    async fn push(&self, frame: Bytes) -> Result<(), LinkError> {
        framing::check_push(&frame)?;
        let (end, length) = (&self.end, frame.len() as u64);
        end.check().await?;
        end.until_ended(async {
            let lost = || LinkError::Closed(CloseReason::Done);
            let (taken, is_taken) = oneshot::channel();
            end.pushes.out.send((frame, taken)).await.map_err(|_| lost())?;
            end.count(length);
            is_taken.await.map_err(|_| lost())
        })
        .await
    }

    async fn receive_push(&self) -> Result<Bytes, LinkError> {
        let end = &self.end;
        end.until_ended(async {
            let pushed = end.pushes.arrived.lock().await.recv().await;
            let (frame, taken) = pushed.ok_or(LinkError::Closed(CloseReason::Done))?;
            // The sender may have stopped waiting.
            let _ = taken.send(());
            Ok(frame)
        })
        .await
    }

    /// Nothing is ever late or lost here.
    fn path(&self) -> Path {
        Path { rtt: Duration::ZERO, packets: 0, lost: 0 }
    }

    fn close(&self, reason: CloseReason) {
        self.end.link.end(Ended::Closed { by: self.end.side, reason });
    }

    async fn closed(&self) -> LinkError {
        self.end.link.ended(self.end.side).await
    }

    /// Counts frames without overhead; nothing is ever late or lost.
    fn stats(&self) -> LinkStats {
        let sent = |side: Side| self.end.link.sent[side.index()].load(Ordering::Relaxed);
        LinkStats {
            sent: sent(self.end.side),
            received: sent(self.end.side.other()),
            ..LinkStats::default()
        }
    }
}

impl fmt::Debug for MemoryConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryConnection").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
