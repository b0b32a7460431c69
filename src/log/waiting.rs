//! Entries that wait for a reference, bounded per peer and per key.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::entry::VerifiedEntry;
use crate::id::{DirId, EntryId, PublicKey};
use crate::limits;

/// Who handed an entry over; for budgets only.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # use basefs::{entry::Payload, log::{Log, root_dir}};
/// use basefs::log::Source;
///
/// # let (mut ana, genesis) = author::genesis();
/// # let mut mkdir = |name| ana.sign(root_dir(&genesis.id()), name, &[], Payload::Mkdir);
/// # let (users, lib) = (mkdir("users"), mkdir("lib"));
/// let mut log = Log::new(genesis.id(), 1);
/// log.offer(users, Source::Peer(3));
/// log.offer(lib, Source::Local);
/// log.forget_source(Source::Peer(3)); // it hung up
/// assert_eq!(log.waiting(), 1, "what others sent still waits");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This process.
    Local,
    /// A peer, by a number that the driver chooses.
    Peer(u64),
}

/// What an entry waits for.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, genesis) = author::genesis();
/// use basefs::entry::Payload;
/// use basefs::id::DirId;
/// use basefs::log::{Log, Missing, Offered, Source};
///
/// let mut log = Log::new(genesis.id(), 1);
/// log.offer(genesis, Source::Local);
/// let dir = DirId::from_bytes([7; 32]);
/// let astray = ana.sign(dir, "ana", &[], Payload::Mkdir);
/// let waits = Offered::Waiting(Missing::Dir(dir));
/// assert_eq!(log.offer(astray, Source::Peer(3)), waits, "nobody made that directory yet");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// An entry.
    Entry(EntryId),
    /// Any entry that defines this directory.
    Dir(DirId),
}

/// Which budget an entry that should have waited did not fit into.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// use basefs::limits::MAX_WAITING_PER_KEY;
/// use basefs::log::{Budget, Log, Offered, Source};
/// # use basefs::{entry::Payload, log::root_dir};
///
/// # let (mut ana, genesis) = author::genesis();
/// # let mut mkdir = |name: &str| ana.sign(root_dir(&genesis.id()), name, &[], Payload::Mkdir);
/// let mut log = Log::new(genesis.id(), 1);
/// for n in 0..MAX_WAITING_PER_KEY {
///     log.offer(mkdir(&n.to_string()), Source::Peer(3));
/// }
/// let dropped = log.offer(mkdir("one more"), Source::Peer(3));
/// assert_eq!(dropped, Offered::Dropped(Budget::Key), "of one author, that is enough");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Budget {
    /// Entries of this peer.
    Peer,
    /// Entries of this author.
    Key,
    /// Entries in all.
    Total,
}

#[derive(Clone, Debug)]
struct Waiter {
    entry: VerifiedEntry,
    source: Source,
}

/// The waiting pool. An entry waits for one missing reference at a time.
// rule: WAIT-1
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    entries: BTreeMap<EntryId, Waiter>,
    by_missing: BTreeMap<Missing, Vec<EntryId>>,
    per_source: BTreeMap<Source, usize>,
    per_key: BTreeMap<PublicKey, usize>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, id: &EntryId) -> bool {
        self.entries.contains_key(id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.entries.keys().copied()
    }

    /// The references that are missing, in order.
    pub(super) fn missing(&self) -> impl Iterator<Item = Missing> + '_ {
        self.by_missing.keys().copied()
    }

    /// Adds an entry, or says which budget is used up; the entry is dropped then and can be
    /// fetched again.
    pub(super) fn add(
        &mut self,
        entry: VerifiedEntry,
        source: Source,
        missing: Missing,
    ) -> Result<(), Budget> {
        let of_source = self.per_source.get(&source).copied().unwrap_or(0);
        let of_key = self.per_key.get(&entry.body().key).copied().unwrap_or(0);
        if self.entries.len() >= limits::MAX_WAITING {
            return Err(Budget::Total);
        }
        if of_source >= limits::MAX_WAITING_PER_PEER {
            return Err(Budget::Peer);
        }
        if of_key >= limits::MAX_WAITING_PER_KEY {
            return Err(Budget::Key);
        }
        let id = entry.id();
        self.per_source.insert(source, of_source + 1);
        self.per_key.insert(entry.body().key, of_key + 1);
        self.by_missing.entry(missing).or_default().push(id);
        let replaced = self.entries.insert(id, Waiter { entry, source });
        debug_assert!(replaced.is_none(), "an entry waits once");
        Ok(())
    }

    /// Takes out what waits for a reference, in the order of arrival.
    pub(super) fn take(&mut self, missing: Missing) -> Vec<(VerifiedEntry, Source)> {
        let ids = self.by_missing.remove(&missing).unwrap_or_default();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Takes an entry out; the list of what it waits for is up to the caller.
    fn remove(&mut self, id: &EntryId) -> Option<(VerifiedEntry, Source)> {
        let Waiter { entry, source } = self.entries.remove(id)?;
        decrement(&mut self.per_source, source);
        decrement(&mut self.per_key, entry.body().key);
        Some((entry, source))
    }

    /// Drops what a peer that is gone left waiting.
    pub(super) fn forget(&mut self, source: Source) {
        let ids: Vec<EntryId> = self
            .entries
            .iter()
            .filter(|(_, waiter)| waiter.source == source)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.remove(&id);
        }
        // Once for all of them: any number may wait for the same.
        self.by_missing.retain(|_, ids| {
            ids.retain(|id| self.entries.contains_key(id));
            !ids.is_empty()
        });
    }
}

/// Counts down and forgets at zero, so that the tables stay as small as the pool.
fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let alloc::collections::btree_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}
