//! Entries that are new here, and who is known to have them.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use super::parcel::Parcelled;
use crate::id::{EntryId, LinkId};
use crate::time::Timestamp;

/// Most entries held; of a burst that is longer, sessions bring the rest.
const MAX_HOT: usize = 4_096;
/// Most bytes held.
const MAX_HOT_BYTES: usize = 8 << 20;
/// How long an entry is held: who has not asked by then, was not there.
const HOT_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Held {
    item: Parcelled,
    known: BTreeSet<LinkId>,
}

/// A bounded memory of what is new.
#[derive(Debug, Default)]
pub(super) struct Hot {
    held: BTreeMap<EntryId, Held>,
    /// From the oldest to the newest.
    order: VecDeque<(Timestamp, EntryId)>,
    bytes: usize,
}

impl Hot {
    /// Adds an entry; `false` if it is there already.
    pub(super) fn insert(&mut self, id: EntryId, item: Parcelled, now: Timestamp) -> bool {
        if self.held.contains_key(&id) {
            return false;
        }
        self.bytes += item.size();
        self.held.insert(id, Held { item, known: BTreeSet::new() });
        self.order.push_back((now, id));
        while self.held.len() > MAX_HOT || self.bytes > MAX_HOT_BYTES {
            self.forget_oldest();
        }
        true
    }

    /// What is younger than `age`, the newest first.
    pub(super) fn younger(&self, now: Timestamp, age: Duration) -> impl Iterator<Item = EntryId> {
        let recent = self.order.iter().rev().take_while(move |(since, _)| now - *since < age);
        recent.map(|(_, id)| *id)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.order.pop_front()
            && let Some(held) = self.held.remove(&id)
        {
            self.bytes -= held.item.size();
        }
    }

    pub(super) fn forget_old(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(since, _)| now - *since > HOT_FOR) {
            self.forget_oldest();
        }
    }

    pub(super) fn forget_link(&mut self, link: LinkId) {
        for held in self.held.values_mut() {
            held.known.remove(&link);
        }
    }

    pub(super) fn contains(&self, id: &EntryId) -> bool {
        self.held.contains_key(id)
    }

    pub(super) fn get(&self, id: &EntryId) -> Option<&Parcelled> {
        self.held.get(id).map(|held| &held.item)
    }

    /// Whether a peer has it, as far as is known.
    pub(super) fn is_known(&self, id: &EntryId, link: LinkId) -> bool {
        self.held.get(id).is_none_or(|held| held.known.contains(&link))
    }

    pub(super) fn note_known(&mut self, id: &EntryId, link: LinkId) {
        if let Some(held) = self.held.get_mut(id) {
            held.known.insert(link);
        }
    }

    pub(super) fn note_unknown(&mut self, id: &EntryId, link: LinkId) {
        if let Some(held) = self.held.get_mut(id) {
            held.known.remove(&link);
        }
    }
}
