//! Unpredictable numbers from an injected seed.

use core::time::Duration;

/// A stream of numbers that only who knows the seed can tell; the same seed gives the same.
#[derive(Clone)]
pub(super) struct Random {
    key: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key("basefs v1 membership random", seed), drawn: 0 }
    }

    fn draw(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.drawn.to_le_bytes()).finalize_xof().fill(&mut bytes);
        self.drawn += 1;
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, which is not zero. A bound here is so small that the remainder
    /// favours nobody noticeably.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.draw() % bound).unwrap_or(0)
    }

    /// A time between three and five quarters of `middle`.
    pub(super) fn around(&mut self, middle: Duration) -> Duration {
        middle / 4 * 3 + self.part(middle / 2)
    }

    /// A time below `whole`.
    pub(super) fn part(&mut self, whole: Duration) -> Duration {
        let [a, b, ..] = self.draw().to_le_bytes();
        whole / 65_536 * u32::from(u16::from_le_bytes([a, b]))
    }

    /// Takes up to `count` items, any with the same chance.
    pub(super) fn some_of<T: Copy>(&mut self, items: &mut [T], count: usize) -> alloc::vec::Vec<T> {
        let count = count.min(items.len());
        for at in 0..count {
            items.swap(at, at + self.below(items.len() - at));
        }
        items[..count].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_can_be_repeated_and_stay_within_bounds() {
        let (mut one, mut again) = (Random::new(&[1; 32]), Random::new(&[1; 32]));
        let second = Duration::from_secs(1);
        for _ in 0..1_000 {
            assert_eq!(one.below(7), again.below(7));
            let around = one.around(second);
            assert_eq!(around, again.around(second));
            assert!((750..1_250).contains(&around.as_millis()));
        }
        let mut items = [1, 2, 3, 4];
        let mut taken = one.some_of(&mut items, 9);
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3, 4]);
    }
}
