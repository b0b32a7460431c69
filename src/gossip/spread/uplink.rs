//! How fast this node can send, told from when pushes are acknowledged.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::super::PushId;
use crate::id::LinkId;
use crate::time::Timestamp;

/// Samples that the rate is judged by.
const SAMPLES: usize = 16;
/// With fewer, the rate is unknown.
const MIN_SAMPLES: usize = 3;
/// A sample of a network that is not limited by its uplink, in bytes a second.
const FAST: u64 = 1 << 40;
/// Copies under way along trees. A further one leaves when the last must have left, or after
/// [`PACE`] if the rate is unknown: a long way, on which acknowledgements take seconds, is not to
/// be mistaken for a narrow one.
const WINDOW: usize = 2;
const PACE: Duration = Duration::from_millis(250);
/// Links whose pushes are overdue before the uplink is to blame: one peer alone may be gone.
const STUCK_LINKS: usize = 2;
/// Copies that wait to be sent along trees; about 5 MiB.
const MAX_WAITING: usize = 4_096;

#[derive(Debug)]
struct UnderWay {
    since: Timestamp,
    bytes: usize,
    /// Bytes that were under way when it began, its own included: what may leave before it has left.
    ahead: u64,
    /// Its position among all pushes.
    number: u64,
    is_copy: bool,
}

/// A copy that waits to be sent along a tree.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) span: usize,
    pub(super) link: LinkId,
    pub(super) bytes: Bytes,
}

/// Rate and queue of what leaves this node.
///
/// Two pushes to different peers that leave one after the other are acknowledged one after the
/// other, as far apart as the second takes to send, if this node's uplink is what limits them. If
/// delay or loss is, acknowledgements come in any order, or at once. Where many uplinks are narrow
/// they come in any order too, each through its peer's queue, but much later than a round trip takes;
/// then what counts is how long the push and all that was before it took.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    under_way: BTreeMap<(LinkId, PushId), UnderWay>,
    next: u64,
    /// The push acknowledged last: its number, and when.
    last: Option<(u64, Timestamp)>,
    /// Bytes a second.
    samples: VecDeque<u64>,
    rate: Option<u64>,
    copies: VecDeque<Copy>,
    copies_under_way: usize,
    sent_at: Timestamp,
    /// Length of the copy that was sent last.
    sent_bytes: usize,
}

impl Uplink {
    pub(super) fn began(&mut self, now: Timestamp, at: (LinkId, PushId), bytes: usize, copy: bool) {
        let number = self.next;
        self.next += 1;
        let before: u64 = self.under_way.values().map(|push| push.bytes as u64).sum();
        let ahead = before + bytes as u64;
        self.under_way.insert(at, UnderWay { since: now, bytes, ahead, number, is_copy: copy });
        if copy {
            self.copies_under_way += 1;
            (self.sent_at, self.sent_bytes) = (now, bytes);
        }
    }

    /// A push was acknowledged, or given up. `late` says after how long one on this link must have
    /// waited in a queue; nothing where it may as well have been lost and sent again.
    pub(super) fn ended(
        &mut self,
        now: Timestamp,
        at: (LinkId, PushId),
        delivered: bool,
        late: Option<Duration>,
    ) {
        let Some(push) = self.under_way.remove(&at) else { return };
        self.copies_under_way -= usize::from(push.is_copy);
        if !delivered {
            return;
        }
        let before = self.last;
        self.last =
            Some(before.map_or((push.number, now), |(last, _)| (last.max(push.number), now)));
        if late.is_some_and(|late| now - push.since > late) {
            return self.sample(per_second(push.ahead, now - push.since));
        }
        match before {
            Some((number, _)) if push.number < number => self.sample(FAST),
            Some((_, ended)) if push.since <= ended => {
                self.sample(per_second(push.bytes as u64, now - ended));
            }
            _ => {}
        }
    }

    fn sample(&mut self, rate: u64) {
        self.samples.push_back(rate);
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        if self.samples.len() >= MIN_SAMPLES {
            let mut sorted: Vec<u64> = self.samples.iter().copied().collect();
            sorted.sort_unstable();
            // A quarter of the samples may be higher: the acknowledgements of others come through
            // their own queues.
            self.rate = sorted.get(sorted.len() * 3 / 4).copied();
        }
    }

    /// Bytes a second; nothing while that is unknown.
    pub(super) fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// Whether what was sent lately seems to wait in a queue: several pushes to different peers are
    /// overdue, and none that was sent after them has been acknowledged. `late` says after how long
    /// a push on a link is.
    pub(super) fn is_stuck(&self, now: Timestamp, late: impl Fn(LinkId) -> Duration) -> bool {
        let acknowledged = self.last.map(|(number, _)| number);
        let overdue = self.under_way.iter().filter(|((link, _), push)| {
            acknowledged.is_none_or(|last| push.number > last) && now - push.since > late(*link)
        });
        let links: BTreeSet<LinkId> = overdue.map(|((link, _), _)| *link).collect();
        links.len() >= STUCK_LINKS
    }

    /// Forgets the pushes of a link that is gone, and what waits for it.
    pub(super) fn link_down(&mut self, link: LinkId) {
        self.under_way.retain(|(of, _), push| {
            let stays = *of != link;
            self.copies_under_way -= usize::from(!stays && push.is_copy);
            stays
        });
        self.copies.retain(|copy| copy.link != link);
    }

    /// Queues a copy behind those that more members depend on; `false` if there is no room.
    pub(super) fn send_later(&mut self, copy: Copy) -> bool {
        if self.copies.len() >= MAX_WAITING {
            return false;
        }
        let at = self.copies.partition_point(|other| other.span >= copy.span);
        self.copies.insert(at, copy);
        true
    }

    /// When the next copy may leave.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let free = self.copies_under_way < WINDOW;
        let takes = |rate: u64| {
            Duration::from_micros((self.sent_bytes as u64).saturating_mul(1_000_000) / rate.max(1))
        };
        let pace = || self.rate().map_or(PACE, takes);
        let at = if free { Timestamp::ZERO } else { self.sent_at + pace() };
        (!self.copies.is_empty()).then_some(at)
    }

    pub(super) fn next_copy(&mut self, now: Timestamp) -> Option<Copy> {
        self.due().filter(|due| *due <= now)?;
        self.copies.pop_front()
    }
}

/// A rate. A tenth of a millisecond is below what timers can tell.
fn per_second(bytes: u64, time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    bytes.saturating_mul(1_000_000) / micros.max(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    fn rate(late: Option<Duration>, acknowledged: &[(u64, u64)]) -> Option<u64> {
        let mut uplink = Uplink::default();
        let key = |push| (LinkId::new(push), PushId::new(0));
        for push in 0..8 {
            uplink.began(at(0), key(push), 1_000, false);
        }
        for (push, millis) in acknowledged {
            uplink.ended(at(*millis), key(*push), true, late);
        }
        uplink.rate()
    }

    #[test]
    fn a_narrow_uplink_is_told_from_a_long_way() {
        let rate = |acknowledged: &[_]| rate(None, acknowledged);
        assert_eq!(rate(&[(0, 500), (1, 1_000), (2, 1_500), (3, 2_000)]), Some(2_000));
        assert_eq!(rate(&[(0, 500), (1, 1_000)]), None, "too few");
        assert!(rate(&[(2, 4_500), (0, 4_900), (3, 5_000), (1, 5_300)]).unwrap() > 1_000_000);
        assert!(rate(&[(0, 25), (1, 25), (2, 25), (3, 25)]).unwrap() > 1_000_000, "at once");
    }

    #[test]
    fn a_narrow_uplink_is_told_although_acknowledgements_wait_in_queues_of_their_own() {
        let mixed = [(2, 2_500), (0, 2_700), (3, 3_000), (1, 3_300), (4, 3_301)];
        assert_eq!(rate(Some(Duration::from_millis(140)), &mixed), Some(1_333));
        let long = Some(Duration::from_millis(6_000));
        assert!(rate(long, &mixed).unwrap() > 1_000_000, "this is how long that way is");
    }

    #[test]
    fn a_queue_is_told_from_a_peer_that_is_gone() {
        let mut uplink = Uplink::default();
        let key = |push| (LinkId::new(push), PushId::new(0));
        let late = |_| Duration::from_millis(500);
        (0..4).for_each(|push| uplink.began(at(0), key(push), 1_000, false));
        assert!(!uplink.is_stuck(at(500), late) && uplink.is_stuck(at(501), late));
        uplink.ended(at(600), key(1), true, None);
        assert!(uplink.is_stuck(at(601), late), "two more have not left");
        uplink.ended(at(700), key(3), true, None);
        assert!(!uplink.is_stuck(at(701), late), "the last has: others are lost, or their peers");
    }

    #[test]
    fn copies_leave_by_span_two_at_a_time_or_after_a_while() {
        let mut uplink = Uplink::default();
        for (number, span) in [1, 4, 2, 8].into_iter().enumerate() {
            let link = LinkId::new(number as u64);
            assert!(uplink.send_later(Copy { span, link, bytes: Bytes::new() }));
        }
        let mut take = |now| {
            let copy = uplink.next_copy(now)?;
            uplink.began(now, (copy.link, PushId::new(0)), 1, true);
            Some(copy.span)
        };
        assert_eq!((take(at(0)), take(at(0)), take(at(0))), (Some(8), Some(4), None));
        assert_eq!((take(at(250)), take(at(250))), (Some(2), None));
        uplink.ended(at(300), (LinkId::new(3), PushId::new(0)), true, None);
        uplink.link_down(LinkId::new(1));
        assert_eq!(uplink.next_copy(at(300)).map(|copy| copy.span), Some(1));
    }
}
