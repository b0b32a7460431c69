//! The log: which entries belong to the hierarchy.
//!
//! A grow-only set. Admission depends on the entries alone, never on the order of their arrival,
//! on clocks or on what has been revoked; so the sets of two replicas that have received the same
//! are equal, and merging is union. What is admitted here may still be cut by the authority.
//!
//! Entries are looked up by number here; the examples write them as an `Author` who fills in a
//! [`Body`](crate::entry::Body) and signs it. The genesis is their founding entry, the founder Ana.
//!
//! Architecture invariant: the log knows nothing of winners, revocation or readiness.

mod admission;
mod caps;
mod entries;
mod frontier;
mod intern;
mod number;
mod order;
mod places;
mod record;
mod waiting;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::{Rule, VerifiedEntry};
use crate::id::{Content, DirId, EntryId, PublicKey};
use intern::Index;
use record::{Capability, Dir, Record, Revoke, Slot};

pub(crate) use record::Detail;

pub use frontier::{Frontier, MissingHeads, ParseFrontierError};
pub use number::{CapNo, ContentNo, DirNo, EntryNo, KeyNo, SlotNo, ValueNo};
pub use record::{Rank, Value};
pub use waiting::{Budget, Missing, Source};

/// The context in which directory ids are hashed.
const DIR_CONTEXT: &str = "basefs v1 dir";

/// What became of an offered entry.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// use basefs::entry::Rule;
/// use basefs::id::EntryId;
/// use basefs::log::{Log, Offered, Source};
///
/// # let (_, genesis) = author::genesis();
/// let mut log = Log::new(genesis.id(), 1);
/// assert_eq!(log.offer(genesis.clone(), Source::Local), Offered::Admitted);
/// assert_eq!(log.offer(genesis.clone(), Source::Local), Offered::Known);
/// let mut another = Log::new(EntryId::from_bytes([7; 32]), 1);
/// assert_eq!(another.offer(genesis, Source::Local), Offered::Rejected(Rule::Admit1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offered {
    /// It is in the log now; take it, and what it released, with [`Log::next_admitted`].
    Admitted,
    /// It was in the log already, or waits already.
    Known,
    /// It waits for a reference.
    Waiting(Missing),
    /// It breaks a rule and is not kept. Its author is at fault.
    Rejected(Rule),
    /// It would wait, but a budget is used up: offer it again after what it refers to.
    Dropped(Budget),
}

/// An entry that the log has admitted; only these reach the authority and the view.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # use basefs::log::{Log, Source};
/// # let (_, genesis) = author::genesis();
/// let mut log = Log::new(genesis.id(), 1);
/// log.offer(genesis.clone(), Source::Local);
/// let admitted = log.next_admitted().unwrap();
/// assert_eq!(admitted.no().index(), 0, "the first of this log");
/// assert_eq!((admitted.id(), admitted.bytes()), (genesis.id(), genesis.bytes()));
/// ```
#[derive(Clone, Debug)]
pub struct AdmittedEntry {
    no: EntryNo,
    entry: VerifiedEntry,
}

impl AdmittedEntry {
    /// Its number.
    pub fn no(&self) -> EntryNo {
        self.no
    }

    /// Its id.
    pub fn id(&self) -> EntryId {
        self.entry.id()
    }

    /// Its bytes, for the store.
    pub fn bytes(&self) -> &Bytes {
        self.entry.bytes()
    }
}

/// An entry that had waited and was rejected when its references came.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// use basefs::entry::{Payload, Rule};
/// use basefs::log::{Log, Offered, Source};
///
/// # let (_, genesis) = author::genesis();
/// # let dir = basefs::log::root_dir(&genesis.id());
/// let mut log = Log::new(genesis.id(), 1);
/// // Not a root key: the genesis, once it comes, will not bear this out.
/// let mut eve = author::Author { cap: genesis.id(), ..author::Author::new(9) };
/// let forged = eve.sign(dir, "motd", &[], Payload::Mkdir);
/// let (id, source) = (forged.id(), Source::Peer(3));
/// assert!(matches!(log.offer(forged, source), Offered::Waiting(_)));
/// log.offer(genesis, Source::Local);
/// let refused = log.take_refused();
/// assert_eq!((refused[0].id, refused[0].source), (id, source));
/// assert_eq!(refused[0].rule, Rule::Admit3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which entry.
    pub id: EntryId,
    /// Who had handed it over.
    pub source: Source,
    /// The rule it breaks.
    pub rule: Rule,
}

/// The admitted entries and what they define.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// use basefs::entry::Payload;
/// use basefs::log::{Log, Missing, Offered, Source, root_dir};
///
/// # let (mut ana, genesis) = author::genesis();
/// let mut log = Log::new(genesis.id(), 1);
/// let mkdir = ana.sign(root_dir(&genesis.id()), "users", &[], Payload::Mkdir);
/// let waits = Offered::Waiting(Missing::Entry(genesis.id()));
/// assert_eq!(log.offer(mkdir, Source::Local), waits);
/// assert_eq!(log.offer(genesis, Source::Local), Offered::Admitted);
/// assert_eq!((log.len(), log.waiting()), (2, 0), "it was let in too");
/// ```
#[derive(Clone, Debug)]
pub struct Log {
    genesis: EntryId,
    records: Vec<Record>,
    by_id: Index,
    prevs: Vec<EntryNo>,
    dirs: Vec<Dir>,
    dir_by_id: BTreeMap<DirId, DirNo>,
    slots: Vec<Slot>,
    /// Slots by directory and name. The children of a directory are in order too, but finding one
    /// there means a look at the names beside it, each somewhere else in memory.
    by_name: Index,
    caps: Vec<Capability>,
    roots: BTreeMap<PublicKey, CapNo>,
    keys: Vec<PublicKey>,
    key_by_id: BTreeMap<PublicKey, KeyNo>,
    revokes: BTreeMap<EntryNo, Revoke>,
    values: Vec<Value>,
    by_value: Index,
    contents: Vec<Content>,
    by_content: Index,
    waiting: waiting::Waiting,
    fresh: VecDeque<AdmittedEntry>,
    refused: Vec<Refused>,
}

impl Log {
    /// An empty log of the hierarchy that `genesis` founds. The seed scatters the hash tables; it
    /// should be unpredictable to peers and has no other effect.
    ///
    /// ```
    /// use basefs::id::EntryId;
    ///
    /// let log = basefs::log::Log::new(EntryId::from_bytes([7; 32]), 1);
    /// assert!(log.is_empty() && log.root().is_none());
    /// assert_eq!(log.genesis(), EntryId::from_bytes([7; 32]), "what it waits for");
    /// ```
    pub fn new(genesis: EntryId, seed: u64) -> Self {
        Self {
            genesis,
            records: Vec::new(),
            by_id: Index::new(seed),
            prevs: Vec::new(),
            dirs: Vec::new(),
            dir_by_id: BTreeMap::new(),
            slots: Vec::new(),
            by_name: Index::new(seed),
            caps: Vec::new(),
            roots: BTreeMap::new(),
            keys: Vec::new(),
            key_by_id: BTreeMap::new(),
            revokes: BTreeMap::new(),
            values: Vec::new(),
            by_value: Index::new(seed),
            contents: Vec::new(),
            by_content: Index::new(seed),
            waiting: waiting::Waiting::default(),
            fresh: VecDeque::new(),
            refused: Vec::new(),
        }
    }

    /// Makes room for so many more entries at once.
    pub(crate) fn reserve(&mut self, entries: usize) {
        self.records.reserve(entries);
        let records = &self.records;
        self.by_id.reserve(entries, |at| records[at].id);
    }

    /// The id of the hierarchy.
    pub fn genesis(&self) -> EntryId {
        self.genesis
    }

    /// Number of admitted entries.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether not even the genesis is here.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of entries that wait for a reference.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The ids of the entries that wait, in order.
    pub fn waiting_ids(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.waiting.ids()
    }

    /// What is waited for, in order.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// use basefs::log::{Log, Missing, Source};
    /// # use basefs::{entry::Payload, log::root_dir};
    ///
    /// # let (mut ana, genesis) = author::genesis();
    /// # let mkdir = ana.sign(root_dir(&genesis.id()), "users", &[], Payload::Mkdir);
    /// let mut log = Log::new(genesis.id(), 1);
    /// log.offer(mkdir.clone(), Source::Peer(3));
    /// assert!(log.waiting_ids().eq([mkdir.id()]));
    /// assert!(log.missing().eq([Missing::Entry(genesis.id())]), "ask for this one");
    /// ```
    pub fn missing(&self) -> impl Iterator<Item = Missing> + '_ {
        self.waiting.missing()
    }

    /// Offers an entry for admission.
    ///
    /// The admitted set is a monotone function of the set offered: order and repetition have no
    /// effect on it.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// use basefs::log::{Log, Source};
    /// # use basefs::{entry::Payload, log::root_dir};
    ///
    /// # let (mut ana, genesis) = author::genesis();
    /// # let mut mkdir = |name| ana.sign(root_dir(&genesis.id()), name, &[], Payload::Mkdir);
    /// # let mut entries = vec![genesis.clone(), mkdir("users"), mkdir("lib")];
    /// let mut log = Log::new(genesis.id(), 1);
    /// entries.reverse();
    /// for entry in entries {
    ///     log.offer(entry, Source::Local);
    /// }
    /// assert_eq!((log.len(), log.waiting()), (3, 0), "whatever the order");
    /// ```
    pub fn offer(&mut self, entry: VerifiedEntry, source: Source) -> Offered {
        if self.number(&entry.id()).is_some() || self.waiting.contains(&entry.id()) {
            return Offered::Known;
        }
        let id = entry.id();
        let before = self.fresh.len();
        let offered = self.try_admit(entry, source);
        self.release(before);
        if let Offered::Rejected(_) = offered {
            self.reject_dependents(id);
        }
        offered
    }

    /// Admits what waited for entries admitted since `next`, and what waited for those.
    fn release(&mut self, mut next: usize) {
        while let Some(admitted) = self.fresh.get(next) {
            let no = admitted.no;
            next += 1;
            let mut released = self.waiting.take(Missing::Entry(self.id(no)));
            if let Some(dir) = self.defined_dir(no) {
                released.extend(self.waiting.take(Missing::Dir(self.dirs[dir.index()].id)));
            }
            for (entry, source) in released {
                let id = entry.id();
                if let Offered::Rejected(rule) = self.try_admit(entry, source) {
                    self.refused.push(Refused { id, source, rule });
                    self.reject_dependents(id);
                }
            }
        }
    }

    /// Rejects what waits for an entry that was rejected, and what waits for that.
    // rule: ADMIT-2
    fn reject_dependents(&mut self, rejected: EntryId) {
        let mut open = Vec::from([rejected]);
        while let Some(id) = open.pop() {
            for (entry, source) in self.waiting.take(Missing::Entry(id)) {
                self.refused.push(Refused { id: entry.id(), source, rule: Rule::Admit2 });
                open.push(entry.id());
            }
        }
    }

    /// Takes the list of entries that had waited and were rejected since the last call.
    pub fn take_refused(&mut self) -> Vec<Refused> {
        core::mem::take(&mut self.refused)
    }

    /// The next admitted entry that was not taken yet, in the order of admission.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # use basefs::{entry::Payload, log::{Log, Source, root_dir}};
    /// # let (mut ana, genesis) = author::genesis();
    /// # let mkdir = ana.sign(root_dir(&genesis.id()), "users", &[], Payload::Mkdir);
    /// let mut log = Log::new(genesis.id(), 1);
    /// log.offer(mkdir.clone(), Source::Peer(3));
    /// assert!(log.next_admitted().is_none(), "it waits for the genesis");
    /// log.offer(genesis.clone(), Source::Peer(3));
    /// let admitted: Vec<_> = std::iter::from_fn(|| log.next_admitted()).collect();
    /// assert!(admitted.iter().map(|entry| entry.id()).eq([genesis.id(), mkdir.id()]));
    /// ```
    pub fn next_admitted(&mut self) -> Option<AdmittedEntry> {
        self.fresh.pop_front()
    }

    /// Drops what a peer that is gone left waiting.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # use basefs::{entry::Payload, log::{Log, Source, root_dir}};
    /// # let (mut ana, genesis) = author::genesis();
    /// # let mkdir = ana.sign(root_dir(&genesis.id()), "users", &[], Payload::Mkdir);
    /// let mut log = Log::new(genesis.id(), 1);
    /// log.offer(mkdir, Source::Peer(3));
    /// assert_eq!(log.waiting(), 1);
    /// log.forget_source(Source::Peer(3));
    /// assert_eq!(log.waiting(), 0);
    /// ```
    pub fn forget_source(&mut self, source: Source) {
        self.waiting.forget(source);
    }
}

/// The id of the root directory of a hierarchy.
///
/// ```
/// use basefs::id::{DirId, EntryId};
///
/// let genesis = EntryId::from_bytes([7; 32]);
/// let hash = blake3::derive_key("basefs v1 dir", genesis.as_bytes());
/// assert_eq!(basefs::log::root_dir(&genesis), DirId::from_bytes(hash));
/// ```
// rule: DIR-1
pub fn root_dir(genesis: &EntryId) -> DirId {
    DirId::from_bytes(blake3::derive_key(DIR_CONTEXT, genesis.as_bytes()))
}

/// The id of the directory that a mkdir of `name` in `parent` over `base` defines.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::log::{child_dir, root_dir};
///
/// let root = root_dir(&EntryId::from_bytes([7; 32]));
/// let users = child_dir(&root, None, "users");
/// let deletion = EntryId::from_bytes([8; 32]);
/// let again = child_dir(&root, Some(&deletion), "users");
/// assert_ne!(users, again, "made again after it was deleted, it is another");
/// ```
// rule: DIR-1
pub fn child_dir(parent: &DirId, base: Option<&EntryId>, name: &str) -> DirId {
    let mut hasher = blake3::Hasher::new_derive_key(DIR_CONTEXT);
    hasher.update(parent.as_bytes());
    hasher.update(base.map_or(&[0; 32], |id| id.as_bytes()));
    hasher.update(name.as_bytes());
    DirId::from_bytes(*hasher.finalize().as_bytes())
}
