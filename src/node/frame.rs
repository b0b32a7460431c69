//! What one node says to another, frame by frame.
//!
//! ```text
//! frame   = kind(1) body
//! sync    = 1  a message of the session under way
//! entries = 2  (length(2, big endian) entry)+           1 to 128 entries
//! changed = 3
//! ask     = 4  id(32)+                                  1 to 256 blocks
//! blocks  = 5  (length(4, big endian) block)+           answers an ask, in any order
//! absent  = 6  id(32)+                                  answers an ask, too
//! have    = 7  id(32)*                                  at most 256; none: "ask again"
//! members = 8  a table of members, or what stands for it
//! claim   = 11 claim(20)
//! await   = 9  token(8, big endian) id(32)*             at most 256 entries; none: "forget it"
//! reached = 10 token(8, big endian)                     answers an await
//! ```
//!
//! Each has exactly one form. What is inside a frame, a message, an entry or a block, is judged by
//! whoever takes it; here only the shape is.

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::gossip::Claim;
use crate::id::{BlockId, EntryId};
use crate::limits::{MAX_ENTRY, MAX_FRAME, MAX_LEAF};

/// Entries of one frame: about 64 KiB of usual ones.
pub const MAX_FRAME_ENTRIES: usize = 128;
/// Ids of one frame: 8 KiB, and enough that a round trip for each frame costs little.
pub const MAX_FRAME_IDS: usize = 256;

const SYNC: u8 = 1;
const ENTRIES: u8 = 2;
const CHANGED: u8 = 3;
const ASK: u8 = 4;
const BLOCKS: u8 = 5;
const ABSENT: u8 = 6;
const HAVE: u8 = 7;
const MEMBERS: u8 = 8;
const CLAIM: u8 = 11;
const AWAIT: u8 = 9;
const REACHED: u8 = 10;

/// Bytes before the body.
pub(super) const FRAME_HEAD: usize = 1;
/// Bytes before an entry.
const ENTRY_HEAD: usize = 2;
/// Bytes before a block.
pub(super) const BLOCK_HEAD: usize = 4;
/// Bytes of the number of a question.
const TOKEN: usize = 8;

const _: () = {
    assert!(FRAME_HEAD + MAX_FRAME_ENTRIES * (ENTRY_HEAD + MAX_ENTRY) <= MAX_FRAME);
    assert!(FRAME_HEAD + BLOCK_HEAD + MAX_LEAF <= MAX_FRAME);
    assert!(FRAME_HEAD + TOKEN + MAX_FRAME_IDS * BlockId::LEN <= MAX_FRAME);
    assert!(EntryId::LEN == BlockId::LEN);
};

/// One frame.
///
/// ```
/// use basefs::node::Frame;
///
/// assert_eq!(Frame::decode(&b"\x03"[..].into()), Ok(Frame::Changed));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// A message of reconciliation.
    Sync(Bytes),
    /// The exact bytes of entries.
    Entries(Vec<Bytes>),
    /// There is something new here: whoever dialled may start a session.
    Changed,
    /// Please send these blocks.
    Ask(Vec<BlockId>),
    /// Blocks that were asked for.
    Blocks(Vec<Bytes>),
    /// Blocks that were asked for and are not here.
    Absent(Vec<BlockId>),
    /// Blocks that were absent and are here now; if none is named, too many were absent to
    /// remember, and some of them may be here.
    Have(Vec<BlockId>),
    /// What membership has to say at length.
    Members(Bytes),
    /// What the sender has, in short.
    Claim(Claim),
    /// Please say when all these entries are durable in your replica. If none is named, there is
    /// no interest any more in an answer to the question with this token.
    Await {
        /// Names the question in the answer; never used again by this peer on this link.
        token: u64,
        /// The entries.
        heads: Vec<EntryId>,
    },
    /// All entries of a question are durable here, and so is everything that they refer to.
    Reached {
        /// That of the question.
        token: u64,
    },
}

impl Frame {
    /// The bytes on the wire.
    ///
    /// ```
    /// use basefs::node::Frame;
    ///
    /// let frame = Frame::Entries(vec![b"entry"[..].into()]);
    /// assert_eq!(frame.encode(), b"\x02\x00\x05entry"[..]);
    /// assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    /// ```
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Frame::Sync(message) => {
                bytes.put_u8(SYNC);
                bytes.put_slice(message);
            }
            Frame::Entries(entries) => {
                bytes.put_u8(ENTRIES);
                for entry in entries {
                    // An entry is far shorter than 65,536 bytes.
                    bytes.put_u16(u16::try_from(entry.len()).unwrap_or(u16::MAX));
                    bytes.put_slice(entry);
                }
            }
            Frame::Changed => bytes.put_u8(CHANGED),
            Frame::Ask(ids) => put_ids(&mut bytes, ASK, ids),
            Frame::Blocks(blocks) => {
                bytes.put_u8(BLOCKS);
                for block in blocks {
                    // As for entries: a block has at most 262,144 bytes.
                    bytes.put_u32(u32::try_from(block.len()).unwrap_or(u32::MAX));
                    bytes.put_slice(block);
                }
            }
            Frame::Absent(ids) => put_ids(&mut bytes, ABSENT, ids),
            Frame::Have(ids) => put_ids(&mut bytes, HAVE, ids),
            Frame::Members(table) => {
                bytes.put_u8(MEMBERS);
                bytes.put_slice(table);
            }
            Frame::Claim(claim) => {
                bytes.put_u8(CLAIM);
                bytes.put_slice(claim.as_bytes());
            }
            Frame::Await { token, heads } => {
                bytes.put_u8(AWAIT);
                bytes.put_u64(*token);
                heads.iter().for_each(|id| bytes.put_slice(id.as_bytes()));
            }
            Frame::Reached { token } => {
                bytes.put_u8(REACHED);
                bytes.put_u64(*token);
            }
        }
        bytes.freeze()
    }

    /// Takes a frame apart. Nothing is copied: the parts are slices of `bytes`.
    ///
    /// ```
    /// use basefs::node::{Frame, FrameError};
    ///
    /// assert_eq!(Frame::decode(&b""[..].into()), Err(FrameError::Empty));
    /// ```
    ///
    /// # Errors
    ///
    /// A [`FrameError`]; the peer that sent it is at fault.
    pub fn decode(bytes: &Bytes) -> Result<Self, FrameError> {
        let kind = *bytes.first().ok_or(FrameError::Empty)?;
        let body = bytes.slice(FRAME_HEAD..);
        match kind {
            SYNC => Ok(Frame::Sync(body)),
            ENTRIES => entries(body).map(Frame::Entries),
            CHANGED if body.is_empty() => Ok(Frame::Changed),
            CHANGED => Err(FrameError::Length),
            ASK => ids(&body, 1).map(Frame::Ask),
            BLOCKS => blocks(body).map(Frame::Blocks),
            ABSENT => ids(&body, 1).map(Frame::Absent),
            HAVE => ids(&body, 0).map(Frame::Have),
            MEMBERS => Ok(Frame::Members(body)),
            CLAIM => {
                let claim = body[..].try_into().map_err(|_| FrameError::Length)?;
                Ok(Frame::Claim(Claim::from_bytes(claim)))
            }
            AWAIT => {
                let (token, body) = token(&body)?;
                let ids = ids(body, 0)?;
                let heads = ids.iter().map(|id| EntryId::from_bytes(*id.as_bytes())).collect();
                Ok(Frame::Await { token, heads })
            }
            REACHED => match token(&body)? {
                (token, []) => Ok(Frame::Reached { token }),
                _ => Err(FrameError::Length),
            },
            kind => Err(FrameError::UnknownKind(kind)),
        }
    }
}

fn put_ids(bytes: &mut BytesMut, kind: u8, ids: &[BlockId]) {
    bytes.put_u8(kind);
    for id in ids {
        bytes.put_slice(id.as_bytes());
    }
}

fn ids(body: &[u8], least: usize) -> Result<Vec<BlockId>, FrameError> {
    let (ids, rest) = body.as_chunks::<{ BlockId::LEN }>();
    if !rest.is_empty() || !(least..=MAX_FRAME_IDS).contains(&ids.len()) {
        return Err(FrameError::Length);
    }
    Ok(ids.iter().map(|id| BlockId::from_bytes(*id)).collect())
}

fn token(body: &[u8]) -> Result<(u64, &[u8]), FrameError> {
    let (token, rest) = body.split_first_chunk::<TOKEN>().ok_or(FrameError::Truncated)?;
    Ok((u64::from_be_bytes(*token), rest))
}

fn entries(mut body: Bytes) -> Result<Vec<Bytes>, FrameError> {
    let mut entries = Vec::new();
    while let Some(head) = body.first_chunk::<ENTRY_HEAD>() {
        let length = usize::from(u16::from_be_bytes(*head));
        if entries.len() == MAX_FRAME_ENTRIES {
            return Err(FrameError::Length);
        }
        entries.push(item(&mut body, ENTRY_HEAD, length, MAX_ENTRY)?);
    }
    finish(entries, &body)
}

fn blocks(mut body: Bytes) -> Result<Vec<Bytes>, FrameError> {
    let mut blocks = Vec::new();
    while let Some(head) = body.first_chunk::<BLOCK_HEAD>() {
        let length = usize::try_from(u32::from_be_bytes(*head)).map_err(|_| FrameError::Length)?;
        blocks.push(item(&mut body, BLOCK_HEAD, length, MAX_LEAF)?);
    }
    finish(blocks, &body)
}

/// Takes the next item off the body, after its head.
fn item(body: &mut Bytes, head: usize, length: usize, most: usize) -> Result<Bytes, FrameError> {
    if length == 0 || length > most {
        return Err(FrameError::Length);
    }
    if body.len() < head + length {
        return Err(FrameError::Truncated);
    }
    Ok(body.split_to(head + length).slice(head..))
}

fn finish(items: Vec<Bytes>, rest: &[u8]) -> Result<Vec<Bytes>, FrameError> {
    match (items.is_empty(), rest.is_empty()) {
        (_, false) => Err(FrameError::Truncated),
        (true, true) => Err(FrameError::Length),
        (false, true) => Ok(items),
    }
}

/// Why bytes are not a frame. The peer that sent them is at fault; nothing was changed.
///
/// ```
/// use basefs::node::{Frame, FrameError};
///
/// assert_eq!(Frame::decode(&b""[..].into()), Err(FrameError::Empty));
/// assert_eq!(Frame::decode(&b"\xff"[..].into()), Err(FrameError::UnknownKind(0xff)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// There is not even a kind.
    Empty,
    /// No frame of this version is of that kind.
    UnknownKind(u8),
    /// The frame ends inside an item.
    Truncated,
    /// An item is empty or too long, or there are too few or too many.
    Length,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Empty => f.write_str("a frame is empty"),
            FrameError::UnknownKind(kind) => write!(f, "there is no frame of kind {kind}"),
            FrameError::Truncated => f.write_str("a frame ends inside an item"),
            FrameError::Length => f.write_str("a length or number in a frame is out of bounds"),
        }
    }
}

impl core::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn some_ids() -> impl Strategy<Value = Vec<BlockId>> {
        prop::collection::vec(any::<[u8; 32]>().prop_map(BlockId::from_bytes), 1..9)
    }

    fn some_items() -> impl Strategy<Value = Vec<Bytes>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40).prop_map(Bytes::from), 1..9)
    }

    fn frame() -> impl Strategy<Value = Frame> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Frame::Sync(bytes.into())),
            some_items().prop_map(Frame::Entries),
            Just(Frame::Changed),
            some_ids().prop_map(Frame::Ask),
            some_items().prop_map(Frame::Blocks),
            some_ids().prop_map(Frame::Absent),
            some_ids().prop_map(Frame::Have),
            Just(Frame::Have(vec![])),
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| Frame::Members(bytes.into())),
            any::<[u8; 20]>().prop_map(|bytes| Frame::Claim(Claim::from_bytes(bytes))),
            (any::<u64>(), prop::collection::vec(any::<[u8; 32]>(), 0..9)).prop_map(
                |(token, ids)| {
                    let heads = ids.into_iter().map(EntryId::from_bytes).collect();
                    Frame::Await { token, heads }
                }
            ),
            any::<u64>().prop_map(|token| Frame::Reached { token }),
        ]
    }

    proptest! {
        #[test]
        fn frames_survive_the_wire(frame in frame()) {
            prop_assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }

        /// Whatever a peer sends is refused or has exactly one form.
        #[test]
        fn nothing_decodes_to_a_frame_with_other_bytes(
            kind in 0_u8..13,
            body in prop::collection::vec(prop_oneof![4 => Just(0), 2 => 0_u8..4, 1 => any::<u8>()], 0..200),
        ) {
            let bytes = Bytes::from([&[kind][..], &body].concat());
            if let Ok(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let decode = |bytes: &'static [u8]| Frame::decode(&Bytes::from_static(bytes));
        assert_eq!(decode(b""), Err(FrameError::Empty));
        assert_eq!(decode(b"\x63"), Err(FrameError::UnknownKind(99)));
        assert_eq!(decode(b"\x03\x00"), Err(FrameError::Length));
        assert_eq!(decode(b"\x02"), Err(FrameError::Length), "no entry");
        assert_eq!(decode(b"\x02\x00\x00"), Err(FrameError::Length), "an empty entry");
        assert_eq!(decode(b"\x02\x00\x02a"), Err(FrameError::Truncated));
        assert_eq!(decode(b"\x05\x00\x04\x00\x01"), Err(FrameError::Length), "longer than a leaf");
        assert_eq!(decode(b"\x09\x00\x01"), Err(FrameError::Truncated), "half a token");
        assert_eq!(decode(b"\x0a12345678\x00"), Err(FrameError::Length), "more than a token");
        let many = Bytes::from([&[4][..], &[7; 257 * 32]].concat());
        assert_eq!(Frame::decode(&many), Err(FrameError::Length), "too many ids");
    }
}
