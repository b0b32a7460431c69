//! Between the log and the gossip: parcels become entries, entries become parcels.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Node;
use super::io::{Output, PeerFault};
use crate::block;
use crate::entry::SignedEntry;
use crate::gossip::{MAX_BODY, Parcelled, SpreadInput, SpreadOutput, decode_parcel};
use crate::id::{Content, EntryId, LinkId};
use crate::log::{EntryNo, Missing, Offered};

/// Entries of a session that are passed on at once: those of somebody who wrote while he was cut
/// off. What a newcomer is sent, the others have.
pub(super) const SHORT_SESSION: u64 = 64;
/// Entries written here that wait to become durable before they are pushed; of more than these,
/// the comparison of sets tells.
const MAX_FRESH: usize = 4_096;
/// Blocks among the latest effects in which the content of a new entry is looked for: it was added
/// just before.
const RECENT_BLOCKS: usize = 8;

/// Entries written here that must be durable before others may see them.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    items: VecDeque<(EntryNo, EntryId, Parcelled)>,
    /// There were too many.
    overflowed: bool,
}

/// Parcels in.
impl Node {
    pub(super) fn take_parcel(&mut self, link: LinkId, bytes: &Bytes) -> Result<(), PeerFault> {
        if !self.links.contains_key(&link) {
            return Ok(());
        }
        for item in decode_parcel(bytes).map_err(PeerFault::Parcel)? {
            let entry = SignedEntry::decode(&item.entry).map_err(PeerFault::Entry)?;
            let id = entry.id();
            if self.replica.log().number(&id).is_some() || self.verifying.contains_key(&id) {
                self.spread.handle(self.now, SpreadInput::Has { link, id });
                continue;
            }
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            self.verifying.insert(id, link);
            state.pushed.insert(id, item.body);
            state.unverified.push_back(entry);
        }
        Ok(())
    }

    /// What became of a pushed entry.
    pub(super) fn note_pushed(&mut self, link: LinkId, id: EntryId, offered: &Offered) {
        let input = match offered {
            Offered::Waiting(Missing::Entry(id)) => SpreadInput::Missing { link, id: *id },
            Offered::Known => SpreadInput::Has { link, id },
            // The directory cannot be asked for by name: only a session finds it.
            Offered::Waiting(Missing::Dir(_)) | Offered::Dropped(_) => {
                return self.lags(link);
            }
            Offered::Admitted | Offered::Rejected(_) => return,
        };
        self.spread.handle(self.now, input);
    }

    /// Takes over the contents that came with entries, now that these are admitted.
    pub(super) fn take_bodies(&mut self, before: usize, bodies: &[(EntryId, Bytes)]) {
        for (id, body) in bodies {
            let admitted = self.effects.admitted[before..].iter().find(|entry| entry.id() == *id);
            let Some(entry) = admitted else { continue };
            let Some(content) = self.content(entry.no()) else { continue };
            // A body that is not the content is ignored: the content is asked for then.
            if content.levels == 0
                && content.size == body.len() as u64
                && block::id(body) == content.root
            {
                self.effects.blocks.push((content.root, body.clone()));
                self.replica.complete(&content, &mut self.effects);
            }
        }
    }

    fn content(&self, no: EntryNo) -> Option<Content> {
        let log = self.replica.log();
        log.content_of(no).map(|content| *log.content(content))
    }
}

/// Entries out.
impl Node {
    /// Passes on what was admitted since there were `before` entries among the effects: what came
    /// from a peer at once, what was written here as soon as it is durable.
    pub(super) fn spread_admitted(&mut self, before: usize, from: Option<LinkId>) {
        for at in before..self.effects.admitted.len() {
            let entry = &self.effects.admitted[at];
            let (no, id, bytes) = (entry.no(), entry.id(), entry.bytes().clone());
            let item = Parcelled { entry: bytes, body: self.recent_body(no) };
            if from.is_some() {
                self.spread.handle(self.now, SpreadInput::Publish { id, item, from });
            } else if self.fresh.items.len() < MAX_FRESH {
                self.fresh.items.push_back((no, id, item));
            } else {
                self.fresh.overflowed = true;
            }
        }
    }

    fn recent_body(&self, no: EntryNo) -> Option<Bytes> {
        let content = self.content(no)?;
        let small = content.levels == 0 && content.size <= MAX_BODY as u64;
        let mut recent = self.effects.blocks.iter().rev().take(RECENT_BLOCKS);
        let found = recent.find(|(id, _)| small && *id == content.root)?;
        Some(found.1.clone())
    }

    /// Pushes what was written here and is durable by now.
    pub(super) fn spread_durable(&mut self) {
        while let Some((_, id, item)) =
            self.fresh.items.pop_front_if(|(no, ..)| no.index() < self.durable)
        {
            self.spread.handle(self.now, SpreadInput::Publish { id, item, from: None });
        }
        if self.fresh.items.is_empty() && core::mem::take(&mut self.fresh.overflowed) {
            self.links.keys().copied().collect::<Vec<_>>().into_iter().for_each(|l| self.lags(l));
        }
    }

    /// Does what the gossip wants done.
    pub(super) fn drain_spread(&mut self) {
        while let Some(output) = self.spread.poll_output() {
            match output {
                SpreadOutput::Push { link, push, bytes } => {
                    self.outputs.push_back(Output::Push { link, push, bytes });
                }
                SpreadOutput::Datagram { link, bytes } => {
                    self.outputs.push_back(Output::Datagram { link, bytes });
                }
                SpreadOutput::Announced { link, ids } => {
                    for id in ids {
                        let log = self.replica.log();
                        if log.number(&id).is_none() && !self.verifying.contains_key(&id) {
                            self.spread.handle(self.now, SpreadInput::Missing { link, id });
                        }
                    }
                }
                SpreadOutput::Lagging { link } => self.lags(link),
                SpreadOutput::Fault { link } => {
                    self.close_on_fault(link, Err(PeerFault::OutOfPlace));
                }
            }
        }
    }

    /// A peer and this node have different entries for certain.
    pub(super) fn lags(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.is_behind = true;
        }
    }
}
