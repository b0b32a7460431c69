//! What the short ids of versions mean: how many entries were in the log.

use alloc::vec::Vec;

use super::{number_from, number_key};
use crate::id::VersionId;
use crate::limits::MAX_REMEMBERED_VERSIONS;
use crate::store::{Batch, Durability, Store, StoreError, Table};

/// What stands before the ids of remembered versions.
const VERSION_PREFIX: &[u8] = b"version ";

/// Remembers what the short id of a version means: how many entries were in the log. Beyond
/// [`MAX_REMEMBERED_VERSIONS`] the oldest is forgotten. It is as durable as the next commit.
///
/// # Errors
///
/// The store failed.
///
/// ```
/// use basefs::id::VersionId;
/// use basefs::store::{MemoryStore, layout};
///
/// let store = MemoryStore::new();
/// let version = VersionId::from_bytes([7; 32]);
/// layout::remember_version(&store, &version, 1_000)?;
/// assert_eq!(layout::remembered_version(&store, &version)?, Some(1_000));
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn remember_version(
    store: &dyn Store,
    id: &VersionId,
    entries: usize,
) -> Result<(), StoreError> {
    let key = version_key(id);
    if store.get(Table::Meta, &key)?.as_deref() == Some(&number_key(entries)[..]) {
        return Ok(());
    }
    let mut known: Vec<(usize, Vec<u8>)> = Vec::new();
    store.scan(Table::Meta, VERSION_PREFIX, &mut |key, value| {
        let is_version = key.starts_with(VERSION_PREFIX);
        // What is unreadable is the first to go.
        known.extend(is_version.then(|| (number_from(value).unwrap_or(0), key.to_vec())));
        is_version
    })?;
    let mut batch = Batch::new();
    if known.len() >= MAX_REMEMBERED_VERSIONS {
        known.sort_unstable();
        let too_many = known.len() - MAX_REMEMBERED_VERSIONS + 1;
        known.drain(..too_many).for_each(|(_, key)| batch.delete(Table::Meta, key));
    }
    batch.put(Table::Meta, key, number_key(entries));
    store.commit(&batch, Durability::Deferred)
}

/// How many entries were in the log at a version that was
/// [remembered](remember_version).
///
/// # Errors
///
/// The store cannot be read.
///
/// ```
/// use basefs::id::VersionId;
/// use basefs::store::{MemoryStore, layout};
///
/// let unheard = VersionId::from_bytes([7; 32]);
/// assert_eq!(layout::remembered_version(&MemoryStore::new(), &unheard)?, None);
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn remembered_version(store: &dyn Store, id: &VersionId) -> Result<Option<usize>, StoreError> {
    Ok(store.get(Table::Meta, &version_key(id))?.and_then(|value| number_from(&value)))
}

fn version_key(id: &VersionId) -> Vec<u8> {
    [VERSION_PREFIX, id.as_bytes()].concat()
}
