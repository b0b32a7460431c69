//! A budget that fills with time.

use crate::time::Timestamp;

/// So many units a second, saved up to a limit.
#[derive(Clone, Copy, Debug)]
pub(in crate::gossip) struct Bucket {
    /// Units a second.
    rate: u64,
    /// Most units saved.
    limit: u64,
    /// Units, in millionths.
    saved: u128,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub(in crate::gossip) const fn new(rate: u64, limit: u64) -> Self {
        Self { rate, limit, saved: limit as u128 * 1_000_000, at: Timestamp::ZERO }
    }

    /// Takes `units` if they are there.
    pub(in crate::gossip) fn take(&mut self, now: Timestamp, units: usize) -> bool {
        let earned = (now - self.at).as_micros() * u128::from(self.rate);
        self.saved = (self.saved + earned).min(u128::from(self.limit) * 1_000_000);
        self.at = now.max(self.at);
        let Some(left) = self.saved.checked_sub(units as u128 * 1_000_000) else { return false };
        self.saved = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_with_time_and_no_further_than_it_holds() {
        let at = |millis: u64| Timestamp::from_micros(millis * 1_000);
        let mut bucket = Bucket::new(100, 50);
        assert!(bucket.take(at(0), 50) && !bucket.take(at(0), 1));
        assert!(!bucket.take(at(99), 10) && bucket.take(at(100), 10));
        assert!(!bucket.take(at(9_000), 51) && bucket.take(at(9_000), 50));
        assert!(!bucket.take(at(8_000), 1), "time does not go back");
    }
}
