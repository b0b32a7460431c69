//! Connections between nodes: the transport trait and its implementations.
//!
//! A [`Transport`] finds a peer by address and proves who it is. A [`Connection`] carries three
//! kinds of messages both ways: frames in order, on streams that stay open; single frames, *pushed*
//! each on a stream of its own, so that none waits for another, and whose sender learns when they
//! have arrived; and datagrams, which may be lost. It also knows its [`Path`]. The QUIC transport is the real one; the in-memory transport connects two nodes of
//! one process for tests. Over either, [`dial`] and [`welcome`] let a peer in only after the hello
//! in which both sides prove that they may read the same hierarchy. A [`Ticket`] is what somebody
//! needs to get that far. [`Driver`] runs a [`Node`](crate::node::Node) over a transport.
//!
//! An application puts a replica on the network with `Fs::serve`; this module is for those who
//! bring a transport or a host of their own. [The protocol](crate::manual::protocol) has the bytes.

mod admission;
mod backoff;
mod codec;
mod driver;
mod error;
mod framing;
mod gate;
mod hello;
pub mod memory;
mod quic;
mod ticket;
mod tls;

pub use crate::wire::ReadSecret;
pub use admission::{Access, Admission};
pub use backoff::Backoff;
pub use driver::{
    Driver, DriverError, Handle, Host, LinkStatus, PeerStatus, ReplicationError, SyncReport,
    SynchroniseError,
};
pub use error::{BindError, ConnectError, LinkError};
pub use gate::Gate;
pub use hello::{
    DIAL_TIMEOUT, Established, HELLO_LIMIT, HELLO_TIMEOUT, PROTOCOL_VERSION, Role, dial, hello,
    welcome,
};
pub use quic::{Congestion, QuicConfig, QuicConnection, QuicReceiver, QuicSender, QuicTransport};
pub use ticket::{PeerAddress, Ticket, TicketError};

use alloc::vec::Vec;
use core::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::gossip::Path;
use crate::id::NodeId;
use crate::limits::MAX_FRAME;

/// Longest pushed frame: a full parcel, and one more item with its content.
pub const MAX_PUSH: usize = 96 * 1_024;

/// Finds and accepts peers.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// use basefs::net::{Connection, Transport};
///
/// async fn reach<T: Transport>(from: &T, to: &T) -> Option<T::Connection> {
///     let address = *to.local_addresses().first()?;
///     from.connect(address, to.node()).await.ok()
/// }
///
/// let connection = reach(&at_ana, &at_ben).await.ok_or("not reached")?;
/// assert_eq!(connection.peer(), ben);
/// assert_eq!(at_ben.accept().await.map(|other| other.peer()), Some(ana));
/// at_ben.close(); // and with it all that it accepted
/// at_ben.wait_closed().await;
/// assert!(at_ben.accept().await.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Transport: Send + Sync + 'static {
    /// What it makes.
    type Connection: Connection;

    /// The identity that peers will see.
    fn node(&self) -> NodeId;

    /// The addresses at which it can be reached, as far as it knows.
    fn local_addresses(&self) -> Vec<SocketAddr>;

    /// Connects to the node `expected` at `address`. Succeeds only when the peer has proved that
    /// identity; whether it accepts ours is learnt in the hello that follows.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; no connection is left behind.
    fn connect(
        &self,
        address: SocketAddr,
        expected: NodeId,
    ) -> impl Future<Output = Result<Self::Connection, ConnectError>> + Send;

    /// The next peer that connected and proved an identity; nothing once the transport is closed.
    fn accept(&self) -> impl Future<Output = Option<Self::Connection>> + Send;

    /// Closes all connections and accepts no more.
    fn close(&self);

    /// Waits until peers have been told of a [`close`](Self::close), or had time enough: a process
    /// that ends before leaves them to their timeouts.
    fn wait_closed(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// An authenticated connection to one peer.
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
/// use basefs::net::{CloseReason, Connection, FrameReceiver, FrameSender, LinkError};
///
/// assert_eq!((to_ben.node(), to_ben.peer()), (ana, ben));
/// assert_eq!(to_ben.binding(), to_ana.binding()); // the same at both ends, and nowhere else
///
/// let (mut ask, mut answer) = to_ben.open().await?;
/// ask.send("how are you?".into()).await?; // only now the peer learns of the stream
/// let (mut reply, mut question) = to_ana.accept().await?;
/// assert_eq!(question.receive().await?.as_deref(), Some(&b"how are you?"[..]));
/// reply.send("well".into()).await?;
/// assert_eq!(answer.receive().await?.as_deref(), Some(&b"well"[..]));
///
/// assert_eq!((to_ben.stats().sent, to_ben.path().lost), (12, 0));
/// to_ana.close(CloseReason::Done);
/// assert_eq!(to_ben.closed().await, LinkError::Closed(CloseReason::Done));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Connection: Clone + Send + Sync + 'static {
    /// Sends frames.
    type Sender: FrameSender;
    /// Receives frames.
    type Receiver: FrameReceiver;

    /// Who is at this end.
    fn node(&self) -> NodeId;

    /// Who is at the other end; proved, not claimed.
    fn peer(&self) -> NodeId;

    /// A secret that only the two ends of this very connection know (RFC 5705), for binding
    /// proofs to it.
    fn binding(&self) -> [u8; 32];

    /// Grants the peer what only those get that passed the hello: until then it may open one
    /// stream, push nothing, and has little room to fill. [`hello`] calls it.
    fn admit(&self);

    /// Opens a stream for frames in both directions; waits while the peer allows no more. The
    /// peer learns of the stream with the first frame on it.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    fn open(
        &self,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), LinkError>> + Send;

    /// The next stream that the peer opened.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    fn accept(
        &self,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), LinkError>> + Send;

    /// Sends a datagram of at most [`MAX_DATAGRAM`](crate::limits::MAX_DATAGRAM) bytes. Never
    /// waits: it is lost if it is longer than the path allows or the connection is gone, and where
    /// there is no room, some of those that wait are.
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
    /// use basefs::limits::MAX_DATAGRAM;
    /// use basefs::net::Connection;
    ///
    /// to_ben.send_datagram(vec![0; MAX_DATAGRAM + 1].into()); // too long: it is lost
    /// to_ben.send_datagram("hello".into());
    /// assert_eq!(to_ana.receive_datagram().await?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn send_datagram(&self, datagram: Bytes);

    /// The next datagram. It may come twice, late or never. Before the hello nobody asks.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use basefs::id::NodeId;
    /// # use basefs::net::Transport;
    /// # use basefs::net::memory::MemoryNetwork;
    /// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
    /// # let network = MemoryNetwork::new();
    /// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
    /// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
    /// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
    /// # let to_ana = at_ben.accept().await.ok_or("closed")?;
    /// use basefs::net::{CloseReason, Connection, LinkError};
    ///
    /// to_ben.close(CloseReason::Done);
    /// assert_eq!(to_ana.receive_datagram().await, Err(LinkError::Closed(CloseReason::Done)));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn receive_datagram(&self) -> impl Future<Output = Result<Bytes, LinkError>> + Send;

    /// Sends one frame of at most [`MAX_PUSH`] bytes on a stream of its own, ahead of what waits
    /// on others, and waits until the peer's transport has acknowledged all of it. If the future
    /// is dropped before, the frame may still arrive.
    ///
    /// # Errors
    ///
    /// [`LinkError::FrameTooLong`], and nothing was sent; [`LinkError::Closed`] if the peer had no
    /// room or closed the connection. What the peer's node makes of the frame is not known.
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
    /// use basefs::net::{Connection, LinkError, MAX_PUSH};
    ///
    /// let (pushed, received) = tokio::join!(to_ben.push("news".into()), to_ana.receive_push());
    /// assert_eq!((pushed, received), (Ok(()), Ok("news".into())));
    /// let too_long = to_ben.push(vec![0; MAX_PUSH + 1].into()).await;
    /// assert!(matches!(too_long, Err(LinkError::FrameTooLong { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn push(&self, frame: Bytes) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// The next frame that has arrived in whole on a stream of its own, in the order in which
    /// they became whole. A slow one keeps none back. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`LinkError::FrameTooLong`] if the peer began a longer one; otherwise the connection is
    /// gone. A frame that the peer broke off is passed over.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use basefs::id::NodeId;
    /// # use basefs::net::Transport;
    /// # use basefs::net::memory::MemoryNetwork;
    /// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
    /// # let network = MemoryNetwork::new();
    /// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
    /// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
    /// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
    /// # let to_ana = at_ben.accept().await.ok_or("closed")?;
    /// use basefs::net::{Connection, LinkError};
    ///
    /// let both = async {
    ///     let one = to_ana.receive_push().await?;
    ///     Ok::<_, LinkError>((one, to_ana.receive_push().await?))
    /// };
    /// let (_, _, both) = tokio::join!(to_ben.push("one".into()), to_ben.push("two".into()), both);
    /// let (one, two) = both?;
    /// assert_eq!((one, two), ("one".into(), "two".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn receive_push(&self) -> impl Future<Output = Result<Bytes, LinkError>> + Send;

    /// What the transport has learnt about the way to the peer.
    fn path(&self) -> Path;

    /// Closes the connection and says why. What was sent and has not arrived is lost.
    fn close(&self, reason: CloseReason);

    /// Waits until the connection is gone.
    fn closed(&self) -> impl Future<Output = LinkError> + Send;

    /// Counters of this connection.
    fn stats(&self) -> LinkStats;
}

/// Sends frames in order. Dropping it finishes the stream.
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
/// use basefs::limits::MAX_FRAME;
/// use basefs::net::{Connection, FrameSender, LinkError};
///
/// let (mut sender, _receiver) = to_ben.open().await?;
/// let too_long = sender.send(vec![0; MAX_FRAME + 1].into()).await;
/// assert!(matches!(too_long, Err(LinkError::FrameTooLong { .. })));
/// sender.send("one".into()).await?; // nothing of the other was sent
/// sender.finish();
/// # drop(to_ana);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait FrameSender: Send + 'static {
    /// Sends one frame of at most [`MAX_FRAME`] bytes; waits while the peer does not read.
    ///
    /// If the future is dropped before it is done, part of the frame may be on its way: the
    /// stream is then unusable, and every further call fails.
    ///
    /// # Errors
    ///
    /// [`LinkError::FrameTooLong`], and nothing was sent; [`LinkError::ClosedHere`] after
    /// [`finish`](Self::finish); otherwise the stream or the connection is gone, and part of the
    /// frame may have arrived.
    fn send(&mut self, frame: Bytes) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// Ends the stream: the peer reads everything sent, then the end.
    fn finish(&mut self);
}

/// Receives frames in order.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::net::{Connection, Transport};
/// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// # let to_ana = at_ben.accept().await.ok_or("closed")?;
/// use basefs::net::{FrameReceiver, FrameSender};
///
/// let (mut sender, _) = to_ben.open().await?;
/// sender.send("short".into()).await?;
/// sender.send("much longer than that".into()).await?;
/// let (_, mut receiver) = to_ana.accept().await?;
/// assert_eq!(receiver.receive_at_most(10).await?.as_deref(), Some(&b"short"[..]));
/// assert!(receiver.receive_at_most(10).await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait FrameReceiver: Send + 'static {
    /// The next frame, or nothing when the peer has finished. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`LinkError::FrameTooLong`] if the peer announced a longer one than [`MAX_FRAME`]; otherwise
    /// the stream or the connection is gone.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use basefs::id::NodeId;
    /// # use basefs::net::memory::MemoryNetwork;
    /// # use basefs::net::{Connection, Transport};
    /// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
    /// # let network = MemoryNetwork::new();
    /// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
    /// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
    /// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
    /// # let to_ana = at_ben.accept().await.ok_or("closed")?;
    /// use basefs::net::{FrameReceiver, FrameSender};
    ///
    /// let (mut sender, _) = to_ben.open().await?;
    /// for frame in ["one", "two"] {
    ///     sender.send(frame.into()).await?;
    /// }
    /// sender.finish();
    ///
    /// let (_, mut receiver) = to_ana.accept().await?;
    /// let mut frames = vec![];
    /// while let Some(frame) = receiver.receive().await? {
    ///     frames.push(frame);
    /// }
    /// assert_eq!(frames, ["one", "two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn receive(&mut self) -> impl Future<Output = Result<Option<Bytes>, LinkError>> + Send {
        self.receive_at_most(MAX_FRAME)
    }

    /// Like [`Self::receive`], with a lower limit for the length of the frame in bytes: for peers
    /// that are not trusted with more.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), with this limit.
    fn receive_at_most(
        &mut self,
        limit: usize,
    ) -> impl Future<Output = Result<Option<Bytes>, LinkError>> + Send;
}

/// Counters of one connection, in bytes of UDP payload where the transport can tell.
///
/// ```
/// use basefs::net::LinkStats;
///
/// let stats = LinkStats { packets: 1_000, lost: 20, rtt_micros: 48_000, ..LinkStats::default() };
/// let percent = 100 * stats.lost / stats.packets.max(1);
/// assert_eq!(format!("{percent} % lost, {} ms", stats.rtt_micros / 1_000), "2 % lost, 48 ms");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Bytes sent, headers and repetitions included.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Smoothed round-trip time in microseconds; 0 if unknown.
    pub rtt_micros: u64,
    /// Packets sent.
    pub packets: u64,
    /// Packets lost among them.
    pub lost: u64,
}

/// Why a connection was closed, as a code on the wire.
///
/// ```
/// use basefs::net::CloseReason;
///
/// assert_eq!(CloseReason::from_code(5), CloseReason::Busy);
/// assert_eq!(CloseReason::from_code(77), CloseReason::Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The node leaves or is no longer interested.
    Done,
    /// The hello named another hierarchy.
    OtherHierarchy,
    /// The hello did not prove the read secret.
    WrongSecret,
    /// The hello was of another protocol version.
    OtherVersion,
    /// The peer broke the protocol.
    Misbehaved,
    /// Too many connections, or a budget is used up: try later.
    Busy,
    /// The node has expelled the peer.
    Expelled,
    /// A code this version does not know.
    Unknown,
}

impl CloseReason {
    /// Every reason that has a code of its own.
    const KNOWN: [CloseReason; 7] = [
        CloseReason::Done,
        CloseReason::OtherHierarchy,
        CloseReason::WrongSecret,
        CloseReason::OtherVersion,
        CloseReason::Misbehaved,
        CloseReason::Busy,
        CloseReason::Expelled,
    ];

    /// The code on the wire; part of the protocol. A connection that is merely dropped closes
    /// with 0.
    ///
    /// ```
    /// use basefs::net::CloseReason;
    ///
    /// assert_eq!((CloseReason::Done.code(), CloseReason::Expelled.code()), (0, 6));
    /// ```
    pub const fn code(self) -> u32 {
        match self {
            CloseReason::Done => 0,
            CloseReason::OtherHierarchy => 1,
            CloseReason::WrongSecret => 2,
            CloseReason::OtherVersion => 3,
            CloseReason::Misbehaved => 4,
            CloseReason::Busy => 5,
            CloseReason::Expelled => 6,
            // Far from the codes that later versions will add.
            CloseReason::Unknown => 0xffff,
        }
    }

    /// The reason behind a code.
    pub fn from_code(code: u64) -> Self {
        let known = Self::KNOWN.into_iter().find(|reason| u64::from(reason.code()) == code);
        known.unwrap_or(CloseReason::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_frozen() {
        let codes = CloseReason::KNOWN.map(CloseReason::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6]);
        for reason in CloseReason::KNOWN {
            assert_eq!(CloseReason::from_code(reason.code().into()), reason);
        }
        assert_eq!(CloseReason::from_code(7), CloseReason::Unknown);
        assert_eq!(CloseReason::from_code(u64::MAX), CloseReason::Unknown);
    }
}
