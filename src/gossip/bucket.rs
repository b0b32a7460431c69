//! A budget that fills with time.

use crate::time::Timestamp;

/// So many units a second, saved up to a limit.
#[derive(Clone, Copy, Debug)]
pub(in crate::gossip) struct Bucket {
    /// Units a second.
    rate: u64,
    /// Most units saved.
    limit: u64,
    /// Units, in millionths; below zero: more was taken than was there.
    saved: i128,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub(in crate::gossip) const fn new(rate: u64, limit: u64) -> Self {
        Self { rate, limit, saved: limit as i128 * 1_000_000, at: Timestamp::ZERO }
    }

    /// Takes `units` if they are there.
    pub(in crate::gossip) fn take(&mut self, now: Timestamp, units: usize) -> bool {
        self.fill(now);
        let left = self.saved - units as i128 * 1_000_000;
        if left >= 0 {
            self.saved = left;
        }
        left >= 0
    }

    /// Whether anything is there.
    pub(in crate::gossip) fn is_open(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.saved > 0
    }

    /// Takes `units` although fewer may be there: those are owed.
    pub(in crate::gossip) fn owe(&mut self, units: usize) {
        self.saved -= units as i128 * 1_000_000;
    }

    fn fill(&mut self, now: Timestamp) {
        let micros = u64::try_from((now - self.at).as_micros()).unwrap_or(u64::MAX);
        let earned = i128::from(micros) * i128::from(self.rate);
        self.saved = (self.saved + earned).min(i128::from(self.limit) * 1_000_000);
        self.at = now.max(self.at);
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
        bucket.owe(20);
        assert!(!bucket.is_open(at(9_200)) && bucket.is_open(at(9_210)), "a debt is paid first");
    }
}
