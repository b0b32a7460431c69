//! Why there is no transport, no connection, or no connection any more.

use alloc::string::String;
use core::fmt;

use super::CloseReason;
use crate::id::NodeId;

/// Why no transport came about. Nothing was opened.
///
/// ```
/// use basefs::net::{BindError, QuicConfig, QuicTransport};
/// use basefs::wire::SecretKey;
///
/// let bound = QuicTransport::bind(QuicConfig::default(), &SecretKey::from_seed([7; 32]));
/// assert!(matches!(bound, Err(BindError::NoRuntime)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// There is no tokio runtime here to run it on.
    NoRuntime,
    /// The address cannot be listened at: it is taken, or not of this machine.
    Address {
        /// What the system said.
        what: String,
    },
    /// The node's certificate or the TLS configuration could not be made: a bug, or a library
    /// that does not fit.
    Identity {
        /// What the library said.
        what: String,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::NoRuntime => f.write_str("a transport needs a tokio runtime to run on"),
            BindError::Address { what } => write!(f, "cannot listen at this address: {what}"),
            BindError::Identity { what } => write!(f, "cannot set up the node's identity: {what}"),
        }
    }
}

impl core::error::Error for BindError {}

/// Why no connection came about. No state was changed on either side.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use basefs::id::NodeId;
/// use basefs::net::memory::MemoryNetwork;
/// use basefs::net::{ConnectError, Transport};
///
/// let [ana, ben, cleo] = [1, 2, 3].map(|n| NodeId::from_bytes([n; 32]));
/// let network = MemoryNetwork::new();
/// let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// let _at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// let tried = at_ana.connect("10.0.0.2:1".parse()?, cleo).await.map(|_| ());
/// assert_eq!(tried, Err(ConnectError::OtherNode { expected: cleo }));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// The peer has expelled this node, or this node the peer. It does not depend on a ticket.
    Expelled,
    /// The peer broke the protocol while connecting.
    Misbehaved {
        /// What it did.
        what: String,
    },
    /// The peer accepts no more connections now.
    Busy,
    /// The peer closed the connection before the hello was through.
    HungUp {
        /// What it gave as the reason.
        reason: CloseReason,
    },
    /// The connection was lost before the hello was through.
    Lost {
        /// What happened.
        what: String,
    },
    /// The local socket or configuration failed, or the transport was closed meanwhile.
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
            ConnectError::Expelled => f.write_str("one of the two nodes has expelled the other"),
            ConnectError::Misbehaved { what } => write!(f, "the peer broke the protocol: {what}"),
            ConnectError::Busy => f.write_str("the peer accepts no more connections now"),
            ConnectError::HungUp { reason } => {
                write!(f, "the peer hung up during the hello: {reason:?}")
            }
            ConnectError::Lost { what } => {
                write!(f, "the connection was lost during the hello: {what}")
            }
            ConnectError::Local { what } => write!(f, "this machine could not connect: {what}"),
        }
    }
}

impl core::error::Error for ConnectError {}

/// Why a connection or stream ended.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use basefs::id::NodeId;
/// use basefs::net::memory::MemoryNetwork;
/// use basefs::net::{CloseReason, Connection, LinkError, Transport};
///
/// let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// let network = MemoryNetwork::new();
/// let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// let connection = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// let other = at_ben.accept().await.ok_or("closed")?;
/// other.close(CloseReason::Busy);
/// assert_eq!(connection.closed().await, LinkError::Closed(CloseReason::Busy));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer closed it, or the stream alone.
    Closed(CloseReason),
    /// This node closed it, or finished the stream before.
    ClosedHere,
    /// The peer was silent for too long, or the network is gone.
    TimedOut,
    /// A frame longer than allowed: announced by the peer, or given to
    /// [`FrameSender::send`](super::FrameSender::send). Nothing of it was read or sent.
    FrameTooLong {
        /// Its length in bytes.
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
                write!(f, "a frame of {length} bytes is longer than allowed")
            }
            LinkError::Truncated => f.write_str("the stream ended inside a frame"),
            LinkError::Failed { what } => write!(f, "the connection failed: {what}"),
        }
    }
}

impl core::error::Error for LinkError {}
