//! N1: from a write at one replica to its sight at another, over a standing connection.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::store::{RedbOptions, RedbStore, Store};
use basefs::{Fs, Watch, WatchEvent, WatchFrom};

use crate::clock::{median, timed};
use crate::report::{Options, Reference, Report, Row, Target};
use crate::{PATIENCE, content, serve};

const WRITES: usize = 600;
/// Between writes, so that each travels alone.
const PAUSE: Duration = Duration::from_millis(2);

type SharedStore = Arc<dyn Store + Send + Sync>;

fn store(dir: &Path, one_phase: bool) -> RedbStore {
    let options = RedbOptions { one_phase, ..RedbOptions::default() };
    RedbStore::open_with(dir, options).unwrap()
}

/// What the receiver waits for.
#[derive(Clone, Copy)]
enum Sight {
    /// A watch: what it tells of is durable.
    Durable,
    /// A read, which waits for no disk.
    Readable,
}

pub(crate) async fn measure(root: &Path, options: &Options, report: &Report) {
    for (phases, one_phase) in [("two phases", false), ("one phase", true)] {
        let (mut times, mut commits) = spread(root, one_phase, Sight::Durable).await;
        times.sort();
        let middle = median(&mut times);
        let peer = options.peer("iroh-docs-write").map(|value| Reference::new("iroh-docs", value));
        report.row(&Row {
            id: "N1",
            what: format!("300 B, A to B, durable, {phases}"),
            value: millis(middle),
            unit: "ms",
            limit: Some(Reference::new("two commits", 2.0 * millis(median(&mut commits)))),
            peer,
            target: Target::AtMost(1.2),
        });
        report.row(&Row {
            id: "N1",
            what: "the same, p99".to_owned(),
            value: millis(times[WRITES * 99 / 100]),
            unit: "ms",
            limit: None,
            peer: Some(Reference::new("median", millis(middle))),
            target: Target::TimesPeer(5.0),
        });
    }
    let (mut times, mut commits) = spread(root, true, Sight::Readable).await;
    report.row(&Row {
        id: "N1",
        what: "one phase, readable at B, not durable".to_owned(),
        value: millis(median(&mut times)),
        unit: "ms",
        limit: Some(Reference::new("one commit", millis(median(&mut commits)))),
        peer: None,
        target: Target::AtMost(0.3),
    });
}

/// Times of writes from A to B, and of writes at a replica that is connected to nobody, in turn.
async fn spread(root: &Path, one_phase: bool, sight: Sight) -> (Vec<Duration>, Vec<Duration>) {
    let dir = tempfile::tempdir_in(root).unwrap();
    let store = |name| -> SharedStore { Arc::new(store(&dir.path().join(name), one_phase)) };
    let founder = |name| Fs::builder().store(store(name)).open().unwrap();
    let (first, alone) = (founder("A"), founder("alone"));
    first.create_dir_all("/status").unwrap();
    let serving = serve(&first).await;
    let second = Fs::builder().store(store("B")).join(&serving.ticket()).open().unwrap();
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    // On threads of the caller's own, as an application would: not on those of the runtime.
    let times = tokio::task::spawn_blocking(move || {
        let watch = second.watch("/status", WatchFrom::Now).unwrap();
        let rounds = 0..WRITES;
        let both = rounds.map(|round| {
            std::thread::sleep(PAUSE);
            let commit = timed(|| write(&alone, round));
            let before = Instant::now();
            write(&first, round);
            let time = match sight {
                Sight::Durable => told(&watch, before),
                Sight::Readable => readable(&second, round, before),
            };
            assert_eq!(second.read(path(round)).unwrap(), content(round));
            (time, commit)
        });
        both.unzip()
    });
    let (times, commits) = times.await.unwrap();
    peer.shutdown().await.unwrap();
    serving.shutdown().await.unwrap();
    (times, commits)
}

/// How long after a moment a watch tells of the next change.
fn told(watch: &Watch, since: Instant) -> Duration {
    let seen = watch.next_blocking(PATIENCE);
    let time = since.elapsed();
    assert!(matches!(seen, Some(WatchEvent::Change(_))), "{seen:?}");
    time
}

/// How long after a moment a file has what was written: no two writes have the same content.
fn readable(fs: &Fs, round: usize, since: Instant) -> Duration {
    while fs.read(path(round)).ok().as_deref() != Some(&content(round)[..]) {
        assert!(since.elapsed() < PATIENCE, "{} has not come", path(round));
        std::thread::yield_now();
    }
    since.elapsed()
}

fn path(round: usize) -> String {
    format!("/status/{}", round % 100)
}

fn write(fs: &Fs, round: usize) {
    fs.write(path(round), content(round)).unwrap();
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
