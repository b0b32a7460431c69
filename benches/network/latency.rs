//! N1: from a write at one replica to its sight at another, over a standing connection.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::store::{
    Batch, Durability, RedbOptions, RedbStore, Store, StoreError, StoreStats, Table,
};
use basefs::{Fs, WatchEvent, WatchFrom};
use bytes::Bytes;

use crate::clock::{median, timed};
use crate::report::{Options, Reference, Report, Row, Target};
use crate::{PATIENCE, content, serve};

const WRITES: usize = 600;
/// Between writes, so that each travels alone.
const PAUSE: Duration = Duration::from_millis(2);

/// A store whose commits wait for no disk: what a receiver has that would rather fetch again what
/// a power failure took than wait.
#[derive(Debug)]
struct Lazy(RedbStore);

impl Store for Lazy {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.0.scan(table, from, visit)
    }

    fn commit(&self, batch: &Batch, _: Durability) -> Result<(), StoreError> {
        self.0.commit(batch, Durability::Deferred)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.flush()
    }

    fn stats(&self) -> StoreStats {
        self.0.stats()
    }
}

type SharedStore = Arc<dyn Store + Send + Sync>;

fn store(dir: &Path, one_phase: bool) -> RedbStore {
    let options = RedbOptions { one_phase, ..RedbOptions::default() };
    RedbStore::open_with(dir, options).unwrap()
}

pub(crate) async fn measure(root: &Path, options: &Options, report: &Report) {
    for (phases, one_phase) in [("two phases", false), ("one phase", true)] {
        let receiver = Arc::new(store(&root.join(format!("B, {phases}")), one_phase));
        let senders = ["A", "alone"].map(|name| {
            let dir = root.join(format!("{name}, {phases}"));
            Fs::builder().store(Arc::new(store(&dir, one_phase))).open().unwrap()
        });
        let (mut times, mut commits) = spread(senders, receiver).await;
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
    let receiver = Arc::new(Lazy(store(&root.join("B, lazy"), true)));
    let senders = ["A, lazy", "alone, lazy"]
        .map(|name| Fs::builder().store(Arc::new(store(&root.join(name), true))).open().unwrap());
    let (mut times, mut commits) = spread(senders, receiver).await;
    report.row(&Row {
        id: "N1",
        what: "one phase, deferred at the receiver".to_owned(),
        value: millis(median(&mut times)),
        unit: "ms",
        limit: Some(Reference::new("one commit", millis(median(&mut commits)))),
        peer: None,
        target: Target::AtMost(0.3),
    });
}

/// Times of writes from A to B, and of writes at a replica that is connected to nobody, in turn.
async fn spread([first, alone]: [Fs; 2], b: SharedStore) -> (Vec<Duration>, Vec<Duration>) {
    first.create_dir_all("/status").unwrap();
    let serving = serve(&first).await;
    let second = Fs::builder().store(b).join(&serving.ticket()).open().unwrap();
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
            let seen = watch.next_blocking(PATIENCE);
            let time = before.elapsed();
            assert!(matches!(seen, Some(WatchEvent::Change(_))), "{seen:?}");
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

fn path(round: usize) -> String {
    format!("/status/{}", round % 100)
}

fn write(fs: &Fs, round: usize) {
    fs.write(path(round), content(round)).unwrap();
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
