//! Unpredictable numbers from an injected seed.

use core::time::Duration;

use crate::sync::Nonce;

/// A stream of numbers that only who knows the seed can tell; the same seed gives the same.
pub(super) struct Random {
    key: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key("basefs v1 node random", seed), drawn: 0 }
    }

    fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.drawn.to_le_bytes()).finalize_xof().fill(&mut bytes);
        self.drawn += 1;
        bytes
    }

    pub(super) fn nonce(&mut self) -> Nonce {
        Nonce::from_bytes(self.draw())
    }

    /// A seed for a stream of numbers of its own.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        self.draw()
    }

    /// A number below `bound`, which is not 0. Even enough: bounds are far below 2^64.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        u64::from_le_bytes(self.draw()) % bound.max(1)
    }

    /// A time between three and five quarters of `middle`.
    pub(super) fn around(&mut self, middle: Duration) -> Duration {
        let part = u32::from(u16::from_le_bytes(self.draw()));
        middle / 4 * 3 + middle / 2 / 65_536 * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_and_can_be_repeated() {
        let (mut one, mut again) = (Random::new(&[1; 32]), Random::new(&[1; 32]));
        let first = one.nonce();
        assert_eq!(first, again.nonce());
        assert_ne!(first, one.nonce());
        assert_ne!(first, Random::new(&[2; 32]).nonce());
    }

    #[test]
    fn times_lie_within_a_quarter() {
        let mut random = Random::new(&[1; 32]);
        let times: alloc::vec::Vec<_> =
            (0..1_000).map(|_| random.around(Duration::from_secs(20))).collect();
        assert!(times.iter().all(|time| (15..25).contains(&time.as_secs())));
        assert!(times.iter().any(|time| time.as_secs() < 17));
        assert!(times.iter().any(|time| time.as_secs() > 22));
    }
}
