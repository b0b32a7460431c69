//! Hosts that cheat, beyond those that garble and repeat: honest ones come to the same in the end.

use std::time::Duration;

use crate::engine::hosts::{Options, World};
use crate::spread::group;

const SECOND: Duration = Duration::from_secs(1);
const HOSTS: usize = 6;

fn small(seed: u64) -> World {
    group(Options { hosts: HOSTS, writers: HOSTS, seed, ..Options::default() })
}

#[test]
fn whoever_signs_two_things_at_once_is_seen_through_by_all() {
    let mut world = small(31);
    for round in 0..4_u8 {
        // Here at once, there on both sides of a partition.
        if round % 2 == 1 {
            world.packets.partition(|host| host < 3);
        }
        let ids = world.equivocate(5, [0, 3], &format!("file {round}"));
        assert_ne!(ids[0], ids[1]);
        world.write(1, "honest", &[round]);
        world.run_for(30 * SECOND);
        world.packets.heal();
        world.assert_equal_within(60 * SECOND);
        assert!(ids.iter().all(|id| world.last(*id).is_some()), "all have the proof of it");
    }
    let shown: Vec<_> = (0..HOSTS).map(|host| world.shown(host)).collect();
    assert!(shown.iter().all(|others| *others == shown[0]), "{shown:#?}");
    assert!(shown[0].contains_key("honest"));
    for host in 0..5 {
        assert_eq!(world.hosts[host].faults, [], "nobody is blamed for what others have signed");
    }
}

#[test]
fn what_some_withhold_comes_another_way() {
    let mut world = small(32);
    world.hosts[4].withholds = true;
    world.hosts[5].withholds = true;
    for number in 0..12_u8 {
        let id = world.write(usize::from(number % 4), &format!("file {number}"), &[number; 900]);
        let is_everywhere = world.run_until(10 * SECOND, |world| world.last(id).is_some());
        assert!(is_everywhere, "seed 32: {:#?}", world.explain_differences());
    }
    // Theirs are found when sets are compared.
    let began = world.now();
    let id = world.write(5, "theirs", b"kept back");
    assert!(world.run_until(60 * SECOND, |world| world.last(id).is_some()), "seed 32");
    assert!(world.last(id).unwrap() - began > 500_000, "it was not kept back");
    world.assert_equal_within(60 * SECOND);
}
