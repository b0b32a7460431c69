//! A store of your own: anything with ordered tables and atomic batches will do.
//!
//! This one keeps its tables in memory and counts what is asked of it. A real one would put
//! them into the database that the application has anyway.
//!
//! ```sh
//! cargo run --example custom_store
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use basefs::Fs;
use basefs::store::{Batch, Durability, Store, StoreError, StoreStats, Table};
use bytes::Bytes;

/// Keys and values of all tables, in one ordered map.
type Pairs = BTreeMap<(Table, Bytes), Bytes>;

#[derive(Debug, Default)]
struct CountingStore {
    pairs: Mutex<Pairs>,
    reads: AtomicU64,
    commits: AtomicU64,
}

impl CountingStore {
    fn with<T>(&self, look: impl FnOnce(&mut Pairs) -> T) -> T {
        look(&mut self.pairs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for CountingStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let key = (table, Bytes::copy_from_slice(key));
        Ok(self.with(|pairs| pairs.get(&key).cloned()))
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        // A copy, so that the scan sees one moment and `visit` may use the store.
        let from = (table, Bytes::copy_from_slice(from));
        let pairs: Vec<(Bytes, Bytes)> = self.with(|pairs| {
            let range = pairs.range(from..).take_while(|((of, _), _)| *of == table);
            range.map(|((_, key), value)| (key.clone(), value.clone())).collect()
        });
        let _ = pairs.iter().all(|(key, value)| visit(key, value));
        Ok(())
    }

    fn commit(&self, batch: &Batch, _durability: Durability) -> Result<(), StoreError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.with(|pairs| {
            for change in batch.changes() {
                let key = (change.table, change.key.clone());
                match &change.value {
                    Some(value) => drop(pairs.insert(key, value.clone())),
                    None => drop(pairs.remove(&key)),
                }
            }
        });
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        let commits = self.commits.load(Ordering::Relaxed);
        StoreStats { commits, durable_commits: commits, ..StoreStats::default() }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Arc::new(CountingStore::default());
    let fs = Fs::builder().store(store.clone()).name("counted").open()?;
    let mut batch = fs.batch();
    for n in 0..1000 {
        batch.write(format!("/notes/{n}"), format!("note {n}"))?;
    }
    batch.commit()?;
    println!("note 7 says: {}", String::from_utf8_lossy(&fs.read("/notes/7")?));
    println!(
        "{} entries took {} commits and {} reads",
        fs.entries(),
        store.commits.load(Ordering::Relaxed),
        store.reads.load(Ordering::Relaxed)
    );
    Ok(())
}
