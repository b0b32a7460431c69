//! Round trips, acknowledgements and what was lost (RFC 9002).

use std::collections::VecDeque;

use super::super::queue::{MILLI, Micros, SECOND};
use super::streams::Chunk;

/// Packets sent later and acknowledged that make one lost.
const PACKET_THRESHOLD: u64 = 3;
/// How long an acknowledgement may be put off.
pub const MAX_ACK_DELAY: Micros = 25 * MILLI;

/// Round-trip times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rtt {
    pub srtt: Micros,
    var: Micros,
    pub min: Micros,
    pub latest: Micros,
}

impl Rtt {
    pub fn sample(&mut self, latest: Micros, ack_delay: Micros) {
        if self.srtt == 0 {
            *self = Self { srtt: latest.max(1), var: latest / 2, min: latest.max(1), latest };
            return;
        }
        self.min = self.min.min(latest.max(1));
        let adjusted = if latest >= self.min + ack_delay { latest - ack_delay } else { latest };
        self.latest = latest;
        self.var = (3 * self.var + self.srtt.abs_diff(adjusted)) / 4;
        self.srtt = (7 * self.srtt + adjusted) / 8;
    }

    /// The probe time-out.
    pub fn pto(&self) -> Micros {
        self.srtt + (4 * self.var).max(MILLI) + MAX_ACK_DELAY
    }

    fn time_threshold(&self) -> Micros {
        (self.srtt.max(self.latest) * 9 / 8).max(MILLI)
    }
}

/// Which packets arrived: the latest and, a bit each, itself and the 127 before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub largest: u64,
    pub mask: u128,
    /// How long it was put off.
    pub delay: Micros,
}

impl Ack {
    /// Bytes of its frame: each run of packets costs two.
    pub fn bytes(&self) -> u64 {
        let starts = self.mask & !(self.mask << 1);
        5 + 2 * u64::from(starts.count_ones())
    }
}

/// The packets received.
#[derive(Debug, Default)]
pub struct Received {
    /// One more than the latest; zero before the first.
    next: u64,
    mask: u128,
    latest_at: Micros,
    /// Those to be acknowledged that were not.
    pending: u32,
    out_of_order: bool,
    /// The latest time for that.
    pub ack_due: Option<Micros>,
}

impl Received {
    /// Takes a packet's number; false if it was here before, or that cannot be told any more.
    pub fn take(&mut self, now: Micros, number: u64, is_eliciting: bool) -> bool {
        if number >= self.next {
            let ahead = number + 1 - self.next;
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.out_of_order |= is_eliciting && ahead > 1 && self.next > 0;
            self.mask = self.mask.checked_shl(shift).unwrap_or(0) | 1;
            (self.next, self.latest_at) = (number + 1, now);
        } else {
            let behind = self.next - 1 - number;
            let bit = u32::try_from(behind).ok().and_then(|by| 1_u128.checked_shl(by)).unwrap_or(0);
            if bit == 0 || self.mask & bit != 0 {
                return false;
            }
            self.out_of_order |= is_eliciting;
            self.mask |= bit;
        }
        if is_eliciting {
            self.pending += 1;
            self.ack_due.get_or_insert(now + MAX_ACK_DELAY);
        }
        true
    }

    /// Whether an acknowledgement must be sent without waiting for something to go with.
    pub fn must_ack(&self, now: Micros) -> bool {
        self.pending > 0
            && (self.pending >= 2
                || self.out_of_order
                || self.ack_due.is_some_and(|due| due <= now))
    }

    /// The acknowledgement, if there is something to acknowledge.
    pub fn ack(&mut self, now: Micros) -> Option<Ack> {
        if self.pending == 0 {
            return None;
        }
        (self.pending, self.out_of_order, self.ack_due) = (0, false, None);
        Some(Ack { largest: self.next - 1, mask: self.mask, delay: now - self.latest_at })
    }
}

/// A packet under way.
#[derive(Debug)]
pub struct Sent {
    pub number: u64,
    pub at: Micros,
    pub bytes: u64,
    pub chunks: Vec<Chunk>,
}

/// Packets under way, by number.
#[derive(Debug, Default)]
pub struct Flight {
    first: u64,
    sent: VecDeque<Option<Sent>>,
    pub bytes: u64,
    /// The latest packet that was acknowledged.
    pub largest_acked: Option<u64>,
    /// When the time threshold makes the next packet lost.
    pub loss_due: Option<Micros>,
    /// When the last packet was sent.
    pub last_at: Micros,
    /// Probe time-outs in a row.
    pub timeouts: u32,
}

impl Flight {
    /// Adds a packet; one that nobody acknowledges is only a number.
    pub fn push(&mut self, sent: Option<Sent>) {
        if let Some(sent) = &sent {
            self.bytes += sent.bytes;
            self.last_at = sent.at;
        }
        self.sent.push_back(sent);
    }

    /// The number of the next packet.
    pub fn next_number(&self) -> u64 {
        self.first + self.sent.len() as u64
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// The packets that an acknowledgement is the first to name, latest first; whether the very
    /// latest is among them.
    pub fn acked(&mut self, ack: &Ack, found: &mut Vec<Sent>) -> bool {
        let mut mask = ack.mask;
        while mask != 0 {
            let behind = mask.trailing_zeros();
            mask &= mask - 1;
            let number = ack.largest.checked_sub(u64::from(behind));
            let Some(at) = number.and_then(|number| self.index(number)) else { break };
            if let Some(sent) = self.sent.get_mut(at).and_then(Option::take) {
                self.bytes -= sent.bytes;
                found.push(sent);
            }
        }
        let is_new = self.largest_acked.is_none_or(|largest| largest < ack.largest);
        self.largest_acked = Some(self.largest_acked.unwrap_or(0).max(ack.largest));
        is_new && !found.is_empty()
    }

    /// Takes those that are lost by now.
    pub fn lost(&mut self, now: Micros, rtt: &Rtt) -> Vec<Sent> {
        self.loss_due = None;
        let mut lost = Vec::new();
        let Some(largest) = self.largest_acked else { return lost };
        let threshold = rtt.time_threshold();
        for at in 0..self.sent.len() {
            let number = self.first + at as u64;
            if number >= largest {
                break;
            }
            let Some(sent) = &self.sent[at] else { continue };
            if number + PACKET_THRESHOLD <= largest || sent.at + threshold <= now {
                self.bytes -= sent.bytes;
                lost.extend(self.sent[at].take());
            } else {
                let due = sent.at + threshold;
                self.loss_due = Some(self.loss_due.map_or(due, |before| before.min(due)));
            }
        }
        while self.sent.front().is_some_and(Option::is_none) {
            self.sent.pop_front();
            self.first += 1;
        }
        lost
    }

    /// When the next probe is due.
    pub fn probe_due(&self, rtt: &Rtt) -> Option<Micros> {
        let wait = rtt.pto() << self.timeouts.min(16);
        (self.bytes > 0).then(|| self.last_at + wait)
    }
}
