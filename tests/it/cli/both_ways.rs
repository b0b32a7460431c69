//! Every verb says the same whether it opens the files itself or asks the running node.

use std::path::Path;
use std::process::Command;

use basefs::Fs;

use super::world::{Said, World};

/// A hierarchy with some history and a conflict; the keys of its two authors.
pub(super) fn worked_on(world: &World) -> (String, String) {
    let ana = Fs::open(world.home("team")).unwrap();
    let ben = Fs::builder().join(&ana.ticket(vec![])).open().unwrap();
    let exchange = |from: &Fs, to: &Fs| {
        for entry in from.export() {
            to.admit(&entry.unwrap()).unwrap();
        }
    };
    ana.write("/etc/motd", "hello\n").unwrap();
    ana.write("/etc/hosts", "").unwrap();
    ana.symlink("etc", "/conf").unwrap();
    ana.link("/etc", "/settings").unwrap();
    ana.grant_with("/", ben.author(), basefs::entry::Rights::Write, "ben").unwrap();
    exchange(&ana, &ben);
    ana.write("/etc/motd", "good morning\n").unwrap();
    ben.write("/etc/motd", "good evening\n").unwrap();
    exchange(&ben, &ana);
    (ana.author().to_string(), ben.author().to_string())
}

#[test]
fn looking_is_the_same_both_ways() {
    let world = World::with_team();
    let before = world.ok(&["at", "team"]);
    let (ana, ben) = worked_on(&world);
    let verbs: Vec<Vec<&str>> = vec![
        vec!["ls", "team"],
        vec!["ls", "-l", "team", "/etc"],
        vec!["ls", "-R", "team", "/"],
        vec!["ls", "-l", "team", "/etc/motd"],
        vec!["ls", "team", "/nowhere"],
        vec!["ls", "team", "/", "--at", before.trim()],
        vec!["tree", "team"],
        vec!["cat", "team", "/etc/motd"],
        vec!["cat", "team", "/etc"],
        vec!["at", "team"],
        vec!["at", "team", "--full"],
        vec!["log", "team"],
        vec!["log", "team", "/etc", "-n", "2"],
        vec!["show", "team", "/etc/motd"],
        vec!["versions", "team", "/etc/motd"],
        vec!["versions", "team", "/nowhere"],
        vec!["diff", "team", before.trim()],
        vec!["diff", "team", before.trim(), before.trim(), "--path", "/"],
        vec!["conflicts", "team"],
        vec!["explain", "team", "/etc/motd"],
        vec!["keys", "team"],
        vec!["revoke", "team", "ben"],
        vec!["audit", "team", "ben"],
        vec!["audit", "team", &ana],
        vec!["audit", "team", &ben[..12]],
        vec!["audit", "team", "nobody"],
        vec!["doctor", "team"],
    ];
    let run_all = |world: &World| -> Vec<Said> {
        let json = |verb: &[&str]| world.run(&[verb, &["--json"]].concat());
        verbs.iter().flat_map(|verb| [world.run(verb), json(verb)]).collect()
    };
    let closed = run_all(&world);
    let node = world.start("team", &[]);
    let running = run_all(&world);
    drop(node);
    for (position, (a, b)) in closed.iter().zip(&running).enumerate() {
        assert_eq!(a, b, "{:?}", verbs[position / 2]);
        let is_json = position % 2 == 1 && a.code == 0;
        let is_value = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(!is_json || a.out.lines().all(is_value), "{}", a.out);
    }
    let said = |verb: &[&str]| {
        let position = verbs.iter().position(|one| one[..] == *verb).unwrap();
        closed[position * 2].out.clone()
    };
    assert!(said(&["conflicts", "team"]).contains("lost"), "the worked example has a conflict");
    assert!(said(&["versions", "team", "/etc/motd"]).contains("ben"));
    let drawn = said(&["show", "team", "/etc/motd"]);
    let marks: String = drawn.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert!(marks == "◌│ ●├─┘○" || marks == "●│ ◌├─┘○", "{drawn}");
    assert!(said(&["ls", "-l", "team", "/etc"]).contains("13  "), "sizes are shown");
    assert!(said(&["diff", "team", before.trim()]).contains("added /etc"));
    assert!(said(&["revoke", "team", "ben"]).contains("--yes"));
}

pub(super) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a"]).args([from, to]).status().expect("cp runs");
    assert!(copied.success());
}

/// Without what differs from one run to the next: ids, and times of the clock.
pub(super) fn masked(text: &str) -> String {
    let is_id = |word: &&str| word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut masked = text.to_owned();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(is_id) {
        masked = masked.replace(word, "ID");
    }
    masked
}

#[test]
fn changing_is_the_same_both_ways() {
    let world = World::with_team();
    let (_, ben) = worked_on(&world);
    let known = world.ok(&["versions", "team", "/etc/motd"]);
    let first = known.lines().last().unwrap().split(' ').next().unwrap().to_owned();
    let lost = known.lines().find(|line| line.contains(" lost ")).unwrap();
    let lost = lost.split(' ').next().unwrap().to_owned();
    std::fs::write(world.path("file"), "from a file").unwrap();
    let key = "0123456789abcdef".repeat(4);
    let verbs: Vec<Vec<&str>> = vec![
        vec!["put", "HERE", "/a/file", "file"],
        vec!["put", "HERE", "/a/tool", "file", "-x"],
        vec!["put", "HERE", "/a/file", "file", "--new"],
        vec!["put", "HERE", "/etc/motd", "file", "--over", &first],
        vec!["put", "HERE", "/a/none", "missing"],
        vec!["mkdir", "HERE", "/b/c"],
        vec!["mv", "HERE", "/a/file", "/b/c/file"],
        vec!["mv", "HERE", "/nothing", "/x"],
        vec!["ln", "HERE", "/b", "/alias"],
        vec!["ln", "-s", "HERE", "../b", "/link"],
        vec!["rm", "HERE", "/b"],
        vec!["rm", "-r", "HERE", "/b/c"],
        vec!["revert", "HERE", "/etc/motd", &first],
        vec!["revert", "HERE", "/etc/motd", "ffff0000"],
        vec!["revert", "HERE", "/etc/motd", "ff"],
        vec!["resolve", "HERE", "/etc/motd", &lost],
        vec!["conflicts", "HERE"],
        vec!["grant", "HERE", "/a", &key, "--label", "cleo", "--rights", "all"],
        vec!["grant", "HERE", "/b", "0123"],
        vec!["grant", "HERE", "/a", "4567"],
        vec!["revoke", "HERE", "cleo", "--path", "/a", "--yes"],
        vec!["revoke", "HERE", "ben", "--yes", "--discard"],
        vec!["revoke", "HERE", &ben, "--yes"],
        vec!["ls", "-R", "HERE"],
        vec!["cat", "HERE", "/etc/motd"],
        vec!["keys", "HERE"],
    ];
    copy(&world.home("team"), &world.home("twin"));
    let run_all = |name: &str| -> Vec<Said> {
        let named = |verb: &Vec<&str>| -> Said {
            let words: Vec<&str> =
                verb.iter().map(|word| if *word == "HERE" { name } else { word }).collect();
            let said = world.run(&words);
            let err = said.err.replace(name, "HERE");
            Said { out: masked(&said.out), err: masked(&err), ..said }
        };
        verbs.iter().map(named).collect()
    };
    let closed = run_all("team");
    let node = world.start("twin", &[]);
    let running = run_all("twin");
    drop(node);
    for (verb, (a, b)) in verbs.iter().zip(closed.iter().zip(&running)) {
        assert_eq!(a, b, "{verb:?}");
    }
    let codes: Vec<i32> = closed.iter().map(|said| said.code).collect();
    let expected = [0, 0, 4, 4, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0];
    assert_eq!(codes, expected, "{closed:#?}");
    assert_eq!(world.ok(&["cat", "team", "/etc/motd"]), world.ok(&["cat", "twin", "/etc/motd"]));
}

#[test]
fn status_says_besides_whether_the_node_runs() {
    let world = World::with_team();
    worked_on(&world);
    let status = |world: &World| -> serde_json::Value {
        serde_json::from_str(&world.ok(&["status", "team", "--json"])).unwrap()
    };
    let mut closed = status(&world);
    let node = world.start("team", &[]);
    let mut running = status(&world);
    assert_eq!(closed["conflicts"], 1);
    assert!(closed["running"].take().is_null() && running["running"].take().is_object());
    assert_eq!(closed, running);
    assert!(world.ok(&["status", "team"]).contains("listening"));
    let named = world.ok(&["ticket", "team"]);
    drop(node);
    let nameless = world.run(&["ticket", "team"]);
    assert!(named.len() > nameless.out.len(), "a ticket names the node if it runs");
    assert!(nameless.err.contains("names nobody"), "{nameless:?}");
}
