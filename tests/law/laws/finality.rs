//! What stands once it was decided.

use std::collections::BTreeSet;

use basefs::entry::{Body, FileData, Payload};
use basefs::id::EntryId;
use basefs::log::{EntryNo, Log, SlotNo};
use basefs::node::{Effects, Replica};
use proptest::prelude::*;

use super::everything;
use crate::generate::{AUTHORS, Made, Operation, World};
use crate::random::{cases, operations, worlds};
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
fn go_on(world: &mut World, replay: &mut Replay, acked: EntryNo, later: &[Operation]) -> usize {
    let before = world.made.len();
    later.iter().for_each(|operation| world.apply(operation));
    // A look ahead, in which everything is admitted.
    let mut ahead = replay.replica.clone();
    let mut told = 0;
    for Made { entry, .. } in &world.made[before..] {
        ahead.offer(entry.clone(), basefs::log::Source::Local, &mut Effects::default());
        let log = ahead.log();
        let Some(no) = log.number(&entry.id()) else { continue };
        if log.rank(no) > log.rank(acked) && !descends(log, no, acked) {
            replay.offer(entry);
            told += 1;
        }
    }
    told
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

    /// Law 7: with all contents here, the winner that somebody acked stays, whatever entries of
    /// worse rank come that are not built on the ack. Nobody else may have that rank in the slot:
    /// a merge made elsewhere takes the votes of others away, as FORK-2 says, and then equals can
    /// be outnumbered.
    // rule: FORK-2
    // rule: FORK-4
    #[test]
    fn l07_who_outranks_all_has_the_last_word(
        world in worlds(40),
        author in 0..AUTHORS,
        pick in any::<prop::sample::Index>(),
        later in operations(30),
    ) {
        let mut world = world.0;
        let mut replay = everything(&world);
        let all: Vec<EntryNo> = winners(&replay.replica).into_iter().flatten().collect();
        prop_assume!(!all.is_empty());
        let id = replay.replica.log().id(*pick.get(&all));
        let body = world.body_of(&id);
        let Some(entry) = world.on_top(author, &id, ack(body, id)) else { return Ok(()) };
        world.tell(author, entry.clone());
        replay.offer(&entry);
        let Some(acked) = replay.replica.log().number(&entry.id()) else { return Ok(()) };
        let slot = replay.replica.log().slot_of(acked).expect("data");
        if !replay.replica.authority().is_authorised(acked)
            || !stands_alone(replay.replica.log(), &replay.replica, acked)
        {
            return Ok(());
        }
        prop_assert_eq!(replay.replica.view().winner(slot), Some(acked));
        go_on(&mut world, &mut replay, acked, &later);
        prop_assert_eq!(replay.replica.view().winner(slot), Some(acked));
    }
}
