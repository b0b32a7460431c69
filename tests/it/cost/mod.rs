//! What entries cost: each kind of event only what it affects, and great numbers of entries
//! neither stack nor time beyond their share. Work is counted, not timed.

mod depth;
mod events;

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::{Body, FileData, Payload, Rights, SignedEntry, VerifiedEntry};
use basefs::id::{DirId, EntryId, PublicKey};
use basefs::log::{EntryNo, Offered, SlotNo, Source, root_dir};
use basefs::node::{Effects, Replica, Restore};
use basefs::time::WallTime;
use basefs::wire::SecretKey;
use bytes::Bytes;

pub(super) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// A chain of entries of one author under one capability.
pub(super) struct Chain {
    key: SecretKey,
    cap: EntryId,
    next: u64,
    last: Option<EntryId>,
}

impl Chain {
    pub(super) fn new(key: SecretKey, cap: EntryId) -> Self {
        Self { key, cap, next: 0, last: None }
    }

    pub(super) fn sign(
        &mut self,
        dir: DirId,
        name: &str,
        prev: Vec<EntryId>,
        payload: Payload,
    ) -> VerifiedEntry {
        let body = Body {
            dir,
            name: name.into(),
            prev,
            cap: self.cap,
            key: self.key.public(),
            seq: self.next,
            aprev: self.last,
            ts: WallTime::from_millis(self.next),
            payload,
        };
        let entry = body.sign(&self.key).unwrap();
        self.next += 1;
        self.last = Some(entry.id());
        entry
    }

    pub(super) fn write(&mut self, dir: DirId, name: &str, prev: Vec<EntryId>) -> VerifiedEntry {
        let data = FileData::Inline(self.next.to_be_bytes().to_vec().into());
        self.sign(dir, name, prev, Payload::Write { executable: false, data })
    }

    pub(super) fn grant(&mut self, dir: DirId, who: PublicKey, rights: Rights) -> VerifiedEntry {
        self.sign(dir, "", Vec::new(), Payload::Grant { who, rights, after: Vec::new() })
    }

    pub(super) fn revoke(
        &mut self,
        dir: DirId,
        who: PublicKey,
        mut keep: Vec<EntryId>,
    ) -> VerifiedEntry {
        keep.sort();
        self.sign(dir, "", Vec::new(), Payload::Revoke { who, keep })
    }
}

/// The genesis with one root key, seed 1.
pub(super) fn genesis() -> VerifiedEntry {
    let payload = Payload::Genesis { roots: vec![key(1).public()], nonce: [7; 16] };
    let zero = EntryId::from_bytes([0; 32]);
    Chain::new(key(1), zero).sign(DirId::from_bytes([0; 32]), "cost", Vec::new(), payload)
}

/// Counters of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Flags computed.
    pub(super) flags: u64,
    /// Revokes held against capabilities.
    pub(super) compared: u64,
    /// Slots decided in full, and the entries in them.
    pub(super) decisions: u64,
    pub(super) examined: u64,
}

/// A replica, what its store would hold, and the chain of its root key.
pub(super) struct World {
    pub(super) replica: Replica,
    pub(super) owner: Chain,
    pub(super) root: DirId,
    entries: Vec<Bytes>,
    cut: BTreeSet<usize>,
    winners: BTreeMap<usize, Option<usize>>,
}

impl World {
    pub(super) fn new() -> Self {
        let genesis = genesis();
        let mut world = Self {
            replica: Replica::new(genesis.id(), 3),
            owner: Chain::new(key(1), genesis.id()),
            root: root_dir(&genesis.id()),
            entries: Vec::new(),
            cut: BTreeSet::new(),
            winners: BTreeMap::new(),
        };
        world.offer(genesis);
        world
    }

    pub(super) fn work(&self) -> Work {
        let (authority, view) = (self.replica.authority(), self.replica.view());
        Work {
            flags: authority.computed(),
            compared: authority.compared(),
            decisions: view.decisions(),
            examined: view.examined(),
        }
    }

    /// Offers an entry; gives the work it was.
    pub(super) fn offer(&mut self, entry: VerifiedEntry) -> Work {
        let mut effects = Effects::default();
        let before = self.work();
        let offered = self.replica.offer(entry, Source::Local, &mut effects);
        assert!(!matches!(offered, Offered::Rejected(_) | Offered::Dropped(_)), "{offered:?}");
        self.keep(effects);
        self.since(before)
    }

    /// Offers entries as one batch, none of which may be refused.
    pub(super) fn offer_all(&mut self, entries: impl IntoIterator<Item = VerifiedEntry>) -> Work {
        let mut effects = Effects::default();
        let before = self.work();
        for offered in self.replica.offer_all(entries, Source::Local, &mut effects) {
            assert!(!matches!(offered, Offered::Rejected(_) | Offered::Dropped(_)), "{offered:?}");
        }
        self.keep(effects);
        self.since(before)
    }

    fn since(&self, before: Work) -> Work {
        let now = self.work();
        Work {
            flags: now.flags - before.flags,
            compared: now.compared - before.compared,
            decisions: now.decisions - before.decisions,
            examined: now.examined - before.examined,
        }
    }

    fn keep(&mut self, effects: Effects) {
        for (no, authorised) in effects.authorised {
            if authorised {
                self.cut.remove(&no.index());
            } else {
                self.cut.insert(no.index());
            }
        }
        for change in effects.slots.iter().filter(|change| change.is_forked) {
            self.winners.insert(change.slot.index(), change.after.map(EntryNo::index));
        }
        assert!(effects.refused.is_empty());
        self.entries.extend(effects.admitted.iter().map(|entry| entry.bytes().clone()));
    }

    pub(super) fn slot(&self, name: &str) -> SlotNo {
        let log = self.replica.log();
        log.child(log.root().unwrap(), name).unwrap()
    }

    pub(super) fn winner(&self, name: &str) -> Option<EntryId> {
        let log = self.replica.log();
        self.replica.view().winner(self.slot(name)).map(|no| log.id(no))
    }

    /// Loads what the store would hold: the same winners and flags, and no decision made again.
    pub(super) fn check_reload(&self) {
        let genesis = self.replica.log().genesis();
        let mut restore = Restore::new(genesis, 5).with_capacity(self.entries.len());
        for entry in &self.entries {
            restore.entry(SignedEntry::decode(entry).unwrap()).unwrap();
        }
        let winners: Vec<_> = self.winners.iter().map(|(slot, no)| (*slot, *no)).collect();
        let loaded = restore.finish(&[], &self.cut, &winners).unwrap();
        let log = self.replica.log();
        assert_eq!(loaded.log().len(), log.len());
        assert_eq!(loaded.view().decisions(), 0);
        for slot in (0..log.slots()).filter_map(SlotNo::from_index) {
            assert_eq!(loaded.view().winner(slot), self.replica.view().winner(slot));
        }
        for no in (0..log.len()).filter_map(EntryNo::from_index) {
            let authorised = self.replica.authority().is_authorised(no);
            assert_eq!(loaded.authority().is_authorised(no), authorised);
        }
    }
}
