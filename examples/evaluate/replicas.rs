//! Runs of basefs: whole nodes with the real codec, over modelled QUIC connections.

use std::time::Duration;

use basefs::gossip::{MemberEvent, Profile};
use basefs::id::EntryId;
use basefs::node::NodeEvent;

use crate::engine::hosts::{Options, World, micros, node_id};
use crate::engine::member;
use crate::engine::packets::Way;
use crate::engine::rng::Rng;
use crate::scenario::{OBJECT_BYTES, Outcome, Scenario, WRITES};
use crate::system::{SETTLED, WARM_UP};

/// Where the engine's own streams of random numbers end.
const CONTENT: u64 = 1 << 48;
/// Above so many members connections stay fewer than one for each pair.
const MESHED: usize = 32;

/// A name for people.
pub(crate) const fn name(profile: Profile) -> &'static str {
    match profile {
        Profile::Lan => "lan",
        _ => "mesh",
    }
}

/// A group that found itself on a clean network, and has been in the scenario's conditions since.
fn settled(profile: Profile, scenario: &Scenario, seed: u64) -> World {
    let hosts = scenario.nodes;
    let writers = hosts.min(Options::default().writers);
    let mut world = World::new(Options { hosts, writers, seed, profile, ..Options::default() });
    world.packets.set_way(Way::default());
    if hosts <= MESHED {
        let pairs = hosts * (hosts - 1) / 2;
        world.run_until(WARM_UP, |world| world.links() == pairs);
    }
    world.run_for(WARM_UP);
    world.packets.set_way(scenario.conditions.way());
    world.packets.set_rate(scenario.conditions.rate);
    world.run_for(SETTLED);
    world
}

/// Content that nothing makes shorter.
fn content(rng: &mut Rng, objects: usize) -> Vec<u8> {
    let words = std::iter::repeat_with(|| rng.next().to_le_bytes()).flatten();
    words.take(objects * OBJECT_BYTES).collect()
}

fn pushes(world: &World) -> u64 {
    world.hosts.iter().map(|host| host.pushes).sum()
}

fn sent(world: &World) -> u64 {
    world.packets.counters.iter().map(|counter| counter.bytes).sum()
}

/// When all others had what one wrote at some time.
fn reached(world: &World, id: EntryId, writer: usize, began: u64) -> Vec<Option<Duration>> {
    let others = (0..world.hosts.len()).filter(|host| *host != writer);
    let had = |host| Some(Duration::from_micros(world.had(id, host)? - began));
    others.map(had).collect()
}

/// A few writes, one after the other, each by another node once all have the one before.
pub(crate) fn single_writes(scenario: &Scenario, seed: u64) -> Vec<Outcome> {
    let mut world = settled(Profile::Mesh, scenario, seed);
    let mut rng = Rng::new(seed, CONTENT);
    let mut outcomes = Vec::new();
    for number in 0..WRITES {
        let writer = scenario.writer(number).min(world.options.writers - 1);
        let (began, pushed, sent_before) = (world.now(), pushes(&world), sent(&world));
        let id = world.write(writer, "file", &content(&mut rng, scenario.objects));
        let all = world.run_until(scenario.patience, |world| world.last(id).is_some());
        let bytes = sent(&world) - sent_before;
        // Copies that are still under way count as well.
        world.run_for(SETTLED);
        outcomes.push(Outcome {
            reached: reached(&world, id, writer, began),
            sends: (pushes(&world) - pushed) as f64,
            bytes: bytes as f64,
        });
        if !all {
            break;
        }
    }
    outcomes
}

/// Several writes, by when they happen and size, each by the next node.
pub(crate) fn writes(scenario: &Scenario, writes: &[(Duration, usize)], seed: u64) -> Vec<Outcome> {
    let mut world = settled(Profile::Mesh, scenario, seed);
    let mut rng = Rng::new(seed, CONTENT);
    let start = world.now();
    let mut begun = Vec::new();
    for (number, &(at, objects)) in writes.iter().enumerate() {
        let wait = (start + micros(at)).saturating_sub(world.now());
        world.run_for(Duration::from_micros(wait));
        let writer = number % world.options.writers;
        let id = world.write(writer, &format!("file{number}"), &content(&mut rng, objects));
        begun.push((id, writer, world.now()));
    }
    world.run_until(scenario.patience, World::all_have_all);
    let outcome = |&(id, writer, began): &(EntryId, usize, u64)| Outcome {
        reached: reached(&world, id, writer, began),
        ..Outcome::default()
    };
    begun.iter().map(outcome).collect()
}

/// IP bytes per second that a node sends when nobody writes.
pub(crate) fn idle(nodes: usize, watched: Duration, seed: u64) -> f64 {
    let scenario = Scenario { nodes, ..Scenario::default() };
    let mut world = settled(Profile::Mesh, &scenario, seed);
    let before = sent(&world);
    world.run_for(watched);
    (sent(&world) - before) as f64 / watched.as_secs_f64() / nodes as f64
}

/// False deaths per node and hour.
pub(crate) fn false_deaths(scenario: &Scenario, watched: Duration, seed: u64) -> f64 {
    let mut world = settled(Profile::Mesh, scenario, seed);
    let start = world.now();
    world.run_for(watched);
    let deaths: usize = (0..scenario.nodes).map(|host| member::deaths(&world, host, start)).sum();
    deaths as f64 / scenario.nodes as f64 / (watched.as_secs_f64() / 3_600.0)
}

/// How long all others take to know that a node is gone.
pub(crate) fn death_known(profile: Profile, scenario: &Scenario, seed: u64) -> Option<Duration> {
    const PATIENCE: Duration = Duration::from_secs(300);
    let mut world = settled(profile, scenario, seed);
    let start = world.now();
    let gone = scenario.nodes - 1;
    world.crash(gone);
    let is_known = |host: usize, world: &World| {
        let mut events = world.hosts[host].members.iter();
        events.find_map(|(at, event)| match event {
            NodeEvent::Member(MemberEvent::Died(id)) if *at >= start && *id == node_id(gone) => {
                Some(*at)
            }
            _ => None,
        })
    };
    let all =
        |world: &World| (0..gone).try_fold(0, |last, host| Some(is_known(host, world)?.max(last)));
    world.run_until(PATIENCE, |world| all(world).is_some());
    Some(Duration::from_micros(all(&world)? - start))
}

/// Two halves that are apart for a while and both write every few minutes: how long, after they
/// meet again, until all hold the same, contents included.
pub(crate) fn partition_healed(
    scenario: &Scenario,
    apart: Duration,
    seed: u64,
) -> Option<Duration> {
    const PAUSE: Duration = Duration::from_secs(300);
    const PATIENCE: Duration = Duration::from_secs(120);
    let mut world = settled(Profile::Mesh, scenario, seed);
    let mut rng = Rng::new(seed, CONTENT);
    let half = scenario.nodes / 2;
    world.packets.partition(|host| host < half);
    let rounds = u32::try_from(apart.as_secs() / PAUSE.as_secs()).unwrap_or(1);
    for round in 0..rounds {
        for writer in [0, half] {
            // The one file on both sides, and one of each side's own.
            world.write(writer, "contested", &content(&mut rng, 1));
            world.write(writer, &format!("of{writer}in{round}"), &content(&mut rng, 4));
        }
        world.run_for(PAUSE);
    }
    world.packets.heal();
    let healed = world.now();
    let equal = world.run_until(PATIENCE, |world| {
        world.all_have_all() && world.explain_differences().is_empty()
    });
    equal.then(|| Duration::from_micros(world.now() - healed))
}
