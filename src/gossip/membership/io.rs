//! What goes into membership and what comes out.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use bytes::Bytes;

use super::super::{Claim, Path, Profile};
use crate::id::{LinkId, NodeId};
use crate::time::Timestamp;
use crate::wire::SecretKey;

/// What a member tells the others about itself.
///
/// ```
/// use basefs::gossip::{LocalMember, Membership, Profile};
/// use basefs::wire::SecretKey;
///
/// let local = LocalMember {
///     key: SecretKey::from_seed([1; 32]),
///     addresses: vec!["192.0.2.1:4000".parse()?],
///     weight: 1,
///     zone: "hall".into(),
///     profile: Profile::Lan,
/// };
/// let id = *local.key.public().as_bytes();
/// assert_eq!(Membership::new(local, [2; 32], 1).node().as_bytes(), &id);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LocalMember {
    /// The key that its id is the public half of; signs what it says of itself.
    pub key: SecretKey,
    /// Where it can be reached; the first [`MAX_ADDRESSES`](super::MAX_ADDRESSES) count.
    pub addresses: Vec<SocketAddr>,
    /// How much it is able to do, in units that the application chooses.
    pub weight: u8,
    /// Where it is: any name that the application chooses, at most
    /// [`MAX_ZONE`](super::MAX_ZONE) bytes.
    pub zone: String,
    /// What kind of network it is on. It is not told to others, who had better choose the same.
    pub profile: Profile,
}

/// What happened. About a link that is gone, any input is in order and does nothing.
///
/// ```
/// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
/// use basefs::gossip::{Membership, MembershipInput as Input, MembershipOutput as Output};
/// use basefs::id::NodeId;
/// use basefs::time::Timestamp;
///
/// let mut membership = Membership::new(members::local(1), [2; 32], 1);
/// let (node, addresses) = (NodeId::from_bytes([3; 32]), vec!["192.0.2.3:4000".parse()?]);
/// membership.handle(Timestamp::ZERO, Input::AddPeer { node, addresses: addresses.clone() });
/// assert_eq!(membership.poll_output(), Some(Output::Dial { peer: node, addresses }));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A peer is connected.
    LinkUp {
        /// The new link.
        link: LinkId,
        /// Who is at the other end.
        peer: NodeId,
        /// Whether this node dialled.
        dialed: bool,
    },
    /// A connection is gone.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// Answers [`Output::Dial`] if no link came of it.
    DialFailed {
        /// Whom.
        peer: NodeId,
    },
    /// A datagram arrived whose first byte is 1 to 15.
    Datagram {
        /// From where.
        link: LinkId,
        /// What it contains.
        bytes: Bytes,
    },
    /// What the other side gave as [`Output::Table`] arrived.
    Table {
        /// From where.
        link: LinkId,
        /// What it contains.
        bytes: Bytes,
    },
    /// Anything authenticated arrived on a link: its peer is alive. Datagrams and tables given
    /// here need not be reported beside.
    Heard {
        /// On which.
        link: LinkId,
    },
    /// The transport knows more about a way.
    Path {
        /// Of which link.
        link: LinkId,
        /// What it knows.
        path: Path,
    },
    /// Somebody who may be a member, as a ticket has it.
    AddPeer {
        /// Who.
        node: NodeId,
        /// Where.
        addresses: Vec<SocketAddr>,
    },
    /// Take leave of the others and hang up.
    Leave,
    /// This node can be reached elsewhere now.
    SetAddresses(Vec<SocketAddr>),
    /// Nothing happened but time.
    Timeout,
}

/// What is to be done.
///
/// ```
/// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
/// use basefs::gossip::{MembershipInput as Input, MembershipOutput as Output};
/// use basefs::time::Timestamp;
///
/// let (mut ana, mut ben) = members::connected();
/// let Some(Output::Table { link, bytes }) = ana.poll_output() else { panic!("not a greeting") };
/// // The host sends that; what arrives at the other end is an input there.
/// ben.handle(Timestamp::ZERO, Input::Table { link, bytes });
/// assert!(ben.member(&ana.node()).is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send a datagram.
    Datagram {
        /// To whom.
        link: LinkId,
        /// What it contains, at most [`MAX_DATAGRAM`](crate::limits::MAX_DATAGRAM) bytes.
        bytes: Bytes,
    },
    /// Send this in order and without loss.
    Table {
        /// To whom.
        link: LinkId,
        /// What it contains, at most [`MAX_TABLE`](super::MAX_TABLE) bytes.
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
    /// Close a link that is of no use any more. Answered by [`Input::LinkDown`].
    HangUp {
        /// Which.
        link: LinkId,
    },
    /// The links that entries are pushed to from now on: following them from any member reaches
    /// all others.
    Neighbours(Vec<LinkId>),
    /// The links to all other members in the order of their ring, starting after this one; empty
    /// if some have no link.
    Ring(Vec<LinkId>),
    /// Something that people or other parts may want to know.
    Event(MemberEvent),
    /// A peer broke the protocol. What it sent was not taken in, or not from where it breaks it;
    /// whether the link is closed is up to the receiver of this.
    Fault {
        /// Who.
        link: LinkId,
        /// How.
        fault: MemberFault,
    },
}

/// Something that happened to a member.
///
/// ```
/// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
/// use basefs::gossip::MemberEvent;
/// use basefs::time::Timestamp;
///
/// let (mut ana, mut ben) = members::connected();
/// let events = members::talk(Timestamp::ZERO, &mut ana, &mut ben);
/// assert!(events.contains(&MemberEvent::Joined(ben.node())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberEvent {
    /// A node is a member that was none.
    Joined(NodeId),
    /// A member does not answer.
    Suspected(NodeId),
    /// A member that was suspected is alive.
    Refuted(NodeId),
    /// A member does not answer, and others say so too.
    Died(NodeId),
    /// A member that was dead, or had left, is alive.
    Returned(NodeId),
    /// A member took its leave.
    Left(NodeId),
    /// A member can be reached elsewhere.
    Moved(NodeId),
    /// A dead member, or one that left, is no longer remembered.
    Forgotten(NodeId),
    /// A peer told its claim; perhaps the same again.
    Claimed {
        /// On which link.
        link: LinkId,
        /// What it claims.
        claim: Claim,
    },
}

/// How a peer broke the protocol of membership. An honest peer never does.
///
/// ```
/// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
/// use basefs::gossip::{MemberFault, MembershipInput as Input, MembershipOutput as Output};
/// use basefs::time::Timestamp;
///
/// let (mut ana, mut ben) = members::connected();
/// members::talk(Timestamp::ZERO, &mut ana, &mut ben);
/// let (link, bytes) = (members::WIRE, b"\x01no ping"[..].into());
/// ana.handle(Timestamp::ZERO, Input::Datagram { link, bytes });
/// let fault = MemberFault::Datagram;
/// assert_eq!(ana.poll_output(), Some(Output::Fault { link, fault }));
/// assert_eq!(fault.to_string(), "the peer sent a membership datagram that is none");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberFault {
    /// It sent a datagram that is none. A kind that is not known is ignored instead: a later
    /// version may have more.
    Datagram,
    /// It sent a table that is none.
    Table,
    /// It passed on a record that the member did not sign.
    Signature,
}

impl fmt::Display for MemberFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemberFault::Datagram => "the peer sent a membership datagram that is none",
            MemberFault::Table => "the peer sent a table of members that is none",
            MemberFault::Signature => "the peer passed on a member record with a bad signature",
        })
    }
}

impl core::error::Error for MemberFault {}

/// What this node holds for true about a member.
///
/// ```
/// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
/// use basefs::gossip::{MemberState, MembershipInput as Input};
/// use basefs::time::Timestamp;
///
/// let (mut ana, mut ben) = members::connected();
/// members::talk(Timestamp::ZERO, &mut ana, &mut ben);
/// ben.handle(Timestamp::ZERO, Input::Leave);
/// members::talk(Timestamp::ZERO, &mut ana, &mut ben);
/// assert_eq!(ana.member(&ben.node()).map(|ben| ben.state), Some(MemberState::Left));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// It answers, as far as is known.
    Alive,
    /// It does not answer; that may be the network.
    Suspect,
    /// It is given up. It is dialled every now and then, for it may come back.
    Dead,
    /// It took its leave.
    Left,
}

/// Another member, as this node sees it.
///
/// ```
/// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
/// use basefs::gossip::MemberState;
/// use basefs::time::Timestamp;
///
/// let (mut ana, mut ben) = members::connected();
/// members::talk(Timestamp::ZERO, &mut ana, &mut ben);
/// let member = ana.member(&ben.node()).expect("they have met");
/// assert_eq!((member.state, member.zone.as_str()), (MemberState::Alive, "hall"));
/// assert_eq!((member.link, member.claim), (Some(members::WIRE), None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub node: NodeId,
    /// What is held for true about it.
    pub state: MemberState,
    /// Since when.
    pub since: Timestamp,
    /// The number of what it last said of itself.
    pub incarnation: u64,
    /// Where it can be reached.
    pub addresses: Vec<SocketAddr>,
    /// How much it is able to do, by its own account.
    pub weight: u8,
    /// Where it is, by its own account.
    pub zone: String,
    /// The connection to it, if there is one.
    pub link: Option<LinkId>,
    /// What it last claimed, and when that was heard.
    pub claim: Option<(Claim, Timestamp)>,
}
