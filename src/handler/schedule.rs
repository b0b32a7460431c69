//! Which path's command runs when: debounced, one at a time per path, again after a failure.
//!
//! Without I/O: times are arguments. What is pending is bounded by the paths of the subtree.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::Limits;
use crate::time::Timestamp;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Again, after a while that doubles.
    Failed,
}

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job<E> {
    pub(super) path: String,
    /// The latest that happened to the path.
    pub(super) event: E,
    /// How often this failed before.
    pub(super) failures: u32,
}

#[derive(Debug)]
struct Pending<E> {
    event: E,
    /// When to run it; nothing while it runs.
    due: Option<Timestamp>,
    /// The first that happened since the debouncing began.
    since: Timestamp,
    failures: u32,
    /// The number of the first event that is not handled before this is.
    first: u64,
    /// Something happened while it runs: the number of the first event since.
    again: Option<u64>,
}

/// The paths that have something to be run.
#[derive(Debug)]
pub(super) struct Schedule<E> {
    limits: Limits,
    pending: BTreeMap<String, Pending<E>>,
    running: usize,
    /// How many events came.
    count: u64,
}

impl<E: Clone> Schedule<E> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, pending: BTreeMap::new(), running: 0, count: 0 }
    }

    /// Something happened to a path.
    pub(super) fn changed(&mut self, now: Timestamp, path: String, event: E) {
        self.count += 1;
        let number = self.count;
        let Limits { debounce, debounce_at_most, .. } = self.limits;
        match self.pending.get_mut(&path) {
            None => {
                let (due, first) = (Some(now + debounce), number);
                let pending = Pending { event, due, since: now, failures: 0, first, again: None };
                self.pending.insert(path, pending);
            }
            Some(pending) => {
                pending.event = event;
                pending.failures = 0;
                if pending.due.is_some() {
                    // Whoever writes all the time is heard now and then.
                    pending.due = Some((now + debounce).min(pending.since + debounce_at_most));
                } else {
                    pending.again.get_or_insert(number);
                }
            }
        }
    }

    /// When the next is due, if it may run then.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        if self.running >= self.limits.at_once {
            return None;
        }
        self.pending.values().filter_map(|pending| pending.due).min()
    }

    /// What is to be run now; each is running from now on.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Job<E>> {
        let mut due: Vec<(Timestamp, String)> = self
            .pending
            .iter()
            .filter_map(|(path, pending)| Some((pending.due.filter(|due| *due <= now)?, path)))
            .map(|(due, path)| (due, path.clone()))
            .collect();
        due.sort_unstable();
        let mut jobs = Vec::new();
        for (_, path) in due {
            if self.running >= self.limits.at_once {
                break;
            }
            let Some(pending) = self.pending.get_mut(&path) else { continue };
            pending.due = None;
            self.running += 1;
            let (event, failures) = (pending.event.clone(), pending.failures);
            jobs.push(Job { path, event, failures });
        }
        jobs
    }

    /// A run has ended; says whether it is given up.
    pub(super) fn ended(&mut self, now: Timestamp, path: &str, outcome: Outcome) -> bool {
        self.running = self.running.saturating_sub(1);
        let limits = self.limits;
        let Some(pending) = self.pending.get_mut(path) else { return false };
        if let Some(again) = pending.again.take() {
            // What failed was about what is no more.
            (pending.since, pending.due) = (now, Some(now + limits.debounce));
            if outcome == Outcome::Done {
                pending.first = again;
            }
            return false;
        }
        let wait = match outcome {
            Outcome::Done => {
                self.pending.remove(path);
                return false;
            }
            Outcome::Failed => {
                pending.failures += 1;
                if pending.failures >= limits.attempts {
                    self.pending.remove(path);
                    return true;
                }
                let doubled =
                    limits.first_pause.saturating_mul(1 << (pending.failures - 1).min(20));
                doubled.min(limits.longest_pause)
            }
        };
        (pending.since, pending.due) = (now, Some(now + wait));
        false
    }

    /// All events up to this number are handled: a cursor taken with it may be saved.
    pub(super) fn handled(&self) -> u64 {
        let first = self.pending.values().map(|pending| pending.first).min();
        first.map_or(self.count, |first| first - 1)
    }

    /// The number of the latest event.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    fn limits() -> Limits {
        Limits {
            debounce: Duration::from_millis(100),
            debounce_at_most: Duration::from_millis(250),
            at_once: 2,
            attempts: 3,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
        }
    }

    fn paths(jobs: &[Job<u32>]) -> Vec<(&str, u32)> {
        jobs.iter().map(|job| (job.path.as_str(), job.event)).collect()
    }

    #[test]
    fn a_burst_is_one_run_and_an_endless_one_several() {
        let mut schedule = Schedule::new(limits());
        for (millis, event) in [(0, 1), (60, 2), (120, 3), (200, 4)] {
            assert_eq!(schedule.take_due(at(millis)), []);
            schedule.changed(at(millis), "/a".into(), event);
        }
        assert_eq!(schedule.next_due(), Some(at(250)), "not 300");
        assert_eq!(paths(&schedule.take_due(at(250))), [("/a", 4)]);
        assert_eq!(schedule.next_due(), None, "one at a time");
        schedule.changed(at(260), "/a".into(), 5);
        assert_eq!(schedule.next_due(), None);
        schedule.ended(at(300), "/a", Outcome::Done);
        assert_eq!(schedule.next_due(), Some(at(400)));
    }

    #[test]
    fn so_many_at_once_the_longest_waiting_first() {
        let mut schedule = Schedule::new(limits());
        for (millis, path) in [(2, "/a"), (1, "/b"), (0, "/c")] {
            schedule.changed(at(millis), path.into(), 0);
        }
        assert_eq!(paths(&schedule.take_due(at(500))), [("/c", 0), ("/b", 0)]);
        assert!(schedule.take_due(at(500)).is_empty());
        schedule.ended(at(600), "/c", Outcome::Done);
        assert_eq!(paths(&schedule.take_due(at(600))), [("/a", 0)]);
    }

    #[test]
    fn failures_are_repeated_ever_later_and_given_up() {
        let mut schedule = Schedule::new(limits());
        schedule.changed(at(0), "/a".into(), 0);
        let mut now = at(100);
        for pause in [1, 2] {
            assert_eq!(schedule.take_due(now).len(), 1);
            assert!(!schedule.ended(now, "/a", Outcome::Failed));
            assert_eq!(schedule.next_due(), Some(now + Duration::from_secs(pause)));
            now = now + Duration::from_secs(pause);
        }
        assert_eq!(schedule.take_due(now)[0].failures, 2);
        assert!(schedule.ended(now, "/a", Outcome::Failed), "the third time is the last");
        assert!(schedule.is_idle());
    }

    #[test]
    fn a_new_event_starts_afresh() {
        let mut schedule = Schedule::new(limits());
        schedule.changed(at(0), "/a".into(), 1);
        schedule.take_due(at(300));
        schedule.ended(at(300), "/a", Outcome::Failed);
        schedule.changed(at(400), "/a".into(), 2);
        assert_eq!(schedule.take_due(at(550))[0], Job { path: "/a".into(), event: 2, failures: 0 });
    }

    #[test]
    fn what_is_saved_as_handled_is() {
        let mut schedule = Schedule::new(limits());
        schedule.changed(at(0), "/a".into(), 0);
        schedule.changed(at(1), "/b".into(), 0);
        schedule.changed(at(2), "/a".into(), 0);
        assert_eq!((schedule.count(), schedule.handled()), (3, 0));
        schedule.take_due(at(500));
        schedule.ended(at(500), "/a", Outcome::Done);
        assert_eq!(schedule.handled(), 1, "/b waits since the second");
        schedule.changed(at(501), "/b".into(), 0);
        schedule.ended(at(600), "/b", Outcome::Done);
        assert_eq!(schedule.handled(), 3, "the fourth came while it ran");
        schedule.take_due(at(900));
        schedule.ended(at(901), "/b", Outcome::Done);
        assert_eq!(schedule.handled(), 4);
    }
}
