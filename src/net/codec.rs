//! The one CBOR encoding of the small messages of this ring.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Deepest nesting that is decoded: a ticket is an array of arrays of arrays.
const MAX_NESTING: usize = 8;

/// Encodes a value of fixed arrays, integers and byte strings. The bytes are wiped when dropped,
/// for they may hold a secret.
pub(super) fn encode<T: Serialize>(value: &T, limit: usize) -> Zeroizing<Vec<u8>> {
    // At its full size from the start: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    ciborium::into_writer(value, &mut *bytes)
        .expect("writing to memory cannot fail, and no map or float stands in these messages");
    bytes
}

/// Decodes a value of at most `limit` bytes, or nothing if these are not exactly the bytes that
/// [`encode`] makes of it.
pub(super) fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Option<T> {
    if bytes.len() > limit {
        return None;
    }
    let value: T = ciborium::de::from_reader_with_recursion_limit(bytes, MAX_NESTING).ok()?;
    (*encode(&value, limit) == bytes).then_some(value)
}
