//! What happens next: events in the order of their times, and of their making within one time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::rng::mix;

/// Microseconds since the beginning of the run.
pub type Micros = u64;

/// One second.
pub const SECOND: Micros = 1_000_000;
/// One millisecond.
pub const MILLI: Micros = 1_000;

/// What the running hash takes from an event.
pub trait Fingerprint {
    /// Differs between events that differ.
    fn fingerprint(&self) -> u64;
}

/// Events that wait for their time. What was done so far is summed up in a hash: two runs of one
/// seed that differ anywhere differ in it.
#[derive(Debug)]
pub struct Queue<E> {
    /// Times and sequence numbers; events themselves stay where they are, so that sorting moves
    /// little.
    heap: BinaryHeap<Reverse<(Micros, u64, u32)>>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    now: Micros,
    next: u64,
    done: u64,
    hash: u64,
}

impl<E: Fingerprint> Queue<E> {
    /// Nothing is going to happen yet.
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            now: 0,
            next: 0,
            done: 0,
            hash: 0,
        }
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// How many events have happened.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many events are waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// The hash over all that has happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Has something happen, now if its time is past.
    pub fn at(&mut self, time: Micros, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            u32::try_from(self.events.len() - 1).expect("fewer than 2^32 events wait")
        });
        self.events[slot as usize] = Some(event);
        self.heap.push(Reverse((time.max(self.now), self.next, slot)));
        self.next += 1;
    }

    /// Has something happen after a while.
    pub fn after(&mut self, wait: Micros, event: E) {
        self.at(self.now.saturating_add(wait), event);
    }

    /// When something happens next.
    pub fn next_time(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((time, ..))| *time)
    }

    /// The next event that is not later than this; the time becomes its time.
    pub fn pop(&mut self, until: Micros) -> Option<E> {
        let Reverse((time, ..)) = self.heap.peek()?;
        if *time > until {
            return None;
        }
        let Reverse((time, number, slot)) = self.heap.pop()?;
        let event = self.events[slot as usize].take()?;
        self.free.push(slot);
        self.now = time;
        self.done += 1;
        self.note(mix(time ^ number.rotate_left(40)) ^ event.fingerprint());
        Some(event)
    }

    /// Lets time pass in which nothing happens.
    pub fn advance(&mut self, until: Micros) {
        debug_assert!(
            self.next_time().is_none_or(|next| next >= until),
            "something happens before"
        );
        self.now = self.now.max(until);
    }

    /// Adds something to the running hash.
    pub fn note(&mut self, value: u64) {
        self.hash = mix(self.hash.rotate_left(1) ^ value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Fingerprint for u64 {
        fn fingerprint(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn in_the_order_of_times_then_of_making() {
        let mut queue = Queue::new();
        for (time, event) in [(5, 0), (3, 1), (5, 2), (3, 3), (9, 4)] {
            queue.at(time, event);
        }
        let mut order = Vec::new();
        while let Some(event) = queue.pop(8) {
            order.push((queue.now(), event));
        }
        assert_eq!(order, [(3, 1), (3, 3), (5, 0), (5, 2)]);
        queue.at(1, 5);
        assert_eq!((queue.pop(8), queue.now()), (Some(5), 5), "the past is now");
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn the_hash_tells_runs_apart() {
        let run = |events: &[(u64, u64)]| {
            let mut queue = Queue::new();
            events.iter().for_each(|(time, event)| queue.at(*time, *event));
            while queue.pop(u64::MAX).is_some() {}
            queue.hash()
        };
        assert_eq!(run(&[(1, 1), (2, 2)]), run(&[(1, 1), (2, 2)]));
        assert_ne!(run(&[(1, 1), (2, 2)]), run(&[(1, 2), (2, 1)]));
        assert_ne!(run(&[(1, 1), (2, 2)]), run(&[(1, 1), (3, 2)]));
    }
}
