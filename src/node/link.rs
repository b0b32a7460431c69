//! What a node remembers of one connected peer.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::fetch::{MAX_ASKED, MAX_BLOCKS};
use super::frame::{Frame, MAX_FRAME_ENTRIES, MAX_FRAME_IDS};
use super::io::PeerFault;
use super::outgoing::{MAX_ANSWER, Outgoing};
use super::status::Unsent;
use crate::entry::SignedEntry;
use crate::gossip::Claim;
use crate::id::{BlockId, NodeId};
use crate::log::EntryNo;
use crate::sync::Session;
use crate::time::Timestamp;

/// Entries received and not verified before a link is no longer read: about 1 MiB.
const MAX_UNVERIFIED: usize = 1_024;
/// Bytes of frames that wait for the peer to read before it is no longer listened to. Only who
/// answers sessions comes near, and it never waits for itself: the one that asks goes on reading.
const MAX_QUEUED: usize = 4 << 20;
/// Entries of one link that the log rejected or could not place. An honest peer of the same version
/// sends none that are rejected, and what it sends finds its references here.
const MAX_USELESS: usize = 1_024;
/// Blocks that were absent when the peer asked, and that it is told of when they come: as many as
/// a node looks for at a time.
const MAX_OWED: usize = MAX_BLOCKS;

const _: () = assert!(MAX_OWED >= MAX_ASKED);

/// Something urgent to send.
#[derive(Debug)]
enum Queued {
    Frame(Bytes),
    Entries(VecDeque<EntryNo>),
}

/// What becomes of a block that the peer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// The answer is on its way, and the block came meanwhile.
    Came,
    /// The answer is on its way.
    Open,
    /// The answer was that it is absent.
    Absent,
}

/// Whether more was absent than could be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgotten {
    Nothing,
    Something,
    /// And some block came since, which may have been among it.
    MayBeHere,
}

/// What is remembered of the session under way.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) number: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// When the peer said something last.
    pub(super) heard: Timestamp,
    /// Both sides take part.
    pub(super) is_open: bool,
    /// Entries that were here already.
    pub(super) known: usize,
    /// Whether the session brought something.
    pub(super) admitted: bool,
    /// The peer has sent all its entries of this round.
    pub(super) ended: bool,
    /// How many entries must be durable before the session may go on.
    pub(super) target: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: NodeId,
    pub(super) dialed: bool,
    pub(super) session: Option<Session>,
    pub(super) exchange: Exchange,
    /// There is reason to compare with the peer.
    pub(super) is_behind: bool,
    /// The peer was told that something changed and has not reacted.
    pub(super) hinted: bool,
    /// The round-trip time, as far as it is known.
    pub(super) rtt: Duration,
    /// What the peer claimed last.
    pub(super) claim: Option<Claim>,
    /// The peer was told what is here.
    pub(super) has_claimed: bool,
    /// When to compare, unless claims are explained by then.
    pub(super) doubt: Option<Timestamp>,
    /// When this node and the peer were last found equal, or compared.
    pub(super) contacted: Timestamp,
    /// When the peer was last asked again for everything it lacked.
    pub(super) reconsidered: Timestamp,
    pub(super) unverified: VecDeque<SignedEntry>,
    /// Entries being verified outside.
    pub(super) verifying: usize,
    /// The driver was told to stop reading.
    pub(super) paused: bool,
    /// The driver was told to send and has not emptied the queue since.
    pub(super) sending: bool,
    /// Entries that it pushed although they were here.
    pub(super) repeats: usize,
    useless: usize,
    urgent: VecDeque<Queued>,
    queued_bytes: usize,
    answers: VecDeque<BlockId>,
    owed: BTreeMap<BlockId, Owed>,
    unanswered: usize,
    forgotten: Forgotten,
}

impl Link {
    pub(super) fn new(peer: NodeId, dialed: bool, now: Timestamp) -> Self {
        Self {
            peer,
            dialed,
            session: None,
            exchange: Exchange::default(),
            is_behind: false,
            hinted: false,
            rtt: Duration::ZERO,
            claim: None,
            has_claimed: false,
            doubt: dialed.then_some(now),
            contacted: now,
            reconsidered: now,
            unverified: VecDeque::new(),
            verifying: 0,
            paused: false,
            sending: false,
            repeats: 0,
            useless: 0,
            urgent: VecDeque::new(),
            queued_bytes: 0,
            answers: VecDeque::new(),
            owed: BTreeMap::new(),
            unanswered: 0,
            forgotten: Forgotten::Nothing,
        }
    }

    /// Whether there is room for what the peer may send next.
    pub(super) fn has_room(&self) -> bool {
        self.unverified.len() + self.verifying < MAX_UNVERIFIED && self.queued_bytes < MAX_QUEUED
    }

    /// Counts an entry that was of no use.
    pub(super) fn count_useless(&mut self) -> Result<(), PeerFault> {
        self.useless += 1;
        if self.useless > MAX_USELESS { Err(PeerFault::Flood) } else { Ok(()) }
    }
}

/// What is sent.
impl Link {
    pub(super) fn send(&mut self, frame: &Frame) {
        let bytes = frame.encode();
        self.queued_bytes += bytes.len();
        self.urgent.push_back(Queued::Frame(bytes));
    }

    pub(super) fn send_entries(&mut self, numbers: impl IntoIterator<Item = EntryNo>) {
        self.urgent.push_back(Queued::Entries(numbers.into_iter().collect()));
    }

    pub(super) fn has_output(&self) -> bool {
        !self.urgent.is_empty() || !self.answers.is_empty()
    }

    pub(super) fn unsent(&self) -> Unsent {
        let entries = self.urgent.iter().map(|queued| match queued {
            Queued::Frame(_) => 0,
            Queued::Entries(numbers) => numbers.len(),
        });
        let (bytes, blocks) = (self.queued_bytes, self.answers.len());
        Unsent { bytes, entries: entries.sum(), blocks }
    }

    /// The next thing to send; blocks only when nothing else waits.
    pub(super) fn next_send(&mut self) -> Option<Outgoing> {
        while let Some(queued) = self.urgent.front_mut() {
            match queued {
                Queued::Frame(bytes) => {
                    let bytes = core::mem::take(bytes);
                    self.queued_bytes -= bytes.len();
                    self.urgent.pop_front();
                    return Some(Outgoing::frame(bytes));
                }
                Queued::Entries(numbers) if numbers.is_empty() => drop(self.urgent.pop_front()),
                Queued::Entries(numbers) => {
                    let part = numbers.drain(..numbers.len().min(MAX_FRAME_ENTRIES)).collect();
                    return Some(Outgoing::entries(part));
                }
            }
        }
        let ids: Vec<BlockId> = self.answers.drain(..self.answers.len().min(MAX_ANSWER)).collect();
        (!ids.is_empty()).then(|| Outgoing::answer(ids))
    }
}

/// What the peer asks for.
impl Link {
    /// The peer asks for blocks.
    pub(super) fn asked(&mut self, ids: Vec<BlockId>) -> Result<(), PeerFault> {
        self.unanswered += ids.len();
        if self.unanswered > MAX_ASKED {
            return Err(PeerFault::TooManyQuestions);
        }
        for id in &ids {
            self.owed.insert(*id, Owed::Open);
        }
        self.answers.extend(ids);
        Ok(())
    }

    /// Blocks were sent, or were absent.
    pub(super) fn answered(&mut self, asked: &[BlockId], absent: &[BlockId]) {
        self.unanswered = self.unanswered.saturating_sub(asked.len());
        let mut came = Vec::new();
        for id in asked {
            let owed = self.owed.remove(id);
            if !absent.contains(id) {
                continue;
            }
            if owed == Some(Owed::Came) {
                came.push(*id);
            } else if self.owed.len() < MAX_OWED {
                self.owed.insert(*id, Owed::Absent);
            } else {
                self.forgotten = Forgotten::Something;
            }
        }
        self.tell(&came);
    }

    /// Blocks are in the store now: tells the peer of those it asked for in vain.
    pub(super) fn stored<'a>(&mut self, ids: impl IntoIterator<Item = &'a BlockId>) {
        let mut came = Vec::new();
        for id in ids {
            if self.forgotten == Forgotten::Something {
                self.forgotten = Forgotten::MayBeHere;
            }
            match self.owed.get_mut(id) {
                Some(owed @ (Owed::Open | Owed::Came)) => *owed = Owed::Came,
                Some(Owed::Absent) => {
                    self.owed.remove(id);
                    came.push(*id);
                }
                None => {}
            }
        }
        self.tell(&came);
    }

    /// Nothing more will come for now: the peer may ask again for what was not remembered.
    pub(super) fn settle_debt(&mut self) {
        if self.forgotten == Forgotten::MayBeHere {
            self.forgotten = Forgotten::Nothing;
            self.send(&Frame::Have(Vec::new()));
        }
    }

    fn tell(&mut self, came: &[BlockId]) {
        for ids in came.chunks(MAX_FRAME_IDS) {
            self.send(&Frame::Have(ids.to_vec()));
        }
    }
}
