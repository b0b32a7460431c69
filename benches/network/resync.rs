//! N3 and N4: a replica that was away gets the ten entries it missed, of ten thousand and of a
//! million.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::store::RedbStore;
use basefs::{Fs, WatchEvent, WatchFrom};

use crate::clock::median;
use crate::report::{Options, Reference, Report, Row, Target};
use crate::trees::run;
use crate::{PATIENCE, content, million, serve};

const ENTRIES: usize = 10_000;
const MISSED: usize = 10;
const ROUNDS: usize = 9;

/// What coming back took.
struct Cost {
    time: Duration,
    /// UDP payload, both ways.
    bytes: u64,
}

/// Where the number of a round and of a new file put it, neighbours or scattered.
type Place = fn(usize, usize, bool) -> String;

/// Ten of ten thousand, which one replica founds and another fetches first.
pub(crate) async fn of_ten_thousand(root: &Path, options: &Options, report: &Report) {
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
    let place = |round: usize, n: usize, scattered: bool| {
        let dir = if scattered { 7 * round + 10 * n } else { 7 * round };
        format!("/notes/{:02}", dir % 100)
    };
    let measured = Measured::of(&first, &second, place).await;
    serving.shutdown().await.unwrap();
    let peer = |name: &str| options.peer(name).map(|value| Reference::new("iroh-docs", value));
    let peers = (peer("iroh-docs-resync"), peer("iroh-docs-resync-kb"));
    measured.rows(report, "N3", "10 of 10,000", &peers, [5.0, 12.0]);
    if peers.0.is_none() {
        report.skip("N3", "the peer; benches/peers measures it");
    }
}

/// Ten of a million: two copies of one store.
pub(crate) async fn of_a_million(root: &Path, report: &Report) {
    let stores = ["store", "copy"].map(|name| root.join(name));
    million::build(root);
    run(Command::new("cp").arg("-r").args(&stores));
    let open = |path: &Path| Arc::new(RedbStore::open(path).unwrap());
    let key = million::key(1);
    let first = Fs::builder().store(open(&stores[0])).key(key).open().unwrap();
    let serving = serve(&first).await;
    let second = Fs::builder().store(open(&stores[1])).join(&serving.ticket()).open().unwrap();
    let peer = serve(&second).await;
    // Each computes its hashes once.
    peer.wait_synced(PATIENCE).await.unwrap();
    peer.shutdown().await.unwrap();
    let place = |round: usize, n: usize, scattered: bool| {
        let area = if scattered { n } else { 0 };
        format!("/area{:02}/site{:02}/node03", (round + area) % 17, 5 * area % 17)
    };
    let measured = Measured::of(&first, &second, place).await;
    serving.shutdown().await.unwrap();
    measured.rows(report, "N4", "10 of 1,000,000", &(None, None), [4.0, 25.0]);
}

struct Measured {
    /// Bytes of connecting when nothing was missed, and of the ten entries.
    nothing: f64,
    entries: f64,
    near: Vec<Cost>,
    far: Vec<Cost>,
}

impl Measured {
    /// The second replica goes away, the first writes ten, the second comes back; again and again.
    async fn of(first: &Fs, second: &Fs, place: Place) -> Self {
        let (mut nothing, mut sizes) = (Vec::new(), Vec::new());
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            nothing.push(come_back(second, 0).await.bytes);
            for (scattered, costs) in [(false, &mut near), (true, &mut far)] {
                sizes.push(write(first, |n| place(round, n, scattered)));
                costs.push(come_back(second, MISSED).await);
            }
        }
        let (nothing, entries) = (kilobytes(&mut nothing), kilobytes(&mut sizes));
        Self { nothing, entries, near, far }
    }

    /// `most`: kilobytes beyond the entries, of neighbours and scattered.
    fn rows(
        &self,
        report: &Report,
        id: &'static str,
        what: &str,
        peers: &(Option<Reference>, Option<Reference>),
        most: [f64; 2],
    ) {
        for ((how, costs), most) in
            [("neighbours", &self.near), ("scattered", &self.far)].into_iter().zip(most)
        {
            let mut times: Vec<Duration> = costs.iter().map(|cost| cost.time).collect();
            let all = kilobytes(&mut costs.iter().map(|cost| cost.bytes).collect::<Vec<_>>());
            let row = |what: String, value, unit, limit, peer, target| {
                report.row(&Row { id, what, value, unit, limit, peer, target });
            };
            let what = format!("{what} missed, {how}");
            let time = median(&mut times).as_secs_f64() * 1e3;
            row(what, time, "ms", None, peers.0.clone(), Target::TimesPeer(0.1));
            let limit = Some(Reference::new("entries", self.entries));
            let what = "the same, all bytes".to_owned();
            row(what, all, "kB", limit, peers.1.clone(), Target::TimesPeer(1.0));
            let limit = Some(Reference::new("to connect", self.nothing));
            let beyond = (all - self.nothing - self.entries).max(0.0);
            let what = "beyond connecting and the entries".to_owned();
            row(what, beyond, "kB", limit, None, Target::AtMost(most));
        }
    }
}

/// The median.
fn kilobytes(bytes: &mut [u64]) -> f64 {
    bytes.sort_unstable();
    bytes[bytes.len() / 2] as f64 / 1e3
}

/// Writes ten and gives the bytes of the entries.
fn write(fs: &Fs, place: impl Fn(usize) -> String) -> u64 {
    let before = fs.entries();
    let mut batch = fs.batch();
    for n in 0..MISSED {
        batch.write(format!("{}/new{before}-{n}", place(n)), content(before + n)).unwrap();
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
