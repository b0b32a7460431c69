//! One replica beside what else could be done on the same machine:
//! `cargo bench --bench local`, or with `-- L3` one row, with `-- --json` for programs.
//!
//! Works in the current directory, so that it meets a disk and not a file system in memory.
// A bench is a program: it prints its table and stops at what it did not expect.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use basefs::Fs;
use basefs::entry::{SignedEntry, verify_all};
use basefs::id::EntryId;
use basefs::log::{Offered, Source};
use basefs::node::{Effects, Replica};
use basefs::store::{Durability, MemoryStore, RedbOptions, RedbStore, Store, Table};
use basefs::wire::SecretKey;
use basefs::wire::key::Verifier;

use clock::{median, timed};
use report::{Options, Reference, Report, Row, Target};
use trees::{copy, import_tree, run};

#[path = "support/clock.rs"]
mod clock;
#[path = "support/report.rs"]
mod report;
#[path = "support/trees.rs"]
mod trees;

/// Measures one row of the table.
type Measure = fn(&Path, &Options, &Report);

fn main() {
    let options = Options::from_args();
    let report = Report::new(&options);
    let root = tempfile::tempdir_in(".").unwrap();
    let rows: [(&str, Measure); 5] = [
        ("L1", import),
        ("L3", durable_write),
        ("L4", deferred_writes),
        ("L5", admission),
        ("L6", reading),
    ];
    for (id, measure) in rows {
        if options.wants(id) {
            let dir = root.path().join(id);
            fs::create_dir(&dir).unwrap();
            measure(&dir, &options, &report);
        }
    }
}

/// A directory tree comes in, durable at the end.
fn import(root: &Path, options: &Options, report: &Report) {
    const ROUNDS: usize = 9;
    let source = root.join("source");
    let things = copy(options.dir.as_deref().unwrap_or(Path::new("/etc")), &source);
    let has_git = Command::new("git").arg("--version").stdout(Stdio::null()).status().is_ok();
    let (mut ours, mut copies, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let hierarchy = Fs::open(root.join(format!("fs{round}"))).unwrap();
        ours.push(timed(|| import_tree(&hierarchy, &source)));
        assert!(hierarchy.entries() > things);
        let copy = root.join(format!("copy{round}"));
        copies.push(timed(|| {
            run(Command::new("cp").arg("-r").arg(&source).arg(&copy));
            run(Command::new("sync").arg("-f").arg(&copy));
        }));
        if has_git {
            commits.push(git_commit(&source, &root.join(format!("git{round}"))));
        }
    }
    let value = millis(median(&mut ours));
    let signatures = 1e3 * things as f64 / signatures_per_second();
    let row = |name: &str, times: &mut [Duration], most| Row {
        id: "L1",
        what: format!("import {things} files and links"),
        value,
        unit: "ms",
        limit: Some(Reference::new("signatures", signatures)),
        peer: Some(Reference::new(name, millis(median(times)))),
        target: Target::TimesPeer(most),
    };
    report.row(&row("cp -r, sync", &mut copies, 1.5));
    if has_git {
        report.row(&row("git add, commit", &mut commits, 0.5));
    } else {
        report.skip("L1", "there is no git to compare with");
    }
}

fn git_commit(source: &Path, git_dir: &Path) -> Duration {
    let git = || {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(git_dir).arg("--work-tree").arg(source);
        command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]);
        command
    };
    run(git().args(["init", "--quiet"]));
    timed(|| {
        run(git().args(["add", "--all", "--force"]));
        run(git().args(["commit", "--quiet", "--message", "import"]));
    })
}

/// One small write that survives a power loss.
fn durable_write(root: &Path, _: &Options, report: &Report) {
    const ROUNDS: usize = 1_000;
    const NAMES: usize = 100;
    let mut log = File::create(root.join("log")).unwrap();
    let safe = replica(&root.join("two"), RedbOptions::default());
    let options = RedbOptions { one_phase: true, ..RedbOptions::default() };
    let fast = replica(&root.join("one"), options);
    let (mut appends, mut two, mut one) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (path, bytes) = (format!("/status/{}", round % NAMES), content(round, 300));
        appends.push(timed(|| {
            log.write_all(&content(round, 400)).unwrap();
            log.sync_data().unwrap();
        }));
        two.push(timed(|| assert!(safe.write(&path, &bytes).is_ok())));
        one.push(timed(|| assert!(fast.write(&path, &bytes).is_ok())));
    }
    let append = micros(median(&mut appends));
    for (phases, times, most) in [("two", &mut two, 2.6), ("one", &mut one, 1.5)] {
        report.row(&Row {
            id: "L3",
            what: format!("durable write of 300 B, {phases} phases"),
            value: micros(median(times)),
            unit: "us",
            limit: Some(Reference::new("append + fdatasync", append)),
            peer: None,
            target: Target::TimesLimit(most),
        });
    }
}

/// Many small writes, on the disk within half a second.
fn deferred_writes(root: &Path, options: &Options, report: &Report) {
    const ROUNDS: usize = 7;
    const WRITES: usize = 10_000;
    let contents: Vec<_> = (0..WRITES).map(|i| content(i, 300)).collect();
    let paths: Vec<_> = (0..WRITES).map(|i| format!("/notes/{}/{i}", i % 100)).collect();
    let (mut times, mut limits) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let dir = root.join(round.to_string());
        let fs = replica(&dir, RedbOptions::default()).with_durability(Durability::Deferred);
        times.push(timed(|| {
            for (path, content) in paths.iter().zip(&contents) {
                fs.write(path, content).unwrap();
            }
            fs.sync().unwrap();
        }));
        limits.push(signatures_per_second());
    }
    limits.sort_by(f64::total_cmp);
    let value = WRITES as f64 / median(&mut times).as_secs_f64();
    let row = |name: &str, peer: Option<f64>| Row {
        id: "L4",
        what: "10,000 deferred writes of 300 B, sync".to_owned(),
        value,
        unit: "/s",
        limit: Some(Reference::new("signatures", limits[ROUNDS / 2])),
        peer: peer.map(|value| Reference::new(name, value)),
        target: Target::AtLeastTimesPeer(4.0),
    };
    report.row(&row("iroh-docs", options.peer("iroh-docs")));
    match options.peer("iroh-docs-entries") {
        // What it would be without storing any content, which ours includes.
        Some(entries) => report.row(&row("iroh-docs, no content", Some(entries))),
        None => report.skip("L4", "the peers; benches/peers measures them"),
    }
}

/// Entries of others: bytes to view, in memory.
fn admission(_: &Path, _: &Options, report: &Report) {
    const ROUNDS: usize = 5;
    const ENTRIES: usize = 20_000;
    let (hierarchy, entries) = foreign_entries(ENTRIES);
    let (mut alone, mut one, mut two) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(verify_strict_time(&entries));
        one.push(timed(|| {
            let mut replica = Replica::new(hierarchy, 1);
            let mut verifier = Verifier::new();
            for bytes in &entries {
                let entry = SignedEntry::decode(bytes).unwrap();
                let entry = entry.verify_with(&mut verifier).unwrap();
                admit(&mut replica, entry);
            }
        }));
        two.push(timed(|| {
            let mut replica = Replica::new(hierarchy, 1);
            for bytes in entries.chunks(1_024) {
                let decoded = bytes.iter().map(|bytes| SignedEntry::decode(bytes).unwrap());
                for entry in verify_all(decoded.collect()) {
                    admit(&mut replica, entry.unwrap());
                }
            }
        }));
    }
    let per_second = |times: &mut [Duration]| entries.len() as f64 / median(times).as_secs_f64();
    let (alone, one, two) = (per_second(&mut alone), per_second(&mut one), per_second(&mut two));
    report.row(&Row {
        id: "L5",
        what: "foreign entries admitted, one thread".to_owned(),
        value: one,
        unit: "/s",
        limit: Some(Reference::new("verify_strict", alone)),
        peer: None,
        target: Target::PartOfLimit(0.85),
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let row = Row {
        id: "L5",
        what: format!("foreign entries admitted, {threads} threads"),
        value: two,
        unit: "/s",
        limit: Some(Reference::new("verify_strict x threads", alone * threads as f64)),
        peer: Some(Reference::new("one thread", one)),
        target: Target::AtLeastTimesPeer(1.7),
    };
    if threads > 1 {
        report.row(&row);
    } else {
        report.skip("L5", "more threads: this machine has one");
    }
}

fn admit(replica: &mut Replica, entry: basefs::entry::VerifiedEntry) {
    let mut effects = Effects::default();
    assert_eq!(replica.offer(entry, Source::Peer(1), &mut effects), Offered::Admitted);
    black_box(effects);
}

/// A hierarchy and its entries as bytes, in the order of admission.
fn foreign_entries(count: usize) -> (EntryId, Vec<Vec<u8>>) {
    let store = Arc::new(MemoryStore::new());
    let fs = Fs::builder().store(store.clone()).open().unwrap();
    let mut batch = fs.batch();
    for i in 0..count {
        batch.write(format!("/notes/{}/{i}", i % 100), content(i, 300)).unwrap();
    }
    batch.commit().unwrap();
    let mut entries = Vec::new();
    let mut keep = |_: &[u8], bytes: &[u8]| {
        entries.push(bytes.to_vec());
        true
    };
    store.scan(Table::Entries, &[], &mut keep).unwrap();
    (fs.hierarchy(), entries)
}

/// The time that nothing but the signatures takes.
fn verify_strict_time(entries: &[Vec<u8>]) -> Duration {
    let signed = entries.iter().map(|bytes| {
        let key = SignedEntry::decode(bytes).unwrap().body().key;
        let (body, signature) = (&bytes[1..bytes.len() - 66], &bytes[bytes.len() - 64..]);
        let message = [b"basefs v1 sig", body].concat();
        (key, message, <[u8; 64]>::try_from(signature).unwrap())
    });
    let signed: Vec<_> = signed.collect();
    // The key's point is found once, as it is in the rows compared.
    let mut verifier = Verifier::new();
    timed(|| {
        for (key, message, signature) in &signed {
            verifier.verify(key, message, signature).unwrap();
        }
    })
}

/// Reading by path, with the store's cache warm, and with nothing but the page cache.
fn reading(root: &Path, _: &Options, report: &Report) {
    const FILES: usize = 100_000;
    let dir = root.join("fs");
    let paths: Vec<_> = (0..FILES)
        .map(|i| {
            format!("/area{:02}/site{:02}/node{:02}/file{i}", i % 17, i / 17 % 17, i / 289 % 17)
        })
        .collect();
    let fs = replica(&dir, RedbOptions::default());
    let mut map = std::collections::BTreeMap::new();
    for first in (0..FILES).step_by(10_000) {
        let mut batch = fs.batch();
        for (i, path) in paths.iter().enumerate().skip(first).take(10_000) {
            batch.write(path, content(i, 300)).unwrap();
            map.insert(path.clone(), content(i, 300));
        }
        batch.commit().unwrap();
    }
    let mut order = order(FILES);
    let read = |fs: &Fs, path: &str| assert_eq!(fs.read(path).unwrap().len(), 300);
    for path in &paths {
        read(&fs, path);
    }
    let (mut warm, mut lookups) = (Vec::new(), Vec::new());
    for places in order.chunks(1_000) {
        let each = |work: &dyn Fn(&str)| {
            timed(|| places.iter().for_each(|place| work(&paths[*place]))) / 1_000
        };
        warm.push(each(&|path| read(&fs, path)));
        lookups.push(each(&|path| drop(black_box(map[path].clone()))));
    }
    drop(fs);
    // Room for the root of each tree, but for hardly a leaf.
    let fs = replica(&dir, RedbOptions { cache_bytes: 256 << 10, ..RedbOptions::default() });
    order.truncate(20_000);
    let mut cold: Vec<_> = order.iter().map(|place| timed(|| read(&fs, &paths[*place]))).collect();
    let limit = micros(median(&mut lookups));
    let row = |what: &str, times: &mut [Duration], most| Row {
        id: "L6",
        what: format!("read 300 B of 100,000 files, {what}"),
        value: micros(median(times)),
        unit: "us",
        limit: Some(Reference::new("map lookup, copy", limit)),
        peer: None,
        target: Target::AtMost(most),
    };
    report.row(&row("warm", &mut warm, 3.0));
    report.row(&row("cold", &mut cold, 20.0));
}

/// The numbers below `count` in an order that no cache guesses, the same in every run.
fn order(count: usize) -> Vec<usize> {
    let mut numbers: Vec<_> = (0..count).collect();
    numbers.sort_by_key(|number| *blake3::hash(&number.to_be_bytes()).as_bytes());
    numbers
}

fn replica(dir: &Path, options: RedbOptions) -> Fs {
    let store = RedbStore::open_with(&dir.join("store"), options).unwrap();
    Fs::builder().dir(dir).store(Arc::new(store)).open().unwrap()
}

/// Ed25519 on its own, on one core.
fn signatures_per_second() -> f64 {
    const COUNT: usize = 5_000;
    let (key, message) = (SecretKey::from_seed([7; 32]), content(0, 450));
    let time = timed(|| {
        for _ in 0..COUNT {
            black_box(key.sign(black_box(&message)));
        }
    });
    COUNT as f64 / time.as_secs_f64()
}

/// Bytes that differ from number to number.
fn content(number: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
