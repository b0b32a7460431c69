//! Runs of the baseline: memberlist and Serf with LAN defaults, and the comparison of logs that the
//! original BaseFS added. An object is one event.

use std::time::Duration;

use crate::machine::Config;
use crate::machine::world::{Link, World};
use crate::scenario::{Conditions, OBJECT_BYTES, Outcome, Scenario};
use crate::system::{SETTLED, WARM_UP};

impl From<Conditions> for Link {
    fn from(conditions: Conditions) -> Self {
        let Conditions { delay, deviation, loss, correlation, rate } = conditions;
        Self { delay, deviation, loss, correlation, rate }
    }
}

fn event_bytes() -> u16 {
    u16::try_from(OBJECT_BYTES).expect("an object fits in an event")
}

/// A cluster that has been in the scenario's conditions for a while.
fn settled(config: Config, scenario: &Scenario, seed: u64) -> World {
    let mut world = World::new(config, scenario.nodes, Conditions::CLEAN.into(), seed);
    world.run(WARM_UP, |_| false);
    world.set_link(scenario.conditions.into());
    world.run(WARM_UP + SETTLED, |_| false);
    world
}

pub(crate) fn one_write(scenario: &Scenario, seed: u64) -> Outcome {
    one_write_with(Config::LAN, scenario, seed)
}

pub(crate) fn one_write_with(config: Config, scenario: &Scenario, seed: u64) -> Outcome {
    let mut world = settled(config, scenario, seed);
    let (start, sent_before) = (world.now(), world.bytes);
    let events = u32::try_from(scenario.objects).expect("the command line says no more than 500");
    world.write(0, 1..1 + events, event_bytes());
    let wanted = scenario.nodes * scenario.objects;
    world.run(start + scenario.patience, |world| world.delivered.len() == wanted);
    let reached = |member| Some(world.complete(member, 1..1 + events)? - start);
    let sends: u64 = (0..scenario.nodes).map(|member| world.peer(member).event_sends).sum();
    Outcome {
        reached: (1..scenario.nodes).map(reached).collect(),
        sends: sends as f64,
        bytes: (world.bytes - sent_before) as f64,
    }
}

/// Several writes, by size and by when they happen, each by the node that its number says; gives,
/// in their order, the time that every other node waited for each.
pub(crate) fn writes(scenario: &Scenario, writes: &[(Duration, usize)], seed: u64) -> Vec<Outcome> {
    let mut world = settled(Config::LAN, scenario, seed);
    let start = world.now();
    let mut begun = Vec::new();
    let mut next = 1;
    for (number, &(at, objects)) in writes.iter().enumerate() {
        world.run(start + at, |_| false);
        let ids = next..next + u32::try_from(objects).expect("few objects");
        next = ids.end;
        world.write(number % scenario.nodes, ids.clone(), event_bytes());
        begun.push((start + at, number % scenario.nodes, ids));
    }
    let wanted = usize::try_from(next - 1).expect("few events") * scenario.nodes;
    world.run(world.now() + scenario.patience, |world| world.delivered.len() == wanted);
    let outcome = |(at, writer, ids): &(Duration, usize, std::ops::Range<u32>)| {
        let others = (0..scenario.nodes).filter(|member| member != writer);
        let reached = others.map(|member| Some(world.complete(member, ids.clone())? - *at));
        Outcome { reached: reached.collect(), ..Outcome::default() }
    };
    begun.iter().map(outcome).collect()
}

/// IP bytes per second that a node sends when nobody writes, over an hour, comparing logs at this
/// interval.
pub(crate) fn idle(interval: Option<Duration>, nodes: usize, seed: u64) -> f64 {
    const HOUR: Duration = Duration::from_secs(3_600);
    let config = Config { sync_interval: interval, ..Config::LAN };
    let scenario = Scenario { nodes, ..Scenario::default() };
    let mut world = settled(config, &scenario, seed);
    let (start, before) = (world.now(), world.bytes);
    world.run(start + HOUR, |_| false);
    (world.bytes - before) as f64 / HOUR.as_secs_f64() / nodes as f64
}

/// False deaths per node and hour.
pub(crate) fn false_deaths(scenario: &Scenario, watched: Duration, seed: u64) -> f64 {
    let mut world = settled(Config::LAN, scenario, seed);
    let start = world.now();
    world.run(start + watched, |_| false);
    let hours = watched.as_secs_f64() / 3_600.0;
    world.buried.iter().filter(|death| death.0 >= start).count() as f64
        / scenario.nodes as f64
        / hours
}

/// How long all others take to know that a node is gone.
pub(crate) fn death_known(scenario: &Scenario, seed: u64) -> Option<Duration> {
    const PATIENCE: Duration = Duration::from_secs(300);
    let mut world = settled(Config::LAN, scenario, seed);
    let start = world.now();
    let gone = scenario.nodes - 1;
    world.switch_off(gone);
    world.run(start + PATIENCE, |_| false);
    let mut last = Some(Duration::ZERO);
    for member in 0..gone {
        let known = world
            .buried
            .iter()
            .find(|&&(at, who, dead)| at >= start && who == member && dead == gone);
        last = last.zip(known).map(|(last, death)| last.max(death.0 - start));
    }
    last
}
