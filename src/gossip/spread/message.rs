//! Datagrams about entries: who has them, who lacks them.
//!
//! ```text
//! announce = 16 id(32)+        I have these, and nobody told me that you do
//! pull     = 17 id(32)+        please push these, if you still have them at hand
//! ```

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use crate::id::EntryId;
use crate::limits::MAX_DATAGRAM;

const ANNOUNCE: u8 = 16;
const PULL: u8 = 17;

/// Ids of one datagram.
pub(super) const MAX_IDS: usize = 32;

const _: () = assert!(MAX_IDS * EntryId::LEN < MAX_DATAGRAM);

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Announce(Vec<EntryId>),
    Pull(Vec<EntryId>),
}

impl Message {
    pub(super) fn encode(&self) -> Bytes {
        let (kind, ids) = match self {
            Message::Announce(ids) => (ANNOUNCE, ids),
            Message::Pull(ids) => (PULL, ids),
        };
        let mut bytes = BytesMut::with_capacity(1 + ids.len() * EntryId::LEN);
        bytes.put_u8(kind);
        ids.iter().for_each(|id| bytes.put_slice(id.as_bytes()));
        bytes.freeze()
    }

    /// The message, or nothing if it is none; the peer is at fault then.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, body) = bytes.split_first()?;
        let (ids, rest) = body.as_chunks::<{ EntryId::LEN }>();
        if !rest.is_empty() || !(1..=MAX_IDS).contains(&ids.len()) {
            return None;
        }
        let ids = ids.iter().map(|id| EntryId::from_bytes(*id)).collect();
        match *kind {
            ANNOUNCE => Some(Message::Announce(ids)),
            PULL => Some(Message::Pull(ids)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn messages_are_frozen_and_read_back() {
        let ids = vec![EntryId::from_bytes([7; 32])];
        for (message, kind) in [(Message::Announce(ids.clone()), 16), (Message::Pull(ids), 17)] {
            assert_eq!(message.encode(), [&[kind][..], &[7; 32]].concat());
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for bytes in [&[][..], &[16], &[16; 32], &[18; 33], &[16; 33 * 32 + 1]] {
            assert_eq!(Message::decode(bytes), None);
        }
    }
}
