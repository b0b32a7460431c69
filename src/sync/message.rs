//! The messages of a session, each in exactly one form.
//!
//! ```text
//! open   = 1 version(1) nonce(16) flags(1) [root(16)] lo [hi]    flags: 1 root, 2 upper end
//! accept = 2 nonce(16)
//! ranges = 3 statements         more of the same follows
//! last   = 4 statements         initiator: my last request; responder: end of an answer
//! done   = 5                    all my entries of this round were sent
//! root   = 6 root(16)
//! again  = 7                    the roots differ: another round
//! close  = 8 equal(1)
//! lo, hi = length(varint) bytes
//! ```
//!
//! Numbers are LEB128 in their shortest form.

use alloc::vec::Vec;

use super::KeyRange;
use super::compare::MESSAGE_MAX;
use super::error::SyncError;
use super::key::{Nonce, Root};
use crate::limits::MAX_ORDER_KEY;

/// Of this protocol.
const VERSION: u8 = 1;

const OPEN: u8 = 1;
const ACCEPT: u8 = 2;
const RANGES: u8 = 3;
const LAST: u8 = 4;
const DONE: u8 = 5;
const ROOT: u8 = 6;
const AGAIN: u8 = 7;
const CLOSE: u8 = 8;

const WITH_ROOT: u8 = 1;
const WITH_HI: u8 = 2;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Open { nonce: Nonce, root: Option<Root>, range: KeyRange },
    Accept { nonce: Nonce },
    Ranges { statements: Vec<u8>, last: bool },
    Done,
    Root(Root),
    Again,
    Close { equal: bool },
}

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Message::Open { nonce, root, range } => {
                bytes.extend([OPEN, VERSION]);
                bytes.extend(nonce.as_bytes());
                let with_root = if root.is_some() { WITH_ROOT } else { 0 };
                let with_hi = if range.hi.is_some() { WITH_HI } else { 0 };
                bytes.push(with_root | with_hi);
                bytes.extend(root.iter().flat_map(|root| root.0));
                for bound in [Some(&range.lo), range.hi.as_ref()].into_iter().flatten() {
                    put_varint(&mut bytes, bound.len());
                    bytes.extend(bound);
                }
            }
            Message::Accept { nonce } => {
                bytes.push(ACCEPT);
                bytes.extend(nonce.as_bytes());
            }
            Message::Ranges { statements, last } => {
                bytes.push(if *last { LAST } else { RANGES });
                bytes.extend(statements);
            }
            Message::Done => bytes.push(DONE),
            Message::Root(root) => {
                bytes.push(ROOT);
                bytes.extend(root.0);
            }
            Message::Again => bytes.push(AGAIN),
            Message::Close { equal } => bytes.extend([CLOSE, u8::from(*equal)]),
        }
        bytes
    }

    /// Decodes a message; statements in it are not looked at yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        if bytes.len() > MESSAGE_MAX {
            return Err(SyncError::TooMuch);
        }
        let (&kind, mut rest) = bytes.split_first().ok_or(SyncError::Truncated)?;
        let message = match kind {
            OPEN => decode_open(&mut rest)?,
            ACCEPT => Message::Accept { nonce: Nonce::from_bytes(take(&mut rest)?) },
            RANGES | LAST => {
                let statements = core::mem::take(&mut rest).to_vec();
                Message::Ranges { statements, last: kind == LAST }
            }
            DONE => Message::Done,
            ROOT => Message::Root(Root(take(&mut rest)?)),
            AGAIN => Message::Again,
            CLOSE => match take(&mut rest)? {
                [0] => Message::Close { equal: false },
                [1] => Message::Close { equal: true },
                _ => return Err(SyncError::NotCanonical),
            },
            _ => return Err(SyncError::UnknownKind(kind)),
        };
        if rest.is_empty() { Ok(message) } else { Err(SyncError::Trailing) }
    }
}

fn decode_open(rest: &mut &[u8]) -> Result<Message, SyncError> {
    let [version] = take(rest)?;
    if version != VERSION {
        return Err(SyncError::UnknownVersion(version));
    }
    let nonce = Nonce::from_bytes(take(rest)?);
    let [flags] = take(rest)?;
    if flags & !(WITH_ROOT | WITH_HI) != 0 {
        return Err(SyncError::NotCanonical);
    }
    let root = if flags & WITH_ROOT != 0 { Some(Root(take(rest)?)) } else { None };
    let lo = take_bytes(rest)?;
    let hi = if flags & WITH_HI != 0 { Some(take_bytes(rest)?) } else { None };
    let range = KeyRange::new(lo, hi).ok_or(SyncError::BadBound)?;
    Ok(Message::Open { nonce, root, range })
}

fn take_bytes(rest: &mut &[u8]) -> Result<Vec<u8>, SyncError> {
    let length = take_varint(rest)?;
    if length > MAX_ORDER_KEY {
        return Err(SyncError::BadBound);
    }
    let (bytes, after) = rest.split_at_checked(length).ok_or(SyncError::Truncated)?;
    *rest = after;
    Ok(bytes.to_vec())
}

/// Takes a fixed number of bytes.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], SyncError> {
    let (bytes, after) = rest.split_first_chunk().ok_or(SyncError::Truncated)?;
    *rest = after;
    Ok(*bytes)
}

/// Writes a length: seven bits a byte, low ones first, the top bit on all but the last.
pub(super) fn put_varint(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

/// Takes a length of at most three bytes: nothing here is longer than two million.
pub(super) fn take_varint(rest: &mut &[u8]) -> Result<usize, SyncError> {
    let mut number = 0;
    for shift in [0, 7, 14] {
        let [byte] = take(rest)?;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return Err(SyncError::NotCanonical);
            }
            return Ok(number);
        }
    }
    Err(SyncError::TooMuch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn messages_are_frozen_and_read_back() {
        let nonce = Nonce::from_bytes([9; 16]);
        let root = Root([8; 16]);
        let range = KeyRange::with_prefix(b"a");
        let whole = Message::Open { nonce, root: None, range: KeyRange::ALL };
        for (message, bytes) in [
            (
                Message::Open { nonce, root: Some(root), range },
                [&[1, 1][..], &[9; 16], &[3], &[8; 16], &[1, b'a', 1, b'b']].concat(),
            ),
            (whole, [&[1, 1][..], &[9; 16], &[0, 0]].concat()),
            (Message::Accept { nonce }, [&[2][..], &[9; 16]].concat()),
            (Message::Ranges { statements: vec![1, 2], last: false }, vec![3, 1, 2]),
            (Message::Ranges { statements: vec![], last: true }, vec![4]),
            (Message::Done, vec![5]),
            (Message::Root(root), [&[6][..], &[8; 16]].concat()),
            (Message::Again, vec![7]),
            (Message::Close { equal: true }, vec![8, 1]),
        ] {
            assert_eq!(message.encode(), bytes);
            assert_eq!(Message::decode(&bytes), Ok(message));
        }
    }

    #[test]
    fn lengths_have_one_form() {
        for number in [0, 1, 127, 128, 4_385, 16_383, 16_384, 2_097_151] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            assert_eq!(take_varint(&mut bytes.as_slice()), Ok(number));
        }
        assert_eq!(take_varint(&mut [0x80, 0].as_slice()), Err(SyncError::NotCanonical));
        assert_eq!(take_varint(&mut [0x80, 0x80, 0x80, 1].as_slice()), Err(SyncError::TooMuch));
        assert_eq!(take_varint(&mut [0x80].as_slice()), Err(SyncError::Truncated));
    }
}
