//! The redb store: the suite, its directory, readers beside a writer.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use basefs::store::{Batch, Durability, RedbOptions, RedbStore, Store, Table};

use super::conformance;

fn conforms(options: RedbOptions) {
    let root = tempfile::tempdir().unwrap();
    let made = AtomicU64::new(0);
    let open = |path: &Path| Box::new(RedbStore::open_with(path, options).unwrap());
    conformance::run(&|| open(&root.path().join(made.fetch_add(1, Ordering::Relaxed).to_string())));
    conformance::run_reopened(&|| open(&root.path().join("again")));
}

#[test]
fn conforms_in_two_phases() {
    conforms(RedbOptions::default());
}

#[test]
fn conforms_in_one_phase_verified_with_small_packs() {
    let options =
        RedbOptions { one_phase: true, verify: true, pack_bytes: 1, ..RedbOptions::default() };
    conforms(options);
}

#[test]
fn creating_makes_the_directory_and_leaves_nothing_temporary() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a/b");
    drop(RedbStore::open(&dir).unwrap());
    let mut names: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["lock", "packs", "store.redb"]);
    // What a crash during the next creation would leave is written over.
    std::fs::rename(dir.join("store.redb"), dir.join("store.redb.new")).unwrap();
    let store = RedbStore::open(&dir).unwrap();
    assert_eq!(store.get(Table::Meta, b"key"), Ok(None));
    assert!(!dir.join("store.redb.new").exists());
}

#[test]
fn readers_see_whole_commits_while_one_is_under_way() {
    const KEYS: u64 = 50;
    let root = tempfile::tempdir().unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    let done = AtomicBool::new(false);
    let returned = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for generation in 1..=100u64 {
                let mut batch = Batch::new();
                for key in 0..KEYS {
                    let value = generation.to_be_bytes().to_vec();
                    batch.put(Table::Entries, key.to_be_bytes().to_vec(), value);
                }
                let deferred = generation % 3 != 0;
                let durability = if deferred { Durability::Deferred } else { Durability::Durable };
                store.commit(&batch, durability).unwrap();
                returned.store(generation, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let at_least = returned.load(Ordering::Acquire);
                    let mut seen = Vec::new();
                    let mut visit = |_: &[u8], value: &[u8]| {
                        seen.push(u64::from_be_bytes(value.try_into().unwrap()));
                        true
                    };
                    store.scan(Table::Entries, &[], &mut visit).unwrap();
                    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "a torn commit");
                    assert!(seen.first().copied().unwrap_or(0) >= at_least, "a stale scan");
                }
            });
        }
    });
}
