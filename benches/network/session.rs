//! N4, and the round trips of N3: what the session of reconciliation itself says, with replicas
//! reduced to their trees.

use std::rc::Rc;
use std::time::Instant;

use basefs::sync::Start;

use crate::replica::{Cost, Pair, file, pair};
use crate::report::{Reference, Report, Row, Target};

/// Ten more that one side or the other has, neighbours or scattered: bytes beside the entries, at
/// most so many, and round trips until the last entry is there.
pub(crate) fn measure(id: &'static str, count: u64, most: [f64; 2], report: &Report) {
    for ((what, stride), most) in [("neighbours", 1), ("scattered", count / 10)].iter().zip(most) {
        let (cost, seconds) = session(count, *stride);
        report.row(&Row {
            id,
            what: format!("session, 10 of {count}, {what}"),
            value: cost.bytes as f64,
            unit: "B",
            limit: None,
            peer: None,
            target: Target::AtMost(most),
        });
        report.row(&Row {
            id,
            what: "the same, round trips".to_owned(),
            value: cost.flights as f64 / 2.0,
            unit: "",
            limit: Some(Reference::new("s of both ends", seconds)),
            peer: None,
            target: Target::AtMost(3.0),
        });
    }
}

fn session(count: u64, stride: u64) -> (Cost, f64) {
    let extra: Vec<Rc<[u8]>> = (0..10).map(|n| file(2 * (count / 20 + n * stride) + 1)).collect();
    let shared = (0..count).map(|n| file(2 * n));
    let (mut a, mut b) = pair(shared, extra[..5].to_vec(), extra[5..].to_vec());
    // The hashes of a replica that has been running for a while are there.
    a.summary();
    b.summary();
    let mut pair = Pair::new(a, b, Start::Differs);
    let began = Instant::now();
    let cost = pair.run();
    let seconds = began.elapsed().as_secs_f64();
    assert!(cost.equal && cost.entries == 10);
    (cost, seconds)
}
