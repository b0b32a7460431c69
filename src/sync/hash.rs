//! LtHash: the hash of a set that follows single changes of the set.
//!
//! Every element is expanded to 1,024 numbers of 16 bits, and the hash of a set is the sum of its
//! elements, number by number, modulo 2^16. So the order of additions does not matter, an element
//! can be taken out again, and the hash of a union is the sum of the hashes.
//!
//! With XOR, or with a sum of 64 or 256 bits, one writer finds two sets of the same hash in
//! milliseconds, by solving linear equations. Here that is a short-integer-solution problem over
//! lattices, and these parameters put it beyond 2^200 operations ("Securing Update Propagation
//! with Homomorphic Hashing", Lewi et al. 2019, after Bellare and Micciancio 1997).

use core::fmt;

use crate::id::EntryId;

/// Numbers in a hash. Published security estimates are for this pair of 1,024 and 16 bits.
const LANES: usize = 1_024;

/// Separates the expansion from every other use of BLAKE3: it serves as the key.
const ELEMENT_KEY: &[u8; 32] = b"basefs v1 sync: element of a set";

/// The hash of a set of entry ids.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::sync::LtHash;
///
/// let (a, b) = (EntryId::from_bytes([1; 32]), EntryId::from_bytes([2; 32]));
/// let mut hash = LtHash::EMPTY;
/// hash.add(&a);
/// hash.add(&b);
/// hash.remove(&a);
/// assert_eq!(hash, LtHash::of(&b));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LtHash([u16; LANES]);

impl LtHash {
    /// Length of the byte form.
    pub const LEN: usize = 2 * LANES;

    /// The hash of the empty set.
    pub const EMPTY: LtHash = LtHash([0; LANES]);

    /// The hash of a set of one.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::sync::LtHash;
    ///
    /// let id = EntryId::from_bytes([7; 32]);
    /// let mut hash = LtHash::of(&id);
    /// hash.remove(&id);
    /// assert_eq!(hash, LtHash::EMPTY);
    /// ```
    pub fn of(id: &EntryId) -> Self {
        let mut hash = Self::EMPTY;
        hash.add(id);
        hash
    }

    /// Adds an element. Adding it twice is not the same as adding it once: the caller keeps sets.
    ///
    /// ```
    /// # use basefs::{id::EntryId, sync::LtHash};
    /// let [a, b] = [1, 2].map(|n| EntryId::from_bytes([n; 32]));
    /// let (mut forth, mut back) = (LtHash::of(&a), LtHash::of(&b));
    /// forth.add(&b);
    /// back.add(&a);
    /// assert_eq!(forth, back, "in any order");
    /// ```
    pub fn add(&mut self, id: &EntryId) {
        let bytes = expand(id);
        for (lane, pair) in self.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = lane.wrapping_add(u16::from_le_bytes(*pair));
        }
    }

    /// Takes an element out that was added before.
    ///
    /// ```
    /// # use basefs::{id::EntryId, sync::LtHash};
    /// let [a, b] = [1, 2].map(|n| EntryId::from_bytes([n; 32]));
    /// let mut hash = LtHash::of(&a);
    /// hash.add(&b);
    /// hash.remove(&a);
    /// assert_eq!(hash, LtHash::of(&b));
    /// ```
    pub fn remove(&mut self, id: &EntryId) {
        let bytes = expand(id);
        for (lane, pair) in self.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = lane.wrapping_sub(u16::from_le_bytes(*pair));
        }
    }

    /// Adds all elements of a set that shares none with this one.
    ///
    /// ```
    /// # use basefs::{id::EntryId, sync::LtHash};
    /// let [a, b, c] = [1, 2, 3].map(|n| EntryId::from_bytes([n; 32]));
    /// let (mut left, mut right) = (LtHash::of(&a), LtHash::of(&b));
    /// right.add(&c);
    /// left.merge(&right);
    /// left.remove(&b);
    /// left.remove(&c);
    /// assert_eq!(left, LtHash::of(&a));
    /// ```
    pub fn merge(&mut self, other: &LtHash) {
        for (lane, other) in self.0.iter_mut().zip(&other.0) {
            *lane = lane.wrapping_add(*other);
        }
    }

    /// Takes all elements of a subset out.
    ///
    /// ```
    /// # use basefs::{id::EntryId, sync::LtHash};
    /// let [a, b] = [1, 2].map(|n| EntryId::from_bytes([n; 32]));
    /// let mut whole = LtHash::of(&a);
    /// whole.add(&b);
    /// whole.subtract(&LtHash::of(&a));
    /// assert_eq!(whole, LtHash::of(&b));
    /// ```
    pub fn subtract(&mut self, other: &LtHash) {
        for (lane, other) in self.0.iter_mut().zip(&other.0) {
            *lane = lane.wrapping_sub(*other);
        }
    }

    /// The numbers in order, each in little-endian form; for hashing and for storing.
    ///
    /// ```
    /// # use basefs::{id::EntryId, sync::LtHash};
    /// let hash = LtHash::of(&EntryId::from_bytes([7; 32]));
    /// assert_eq!(LtHash::from_bytes(&hash.to_bytes()), hash);
    /// assert_eq!(LtHash::EMPTY.to_bytes(), [0; LtHash::LEN]);
    /// ```
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (pair, lane) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(&self.0) {
            *pair = lane.to_le_bytes();
        }
        bytes
    }

    /// The hash with this byte form; every one is valid.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut hash = Self::EMPTY;
        for (lane, pair) in hash.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = u16::from_le_bytes(*pair);
        }
        hash
    }
}

impl fmt::Debug for LtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LtHash({:.8}…)", blake3::hash(&self.to_bytes()).to_hex())
    }
}

fn expand(id: &EntryId) -> [u8; LtHash::LEN] {
    let mut bytes = [0; LtHash::LEN];
    let mut hasher = blake3::Hasher::new_keyed(ELEMENT_KEY);
    hasher.update(id.as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn ids(count: u8) -> Vec<EntryId> {
        (0..count).map(|n| EntryId::from_bytes([n; 32])).collect()
    }

    fn sum<'a>(ids: impl IntoIterator<Item = &'a EntryId>) -> LtHash {
        let mut hash = LtHash::EMPTY;
        ids.into_iter().for_each(|id| hash.add(id));
        hash
    }

    #[test]
    fn order_does_not_matter_and_unions_are_sums() {
        let ids = ids(20);
        let whole = sum(&ids);
        assert_eq!(whole, sum(ids.iter().rev()));
        let mut merged = sum(&ids[..7]);
        merged.merge(&sum(&ids[7..]));
        assert_eq!(merged, whole);
        merged.subtract(&sum(&ids[7..]));
        assert_eq!(merged, sum(&ids[..7]));
    }

    #[test]
    fn removing_undoes_adding() {
        let ids = ids(3);
        let mut hash = sum(&ids);
        hash.remove(&ids[1]);
        assert_eq!(hash, sum([&ids[0], &ids[2]]));
        assert_ne!(hash, sum(&ids));
        hash.remove(&ids[0]);
        hash.remove(&ids[2]);
        assert_eq!(hash, LtHash::EMPTY);
    }

    #[test]
    fn bytes_are_frozen_and_read_back() {
        let hash = LtHash::of(&EntryId::from_bytes([7; 32]));
        assert_eq!(LtHash::from_bytes(&hash.to_bytes()), hash);
        assert_eq!(format!("{hash:?}"), "LtHash(39ba93ec…)");
    }
}
