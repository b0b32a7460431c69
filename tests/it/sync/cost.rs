//! What reconciliation costs: bytes, round trips, time, memory.

use std::rc::Rc;
use std::time::Instant;

use basefs::sync::{KeyRange, LtHash, Nonce, Order, Session, Start, Tree, Work};

use super::replica::{Cost, Keys, Pair, Replica, file, pair};

/// Two replicas of `count` shared files, and ten more that only one has, side by side or scattered,
/// half of them on each side.
fn ten_differ(count: u64, scattered: bool) -> (Replica, Replica) {
    let stride = if scattered { count / 10 } else { 1 };
    let extra: Vec<Rc<[u8]>> = (0..10).map(|n| file(2 * (count / 20 + n * stride) + 1)).collect();
    pair((0..count).map(|n| file(2 * n)), extra[..5].to_vec(), extra[5..].to_vec())
}

fn measure(count: u64, scattered: bool, start: Start) -> Cost {
    let (mut a, mut b) = ten_differ(count, scattered);
    // The hashes of a replica that has been running for a while are there.
    a.summary();
    b.summary();
    let mut pair = Pair::new(a, b, start);
    let began = Instant::now();
    let cost = pair.run();
    println!(
        "{count} entries, scattered: {scattered}, {start:?}: {cost:?} in {:?}",
        began.elapsed()
    );
    assert!(cost.equal && cost.rounds == 1 && cost.entries == 10);
    pair.assert_equal();
    cost
}

#[test]
fn ten_of_ten_thousand() {
    for start in [Start::Differs, Start::Unsure] {
        let (near, far) = (measure(10_000, false, start), measure(10_000, true, start));
        assert!(near.bytes <= 2_500 && near.flights <= 6, "{near:?}");
        assert!(far.bytes <= 5_000 && far.flights <= 6, "{far:?}");
    }
}

#[test]
fn the_first_hashes_of_a_large_replica_are_computed_in_slices() {
    let mut replica = Replica::new((0..30_000).map(file));
    let mut session = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Differs);
    let mut calls = 1;
    while session.advance(&mut replica.tree, &replica.keys).unwrap() {
        assert!(session.poll_transmit().is_none(), "nothing is said before all is known");
        calls += 1;
    }
    assert!(session.poll_transmit().is_some());
    // 30,000 ids at 32 units each, and 2^18 units a call.
    assert_eq!(calls, 4);
}

#[test]
#[ignore = "takes a minute unless optimised"]
fn ten_of_a_million() {
    for start in [Start::Differs, Start::Unsure] {
        let (near, far) = (measure(1_000_000, false, start), measure(1_000_000, true, start));
        assert!(near.bytes <= 4_000 && near.flights <= 6, "{near:?}");
        assert!(far.bytes <= 25_000 && far.flights <= 6, "{far:?}");
    }
}

#[test]
#[ignore = "takes a minute unless optimised"]
fn half_of_a_hundred_thousand() {
    let (a, b) = pair(
        (0..100_000).map(|n| file(2 * n)),
        (0..50_000).map(|n| file(4 * n + 1)),
        (0..50_000).map(|n| file(4 * n + 3)),
    );
    let mut pair = Pair::new(a, b, Start::Differs);
    let cost = pair.run();
    println!("{cost:?}: {} bytes per entry", cost.bytes / cost.entries);
    assert!(cost.equal && cost.rounds == 1);
    assert!(cost.bytes / cost.entries <= 20);
}

fn time<T>(what: &str, count: u32, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    println!("{what}: {:?} in all, {:?} each", began.elapsed(), began.elapsed() / count);
    result
}

#[test]
#[ignore = "measures; meant to be run optimised"]
fn times_and_memory() {
    let million = 1_000_000;
    let keys = Keys((0..u64::from(million)).map(file).collect());
    let numbers: Vec<u32> = (0..million).collect();
    time("load, sorted", million, || Tree::load(&keys, numbers.clone(), None));
    let shuffled: Vec<u32> =
        (0..million).map(|n| u32::try_from(u64::from(n) * 7_919 % 1_000_000).unwrap()).collect();
    let mut tree = time("load, shuffled", million, || Tree::load(&keys, shuffled.clone(), None));
    println!("memory, no hashes: {} B/entry", tree.memory() / 1_000_000);
    let all = 0..tree.len();
    time("all hashes", million, || tree.summary(&keys, all.clone(), &mut Work::unlimited()));
    println!("memory, loaded: {} B/entry", tree.memory() / 1_000_000);
    let mut grown = Tree::new();
    time("insert, shuffled", million, || assert!(shuffled.iter().all(|&n| grown.insert(&keys, n))));
    time("all hashes", million, || grown.summary(&keys, all.clone(), &mut Work::unlimited()));
    println!("memory, grown: {} B/entry", grown.memory() / 1_000_000);
    assert!(tree.memory().max(grown.memory()) <= 40 * 1_000_000);
    time("summary of 1,000 ranges", 1_000, || {
        for n in 0..1_000 {
            let start = n * 937 + 31;
            tree.summary(&keys, start..start + 50_000 - n, &mut Work::unlimited()).unwrap();
        }
    });
    let ids: Vec<_> = (0..million).map(|n| keys.id(n)).collect();
    let mut hash = LtHash::EMPTY;
    time("LtHash add", million, || ids.iter().for_each(|id| hash.add(id)));
    let other = hash.clone();
    time("LtHash merge", million, || {
        (0..million).for_each(|_| hash.merge(std::hint::black_box(&other)));
    });
}
