//! Who is there: joining, leaving, dying and coming back in networks of whole nodes.

use std::time::Duration;

use basefs::gossip::MemberEvent;

use crate::engine::hosts::{Options, World, node_id};
use crate::engine::member;
use crate::engine::packets::{Loss, Way};
use crate::spread::group;

const SECOND: Duration = Duration::from_secs(1);
const HOSTS: usize = 8;

fn small(seed: u64) -> World {
    group(Options { hosts: HOSTS, writers: HOSTS, seed, ..Options::default() })
}

/// Links among so many hosts when each has one to every other.
fn mesh(hosts: usize) -> usize {
    hosts * (hosts - 1) / 2
}

fn lossy(loss: f64) -> Way {
    Way { loss: Loss::Independent(loss), ..Way::default() }
}

#[test]
fn nobody_is_taken_for_dead_where_half_is_lost() {
    let mut world = small(21);
    world.packets.set_way(lossy(0.5));
    let since = world.now();
    world.run_for(600 * SECOND);
    let deaths: Vec<usize> = (0..HOSTS).map(|host| member::deaths(&world, host, since)).collect();
    assert_eq!(deaths, [0; HOSTS], "seed {}", world.options.seed);
}

#[test]
fn a_death_is_known_to_all_within_twenty_seconds() {
    for (seed, loss) in [(22, 0.0), (23, 0.3), (24, 0.5)] {
        let mut world = small(seed);
        world.packets.set_way(lossy(loss));
        world.run_for(60 * SECOND);
        let since = world.now();
        world.crash(3);
        let died =
            |event: &MemberEvent| matches!(event, MemberEvent::Died(node) if *node == node_id(3));
        let is_known = |world: &World| {
            let mut others = (0..HOSTS).filter(|host| *host != 3);
            others.all(|host| member::count(world, host, since, died) > 0)
        };
        let is_in_time = world.run_until(20 * SECOND, is_known);
        let took = (world.now() - since) as f64 / 1e6;
        println!("at {loss}: known to all after {took:.1} s");
        assert!(is_in_time, "seed {seed}: at {loss} not known to all after {took} s");
        let false_deaths: usize = (0..HOSTS).map(|host| member::deaths(&world, host, since)).sum();
        assert_eq!(false_deaths, HOSTS - 1, "seed {seed}: only one has died");
    }
}

#[test]
fn a_host_that_leaves_is_not_missed_and_may_come_back() {
    let mut world = small(25);
    let since = world.now();
    member::leave(&mut world, 5);
    world.run_for(5 * SECOND);
    world.crash(5);
    world.run_for(60 * SECOND);
    for host in (0..HOSTS).filter(|host| *host != 5) {
        assert_eq!(member::deaths(&world, host, since), 0, "host {host}");
        let left = |event: &MemberEvent| matches!(event, MemberEvent::Left(_));
        assert_eq!(member::count(&world, host, since, left), 1, "host {host}");
    }
    let id = world.write(0, "file", b"written meanwhile");
    world.restart(5);
    assert!(world.run_until(30 * SECOND, |world| world.last(id).is_some()));
    world.assert_equal_within(60 * SECOND);
}

#[test]
fn any_member_lets_a_host_join() {
    let mut world = small(26);
    world.crash(0);
    world.crash(6);
    world.run_for(60 * SECOND);
    let id = world.write(1, "file", b"written meanwhile");
    world.run_for(SECOND);
    // It knows of the first host, which is not there, and of the last.
    world.restart(6);
    member::introduce(&mut world, 6, HOSTS - 1);
    assert!(world.run_until(30 * SECOND, |world| world.last(id).is_some()), "seed 26");
    let is_meshed = |world: &World| world.links() == mesh(HOSTS - 1);
    assert!(world.run_until(60 * SECOND, is_meshed), "{} links", world.links());
}

#[test]
fn those_who_forgot_each_other_meet_again() {
    let mut world = small(27);
    world.packets.partition(|host| host < 4);
    world.run_for(300 * SECOND);
    assert_eq!(world.links(), 2 * mesh(4), "each side has a mesh of its own");
    world.packets.heal();
    let since = world.now();
    assert!(world.run_until(60 * SECOND, |world| world.links() == mesh(HOSTS)));
    println!("all linked again after {:.1} s", (world.now() - since) as f64 / 1e6);
}
