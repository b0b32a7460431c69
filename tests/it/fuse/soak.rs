//! Random operations on shared names by several programs, while a peer does the same.
//!
//! For five seconds; `BASEFS_STRESS=1800` makes it half an hour.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fs::FileType;
use basefs::fuse::MountOptions;

use super::World;
use super::random::Random;
use crate::fs::network::{PATIENCE, serve};

const SECONDS: u64 = 5;
const PROGRAMS: u64 = 4;
/// How often the peer writes: it signs and sends all of it.
const PEER_PAUSE: Duration = Duration::from_millis(10);
/// What an operation may answer whose name somebody else has changed meanwhile.
const EXPECTED: [(i32, &str); 8] = [
    (2, "ENOENT: it was removed"),
    (17, "EEXIST: somebody else has made it"),
    (20, "ENOTDIR: a file is where a directory was"),
    (21, "EISDIR: a directory is where a file was"),
    (22, "EINVAL: a directory cannot be moved into itself, and readlink wants a link"),
    (39, "ENOTEMPTY: there is something in the directory"),
    (40, "ELOOP: a link that leads to itself"),
    (116, "ESTALE: it was replaced twice while the kernel looked"),
];

/// A file or directory of a few: so that everybody meets everybody.
fn name(random: &mut Random) -> String {
    let dir = random.below(3);
    match random.below(8) {
        0 => format!("d{dir}"),
        1 => format!("d{dir}/e"),
        2 => format!("d{dir}/e/f{}", random.below(3)),
        _ => format!("d{dir}/f{}", random.below(8)),
    }
}

fn text(random: &mut Random) -> Vec<u8> {
    // Short ones are in the entry, long ones in blocks.
    let length = usize::try_from(random.below(3_000)).unwrap();
    let byte = b'a' + u8::try_from(random.below(26)).unwrap();
    vec![byte; length]
}

fn operate(dir: &Path, random: &mut Random) -> io::Result<()> {
    let (path, other) = (dir.join(name(random)), dir.join(name(random)));
    match random.below(16) {
        0..=3 => fs::write(&path, text(random)),
        4 => {
            let text = text(random);
            let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            file.set_len(0)?;
            io::Seek::rewind(&mut file)?;
            file.write_all(&text)?;
            file.sync_all()
        }
        5 => File::options().write(true).open(&path)?.set_len(random.below(4_000)),
        6 => fs::rename(&path, &other),
        7 => fs::remove_file(&path),
        8 => fs::remove_dir(&path),
        9 | 10 => fs::create_dir(&path),
        11 => std::os::unix::fs::symlink(format!("f{}", random.below(8)), &path),
        12 => fs::read_link(&path).map(drop),
        13 => {
            for entry in fs::read_dir(&path)? {
                entry?;
            }
            Ok(())
        }
        _ => {
            let mut content = Vec::new();
            // What a link leads to may be a link to that.
            if !path.symlink_metadata()?.is_symlink() {
                File::open(&path)?.read_to_end(&mut content)?;
            }
            Ok(())
        }
    }
}

/// What the peer does: the same, by the library. What cannot be done any more is left.
fn operate_far(peer: &Fs, random: &mut Random) {
    let path = format!("/all/{}", name(random));
    match random.below(8) {
        0..=3 => drop(peer.write(&path, text(random))),
        4 => drop(peer.rename(&path, format!("/all/{}", name(random)))),
        5 => drop(peer.create_dir_all(&path)),
        6 => drop(peer.symlink("f1", &path)),
        _ => drop(peer.remove(&path)),
    }
}

/// Operations of each outcome, 0 for those that succeeded.
type Outcomes = BTreeMap<i32, u64>;

fn program(dir: &Path, seed: u64, time: Duration) -> Outcomes {
    let (mut random, mut outcomes) = (Random(seed), Outcomes::new());
    let start = Instant::now();
    while start.elapsed() < time {
        let outcome = match operate(dir, &mut random) {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or_else(|| panic!("{error}")),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

/// All that a hierarchy shows: for each path what is there.
fn shown(fs: &Fs) -> BTreeMap<String, Vec<u8>> {
    let entries = fs.walk("/all").unwrap().map(|entry| {
        let path = entry.path();
        let what = match entry.metadata().file_type() {
            FileType::Dir => b"directory".to_vec(),
            FileType::File => fs.read(path).map(|content| content.to_vec()).unwrap_or_default(),
            // Where an alias leads depends on where it is.
            _ => b"link".to_vec(),
        };
        (path.trim_start_matches("/all").to_owned(), what)
    });
    entries.filter(|(path, _)| !path.is_empty()).collect()
}

/// The same of the mount.
fn mounted(top: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let (mut open, mut all) = (vec![PathBuf::new()], BTreeMap::new());
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(top.join(&dir))? {
            let path = dir.join(entry?.file_name());
            let kind = top.join(&path).symlink_metadata()?.file_type();
            let what = match () {
                () if kind.is_dir() => {
                    open.push(path.clone());
                    b"directory".to_vec()
                }
                () if kind.is_symlink() => b"link".to_vec(),
                () => fs::read(top.join(&path))?,
            };
            all.insert(format!("/{}", path.display()), what);
        }
    }
    Ok(all)
}

fn agree(first: &Fs, world: &World) -> bool {
    let wanted = shown(first);
    let is_same_here = shown(&world.fs) == wanted;
    is_same_here && mounted(&world.at("/all")).is_ok_and(|mounted| mounted == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_operations_of_programs_and_a_peer_agree_in_the_end() {
    let seconds = std::env::var("BASEFS_STRESS").ok().map(|text| text.parse().unwrap());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let first = Fs::in_memory().unwrap();
    first.create_dir_all("/all").unwrap();
    let node = serve(&first).await;
    let second = Fs::builder().join(&node.ticket()).open().unwrap();
    first.grant("/all", second.author()).unwrap();
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    let Some(world) = World::mount(second, &MountOptions::default()) else { return };

    let programs: Vec<_> = (1..=PROGRAMS)
        .map(|seed| {
            let dir = world.at("/all");
            std::thread::spawn(move || program(&dir, seed * 0x9e37_79b9, time))
        })
        .collect();
    let (start, mut random, mut far) = (Instant::now(), Random(77), 0_u64);
    while start.elapsed() < time {
        operate_far(&first, &mut random);
        far += 1;
        tokio::time::sleep(PEER_PAUSE).await;
    }
    let mut outcomes = Outcomes::new();
    for program in programs {
        for (outcome, count) in program.join().unwrap() {
            *outcomes.entry(outcome).or_default() += count;
        }
    }
    let conflicts = first.conflicts("/").unwrap().len();
    println!(
        "{time:?}: operations by errno {outcomes:?}, {far} of the peer, {conflicts} conflicts"
    );
    let is_expected = |outcome: &i32| *outcome == 0 || EXPECTED.iter().any(|(e, _)| e == outcome);
    assert!(outcomes.keys().all(is_expected), "{outcomes:?}, of which are expected {EXPECTED:?}");
    world.fs.sync().unwrap();
    node.wait_synced(PATIENCE).await.unwrap();
    let start = Instant::now();
    while !agree(&first, &world) {
        if start.elapsed() > PATIENCE {
            assert_eq!(shown(&first), shown(&world.fs), "the replicas differ");
            assert_eq!(mounted(&world.at("/all")).unwrap(), shown(&first), "the mount differs");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    peer.shutdown().await.unwrap();
    node.shutdown().await.unwrap();
}
