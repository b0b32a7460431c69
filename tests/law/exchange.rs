//! Nodes that exchange what they have in real frames, moved by one seed.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

use basefs::entry::{SignedEntry, VerifiedEntry};
use basefs::id::{BlockId, Content, EntryId, NodeId};
use basefs::log::EntryNo;
use basefs::node::{Archive, Effects, Input, LinkId, Node, Output, Replica};
use basefs::time::Timestamp;
use bytes::Bytes;

use crate::generate::{Rng, blocks};

/// What a node has stored.
#[derive(Default)]
struct Disk {
    entries: Vec<Bytes>,
    blocks: BTreeMap<BlockId, Bytes>,
}

impl Disk {
    fn store(&mut self, effects: &Effects) {
        self.entries.extend(effects.admitted.iter().map(|entry| entry.bytes().clone()));
        self.blocks.extend(effects.blocks.iter().cloned());
    }
}

impl Archive for Disk {
    type Error = Infallible;

    fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
        // What is not durable must not leave: here that is a panic.
        Ok(self.entries[no.index()].clone())
    }

    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
        Ok(self.blocks.get(id).cloned())
    }
}

pub(crate) struct Machine {
    pub(crate) node: Node,
    disk: Disk,
}

impl Machine {
    fn new(genesis: EntryId, seed: u8) -> Self {
        let node = Node::new(Replica::new(genesis, seed.into()), [seed; 32]);
        Self { node, disk: Disk::default() }
    }

    /// Takes a content in as if it had been written here.
    pub(crate) fn complete(&mut self, number: usize, content: &Content) {
        self.disk.blocks.insert(content.root, blocks(number));
        self.node.complete(content);
    }

    pub(crate) fn commit(&mut self) {
        let effects = self.node.take_effects();
        self.disk.store(&effects);
        self.node.stored(effects.mark);
    }

    /// Does what the node asks for; gives the frames for others.
    fn work(&mut self, now: Timestamp) -> Vec<(LinkId, Bytes)> {
        let mut frames = Vec::new();
        loop {
            let Some(output) = self.node.poll_output() else {
                if self.node.poll_timeout().is_none_or(|due| due > now) {
                    return frames;
                }
                self.node.handle(now, Input::Timeout);
                continue;
            };
            match output {
                Output::Send { link } => {
                    while let Some(mut outgoing) = self.node.next_send(link) {
                        while let Ok(Some(frame)) = outgoing.next_frame(&self.disk) {
                            frames.push((link, frame));
                        }
                        self.node.handle(now, Input::Sent { link, outgoing });
                    }
                }
                Output::Verify { link, entries } => {
                    let verified = entries.into_iter().map(SignedEntry::verify);
                    let entries: Vec<VerifiedEntry> =
                        verified.map(|entry| entry.expect("an honest peer")).collect();
                    self.node.handle(now, Input::Verified { link, entries, invalid: 0 });
                }
                Output::Walk(mut walk) => {
                    walk.run(&self.disk).expect("a map does not fail");
                    self.node.handle(now, Input::Walked(walk));
                }
                Output::Store => self.commit(),
                Output::Close { fault, .. } => panic!("between honest nodes: {fault}"),
                _ => {}
            }
        }
    }
}

/// Some nodes and what is on its way between them.
pub(crate) struct Network {
    pub(crate) machines: Vec<Machine>,
    /// The two ends of each link, by its number.
    ends: Vec<[usize; 2]>,
    pipes: BTreeMap<(usize, LinkId), VecDeque<Bytes>>,
    now: Timestamp,
}

impl Network {
    pub(crate) fn new(genesis: EntryId, machines: u8) -> Self {
        Self {
            machines: (1..=machines).map(|seed| Machine::new(genesis, seed)).collect(),
            ends: Vec::new(),
            pipes: BTreeMap::new(),
            now: Timestamp::from_micros(1),
        }
    }

    /// Connects the machines in a line, and lets them talk until all is quiet, time passes, and all
    /// is quiet again: an entry that waited at one node for what another brought leaves it only in
    /// a later session.
    pub(crate) fn exchange(&mut self, rng: &mut Rng) {
        /// Long enough for several sessions without a reason.
        const LONG: core::time::Duration = core::time::Duration::from_secs(150);
        for right in 1..self.machines.len() {
            let link = LinkId::new(self.ends.len() as u64);
            self.ends.push([right - 1, right]);
            let dialer = right - rng.below(2);
            for (at, peer) in [(right - 1, right), (right, right - 1)] {
                let peer = NodeId::from_bytes([u8::try_from(peer).unwrap_or(u8::MAX); 32]);
                let input = Input::LinkUp { link, peer, dialed: at == dialer };
                self.machines[at].node.handle(self.now, input);
            }
        }
        let end = self.now + LONG;
        while self.now < end {
            self.settle(rng);
            let due = self.machines.iter().filter_map(|machine| machine.node.poll_timeout()).min();
            self.now = due.unwrap_or(end).max(self.now);
        }
    }

    /// Delivers frames in any order, those of one link in theirs, until there is none.
    fn settle(&mut self, rng: &mut Rng) {
        loop {
            for at in 0..self.machines.len() {
                for (link, frame) in self.machines[at].work(self.now) {
                    let [left, right] = self.ends[usize::try_from(link.number()).unwrap_or(0)];
                    let to = if at == left { right } else { left };
                    self.pipes.entry((to, link)).or_default().push_back(frame);
                }
            }
            let full: Vec<(usize, LinkId)> = self
                .pipes
                .iter()
                .filter(|(_, pipe)| !pipe.is_empty())
                .map(|(end, _)| *end)
                .collect();
            let Some((at, link)) = full.get(rng.below(full.len())).copied() else { return };
            let Some(pipe) = self.pipes.get_mut(&(at, link)) else { return };
            let count = 1 + rng.below(pipe.len());
            for bytes in pipe.drain(..count) {
                self.machines[at].node.handle(self.now, Input::Frame { link, bytes });
            }
        }
    }
}
