//! Entries made by a few authors who hear of each other now and then, taken in by others in two
//! orders: both must admit the same entries, count the same, and show the same.

use std::collections::BTreeMap;

use basefs::entry::{Body, FileData, Payload, Rights, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId};
use basefs::log::{EntryNo, SlotNo, Source, root_dir};
use basefs::node::{Effects, Replica};
use basefs::time::WallTime;
use basefs::wire::SecretKey;

const AUTHORS: usize = 3;
/// Most operations of one input: beyond that more time teaches little more.
const MAX_OPERATIONS: usize = 120;

/// What an author does next; each is one entry, or the entries of somebody else.
#[derive(Clone, Copy, Debug)]
enum Action {
    Write { large: bool },
    Mkdir,
    Delete,
    Slink,
    Link,
    Move,
    Grant,
    Revoke,
    Hear,
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    action: Action,
    author: usize,
    /// Another author: granted to, revoked, or heard.
    other: usize,
    /// In the root directory, or in the first one below it.
    below: bool,
    name: &'static str,
    /// Whether every tip is closed, or the winner alone built on.
    closes: bool,
    /// Builds on nothing, as if the author had not looked: a fork with itself.
    is_blind: bool,
}

fn operation(bytes: &[u8; 3]) -> Operation {
    let [what, who, place] = *bytes;
    let action = match what % 16 {
        0..4 => Action::Write { large: false },
        4 => Action::Write { large: true },
        5 | 6 => Action::Mkdir,
        7 | 8 => Action::Delete,
        9 => Action::Slink,
        10 => Action::Link,
        11 => Action::Move,
        12 => Action::Grant,
        13 => Action::Revoke,
        _ => Action::Hear,
    };
    Operation {
        action,
        author: usize::from(who & 0xf) % AUTHORS,
        other: usize::from(who >> 4) % AUTHORS,
        below: place & 1 == 1,
        name: ["a", "b", "c", "d"][usize::from(place >> 1) % 4],
        closes: place & 0x80 != 0,
        is_blind: place & 0x70 == 0x70,
    }
}

fn key(author: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(author).unwrap_or(u8::MAX); 32])
}

/// A content in blocks, which some replicas have and others do not.
fn content() -> Content {
    Content { root: BlockId::from_bytes([5; 32]), size: 1_000, levels: 0 }
}

/// The authors' replicas, and every entry ever made.
struct World {
    genesis: EntryId,
    replicas: Vec<Replica>,
    entries: Vec<VerifiedEntry>,
}

fn take(replica: &mut Replica, entry: &VerifiedEntry) {
    replica.offer(entry.clone(), Source::Local, &mut Effects::default());
}

fn body(author: usize, cap: EntryId, dir: DirId, name: &str, payload: Payload) -> Body {
    Body {
        dir,
        name: name.into(),
        prev: Vec::new(),
        cap,
        key: key(author).public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload,
    }
}

impl World {
    /// The first author founds the hierarchy and grants the others everything.
    fn new() -> Self {
        let zero = [0; 32];
        let payload = Payload::Genesis { roots: vec![key(0).public()], nonce: [0; 16] };
        let founding = body(0, EntryId::from_bytes(zero), DirId::from_bytes(zero), "", payload);
        let genesis = founding.sign(&key(0)).expect("a valid genesis");
        let mut replicas = vec![Replica::new(genesis.id(), 1); AUTHORS];
        replicas.iter_mut().for_each(|replica| take(replica, &genesis));
        let mut world = Self { genesis: genesis.id(), replicas, entries: vec![genesis] };
        let step = |action, author, other| Operation {
            action,
            author,
            other,
            below: false,
            name: "a",
            closes: false,
            is_blind: false,
        };
        (1..AUTHORS).for_each(|other| world.apply(&step(Action::Grant, 0, other)));
        (1..AUTHORS).for_each(|author| world.apply(&step(Action::Hear, author, 0)));
        world
    }

    fn apply(&mut self, operation: &Operation) {
        if let Action::Hear = operation.action {
            let (log, mut heard) = (self.replicas[operation.other].log().clone(), Vec::new());
            heard.extend(self.entries.iter().filter(|entry| log.number(&entry.id()).is_some()));
            let own = &mut self.replicas[operation.author];
            heard.into_iter().for_each(|entry| take(own, entry));
            return;
        }
        let replica = &self.replicas[operation.author];
        let Some(body) = self.compose(replica, operation) else { return };
        // What breaks a rule by itself is refused before it is signed.
        let Ok(entry) = body.sign(&key(operation.author)) else { return };
        take(&mut self.replicas[operation.author], &entry);
        self.entries.push(entry);
    }

    /// The entry that the author would write as far as it knows, whether or not it may.
    fn compose(&self, replica: &Replica, operation: &Operation) -> Option<Body> {
        let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
        let root = log.dir(&root_dir(&self.genesis))?;
        let first = (1..log.dirs()).find_map(basefs::log::DirNo::from_index);
        let dir = first.filter(|_| operation.below).unwrap_or(root);
        let author = key(operation.author).public();
        // The latest capability: often one that was revoked.
        let cap = log.key_no(&author).and_then(|key| authority.caps_of(key).last().copied());
        let head = cap.and_then(|cap| authority.chain_head(cap));
        let slot = log.child(dir, operation.name);
        let mut tips = slot.map(|slot| view.tips(log, authority, slot)).unwrap_or_default();
        let winner = slot.and_then(|slot| view.winner(slot)).filter(|_| !operation.is_blind);
        tips.retain(|tip| Some(*tip) != winner && operation.closes && !operation.is_blind);
        let mut prev: Vec<EntryId> = tips.into_iter().map(|no| log.id(no)).collect();
        prev.sort_unstable();
        prev.truncate(7);
        prev.splice(0..0, winner.map(|no| log.id(no)));
        let who = key(operation.other).public();
        let elsewhere = log.children(root).find_map(|(_, slot)| view.winner(slot));
        let target = elsewhere.map(|no| log.id(no));
        let payload = match operation.action {
            Action::Write { large: true } => {
                Payload::Write { executable: false, data: FileData::Blocks(content()) }
            }
            Action::Write { large: false } => {
                let data = FileData::Inline(operation.name.as_bytes().to_vec().into());
                Payload::Write { executable: operation.closes, data }
            }
            Action::Mkdir => Payload::Mkdir,
            Action::Delete => Payload::Delete { moved_to: None },
            Action::Slink => Payload::Slink { text: operation.name.into() },
            Action::Link => Payload::Link { target: target? },
            Action::Move => Payload::Delete { moved_to: target },
            Action::Grant => Payload::Grant { who, rights: Rights::All, after: Vec::new() },
            Action::Revoke => {
                let caps = log.key_no(&who).map(|key| authority.caps_of(key)).unwrap_or_default();
                let mut keep: Vec<EntryId> = caps
                    .iter()
                    .filter_map(|cap| authority.chain_head(*cap))
                    .filter(|_| operation.closes)
                    .map(|no| log.id(no))
                    .collect();
                keep.sort_unstable();
                Payload::Revoke { who, keep }
            }
            Action::Hear => return None,
        };
        let is_data = payload.action().is_data();
        let cap = cap.map_or(self.genesis, |cap| log.id(log.cap_entry(cap)));
        let name = if is_data { operation.name } else { "" };
        Some(Body {
            prev: if is_data { prev } else { Vec::new() },
            seq: head.map_or(0, |head| log.seq(head) + 1),
            aprev: head.map(|head| log.id(head)),
            ..body(operation.author, cap, log.dir_id(dir), name, payload)
        })
    }
}

/// What a replica holds and shows, by names that do not depend on the order of arrival.
type Shown = (BTreeMap<EntryId, bool>, BTreeMap<(DirId, String), Option<EntryId>>);

fn shown(replica: &Replica) -> Shown {
    let (log, view) = (replica.log(), replica.view());
    let numbers = (0..log.len()).filter_map(EntryNo::from_index);
    let entries = numbers.map(|no| (log.id(no), replica.authority().is_authorised(no))).collect();
    let winners = (0..log.slots()).filter_map(SlotNo::from_index).map(|slot| {
        let name = (log.dir_id(log.slot_dir(slot)), log.slot_name(slot).to_string());
        let winner = view.winner(slot);
        let decided = view.outcome(log, replica.authority(), slot).winner;
        assert_eq!(winner, decided, "the winner kept is not the one that the rule gives");
        (name, winner.map(|no| log.id(no)))
    });
    (entries, winners.collect())
}

/// Three bytes an operation; the first byte of all shuffles.
// rule: FORK-5
pub(crate) fn merge(bytes: &[u8]) {
    let Some((shuffle, operations)) = bytes.split_first() else { return };
    let mut world = World::new();
    for bytes in operations.as_chunks().0.iter().take(MAX_OPERATIONS) {
        world.apply(&operation(bytes));
    }
    let mut in_order = Replica::new(world.genesis, 2);
    world.entries.iter().for_each(|entry| take(&mut in_order, entry));
    in_order.complete(&content(), &mut Effects::default());

    let mut entries = world.entries;
    let middle = usize::from(*shuffle) % entries.len();
    entries.rotate_left(middle);
    entries[..middle].reverse();
    let mut shuffled = Replica::new(world.genesis, 3);
    for (position, entry) in entries.iter().rev().chain(&entries).enumerate() {
        take(&mut shuffled, entry);
        if position % 8 == usize::from(*shuffle) % 8 {
            shuffled.complete(&content(), &mut Effects::default());
        }
    }
    shuffled.complete(&content(), &mut Effects::default());
    assert_eq!(shown(&in_order), shown(&shuffled));
}
