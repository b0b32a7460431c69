//! Nothing that a peer wrote is overwritten by who has not seen it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fuse::MountOptions;

use super::{World, errno};
use crate::fs::network::PATIENCE;
use crate::fs::team;

/// A member whose hierarchy is mounted, and one of the same rank who writes elsewhere. The file
/// `/team/plan` says "one".
fn pair() -> Option<(World, Fs)> {
    let [_, member, other] = team::team();
    other.write("/team/plan", "one").unwrap();
    team::send(&other, &member);
    Some((World::mount(member, &MountOptions::default())?, other))
}

/// What the two versions of a path say that are in conflict, and everybody sees the same.
fn both(world: &World, other: &Fs, path: &str) -> [String; 2] {
    team::send(&world.fs, other);
    let conflicts = other.conflicts(path).unwrap();
    assert_eq!(conflicts, world.fs.conflicts(path).unwrap());
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    let losers = &conflicts[0].losers;
    assert_eq!(losers.len(), 1, "{losers:?}");
    let text = |id| String::from_utf8(world.fs.read_version(id).unwrap().to_vec()).unwrap();
    let winner = text(&conflicts[0].winner.id);
    assert_eq!(fs::read_to_string(world.at(path)).unwrap(), winner, "the mount shows what won");
    let told = fs::read_to_string(world.at("/.basefs/conflicts")).unwrap();
    assert!(told.contains(path), "{told}");
    let mut both = [winner, text(&losers[0].version.id)];
    both.sort();
    both
}

#[test]
fn what_was_staged_before_a_peer_wrote_is_a_conflict_with_it() {
    let Some((world, other)) = pair() else { return };
    let path = world.at("/team/plan");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b", mine").unwrap();
    other.write("/team/plan", "one, theirs").unwrap();
    team::send(&other, &world.fs);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one, mine", "what is staged shows here");
    drop(file);
    assert_eq!(both(&world, &other, "/team/plan"), ["one, mine", "one, theirs"]);
    // Whoever opens it now has seen what shows, and leaves the rest of the conflict open.
    fs::write(&path, "settled").unwrap();
    assert_eq!(both(&world, &other, "/team/plan")[1], "settled");
}

#[test]
fn who_has_read_a_version_writes_on_top_of_that() {
    let Some((world, other)) = pair() else { return };
    let path = world.at("/team/plan");
    let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    other.write("/team/plan", "one, theirs").unwrap();
    team::send(&other, &world.fs);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one, theirs", "who opens it now reads that");
    assert_ne!(file.metadata().unwrap().ino(), fs::metadata(&path).unwrap().ino());
    assert_eq!(file.metadata().unwrap().nlink(), 1, "it was not removed");
    file.rewind().unwrap();
    text.clear();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one", "who had it open goes on with what was opened");
    // It goes where the name goes.
    fs::rename(&path, world.at("/team/moved")).unwrap();
    fs::rename(world.at("/team/moved"), &path).unwrap();
    file.write_all(b", mine").unwrap();
    file.sync_all().unwrap();
    drop(file);
    assert_eq!(both(&world, &other, "/team/plan"), ["one, mine", "one, theirs"]);
}

#[test]
fn who_has_seen_nothing_yet_writes_on_top_of_the_newest() {
    let Some((world, other)) = pair() else { return };
    let mut file = OpenOptions::new().append(true).open(world.at("/team/plan")).unwrap();
    other.write("/team/plan", "one, theirs").unwrap();
    team::send(&other, &world.fs);
    assert_eq!(fs::read_to_string(world.at("/team/plan")).unwrap(), "one, theirs");
    file.write_all(b", mine").unwrap();
    drop(file);
    assert_eq!(world.fs.read("/team/plan").unwrap(), "one, theirs, mine");
    assert!(world.fs.conflicts("/").unwrap().is_empty());
}

#[test]
fn a_name_that_two_make_at_once_is_a_conflict() {
    let Some((world, other)) = pair() else { return };
    let mut file = File::create_new(world.at("/team/new")).unwrap();
    file.write_all(b"mine").unwrap();
    other.write("/team/new", "theirs").unwrap();
    team::send(&other, &world.fs);
    drop(file);
    assert_eq!(both(&world, &other, "/team/new"), ["mine", "theirs"]);
}

#[test]
fn what_a_peer_removed_can_be_written_and_what_was_removed_here_is_gone() {
    let Some((world, other)) = pair() else { return };
    let path = world.at("/team/plan");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    other.remove("/team/plan").unwrap();
    team::send(&other, &world.fs);
    file.write_all(b", mine").unwrap();
    file.sync_all().unwrap();
    assert_eq!(world.fs.read("/team/plan").unwrap(), "one, mine", "a write hides less");

    let mut text = String::new();
    File::open(&path).unwrap().read_to_string(&mut text).unwrap();
    other.write("/team/plan", "back").unwrap();
    team::send(&other, &world.fs);
    fs::remove_file(&path).unwrap();
    let before = world.fs.entries();
    file.write_all(b"for nobody").unwrap();
    drop(file);
    assert_eq!(world.fs.entries(), before, "the name was removed through the mount");
}

#[test]
fn a_directory_in_place_of_an_open_file_is_told_to_who_writes() {
    let Some((world, other)) = pair() else { return };
    let path = world.at("/team/plan");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    let mut batch = other.batch();
    batch.remove("/team/plan");
    batch.write("/team/plan/first", "1").unwrap();
    batch.commit().unwrap();
    team::send(&other, &world.fs);
    let start = Instant::now();
    while !path.is_dir() {
        assert!(start.elapsed() < PATIENCE, "the kernel is told");
        sleep(Duration::from_millis(5));
    }
    file.write_all(b", mine").unwrap();
    assert_eq!(errno(file.sync_all()), Some(21), "EISDIR: nothing is lost unheard");
}
