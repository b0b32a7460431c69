//! What networks and machines do to a group, and that it gets over it.

use std::time::Duration;

use crate::engine::hosts::{Options, World};
use crate::engine::packets::{Loss, Way};
use crate::spread::group;

const SECOND: Duration = Duration::from_secs(1);

fn small(seed: u64) -> World {
    group(Options { hosts: 6, writers: 6, seed, ..Options::default() })
}

/// Nobody may have called an honest host a liar.
fn assert_no_faults(world: &World) {
    for (at, host) in world.hosts.iter().enumerate() {
        assert_eq!(host.faults, [], "seed {}, host {at}", world.options.seed);
    }
}

/// Every host that is up has everything, within so long, and holds no other to blame.
fn assert_recovers(world: &mut World, bound: Duration) -> Duration {
    let began = world.now();
    world.assert_equal_within(bound);
    assert_no_faults(world);
    Duration::from_micros(world.now() - began)
}

/// A partition of so many minutes with writes on both sides.
fn partition(minutes: u8) {
    let mut world = small(11);
    world.packets.partition(|host| host < 3);
    for minute in 0..minutes {
        let (here, there) = (usize::from(minute) % 3, 3 + usize::from(minute) % 3);
        world.write(here, "both", &[minute, 0]);
        world.write(there, "both", &[minute, 1]);
        world.write(here, &format!("here {minute}"), &[minute; 2_000]);
        world.run_for(60 * SECOND);
    }
    assert!(!world.explain_differences().is_empty(), "a partition keeps them apart");
    world.packets.heal();
    let took = assert_recovers(&mut world, 180 * SECOND);
    println!("equal {took:?} after {minutes} minutes of partition");
}

#[test]
fn both_sides_of_a_partition_write_and_both_have_all_afterwards() {
    partition(8);
}

#[test]
#[ignore = "takes longer"]
fn a_partition_may_last_for_an_hour() {
    partition(60);
}

#[test]
fn a_way_that_is_open_in_one_direction_only_stops_nobody() {
    let mut world = small(12);
    world.packets.cut(0, 1);
    let id = world.write(0, "file", b"goes round");
    assert!(world.run_until(20 * SECOND, |world| world.last(id).is_some()));
    world.packets.heal();
    assert_recovers(&mut world, 60 * SECOND);
}

#[test]
fn a_host_that_was_alone_catches_up() {
    let mut world = small(13);
    world.packets.isolate(5);
    for number in 0..20_u8 {
        world.write(usize::from(number % 5), &format!("file {number}"), &[number; 500]);
        world.run_for(10 * SECOND);
    }
    world.write(5, "file 0", b"of the lonely one");
    world.packets.heal();
    assert_recovers(&mut world, 120 * SECOND);
}

#[test]
fn hosts_that_crash_lose_nothing_that_was_durable() {
    let mut world = small(14);
    for round in 0..12_u8 {
        let victim = usize::from(round) % 6;
        let id = world.write(victim, &format!("of {victim}"), &[round; 900]);
        // Half of the time it crashes before its commit.
        world.run_for(Duration::from_micros(if round % 2 == 0 { 100 } else { 2_000_000 }));
        world.crash(victim);
        world.run_for(5 * SECOND);
        let others = (0..6).filter(|host| *host != victim);
        let had = others.filter(|host| world.had(id, *host).is_some()).count();
        assert_eq!(had, if round % 2 == 0 { 0 } else { 5 }, "what left the host was durable");
        world.restart(victim);
        world.run_for(10 * SECOND);
    }
    assert_recovers(&mut world, 120 * SECOND);
}

#[test]
fn hostile_hosts_harm_nobody_else() {
    let mut world = small(15);
    world.hosts[5].garbles = 200;
    world.hosts[5].replays = 500;
    let mut written = Vec::new();
    for number in 0..30_u8 {
        written.push(world.write(
            usize::from(number % 5),
            &format!("file {number}"),
            &[number; 700],
        ));
        world.run_for(2 * SECOND);
    }
    let honest =
        |world: &World| written.iter().all(|id| (0..5).all(|host| world.had(*id, host).is_some()));
    assert!(world.run_until(60 * SECOND, honest), "{:#?}", world.explain_differences());
    let caught = world.hosts[..5].iter().map(|host| host.faults.len()).sum::<usize>();
    assert!(caught > 0, "it was not hostile enough to be noticed");
    assert_eq!(world.hosts[5].faults, [], "it was told nothing but the truth");
    (world.hosts[5].garbles, world.hosts[5].replays) = (0, 0);
    world.run_for(60 * SECOND);
    world.assert_equal_within(120 * SECOND);
}

#[test]
fn clocks_may_run_apart_and_hosts_may_be_slow() {
    let mut world = small(16);
    world.hosts[1].skew_ppm = 20_000;
    world.hosts[2].skew_ppm = -20_000;
    world.hosts[3].slow = 300_000;
    for number in 0..10_u8 {
        world.write(usize::from(number % 6), &format!("file {number}"), &[number; 400]);
        world.run_for(10 * SECOND);
    }
    assert_recovers(&mut world, 120 * SECOND);
}

#[test]
fn bursts_of_loss_doubles_and_disorder_are_survived() {
    let mut world = small(17);
    world.packets.set_way(Way {
        deviation: 0.5,
        loss: Loss::GilbertElliott { to_bad: 0.02, to_good: 0.1, good: 0.01, bad: 0.8 },
        duplicates: 0.1,
        reorder: 0.1,
        ..Way::default()
    });
    for number in 0..10_u8 {
        world.write(usize::from(number % 6), &format!("file {number}"), &[number; 3_000]);
        world.run_for(5 * SECOND);
    }
    assert_recovers(&mut world, 120 * SECOND);
}
