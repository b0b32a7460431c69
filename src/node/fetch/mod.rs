//! Contents that are wanted and not here: fetched block by block from whoever has them.
//!
//! A content is *queued* until there is room, then *active*: its [`Walker`](crate::block::Walker)
//! says which blocks are missing, [`Wants`] asks peers for them. A content of which no connected
//! peer has another block is *parked* until a peer says that it may have something.

mod walk;
mod wants;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;

use super::PeerFault;
use super::replica::Replica;
use crate::block::{self, AcceptError, ContentError, Progress, Walker};
use crate::id::BlockId;
use crate::id::LinkId;
use crate::limits::{MAX_LEAF, MAX_WANTED};
use crate::log::ContentNo;
use crate::time::Timestamp;
use walk::{Elsewhere, Job};
use wants::Wants;

pub use walk::Walk;
pub(super) use wants::MAX_ASKED;

/// Contents walked at a time: small ones make a handful of frames.
const MAX_ACTIVE: usize = 1_024;
/// Blocks looked for at a time, about 200 bytes each; one large content adds up to 256 more.
pub(super) const MAX_BLOCKS: usize = 4_096;
/// Blocks found missing by one [`Walk`], and small contents looked at.
const MAX_WALK: usize = 1_024;
/// Bytes of blocks asked for or not stored yet: half of what a transfer may use.
const MAX_BYTES: usize = 32 << 20;
/// Missing blocks that a parked content is remembered by: the first ones come first.
const PARKED_ON: usize = 4;

/// What came of fetching.
#[derive(Debug)]
pub(super) enum Fetched {
    /// A block that was asked for, verified.
    Block(BlockId, Bytes),
    /// All blocks of a content are here or were given out.
    Complete(ContentNo),
    /// A content can never be complete.
    Invalid(ContentNo, ContentError),
}

#[derive(Debug)]
struct Active {
    /// Nothing while it is out on a [`Walk`].
    walker: Option<Walker>,
    is_tree: bool,
    /// Blocks looked for on its behalf.
    blocks: BTreeSet<BlockId>,
    /// Blocks that came while the walker was out.
    held: Vec<(BlockId, Bytes)>,
}

#[derive(Debug, Default)]
pub(super) struct Fetcher {
    queue: BTreeSet<ContentNo>,
    active: BTreeMap<ContentNo, Active>,
    /// Active contents to look up in the store.
    due: BTreeSet<ContentNo>,
    is_walking: bool,
    wants: Wants,
    parked: BTreeMap<ContentNo, Vec<BlockId>>,
    parked_on: BTreeMap<BlockId, BTreeSet<ContentNo>>,
    /// Contents that can never be complete; never asked for again.
    refused: BTreeSet<ContentNo>,
    /// Blocks accepted and not stored yet.
    fresh: BTreeMap<BlockId, Bytes>,
    fresh_bytes: usize,
    fetched: Vec<Fetched>,
}

impl Fetcher {
    /// Wants a content, unless it is wanted already or known to be invalid.
    pub(super) fn want(&mut self, content: ContentNo) {
        let known = self.active.contains_key(&content)
            || self.parked.contains_key(&content)
            || self.refused.contains(&content);
        if !known {
            self.queue.insert(content);
        }
    }

    /// Contents wanted and neither complete nor known to be invalid.
    pub(super) fn wanted(&self) -> usize {
        self.queue.len() + self.active.len() + self.parked.len()
    }

    /// The first of them in the log.
    pub(super) fn oldest(&self) -> Option<ContentNo> {
        let first = [self.queue.first(), self.active.keys().next(), self.parked.keys().next()];
        first.into_iter().flatten().min().copied()
    }

    /// Whether nothing can be done before a peer gets something or comes.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.active.is_empty()
    }

    pub(super) fn link_up(&mut self, link: LinkId, now: Timestamp) {
        self.wants.link_up(link, now);
        self.unpark_all();
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.wants.link_down(link);
        let active: Vec<ContentNo> = self.active.keys().copied().collect();
        for content in active {
            if self.wants.has_peers() {
                self.park_if_hopeless(content);
            } else {
                self.release(content);
                self.queue.insert(content);
            }
        }
    }

    /// A peer may have what it lacked.
    pub(super) fn reconsider(&mut self, link: LinkId) {
        self.wants.may_have_any(link);
        self.unpark_all();
    }

    /// A peer has blocks that it lacked.
    pub(super) fn may_have(&mut self, link: LinkId, ids: &[BlockId]) {
        for id in ids {
            self.wants.may_have(link, id);
            for content in self.parked_on.remove(id).into_iter().flatten() {
                self.unpark(content);
            }
        }
    }

    /// Blocks came from a peer.
    pub(super) fn received(
        &mut self,
        link: LinkId,
        blocks: Vec<Bytes>,
        now: Timestamp,
    ) -> Result<(), PeerFault> {
        for bytes in blocks {
            let id = block::id(&bytes);
            let arrived = self.wants.arrived(link, &id, now);
            for content in arrived.map_err(|_| PeerFault::UnaskedBlock)? {
                self.give(content, id, bytes.clone());
            }
        }
        Ok(())
    }

    /// A peer lacks blocks that it was asked for.
    pub(super) fn absent(
        &mut self,
        link: LinkId,
        ids: &[BlockId],
        now: Timestamp,
    ) -> Result<(), PeerFault> {
        let mut concerned = BTreeSet::new();
        for id in ids {
            let absent = self.wants.absent(link, id, now);
            concerned.append(&mut absent.map_err(|_| PeerFault::UnaskedBlock)?);
        }
        concerned.into_iter().for_each(|content| self.park_if_hopeless(content));
        Ok(())
    }

    /// Blocks given out by [`take_fetched`](Self::take_fetched) are in the store.
    pub(super) fn stored<'a>(&mut self, ids: impl IntoIterator<Item = &'a BlockId>) {
        for id in ids {
            self.fresh_bytes -= self.fresh.remove(id).map_or(0, |bytes| bytes.len());
        }
    }

    /// Makes queued contents active as far as there is room, and gives up on silent peers.
    pub(super) fn advance(&mut self, replica: &Replica, now: Timestamp) {
        for content in self.wants.give_up_stalled(now) {
            self.park_if_hopeless(content);
        }
        while self.wants.has_peers()
            && self.active.len() < MAX_ACTIVE
            && self.wants.len() < MAX_BLOCKS
            && let Some(no) = self.queue.pop_first()
        {
            let content = replica.log().content(no);
            if replica.view().is_complete(replica.log(), no) {
                continue;
            }
            match Walker::new(*content) {
                Ok(walker) => {
                    let (blocks, held) = (BTreeSet::new(), Vec::new());
                    let is_tree = content.levels > 0;
                    let active = Active { walker: Some(walker), is_tree, blocks, held };
                    self.active.insert(no, active);
                    self.due.insert(no);
                }
                Err(error) => self.refuse(no, error),
            }
        }
    }

    /// The next contents to look up in the store, one [`Walk`] at a time.
    pub(super) fn walk(&mut self) -> Option<Walk> {
        if self.is_walking || self.wants.len() >= MAX_BLOCKS {
            return None;
        }
        let mut jobs = Vec::new();
        let mut cost = 0;
        while cost < MAX_WALK
            && let Some(content) = self.due.pop_first()
        {
            let Some(active) = self.active.get_mut(&content) else { continue };
            let Some(walker) = active.walker.take() else { continue };
            cost += if active.is_tree { MAX_WANTED } else { 1 };
            jobs.push(Job { content, walker, progress: None });
        }
        self.is_walking = !jobs.is_empty();
        self.is_walking.then(|| Walk { jobs, fresh: self.fresh.clone() })
    }

    /// A walk came back.
    pub(super) fn walked(&mut self, walk: Walk) {
        self.is_walking = false;
        for Job { content, walker, progress } in walk.jobs {
            // Given up meanwhile, and perhaps begun anew.
            let found = self.active.get_mut(&content).filter(|active| active.walker.is_none());
            let Some(active) = found else { continue };
            active.walker = Some(walker);
            let held = core::mem::take(&mut active.held);
            match progress {
                Some(Progress::Complete) => self.finish(content),
                Some(Progress::Invalid(error)) => self.refuse(content, error),
                Some(Progress::More) => drop(self.due.insert(content)),
                Some(Progress::Waiting) => {}
                // The store failed: whoever runs it knows, and it may work later.
                None => self.park(content),
            }
            for (id, bytes) in held {
                self.give(content, id, bytes);
            }
            self.look_for_wanted(content);
            self.park_if_hopeless(content);
        }
    }

    /// Decides what to ask of whom.
    pub(super) fn ask(&mut self, now: Timestamp) -> Vec<(LinkId, Vec<BlockId>)> {
        let used = self.fresh_bytes + self.wants.in_flight();
        self.wants.ask(MAX_BYTES.saturating_sub(used), now)
    }

    /// What came of it all since the last call.
    pub(super) fn take_fetched(&mut self) -> Vec<Fetched> {
        core::mem::take(&mut self.fetched)
    }

    /// When [`advance`](Self::advance) has something to do without any other input.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.wants.deadline()
    }
}

/// One content.
impl Fetcher {
    /// Looks for the blocks that a content lacks, as far as its walker knows them.
    fn look_for_wanted(&mut self, content: ContentNo) {
        let Some(active) = self.active.get_mut(&content) else { return };
        let Some(walker) = &active.walker else { return };
        let mut here = Vec::new();
        for place in walker.wanted() {
            if let Some(bytes) = self.fresh.get(&place.id) {
                here.push((place.id, bytes.clone()));
            } else if active.blocks.insert(place.id) {
                let length = usize::try_from(place.length).unwrap_or(MAX_LEAF).min(MAX_LEAF);
                self.wants.add(place.id, length, content);
            }
        }
        for (id, bytes) in here {
            self.give(content, id, bytes);
        }
    }

    /// Hands a block to a content that may lack it.
    fn give(&mut self, content: ContentNo, id: BlockId, bytes: Bytes) {
        let Some(active) = self.active.get_mut(&content) else { return };
        active.blocks.remove(&id);
        let Some(walker) = &mut active.walker else {
            active.held.push((id, bytes));
            return;
        };
        match walker.accept(&bytes) {
            Ok(_) => self.keep(id, bytes),
            Err(AcceptError::Content(error)) => return self.refuse(content, error),
            // It was given twice, or is of a tree that was begun anew.
            Err(AcceptError::NotWanted) => return,
        }
        let Some(walker) = self.walker(content) else { return };
        if walker.wanted().len() > MAX_WANTED / 2 {
            return;
        }
        match walker.advance(&mut Elsewhere) {
            Ok(Progress::Complete) => self.finish(content),
            Ok(Progress::Invalid(error)) => self.refuse(content, error),
            Ok(Progress::Waiting) => {}
            Ok(Progress::More) | Err(_) => drop(self.due.insert(content)),
        }
    }

    fn walker(&mut self, content: ContentNo) -> Option<&mut Walker> {
        self.active.get_mut(&content)?.walker.as_mut()
    }

    /// Keeps a verified block at hand until it is stored.
    fn keep(&mut self, id: BlockId, bytes: Bytes) {
        if !self.fresh.contains_key(&id) {
            self.fresh_bytes += bytes.len();
            self.fresh.insert(id, bytes.clone());
            self.fetched.push(Fetched::Block(id, bytes));
        }
    }

    fn finish(&mut self, content: ContentNo) {
        self.release(content);
        self.fetched.push(Fetched::Complete(content));
    }

    fn refuse(&mut self, content: ContentNo, error: ContentError) {
        self.release(content);
        self.refused.insert(content);
        self.fetched.push(Fetched::Invalid(content, error));
    }

    /// Ends the activity for a content.
    fn release(&mut self, content: ContentNo) {
        self.due.remove(&content);
        let blocks = self.active.remove(&content).map(|active| active.blocks);
        blocks.iter().flatten().for_each(|id| self.wants.leave(id, content));
    }

    fn park_if_hopeless(&mut self, content: ContentNo) {
        let Some(active) = self.active.get(&content) else { return };
        let is_settled = active.walker.is_some() && !self.due.contains(&content);
        let mut blocks = active.blocks.iter();
        if is_settled && blocks.all(|id| self.wants.is_hopeless(id)) {
            self.park(content);
        }
    }

    fn park(&mut self, content: ContentNo) {
        // In the order of the content, in which a peer that fetches it will get them.
        let first = self.walker(content).into_iter().flat_map(|walker| walker.wanted());
        let first: Vec<BlockId> = first.map(|place| place.id).take(PARKED_ON).collect();
        for id in &first {
            self.parked_on.entry(*id).or_default().insert(content);
        }
        self.release(content);
        self.parked.insert(content, first);
    }

    fn unpark(&mut self, content: ContentNo) {
        for id in self.parked.remove(&content).into_iter().flatten() {
            if let Some(contents) = self.parked_on.get_mut(&id) {
                contents.remove(&content);
                if contents.is_empty() {
                    self.parked_on.remove(&id);
                }
            }
        }
        self.queue.insert(content);
    }

    fn unpark_all(&mut self) {
        self.parked_on.clear();
        self.queue.extend(core::mem::take(&mut self.parked).into_keys());
    }
}
