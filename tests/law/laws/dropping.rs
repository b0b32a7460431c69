//! What can be left out without changing what is shown.

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::VerifiedEntry;
use basefs::id::{Content, DirId, EntryId};
use basefs::log::EntryNo;
use proptest::prelude::*;

use super::{Visible, everything, holds, known_contents, slot_of};
use crate::generate::{AUTHORS, Rng, World, key, schedule};
use crate::naive::{Log, Slot, State, Value};
use crate::random::{cases, worlds};
use crate::replay::Replay;

/// The contents, of those that are here, that may be dropped.
// rule: GC-1
fn superseded(replay: &Replay, state: &State) -> BTreeSet<Content> {
    let told = replay.told();
    let log = Log::admit(replay.replica.log().genesis(), told);
    let content = |id: &EntryId| match log.value(id) {
        Value::File { content, .. } => Some(*content),
        _ => None,
    };
    let is_ready = |id: &EntryId| {
        content(id).is_none_or(|content| {
            content.size <= basefs::limits::MAX_INLINE as u64
                || replay.contents().contains(&content)
        })
    };
    // What an authorised, ready entry descends from.
    let mut followed = BTreeSet::new();
    let counts = state.authorised.iter().filter(|id| state.live.contains(id) && is_ready(id));
    let mut open: Vec<EntryId> = counts.copied().collect();
    while let Some(id) = open.pop() {
        let prev = log.entries[&id].body().prev.iter().copied();
        open.extend(prev.filter(|above| followed.insert(*above)));
    }
    let mut spare = replay.contents().clone();
    for id in state.live.iter().filter(|id| !followed.contains(id)) {
        content(id).iter().for_each(|content| {
            spare.remove(content);
        });
    }
    spare
}

/// The entries of each slot and their flags.
fn slots(state: &State, entries: &[VerifiedEntry]) -> BTreeMap<Slot, BTreeMap<EntryId, bool>> {
    let mut slots: BTreeMap<Slot, BTreeMap<EntryId, bool>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| state.admitted.contains(&entry.id())) {
        if let Some(slot) = slot_of(entry) {
            let flag = state.authorised.contains(&entry.id());
            slots.entry(slot).or_default().insert(entry.id(), flag);
        }
    }
    slots
}

/// The slots that can be on the trail of a directory: where something says that it is here, or
/// moved on.
// rule: TREE-2
fn trail(log: &Log<'_>, dir: &DirId) -> BTreeSet<Slot> {
    let is_dir = |id: &EntryId| *log.value(id) == Value::Dir(*dir);
    let speaks = |(id, entry): &(&EntryId, &&VerifiedEntry)| {
        slot_of(entry).is_some() && (is_dir(id) || log.moved_to(id).is_some_and(|to| is_dir(&to)))
    };
    let said = log.entries.iter().filter(speaks).filter_map(|(_, entry)| slot_of(entry));
    said.chain(log.home(dir).cloned()).collect()
}

proptest! {
    #![proptest_config(cases(300))]

    /// Law 5: what no authorised entry leads to can be dropped. The crate and the rules agree on
    /// what that is.
    // rule: GC-2
    #[test]
    fn l05_entries_that_are_not_needed_can_be_dropped(world in worlds(60), seed in any::<u64>()) {
        let replay = Replay::scheduled(&world.0, &schedule(world.0.made.len(), seed));
        let state = holds(replay.check())?;
        let (log, view) = (replay.replica.log(), replay.replica.view());
        let needed = view.needed_entries(log, replay.replica.authority());
        let needed = needed.iter().enumerate().filter(|(_, needed)| **needed);
        let needed = needed.filter_map(|(at, _)| EntryNo::from_index(at)).map(|no| log.id(no));
        prop_assert_eq!(&needed.collect::<BTreeSet<_>>(), &state.needed);
        let told = replay.told();
        // All of them at once, and every second.
        let mut rng = Rng(seed);
        let some = told.iter().filter(|_| rng.one_in(2)).map(VerifiedEntry::id).collect();
        for more in [BTreeSet::new(), some] {
            let is_kept = |id: &EntryId| state.needed.contains(id) || more.contains(id);
            let kept = told.iter().filter(|entry| is_kept(&entry.id()));
            let smaller = Replay::of(world.0.genesis, kept, replay.contents());
            let smaller = holds(smaller.check())?;
            prop_assert_eq!(&smaller.authorised, &state.authorised);
            prop_assert_eq!(Visible::of(&smaller), Visible::of(&state));
        }
    }

    /// Law 11: contents that were built upon everywhere can be dropped, all at once.
    // rule: GC-1
    #[test]
    fn l11_superseded_contents_can_be_dropped(world in worlds(60)) {
        let replay = Replay::of(world.0.genesis, &world.0.entries(), &known_contents());
        let state = holds(replay.check())?;
        let (log, view) = (replay.replica.log(), replay.replica.view());
        let spare = view.spare_contents(log, replay.replica.authority());
        let spare = spare.superseded.iter().chain(&spare.cut).map(|no| *log.content(*no));
        let spare: BTreeSet<Content> = spare.collect();
        let named = |content: &&Content| log.content_no(content).is_some();
        let expected = superseded(&replay, &state).iter().filter(named).copied().collect();
        prop_assert_eq!(&spare, &expected);
        let kept = known_contents().difference(&spare).copied().collect();
        let smaller = Replay::of(world.0.genesis, &world.0.entries(), &kept);
        let smaller = holds(smaller.check())?;
        prop_assert_eq!(&smaller.live, &state.live);
        prop_assert_eq!(Visible::of(&smaller), Visible::of(&state));
    }

    /// Law 13: take all entries of one author away, and with them what cannot do without. Where a
    /// slot has the same entries with the same flags, the same wins; and a directory of which only
    /// such slots speak is where it was.
    #[test]
    fn l13_there_is_no_influence_from_outside(world in worlds(60), author in 1..AUTHORS) {
        let entries = world.0.entries();
        let all = everything(&world.0);
        let others = entries.iter().filter(|entry| entry.body().key != key(author).public());
        let without = Replay::of(world.0.genesis, others, all.contents());
        let (with, without_) = (holds(all.check())?, holds(without.check())?);
        let slots = [slots(&with, &entries), slots(&without_, &entries)];
        let is_same = |slot: &Slot| slots[0].get(slot) == slots[1].get(slot);
        for (slot, winner) in without_.winners.iter().filter(|(slot, _)| is_same(slot)) {
            prop_assert_eq!(with.winners.get(slot), Some(winner));
        }
        let log = Log::admit(world.0.genesis, &entries);
        for (dir, place) in &without_.places {
            if trail(&log, dir).iter().all(is_same) {
                prop_assert_eq!(with.places.get(dir), Some(place));
            }
        }
    }
}

/// The generator makes what these laws are about: contents that can go, and entries that can.
#[test]
fn random_logs_have_something_to_drop() {
    let mut rng = Rng(1);
    let (mut contents, mut entries) = (0, 0);
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..60 * 6).map(|_| rng.next().to_le_bytes()[0]).collect();
        let world = World::of(&crate::generate::decode(&bytes));
        let replay = everything(&world);
        let state = replay.state();
        contents += superseded(&replay, &state).len();
        entries += state.admitted.len() - state.needed.len();
    }
    assert!(contents > 20 && entries > 20, "{contents} contents, {entries} entries");
}
