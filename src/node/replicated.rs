//! Who has it: waiting until peers hold certain entries durably.
//!
//! Whoever asks names entries, in questions of at most [`MAX_FRAME_IDS`]; the peer answers each
//! question once all its entries are durable there. An entry is admitted only after all that it
//! refers to, and entries become durable in the order of admission, so the answer speaks for all of
//! that. Questions are open on one link: they are forgotten with it, and asked again on the next.
//!
//! Both ends count the open questions the same way. Who asks keeps within the limits, and holds
//! back what is beyond; so a peer that exceeds them is at fault.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::{RangeBounds, RangeInclusive};

use super::Node;
use super::frame::{Frame, MAX_FRAME_IDS};
use super::io::{NodeEvent, Output, PeerFault};
use crate::id::{EntryId, LinkId, NodeId};

/// Questions of one peer that may be open at a time: enough that an application with many writers
/// need not wait for itself.
pub const MAX_AWAITS: usize = 64;
/// Entries named in the open questions of one peer: 128 KiB.
pub const MAX_AWAITED_IDS: usize = 4_096;

const _: () = assert!(MAX_FRAME_IDS <= MAX_AWAITED_IDS);

/// Something that the host waits for.
#[derive(Debug)]
struct Wait {
    heads: Vec<EntryId>,
    /// Who has told that it has all of it, on whatever link.
    reached: BTreeSet<NodeId>,
}

/// Some of the heads of a wait: as many as one question has, from this one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    wait: u64,
    start: usize,
}

/// A question of the peer.
#[derive(Debug)]
struct Open {
    token: u64,
    /// How many entries it named.
    named: usize,
    /// Those that were not durable when last looked at, and some that were.
    missing: Vec<EntryId>,
}

#[derive(Debug)]
struct Peer {
    node: NodeId,
    /// What it will be asked, when answers have made room.
    queue: BTreeSet<Part>,
    /// What it was asked and has not answered, with the number of heads.
    asked: BTreeMap<u64, (Part, usize)>,
    /// Heads named in that.
    asked_heads: usize,
    /// What it asked and was not told.
    open: Vec<Open>,
    /// Heads named in that.
    open_heads: usize,
}

/// What is waited for, here and by peers.
#[derive(Debug, Default)]
pub(super) struct Replicated {
    waits: BTreeMap<u64, Wait>,
    links: BTreeMap<LinkId, Peer>,
    /// The number of the next question.
    next: u64,
}

/// What this node asks.
impl Replicated {
    fn add(&mut self, wait: u64, heads: Vec<EntryId>) {
        for peer in self.links.values_mut() {
            peer.queue.extend(parts(wait, heads.len()));
        }
        self.waits.insert(wait, Wait { heads, reached: BTreeSet::new() });
    }

    /// Loses interest; gives what to tell whom.
    fn forget(&mut self, wait: u64) -> Vec<(LinkId, Frame)> {
        let mut frames = Vec::new();
        if self.waits.remove(&wait).is_none() {
            return frames;
        }
        for (link, peer) in &mut self.links {
            for part in peer.queue.range(all_of(wait)).copied().collect::<Vec<_>>() {
                peer.queue.remove(&part);
            }
            let asked = peer.asked.iter().filter(|(_, (part, _))| part.wait == wait);
            let tokens: Vec<u64> = asked.map(|(token, _)| *token).collect();
            for token in tokens {
                peer.settle(token);
                frames.push((*link, Frame::Await { token, heads: Vec::new() }));
            }
        }
        frames
    }

    pub(super) fn link_up(&mut self, link: LinkId, node: NodeId) {
        let waits = self.waits.iter().filter(|(_, wait)| !wait.reached.contains(&node));
        let queue = waits.flat_map(|(token, wait)| parts(*token, wait.heads.len())).collect();
        let (asked, open) = (BTreeMap::new(), Vec::new());
        self.links.insert(link, Peer { node, queue, asked, asked_heads: 0, open, open_heads: 0 });
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// The questions for which there is room.
    fn ask(&mut self) -> Vec<(LinkId, Frame)> {
        let mut frames = Vec::new();
        for (link, peer) in &mut self.links {
            while peer.asked.len() < MAX_AWAITS
                && let Some(part) = peer.queue.first().copied()
            {
                let wait = self.waits.get(&part.wait);
                let heads =
                    wait.and_then(|wait| wait.heads[part.start..].chunks(MAX_FRAME_IDS).next());
                let heads = heads.unwrap_or_default().to_vec();
                if peer.asked_heads + heads.len() > MAX_AWAITED_IDS {
                    break;
                }
                peer.queue.remove(&part);
                peer.asked_heads += heads.len();
                peer.asked.insert(self.next, (part, heads.len()));
                frames.push((*link, Frame::Await { token: self.next, heads }));
                self.next += 1;
            }
        }
        frames
    }

    /// A peer answers: gives who has the whole of what.
    fn reached(&mut self, link: LinkId, token: u64) -> Result<Option<(NodeId, u64)>, PeerFault> {
        if token >= self.next {
            return Err(PeerFault::OutOfPlace);
        }
        let Some(peer) = self.links.get_mut(&link) else { return Ok(None) };
        // The answer may have crossed the word that there is no interest in it.
        let Some(part) = peer.settle(token) else { return Ok(None) };
        let is_asked = peer.asked.values().any(|(other, _)| other.wait == part.wait);
        if is_asked || peer.queue.range(all_of(part.wait)).next().is_some() {
            return Ok(None);
        }
        let Some(wait) = self.waits.get_mut(&part.wait) else { return Ok(None) };
        Ok(wait.reached.insert(peer.node).then_some((peer.node, part.wait)))
    }
}

/// What peers ask.
impl Replicated {
    fn asked(&mut self, link: LinkId, token: u64, heads: Vec<EntryId>) -> Result<(), PeerFault> {
        let Some(peer) = self.links.get_mut(&link) else { return Ok(()) };
        if heads.is_empty() {
            if let Some(at) = peer.open.iter().position(|open| open.token == token) {
                peer.open_heads -= peer.open.remove(at).named;
            }
            return Ok(());
        }
        if peer.open.iter().any(|open| open.token == token) {
            return Err(PeerFault::OutOfPlace);
        }
        let named = heads.len();
        if peer.open.len() >= MAX_AWAITS || peer.open_heads + named > MAX_AWAITED_IDS {
            return Err(PeerFault::TooManyQuestions);
        }
        peer.open_heads += named;
        peer.open.push(Open { token, named, missing: heads });
        Ok(())
    }

    /// The answers that can be given, on these links.
    fn answers(
        &mut self,
        links: impl RangeBounds<LinkId>,
        is_durable: impl Fn(&EntryId) -> bool,
    ) -> Vec<(LinkId, Frame)> {
        let mut frames = Vec::new();
        for (link, peer) in self.links.range_mut(links) {
            peer.open.retain_mut(|open| {
                while open.missing.pop_if(|id| is_durable(id)).is_some() {}
                if open.missing.is_empty() {
                    peer.open_heads -= open.named;
                    frames.push((*link, Frame::Reached { token: open.token }));
                }
                !open.missing.is_empty()
            });
        }
        frames
    }
}

impl Peer {
    /// A question is open no more.
    fn settle(&mut self, token: u64) -> Option<Part> {
        let (part, heads) = self.asked.remove(&token)?;
        self.asked_heads -= heads;
        Some(part)
    }
}

/// As many questions as that many heads need.
fn parts(wait: u64, heads: usize) -> impl Iterator<Item = Part> {
    (0..heads).step_by(MAX_FRAME_IDS).map(move |start| Part { wait, start })
}

/// Wherever a part of a wait may be.
fn all_of(wait: u64) -> RangeInclusive<Part> {
    Part { wait, start: 0 }..=Part { wait, start: usize::MAX }
}

impl Node {
    /// The host wants to know who has these entries.
    pub(super) fn await_replicated(&mut self, token: u64, mut heads: Vec<EntryId>) {
        self.forget_replicated(token);
        if heads.is_empty() {
            // A hierarchy in which nothing happened yet is there with its genesis.
            heads.push(self.replica.log().genesis());
        }
        self.replicated.add(token, heads);
        self.ask_replicated();
    }

    /// The host does not want to know any more.
    pub(super) fn forget_replicated(&mut self, token: u64) {
        let frames = self.replicated.forget(token);
        self.send_all(frames);
        self.ask_replicated();
    }

    /// Asks what there is room for.
    pub(super) fn ask_replicated(&mut self) {
        let frames = self.replicated.ask();
        self.send_all(frames);
    }

    pub(super) fn take_await(
        &mut self,
        link: LinkId,
        token: u64,
        heads: Vec<EntryId>,
    ) -> Result<(), PeerFault> {
        self.replicated.asked(link, token, heads)?;
        self.answer_awaits(link..=link);
        Ok(())
    }

    pub(super) fn take_reached(&mut self, link: LinkId, token: u64) -> Result<(), PeerFault> {
        if let Some((peer, token)) = self.replicated.reached(link, token)? {
            let event = NodeEvent::Replicated { link, peer, token };
            self.outputs.push_back(Output::Event(event));
        }
        self.ask_replicated();
        Ok(())
    }

    /// Tells peers what is durable by now of what they wait for.
    pub(super) fn answer_awaits(&mut self, links: impl RangeBounds<LinkId>) {
        let (log, durable) = (self.replica.log(), self.durable);
        let is_durable = |id: &EntryId| log.number(id).is_some_and(|no| no.index() < durable);
        let frames = self.replicated.answers(links, is_durable);
        self.send_all(frames);
    }

    fn send_all(&mut self, frames: Vec<(LinkId, Frame)>) {
        for (link, frame) in frames {
            if let Some(state) = self.links.get_mut(&link) {
                state.send(&frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const LINK: LinkId = LinkId::new(3);

    fn id(number: usize) -> EntryId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        EntryId::from_bytes(bytes)
    }

    fn node(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    fn asked(frames: &[(LinkId, Frame)]) -> Vec<(u64, usize)> {
        let shape = |(_, frame): &(LinkId, Frame)| match frame {
            Frame::Await { token, heads } => (*token, heads.len()),
            other => panic!("not a question: {other:?}"),
        };
        frames.iter().map(shape).collect()
    }

    #[test]
    fn a_version_of_many_heads_is_asked_for_in_parts_and_counts_when_all_are_answered() {
        let mut asker = Replicated::default();
        asker.link_up(LINK, node(1));
        asker.add(77, (0..10_000).map(id).collect());
        let mut open = asked(&asker.ask());
        assert_eq!(open.len(), MAX_AWAITED_IDS / MAX_FRAME_IDS, "no more than may be open");
        let (mut named, mut whole) = (0, None);
        while let Some((token, heads)) = open.pop() {
            assert_eq!(whole, None, "only the last answer completes it");
            named += heads;
            whole = asker.reached(LINK, token).unwrap();
            open.extend(asked(&asker.ask()));
        }
        assert_eq!((named, whole), (10_000, Some((node(1), 77))));
        assert_eq!(asker.links[&LINK].asked_heads, 0);
    }

    #[test]
    fn who_keeps_within_the_limits_is_never_at_fault() {
        let (mut asker, mut other) = (Replicated::default(), Replicated::default());
        asker.link_up(LINK, node(1));
        other.link_up(LINK, node(2));
        for (wait, heads) in (0..300).zip((0..).step_by(7)) {
            asker.add(wait, (0..1 + heads % 500).map(id).collect());
        }
        let (mut durable, mut whole) = (0, 0);
        let mut frames = asker.ask();
        while whole < 200 {
            for (_, frame) in frames.drain(..) {
                let Frame::Await { token, heads } = frame else { panic!("not a question") };
                other.asked(LINK, token, heads).unwrap();
            }
            let peer = &other.links[&LINK];
            assert!(peer.open.len() <= MAX_AWAITS && peer.open_heads <= MAX_AWAITED_IDS);
            durable += 10;
            // Interest is lost in some, while their answers are on the way.
            let answers = other.answers(.., |of| (0..durable).any(|number| id(number) == *of));
            frames.extend(asker.forget(299 - durable as u64 % 100));
            for (_, frame) in answers {
                let Frame::Reached { token } = frame else { panic!("not an answer") };
                whole += usize::from(asker.reached(LINK, token).unwrap().is_some());
            }
            frames.extend(asker.ask());
        }
    }

    #[test]
    fn who_exceeds_them_is() {
        let mut other = Replicated::default();
        other.link_up(LINK, node(1));
        for token in 0..MAX_AWAITS as u64 {
            other.asked(LINK, token, vec![id(1)]).unwrap();
        }
        let one_more = other.asked(LINK, 99, vec![id(1)]);
        assert_eq!(one_more, Err(PeerFault::TooManyQuestions));
        other.asked(LINK, 5, vec![]).unwrap();
        other.asked(LINK, 99, vec![id(1)]).unwrap();
        assert_eq!(other.asked(LINK, 98, vec![]), Ok(()), "no interest in what was not asked");

        other.link_up(LINK, node(1));
        for token in 0..16 {
            other.asked(LINK, token, (0..MAX_FRAME_IDS).map(id).collect()).unwrap();
        }
        assert_eq!(other.asked(LINK, 16, vec![id(1)]), Err(PeerFault::TooManyQuestions));
        assert_eq!(other.asked(LINK, 3, vec![id(1)]), Err(PeerFault::OutOfPlace), "twice");
        assert_eq!(other.reached(LINK, 0), Err(PeerFault::OutOfPlace), "nothing was asked");
    }

    #[test]
    fn a_new_link_is_asked_again_unless_the_peer_has_answered() {
        let mut asker = Replicated::default();
        asker.add(1, vec![id(1)]);
        asker.link_up(LINK, node(1));
        let first = asked(&asker.ask())[0].0;
        asker.link_down(LINK);
        assert_eq!(asker.reached(LINK, first), Ok(None));
        asker.link_up(LinkId::new(4), node(1));
        let again = asked(&asker.ask())[0].0;
        assert_eq!(asker.reached(LinkId::new(4), first), Ok(None), "of the link before");
        assert_eq!(asker.reached(LinkId::new(4), again), Ok(Some((node(1), 1))));
        asker.link_up(LinkId::new(5), node(1));
        assert_eq!(asker.ask(), []);
        asker.link_up(LinkId::new(6), node(2));
        assert_eq!(asker.ask().len(), 1);
    }
}
