//! Entries: whatever happens, who is connected ends up with the same.

use std::time::Duration;

use basefs::entry::SignedEntry;
use basefs::node::{Restore, RestoreError};
use bytes::Bytes;

use super::world::{World, genesis, random_bytes};

/// A machine writes a few things, some of them over what it sees of others.
fn scribble(world: &mut World, at: usize, entries: usize) {
    for _ in 0..entries {
        let name = format!("file-{}", world.rng.below(20));
        let length = [0, 10, 300, 320, 400, 5_000][world.rng.below(6)];
        let bytes = random_bytes(world.rng.next(), length);
        world.machines[at].write(at, &name, &bytes);
        if world.rng.below(3) == 0 {
            world.machines[at].commit();
        }
    }
    world.machines[at].commit();
}

#[test]
fn two_nodes_converge_from_any_pair_of_logs() {
    for seed in 0..60 {
        let mut world = World::new(2, seed);
        let counts = [world.rng.below(60), world.rng.below(60)];
        scribble(&mut world, 0, counts[0]);
        scribble(&mut world, 1, counts[1]);
        world.connect(0, 1);
        world.run();
        world.assert_converged(&format!("seed {seed}"));
    }
}

#[test]
fn what_is_written_while_connected_arrives_without_waiting() {
    for seed in 0..30 {
        let mut world = World::new(3, seed);
        // In a line; the middle one was dialled by one and dials the other.
        world.connect(0, 1);
        world.connect(1, 2);
        for _ in 0..20 {
            let at = world.rng.below(3);
            scribble(&mut world, at, 2);
            for _ in 0..world.rng.below(60) {
                world.step();
            }
        }
        world.run();
        world.assert_converged(&format!("seed {seed}"));
        assert_eq!(world.now.as_micros(), 1, "no timer was needed");
    }
}

#[test]
fn crashes_and_lost_connections_at_any_point_lose_nothing_that_was_durable() {
    for seed in 0..60 {
        let mut world = World::new(3, seed);
        for _ in 0..12 {
            world.connect(0, 1);
            world.connect(2, 1);
            let at = world.rng.below(3);
            scribble(&mut world, at, 5);
            for _ in 0..world.rng.below(400) {
                world.step();
            }
            if world.rng.below(2) == 0 {
                let at = world.rng.below(3);
                world.crash(at);
            }
            world.disconnect_all();
        }
        world.connect(0, 1);
        world.connect(2, 1);
        world.run_for(Duration::from_secs(60));
        world.assert_converged(&format!("seed {seed}"));
    }
}

#[test]
fn nothing_leaves_a_node_before_it_is_durable() {
    let mut world = World::new(2, 1);
    world.connect(0, 1);
    world.run();
    for at in 0..10 {
        world.machines[0].write(0, &format!("file-{at}"), &Bytes::from_static(b"not yet"));
    }
    let _taken_and_not_stored = world.machines[0].node.take_effects();
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.machines[1].ids().len(), 1, "only the genesis");
    assert!(world.machines[0].equal_sessions() > 3, "they do talk");
}

#[test]
fn a_node_waits_with_the_end_of_a_session_until_its_disk_is_done() {
    let mut world = World::new(2, 1);
    scribble(&mut world, 0, 10);
    world.machines[1].is_stuck = true;
    world.connect(0, 1);
    world.run();
    assert_eq!(world.machines[0].equal_sessions(), 0);
    assert_eq!(world.machines[1].ids(), world.machines[0].ids(), "they are in memory");
    world.machines[1].is_stuck = false;
    world.run();
    assert_eq!(world.machines[0].equal_sessions(), 1);
    world.assert_converged("after the disk");
}

#[test]
fn equal_nodes_find_that_out_for_less_than_a_kilobyte() {
    let mut world = World::new(2, 3);
    scribble(&mut world, 0, 500);
    let link = world.connect(0, 1);
    world.run();
    world.assert_converged("first");
    world.disconnect(link);
    world.bytes = 0;
    world.connect(0, 1);
    world.run();
    assert_eq!(world.machines[0].equal_sessions(), 2);
    println!("equal nodes with 501 entries: {} bytes in all", world.bytes);
    assert!(world.bytes <= 1_000, "{} bytes", world.bytes);
}

#[test]
fn nodes_compare_every_now_and_then_without_any_reason() {
    let mut world = World::new(2, 3);
    world.connect(0, 1);
    world.run();
    assert_eq!(world.machines[0].equal_sessions(), 1);
    world.run_for(Duration::from_secs(200));
    let sessions = world.machines[0].equal_sessions() - 1;
    assert!((8..=13).contains(&sessions), "{sessions} sessions in 200 seconds");
}

#[test]
fn a_node_whose_disk_does_not_keep_up_is_not_flooded() {
    let mut world = World::new(2, 5);
    for at in 0..12_000 {
        world.machines[0].write(0, &format!("file-{at}"), &Bytes::from_static(b"x"));
    }
    world.machines[0].commit();
    world.machines[1].is_stuck = true;
    world.connect(0, 1);
    world.run();
    let received = world.machines[1].ids().len();
    println!("{received} of 12,001 entries were taken in by a node that stores nothing");
    assert!((8_192..10_000).contains(&received), "{received}");
    world.machines[1].is_stuck = false;
    world.run();
    world.assert_converged("in the end");
    let frames = world.frames[&2];
    assert_eq!(frames, 12_000_usize.div_ceil(128), "frames are full");
}

#[test]
fn facts_about_entries_that_are_not_there_are_no_facts() {
    let genesis = genesis();
    let restore = |cut: &[usize]| {
        let mut restore = Restore::new(genesis.id(), 1);
        restore.entry(SignedEntry::decode(genesis.bytes()).unwrap()).unwrap();
        restore.finish(&[], &cut.iter().copied().collect(), &[])
    };
    assert!(restore(&[]).is_ok());
    assert_eq!(restore(&[7]).err(), Some(RestoreError::Dangling), "there is one entry");
    assert_eq!(restore(&[0]).err(), Some(RestoreError::Dangling), "a genesis is never cut");
}
