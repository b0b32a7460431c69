//! Stores: one suite that every store passes, and what only a durable one can get wrong.

pub(crate) mod conformance;

#[cfg(feature = "redb")]
mod crash;
#[cfg(feature = "redb")]
pub(crate) mod crash_disk;
#[cfg(feature = "redb")]
mod damage;
mod memory;
mod model;
#[cfg(feature = "redb")]
mod packs;
#[cfg(feature = "redb")]
mod process;
#[cfg(feature = "redb")]
mod redb;

use std::collections::BTreeMap;

use basefs::store::{Store, StoreError, Table};
use bytes::Bytes;

/// Every pair of a store.
pub(crate) type Contents = BTreeMap<(Table, Bytes), Bytes>;

/// Reads every pair; pairs before a damaged one are in `seen` even if the result is an error.
pub(crate) fn read_all(store: &dyn Store, seen: &mut Contents) -> Result<(), StoreError> {
    for table in Table::ALL {
        store.scan(table, &[], &mut |key, value| {
            seen.insert((table, Bytes::copy_from_slice(key)), Bytes::copy_from_slice(value));
            true
        })?;
    }
    Ok(())
}

/// Every pair of a store that is in order.
pub(crate) fn contents(store: &dyn Store) -> Contents {
    let mut seen = Contents::new();
    read_all(store, &mut seen).unwrap();
    seen
}

/// Bytes that differ with the seed and compress badly.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// SplitMix64: all that a replayable test needs.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }
}
