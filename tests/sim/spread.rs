//! What is written gets everywhere.

use std::time::Duration;

use crate::engine::hosts::{Options, World};

fn mesh(options: Options) -> World {
    let mut world = World::new(Options { membership: false, ..options });
    for from in 0..options.hosts {
        for to in from + 1..options.hosts {
            world.connect(from, to);
        }
    }
    world.run_for(Duration::from_secs(5));
    let pairs = options.hosts * (options.hosts - 1) / 2;
    assert_eq!(world.links(), pairs);
    world
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = mesh(Options { hosts: 6, writers: 6, seed, ..Options::default() });
        world.write(0, "file", b"content");
        world.run_for(Duration::from_secs(30));
        assert!(world.all_have_all());
        world.hash()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
