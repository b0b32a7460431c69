//! The view: what the hierarchy looks like today.
//!
//! A pure function of the admitted entries and the complete contents, kept up to date as either
//! arrives. [`View::apply`] costs O(log n) for the common case, an entry written on top of the
//! winner; only a slot with a real fork is decided anew, by the rule in one file, `fork.rs`.
//!
//! Architecture invariant: the view keeps no bytes and no signatures, and nothing in it depends on
//! a clock.

mod fork;
mod history;
mod past;
mod place;
mod spare;
mod verb;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::authority::Authority;
use crate::id::Content;
use crate::limits::MAX_INLINE;
use crate::log::{AdmittedEntry, ContentNo, EntryNo, Log, SlotNo, Value};

pub use fork::{Beaten, Decided, Outcome};
pub use history::{Explanation, Loser, Status, Version};
pub use past::Past;
pub use place::{Node, NodeKind};
pub use spare::SpareContents;
pub use verb::Verb;

/// What is remembered of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct SlotState {
    /// The entry applied last; the others are linked behind it.
    last: Option<EntryNo>,
    winner: Option<EntryNo>,
    /// Some entry did not simply follow the winner, so that the winner cannot be told from the
    /// order of arrival.
    is_forked: bool,
}

/// A slot whose winner changed, or whose state must be stored because it forked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// Which slot.
    pub slot: SlotNo,
    /// The winner before.
    pub before: Option<EntryNo>,
    /// The winner now.
    pub after: Option<EntryNo>,
    /// Whether the winner must be stored, for replaying the entries would not give it.
    pub is_forked: bool,
}

/// Winners and readiness.
#[derive(Clone, Debug, Default)]
pub struct View {
    slots: Vec<SlotState>,
    /// The entry applied before in the same slot.
    before: Vec<Option<EntryNo>>,
    complete: Vec<bool>,
    /// Contents that were complete before an entry named them.
    early: BTreeSet<Content>,
    /// The entry applied last with a content; the others are linked behind it.
    last_user: Vec<Option<EntryNo>>,
    user_before: Vec<Option<EntryNo>>,
    /// The slots that have or had more than one branch, in the order in which they forked; those
    /// from the store in its order.
    forked: Vec<SlotNo>,
    /// Deletions by the link that they name as where something moved to.
    moves: BTreeSet<(EntryNo, EntryNo)>,
    /// Slots that have to be decided before their winner is right again.
    undecided: BTreeSet<SlotNo>,
    decisions: u64,
    examined: u64,
}

impl View {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many slots were decided by the full walk since the start; a measure of work, for tests.
    pub fn decisions(&self) -> u64 {
        self.decisions
    }

    /// How many entries those walks went through; a measure of work, for tests.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// The winner of a slot, if anything in it counts.
    pub fn winner(&self, slot: SlotNo) -> Option<EntryNo> {
        self.slots.get(slot.index()).and_then(|state| state.winner)
    }

    /// Whether a slot has or had more than one branch: only then can it have further tips.
    pub fn is_forked(&self, slot: SlotNo) -> bool {
        self.slots.get(slot.index()).is_some_and(|state| state.is_forked)
    }

    /// The slots for which [`is_forked`](Self::is_forked) holds, in no particular order.
    pub fn forked(&self) -> &[SlotNo] {
        &self.forked
    }

    /// The deletions that name a link as where something moved to, in the order of admission. Not
    /// all need be authorised.
    pub fn moves_to(&self, link: EntryNo) -> impl Iterator<Item = EntryNo> + '_ {
        let first = EntryNo::from_index(0).map(|least| (link, least));
        let range = first.into_iter().flat_map(|first| self.moves.range(first..));
        range.take_while(move |(to, _)| *to == link).map(|(_, delete)| *delete)
    }

    /// The entries of a slot, in the order they were applied.
    pub fn entries(&self, slot: SlotNo) -> Vec<EntryNo> {
        let last = self.slots.get(slot.index()).and_then(|state| state.last);
        let mut entries: Vec<EntryNo> =
            core::iter::successors(last, |no| self.before[no.index()]).collect();
        entries.reverse();
        entries
    }

    /// Whether a content is complete on this replica; short content always is.
    // rule: READY-1
    pub fn is_complete(&self, log: &Log, content: ContentNo) -> bool {
        log.content(content).size <= MAX_INLINE as u64
            || self.complete.get(content.index()).copied().unwrap_or(false)
    }

    /// Whether an entry's value is here in full.
    // rule: READY-1
    pub fn is_ready(&self, log: &Log, no: EntryNo) -> bool {
        match log.value(no) {
            Some(Value::File { content, .. }) => self.is_complete(log, *content),
            _ => true,
        }
    }

    /// The contents that some entry wants and that are not complete here, in order of admission.
    pub fn incomplete<'a>(&'a self, log: &'a Log) -> impl Iterator<Item = ContentNo> + 'a {
        (0..log.contents())
            .filter_map(ContentNo::from_index)
            .filter(|content| !self.is_complete(log, *content))
    }

    /// The entries with a content, the latest first. Not all need be authorised.
    pub fn users_of(&self, content: ContentNo) -> impl Iterator<Item = EntryNo> + '_ {
        let last = self.last_user.get(content.index()).copied().flatten();
        core::iter::successors(last, |no| self.user_before[no.index()])
    }

    /// Takes in one admitted entry and the flags it changed; gives the slots that changed. Until
    /// [`settle`](Self::settle), winners are out of date where more than that is needed: a slot that
    /// many entries of one batch touch is decided once.
    pub fn apply(
        &mut self,
        log: &Log,
        authority: &Authority,
        entry: &AdmittedEntry,
        flipped: &[EntryNo],
    ) -> Option<SlotChange> {
        self.apply_number(log, authority, entry.no(), flipped)
    }

    /// Takes in an entry that the log has admitted, by number. Of other entries of the log only
    /// those that were taken in before matter.
    fn apply_number(
        &mut self,
        log: &Log,
        authority: &Authority,
        no: EntryNo,
        flipped: &[EntryNo],
    ) -> Option<SlotChange> {
        self.link(log, no);
        self.undecided.extend(flipped.iter().filter_map(|no| log.slot_of(*no)));
        let slot = log.slot_of(no).filter(|slot| !self.undecided.contains(slot))?;
        self.append(log, authority, slot, no)
    }

    /// Decides the slots that are out of date; gives those that changed.
    pub fn settle(&mut self, log: &Log, authority: &Authority) -> Vec<SlotChange> {
        let undecided = core::mem::take(&mut self.undecided);
        undecided.into_iter().filter_map(|slot| self.decide(log, authority, slot)).collect()
    }

    /// A content that no entry names yet is here in full; says whether that is news.
    pub fn complete_early(&mut self, content: Content) -> bool {
        self.early.insert(content)
    }

    /// A content was verified in full: the slots of the entries that have it may change.
    pub fn complete(
        &mut self,
        log: &Log,
        authority: &Authority,
        content: ContentNo,
    ) -> Vec<SlotChange> {
        self.grow(log);
        if core::mem::replace(&mut self.complete[content.index()], true) {
            return Vec::new();
        }
        let mut users: BTreeMap<SlotNo, Vec<EntryNo>> = BTreeMap::new();
        for no in self.users_of(content).filter(|no| authority.is_authorised(*no)) {
            if let Some(slot) = log.slot_of(no) {
                users.entry(slot).or_default().push(no);
            }
        }
        let decide = |(slot, users): (SlotNo, Vec<EntryNo>)| match users[..] {
            [no] if self.follows_winner(log, slot, no) => self.set_winner(slot, Some(no), true),
            _ => self.decide(log, authority, slot),
        };
        users.into_iter().filter_map(decide).collect()
    }

    /// Takes in an entry when loading from the store, where forked slots have their winner stored.
    pub(crate) fn restore(&mut self, log: &Log, no: EntryNo, authorised: bool) {
        self.link(log, no);
        if let Some(slot) = log.slot_of(no)
            && authorised
            && self.is_ready(log, no)
            && self.winner(slot) == log.prev(no).first().copied()
        {
            self.slots[slot.index()].winner = Some(no);
        }
    }

    /// Marks a content complete when loading from the store.
    pub(crate) fn restore_complete(&mut self, log: &Log, content: ContentNo) {
        self.grow(log);
        self.complete[content.index()] = true;
    }

    /// Sets the stored winner of a forked slot.
    pub(crate) fn restore_winner(&mut self, log: &Log, slot: SlotNo, winner: Option<EntryNo>) {
        self.grow(log);
        let state = &mut self.slots[slot.index()];
        state.winner = winner;
        if !core::mem::replace(&mut state.is_forked, true) {
            self.forked.push(slot);
        }
    }

    fn grow(&mut self, log: &Log) {
        self.slots.resize(log.slots(), SlotState::default());
        self.before.resize(log.len(), None);
        self.user_before.resize(log.len(), None);
        for no in (self.complete.len()..log.contents()).filter_map(ContentNo::from_index) {
            self.complete.push(self.early.remove(log.content(no)));
        }
        self.last_user.resize(log.contents(), None);
    }

    /// Links an entry into the lists of its slot and its content.
    fn link(&mut self, log: &Log, no: EntryNo) {
        self.grow(log);
        let Some(slot) = log.slot_of(no) else { return };
        self.before[no.index()] = self.slots[slot.index()].last.replace(no);
        if let Some(link) = log.moved_to(no) {
            self.moves.insert((link, no));
        }
        if let Some(content) = log.content_of(no) {
            self.user_before[no.index()] = self.last_user[content.index()].replace(no);
        }
    }

    /// The cheap way: an entry on top of the winner wins, one that does not count changes nothing.
    // rule: FORK-5
    fn append(
        &mut self,
        log: &Log,
        authority: &Authority,
        slot: SlotNo,
        no: EntryNo,
    ) -> Option<SlotChange> {
        // Nothing descends from a new entry, so while its content is missing it has no effect.
        if !authority.is_authorised(no) || !self.is_ready(log, no) {
            let winner = self.winner(slot);
            return self.set_winner(slot, winner, true);
        }
        if self.follows_winner(log, slot, no) {
            let in_order = self.winner(slot) == log.prev(no).first().copied();
            return self.set_winner(slot, Some(no), !in_order);
        }
        self.undecided.insert(slot);
        None
    }

    /// Whether an authorised entry that just became ready wins without a decision: it stands on
    /// the winner, which is a tip, so that nothing else that counts descends from it; or nothing
    /// counts yet at all.
    fn follows_winner(&self, log: &Log, slot: SlotNo, no: EntryNo) -> bool {
        let winner = self.winner(slot);
        winner.is_none() || winner == log.prev(no).first().copied()
    }

    /// The full way.
    fn decide(&mut self, log: &Log, authority: &Authority, slot: SlotNo) -> Option<SlotChange> {
        let outcome = self.outcome(log, authority, slot);
        self.decisions += 1;
        self.examined += outcome.len() as u64;
        let winner = outcome.winner;
        self.set_winner(slot, winner, true)
    }

    /// Decides a slot with all details, changing nothing.
    pub fn outcome(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Outcome {
        fork::decide(log, authority, slot, self.entries(slot), |no| self.is_ready(log, no))
    }

    fn set_winner(
        &mut self,
        slot: SlotNo,
        after: Option<EntryNo>,
        forks: bool,
    ) -> Option<SlotChange> {
        let state = &mut self.slots[slot.index()];
        let newly_forked = forks && !state.is_forked;
        let before = core::mem::replace(&mut state.winner, after);
        state.is_forked |= forks;
        let is_forked = state.is_forked;
        if newly_forked {
            self.forked.push(slot);
        }
        let changed = newly_forked || before != after;
        changed.then_some(SlotChange { slot, before, after, is_forked })
    }
}
