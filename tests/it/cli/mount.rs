//! A hierarchy as a folder, by the command.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::world::World;
use crate::fuse::can_mount;

#[test]
fn programs_see_files_and_verbs_see_what_they_write() {
    if !can_mount() {
        return;
    }
    let world = World::with_team();
    world.put("/motd", "hello");
    let dir = world.path("folder");
    fs::create_dir(&dir).unwrap();
    let folder = dir.to_str().unwrap();
    let args = ["mount", "team", folder, "--listen", "127.0.0.1:0", "--json"];
    let mut mounted = world.command(&args).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(mounted.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said = world.fails(&args[..5], 5);
    assert!(said.contains("runs already"), "{said}");
    assert_eq!(fs::read_to_string(dir.join("motd")).unwrap(), "hello");
    fs::create_dir(dir.join("notes")).unwrap();
    fs::write(dir.join("notes/today"), "written by a program").unwrap();
    assert_eq!(world.ok(&["cat", "team", "/notes/today"]), "written by a program");
    // What a verb writes, programs read.
    world.put("/motd", "good morning");
    let deadline = Instant::now() + Duration::from_secs(10);
    while fs::read_to_string(dir.join("motd")).unwrap() != "good morning" {
        assert!(Instant::now() < deadline, "it stays as it was");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Unmounting it ends the node.
    unmount(&dir);
    assert_eq!(mounted.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert_eq!(world.ok(&["cat", "team", "/notes/today"]), "written by a program");
}

/// Waking those who watch files touches them, for a moment, which keeps the folder busy.
fn unmount(dir: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !Command::new("umount").arg(dir).status().expect("umount runs").success() {
        assert!(Instant::now() < deadline, "it stays mounted");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_past_can_be_mounted_and_other_peoples_files_stay_visible() {
    if !can_mount() {
        return;
    }
    let world = World::with_team();
    world.put("/motd", "then");
    let then = world.ok(&["at", "team", "--full"]);
    world.put("/motd", "now");
    let dir = world.path("folder");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("mine"), "").unwrap();
    let folder = dir.to_str().unwrap();
    let said = world.fails(&["mount", "team", folder, "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("not empty"), "{said}");
    fs::remove_file(dir.join("mine")).unwrap();
    let args = ["mount", "team", folder, "--listen", "127.0.0.1:0", "--at", then.trim(), "--json"];
    let mut mounted = world.command(&args).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(mounted.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(fs::read_to_string(dir.join("motd")).unwrap(), "then");
    let refused = fs::write(dir.join("motd"), "changed").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let id = mounted.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(mounted.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "it is unmounted");
}
