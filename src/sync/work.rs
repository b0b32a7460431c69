//! What may be spent on hashes, and what comes of it.

use super::LtHash;

/// An allowance of work, so that no call takes long; one unit is about 50 ns.
///
/// A call stops soon after its allowance is spent and keeps what it computed.
///
/// ```
/// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
/// use basefs::sync::Work;
///
/// let ids = ids::Ids((0..1_000u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect());
/// let mut tree = ids.tree();
/// let mut calls = 0;
/// let summary = loop {
///     calls += 1;
///     let mut work = Work::new(Work::MIN);
///     if let Some(summary) = tree.summary(&ids, 0..1_000, &mut work) {
///         break summary;
///     }
///     assert!(work.is_spent());
/// };
/// assert!(calls > 1);
/// assert_eq!(tree.summary(&ids, 0..1_000, &mut Work::unlimited()), Some(summary));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Work(u64);

impl Work {
    /// The least allowance, half a millisecond: every call gets past the ends of a range, where
    /// nothing can be kept, and computes one hash that is.
    pub const MIN: u64 = 8_192;

    /// An allowance of so many units, or of [`MIN`](Self::MIN) if that is more.
    pub const fn new(units: u64) -> Self {
        Self(if units > Self::MIN { units } else { Self::MIN })
    }

    /// As much as it takes.
    pub const fn unlimited() -> Self {
        Self(u64::MAX)
    }

    /// Whether nothing is left.
    pub const fn is_spent(&self) -> bool {
        self.0 == 0
    }

    pub(super) const fn left(&self) -> u64 {
        self.0
    }

    pub(super) fn spend(&mut self, units: u64) {
        self.0 = self.0.saturating_sub(units);
    }
}

/// Count and hash of a range of entries.
///
/// ```
/// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
/// # use ids::Ids;
/// use basefs::sync::{LtHash, Order, Summary, Work};
///
/// let ids = Ids::of(&[1, 2, 3]);
/// let second = ids.tree().summary(&ids, 1..2, &mut Work::unlimited());
/// assert_eq!(second, Some(Summary { count: 1, hash: LtHash::of(&ids.id(1)) }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many entries.
    pub count: u64,
    /// The hash of the set of their ids.
    pub hash: LtHash,
}
