//! Whole trees, into a hierarchy and out of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::world::World;

/// A directory with everything that a tree can have.
fn tree(at: &Path) {
    fs::create_dir_all(at.join("sub/empty")).unwrap();
    fs::write(at.join("a.txt"), "a").unwrap();
    fs::write(at.join("sub/big"), vec![7; 100_000]).unwrap();
    fs::write(at.join("tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("sub/big", at.join("link")).unwrap();
    symlink("nowhere", at.join("dangling")).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_tree_goes_in_and_comes_out_as_it_was() {
    for runs in [false, true] {
        let world = World::with_team();
        let _node = runs.then(|| world.start("team", &[]));
        tree(&world.path("in"));

        let dry = world.ok(&["import", "team", "in", "/notes", "--dry-run"]);
        assert!(dry.contains("add     /notes/sub/big\n") && dry.contains("would have"), "{dry}");
        assert_eq!(world.ok(&["ls", "team"]), "", "a dry run does nothing");
        let said = world.ok(&["import", "team", "in", "/notes"]);
        let all = "imported 3 files (100011 bytes), 2 links and 3 directories; 0 unchanged\n";
        assert_eq!(said, all);
        let again = world.ok(&["import", "team", "in", "/notes"]);
        assert!(
            again.contains(" 0 files (0 bytes), 0 links and 0 directories; 8 unchanged"),
            "{again}"
        );

        let dry = world.ok(&["export", "team", "/notes", "out", "-n"]);
        assert!(dry.contains("write   /notes/tool\n"), "{dry}");
        assert!(!world.path("out").exists());
        let said = world.ok(&["export", "team", "/notes", "out"]);
        assert!(said.starts_with("exported 3 files (100011 bytes), 2 links and 2 dir"), "{said}");
        let out = world.path("out");
        assert_eq!(fs::read(out.join("sub/big")).unwrap(), vec![7; 100_000]);
        assert_eq!(fs::read_link(out.join("dangling")).unwrap(), Path::new("nowhere"));
        assert!(out.join("sub/empty").is_dir());
        assert_eq!(mode(&out.join("tool")) & 0o100, 0o100);
        assert_eq!(mode(&out.join("a.txt")) & 0o111, 0);
        let again = world.ok(&["export", "team", "/notes", "out"]);
        assert!(
            again.contains(" 0 files (0 bytes), 0 links and 0 directories; 7 unchanged"),
            "{again}"
        );
    }
}

#[test]
fn only_what_changed_is_written() {
    let world = World::with_team();
    tree(&world.path("in"));
    world.ok(&["import", "team", "in", "/"]);
    let then = world.ok(&["at", "team"]);
    fs::write(world.path("in/a.txt"), "b").unwrap();
    fs::set_permissions(world.path("in/tool"), PermissionsExt::from_mode(0o644)).unwrap();
    fs::remove_file(world.path("in/link")).unwrap();
    symlink("a.txt", world.path("in/link")).unwrap();
    let dry = world.ok(&["import", "team", "in", "/", "-n"]);
    let lines: Vec<&str> = dry.lines().filter(|line| line.starts_with("change")).collect();
    assert_eq!(lines, ["change  /a.txt", "change  /link", "change  /tool"]);
    world.ok(&["import", "team", "in", "/"]);
    let diff = world.ok(&["diff", "team", then.trim()]);
    assert_eq!(diff.lines().count(), 3, "{diff}");

    world.ok(&["export", "team", "/", "now"]);
    world.ok(&["export", "team", "/", "then", "--at", then.trim()]);
    assert_eq!(fs::read(world.path("now/a.txt")).unwrap(), b"b");
    assert_eq!(fs::read(world.path("then/a.txt")).unwrap(), b"a");
    let said = world.ok(&["export", "team", "/", "then", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["files"], &said["links"]), (&2.into(), &1.into()));
}

#[test]
fn what_cannot_be_read_is_counted_and_the_rest_goes_in() {
    use std::os::unix::ffi::OsStrExt;

    let world = World::with_team();
    tree(&world.path("in"));
    let _socket = std::os::unix::net::UnixListener::bind(world.path("in/socket")).unwrap();
    let no_text = std::ffi::OsStr::from_bytes(b"\xff");
    fs::write(world.path("in").join(no_text), "").unwrap();
    let said = world.run(&["import", "team", "in", "/"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("socket: neither") && said.err.contains("2 could not be"),
        "{said:?}"
    );
    assert_eq!(world.ok(&["cat", "team", "/a.txt"]), "a");
    assert_eq!(world.run(&["import", "team", "in/a.txt", "/x"]).code, 2);
    assert_eq!(world.run(&["export", "team", "/a.txt", "x"]).code, 2);
    assert_eq!(world.run(&["import", "team", "missing", "/x"]).code, 1);
}

/// An export writes into the directory given and nowhere else, whatever lies there.
#[test]
fn links_on_the_way_are_not_followed() {
    let world = World::with_team();
    world.put("/sub/file", "inside");
    fs::create_dir_all(world.path("elsewhere")).unwrap();
    fs::create_dir_all(world.path("out")).unwrap();
    symlink(world.path("elsewhere"), world.path("out/sub")).unwrap();
    let said = world.run(&["export", "team", "/", "out"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("a directory belongs here"), "{said:?}");
    assert_eq!(fs::read_dir(world.path("elsewhere")).unwrap().count(), 0);
}

/// An alias is a link that leads to the same directory on a disk.
#[test]
fn aliases_come_out_as_links_and_go_in_unchanged() {
    let world = World::with_team();
    world.put("/deep/etc/motd", "hello");
    world.ok(&["ln", "team", "/deep/etc", "/deep/conf"]);
    world.ok(&["export", "team", "/", "out"]);
    assert_eq!(fs::read(world.path("out/deep/conf/motd")).unwrap(), b"hello");
    let again = world.ok(&["import", "team", "out", "/"]);
    assert!(again.contains("imported 0 files (0 bytes), 0 links and 0"), "{again}");
}

/// A name that an export would take for itself is somebody's all the same.
#[test]
fn an_export_overwrites_nothing_with_what_it_needs_for_itself() {
    let world = World::with_team();
    for path in ["/.basefs-export", "/.basefs-export~", "/a", "/z"] {
        world.put(path, path);
    }
    let said = world.ok(&["export", "team", "/", "out"]);
    assert!(said.starts_with("exported 4 files"), "{said}");
    for path in ["/.basefs-export", "/.basefs-export~", "/a", "/z"] {
        assert_eq!(fs::read_to_string(world.path("out").join(&path[1..])).unwrap(), path);
    }
    assert_eq!(fs::read_dir(world.path("out")).unwrap().count(), 4, "and nothing else");
}
