//! Hierarchies on this machine, their names, and what goes wrong.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::world::World;

#[test]
fn a_new_hierarchy_says_where_it_is_and_is_its_owners_alone() {
    let world = World::new();
    let said = world.ok(&["bootstrap", "team"]);
    let home = world.home("team");
    assert!(said.contains(&home.display().to_string()) && said.contains("root key"), "{said}");
    let mode = |name: &str| home.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("."), mode("author.key")), (0o700, 0o600));

    world.put("/etc/motd", "hello\n");
    assert_eq!(world.ok(&["cat", "team", "/etc/motd"]), "hello\n");
    assert_eq!(world.ok(&["ls", "team"]), "etc\n");
    assert_eq!(world.ok(&["list", "-R", "team"]), "etc\netc/motd\n");
    assert_eq!(world.ok(&["tree", "team"]), "/\n└── etc\n    └── motd\n1 directory, 1 file\n");

    let again = world.fails(&["new", "team"], 1);
    assert!(again.contains("exists already"), "{again}");
}

#[test]
fn trees_are_drawn_to_their_ends() {
    let world = World::with_team();
    for path in ["/a/b/1", "/a/b/2", "/a/c", "/d"] {
        world.put(path, "");
    }
    let drawn = "/\n├── a\n│   ├── b\n│   │   ├── 1\n│   │   └── 2\n│   └── c\n└── d\n\
                 2 directories, 4 files\n";
    assert_eq!(world.ok(&["tree", "team"]), drawn);
    let part = "/a/b\n├── 1\n└── 2\n0 directories, 2 files\n";
    assert_eq!(world.ok(&["tree", "team", "a/b/"]), part);
}

#[test]
fn names_are_looked_up_and_paths_are_taken_as_they_are() {
    let world = World::new();
    world.ok(&["new", "./here"]);
    assert!(world.path("here").join("store.redb").exists());
    assert_eq!(world.ok(&["ls", "./here"]), "");
    let unknown = world.fails(&["ls", "nowhere"], 1);
    assert!(unknown.contains("basefs new nowhere"), "{unknown}");
    world.fails(&["ls", "a b"], 2);
    let unknown = world.fails(&["frobnicate"], 2);
    assert!(unknown.contains("unrecognized subcommand"), "{unknown}");
    world.fails(&["put", "team", "/x", "--new", "--over", "1234"], 2);
    assert_eq!(world.run(&["--help"]).code, 0);
}

#[test]
fn a_key_made_beforehand_becomes_the_root_key() {
    let world = World::new();
    let key = world.ok(&["genkey", "ana.key"]);
    let mode = world.path("ana.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    world.fails(&["genkey", "ana.key"], 1);
    let said = world.ok(&["new", "team", "--key", "ana.key"]);
    assert!(said.contains(key.trim()), "{said}");
    std::fs::write(world.path("bad.key"), "no key").unwrap();
    world.fails(&["new", "other", "--key", "bad.key"], 1);
}

/// Each kind of failure has a code of its own.
#[test]
fn failures_can_be_told_apart() {
    let world = World::with_team();
    world.put("/motd", "1");
    world.fails(&["cat", "team", "/nothing"], 1);
    world.fails(&["cat", "team", "/a/../b"], 2);
    world.fails(&["put", "team", "/motd", "--new"], 4);
    let ticket = world.run(&["ticket", "team"]).out;
    let joined = world.ok(&["join", "other", ticket.trim()]);
    assert!(joined.contains("basefs run other") && joined.contains("basefs grant"), "{joined}");
    world.fails(&["mkdir", "other", "/x"], 5);
    let members = world.fails(&["members", "team"], 5);
    assert!(members.contains("basefs run"), "{members}");
    world.fails(&["watch", "team"], 5);
    world.fails(&["join", "third", "nonsense"], 2);
}

#[test]
fn a_store_that_somebody_else_has_open_is_waited_for_and_then_said_to_be_so() {
    let world = World::with_team();
    let held = basefs::Fs::open(world.home("team")).unwrap();
    let said = world.fails(&["ls", "team"], 5);
    assert!(said.contains("open in another process") && said.contains("basefs run"), "{said}");
    drop(held);
    world.ok(&["ls", "team"]);
}

/// A replica that cannot be used says what is wrong with it and what to do.
#[test]
fn damage_is_found_and_named() {
    let world = World::with_team();
    world.put("/motd", &"hello".repeat(200_000));
    let sound = world.ok(&["doctor", "team"]);
    assert!(
        sound.contains("2 entries, 1 file of 1000000 bytes") && sound.contains("nothing is dam")
    );
    std::fs::set_permissions(world.home("team"), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(world.ok(&["doctor", "team"]).contains("note: others can enter"));
    std::fs::remove_dir_all(world.home("team").join("packs")).unwrap();
    std::fs::create_dir(world.home("team").join("packs")).unwrap();
    let said = world.run(&["doctor", "team"]);
    assert!(said.code == 1 || said.code == 5, "{said:?}");
    assert!(said.err.starts_with("basefs: "), "{said:?}");

    std::fs::write(world.home("team").join("store.redb"), "nothing of the kind").unwrap();
    let said = world.fails(&["doctor", "team"], 1);
    assert!(said.contains("not a basefs store"), "{said}");
    std::fs::remove_file(world.home("team").join("author.key")).unwrap();
    world.fails(&["doctor", "team"], 1);
}

#[test]
fn old_versions_of_a_file_are_its_own() {
    let world = World::with_team();
    world.put("/motd", "old");
    let then = world.ok(&["at", "team"]);
    let versions = world.ok(&["versions", "team", "/motd"]);
    let old = versions.split(' ').next().unwrap();
    world.put("/motd", "new");
    world.put("/other", "x");
    world.ok(&["mv", "team", "/motd", "/moved"]);
    assert_eq!(world.ok(&["cat", "team", "/moved", "--at", old]), "old");
    assert_eq!(world.ok(&["cat", "team", "/motd", "--at", then.trim()]), "old");
    let foreign = world.fails(&["cat", "team", "/other", "--at", old], 1);
    assert!(foreign.contains("basefs versions"), "{foreign}");
    let full = world.ok(&["at", "team", "--full"]);
    assert_eq!(world.ok(&["cat", "team", "/moved", "--at", full.trim()]), "new");
    let log = world.ok(&["log", "team", "/moved"]);
    assert!(log.lines().count() == 3 && log.contains("/motd"), "{log}");
}

/// A reader who has enough is no failure, and no reason to complain.
#[test]
fn a_pipe_that_closes_early_ends_it_quietly() {
    let world = World::with_team();
    world.put("/big", &"x".repeat(1_000_000));
    let mut command = world.command(&["cat", "team", "/big"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 10]).unwrap();
    drop(out);
    let said = child.wait_with_output().unwrap();
    assert_eq!((said.status.code(), &said.stderr[..]), (Some(0), &b""[..]));
}

#[test]
fn colours_are_for_terminals_and_names_do_not_steer_them() {
    let world = World::with_team();
    world.ok(&["mkdir", "team", "/etc"]);
    world.ok(&["ln", "-s", "team", "a\u{9b}31m", "/link"]);
    assert_eq!(world.ok(&["ls", "team"]), "etc\nlink\n");
    assert!(world.ok(&["ls", "team", "--color", "always"]).contains("\u{1b}[1;34metc"));
    let long = world.ok(&["ls", "-l", "team"]);
    assert!(long.contains("\\u{9b}") && !long.contains('\u{9b}'), "{long}");
}

#[test]
fn the_command_explains_itself() {
    let world = World::new();
    assert!(world.ok(&["completions", "bash"]).contains("basefs"));
    assert!(world.ok(&["man"]).contains(".TH basefs"));
    std::fs::create_dir(world.path("man")).unwrap();
    world.ok(&["man", "--dir", "man"]);
    assert!(world.path("man").join("basefs-grant.1").exists());
    assert!(world.ok(&["grant", "--help"]).contains("basefs grant team"));
    let short = world.ok(&["--help"]);
    assert!(short.lines().count() < 35 && short.contains("Conflicts"), "{short}");
    world.ok(&["new", "team"]);
    let unit = world.ok(&["systemd", "team", "--listen", "0.0.0.0:4711"]);
    assert!(unit.contains("ExecStart=") && unit.contains("--listen 0.0.0.0:4711"), "{unit}");
}

/// In a directory that others can enter, they could read the store.
#[test]
fn a_replica_is_not_made_where_others_could_read_it() {
    let world = World::new();
    let dir = world.path("there");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
    let name = dir.to_str().unwrap();
    let said = world.fails(&["new", name], 1);
    assert!(said.contains("mode 755") && said.contains("chmod 700"), "{said}");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing was made");
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
    world.ok(&["new", name]);
}
