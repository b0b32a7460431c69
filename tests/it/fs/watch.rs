//! Watches: nothing is lost, to slow consumers, to restarts, to kills.

use std::sync::Arc;
use std::time::Duration;

use basefs::fs::{ChangeKind, Cursor, Origin};
use basefs::store::MemoryStore;
use basefs::wire::SecretKey;
use basefs::{Fs, Watch, WatchEvent, WatchFrom};

use super::team::{exchange, join, send, team};
/// What waits for a consumer, in words.
fn told(watch: &Watch) -> Vec<String> {
    let events = std::iter::from_fn(|| watch.next_blocking(Duration::ZERO));
    events.map(|event| words(&event)).collect()
}

fn words(event: &WatchEvent) -> String {
    let path = event.path().unwrap_or_default();
    match event {
        WatchEvent::Change(change) => format!("{:?} {path}", change.kind),
        WatchEvent::Conflict(conflict) if conflict.is_open => format!("Conflict {path}"),
        WatchEvent::Conflict(_) => format!("Agreement {path}"),
        WatchEvent::Permission(change) if change.is_revoke => format!("Revoke {path}"),
        WatchEvent::Permission(_) => format!("Grant {path}"),
        WatchEvent::Content(_) => format!("Content {path}"),
        WatchEvent::Resync { reason, .. } => format!("Resync {reason:?}"),
        WatchEvent::SnapshotEnd { .. } => "end".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The cursor after everything that waits.
fn drained(watch: &Watch) -> Cursor {
    told(watch);
    watch.cursor()
}

#[test]
fn an_empty_subtree_is_told_of_too() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/elsewhere", "1").unwrap();
    let watch = fs.watch("/none", WatchFrom::Snapshot).unwrap();
    assert_eq!(told(&watch), ["Resync Initial", "end"]);
    fs.write("/elsewhere", "2").unwrap();
    assert_eq!(told(&watch), [""; 0]);
}

#[test]
fn a_cursor_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::open(dir.path()).unwrap();
    fs.write("/a/1", "1").unwrap();
    fs.write("/a/2", "2").unwrap();
    let watch = fs.watch("/a", WatchFrom::Snapshot).unwrap();
    let cursor = drained(&watch).to_string();
    drop(watch);
    fs.write("/a/1", "changed").unwrap();
    fs.remove("/a/2").unwrap();
    fs.write("/a/3", "new").unwrap();
    fs.write("/b", "not ours").unwrap();
    drop(fs);

    let fs = Fs::open(dir.path()).unwrap();
    let from = WatchFrom::After(cursor.parse().unwrap());
    let watch = fs.watch("/a", from).unwrap();
    let events: Vec<WatchEvent> = watch.iter().take(3).collect();
    let seen: Vec<String> = events.iter().map(words).collect();
    assert_eq!(seen, ["Present /a/1", "Removed /a/2", "Present /a/3"]);
    let WatchEvent::Change(change) = &events[0] else { panic!("a change") };
    assert_eq!(change.after, fs.metadata("/a/1").unwrap().version());
    assert_eq!(change.origin, Origin::Unknown);
    fs.write("/a/4", "later").unwrap();
    assert_eq!(told(&watch), ["Created /a/4"]);

    // Whoever has dealt with one event of three is told again of all.
    let again = fs.watch("/a", WatchFrom::After(events[0].cursor())).unwrap();
    assert_eq!(told(&again), ["Present /a/1", "Removed /a/2", "Present /a/3", "Present /a/4"]);
    let again = fs.watch("/a", WatchFrom::After(events[2].cursor())).unwrap();
    assert_eq!(told(&again), ["Present /a/4"]);
    let again = fs.watch("/a", WatchFrom::After(again.cursor())).unwrap();
    assert_eq!(told(&again), [""; 0]);
}

#[test]
fn a_snapshot_that_was_not_told_to_its_end_begins_anew() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/1", "").unwrap();
    fs.write("/2", "").unwrap();
    let watch = fs.watch("/", WatchFrom::Snapshot).unwrap();
    let events: Vec<WatchEvent> = watch.iter().take(4).collect();
    for event in &events[..3] {
        let again = fs.watch("/", WatchFrom::After(event.cursor())).unwrap();
        assert_eq!(told(&again), ["Resync Initial", "Present /1", "Present /2", "end"]);
    }
    let again = fs.watch("/", WatchFrom::After(events[3].cursor())).unwrap();
    assert_eq!(told(&again), [""; 0]);
}

#[test]
fn a_cursor_of_another_replica_or_from_before_a_backup_is_foreign() {
    let key = SecretKey::from_seed([1; 32]);
    let open = |store: &Arc<MemoryStore>| {
        Fs::builder().store(store.clone()).key(key.clone()).open().unwrap()
    };
    let store = Arc::new(MemoryStore::new());
    let fs = open(&store);
    let other = join(&fs);
    send(&fs, &other);
    let cursor = other.watch("/", WatchFrom::Now).unwrap().cursor();
    let watch = fs.watch("/", WatchFrom::After(cursor)).unwrap();
    assert_eq!(told(&watch), ["Resync ForeignCursor", "end"], "the same hierarchy all the same");
    drop(watch);

    // A copy of the store stands for a backup: the same numbers mean other entries later.
    let copy = Arc::new(copy_of(&store));
    fs.write("/lost", "1").unwrap();
    let cursor = fs.watch("/", WatchFrom::Now).unwrap().cursor();
    let restored = open(&copy);
    let watch = restored.watch("/", WatchFrom::After(cursor)).unwrap();
    assert_eq!(told(&watch), ["Resync ForeignCursor", "end"], "ahead of the log");
    restored.write("/other", "1").unwrap();
    let watch = restored.watch("/", WatchFrom::After(cursor)).unwrap();
    assert_eq!(told(&watch), ["Resync ForeignCursor", "Present /other", "end"]);
}

fn copy_of(store: &MemoryStore) -> MemoryStore {
    use basefs::store::{Batch, Durability, Store, Table};

    let copy = MemoryStore::new();
    for table in Table::ALL {
        let mut batch = Batch::new();
        let mut put = |key: &[u8], value: &[u8]| {
            batch.put(table, key.to_vec(), value.to_vec());
            true
        };
        store.scan(table, &[], &mut put).unwrap();
        copy.commit(&batch, Durability::Durable).unwrap();
    }
    copy
}

#[test]
fn what_waits_is_merged_by_path() {
    let fs = Fs::in_memory().unwrap();
    let first = fs.write("/kept", "1").unwrap();
    fs.write("/removed", "1").unwrap();
    fs.write("/back", "1").unwrap();
    let watch = fs.watch("/", WatchFrom::Now).unwrap();
    for n in 0..1_000 {
        fs.write("/kept", n.to_string()).unwrap();
    }
    fs.write("/removed", "2").unwrap();
    fs.remove("/removed").unwrap();
    fs.remove("/back").unwrap();
    fs.write("/back", "2").unwrap();
    fs.write("/new", "1").unwrap();
    let last = fs.write("/new", "2").unwrap();
    fs.write("/gone", "1").unwrap();
    fs.remove("/gone").unwrap();
    let events: Vec<WatchEvent> = watch.iter().take(4).collect();
    let seen: Vec<String> = events.iter().map(words).collect();
    assert_eq!(seen, ["Modified /kept", "Removed /removed", "Modified /back", "Created /new"]);
    let change = |at: usize| match &events[at] {
        WatchEvent::Change(change) => change.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(change(0).before, Some(first), "of the first");
    assert_eq!(change(0).after, fs.metadata("/kept").unwrap().version(), "of the last");
    assert_eq!((change(3).before, change(3).after), (None, Some(last)));
    assert_eq!(told(&watch), [""; 0], "/gone came and went");
    // An event that came early and says how it ended does not take the cursor with it.
    let resumed = fs.watch("/", WatchFrom::After(change(0).cursor)).unwrap();
    assert_eq!(told(&resumed).len(), 4, "what has been told of /kept and /gone is in question");
}

#[test]
fn a_consumer_who_is_too_slow_begins_anew() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/watched/1", "1").unwrap();
    let watch = fs.watch("/watched", WatchFrom::Now).unwrap();
    let mut batch = fs.batch();
    for n in 0..basefs::fs::MAX_WAITING_EVENTS {
        batch.write(format!("/watched/{n}"), "").unwrap();
    }
    batch.commit().unwrap();
    fs.write("/watched/more", "1").unwrap();
    let saved = watch.cursor();
    // Whatever comes now is in what is listed.
    fs.remove("/watched/7").unwrap();
    let next = watch.next_blocking(Duration::ZERO).unwrap();
    assert_eq!(words(&next), "Resync Lagged");
    let present = fs.walk("/watched").unwrap().count() + 1;
    let events: Vec<WatchEvent> = watch.iter().take(present + 1).collect();
    assert_eq!(words(events.last().unwrap()), "end");
    assert!(events[..present].iter().all(|event| words(event).starts_with("Present /watched")));
    fs.write("/watched/after", "1").unwrap();
    assert_eq!(told(&watch), ["Created /watched/after"]);
    let resumed = fs.watch("/watched/7", WatchFrom::After(saved)).unwrap();
    assert_eq!(told(&resumed), ["Resync Initial", "end"], "it was removed");
}

#[test]
fn conflicts_are_told_when_they_begin_and_end() {
    let team = team();
    let [founder, one, two] = &team;
    let watch = founder.watch("/team/f", WatchFrom::Now).unwrap();
    let start = watch.cursor();
    one.write("/team/f", "one's").unwrap();
    two.write("/team/f", "two's").unwrap();
    exchange(&team);
    assert_eq!(told(&watch), ["Created /team/f", "Conflict /team/f"]);
    // A third branch is no news: the conflict is there already.
    assert_eq!(founder.conflicts("/team").unwrap().len(), 1);
    let resumed = founder.watch("/", WatchFrom::After(start)).unwrap();
    assert_eq!(told(&resumed), ["Present /team/f", "Conflict /team/f"]);
    founder.resolve_with("/team/f", "both").unwrap();
    assert_eq!(told(&resumed).last().unwrap(), "Agreement /team/f");
    assert_eq!(told(&watch).last().unwrap(), "Agreement /team/f");
    let resumed = founder.watch("/", WatchFrom::After(start)).unwrap();
    assert_eq!(told(&resumed), ["Present /team/f", "Agreement /team/f"]);
}

#[test]
fn permissions_are_told_above_and_below_and_a_revoke_is_a_reason_to_begin_anew() {
    let team = team();
    let [founder, one, two] = &team;
    founder.create_dir_all("/team/a/b").unwrap();
    founder.write("/team/other", "").unwrap();
    let watch = founder.watch("/team/a", WatchFrom::Now).unwrap();
    let start = watch.cursor();
    founder.grant("/team", one.author()).unwrap();
    founder.grant("/team/a/b", two.author()).unwrap();
    founder.create_dir_all("/team/c").unwrap();
    founder.grant("/team/c", two.author()).unwrap();
    assert_eq!(told(&watch), ["Grant /team", "Grant /team/a/b"]);
    let resumed = founder.watch("/team/a", WatchFrom::After(start)).unwrap();
    assert_eq!(told(&resumed), ["Grant /team", "Grant /team/a/b"]);

    let end = watch.cursor();
    founder.revoke("/team", one.author()).unwrap();
    assert_eq!(told(&watch), ["Revoke /team"]);
    for cursor in [start, end] {
        let resumed = founder.watch("/team/a", WatchFrom::After(cursor)).unwrap();
        let anew = ["Resync Compacted", "Present /team/a", "Present /team/a/b", "end"];
        assert_eq!(told(&resumed), anew);
    }
    let resumed = founder.watch("/team/a", WatchFrom::After(watch.cursor())).unwrap();
    assert_eq!(told(&resumed), [""; 0]);
}

#[test]
fn a_directory_that_moves_though_no_winner_changes_is_told_of() {
    // rule: TREE-2
    let team = team();
    let [founder, one, _] = &team;
    founder.write("/team/a/f", "in a").unwrap();
    exchange(&team);
    one.rename("/team/a", "/team/b").unwrap();
    exchange(&team);
    let confirmed = founder.ack("/team/b").unwrap();
    founder.ack("/team/a").unwrap();
    let watch = founder.watch("/team/b/f", WatchFrom::Now).unwrap();
    let plan = founder.revoke_plan("/team", one.author(), basefs::fs::Keep::Nothing).unwrap();
    plan.apply().unwrap();
    let WatchEvent::Change(change) = watch.next_blocking(Duration::ZERO).unwrap() else {
        panic!("a change was expected");
    };
    assert_eq!((change.path.as_str(), change.kind), ("/team/b", ChangeKind::Modified));
    assert_eq!((change.before, change.after), (Some(confirmed), Some(confirmed)));
    assert!(!founder.metadata("/team/b").unwrap().is_dir());
}

#[test]
fn a_directory_that_two_move_is_told_of_where_it_was_and_where_it_is() {
    // rule: TREE-2
    let [founder, one, two] = &team();
    founder.write("/team/a/f", "in a").unwrap();
    for member in [one, two] {
        send(founder, member);
    }
    one.rename("/team/a", "/team/x").unwrap();
    two.rename("/team/a", "/team/y").unwrap();
    // Whichever move wins: somebody had seen only the other.
    for (mine, theirs, old, new) in
        [(one, two, "/team/x", "/team/y"), (two, one, "/team/y", "/team/x")]
    {
        let seer = join(founder);
        send(mine, &seer);
        assert!(seer.metadata(old).unwrap().is_dir());
        let watch = seer.watch("/", WatchFrom::Now).unwrap();
        let cursor = watch.cursor();
        send(theirs, &seer);
        if seer.metadata(old).unwrap().is_dir() {
            continue;
        }
        assert!(seer.metadata(new).unwrap().is_dir());
        let live = told(&watch);
        assert!(live.contains(&format!("Modified {old}")), "{live:?}");
        assert!(live.contains(&format!("Created {new}")), "{live:?}");
        let later = told(&seer.watch(old, WatchFrom::After(cursor)).unwrap());
        assert_eq!(later, [format!("Present {old}")], "as the second name that it is now");
        return;
    }
    panic!("one of the moves wins");
}

#[test]
fn content_that_arrives_is_told_of_once() {
    let team = team();
    let [founder, one, two] = &team;
    let large = vec![7; 1_000];
    one.write("/team/f", "short").unwrap();
    one.write("/team/f", &large).unwrap();
    let beaten = two.write("/team/g", &large).unwrap();
    founder.write("/team/g", "a better rank").unwrap();
    exchange(&team);
    let watch = founder.watch("/team", WatchFrom::Now).unwrap();
    let start = watch.cursor();
    // The same content from anywhere will do.
    founder.write("/copy", &large).unwrap();
    let events: Vec<WatchEvent> =
        std::iter::from_fn(|| watch.next_blocking(Duration::ZERO)).collect();
    let seen: Vec<String> = events.iter().map(words).collect();
    assert_eq!(seen, ["Modified /team/f", "Content /team/g", "Conflict /team/g"]);
    let WatchEvent::Content(arrived) = &events[1] else { panic!("content") };
    assert_eq!(arrived.version, beaten);
    assert_eq!(founder.read_version(&arrived.version).unwrap(), large);
    // No entry in the subtree has come since, and yet nothing is lost; that there is no conflict
    // about the first may be news.
    let resumed = founder.watch("/team", WatchFrom::After(start)).unwrap();
    let again = [
        "Present /team/f",
        "Present /team/g",
        "Content /team/g",
        "Agreement /team/f",
        "Conflict /team/g",
    ];
    assert_eq!(told(&resumed), again);
    let resumed = founder.watch("/team", WatchFrom::After(watch.cursor())).unwrap();
    assert_eq!(told(&resumed), [""; 0]);
}

#[test]
fn a_future_that_is_dropped_takes_no_event_with_it() {
    use std::future::poll_fn;
    use std::pin::Pin;

    use futures_core::Stream;

    let fs = Fs::in_memory().unwrap();
    let mut watch = fs.watch("/", WatchFrom::Now).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let thread = std::thread::spawn(move || {
        for n in 0..200 {
            fs.write(format!("/{n}"), "1").unwrap();
        }
    });
    let mut seen = Vec::new();
    runtime.block_on(async {
        while seen.len() < 200 {
            let next = poll_fn(|context| Pin::new(&mut watch).poll_next(context));
            // Mostly too short, so that many are dropped.
            if let Ok(event) = tokio::time::timeout(Duration::from_micros(50), next).await {
                seen.push(words(&event.unwrap()));
            }
        }
    });
    thread.join().unwrap();
    let all: Vec<String> = (0..200).map(|n| format!("Created /{n}")).collect();
    assert_eq!(seen, all);
}
