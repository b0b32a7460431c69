//! How much of what was sent lately was lost.

use alloc::collections::VecDeque;
use core::time::Duration;
use std::time::Instant;

/// Losses are counted over this time: long enough for a link that says little, short enough to
/// follow a path that changes.
const WINDOW: Duration = Duration::from_secs(10);
/// Fewer packets say nothing about a loss: the time is stretched until there are as many.
const ENOUGH: u64 = 20;
/// How far samples lie apart at least: twenty of them cover the window.
const SPACING: Duration = Duration::from_millis(500);

/// The state of the counters at some time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    /// Packets of which it is known whether they arrived.
    settled: u64,
    lost: u64,
}

/// Watches the counters of a connection, which only ever grow.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// The oldest first; the first is where the window begins.
    samples: VecDeque<Sample>,
}

impl Losses {
    /// Takes the counters as they are now; of a thousand packets, how many were lost lately.
    pub(super) fn permille(&mut self, at: Instant, settled: u64, lost: u64) -> u16 {
        let now = Sample { at, settled, lost };
        let is_due = |last: &Sample| at - last.at >= SPACING && settled > last.settled;
        if self.samples.back().is_none_or(is_due) {
            self.samples.push_back(now);
        }
        let is_enough = |since: &Sample| {
            at - since.at >= WINDOW && settled.saturating_sub(since.settled) >= ENOUGH
        };
        while self.samples.get(1).is_some_and(is_enough) {
            self.samples.pop_front();
        }
        let start = self.samples.front().unwrap_or(&now);
        // What has not been sent yet counts as arrived: one loss of two packets is not a half.
        let packets = settled.saturating_sub(start.settled).max(ENOUGH);
        let permille = lost.saturating_sub(start.lost).saturating_mul(1_000) / packets;
        u16::try_from(permille.min(1_000)).unwrap_or(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that sends one packet every `every` and loses some of them.
    struct Sending {
        losses: Losses,
        at: Instant,
        settled: u64,
        lost: u64,
    }

    impl Sending {
        fn new() -> Self {
            let mut sending =
                Self { losses: Losses::default(), at: Instant::now(), settled: 0, lost: 0 };
            assert_eq!(sending.losses.permille(sending.at, 0, 0), 0);
            sending
        }

        /// Sends some packets, of which every `nth` is lost; gives what it looks like then.
        fn send(&mut self, packets: u64, every: Duration, nth: u64) -> u16 {
            let mut permille = 0;
            for number in 1..=packets {
                self.at += every;
                self.settled += 1;
                self.lost += u64::from(number % nth == 0);
                permille = self.losses.permille(self.at, self.settled, self.lost);
            }
            permille
        }
    }

    #[test]
    fn a_change_is_seen_within_the_window() {
        let mut sending = Sending::new();
        let every = Duration::from_millis(10);
        assert_eq!(sending.send(5_000, every, u64::MAX), 0);
        let half = sending.send(500, every, 2);
        assert!((200..300).contains(&half), "half of the window: {half}");
        let all = sending.send(600, every, 2);
        assert!((480..=500).contains(&all), "all of it: {all}");
        let over = sending.send(1_100, every, u64::MAX);
        assert_eq!(over, 0);
        assert!(sending.losses.samples.len() <= 25);
    }

    #[test]
    fn few_packets_are_judged_over_a_longer_time() {
        let mut sending = Sending::new();
        let every = Duration::from_secs(5);
        // One of the first two is no half.
        assert_eq!(sending.send(2, every, 2), 50);
        let quarter = sending.send(100, every, 4);
        assert!((200..=300).contains(&quarter), "{quarter}");
        assert!(sending.losses.samples.len() <= 25);
    }
}
