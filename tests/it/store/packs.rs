//! Pack files: where large blocks go, what is left of a crash, how space comes back.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use basefs::store::{Batch, Durability, RedbOptions, RedbStore, Store, StoreError, Table};

use super::{contents, noise};

const BLOCK: usize = 65_536;

fn put_blocks(store: &RedbStore, seeds: std::ops::Range<u64>) {
    let mut batch = Batch::new();
    for seed in seeds {
        batch.put(Table::Blocks, seed.to_be_bytes().to_vec(), noise(seed, BLOCK));
    }
    store.commit(&batch, Durability::Durable).unwrap();
}

fn delete_blocks(store: &RedbStore, seeds: impl Iterator<Item = u64>) {
    let mut batch = Batch::new();
    for seed in seeds {
        batch.delete(Table::Blocks, seed.to_be_bytes().to_vec());
    }
    store.commit(&batch, Durability::Durable).unwrap();
}

fn block(store: &RedbStore, seed: u64) -> Result<bool, StoreError> {
    Ok(store.get(Table::Blocks, &seed.to_be_bytes())?.unwrap() == noise(seed, BLOCK))
}

fn pack_sizes(root: &Path) -> Vec<u64> {
    let packs = fs::read_dir(root.join("packs")).unwrap();
    packs.map(|pack| pack.unwrap().metadata().unwrap().len()).collect()
}

fn open_small(root: &Path) -> RedbStore {
    let options = RedbOptions { pack_bytes: 4 * BLOCK as u64, ..RedbOptions::default() };
    RedbStore::open_with(root, options).unwrap()
}

#[test]
fn large_blocks_cost_their_length() {
    let root = tempfile::tempdir().unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    let before = fs::metadata(root.path().join("store.redb")).unwrap().len();
    put_blocks(&store, 0..64);
    assert_eq!(pack_sizes(root.path()), [64 * BLOCK as u64]);
    let after = fs::metadata(root.path().join("store.redb")).unwrap().len();
    assert!(after - before < BLOCK as u64, "the database grew by {}", after - before);
}

#[test]
fn a_torn_tail_is_cut_off_and_appending_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    put_blocks(&store, 0..1);
    drop(store);
    let pack = root.path().join("packs/0001.pack");
    let mut file = OpenOptions::new().append(true).open(&pack).unwrap();
    file.write_all(&noise(9, 3 * BLOCK)).unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    assert_eq!(fs::metadata(&pack).unwrap().len(), 4 * BLOCK as u64, "opening only reads");
    put_blocks(&store, 1..2);
    assert_eq!(fs::metadata(&pack).unwrap().len(), 2 * BLOCK as u64);
    assert!(block(&store, 0).unwrap() && block(&store, 1).unwrap());
}

#[test]
fn an_overwritten_range_is_an_error_for_its_block_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    put_blocks(&store, 0..3);
    let pack = root.path().join("packs/0001.pack");
    let mut file = OpenOptions::new().write(true).open(pack).unwrap();
    file.seek(SeekFrom::Start(BLOCK as u64 + 100)).unwrap();
    file.write_all(b"elsewhere").unwrap();
    assert!(matches!(block(&store, 1), Err(StoreError::Corrupt { .. })));
    assert!(block(&store, 0).unwrap() && block(&store, 2).unwrap(), "the store goes on");
    delete_blocks(&store, 1..2);
    assert_eq!(contents(&store).len(), 2);
}

#[test]
fn a_shortened_or_missing_pack_is_an_error_and_is_not_appended_to() {
    let root = tempfile::tempdir().unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    put_blocks(&store, 0..2);
    drop(store);
    let pack = root.path().join("packs/0001.pack");
    let file = OpenOptions::new().write(true).open(&pack).unwrap();
    file.set_len(BLOCK as u64 + 1).unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    assert!(block(&store, 0).unwrap());
    assert!(matches!(block(&store, 1), Err(StoreError::Corrupt { .. })));
    put_blocks(&store, 2..3);
    assert!(block(&store, 2).unwrap());
    assert_eq!(file.metadata().unwrap().len(), BLOCK as u64 + 1, "it may yet be rescued");
    drop(store);
    fs::remove_file(&pack).unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    assert!(matches!(block(&store, 0), Err(StoreError::Corrupt { .. })));
    assert!(block(&store, 2).unwrap());
}

#[test]
fn packs_go_when_nothing_refers_to_them() {
    let root = tempfile::tempdir().unwrap();
    let store = open_small(root.path());
    put_blocks(&store, 0..12);
    assert_eq!(pack_sizes(root.path()).len(), 3);
    // The same blocks again: the first copies are let go of.
    put_blocks(&store, 0..4);
    delete_blocks(&store, 4..8);
    assert_eq!(pack_sizes(root.path()).len(), 2);
    assert!((0..4).chain(8..12).all(|seed| block(&store, seed).unwrap()));
    drop(store);
    let store = open_small(root.path());
    assert!((0..4).chain(8..12).all(|seed| block(&store, seed).unwrap()));
    delete_blocks(&store, 0..12);
    assert!(pack_sizes(root.path()).is_empty());
    put_blocks(&store, 0..1);
    assert!(block(&store, 0).unwrap());
}

#[test]
fn a_deferred_removal_keeps_the_pack() {
    let root = tempfile::tempdir().unwrap();
    let store = open_small(root.path());
    put_blocks(&store, 0..1);
    let mut batch = Batch::new();
    batch.delete(Table::Blocks, 0u64.to_be_bytes().to_vec());
    store.commit(&batch, Durability::Deferred).unwrap();
    assert_eq!(pack_sizes(root.path()).len(), 1, "a crash could bring the block back");
    store.flush().unwrap();
    assert!(pack_sizes(root.path()).is_empty());
}

#[test]
fn compacting_gives_space_back() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open_small(root.path());
    put_blocks(&store, 0..16);
    let mut batch = Batch::new();
    for key in 0..5_000u64 {
        batch.put(Table::Entries, key.to_be_bytes().to_vec(), noise(key, 400));
    }
    store.commit(&batch, Durability::Durable).unwrap();
    let mut batch = Batch::new();
    for key in 0..4_900u64 {
        batch.delete(Table::Entries, key.to_be_bytes().to_vec());
    }
    store.commit(&batch, Durability::Durable).unwrap();
    // Three of four blocks of every pack go.
    delete_blocks(&store, (0..16).filter(|seed| seed % 4 != 0));
    let expected = contents(&store);
    let database = || fs::metadata(root.path().join("store.redb")).unwrap().len();
    let (database_before, packs_before) = (database(), pack_sizes(root.path()));
    assert_eq!(packs_before.iter().sum::<u64>(), 16 * BLOCK as u64);
    store.compact().unwrap();
    assert_eq!(pack_sizes(root.path()).iter().sum::<u64>(), 4 * BLOCK as u64);
    assert!(database() < database_before / 4, "{database_before} to {}", database());
    assert_eq!(contents(&store), expected);
    drop(store);
    assert_eq!(contents(&open_small(root.path())), expected);
}
