//! What survives a crash of a host.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use basefs::entry::SignedEntry;
use basefs::id::{BlockId, Content, EntryId};
use basefs::log::EntryNo;
use basefs::node::{Archive, Effects, Replica, Restore};
use bytes::Bytes;

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    entries: Vec<Bytes>,
    blocks: BTreeMap<BlockId, Bytes>,
    contents: BTreeSet<Content>,
    cut: BTreeSet<usize>,
    winners: BTreeMap<usize, Option<usize>>,
}

impl Disk {
    pub fn commit(&mut self, effects: &Effects) {
        for entry in &effects.admitted {
            assert_eq!(entry.no().index(), self.entries.len(), "entries are stored in order");
            self.entries.push(entry.bytes().clone());
        }
        for (no, authorised) in &effects.authorised {
            if *authorised {
                self.cut.remove(&no.index());
            } else {
                self.cut.insert(no.index());
            }
        }
        for change in effects.slots.iter().filter(|change| change.is_forked) {
            self.winners.insert(change.slot.index(), change.after.map(EntryNo::index));
        }
        self.blocks.extend(effects.blocks.iter().cloned());
        self.contents.extend(effects.completed.iter().copied());
    }

    pub fn restore(&self, genesis: EntryId) -> Replica {
        let mut restore = Restore::new(genesis, 9);
        for bytes in &self.entries {
            let entry = SignedEntry::decode(bytes).expect("it was decoded before it was stored");
            restore.entry(entry).expect("it was admitted before");
        }
        let contents: Vec<Content> = self.contents.iter().copied().collect();
        let winners: Vec<_> = self.winners.iter().map(|(slot, no)| (*slot, *no)).collect();
        restore.finish(&contents, &self.cut, &winners).expect("what was stored fits together")
    }

    /// Entries stored.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Archive for Disk {
    type Error = Infallible;

    fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
        // An entry that is not durable must not leave: here that is a panic.
        Ok(self.entries[no.index()].clone())
    }

    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
        Ok(self.blocks.get(id).cloned())
    }
}
