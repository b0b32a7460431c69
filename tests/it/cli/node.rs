//! A node that runs, and those who talk to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::world::World;

#[test]
fn two_nodes_have_the_same_and_know_each_other() {
    let world = World::with_team();
    world.put("/motd", "hello");
    let first = world.start("team", &[]);
    world.ok(&["get", "other", &first.ticket]);
    let second = world.start("other", &["--profile", "mesh", "--join", &first.ticket]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while world.run(&["cat", "other", "/motd"]).out != "hello" {
        assert!(Instant::now() < deadline, "{}", world.ok(&["status", "other"]));
    }
    while !world.ok(&["members", "team"]).contains("alive") {
        assert!(Instant::now() < deadline, "{}", world.ok(&["status", "team"]));
    }
    assert!(world.ok(&["status", "team"]).contains("connected"));
    // Who may not write is told who to ask, and what for.
    let denied = world.fails(&["mkdir", "other", "/x"], 3);
    assert!(denied.contains("basefs grant other / "), "{denied}");
    // Who ends takes its leave, so that nobody looks for it.
    let silent = UnixStream::connect(second.socket()).unwrap();
    assert_eq!(second.stop("-TERM"), Some(0));
    drop(silent);
    while !world.ok(&["members", "team"]).contains("left") {
        assert!(Instant::now() < deadline, "{}", world.ok(&["members", "team"]));
    }
}

#[test]
fn a_signal_ends_it_in_order_and_takes_the_socket_away() {
    let world = World::with_team();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let node = world.start("team", &[]);
        let socket = node.socket().to_owned();
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(node.stop(signal), Some(0));
        assert!(!socket.exists());
        world.ok(&["ls", "team"]);
    }
}

#[test]
fn what_a_crash_left_is_in_nobodys_way() {
    let world = World::with_team();
    let node = world.start("team", &[]);
    let socket = node.socket().to_owned();
    assert_eq!(node.stop("-KILL"), None);
    assert!(socket.exists(), "nobody could take it away");
    assert!(world.ok(&["doctor", "team"]).contains("note: the last node"));
    world.put("/motd", "here");
    let _node = world.start("team", &[]);
    assert_eq!(world.ok(&["cat", "team", "/motd"]), "here");
}

#[test]
fn a_second_node_of_the_same_files_does_not_start() {
    let world = World::with_team();
    let _node = world.start("team", &[]);
    let said = world.fails(&["run", "team", "--listen", "127.0.0.1:0"], 5);
    assert!(said.contains("another process"), "{said}");
    world.ok(&["ls", "team"]);
}

#[test]
fn a_directory_that_others_may_change_is_no_place_for_a_socket() {
    let world = World::with_team();
    std::fs::set_permissions(world.home("team"), PermissionsExt::from_mode(0o770)).unwrap();
    let said = world.fails(&["run", "team", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("chmod 700"), "{said}");
}

#[test]
fn a_path_longer_than_a_socket_may_have_works_too() {
    let world = World::new();
    let name = format!("./{}/team", "long".repeat(40));
    world.ok(&["new", &name]);
    let mut command = world.command(&["run", &name, "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let status = world.run(&["status", &name]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status.out.contains("running              process"), "{status:?}");
}

/// Whatever comes through the socket, the node goes on.
#[test]
fn callers_that_talk_nonsense_harm_nobody() {
    let world = World::with_team();
    let node = world.start("team", &[]);
    let nonsense: [&[u8]; 5] = [
        b"",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02{}\0\0\0\0",
        b"\0\0\0\x04abcd\0\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for bytes in nonsense {
        let mut stream = UnixStream::connect(node.socket()).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // It may have hung up already.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(bytes.is_empty() || text.contains("did not understand"), "{bytes:?}: {text}");
    }
    world.ok(&["ls", "team"]);
    let idle: Vec<UnixStream> =
        (0..300).map(|_| UnixStream::connect(node.socket()).unwrap()).collect();
    let said = world.fails(&["ls", "team"], 5);
    assert!(said.contains("as many as it can"), "{said}");
    drop(idle);
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.run(&["ls", "team"]).code != 0 {
        assert!(Instant::now() < deadline, "callers that left make room");
    }
}

/// A command that is asked something by a node of another version says so.
#[test]
fn a_node_that_speaks_otherwise_is_found_out() {
    let world = World::with_team();
    let listener = UnixListener::bind(world.home("team").join("node.sock")).unwrap();
    let other = std::thread::spawn(move || {
        // The look whether somebody is there, then the request.
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"\0\0\0\x0b{\"Ok\":null}\0\0\0\0");
            let _ = stream.read(&mut [0; 100]);
        }
    });
    let said = world.fails(&["ls", "team"], 4);
    assert!(said.contains("start the node again"), "{said}");
    other.join().unwrap();
}

#[test]
fn the_numbers_of_a_node_can_be_followed_until_it_ends() {
    let world = World::with_team();
    let alone = world.fails(&["status", "team", "--every", "1"], 5);
    assert!(alone.contains("basefs run team"), "{alone}");
    let node = world.start("team", &[]);
    let mut command = world.command(&["status", "team", "--every", "1", "--json"]);
    let mut following =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut entries = || -> serde_json::Value {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["entries"].take()
    };
    assert_eq!(entries(), 1);
    world.put("/motd", "hello");
    while entries() != 2 {}
    assert_eq!(node.stop("-TERM"), Some(0));
    assert_eq!(following.wait_with_output().unwrap().status.code(), Some(5));
}

/// A script waits for the others instead of asking again and again.
#[test]
fn a_script_can_wait_for_the_others() {
    let world = World::with_team();
    let alone = world.fails(&["sync", "team"], 5);
    assert!(alone.contains("basefs run team"), "{alone}");
    let first = world.start("team", &[]);
    let late = world.fails(&["sync", "team", "--timeout", "1"], 5);
    assert!(late.contains("not connected") || late.contains("too long"), "{late}");
    let late = world.fails(&["sync", "team", "--replicated", "1", "--timeout", "1"], 5);
    assert!(late.contains("only 0 of the peers"), "{late}");
    world.put("/motd", "hello");
    world.ok(&["join", "other", &first.ticket]);
    let second = world.start("other", &[]);
    assert_eq!(world.ok(&["sync", "other"]), "here is what the others have: 2 entries\n");
    assert_eq!(world.ok(&["cat", "other", "/motd"]), "hello");
    world.put("/motd", "good morning");
    let said = world.ok(&["sync", "team", "--replicated", "1"]);
    assert!(said.starts_with("1 other node holds 3 entries\n  "), "{said}");
    assert_eq!(world.ok(&["cat", "other", "/motd"]), "good morning");
    let said = world.ok(&["sync", "team", "--replicated", "1", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["holders"].as_array().unwrap().len(), 1);
    // Who waits does not keep the node from ending.
    second.stop("-KILL");
    let mut command = world.command(&["sync", "team", "--replicated", "9"]);
    let waiting = command.stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(first.stop("-TERM"), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let said = waiting.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(5), "{said:?}");
}

#[test]
fn a_watch_tells_what_is_there_and_what_changes() {
    let world = World::with_team();
    world.put("/etc/motd", "1");
    let node = world.start("team", &[]);
    let mut command = world.command(&["watch", "team", "/etc", "--from", "snapshot", "--json"]);
    let mut watching =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["reason"], "initial");
    assert_eq!(next()["path"], "/etc");
    assert_eq!(next()["path"], "/etc/motd");
    assert_eq!(next()["event"], "snapshot-end");
    world.put("/elsewhere", "not told");
    world.put("/etc/motd", "2");
    let event = next();
    assert_eq!((&event["event"], &event["path"]), (&"modified".into(), &"/etc/motd".into()));
    world.ok(&["rm", "team", "/etc/motd"]);
    assert_eq!(next()["event"], "removed");
    assert_eq!(node.stop("-TERM"), Some(0), "a watch does not hold it up");
    let ended = watching.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("the node has ended"));
}

#[test]
fn to_wait_for_no_node_makes_no_sense() {
    let world = World::with_team();
    let said = world.fails(&["sync", "team", "--replicated", "0"], 2);
    assert!(said.contains("--replicated"), "{said}");
}
