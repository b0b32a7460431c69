//! The rules of admission: what a log of other entries has to say about one more.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::entry::{Action, Body, FileData, Payload, Rights, Rule, VerifiedEntry};
use crate::id::{BlockId, Content, DirId, EntryId, PublicKey};
use crate::limits;
use crate::log::number::{CapNo, ContentNo, DirNo, EntryNo, KeyNo, SlotNo, ValueNo};
use crate::log::record::{Capability, Detail, Dir, Rank, Record, Revoke, Slot, Value};
use crate::log::{AdmittedEntry, Log, Missing, Offered, Source, child_dir, root_dir};

/// Why an entry is not admitted now.
enum Obstacle {
    Waits(Missing),
    Rejected(Rule),
    /// The numbers are used up: 2^32 − 2 entries are as many as one replica holds.
    Full,
}

impl From<Rule> for Obstacle {
    fn from(rule: Rule) -> Self {
        Obstacle::Rejected(rule)
    }
}

/// The references of an entry, found in the log.
struct References {
    cap: CapNo,
    dir: DirNo,
    aprev: Option<EntryNo>,
    prev: Vec<EntryNo>,
    /// Target, `moved_to` or `after`.
    others: Vec<EntryNo>,
}

impl Log {
    /// Admits an entry, or lets it wait, or rejects it.
    pub(super) fn try_admit(&mut self, entry: VerifiedEntry, source: Source) -> Offered {
        let admitted = match &entry.body().payload {
            Payload::Genesis { roots, .. } => self.admit_genesis(&entry, roots),
            _ => self.admit(&entry),
        };
        match admitted {
            Ok(no) => {
                self.fresh.push_back(AdmittedEntry { no, entry });
                Offered::Admitted
            }
            Err(Obstacle::Rejected(rule)) => Offered::Rejected(rule),
            Err(Obstacle::Full) => Offered::Dropped(super::Budget::Total),
            Err(Obstacle::Waits(missing)) => match self.waiting.add(entry, source, missing) {
                Ok(()) => Offered::Waiting(missing),
                Err(budget) => Offered::Dropped(budget),
            },
        }
    }

    // rule: ADMIT-1
    fn admit_genesis(
        &mut self,
        entry: &VerifiedEntry,
        roots: &[PublicKey],
    ) -> Result<EntryNo, Obstacle> {
        if entry.id() != self.genesis {
            return Err(Rule::Admit1.into());
        }
        let no = EntryNo::from_index(self.records.len()).ok_or(Obstacle::Full)?;
        let dir = DirNo::from_index(0).ok_or(Obstacle::Full)?;
        let id = root_dir(&self.genesis);
        self.dirs.push(Dir {
            id,
            home: None,
            depth: 0,
            path_len: 0,
            children: alloc::collections::BTreeMap::new(),
        });
        self.dir_by_id.insert(id, dir);
        let mut first = None;
        for (position, root) in (0u8..).zip(roots) {
            let rank = Rank { depth: 0, grants: 0, root: position };
            let key = self.intern_key(root)?;
            let cap = self.push_cap(Capability {
                key,
                dir,
                rights: Rights::All,
                rank,
                parent: None,
                entry: no,
                after: Box::default(),
            })?;
            self.roots.insert(*root, cap);
            first = first.or(Some(cap));
        }
        let cap = first.ok_or(Rule::Entry5)?;
        self.push_record(entry.id(), cap, 0, None, &[], Detail::Genesis)
    }

    fn admit(&mut self, entry: &VerifiedEntry) -> Result<EntryNo, Obstacle> {
        let body = entry.body();
        let found = self.references(body)?;
        self.check_authority(body, &found)?;
        self.check_chain(body, &found)?;
        match body.payload.action() {
            Action::Grant => self.admit_grant(entry, &found),
            Action::Revoke => self.admit_revoke(entry, &found),
            _ => self.admit_data(entry, &found),
        }
    }

    /// Finds every hard reference, or names the first that is missing.
    // rule: ADMIT-2
    fn references(&self, body: &Body) -> Result<References, Obstacle> {
        let find = |id: &EntryId| self.number(id).ok_or(Obstacle::Waits(Missing::Entry(*id)));
        let cap = find(&body.cap)?;
        let aprev = body.aprev.as_ref().map(find).transpose()?;
        let prev = body.prev.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let others: &[EntryId] = match &body.payload {
            Payload::Link { target } => core::slice::from_ref(target),
            Payload::Delete { moved_to: Some(link) } => core::slice::from_ref(link),
            Payload::Grant { after, .. } => after,
            _ => &[],
        };
        let others = others.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let dir = self.dir(&body.dir).ok_or(Obstacle::Waits(Missing::Dir(body.dir)))?;
        let cap = self.cited(cap, &body.key).ok_or(Rule::Admit3)?;
        Ok(References { cap, dir, aprev, prev, others })
    }

    /// The capability that citing an entry means for a key.
    // rule: ADMIT-3
    fn cited(&self, cited: EntryNo, key: &PublicKey) -> Option<CapNo> {
        match self.record(cited).detail {
            Detail::Genesis => self.roots.get(key).copied(),
            Detail::Grant(cap) if self.key(self.cap(cap).key) == *key => Some(cap),
            _ => None,
        }
    }

    fn check_authority(&self, body: &Body, found: &References) -> Result<(), Rule> {
        let cap = self.cap(found.cap);
        // rule: ADMIT-4
        if !self.is_in_lineage(cap.dir, found.dir) {
            return Err(Rule::Admit4);
        }
        // rule: ADMIT-5
        let needed = if body.payload.action().is_data() { Rights::Write } else { Rights::Grant };
        if !cap.rights.includes(needed) {
            return Err(Rule::Admit5);
        }
        Ok(())
    }

    // rule: ADMIT-6
    // rule: CHAIN-1
    fn check_chain(&self, body: &Body, found: &References) -> Result<(), Rule> {
        let Some(aprev) = found.aprev else { return Ok(()) };
        let before = self.record(aprev);
        // A genesis is no part of a chain: it cites no capability.
        let is_chained = !matches!(before.detail, Detail::Genesis);
        let follows = u64::from(before.seq) + 1 == body.seq;
        // Equal capabilities have equal keys, and root keys have a capability each.
        if is_chained && before.cap == found.cap && follows { Ok(()) } else { Err(Rule::Admit6) }
    }

    fn admit_data(
        &mut self,
        entry: &VerifiedEntry,
        found: &References,
    ) -> Result<EntryNo, Obstacle> {
        let body = entry.body();
        let slot = self.check_prev_slot(body, found)?;
        let no = EntryNo::from_index(self.records.len()).ok_or(Obstacle::Full)?;
        let other = found.others.first().copied();
        let (value, origin) = match (&body.payload, other) {
            (Payload::Mkdir, _) => (None, no),
            (Payload::Write { executable, data }, _) => {
                let content = self.intern_content(content_of(data))?;
                (Some(Value::File { content, executable: *executable }), no)
            }
            (Payload::Slink { text }, _) => (Some(Value::Sym(text.clone())), no),
            (Payload::Delete { .. }, moved_to) => {
                self.check_move(body, found, moved_to)?;
                (Some(Value::Tomb), no)
            }
            (Payload::Link { .. }, Some(target)) => {
                // rule: ADMIT-9
                // rule: VALUE-1
                let value = self.value(target).ok_or(Rule::Admit9)?;
                if *value == Value::Tomb {
                    return Err(Rule::Admit9.into());
                }
                (Some(value.clone()), self.origin(target))
            }
            _ => return Err(Rule::Entry2.into()),
        };
        let new_dir = if value.is_none() { Some(self.check_mkdir(body, found.dir)?) } else { None };
        let slot = slot.map_or_else(|| self.intern_slot(found.dir, body), Ok)?;
        let value = match (value, new_dir) {
            (Some(value), _) => value,
            (None, Some(path_len)) => Value::Dir(self.intern_dir(body, found.dir, slot, path_len)?),
            (None, None) => return Err(Rule::Entry2.into()),
        };
        let value = self.intern_value(value)?;
        let action = body.payload.action();
        let detail = Detail::Data { action, slot, value, origin, other };
        self.push_entry(entry, found, detail)
    }

    /// Gives the slot, unless there is no `prev` to find it by: faster than by name, and most
    /// entries have one.
    // rule: ADMIT-7
    // rule: SLOT
    fn check_prev_slot(&self, body: &Body, found: &References) -> Result<Option<SlotNo>, Rule> {
        let Some((base, others)) = found.prev.split_first() else { return Ok(None) };
        let slot = self.slot_of(*base).ok_or(Rule::Admit7)?;
        let is_named = self.slot_dir(slot) == found.dir && *self.slot_name(slot) == body.name;
        let fits = |no: &EntryNo| self.slot_of(*no) == Some(slot);
        if is_named && others.iter().all(fits) { Ok(Some(slot)) } else { Err(Rule::Admit7) }
    }

    /// Gives the length of the new directory's static path.
    // rule: ADMIT-8
    fn check_mkdir(&self, body: &Body, dir: DirNo) -> Result<u16, Rule> {
        let parent = &self.dirs[dir.index()];
        let path_len = usize::from(parent.path_len) + body.name.len() + 1;
        if parent.depth >= limits::MAX_DEPTH || path_len > limits::MAX_PATH {
            return Err(Rule::Admit8);
        }
        u16::try_from(path_len).map_err(|_| Rule::Admit8)
    }

    // rule: ADMIT-10
    fn check_move(
        &self,
        body: &Body,
        found: &References,
        moved_to: Option<EntryNo>,
    ) -> Result<(), Rule> {
        let Some(link) = moved_to else { return Ok(()) };
        let base = found.prev.first().and_then(|base| self.value_no(*base));
        let fits = self.action(link) == Action::Link
            && self.author(link) == body.key
            && self.value_no(link) == base;
        if fits { Ok(()) } else { Err(Rule::Admit10) }
    }

    // rule: ADMIT-11
    // rule: CAP-1
    fn admit_grant(
        &mut self,
        entry: &VerifiedEntry,
        found: &References,
    ) -> Result<EntryNo, Obstacle> {
        let Payload::Grant { who, rights, .. } = &entry.body().payload else {
            return Err(Rule::Entry2.into());
        };
        let issuer = self.cap(found.cap);
        let is_revoke_of = |no: &EntryNo| match self.record(*no).detail {
            Detail::Revoke { who: revoked, .. } => self.key(revoked) == *who,
            _ => false,
        };
        if !issuer.rights.includes(*rights)
            || issuer.rank.grants >= limits::MAX_DELEGATION
            || !found.others.iter().all(is_revoke_of)
        {
            return Err(Rule::Admit11.into());
        }
        let rank = Rank { depth: self.depth(found.dir), grants: issuer.rank.grants + 1, root: 0 };
        let no = EntryNo::from_index(self.records.len()).ok_or(Obstacle::Full)?;
        let key = self.intern_key(who)?;
        let cap = self.push_cap(Capability {
            key,
            dir: found.dir,
            rights: *rights,
            rank,
            parent: Some(found.cap),
            entry: no,
            after: found.others.clone().into(),
        })?;
        self.push_entry(entry, found, Detail::Grant(cap))
    }

    // rule: ADMIT-12
    fn admit_revoke(
        &mut self,
        entry: &VerifiedEntry,
        found: &References,
    ) -> Result<EntryNo, Obstacle> {
        let Payload::Revoke { who, keep } = &entry.body().payload else {
            return Err(Rule::Entry2.into());
        };
        let fits = |no: &EntryNo| match self.record(*no).detail {
            Detail::Revoke { who: revoked, dir } => self.key(revoked) == *who && dir == found.dir,
            _ => false,
        };
        if !found.prev.iter().all(fits) {
            return Err(Rule::Admit12.into());
        }
        let no = EntryNo::from_index(self.records.len()).ok_or(Obstacle::Full)?;
        let mut closure = BTreeSet::from([no]);
        for amended in &found.prev {
            closure.extend(self.revoke(*amended).into_iter().flat_map(|revoke| &revoke.closure));
        }
        if closure.len() > limits::MAX_CLOSURE {
            return Err(Rule::Admit12.into());
        }
        let who = self.intern_key(who)?;
        let revoke = Revoke { keep: keep.clone().into(), closure: closure.into_iter().collect() };
        self.revokes.insert(no, revoke);
        self.push_entry(entry, found, Detail::Revoke { who, dir: found.dir })
    }

    fn push_entry(
        &mut self,
        entry: &VerifiedEntry,
        found: &References,
        detail: Detail,
    ) -> Result<EntryNo, Obstacle> {
        let seq = u32::try_from(entry.body().seq).map_err(|_| Obstacle::Full)?;
        self.push_record(entry.id(), found.cap, seq, found.aprev, &found.prev, detail)
    }

    fn push_record(
        &mut self,
        id: EntryId,
        cap: CapNo,
        seq: u32,
        aprev: Option<EntryNo>,
        prev: &[EntryNo],
        detail: Detail,
    ) -> Result<EntryNo, Obstacle> {
        let no = EntryNo::from_index(self.records.len()).ok_or(Obstacle::Full)?;
        let position = u32::try_from(self.records.len()).map_err(|_| Obstacle::Full)?;
        let start = u32::try_from(self.prevs.len()).map_err(|_| Obstacle::Full)?;
        let len = u8::try_from(prev.len()).map_err(|_| Obstacle::Full)?;
        self.prevs.extend_from_slice(prev);
        let jump = aprev.map(|before| self.jump_from(before));
        self.records.push(Record { id, cap, seq, aprev, jump, prev: (start, len), detail });
        let hash = self.by_id.hash(&id);
        let records = &self.records;
        self.by_id.insert(hash, position, |at| records[at].id);
        Ok(no)
    }

    /// Where the successor of `before` jumps to: past `before`'s jump if its two latest jumps are
    /// equally long, else to `before`. (Skew-binary jump pointers, Myers 1983.)
    fn jump_from(&self, before: EntryNo) -> EntryNo {
        let record = self.record(before);
        let Some(first) = record.jump else { return before };
        let Some(second) = self.record(first).jump else { return before };
        let lengths =
            (record.seq - self.record(first).seq, self.record(first).seq - self.record(second).seq);
        if lengths.0 == lengths.1 { second } else { before }
    }

    fn push_cap(&mut self, cap: Capability) -> Result<CapNo, Obstacle> {
        let no = CapNo::from_index(self.caps.len()).ok_or(Obstacle::Full)?;
        self.caps.push(cap);
        Ok(no)
    }

    fn intern_key(&mut self, key: &PublicKey) -> Result<KeyNo, Obstacle> {
        if let Some(no) = self.key_by_id.get(key) {
            return Ok(*no);
        }
        let no = KeyNo::from_index(self.keys.len()).ok_or(Obstacle::Full)?;
        self.keys.push(*key);
        self.key_by_id.insert(*key, no);
        Ok(no)
    }

    fn intern_slot(&mut self, dir: DirNo, body: &Body) -> Result<SlotNo, Obstacle> {
        if let Some(slot) = self.child(dir, &body.name) {
            return Ok(slot);
        }
        let slot = SlotNo::from_index(self.slots.len()).ok_or(Obstacle::Full)?;
        let position = u32::try_from(self.slots.len()).map_err(|_| Obstacle::Full)?;
        self.slots.push(Slot { dir, name: body.name.clone() });
        let hash = self.by_name.hash(&(dir, &*body.name));
        let slots = &self.slots;
        self.by_name.insert(hash, position, |at| (slots[at].dir, &*slots[at].name));
        self.dirs[dir.index()].children.insert(body.name.clone(), slot);
        Ok(slot)
    }

    fn intern_dir(
        &mut self,
        body: &Body,
        parent: DirNo,
        slot: SlotNo,
        path_len: u16,
    ) -> Result<DirNo, Obstacle> {
        let id: DirId = child_dir(&body.dir, body.prev.first(), &body.name);
        if let Some(dir) = self.dir(&id) {
            return Ok(dir);
        }
        let dir = DirNo::from_index(self.dirs.len()).ok_or(Obstacle::Full)?;
        let depth = self.depth(parent) + 1;
        let children = alloc::collections::BTreeMap::new();
        self.dirs.push(Dir { id, home: Some((parent, slot)), depth, path_len, children });
        self.dir_by_id.insert(id, dir);
        Ok(dir)
    }

    fn intern_value(&mut self, value: Value) -> Result<ValueNo, Obstacle> {
        let hash = self.by_value.hash(&value);
        if let Some(index) = self.by_value.find(hash, |position| self.values[position] == value) {
            return ValueNo::from_index(index).ok_or(Obstacle::Full);
        }
        let no = ValueNo::from_index(self.values.len()).ok_or(Obstacle::Full)?;
        let position = u32::try_from(self.values.len()).map_err(|_| Obstacle::Full)?;
        self.values.push(value);
        let values = &self.values;
        self.by_value.insert(hash, position, |at| &values[at]);
        Ok(no)
    }

    fn intern_content(&mut self, content: Content) -> Result<ContentNo, Obstacle> {
        let hash = self.by_content.hash(&content);
        let known = self.by_content.find(hash, |position| self.contents[position] == content);
        if let Some(index) = known {
            return ContentNo::from_index(index).ok_or(Obstacle::Full);
        }
        let no = ContentNo::from_index(self.contents.len()).ok_or(Obstacle::Full)?;
        let position = u32::try_from(self.contents.len()).map_err(|_| Obstacle::Full)?;
        self.contents.push(content);
        let contents = &self.contents;
        self.by_content.insert(hash, position, |at| contents[at]);
        Ok(no)
    }
}

/// The content of a write; inline bytes count as a block of themselves, so that the two forms of
/// one content would be equal.
// rule: VALUE-1
fn content_of(data: &FileData) -> Content {
    match data {
        FileData::Inline(bytes) => Content {
            root: BlockId::from_bytes(*blake3::hash(bytes).as_bytes()),
            size: bytes.len() as u64,
            levels: 0,
        },
        FileData::Blocks(content) => *content,
    }
}
