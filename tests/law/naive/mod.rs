//! The rules, evaluated the slow and obvious way.
//!
//! Of the crate only the decoder and the numbers of the limits are used here. Everything that the crate keeps up to date with
//! indexes and jump pointers is computed anew for every question: ancestors are sets, chains are
//! walked, the log is admitted by going over it until nothing more happens.

mod admission;
mod authority;
mod fork;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::{Payload, VerifiedEntry};
use basefs::id::{Content, DirId, EntryId};

pub(crate) use admission::{Log, Slot, Value, defined_dir, inline_content, root_dir};

/// How often each rule decided something.
pub(crate) type Deciders = BTreeMap<&'static str, u64>;

/// What a path shows (VIEW-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Dir(DirId),
    File {
        content: Content,
        executable: bool,
    },
    Symlink(String),
    /// The path of the directory, if it has one.
    Alias(Option<String>),
}

/// Everything the rules say about a set of entries and complete contents.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) admitted: BTreeSet<EntryId>,
    /// The rule that each rejected entry fails.
    pub(crate) rejected: BTreeMap<EntryId, &'static str>,
    pub(crate) authorised: BTreeSet<EntryId>,
    pub(crate) live: BTreeSet<EntryId>,
    /// All slots with admitted entries.
    pub(crate) winners: BTreeMap<Slot, Option<EntryId>>,
    /// Slots without conflicts are left out.
    pub(crate) conflicts: BTreeMap<Slot, BTreeSet<EntryId>>,
    /// All directories but the root.
    pub(crate) places: BTreeMap<DirId, Option<Slot>>,
    /// Every path that shows something, the root left out: `/name/name`.
    pub(crate) paths: BTreeMap<String, Shown>,
    pub(crate) lost_and_found: BTreeSet<DirId>,
    /// Winners of slots in directories that have no path.
    pub(crate) orphans: BTreeMap<Slot, EntryId>,
    /// What may not be dropped (GC-2).
    pub(crate) needed: BTreeSet<EntryId>,
    /// The admitted entries in the order of reconciliation (ORDER-1).
    pub(crate) order: Vec<EntryId>,
    pub(crate) deciders: Deciders,
}

/// Evaluates the rules over all entries of a replica.
pub(crate) fn evaluate(
    genesis: EntryId,
    entries: &[VerifiedEntry],
    complete: &BTreeSet<Content>,
) -> State {
    let log = &Log::admit(genesis, entries);
    let mut state = State {
        admitted: log.entries.keys().copied().collect(),
        rejected: log.rejected.clone(),
        ..State::default()
    };
    for rule in log.rejected.values() {
        count(&mut state.deciders, rule);
    }
    if state.admitted.is_empty() {
        return state;
    }
    state.authorised = authority::authorised(log, &mut state.deciders);
    let mut lines = BTreeMap::new();
    for (slot, entries) in log.slots() {
        let decided = fork::Fork { log, authorised: &state.authorised, complete, slot: &slot };
        let outcome = decided.decide(&entries, &mut state.deciders);
        state.live.extend(&outcome.live);
        if !outcome.conflicts.is_empty() {
            state.conflicts.insert(slot.clone(), outcome.conflicts);
        }
        state.winners.insert(slot.clone(), outcome.line.first().copied());
        lines.insert(slot, outcome.line);
    }
    tree::Tree { log, lines: &lines }.fill(&mut state);
    state.needed = needed(log, &state.authorised);
    state.order = state.admitted.iter().copied().collect();
    state.order.sort_by_key(|id| (log.path_of(id), *id));
    state
}

/// The entries that heads lead to through hard references, and every genesis; `dir` leads nowhere.
/// To evaluate these is to look at the past: what is in a directory that nothing among them
/// defines waits, as it would anywhere.
// rule: AT-1
pub(crate) fn reachable(
    entries: &[VerifiedEntry],
    heads: &BTreeSet<EntryId>,
) -> Vec<VerifiedEntry> {
    let is_genesis = |entry: &&VerifiedEntry| {
        matches!(entry.body().payload, Payload::Genesis { .. }) || heads.contains(&entry.id())
    };
    let mut reached: BTreeSet<EntryId> =
        entries.iter().filter(is_genesis).map(VerifiedEntry::id).collect();
    loop {
        let within = entries.iter().filter(|entry| reached.contains(&entry.id()));
        let next: BTreeSet<EntryId> = within.flat_map(admission::hard_references).collect();
        if next.is_subset(&reached) {
            break;
        }
        reached.extend(next);
    }
    entries.iter().filter(|entry| reached.contains(&entry.id())).cloned().collect()
}

/// The authorised entries and everything they lead to.
// rule: GC-2
fn needed(log: &Log<'_>, authorised: &BTreeSet<EntryId>) -> BTreeSet<EntryId> {
    let mut needed = authorised.clone();
    let mut open: Vec<EntryId> = authorised.iter().copied().collect();
    while let Some(id) = open.pop() {
        let entry = log.entries[&id];
        let mut leads_to = admission::hard_references(entry);
        if let Payload::Revoke { keep, .. } = &entry.body().payload {
            leads_to.extend(keep);
        }
        leads_to.extend(log.definers(&entry.body().dir));
        for other in leads_to {
            if log.entries.contains_key(&other) && needed.insert(other) {
                open.push(other);
            }
        }
    }
    needed
}

fn count(deciders: &mut Deciders, rule: &'static str) {
    *deciders.entry(rule).or_default() += 1;
}
