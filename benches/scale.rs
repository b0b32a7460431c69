//! What many entries cost: `cargo bench --bench scale`, or with `-- L7` one row, with `-- --json`
//! for programs.
//!
//! Works in the current directory, so that it meets a disk and not a file system in memory.
// A bench is a program: it prints its table and stops at what it did not expect.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::entry::{FileData, Payload, Rights};
use basefs::log::root_dir;
use basefs::node::Replica;
use basefs::store::{Durability, RedbOptions, RedbStore, Store, Table};

use clock::{median, timed};
use million::{Author, EXPECTED, build, content, genesis, key, take_in};
use report::{Options, Reference, Report, Row, Target};

#[path = "support/clock.rs"]
mod clock;
#[path = "support/million.rs"]
mod million;
#[path = "support/process.rs"]
mod process;
#[path = "support/report.rs"]
mod report;

/// Measures one row of the table.
type Measure = fn(&Path, &Options, &Report);

fn main() {
    let args: Vec<String> = env::args().collect();
    if let [_, flag, dir, cache] = &args[..]
        && flag == "--open"
    {
        return open_once(Path::new(dir), cache.parse().unwrap());
    }
    let options = Options::from_args();
    let report = Report::new(&options);
    let root = tempfile::tempdir_in(".").unwrap();
    let rows: [(&str, Measure); 3] =
        [("L2", cost_per_file), ("L7", opening), ("L8", deep_and_wide)];
    for (id, measure) in rows {
        if options.wants(id) {
            let dir = root.path().join(id);
            fs::create_dir(&dir).unwrap();
            measure(&dir, &options, &report);
        }
    }
}

/// What writing one more file costs, with few and with many there.
fn cost_per_file(root: &Path, _: &Options, report: &Report) {
    const FEW: usize = 1_000;
    const MANY: usize = 100_000;
    const ROUNDS: usize = 5;
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // As much work for either, or the machine would be measured at different times.
        let small = |part: usize| per_file(&root.join(format!("few{round}-{part}")), FEW);
        few.extend((0..10).map(small));
        many.push(per_file(&root.join(format!("many{round}")), MANY));
    }
    report.row(&Row {
        id: "L2",
        what: "write a file, deferred, 100,000 files".to_owned(),
        value: micros(many.into_iter().min().unwrap()),
        unit: "us",
        limit: None,
        peer: Some(Reference::new("1,000 files", micros(few.into_iter().min().unwrap()))),
        target: Target::TimesPeer(1.3),
    });
}

/// Writes so many files, durable at the end; gives the time of one.
fn per_file(dir: &Path, count: usize) -> Duration {
    let store = Arc::new(RedbStore::open(&dir.join("store")).unwrap());
    let fs = Fs::builder().dir(dir).store(store).durability(Durability::Deferred).open().unwrap();
    let files: Vec<_> = (0..count).map(|file| (path(file), content(file, 300))).collect();
    let time = timed(|| {
        for (path, content) in &files {
            fs.write(path, content).unwrap();
        }
        fs.sync().unwrap();
    });
    fs::remove_dir_all(dir).unwrap();
    time / u32::try_from(count).unwrap()
}

/// The path of a file: twenty to a directory, at depth 4.
fn path(file: usize) -> String {
    let dir = file / 20;
    format!("/area{:02}/site{:02}/node{:02}/file{file}", dir / 289 % 17, dir / 17 % 17, dir % 17)
}

/// A replica of a million entries: how long until it is open, and what it takes up. In a directory
/// given with `--dir` it stays, and is opened again the next time.
fn opening(root: &Path, options: &Options, report: &Report) {
    const ROUNDS: usize = 5;
    let root = options.dir.as_deref().unwrap_or(root);
    let built = (!root.join("store").exists()).then(|| build(root));
    let disk = size(&root.join("store"));
    let opened: Vec<Opened> = (0..ROUNDS).map(|_| Opened::in_child(root, 64 << 20)).collect();
    let least = |figure: fn(&Opened) -> f64| opened.iter().map(figure).fold(f64::MAX, f64::min);
    let row = |what: &str, value: f64, unit, limit, target| Row {
        id: "L7",
        what: what.to_owned(),
        value,
        unit,
        limit,
        peer: None,
        target,
    };
    let cpu = Reference::new("CPU time", least(|opened| opened.cpu));
    let wall = least(|opened| opened.wall);
    let what = format!("open a replica of {EXPECTED} entries");
    report.row(&row(&what, wall, "s", Some(cpu), Target::AtMost(2.0)));
    // With hardly any cache, so that what is measured is not the cache.
    let small = Opened::in_child(root, 256 << 10);
    let memory = (small.memory / EXPECTED as f64).ceil();
    report.row(&row("memory of an entry", memory, "B", None, Target::AtMost(400.0)));
    let Some(bytes) = built else {
        return report.skip("L7", "the disk: the replica was built before");
    };
    let of = |bytes| Some(Reference::new("MB of entries", bytes as f64 / 1e6));
    let megabytes = |size: u64| size as f64 / 1e6;
    report.row(&row("on disk", megabytes(disk), "MB", of(bytes), Target::TimesLimit(2.5)));
    RedbStore::open(&root.join("store")).unwrap().compact().unwrap();
    let compacted = megabytes(size(&root.join("store")));
    report.row(&row("compacted", compacted, "MB", of(bytes), Target::TimesLimit(2.0)));
}

/// What opening took: seconds, processor seconds, bytes of memory.
struct Opened {
    wall: f64,
    cpu: f64,
    memory: f64,
}

impl Opened {
    /// In a process of its own, whose memory is that of the replica.
    fn in_child(dir: &Path, cache: usize) -> Self {
        let mut child = Command::new(env::current_exe().unwrap());
        let output = child.arg("--open").arg(dir).arg(cache.to_string()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
        Self { wall: figures[0], cpu: figures[1], memory: figures[2] }
    }
}

/// Opens a replica and prints what it took.
fn open_once(dir: &Path, cache_bytes: usize) {
    let (before, memory) = (process::cpu(), process::resident());
    let begun = Instant::now();
    let options = RedbOptions { cache_bytes, ..RedbOptions::default() };
    let store = RedbStore::open_with(&dir.join("store"), options).unwrap();
    let fs = Fs::builder().store(Arc::new(store)).open().unwrap();
    let wall = begun.elapsed();
    let cpu = process::cpu().zip(before).map_or(f64::NAN, |(now, then)| (now - then).as_secs_f64());
    let used = process::resident().zip(memory).map_or(f64::NAN, |(now, then)| (now - then) as f64);
    assert_eq!(fs.entries(), EXPECTED);
    println!("{} {cpu} {used}", wall.as_secs_f64());
}

/// Appends to one path of many versions; and a revoke that cuts many entries.
fn deep_and_wide(root: &Path, _: &Options, report: &Report) {
    append(&root.join("append"), report);
    for (name, dir, one_slot) in
        [("100,000 files", "files", false), ("100,000 versions of a file", "versions", true)]
    {
        let time = revoke(&root.join(dir), one_slot);
        report.row(&Row {
            id: "L8",
            what: format!("cut {name} by one revoke, durable"),
            value: time.as_secs_f64(),
            unit: "s",
            limit: None,
            peer: None,
            target: Target::AtMost(1.0),
        });
    }
}

fn append(dir: &Path, report: &Report) {
    const DEEP: usize = 100_000;
    const ROUNDS: usize = 5_000;
    let store = Arc::new(RedbStore::open(&dir.join("store")).unwrap());
    let fs = Fs::builder().dir(dir).store(store).durability(Durability::Deferred).open().unwrap();
    for version in 0..DEEP {
        fs.write("/deep/file", content(version, 300)).unwrap();
    }
    fs.create_dir_all("/fresh").unwrap();
    let (mut deep, mut fresh) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (path, bytes) = (format!("/fresh/{round}"), content(round, 300));
        fresh.push(timed(|| assert!(fs.write(&path, &bytes).is_ok())));
        deep.push(timed(|| assert!(fs.write("/deep/file", &bytes).is_ok())));
    }
    report.row(&Row {
        id: "L8",
        what: "append to 100,000 versions, deferred".to_owned(),
        value: micros(median(&mut deep)),
        unit: "us",
        limit: None,
        peer: Some(Reference::new("to a fresh path", micros(median(&mut fresh)))),
        target: Target::TimesPeer(1.5),
    });
}

/// The time of a revoke that keeps one of 100,000 entries, with what is to be stored.
fn revoke(dir: &Path, one_slot: bool) -> Duration {
    const ENTRIES: usize = 100_000;
    let (owner, guest) = (key(1), key(2));
    let genesis = genesis(std::slice::from_ref(&owner));
    let store = RedbStore::open(dir).unwrap();
    let mut replica = Replica::new(genesis.id(), 1);
    let mut root_author = Author::new(&owner, genesis.id());
    let root = root_dir(&genesis.id());
    let payload = Payload::Grant { who: guest.public(), rights: Rights::Write, after: Vec::new() };
    let grant = root_author.sign(root, "guest", None, payload);
    let mut author = Author::new(&guest, grant.id());
    let mut entries = vec![genesis, grant];
    let mut last = None;
    for number in 0..ENTRIES {
        let name = if one_slot { "file".to_owned() } else { format!("file{number}") };
        let data = FileData::Inline(content(number, 100).into());
        let payload = Payload::Write { executable: false, data };
        let entry = author.sign(root, &name, last.filter(|_| one_slot), payload);
        last = Some(entry.id());
        entries.push(entry);
    }
    let keep = vec![entries[2].id()];
    take_in(&mut replica, &store, entries);
    let payload = Payload::Revoke { who: guest.public(), keep };
    let revoke = root_author.sign(root, "", None, payload);
    let time = timed(|| take_in(&mut replica, &store, vec![revoke]));
    let mut cut = 0;
    let mut count = |_: &[u8], _: &[u8]| {
        cut += 1;
        true
    };
    store.scan(Table::Cut, &[], &mut count).unwrap();
    assert_eq!(cut, ENTRIES - 1);
    time
}

/// Bytes of all files below a directory.
fn size(dir: &Path) -> u64 {
    let below = fs::read_dir(dir).unwrap().map(|child| child.unwrap());
    below
        .map(|child| match child.metadata().unwrap() {
            inner if inner.is_dir() => size(&child.path()),
            file => file.len(),
        })
        .sum()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
