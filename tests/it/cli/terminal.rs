//! What is seen on a terminal: a narrow one, a live one, and names that would steer it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::both_ways::worked_on;
use super::world::World;

/// Every verb that prints something for people, in the world of [`worked_on`].
fn verbs<'v>(then: &'v str, key: &'v str) -> Vec<Vec<&'v str>> {
    vec![
        vec!["ls", "-l", "team", "/etc"],
        vec!["at", "team"],
        vec!["log", "team"],
        vec!["show", "team", "/etc/motd"],
        vec!["versions", "team", "/etc/motd"],
        vec!["diff", "team", then],
        vec!["conflicts", "team"],
        vec!["explain", "team", "/etc/motd"],
        vec!["keys", "team"],
        vec!["revoke", "team", "ben"],
        vec!["audit", "team", "ben"],
        vec!["doctor", "team"],
        vec!["status", "team"],
        vec!["members", "team"],
        vec!["resources", "team", "--once"],
        vec!["import", "team", "tree", "/tree", "--dry-run"],
        vec!["export", "team", "/etc", "there", "--dry-run"],
        vec!["grant", "team", "/etc", key, "--label", "a friend of all of us"],
        vec!["expel", "team", key],
        vec!["expelled", "team"],
        vec!["readmit", "team", key],
        vec!["rotate", "team"],
        vec!["rotate", "team", "--drop-old"],
        vec!["ack", "team", "/etc/motd"],
        vec!["dismiss", "team", "/etc/motd"],
        vec!["resolve", "team", "/etc/motd", "--with", "tree/file"],
        vec!["revoke", "team", "ben", "--discard", "--yes"],
        vec!["hidden", "team"],
        vec!["adopt", "team", "ben"],
        vec!["new", "another"],
        vec!["--help"],
        vec!["rotate", "--help"],
        vec!["run", "-h"],
        vec!["--version"],
    ]
}

#[test]
fn twenty_columns_are_enough_for_every_verb() {
    let world = World::with_team();
    let then = world.ok(&["at", "team"]);
    worked_on(&world);
    std::fs::create_dir(world.path("tree")).unwrap();
    std::fs::write(world.path("tree/file"), "x").unwrap();
    let key = "0123456789abcdef".repeat(4);
    let _node = world.start("team", &[]);
    for verb in verbs(then.trim(), &key) {
        for color in ["never", "always"] {
            let mut command = world.command(&[&verb[..], &["--color", color]].concat());
            let said = command.env("COLUMNS", "20").output().unwrap();
            let (out, err) =
                (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
            assert!(!err.contains("panicked"), "{verb:?}: {err}");
            let is_again = color == "always" && matches!(verb[0], "new" | "revoke" | "dismiss");
            assert!(said.status.success() || is_again, "{verb:?}: {err}");
            if color == "never" {
                let is_too_wide =
                    |line: &&str| line.chars().count() > 20 && line.trim().contains(' ');
                assert_eq!(out.lines().find(is_too_wide), None, "{verb:?}:\n{out}");
                assert!(!out.is_empty(), "{verb:?}");
            }
        }
    }
    // Names and drawings are not broken.
    world.put("/a name of many words, which stays in a line", "x");
    for verb in ["ls", "tree"] {
        let mut command = world.command(&[verb, "team"]);
        let out = command.env("COLUMNS", "20").output().unwrap().stdout;
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("a name of many words, which stays in a line\n"), "{out}");
    }
}

/// A name can turn the direction of writing, or be a control character of another age.
#[test]
fn no_name_steers_the_terminal_and_programs_get_it_as_it_is() {
    let world = World::with_team();
    let name = "/dir/\u{202e}gpj.\u{9b}31m\u{2028}x";
    let key = "0123456789abcdef".repeat(4);
    world.put(name, "1");
    let then = world.ok(&["at", "team"]);
    world.put(name, "2");
    world.ok(&["grant", "team", "/dir", &key, "--label", "\u{202e}eilrahc\u{9b}2J"]);
    let _node = world.start("team", &[]);
    let verbs = [
        (vec!["ls", "team", "/dir"], true),
        (vec!["ls", "-l", "team", "/dir"], true),
        (vec!["tree", "team"], true),
        (vec!["log", "team"], true),
        (vec!["versions", "team", name], true),
        (vec!["show", "team", name], true),
        (vec!["diff", "team", then.trim()], true),
        (vec!["explain", "team", name], true),
        (vec!["conflicts", "team"], false),
        (vec!["keys", "team"], true),
        (vec!["audit", "team", &key], true),
        (vec!["revoke", "team", &key], false),
        (vec!["ack", "team", name], true),
        (vec!["export", "team", "/dir", "there", "--dry-run"], true),
        (vec!["mv", "team", name, "/dir/\u{202e}2"], false),
        (vec!["cat", "team", name], true),
        (vec!["revert", "team", name, "ffffffff"], true),
        (vec!["put", "team", name, "--over", "ffffffff"], true),
        (vec!["grant", "team", name, &key], true),
        (vec!["cat", "team", "/dir/\u{202e}2/3"], true),
    ];
    let is_steering = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}')
    };
    for (verb, names) in verbs {
        let said = world.run(&verb);
        let text = said.out + &said.err;
        assert!(!text.contains(is_steering), "{verb:?}: {text:?}");
        assert!(!names || text.contains("\\u{202e}"), "{verb:?}: {text}");
    }
    let said = world.ok(&["ls", "team", "/dir", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["items"][0]["path"], "/dir/\u{202e}2");
    // A name on this machine that is no text.
    std::fs::create_dir(world.path("tree")).unwrap();
    let broken = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"a\xff\x1b[31m");
    std::fs::write(world.path("tree").join(broken), "x").unwrap();
    let said = world.run(&["import", "team", "tree", "/tree"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("a\u{fffd}\\u{1b}[31m: its name is no UTF-8"), "{said:?}");
}

#[test]
fn numbers_come_line_by_line_where_nobody_looks_on() {
    let world = World::with_team();
    let alone = world.fails(&["resources", "team"], 5);
    assert!(alone.contains("basefs run team"), "{alone}");
    let node = world.start("team", &[]);
    let mut command = world.command(&["resources", "team", "--every", "1"]);
    let mut following = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with("cpu ") && line.contains("  peers 0/0"), "{line}");
    }
    following.kill().unwrap();
    following.wait().unwrap();
    let page = world.ok(&["resources", "team", "--once"]);
    assert!(page.starts_with("team\ncpu ") && page.contains("\nmemory     "), "{page}");
    let sample = world.ok(&["resources", "team", "--once", "--json"]);
    let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
    assert!(sample["memory"].as_u64().unwrap() > 1 << 20 && sample["entries"] == 1, "{sample}");
    assert!(sample["interval"].as_u64().unwrap() >= 500, "{sample}");
    // Two nodes see each other, and what goes over the line.
    world.ok(&["join", "other", &node.ticket]);
    let _other = world.start("other", &[]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let sample = world.ok(&["resources", "team", "--once", "--json"]);
        let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
        if sample["connected"] == 1 && sample["peers"][0]["standing"] == "equal" {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{sample}");
    }
    let page = world.ok(&["resources", "team", "--once"]);
    assert!(page.contains("1 peer is known") && page.contains("equal"), "{page}");
}

/// On a terminal it is one page that is drawn again in place.
#[test]
fn numbers_are_drawn_in_place_on_a_terminal() {
    let has_script = Command::new("script").arg("--version").stdout(Stdio::null()).status();
    if !has_script.is_ok_and(|status| status.success()) {
        println!("skipped: no `script` here");
        return;
    }
    let world = World::with_team();
    let _node = world.start("team", &[]);
    let shown = |columns: u16| {
        let program = env!("CARGO_BIN_EXE_basefs");
        let line = format!(
            "stty cols {columns} rows 8; timeout 2.2 {program} resources team --every 1; echo ended"
        );
        let mut command = Command::new("script");
        command.args(["-qc", &line, "/dev/null"]).env("XDG_DATA_HOME", world.path("data"));
        command.env("TERM", "xterm").env_remove("COLUMNS").stdin(Stdio::null());
        let out = command.current_dir(world.path("")).output().unwrap().stdout;
        String::from_utf8(out).unwrap().replace('\r', "")
    };
    for columns in [20, 80] {
        let shown = shown(columns);
        assert!(shown.starts_with("\x1b[2J\x1b[H"), "{shown:?}");
        let pages: Vec<&str> = shown.split("\x1b[H").skip(1).collect();
        assert!(pages.len() >= 2, "{shown:?}");
        let line = |line: &str| line.replace("\x1b[K", "").replace("\x1b[1m", "");
        for page in pages {
            let lines: Vec<String> =
                page.split("\x1b[J").next().unwrap().lines().map(line).collect();
            assert_eq!(lines.len(), 7, "the last row is free: {lines:?}");
            assert_eq!(lines[0].replace("\x1b[0m", ""), "team");
            assert!(lines[1].starts_with("cpu  "), "{lines:?}");
            let is_wide = |line: &String| line.chars().count() > usize::from(columns);
            assert!(!lines[1..].iter().any(is_wide), "{lines:?}");
        }
        assert!(shown.ends_with("\x1b[Jended\n"), "{shown:?}");
    }
}
