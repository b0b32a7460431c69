//! Power losses and full disks at every point: what was durable is there, commits are whole, and
//! what is left of deferred ones is a beginning.

use std::io;
use std::sync::Arc;

use basefs::store::{Batch, Durability, RedbOptions, RedbStore, Store, StoreError, Table};

use super::crash_disk::CrashDisk;
use super::{Contents, Random, conformance, contents, noise};

/// What a store may hold: the state after each commit that was tried.
struct History {
    states: Vec<Contents>,
    /// The first state that a crash may go back to.
    durable: usize,
}

impl History {
    fn new(state: Contents) -> Self {
        Self { states: vec![state], durable: 0 }
    }

    fn check(&self, found: &Contents, circumstances: &str) {
        let at = self.states.iter().rposition(|state| state == found);
        let Some(at) = at else {
            panic!("{circumstances}: {} pairs that were never together", found.len())
        };
        assert!(at >= self.durable, "{circumstances}: state {at}, durable was {}", self.durable);
    }
}

fn options(one_phase: bool) -> RedbOptions {
    RedbOptions { one_phase, pack_bytes: 300_000, cache_bytes: 1 << 20, ..RedbOptions::default() }
}

/// One random batch, made in the copy of the contents too.
fn random_batch(random: &mut Random, state: &mut Contents) -> Batch {
    const TABLES: [Table; 4] = [Table::Entries, Table::Blocks, Table::Blocks, Table::Meta];
    let mut batch = Batch::new();
    for _ in 0..random.below(8) + 1 {
        let table = TABLES[random.below(TABLES.len())];
        let key = vec![u8::try_from(random.below(30)).unwrap()];
        if random.below(4) == 0 {
            state.remove(&(table, key.clone().into()));
            batch.delete(table, key);
        } else {
            let large = table == Table::Blocks && random.below(2) == 0;
            let length = if large { 32_000 + random.below(60_000) } else { random.below(3_000) };
            let value = noise(random.next(), length);
            state.insert((table, key.clone().into()), value.clone().into());
            batch.put(table, key, value);
        }
    }
    batch
}

/// Commits random batches until something fails or there are enough.
fn work(store: &RedbStore, random: &mut Random, history: &mut History) -> Result<(), StoreError> {
    for _ in 0..25 {
        let mut state = history.states.last().unwrap().clone();
        let batch = random_batch(random, &mut state);
        let durable = random.below(3) == 0;
        history.states.push(state);
        let durability = if durable { Durability::Durable } else { Durability::Deferred };
        store.commit(&batch, durability)?;
        if durable {
            history.durable = history.states.len() - 1;
        }
        if random.below(10) == 0 {
            store.flush()?;
            history.durable = history.states.len() - 1;
        }
    }
    Ok(())
}

/// Opens, works, compacts and closes, until the disk fails.
fn session(
    disk: &CrashDisk,
    one_phase: bool,
    random: &mut Random,
    history: &mut History,
) -> Result<(), StoreError> {
    let mut store = RedbStore::open_on(Arc::new(disk.clone()), options(one_phase))?;
    work(&store, random, history)?;
    store.compact()?;
    history.durable = history.states.len() - 1;
    work(&store, random, history)
}

#[test]
fn a_store_on_a_disk_of_the_callers_conforms() {
    let open = |disk: &CrashDisk| -> Box<dyn Store> {
        Box::new(RedbStore::open_on(Arc::new(disk.clone()), options(false)).unwrap())
    };
    conformance::run(&|| open(&CrashDisk::new()));
    let disk = CrashDisk::new();
    conformance::run_reopened(&|| open(&disk));
}

#[test]
fn power_losses() {
    let mut completed = 0;
    for seed in 0..100 {
        let mut random = Random(seed);
        let one_phase = seed % 2 == 1;
        let mut disk = CrashDisk::new();
        let mut history = History::new(Contents::new());
        // Also crashes of the recovery from a crash.
        for round in 0..4 {
            disk.set_fuse(random.below(900) as u64 + 1, io::ErrorKind::Other);
            let result = session(&disk, one_phase, &mut random, &mut history);
            completed += u32::from(result.is_ok());
            disk = disk.after_power_loss(&mut random);
            let circumstances = format!("seed {seed}, round {round}, {result:?}");
            let store = RedbStore::open_on(Arc::new(disk.clone()), options(one_phase))
                .unwrap_or_else(|error| panic!("{circumstances}: {error:?}"));
            let found = contents(&store);
            history.check(&found, &circumstances);
            history = History::new(found);
            if random.below(2) == 0 {
                std::mem::forget(store);
                disk = disk.after_power_loss(&mut random);
            }
        }
    }
    assert!(completed < 200, "the power failed in {} of 400 sessions only", 400 - completed);
}

#[test]
fn full_disks() {
    let mut met = 0;
    for seed in 0..60 {
        let mut random = Random(seed);
        let disk = CrashDisk::new();
        let mut history = History::new(Contents::new());
        disk.set_fuse(random.below(900) as u64 + 1, io::ErrorKind::StorageFull);
        let result = session(&disk, seed % 2 == 1, &mut random, &mut history);
        if let Err(error) = result {
            assert_eq!(error, StoreError::Full, "seed {seed}");
            met += 1;
        }
        disk.set_fuse(u64::MAX, io::ErrorKind::Other);
        let store = RedbStore::open_on(Arc::new(disk), options(false)).unwrap();
        history.check(&contents(&store), &format!("seed {seed}"));
    }
    assert!(met > 30, "only {met} of 60 disks were full in time");
}

#[test]
fn after_an_error_the_store_does_nothing_until_it_is_opened_again() {
    let disk = CrashDisk::new();
    let store = RedbStore::open_on(Arc::new(disk.clone()), options(false)).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Blocks, "deferred", noise(1, 50_000));
    store.commit(&batch, Durability::Deferred).unwrap();
    disk.set_fuse(0, io::ErrorKind::PermissionDenied);
    let mut batch = Batch::new();
    batch.put(Table::Meta, "key", "value");
    let error = store.commit(&batch, Durability::Durable).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    disk.set_fuse(u64::MAX, io::ErrorKind::Other);
    assert_eq!(store.commit(&batch, Durability::Durable), Err(StoreError::Poisoned));
    assert_eq!(store.flush(), Err(StoreError::Poisoned));
    assert_eq!(store.get(Table::Meta, b"key"), Err(StoreError::Poisoned));
    assert_eq!(store.scan(Table::Meta, &[], &mut |_, _| true), Err(StoreError::Poisoned));
    let before = disk.fuse();
    drop(store);
    assert_eq!(disk.fuse(), before, "closing wrote to the disk");
    let store = RedbStore::open_on(Arc::new(disk), options(false)).unwrap();
    assert_eq!(contents(&store), Contents::new());
    store.commit(&batch, Durability::Durable).unwrap();
}
