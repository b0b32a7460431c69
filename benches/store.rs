//! The durable store beside a plain append: `cargo bench --bench store`.
//!
//! Works in the current directory, so that it meets a disk and not a file system in memory.
// A bench is a program: it prints its table and stops at what it did not expect.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use basefs::store::{Batch, Durability, RedbOptions, RedbStore, Store, Table};

use clock::{median, timed};

#[path = "support/clock.rs"]
mod clock;

fn main() {
    let root = tempfile::tempdir_in(".").unwrap();
    // Interleaved in rounds, for a shared machine changes its mind within seconds.
    let mut appends = Vec::new();
    let mut two_phase = Vec::new();
    let mut one_phase = Vec::new();
    let mut log = File::create(root.path().join("log")).unwrap();
    let safe = RedbStore::open(&root.path().join("two")).unwrap();
    let options = RedbOptions { one_phase: true, ..RedbOptions::default() };
    let fast = RedbStore::open_with(&root.path().join("one"), options).unwrap();
    for key in 0..1_000u64 {
        appends.push(timed(|| {
            log.write_all(&entry(key, 400)).unwrap();
            log.sync_data().unwrap();
        }));
        two_phase.push(timed(|| put(&safe, key..key + 1, 400, Durability::Durable)));
        one_phase.push(timed(|| put(&fast, key..key + 1, 400, Durability::Durable)));
    }
    let base = median(&mut appends);
    println!("append 400 B + fdatasync             {base:>10.1?}");
    for (name, times) in [("two phases", &mut two_phase), ("one phase ", &mut one_phase)] {
        let time = median(times);
        let ratio = time.as_secs_f64() / base.as_secs_f64();
        println!("durable commit of 400 B, {name}  {time:>10.1?}  {ratio:.2} x the append");
    }
    let mut deferred: Vec<_> = (1_000..2_000u64)
        .map(|key| timed(|| put(&safe, key..key + 1, 400, Durability::Deferred)))
        .collect();
    println!("deferred commit of 400 B             {:>10.1?}", median(&mut deferred));
    bulk(&root.path().join("bulk"));
    many(&root.path().join("many"));
    blocks(&root.path().join("blocks"));
}

/// One commit of many entries.
fn bulk(dir: &Path) {
    let store = RedbStore::open(dir).unwrap();
    let mut times: Vec<_> = (0..5u64)
        .map(|round| {
            let first = round * 10_000;
            timed(|| put(&store, first..first + 10_000, 500, Durability::Durable))
        })
        .collect();
    println!("10,000 entries of 500 B, one commit  {:>10.1?}", median(&mut times));
}

/// A million entries: opening, visiting, reading, disk.
fn many(dir: &Path) {
    const ENTRIES: u64 = 1_000_000;
    const LENGTH: usize = 200;
    let mut store = RedbStore::open(dir).unwrap();
    for first in (0..ENTRIES).step_by(10_000) {
        put(&store, first..first + 10_000, LENGTH, Durability::Durable);
    }
    let size = || fs::metadata(dir.join("store.redb")).unwrap().len();
    let ratio = |bytes: u64| bytes as f64 / (ENTRIES * LENGTH as u64) as f64;
    let (grown, before) = (ratio(size()), Instant::now());
    store.compact().unwrap();
    let compacting = before.elapsed();
    println!(
        "file / entries' bytes, 1,000,000 of 200 B  {grown:.2}, compacted {:.2} ({compacting:.1?})",
        ratio(size())
    );
    drop(store);
    let before = Instant::now();
    let store = RedbStore::open(dir).unwrap();
    println!("opening                              {:>10.1?}", before.elapsed());
    let mut bytes = 0;
    let scan = || {
        let mut visit = |key: &[u8], value: &[u8]| {
            bytes += key.len() + value.len();
            true
        };
        store.scan(Table::Entries, &[], &mut visit).unwrap();
    };
    println!("visiting 1,000,000 entries of 200 B  {:>10.1?}", timed(scan));
    let mut key = 0u64;
    let mut gets: Vec<_> = (0..20_000)
        .map(|_| {
            key =
                key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (key >> 33) % ENTRIES;
            timed(|| assert!(store.get(Table::Entries, &place.to_be_bytes()).unwrap().is_some()))
        })
        .collect();
    println!("reading one                          {:>10.1?}", median(&mut gets));
}

/// Large blocks: packs against the bytes.
fn blocks(dir: &Path) {
    const BLOCKS: u64 = 1_024;
    const LENGTH: usize = 65_536;
    let store = RedbStore::open(dir).unwrap();
    let time = timed(|| {
        for first in (0..BLOCKS).step_by(64) {
            let mut batch = Batch::new();
            for key in first..first + 64 {
                batch.put(Table::Blocks, key.to_be_bytes().to_vec(), entry(key, LENGTH));
            }
            store.commit(&batch, Durability::Durable).unwrap();
        }
    });
    let mib = (BLOCKS * LENGTH as u64) as f64 / f64::from(1 << 20);
    let rate = |time: Duration| mib / time.as_secs_f64();
    println!("writing 64 MiB in blocks of 64 KiB   {:>7.0} MiB/s", rate(time));
    let time = timed(|| {
        for key in 0..BLOCKS {
            assert!(store.get(Table::Blocks, &key.to_be_bytes()).unwrap().is_some());
        }
    });
    println!("reading them                         {:>7.0} MiB/s", rate(time));
}

fn put(store: &RedbStore, keys: std::ops::Range<u64>, length: usize, durability: Durability) {
    let mut batch = Batch::new();
    for key in keys {
        batch.put(Table::Entries, key.to_be_bytes().to_vec(), entry(key, length));
    }
    store.commit(&batch, durability).unwrap();
}

/// Bytes that differ from entry to entry.
fn entry(key: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&key.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
