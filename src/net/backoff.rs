//! When to dial a peer again.

use core::time::Duration;

use crate::time::Timestamp;

/// The longest wait after a first failure: below what people notice.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait at all: a node that comes back is found within a minute.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a connection must have held for its loss to count as the first failure: a peer that
/// accepts and hangs up at once is not dialled in a loop.
const STABLE: Duration = Duration::from_secs(30);

/// The waits between attempts to reach one peer: doubled with every failure, up to a minute, each
/// shortened by a random part of up to one half, so that nodes that lost a peer together do not
/// come back together.
///
/// It has no clock and no randomness of its own.
///
/// ```
/// use basefs::net::Backoff;
/// use basefs::time::Timestamp;
/// use std::time::Duration;
///
/// let mut backoff = Backoff::new();
/// let now = Timestamp::ZERO;
/// assert_eq!(backoff.failed(now, 0) - now, Duration::from_millis(500));
/// assert_eq!(backoff.failed(now, u32::MAX) - now, Duration::from_millis(500));
/// assert_eq!(backoff.failures(), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    connected_at: Option<Timestamp>,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An attempt failed, or a connection was lost: says when to try again. `random` is any
    /// number, drawn evenly.
    ///
    /// ```
    /// use basefs::net::Backoff;
    /// use basefs::time::Timestamp;
    ///
    /// let (mut backoff, now) = (Backoff::new(), Timestamp::ZERO);
    /// let waits: Vec<_> = (0..9).map(|_| (backoff.failed(now, 0) - now).as_secs_f32()).collect();
    /// assert_eq!(waits, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    /// ```
    #[must_use = "the next attempt is due then"]
    pub fn failed(&mut self, now: Timestamp, random: u32) -> Timestamp {
        if self.connected_at.take().is_some_and(|since| now - since >= STABLE) {
            self.failures = 0;
        }
        let longest = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let shortened = longest.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
        now + (longest - shortened)
    }

    /// An attempt succeeded. Earlier failures are forgotten only if the connection holds.
    ///
    /// ```
    /// use basefs::net::Backoff;
    /// use basefs::time::Timestamp;
    /// use std::time::Duration;
    ///
    /// let mut backoff = Backoff::new();
    /// let mut now = Timestamp::ZERO;
    /// now = backoff.failed(now, 0);
    /// backoff.connected(now);
    /// now = backoff.failed(now + Duration::from_secs(1), 0); // it did not hold
    /// assert_eq!(backoff.failures(), 2);
    /// backoff.connected(now);
    /// let _ = backoff.failed(now + Duration::from_secs(30), 0); // that one did
    /// assert_eq!(backoff.failures(), 1);
    /// ```
    pub fn connected(&mut self, now: Timestamp) {
        self.connected_at = Some(now);
    }

    /// How many attempts failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut backoff = Backoff::new();
        let now = Timestamp::from_micros(5);
        let mut before = Duration::ZERO;
        for _ in 0..7 {
            let wait = backoff.failed(now, 0) - now;
            assert!(wait == FIRST || wait == before * 2);
            before = wait;
        }
        for _ in 0..100 {
            assert_eq!(backoff.failed(now, 0) - now, LONGEST);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_wait_is_between_half_and_all(failures in 0u32.., random in 0u32..) {
            let mut backoff = Backoff { failures, connected_at: None };
            let longest = backoff.clone().failed(Timestamp::ZERO, 0) - Timestamp::ZERO;
            let wait = backoff.failed(Timestamp::ZERO, random) - Timestamp::ZERO;
            assert!(wait <= longest && wait + Duration::from_micros(1) >= longest / 2);
        }
    }

    #[test]
    fn only_a_connection_that_held_forgives() {
        let mut backoff = Backoff::new();
        let mut now = Timestamp::ZERO;
        for _ in 0..4 {
            now = backoff.failed(now, 0);
        }
        backoff.connected(now);
        now = now + (STABLE - Duration::from_micros(1));
        assert_eq!(backoff.failed(now, 0) - now, FIRST * 16);

        backoff.connected(now);
        now = now + STABLE;
        assert_eq!(backoff.failed(now, 0) - now, FIRST);
        assert_eq!(backoff.failures(), 1);
    }
}
