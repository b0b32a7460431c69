//! What happens next: events in the order of time, and of insertion where times are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::rng::mix;

/// Microseconds since the world began.
pub type Micros = u64;

struct Scheduled<E> {
    at: Micros,
    number: u64,
    event: E,
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<E> Eq for Scheduled<E> {}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Scheduled<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Events to come.
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<Scheduled<E>>>,
    number: u64,
    hash: u64,
    now: Micros,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), number: 0, hash: 0, now: 0 }
    }
}

impl<E> Queue<E> {
    /// The time of the last event taken out.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Lets something happen at a time, or now if that is past.
    pub fn push(&mut self, at: Micros, event: E) {
        self.number += 1;
        let scheduled = Scheduled { at: at.max(self.now), number: self.number, event };
        self.heap.push(Reverse(scheduled));
    }

    /// The next event that happens at `end` or before; otherwise time goes on to `end`.
    pub fn pop_until(&mut self, end: Micros) -> Option<E> {
        if self.heap.peek().is_none_or(|next| next.0.at > end) {
            self.now = self.now.max(end);
            return None;
        }
        let Reverse(Scheduled { at, number, event }) = self.heap.pop()?;
        self.now = at;
        self.hash = mix(self.hash ^ at.rotate_left(20) ^ number);
        Some(event)
    }

    /// A hash over all events so far and what was noted: equal runs have equal ones.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Makes a detail part of the hash.
    pub fn note(&mut self, detail: u64) {
        self.hash = mix(self.hash ^ detail);
    }

    /// Events taken out and still to come.
    pub fn events(&self) -> u64 {
        self.number
    }
}
