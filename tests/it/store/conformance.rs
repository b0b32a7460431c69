//! What every store must do, as functions over `dyn Store`: a store of one's own is tested by
//! giving [`run`] a way to make empty ones, and [`run_reopened`] a way to open one place again.

use basefs::store::{Batch, Durability, MAX_VALUE, Store, StoreError, Table};

use super::{contents, noise};

type Case = (&'static str, fn(&dyn Store));

const CASES: &[Case] = &[
    ("an empty store has nothing", empty),
    ("what was put is there until it is deleted", put_and_delete),
    ("tables are apart", tables_are_apart),
    ("the later change of a key wins", later_change_wins),
    ("a scan goes in key order from where it was asked to", scan_order),
    ("a scan stops when told", scan_stops),
    ("a scan sees one moment, and may use the store", scan_sees_one_moment),
    ("values of any length come back", lengths),
    ("an empty batch changes nothing", empty_batch),
    ("what is too long is refused and changes nothing", too_long),
    ("the counters count", counters),
];

/// Runs every case on a store of its own.
pub(crate) fn run(fresh: &dyn Fn() -> Box<dyn Store>) {
    for (name, case) in CASES {
        println!("{name}");
        case(&*fresh());
    }
}

/// Runs what needs a store that outlives its handle; `open` opens the same place every time.
pub(crate) fn run_reopened(open: &dyn Fn() -> Box<dyn Store>) {
    let mut batch = Batch::new();
    batch.put(Table::Entries, 1u64.to_be_bytes().to_vec(), "durable");
    batch.put(Table::Blocks, "large", noise(1, 100_000));
    let store = open();
    store.commit(&batch, Durability::Durable).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Entries, 2u64.to_be_bytes().to_vec(), "deferred");
    batch.put(Table::Blocks, "large too", noise(2, 100_000));
    store.commit(&batch, Durability::Deferred).unwrap();
    let before = contents(&*store);
    drop(store);
    let store = open();
    assert_eq!(contents(&*store), before, "closing loses nothing, deferred or not");
    assert_eq!(store.stats().commits, 0, "counters start with the handle");
}

fn put(store: &dyn Store, table: Table, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(table, key.to_vec(), value.to_vec());
    store.commit(&batch, Durability::Durable).unwrap();
}

fn keys(store: &dyn Store, table: Table, from: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        keys.push(key.to_vec());
        true
    };
    store.scan(table, from, &mut visit).unwrap();
    keys
}

fn empty(store: &dyn Store) {
    for table in Table::ALL {
        assert_eq!(store.get(table, b"key"), Ok(None));
        assert!(keys(store, table, b"").is_empty());
    }
    store.flush().unwrap();
    assert_eq!(store.stats(), Default::default());
}

fn put_and_delete(store: &dyn Store) {
    for durability in [Durability::Durable, Durability::Deferred] {
        let mut batch = Batch::new();
        batch.put(Table::Meta, "key", "value");
        batch.delete(Table::Meta, "never there");
        store.commit(&batch, durability).unwrap();
        assert_eq!(store.get(Table::Meta, b"key").unwrap().unwrap(), "value");
        assert_eq!(store.get(Table::Meta, b"ke"), Ok(None));
        let mut batch = Batch::new();
        batch.delete(Table::Meta, "key");
        store.commit(&batch, durability).unwrap();
        assert_eq!(store.get(Table::Meta, b"key"), Ok(None));
    }
}

fn tables_are_apart(store: &dyn Store) {
    let mut batch = Batch::new();
    for table in Table::ALL {
        batch.put(table, "key", table.name());
    }
    batch.delete(Table::Cut, "key");
    store.commit(&batch, Durability::Durable).unwrap();
    for table in Table::ALL {
        let expected = (table != Table::Cut).then_some(table.name().as_bytes());
        assert_eq!(store.get(table, b"key").unwrap().as_deref(), expected);
    }
}

fn later_change_wins(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(Table::Winners, "twice", "first");
    batch.put(Table::Winners, "put, deleted", "gone");
    batch.delete(Table::Winners, "deleted, put");
    batch.put(Table::Winners, "twice", "second");
    let mut more = Batch::new();
    more.put(Table::Winners, "deleted, put", "there");
    more.delete(Table::Winners, "put, deleted");
    batch.append(more);
    store.commit(&batch, Durability::Durable).unwrap();
    assert_eq!(store.get(Table::Winners, b"twice").unwrap().unwrap(), "second");
    assert_eq!(store.get(Table::Winners, b"deleted, put").unwrap().unwrap(), "there");
    assert_eq!(store.get(Table::Winners, b"put, deleted"), Ok(None));
}

fn scan_order(store: &dyn Store) {
    let sorted: [&[u8]; 6] = [b"", b"\0", b"a", b"a\0", b"b", b"\xff\xff"];
    for key in [4, 0, 5, 2, 1, 3] {
        put(store, Table::Contents, sorted[key], b"value");
    }
    assert_eq!(keys(store, Table::Contents, b""), sorted);
    assert_eq!(keys(store, Table::Contents, b"a"), sorted[2..], "the start is included");
    assert_eq!(keys(store, Table::Contents, b"a\0\0"), sorted[4..], "the start need not exist");
    assert!(keys(store, Table::Contents, b"\xff\xff\xff").is_empty());
}

fn scan_stops(store: &dyn Store) {
    for key in 0..10u64 {
        put(store, Table::Entries, &key.to_be_bytes(), b"entry");
    }
    let mut visits = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        visits += 1;
        visits < 3
    };
    store.scan(Table::Entries, &2u64.to_be_bytes(), &mut visit).unwrap();
    assert_eq!(visits, 3);
}

fn scan_sees_one_moment(store: &dyn Store) {
    for key in 0..3u8 {
        put(store, Table::Blocks, &[key], &noise(key.into(), 40_000));
    }
    let mut seen = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        assert_eq!(value, noise(key[0].into(), 40_000), "as it was when the scan began");
        // Ahead of the scan: one goes, one changes, one comes.
        let mut batch = Batch::new();
        batch.delete(Table::Blocks, vec![1]);
        batch.put(Table::Blocks, vec![2], noise(99, 40_000));
        batch.put(Table::Blocks, vec![9], "new");
        store.commit(&batch, Durability::Durable).unwrap();
        assert_eq!(store.get(Table::Blocks, &[1]), Ok(None));
        seen.push(key[0]);
        true
    };
    store.scan(Table::Blocks, &[], &mut visit).unwrap();
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(keys(store, Table::Blocks, &[]), [[0], [2], [9]]);
}

fn lengths(store: &dyn Store) {
    let bases = [1, 256, 4_096, 16_384, 32_512, 32_768, 65_536, 131_072, 262_144];
    let mut batch = Batch::new();
    let mut expected = vec![(0, Table::Blocks)];
    batch.put(Table::Blocks, 0u64.to_be_bytes().to_vec(), Vec::new());
    for length in bases.into_iter().flat_map(|base| [base - 1, base, base + 1]).skip(1) {
        for table in [Table::Blocks, Table::Entries] {
            let key = (length as u64).to_be_bytes().to_vec();
            batch.put(table, key, noise(length as u64, length));
            expected.push((length, table));
        }
    }
    store.commit(&batch, Durability::Durable).unwrap();
    for (length, table) in expected {
        let value = store.get(table, &(length as u64).to_be_bytes()).unwrap().unwrap();
        assert!(value == noise(length as u64, length), "{length} bytes in {table:?}");
    }
    let long_key = noise(5, 10_000);
    put(store, Table::Wishes, &long_key, b"value");
    assert_eq!(store.get(Table::Wishes, &long_key).unwrap().unwrap(), "value");
}

fn empty_batch(store: &dyn Store) {
    store.commit(&Batch::new(), Durability::Durable).unwrap();
    store.commit(&Batch::new(), Durability::Deferred).unwrap();
    assert_eq!(store.stats(), Default::default(), "there was nothing to wait for");
    let mut batch = Batch::new();
    batch.put(Table::Meta, "key", "value");
    store.commit(&batch, Durability::Deferred).unwrap();
    store.commit(&Batch::new(), Durability::Durable).unwrap();
    assert_eq!(store.stats().durable_commits, 1, "the deferred commit was made durable");
    assert_eq!(store.stats().commits, 1);
}

fn too_long(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(Table::Meta, "short", "value");
    batch.put(Table::Meta, "long", vec![0; MAX_VALUE + 1]);
    let length = (MAX_VALUE + 1) as u64;
    assert_eq!(store.commit(&batch, Durability::Durable), Err(StoreError::TooLarge { length }));
    assert_eq!(store.get(Table::Meta, b"short"), Ok(None));
    put(store, Table::Meta, b"short", b"value");
}

fn counters(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(Table::Meta, "key", "value");
    batch.delete(Table::Meta, "gone");
    store.commit(&batch, Durability::Durable).unwrap();
    store.commit(&batch, Durability::Deferred).unwrap();
    let stats = store.stats();
    assert_eq!((stats.commits, stats.durable_commits, stats.bytes_written), (2, 1, 24));
    store.flush().unwrap();
    store.flush().unwrap();
    let stats = store.stats();
    assert_eq!((stats.commits, stats.durable_commits), (2, 2), "the second had nothing to do");
}
