//! Where a replica keeps its bytes: a few ordered tables, changed in atomic batches.
//!
//! The trait is small so that an application can bring its own store; `examples/custom_store.rs`
//! is one. [`MemoryStore`] forgets everything with the process; the redb store (feature `redb`) is
//! durable. Both pass the same conformance suite, and so must any other.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

mod memory;
#[cfg(feature = "redb")]
pub mod redb;

pub mod layout;

pub use memory::MemoryStore;
#[cfg(feature = "redb")]
pub use redb::{RedbOptions, RedbStore};

/// Longest key or value, in bytes: what a node keeps is blocks and entries, far below; a length
/// above comes from a mistake, and would be held in memory whole.
pub const MAX_VALUE: usize = 1 << 30;

/// The tables of a store. Keys are ordered bytewise within a table.
///
/// ```
/// use basefs::store::Table;
///
/// assert_eq!(Table::ALL.len(), 7);
/// assert_eq!(Table::Entries.name(), "entries");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Table {
    /// What kind of store this is: format version, hierarchy, a random id of the data directory.
    Meta,
    /// Arrival number (8 bytes, big endian) to the bytes of an entry.
    Entries,
    /// Slot number to winner, where the rule of appending does not give it.
    Winners,
    /// Arrival numbers of entries that are admitted but not authorised.
    Cut,
    /// Contents that are complete here: root, size, levels. To each, the number in the order in
    /// which they became complete; nothing in stores older than these numbers.
    Contents,
    /// Block id to the bytes of the block.
    Blocks,
    /// Reserved for contents that are wanted and not here. Nothing is in it yet: which are wanted
    /// is computed when a replica is opened.
    Wishes,
}

impl Table {
    /// Every table, in the order of their definition.
    pub const ALL: [Table; 7] = [
        Table::Meta,
        Table::Entries,
        Table::Winners,
        Table::Cut,
        Table::Contents,
        Table::Blocks,
        Table::Wishes,
    ];

    /// The name a store keeps the table under; part of the format.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Entries => "entries",
            Table::Winners => "winners",
            Table::Cut => "cut",
            Table::Contents => "contents",
            Table::Blocks => "blocks",
            Table::Wishes => "wishes",
        }
    }
}

/// When a commit survives a crash.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
///
/// let store = MemoryStore::new();
/// for n in 0..3u8 {
///     let mut batch = Batch::new();
///     batch.put(Table::Meta, vec![n], "");
///     store.commit(&batch, Durability::Deferred)?;
/// }
/// store.flush()?;
/// assert_eq!((store.stats().commits, store.stats().durable_commits), (3, 1));
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Before the commit returns.
    #[default]
    Durable,
    /// With the next durable commit or [`Store::flush`]; until then a crash may undo it whole.
    Deferred,
}

/// One change of one key.
///
/// ```
/// use basefs::store::{Batch, Table};
///
/// let mut batch = Batch::new();
/// batch.delete(Table::Meta, "a");
/// assert_eq!(batch.changes()[0].value, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table it is in.
    pub table: Table,
    /// The key.
    pub key: Bytes,
    /// The new value, or nothing to remove the key.
    pub value: Option<Bytes>,
}

/// Changes that happen together or not at all; a later change of the same key wins.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
///
/// let mut batch = Batch::new();
/// batch.put(Table::Meta, "a", "1");
/// batch.put(Table::Meta, "b", "2");
/// batch.delete(Table::Meta, "a");
/// assert_eq!((batch.changes().len(), batch.is_empty()), (3, false));
///
/// let store = MemoryStore::new();
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(store.get(Table::Meta, b"a")?, None);
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, table: Table, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.changes.push(Change { table, key: key.into(), value: Some(value.into()) });
    }

    /// Removes a key; removing what is not there is no error.
    pub fn delete(&mut self, table: Table, key: impl Into<Bytes>) {
        self.changes.push(Change { table, key: key.into(), value: None });
    }

    /// The changes in the order they were made.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Appends the changes of another batch.
    ///
    /// ```
    /// use basefs::store::{Batch, Table};
    ///
    /// let (mut batch, mut more) = (Batch::new(), Batch::new());
    /// batch.put(Table::Meta, "a", "1");
    /// more.put(Table::Meta, "a", "2"); // comes later, and wins
    /// batch.append(more);
    /// assert_eq!(batch.changes().len(), 2);
    /// ```
    pub fn append(&mut self, mut other: Batch) {
        self.changes.append(&mut other.changes);
    }

    /// Refuses keys and values that are too long.
    fn check(&self) -> Result<(), StoreError> {
        let lengths = self
            .changes
            .iter()
            .flat_map(|change| [change.key.len(), change.value.as_ref().map_or(0, Bytes::len)]);
        match lengths.max() {
            Some(longest) if longest > MAX_VALUE => {
                Err(StoreError::TooLarge { length: longest as u64 })
            }
            _ => Ok(()),
        }
    }
}

/// Counters of a store since it was opened.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
///
/// let store = MemoryStore::new();
/// let mut batch = Batch::new();
/// batch.put(Table::Meta, "key", "value");
/// store.commit(&batch, Durability::Durable)?;
/// let stats = store.stats();
/// assert_eq!((stats.commits, stats.durable_commits, stats.bytes_written), (1, 1, 8));
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Commits, of either durability.
    pub commits: u64,
    /// Commits and flushes that waited for the disk.
    pub durable_commits: u64,
    /// Bytes of keys and values given to commits.
    pub bytes_written: u64,
}

impl StoreStats {
    fn count(&mut self, batch: &Batch, durability: Durability) {
        self.commits += 1;
        self.durable_commits += u64::from(durability == Durability::Durable);
        for change in batch.changes() {
            let value = change.value.as_ref().map_or(0, Bytes::len);
            self.bytes_written += (change.key.len() + value) as u64;
        }
    }
}

/// Why a store cannot do what was asked. Unless an arm says otherwise, nothing was changed.
///
/// ```
/// # #[cfg(feature = "redb")] {
/// use basefs::store::{RedbStore, StoreError};
///
/// let dir = tempfile::tempdir()?;
/// let store = RedbStore::open(dir.path())?;
/// assert!(matches!(RedbStore::open(dir.path()), Err(StoreError::Locked { .. })));
/// # drop(store);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open; `holder` says which, as far as is known.
    Locked {
        /// Who holds it: a process id, if it could be read.
        holder: String,
    },
    /// The file is not a store of this kind, or was made by another program; it was not touched.
    Foreign {
        /// What was found.
        what: String,
    },
    /// The store is damaged, by its disk or by a program that is not its own. What can still be
    /// read is what was written; nothing is written any more.
    Corrupt {
        /// What was found.
        what: String,
    },
    /// The store was written by a newer version; it was not touched.
    NewerFormat {
        /// The format of the file.
        found: u64,
        /// The newest format that this version reads.
        supported: u64,
    },
    /// A key or value is longer than [`MAX_VALUE`]; the caller's mistake.
    TooLarge {
        /// Its length in bytes.
        length: u64,
    },
    /// No space is left on the device. What was durable is intact; once the store is opened
    /// again, the batch is there whole or not at all.
    Full,
    /// The operating system refused. What was durable is intact; once the store is opened again,
    /// the batch is there whole or not at all.
    Io {
        /// What was being done and what the system said.
        what: String,
    },
    /// An earlier error left this handle unusable; open the store again.
    Poisoned,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Locked { holder } => {
                write!(f, "the store is open in another process ({holder}); nothing was changed")
            }
            StoreError::Foreign { what } => {
                write!(f, "not a basefs store: {what}; it was not touched")
            }
            StoreError::Corrupt { what } => write!(
                f,
                "the store was damaged by its disk or by another program: {what}; \
                 what can still be read is what was written"
            ),
            StoreError::NewerFormat { found, supported } => write!(
                f,
                "the store has format {found}, this version reads up to {supported}; \
                 it was not touched"
            ),
            StoreError::TooLarge { length } => write!(
                f,
                "a key or value of {length} bytes is longer than {MAX_VALUE}; nothing was changed"
            ),
            StoreError::Full => {
                f.write_str("no space is left on the device; what was durable is intact")
            }
            StoreError::Io { what } => {
                write!(f, "the system refused: {what}; what was durable is intact")
            }
            StoreError::Poisoned => f.write_str(
                "an earlier error left the store unusable; what was durable is intact, open it again",
            ),
        }
    }
}

impl core::error::Error for StoreError {}

/// Ordered tables with atomic batches. `examples/custom_store.rs` implements one.
///
/// A commit is all or nothing, also across a crash; commits become durable in the order they were
/// made. Reading sees every commit that returned before, durable or not, and never waits for one
/// that is under way.
///
/// After an error of the disk a store may answer everything with [`StoreError::Poisoned`]: what
/// reached the disk is then known only when it is opened again.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
///
/// let store: &dyn Store = &MemoryStore::new();
/// let mut batch = Batch::new();
/// batch.put(Table::Meta, "key", "value");
/// store.commit(&batch, Durability::Deferred)?; // readers see it at once
/// assert_eq!(store.get(Table::Meta, b"key")?.as_deref(), Some(b"value".as_slice()));
/// store.flush()?; // and now it is durable
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub trait Store: fmt::Debug {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if it is not what was written, [`StoreError::Io`],
    /// [`StoreError::Poisoned`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Visits the pairs of a table in key order, from the first key not below `from`, until
    /// `visit` returns `false` or the table ends. The scan sees one moment of the table; `visit`
    /// may use the store.
    ///
    /// # Errors
    ///
    /// As [`get`](Store::get); the pairs before the damaged one have been visited.
    ///
    /// ```
    /// use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
    ///
    /// let store = MemoryStore::new();
    /// let mut batch = Batch::new();
    /// for key in ["a", "b", "c"] {
    ///     batch.put(Table::Meta, key, "");
    /// }
    /// store.commit(&batch, Durability::Durable)?;
    /// let mut keys = Vec::new();
    /// store.scan(Table::Meta, b"b", &mut |key, _value| {
    ///     keys.push(key.to_vec());
    ///     true
    /// })?;
    /// assert_eq!(keys, [b"b", b"c"]);
    /// # Ok::<(), basefs::store::StoreError>(())
    /// ```
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;

    /// Makes all changes of a batch. An empty batch changes nothing and is not counted; a durable
    /// one does what [`flush`](Store::flush) does.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`], [`StoreError::Full`], [`StoreError::Io`],
    /// [`StoreError::Corrupt`], [`StoreError::Poisoned`].
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError>;

    /// Makes every deferred commit durable.
    ///
    /// # Errors
    ///
    /// As [`commit`](Store::commit).
    fn flush(&self) -> Result<(), StoreError>;

    /// Counters since opening.
    fn stats(&self) -> StoreStats;
}
