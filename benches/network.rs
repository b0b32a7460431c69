//! Replicas over real QUIC on loopback, beside what else could be done on the same machine:
//! `cargo bench --bench network`, or with `-- N2` one row, with `-- --json` for programs.
//!
//! N1: one write to a peer. N2: everything to an empty replica. N3: ten missed of ten thousand. N4:
//! ten of a million (takes a minute and 1.2 GB of disk). N5: a copy of `/etc`, or of `--dir`. What
//! thirty processes do (N6, N7) is measured by `examples/cluster.rs`, iroh-docs by `benches/peers`.
//!
//! Works in the current directory, so that it meets a disk and not a file system in memory. Both
//! replicas run in this process, so CPU time is that of both.
// A bench is a program: it prints its table and stops at what it did not expect.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::entry::SignedEntry;
use basefs::fs::Serving;
use basefs::net::{QuicConfig, Ticket};
use basefs::store::{RedbStore, Store, Table};

use clock::{median, timed};
use report::{Options, Reference, Report, Row, Target};

#[path = "support/clock.rs"]
mod clock;
#[path = "network/etc.rs"]
mod etc;
#[path = "network/latency.rs"]
mod latency;
#[path = "support/million.rs"]
#[allow(dead_code, reason = "another bench uses more of it")]
mod million;
#[path = "../tests/it/sync/replica.rs"]
#[allow(dead_code, clippy::panic, reason = "it is of the tests, which use more of it")]
mod replica;
#[path = "support/report.rs"]
mod report;
#[path = "network/resync.rs"]
mod resync;
#[path = "network/session.rs"]
mod session;
#[path = "network/syncthing.rs"]
mod syncthing;
#[path = "support/trees.rs"]
mod trees;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let options = Options::from_args();
    let report = Report::new(&options);
    let root = tempfile::tempdir_in(".").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = |id: &str| {
        let dir = root.path().join(id);
        std::fs::create_dir(&dir).unwrap();
        dir
    };
    if options.wants("N1") {
        runtime.block_on(latency::measure(&dir("N1"), &options, &report));
    }
    if options.wants("N2") {
        runtime.block_on(first_sync(&dir("N2"), &options, &report));
    }
    if options.wants("N3") {
        runtime.block_on(resync::of_ten_thousand(&dir("N3"), &options, &report));
        session::measure("N3", 10_000, [5_000.0, 12_000.0], &report);
    }
    if options.wants("N4") {
        runtime.block_on(resync::of_a_million(&dir("N4"), &report));
        session::measure("N4", 1_000_000, [4_000.0, 25_000.0], &report);
    }
    if options.wants("N5") {
        etc::measure(&dir("N5"), &runtime, &options, &report);
    }
}

/// What one synchronisation of an empty replica took.
struct Cost {
    time: Duration,
    cpu: Duration,
    /// UDP payload, both ways.
    bytes: u64,
}

/// An empty replica gets everything there is, durable at the end.
async fn first_sync(root: &Path, options: &Options, report: &Report) {
    const ROUNDS: usize = 5;
    const ENTRIES: usize = 10_000;
    let store = Arc::new(RedbStore::open(&root.join("first")).unwrap());
    let first = Fs::builder().store(store.clone()).open().unwrap();
    let mut batch = first.batch();
    for i in 0..ENTRIES {
        batch.write(format!("/notes/{}/{i}", i % 100), content(i)).unwrap();
    }
    batch.commit().unwrap();
    let serving = serve(&first).await;
    let (mut costs, mut limits) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        limits.push(verification(&*store));
        let dir = root.join(round.to_string());
        costs.push(join(&dir, &serving.ticket(), first.entries()).await);
    }
    serving.shutdown().await.unwrap();
    let seconds = |cost: fn(&Cost) -> Duration| {
        median(&mut costs.iter().map(cost).collect::<Vec<_>>()).as_secs_f64()
    };
    let peer = |name: &str| options.peer(name).map(|value| Reference::new(name, value));
    report.row(&Row {
        id: "N2",
        what: "10,000 writes of 300 B, empty replica".to_owned(),
        value: seconds(|cost| cost.time),
        unit: "s",
        limit: Some(Reference::new("verify, one core", median(&mut limits).as_secs_f64())),
        peer: peer("iroh-docs"),
        target: Target::TimesPeer(0.25),
    });
    report.row(&Row {
        id: "N2",
        what: "the same, CPU time of both ends".to_owned(),
        value: seconds(|cost| cost.cpu),
        unit: "s",
        limit: Some(Reference::new("verify, one core", median(&mut limits).as_secs_f64())),
        peer: peer("iroh-docs-cpu"),
        target: Target::TimesPeer(1.0),
    });
    if options.peer("iroh-docs").is_none() {
        report.skip("N2", "the peer; benches/peers measures it");
    }
    let mut bytes: Vec<u64> = costs.iter().map(|cost| cost.bytes).collect();
    bytes.sort_unstable();
    report.row(&Row {
        id: "N2",
        what: "the same, per entry, both ways".to_owned(),
        value: bytes[ROUNDS / 2] as f64 / ENTRIES as f64,
        unit: "B",
        limit: Some(Reference::new("the entries", entry_bytes(&*store) as f64 / ENTRIES as f64)),
        peer: peer("iroh-docs-bytes"),
        target: Target::AtMost(620.0),
    });
}

async fn serve(fs: &Fs) -> Serving {
    let mut config = QuicConfig::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    fs.serve(config).await.unwrap()
}

/// Makes a replica and waits until it has everything on its disk.
async fn join(dir: &Path, ticket: &Ticket, entries: usize) -> Cost {
    let fs = Fs::join(dir, ticket).unwrap();
    let (before, cpu) = (Instant::now(), cpu_time());
    let serving = serve(&fs).await;
    serving.wait_synced(PATIENCE).await.unwrap();
    fs.sync().unwrap();
    let (time, cpu) = (before.elapsed(), cpu_time() - cpu);
    assert_eq!(fs.entries(), entries);
    let links = serving.peers().into_iter().filter_map(|peer| peer.link);
    let bytes = links.map(|link| link.stats.sent + link.stats.received).sum();
    serving.shutdown().await.unwrap();
    Cost { time, cpu, bytes }
}

/// CPU time of this process so far, in steps of the 10 ms that the kernel counts in.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// The time that nothing but the signatures takes.
fn verification(store: &dyn Store) -> Duration {
    let mut entries = Vec::new();
    let mut keep = |_: &[u8], bytes: &[u8]| {
        entries.push(SignedEntry::decode(bytes).unwrap());
        true
    };
    store.scan(Table::Entries, &[], &mut keep).unwrap();
    timed(|| {
        for entry in entries {
            entry.verify().unwrap();
        }
    })
}

fn entry_bytes(store: &dyn Store) -> usize {
    let mut length = 0;
    let mut add = |_: &[u8], bytes: &[u8]| {
        length += bytes.len();
        true
    };
    store.scan(Table::Entries, &[], &mut add).unwrap();
    length
}

/// 300 bytes that differ from number to number.
fn content(number: usize) -> Vec<u8> {
    let mut bytes = vec![0; 300];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
