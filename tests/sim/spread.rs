//! What is written gets everywhere.

use std::time::Duration;

use crate::engine::hosts::{Options, World};
use crate::engine::packets::{Loss, Way};

/// A group that has found itself.
pub(crate) fn group(options: Options) -> World {
    let mut world = World::new(options);
    let pairs = options.hosts * (options.hosts - 1) / 2;
    let is_meshed = |world: &World| world.links() == pairs;
    assert!(world.run_until(Duration::from_secs(30), is_meshed), "{} links", world.links());
    world.run_for(Duration::from_secs(20));
    world
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = group(Options { hosts: 6, writers: 6, seed, ..Options::default() });
        world.write(0, "file", b"content");
        world.run_for(Duration::from_secs(30));
        assert!(world.all_have_all());
        world.hash()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

fn spread(loss: f64, size: usize, seed: u64) -> (u64, u64) {
    let mut world = group(Options { seed, ..Options::default() });
    world.packets.set_way(Way { loss: Loss::Independent(loss), ..Way::default() });
    world.run_for(Duration::from_secs(30));
    let (began, pushes) = (world.now(), world.hosts.iter().map(|host| host.pushes).sum::<u64>());
    let content: Vec<u8> = (0..size).map(|at| (at * 7 + at / 256) as u8).collect();
    let id = world.write(3, "file", &content);
    assert!(world.run_until(Duration::from_secs(60), |world| world.last(id).is_some()));
    let took = world.last(id).unwrap() - began;
    world.run_for(Duration::from_secs(2));
    let pushes = world.hosts.iter().map(|host| host.pushes).sum::<u64>() - pushes;
    (took / 1_000, pushes)
}

#[test]
fn one_write_reaches_thirty_hosts() {
    for (loss, size) in [(0.0, 100), (0.0, 5_760), (0.5, 100), (0.5, 5_760)] {
        let mut times: Vec<(u64, u64)> = (0..5).map(|seed| spread(loss, size, seed)).collect();
        times.sort_unstable();
        println!("loss {loss}, {size} bytes: {times:?} (ms, pushes)");
    }
}
