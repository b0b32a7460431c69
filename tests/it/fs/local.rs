//! One replica: paths, files, directories, history.

use std::time::Duration;

use basefs::entry::Rights;
use basefs::fs::{ChangeKind, FileType};
use basefs::store::Durability;
use basefs::view::Status;
use basefs::wire::SecretKey;
use basefs::{Fs, ReadError, WatchEvent, WatchFrom, WriteError};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// Runs a story on a hierarchy in memory, then on one on disk that is opened again between steps.
fn on_both(story: impl Fn(&mut dyn FnMut() -> Fs)) {
    let in_memory = Fs::in_memory().unwrap();
    story(&mut || in_memory.clone());
    let dir = tempfile::tempdir().unwrap();
    let mut open: Option<Fs> = None;
    story(&mut || {
        drop(open.take());
        let fs = Fs::open(dir.path()).unwrap();
        open = Some(fs.clone());
        fs
    });
}

#[test]
fn what_was_written_is_read_after_reopening() {
    let large = vec![7_u8; 1_000_000];
    on_both(|fs| {
        for (path, content) in
            [("/a", &b""[..]), ("/b/c/d", b"hello"), ("/b/e", &[1; 321]), ("/large", &large)]
        {
            fs().write(path, content).unwrap();
            let fs = fs();
            assert_eq!(fs.read(path).unwrap(), content);
            let metadata = fs.metadata(path).unwrap();
            assert_eq!(metadata.len(), content.len() as u64);
            assert!(metadata.is_file() && metadata.is_here() && !metadata.is_executable());
        }
        let paths: Vec<String> =
            fs().walk("/").unwrap().map(|entry| entry.path().to_owned()).collect();
        assert_eq!(paths, ["/a", "/b", "/b/c", "/b/c/d", "/b/e", "/large"]);
    });
}

#[test]
fn names_and_kinds_are_told_apart() {
    on_both(|fs| {
        let fs = fs();
        fs.write("/dir/file", "1").unwrap();
        fs.symlink("../elsewhere", "/dir/link").unwrap();
        assert!(matches!(fs.read("/dir"), Err(ReadError::IsADirectory { .. })));
        assert!(matches!(fs.read("/nothing"), Err(ReadError::NotFound { .. })));
        assert!(
            matches!(fs.read("/dir/file/x"), Err(ReadError::NotADirectory { path }) if path == "/dir/file")
        );
        assert!(
            matches!(fs.read("/dir/link"), Err(ReadError::IsASymlink { target, .. }) if target == "../elsewhere")
        );
        assert_eq!(fs.read_link("/dir/link").unwrap(), "../elsewhere");
        assert!(matches!(fs.read_link("/dir/file"), Err(ReadError::NotASymlink { .. })));
        assert!(matches!(fs.read("/a/../b"), Err(ReadError::Path(_))));
        assert!(matches!(fs.write("/a\nb", ""), Err(WriteError::Path(_))));
        assert!(matches!(fs.write("/dir", ""), Err(WriteError::IsADirectory { .. })));
        assert!(matches!(fs.write("/dir/file/x", ""), Err(WriteError::NotADirectory { .. })));
        assert!(matches!(fs.write("/", ""), Err(WriteError::Root)));
        assert!(matches!(fs.remove("/"), Err(WriteError::Root)));
        assert!(matches!(fs.remove("/dir"), Err(WriteError::NotEmpty { .. })));
        assert!(matches!(fs.remove("/nothing"), Err(WriteError::NotFound { .. })));
        assert!(fs.exists("/") && fs.exists("/dir/link") && !fs.exists("/dir/x"));
        let link = fs.metadata("/dir/link").unwrap();
        assert_eq!(link.file_type(), &FileType::Symlink { target: "../elsewhere".into() });
    });
}

#[test]
fn removing_and_making_again() {
    // rule: DIR-1
    on_both(|fs| {
        fs().write("/d/old", "1").unwrap();
        fs().remove("/d/old").unwrap();
        assert!(!fs().exists("/d/old"));
        fs().remove("/d").unwrap();
        fs().write("/d/a/b", "2").unwrap();
        fs().write("/d/c", "3").unwrap();
        fs().remove_all("/d").unwrap();
        assert!(!fs().exists("/d/c"));
        fs().create_dir_all("/d").unwrap();
        assert!(fs().read_dir("/d").unwrap().is_empty(), "a directory made again is a new one");
    });
}

#[test]
fn an_executable_file_stays_one_when_written() {
    on_both(|fs| {
        fs().write("/tool", "#!/bin/sh").unwrap();
        fs().set_executable("/tool", true).unwrap();
        assert!(fs().metadata("/tool").unwrap().is_executable());
        assert_eq!(fs().read("/tool").unwrap(), "#!/bin/sh");
        fs().write("/tool", vec![b'x'; 5000]).unwrap();
        assert!(fs().metadata("/tool").unwrap().is_executable());
        fs().set_executable("/tool", false).unwrap();
        assert!(!fs().metadata("/tool").unwrap().is_executable());
        fs().symlink("tool", "/link").unwrap();
        fs().create_dir_all("/dir").unwrap();
        let mut refused = |path: &str| fs().set_executable(path, true).unwrap_err();
        let path = |path: &str| path.to_owned();
        assert_eq!(refused("/none"), WriteError::NotFound { path: path("/none") });
        assert_eq!(refused("/link"), WriteError::IsASymlink { path: path("/link") });
        assert_eq!(refused("/dir"), WriteError::IsADirectory { path: path("/dir") });
        assert_eq!(refused("/tool/x"), WriteError::NotADirectory { path: path("/tool") });
    });
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    on_both(|fs| {
        let fs = fs();
        let before = fs.entries();
        let mut batch = fs.batch();
        batch.write("/x/1", "1").unwrap();
        batch.symlink("1", "/x/2");
        batch.create_dir_all("/y/z");
        batch.remove("/x/1");
        batch.write_executable("/x/1", "again", true).unwrap();
        batch.remove_all("/y");
        batch.commit().unwrap();
        assert_eq!(fs.read("/x/1").unwrap(), "again");
        assert!(fs.metadata("/x/1").unwrap().is_executable());
        assert!(!fs.exists("/y"));
        assert_eq!(fs.entries(), before + 8);

        let mut batch = fs.batch();
        batch.write("/x/3", "3").unwrap();
        batch.write("/x/3/below-a-file", "4").unwrap();
        assert!(matches!(batch.commit(), Err(WriteError::NotADirectory { .. })));
        assert!(!fs.exists("/x/3"));
        assert_eq!(fs.entries(), before + 8);
    });
}

#[test]
fn versions_and_explanations_tell_who_did_what() {
    // rule: VIEW-2
    on_both(|fs| {
        for content in ["1", "22", "333"] {
            fs().write("/f", content).unwrap();
        }
        let versions = fs().versions("/f").unwrap();
        let seen: Vec<_> = versions.iter().map(|v| (v.status, v.size)).collect();
        assert_eq!(
            seen,
            [
                (Status::Current, Some(3)),
                (Status::Superseded, Some(2)),
                (Status::Superseded, Some(1))
            ]
        );
        assert!(versions.iter().all(|version| version.author == fs().author()));
        assert!(versions.windows(2).all(|pair| pair[0].time >= pair[1].time));
        let explanation = fs().explain("/f").unwrap();
        assert_eq!(explanation.rule(), "FORK-5");
        assert!(explanation.to_string().contains("won"));
        fs().remove("/f").unwrap();
        assert_eq!(fs().versions("/f").unwrap().len(), 4);
        assert!(matches!(fs().versions("/never"), Err(ReadError::NotFound { .. })));
    });
}

#[test]
fn keys_and_grants_are_listed() {
    on_both(|fs| {
        let (ana, ben) = (key(1), key(2));
        fs().create_dir_all("/users/ana").unwrap();
        let before = fs().keys().unwrap().len();
        fs().grant_with("/users/ana", ana.public(), Rights::All, "Ana's laptop").unwrap();
        fs().grant("/", ben.public()).unwrap();
        let keys = fs().keys().unwrap();
        assert_eq!(keys.len(), before + 2);
        assert_eq!(keys[before].label, "Ana's laptop");
        assert_eq!(keys[before].path.as_deref(), Some("/users/ana"));
        assert_eq!(keys[before + 1].rights, Rights::Write);
        assert!(keys.iter().all(|key| key.is_live));
        assert!(matches!(fs().grant("/none", ana.public()), Err(WriteError::NotFound { .. })));
    });
}

#[test]
fn a_snapshot_and_what_follows_have_no_gap() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/a/1", "1").unwrap();
    fs.write("/b/1", "1").unwrap();
    let watch = fs.watch("/a", WatchFrom::Snapshot).unwrap();
    fs.write("/a/2", "2").unwrap();
    fs.write("/a/1", "3").unwrap();
    fs.remove("/a/2").unwrap();
    fs.write("/b/2", "not ours").unwrap();
    let mut seen = Vec::new();
    while let Some(event) = watch.next_blocking(Duration::from_millis(50)) {
        seen.push(match event {
            WatchEvent::Change(change) => format!("{:?} {}", change.kind, change.path),
            WatchEvent::Resync { reason, .. } => format!("{reason:?}"),
            WatchEvent::SnapshotEnd { .. } => "end".to_owned(),
            other => format!("{other:?}"),
        });
    }
    // What came and went while nobody looked is nothing.
    assert_eq!(seen, ["Initial", "Present /a", "Present /a/1", "end", "Modified /a/1"]);
}

#[test]
fn a_watch_is_a_stream_and_starts_before_its_subtree_exists() {
    use std::future::poll_fn;
    use std::pin::Pin;

    use futures_core::Stream;

    let fs = Fs::in_memory().unwrap();
    let mut watch = fs.watch("/later", WatchFrom::Now).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let writer = fs.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        writer.write("/later/x", "1").unwrap();
    });
    let event = runtime
        .block_on(async { poll_fn(|context| Pin::new(&mut watch).poll_next(context)).await });
    let Some(WatchEvent::Change(change)) = event else { panic!("{event:?}") };
    assert_eq!((change.kind, change.path.as_str()), (ChangeKind::Created, "/later"));
    assert_eq!(change.author, Some(fs.author()));
    thread.join().unwrap();
}

#[test]
fn deferred_writes_are_visible_at_once_and_durable_soon() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::open(dir.path()).unwrap();
    let fast = fs.with_durability(Durability::Deferred);
    let before = fs.store_stats().commits;
    for n in 0..100 {
        fast.write(format!("/f{n}"), "x").unwrap();
        assert!(fs.exists(format!("/f{n}")));
    }
    let commits = fs.store_stats().commits - before;
    assert!(commits <= 5, "100 deferred writes took {commits} commits");
    // What is not durable can be read all the same.
    assert_eq!(fs.read("/f7").unwrap(), "x");
    fast.sync().unwrap();
    fast.write("/last", "committed when the last handle is dropped").unwrap();
    drop((fs, fast));
    let fs = Fs::open(dir.path()).unwrap();
    assert_eq!(fs.read_dir("/").unwrap().len(), 101);
}

#[test]
fn a_replica_that_lost_its_key_says_so() {
    let dir = tempfile::tempdir().unwrap();
    Fs::open(dir.path()).unwrap().write("/f", "1").unwrap();
    std::fs::remove_file(dir.path().join(basefs::fs::AUTHOR_KEY_FILE)).unwrap();
    let error = Fs::open(dir.path()).unwrap_err();
    assert!(matches!(error, basefs::OpenError::Key { .. }), "{error}");
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    let fs = Fs::builder().dir(dir.path()).key(key(3)).open().unwrap();
    assert_eq!(fs.read("/f").unwrap(), "1");
}
