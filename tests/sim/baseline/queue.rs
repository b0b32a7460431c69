//! memberlist's `TransmitLimitedQueue`: what was sent least goes first, among equals what is
//! longest, then what is newest.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How often a message was sent; its length, longest first; when it was queued, newest first.
type Rank = (u32, Reverse<usize>, Reverse<u64>);

/// What a broadcast is about: a later one about the same replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// The state of a member.
    Member(usize),
    /// Nothing else is about the same.
    Itself,
}

/// Messages that are still to be sent a few times.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<Rank, (About, Vec<u8>)>,
    members: BTreeMap<usize, Rank>,
    queued: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, about: About, message: Vec<u8>) {
        self.queued += 1;
        let rank = (0, Reverse(message.len()), Reverse(self.queued));
        if let About::Member(member) = about
            && let Some(old) = self.members.insert(member, rank)
        {
            self.waiting.remove(&old);
        }
        self.waiting.insert(rank, (about, message));
    }

    /// Messages for one packet: at most `limit` bytes with `overhead` bytes for each message.
    /// A message that was sent `transmit_limit` times is forgotten.
    pub(crate) fn take(
        &mut self,
        overhead: usize,
        limit: usize,
        transmit_limit: u32,
    ) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        let mut again = Vec::new();
        let mut used = 0;
        let mut tier = self.waiting.keys().next().map(|rank| rank.0);
        while let Some(transmits) = tier {
            let free = limit.saturating_sub(used + overhead);
            // The longest in this tier that fits, or the first of the next tier.
            let from = (transmits, Reverse(free), Reverse(u64::MAX));
            let Some((&rank, _)) = self.waiting.range(from..).next() else { break };
            if rank.0 > transmits {
                tier = Some(rank.0);
                continue;
            }
            let (about, message) = self.waiting.remove(&rank).expect("it was just found");
            used += overhead + message.len();
            taken.push(message.clone());
            again.push((rank, about, message));
        }
        for ((transmits, length, number), about, message) in again {
            if transmits + 1 < transmit_limit {
                let rank = (transmits + 1, length, number);
                if let About::Member(member) = about {
                    self.members.insert(member, rank);
                }
                self.waiting.insert(rank, (about, message));
            } else if let About::Member(member) = about {
                self.members.remove(&member);
            }
        }
        taken
    }
}
