//! Random operations on a store and on a plain map: afterwards both hold the same.

use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
use bytes::Bytes;
use proptest::prelude::*;

use super::{Contents, contents, noise};

#[derive(Clone, Debug)]
enum Step {
    Put { table: Table, key: u8, seed: u64, length: usize },
    Delete { table: Table, key: u8 },
    Commit(Durability),
    Flush,
    Reopen,
    Scan { table: Table, from: u8 },
}

fn table() -> impl Strategy<Value = Table> {
    // Blocks more often: they alone have packs.
    prop_oneof![prop::sample::select(Table::ALL.as_slice()), Just(Table::Blocks),]
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![4 => 0..200usize, 2 => 30_000..70_000usize];
    prop_oneof![
        8 => (table(), 0..12u8, any::<u64>(), length)
            .prop_map(|(table, key, seed, length)| Step::Put { table, key, seed, length }),
        4 => (table(), 0..12u8).prop_map(|(table, key)| Step::Delete { table, key }),
        4 => Just(Step::Commit(Durability::Deferred)),
        2 => Just(Step::Commit(Durability::Durable)),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        2 => (table(), 0..12u8).prop_map(|(table, from)| Step::Scan { table, from }),
    ]
}

/// Runs the steps; `reopen` turns a store into one opened anew.
fn follow<S: Store>(steps: &[Step], mut store: S, reopen: impl Fn(S) -> S) {
    let mut model = Contents::new();
    let mut ahead = Contents::new();
    let mut batch = Batch::new();
    for step in steps {
        match step {
            Step::Put { table, key, seed, length } => {
                let value = Bytes::from(noise(*seed, *length));
                batch.put(*table, vec![*key], value.clone());
                ahead.insert((*table, vec![*key].into()), value);
            }
            Step::Delete { table, key } => {
                batch.delete(*table, vec![*key]);
                ahead.remove(&(*table, vec![*key].into()));
            }
            Step::Commit(durability) => {
                store.commit(&std::mem::take(&mut batch), *durability).unwrap();
                model = ahead.clone();
            }
            Step::Flush => store.flush().unwrap(),
            Step::Reopen => store = reopen(store),
            Step::Scan { table, from } => scan(&store, &model, *table, *from),
        }
    }
    assert_eq!(contents(&store), model);
    assert_eq!(contents(&reopen(store)), model);
}

fn scan(store: &dyn Store, model: &Contents, table: Table, from: u8) {
    let start = (table, Bytes::from(vec![from]));
    let mut expected = model.range(start..).take_while(|((of, _), _)| *of == table);
    let mut visit = |key: &[u8], value: &[u8]| {
        let ((_, expected_key), expected_value) = expected.next().unwrap();
        assert_eq!(key, expected_key);
        assert!(value == expected_value);
        assert_eq!(store.get(table, key).unwrap().as_ref(), Some(expected_value));
        true
    };
    store.scan(table, &[from], &mut visit).unwrap();
    assert_eq!(expected.next(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_a_map_does(steps in prop::collection::vec(step(), 0..60)) {
        follow(&steps, MemoryStore::new(), |store| store);
    }

    #[cfg(feature = "redb")]
    #[test]
    fn redb_does_what_a_map_does(
        steps in prop::collection::vec(step(), 0..60),
        one_phase: bool,
    ) {
        use basefs::store::{RedbOptions, RedbStore};

        let root = tempfile::tempdir().unwrap();
        let options = RedbOptions { one_phase, pack_bytes: 100_000, ..RedbOptions::default() };
        let open = || RedbStore::open_with(root.path(), options).unwrap();
        follow(&steps, open(), |store| {
            drop(store);
            open()
        });
    }
}
