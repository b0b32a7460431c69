//! Nodes that exchange what they have in real frames, moved by one seed.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

use basefs::entry::{SignedEntry, VerifiedEntry};
use basefs::gossip::PushId;
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

/// What one machine sends to another.
enum Sent {
    Frame(Bytes),
    /// On a stream of its own: pushes overtake frames and each other.
    Push(PushId, Bytes),
    Datagram(Bytes),
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

    /// Does what the node asks for; gives what is for others.
    fn work(&mut self, now: Timestamp) -> Vec<(LinkId, Sent)> {
        let mut sent = Vec::new();
        loop {
            let Some(output) = self.node.poll_output() else {
                if self.node.poll_timeout().is_none_or(|due| due > now) {
                    return sent;
                }
                self.node.handle(now, Input::Timeout);
                continue;
            };
            match output {
                Output::Send { link } => {
                    while let Some(mut outgoing) = self.node.next_send(link) {
                        while let Ok(Some(frame)) = outgoing.next_frame(&self.disk) {
                            sent.push((link, Sent::Frame(frame)));
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
                Output::Push { link, push, bytes } => sent.push((link, Sent::Push(push, bytes))),
                Output::Datagram { link, bytes } => sent.push((link, Sent::Datagram(bytes))),
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
    /// Pushes and datagrams, each with its receiver and its link.
    beside: Vec<(usize, LinkId, Sent)>,
    now: Timestamp,
}

impl Network {
    pub(crate) fn new(genesis: EntryId, machines: u8) -> Self {
        Self {
            machines: (1..=machines).map(|seed| Machine::new(genesis, seed)).collect(),
            ends: Vec::new(),
            pipes: BTreeMap::new(),
            beside: Vec::new(),
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

    /// Delivers everything in any order, the frames of one link in theirs, until there is nothing;
    /// of the datagrams some.
    fn settle(&mut self, rng: &mut Rng) {
        loop {
            for at in 0..self.machines.len() {
                for (link, sent) in self.machines[at].work(self.now) {
                    let to = self.other_end(link, at);
                    match sent {
                        Sent::Frame(frame) => {
                            self.pipes.entry((to, link)).or_default().push_back(frame);
                        }
                        beside => self.beside.push((to, link, beside)),
                    }
                }
            }
            if !self.beside.is_empty() && rng.below(2) == 0 {
                self.deliver_beside(rng);
                continue;
            }
            let full: Vec<(usize, LinkId)> = self
                .pipes
                .iter()
                .filter(|(_, pipe)| !pipe.is_empty())
                .map(|(end, _)| *end)
                .collect();
            if full.is_empty() && self.beside.is_empty() {
                return;
            }
            let Some((at, link)) = full.get(rng.below(full.len())).copied() else { continue };
            let Some(pipe) = self.pipes.get_mut(&(at, link)) else { return };
            let count = 1 + rng.below(pipe.len());
            for bytes in pipe.drain(..count) {
                self.machines[at].node.handle(self.now, Input::Frame { link, bytes });
            }
        }
    }

    fn other_end(&self, link: LinkId, at: usize) -> usize {
        let [left, right] = self.ends[usize::try_from(link.number()).unwrap_or(0)];
        if at == left { right } else { left }
    }

    /// Delivers a push, or a datagram unless it is lost.
    fn deliver_beside(&mut self, rng: &mut Rng) {
        let (to, link, sent) = self.beside.swap_remove(rng.below(self.beside.len()));
        let input = match sent {
            Sent::Datagram(_) if rng.below(4) == 0 => return,
            Sent::Datagram(bytes) => Input::Datagram { link, bytes },
            Sent::Frame(bytes) => Input::Frame { link, bytes },
            Sent::Push(push, bytes) => {
                let from = self.other_end(link, to);
                let ended = Input::PushEnded { link, push, delivered: true };
                self.machines[from].node.handle(self.now, ended);
                Input::Pushed { link, bytes }
            }
        };
        self.machines[to].node.handle(self.now, input);
    }
}
