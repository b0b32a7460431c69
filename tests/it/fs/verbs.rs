//! Conditional writes, going back, bringing back, and settling conflicts.

use basefs::fs::{Expected, RevertError};
use basefs::view::Status;
use basefs::{Fs, WriteError};

use super::team::{exchange, join, team};

fn tips(fs: &Fs, path: &str) -> usize {
    let versions = fs.versions(path).unwrap();
    versions.iter().filter(|version| version.status == Status::Tip).count()
}

/// Both members write the file at once; gives the team with all entries everywhere.
fn in_conflict() -> [Fs; 3] {
    let team = team();
    team[1].write("/team/f", "one").unwrap();
    team[2].write("/team/f", "two").unwrap();
    exchange(&team);
    team
}

#[test]
fn many_threads_count_and_none_is_lost() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 25;
    let fs = Fs::in_memory().unwrap();
    fs.write_if("/n", Expected::Absent, "0").unwrap();
    let count = |fs: &Fs| loop {
        let (content, version) = fs.read_with_version("/n").unwrap();
        let next = std::str::from_utf8(&content).unwrap().parse::<usize>().unwrap() + 1;
        match fs.write_if("/n", version, next.to_string()) {
            Ok(_) => return,
            Err(WriteError::Changed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| count(&fs)));
        }
    });
    assert_eq!(fs.read("/n").unwrap(), (THREADS * ROUNDS).to_string());
}

#[test]
fn a_conditional_write_says_what_is_there_instead() {
    let fs = Fs::in_memory().unwrap();
    let first = fs.write("/f", "1").unwrap();
    let second = fs.write("/f", "2").unwrap();
    let refused = fs.write_if("/f", first, "3").unwrap_err();
    assert_eq!(refused, WriteError::Changed { path: "/f".into(), version: Some(second) });
    let words = format!("/f: is at version {second:.16} by now; nothing was written");
    assert_eq!(refused.to_string(), words);
    assert!(fs.write_if("/f", Expected::Absent, "3").is_err());
    fs.remove("/f").unwrap();
    let refused = fs.write_if("/f", second, "3").unwrap_err();
    assert_eq!(refused.to_string(), "/f: is gone by now; nothing was written");
    fs.write_if("/f", Expected::Absent, "3").unwrap();
    let gone = fs.write_if("/none/f", first, "").unwrap_err();
    assert_eq!(gone, WriteError::Changed { path: "/none/f".into(), version: None });

    let mut batch = fs.batch();
    batch.write("/g", "changed").unwrap();
    batch.write_if("/f", first, "4").unwrap();
    assert!(matches!(batch.commit(), Err(WriteError::Changed { .. })));
    assert!(!fs.exists("/g"), "the whole batch is refused");
}

#[test]
fn a_conditional_write_on_a_stale_replica_is_a_conflict_that_shows() {
    let team = team();
    let [founder, one, two] = &team;
    let version = founder.write("/team/f", "0").unwrap();
    exchange(&team);
    one.write_if("/team/f", version, "one").unwrap();
    two.write_if("/team/f", version, "two").unwrap();
    exchange(&team);
    assert_eq!(tips(founder, "/team/f"), 1);
}

#[test]
fn an_edit_of_an_old_version_is_a_conflict_with_what_was_not_seen() {
    let fs = Fs::in_memory().unwrap();
    let opened = fs.write("/f", "one").unwrap();
    let edited = fs.write_on("/f", opened, "one, two", Some(true)).unwrap();
    assert!(fs.conflicts("/").unwrap().is_empty(), "nobody wrote meanwhile");
    assert!(fs.metadata("/f").unwrap().is_executable());
    let late = fs.write_on("/f", opened, "one, three", None).unwrap();
    let conflict = &fs.conflicts("/").unwrap()[0];
    let both = [conflict.winner.id, conflict.losers[0].version.id];
    assert!(both.contains(&edited) && both.contains(&late), "neither is lost");
    assert_eq!(fs.read_version(&late).unwrap(), "one, three");

    // Who saw that nothing is there stands on the deletion that left nothing.
    let elsewhere = fs.write("/g", "1").unwrap();
    fs.remove("/g").unwrap();
    fs.write_on("/g", Expected::Absent, "2", None).unwrap();
    assert_eq!((tips(&fs, "/g"), fs.read("/g").unwrap()), (0, "2".into()));
    fs.write_on("/g", Expected::Absent, "3", None).unwrap();
    assert_eq!(tips(&fs, "/g"), 1, "two made it at once");
    // A version of something else says nothing of what is here.
    fs.write("/h/i", "1").unwrap();
    fs.write_on("/h/i", elsewhere, "2", None).unwrap();
    assert_eq!(tips(&fs, "/h/i"), 1);
    let refused = fs.write_on("/h", elsewhere, "", None);
    assert!(matches!(refused, Err(WriteError::IsADirectory { .. })), "{refused:?}");
}

#[test]
fn going_back_shows_an_old_version_and_keeps_the_new_one() {
    // rule: CLIENT-3
    let fs = Fs::in_memory().unwrap();
    let first = fs.write("/f", vec![1; 5_000]).unwrap();
    let second = fs.write("/f", "2").unwrap();
    let back = fs.revert("/f", first).unwrap();
    assert_eq!(fs.read("/f").unwrap(), vec![1; 5_000]);
    assert_eq!(fs.revert("/f", back).unwrap(), back, "it is there already");
    fs.revert("/f", second).unwrap();
    assert_eq!(fs.read("/f").unwrap(), "2");
    assert_eq!(fs.versions("/f").unwrap().len(), 4);

    let other = fs.write("/g", "").unwrap();
    let gone = fs.remove("/f").unwrap();
    let path = "/f";
    let unknown =
        format!("{path}: no version {other:.16} of it is known here; nothing was written");
    assert_eq!(fs.revert(path, other).unwrap_err().to_string(), unknown);
    let deleted = format!(
        "{path}: version {gone:.16} is a deletion; remove the path instead; nothing was written"
    );
    assert_eq!(fs.revert(path, gone).unwrap_err().to_string(), deleted);
    assert!(matches!(fs.revert("/", other), Err(RevertError::Write(WriteError::Root))));
}

#[test]
fn a_version_without_its_content_is_not_shown() {
    let team = team();
    let [founder, one, _] = &team;
    founder.write("/team/f", "short").unwrap();
    exchange(&team);
    let large = one.write("/team/f", vec![1; 5_000]).unwrap();
    exchange(&team);
    let refused = founder.revert("/team/f", large).unwrap_err();
    assert_eq!(refused, RevertError::NotHere { path: "/team/f".into(), version: large });
    let words = "is not on this replica yet; nothing was written";
    assert!(refused.to_string().ends_with(words), "{refused}");
    one.revert("/team/f", large).unwrap();
}

#[test]
fn what_was_removed_comes_back_with_all_that_was_in_it() {
    // rule: CLIENT-3
    // rule: TREE-1
    let team = team();
    let [founder, one, two] = &team;
    founder.write("/team/d/x", "1").unwrap();
    exchange(&team);
    one.remove_all("/team/d").unwrap();
    two.write("/team/d/y", "2, written meanwhile").unwrap();
    exchange(&team);
    assert!(!two.exists("/team/d"));
    two.revive("/team/d").unwrap();
    exchange(&team);
    for fs in &team {
        let names: Vec<_> = fs.walk("/team/d").unwrap().map(|e| e.name().to_owned()).collect();
        assert_eq!(names, ["x", "y"]);
    }
    let refused = one.revive("/team/d").unwrap_err();
    let words = "/team/d: is there; revert to the version that is to show; nothing was written";
    assert_eq!(refused.to_string(), words);
    let never = one.revive("/team/never").unwrap_err();
    assert_eq!(never, WriteError::NotFound { path: "/team/never".into() }.into());

    one.rename("/team/d", "/team/e").unwrap();
    let moved = one.revive("/team/d").unwrap_err();
    assert!(matches!(moved, RevertError::Write(WriteError::FormerPlace { .. })), "{moved}");
    one.remove_all("/team/e").unwrap();
    one.revive("/team/e").unwrap();
    assert_eq!(one.read("/team/e/x").unwrap(), "1", "it comes back where it was last");
}

#[test]
fn an_acknowledged_version_is_not_displaced_from_below() {
    // rule: CLIENT-1
    let team = team();
    let [founder, one, two] = &team;
    let base = one.write("/team/f", "agreed").unwrap();
    let gone = one.write("/team/g", "to be removed").unwrap();
    exchange(&team);
    one.remove("/team/g").unwrap();
    exchange(&team);
    let before = founder.versions("/team/f").unwrap()[0].rank;
    founder.ack("/team/f").unwrap();
    founder.ack("/team/g").unwrap();
    assert!(founder.versions("/team/f").unwrap()[0].rank < before);
    // Two and one together, on the old version.
    assert_eq!(two.metadata("/team/f").unwrap().version(), Some(base));
    one.write("/team/f", "no").unwrap();
    two.write("/team/f", "no").unwrap();
    two.revert("/team/g", gone).unwrap();
    exchange(&team);
    for fs in &team {
        assert_eq!(fs.read("/team/f").unwrap(), "agreed");
        assert!(!fs.exists("/team/g"), "a deletion can be acknowledged too");
    }
    let never = founder.ack("/team/never").unwrap_err();
    assert_eq!(never, WriteError::NotFound { path: "/team/never".into() }.into());
}

#[test]
fn a_conflict_is_settled_by_choosing_merging_or_dismissing() {
    // rule: CLIENT-2
    // rule: CLIENT-3
    let ways: [fn(&Fs); 4] = [
        |fs| {
            let lost = fs.versions("/team/f").unwrap()[1].id;
            fs.resolve("/team/f", lost).map(drop).unwrap();
        },
        |fs| fs.resolve_with("/team/f", "both").map(drop).unwrap(),
        |fs| fs.dismiss("/team/f").map(drop).unwrap(),
        |fs| fs.remove("/team/f").map(drop).unwrap(),
    ];
    let founder = Fs::in_memory().unwrap();
    let version = founder.write("/f", "agreed").unwrap();
    let needless = founder.dismiss("/f").unwrap_err();
    assert_eq!(needless.to_string(), "/f: is not in conflict; nothing was written");
    assert_eq!(founder.metadata("/f").unwrap().version(), Some(version));
    for (way, settle) in ways.iter().enumerate() {
        let team = in_conflict();
        let [founder, one, two] = &team;
        let shown = founder.read("/team/f").unwrap();
        assert_eq!(tips(founder, "/team/f"), 1);
        settle(one);
        exchange(&team);
        for fs in &team {
            assert_eq!(tips(fs, "/team/f"), 0, "{way}");
            match way {
                0 => assert_ne!(fs.read("/team/f").unwrap(), shown),
                1 => assert_eq!(fs.read("/team/f").unwrap(), "both"),
                2 => assert_eq!(fs.read("/team/f").unwrap(), shown),
                _ => assert!(!fs.exists("/team/f")),
            }
        }
        // Work that goes on from the settled version wins.
        two.write("/team/f", "later").unwrap();
        exchange(&team);
        assert_eq!(founder.read("/team/f").unwrap(), "later");
    }
}

#[test]
fn going_back_to_a_lost_version_leaves_the_rest_of_the_conflict_open() {
    let team = team();
    let [founder, one, two] = &team;
    for (fs, content) in [(founder, "founder"), (one, "one"), (two, "two")] {
        fs.write("/team/f", content).unwrap();
    }
    exchange(&team);
    let versions = founder.versions("/team/f").unwrap();
    let lost = versions.iter().find(|version| version.author == one.author()).unwrap();
    two.revert("/team/f", lost.id).unwrap();
    exchange(&team);
    assert_eq!(founder.read("/team/f").unwrap(), "one");
    assert_eq!(tips(founder, "/team/f"), 1, "that of two himself");
}

#[test]
fn a_deletion_can_be_chosen_too() {
    // rule: CLIENT-2
    let team = team();
    let [founder, one, two] = &team;
    one.write("/team/f", "1").unwrap();
    exchange(&team);
    let gone = one.remove("/team/f").unwrap();
    two.write("/team/f", "2").unwrap();
    exchange(&team);
    assert!(founder.exists("/team/f"));
    two.resolve("/team/f", gone).unwrap();
    exchange(&team);
    assert!(!founder.exists("/team/f"));
    assert_eq!(tips(founder, "/team/f"), 0);
}

#[test]
fn more_branches_than_one_entry_can_name_are_closed_at_once() {
    // rule: CLIENT-2
    // rule: ENTRY-3
    const WRITERS: usize = 19;
    for remove in [false, true] {
        let founder = Fs::in_memory().unwrap();
        let writers: Vec<Fs> = (0..WRITERS).map(|_| join(&founder)).collect();
        for writer in &writers {
            founder.grant("/", writer.author()).unwrap();
        }
        for (n, writer) in writers.iter().enumerate() {
            super::team::send(&founder, writer);
            writer.write("/f", n.to_string()).unwrap();
        }
        for writer in &writers {
            super::team::send(writer, &founder);
        }
        assert_eq!(tips(&founder, "/f"), WRITERS - 1);
        if remove {
            founder.remove("/f").unwrap();
            assert!(!founder.exists("/f"));
        } else {
            founder.resolve_with("/f", "merged").unwrap();
            assert_eq!(founder.read("/f").unwrap(), "merged");
        }
        assert_eq!(tips(&founder, "/f"), 0);
    }
}

#[test]
fn what_may_be_written_is_known_without_writing() {
    let [founder, one, _] = team();
    founder.write("/motd", "hello").unwrap();
    exchange(&[founder.clone(), one.clone()]);
    let before = one.entries();
    assert_eq!(one.check_write("/team/new/deep/f"), Ok(()));
    assert!(matches!(one.check_write("/motd"), Err(WriteError::Denied { .. })));
    assert!(matches!(one.check_write("/new/f"), Err(WriteError::Denied { .. })));
    assert!(matches!(one.check_write("/team/.."), Err(WriteError::Path(_))));
    let stranger = join(&founder);
    assert_eq!(stranger.check_write("/f"), Err(WriteError::NotSynced));
    assert_eq!(one.entries(), before, "nothing was written");
}

#[test]
fn a_version_is_told_of_by_its_id() {
    let [founder, one, two] = in_conflict();
    for version in founder.versions("/team/f").unwrap() {
        assert_eq!(founder.version_info(&version.id).unwrap(), version);
    }
    let unknown = one.write("/team/g", "1").unwrap();
    assert!(matches!(two.version_info(&unknown), Err(basefs::ReadError::UnknownVersion { .. })));
}
