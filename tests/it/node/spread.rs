//! News: pushed on along the links, with small contents, once to everybody.

use std::time::Duration;

use super::world::{World, random_bytes};

#[test]
fn news_reaches_the_end_of_a_line_with_its_content_and_without_a_session() {
    for seed in 0..20 {
        let mut world = World::new(5, seed);
        for at in 0..4 {
            world.connect(at, at + 1);
        }
        world.run();
        let sessions = world.machines[4].equal_sessions();
        let bytes = random_bytes(seed, 5_000);
        world.machines[0].write_blocks(0, "news", &bytes);
        world.machines[0].commit();
        world.run();
        world.assert_converged(&format!("seed {seed}"));
        assert_eq!(world.machines[4].equal_sessions(), sessions, "nothing was left to compare");
        assert!(!world.frames.contains_key(&4), "nobody had to ask for the content");
    }
}

#[test]
fn what_a_push_lost_is_pulled_or_found_by_a_session() {
    for seed in 0..20 {
        let mut world = World::new(4, seed);
        world.loses_pushes = true;
        for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
            world.connect(a, b);
        }
        world.run();
        for at in 0..10 {
            world.machines[at % 4].write(
                at % 4,
                &format!("file-{at}"),
                &random_bytes(at as u64, 9),
            );
            world.machines[at % 4].commit();
            world.run_for(Duration::from_millis(300));
        }
        world.run_for(Duration::from_secs(30));
        world.assert_converged(&format!("seed {seed}"));
    }
}

#[test]
fn a_newcomer_whom_everybody_greets_is_sent_everything_about_once() {
    let mut world = World::new(8, 3);
    for at in 0..2_000 {
        world.machines[0].write(0, &format!("file-{at}"), &random_bytes(at, 20));
    }
    world.machines[0].commit();
    for at in 1..7 {
        world.connect(0, at);
        world.run();
    }
    let before = world.frames[&2];
    for at in 0..7 {
        world.connect(at, 7);
    }
    world.run();
    world.assert_converged("everybody");
    let frames = world.frames[&2] - before;
    println!("{frames} frames of entries, where 16 are needed");
    assert!(frames <= 32, "{frames} frames");
}
