//! A hundred thousand entries in every shape that could be deep, on a small stack, with work in
//! proportion to their number.

use std::thread;

use basefs::entry::{Payload, Rights, VerifiedEntry};
use basefs::id::{EntryId, PublicKey};
use basefs::log::DirNo;

use super::{Chain, Work, World, key};

/// Entries of the larger of two runs; and how many times those of the smaller one.
const MANY: usize = 100_000;
const TIMES: usize = 8;
/// Deep recursion over so many entries would need many times this.
const STACK: usize = 256 << 10;
/// As many of one author as may wait for what they refer to.
const WAITING: usize = 1_000;

/// Runs something on a small stack.
fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

/// Runs something with few entries and with many, on a small stack: the work grows no more than
/// their number.
fn assert_linear(run: fn(usize) -> Work) {
    on_small_stack(move || {
        let (few, many) = (run(MANY / TIMES), run(MANY));
        let pairs = [
            (few.flags, many.flags),
            (few.compared, many.compared),
            (few.decisions, many.decisions),
            (few.examined, many.examined),
        ];
        for (few, many) in pairs {
            // A tenth for what does not depend on the number.
            assert!(many <= few * TIMES as u64 * 11 / 10, "{few} became {many}");
        }
    });
}

/// Versions of one file, each on top of the one before: a chain and a slot in one.
fn versions(world: &mut World, count: usize) -> Vec<VerifiedEntry> {
    let mut last: Vec<EntryId> = Vec::new();
    let root = world.root;
    let entries = (0..count).map(|_| {
        let entry = world.owner.write(root, "file", std::mem::take(&mut last));
        last = vec![entry.id()];
        entry
    });
    entries.collect()
}

/// A directory made, and moved from `move0` to `move1` and so on.
pub(super) fn moves(world: &mut World, count: usize) -> Vec<VerifiedEntry> {
    let root = world.root;
    let mut here = world.owner.sign(root, "move0", Vec::new(), Payload::Mkdir);
    let mut entries = vec![here.clone()];
    for step in 1..=count {
        let payload = Payload::Link { target: here.id() };
        let link = world.owner.sign(root, &format!("move{step}"), Vec::new(), payload);
        let payload = Payload::Delete { moved_to: Some(link.id()) };
        let name = format!("move{}", step - 1);
        let delete = world.owner.sign(root, &name, vec![here.id()], payload);
        entries.extend([link.clone(), delete]);
        here = link;
    }
    entries
}

#[test]
fn a_chain_of_versions_in_any_order() {
    on_small_stack(|| {
        let mut world = World::new();
        let entries = versions(&mut world, MANY);
        let last = entries.last().map(VerifiedEntry::id);
        let half = world.offer_all(entries[..MANY / 2].iter().cloned());
        let other = world.offer_all(entries[MANY / 2..].iter().cloned());
        assert_eq!((half.flags, half.examined, other), (MANY as u64 / 2, 0, half));
        assert_eq!(world.winner("file"), last);
        world.check_reload();

        let mut reverse = World::new();
        for part in entries.chunks(WAITING) {
            for entry in part.iter().rev() {
                reverse.offer(entry.clone());
            }
        }
        assert_eq!(reverse.winner("file"), last);
        assert_eq!(reverse.work(), world.work());

        let (log, authority) = (world.replica.log(), world.replica.authority());
        assert_eq!(world.replica.view().versions(log, authority, world.slot("file")).len(), MANY);
    });
}

#[test]
fn concurrent_versions_and_their_revoke() {
    fn run(count: usize) -> Work {
        let mut world = World::new();
        let root = world.root;
        let grant = world.owner.grant(root, key(2).public(), Rights::Write);
        let mut guest = Chain::new(key(2), grant.id());
        world.offer(grant);
        let siblings = (0..count).map(|_| guest.write(root, "file", Vec::new()));
        let siblings: Vec<_> = siblings.collect();
        world.offer_all(siblings);
        assert!(world.winner("file").is_some());
        let revoke = world.owner.revoke(root, key(2).public(), Vec::new());
        world.offer(revoke);
        assert_eq!(world.winner("file"), None);
        world.check_reload();
        world.work()
    }
    assert_linear(run);
}

#[test]
fn a_ladder_of_merges() {
    /// Two branches, each step of which has seen the other's.
    fn run(count: usize) -> Work {
        let mut world = World::new();
        let root = world.root;
        let mut tips: [Vec<EntryId>; 2] = [Vec::new(), Vec::new()];
        let mut entries = Vec::new();
        for step in 0..count {
            let (own, other) = (step % 2, 1 - step % 2);
            let prev = [&tips[own][..], &tips[other][..]].concat();
            let entry = world.owner.write(root, "file", prev);
            tips[own] = vec![entry.id()];
            entries.push(entry);
        }
        let last = entries.last().map(VerifiedEntry::id);
        world.offer_all(entries);
        assert_eq!(world.winner("file"), last);
        world.check_reload();
        world.work()
    }
    assert_linear(run);
}

#[test]
fn grants_wide_and_deep() {
    /// Grants to two keys, one of which is then revoked; and delegations as deep as they go.
    fn run(count: usize) -> Work {
        let mut world = World::new();
        let root = world.root;
        let keys = [PublicKey::from_bytes([8; 32]), PublicKey::from_bytes([9; 32])];
        let grants = (0..count).map(|grant| world.owner.grant(root, keys[grant % 2], Rights::All));
        let grants: Vec<_> = grants.collect();
        world.offer_all(grants);
        let mut author = Chain::new(key(1), world.owner.cap);
        for depth in 0..16u8 {
            let grant = author.grant(root, key(20 + depth).public(), Rights::All);
            author = Chain::new(key(20 + depth), grant.id());
            world.offer(grant);
        }
        let entries: Vec<_> =
            (0..count / 100).map(|n| author.write(root, &format!("deep{n}"), Vec::new())).collect();
        world.offer_all(entries);
        let revokes = [keys[0], key(20).public()];
        let revokes = revokes.map(|who| world.owner.revoke(root, who, Vec::new()));
        world.offer_all(revokes);
        assert_eq!(world.winner("deep0"), None);
        world.check_reload();
        world.work()
    }
    assert_linear(run);
}

#[test]
fn links_to_links() {
    on_small_stack(|| {
        let mut world = World::new();
        let root = world.root;
        let mut last = world.owner.write(root, "link0", Vec::new());
        let first = last.id();
        let mut entries = vec![last.clone()];
        for step in 1..MANY {
            let payload = Payload::Link { target: last.id() };
            last = world.owner.sign(root, &format!("link{step}"), Vec::new(), payload);
            entries.push(last.clone());
        }
        let work = world.offer_all(entries);
        assert_eq!((work.flags, work.examined), (MANY as u64, 0));
        let log = world.replica.log();
        let last = log.number(&last.id()).unwrap();
        assert_eq!(log.id(log.origin(last)), first);
        world.check_reload();
    });
}

// rule: TREE-2
#[test]
fn a_directory_moved_very_often() {
    on_small_stack(|| {
        let mut world = World::new();
        let moves = moves(&mut world, MANY / 2);
        let work = world.offer_all(moves);
        assert_eq!((work.flags, work.examined), (MANY as u64 + 1, 0));
        let (log, view) = (world.replica.log(), world.replica.view());
        let dir = DirNo::from_index(log.dirs() - 1).unwrap();
        let mut looked_at = 0;
        let place = view.locate(log, world.replica.authority(), dir, &mut looked_at);
        assert_eq!(place, Some(world.slot(&format!("move{}", MANY / 2))));
        assert_eq!(looked_at, MANY / 2 + 1);
        world.check_reload();
    });
}
