//! What one push carries: new entries, or a piece of a content.
//!
//! ```text
//! push   = parcel | piece | routed
//! parcel = 1 item+                                       1 to 128 items, about 64 KiB
//! piece  = 2 span(2) root(32) length(2) index(1) proofs(1) proof(32)* bytes
//! routed = 3 span(2) item
//! item   = length(2) entry length(4) body                the entry's content if that is one small
//!                                                        block; length 0: none, 2^32 - 1: in pieces
//! ```
//!
//! Numbers are big endian. A span says how much of the ring of members the receiver answers for;
//! 0 in a piece: all its neighbours.

use alloc::vec::Vec;
use core::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::block::{MAX_PIECED, MAX_PROOF, PIECE, Piece};
use crate::id::BlockId;
use crate::limits::MAX_ENTRY;

/// Most items of a parcel: as many as a frame of a session has.
pub const MAX_PARCEL_ITEMS: usize = 128;
/// Longest parcel in bytes, unless its first item is longer: enough that heads cost nothing, and
/// soon enough sent that what comes next need not wait.
pub const PARCEL_FILL: usize = 64 * 1_024;
/// Longest content that travels with its entry. Everything above is asked for by those that lack
/// it, from whoever has it: then no byte is sent twice to the same node.
pub const MAX_BODY: usize = MAX_PIECED;

const PARCEL: u8 = 1;
const PIECE_OF: u8 = 2;
const ROUTED: u8 = 3;
/// The length of a body that comes in pieces.
const IN_PIECES: u32 = u32::MAX;

/// The content of a pushed entry.
///
/// ```
/// use basefs::gossip::{Carried, Parcelled, Pushed};
///
/// let (entry, content) = (b"entry"[..].into(), b"content"[..].into());
/// let item = Parcelled { entry, body: Carried::Block(content) };
/// let push = Pushed::Parcel(vec![item]).encode();
/// assert_eq!(push, b"\x01\x00\x05entry\x00\x00\x00\x07content"[..]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It stands in the entry, or there is none, or it is to be asked for.
    Nothing,
    /// It follows in pieces.
    InPieces,
    /// The one block that it consists of, of 1 to [`MAX_BODY`] bytes. Who takes it checks that it
    /// is the one.
    Block(Bytes),
}

/// An entry, with its content if that is small.
///
/// ```
/// use basefs::gossip::{Carried, Parcelled};
///
/// let item = Parcelled { entry: b"entry"[..].into(), body: Carried::Nothing };
/// assert_eq!(item.body, Carried::Nothing);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcelled {
    /// The exact bytes of the entry.
    pub entry: Bytes,
    /// Its content.
    pub body: Carried,
}

/// What a push is.
///
/// ```
/// use basefs::gossip::{Carried, Parcelled, Pushed};
///
/// let item = Parcelled { entry: b"entry"[..].into(), body: Carried::InPieces };
/// let push = Pushed::Routed { span: 12, item };
/// assert_eq!(Pushed::decode(&push.encode()), Ok(push));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Entries for the receiver, who passes them on to all its neighbours.
    Parcel(Vec<Parcelled>),
    /// A piece of a block.
    Piece {
        /// What the receiver answers for; nothing: its neighbours.
        span: Option<usize>,
        /// The block.
        root: BlockId,
        /// Its length in bytes.
        length: usize,
        /// The piece; proved to be one of the block.
        piece: Piece,
    },
    /// An entry for the part of the ring that the receiver answers for.
    Routed {
        /// How large that is.
        span: usize,
        /// The entry.
        item: Parcelled,
    },
}

impl Parcelled {
    /// Bytes in a push.
    pub(super) fn size(&self) -> usize {
        let body = if let Carried::Block(body) = &self.body { body.len() } else { 0 };
        2 + self.entry.len() + 4 + body
    }

    fn put(&self, bytes: &mut BytesMut) {
        // Both are far shorter than their lengths allow.
        bytes.put_u16(u16::try_from(self.entry.len()).unwrap_or(u16::MAX));
        bytes.put_slice(&self.entry);
        match &self.body {
            Carried::Nothing => bytes.put_u32(0),
            Carried::InPieces => bytes.put_u32(IN_PIECES),
            Carried::Block(body) => {
                bytes.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
                bytes.put_slice(body);
            }
        }
    }

    fn take(rest: &mut Bytes) -> Result<Self, PushError> {
        let length = usize::from(number(rest, Bytes::get_u16)?);
        if length == 0 || length > MAX_ENTRY {
            return Err(PushError::Length);
        }
        let entry = part(rest, length)?;
        let body = match number(rest, Bytes::get_u32)? {
            0 => Carried::Nothing,
            IN_PIECES => Carried::InPieces,
            length => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > MAX_BODY {
                    return Err(PushError::Length);
                }
                Carried::Block(part(rest, length)?)
            }
        };
        Ok(Self { entry, body })
    }
}

impl Pushed {
    /// The bytes on the wire.
    ///
    /// ```
    /// use basefs::gossip::{Carried, Parcelled, Pushed};
    ///
    /// let items = vec![Parcelled { entry: b"entry"[..].into(), body: Carried::Nothing }];
    /// let push = Pushed::Parcel(items);
    /// assert_eq!(push.encode(), b"\x01\x00\x05entry\x00\x00\x00\x00"[..]);
    /// assert_eq!(Pushed::decode(&push.encode()), Ok(push));
    /// ```
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Pushed::Parcel(items) => {
                bytes.reserve(1 + items.iter().map(Parcelled::size).sum::<usize>());
                bytes.put_u8(PARCEL);
                items.iter().for_each(|item| item.put(&mut bytes));
            }
            Pushed::Piece { span, root, length, piece } => {
                bytes.put_u8(PIECE_OF);
                bytes.put_u16(span.map_or(0, short));
                bytes.put_slice(root.as_bytes());
                bytes.put_u16(short(*length));
                // A block has sixteen pieces at most.
                bytes.put_u8(u8::try_from(piece.index).unwrap_or(u8::MAX));
                bytes.put_u8(u8::try_from(piece.proof.len()).unwrap_or(u8::MAX));
                piece.proof.iter().for_each(|value| bytes.put_slice(value));
                bytes.put_slice(&piece.bytes);
            }
            Pushed::Routed { span, item } => {
                bytes.put_u8(ROUTED);
                bytes.put_u16(short(*span));
                item.put(&mut bytes);
            }
        }
        bytes.freeze()
    }

    /// Takes a push apart. Parts are slices of `bytes`.
    ///
    /// ```
    /// use basefs::gossip::{PushError, Pushed};
    ///
    /// assert_eq!(Pushed::decode(&b"\x01"[..].into()), Err(PushError::Length), "an empty parcel");
    /// ```
    ///
    /// # Errors
    ///
    /// A [`PushError`]; the peer that sent it is at fault.
    pub fn decode(bytes: &Bytes) -> Result<Self, PushError> {
        let mut rest = bytes.clone();
        match number(&mut rest, Bytes::get_u8)? {
            PARCEL => {
                let mut items = Vec::new();
                while !rest.is_empty() {
                    if items.len() == MAX_PARCEL_ITEMS {
                        return Err(PushError::Length);
                    }
                    items.push(Parcelled::take(&mut rest)?);
                }
                if items.is_empty() { Err(PushError::Length) } else { Ok(Pushed::Parcel(items)) }
            }
            PIECE_OF => take_piece(rest),
            ROUTED => {
                let span = usize::from(number(&mut rest, Bytes::get_u16)?);
                let item = Parcelled::take(&mut rest)?;
                if span == 0 || !rest.is_empty() {
                    return Err(PushError::Length);
                }
                Ok(Pushed::Routed { span, item })
            }
            _ => Err(PushError::UnknownKind),
        }
    }
}

/// A span is smaller than the number of members; a block in pieces has at most 16 KiB.
fn short(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn take_piece(mut rest: Bytes) -> Result<Pushed, PushError> {
    let span = Some(usize::from(number(&mut rest, Bytes::get_u16)?)).filter(|span| *span > 0);
    let root = BlockId::from_slice(&part(&mut rest, BlockId::LEN)?).ok_or(PushError::Length)?;
    let length = usize::from(number(&mut rest, Bytes::get_u16)?);
    let index = usize::from(number(&mut rest, Bytes::get_u8)?);
    let proofs = usize::from(number(&mut rest, Bytes::get_u8)?);
    if proofs > MAX_PROOF {
        return Err(PushError::Length);
    }
    let mut proof = Vec::with_capacity(proofs);
    for _ in 0..proofs {
        let value = part(&mut rest, 32)?;
        proof.push(value[..].try_into().map_err(|_| PushError::Length)?);
    }
    if rest.is_empty() || rest.len() > PIECE {
        return Err(PushError::Length);
    }
    let piece = Piece { index, proof, bytes: rest };
    if !piece.is_of(&root, length) {
        return Err(PushError::Forged);
    }
    Ok(Pushed::Piece { span, root, length, piece })
}

/// Takes a number off the front.
fn number<N>(rest: &mut Bytes, take: impl Fn(&mut Bytes) -> N) -> Result<N, PushError> {
    if rest.len() < size_of::<N>() { Err(PushError::Truncated) } else { Ok(take(rest)) }
}

fn part(rest: &mut Bytes, length: usize) -> Result<Bytes, PushError> {
    if rest.len() < length { Err(PushError::Truncated) } else { Ok(rest.split_to(length)) }
}

/// Why bytes are not a push. The peer that sent them is at fault; nothing was changed.
///
/// ```
/// use basefs::gossip::{PushError, Pushed};
///
/// assert_eq!(Pushed::decode(&b"\xff"[..].into()), Err(PushError::UnknownKind));
/// assert_eq!(Pushed::decode(&b"\x01\x00\x05ent"[..].into()), Err(PushError::Truncated));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// It begins with a kind that this version does not know.
    UnknownKind,
    /// It ends inside an item, or there is nothing in it.
    Truncated,
    /// An item is empty or too long, or there are too many or none.
    Length,
    /// A piece is not one of the block that it claims to be of.
    Forged,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PushError::UnknownKind => "a push is of an unknown kind",
            PushError::Truncated => "a push ends inside an item",
            PushError::Length => "a length or number in a push is out of bounds",
            PushError::Forged => "a piece is not of its block",
        })
    }
}

impl core::error::Error for PushError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn item() -> impl Strategy<Value = Parcelled> {
        let bytes = |most| prop::collection::vec(any::<u8>(), 1..most).prop_map(Bytes::from);
        let body = prop_oneof![
            Just(Carried::Nothing),
            Just(Carried::InPieces),
            bytes(40).prop_map(Carried::Block),
        ];
        (bytes(40), body).prop_map(|(entry, body)| Parcelled { entry, body })
    }

    proptest! {
        #[test]
        fn pushes_survive_the_wire(
            items in prop::collection::vec(item(), 1..9),
            span in 1_usize..1_000,
            block in prop::collection::vec(any::<u8>(), 1..MAX_BODY),
        ) {
            let item = items[0].clone();
            let mut pushes = vec![Pushed::Parcel(items), Pushed::Routed { span, item }];
            let block = Bytes::from(block);
            let (root, length) = (crate::block::id(&block), block.len());
            for (at, piece) in Piece::split(&block).into_iter().enumerate() {
                let span = Some(span).filter(|_| at % 2 == 0);
                pushes.push(Pushed::Piece { span, root, length, piece });
            }
            for push in pushes {
                prop_assert_eq!(Pushed::decode(&push.encode()), Ok(push));
            }
        }

        /// Whatever a peer sends is refused or has exactly one form.
        #[test]
        fn nothing_decodes_to_a_push_with_other_bytes(
            kind in 0_u8..5,
            body in prop::collection::vec(prop_oneof![4 => Just(0), 2 => 0_u8..4, 1 => any::<u8>()], 0..99),
        ) {
            let bytes = Bytes::from([&[kind][..], &body].concat());
            if let Ok(push) = Pushed::decode(&bytes) {
                prop_assert_eq!(push.encode(), bytes);
            }
        }
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let decode = |bytes: Vec<u8>| Pushed::decode(&bytes.into());
        assert_eq!(decode(vec![]), Err(PushError::Truncated));
        assert_eq!(decode(vec![9, 0]), Err(PushError::UnknownKind));
        assert_eq!(decode(vec![PARCEL]), Err(PushError::Length), "nothing in it");
        assert_eq!(decode(vec![PARCEL, 0, 0]), Err(PushError::Length), "an empty entry");
        assert_eq!(decode(vec![PARCEL, 0, 2, 1]), Err(PushError::Truncated));
        assert_eq!(decode(vec![PARCEL, 0, 1, 1]), Err(PushError::Truncated), "no length");
        assert_eq!(decode(vec![PARCEL, 0, 1, 1, 0, 1, 0, 0]), Err(PushError::Length));
        assert_eq!(decode(vec![ROUTED, 0, 0, 0, 1, 1, 0, 0, 0, 0]), Err(PushError::Length));
        let item = Parcelled { entry: vec![1].into(), body: Carried::Nothing };
        let one = Pushed::Parcel(vec![item]).encode();
        let many = [&[PARCEL][..], &one[1..].repeat(129)].concat();
        assert_eq!(decode(many), Err(PushError::Length));
        let block = Bytes::from(vec![7; 3_000]);
        let [.., piece] = &Piece::split(&block)[..] else { panic!("there are three") };
        let root = crate::block::id(&block);
        let push = Pushed::Piece { span: None, root, length: 3_000, piece: piece.clone() };
        let mut bytes = push.encode().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(decode(bytes), Err(PushError::Forged));
    }
}
