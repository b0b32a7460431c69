//! Whoever saves what they know together with a cursor, and follows the events from there, knows
//! what the hierarchy shows: through any changes of others, and kills at any time.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use basefs::fs::{Cursor, ResyncReason};
use basefs::id::EntryId;
use basefs::store::{Durability, MemoryStore};
use basefs::wire::SecretKey;
use basefs::{Fs, Watch, WatchEvent, WatchFrom};

use super::team::{join, send};
use crate::store::Random;

/// What a consumer knows of a subtree, and up to where.
#[derive(Clone, Default)]
struct Known {
    paths: BTreeMap<String, Option<EntryId>>,
    cursor: Option<Cursor>,
}

impl Known {
    /// Deals with an event as its documentation says.
    fn take(&mut self, fs: &Fs, subtree: &str, event: &WatchEvent) {
        match event {
            WatchEvent::Change(change) => self.look(fs, subtree, &change.path),
            WatchEvent::Resync { .. } => self.paths.clear(),
            _ => {}
        }
        self.cursor = Some(event.cursor());
    }

    /// Looks at a path and what is below; nothing else may have changed.
    fn look(&mut self, fs: &Fs, subtree: &str, path: &str) {
        let is_in = |inner: &str, outer: &str| {
            outer == "/" || inner == outer || inner.starts_with(&format!("{outer}/"))
        };
        self.paths.retain(|known, _| !is_in(known, path));
        self.paths.extend(shown(fs, subtree).into_iter().filter(|(shown, _)| is_in(shown, path)));
    }

    /// Deals with all that waits.
    fn drain(&mut self, fs: &Fs, subtree: &str, watch: &Watch) {
        while let Some(event) = watch.next_blocking(Duration::ZERO) {
            self.take(fs, subtree, &event);
        }
    }

    fn from(&self) -> WatchFrom {
        self.cursor.map_or(WatchFrom::Snapshot, WatchFrom::After)
    }
}

/// Everything in a subtree.
fn shown(fs: &Fs, subtree: &str) -> BTreeMap<String, Option<EntryId>> {
    let mut all = BTreeMap::new();
    if subtree != "/"
        && let Ok(about) = fs.metadata(subtree)
    {
        all.insert(subtree.to_owned(), about.version());
    }
    for entry in fs.walk(subtree).into_iter().flatten() {
        all.insert(entry.path().to_owned(), entry.metadata().version());
    }
    all
}

/// One of the members does something, if it can.
fn act(fs: &Fs, random: &mut Random) {
    let mut path = || {
        let names = ["a", "b", "c"];
        let depth = 1 + random.below(3);
        let names: Vec<&str> = (0..depth).map(|_| names[random.below(3)]).collect();
        format!("/team/{}", names.join("/"))
    };
    let (path, other) = (path(), path());
    // Content in blocks is not carried with the entries: it arrives when somebody writes the same.
    let large = vec![u8::try_from(random.below(2)).unwrap(); 1_000];
    match random.below(16) {
        0..=4 => drop(fs.write(path, random.next().to_string())),
        5..=6 => drop(fs.write(path, large)),
        7..=8 => drop(fs.remove_all(path)),
        9..=11 => drop(fs.rename(path, other)),
        12 => drop(fs.ack(path)),
        13 => drop(fs.revive(path)),
        14 => drop(fs.resolve_with(path, "resolved")),
        _ => drop(fs.create_dir_all(path)),
    }
}

/// Somebody above does something about who may.
fn rule(founder: &Fs, others: &[&Fs], random: &mut Random) {
    let who = others[random.below(others.len())].author();
    match random.below(3) {
        0 => drop(founder.grant("/team", who)),
        1 => drop(founder.revoke("/team", who)),
        _ => drop(founder.revoke_plan("/team", who, basefs::fs::Keep::Nothing).map(|p| p.apply())),
    }
}

#[test]
fn whoever_follows_the_events_knows_what_is_shown() {
    for seed in 0..80 {
        follow(&mut Random(seed), seed);
    }
}

fn follow(random: &mut Random, seed: u64) {
    let founder = Fs::in_memory().unwrap();
    let other = join(&founder);
    let (store, key) = (Arc::new(MemoryStore::new()), SecretKey::from_seed([1; 32]));
    let open = || {
        let builder = Fs::builder().store(store.clone()).key(key.clone());
        builder.join(&founder.ticket(vec![])).open().unwrap()
    };
    let mut fs = open();
    founder.create_dir_all("/team").unwrap();
    for author in [other.author(), fs.author()] {
        founder.grant("/team", author).unwrap();
    }
    let subtree = ["/", "/team", "/team/a", "/team/a/b"][random.below(4)];
    let mut watch = fs.watch(subtree, WatchFrom::Snapshot).unwrap();
    let (mut known, mut saved) = (Known::default(), Known::default());
    for _ in 0..80 {
        match random.below(22) {
            0..=8 => act([&founder, &other, &fs][random.below(3)], random),
            9..=12 => {
                let all = [&founder, &other, &fs];
                send(all[random.below(3)], all[random.below(3)]);
            }
            // Where nobody is revoked, nothing but the events says what changed since a cursor.
            13 if seed.is_multiple_of(2) => rule(&founder, &[&other, &fs], random),
            14..=17 => {
                // A consumer who is slow: some of what waits.
                for _ in 0..random.below(4) {
                    let Some(event) = watch.next_blocking(Duration::ZERO) else { break };
                    known.take(&fs, subtree, &event);
                }
            }
            18..=19 => saved = known.clone(),
            _ => {
                // The process ends, and with it what was not saved.
                known = saved.clone();
                if random.below(2) == 0 {
                    drop(watch);
                    drop(fs);
                    fs = open();
                }
                watch = fs.watch(subtree, known.from()).unwrap();
                known.drain(&fs, subtree, &watch);
                assert_eq!(known.paths, shown(&fs, subtree), "seed {seed}, {subtree}, resumed");
            }
        }
        if random.below(4) == 0 {
            known.drain(&fs, subtree, &watch);
            assert_eq!(known.paths, shown(&fs, subtree), "seed {seed}, {subtree}");
        }
    }
}

const DIR: &str = "BASEFS_TEST_DIR";
/// How often the child is killed; 20 unless told otherwise.
const KILLS: &str = "BASEFS_TEST_KILLS";
/// Kills of one replica; a long log takes long to open.
const KILLS_EACH: usize = 40;
const BEGAN: &str = "the child follows";
/// Names that are written to.
const FILES: usize = 40;

/// A file that always has one whole state, whenever the process is killed.
fn save(dir: &Path, known: &Known) {
    let mut text = known.cursor.map_or_else(String::new, |cursor| cursor.to_string());
    for (path, version) in &known.paths {
        text += &format!("\n{path} {}", version.unwrap());
    }
    std::fs::write(dir.join("known.new"), text).unwrap();
    std::fs::rename(dir.join("known.new"), dir.join("known")).unwrap();
}

fn load(dir: &Path) -> Known {
    let Ok(text) = std::fs::read_to_string(dir.join("known")) else { return Known::default() };
    let mut lines = text.lines();
    let cursor = lines.next().and_then(|line| line.parse().ok());
    let paths = lines.map(|line| {
        let (path, version) = line.split_once(' ').unwrap();
        (path.to_owned(), Some(version.parse().unwrap()))
    });
    Known { paths: paths.collect(), cursor }
}

impl Known {
    /// Believes the event: what can be read may not be durable yet.
    fn believe(&mut self, event: &WatchEvent) {
        match event {
            WatchEvent::Change(change) => match change.after {
                Some(version) => drop(self.paths.insert(change.path.clone(), Some(version))),
                None => drop(self.paths.remove(&change.path)),
            },
            WatchEvent::Resync { .. } => self.paths.clear(),
            _ => {}
        }
        self.cursor = Some(event.cursor());
    }
}

#[test]
fn a_saved_cursor_survives_kills_at_any_time() {
    let mut root = tempfile::tempdir().unwrap();
    let kills = std::env::var(KILLS).map_or(20, |kills| kills.parse().unwrap());
    let mut random = Random(11);
    let mut resumed = 0;
    for kill in 0..kills {
        if kill % KILLS_EACH == 0 {
            root = tempfile::tempdir().unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fs::watch_lost::child_follows", "--ignored", "--nocapture"])
            .arg("--test-threads=1")
            .env(DIR, root.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(BEGAN))).unwrap().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();

        let mut known = load(root.path());
        let fs = Fs::open(root.path().join("fs")).unwrap();
        let watch = fs.watch("/w", known.from()).unwrap();
        while let Some(event) = watch.next_blocking(Duration::ZERO) {
            match event {
                // Only a snapshot that was not saved to its end is told anew.
                WatchEvent::Resync { reason, .. } => assert_eq!(reason, ResyncReason::Initial),
                _ => resumed += 1,
            }
            known.believe(&event);
        }
        assert_eq!(known.paths, shown(&fs, "/w"), "kill {kill}");
    }
    assert!(resumed > kills, "enough happened after what was saved to lose some");
}

#[test]
#[ignore = "the other process of a test"]
fn child_follows() {
    let dir = std::env::var(DIR).expect("runs only as a child of another test");
    let dir = Path::new(&dir);
    let fs = Fs::open(dir.join("fs")).unwrap();
    fs.create_dir_all("/w").unwrap();
    let mut known = load(dir);
    let watch = fs.watch("/w", known.from()).unwrap();
    for durability in [Durability::Durable, Durability::Deferred] {
        let fs = fs.with_durability(durability);
        std::thread::spawn(move || write_without_end(&fs, durability));
    }
    println!("\n{BEGAN}");
    let mut random = Random(u64::from(std::process::id()));
    for event in &watch {
        known.believe(&event);
        // A cursor may come from any event: within a snapshot, within a batch.
        if random.below(3) == 0 && known.cursor.is_some() {
            save(dir, &known);
        }
    }
}

fn write_without_end(fs: &Fs, durability: Durability) {
    let mut random = Random(u64::from(std::process::id()) ^ durability as u64);
    loop {
        let path = format!("/w/{}", random.below(FILES));
        match random.below(10) {
            0..=2 => drop(fs.remove(path)),
            3 => fs
                .write(path, vec![u8::try_from(random.below(9)).unwrap(); 2_000])
                .map(drop)
                .unwrap(),
            4 => {
                let mut batch = fs.batch();
                for _ in 0..10 {
                    batch.write(format!("/w/{}", random.below(FILES)), "batch").unwrap();
                }
                batch.commit().unwrap();
            }
            _ => drop(fs.write(path, random.next().to_string()).unwrap()),
        }
        std::thread::sleep(Duration::from_micros(random.below(3_000) as u64));
    }
}
