//! Where a node listens stays from one run to the next, so that others find it again.

use std::net::UdpSocket;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::world::{Node, World};

/// Starts a node without saying where it is to listen.
fn run(world: &World, name: &str) -> Node {
    let command = world.command(&["run", name, "--json"]);
    world.launch(name, command)
}

#[test]
fn a_node_that_was_killed_is_where_it_was() {
    let world = World::with_team();
    let node = run(&world, "team");
    let port = node.port();
    assert_ne!(port, 0);
    assert_eq!(node.stop("-KILL"), None);
    let node = run(&world, "team");
    assert_eq!(node.port(), port);
    assert_eq!(node.stop("-TERM"), Some(0));
    // An address to listen at that was given counts, and is the last one from then on.
    let node = world.start("team", &[]);
    let chosen = node.port();
    assert_ne!(chosen, port);
    assert_eq!(node.stop("-TERM"), Some(0));
    assert_eq!(run(&world, "team").port(), chosen);
}

#[test]
fn the_port_behind_an_address_that_is_told_to_others_stays_too() {
    let world = World::with_team();
    let told = ["run", "team", "--json", "--advertise", "203.0.113.1:4711"];
    let remembered = || std::fs::read_to_string(world.home("team").join("port")).unwrap();
    let node = world.launch("team", world.command(&told));
    assert_eq!(node.port(), 4_711);
    let port = remembered();
    assert_ne!(port, "4711\n");
    drop(node);
    let _node = world.launch("team", world.command(&told));
    assert_eq!(remembered(), port);
}

#[test]
fn a_port_that_somebody_else_has_is_left_to_him() {
    let world = World::with_team();
    let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    std::fs::write(world.home("team").join("port"), format!("{port}\n")).unwrap();
    let mut command = world.command(&["run", "team", "--json"]);
    command.stderr(Stdio::piped());
    let node = world.launch("team", command);
    let other = node.port();
    assert_ne!(other, port);
    let said = node.complaints();
    assert!(said.contains(&format!("basefs: port {port}, where this node was")), "{said}");
    drop(taken);
    assert_eq!(run(&world, "team").port(), other, "the new one is remembered");
}

#[test]
fn two_nodes_that_both_start_again_find_each_other() {
    let world = World::with_team();
    let first = run(&world, "team");
    world.ok(&["join", "other", &first.ticket]);
    let second = run(&world, "other");
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_there = |path: &str, content: &str| {
        while world.run(&["cat", "other", path]).out != content {
            assert!(Instant::now() < deadline, "{}", world.ok(&["status", "other"]));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    world.put("/before", "1");
    is_there("/before", "1");
    first.stop("-KILL");
    second.stop("-KILL");
    world.put("/after", "2");
    let (_first, _second) = (run(&world, "team"), run(&world, "other"));
    is_there("/after", "2");
}
