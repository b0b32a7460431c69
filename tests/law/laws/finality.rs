//! What stands once it was decided.

use std::cell::Cell;
use std::collections::BTreeSet;

use basefs::entry::{Body, FileData, Payload, Rights};
use basefs::id::EntryId;
use basefs::log::{EntryNo, Log, SlotNo};
use basefs::node::{Effects, Replica};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::everything;
use crate::generate::{AUTHORS, Act, After, Base, Cap, Made, Operation, World};
use crate::random::{cases, operations, runner, worlds};
use crate::replay::Replay;

fn winners(replica: &Replica) -> Vec<Option<EntryNo>> {
    let slots = (0..replica.log().slots()).filter_map(SlotNo::from_index);
    slots.map(|slot| replica.view().winner(slot)).collect()
}

/// Whether following `prev` from one entry leads to another.
fn descends(log: &Log, from: EntryNo, to: EntryNo) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(no) = open.pop() {
        if no == to {
            return true;
        }
        open.extend(log.prev(no).iter().filter(|above| seen.insert(**above)));
    }
    false
}

/// Whether nobody but the author of an entry has one of its rank or better in its slot.
fn stands_alone(log: &Log, replica: &Replica, no: EntryNo) -> bool {
    let slot = log.slot_of(no).expect("data");
    let others = replica.view().entries(slot).into_iter().filter(|other| {
        log.rank(*other) < log.rank(no)
            || log.rank(*other) == log.rank(no) && log.author(*other) != log.author(no)
    });
    others.count() == 0
}

/// The payload that pins a winner: its value again, or another deletion.
fn ack(body: &Body, id: EntryId) -> Payload {
    match body.payload {
        Payload::Delete { .. } => Payload::Delete { moved_to: None },
        _ => Payload::Link { target: id },
    }
}

/// Makes more entries in a world, and tells a replica those that rank worse than one and do not
/// descend from it; entries on which others were made come first.
fn go_on(world: &mut World, replay: &mut Replay, acked: EntryNo, later: &[Operation]) {
    let before = world.made.len();
    later.iter().for_each(|operation| world.apply(operation));
    // A look ahead, in which everything is admitted.
    let mut ahead = replay.replica.clone();
    for Made { entry, .. } in &world.made[before..] {
        ahead.offer(entry.clone(), basefs::log::Source::Local, &mut Effects::default());
        let log = ahead.log();
        let Some(no) = log.number(&entry.id()) else { continue };
        if log.rank(no) > log.rank(acked) && !descends(log, no, acked) {
            replay.offer(entry);
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// Law 3: an entry that counts and stands on the winner wins, and nothing changes elsewhere.
    // rule: FORK-5
    #[test]
    fn l03_what_is_appended_to_the_winner_wins(world in worlds(40), author in 0..AUTHORS) {
        let world = world.0;
        let replay = everything(&world);
        let before = winners(&replay.replica);
        for winner in before.iter().flatten() {
            let id = replay.replica.log().id(*winner);
            let data = FileData::Inline(b"appended"[..].into());
            let payload = Payload::Write { executable: false, data };
            let Some(entry) = world.on_top(author, &id, payload) else { continue };
            let mut replica = replay.replica.clone();
            replica.offer(entry.clone(), basefs::log::Source::Local, &mut Effects::default());
            let log = replica.log();
            let Some(no) = log.number(&entry.id()) else { continue };
            let slot = log.slot_of(no).expect("data");
            let mut expected = before.clone();
            if replica.authority().is_authorised(no) {
                expected[slot.index()] = Some(no);
            }
            prop_assert_eq!(winners(&replica), expected);
        }
    }
}

/// Acks the winner of a slot and goes on. Gives how many entries came that could have displaced the
/// ack, if it had the last word and there were any.
fn ack_and_go_on(
    mut world: World,
    author: usize,
    pick: prop::sample::Index,
    later: &[Operation],
) -> Result<Option<usize>, TestCaseError> {
    let mut replay = everything(&world);
    let all: Vec<EntryNo> = winners(&replay.replica).into_iter().flatten().collect();
    if all.is_empty() {
        return Ok(None);
    }
    let id = replay.replica.log().id(*pick.get(&all));
    let body = world.body_of(&id);
    let Some(entry) = world.on_top(author, &id, ack(body, id)) else { return Ok(None) };
    world.tell(author, entry.clone());
    replay.offer(&entry);
    let Some(acked) = replay.replica.log().number(&entry.id()) else { return Ok(None) };
    let slot = replay.replica.log().slot_of(acked).expect("data");
    if !replay.replica.authority().is_authorised(acked)
        || !stands_alone(replay.replica.log(), &replay.replica, acked)
    {
        return Ok(None);
    }
    prop_assert_eq!(replay.replica.view().winner(slot), Some(acked));
    let before = replay.replica.view().entries(slot).len();
    go_on(&mut world, &mut replay, acked, later);
    prop_assert_eq!(replay.replica.view().winner(slot), Some(acked));
    Ok(Some(replay.replica.view().entries(slot).len() - before))
}

/// Law 7: with all contents here, the winner that somebody acked stays, whatever entries of worse
/// rank come that are not built on the ack. Nobody else may have that rank in the slot: a merge made
/// elsewhere takes the votes of others away, as FORK-2 says, and then equals can be outnumbered.
// rule: FORK-2
// rule: FORK-4
#[test]
fn l07_who_outranks_all_has_the_last_word() {
    let rivals = Cell::new(0);
    let input = (worlds(40), 0..AUTHORS, any::<prop::sample::Index>(), operations(30));
    let ran = runner(300).run(&input, |(world, author, pick, later)| {
        let more = ack_and_go_on(world.0, author, pick, &later)?;
        rivals.set(rivals.get() + more.unwrap_or(0));
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    assert!(rivals.get() > 30, "only {} entries could have displaced an ack", rivals.get());
}

proptest! {
    #![proptest_config(cases(300))]

    /// An entry whose content is missing is said to win if it were here exactly if its arrival
    /// changes the winner.
    // rule: VIEW-3
    #[test]
    fn what_would_win_does_once_its_content_is_here(world in worlds(60)) {
        let replay = Replay::of(world.0.genesis, &world.0.entries(), &BTreeSet::new());
        let replica = &replay.replica;
        let (log, view, authority) = (replica.log(), replica.view(), replica.authority());
        for slot in (0..log.slots()).filter_map(SlotNo::from_index) {
            for no in view.pending(log, authority, slot) {
                let content = log.content(log.content_of(no).expect("a file"));
                let mut later = replica.clone();
                later.complete(content, &mut Effects::default());
                let wins = later.view().winner(slot) != view.winner(slot);
                prop_assert_eq!(view.would_win(log, authority, no), wins);
            }
        }
    }
}

/// The limit of law 7. Ana writes, Bob, her equal, acks; Cat, their equal too, writes at the same
/// time and is outnumbered. Dan, below them, knows nothing of the ack and merges Ana's version into
/// Cat's. Now Ana's vote counts for neither branch, Bob and Cat are one against one, and the tie
/// decides: for some names against the ack.
// rule: FORK-2
// rule: FORK-4
#[test]
fn a_merge_from_below_can_leave_equals_to_the_tie() {
    const ANA: usize = 2;
    const BOB: usize = 3;
    const CAT: usize = 4;
    const DAN: usize = 5;
    let displaced = ["a", "b", "c", "d", "e", "f"].map(|name| {
        let step = |author, act| {
            let plain = Operation::decode([0; 6]);
            Operation { author, act, name, dir: 1, cap: Cap::Widest, ..plain }
        };
        let promote = Act::Grant { who: CAT, rights: Rights::All, after: After::Nothing };
        let mut world = World::of(&[
            Operation { dir: 0, ..step(0, promote) },
            step(CAT, Act::Hear { from: 0 }),
            step(ANA, Act::Write { text: 1 }),
            step(BOB, Act::Hear { from: ANA }),
            step(DAN, Act::Hear { from: ANA }),
            step(CAT, Act::Write { text: 2 }),
            step(DAN, Act::Hear { from: CAT }),
        ]);
        let written = world.made.iter().rev().find(|made| made.author == ANA).expect("a write");
        let written = written.entry.id();
        let ack = world.on_top(BOB, &written, Payload::Link { target: written }).expect("an ack");
        world.tell(BOB, ack.clone());
        let mut replay = everything(&world);
        let no = replay.replica.log().number(&ack.id()).expect("admitted");
        let slot = replay.replica.log().slot_of(no).expect("data");
        assert_eq!(replay.replica.view().winner(slot), Some(no), "two against one");

        world.apply(&Operation { base: Base::AllTips, ..step(DAN, Act::Write { text: 1 }) });
        let merged = &world.made.last().expect("a merge").entry;
        replay.offer(merged);
        let log = replay.replica.log();
        let merge = log.number(&merged.id()).expect("admitted");
        assert!(log.rank(merge) > log.rank(no) && !descends(log, merge, no));
        replay.check().expect("as the rules say");
        replay.replica.view().winner(slot) != Some(no)
    });
    assert!(displaced.contains(&true) && displaced.contains(&false), "{displaced:?}");
}
