//! Failures are noticed soon, and nobody is given up who lives.

use std::time::Duration;

use basefs::gossip::{MemberState, Profile};

use super::world::{Ways, World, secs};

/// Times until everybody holds a machine for dead that fell silent, in order.
fn deaths(profile: Profile, ways: Ways, loud: bool, seeds: std::ops::Range<u64>) -> Vec<Duration> {
    let mut times = Vec::new();
    for seed in seeds {
        let mut world = World::joined(30, profile, ways, seed);
        world.run(Duration::from_millis(10_000 + seed * 377));
        let victim = 1 + usize::try_from(seed).unwrap() % 29;
        world.stop(victim, loud);
        let all_know = |world: &World| world.all_hold(victim, MemberState::Dead);
        let time = world.run_until(secs(120), all_know).expect("it is noticed");
        assert_eq!(world.false_deaths, 0, "seed {seed}");
        times.push(time);
    }
    times.sort_unstable();
    times
}

#[test]
fn deaths_are_known_everywhere_soon() {
    for (profile, name, loss, limit) in [
        (Profile::Lan, "lan", 0, 8),
        (Profile::Lan, "lan", 100, 8),
        (Profile::Mesh, "mesh", 0, 20),
        (Profile::Mesh, "mesh", 300, 20),
        (Profile::Mesh, "mesh", 500, 20),
    ] {
        let ways = if profile == Profile::Lan { Ways::lan(loss) } else { Ways::mesh(loss) };
        for loud in [false, true] {
            let times = deaths(profile, ways, loud, 1..5);
            println!("{name} {loss} loud {loud}: {times:?}");
            assert!(times.iter().all(|time| *time <= secs(limit)));
        }
    }
}

#[test]
fn nobody_is_given_up_who_lives() {
    for seed in 1..3 {
        let mut world = World::joined(30, Profile::Mesh, Ways::mesh(500), seed);
        world.run(secs(300));
        println!("{} suspicions, {} events", world.false_suspicions, world.events);
        let bytes: u64 = world.machines.iter().map(|machine| machine.bytes).sum();
        println!("{} bytes per node and second", bytes / 30 / 300);
        assert_eq!(world.false_deaths, 0, "seed {seed}");
    }
}

#[test]
fn an_idle_group_is_quiet() {
    for (profile, ways, limit) in
        [(Profile::Lan, Ways::lan(0), 8_000), (Profile::Mesh, Ways::mesh(0), 15_000)]
    {
        let mut world = World::joined(30, profile, ways, 1);
        world.run(secs(60));
        world.forget_figures();
        world.run(secs(300));
        let bytes: u64 = world.machines.iter().map(|machine| machine.bytes).sum();
        println!("{profile:?}: {} bytes a second of all", bytes / 300);
        assert!(bytes / 300 <= limit);
        assert_eq!(world.false_suspicions, 0);
    }
}
