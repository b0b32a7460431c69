//! Files that are damaged, of another kind, or of a later version.

use std::fs;
use std::path::Path;

use basefs::store::{Batch, Durability, RedbOptions, RedbStore, Store, StoreError, Table};
use tempfile::TempDir;

use super::{Contents, Random, contents, noise, read_all};

/// A store of two commits, closed, and what it holds.
fn sample() -> (TempDir, Contents) {
    let root = tempfile::tempdir().unwrap();
    let store = RedbStore::open(root.path()).unwrap();
    for half in 0..2u64 {
        let mut batch = Batch::new();
        for key in 0..150u64 {
            let key = half * 150 + key;
            batch.put(Table::Entries, key.to_be_bytes().to_vec(), noise(key, 300));
            batch.put(Table::Winners, noise(key, 32), key.to_be_bytes().to_vec());
        }
        batch.put(Table::Blocks, vec![u8::try_from(half).unwrap()], noise(half, 40_000));
        store.commit(&batch, Durability::Durable).unwrap();
    }
    let expected = contents(&store);
    drop(store);
    (root, expected)
}

/// What a damaged store may do: say so, or give what was written. Says whether it gave all.
fn look(root: &Path, options: RedbOptions, expected: &Contents, damage: &str) -> bool {
    let mut seen = Contents::new();
    let result = RedbStore::open_with(root, options).and_then(|store| read_all(&store, &mut seen));
    for (key, value) in &seen {
        assert_eq!(expected.get(key), Some(value), "{damage}: a pair that was never written");
    }
    match result {
        Ok(()) => seen == *expected,
        Err(StoreError::Corrupt { .. } | StoreError::Foreign { .. } | StoreError::Poisoned) => {
            false
        }
        Err(other) => panic!("{damage}: {other:?}"),
    }
}

#[test]
fn a_flipped_byte_never_becomes_data() {
    let (root, expected) = sample();
    let path = root.path().join("store.redb");
    let intact = fs::read(&path).unwrap();
    let mut random = Random(1);
    let (mut noticed, mut tried) = (0, 0);
    // Every byte that the headers use, then bytes anywhere.
    let headers = (0..60).chain(4_096..4_096 + 320);
    let offsets: Vec<_> = headers.chain((0..400).map(|_| random.below(intact.len()))).collect();
    for offset in offsets {
        let mut bytes = intact.clone();
        bytes[offset] ^= 1 << random.below(8);
        fs::write(&path, &bytes).unwrap();
        let damage = format!("byte {offset} of {}", intact.len());
        let whole = look(root.path(), RedbOptions::default(), &expected, &damage);
        tried += 1;
        noticed += u32::from(!whole);
    }
    assert!(noticed > tried / 20, "{noticed} of {tried}: the damage never hit anything");
}

#[test]
fn verifying_notices_what_reading_cannot() {
    let (root, expected) = sample();
    let path = root.path().join("store.redb");
    let intact = fs::read(&path).unwrap();
    let verify = RedbOptions { verify: true, ..RedbOptions::default() };
    let mut random = Random(2);
    for _ in 0..200 {
        let mut bytes = intact.clone();
        // Behind the headers: which commit is current is known from nowhere else.
        let offset = 8_192 + random.below(intact.len() - 8_192);
        bytes[offset] ^= 1 << random.below(8);
        fs::write(&path, &bytes).unwrap();
        let mut seen = Contents::new();
        let opened = RedbStore::open_with(root.path(), verify);
        if let Ok(store) = opened {
            read_all(&store, &mut seen).unwrap();
            assert_eq!(seen, expected, "byte {offset} changed the contents");
        }
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    let (root, expected) = sample();
    let path = root.path().join("store.redb");
    let intact = fs::read(&path).unwrap();
    let last_page = intact.len() - 4_096;
    for length in
        [0, 1, 15, 16, 55, 56, 4_095, 4_096, 4_097, 8_192, 12_288, last_page / 2, last_page]
    {
        fs::write(&path, &intact[..length]).unwrap();
        let whole =
            look(root.path(), RedbOptions::default(), &expected, &format!("cut to {length}"));
        assert!(!whole || length == last_page, "{length} bytes cannot hold everything");
    }
}

#[test]
fn overwritten_pages_are_an_error() {
    let (root, expected) = sample();
    let path = root.path().join("store.redb");
    let intact = fs::read(&path).unwrap();
    for page in 1..intact.len() / 4_096 {
        for (kind, fill) in [("zeros", vec![0; 4_096]), ("noise", noise(page as u64, 4_096))] {
            let mut bytes = intact.clone();
            bytes[page * 4_096..][..4_096].copy_from_slice(&fill);
            fs::write(&path, &bytes).unwrap();
            look(root.path(), RedbOptions::default(), &expected, &format!("page {page}: {kind}"));
        }
    }
}

/// Opening fails as `expect` says and leaves the directory as it was.
fn refused(root: &Path, bytes: &[u8], expect: impl Fn(&StoreError) -> bool) {
    fs::write(root.join("store.redb"), bytes).unwrap();
    let listing = || fs::read_dir(root).unwrap().count();
    let before = listing();
    let error = RedbStore::open(root).unwrap_err();
    assert!(expect(&error), "{error:?}");
    assert_eq!(fs::read(root.join("store.redb")).unwrap(), bytes, "the file was touched");
    assert_eq!(listing(), before, "files appeared");
}

#[test]
fn a_foreign_file_is_refused_untouched() {
    let root = tempfile::tempdir().unwrap();
    let foreign = |error: &StoreError| matches!(error, StoreError::Foreign { .. });
    refused(root.path(), b"", foreign);
    refused(root.path(), b"short", foreign);
    refused(root.path(), b"Dear diary, this is not a store of any kind.", foreign);
    refused(root.path(), &[0; 100_000], foreign);
    // What redb itself would make of the name.
    let plain = root.path().join("plain");
    let table: ::redb::TableDefinition<'_, &[u8], &[u8]> = ::redb::TableDefinition::new("meta");
    let database = ::redb::Database::create(&plain).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(table).unwrap();
    txn.commit().unwrap();
    drop(database);
    refused(root.path(), &fs::read(&plain).unwrap(), foreign);
}

#[test]
fn a_newer_store_is_refused_untouched() {
    let (root, expected) = sample();
    let path = root.path().join("store.redb");
    let intact = fs::read(&path).unwrap();
    let mut newer = intact.clone();
    newer[16..24].copy_from_slice(&2u64.to_be_bytes());
    let hash = blake3::hash(&newer[..24]);
    newer[24..56].copy_from_slice(hash.as_bytes());
    refused(root.path(), &newer, |error| {
        *error == StoreError::NewerFormat { found: 2, supported: 1 }
    });
    newer[23] = 3;
    refused(root.path(), &newer, |error| matches!(error, StoreError::Corrupt { .. }));
    fs::write(&path, &intact).unwrap();
    assert_eq!(contents(&RedbStore::open(root.path()).unwrap()), expected);
}
