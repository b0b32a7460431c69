//! The unit for systemd: it is one, and what it starts runs and ends as a service should.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::world::World;

/// A unit of a node whose path and handler have all that has a meaning in units.
fn made(world: &World) -> (String, String) {
    let name = "./100% of $HOME \"quoted\"/team";
    world.ok(&["new", name]);
    let log = world.path("log").display().to_string();
    let handler = format!("/jobs=printf '%s\\n' \"$BASEFS_EVENT_PATH\" >> {log}\ntrue");
    let args = ["systemd", name, "--listen", "127.0.0.1:0", "--handler", &handler];
    (name.to_owned(), world.ok(&args))
}

#[test]
fn systemd_takes_the_unit() {
    let has = Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        println!("skipped: no systemd-analyze here");
        return;
    }
    let world = World::new();
    let (_, unit) = made(&world);
    let file = world.path("basefs-team.service");
    std::fs::write(&file, unit).unwrap();
    // Its manager wants a directory of its own.
    let run = world.path("run");
    std::fs::create_dir(&run).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--user"])
        .arg(&file)
        .env("XDG_RUNTIME_DIR", run)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
}

/// The words of a command line, as systemd takes it apart.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut rest, mut is_quoted) = (line.chars(), false);
    while let Some(c) = rest.next() {
        let last = words.last_mut().unwrap();
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' => last.push(match rest.next().unwrap() {
                'n' => '\n',
                other => other,
            }),
            ' ' if !is_quoted => words.push(String::new()),
            '%' | '$' => {
                assert_eq!(rest.next(), Some(c), "{c} would mean something in {line}");
                last.push(c);
            }
            c => last.push(c),
        }
    }
    words
}

#[test]
fn what_the_unit_starts_runs_and_ends_in_order() {
    let world = World::new();
    let (name, unit) = made(&world);
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let words = words(line);
    assert_eq!(words[0], env!("CARGO_BIN_EXE_basefs"));
    let mut command = Command::new(&words[0]);
    // A service has next to nothing in its environment.
    command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let node = world.launch(&name, command);
    assert!(node.said.contains("listens on 127.0.0.1:"), "{}", node.said);
    assert_eq!(world.feed(&["put", &name, "/jobs/100%"], b"1").code, 0);
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_done =
        || std::fs::read_to_string(world.path("log")).is_ok_and(|log| log.contains("/jobs/100%\n"));
    while !is_done() {
        assert!(Instant::now() < deadline, "{line}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(node.stop("-TERM"), Some(0));
}

#[test]
fn a_unit_keeps_the_port_and_has_no_secrets() {
    let world = World::with_team();
    let unit = world.ok(&["systemd", "team"]);
    assert!(!unit.contains("--listen"), "the node remembers its port: {unit}");
    let ticket = world.run(&["ticket", "team"]).out;
    let said = world.fails(&["systemd", "team", "--join", ticket.trim()], 2);
    assert!(said.contains("by hand with --join"), "{said}");
}
