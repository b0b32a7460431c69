//! N3: a replica that was away gets the ten entries it missed, of ten thousand.

use std::path::Path;
use std::time::{Duration, Instant};

use basefs::{Fs, WatchEvent, WatchFrom};

use crate::clock::median;
use crate::report::{Options, Reference, Report, Row, Target};
use crate::{PATIENCE, content, serve};

const ENTRIES: usize = 10_000;
const MISSED: usize = 10;
const ROUNDS: usize = 9;

/// What coming back took.
struct Cost {
    time: Duration,
    /// UDP payload, both ways.
    bytes: u64,
}

pub(crate) async fn measure(root: &Path, options: &Options, report: &Report) {
    let first = Fs::open(root.join("first")).unwrap();
    let mut batch = first.batch();
    for i in 0..ENTRIES {
        batch.write(format!("/notes/{:02}/{i}", i % 100), content(i)).unwrap();
    }
    batch.commit().unwrap();
    let serving = serve(&first).await;
    let second = Fs::join(root.join("second"), &serving.ticket()).unwrap();
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    peer.shutdown().await.unwrap();

    let mut number = ENTRIES;
    let (mut nothing, mut near, mut far) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        nothing.push(come_back(&second, 0).await.bytes);
        for (scattered, costs) in [(false, &mut near), (true, &mut far)] {
            let entries: u64 = write(&first, &mut number, round, scattered);
            let mut cost = come_back(&second, MISSED).await;
            cost.bytes = cost.bytes.saturating_sub(entries);
            costs.push(cost);
        }
    }
    serving.shutdown().await.unwrap();
    let bytes = |bytes: &mut [u64]| {
        bytes.sort_unstable();
        bytes[bytes.len() / 2] as f64 / 1e3
    };
    let nothing = bytes(&mut nothing);
    let peer = |name: &str| options.peer(name).map(|value| Reference::new("iroh-docs", value));
    for (what, costs, most) in [("neighbours", near, 5.0), ("scattered", far, 12.0)] {
        let mut times: Vec<Duration> = costs.iter().map(|cost| cost.time).collect();
        report.row(&Row {
            id: "N3",
            what: format!("10 of 10,000 missed, {what}"),
            value: median(&mut times).as_secs_f64() * 1e3,
            unit: "ms",
            limit: None,
            peer: peer("iroh-docs-resync"),
            target: Target::TimesPeer(0.1),
        });
        report.row(&Row {
            id: "N3",
            what: "the same, bytes beyond the entries".to_owned(),
            value: bytes(&mut costs.iter().map(|cost| cost.bytes).collect::<Vec<_>>()),
            unit: "kB",
            limit: Some(Reference::new("to connect", nothing)),
            peer: peer("iroh-docs-resync-kb"),
            target: Target::AtMost(most),
        });
    }
    if options.peer("iroh-docs-resync").is_none() {
        report.skip("N3", "the peer; benches/peers measures it");
    }
}

/// Writes ten in one directory or in ten, and gives the bytes of the entries.
fn write(fs: &Fs, number: &mut usize, round: usize, scattered: bool) -> u64 {
    let before = fs.entries();
    let mut batch = fs.batch();
    for n in 0..MISSED {
        let dir = if scattered { (7 * round + 10 * n) % 100 } else { (7 * round) % 100 };
        batch.write(format!("/notes/{dir:02}/{number}"), content(*number)).unwrap();
        *number += 1;
    }
    batch.commit().unwrap();
    assert_eq!(fs.entries(), before + MISSED);
    let new = fs.export().skip(before).map(|entry| entry.unwrap().len() as u64);
    new.sum()
}

/// Connects, waits for what was missed, durable, and disconnects.
async fn come_back(fs: &Fs, missed: usize) -> Cost {
    let watch = fs.watch("/", WatchFrom::Now).unwrap();
    let before = Instant::now();
    let serving = serve(fs).await;
    let arrived = tokio::task::spawn_blocking(move || {
        for _ in 0..missed {
            let seen = watch.next_blocking(PATIENCE);
            assert!(matches!(seen, Some(WatchEvent::Change(_))), "{seen:?}");
        }
        before.elapsed()
    });
    let time = arrived.await.unwrap();
    // The session ends a moment after the entries have come.
    serving.wait_synced(PATIENCE).await.unwrap();
    let links = serving.peers().into_iter().filter_map(|peer| peer.link);
    let bytes = links.map(|link| link.stats.sent + link.stats.received).sum();
    serving.shutdown().await.unwrap();
    Cost { time, bytes }
}
