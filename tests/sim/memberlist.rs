//! The baseline does what memberlist is known to do, before anything is compared with it.

use std::time::Duration;

use crate::baseline::world::World;
use crate::baseline::{Config, Standing};
use crate::engine::packets::{Loss, Way};

const MEMBERS: usize = 30;

/// A round trip of 20 ms, and a part of the packets lost.
fn lossy(config: Config, loss: f64, seed: u64) -> World {
    let mut world = World::new(config, MEMBERS, seed);
    world.packets.set_way(Way { loss: Loss::Independent(loss), ..Way::default() });
    world
}

/// One event among 30 members: the median, over seeds, of when the last had it, among those runs
/// in which all had it; and the part of all members that had it at all.
fn one_event(config: Config, loss: f64) -> (Duration, f64) {
    const SEEDS: u64 = 60;
    let mut last = Vec::new();
    let mut reached = 0;
    for seed in 1..=SEEDS {
        let mut world = lossy(config, loss, seed);
        let start = Duration::from_secs(2);
        world.run(start, usize::MAX);
        world.write(0, 1..2, 480);
        world.run(start + Duration::from_secs(10), usize::MAX);
        let times = (0..MEMBERS).filter_map(|member| world.complete(member, 1..2));
        let times: Vec<Duration> = times.map(|at| at - start).collect();
        reached += times.len() - 1;
        last.extend(times.into_iter().max());
    }
    last.sort();
    let all = (MEMBERS - 1) as f64 * SEEDS as f64;
    (last[last.len() / 2], reached as f64 / all)
}

/// Deaths of living members that others believed in, per member and hour.
fn false_deaths(config: Config, loss: f64) -> f64 {
    const MINUTES: u64 = 15;
    let mut world = lossy(config, loss, 7);
    world.run(Duration::from_secs(60 * MINUTES), usize::MAX);
    world.buried.len() as f64 / MEMBERS as f64 / (MINUTES as f64 / 60.0)
}

/// memberlist's own figure is 560 ms to the last of 30 at a round trip of 20 ms.
#[test]
fn gossip_alone_takes_half_a_second_on_a_clean_network() {
    let (last, reached) = one_event(Config::LAN.gossip_alone(), 0.0);
    println!("clean: the last of 30 after {last:?}, {reached:.3} reached");
    assert!(reached > 0.998, "eight sends each miss one of 29 in e^-8 of all cases: {reached}");
    assert!((Duration::from_millis(400)..Duration::from_millis(730)).contains(&last), "{last:?}");
}

/// Of half the packets lost: 1.2 s, and 98 % of the members.
#[test]
fn gossip_alone_misses_members_when_half_is_lost() {
    let (last, reached) = one_event(Config::LAN.gossip_alone(), 0.5);
    println!("50 %: the last after {last:?}, {reached:.3} reached");
    assert!((Duration::from_millis(840)..Duration::from_millis(1560)).contains(&last), "{last:?}");
    assert!((0.96..0.995).contains(&reached), "{reached}");
}

/// The wide-area profile gossips 2.5 times as seldom, to one member more.
#[test]
fn the_wide_area_profile_is_slower() {
    let (last, reached) = one_event(Config::WAN.gossip_alone(), 0.0);
    assert!(reached > 0.998, "eight sends each miss one of 29 in e^-8 of all cases: {reached}");
    assert!((Duration::from_millis(800)..Duration::from_millis(1300)).contains(&last), "{last:?}");
}

/// Exchanges of state and comparisons of logs bring what gossip missed.
#[test]
fn what_gossip_missed_comes_with_anti_entropy() {
    let mut world = lossy(Config::LAN, 0.5, 3);
    world.run(Duration::from_secs(2), usize::MAX);
    world.write(0, 1..13, 480);
    world.run(Duration::from_secs(300), usize::MAX);
    assert!((0..MEMBERS).all(|member| world.complete(member, 1..13).is_some()));
}

/// With Lifeguard, 46 false deaths per node and hour at half the packets lost, none at a tenth.
#[test]
fn half_the_packets_lost_kills_the_living() {
    let deaths = false_deaths(Config::LAN, 0.5);
    println!("50 %: {deaths:.1} false deaths per member and hour");
    assert!((32.0..60.0).contains(&deaths), "{deaths}");
    assert_eq!(false_deaths(Config::LAN, 0.1), 0.0);
}

/// A member that is gone is known to be within the time that suspicion takes.
#[test]
fn the_dead_are_found() {
    let mut world = lossy(Config::LAN, 0.0, 5);
    world.run(Duration::from_secs(5), usize::MAX);
    world.switch_off(9);
    world.run(Duration::from_secs(30), usize::MAX);
    let others = (0..MEMBERS).filter(|&member| member != 9);
    assert!(others.clone().all(|member| world.peer(member).standing(9) == Standing::Dead));
    assert!(world.buried.iter().all(|&(_, _, dead)| dead == 9));
}
