//! What is to be done when.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::id::{LinkId, NodeId};
use crate::time::Timestamp;

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next member is pinged.
    Tick,
    /// A probe is repeated, or ends.
    Probe(u32),
    /// A suspicion has stood for its time.
    Suspicion(NodeId),
    /// A member that should have a link is asked after.
    Unlinked(NodeId),
    /// A member is dialled.
    Dial(NodeId),
    /// One of the dead is dialled.
    DialDead,
    /// A dead member, or one that left, is forgotten.
    Forget(NodeId),
    /// A link that nobody wants is given up.
    Unwanted(LinkId),
    /// Links and neighbours are chosen again.
    Choose,
    /// News goes to a few.
    Round,
    /// The last word has been said; the links are closed.
    HangUp,
}

/// Each timer at most once.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Timestamp, Timer)>,
    at: BTreeMap<Timer, Timestamp>,
}

impl Timers {
    /// Sets a timer, whatever it was set to.
    pub(super) fn set(&mut self, timer: Timer, at: Timestamp) {
        self.cancel(timer);
        self.at.insert(timer, at);
        self.due.insert((at, timer));
    }

    /// Sets a timer unless it is set to an earlier time.
    pub(super) fn set_by(&mut self, timer: Timer, at: Timestamp) {
        if self.at.get(&timer).is_none_or(|earlier| at < *earlier) {
            self.set(timer, at);
        }
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Timer> {
        let (_, timer) = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fall_due_in_order_and_once() {
        let at = Timestamp::from_micros;
        let mut timers = Timers::default();
        timers.set(Timer::Tick, at(5));
        timers.set(Timer::Round, at(3));
        timers.set_by(Timer::Tick, at(9));
        timers.set_by(Timer::Round, at(2));
        timers.set(Timer::Choose, at(1));
        timers.cancel(Timer::Choose);
        assert_eq!((timers.next(), timers.pop(at(1))), (Some(at(2)), None));
        assert_eq!(timers.pop(at(9)), Some(Timer::Round));
        assert_eq!(timers.pop(at(9)), Some(Timer::Tick));
        assert_eq!((timers.next(), timers.pop(at(9))), (None, None));
    }
}
