//! Processes that are killed and disks that lose power under an open hierarchy: what was
//! acknowledged is there, and what is there fits together.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::entry::SignedEntry;
use basefs::log::{EntryNo, Offered, SlotNo, Source};
use basefs::node::{Effects, Replica};
use basefs::store::{Durability, RedbOptions, RedbStore, Store, layout};
use basefs::wire::SecretKey;

use crate::store::crash_disk::CrashDisk;
use crate::store::{Random, noise};

const DIR: &str = "BASEFS_TEST_DIR";
/// What the child prints before the number of each acknowledged write.
const MARK: &str = "written ";

/// Large ones go to packs, small ones into the entry, the others between.
fn content(number: u64) -> Vec<u8> {
    let lengths = [10, 300, 5_000, 40_000];
    noise(number, lengths[usize::try_from(number % 4).unwrap()])
}

/// Each write has a name of its own, and every tenth also changes a file they share.
fn write(fs: &Fs, number: u64) -> Result<(), basefs::WriteError> {
    let mut batch = fs.batch();
    batch.write(format!("/d{}/{number}", number % 7), content(number))?;
    if number.is_multiple_of(10) {
        batch.write("/shared", number.to_string())?;
    }
    batch.commit()
}

fn read(fs: &Fs, number: u64) -> Option<Vec<u8>> {
    fs.read(format!("/d{}/{number}", number % 7)).ok().map(|bytes| bytes.to_vec())
}

/// How many writes are there; they must be the first ones, each whole.
fn check_writes(fs: &Fs, circumstances: &str) -> u64 {
    let files = fs.walk("/").unwrap().filter(|entry| entry.metadata().is_file());
    let numbered = files.filter(|entry| entry.path() != "/shared").count() as u64;
    for number in 0..numbered {
        let found = read(fs, number);
        assert!(found == Some(content(number)), "{circumstances}: {number} of {numbered}");
    }
    if let Some(last) = numbered.checked_sub(1) {
        let shared = fs.read("/shared").unwrap();
        assert_eq!(shared, (last / 10 * 10).to_string(), "{circumstances}: a torn batch");
    }
    numbered
}

/// What a replica shows: the winner of every slot, and which entries count.
fn shown(replica: &Replica) -> (BTreeMap<SlotNo, Option<EntryNo>>, Vec<bool>) {
    let slots = (0..replica.log().slots()).filter_map(SlotNo::from_index);
    let winners = slots.map(|slot| (slot, replica.view().winner(slot))).collect();
    let entries = (0..replica.log().len()).filter_map(EntryNo::from_index);
    (winners, entries.map(|no| replica.authority().is_authorised(no)).collect())
}

/// What is stored loads without a decision, equals a replay of every entry through the rules, and
/// has no two entries of an author in one place of a chain.
pub(super) fn check_store(store: &dyn Store, circumstances: &str) {
    let Some(hierarchy) = layout::hierarchy(store).unwrap() else { return };
    let loaded = layout::load(store, hierarchy, 1).unwrap();
    assert_eq!(loaded.view().decisions(), 0, "{circumstances}: decided again");
    assert_eq!(loaded.authority().computed(), 0, "{circumstances}: computed again");
    let mut replayed = Replica::new(hierarchy, 2);
    let mut effects = Effects::default();
    let mut places = BTreeSet::new();
    for number in 0..loaded.log().len() {
        let bytes = layout::entry_bytes(store, number).unwrap().unwrap();
        let entry = SignedEntry::decode(&bytes).and_then(SignedEntry::verify).unwrap();
        let body = entry.body();
        assert!(places.insert((body.key, body.cap, body.seq)), "{circumstances}: equivocation");
        let offered = replayed.offer(entry, Source::Local, &mut effects);
        assert_eq!(offered, Offered::Admitted, "{circumstances}: entry {number}");
        let contents = (0..loaded.log().contents()).filter_map(basefs::log::ContentNo::from_index);
        for no in contents.filter(|no| loaded.view().is_complete(loaded.log(), *no)) {
            replayed.complete(loaded.log().content(no), &mut effects);
        }
    }
    assert!(shown(&loaded) == shown(&replayed), "{circumstances}: the view is another one");
}

#[test]
fn a_killed_process_loses_nothing_it_was_told_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(5);
    let (mut acknowledged, start) = (0, Instant::now());
    for kill in 0..10 {
        let delay = Duration::from_millis(random.below(400) as u64 + 20);
        acknowledged = kill_after(dir.path(), delay).unwrap_or(acknowledged);
        let circumstances = format!("kill {kill} after {delay:?}");
        check_store(&RedbStore::open(dir.path()).unwrap(), &circumstances);
        let found = check_writes(&Fs::open(dir.path()).unwrap(), &circumstances);
        assert!(found >= acknowledged, "{circumstances}: {found} of {acknowledged}");
    }
    assert!(acknowledged > 0);
    println!("{acknowledged} acknowledged writes, 10 kills, {:?}", start.elapsed());
}

/// Lets a child write for a while; gives how many writes it said were done, if any.
fn kill_after(dir: &Path, delay: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fs::crash::child_writes", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The clock starts when the child does: sometimes before the hierarchy is open.
    lines.next();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    let numbers = lines.filter_map(|line| line.unwrap().strip_prefix(MARK)?.parse::<u64>().ok());
    numbers.last().map(|last| last + 1)
}

#[test]
#[ignore = "the other process of a test"]
fn child_writes() {
    println!();
    let dir = std::env::var_os(DIR).expect("runs only as a child of another test");
    let fs = Fs::open(Path::new(&dir)).unwrap();
    for number in check_writes(&fs, "in the child").. {
        write(&fs, number).unwrap();
        println!("{MARK}{number}");
    }
}

/// Opens a hierarchy on a disk that may fail, with the same author every time.
fn open_on(disk: &CrashDisk, durability: Durability) -> Option<Fs> {
    let options = RedbOptions { cache_bytes: 1 << 20, ..RedbOptions::default() };
    let store = RedbStore::open_on(Arc::new(disk.clone()), options).ok()?;
    let fs = Fs::builder().store(Arc::new(store)).key(SecretKey::from_seed([3; 32]));
    fs.durability(durability).open().ok()
}

/// Works until the power fails or there is enough; gives how many writes were acknowledged as
/// durable, in all.
fn work(disk: &CrashDisk, durability: Durability, random: &mut Random, circumstances: &str) -> u64 {
    let Some(fs) = open_on(disk, durability) else { return 0 };
    let before = check_writes(&fs, circumstances);
    let mut durable = before;
    for number in before..before + 25 {
        if write(&fs, number).is_err() {
            break;
        }
        let is_durable = match durability {
            Durability::Durable => true,
            Durability::Deferred => random.below(5) == 0 && fs.sync().is_ok(),
        };
        if is_durable {
            durable = number + 1;
        }
    }
    durable
}

#[test]
fn a_disk_that_loses_power_keeps_what_was_acknowledged() {
    let mut lost_power = 0;
    for seed in 0..40 {
        let mut random = Random(seed);
        let durability = if seed % 2 == 0 { Durability::Durable } else { Durability::Deferred };
        let mut disk = CrashDisk::new();
        let mut durable = 0;
        for round in 0..3 {
            let circumstances = format!("seed {seed}, round {round}");
            disk.set_fuse(random.below(700) as u64 + 1, io::ErrorKind::Other);
            durable = work(&disk, durability, &mut random, &circumstances).max(durable);
            lost_power += u32::from(disk.fuse() == 0);
            disk = disk.after_power_loss(&mut random);
            let store = RedbStore::open_on(Arc::new(disk.clone()), RedbOptions::default());
            check_store(&store.unwrap(), &circumstances);
            let fs = open_on(&disk, durability).unwrap();
            let found = check_writes(&fs, &circumstances);
            assert!(found >= durable, "{circumstances}: {found} of {durable}");
            durable = found;
        }
    }
    assert!(lost_power > 40, "the power failed in {lost_power} of 120 rounds only");
}

#[test]
fn letting_go_of_a_hierarchy_makes_deferred_writes_durable() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::builder().dir(dir.path()).durability(Durability::Deferred).open().unwrap();
    fs.write("/last", "words").unwrap();
    drop(fs);
    let fs = Fs::open(dir.path()).unwrap();
    assert_eq!(fs.read("/last").unwrap(), "words");
}
