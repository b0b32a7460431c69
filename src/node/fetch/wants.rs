//! Blocks that are looked for, and whom they were asked of.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use crate::id::BlockId;
use crate::log::ContentNo;
use crate::node::LinkId;
use crate::node::frame::MAX_FRAME_IDS;
use crate::time::Timestamp;

/// Blocks asked of one peer and not answered. Four frames: with small blocks, a round trip is spent
/// on every 512.
pub(in crate::node) const MAX_ASKED: usize = 4 * MAX_FRAME_IDS;
/// Bytes asked of one peer and not answered: as much as fits a path of 1 Gbit/s and 32 ms.
const MAX_ASKED_BYTES: usize = 4 << 20;
/// How long a peer may send no block although some were asked for. Then they are asked of others;
/// at 10 kbit/s a frame of blocks takes as long.
const STALL: Duration = Duration::from_secs(60);

/// A block came that was never asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unasked;

#[derive(Debug)]
struct Want {
    /// The contents that it belongs to.
    users: BTreeSet<ContentNo>,
    length: usize,
    /// Its place among those not asked for.
    order: u64,
    asked: Option<LinkId>,
    /// The peers that said they lack it.
    absent: BTreeSet<LinkId>,
}

#[derive(Debug)]
struct Peer {
    /// What it was asked for, with the lengths, and has not answered.
    asked: BTreeMap<BlockId, usize>,
    bytes: usize,
    /// When it last answered, or was first asked.
    since: Timestamp,
}

/// The blocks that are looked for. Each is asked of one peer at a time, the one with the least to
/// answer of those that may have it.
#[derive(Debug, Default)]
pub(super) struct Wants {
    blocks: BTreeMap<BlockId, Want>,
    unasked: BTreeMap<u64, BlockId>,
    next_order: u64,
    peers: BTreeMap<LinkId, Peer>,
}

impl Wants {
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Looks for a block on behalf of a content.
    pub(super) fn add(&mut self, id: BlockId, length: usize, user: ContentNo) {
        let order = self.next_order;
        let want = self.blocks.entry(id).or_insert_with(|| {
            self.next_order += 1;
            self.unasked.insert(order, id);
            let (users, absent) = (BTreeSet::new(), BTreeSet::new());
            Want { users, length, order, asked: None, absent }
        });
        want.users.insert(user);
    }

    /// A content is no longer interested in a block.
    pub(super) fn leave(&mut self, id: &BlockId, user: ContentNo) {
        if let Some(want) = self.blocks.get_mut(id) {
            want.users.remove(&user);
            if want.users.is_empty() {
                self.unasked.remove(&want.order);
                self.blocks.remove(id);
            }
        }
    }

    /// A block came from a peer: gives the contents that wait for it.
    pub(super) fn arrived(
        &mut self,
        link: LinkId,
        id: &BlockId,
        now: Timestamp,
    ) -> Result<BTreeSet<ContentNo>, Unasked> {
        self.answered(link, id, now)?;
        let Some(want) = self.blocks.remove(id) else { return Ok(BTreeSet::new()) };
        self.unasked.remove(&want.order);
        Ok(want.users)
    }

    /// A peer lacks a block: gives the contents for which that may have been the last hope.
    pub(super) fn absent(
        &mut self,
        link: LinkId,
        id: &BlockId,
        now: Timestamp,
    ) -> Result<BTreeSet<ContentNo>, Unasked> {
        self.answered(link, id, now)?;
        Ok(self.give_up(link, id))
    }

    fn answered(&mut self, link: LinkId, id: &BlockId, now: Timestamp) -> Result<(), Unasked> {
        let peer = self.peers.get_mut(&link).ok_or(Unasked)?;
        peer.bytes -= peer.asked.remove(id).ok_or(Unasked)?;
        peer.since = now;
        Ok(())
    }

    /// Does not count on a peer for a block.
    fn give_up(&mut self, link: LinkId, id: &BlockId) -> BTreeSet<ContentNo> {
        let Some(want) = self.blocks.get_mut(id) else { return BTreeSet::new() };
        want.absent.insert(link);
        if want.asked == Some(link) {
            want.asked = None;
            self.unasked.insert(want.order, *id);
        }
        want.users.clone()
    }

    /// Whether every peer said that it lacks the block.
    pub(super) fn is_hopeless(&self, id: &BlockId) -> bool {
        let all_lack = |want: &Want| self.peers.keys().all(|link| want.absent.contains(link));
        self.blocks.get(id).is_none_or(|want| want.asked.is_none() && all_lack(want))
    }

    pub(super) fn link_up(&mut self, link: LinkId, now: Timestamp) {
        self.peers.insert(link, Peer { asked: BTreeMap::new(), bytes: 0, since: now });
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.peers.remove(&link);
        for (id, want) in &mut self.blocks {
            want.absent.remove(&link);
            if want.asked == Some(link) {
                want.asked = None;
                self.unasked.insert(want.order, *id);
            }
        }
    }

    /// A peer may have a block that it lacked.
    pub(super) fn may_have(&mut self, link: LinkId, id: &BlockId) {
        if let Some(want) = self.blocks.get_mut(id) {
            want.absent.remove(&link);
        }
    }

    /// A peer may have any block that it lacked.
    pub(super) fn may_have_any(&mut self, link: LinkId) {
        for want in self.blocks.values_mut() {
            want.absent.remove(&link);
        }
    }

    /// Bytes asked for and not here.
    pub(super) fn in_flight(&self) -> usize {
        self.peers.values().map(|peer| peer.bytes).sum()
    }

    /// Decides what to ask of whom, for `room` bytes at most.
    ///
    /// A peer is asked again when it has answered half: so frames of questions stay full.
    pub(super) fn ask(&mut self, mut room: usize, now: Timestamp) -> Vec<(LinkId, Vec<BlockId>)> {
        let is_half_done =
            |peer: &Peer| peer.asked.len() <= MAX_ASKED / 2 && peer.bytes <= MAX_ASKED_BYTES / 2;
        let mut ready: BTreeSet<LinkId> = self
            .peers
            .iter()
            .filter(|(_, peer)| is_half_done(peer))
            .map(|(link, _)| *link)
            .collect();
        let mut questions: BTreeMap<LinkId, Vec<BlockId>> = BTreeMap::new();
        let mut asked = Vec::new();
        for (order, id) in &self.unasked {
            let Some(want) = self.blocks.get_mut(id) else { continue };
            if ready.is_empty() || want.length > room {
                break;
            }
            let may_have = ready.iter().filter(|link| !want.absent.contains(link));
            let Some(link) = may_have.min_by_key(|link| self.peers[*link].bytes).copied() else {
                continue;
            };
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            if peer.asked.is_empty() {
                peer.since = now;
            }
            // Asked before, given up, and now asked again: the answer counts once.
            let before = peer.asked.insert(*id, want.length).unwrap_or(0);
            peer.bytes = peer.bytes - before + want.length;
            room -= want.length;
            want.asked = Some(link);
            asked.push(*order);
            questions.entry(link).or_default().push(*id);
            if peer.asked.len() >= MAX_ASKED || peer.bytes >= MAX_ASKED_BYTES {
                ready.remove(&link);
            }
        }
        for order in asked {
            self.unasked.remove(&order);
        }
        let frames = |(link, ids): (LinkId, Vec<BlockId>)| {
            let frames: Vec<_> =
                ids.chunks(MAX_FRAME_IDS).map(|ids| (link, ids.to_vec())).collect();
            frames
        };
        questions.into_iter().flat_map(frames).collect()
    }

    /// Stops counting on peers that have not answered for too long: gives the contents concerned.
    pub(super) fn give_up_stalled(&mut self, now: Timestamp) -> BTreeSet<ContentNo> {
        let mut concerned = BTreeSet::new();
        let stalled: Vec<(LinkId, Vec<BlockId>)> = self
            .peers
            .iter_mut()
            .filter(|(_, peer)| !peer.asked.is_empty() && now >= peer.since + STALL)
            .map(|(link, peer)| {
                peer.since = now;
                (*link, peer.asked.keys().copied().collect())
            })
            .collect();
        for (link, ids) in stalled {
            for id in ids {
                concerned.append(&mut self.give_up(link, &id));
            }
        }
        concerned
    }

    /// When to look for stalled peers.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let asked = self.peers.values().filter(|peer| !peer.asked.is_empty());
        asked.map(|peer| peer.since + STALL).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;
    const ROOM: usize = 1 << 30;

    fn content(index: usize) -> ContentNo {
        ContentNo::from_index(index).unwrap()
    }

    fn block(byte: u8) -> BlockId {
        BlockId::from_bytes([byte; 32])
    }

    fn wants(peers: u64, blocks: u8) -> Wants {
        let mut wants = Wants::default();
        (0..peers).for_each(|link| wants.link_up(LinkId::new(link), NOW));
        (0..blocks).for_each(|byte| wants.add(block(byte), 100, content(0)));
        wants
    }

    #[test]
    fn blocks_are_shared_out_and_asked_for_once() {
        let mut wants = wants(2, 10);
        let asked = wants.ask(ROOM, NOW);
        assert_eq!(asked.iter().map(|(_, ids)| ids.len()).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(wants.ask(ROOM, NOW), []);
        assert_eq!(wants.in_flight(), 1_000);
    }

    #[test]
    fn what_one_lacks_is_asked_of_the_other_until_nobody_is_left() {
        let mut wants = wants(2, 1);
        let (first, ids) = wants.ask(ROOM, NOW).remove(0);
        assert_eq!(wants.absent(first, &ids[0], NOW), Ok([content(0)].into()));
        assert!(!wants.is_hopeless(&ids[0]));
        let (second, _) = wants.ask(ROOM, NOW).remove(0);
        assert_ne!(first, second);
        wants.absent(second, &ids[0], NOW).unwrap();
        assert!(wants.is_hopeless(&ids[0]));
        assert_eq!(wants.ask(ROOM, NOW), []);
        wants.may_have(second, &ids[0]);
        assert_eq!(wants.ask(ROOM, NOW), [(second, ids)]);
    }

    #[test]
    fn a_lost_peer_leaves_its_questions_to_the_others() {
        let mut wants = wants(1, 3);
        assert_eq!(wants.ask(ROOM, NOW).len(), 1);
        wants.link_down(LinkId::new(0));
        assert_eq!(wants.arrived(LinkId::new(0), &block(1), NOW), Err(Unasked));
        wants.link_up(LinkId::new(1), NOW);
        assert_eq!(wants.ask(ROOM, NOW), [(LinkId::new(1), (0..3).map(block).collect())]);
    }

    #[test]
    fn a_silent_peer_is_given_up_and_may_still_answer() {
        let mut wants = wants(1, 1);
        let _asked = wants.ask(ROOM, NOW);
        let late = wants.deadline().unwrap();
        assert_eq!(wants.give_up_stalled(late), [content(0)].into());
        assert!(wants.is_hopeless(&block(0)));
        assert_eq!(wants.arrived(LinkId::new(0), &block(0), late), Ok([content(0)].into()));
        assert_eq!((wants.len(), wants.in_flight(), wants.deadline()), (0, 0, None));
    }

    #[test]
    fn room_and_peers_bound_what_is_asked_for() {
        let mut wants = wants(1, 10);
        let asked: usize = wants.ask(350, NOW).iter().map(|(_, ids)| ids.len()).sum();
        assert_eq!(asked, 3);
        for index in 0..3_000_u32 {
            let id = crate::block::id(&index.to_le_bytes());
            wants.add(id, 100, content(1));
        }
        let asked: Vec<usize> = wants.ask(ROOM, NOW).iter().map(|(_, ids)| ids.len()).collect();
        assert_eq!(asked.iter().sum::<usize>(), MAX_ASKED - 3);
        assert!(asked.iter().all(|ids| *ids <= MAX_FRAME_IDS));
    }
}
