//! How much of what this node sent lately was lost.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::time::Timestamp;

/// Losses are counted over this time: long enough for nodes that say little, short enough to follow
/// a network that changes.
const WINDOW: Duration = Duration::from_secs(10);
/// Fewer packets say nothing about a loss: the time is stretched until there are as many.
const ENOUGH: u64 = 20;
/// What comes within this time is one sample: twenty of them cover the window.
const SPACING: Duration = Duration::from_millis(500);

/// What became of packets.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: u64,
    lost: u64,
    /// Those of paths with a queue.
    queued: u64,
}

impl Counts {
    fn take(&mut self, other: Counts) {
        self.packets -= other.packets;
        self.lost -= other.lost;
        self.queued -= other.queued;
    }

    fn add(&mut self, other: Counts) {
        self.packets += other.packets;
        self.lost += other.lost;
        self.queued += other.queued;
    }
}

/// The packets of all links together: one link carries too few to tell.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// The oldest first.
    samples: VecDeque<(Timestamp, Counts)>,
    sum: Counts,
}

impl Losses {
    /// So many packets more were sent, and so many found lost, on a path with a queue or without.
    pub(super) fn add(&mut self, at: Timestamp, packets: u64, lost: u64, is_queued: bool) {
        let counts = Counts { packets, lost, queued: if is_queued { packets } else { 0 } };
        self.sum.add(counts);
        match self.samples.back_mut() {
            Some((last, sample)) if at - *last < SPACING => sample.add(counts),
            _ => self.samples.push_back((at, counts)),
        }
        while let Some(&(oldest, counts)) = self.samples.front()
            && at - oldest > WINDOW
            && self.sum.packets - counts.packets >= ENOUGH
        {
            self.sum.take(counts);
            self.samples.pop_front();
        }
    }

    /// Of a thousand packets, how many were lost lately.
    pub(super) fn permille(&self) -> u64 {
        part(self.sum.lost, self.sum.packets)
    }

    /// Of a thousand packets, how many met a queue lately.
    pub(super) fn queued_permille(&self) -> u64 {
        part(self.sum.queued, self.sum.packets)
    }
}

/// So many thousandths. What has not been sent yet counts as arrived: one loss of two packets is not
/// a half.
fn part(of: u64, packets: u64) -> u64 {
    (of.saturating_mul(1_000) / packets.max(ENOUGH)).min(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that sends one packet every `every` and loses some of them.
    #[derive(Default)]
    struct Sending {
        losses: Losses,
        at: Timestamp,
    }

    impl Sending {
        /// Sends some packets, of which every `nth` is lost; gives what it looks like then.
        fn send(&mut self, packets: u64, every: Duration, nth: u64) -> u64 {
            for number in 1..=packets {
                self.at = self.at + every;
                self.losses.add(self.at, 1, u64::from(number % nth == 0), false);
            }
            self.losses.permille()
        }
    }

    #[test]
    fn a_change_is_seen_within_the_window() {
        let mut sending = Sending::default();
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
        let mut sending = Sending::default();
        let every = Duration::from_secs(5);
        // One of the first two is no half.
        assert_eq!(sending.send(2, every, 2), 50);
        let quarter = sending.send(100, every, 4);
        assert!((200..=300).contains(&quarter), "{quarter}");
        assert!(sending.losses.samples.len() <= 25);
    }

    #[test]
    fn queues_are_counted_too() {
        let mut losses = Losses::default();
        losses.add(Timestamp::ZERO, 60, 0, false);
        losses.add(Timestamp::ZERO, 40, 30, true);
        assert_eq!((losses.permille(), losses.queued_permille()), (300, 400));
    }
}
