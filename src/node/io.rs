//! What goes into a node and what comes out.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use bytes::Bytes;

use super::fetch::Walk;
use super::frame::FrameError;
use super::outgoing::Outgoing;
use crate::block::ContentError;
use crate::entry::{InvalidEntry, SignedEntry, VerifiedEntry};
use crate::gossip::{MemberEvent, MemberFault, Path, PushError, PushId};
use crate::id::{Content, EntryId, LinkId, NodeId};
use crate::sync::SyncError;

/// What happened outside. About a link that is gone, any input is in order and does nothing.
///
/// ```
/// use basefs::id::{EntryId, NodeId};
/// use basefs::node::{Input, LinkId, Node, NodeEvent, Output, Replica};
/// use basefs::time::Timestamp;
///
/// let mut node = Node::new(Replica::new(EntryId::from_bytes([1; 32]), 7), [2; 32]);
/// let (link, peer) = (LinkId::new(0), NodeId::from_bytes([3; 32]));
/// node.handle(Timestamp::ZERO, Input::LinkUp { link, peer, dialed: true });
/// let Some(Output::Event(NodeEvent::SyncStarted { session: 1, .. })) = node.poll_output() else {
///     panic!("whoever dialled starts a session");
/// };
/// let Some(Output::Send { .. }) = node.poll_output() else { panic!("with a message") };
/// assert!(node.next_send(link).is_some());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A peer is connected and may read the hierarchy.
    LinkUp {
        /// The new link.
        link: LinkId,
        /// Who is at the other end.
        peer: NodeId,
        /// Whether this node dialled. The two ends must say the opposite.
        dialed: bool,
    },
    /// A connection is gone.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// A frame arrived.
    Frame {
        /// From where.
        link: LinkId,
        /// What it contains.
        bytes: Bytes,
    },
    /// Answers [`Output::Verify`].
    Verified {
        /// The link of the question.
        link: LinkId,
        /// The entries whose signatures hold, in the order they had.
        entries: Vec<VerifiedEntry>,
        /// How many did not hold.
        invalid: usize,
    },
    /// Answers [`Output::Walk`].
    Walked(Walk),
    /// All frames of an [`Outgoing`] were given to the transport.
    Sent {
        /// On which link.
        link: LinkId,
        /// What is left of it.
        outgoing: Outgoing,
    },
    /// A datagram arrived; it may arrive twice, late or never.
    Datagram {
        /// From where.
        link: LinkId,
        /// What it contains.
        bytes: Bytes,
    },
    /// A frame arrived on a one-way stream of its own, in whole.
    Pushed {
        /// From where.
        link: LinkId,
        /// What it contains.
        bytes: Bytes,
    },
    /// Answers [`Output::Push`].
    PushEnded {
        /// On which link.
        link: LinkId,
        /// Which.
        push: PushId,
        /// Whether the peer's transport has acknowledged all of it.
        delivered: bool,
    },
    /// What the transport has learnt about the way to a peer; about once a second, and when much
    /// has changed.
    Path {
        /// Of which link.
        link: LinkId,
        /// What it has learnt.
        path: Path,
    },
    /// Answers [`Output::Dial`], unless a link to the peer came up.
    DialFailed {
        /// Who did not answer, or refused.
        peer: NodeId,
    },
    /// Find out who has these entries and all that they refer to, durably:
    /// [`NodeEvent::Replicated`] says so for each peer, also for one that connects later, until
    /// [`Input::ForgetReplicated`].
    AwaitReplicated {
        /// Names the question in the answers; the host's choice.
        token: u64,
        /// The entries, which need not be here. None stands for the genesis.
        heads: Vec<EntryId>,
    },
    /// There is no interest any more in who has some entries.
    ForgetReplicated {
        /// The question.
        token: u64,
    },
    /// Somebody who may be a member, as a ticket has it. Needs a node that has
    /// [joined](super::Node::join).
    AddPeer {
        /// Who.
        peer: NodeId,
        /// Where.
        addresses: Vec<SocketAddr>,
    },
    /// Take leave of the other members and hang up.
    Leave,
    /// Compare with this peer as soon as possible, whether or not anything changed.
    Synchronise {
        /// On which link.
        link: LinkId,
    },
    /// Nothing happened but time: [`Node::poll_timeout`](super::Node::poll_timeout) says when this
    /// is due.
    Timeout,
}

/// What is to be done outside.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::node::Output;
///
/// let (mut ana, _) = nodes::machines();
/// ana.node.offer(nodes::motd());
/// while let Some(output) = ana.node.poll_output() {
///     match output {
///         Output::Store => ana.store(),
///         Output::Event(event) => println!("{event:?}"),
///         other => println!("to do: {other:?}"),
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Call [`Node::next_send`](super::Node::next_send) until it gives nothing; that is when this
    /// comes next for the link.
    Send {
        /// Which link has something to send.
        link: LinkId,
    },
    /// [`Node::wants_input`](super::Node::wants_input) was false and is true again.
    Receive {
        /// The link to read on.
        link: LinkId,
    },
    /// Check the signatures of entries, on as many cores as there are, and answer with
    /// [`Input::Verified`].
    Verify {
        /// Where they came from.
        link: LinkId,
        /// The entries.
        entries: Vec<SignedEntry>,
    },
    /// Look blocks up in the store and answer with [`Input::Walked`].
    Walk(Walk),
    /// Send a datagram, or lose it: at most
    /// [`MAX_DATAGRAM`](crate::limits::MAX_DATAGRAM) bytes.
    Datagram {
        /// To whom.
        link: LinkId,
        /// What it contains.
        bytes: Bytes,
    },
    /// Send a frame on a one-way stream of its own, at once, and answer with
    /// [`Input::PushEnded`].
    Push {
        /// To whom.
        link: LinkId,
        /// Which; never used again on this link.
        push: PushId,
        /// What it contains.
        bytes: Bytes,
    },
    /// Try to connect to a peer, once, at all its addresses. Answered by [`Input::LinkUp`] or by
    /// [`Input::DialFailed`]. An attempt that is under way begins anew at these addresses; both
    /// have one answer.
    Dial {
        /// Whom.
        peer: NodeId,
        /// Where.
        addresses: Vec<SocketAddr>,
    },
    /// Close a link that is of no use any more; nobody is at fault. Answered by
    /// [`Input::LinkDown`].
    HangUp {
        /// Which.
        link: LinkId,
    },
    /// There are effects: take them with [`Node::take_effects`](super::Node::take_effects), store
    /// them, and call [`Node::stored`](super::Node::stored).
    Store,
    /// Close a link; the node has forgotten it already.
    Close {
        /// Which.
        link: LinkId,
        /// What the peer did.
        fault: PeerFault,
    },
    /// Something that people may want to know.
    Event(NodeEvent),
}

/// Something that happened, for logs, statistics and those who wait for it.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::node::NodeEvent;
///
/// let (ana, _) = nodes::connected();
/// let started = NodeEvent::SyncStarted { link: nodes::WIRE, session: 1 };
/// assert_eq!(ana.events.first(), Some(&started));
/// let Some(NodeEvent::SyncFinished { equal: true, sent: 1, .. }) = ana.events.last() else {
///     panic!("one entry was sent, and that was all");
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A session of reconciliation began. It covers everything that was durable here by now.
    SyncStarted {
        /// On which link.
        link: LinkId,
        /// Its number among the sessions of this node, counted from 1.
        session: u64,
    },
    /// A session of reconciliation ended.
    SyncFinished {
        /// On which link.
        link: LinkId,
        /// Its number.
        session: u64,
        /// Whether both sides had the same entries at the end.
        equal: bool,
        /// Entries sent in it.
        sent: u64,
        /// Entries received in it, known ones included.
        received: u64,
    },
    /// A peer has told that it has all that was asked for, durably. It is the peer's word.
    Replicated {
        /// On which link.
        link: LinkId,
        /// Who.
        peer: NodeId,
        /// The question: that of [`Input::AwaitReplicated`].
        token: u64,
    },
    /// Something happened to a member.
    Member(MemberEvent),
    /// The author of a content made it so that it can never be complete; it is not asked for
    /// again.
    ContentInvalid {
        /// Which content.
        content: Content,
        /// What is wrong with it.
        error: ContentError,
    },
}

/// What a peer did that an honest one never does. Nothing of it was taken in.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::node::{Frame, Input, PeerFault};
/// use basefs::time::Timestamp;
///
/// let (mut ana, _) = nodes::connected();
/// let bytes = Frame::Blocks(vec![b"a block"[..].into()]).encode();
/// ana.node.handle(Timestamp::ZERO, Input::Frame { link: nodes::WIRE, bytes });
/// ana.work();
/// assert_eq!(ana.faults, [PeerFault::UnaskedBlock]);
/// assert_eq!(ana.node.peers().count(), 0, "it has forgotten the link");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerFault {
    /// It sent a frame that is none.
    Frame(FrameError),
    /// It pushed what is no push.
    Push(PushError),
    /// It broke the protocol of membership.
    Member(MemberFault),
    /// It sent something that has no place at this point.
    OutOfPlace,
    /// It broke the protocol of reconciliation.
    Sync(SyncError),
    /// It passed on an entry that is none.
    Entry(InvalidEntry),
    /// It passed on entries whose signatures don't hold.
    Signature,
    /// It passed on more entries that the log rejects or cannot place than an honest peer can
    /// have, or the same entries again and again.
    Flood,
    /// It sent, or said it lacks, a block that it was not asked for.
    UnaskedBlock,
    /// It asked for more blocks than may be asked for at a time.
    TooManyQuestions,
}

impl fmt::Display for PeerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerFault::Frame(error) => write!(f, "the peer broke the protocol: {error}"),
            PeerFault::Push(error) => write!(f, "the peer broke the protocol: {error}"),
            PeerFault::Member(error) => error.fmt(f),
            PeerFault::OutOfPlace => f.write_str("the peer sent a frame that has no place here"),
            PeerFault::Sync(error) => error.fmt(f),
            PeerFault::Entry(error) => write!(f, "the peer passed on an {error}"),
            PeerFault::Signature => f.write_str("the peer passed on entries with bad signatures"),
            PeerFault::Flood => f.write_str("the peer passed on too many useless entries"),
            PeerFault::UnaskedBlock => f.write_str("the peer answered what it was not asked"),
            PeerFault::TooManyQuestions => f.write_str("the peer asked for too many blocks"),
        }
    }
}

impl core::error::Error for PeerFault {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            PeerFault::Frame(error) => Some(error),
            PeerFault::Push(error) => Some(error),
            PeerFault::Member(error) => Some(error),
            PeerFault::Sync(error) => Some(error),
            PeerFault::Entry(error) => Some(error),
            _ => None,
        }
    }
}
