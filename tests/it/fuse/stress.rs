//! A mount that is used by several programs while a peer writes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fuse::MountOptions;

use super::World;
use crate::fs::network::{PATIENCE, serve};

const TIME: Duration = Duration::from_secs(3);

/// Makes, moves, reads and removes files of its own, and reads those of the peer.
fn work(dir: &Path, name: &str) -> usize {
    let own = dir.join(name);
    fs::create_dir(&own).unwrap();
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed() < TIME {
        let text = format!("{name} {round} ").repeat(round % 200 + 1);
        let (temporary, file) = (own.join("temporary"), own.join(format!("{}", round % 20)));
        fs::write(&temporary, &text).unwrap();
        fs::rename(&temporary, &file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        if round % 3 == 0 {
            fs::remove_file(&file).unwrap();
        }
        for entry in fs::read_dir(dir.join("peer")).unwrap() {
            // What the peer removes meanwhile is gone; what is there is whole.
            if let Ok(text) = fs::read_to_string(entry.unwrap().path()) {
                assert!(text.is_empty() || text.ends_with('.'), "{text}");
            }
        }
        round += 1;
    }
    round
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_a_peer_write_at_once_and_agree_in_the_end() {
    let first = Fs::in_memory().unwrap();
    first.create_dir_all("/all/peer").unwrap();
    let node = serve(&first).await;
    let second = Fs::builder().join(&node.ticket()).open().unwrap();
    first.grant("/all", second.author()).unwrap();
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    let Some(world) = World::mount(second, &MountOptions::default()) else { return };

    let dir = world.at("/all");
    let programs = ["one", "two"].map(|name| {
        let dir = dir.clone();
        std::thread::spawn(move || work(&dir, name))
    });
    let start = Instant::now();
    let mut writes = 0;
    while start.elapsed() < TIME {
        let path = format!("/all/peer/{}", writes % 10);
        match writes % 7 {
            0 if first.exists(&path) => drop(first.remove(&path)),
            _ => drop(first.write(&path, "word ".repeat(writes % 300) + ".").unwrap()),
        }
        writes += 1;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let rounds = programs.map(|program| program.join().unwrap());
    println!("{rounds:?} rounds of two programs, {writes} writes of the peer in {TIME:?}");
    world.fs.sync().unwrap();
    node.wait_synced(PATIENCE).await.unwrap();
    let files = |fs: &Fs| -> Vec<_> {
        let files = fs.walk("/").unwrap().filter(|entry| entry.metadata().is_file());
        files.map(|entry| (entry.path().to_owned(), fs.read(entry.path()).unwrap())).collect()
    };
    let start = Instant::now();
    while files(&first) != files(&world.fs) && start.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(files(&first), files(&world.fs));
    for (path, content) in files(&world.fs) {
        let start = Instant::now();
        while fs::read(world.at(&path)).unwrap() != content {
            assert!(start.elapsed() < PATIENCE, "{path} through the mount");
        }
    }
    peer.shutdown().await.unwrap();
    node.shutdown().await.unwrap();
}
