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
use basefs::entry::{Action, Body, FileData, Payload, Rights, VerifiedEntry};
use basefs::id::{DirId, EntryId};
use basefs::log::{Offered, Source, child_dir, root_dir};
use basefs::node::{Effects, Replica};
use basefs::store::{Batch, Durability, RedbOptions, RedbStore, Store, Table, layout};
use basefs::time::WallTime;
use basefs::wire::SecretKey;

use clock::{median, timed};
use report::{Options, Reference, Report, Row, Target};

#[path = "support/clock.rs"]
mod clock;
#[path = "support/process.rs"]
mod process;
#[path = "support/report.rs"]
mod report;

/// Files of the large replica, and versions of each: a million entries.
const FILES: usize = 100_000;
const VERSIONS: usize = 10;
/// Directories in a directory, at three levels above the files.
const FANOUT: usize = 17;

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

/// Two genesis keys' directories, and the versions of all files.
const EXPECTED: usize = 1 + dirs() + FILES * VERSIONS;

const fn dirs() -> usize {
    FANOUT + FANOUT * FANOUT + FANOUT * FANOUT * FANOUT
}

/// Fills a store with files of ten versions each, one version of all after the other; gives the
/// bytes of the entries.
///
/// Two authors on a thread each sign half of them: signing takes most of the time.
fn build(dir: &Path) -> u64 {
    let keys = [key(1), key(2)];
    let genesis = genesis(&keys);
    let store = RedbStore::open(&dir.join("store")).unwrap();
    let mut replica = Replica::new(genesis.id(), 1);
    let mut batch = Batch::new();
    layout::found(&mut batch, genesis.id());
    store.commit(&batch, Durability::Durable).unwrap();
    let mut bytes = 0;
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::sync_channel::<Vec<VerifiedEntry>>(8);
        send.send(vec![genesis.clone()]).unwrap();
        for (half, key) in keys.iter().enumerate() {
            let (send, genesis) = (send.clone(), genesis.id());
            scope.spawn(move || sign_half(half, Author::new(key, genesis), &send));
        }
        drop(send);
        for entries in receive {
            bytes += entries.iter().map(|entry| entry.bytes().len() as u64).sum::<u64>();
            take_in(&mut replica, &store, entries);
        }
    });
    bytes
}

/// Directories first, then every version of every file, 10,000 entries at a time.
fn sign_half(
    half: usize,
    mut author: Author<'_>,
    send: &std::sync::mpsc::SyncSender<Vec<VerifiedEntry>>,
) {
    let root = root_dir(&author.genesis);
    let mut entries = Vec::new();
    let mut nodes = Vec::new();
    for area in (0..FANOUT).filter(|area| area % 2 == half) {
        let area = author.mkdir(root, &format!("area{area:02}"), &mut entries);
        for site in 0..FANOUT {
            let site = author.mkdir(area, &format!("site{site:02}"), &mut entries);
            for node in 0..FANOUT {
                nodes.push(author.mkdir(site, &format!("node{node:02}"), &mut entries));
            }
        }
    }
    let files: Vec<usize> = (0..FILES).filter(|file| file % 2 == half).collect();
    let mut last: Vec<Option<EntryId>> = vec![None; files.len()];
    for version in 0..VERSIONS {
        for (at, file) in files.iter().enumerate() {
            let length = 40 + (file * 7 + version * 31) % 280;
            let content = content(file * VERSIONS + version, length);
            let data = FileData::Inline(content.into());
            let payload = Payload::Write { executable: false, data };
            let dir = nodes[at % nodes.len()];
            let entry = author.sign(dir, &format!("file{file}"), last[at], payload);
            last[at] = Some(entry.id());
            entries.push(entry);
            if entries.len() >= 10_000 {
                send.send(std::mem::take(&mut entries)).unwrap();
            }
        }
    }
    send.send(entries).unwrap();
}

/// Takes entries into a replica and its store.
fn take_in(replica: &mut Replica, store: &RedbStore, entries: Vec<VerifiedEntry>) {
    let mut effects = Effects::default();
    for entry in entries {
        assert_eq!(replica.offer(entry, Source::Local, &mut effects), Offered::Admitted);
    }
    let mut batch = Batch::new();
    layout::record(&mut batch, &effects);
    store.commit(&batch, Durability::Durable).unwrap();
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

/// One chain of entries.
struct Author<'a> {
    key: &'a SecretKey,
    genesis: EntryId,
    cap: EntryId,
    next: u64,
    last: Option<EntryId>,
}

impl<'a> Author<'a> {
    /// Begins a chain under a capability.
    fn new(key: &'a SecretKey, cap: EntryId) -> Self {
        Self { key, genesis: cap, cap, next: 0, last: None }
    }

    fn mkdir(&mut self, dir: DirId, name: &str, entries: &mut Vec<VerifiedEntry>) -> DirId {
        entries.push(self.sign(dir, name, None, Payload::Mkdir));
        child_dir(&dir, None, name)
    }

    fn sign(
        &mut self,
        dir: DirId,
        name: &str,
        base: Option<EntryId>,
        payload: Payload,
    ) -> VerifiedEntry {
        debug_assert_ne!(payload.action(), Action::Genesis);
        let body = Body {
            dir,
            name: name.into(),
            prev: base.into_iter().collect(),
            cap: self.cap,
            key: self.key.public(),
            seq: self.next,
            aprev: self.last,
            ts: WallTime::from_millis(1_700_000_000_000 + self.next),
            payload,
        };
        let entry = body.sign(self.key).unwrap();
        self.next += 1;
        self.last = Some(entry.id());
        entry
    }
}

fn genesis(keys: &[SecretKey]) -> VerifiedEntry {
    let roots = keys.iter().map(SecretKey::public).collect();
    let body = Body {
        dir: DirId::from_bytes([0; 32]),
        name: "scale".into(),
        prev: Vec::new(),
        cap: EntryId::from_bytes([0; 32]),
        key: keys[0].public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(1_700_000_000_000),
        payload: Payload::Genesis { roots, nonce: [7; 16] },
    };
    body.sign(&keys[0]).unwrap()
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
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

/// Bytes that differ from number to number.
fn content(number: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
