//! Figures, not verdicts: `cargo test --release --test it driver::measure -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Running;
use crate::net::quic;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn ten_thousand_entries_to_an_empty_replica() {
    const ENTRIES: usize = 10_000;
    for round in 0..3 {
        let one = Running::start(1, quic(1), &[]);
        for at in 0..ENTRIES {
            one.shelf.write(&format!("file-{at}"), &Bytes::from(vec![7; 300]));
        }
        one.shelf.commit();
        let start = Instant::now();
        let two = Running::start(2, quic(2), &[&one]);
        while two.shelf.len() <= ENTRIES {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = start.elapsed();
        let stats = two.connected()[0].link.clone().unwrap().stats;
        let bytes = (stats.sent + stats.received) as f64 / ENTRIES as f64;
        println!("round {round}: {ENTRIES} entries of 300 B: {took:?}, {bytes:.0} B per entry");
        two.handle.shutdown().await.unwrap();
        one.handle.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn from_a_write_to_its_sight_at_a_peer() {
    let one = Running::start(1, quic(1), &[]);
    let two = Running::start(2, quic(2), &[&one]);
    two.until(|two| two.shelf.len() == 1).await;
    for (writer, reader, role) in [(&one, &two, "dialled"), (&two, &one, "dialling")] {
        let mut times = Vec::new();
        for at in 0..200 {
            let start = Instant::now();
            let id = writer.shelf.write(&format!("{role}-{at}"), &Bytes::from(vec![7; 300]));
            writer.shelf.commit();
            while !reader.shelf.has(&id) {
                // Not of the runtime: this thread is none of its own, and must not keep a core busy.
                std::thread::sleep(Duration::from_micros(10));
            }
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        times.sort();
        println!("written at the {role} node: median {:?}, p99 {:?}", times[100], times[197]);
    }
}
