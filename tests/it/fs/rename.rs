//! Moving and linking, alone and while others write.

use basefs::fs::FileType;
use basefs::view::Status;
use basefs::{Fs, WriteError};

use super::team::{exchange, join, team};

fn names(fs: &Fs, path: &str) -> Vec<String> {
    fs.read_dir(path).unwrap().iter().map(|entry| entry.name().to_owned()).collect()
}

fn alias(fs: &Fs, path: &str) -> Option<String> {
    match fs.metadata(path).unwrap().file_type() {
        FileType::Alias { target } => target.clone(),
        other => panic!("{path} is {other:?}"),
    }
}

#[test]
fn a_rename_replaces_what_a_rename_of_the_system_replaces() {
    // rule: CLIENT-4
    let fs = Fs::in_memory().unwrap();
    fs.write("/a", "a").unwrap();
    fs.write("/b", "b").unwrap();
    fs.set_executable("/a", true).unwrap();
    let version = fs.rename("/a", "/b").unwrap();
    assert_eq!(names(&fs, "/"), ["b"]);
    let about = fs.metadata("/b").unwrap();
    assert_eq!((about.version(), about.is_executable()), (Some(version), true));
    assert_eq!(fs.read("/b").unwrap(), "a");

    fs.write("/d/x", "x").unwrap();
    fs.create_dir_all("/empty").unwrap();
    fs.rename("/d", "/empty").unwrap();
    assert_eq!(names(&fs, "/empty"), ["x"]);
    fs.symlink("x", "/empty/link").unwrap();
    fs.rename("/empty/link", "/new/place/link").unwrap();
    assert_eq!(fs.read_link("/new/place/link").unwrap(), "x");
    assert_eq!(fs.rename("/b", "/b").unwrap(), version, "nothing to do");
}

#[test]
fn what_cannot_be_renamed_stays_and_the_error_says_why() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/d/x", "x").unwrap();
    fs.write("/full/y", "y").unwrap();
    fs.write("/file", "f").unwrap();
    let before = fs.entries();
    for (from, to, words) in [
        ("/d", "/full", "/full: the directory is not empty; nothing was written"),
        ("/d", "/file", "/file: not a directory; nothing was written"),
        ("/file", "/d", "/d: is a directory; nothing was written"),
        ("/d", "/d/x/y", "/d: cannot be moved into itself, to /d/x/y; nothing was written"),
        ("/none", "/d/z", "/none: nothing is there; nothing was written"),
        ("/file", "/file/x", "/file: not a directory; nothing was written"),
        ("/", "/d/z", "the root directory cannot be replaced or removed; nothing was written"),
        ("/d", "/", "the root directory cannot be replaced or removed; nothing was written"),
    ] {
        assert_eq!(fs.rename(from, to).unwrap_err().to_string(), words, "{from} to {to}");
    }
    assert_eq!(
        fs.link("/d", "/full").unwrap_err(),
        WriteError::IsADirectory { path: "/full".into() }
    );
    assert_eq!(fs.entries(), before);
}

#[test]
fn a_directory_goes_there_and_back_again() {
    // rule: TREE-2
    let fs = Fs::in_memory().unwrap();
    fs.write("/a/x", "x").unwrap();
    let dir = fs.dir_id("/a").unwrap();
    for (from, to) in [("/a", "/b"), ("/b", "/c/d"), ("/c/d", "/b"), ("/b", "/a"), ("/a", "/c/d")] {
        fs.rename(from, to).unwrap();
        assert!(!fs.exists(from), "{from} to {to}");
        assert_eq!(fs.dir_id(to).unwrap(), dir);
        assert_eq!(fs.read(format!("{to}/x")).unwrap(), "x");
    }
    fs.write("/a/new", "another directory of that name").unwrap();
    assert_ne!(fs.dir_id("/a").unwrap(), dir);
    assert_eq!(names(&fs, "/c/d"), ["x"]);
}

#[test]
fn what_others_write_into_a_directory_goes_where_it_goes() {
    // rule: CLIENT-4
    let team = team();
    let [founder, one, two] = &team;
    founder.write("/team/d/old", "1").unwrap();
    exchange(&team);
    one.rename("/team/d", "/team/e").unwrap();
    two.write("/team/d/new", "2").unwrap();
    exchange(&team);
    for fs in &team {
        assert_eq!(names(fs, "/team"), ["e"]);
        assert_eq!(names(fs, "/team/e"), ["new", "old"]);
    }
}

#[test]
fn a_file_that_is_edited_while_it_is_renamed_shows_at_both_places() {
    let team = team();
    let [founder, one, two] = &team;
    founder.write("/team/f", "before").unwrap();
    exchange(&team);
    one.rename("/team/f", "/team/g").unwrap();
    two.write("/team/f", "after").unwrap();
    exchange(&team);
    for fs in &team {
        assert_eq!(fs.read("/team/f").unwrap(), "after", "equals: hide less");
        assert_eq!(fs.read("/team/g").unwrap(), "before", "a snapshot");
    }
}

#[test]
fn of_two_moves_of_a_directory_one_counts_and_the_other_can_be_chosen() {
    // rule: TREE-3
    // rule: CLIENT-2
    let team = team();
    let [founder, one, two] = &team;
    founder.write("/team/d/x", "x").unwrap();
    exchange(&team);
    one.rename("/team/d", "/team/one").unwrap();
    two.rename("/team/d", "/team/two").unwrap();
    exchange(&team);
    let is_at_one = founder.metadata("/team/one").unwrap().is_dir();
    let (here, there) =
        if is_at_one { ("/team/one", "/team/two") } else { ("/team/two", "/team/one") };
    for fs in &team {
        assert_eq!(fs.read(format!("{here}/x")).unwrap(), "x");
        assert_eq!(alias(fs, there).as_deref(), Some(here));
        assert!(!fs.exists("/team/d"));
    }
    let versions = founder.versions("/team/d").unwrap();
    let lost = versions.iter().find(|version| version.status == Status::Tip).unwrap();
    one.resolve("/team/d", lost.id).unwrap();
    exchange(&team);
    for fs in &team {
        assert_eq!(fs.read(format!("{there}/x")).unwrap(), "x", "where it was lost");
        assert_eq!(alias(fs, here).as_deref(), Some(there));
    }
}

#[test]
fn an_edit_loses_against_a_move_by_somebody_of_better_rank_and_is_listed() {
    // rule: FORK-4
    // rule: VIEW-3
    let team = team();
    let [founder, one, _] = &team;
    founder.write("/team/f", "1").unwrap();
    exchange(&team);
    founder.rename("/team/f", "/team/g").unwrap();
    let edit = one.write("/team/f", "2").unwrap();
    exchange(&team);
    for fs in &team {
        assert_eq!(fs.read("/team/g").unwrap(), "1");
        assert!(!fs.exists("/team/f"));
        let conflicts = fs.conflicts("/").unwrap();
        assert_eq!((&*conflicts[0].path, conflicts[0].losers[0].version.id), ("/team/f", edit));
    }
    one.revert("/team/f", edit).unwrap();
    exchange(&team);
    assert_eq!(founder.read("/team/f").unwrap(), "2");
}

#[test]
fn directories_moved_into_each_other_are_brought_back() {
    // rule: TREE-4
    let team = team();
    let [founder, one, two] = &team;
    founder.write("/team/a/f", "in a").unwrap();
    founder.write("/team/b/g", "in b").unwrap();
    exchange(&team);
    one.rename("/team/a", "/team/b/a").unwrap();
    two.rename("/team/b", "/team/a/b").unwrap();
    exchange(&team);
    for fs in &team {
        assert!(fs.read_dir("/team").unwrap().is_empty());
        let mut lost: Vec<_> = fs.lost_and_found().into_iter().map(|dir| dir.made_at).collect();
        lost.sort();
        assert_eq!(lost, ["/team/a", "/team/b"]);
    }
    two.revive("/team/a").unwrap();
    exchange(&team);
    for fs in &team {
        assert!(fs.lost_and_found().is_empty());
        assert_eq!(fs.read("/team/a/f").unwrap(), "in a");
        assert_eq!(fs.read("/team/a/b/g").unwrap(), "in b");
    }
}

#[test]
fn permissions_do_not_move() {
    // rule: CLIENT-4
    // rule: TREE-5
    let founder = Fs::in_memory().unwrap();
    let (ana, ben) = (join(&founder), join(&founder));
    founder.write("/ana/d/x", "x").unwrap();
    founder.create_dir_all("/ben").unwrap();
    founder.grant("/ana", ana.author()).unwrap();
    founder.grant("/ben", ben.author()).unwrap();
    let all = [founder, ana, ben];
    let [founder, ana, ben] = &all;

    let refused = founder.rename("/ana/d", "/ben/d").unwrap_err();
    let WriteError::CrossesGrant { grants, .. } = &refused else { panic!("{refused}") };
    let keys: Vec<_> = grants.iter().map(|grant| grant.key).collect();
    assert_eq!(keys, [ana.author(), ben.author()]);
    let words = format!(
        "/ana/d to /ben/d: permissions do not move along, of {:.16} at /ana, {:.16} at /ben; \
         nothing was written",
        ana.author(),
        ben.author()
    );
    assert_eq!(refused.to_string(), words);

    founder.rename_across("/ana/d", "/ben/d").unwrap();
    exchange(&all);
    ana.write("/ben/d/x", "still Ana's").unwrap();
    assert!(matches!(ben.write("/ben/d/x", "not Ben's"), Err(WriteError::Denied { .. })));
    founder.rename("/ben/d", "/ana/e").unwrap();
    exchange(&all);
    assert_eq!(founder.read("/ana/e/x").unwrap(), "still Ana's", "home is always allowed");
}

#[test]
fn a_move_may_need_two_capabilities() {
    // rule: CLIENT-4
    let founder = Fs::in_memory().unwrap();
    let ana = join(&founder);
    for dir in ["/in", "/out/deep"] {
        founder.create_dir_all(dir).unwrap();
        founder.grant(dir, ana.author()).unwrap();
    }
    let all = [founder, ana];
    let [founder, ana] = &all;
    exchange(&all);
    ana.write("/in/job", "1").unwrap();
    ana.rename_across("/in/job", "/out/deep/job").unwrap();
    exchange(&all);
    assert_eq!(founder.read("/out/deep/job").unwrap(), "1");
    let depth = |path| founder.versions(path).unwrap()[0].rank.depth;
    assert_eq!((depth("/in/job"), depth("/out/deep/job")), (1, 2));
    let elsewhere = ana.rename_across("/out/deep/job", "/job").unwrap_err();
    assert_eq!(elsewhere, WriteError::Denied { path: "/job".into(), key: ana.author() });
}

#[test]
fn an_alias_is_renamed_itself_and_never_takes_the_place_of_its_directory() {
    // rule: TREE-3
    let fs = Fs::in_memory().unwrap();
    fs.write("/d/x", "x").unwrap();
    fs.link("/d", "/alias").unwrap();
    assert_eq!(fs.read_link("/alias").unwrap(), "/d");
    fs.rename("/alias", "/other").unwrap();
    assert_eq!(names(&fs, "/"), ["d", "other"]);
    assert_eq!(alias(&fs, "/other").as_deref(), Some("/d"));

    fs.rename("/d", "/e").unwrap();
    let former = "/d: a link would move the directory back from /e; rename it; nothing was written";
    assert_eq!(fs.link("/e", "/d").unwrap_err().to_string(), former);
    assert_eq!(fs.rename("/other", "/d").unwrap_err().to_string(), former);
    let mut batch = fs.batch();
    batch.rename("/e", "/f");
    batch.link("/f", "/e");
    assert!(matches!(batch.commit(), Err(WriteError::FormerPlace { .. })));
    fs.rename("/e", "/other").unwrap();
    assert_eq!(fs.read("/other/x").unwrap(), "x", "a directory replaces an alias of itself");
}

#[test]
fn a_file_link_is_a_snapshot() {
    // rule: VIEW-1
    let fs = Fs::in_memory().unwrap();
    let large = vec![7; 100_000];
    fs.write("/a", &large).unwrap();
    fs.set_executable("/a", true).unwrap();
    fs.link("/a", "/b").unwrap();
    fs.write("/a", "small").unwrap();
    assert_eq!(fs.read("/b").unwrap(), large);
    assert!(fs.metadata("/b").unwrap().is_executable());
    fs.link("/a", "/b").unwrap();
    assert_eq!(fs.read("/b").unwrap(), "small", "it replaces a file");
    assert_eq!(fs.link("/a", "/a").unwrap(), fs.metadata("/a").unwrap().version().unwrap());
}

#[test]
fn nothing_is_moved_deeper_than_a_path_can_be() {
    // rule: TREE-4
    let fs = Fs::in_memory().unwrap();
    let deep = |depth: usize| "/d".repeat(depth);
    fs.create_dir_all(deep(40)).unwrap();
    fs.create_dir_all(format!("/top{}", deep(30))).unwrap();
    let to = format!("{}/moved", deep(40));
    assert_eq!(fs.rename("/top", &to).unwrap_err(), WriteError::TooDeep { path: to });
    let to = format!("{}/moved", deep(33));
    fs.rename("/top", &to).unwrap();
    assert!(fs.exists(format!("{to}{}", deep(30))));
    let below = format!("{to}{}/more", deep(30));
    assert_eq!(fs.create_dir_all(&below).unwrap_err(), WriteError::TooDeep { path: below });
}

#[test]
fn a_batch_moves_what_it_made() {
    let fs = Fs::in_memory().unwrap();
    let mut batch = fs.batch();
    batch.write("/tmp/a/x", "1").unwrap();
    batch.rename("/tmp/a", "/a");
    batch.write("/a/y", "2").unwrap();
    batch.link("/a/x", "/z");
    batch.remove("/tmp");
    batch.commit().unwrap();
    assert_eq!(names(&fs, "/"), ["a", "z"]);
    assert_eq!(names(&fs, "/a"), ["x", "y"]);
}

#[test]
fn a_name_used_again_and_moved_again_moves_nothing_else() {
    // rule: TREE-2
    let fs = Fs::in_memory().unwrap();
    fs.write("/d/first", "1").unwrap();
    fs.rename("/d", "/one").unwrap();
    fs.write("/d/second", "2").unwrap();
    fs.rename("/d", "/two").unwrap();
    assert_eq!(names(&fs, "/"), ["one", "two"]);
    assert_eq!(
        (names(&fs, "/one"), names(&fs, "/two")),
        (vec!["first".into()], vec!["second".into()])
    );
    fs.rename("/two", "/d").unwrap();
    assert_eq!(names(&fs, "/one"), ["first"], "the name belongs to the second again");
    assert_eq!(names(&fs, "/d"), ["second"]);
}
