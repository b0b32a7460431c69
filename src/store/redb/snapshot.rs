//! The tables at one moment.

use std::fmt;
use std::vec::Vec;

use ::redb::{Database, ReadOnlyTable, ReadableDatabase};

use super::definition;
use super::error::database_error;
use crate::store::{StoreError, Table};

/// Every table, open for reading, as one commit left them.
///
/// Beginning a transaction and opening a table takes as long as finding a value in it, so readers
/// share one snapshot until the next commit. The pages it keeps in place are those in use; what
/// the next commit frees waits one commit longer.
pub(super) struct Snapshot {
    /// In the order of [`Table::ALL`].
    tables: Vec<ReadOnlyTable<&'static [u8], &'static [u8]>>,
}

impl Snapshot {
    /// What is there now.
    pub(super) fn take(database: &Database) -> Result<Self, StoreError> {
        let doing = "opening the tables";
        let txn = database.begin_read().map_err(|error| database_error(doing, error))?;
        let open =
            |table| txn.open_table(definition(table)).map_err(|error| database_error(doing, error));
        Ok(Self { tables: Table::ALL.into_iter().map(open).collect::<Result<_, _>>()? })
    }

    pub(super) fn table(&self, table: Table) -> &ReadOnlyTable<&'static [u8], &'static [u8]> {
        &self.tables[table as usize]
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
