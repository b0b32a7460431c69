//! Hours of everything at once, then quiet, and all must be equal.
//!
//! `BASEFS_SEEDS` gives the seeds, one (`7`) or a range (`0..100`); `BASEFS_SOAK_HOURS` gives the
//! simulated hours of each, `BASEFS_SOAK_HOSTS` the number of hosts.

use std::ops::Range;
use std::time::Duration;

use crate::engine::hosts::{Options, World};
use crate::engine::packets::{Loss, Way};
use crate::engine::rng::Rng;
use crate::spread::group;

/// How long everything may take to be equal once the faults are over: connections whose other end
/// crashed unnoticed are silent for two minutes before they end.
const QUIET: Duration = Duration::from_secs(300);

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("BASEFS_SEEDS") else { return 0..2 };
    let number = |text: &str| text.trim().parse::<u64>().expect("BASEFS_SEEDS is `7` or `0..100`");
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&text)..number(&text) + 1,
    }
}

fn hours() -> f64 {
    let hours = std::env::var("BASEFS_SOAK_HOURS").ok();
    hours.map_or(0.1, |hours| hours.parse().expect("BASEFS_SOAK_HOURS is a number"))
}

fn hosts() -> usize {
    let hosts = std::env::var("BASEFS_SOAK_HOSTS").ok();
    hosts.map_or(7, |hosts| hosts.parse().expect("BASEFS_SOAK_HOSTS is a number"))
}

/// Says how to see a failure again.
struct Replay {
    seed: u64,
    hours: f64,
    hosts: usize,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, hours, hosts } = self;
            println!(
                "replay: BASEFS_SEEDS={seed} BASEFS_SOAK_HOURS={hours} BASEFS_SOAK_HOSTS={hosts} \
                 cargo test --test sim soak -- --nocapture"
            );
        }
    }
}

/// Any way that packets may fare.
fn any_way(rng: &mut Rng) -> Way {
    let loss = match rng.below(4) {
        0 => Loss::None,
        1 => Loss::Independent(0.6 * rng.unit()),
        2 => Loss::Correlated { p: 0.6 * rng.unit(), c: 0.25 },
        _ => Loss::GilbertElliott { to_bad: 0.02, to_good: 0.2, good: 0.01, bad: 0.9 },
    };
    Way {
        delay: Duration::from_micros(500 + rng.below(200_000)),
        deviation: 0.5 * rng.unit(),
        loss,
        duplicates: 0.1 * rng.unit(),
        reorder: 0.1 * rng.unit(),
    }
}

/// Something happens.
fn fault(world: &mut World, rng: &mut Rng) {
    let host = rng.index(world.hosts.len());
    match rng.below(12) {
        0 => world.packets.set_way(any_way(rng)),
        1 => world.packets.set_way_between(host, rng.index(world.hosts.len()), any_way(rng)),
        2 => {
            let sides = rng.next();
            world.packets.partition(|host| sides >> host & 1 == 0);
        }
        3 => world.packets.isolate(host),
        4 => world.packets.cut(host, rng.index(world.hosts.len())),
        5..=7 => world.packets.heal(),
        8 => world.packets.set_rate((rng.below(2) == 0).then(|| 64_000 + rng.below(10_000_000))),
        9 if world.is_up(host) => world.crash(host),
        9 => {}
        10 => world.hosts[host].slow = rng.below(2) * rng.below(200_000),
        _ => start_all(world),
    }
}

fn start_all(world: &mut World) {
    for host in 0..world.hosts.len() {
        if !world.is_up(host) {
            world.restart(host);
        }
    }
}

fn write(world: &mut World, rng: &mut Rng) {
    let host = rng.index(world.hosts.len());
    if world.is_up(host) {
        // Most are small; some come in blocks.
        let most = 1 << (4 + rng.below(11));
        let length = rng.index(most);
        let mut content = rng.bytes().repeat(1 + length / 32);
        content.truncate(length);
        world.write(host, &format!("file {}", rng.below(12)), &content);
    }
}

fn soak(seed: u64, hours: f64) {
    let hosts = hosts();
    let replay = Replay { seed, hours, hosts };
    let mut world = group(Options { hosts, writers: hosts, seed, ..Options::default() });
    let mut rng = Rng::new(seed, 3);
    world.hosts[1].skew_ppm = 500;
    world.hosts[2].skew_ppm = -500;
    let end = world.now() + (hours * 3.6e9) as u64;
    let mut written = 0_u32;
    while world.now() < end {
        world.run_for(Duration::from_micros(rng.below(20_000_000)));
        if rng.below(3) == 0 {
            fault(&mut world, &mut rng);
        } else {
            write(&mut world, &mut rng);
            written += 1;
        }
    }
    world.packets.heal();
    world.packets.set_way(Way::default());
    world.packets.set_rate(None);
    world.hosts.iter_mut().for_each(|host| host.slow = 0);
    start_all(&mut world);
    let quiet = world.now();
    world.assert_equal_within(QUIET);
    for (at, host) in world.hosts.iter().enumerate() {
        assert_eq!(host.faults, [], "host {at}: a fault among honest nodes");
    }
    let took = (world.now() - quiet) as f64 / 1e6;
    println!(
        "seed {seed}: {written} writes, equal {took:.1} s after the last fault, {} events",
        world.events()
    );
    drop(replay);
}

#[test]
fn soak_and_recover() {
    seeds().for_each(|seed| soak(seed, hours()));
}
