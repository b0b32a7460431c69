//! Each kind of event costs what it affects, beside much that it does not.

use basefs::entry::{FileData, Payload, Rights};
use basefs::id::{BlockId, Content, EntryId};
use basefs::log::{Offered, Source};
use basefs::node::Effects;

use super::{Chain, Work, World, key};

const OTHERS: usize = 500;

/// A world with a guest who may write, many files of the owner, and one file of many versions.
fn busy() -> (World, Chain) {
    let mut world = World::new();
    let root = world.root;
    let grant = world.owner.grant(root, key(2).public(), Rights::Write);
    let guest = Chain::new(key(2), grant.id());
    world.offer(grant);
    for file in 0..OTHERS {
        let entry = world.owner.write(root, &format!("other{file}"), Vec::new());
        world.offer(entry);
    }
    let mut last: Vec<EntryId> = Vec::new();
    for _ in 0..OTHERS {
        let entry = world.owner.write(root, "deep", last);
        last = vec![entry.id()];
        world.offer(entry);
    }
    (world, guest)
}

const ONE_FLAG: Work = Work { flags: 1, compared: 0, decisions: 0, examined: 0 };

// rule: FORK-5
#[test]
fn an_append_looks_at_no_other_entry() {
    let (mut world, _) = busy();
    let last = world.winner("deep").unwrap();
    let entry = world.owner.write(world.root, "deep", vec![last]);
    let id = entry.id();
    assert_eq!(world.offer(entry), ONE_FLAG);
    assert_eq!(world.winner("deep"), Some(id));
    assert_eq!(world.work().decisions, 0, "and none of those before did either");
}

#[test]
fn a_side_branch_costs_the_entries_of_its_slot() {
    let (mut world, mut guest) = busy();
    let branch = guest.write(world.root, "other7", Vec::new());
    let expected = Work { flags: 1, compared: 0, decisions: 1, examined: 2 };
    assert_eq!(world.offer(branch), expected);
    let branch = guest.write(world.root, "deep", Vec::new());
    let expected = Work { examined: OTHERS as u64 + 1, ..expected };
    assert_eq!(world.offer(branch), expected);
}

#[test]
fn a_batch_decides_each_slot_once() {
    let (mut world, mut guest) = busy();
    let root = world.root;
    let branches: Vec<_> = (0..30).map(|_| guest.write(root, "other7", Vec::new())).collect();
    let expected = Work { flags: 30, compared: 0, decisions: 1, examined: 31 };
    assert_eq!(world.offer_all(branches), expected);
}

#[test]
fn a_grant_costs_the_revokes_of_its_key() {
    let (mut world, _) = busy();
    let root = world.root;
    let revoke = |world: &mut World, seed, times| {
        for _ in 0..times {
            let revoke = world.owner.revoke(root, key(seed).public(), Vec::new());
            world.offer(revoke);
        }
    };
    revoke(&mut world, 8, 20);
    revoke(&mut world, 9, 3);
    let grant = world.owner.grant(root, key(9).public(), Rights::Write);
    assert_eq!(world.offer(grant), Work { compared: 3, ..ONE_FLAG });
}

// rule: REVOKE-2
#[test]
fn a_revoke_that_outranks_nothing_costs_the_grants_of_its_key() {
    let (mut world, mut guest) = busy();
    let root = world.root;
    for file in 0..50 {
        let entry = guest.write(root, &format!("guest{file}"), Vec::new());
        world.offer(entry);
    }
    let grant = world.owner.grant(root, key(3).public(), Rights::All);
    let mut equal = Chain::new(key(3), grant.id());
    world.offer(grant);
    let revoke = equal.revoke(root, key(2).public(), Vec::new());
    assert_eq!(world.offer(revoke), Work { compared: 1, ..ONE_FLAG });
    assert!(world.winner("guest7").is_some());
}

#[test]
fn a_revoke_costs_the_entries_under_the_grants_it_hits_and_the_slots_that_change() {
    let (mut world, mut guest) = busy();
    let root = world.root;
    for version in 0..30 {
        let name = format!("guest{}", version % 3);
        let base = if version < 3 { Vec::new() } else { vec![world.winner(&name).unwrap()] };
        let entry = guest.write(root, &name, base);
        world.offer(entry);
    }
    let revoke = world.owner.revoke(root, key(2).public(), Vec::new());
    // The revoke against the one grant, as it comes and as what is in effect is selected.
    let expected = Work { flags: 31, compared: 2, decisions: 3, examined: 30 };
    assert_eq!(world.offer(revoke), expected);
    assert_eq!(world.winner("guest0"), None);
    world.check_reload();
}

// rule: REVOKE-1
#[test]
fn a_keep_head_that_arrives_costs_the_chain_below_it() {
    let (mut world, mut guest) = busy();
    let root = world.root;
    let mut chain: Vec<_> =
        (0..40).map(|file| guest.write(root, &format!("guest{file}"), Vec::new())).collect();
    let head = chain.pop().unwrap();
    world.offer_all(chain);
    // Of another chain of the same capability, which is cut as well.
    let mut second = Chain::new(key(2), guest.cap);
    world.offer_all((0..60).map(|file| second.write(root, &format!("second{file}"), Vec::new())));
    let revoke = world.owner.revoke(root, key(2).public(), vec![head.id()]);
    world.offer(revoke);
    assert_eq!(world.winner("guest7"), None);
    let expected = Work { flags: 40, compared: 0, decisions: 39, examined: 39 };
    assert_eq!(world.offer(head), expected);
    assert!(world.winner("guest7").is_some() && world.winner("second7").is_none());
    world.check_reload();
}

#[test]
fn a_keep_head_that_no_effective_revoke_names_costs_nothing_more() {
    let (mut world, mut guest) = busy();
    let root = world.root;
    let mut chain: Vec<_> =
        (0..40).map(|file| guest.write(root, &format!("guest{file}"), Vec::new())).collect();
    let head = chain.pop().unwrap();
    world.offer_all(chain);
    let grant = world.owner.grant(root, key(3).public(), Rights::All);
    let mut equal = Chain::new(key(3), grant.id());
    world.offer(grant);
    let revoke = equal.revoke(root, key(2).public(), vec![head.id()]);
    world.offer(revoke);
    assert_eq!(world.offer(head), ONE_FLAG);
}

// rule: READY-1
#[test]
fn a_complete_content_costs_the_slots_that_have_it() {
    let (mut world, _) = busy();
    let root = world.root;
    let content = Content { root: BlockId::from_bytes([5; 32]), size: 1_000, levels: 0 };
    let payload = || Payload::Write { executable: false, data: FileData::Blocks(content) };
    let first = world.owner.sign(root, "long", Vec::new(), payload());
    let second = world.owner.sign(root, "long", vec![first.id()], payload());
    let alone = world.owner.sign(root, "alone", Vec::new(), payload());
    let ids = (second.id(), alone.id());
    world.offer_all([first, second, alone]);
    assert_eq!((world.winner("long"), world.winner("alone")), (None, None));
    let (before, mut effects) = (world.work(), Effects::default());
    world.replica.complete(&content, &mut effects);
    assert_eq!(effects.slots.len(), 2);
    assert_eq!((world.winner("long"), world.winner("alone")), (Some(ids.0), Some(ids.1)));
    // In the one that stands alone there is nothing to decide.
    let expected = Work { flags: 0, compared: 0, decisions: 1, examined: 2 };
    assert_eq!(world.since(before), expected);
}

// rule: ADMIT-3
#[test]
fn a_stranger_costs_nothing() {
    let (mut world, guest) = busy();
    let mut stranger = Chain::new(key(99), guest.cap);
    let entry = stranger.write(world.root, "deep", Vec::new());
    let before = world.work();
    let mut effects = Effects::default();
    let offered = world.replica.offer(entry, Source::Peer(1), &mut effects);
    assert!(matches!(offered, Offered::Rejected(_)) && effects.is_empty());
    assert_eq!(world.since(before), Work::default());
}

// rule: TREE-2
#[test]
fn the_place_of_a_moved_directory_costs_the_lines_it_was_moved_through() {
    let (mut world, _) = busy();
    let moves = super::depth::moves(&mut world, 10);
    world.offer_all(moves);
    let (log, view) = (world.replica.log(), world.replica.view());
    let mut looked_at = 0;
    let dir = log.dirs() - 1;
    let dir = basefs::log::DirNo::from_index(dir).unwrap();
    let place = view.locate(log, world.replica.authority(), dir, &mut looked_at);
    assert_eq!(place, Some(world.slot("move10")));
    // In each of the ten slots the deletion alone, and the link where it is now.
    assert_eq!(looked_at, 11);
}
