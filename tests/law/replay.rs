//! A replica that is told one thing after the other, held against the rules at every step.

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::{SignedEntry, VerifiedEntry};
use basefs::id::{Content, EntryId};
use basefs::log::{EntryNo, SlotNo, Source};
use basefs::node::{Effects, Replica, Restore};

use crate::compare;
use crate::generate::{Event, World};
use crate::naive::{self, State};

/// A replica, and everything it was told.
pub(crate) struct Replay {
    pub(crate) replica: Replica,
    pub(crate) effects: Effects,
    genesis: EntryId,
    told: Vec<VerifiedEntry>,
    ids: BTreeSet<EntryId>,
    complete: BTreeSet<Content>,
    /// The winners as the reported changes give them.
    reported: BTreeMap<SlotNo, Option<EntryNo>>,
    seen: usize,
}

impl Replay {
    pub(crate) fn new(genesis: EntryId) -> Self {
        Self {
            replica: Replica::new(genesis, 1),
            effects: Effects::default(),
            genesis,
            told: Vec::new(),
            ids: BTreeSet::new(),
            complete: BTreeSet::new(),
            reported: BTreeMap::new(),
            seen: 0,
        }
    }

    /// A replica that was told these entries and has these contents in full.
    pub(crate) fn of<'e>(
        genesis: EntryId,
        entries: impl IntoIterator<Item = &'e VerifiedEntry>,
        complete: &BTreeSet<Content>,
    ) -> Self {
        let mut replay = Self::new(genesis);
        complete.iter().for_each(|content| replay.complete(content));
        entries.into_iter().for_each(|entry| replay.offer(entry));
        replay
    }

    /// A replica to which a schedule happened.
    pub(crate) fn scheduled(world: &World, events: &[Event]) -> Self {
        let mut replay = Self::new(world.genesis);
        events.iter().for_each(|event| replay.take(world, *event));
        replay
    }

    pub(crate) fn take(&mut self, world: &World, event: Event) {
        match event {
            Event::Entry(position) => self.offer(&world.made[position].entry),
            Event::Complete(content) => self.complete(&World::content(content)),
        }
    }

    /// The same as one after the other, but entries that follow each other come as a batch.
    pub(crate) fn take_all(&mut self, world: &World, events: &[Event]) {
        let is_entry = |event: &Event| matches!(event, Event::Entry(_));
        for run in events.chunk_by(|a, b| is_entry(a) && is_entry(b)) {
            let entries = run.iter().filter_map(|event| match event {
                Event::Entry(position) => Some(world.made[*position].entry.clone()),
                Event::Complete(_) => None,
            });
            let entries: Vec<VerifiedEntry> = entries.collect();
            if entries.is_empty() {
                run.iter().for_each(|event| self.take(world, *event));
                continue;
            }
            entries.iter().for_each(|entry| self.hear(entry));
            self.replica.offer_all(entries, Source::Local, &mut self.effects);
            self.follow_reports();
        }
    }

    pub(crate) fn offer(&mut self, entry: &VerifiedEntry) {
        self.hear(entry);
        self.replica.offer(entry.clone(), Source::Local, &mut self.effects);
        self.follow_reports();
    }

    fn hear(&mut self, entry: &VerifiedEntry) {
        if self.ids.insert(entry.id()) {
            self.told.push(entry.clone());
        }
    }

    pub(crate) fn complete(&mut self, content: &Content) {
        self.complete.insert(*content);
        self.replica.complete(content, &mut self.effects);
        self.follow_reports();
    }

    /// Law 12 in passing: every report continues the one before.
    fn follow_reports(&mut self) {
        for change in &self.effects.slots[self.seen..] {
            let before = self.reported.insert(change.slot, change.after).flatten();
            assert_eq!(before, change.before, "a change from something that was not so");
        }
        self.seen = self.effects.slots.len();
    }

    /// The winners that the reports add up to.
    pub(crate) fn reported(&self, slot: SlotNo) -> Option<EntryNo> {
        self.reported.get(&slot).copied().flatten()
    }

    /// What the rules say about all this replica was told.
    pub(crate) fn state(&self) -> State {
        naive::evaluate(self.genesis, &self.told, &self.complete)
    }

    /// Holds the replica against the rules.
    ///
    /// # Errors
    ///
    /// Says where the two part.
    pub(crate) fn check(&self) -> Result<State, String> {
        let state = self.state();
        compare::same(&self.replica, &state)?;
        Ok(state)
    }

    /// The contents that it has in full.
    pub(crate) fn contents(&self) -> &BTreeSet<Content> {
        &self.complete
    }

    /// What it was told, each once.
    pub(crate) fn told(&self) -> &[VerifiedEntry] {
        &self.told
    }

    /// The replica as it would be read back from a store; nothing is decided in doing so.
    pub(crate) fn restored(&self) -> Replica {
        let mut restore = Restore::new(self.genesis, 9);
        for entry in &self.effects.admitted {
            let entry = SignedEntry::decode(entry.bytes()).expect("an admitted entry");
            restore.entry(entry).expect("in the order of admission");
        }
        let mut cut = BTreeSet::new();
        for (no, authorised) in &self.effects.authorised {
            if *authorised {
                cut.remove(&no.index());
            } else {
                cut.insert(no.index());
            }
        }
        let forked = self.effects.slots.iter().filter(|change| change.is_forked);
        let winners: BTreeMap<usize, Option<usize>> =
            forked.map(|change| (change.slot.index(), change.after.map(EntryNo::index))).collect();
        let winners: Vec<_> = winners.into_iter().collect();
        let restored = restore.finish(&self.effects.completed, &cut, &winners);
        let restored = restored.expect("facts that fit");
        assert_eq!(restored.view().decisions(), 0, "nothing is decided again");
        assert_eq!(restored.authority().computed(), 0, "no flag is computed again");
        restored
    }
}
