//! Which entries belong to the log, and what they define for ever.

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::{FileData, Payload, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId, PublicKey};
use basefs::limits;

/// A name in a directory.
pub(crate) type Slot = (DirId, String);

/// A capability: the grant, or the genesis, and the key that has it.
pub(crate) type Cap = (EntryId, PublicKey);

/// Depth of the directory, grants up to the root's, which root; smaller is better (RANK-1).
pub(crate) type Rank = (usize, usize, usize);

/// What a data entry says (VALUE-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Dir(DirId),
    File { content: Content, executable: bool },
    Sym(String),
    Tomb,
}

/// The admitted entries.
pub(crate) struct Log<'a> {
    pub(crate) genesis: EntryId,
    pub(crate) entries: BTreeMap<EntryId, &'a VerifiedEntry>,
    pub(crate) rejected: BTreeMap<EntryId, &'static str>,
    /// The home of every directory; the root has none.
    homes: BTreeMap<DirId, Option<Slot>>,
    /// The value of every data entry, and the entry it comes from.
    values: BTreeMap<EntryId, (Value, EntryId)>,
}

/// What an entry names and cannot do without; its directory is not among it.
pub(super) fn hard_references(entry: &VerifiedEntry) -> Vec<EntryId> {
    let body = entry.body();
    let mut ids = vec![body.cap];
    ids.extend(body.aprev);
    ids.extend(&body.prev);
    match &body.payload {
        Payload::Genesis { .. } => ids.clear(),
        Payload::Delete { moved_to } => ids.extend(moved_to),
        Payload::Link { target } => ids.push(*target),
        Payload::Grant { after, .. } => ids.extend(after),
        _ => {}
    }
    ids
}

fn is_data(entry: &VerifiedEntry) -> bool {
    !matches!(
        entry.body().payload,
        Payload::Genesis { .. } | Payload::Grant { .. } | Payload::Revoke { .. }
    )
}

// rule: DIR-1
pub(crate) fn root_dir(genesis: &EntryId) -> DirId {
    DirId::from_bytes(blake3::derive_key("basefs v1 dir", genesis.as_bytes()))
}

// rule: DIR-1
pub(crate) fn defined_dir(mkdir: &VerifiedEntry) -> DirId {
    let body = mkdir.body();
    let base = body.prev.first().map_or([0; 32], |id| *id.as_bytes());
    let text = [&body.dir.as_bytes()[..], &base, body.name.as_bytes()].concat();
    DirId::from_bytes(blake3::derive_key("basefs v1 dir", &text))
}

fn check(holds: bool, rule: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(rule) }
}

impl<'a> Log<'a> {
    /// Goes over the entries until none is admitted or rejected any more.
    // rule: ADMIT-2
    pub(crate) fn admit(genesis: EntryId, received: &'a [VerifiedEntry]) -> Self {
        let mut log = Self {
            genesis,
            entries: BTreeMap::new(),
            rejected: BTreeMap::new(),
            homes: BTreeMap::new(),
            values: BTreeMap::new(),
        };
        let mut open: BTreeMap<EntryId, &VerifiedEntry> =
            received.iter().map(|entry| (entry.id(), entry)).collect();
        loop {
            let before = open.len();
            for (id, entry) in open.clone() {
                match log.judge(entry) {
                    None => continue,
                    Some(Ok(())) => log.enter(id, entry),
                    Some(Err(rule)) => drop(log.rejected.insert(id, rule)),
                }
                open.remove(&id);
            }
            if open.len() == before {
                return log;
            }
        }
    }

    /// Whether an entry is admitted or rejected; nothing while it waits.
    fn judge(&self, entry: &VerifiedEntry) -> Option<Result<(), &'static str>> {
        // rule: ADMIT-1
        if let Payload::Genesis { .. } = entry.body().payload {
            return Some(check(entry.id() == self.genesis, "ADMIT-1"));
        }
        let references = hard_references(entry);
        if references.iter().any(|id| self.rejected.contains_key(id)) {
            return Some(Err("ADMIT-2"));
        }
        let is_complete = references.iter().all(|id| self.entries.contains_key(id))
            && self.homes.contains_key(&entry.body().dir);
        is_complete.then(|| self.check_rules(entry))
    }

    fn check_rules(&self, entry: &VerifiedEntry) -> Result<(), &'static str> {
        let body = entry.body();
        let cap = (body.cap, body.key);
        // rule: ADMIT-3
        let is_theirs = match &self.entries[&body.cap].body().payload {
            Payload::Genesis { roots, .. } => roots.contains(&body.key),
            Payload::Grant { who, .. } => *who == body.key,
            _ => false,
        };
        check(is_theirs, "ADMIT-3")?;
        // rule: ADMIT-4
        check(self.lineage(&body.dir).contains(&self.cap_dir(&cap)), "ADMIT-4")?;
        // rule: ADMIT-5
        let needed = if is_data(entry) { 1 } else { 2 };
        check(self.rights(&cap) & needed != 0, "ADMIT-5")?;
        // rule: ADMIT-6
        if let Some(before) = body.aprev {
            let before = self.entries[&before].body();
            let follows = before.key == body.key
                && before.cap == body.cap
                && before.seq.checked_add(1) == Some(body.seq);
            check(follows, "ADMIT-6")?;
        }
        match &body.payload {
            Payload::Grant { .. } => self.check_grant(entry),
            Payload::Revoke { .. } => self.check_revoke(entry),
            _ => self.check_data(entry),
        }
    }

    fn check_data(&self, entry: &VerifiedEntry) -> Result<(), &'static str> {
        let body = entry.body();
        // rule: ADMIT-7
        let same_slot = body.prev.iter().map(|id| self.entries[id]).all(|other| {
            is_data(other) && other.body().dir == body.dir && other.body().name == body.name
        });
        check(same_slot, "ADMIT-7")?;
        match &body.payload {
            Payload::Mkdir => {
                // rule: ADMIT-8
                let depth = self.lineage(&body.dir).len() - 1;
                let mut path = self.static_path(&body.dir);
                path.push(body.name.to_string());
                let length: usize = path.iter().map(|name| name.len() + 1).sum();
                check(
                    depth < usize::from(limits::MAX_DEPTH) && length <= limits::MAX_PATH,
                    "ADMIT-8",
                )
            }
            // rule: ADMIT-9
            Payload::Link { target } => check(
                is_data(self.entries[target]) && *self.value(target) != Value::Tomb,
                "ADMIT-9",
            ),
            // rule: ADMIT-10
            Payload::Delete { moved_to: Some(link) } => {
                let other = self.entries[link].body();
                let fits = matches!(other.payload, Payload::Link { .. })
                    && other.key == body.key
                    && self.value(link) == self.value(&body.prev[0]);
                check(fits, "ADMIT-10")
            }
            _ => Ok(()),
        }
    }

    // rule: ADMIT-11
    fn check_grant(&self, entry: &VerifiedEntry) -> Result<(), &'static str> {
        let body = entry.body();
        let Payload::Grant { who, rights, after } = &body.payload else { return Err("ADMIT-11") };
        let cap = (body.cap, body.key);
        let revokes_them = |id: &EntryId| match &self.entries[id].body().payload {
            Payload::Revoke { who: revoked, .. } => revoked == who,
            _ => false,
        };
        let grants = self.grants_above(&cap) + 1;
        check(rights.code() & !self.rights(&cap) == 0, "ADMIT-11")?;
        check(grants <= usize::from(limits::MAX_DELEGATION), "ADMIT-11")?;
        check(after.iter().all(revokes_them), "ADMIT-11")
    }

    // rule: ADMIT-12
    fn check_revoke(&self, entry: &VerifiedEntry) -> Result<(), &'static str> {
        let body = entry.body();
        let Payload::Revoke { who, .. } = &body.payload else { return Err("ADMIT-12") };
        let fits = |id: &EntryId| {
            let other = self.entries[id].body();
            let same_key = match &other.payload {
                Payload::Revoke { who: revoked, .. } => revoked == who,
                _ => false,
            };
            same_key && other.dir == body.dir
        };
        check(body.prev.iter().all(fits), "ADMIT-12")?;
        let mut closure: BTreeSet<EntryId> =
            body.prev.iter().flat_map(|id| self.closure(id)).collect();
        closure.insert(entry.id());
        check(closure.len() <= limits::MAX_CLOSURE, "ADMIT-12")
    }

    fn enter(&mut self, id: EntryId, entry: &'a VerifiedEntry) {
        let body = entry.body();
        // rule: VALUE-1
        let value = match &body.payload {
            Payload::Genesis { .. } => {
                self.homes.insert(root_dir(&id), None);
                None
            }
            Payload::Mkdir => {
                let dir = defined_dir(entry);
                self.homes.insert(dir, Some((body.dir, body.name.to_string())));
                Some((Value::Dir(dir), id))
            }
            Payload::Write { executable, data } => {
                let content = match data {
                    FileData::Inline(bytes) => inline_content(bytes),
                    FileData::Blocks(content) => *content,
                };
                Some((Value::File { content, executable: *executable }, id))
            }
            Payload::Slink { text } => Some((Value::Sym(text.to_string()), id)),
            Payload::Delete { .. } => Some((Value::Tomb, id)),
            Payload::Link { target } => Some(self.values[target].clone()),
            Payload::Grant { .. } | Payload::Revoke { .. } => None,
        };
        if let Some(value) = value {
            self.values.insert(id, value);
        }
        self.entries.insert(id, entry);
    }

    /// The slots that entries are in, with their entries.
    // rule: SLOT
    pub(crate) fn slots(&self) -> BTreeMap<Slot, Vec<EntryId>> {
        let mut slots: BTreeMap<Slot, Vec<EntryId>> = BTreeMap::new();
        for (id, entry) in self.entries.iter().filter(|(_, entry)| is_data(entry)) {
            slots.entry(self.slot(entry)).or_default().push(*id);
        }
        slots
    }

    pub(crate) fn slot(&self, entry: &VerifiedEntry) -> Slot {
        (entry.body().dir, entry.body().name.to_string())
    }

    pub(crate) fn value(&self, id: &EntryId) -> &Value {
        &self.values[id].0
    }

    /// The entry that a value comes from.
    pub(crate) fn origin(&self, id: &EntryId) -> &'a VerifiedEntry {
        self.entries[&self.values[id].1]
    }

    pub(crate) fn moved_to(&self, id: &EntryId) -> Option<EntryId> {
        match self.entries[id].body().payload {
            Payload::Delete { moved_to } => moved_to,
            _ => None,
        }
    }

    pub(crate) fn root(&self) -> DirId {
        root_dir(&self.genesis)
    }

    /// The directories that entries define, the root not among them.
    pub(crate) fn dirs(&self) -> BTreeSet<DirId> {
        let mkdirs = self.entries.values().filter(|entry| entry.body().payload == Payload::Mkdir);
        mkdirs.map(|entry| defined_dir(entry)).collect()
    }

    /// The entries that define a directory.
    pub(crate) fn definers(&self, dir: &DirId) -> Vec<EntryId> {
        let defines = |entry: &&&VerifiedEntry| match entry.body().payload {
            Payload::Genesis { .. } => root_dir(&entry.id()) == *dir,
            Payload::Mkdir => defined_dir(entry) == *dir,
            _ => false,
        };
        self.entries.values().filter(defines).map(|entry| entry.id()).collect()
    }

    // rule: DIR-2
    pub(crate) fn home(&self, dir: &DirId) -> Option<&Slot> {
        self.homes[dir].as_ref()
    }

    /// The directory, the one of its home, and so on up to the root.
    // rule: DIR-2
    pub(crate) fn lineage(&self, dir: &DirId) -> Vec<DirId> {
        let mut lineage = vec![*dir];
        let mut at = dir;
        while let Some((parent, _)) = self.home(at) {
            lineage.push(*parent);
            at = parent;
        }
        lineage
    }

    /// The names from the root to where a directory was made.
    fn static_path(&self, dir: &DirId) -> Vec<String> {
        let lineage = self.lineage(dir);
        let homes = lineage.iter().rev().filter_map(|dir| self.home(dir));
        homes.map(|(_, name)| name.clone()).collect()
    }

    /// Where an entry stands in the order of reconciliation, but for its id.
    // rule: ORDER-1
    pub(crate) fn path_of(&self, id: &EntryId) -> Vec<String> {
        let entry = self.entries[id];
        if let Payload::Genesis { .. } = entry.body().payload {
            return Vec::new();
        }
        let mut path = self.static_path(&entry.body().dir);
        if is_data(entry) {
            path.push(entry.body().name.to_string());
        }
        path
    }

    /// All capabilities: those of the root keys and those of grants.
    // rule: CAP-1
    pub(crate) fn caps(&self) -> Vec<Cap> {
        let mut caps = Vec::new();
        for (id, entry) in &self.entries {
            match &entry.body().payload {
                Payload::Genesis { roots, .. } => caps.extend(roots.iter().map(|key| (*id, *key))),
                Payload::Grant { who, .. } => caps.push((*id, *who)),
                _ => {}
            }
        }
        caps
    }

    pub(crate) fn cap_of(&self, entry: &VerifiedEntry) -> Cap {
        (entry.body().cap, entry.body().key)
    }

    pub(crate) fn cap_dir(&self, cap: &Cap) -> DirId {
        if cap.0 == self.genesis { self.root() } else { self.entries[&cap.0].body().dir }
    }

    fn rights(&self, cap: &Cap) -> u8 {
        match self.entries[&cap.0].body().payload {
            Payload::Grant { rights, .. } => rights.code(),
            _ => 3,
        }
    }

    /// The capability and what it was granted under, up to that of a root key.
    pub(crate) fn upward(&self, cap: &Cap) -> Vec<Cap> {
        let mut caps = vec![*cap];
        let mut at = *cap;
        while at.0 != self.genesis {
            at = self.cap_of(self.entries[&at.0]);
            caps.push(at);
        }
        caps
    }

    fn grants_above(&self, cap: &Cap) -> usize {
        self.upward(cap).len() - 1
    }

    // rule: RANK-1
    pub(crate) fn rank(&self, cap: &Cap) -> Rank {
        let depth = self.lineage(&self.cap_dir(cap)).len() - 1;
        let root = match &self.entries[&cap.0].body().payload {
            Payload::Genesis { roots, .. } => {
                roots.iter().position(|key| *key == cap.1).expect("a root key")
            }
            _ => 0,
        };
        (depth, self.grants_above(cap), root)
    }

    // rule: RANK-1
    pub(crate) fn rank_of(&self, id: &EntryId) -> Rank {
        self.rank(&self.cap_of(self.entries[id]))
    }

    /// A revoke and what it amends, recursively.
    // rule: REVOKE-1
    pub(crate) fn closure(&self, revoke: &EntryId) -> BTreeSet<EntryId> {
        let mut closure = BTreeSet::new();
        let mut open = vec![*revoke];
        while let Some(id) = open.pop() {
            if closure.insert(id) {
                open.extend(&self.entries[&id].body().prev);
            }
        }
        closure
    }
}

/// The content of a short write, as if it stood in blocks.
pub(crate) fn inline_content(bytes: &[u8]) -> Content {
    Content {
        root: BlockId::from_bytes(*blake3::hash(bytes).as_bytes()),
        size: bytes.len() as u64,
        levels: 0,
    }
}
