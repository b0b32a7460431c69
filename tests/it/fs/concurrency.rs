//! Many threads, one disk.

use std::sync::Barrier;
use std::thread;

use basefs::Fs;

#[test]
fn writers_share_commits() {
    const THREADS: usize = 16;
    const WRITES: usize = 10;
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::open(dir.path()).unwrap();
    let before = fs.store_stats().durable_commits;
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (fs, start) = (fs.clone(), &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..WRITES {
                    fs.write(format!("/t{thread}/{n}"), "x").unwrap();
                }
            });
        }
    });
    let commits = fs.store_stats().durable_commits - before;
    assert!(commits <= 40, "160 durable writes took {commits} commits");
    let files = fs.walk("/").unwrap().filter(|entry| entry.metadata().is_file()).count();
    assert_eq!(files, THREADS * WRITES);
}

#[test]
fn readers_see_whole_versions_while_others_write() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/f", [0; 1000]).unwrap();
    thread::scope(|scope| {
        let writer = fs.clone();
        scope.spawn(move || {
            for n in 0..200 {
                writer.write("/f", [n; 1000]).unwrap();
            }
        });
        for _ in 0..2 {
            let reader = fs.clone();
            scope.spawn(move || {
                for _ in 0..500 {
                    let bytes = reader.read("/f").unwrap();
                    assert!(bytes.len() == 1000 && bytes.iter().all(|byte| *byte == bytes[0]));
                }
            });
        }
    });
    assert_eq!(fs.versions("/f").unwrap().len(), 201);
}
