//! How a replica is laid out in the tables of a store. [The
//! architecture](crate::manual::architecture) lists the tables with their keys and values.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::entry::SignedEntry;
use crate::id::{BlockId, Content, EntryId};
use crate::node::{Effects, Replica, Restore};
use crate::store::{Batch, Store, StoreError, Table};

mod versions;

pub use versions::{remember_version, remembered_version};

/// The newest layout of the tables that this version reads.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, StoreError, Table, layout};
///
/// let store = MemoryStore::new();
/// let mut batch = Batch::new();
/// let future = layout::FORMAT + 1;
/// batch.put(Table::Meta, "format", future.to_be_bytes().to_vec());
/// store.commit(&batch, Durability::Durable)?;
/// let newer = StoreError::NewerFormat { found: future, supported: layout::FORMAT };
/// assert_eq!(layout::hierarchy(&store), Err(newer)); // and the store is left alone
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub const FORMAT: u64 = 1;

const FORMAT_KEY: &[u8] = b"format";
const HIERARCHY_KEY: &[u8] = b"hierarchy";
/// The random id of the data directory, by which cursors of watches know it.
const REPLICA_KEY: &[u8] = b"replica";
/// How many contents became complete, ever.
const COMPLETED_KEY: &[u8] = b"completed";

/// Length of the id of a data directory.
pub const REPLICA_ID: usize = 8;

/// Stands for "no winner": no replica has that many entries.
const NO_WINNER: u32 = u32::MAX;

/// Length of a key in the table of contents: root, size, levels.
const CONTENT_KEY: usize = 32 + 8 + 1;

/// The hierarchy that a store belongs to; nothing if the store is new.
///
/// # Errors
///
/// The store is of a newer format, of another kind, or cannot be read.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::store::{Batch, Durability, MemoryStore, Store, layout};
///
/// let store = MemoryStore::new();
/// assert_eq!(layout::hierarchy(&store)?, None);
///
/// let genesis = EntryId::from_bytes([7; 32]);
/// let mut batch = Batch::new();
/// layout::found(&mut batch, genesis);
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(layout::hierarchy(&store)?, Some(genesis));
/// assert_eq!(layout::load(&store, genesis, 1)?.log().len(), 0);
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn hierarchy(store: &dyn Store) -> Result<Option<EntryId>, StoreError> {
    let Some(format) = store.get(Table::Meta, FORMAT_KEY)? else {
        return match store.get(Table::Meta, HIERARCHY_KEY)? {
            None => Ok(None),
            Some(_) => Err(corrupt("the store does not say which format it has")),
        };
    };
    let found = <[u8; 8]>::try_from(&format[..]).map(u64::from_be_bytes);
    match found {
        Ok(FORMAT) => {}
        Ok(found) if found > FORMAT => {
            return Err(StoreError::NewerFormat { found, supported: FORMAT });
        }
        _ => return Err(corrupt("the format of the store is unreadable")),
    }
    let id = store.get(Table::Meta, HIERARCHY_KEY)?;
    match id.and_then(|id| EntryId::from_slice(&id)) {
        Some(id) => Ok(Some(id)),
        None => Err(corrupt("the store does not say which hierarchy it belongs to")),
    }
}

/// Claims a new store for a hierarchy.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::store::{Batch, Table, layout};
///
/// let mut batch = Batch::new();
/// layout::found(&mut batch, EntryId::from_bytes([7; 32]));
/// assert!(batch.changes().iter().all(|change| change.table == Table::Meta));
/// ```
pub fn found(batch: &mut Batch, hierarchy: EntryId) {
    batch.put(Table::Meta, FORMAT_KEY, FORMAT.to_be_bytes().to_vec());
    batch.put(Table::Meta, HIERARCHY_KEY, hierarchy.as_bytes().to_vec());
}

/// Adds what has to be stored after a replica took something in.
///
/// ```
/// # use basefs::entry::{Body, Payload};
/// # use basefs::id::{DirId, EntryId};
/// # use basefs::time::WallTime;
/// # use basefs::wire::SecretKey;
/// use basefs::log::Source;
/// use basefs::node::{Effects, Replica};
/// use basefs::store::{Batch, Durability, MemoryStore, Store, layout};
///
/// # let key = SecretKey::from_seed([7; 32]);
/// # let genesis = Body {
/// #     dir: DirId::from_bytes([0; 32]),
/// #     name: "example".into(),
/// #     prev: vec![],
/// #     cap: EntryId::from_bytes([0; 32]),
/// #     key: key.public(),
/// #     seq: 0,
/// #     aprev: None,
/// #     ts: WallTime::from_millis(0),
/// #     payload: Payload::Genesis { roots: vec![key.public()], nonce: [1; 16] },
/// # }
/// # .sign(&key)?;
/// let (id, bytes) = (genesis.id(), genesis.bytes().clone());
/// let mut replica = Replica::new(id, 1);
/// let mut effects = Effects::default();
/// replica.offer(genesis, Source::Local, &mut effects);
///
/// let store = MemoryStore::new();
/// let mut batch = Batch::new();
/// layout::record(&mut batch, &effects);
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(layout::entry_bytes(&store, 0)?, Some(bytes));
/// assert_eq!(layout::load(&store, id, 1)?.log().len(), 1); // as it was
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn record(batch: &mut Batch, effects: &Effects) {
    for (id, bytes) in &effects.blocks {
        batch.put(Table::Blocks, id.as_bytes().to_vec(), bytes.clone());
    }
    for entry in &effects.admitted {
        batch.put(Table::Entries, number_key(entry.no().index()), entry.bytes().clone());
    }
    for (no, authorised) in &effects.authorised {
        let key = number_key(no.index());
        if *authorised {
            batch.delete(Table::Cut, key);
        } else {
            batch.put(Table::Cut, key, Bytes::new());
        }
    }
    for change in effects.slots.iter().filter(|change| change.is_forked) {
        let winner = change.after.map_or(NO_WINNER, |no| u32_of(no.index()));
        batch.put(
            Table::Winners,
            u32_of(change.slot.index()).to_be_bytes().to_vec(),
            winner.to_be_bytes().to_vec(),
        );
    }
    for content in &effects.completed {
        batch.put(Table::Contents, content_key(content), Bytes::new());
    }
}

/// Numbers contents in the order in which they became complete, the first of these with `from`;
/// gives the number of the next. Comes after [`record`], which does not number them.
///
/// ```
/// use basefs::id::{BlockId, Content};
/// use basefs::store::{Batch, Durability, MemoryStore, Store, layout};
///
/// let store = MemoryStore::new();
/// let content = Content { root: BlockId::from_bytes([7; 32]), size: 1_000, levels: 0 };
/// let mut batch = Batch::new();
/// let next = layout::number_completed(&mut batch, &[content], layout::completed(&store)?);
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!((next, layout::completed(&store)?), (1, 1));
/// assert_eq!(layout::completed_since(&store, 0)?, [content]);
/// assert!(layout::completed_since(&store, next)?.is_empty());
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn number_completed(batch: &mut Batch, completed: &[Content], from: u32) -> u32 {
    if completed.is_empty() {
        return from;
    }
    let mut next = from;
    for content in completed {
        batch.put(Table::Contents, content_key(content), next.to_be_bytes().to_vec());
        next = next.saturating_add(1);
    }
    batch.put(Table::Meta, COMPLETED_KEY, next.to_be_bytes().to_vec());
    next
}

/// The number that the next complete content gets.
///
/// # Errors
///
/// The store cannot be read.
///
/// ```
/// use basefs::store::{MemoryStore, layout};
///
/// assert_eq!(layout::completed(&MemoryStore::new())?, 0);
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn completed(store: &dyn Store) -> Result<u32, StoreError> {
    match store.get(Table::Meta, COMPLETED_KEY)? {
        None => Ok(0),
        Some(value) => {
            u32_from(&value).ok_or_else(|| corrupt("an unreadable count of complete contents"))
        }
    }
}

/// The contents with a number from this one on.
///
/// # Errors
///
/// The store cannot be read.
///
/// ```
/// use basefs::id::{BlockId, Content};
/// use basefs::store::{Batch, Durability, MemoryStore, Store, layout};
///
/// let content = |n| Content { root: BlockId::from_bytes([n; 32]), size: 1_000, levels: 0 };
/// let store = MemoryStore::new();
/// let mut batch = Batch::new();
/// layout::number_completed(&mut batch, &[content(1), content(2), content(3)], 0);
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(layout::completed_since(&store, 1)?, [content(2), content(3)]);
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn completed_since(store: &dyn Store, from: u32) -> Result<Vec<Content>, StoreError> {
    let mut found = Vec::new();
    each(store, Table::Contents, |key, value| {
        // Those without a number were complete before contents had any.
        if u32_from(value).is_some_and(|number| number >= from) {
            found.push(content_from(key).ok_or_else(|| corrupt("an unreadable content"))?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The random id of the data directory, if it has one.
///
/// # Errors
///
/// The store cannot be read.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, layout};
///
/// let store = MemoryStore::new();
/// assert_eq!(layout::replica_id(&store)?, None);
/// let mut batch = Batch::new();
/// layout::name_replica(&mut batch, &[7; layout::REPLICA_ID]);
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(layout::replica_id(&store)?, Some([7; layout::REPLICA_ID]));
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn replica_id(store: &dyn Store) -> Result<Option<[u8; REPLICA_ID]>, StoreError> {
    let id = store.get(Table::Meta, REPLICA_KEY)?;
    id.map(|id| {
        <[u8; REPLICA_ID]>::try_from(&id[..])
            .map_err(|_| corrupt("the id of the replica is unreadable"))
    })
    .transpose()
}

/// Gives a data directory its id.
///
/// ```
/// use basefs::store::{Batch, layout};
///
/// let mut batch = Batch::new();
/// layout::name_replica(&mut batch, b"00000007"); // chosen at random, once
/// assert_eq!(batch.changes()[0].value.as_deref(), Some(&b"00000007"[..]));
/// ```
pub fn name_replica(batch: &mut Batch, id: &[u8; REPLICA_ID]) {
    batch.put(Table::Meta, REPLICA_KEY, id.to_vec());
}

/// The bytes of an entry by its number.
///
/// # Errors
///
/// The store cannot be read.
///
/// ```
/// use basefs::store::{Batch, Durability, MemoryStore, Store, Table, layout};
///
/// let store = MemoryStore::new();
/// let mut batch = Batch::new();
/// batch.put(Table::Entries, 0u64.to_be_bytes().to_vec(), "the genesis");
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(layout::entry_bytes(&store, 0)?.as_deref(), Some(&b"the genesis"[..]));
/// assert_eq!(layout::entry_bytes(&store, 1)?, None); // numbers have no gaps
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn entry_bytes(store: &dyn Store, number: usize) -> Result<Option<Bytes>, StoreError> {
    store.get(Table::Entries, &number_key(number))
}

/// A block by its id.
///
/// # Errors
///
/// The store cannot be read.
///
/// ```
/// use basefs::block;
/// use basefs::store::{Batch, Durability, MemoryStore, Store, Table, layout};
///
/// let id = block::id(b"content");
/// let store = MemoryStore::new();
/// assert_eq!(layout::block(&store, &id)?, None);
/// let mut batch = Batch::new();
/// batch.put(Table::Blocks, id.as_bytes().to_vec(), "content");
/// store.commit(&batch, Durability::Durable)?;
/// assert_eq!(layout::block(&store, &id)?.as_deref(), Some(&b"content"[..]));
/// # Ok::<(), basefs::store::StoreError>(())
/// ```
pub fn block(store: &dyn Store, id: &BlockId) -> Result<Option<Bytes>, StoreError> {
    store.get(Table::Blocks, id.as_bytes())
}

/// Rebuilds a replica from its store. No signature is checked and no conflict decided again.
///
/// # Errors
///
/// The store is damaged or cannot be read; it is not changed.
///
/// ```
/// # #[cfg(feature = "redb")] {
/// use basefs::Fs;
/// use basefs::store::{RedbStore, layout};
///
/// let dir = tempfile::tempdir()?;
/// let fs = Fs::open(dir.path())?;
/// fs.write("/motd", "hello")?;
/// let hierarchy = fs.hierarchy();
/// drop(fs);
///
/// let store = RedbStore::open(dir.path())?;
/// assert_eq!(layout::hierarchy(&store)?, Some(hierarchy));
/// assert_eq!(layout::load(&store, hierarchy, 1)?.log().len(), 2); // the genesis and the write
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(store: &dyn Store, hierarchy: EntryId, seed: u64) -> Result<Replica, StoreError> {
    let mut restore = Restore::new(hierarchy, seed).with_capacity(count_entries(store)?);
    load_entries(store, &mut restore)?;
    let mut contents = Vec::new();
    each(store, Table::Contents, |key, _| {
        contents.push(content_from(key).ok_or_else(|| corrupt("an unreadable content"))?);
        Ok(())
    })?;
    let mut cut = BTreeSet::new();
    each(store, Table::Cut, |key, _| {
        cut.insert(number_from(key).ok_or_else(|| corrupt("an unreadable entry number"))?);
        Ok(())
    })?;
    let mut winners = Vec::new();
    each(store, Table::Winners, |key, value| {
        let (slot, winner) =
            u32_from(key).zip(u32_from(value)).ok_or_else(|| corrupt("an unreadable winner"))?;
        winners.push((slot as usize, (winner != NO_WINNER).then_some(winner as usize)));
        Ok(())
    })?;
    restore.finish(&contents, &cut, &winners).map_err(corrupt)
}

/// How many entries to make room for: as many as there are, up to a limit. Their keys have no gaps,
/// so a few look-ups tell.
fn count_entries(store: &dyn Store) -> Result<usize, StoreError> {
    /// A store that is damaged could seem to hold any number. Beyond this tables grow as needed.
    const MAX_RESERVED: usize = 1 << 22;
    let has = |number| Ok::<_, StoreError>(entry_bytes(store, number)?.is_some());
    // There are at least `low`, and fewer than `high` unless that is the limit.
    let (mut low, mut high) = (0, 1);
    while high < MAX_RESERVED && has(high - 1)? {
        (low, high) = (high, high * 2);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if has(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Entries that are read and decoded in one step: about 200 kB, and so much work that handing it
/// to another thread costs nothing beside.
const CHUNK: usize = 512;

/// Restores all entries. One thread reads and decodes, another admits: either takes about half of
/// the time.
#[cfg(feature = "std")]
fn load_entries(store: &dyn Store, restore: &mut Restore) -> Result<(), StoreError> {
    /// Chunks that may wait between the threads; they take turns at being the slower one.
    const AHEAD: usize = 4;
    let (send, receive) = std::sync::mpsc::sync_channel(AHEAD);
    let loaded = std::thread::scope(|scope| {
        let restore = &mut *restore;
        let admit_all = move || receive.into_iter().try_for_each(|chunk| admit(restore, chunk));
        let helper = std::thread::Builder::new().name("basefs-load".into());
        let helper = helper.spawn_scoped(scope, admit_all).ok()?;
        // Nobody receives any more once an entry was refused.
        let decoded = decode_chunks(store, |chunk| Ok(send.send(chunk).is_ok()));
        drop(send);
        let admitted = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What was refused stands before what could not be read.
        Some(admitted.and(decoded))
    });
    // A system that gives no thread gets by without.
    loaded.unwrap_or_else(|| load_alone(store, restore))
}

#[cfg(not(feature = "std"))]
fn load_entries(store: &dyn Store, restore: &mut Restore) -> Result<(), StoreError> {
    load_alone(store, restore)
}

fn load_alone(store: &dyn Store, restore: &mut Restore) -> Result<(), StoreError> {
    decode_chunks(store, |chunk| admit(restore, chunk).map(|()| true))
}

fn admit(restore: &mut Restore, chunk: Vec<SignedEntry>) -> Result<(), StoreError> {
    chunk.into_iter().try_for_each(|entry| restore.entry(entry).map_err(corrupt))
}

/// Reads the entries in order and gives them out, many at a time, until `take` has enough.
fn decode_chunks(
    store: &dyn Store,
    mut take: impl FnMut(Vec<SignedEntry>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut position = 0;
    // One piece of memory for all entries of a chunk.
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let mut outcome = Ok(true);
    store.scan(Table::Entries, &[], &mut |key, value| {
        if key != (position as u64).to_be_bytes() {
            outcome = Err(corrupt(format!("entry {position} is missing")));
            return false;
        }
        position += 1;
        bytes.extend_from_slice(value);
        ends.push(bytes.len());
        if ends.len() == CHUNK {
            // The next chunk is about as long.
            let room = Vec::with_capacity(bytes.len() + bytes.len() / 8);
            let chunk = (core::mem::replace(&mut bytes, room), core::mem::take(&mut ends));
            outcome = decode(chunk, position).and_then(&mut take);
        }
        matches!(outcome, Ok(true))
    })?;
    if outcome? {
        decode((bytes, ends), position).and_then(take)?;
    }
    Ok(())
}

/// Decodes the entries that end at these places, the last of which is number `until − 1`.
fn decode(
    (bytes, ends): (Vec<u8>, Vec<usize>),
    until: usize,
) -> Result<Vec<SignedEntry>, StoreError> {
    let bytes = Bytes::from(bytes);
    let starts = core::iter::once(0).chain(ends.iter().copied());
    let numbers = until - ends.len()..until;
    let entries = numbers.zip(starts.zip(&ends)).map(|(number, (start, end))| {
        SignedEntry::decode_shared(bytes.slice(start..*end))
            .map_err(|error| corrupt(format!("entry {number}: {error}")))
    });
    entries.collect()
}

/// Visits a table until an error.
fn each(
    store: &dyn Store,
    table: Table,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    store.scan(table, &[], &mut |key, value| {
        outcome = visit(key, value);
        outcome.is_ok()
    })?;
    outcome
}

fn corrupt(what: impl fmt::Display) -> StoreError {
    StoreError::Corrupt { what: format!("{what}") }
}

fn number_key(number: usize) -> Vec<u8> {
    (number as u64).to_be_bytes().to_vec()
}

fn number_from(key: &[u8]) -> Option<usize> {
    usize::try_from(u64::from_be_bytes(key.try_into().ok()?)).ok()
}

/// Numbers of entries and slots are below 2^32 − 1 by their type.
fn u32_of(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NO_WINNER)
}

fn u32_from(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn content_key(content: &Content) -> Vec<u8> {
    let mut key = Vec::with_capacity(CONTENT_KEY);
    key.extend_from_slice(content.root.as_bytes());
    key.extend_from_slice(&content.size.to_be_bytes());
    key.push(content.levels);
    key
}

fn content_from(key: &[u8]) -> Option<Content> {
    let (root, rest) = key.split_at_checked(32)?;
    let (size, levels) = rest.split_at_checked(8)?;
    let [levels] = levels else { return None };
    Some(Content {
        root: BlockId::from_slice(root)?,
        size: u64::from_be_bytes(size.try_into().ok()?),
        levels: *levels,
    })
}
