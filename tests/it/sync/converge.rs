//! Two replicas end up with the same entries, whatever they began with and whatever happens.

use std::rc::Rc;

use basefs::sync::{KeyRange, Start};
use proptest::prelude::*;

use super::replica::{Pair, Replica, file, key, pair};

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![Just(Start::Unsure), Just(Start::Differs)]
}

/// Some hundred keys of a kind: scattered files, one flat directory, or versions of one file.
fn keys(max: u64) -> impl Strategy<Value = Vec<Rc<[u8]>>> {
    let name = |kind: u8, n: u64| match kind {
        0 => file(n * 37 % 5_000),
        1 => key(&format!("flat/{n}"), 0),
        2 => key("one/file", n),
        _ => key(&"deep/".repeat(usize::try_from(n % 60).unwrap()), n),
    };
    (0..4u8, 0..max, 0..max)
        .prop_map(move |(kind, from, count)| (from..from + count).map(|n| name(kind, n)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_two_sets(
        shared in prop::collection::vec(keys(2_000), 0..3),
        a in prop::collection::vec(keys(300), 0..3),
        b in prop::collection::vec(keys(300), 0..3),
        start in start(),
    ) {
        let (a, b) = pair(shared.concat().into_iter(), a.concat(), b.concat());
        let union: Vec<_> = a.known().union(b.known()).cloned().collect();
        let mut pair = Pair::new(Replica::new(a.known().clone()), Replica::new(b.known().clone()), start);
        let cost = pair.run();
        prop_assert!(cost.equal && cost.rounds <= 1);
        pair.assert_equal();
        prop_assert_eq!(pair.a.replica.known().iter().cloned().collect::<Vec<_>>(), union);
    }
}

#[test]
fn equal_replicas_notice_in_one_round_trip() {
    for count in [0, 1, 40, 64, 65, 5_000] {
        for start in [Start::Unsure, Start::Differs] {
            let (a, b) = pair((0..count).map(file), [], []);
            let cost = Pair::new(a, b, start).run();
            assert!(cost.equal && cost.entries == 0);
            if start == Start::Unsure {
                assert!(cost.all_flights <= 3 && cost.rounds == 0 && cost.bytes <= 300, "{cost:?}");
            }
            assert!(cost.bytes <= 1_024, "{count} entries: {cost:?}");
        }
    }
}

#[test]
fn an_empty_replica_gets_everything_without_ids_being_listed() {
    for (mine, theirs) in [(0, 3_000), (3_000, 0), (5, 3_000)] {
        let (a, b) = (Replica::new((0..mine).map(file)), Replica::new((0..theirs).map(file)));
        let mut pair = Pair::new(a, b, Start::Differs);
        let cost = pair.run();
        assert!(cost.equal, "{cost:?}");
        pair.assert_equal();
        assert!(cost.bytes <= 1_200 && cost.all_flights <= 6, "{cost:?}");
    }
}

#[test]
fn only_the_subtree_is_exchanged() {
    // rule: ORDER-2
    let (a, b) = pair((0..3_000).map(file), (3_000..3_100).map(file), (3_100..3_200).map(file));
    let range = KeyRange::with_prefix(b"users\0u00030\0");
    let mut pair = Pair::with_range(a, b, Start::Unsure, range.clone(), 1);
    let cost = pair.run();
    assert!(cost.equal && cost.entries == 100, "{cost:?}");
    let inside =
        |replica: &Replica| replica.known().iter().filter(|key| range.contains(key)).count();
    assert_eq!((inside(&pair.a.replica), inside(&pair.b.replica)), (100, 100));
    assert_ne!(pair.a.replica.known(), pair.b.replica.known());
}

#[test]
fn a_session_killed_at_any_message_is_followed_by_one_that_completes() {
    let replicas = || {
        pair(
            (0..400).map(|n| file(2 * n)),
            (0..20).map(|n| file(40 * n + 1)),
            (0..20).map(|n| file(40 * n + 3)),
        )
    };
    let (a, b) = replicas();
    let cost = Pair::new(a, b, Start::Differs).run();
    let items = cost.messages + cost.entries;
    assert!(items > 40);
    for killed_after in 0..=items {
        let (a, b) = replicas();
        let mut first = Pair::new(a, b, Start::Differs);
        first.run_items(killed_after);
        let Pair { a, b } = first;
        let known = (a.replica.known().len(), b.replica.known().len());
        let mut second = Pair::with_range(a.replica, b.replica, Start::Differs, KeyRange::ALL, 7);
        let again = second.run();
        assert!(again.equal);
        second.assert_equal();
        // What had arrived, and was taken in, is not sent again.
        assert_eq!(again.entries, 880 - known.0 - known.1, "killed after {killed_after}");
    }
}

#[test]
fn entries_written_during_a_session_do_no_harm() {
    let (a, b) = pair((0..3_000).map(|n| file(2 * n)), [file(1)], [file(3)]);
    let mut pair = Pair::new(a, b, Start::Differs);
    let mut next = 0;
    let cost = pair.run_with(|_, a, b| {
        for _ in 0..40 {
            next += 1;
            a.insert(key("busy/a", next));
            b.insert(key(&format!("users/u00010/notes/{next}"), next));
        }
        true
    });
    // Both never stop writing, so the session gives up after its last round, and says so.
    assert_eq!((cost.equal, cost.rounds), (false, 3));
    assert!(pair.a.replica.known().contains(&file(3)) && pair.b.replica.known().contains(&file(1)));
    let Pair { a, b } = pair;
    let mut quiet = Pair::with_range(a.replica, b.replica, Start::Differs, KeyRange::ALL, 3);
    assert!(quiet.run().equal);
    quiet.assert_equal();
}

#[test]
fn removed_entries_are_tolerated_in_a_session() {
    let (a, b) = pair((0..3_000).map(|n| file(2 * n)), (0..50).map(|n| file(2 * n + 1)), []);
    let mut pair = Pair::new(a, b, Start::Differs);
    let mut gone = 0;
    let cost = pair.run_with(|_, a, _| {
        for _ in 0..100 {
            a.tree.remove(&a.keys, gone);
            gone += 1;
        }
        true
    });
    assert!(cost.rounds <= 3, "{cost:?}");
}
