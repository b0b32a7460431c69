//! Coming, going, and coming back.

use std::time::Duration;

use basefs::gossip::{MemberEvent, MemberState, MembershipInput as Input, Profile};

use super::world::{Ways, World, node, secs};

#[test]
fn whoever_knows_one_meets_all() {
    for (ways, limit) in [(Ways::mesh(0), 2), (Ways::mesh(300), 20)] {
        let mut world = World::joined(10, Profile::Mesh, ways, 3);
        // Nobody special: the tenth is as good as the first.
        let joins = world.machines.len();
        world.add_machine();
        world.join(joins, 9);
        let time = world.run_until(secs(60), World::is_agreed).unwrap();
        println!("joined after {time:?}");
        assert!(time < secs(limit));
        // And everybody has a link to everybody.
        let all_linked = |world: &World| world.links().len() == 11 * 10 / 2;
        let time = world.run_until(secs(60), all_linked).unwrap();
        println!("linked after {time:?}");
        assert!(time < secs(limit) + secs(4));
    }
}

#[test]
fn two_groups_that_meet_become_one() {
    let mut world = World::new(12, Profile::Lan, Ways::lan(0), 5);
    for machine in 1..6 {
        world.join(machine, 0);
        world.join(machine + 6, 6);
    }
    world.run(secs(10));
    assert_eq!((world.living(0).len(), world.living(6).len()), (5, 5));
    world.join(7, 3);
    let time = world.run_until(secs(10), World::is_agreed).unwrap();
    assert!(time < secs(1), "{time:?}");
}

#[test]
fn who_takes_leave_is_not_missed() {
    let mut world = World::joined(10, Profile::Lan, Ways::lan(100), 4);
    world.give(3, Input::Leave);
    let all_know = |world: &World| world.all_hold(3, MemberState::Left);
    let time = world.run_until(secs(10), all_know).unwrap();
    assert!(time < Duration::from_millis(500), "{time:?}");
    world.run(secs(2));
    assert!(world.links().iter().all(|(one, other)| *one != 3 && *other != 3), "links are closed");
    world.stop(3, false);
    let dials: u64 = world.machines.iter().map(|machine| machine.dials).sum();
    world.run(secs(100));
    let suspected = |(_, event): &(_, MemberEvent)| *event == MemberEvent::Suspected(node(3));
    assert!(!world.machines.iter().any(|machine| machine.events.iter().any(suspected)));
    let later: u64 = world.machines.iter().map(|machine| machine.dials).sum();
    assert_eq!(dials, later, "nobody dials who left");
    // It may come back.
    world.start(3);
    world.join(3, 5);
    assert!(world.run_until(secs(10), World::is_agreed).is_some());
    let returned = |(_, event): &(_, MemberEvent)| *event == MemberEvent::Returned(node(3));
    assert!(world.machines[7].events.iter().any(returned));
}

#[test]
fn a_restart_is_noticed_at_once_and_needs_no_ticket() {
    let mut world = World::joined(10, Profile::Lan, Ways::lan(0), 6);
    world.stop(4, false);
    let all_know = |world: &World| world.all_hold(4, MemberState::Dead);
    world.run_until(secs(20), all_know).unwrap();
    world.run(secs(60));
    world.start(4);
    // It knows nobody, but the others dial the dead: each about once a minute by now.
    let time = world.run_until(secs(60), World::is_agreed).unwrap();
    println!("found again after {time:?}");
    assert!(time < secs(20));
    // Somebody who restarts sooner than its death is noticed.
    world.stop(2, false);
    world.start(2);
    world.join(2, 1);
    assert!(world.run_until(secs(5), World::is_agreed).is_some());
    world.run(secs(1));
    assert!(world.of(7).member(&node(2)).unwrap().incarnation > 1_060_000);
}

#[test]
fn a_new_address_is_told_and_dialled() {
    let mut world = World::joined(6, Profile::Lan, Ways::lan(0), 7);
    let moved = "198.51.100.9:77".parse().unwrap();
    world.machines[2].address = moved;
    world.give(2, Input::SetAddresses(vec![moved]));
    let knows = |world: &World| {
        [0, 1, 3, 4, 5]
            .iter()
            .all(|at| world.of(*at).member(&node(2)).unwrap().addresses == [moved])
    };
    assert!(world.run_until(secs(1), knows).is_some());
    // Were it not told, nobody could dial it now.
    world.cut(2);
    assert!(world.run_until(secs(5), |world| world.links().len() == 15).is_some());
    assert!(world.is_agreed());
}

#[test]
fn an_attempt_at_an_old_address_holds_up_nothing() {
    let mut world = World::joined(3, Profile::Lan, Ways::lan(0), 9);
    // Nobody is at the old address any more: an attempt there takes half a minute.
    world.machines[2].address = "198.51.100.9:77".parse().unwrap();
    world.cut(2);
    world.give(2, Input::Leave);
    world.stop(2, false);
    world.run(secs(1));
    world.join(1, 2);
    world.run(secs(1));
    world.start(2);
    world.join(1, 2);
    let linked = |world: &World| world.links().contains(&(1, 2));
    let time = world.run_until(secs(5), linked).unwrap();
    assert!(time < Duration::from_millis(100), "{time:?}");
}

#[test]
fn a_link_that_breaks_before_the_first_word_is_made_again() {
    for machine in 0..2 {
        let mut world = World::new(2, Profile::Lan, Ways::lan(0), 10);
        world.join(1, 0);
        let is_up = |world: &World| world.links().len() == 1;
        world.run_until(secs(1), is_up).unwrap();
        world.cut(machine);
        assert!(world.of(machine).members().next().is_none(), "it said nothing yet");
        let time = world.run_until(secs(5), World::is_agreed).unwrap();
        assert!(time < secs(1), "{time:?}");
    }
}

#[test]
fn a_link_of_an_earlier_life_makes_room_for_a_new_one() {
    for back_at in ["198.51.100.9:77", "192.0.2.1:1002"] {
        let mut world = World::joined(4, Profile::Lan, Ways::lan(0), 11);
        // Nobody has noticed that it was gone when it is back, but for the one it joins through.
        world.stop(2, false);
        world.machines[2].address = back_at.parse().unwrap();
        world.start(2);
        world.join(2, 1);
        let time = world.run_until(secs(60), |world| world.links().len() == 6).unwrap();
        println!("{back_at}: linked again after {time:?}");
        // Who is back at its address must be silent for long.
        let limit = if back_at.ends_with("77") { secs(2) } else { secs(20) };
        assert!(time < limit, "{time:?}");
        assert_eq!(world.false_deaths, 0);
    }
}

#[test]
fn a_healed_partition_is_noticed_at_once() {
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    for seed in 1..4 {
        let mut world = World::joined(30, Profile::Mesh, Ways::mesh(0), seed);
        (0..15).for_each(|machine| world.machines[machine].side = 1);
        world.run(secs(3_600) + Duration::from_millis(seed * 717));
        assert_eq!(world.living(20).len(), 14);
        assert_eq!(world.living(10).len(), 14);
        (0..15).for_each(|machine| world.machines[machine].side = 0);
        world.forget_figures();
        let crosses =
            |world: &World| world.links().iter().any(|(one, other)| (*one < 15) != (*other < 15));
        first.push(world.run_until(secs(60), crosses).unwrap());
        whole.push(*first.last().unwrap() + world.run_until(secs(60), World::is_agreed).unwrap());
        assert_eq!(world.false_deaths, 0);
    }
    println!("first link across after {first:?}, all agreed after {whole:?}");
    assert!(first.iter().all(|time| *time <= Duration::from_millis(1_500)));
    assert!(whole.iter().all(|time| *time <= secs(5)));
}

#[test]
fn what_is_said_wrongly_of_the_living_is_refuted() {
    let mut world = World::joined(10, Profile::Lan, Ways::lan(0), 8);
    let before = world.of(5).incarnation();
    // For a second and a half nobody hears it; it is suspected, then speaks for itself.
    world.machines[5].side = 1;
    let suspected = |world: &World| {
        let id = node(5);
        let suspects = |at: &usize| {
            world.of(*at).member(&id).is_some_and(|member| member.state == MemberState::Suspect)
        };
        world.running().filter(|at| *at != 5).filter(suspects).count() > 6
    };
    world.run_until(secs(10), suspected).unwrap();
    world.machines[5].side = 0;
    let time = world.run_until(secs(10), |world| world.all_hold(5, MemberState::Alive)).unwrap();
    assert!(time < secs(1), "{time:?}");
    assert!(world.of(5).incarnation() > before);
    assert_eq!(world.false_deaths, 0);
}
