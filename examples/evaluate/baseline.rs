//! Runs of the baseline: memberlist and Serf with LAN defaults, and the comparison of logs that the
//! original BaseFS added. An object is one event.

use std::time::Duration;

use crate::machine::Config;
use crate::machine::world::World;
use crate::scenario::{OBJECT_BYTES, Outcome, Scenario, WRITES};
use crate::system::{SETTLED, WARM_UP};

fn event_bytes() -> u16 {
    u16::try_from(OBJECT_BYTES).expect("an object fits in an event")
}

/// A cluster that has been in the scenario's conditions for a while.
fn settled(config: Config, scenario: &Scenario, seed: u64) -> World {
    let mut world = World::new(config, scenario.nodes, seed);
    world.run(WARM_UP, usize::MAX);
    world.packets.set_way(scenario.conditions.way());
    world.packets.set_rate(scenario.conditions.rate);
    world.run(WARM_UP + SETTLED, usize::MAX);
    world
}

fn sent(world: &World) -> u64 {
    world.packets.counters.iter().map(|counter| counter.bytes).sum()
}

/// A few writes, one after the other, each by another node once all have the one before.
pub(crate) fn single_writes(scenario: &Scenario, seed: u64) -> Vec<Outcome> {
    let mut world = settled(Config::LAN, scenario, seed);
    let mut outcomes = Vec::new();
    let events = u32::try_from(scenario.objects).expect("the command line says no more than 500");
    let mut ids = 1..1 + events;
    for number in 0..WRITES {
        let writer = scenario.writer(number);
        let (start, pushed, sent_before) = (world.now(), world.event_sends(), sent(&world));
        let wanted = world.delivered.len() + scenario.nodes * scenario.objects;
        world.write(writer, ids.clone(), event_bytes());
        world.run(start + scenario.patience, wanted);
        let bytes = sent(&world) - sent_before;
        let all = world.delivered.len() == wanted;
        let reached = |member| Some(world.complete(member, ids.clone())? - start);
        let reached = (0..scenario.nodes).filter(|member| *member != writer).map(reached).collect();
        // Copies that are still under way count as well.
        world.run(world.now() + SETTLED, usize::MAX);
        let sends = (world.event_sends() - pushed) as f64 / scenario.objects as f64;
        outcomes.push(Outcome { reached, sends, bytes: bytes as f64 });
        if !all {
            break;
        }
        ids = ids.end..ids.end + events;
    }
    outcomes
}

/// Several writes, by size and by when they happen, each by the node that its number says; gives,
/// in their order, the time that every other node waited for each.
pub(crate) fn writes(scenario: &Scenario, writes: &[(Duration, usize)], seed: u64) -> Vec<Outcome> {
    let mut world = settled(Config::LAN, scenario, seed);
    let start = world.now();
    let mut begun = Vec::new();
    let mut next = 1;
    for (number, &(at, objects)) in writes.iter().enumerate() {
        world.run(start + at, usize::MAX);
        let ids = next..next + u32::try_from(objects).expect("few objects");
        next = ids.end;
        world.write(number % scenario.nodes, ids.clone(), event_bytes());
        begun.push((start + at, number % scenario.nodes, ids));
    }
    let wanted = usize::try_from(next - 1).expect("few events") * scenario.nodes;
    world.run(world.now() + scenario.patience, wanted);
    let outcome = |(at, writer, ids): &(Duration, usize, std::ops::Range<u32>)| {
        let others = (0..scenario.nodes).filter(|member| member != writer);
        let reached = others.map(|member| Some(world.complete(member, ids.clone())? - *at));
        Outcome { reached: reached.collect(), ..Outcome::default() }
    };
    begun.iter().map(outcome).collect()
}

/// IP bytes per second that a node sends when nobody writes, comparing logs at this
/// interval.
pub(crate) fn idle(interval: Option<Duration>, nodes: usize, watched: Duration, seed: u64) -> f64 {
    let config = Config { sync_interval: interval, ..Config::LAN };
    let scenario = Scenario { nodes, ..Scenario::default() };
    let mut world = settled(config, &scenario, seed);
    let (start, before) = (world.now(), sent(&world));
    world.run(start + watched, usize::MAX);
    (sent(&world) - before) as f64 / watched.as_secs_f64() / nodes as f64
}

/// False deaths per node and hour.
pub(crate) fn false_deaths(scenario: &Scenario, watched: Duration, seed: u64) -> f64 {
    let mut world = settled(Config::LAN, scenario, seed);
    let start = world.now();
    world.run(start + watched, usize::MAX);
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
    world.run(start + PATIENCE, usize::MAX);
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
