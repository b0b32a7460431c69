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

/// A group where packets get lost, for a while: nobody may be given up.
fn endure(profile: Profile, ways: Ways, time: Duration, seeds: std::ops::RangeInclusive<u64>) {
    let (mut suspicions, mut bytes, mut count) = (0, 0, 0);
    for seed in seeds {
        let mut world = World::joined(30, profile, ways, seed);
        world.run(time);
        assert_eq!(world.false_deaths, 0, "seed {seed}");
        suspicions += world.false_suspicions;
        bytes += world.machines.iter().map(|machine| machine.bytes).sum::<u64>();
        count += 1;
    }
    let node_seconds = 30 * count * time.as_secs();
    println!(
        "{profile:?}, {} ‰ lost: {} suspicions in 1,000 node-hours, {} bytes a second per node",
        ways.loss_permille,
        suspicions * 3_600_000 / node_seconds,
        bytes / node_seconds
    );
}

#[test]
fn nobody_is_given_up_who_lives() {
    endure(Profile::Mesh, Ways::mesh(500), secs(600), 1..=2);
    endure(Profile::Mesh, Ways::mesh(300), secs(300), 3..=3);
    endure(Profile::Mesh, Ways::mesh(100), secs(300), 4..=4);
    endure(Profile::Lan, Ways::lan(100), secs(300), 5..=5);
    // A way as long as the moon's.
    let far = Ways { delay: Duration::from_millis(1_280), jitter: 40, loss_permille: 100 };
    endure(Profile::Mesh, far, secs(300), 6..=6);
}

#[test]
#[ignore = "takes half an hour: cargo test --release -- --ignored for_hours"]
fn nobody_is_given_up_who_lives_for_hours() {
    endure(Profile::Mesh, Ways::mesh(500), secs(4 * 3_600), 1..=20);
}

/// The figures that the tuning goes by.
#[test]
#[ignore = "measures: cargo test --release -- --ignored figures_of_detection --nocapture"]
fn figures_of_detection() {
    for (profile, losses) in [(Profile::Lan, &[0, 100][..]), (Profile::Mesh, &[0, 100, 300, 500])] {
        for loss in losses {
            let ways = if profile == Profile::Lan { Ways::lan(*loss) } else { Ways::mesh(*loss) };
            for loud in [false, true] {
                let times = deaths(profile, ways, loud, 1..41);
                let (median, most) = (times[20].as_secs_f64(), times[39].as_secs_f64());
                println!(
                    "{profile:?}, {loss} ‰ lost, closed {loud}: {median:.1} s, at most {most:.1}"
                );
            }
            endure(profile, ways, secs(3_600), 1..=2);
        }
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

/// Answers that suddenly take seconds, as behind a queue: repeating pings would make it longer.
#[test]
fn late_answers_are_waited_for() {
    let mut world = World::joined(30, Profile::Mesh, Ways::mesh(0), 1);
    let bytes_in = |world: &mut World| {
        world.run(secs(30));
        world.forget_figures();
        world.run(secs(30));
        world.machines.iter().map(|machine| machine.bytes).sum::<u64>()
    };
    let usual = bytes_in(&mut world);
    world.ways.delay = Duration::from_millis(1_500);
    let late = bytes_in(&mut world);
    println!("{usual} bytes, and {late} while answers are late");
    // Twenty times as many where nothing is made of it.
    assert!(late < usual * 10);
    assert_eq!((world.false_deaths, world.false_suspicions), (0, 0));
}

/// One peer whose answers take seconds is no reason to look less often after the others.
#[test]
fn a_peer_that_answers_late_slows_no_detection() {
    let mut world = World::joined(30, Profile::Mesh, Ways::mesh(0), 1);
    world.machines[7].lag = Duration::from_millis(1_500);
    world.run(secs(120));
    world.stop(3, false);
    let all_know = |world: &World| world.all_hold(3, MemberState::Dead);
    let time = world.run_until(secs(120), all_know).expect("it is noticed");
    println!("noticed after {time:?}");
    assert!(time <= secs(20));
    assert_eq!(world.false_deaths, 0);
}
