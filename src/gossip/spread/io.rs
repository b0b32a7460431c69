//! What goes into the spreading of entries and what comes out.

use alloc::vec::Vec;

use bytes::Bytes;

use super::super::{Path, PushId};
use super::parcel::Parcelled;
use crate::block::Piece;
use crate::id::{BlockId, EntryId, LinkId};

/// What happened.
///
/// ```
/// use basefs::gossip::{Spread, SpreadInput as Input, SpreadOutput as Output};
/// use basefs::id::{EntryId, LinkId};
/// use basefs::time::Timestamp;
///
/// let mut spread = Spread::new();
/// let (link, id) = (LinkId::new(1), EntryId::from_bytes([7; 32]));
/// spread.handle(Timestamp::ZERO, Input::LinkUp { link });
/// // A peer spoke of an entry that is not here: it is asked for it.
/// spread.handle(Timestamp::ZERO, Input::Missing { link, id });
/// assert!(matches!(spread.poll_output(), Some(Output::Datagram { .. })));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A peer is connected.
    LinkUp {
        /// The new link.
        link: LinkId,
    },
    /// A connection is gone.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// The links that entries are pushed to from now on.
    Neighbours(Vec<LinkId>),
    /// The links to all other members in the order of their ring, starting after this one; empty
    /// if some have no link.
    Ring(Vec<LinkId>),
    /// The transport knows more about a way.
    Path {
        /// Of which link.
        link: LinkId,
        /// What it knows.
        path: Path,
    },
    /// An entry is new here and may leave this node.
    Publish {
        /// Which.
        id: EntryId,
        /// The entry, with its content if that is small and here.
        item: Parcelled,
        /// Id and length of its content, if that is one block of at most
        /// [`MAX_BODY`](super::MAX_BODY) bytes.
        block: Option<(BlockId, usize)>,
        /// Who sent it; nothing if it was written here.
        from: Option<LinkId>,
        /// The part of the ring that this node answers for; nothing: its neighbours.
        span: Option<usize>,
    },
    /// An entry came again, for a part of the ring that this node answers for.
    Again {
        /// Which.
        id: EntryId,
        /// How large the part is.
        span: usize,
    },
    /// A piece came, which is one of the block that it claims to be of.
    Piece {
        /// From where.
        link: LinkId,
        /// The part of the ring that this node answers for; nothing: its neighbours.
        span: Option<usize>,
        /// The block.
        root: BlockId,
        /// Its length in bytes.
        length: usize,
        /// The piece.
        piece: Piece,
    },
    /// A peer has shown that it has an entry.
    Has {
        /// Who.
        link: LinkId,
        /// Which entry.
        id: EntryId,
    },
    /// An entry is not here that a peer must have: it announced it, or sent what refers to it.
    Missing {
        /// Who.
        link: LinkId,
        /// Which entry.
        id: EntryId,
    },
    /// A datagram arrived.
    Datagram {
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
        /// Whether all of it arrived.
        delivered: bool,
    },
    /// Nothing happened but time.
    Timeout,
}

/// What is to be done.
///
/// ```
/// use basefs::gossip::{Spread, SpreadInput as Input, SpreadOutput as Output};
/// use basefs::id::{EntryId, LinkId};
/// use basefs::time::Timestamp;
///
/// let (mut asks, mut has) = (Spread::new(), Spread::new());
/// let (link, id) = (LinkId::new(1), EntryId::from_bytes([7; 32]));
/// for spread in [&mut asks, &mut has] {
///     spread.handle(Timestamp::ZERO, Input::LinkUp { link });
/// }
/// asks.handle(Timestamp::ZERO, Input::Missing { link, id });
/// let Some(Output::Datagram { link, bytes }) = asks.poll_output() else { panic!("no question") };
/// has.handle(Timestamp::ZERO, Input::Datagram { link, bytes });
/// // What was asked for is not at hand any more; comparing sets will do.
/// assert_eq!(has.poll_output(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send a frame on a one-way stream of its own.
    Push {
        /// To whom.
        link: LinkId,
        /// Which.
        push: PushId,
        /// The frame.
        bytes: Bytes,
    },
    /// Send a datagram.
    Datagram {
        /// To whom.
        link: LinkId,
        /// What it contains.
        bytes: Bytes,
    },
    /// A peer has these entries; say [`Input::Missing`] of those that are not here.
    Announced {
        /// Who.
        link: LinkId,
        /// Which.
        ids: Vec<EntryId>,
    },
    /// A block is here that an entry here names.
    Assembled {
        /// Its id.
        root: BlockId,
        /// The whole of it.
        bytes: Bytes,
    },
    /// Something could not be pushed to a peer, or not be had from it: compare sets with it.
    Lagging {
        /// Who.
        link: LinkId,
    },
    /// A peer sent a datagram that is none.
    Fault {
        /// Who.
        link: LinkId,
    },
}
