//! Streams: what was said, what of it was sent, lost, acknowledged and read.

use std::collections::{BTreeMap, VecDeque};

use basefs::gossip::PushId;
use bytes::Bytes;

/// A set of numbers as ranges.
#[derive(Clone, Debug, Default)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds `start..end`; gives how many of them were new.
    pub fn add(&mut self, start: u64, end: u64) -> u64 {
        let (mut low, mut high, mut old) = (start, end, 0);
        while let Some((from, to)) = self
            .0
            .range(..=high)
            .next_back()
            .map(|(from, to)| (*from, *to))
            .filter(|(_, to)| *to >= low)
        {
            old += to.min(end).saturating_sub(from.max(start));
            low = low.min(from);
            high = high.max(to);
            self.0.remove(&from);
        }
        self.0.insert(low, high);
        end - start - old
    }

    pub fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// The end of the range that begins at 0.
    pub fn contiguous(&self) -> u64 {
        self.0.get(&0).copied().unwrap_or(0)
    }

    /// The newest ranges, at most so many; forgets the others.
    pub fn newest(&mut self, most: usize) -> Vec<(u64, u64)> {
        while self.0.len() > most {
            self.0.pop_first();
        }
        self.0.iter().map(|(start, end)| (*start, *end)).collect()
    }
}

/// What one end says on a stream.
#[derive(Debug, Default)]
pub struct Out {
    /// Whole frames, each with the offset of its end.
    frames: VecDeque<(u64, Bytes)>,
    total: u64,
    sent: u64,
    lost: VecDeque<(u64, u64)>,
    acked: Ranges,
    /// Of a stream that has one frame only: by what name its end is told.
    pub push: Option<PushId>,
}

impl Out {
    pub fn say(&mut self, frame: Bytes) {
        // A length of four bytes stands before each frame.
        self.total += frame.len() as u64 + 4;
        self.frames.push_back((self.total, frame));
    }

    pub fn unsent(&self) -> u64 {
        self.total - self.sent
    }

    pub fn has_to_send(&self) -> bool {
        self.sent < self.total || !self.lost.is_empty()
    }

    /// Takes the next part to send, at most `room` bytes.
    pub fn next(&mut self, room: u64) -> Option<(u64, u64)> {
        if let Some((start, end)) = self.lost.pop_front() {
            let cut = end.min(start + room);
            if cut < end {
                self.lost.push_front((cut, end));
            }
            return Some((start, cut));
        }
        let (start, end) = (self.sent, self.total.min(self.sent + room));
        self.sent = end;
        (start < end).then_some((start, end))
    }

    pub fn lost(&mut self, start: u64, end: u64) {
        if (start..end).any(|byte| !self.acked.contains(byte)) {
            self.lost.push_back((start, end));
        }
    }

    /// A part was acknowledged; `true` once that is all.
    pub fn acked(&mut self, start: u64, end: u64) -> bool {
        self.acked.add(start, end);
        while self.frames.front().is_some_and(|(at, _)| *at <= self.acked.contiguous()) {
            self.frames.pop_front();
        }
        self.acked.contiguous() >= self.total
    }

    /// The frames that end after `from` and at `to` or before.
    pub fn frames(&self, from: u64, to: u64) -> Vec<Bytes> {
        let whole = self.frames.iter().filter(|(end, _)| *end > from && *end <= to);
        whole.map(|(_, frame)| frame.clone()).collect()
    }
}

/// What has arrived of a stream.
#[derive(Debug, Default)]
pub struct In {
    got: Ranges,
    read: u64,
}

impl In {
    /// A part arrived: the frames, of what the other end says, that are whole now.
    pub fn take(&mut self, start: u64, end: u64, other: Option<&Out>) -> Vec<Bytes> {
        self.got.add(start, end);
        let (from, to) = (self.read, self.got.contiguous());
        self.read = to;
        if to > from {
            other.map(|out| out.frames(from, to)).unwrap_or_default()
        } else {
            Vec::new()
        }
    }
}
