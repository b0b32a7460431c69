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

impl<E> Default for Queue<E> {
    fn default() -> Self {
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
}

impl<E> Queue<E> {
    /// The time.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// How many events have happened.
    pub fn events(&self) -> u64 {
        self.done
    }

    /// How many events are waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// A hash over the times of all that has happened and over what was noted: equal runs have equal
    /// ones.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Has something happen, now if its time is past.
    pub fn push(&mut self, time: Micros, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            u32::try_from(self.events.len() - 1).expect("fewer than 2^32 events wait")
        });
        self.events[slot as usize] = Some(event);
        self.heap.push(Reverse((time.max(self.now), self.next, slot)));
        self.next += 1;
    }

    /// When something happens next.
    pub fn next_time(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((time, ..))| *time)
    }

    /// The next event that is not later than this, and the time becomes its time; without one it
    /// becomes this.
    pub fn pop_until(&mut self, end: Micros) -> Option<E> {
        if self.next_time().is_none_or(|next| next > end) {
            self.now = self.now.max(end);
            return None;
        }
        let Reverse((time, number, slot)) = self.heap.pop()?;
        let event = self.events[slot as usize].take();
        self.free.push(slot);
        self.now = time;
        self.done += 1;
        self.note(time ^ number.rotate_left(40));
        event
    }

    /// Makes a detail part of the hash.
    pub fn note(&mut self, value: u64) {
        self.hash = mix(self.hash.rotate_left(1) ^ value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_of_times_then_of_making() {
        let mut queue = Queue::default();
        for (time, event) in [(5, 0), (3, 1), (5, 2), (3, 3), (9, 4)] {
            queue.push(time, event);
        }
        let mut order = Vec::new();
        while let Some(event) = queue.pop_until(8) {
            order.push((queue.now(), event));
        }
        assert_eq!(order, [(3, 1), (3, 3), (5, 0), (5, 2)]);
        queue.push(1, 5);
        assert_eq!((queue.pop_until(8), queue.now()), (Some(5), 8), "the past is now");
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn the_hash_tells_runs_apart() {
        let run = |events: &[(u64, u64)]| {
            let mut queue = Queue::default();
            events.iter().for_each(|(time, event)| queue.push(*time, *event));
            while let Some(event) = queue.pop_until(1_000) {
                queue.note(event);
            }
            queue.hash()
        };
        assert_eq!(run(&[(1, 1), (2, 2)]), run(&[(1, 1), (2, 2)]));
        assert_ne!(run(&[(1, 1), (2, 2)]), run(&[(1, 2), (2, 1)]));
        assert_ne!(run(&[(1, 1), (2, 2)]), run(&[(1, 1), (3, 2)]));
    }
}
