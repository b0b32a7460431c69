//! Order: of arrival, of evaluation, of reconciliation.

use std::cell::RefCell;
use std::collections::BTreeSet;

use basefs::id::EntryId;
use basefs::log::{DirNo, EntryNo, Frontier, Log, SlotNo};
use basefs::view::Past;
use proptest::prelude::*;

use super::{everything, holds};
use crate::generate::{Rng, schedule};
use crate::naive::{self, Deciders};
use crate::random::{bytes, cases, quarrels, runner, worlds};
use crate::replay::Replay;
use crate::{compare, converge, merge};

/// What must decide something in the run of law 2; otherwise its logs are too tame.
const DECIDERS: [&str; 34] = [
    "ADMIT-1",
    "ADMIT-2",
    "ADMIT-3",
    "ADMIT-4",
    "ADMIT-5",
    "ADMIT-6",
    "ADMIT-7",
    "ADMIT-8",
    "ADMIT-9",
    "ADMIT-10",
    "ADMIT-11",
    "ADMIT-12",
    "REVOKE-1.kept",
    "REVOKE-1.kept_below",
    "REVOKE-2.rank",
    "REVOKE-2.spared",
    "REVOKE-3.rank",
    "REVOKE-3.amended",
    "REVOKE-3.intersect",
    "AUTH-1.cut",
    "READY-2.dropped",
    "READY-2.kept_by_descendant",
    "FORK-2.through_cut",
    "FORK-2.no_common_branch",
    "FORK-4.rank",
    "FORK-4.keys",
    "FORK-4.kind",
    "FORK-4.tie",
    "FORK-4.id",
    "TREE-2.lost",
    "TREE-2.moved",
    "TREE-3.alias",
    "TREE-4.cycle",
    "TREE-4.deep",
];

/// Law 2: at every moment, what is kept up to date is what the rules give from scratch. So is what
/// a store would give back.
// rule: AUTH-1
// rule: FORK-3
// rule: TREE-2
#[test]
fn l02_incremental_state_is_the_rebuilt_one_after_every_event() {
    let deciders = RefCell::new(Deciders::new());
    let input = (any::<[u8; 2]>(), prop_oneof![bytes(40), quarrels(20)]);
    let input = input.prop_map(|(seed, operations)| [&seed[..], &operations].concat());
    let ran = runner(2_500).run(&input, |bytes| {
        for (rule, times) in merge::merge(&bytes) {
            *deciders.borrow_mut().entry(rule).or_default() += times;
        }
        Ok(())
    });
    let deciders = deciders.into_inner();
    println!("how often each rule decided something, summed over all events:");
    for (rule, times) in &deciders {
        println!("{rule:28} {times:>10}");
    }
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    for rule in DECIDERS {
        assert!(deciders.contains_key(rule), "{rule} decided nothing");
    }
}

/// The winners and flags of a past, by id.
fn past_of(log: &Log, past: &Past) -> (BTreeSet<EntryId>, Vec<(usize, Option<EntryId>)>) {
    let numbers = (0..log.len()).filter_map(EntryNo::from_index);
    let authorised = numbers.filter(|no| past.authority().is_authorised(*no));
    let slots = (0..log.slots()).filter_map(SlotNo::from_index);
    let winner = |slot| past.view().winner(slot).map(|no| log.id(no));
    (
        authorised.map(|no| log.id(no)).collect(),
        slots.map(|slot| (slot.index(), winner(slot))).collect(),
    )
}

/// Holds a past of a replica against the rules over the entries that it reaches.
fn check_past(replay: &Replay, heads: &BTreeSet<EntryId>) -> Result<(), String> {
    let frontier = Frontier::new(heads.iter().copied().collect());
    let (log, view) = (replay.replica.log(), replay.replica.view());
    let past = view.at(log, &frontier).map_err(|error| error.to_string())?;
    let reached = naive::reachable(replay.told(), heads);
    let state = naive::evaluate(log.genesis(), &reached, replay.contents());
    let (authorised, winners) = past_of(log, &past);
    if authorised != state.authorised {
        return Err(format!("AT-1: {authorised:?} authorised, not {:?}", state.authorised));
    }
    let name = |slot| (log.dir_id(log.slot_dir(slot)), log.slot_name(slot).to_string());
    for (slot, winner) in winners {
        let name = name(SlotNo::from_index(slot).ok_or("a slot")?);
        let expected = state.winners.get(&name).copied().flatten();
        if winner != expected {
            return Err(format!("AT-1: {winner:?} won {name:?}, not {expected:?}"));
        }
    }
    for dir in (0..log.dirs()).filter_map(DirNo::from_index) {
        let place = past.view().place(log, past.authority(), dir).map(name);
        let expected = state.places.get(&log.dir_id(dir)).cloned().flatten();
        if place != expected {
            return Err(format!("AT-1: {dir:?} hung at {place:?}, not {expected:?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(300))]

    /// Law 1: two replicas that are told the same, in whatever orders and however often, have and
    /// show the same.
    // rule: ADMIT-2
    #[test]
    fn l01_order_does_not_matter(world in worlds(60), seeds in any::<[u64; 2]>()) {
        let world = &world.0;
        let replays =
            seeds.map(|seed| Replay::scheduled(world, &schedule(world.made.len(), seed)));
        let state = holds(replays[0].check())?;
        holds(compare::same(&replays[1].replica, &state))?;
    }

    /// Law 10: what a set of heads shows depends on nothing but what they lead to, and the heads
    /// of all chains show the present.
    // rule: AT-1
    #[test]
    fn l10_views_of_the_past_do_not_depend_on_order(
        world in worlds(40),
        seeds in any::<[u64; 2]>(),
    ) {
        let world = &world.0;
        let replays =
            seeds.map(|seed| Replay::scheduled(world, &schedule(world.made.len(), seed)));
        let mut rng = Rng(seeds[0]);
        for replay in &replays {
            let (log, view) = (replay.replica.log(), replay.replica.view());
            let present = view.at(log, &log.frontier()).expect("all heads are here");
            let (authorised, winners) = past_of(log, &present);
            let state = replay.state();
            prop_assert_eq!(authorised, state.authorised);
            for (slot, winner) in winners {
                let slot = SlotNo::from_index(slot).expect("a slot");
                prop_assert_eq!(winner, view.winner(slot).map(|no| log.id(no)));
            }
        }
        let admitted: Vec<EntryId> = replays[0].state().admitted.into_iter().collect();
        let heads = (0..3).map(|_| admitted[rng.below(admitted.len())]).collect();
        for replay in &replays {
            holds(check_past(replay, &heads))?;
        }
    }

    /// Law 12: whoever follows the reported changes of winners knows the winners. That each report
    /// continues the one before is asserted on the way.
    #[test]
    fn l12_reported_changes_replayed_give_the_winners(world in worlds(60), seed in any::<u64>()) {
        let replay = Replay::scheduled(&world.0, &schedule(world.0.made.len(), seed));
        let (log, view) = (replay.replica.log(), replay.replica.view());
        for slot in (0..log.slots()).filter_map(SlotNo::from_index) {
            prop_assert_eq!(replay.reported(slot), view.winner(slot));
        }
    }

    /// Law 14: the keys of reconciliation as bytes sort as paths and ids do, and comparing without
    /// building them says the same.
    // rule: ORDER-1
    #[test]
    fn l14_order_keys_sort_as_paths_and_ids(world in worlds(60)) {
        let replay = everything(&world.0);
        let log = replay.replica.log();
        let mut numbers: Vec<EntryNo> = (0..log.len()).filter_map(EntryNo::from_index).collect();
        numbers.sort_by_key(|no| log.order_key(*no));
        let ids: Vec<EntryId> = numbers.iter().map(|no| log.id(*no)).collect();
        prop_assert_eq!(ids, replay.state().order);
        prop_assert_eq!(log.in_order(), numbers.clone());
        for pair in numbers.windows(2) {
            prop_assert!(log.compare(pair[0], pair[1]).is_lt());
            prop_assert!(log.compare_key(pair[0], &log.order_key(pair[1])).is_lt());
            prop_assert!(log.compare_key(pair[1], &log.order_key(pair[0])).is_gt());
        }
    }

    /// Law 15: replicas that heard different parts of a story, and then talk as nodes do, end up
    /// with the same; so do two that simply hand each other what they have.
    #[test]
    fn l15_replicas_that_exchange_everything_converge(
        seed in any::<[u8; 2]>(),
        operations in bytes(50),
    ) {
        converge::converge(&[&seed[..], &operations].concat());
    }

    /// Law 15 without a protocol: what one has is offered to the other, in any order.
    #[test]
    fn l15_entries_handed_over_converge(world in worlds(50), seed in any::<u64>()) {
        let (world, mut rng) = (&world.0, Rng(seed));
        let mut replays = [Replay::new(world.genesis), Replay::new(world.genesis)];
        for event in schedule(world.made.len(), seed) {
            match rng.below(3) {
                2 => replays.iter_mut().for_each(|replay| replay.take(world, event)),
                one => replays[one].take(world, event),
            }
        }
        let [mut ana, mut bob] = replays;
        let (of_ana, of_bob) = (ana.told().to_vec(), bob.told().to_vec());
        let contents = (ana.contents().clone(), bob.contents().clone());
        of_bob.iter().rev().for_each(|entry| ana.offer(entry));
        of_ana.iter().for_each(|entry| bob.offer(entry));
        contents.1.iter().for_each(|content| ana.complete(content));
        contents.0.iter().for_each(|content| bob.complete(content));
        let state = holds(ana.check())?;
        holds(compare::same(&bob.replica, &state))?;
    }
}
