//! New entries on their way: what one push carries.
//!
//! ```text
//! parcel = 1 item+                                       1 to 128 items, 64 KiB
//! item   = length(2) entry length(4) body                a body of length 0: none
//! ```
//!
//! Lengths are big endian. The body is the content of the entry if that is one small block; who
//! takes the parcel checks that it is.

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::MAX_ENTRY;

/// Most items of a parcel: as many as a frame of a session has.
pub const MAX_PARCEL_ITEMS: usize = 128;
/// Longest parcel in bytes, unless its first item is longer: enough that heads cost nothing, and
/// soon enough sent that what comes next need not wait.
pub const PARCEL_FILL: usize = 64 * 1_024;
/// Longest content that travels with its entry. Everything above is asked for by those that lack
/// it, from whoever has it: then no byte is sent twice to the same node.
pub const MAX_BODY: usize = 16 * 1_024;

/// The first byte.
const PARCEL: u8 = 1;
const ENTRY_HEAD: usize = 2;
const BODY_HEAD: usize = 4;

/// An entry, and its content if that is small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcelled {
    /// The exact bytes of the entry.
    pub entry: Bytes,
    /// Its content, if that is one block of at most [`MAX_BODY`] bytes and not in the entry.
    pub body: Option<Bytes>,
}

impl Parcelled {
    /// Bytes in a parcel.
    pub(super) fn size(&self) -> usize {
        ENTRY_HEAD + self.entry.len() + BODY_HEAD + self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// The bytes of a parcel.
///
/// ```
/// use basefs::gossip::{Parcelled, decode_parcel, encode_parcel};
///
/// let items = vec![Parcelled { entry: b"entry"[..].into(), body: None }];
/// let bytes = encode_parcel(&items);
/// assert_eq!(bytes, b"\x01\x00\x05entry\x00\x00\x00\x00"[..]);
/// assert_eq!(decode_parcel(&bytes), Ok(items));
/// ```
pub fn encode_parcel(items: &[Parcelled]) -> Bytes {
    debug_assert!((1..=MAX_PARCEL_ITEMS).contains(&items.len()), "a parcel has 1 to 128 items");
    let mut bytes = BytesMut::with_capacity(1 + items.iter().map(Parcelled::size).sum::<usize>());
    bytes.put_u8(PARCEL);
    for item in items {
        // Both are far shorter than their lengths allow.
        bytes.put_u16(u16::try_from(item.entry.len()).unwrap_or(u16::MAX));
        bytes.put_slice(&item.entry);
        let body = item.body.as_deref().unwrap_or_default();
        bytes.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
        bytes.put_slice(body);
    }
    bytes.freeze()
}

/// Takes a parcel apart. Nothing is copied: the parts are slices of `bytes`.
///
/// # Errors
///
/// A [`ParcelError`]; the peer that sent it is at fault.
pub fn decode_parcel(bytes: &Bytes) -> Result<Vec<Parcelled>, ParcelError> {
    if bytes.first() != Some(&PARCEL) {
        return Err(ParcelError::UnknownKind);
    }
    let mut rest = bytes.slice(1..);
    let mut items = Vec::new();
    while !rest.is_empty() {
        if items.len() == MAX_PARCEL_ITEMS {
            return Err(ParcelError::Length);
        }
        let head = rest.first_chunk::<ENTRY_HEAD>().ok_or(ParcelError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*head));
        if length == 0 || length > MAX_ENTRY {
            return Err(ParcelError::Length);
        }
        let entry = part(&mut rest, ENTRY_HEAD, length)?;
        let head = rest.first_chunk::<BODY_HEAD>().ok_or(ParcelError::Truncated)?;
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > MAX_BODY {
            return Err(ParcelError::Length);
        }
        let body = part(&mut rest, BODY_HEAD, length)?;
        items.push(Parcelled { entry, body: Some(body).filter(|body| !body.is_empty()) });
    }
    if items.is_empty() { Err(ParcelError::Length) } else { Ok(items) }
}

fn part(rest: &mut Bytes, head: usize, length: usize) -> Result<Bytes, ParcelError> {
    if rest.len() < head + length {
        return Err(ParcelError::Truncated);
    }
    Ok(rest.split_to(head + length).slice(head..))
}

/// Why bytes are not a parcel. The peer that sent them is at fault; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParcelError {
    /// It is empty, or begins with a kind that this version does not know.
    UnknownKind,
    /// It ends inside an item.
    Truncated,
    /// An item is empty or too long, or there are too many or none.
    Length,
}

impl fmt::Display for ParcelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParcelError::UnknownKind => "a push is empty or of an unknown kind",
            ParcelError::Truncated => "a parcel ends inside an item",
            ParcelError::Length => "a length or number in a parcel is out of bounds",
        })
    }
}

impl core::error::Error for ParcelError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn item() -> impl Strategy<Value = Parcelled> {
        let bytes = |most| prop::collection::vec(any::<u8>(), 1..most).prop_map(Bytes::from);
        (bytes(40), prop::option::of(bytes(40))).prop_map(|(entry, body)| Parcelled { entry, body })
    }

    proptest! {
        #[test]
        fn parcels_survive_the_wire(items in prop::collection::vec(item(), 1..9)) {
            prop_assert_eq!(decode_parcel(&encode_parcel(&items)), Ok(items));
        }

        /// Whatever a peer sends is refused or has exactly one form.
        #[test]
        fn nothing_decodes_to_a_parcel_with_other_bytes(
            body in prop::collection::vec(prop_oneof![4 => Just(0), 2 => 0_u8..4, 1 => any::<u8>()], 0..99),
        ) {
            let bytes = Bytes::from([&[PARCEL][..], &body].concat());
            if let Ok(items) = decode_parcel(&bytes) {
                prop_assert_eq!(encode_parcel(&items), bytes);
            }
        }
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let decode = |bytes: Vec<u8>| decode_parcel(&bytes.into());
        assert_eq!(decode(vec![]), Err(ParcelError::UnknownKind));
        assert_eq!(decode(vec![9, 0]), Err(ParcelError::UnknownKind));
        assert_eq!(decode(vec![PARCEL]), Err(ParcelError::Length), "nothing in it");
        assert_eq!(decode(vec![PARCEL, 0, 0]), Err(ParcelError::Length), "an empty entry");
        assert_eq!(decode(vec![PARCEL, 0, 2, 1]), Err(ParcelError::Truncated));
        assert_eq!(decode(vec![PARCEL, 0, 1, 1]), Err(ParcelError::Truncated), "no length");
        assert_eq!(decode(vec![PARCEL, 0, 1, 1, 0, 1, 0, 0]), Err(ParcelError::Length));
        let item = Parcelled { entry: vec![1].into(), body: None };
        let many = [&[PARCEL][..], &encode_parcel(&[item])[1..].repeat(129)].concat();
        assert_eq!(decode(many), Err(ParcelError::Length));
    }
}
