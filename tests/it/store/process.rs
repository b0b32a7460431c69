//! Other processes: one that holds the store, one that is killed while it writes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use basefs::store::{Batch, Durability, RedbOptions, RedbStore, Store, StoreError, Table};

use super::{Random, noise};

const DIR: &str = "BASEFS_TEST_DIR";
const PHASES: &str = "BASEFS_TEST_ONE_PHASE";
/// What the child prints before the number of each durable commit; the test harness prints too.
const MARK: &str = "committed ";

/// Runs one of the ignored tests below in a process of its own.
fn spawn(test: &str, dir: &Path, one_phase: bool) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(PHASES, one_phase.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn open_in_child() -> RedbStore {
    let dir = std::env::var_os(DIR).expect("runs only as a child of another test");
    let one_phase = std::env::var(PHASES).unwrap() == "true";
    let options = RedbOptions { one_phase, pack_bytes: 200_000, ..RedbOptions::default() };
    RedbStore::open_with(Path::new(&dir), options).unwrap()
}

#[test]
fn a_second_process_is_told_who_holds_the_store() {
    let root = tempfile::tempdir().unwrap();
    let mut child = spawn("store::process::child_holds", root.path(), false);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains(MARK)).unwrap().unwrap();
    let holder = format!("process {}", child.id());
    assert_eq!(RedbStore::open(root.path()).unwrap_err(), StoreError::Locked { holder });
    child.kill().unwrap();
    child.wait().unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    let holder = format!("process {}, this one", std::process::id());
    assert_eq!(RedbStore::open(root.path()).unwrap_err(), StoreError::Locked { holder });
    drop(store);
    RedbStore::open(root.path()).unwrap();
}

#[test]
#[ignore = "the other process of a test"]
fn child_holds() {
    let _store = open_in_child();
    println!("{MARK}0");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_killed_writer_loses_nothing_that_was_durable() {
    let mut random = Random(3);
    for one_phase in [false, true] {
        let root = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            let durable = kill_a_writer(root.path(), one_phase, random.below(40));
            let store = RedbStore::open(root.path()).unwrap();
            let found = check_numbered(&store);
            assert!(found >= durable, "commit {durable} was durable, {found} is the last");
        }
    }
}

/// Lets a child write until it reported so many durable commits; gives the last number reported.
fn kill_a_writer(root: &Path, one_phase: bool, reports: usize) -> u64 {
    let mut child = spawn("store::process::child_writes", root, one_phase);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = lines.filter_map(|line| line.unwrap().strip_prefix(MARK)?.parse().ok());
    let last = numbers.nth(reports).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    numbers.last().unwrap_or(last)
}

#[test]
#[ignore = "the other process of a test"]
fn child_writes() {
    let store = open_in_child();
    println!();
    for number in check_numbered(&store) + 1.. {
        let mut batch = Batch::new();
        batch.put(Table::Entries, number.to_be_bytes().to_vec(), noise(number, 400));
        batch.put(Table::Blocks, number.to_be_bytes().to_vec(), noise(number, 33_000));
        if let Some(old) = number.checked_sub(10) {
            batch.delete(Table::Blocks, old.to_be_bytes().to_vec());
        }
        let durable = number % 3 == 0;
        store
            .commit(&batch, if durable { Durability::Durable } else { Durability::Deferred })
            .unwrap();
        if durable {
            println!("{MARK}{number}");
        }
    }
}

/// Checks that commits 1 to n are there, each whole, and gives n.
fn check_numbered(store: &RedbStore) -> u64 {
    let mut last = 0u64;
    let mut visit = |key: &[u8], value: &[u8]| {
        last += 1;
        assert_eq!(key, last.to_be_bytes(), "a commit is missing before this one");
        assert!(value == noise(last, 400));
        true
    };
    store.scan(Table::Entries, &[], &mut visit).unwrap();
    let mut blocks = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        let number = u64::from_be_bytes(key.try_into().unwrap());
        assert!(value == noise(number, 33_000));
        blocks.push(number);
        true
    };
    store.scan(Table::Blocks, &[], &mut visit).unwrap();
    assert_eq!(blocks, (last.saturating_sub(9).max(1)..=last).collect::<Vec<_>>());
    last
}
