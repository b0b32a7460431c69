//! The authors, what each of them knows, and every entry ever made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use basefs::block;
use basefs::entry::{Body, Payload, Rule, VerifiedEntry};
use basefs::id::{Content, DirId, EntryId};
use basefs::log::{Log, Offered, Source, child_dir, root_dir};
use basefs::time::WallTime;
use basefs::wire::SecretKey;
use bytes::Bytes;

use super::operation::{AUTHORS, Act, After, Base, Cap, Chain, Operation, STRANGER};

/// Authors with a root key.
pub(super) const ROOTS: usize = 2;
/// Entries in one world; what would make more is left out.
const MAX_ENTRIES: usize = 160;

/// The key pair of an author, made once: that costs as much as a signature.
pub(crate) fn key(author: usize) -> &'static SecretKey {
    static KEYS: OnceLock<Vec<SecretKey>> = OnceLock::new();
    let seed = |author| [u8::try_from(author).unwrap_or(u8::MAX); 32];
    let make = || (0..=STRANGER).map(|author| SecretKey::from_seed(seed(author))).collect();
    &KEYS.get_or_init(make)[author]
}

/// The contents in blocks that are written. The last is the first with another size: nobody ever
/// has it in full.
pub(crate) fn contents() -> [Content; 4] {
    static CONTENTS: OnceLock<[Content; 4]> = OnceLock::new();
    *CONTENTS.get_or_init(|| {
        let of = |number: usize| block::encode(&blocks(number)).expect("short enough").content;
        [of(0), of(1), of(2), Content { size: 1_001, ..of(0) }]
    })
}

/// The only block of a content.
pub(crate) fn blocks(number: usize) -> Bytes {
    vec![u8::try_from(number).unwrap_or(u8::MAX); 1_000].into()
}

/// An entry and what its author did.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) entry: VerifiedEntry,
    pub(crate) author: usize,
    /// Why no log ever has it; honest authors don't know it.
    pub(crate) refused: Option<&'static str>,
}

/// A directory, from the first entry that defines it.
#[derive(Clone, Debug)]
pub(super) struct Dir {
    pub(super) id: DirId,
    pub(super) parent: Option<usize>,
    pub(super) depth: usize,
    path: String,
    definer: usize,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) genesis: EntryId,
    pub(crate) made: Vec<Made>,
    by_id: BTreeMap<EntryId, usize>,
    /// Positions in `made`, for each author.
    known: Vec<BTreeSet<usize>>,
    pub(super) dirs: Vec<Dir>,
    /// Admits what is made, to tell what is refused everywhere.
    log: Log,
    pub(super) has_big: bool,
}

impl World {
    /// Root 0 founds the hierarchy with root 1, makes a directory, and grants the others: two
    /// everything, two the directory. Everybody knows.
    pub(crate) fn new() -> Self {
        let roots = (0..ROOTS).map(|root| key(root).public()).collect();
        let genesis = founding(0, Payload::Genesis { roots, nonce: [0; 16] });
        let id = genesis.id();
        let mut log = Log::new(id, 1);
        log.offer(genesis.clone(), Source::Local);
        let mut world = Self {
            genesis: id,
            made: vec![Made { entry: genesis, author: 0, refused: None }],
            by_id: BTreeMap::from([(id, 0)]),
            known: vec![BTreeSet::from([0]); AUTHORS + 1],
            dirs: vec![Dir {
                id: root_dir(&id),
                parent: None,
                depth: 0,
                path: "/".into(),
                definer: 0,
            }],
            log,
            has_big: false,
        };
        let grant =
            |who| Act::Grant { who, rights: basefs::entry::Rights::All, after: After::Nothing };
        let prelude = [(2, 0), (3, 0), (4, 1), (5, 1)].map(|(who, dir)| (grant(who), dir));
        for (act, dir) in [(Act::Mkdir, 0)].into_iter().chain(prelude) {
            world.apply(&plain(0, act, dir));
        }
        let all: BTreeSet<usize> = (0..world.made.len()).collect();
        world.known.iter_mut().for_each(|known| known.clone_from(&all));
        world
    }

    /// A world in which these operations happened.
    pub(crate) fn of(operations: &[Operation]) -> Self {
        let mut world = Self::new();
        operations.iter().for_each(|operation| world.apply(operation));
        world
    }

    /// The entries in the order in which they were made.
    pub(crate) fn entries(&self) -> Vec<VerifiedEntry> {
        self.made.iter().map(|made| made.entry.clone()).collect()
    }

    /// The body of an entry that was made here.
    pub(crate) fn body_of(&self, id: &EntryId) -> &Body {
        self.made[self.by_id[id]].entry.body()
    }

    /// Takes in an entry that was made outside.
    pub(crate) fn tell(&mut self, author: usize, entry: VerifiedEntry) {
        self.push(author, entry);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.made.len() >= MAX_ENTRIES
    }

    /// What an author knows, in the order in which it was made.
    pub(super) fn known(&self, author: usize) -> impl DoubleEndedIterator<Item = (usize, &Made)> {
        self.known[author].iter().map(|position| (*position, &self.made[*position]))
    }

    pub(super) fn position(&self, id: &EntryId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(super) fn dir_position(&self, id: &DirId) -> Option<usize> {
        self.dirs.iter().position(|dir| dir.id == *id)
    }

    /// The directories that an author knows, in the order in which they were made.
    pub(super) fn known_dirs(&self, author: usize) -> Vec<usize> {
        let is_known = |dir: &usize| self.known[author].contains(&self.dirs[*dir].definer);
        (0..self.dirs.len()).filter(is_known).collect()
    }

    pub(super) fn is_in_lineage(&self, above: usize, dir: usize) -> bool {
        core::iter::successors(Some(dir), |at| self.dirs[*at].parent).any(|at| at == above)
    }

    /// Learns all that somebody else knows.
    pub(super) fn hear(&mut self, author: usize, from: usize) {
        let heard = self.known[from].clone();
        self.known[author].extend(heard);
    }

    /// Learns one entry of any author, and what it refers to.
    pub(super) fn hear_one(&mut self, author: usize, pick: u8) {
        let admitted = |position: &usize| self.made[*position].refused.is_none();
        let unknown = (0..self.made.len()).filter(|at| !self.known[author].contains(at));
        let unknown: Vec<usize> = unknown.filter(admitted).collect();
        let mut open: Vec<usize> = picked(&unknown, pick).into_iter().collect();
        while let Some(position) = open.pop() {
            if self.known[author].insert(position) {
                let body = self.made[position].entry.body();
                let dir = self.dir_position(&body.dir).map(|dir| self.dirs[dir].definer);
                open.extend(references(body).iter().filter_map(|id| self.position(id)));
                open.extend(dir);
            }
        }
    }

    /// Takes in an entry that an author made; gives its position.
    pub(super) fn push(&mut self, author: usize, entry: VerifiedEntry) -> usize {
        if let Some(position) = self.position(&entry.id()) {
            return position;
        }
        let refused = match self.log.offer(entry.clone(), Source::Local) {
            Offered::Admitted => None,
            Offered::Rejected(rule) => Some(Rule::name(rule)),
            _ => Some("waits"),
        };
        let position = self.made.len();
        self.by_id.insert(entry.id(), position);
        if refused.is_none() {
            self.known[author].insert(position);
            self.define(position, entry.body());
        }
        self.made.push(Made { entry, author, refused });
        position
    }

    fn define(&mut self, definer: usize, body: &Body) {
        let Payload::Mkdir = body.payload else { return };
        let Some(parent) = self.dir_position(&body.dir) else { return };
        let id = child_dir(&body.dir, body.prev.first(), &body.name);
        if self.dir_position(&id).is_none() {
            let above = &self.dirs[parent];
            let path = format!("{}{}/", above.path, body.name);
            let depth = above.depth + 1;
            self.dirs.push(Dir { id, parent: Some(parent), depth, path, definer });
        }
    }
}

/// An operation without any twist.
pub(super) fn plain(author: usize, act: Act, dir: u8) -> Operation {
    Operation {
        author,
        act,
        dir,
        name: "a",
        base: Base::Tip,
        cap: Cap::Narrowest,
        chain: Chain::Next,
        flaw: None,
    }
}

/// A genesis entry.
pub(super) fn founding(author: usize, payload: Payload) -> VerifiedEntry {
    let body = Body {
        dir: DirId::from_bytes([0; 32]),
        name: "".into(),
        prev: Vec::new(),
        cap: EntryId::from_bytes([0; 32]),
        key: key(author).public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload,
    };
    body.sign(key(author)).expect("a valid genesis")
}

/// One of a list, modulo its length.
pub(super) fn picked<T: Copy>(list: &[T], pick: u8) -> Option<T> {
    list.get(usize::from(pick).checked_rem(list.len())?).copied()
}

/// The entries that an entry refers to by id, heads that a revoke keeps left out.
pub(crate) fn references(body: &Body) -> Vec<EntryId> {
    let mut ids = body.prev.clone();
    ids.push(body.cap);
    ids.extend(body.aprev);
    match &body.payload {
        Payload::Link { target } => ids.push(*target),
        Payload::Delete { moved_to } => ids.extend(moved_to),
        Payload::Grant { after, .. } => ids.extend(after),
        _ => {}
    }
    ids
}

impl World {
    fn label(&self, id: &EntryId) -> String {
        self.position(id).map_or_else(|| format!("{id:.8}"), |position| format!("#{position}"))
    }

    fn labels(&self, ids: &[EntryId]) -> String {
        ids.iter().map(|id| self.label(id)).collect::<Vec<_>>().join(" ")
    }

    fn payload(&self, payload: &Payload) -> String {
        let who = |key_: &basefs::id::PublicKey| {
            (0..=STRANGER).find(|author| key(*author).public() == *key_)
        };
        match payload {
            Payload::Link { target } => format!("link {}", self.label(target)),
            Payload::Delete { moved_to: Some(link) } => format!("move {}", self.label(link)),
            Payload::Grant { who: to, rights, after } => {
                format!("grant {:?} {rights:?} after [{}]", who(to), self.labels(after))
            }
            Payload::Revoke { who: of, keep } => {
                format!("revoke {:?} keep [{}]", who(of), self.labels(keep))
            }
            Payload::Genesis { .. } => "genesis".into(),
            other => format!("{other:?}"),
        }
    }
}

/// Every entry on a line, the others named by their numbers: for reading a log that failed.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Made { entry, author, refused }) in self.made.iter().enumerate() {
            let body = entry.body();
            let dir = self.dir_position(&body.dir).map_or("?", |dir| &self.dirs[dir].path);
            writeln!(
                f,
                "#{position} {:.8} author {author} {dir}{} prev [{}] cap {} seq {} on {}: {}{}",
                entry.id(),
                body.name,
                self.labels(&body.prev),
                self.label(&body.cap),
                body.seq,
                body.aprev.map_or_else(|| "nothing".into(), |id| self.label(&id)),
                self.payload(&body.payload),
                refused.map(|rule| format!(" ({rule})")).unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}
