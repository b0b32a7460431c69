//! Links and neighbours: enough, not too many, and steady.

use std::collections::{BTreeMap, BTreeSet};

use basefs::gossip::{MemberState, Profile};

use super::world::{Ways, World, secs};

/// Steps that a push takes from each machine to reach all others: the mean and the most. Fails if
/// some machine is not reached.
fn depths(world: &World) -> (f64, usize) {
    let pushes: BTreeMap<usize, Vec<usize>> = world
        .running()
        .map(|machine| (machine, world.peers(machine, &world.machines[machine].neighbours)))
        .collect();
    let mut depths = Vec::new();
    for start in pushes.keys() {
        let (mut reached, mut edge, mut depth) = (BTreeSet::from([*start]), vec![*start], 0);
        while reached.len() < pushes.len() {
            let next: BTreeSet<usize> = edge
                .iter()
                .flat_map(|machine| &pushes[machine])
                .filter(|to| pushes.contains_key(to) && !reached.contains(to))
                .copied()
                .collect();
            assert!(!next.is_empty(), "from {start} only {} are reached", reached.len());
            reached.extend(&next);
            edge = next.into_iter().collect();
            depth += 1;
        }
        depths.push(depth);
    }
    let sum: usize = depths.iter().sum();
    (sum as f64 / depths.len() as f64, depths.into_iter().max().unwrap())
}

#[test]
fn few_are_all_connected_and_push_to_four() {
    for machines in [2, 5, 30] {
        let mut world = World::joined(machines, Profile::Lan, Ways::lan(0), 2);
        world.run(secs(10));
        assert_eq!(world.links().len(), machines * (machines - 1) / 2);
        for machine in world.running() {
            let Machine { neighbours, ring } = Machine::of(&world, machine);
            assert_eq!(neighbours.len(), 4.min(machines - 1));
            assert_eq!(ring.len(), machines - 1);
        }
        // Everybody's ring is the same, turned.
        let mut first = vec![0];
        first.extend(world.peers(0, &world.machines[0].ring));
        for (at, machine) in first.iter().enumerate() {
            let own = world.peers(*machine, &world.machines[*machine].ring);
            let expected: Vec<usize> =
                (1..machines).map(|step| first[(at + step) % machines]).collect();
            assert_eq!(own, expected);
        }
        println!("{machines} members: depth {:?}", depths(&world));
    }
}

struct Machine<'a> {
    neighbours: &'a [basefs::id::LinkId],
    ring: &'a [basefs::id::LinkId],
}

impl<'a> Machine<'a> {
    fn of(world: &'a World, machine: usize) -> Self {
        let state = &world.machines[machine];
        Self { neighbours: &state.neighbours, ring: &state.ring }
    }
}

/// Joins many, replaces some, and looks at the links all the while.
fn churn(machines: usize, gone: usize, ways: Ways) {
    let mut world = World::joined(machines, Profile::Mesh, ways, 9);
    world.run(secs(90));
    let links: BTreeSet<(usize, usize)> = world.links().into_iter().collect();
    let mean = links.len() as f64 * 2.0 / machines as f64;
    println!("{machines} members: {mean:.1} links each, depth {:?}", depths(&world));
    assert!(mean < 14.0, "six that one dialled, as many that dialled");
    assert_eq!(world.false_deaths, 0);
    // Some die at once, others come.
    let victims: Vec<usize> = (1..=gone).map(|number| number * machines / (gone + 1)).collect();
    victims.iter().for_each(|victim| world.stop(*victim, false));
    for number in 0..gone {
        world.add_machine();
        world.join(machines + number, 0);
    }
    let time = world.run_until(secs(120), |world| {
        // Looking at everything after every event would take long.
        world.events.is_multiple_of(1_000) && world.is_agreed()
    });
    println!("all know of {gone} deaths after {:?}", time.expect("all learn of it"));
    world.run(secs(60));
    for victim in &victims {
        assert!(world.all_hold(*victim, MemberState::Dead));
    }
    println!("then depth {:?}", depths(&world));
    let kept = world.links().iter().filter(|link| links.contains(link)).count();
    let lost = links.len() - kept;
    println!("{lost} of {} links ended", links.len());
    // Those of the dead ended anyway; each that came may have pushed out some others.
    assert!(lost < 14 * gone + 8 * gone);
    assert_eq!(world.false_deaths, 0);
}

#[test]
fn a_hundred_keep_a_few_links_each_whoever_comes_and_goes() {
    churn(100, 5, Ways::mesh(0));
}

#[test]
fn a_hundred_do_so_where_packets_are_lost() {
    churn(100, 5, Ways::mesh(200));
}

/// A million signatures are checked.
#[test]
#[ignore = "takes minutes: cargo test --release -- --ignored a_thousand"]
fn a_thousand_keep_a_few_links_each() {
    churn(1_000, 20, Ways::mesh(0));
}
