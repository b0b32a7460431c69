//! The log: which entries belong to the hierarchy.
//!
//! A grow-only set. Admission depends on the entries alone, never on the order of their arrival,
//! on clocks or on what has been revoked; so the sets of two replicas that have received the same
//! are equal, and merging is union. What is admitted here may still be cut by the authority.
//!
//! Architecture invariant: the log knows nothing of winners, revocation or readiness.

mod admission;
mod frontier;
mod intern;
mod number;
mod order;
mod record;
mod waiting;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::{Action, Rights, Rule, VerifiedEntry};
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
    pub fn missing(&self) -> impl Iterator<Item = Missing> + '_ {
        self.waiting.missing()
    }

    /// Offers an entry for admission.
    ///
    /// The admitted set is a monotone function of the set offered: order and repetition have no
    /// effect on it.
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
    pub fn next_admitted(&mut self) -> Option<AdmittedEntry> {
        self.fresh.pop_front()
    }

    /// Drops what a peer that is gone left waiting.
    pub fn forget_source(&mut self, source: Source) {
        self.waiting.forget(source);
    }

    /// The number of an admitted entry.
    pub fn number(&self, id: &EntryId) -> Option<EntryNo> {
        let hash = self.by_id.hash(id);
        let index = self.by_id.find(hash, |position| self.records[position].id == *id)?;
        EntryNo::from_index(index)
    }

    /// The id of an entry.
    pub fn id(&self, no: EntryNo) -> EntryId {
        self.records[no.index()].id
    }

    pub(crate) fn record(&self, no: EntryNo) -> &Record {
        &self.records[no.index()]
    }

    /// The action of an entry.
    pub fn action(&self, no: EntryNo) -> Action {
        match self.record(no).detail {
            Detail::Genesis => Action::Genesis,
            Detail::Data { action, .. } => action,
            Detail::Grant(_) => Action::Grant,
            Detail::Revoke { .. } => Action::Revoke,
        }
    }

    /// The author of an entry.
    pub fn author(&self, no: EntryNo) -> PublicKey {
        self.keys[self.caps[self.record(no).cap.index()].key.index()]
    }

    /// The entries that an entry names in `prev`.
    pub fn prev(&self, no: EntryNo) -> &[EntryNo] {
        let (start, len) = self.record(no).prev;
        &self.prevs[start as usize..start as usize + usize::from(len)]
    }

    /// The author's entry before this one.
    pub fn chain_before(&self, no: EntryNo) -> Option<EntryNo> {
        self.record(no).aprev
    }

    /// The position of an entry in its author's chain.
    pub fn seq(&self, no: EntryNo) -> u64 {
        u64::from(self.record(no).seq)
    }

    /// Whether `x` is `head` or reached from it through `aprev`.
    // rule: CHAIN-2
    pub fn is_chain_below(&self, x: EntryNo, head: EntryNo) -> bool {
        let seq = self.record(x).seq;
        let mut at = head;
        while self.record(at).seq > seq {
            let record = self.record(at);
            let jump = record.jump.filter(|jump| self.record(*jump).seq >= seq);
            match jump.or(record.aprev) {
                Some(next) => at = next,
                None => return false,
            }
        }
        at == x
    }

    /// The slot of a data entry.
    pub fn slot_of(&self, no: EntryNo) -> Option<SlotNo> {
        match self.record(no).detail {
            Detail::Data { slot, .. } => Some(slot),
            _ => None,
        }
    }

    /// The number of the value of a data entry.
    pub fn value_no(&self, no: EntryNo) -> Option<ValueNo> {
        match self.record(no).detail {
            Detail::Data { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The value of a data entry.
    pub fn value(&self, no: EntryNo) -> Option<&Value> {
        self.value_no(no).map(|value| &self.values[value.index()])
    }

    /// The entry that the value of a data entry comes from: itself, or behind links the write.
    pub fn origin(&self, no: EntryNo) -> EntryNo {
        match self.record(no).detail {
            Detail::Data { origin, .. } => origin,
            _ => no,
        }
    }

    /// The link that a deletion moved to.
    pub fn moved_to(&self, no: EntryNo) -> Option<EntryNo> {
        match self.record(no).detail {
            Detail::Data { action: Action::Delete, other, .. } => other,
            _ => None,
        }
    }

    /// The entry whose value a link adopted.
    pub fn target(&self, no: EntryNo) -> Option<EntryNo> {
        match self.record(no).detail {
            Detail::Data { action: Action::Link, other, .. } => other,
            _ => None,
        }
    }

    /// The grants and revokes, each in the order of admission.
    pub fn control(&self) -> impl Iterator<Item = EntryNo> + '_ {
        let grants = self.caps.iter().filter(|cap| cap.parent.is_some()).map(|cap| cap.entry);
        grants.chain(self.revokes.keys().copied())
    }

    /// The key that a grant is for, or that a revoke is against.
    pub fn grantee(&self, no: EntryNo) -> Option<KeyNo> {
        match self.record(no).detail {
            Detail::Grant(cap) => Some(self.cap_key(cap)),
            Detail::Revoke { who, .. } => Some(who),
            _ => None,
        }
    }

    /// The directory that a grant or a revoke governs, or that holds a data entry; none for the
    /// genesis.
    pub fn dir_of(&self, no: EntryNo) -> Option<DirNo> {
        match self.record(no).detail {
            Detail::Genesis => None,
            Detail::Data { slot, .. } => Some(self.slot_dir(slot)),
            Detail::Grant(cap) => Some(self.cap_dir(cap)),
            Detail::Revoke { dir, .. } => Some(dir),
        }
    }

    /// The directory that a mkdir or the genesis defines.
    fn defined_dir(&self, no: EntryNo) -> Option<DirNo> {
        match self.record(no).detail {
            Detail::Genesis => self.root(),
            Detail::Data { action: Action::Mkdir, value, .. } => match self.values[value.index()] {
                Value::Dir(dir) => Some(dir),
                _ => None,
            },
            _ => None,
        }
    }

    /// The root directory, once the genesis is admitted.
    pub fn root(&self) -> Option<DirNo> {
        if self.dirs.is_empty() { None } else { DirNo::from_index(0) }
    }

    /// The number of a directory.
    pub fn dir(&self, id: &DirId) -> Option<DirNo> {
        self.dir_by_id.get(id).copied()
    }

    /// Number of directories ever defined.
    pub fn dirs(&self) -> usize {
        self.dirs.len()
    }

    /// The id of a directory.
    pub fn dir_id(&self, dir: DirNo) -> DirId {
        self.dirs[dir.index()].id
    }

    /// The slot in which a directory was made; none for the root.
    // rule: DIR-2
    pub fn home(&self, dir: DirNo) -> Option<SlotNo> {
        self.dirs[dir.index()].home.map(|(_, slot)| slot)
    }

    /// The directory in which a directory was made; none for the root.
    pub fn parent(&self, dir: DirNo) -> Option<DirNo> {
        self.dirs[dir.index()].home.map(|(parent, _)| parent)
    }

    /// Steps from the root to a directory.
    pub fn depth(&self, dir: DirNo) -> u8 {
        self.dirs[dir.index()].depth
    }

    /// The length of a directory's static path in bytes, each name counted with one separator.
    pub fn static_path_len(&self, dir: DirNo) -> usize {
        usize::from(self.dirs[dir.index()].path_len)
    }

    /// Whether `above` is `dir` or on its way to the root.
    pub fn is_in_lineage(&self, above: DirNo, dir: DirNo) -> bool {
        let depth = self.depth(above);
        let mut at = dir;
        while self.depth(at) > depth {
            match self.parent(at) {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        at == above
    }

    /// The names ever used in a directory, in order, with their slots.
    pub fn children(&self, dir: DirNo) -> impl DoubleEndedIterator<Item = (&Arc<str>, SlotNo)> {
        self.dirs[dir.index()].children.iter().map(|(name, slot)| (name, *slot))
    }

    /// The slot of a name in a directory.
    pub fn child(&self, dir: DirNo, name: &str) -> Option<SlotNo> {
        let is_it = |position: usize| {
            let slot: &Slot = &self.slots[position];
            slot.dir == dir && *slot.name == *name
        };
        SlotNo::from_index(self.by_name.find(self.by_name.hash(&(dir, name)), is_it)?)
    }

    /// Number of slots ever used.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The directory of a slot.
    pub fn slot_dir(&self, slot: SlotNo) -> DirNo {
        self.slots[slot.index()].dir
    }

    /// The name of a slot.
    pub fn slot_name(&self, slot: SlotNo) -> &Arc<str> {
        &self.slots[slot.index()].name
    }

    /// A content by number.
    pub fn content(&self, no: ContentNo) -> &Content {
        &self.contents[no.index()]
    }

    /// The number of a content that some write names.
    pub fn content_no(&self, content: &Content) -> Option<ContentNo> {
        let hash = self.by_content.hash(content);
        let index = self.by_content.find(hash, |position| self.contents[position] == *content)?;
        ContentNo::from_index(index)
    }

    /// Number of contents that writes name.
    pub fn contents(&self) -> usize {
        self.contents.len()
    }

    /// The content of the value of a data entry, if it is a file.
    pub fn content_of(&self, no: EntryNo) -> Option<ContentNo> {
        match self.value(no) {
            Some(Value::File { content, .. }) => Some(*content),
            _ => None,
        }
    }

    pub(crate) fn revoke(&self, no: EntryNo) -> Option<&Revoke> {
        self.revokes.get(&no)
    }

    pub(crate) fn cap(&self, cap: CapNo) -> &Capability {
        &self.caps[cap.index()]
    }

    /// The capability that an entry cites.
    pub fn cap_of(&self, no: EntryNo) -> CapNo {
        self.record(no).cap
    }

    /// The rank of an entry: that of the capability it cites.
    // rule: RANK-2
    pub fn rank(&self, no: EntryNo) -> Rank {
        self.cap(self.record(no).cap).rank
    }

    /// Number of capabilities.
    pub fn caps(&self) -> usize {
        self.caps.len()
    }

    /// The grant behind a capability, or the genesis.
    pub fn cap_entry(&self, cap: CapNo) -> EntryNo {
        self.cap(cap).entry
    }

    /// The directory that a capability governs.
    pub fn cap_dir(&self, cap: CapNo) -> DirNo {
        self.cap(cap).dir
    }

    /// What a capability allows.
    pub fn cap_rights(&self, cap: CapNo) -> Rights {
        self.cap(cap).rights
    }

    /// The weight of a capability.
    pub fn cap_rank(&self, cap: CapNo) -> Rank {
        self.cap(cap).rank
    }

    /// The key of a capability.
    pub fn cap_key(&self, cap: CapNo) -> KeyNo {
        self.cap(cap).key
    }

    /// A key by number.
    pub fn key(&self, no: KeyNo) -> PublicKey {
        self.keys[no.index()]
    }

    /// The number of a key that has or had a capability.
    pub fn key_no(&self, key: &PublicKey) -> Option<KeyNo> {
        self.key_by_id.get(key).copied()
    }
}

/// The id of the root directory of a hierarchy.
// rule: DIR-1
pub fn root_dir(genesis: &EntryId) -> DirId {
    DirId::from_bytes(blake3::derive_key(DIR_CONTEXT, genesis.as_bytes()))
}

/// The id of the directory that a mkdir of `name` in `parent` over `base` defines.
// rule: DIR-1
pub fn child_dir(parent: &DirId, base: Option<&EntryId>, name: &str) -> DirId {
    let mut hasher = blake3::Hasher::new_derive_key(DIR_CONTEXT);
    hasher.update(parent.as_bytes());
    hasher.update(base.map_or(&[0; 32], |id| id.as_bytes()));
    hasher.update(name.as_bytes());
    DirId::from_bytes(*hasher.finalize().as_bytes())
}
