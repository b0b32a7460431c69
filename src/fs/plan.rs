//! From wishes to entries: what must be signed so that a path shows what the author wants.
//!
//! A plan reads the state and writes nothing. It keeps what its own entries will change in an
//! overlay, so that a batch of thousands of operations is signed as one chain and taken in at
//! once, or not at all.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::block;
use crate::entry::{Body, FileData, Payload, Rights, VerifiedEntry};
use crate::fs::engine::{Engine, wall_time};
use crate::fs::error::WriteError;
use crate::fs::path::{join, parse};
use crate::id::{BlockId, Content, DirId, EntryId, PublicKey};
use crate::limits::{MAX_DEPTH, MAX_FILE, MAX_INLINE, MAX_PATH, MAX_PREV};
use crate::log::{CapNo, DirNo, SlotNo, Source, child_dir};
use crate::node::{Effects, Replica};
use crate::view::NodeKind;
use crate::wire::SecretKey;

/// What a slot shows, as far as writing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    Nothing,
    Dir(DirId),
    /// A file, and whether it is executable.
    File(bool),
    /// A symbolic link, or a second name of a directory.
    Other,
}

/// A slot as a new entry finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) winner: Option<EntryId>,
    pub(super) shows: Shows,
}

/// A directory as a new entry in it sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dir {
    pub(super) id: DirId,
    /// Itself, or the nearest directory above it that is in the log; what it inherits.
    pub(super) logged: DirNo,
    pub(super) depth: u8,
    path_len: usize,
}

/// A name in a directory, as a new entry finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'n> {
    /// The whole path.
    pub(super) names: &'n [&'n str],
    pub(super) dir: Dir,
    pub(super) name: &'n str,
    pub(super) slot: Slot,
}

/// Which of the author's capabilities an entry cites.
// rule: CLIENT-1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// The narrowest that covers the directory, for everyday work: a stale edit made offline under
    /// a wide one would beat newer work of others.
    Narrowest,
    /// The one of the best rank, to pin what shows or to overrule.
    Best,
}

/// Where the author's chain under a capability stands.
#[derive(Clone, Copy, Debug)]
struct Chain {
    cap: EntryId,
    next_seq: u64,
    head: Option<EntryId>,
}

/// Entries signed for one author, not yet taken in.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) engine: &'a Engine,
    key: &'a SecretKey,
    pub(super) author: PublicKey,
    pub(super) slots: BTreeMap<DirId, BTreeMap<Arc<str>, Slot>>,
    dirs: BTreeMap<DirId, Dir>,
    /// Directories that the plan moves, and the slots they leave.
    pub(super) moved: Vec<(DirId, DirId, Arc<str>)>,
    chains: BTreeMap<CapNo, Chain>,
    pub(super) entries: Vec<VerifiedEntry>,
    pub(super) blocks: Vec<(BlockId, Bytes)>,
    pub(super) contents: Vec<Content>,
}

/// The bytes of a file as an entry carries them.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    data: FileData,
    blocks: Vec<(BlockId, Bytes)>,
}

/// Refuses content, of so many bytes, that is not to be held in memory whole.
pub(super) fn check_size(size: u64) -> Result<(), WriteError> {
    if size > MAX_FILE { Err(WriteError::TooLarge { size, limit: MAX_FILE }) } else { Ok(()) }
}

/// Cuts content into blocks unless it is short. Needs no lock, so that large files are hashed
/// while others write.
pub(super) fn prepare(bytes: Bytes) -> Result<Prepared, WriteError> {
    let size = bytes.len() as u64;
    check_size(size)?;
    if bytes.len() <= MAX_INLINE {
        return Ok(Prepared { data: FileData::Inline(bytes), blocks: Vec::new() });
    }
    let encoded =
        block::encode(&bytes).map_err(|_| WriteError::TooLarge { size, limit: MAX_FILE })?;
    Ok(Prepared { data: FileData::Blocks(encoded.content), blocks: encoded.blocks })
}

impl<'a> Plan<'a> {
    pub(super) fn new(engine: &'a Engine, key: &'a SecretKey) -> Self {
        Self {
            engine,
            key,
            author: key.public(),
            slots: BTreeMap::new(),
            dirs: BTreeMap::new(),
            moved: Vec::new(),
            chains: BTreeMap::new(),
            entries: Vec::new(),
            blocks: Vec::new(),
            contents: Vec::new(),
        }
    }

    /// A file with this content; keeps the executable bit unless told otherwise.
    pub(super) fn write(
        &mut self,
        path: &str,
        content: Prepared,
        executable: Option<bool>,
    ) -> Result<EntryId, WriteError> {
        let names = parse(path)?;
        let at = self.target(&names, true)?;
        self.write_at(&at, base(&at.slot), content, executable)
    }

    /// A file with this content on top of `prev`.
    pub(super) fn write_at(
        &mut self,
        at: &Target<'_>,
        prev: Vec<EntryId>,
        content: Prepared,
        executable: Option<bool>,
    ) -> Result<EntryId, WriteError> {
        let executable = match at.slot.shows {
            Shows::Dir(_) => return Err(WriteError::IsADirectory { path: join(at.names) }),
            Shows::File(was) => executable.unwrap_or(was),
            Shows::Nothing | Shows::Other => executable.unwrap_or(false),
        };
        if let FileData::Blocks(named) = &content.data
            && !content.blocks.is_empty()
        {
            self.contents.push(*named);
        }
        self.blocks.extend(content.blocks);
        let payload = Payload::Write { executable, data: content.data };
        self.close(at, Weight::Narrowest, prev, payload, Shows::File(executable))
    }

    /// Another executable bit for the same content: a write of its own.
    // rule: CLIENT-3
    pub(super) fn set_executable(
        &mut self,
        path: &str,
        executable: bool,
    ) -> Result<EntryId, WriteError> {
        let names = parse(path)?;
        let at = self.target(&names, false)?;
        let path = || join(&names);
        let version = match (at.slot.shows, at.slot.winner) {
            (Shows::Nothing, _) | (_, None) => return Err(not_found(&at)),
            (Shows::Dir(_), _) => return Err(WriteError::IsADirectory { path: path() }),
            (Shows::Other, _) => return Err(WriteError::IsASymlink { path: path() }),
            (Shows::File(_), Some(version)) => version,
        };
        let data = self.engine.data_of(&version)?;
        let content = Prepared { data: data.ok_or_else(|| not_found(&at))?, blocks: Vec::new() };
        self.write_at(&at, base(&at.slot), content, Some(executable))
    }

    /// A symbolic link.
    pub(super) fn symlink(&mut self, target: &str, path: &str) -> Result<EntryId, WriteError> {
        let names = parse(path)?;
        let at = self.target(&names, true)?;
        if let Shows::Dir(_) = at.slot.shows {
            return Err(WriteError::IsADirectory { path: join(&names) });
        }
        let payload = Payload::Slink { text: target.into() };
        self.data(&at, Weight::Narrowest, base(&at.slot), payload, Shows::Other)
    }

    /// A directory and those above it, as far as they are missing.
    pub(super) fn create_dir_all(&mut self, path: &str) -> Result<(), WriteError> {
        let names = parse(path)?;
        self.walk_to(&names, true).map(drop)
    }

    /// Removes a file, a symbolic link, or a directory; an empty one unless `all`.
    // rule: TREE-1
    pub(super) fn remove(&mut self, path: &str, all: bool) -> Result<EntryId, WriteError> {
        let names = parse(path)?;
        let at = self.target(&names, false)?;
        match at.slot.shows {
            Shows::Nothing => return Err(WriteError::NotFound { path: join(&names) }),
            Shows::Dir(inner) if !all && self.has_children(inner) => {
                return Err(WriteError::NotEmpty { path: join(&names) });
            }
            _ => {}
        }
        let tips = self.all_tips(&at);
        let delete = Payload::Delete { moved_to: None };
        self.close(&at, Weight::Narrowest, tips, delete, Shows::Nothing)
    }

    /// What would be if the planned entries were taken in: a copy of the whole state in memory, up
    /// to 320 bytes per entry of the log, and time as for taking them in.
    pub(super) fn rehearse(&self) -> (Replica, Effects) {
        let mut replica = self.engine.read(|node| node.replica().clone());
        let mut effects = Effects::default();
        for entry in &self.entries {
            replica.offer(entry.clone(), Source::Local, &mut effects);
        }
        (replica, effects)
    }

    pub(super) fn denied(&self, names: &[&str]) -> WriteError {
        WriteError::Denied { path: join(names), key: self.author }
    }

    /// What a path means.
    pub(super) fn target<'n>(
        &mut self,
        names: &'n [&'n str],
        create: bool,
    ) -> Result<Target<'n>, WriteError> {
        let Some((name, above)) = names.split_last() else { return Err(WriteError::Root) };
        let dir = self.walk_to(above, create)?;
        let slot = self.slot(dir, name, above.len());
        Ok(Target { names, dir, name, slot })
    }

    /// The directory at a path; missing ones are planned if `create`.
    pub(super) fn walk_to(&mut self, names: &[&str], create: bool) -> Result<Dir, WriteError> {
        let mut dir = self.root()?;
        for (depth, name) in names.iter().enumerate() {
            let slot = self.slot(dir, name, depth);
            let here = &names[..=depth];
            dir = match slot.shows {
                Shows::Dir(id) => self.dir(id, dir, name),
                Shows::Nothing if create => self.mkdir(here, dir, name, &slot)?,
                Shows::Nothing => return Err(WriteError::NotFound { path: join(here) }),
                _ => return Err(WriteError::NotADirectory { path: join(here) }),
            };
        }
        Ok(dir)
    }

    fn root(&self) -> Result<Dir, WriteError> {
        let root = self.engine.read(|node| node.replica().log().root());
        Ok(self.logged(root.ok_or(WriteError::NotSynced)?))
    }

    /// A directory of the log.
    pub(super) fn logged(&self, no: DirNo) -> Dir {
        self.engine.read(|node| {
            let log = node.replica().log();
            let (depth, path_len) = (log.depth(no), log.static_path_len(no));
            Dir { id: log.dir_id(no), logged: no, depth, path_len }
        })
    }

    /// A directory by its id, made in this plan or known to the log.
    fn dir(&self, id: DirId, parent: Dir, name: &str) -> Dir {
        if let Some(dir) = self.dirs.get(&id) {
            return *dir;
        }
        match self.engine.read(|node| node.replica().log().dir(&id)) {
            Some(no) => self.logged(no),
            None => Dir { id, path_len: parent.path_len + name.len() + 1, ..parent },
        }
    }

    // rule: DIR-1
    // rule: ADMIT-8
    fn mkdir(
        &mut self,
        here: &[&str],
        parent: Dir,
        name: &str,
        slot: &Slot,
    ) -> Result<Dir, WriteError> {
        let path_len = parent.path_len + name.len() + 1;
        // In a directory that was moved, its place can be deeper than its home.
        let is_too_deep = parent.depth >= MAX_DEPTH || here.len() > usize::from(MAX_DEPTH);
        if is_too_deep || path_len > MAX_PATH {
            return Err(WriteError::TooDeep { path: join(here) });
        }
        let prev = base(slot);
        let id = child_dir(&parent.id, prev.first(), name);
        let dir = Dir { id, logged: parent.logged, depth: parent.depth + 1, path_len };
        let at = Target { names: here, dir: parent, name, slot: *slot };
        self.data(&at, Weight::Narrowest, prev, Payload::Mkdir, Shows::Dir(id))?;
        self.dirs.insert(id, dir);
        Ok(dir)
    }

    /// What a name in a directory shows: by this plan, else by the view.
    pub(super) fn slot(&self, dir: Dir, name: &str, depth: usize) -> Slot {
        if let Some(slot) = self.slots.get(&dir.id).and_then(|slots| slots.get(name)) {
            return *slot;
        }
        let nothing = Slot { winner: None, shows: Shows::Nothing };
        self.engine.read(|node| {
            let replica = node.replica();
            let log = replica.log();
            let slot = log.dir(&dir.id).and_then(|dir| log.child(dir, name));
            slot.map_or(nothing, |slot| slot_in(replica, slot, depth))
        })
    }

    /// The winner and then the other tips: what closes a conflict lists every branch it knows of,
    /// or the others would show again.
    // rule: CLIENT-2
    pub(super) fn all_tips(&self, at: &Target<'_>) -> Vec<EntryId> {
        let mut others: Vec<EntryId> = self.engine.read(|node| {
            let replica = node.replica();
            let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
            let logged = log.dir(&at.dir.id).and_then(|dir| log.child(dir, at.name));
            let Some(logged) = logged.filter(|slot| view.is_forked(*slot)) else {
                return Vec::new();
            };
            // Since the slot was looked at, another branch may have come and won.
            let known = at.slot.winner.and_then(|id| log.number(&id)).or(view.winner(logged));
            let others = view.tips(log, authority, logged).into_iter();
            others.filter(|tip| Some(*tip) != known).map(|no| log.id(no)).collect()
        });
        others.sort_unstable();
        at.slot.winner.into_iter().chain(others).collect()
    }

    /// Signs an entry on top of all these tips, the winner first. Where one entry cannot name them
    /// all, others that say the same name the rest.
    pub(super) fn close(
        &mut self,
        at: &Target<'_>,
        weight: Weight,
        tips: Vec<EntryId>,
        payload: Payload,
        shows: Shows,
    ) -> Result<EntryId, WriteError> {
        let mut rest = tips;
        let more = rest.split_off(rest.len().min(MAX_PREV));
        let is_deletion = matches!(payload, Payload::Delete { .. });
        let mut id = self.data(at, weight, rest, payload, shows)?;
        for tips in more.chunks(MAX_PREV - 1) {
            let payload = match is_deletion {
                true => Payload::Delete { moved_to: None },
                false => Payload::Link { target: id },
            };
            let prev = core::iter::once(id).chain(tips.iter().copied()).collect();
            id = self.data(at, weight, prev, payload, shows)?;
        }
        Ok(id)
    }

    pub(super) fn has_children(&self, dir: DirId) -> bool {
        let planned = self.slots.get(&dir);
        if planned.is_some_and(|slots| slots.values().any(|slot| slot.shows != Shows::Nothing)) {
            return true;
        }
        self.engine.read(|node| {
            let (log, view) = (node.replica().log(), node.replica().view());
            log.dir(&dir).is_some_and(|dir| {
                log.children(dir).any(|(name, slot)| {
                    !planned.is_some_and(|slots| slots.contains_key(name))
                        && view.node(log, node.replica().authority(), slot).is_some()
                })
            })
        })
    }

    /// Signs a data entry and notes what it changes.
    pub(super) fn data(
        &mut self,
        at: &Target<'_>,
        weight: Weight,
        prev: Vec<EntryId>,
        payload: Payload,
        shows: Shows,
    ) -> Result<EntryId, WriteError> {
        let need = Need { right: Rights::Write, gives: None, weight };
        let cap = self.capability(at.dir.logged, need).ok_or_else(|| self.denied(at.names))?;
        let name = Arc::from(at.name);
        let id = self.sign(at.dir.id, Arc::clone(&name), prev, cap, payload)?;
        let slot = Slot { winner: Some(id), shows };
        self.slots.entry(at.dir.id).or_default().insert(name, slot);
        Ok(id)
    }

    pub(super) fn capability(&self, dir: DirNo, need: Need) -> Option<CapNo> {
        self.engine.read(|node| choose(node.replica(), &self.author, dir, need))
    }

    // rule: CHAIN-1
    pub(super) fn sign(
        &mut self,
        dir: DirId,
        name: Arc<str>,
        prev: Vec<EntryId>,
        cap: CapNo,
        payload: Payload,
    ) -> Result<EntryId, WriteError> {
        let chain = match self.chains.get(&cap) {
            Some(chain) => *chain,
            None => self.engine.read(|node| chain_of(node.replica(), cap)),
        };
        let body = Body {
            dir,
            name,
            prev,
            cap: chain.cap,
            key: self.author,
            seq: chain.next_seq,
            aprev: chain.head,
            ts: wall_time(),
            payload,
        };
        let entry = body.sign(self.key)?;
        let id = entry.id();
        let next = Chain { next_seq: chain.next_seq + 1, head: Some(id), ..chain };
        self.chains.insert(cap, next);
        self.entries.push(entry);
        Ok(id)
    }
}

/// What a capability must allow, and which to take of those that do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) right: Rights,
    /// For a grant: the rights it passes on.
    pub(super) gives: Option<Rights>,
    pub(super) weight: Weight,
}

/// The capability of an author for a directory.
pub(super) fn choose(
    replica: &Replica,
    author: &PublicKey,
    dir: DirNo,
    need: Need,
) -> Option<CapNo> {
    let (log, authority) = (replica.log(), replica.authority());
    let caps = authority.caps_of(log.key_no(author)?);
    let fits = |cap: &&CapNo| {
        let rights = log.cap_rights(**cap);
        log.is_in_lineage(log.cap_dir(**cap), dir)
            && rights.includes(need.right)
            && need.gives.is_none_or(|gives| rights.includes(gives))
            && authority.is_live(log, **cap)
    };
    let caps = caps.iter().filter(fits);
    match need.weight {
        Weight::Narrowest => caps.max_by_key(|cap| log.cap_rank(**cap)).copied(),
        Weight::Best => caps.min_by_key(|cap| log.cap_rank(**cap)).copied(),
    }
}

pub(super) fn not_found(at: &Target<'_>) -> WriteError {
    WriteError::NotFound { path: join(at.names) }
}

fn chain_of(replica: &Replica, cap: CapNo) -> Chain {
    let log = replica.log();
    let head = replica.authority().chain_head(cap);
    Chain {
        cap: log.id(log.cap_entry(cap)),
        next_seq: head.map_or(0, |head| log.seq(head) + 1),
        head: head.map(|head| log.id(head)),
    }
}

fn slot_in(replica: &Replica, slot: SlotNo, depth: usize) -> Slot {
    let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    let shows = match view.node_at_depth(log, authority, slot, depth).map(|node| node.kind) {
        None => Shows::Nothing,
        Some(NodeKind::Dir(dir)) => Shows::Dir(log.dir_id(dir)),
        Some(NodeKind::File { executable, .. }) => Shows::File(executable),
        Some(NodeKind::Symlink(_) | NodeKind::Alias(_)) => Shows::Other,
    };
    Slot { winner: view.winner(slot).map(|no| log.id(no)), shows }
}

/// A plain write stands on the winner alone, so that a conflict stays visible.
// rule: CLIENT-2
pub(super) fn base(slot: &Slot) -> Vec<EntryId> {
    slot.winner.into_iter().collect()
}

#[cfg(all(test, feature = "quic"))]
mod tests {
    use super::*;
    use crate::Fs;

    // rule: CLIENT-2
    // rule: ENTRY-3
    #[test]
    fn a_branch_that_comes_and_wins_while_tips_are_listed_is_listed_too() {
        let founder = Fs::in_memory().expect("a hierarchy");
        let ben = Fs::builder().join(&founder.ticket(Vec::new())).open().expect("a replica");
        let send = |from: &Fs, to: &Fs| {
            for entry in from.export() {
                to.admit(&entry.expect("its bytes")).expect("admitted");
            }
        };
        founder.grant("/", ben.author()).expect("granted");
        send(&founder, &ben);
        let loser = ben.write("/f", "ben's").expect("written");
        let winner = founder.write("/f", "the founder's").expect("written");
        let mut plan = ben.draft();
        let at = plan.target(&["f"], false).expect("a file");
        send(&founder, &ben);
        assert_eq!(plan.all_tips(&at), [loser, winner], "none twice");
    }
}
