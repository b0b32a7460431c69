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

/// Milliseconds until a write of so many bytes is everywhere, and the pushes that took.
fn spread(world: &mut World, size: usize) -> (u64, u64) {
    let pushes = |world: &World| world.hosts.iter().map(|host| host.pushes).sum::<u64>();
    let (began, before) = (world.now(), pushes(world));
    let content: Vec<u8> = (0..size).map(|at| (at * 7 + at / 256) as u8).collect();
    let id = world.write(3, "file", &content);
    let seed = world.options.seed;
    let is_everywhere = world.run_until(Duration::from_secs(60), |world| world.last(id).is_some());
    assert!(is_everywhere, "seed {seed}: {:#?}", world.explain_differences());
    let took = world.last(id).unwrap() - began;
    world.run_for(Duration::from_secs(2));
    (took / 1_000, pushes(world) - before)
}

/// The same for small and larger writes, without and with losses.
fn spread_all(seed: u64) -> [(u64, u64); 4] {
    let mut world = group(Options { seed, ..Options::default() });
    let clean = [100, 5_760].map(|size| spread(&mut world, size));
    world.packets.set_way(Way { loss: Loss::Independent(0.5), ..Way::default() });
    world.run_for(Duration::from_secs(30));
    let lossy = [100, 5_760].map(|size| spread(&mut world, size));
    println!("seed {seed}: ms and pushes: clean {clean:?}, half lost {lossy:?}");
    [clean[0], clean[1], lossy[0], lossy[1]]
}

#[test]
fn one_write_reaches_thirty_hosts() {
    let [small, blocks, lossy, lossy_blocks] = spread_all(0);
    assert!(small.0 <= 100 && small.1 <= 5 * 30, "{small:?}");
    assert!(blocks.0 <= 500, "{blocks:?}");
    assert!(lossy.0 <= 1_000 && lossy_blocks.0 <= 3_000, "{lossy:?} {lossy_blocks:?}");
}

#[test]
#[ignore = "measures"]
fn one_write_reaches_thirty_hosts_of_many_seeds() {
    for seed in 0..10 {
        spread_all(seed);
    }
}
