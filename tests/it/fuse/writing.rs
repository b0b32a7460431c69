//! Writing through a mount.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fuse::{MAX_FILE_SIZE, MountOptions};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{World, errno};
use crate::fs::team;

const EACCES: i32 = 13;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const EFBIG: i32 = 27;
const EPERM: i32 = 1;
const ENOTEMPTY: i32 = 39;

/// What a `release` does is done soon after `close`.
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_written_becomes_one_entry_at_close() {
    let Some(world) = World::new() else { return };
    let path = world.at("/notes");
    let mut file = File::create(&path).unwrap();
    let before = world.fs.entries();
    for n in 0..100 {
        writeln!(file, "line {n}").unwrap();
    }
    assert!(!world.fs.exists("/notes"), "nothing is published while it is open");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100, "but it is seen here");
    assert!(fs::read_dir(world.at("/")).unwrap().count() == 1);
    drop(file);
    assert_eq!(world.fs.entries(), before + 1);
    let text = world.fs.read("/notes").unwrap();
    assert_eq!(&text[..], &fs::read(&path).unwrap()[..]);

    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"one more\n").unwrap();
    file.sync_all().unwrap();
    assert_eq!(world.fs.entries(), before + 2, "fsync makes an entry too");
    drop(file);
    assert_eq!(world.fs.entries(), before + 2, "and nothing is left for close");
    assert!(world.fs.read("/notes").unwrap().ends_with(b"line 99\none more\n"));
}

#[test]
fn an_empty_file_is_an_entry_once_it_is_closed() {
    let Some(world) = World::new() else { return };
    drop(File::create(world.at("/lock")).unwrap());
    soon("it is published", || world.fs.exists("/lock"));
    fs::write(world.at("/text"), "long").unwrap();
    drop(OpenOptions::new().write(true).truncate(true).open(world.at("/text")).unwrap());
    soon("it is cut", || world.fs.read("/text").unwrap().is_empty());
    assert_eq!(fs::metadata(world.at("/text")).unwrap().len(), 0);
}

#[test]
fn lengths_are_set_and_holes_are_zero() {
    let Some(world) = World::new() else { return };
    let path = world.at("/f");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(5)).unwrap();
    file.write_all(b"end").unwrap();
    file.set_len(7).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 7);
    file.set_len(9).unwrap();
    drop(file);
    assert_eq!(world.fs.read("/f").unwrap(), &b"\0\0\0\0\0en\0\0"[..]);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    assert_eq!(errno(file.set_len(MAX_FILE_SIZE + 1)), Some(EFBIG));
    assert_eq!(errno(file.write_all_at(b"x", MAX_FILE_SIZE)), Some(EFBIG));
    drop(file);
    assert_eq!(fs::read(&path).unwrap().len(), 9, "what was refused left nothing");
}

#[test]
fn a_removed_file_goes_on_for_those_who_have_it_open() {
    let Some(world) = World::new() else { return };
    world.fs.write("/old", "there before").unwrap();
    let mut old = File::open(world.at("/old")).unwrap();
    let mut new = OpenOptions::new();
    let mut new = new.read(true).write(true).create_new(true).open(world.at("/new")).unwrap();
    let before = world.fs.entries();
    fs::remove_file(world.at("/old")).unwrap();
    fs::remove_file(world.at("/new")).unwrap();
    new.write_all(b"scratch").unwrap();
    new.rewind().unwrap();
    let mut text = String::new();
    new.read_to_string(&mut text).unwrap();
    old.read_to_string(&mut text).unwrap();
    assert_eq!(text, "scratchthere before");
    assert_eq!(new.metadata().unwrap().nlink(), 0);
    drop((old, new));
    assert!(!world.at("/new").exists() && !world.at("/old").exists());
    assert_eq!(world.fs.entries(), before + 1, "of the scratch file nothing is published");
}

#[test]
fn names_are_made_moved_and_removed() {
    let Some(world) = World::new() else { return };
    fs::create_dir(world.at("/d")).unwrap();
    assert_eq!(errno(fs::create_dir(world.at("/d"))), Some(EEXIST));
    fs::write(world.at("/d/a"), "a").unwrap();
    fs::write(world.at("/d/b"), "b").unwrap();
    let number = fs::metadata(world.at("/d/a")).unwrap().ino();
    fs::rename(world.at("/d/a"), world.at("/d/b")).unwrap();
    assert_eq!(fs::read_to_string(world.at("/d/b")).unwrap(), "a");
    assert_eq!(fs::metadata(world.at("/d/b")).unwrap().ino(), number);
    assert_eq!(errno(fs::remove_dir(world.at("/d"))), Some(ENOTEMPTY));

    let rename = |flags| {
        let (from, to) = (world.at("/d/b"), world.at("/c"));
        errno(renameat_with(CWD, from, CWD, to, flags).map_err(Into::into))
    };
    fs::write(world.at("/c"), "c").unwrap();
    assert_eq!(rename(RenameFlags::NOREPLACE), Some(EEXIST));
    assert_eq!(rename(RenameFlags::EXCHANGE), Some(EINVAL));
    fs::rename(world.at("/d"), world.at("/e")).unwrap();
    assert_eq!(fs::read_to_string(world.at("/e/b")).unwrap(), "a");

    std::os::unix::fs::symlink("e/b", world.at("/link")).unwrap();
    assert_eq!(world.fs.read_link("/link").unwrap(), "e/b");
    assert_eq!(errno(fs::hard_link(world.at("/e/b"), world.at("/hard"))), Some(EPERM));
    fs::remove_file(world.at("/e/b")).unwrap();
    fs::remove_dir(world.at("/e")).unwrap();
    assert!(!world.fs.exists("/e"));
}

#[test]
fn a_file_that_is_open_is_renamed_with_what_was_written_to_it() {
    let Some(world) = World::new() else { return };
    fs::write(world.at("/target"), "old").unwrap();
    let mut reader = File::open(world.at("/target")).unwrap();
    let mut file = File::create(world.at("/temporary")).unwrap();
    file.write_all(b"new").unwrap();
    fs::rename(world.at("/temporary"), world.at("/target")).unwrap();
    file.write_all(b" and more").unwrap();
    drop(file);
    assert_eq!(world.fs.read("/target").unwrap(), "new and more");
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old", "whoever had the old one open reads it");
    assert!(!world.fs.exists("/temporary"));
}

#[test]
fn of_a_mode_the_executable_bit_is_kept() {
    let Some(world) = World::new() else { return };
    let path = world.at("/run");
    fs::write(&path, "#!/bin/sh\necho it runs\n").unwrap();
    let before = world.fs.entries();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(world.fs.entries(), before, "it was not executable before");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(world.fs.metadata("/run").unwrap().is_executable());
    let output = std::process::Command::new(&path).output().unwrap();
    assert_eq!(output.stdout, b"it runs\n");
    assert_eq!(errno(std::os::unix::fs::chown(&path, Some(12_345), None)), Some(EPERM));
}

#[test]
fn who_may_not_write_is_told_before_the_first_byte() {
    let [founder, member, _] = team::team();
    founder.write("/motd", "hello").unwrap();
    team::send(&founder, &member);
    let Some(world) = World::mount(member, &MountOptions::default()) else { return };
    let open = |path: &str| OpenOptions::new().write(true).open(world.at(path));
    assert_eq!(errno(open("/motd")), Some(EACCES));
    assert_eq!(errno(File::create(world.at("/other"))), Some(EACCES));
    assert_eq!(errno(fs::remove_file(world.at("/motd"))), Some(EACCES));
    assert_eq!(errno(fs::create_dir(world.at("/dir"))), Some(EACCES));
    assert!(!world.at("/other").exists());
    fs::write(world.at("/team/plan"), "mine").unwrap();
    assert_eq!(fs::read_to_string(world.at("/motd")).unwrap(), "hello");

    // Revoked with a file open: what comes before that fails at the end, what comes after at once.
    let mut file = OpenOptions::new().append(true).open(world.at("/team/plan")).unwrap();
    file.write_all(b" no more").unwrap();
    team::send(&world.fs, &founder);
    founder.revoke("/team", world.fs.author()).unwrap();
    team::send(&founder, &world.fs);
    assert_eq!(errno(file.write_all(b" at all")), Some(EACCES));
    assert_eq!(errno(file.set_len(0)), Some(EACCES));
    assert_eq!(errno(file.sync_all()), Some(EACCES));
    drop(file);
    assert_eq!(fs::read_to_string(world.at("/team/plan")).unwrap(), "mine");
}

#[test]
fn what_is_open_at_the_end_is_not_lost() {
    let Some(mut world) = World::new() else { return };
    let mut file = File::create(world.at("/open")).unwrap();
    file.write_all(b"unfinished").unwrap();
    world.mount.take().unwrap().unmount().unwrap();
    assert_eq!(world.fs.read("/open").unwrap(), "unfinished");
    drop(file);
    assert_eq!(fs::read_dir(world.at("/")).unwrap().count(), 0, "it is not mounted any more");
}

#[test]
fn links_that_lead_out_are_refused_on_request() {
    let hierarchy = Fs::in_memory().unwrap();
    hierarchy.symlink("/etc/passwd", "/out").unwrap();
    hierarchy.symlink("b", "/a").unwrap();
    let mut options = MountOptions::default();
    options.confine_symlinks = true;
    let Some(world) = World::mount(hierarchy, &options) else { return };
    assert_eq!(errno(fs::read(world.at("/out"))), Some(EPERM));
    assert_eq!(fs::read_link(world.at("/a")).unwrap().to_str(), Some("b"));
    assert_eq!(errno(std::os::unix::fs::symlink("../x", world.at("/c"))), Some(EPERM));
}
