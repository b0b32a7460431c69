//! What a mount shows besides the tree: attributes, versions, conflicts, status.

use std::fs;

use basefs::fuse::MountOptions;
use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};

use super::{World, errno};
use crate::fs::team::{send, team};

fn attribute(world: &World, path: &str, name: &str) -> Result<String, i32> {
    let mut value = [0_u8; 4_096];
    match getxattr(world.at(path), name, &mut value[..]) {
        Ok(length) => Ok(String::from_utf8_lossy(&value[..length]).into_owned()),
        Err(error) => Err(error.raw_os_error()),
    }
}

#[test]
fn attributes_say_who_wrote_a_file_and_with_which_rank() {
    let [founder, one, two] = team();
    one.write("/team/plan", "one").unwrap();
    two.write("/team/plan", "two").unwrap();
    founder.write("/team/own", "alone").unwrap();
    send(&one, &founder);
    send(&two, &founder);
    let Some(world) = World::mount(founder, &MountOptions::default()) else { return };
    let why = world.fs.explain("/team/plan").unwrap();
    let winner = why.winner.unwrap();
    let get = |name| attribute(&world, "/team/plan", name);
    assert_eq!(get("user.basefs.author"), Ok(winner.author.to_string()));
    assert_eq!(get("user.basefs.version"), Ok(winner.id.to_string()));
    assert_eq!(get("user.basefs.rank"), Ok("1.1.0".to_owned()));
    let lost = get("user.basefs.conflict").unwrap();
    assert!(lost.starts_with(&format!("{:.8}", why.losers[0].version.id)), "{lost}");
    assert_eq!(attribute(&world, "/team/own", "user.basefs.conflict"), Err(61));
    assert_eq!(get("user.other"), Err(61));
    let mut names = [0_u8; 1_024];
    let length = listxattr(world.at("/team/own"), &mut names[..]).unwrap();
    let expected = "user.basefs.author\0user.basefs.rank\0user.basefs.version\0";
    assert_eq!(&names[..length], expected.as_bytes());
    let set = |name| setxattr(world.at("/team/own"), name, b"x", XattrFlags::empty());
    assert_eq!(set("user.basefs.author").map_err(|error| error.raw_os_error()), Err(1));
    assert_eq!(set("user.mine").map_err(|error| error.raw_os_error()), Err(95));

    let conflicts = fs::read_to_string(world.at("/.basefs/conflicts")).unwrap();
    assert!(conflicts.starts_with("/team/plan: "), "{conflicts}");
    let status = fs::read_to_string(world.at("/.basefs/status")).unwrap();
    assert!(status.contains(&format!("author {}\n", world.fs.author())), "{status}");
}

#[test]
fn old_versions_are_files() {
    let Some(world) = World::new() else { return };
    let old = world.fs.write("/a/motd", "hello").unwrap();
    world.fs.write("/a/motd", "good morning").unwrap();
    let gone = world.fs.write("/a/gone", "was here").unwrap();
    world.fs.remove("/a/gone").unwrap();
    let versions = world.at("/.basefs/versions/a");
    let names = |path| fs::read_dir(path).unwrap().count();
    assert_eq!((names(versions.clone()), names(versions.join("motd"))), (1, 2));
    let read = |name: String| fs::read_to_string(versions.join(name)).unwrap();
    assert_eq!(read(format!("motd/{old:.16}")), "hello");
    assert_eq!(read(format!("gone/{gone:.16}")), "was here", "of what is gone too");
    assert_eq!(errno(fs::write(versions.join("x"), "")), Some(30));
    assert_eq!(errno(fs::write(world.at("/.basefs/x"), "")), Some(30));
    assert_eq!(errno(fs::remove_file(world.at("/.basefs/status"))), Some(30));
    assert_eq!(errno(fs::create_dir(world.at("/a/.basefs"))), Some(22), "the name is reserved");
}
