//! What a peer changes, seen through a mount.

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fs::Serving;
use basefs::fuse::MountOptions;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::World;
use crate::fs::network::{PATIENCE, serve};

/// A hierarchy, and a second replica of it that is mounted.
async fn connected() -> Option<(Fs, World, [Serving; 2])> {
    let first = Fs::in_memory().unwrap();
    first.write("/shared/motd", "hello").unwrap();
    first.write("/shared/old", "old").unwrap();
    let node = serve(&first).await;
    let second = Fs::builder().join(&node.ticket()).open().unwrap();
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    let world = World::mount(second, &MountOptions::default())?;
    Some((first, world, [node, peer]))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Events of a watch: what happened, and to which name.
fn events(watch: &OwnedFd) -> Vec<(ReadFlags, String)> {
    let mut buffer = [MaybeUninit::uninit(); 4_096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    let mut all = Vec::new();
    while let Ok(event) = reader.next() {
        let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
        all.push((event.events(), name.unwrap_or_default()));
        if reader.is_buffer_empty() {
            break;
        }
    }
    all
}

fn wait_for(watch: &OwnedFd, flag: ReadFlags, name: &str) {
    let mut seen = Vec::new();
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        seen.extend(events(watch));
        if seen.iter().any(|(flags, of)| flags.contains(flag) && of == name) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{flag:?} of {name:?} was expected, and {seen:?} came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_a_peer_shows_and_wakes_who_watches() {
    let Some((first, world, _nodes)) = connected().await else { return };
    let (motd, old) = (world.at("/shared/motd"), world.at("/shared/old"));
    assert_eq!(fs::read_to_string(&motd).unwrap(), "hello");
    let mut open = File::open(&old).unwrap();
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    let of_dir = WatchFlags::MODIFY | WatchFlags::ATTRIB;
    inotify::add_watch(&watch, world.at("/shared"), of_dir).unwrap();
    let of_file = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&of_file, &old, WatchFlags::DELETE_SELF).unwrap();

    first.write("/shared/motd", "good morning, everybody").unwrap();
    wait_for(&watch, ReadFlags::MODIFY, "motd");
    // The pages that the kernel kept are of the old version no more.
    assert_eq!(fs::read_to_string(&motd).unwrap(), "good morning, everybody");
    first.write("/shared/new", "new").unwrap();
    wait_for(&watch, ReadFlags::MODIFY, "new");
    first.create_dir_all("/shared/dir").unwrap();
    wait_for(&watch, ReadFlags::MODIFY, "dir");
    first.remove("/shared/old").unwrap();
    wait_for(&watch, ReadFlags::MODIFY, "");
    assert!(!old.exists());
    let text = std::io::read_to_string(&mut open).unwrap();
    assert_eq!(text, "old", "whoever has it open reads on");
    drop(open);
    wait_for(&of_file, ReadFlags::DELETE_SELF, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_is_written_for_the_peer() {
    let Some((first, world, _nodes)) = connected().await else { return };
    first.grant("/shared", world.fs.author()).unwrap();
    until("the grant arrives", || world.fs.check_write("/shared/x").is_ok());
    fs::write(world.at("/shared/x"), "from the mount").unwrap();
    until("the peer reads it", || first.read("/shared/x").is_ok_and(|x| x == "from the mount"));

    // A file becomes a directory: it is something else for the kernel too.
    assert!(world.at("/shared/motd").is_file());
    let mut batch = first.batch();
    batch.remove("/shared/motd");
    batch.write("/shared/motd/inner", "1").unwrap();
    batch.commit().unwrap();
    until("it is a directory", || world.at("/shared/motd").is_dir());
    assert_eq!(fs::read_to_string(world.at("/shared/motd/inner")).unwrap(), "1");
}
