//! Who has it: a node says so of itself only when it is true, and is asked until it does.

use std::collections::BTreeSet;

use basefs::id::{EntryId, LinkId, NodeId};
use basefs::node::{Frame, Input, MAX_AWAITED_IDS, MAX_AWAITS, NodeEvent, PeerFault, Standing};
use bytes::Bytes;

use super::world::World;

fn node(machine: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(machine).unwrap(); 32])
}

/// A machine writes a small file and makes it durable; gives the heads of all chains then.
fn write(world: &mut World, at: usize, name: &str) -> Vec<EntryId> {
    world.machines[at].write(at, name, &Bytes::from_static(b"content"));
    world.machines[at].commit();
    world.machines[at].node.replica().log().frontier().heads().to_vec()
}

fn ask(world: &mut World, at: usize, token: u64, heads: &[EntryId]) {
    world.input(at, Input::AwaitReplicated { token, heads: heads.to_vec() });
}

/// Who told a machine that it has what it was asked for, each once.
fn told(world: &World, at: usize, asked: u64) -> BTreeSet<NodeId> {
    let mut told = BTreeSet::new();
    for event in &world.machines[at].events {
        if let NodeEvent::Replicated { peer, token, .. } = event
            && *token == asked
        {
            assert!(told.insert(*peer), "{peer:?} was counted twice");
        }
    }
    told
}

#[test]
fn a_peer_tells_when_it_has_it_on_its_disk_and_not_before() {
    let mut world = World::new(2, 1);
    world.connect(0, 1);
    world.run();
    world.machines[1].is_stuck = true;
    let heads = write(&mut world, 0, "file");
    ask(&mut world, 0, 7, &heads);
    world.run();
    assert_eq!(world.machines[1].ids(), world.machines[0].ids(), "it is there in memory");
    // Asked before it came, and after.
    ask(&mut world, 0, 8, &heads);
    world.run();
    assert_eq!((told(&world, 0, 7), told(&world, 0, 8)), (BTreeSet::new(), BTreeSet::new()));
    world.machines[1].is_stuck = false;
    world.run();
    assert_eq!((told(&world, 0, 7), told(&world, 0, 8)), ([node(1)].into(), [node(1)].into()));
    assert!(world.machines.iter().all(|machine| machine.faults.is_empty()));
}

#[test]
fn who_comes_later_is_asked_then_and_who_told_is_not_asked_again() {
    for seed in 0..30 {
        let mut world = World::new(4, seed);
        world.connect(0, 1);
        world.run();
        let heads = write(&mut world, 0, "file");
        ask(&mut world, 0, 1, &heads);
        world.run();
        assert_eq!(told(&world, 0, 1), [node(1)].into());
        // The third comes, is lost at any point, and comes again, by way of another machine.
        let link = world.connect(2, 0);
        for _ in 0..world.rng.below(200) {
            world.step();
        }
        world.disconnect(link);
        world.disconnect_all();
        world.connect(1, 3);
        world.run();
        world.connect(0, 1);
        world.connect(3, 0);
        world.connect(0, 2);
        world.run();
        assert_eq!(told(&world, 0, 1), [node(1), node(2), node(3)].into(), "seed {seed}");
    }
}

#[test]
fn a_peer_that_crashes_is_asked_again_and_has_to_have_it_again() {
    for seed in 0..60 {
        let mut world = World::new(2, seed);
        world.connect(0, 1);
        world.run();
        world.machines[1].is_stuck = true;
        let heads = write(&mut world, 0, "file");
        ask(&mut world, 0, 1, &heads);
        for _ in 0..world.rng.below(100) {
            world.step();
        }
        world.crash(1);
        assert_eq!(told(&world, 0, 1), BTreeSet::new(), "seed {seed}: it never was durable");
        world.connect(1, 0);
        world.run();
        assert_eq!(told(&world, 0, 1), [node(1)].into(), "seed {seed}");
        assert_eq!(world.machines[1].disk.entries.len(), 2, "seed {seed}");
    }
}

#[test]
fn nothing_is_also_something() {
    let mut world = World::new(2, 1);
    world.connect(0, 1);
    ask(&mut world, 0, 1, &[]);
    world.run();
    assert_eq!(told(&world, 0, 1), [node(1)].into(), "the genesis is there");
}

#[test]
fn many_questions_about_many_entries_are_all_answered() {
    let mut world = World::new(2, 1);
    world.connect(0, 1);
    for at in 0..500 {
        write(&mut world, 0, &format!("file-{at}"));
    }
    let ids: Vec<EntryId> = world.machines[0].ids().into_iter().collect();
    for token in 0..200 {
        ask(&mut world, 0, token, &ids);
    }
    world.run();
    for token in 0..200 {
        assert_eq!(told(&world, 0, token), [node(1)].into(), "question {token}");
    }
    assert!(world.machines.iter().all(|machine| machine.faults.is_empty()));
}

#[test]
fn who_is_not_interested_any_more_hears_nothing() {
    let mut world = World::new(2, 1);
    world.connect(0, 1);
    world.run();
    world.machines[1].is_stuck = true;
    let heads = write(&mut world, 0, "file");
    for token in 0..3 * u64::try_from(MAX_AWAITS).unwrap() {
        ask(&mut world, 0, token, &heads);
        world.run();
        world.input(0, Input::ForgetReplicated { token });
    }
    ask(&mut world, 0, 1_000, &heads);
    world.run();
    world.machines[1].is_stuck = false;
    world.run();
    assert_eq!(told(&world, 0, 1_000), [node(1)].into());
    assert_eq!(told(&world, 0, 5), BTreeSet::new());
    assert!(world.machines[1].faults.is_empty(), "forgotten questions do not count");
}

/// A stranger that passed the hello, on a link to the first of two machines.
fn stranger() -> (World, LinkId) {
    let mut world = World::new(1, 1);
    let link = world.connect_stranger(0, false);
    (world, link)
}

#[test]
fn an_answer_names_the_question() {
    let (mut world, link) = stranger();
    let heads = write(&mut world, 0, "file");
    let unknown = EntryId::from_bytes([9; 32]);
    world.hear(0, link, &Frame::Await { token: 1, heads: vec![heads[0], unknown] });
    world.hear(0, link, &Frame::Await { token: 2, heads });
    let said = world.said(0, link);
    assert!(said.contains(&Frame::Reached { token: 2 }), "{said:?}");
    assert!(!said.contains(&Frame::Reached { token: 1 }), "{said:?}");
}

#[test]
fn who_asks_too_much_or_answers_what_was_not_asked_is_hung_up_on() {
    let unknown = |at: usize| EntryId::from_bytes([u8::try_from(at % 256).unwrap(); 32]);
    let (mut world, link) = stranger();
    for token in 0..=u64::try_from(MAX_AWAITS).unwrap() {
        world.hear(0, link, &Frame::Await { token, heads: vec![unknown(9)] });
    }
    assert_eq!(world.machines[0].faults, [PeerFault::TooManyQuestions]);

    let (mut world, link) = stranger();
    for token in 0..=u64::try_from(MAX_AWAITED_IDS / 256).unwrap() {
        let heads = (0..256).map(unknown).collect();
        world.hear(0, link, &Frame::Await { token, heads });
    }
    assert_eq!(world.machines[0].faults, [PeerFault::TooManyQuestions]);

    let (mut world, link) = stranger();
    world.hear(0, link, &Frame::Reached { token: 0 });
    assert_eq!(world.machines[0].faults, [PeerFault::OutOfPlace]);
}

#[test]
fn sessions_say_how_far_a_peer_is() {
    let mut world = World::new(2, 1);
    assert_eq!(world.machines[0].node.standing(&node(1)).0, Standing::Unknown);
    write(&mut world, 1, "file");
    world.connect(0, 1);
    world.run();
    for (at, other) in [(0, 1), (1, 0)] {
        let (standing, since) = world.machines[at].node.standing(&node(other));
        assert_eq!((standing, since), (Standing::Equal, world.now));
        assert_eq!(world.machines[at].node.standings().count(), 1);
    }
}
