//! A store that forgets everything with the process.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Bound;

use bytes::Bytes;

use super::{Batch, Durability, Store, StoreError, StoreStats, Table};

type Pairs = BTreeMap<Bytes, Bytes>;

/// Keeps every table in memory: for tests, for caches, and for replicas that can start over.
///
/// "Durable" means nothing here, so both kinds of commit do the same; the counters tell them
/// apart all the same, which lets a test see how often a disk would have been waited for.
///
/// With feature `std` it can be shared between threads; without, it is for one thread.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
///
/// let store = MemoryStore::new();
/// let mut batch = Batch::new();
/// batch.put(Table::Meta, "kind", "example");
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(store.get(Table::Meta, b"kind")?.as_deref(), Some(b"example".as_slice()));
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
#[derive(Default)]
pub struct MemoryStore {
    inner: Cell<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By the position of the table in [`Table::ALL`]. A scan holds on to the map it started
    /// with; a commit during a scan copies the map first, which costs only pointers.
    tables: [Arc<Pairs>; Table::ALL.len()],
    /// Whether a deferred commit was made since the last durable one.
    deferred: bool,
    stats: StoreStats,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn table(&self, table: Table) -> Arc<Pairs> {
        self.inner.read(|inner| Arc::clone(&inner.tables[table as usize]))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tables = f.debug_struct("MemoryStore");
        for table in Table::ALL {
            tables.field(table.name(), &self.table(table).len());
        }
        tables.finish()
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.inner.read(|inner| inner.tables[table as usize].get(key).cloned()))
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let pairs = self.table(table);
        for (key, value) in pairs.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        if batch.is_empty() {
            return if durability == Durability::Durable { self.flush() } else { Ok(()) };
        }
        batch.check()?;
        self.inner.write(|inner| {
            for change in batch.changes() {
                let pairs = Arc::make_mut(&mut inner.tables[change.table as usize]);
                match &change.value {
                    Some(value) => pairs.insert(change.key.clone(), value.clone()),
                    None => pairs.remove(&change.key),
                };
            }
            inner.stats.count(batch, durability);
            inner.deferred = durability == Durability::Deferred;
        });
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.inner.write(|inner| {
            if core::mem::take(&mut inner.deferred) {
                inner.stats.durable_commits += 1;
            }
        });
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        self.inner.read(|inner| inner.stats)
    }
}

/// Shared access for the length of a closure that calls nothing foreign: neither variant can
/// deadlock or find the cell borrowed.
#[cfg(feature = "std")]
#[derive(Default)]
struct Cell<T>(parking_lot::RwLock<T>);

#[cfg(feature = "std")]
impl<T> Cell<T> {
    fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.read())
    }

    fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.write())
    }
}

#[cfg(not(feature = "std"))]
#[derive(Default)]
struct Cell<T>(core::cell::RefCell<T>);

#[cfg(not(feature = "std"))]
impl<T> Cell<T> {
    fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.borrow())
    }

    fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.borrow_mut())
    }
}
