//! Tables from things to their numbers, with a hasher whose seed is injected.
//!
//! The things come from strangers. With a hasher they can predict they could fill one bucket;
//! with a random one a run could not be replayed. So the seed is an argument.

use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;

/// A fast keyed hasher: multiply and fold, in the manner of wyhash. Not for signatures, only for
/// buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeded {
    state: u64,
}

/// An odd constant with a balanced number of ones (the golden ratio in 64 bits).
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed ^ MIX }
    }

    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        let low = u64::try_from(product & u128::from(u64::MAX)).unwrap_or(0);
        let high = u64::try_from(product >> 64).unwrap_or(0);
        low ^ high
    }
}

impl Hasher for Seeded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.state = Self::fold(self.state ^ u64::from_le_bytes(word), MIX ^ self.state >> 32);
        }
        self.state ^= bytes.len() as u64;
    }

    fn finish(&self) -> u64 {
        Self::fold(self.state, MIX)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Seeded;

    fn build_hasher(&self) -> Seeded {
        *self
    }
}

/// Positions of a list, found by what stands there.
#[derive(Clone, Debug)]
pub(super) struct Index {
    seed: Seeded,
    table: HashTable<u32>,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: Seeded::new(seed), table: HashTable::new() }
    }

    pub(super) fn hash<T: Hash + ?Sized>(&self, thing: &T) -> u64 {
        self.seed.hash_one(thing)
    }

    /// The position with this hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        self.table.find(hash, |&position| is_it(position as usize)).map(|&p| p as usize)
    }

    /// Makes room for so many more positions.
    pub(super) fn reserve<T: Hash>(&mut self, more: usize, at: impl Fn(usize) -> T) {
        let seed = self.seed;
        self.table.reserve(more, |&position| seed.hash_one(at(position as usize)));
    }

    /// Adds a position; `at` gives what stands at any position, for when the table grows.
    pub(super) fn insert<T: Hash>(&mut self, hash: u64, position: u32, at: impl Fn(usize) -> T) {
        let seed = self.seed;
        self.table.insert_unique(hash, position, |&position| seed.hash_one(at(position as usize)));
    }
}
