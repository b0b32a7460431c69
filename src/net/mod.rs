//! Connections between nodes: the transport trait and its implementations.
//!
//! A [`Transport`] finds a peer by address and proves who it is; a [`Connection`] carries frames
//! both ways. The QUIC transport is the real one; the in-memory transport connects two nodes of
//! one process for tests.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::id::NodeId;

/// Finds and accepts peers.
pub trait Transport: Send + Sync + 'static {
    /// What it makes.
    type Connection: Connection;

    /// The identity that peers will see.
    fn node(&self) -> NodeId;

    /// The addresses at which it can be reached, as far as it knows.
    fn local_addresses(&self) -> Vec<SocketAddr>;

    /// Connects to the node `expected` at `address`. Succeeds only when the peer has proved that
    /// identity; whether it accepts ours is learnt in the hello that follows.
    fn connect(
        &self,
        address: SocketAddr,
        expected: NodeId,
    ) -> impl Future<Output = Result<Self::Connection, ConnectError>> + Send;

    /// The next peer that connected and proved an identity; nothing once the transport is closed.
    fn accept(&self) -> impl Future<Output = Option<Self::Connection>> + Send;

    /// Closes all connections and accepts no more.
    fn close(&self);
}

/// An authenticated connection to one peer.
pub trait Connection: Clone + Send + Sync + 'static {
    /// Sends frames.
    type Sender: FrameSender;
    /// Receives frames.
    type Receiver: FrameReceiver;

    /// Who is at the other end; proved, not claimed.
    fn peer(&self) -> NodeId;

    /// A secret that only the two ends of this very connection know (RFC 5705), for binding
    /// proofs to it.
    fn binding(&self) -> [u8; 32];

    /// Opens a stream for frames in both directions.
    fn open(
        &self,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), LinkError>> + Send;

    /// The next stream that the peer opened.
    fn accept(
        &self,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), LinkError>> + Send;

    /// Closes the connection and says why.
    fn close(&self, reason: CloseReason);

    /// Waits until the connection is gone.
    fn closed(&self) -> impl Future<Output = LinkError> + Send;

    /// Counters of this connection.
    fn stats(&self) -> LinkStats;
}

/// Sends frames in order.
pub trait FrameSender: Send + 'static {
    /// Sends one frame of at most [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes; waits while the
    /// peer does not read.
    fn send(&mut self, frame: Bytes) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// Ends the stream: the peer reads everything sent, then the end.
    fn finish(&mut self);
}

/// Receives frames in order.
pub trait FrameReceiver: Send + 'static {
    /// The next frame, or nothing when the peer has finished.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Bytes>, LinkError>> + Send;
}

/// Counters of one connection, in bytes of UDP payload where the transport can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Bytes sent, headers and repetitions included.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Smoothed round-trip time in microseconds; 0 if unknown.
    pub rtt_micros: u64,
    /// Packets lost.
    pub lost: u64,
}

/// Why a connection was closed, as a code on the wire.
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
    /// A code this version does not know.
    Unknown,
}

/// Why no connection came about. No state was changed on either side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answered in time.
    TimedOut,
    /// The peer at this address is another node than the one expected.
    OtherNode {
        /// The identity that was expected.
        expected: NodeId,
    },
    /// The peer speaks another version of the protocol.
    OtherVersion,
    /// The peer replicates another hierarchy.
    OtherHierarchy,
    /// The peer does not accept our read secret, or we do not accept its: the ticket is outdated.
    WrongSecret,
    /// The peer broke the protocol while connecting.
    Misbehaved {
        /// What it did.
        what: String,
    },
    /// The peer accepts no more connections now.
    Busy,
    /// The local socket or configuration failed.
    Local {
        /// What the system said.
        what: String,
    },
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::TimedOut => f.write_str("the peer did not answer in time"),
            ConnectError::OtherNode { expected } => {
                write!(f, "another node than {expected:.16} answered at this address")
            }
            ConnectError::OtherVersion => {
                f.write_str("the peer speaks another version of the protocol")
            }
            ConnectError::OtherHierarchy => f.write_str("the peer replicates another hierarchy"),
            ConnectError::WrongSecret => f.write_str(
                "the read secret was not accepted: the ticket is outdated or of somebody else",
            ),
            ConnectError::Misbehaved { what } => write!(f, "the peer broke the protocol: {what}"),
            ConnectError::Busy => f.write_str("the peer accepts no more connections now"),
            ConnectError::Local { what } => write!(f, "this machine could not connect: {what}"),
        }
    }
}

impl core::error::Error for ConnectError {}

/// Why a connection or stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer closed it.
    Closed(CloseReason),
    /// This node closed it.
    ClosedHere,
    /// The peer was silent for too long, or the network is gone.
    TimedOut,
    /// The peer announced a frame longer than allowed; nothing of it was read.
    FrameTooLong {
        /// The length it announced.
        length: u64,
    },
    /// The stream ended inside a frame.
    Truncated,
    /// The connection failed in another way.
    Failed {
        /// What happened.
        what: String,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Closed(reason) => write!(f, "the peer closed the connection: {reason:?}"),
            LinkError::ClosedHere => f.write_str("the connection was closed here"),
            LinkError::TimedOut => f.write_str("the connection timed out"),
            LinkError::FrameTooLong { length } => {
                write!(f, "the peer announced a frame of {length} bytes, more than allowed")
            }
            LinkError::Truncated => f.write_str("the stream ended inside a frame"),
            LinkError::Failed { what } => write!(f, "the connection failed: {what}"),
        }
    }
}

impl core::error::Error for LinkError {}
