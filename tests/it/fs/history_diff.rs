//! What differs between two versions, in the words of whoever compares directories.

use std::collections::{BTreeMap, BTreeSet};

use basefs::Fs;
use basefs::fs::{DiffError, Difference, DifferenceKind, FileType};
use basefs::log::Frontier;

use super::tools::{Member, exchange, founder_and, team};

fn lines(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

/// What changes in a subtree while something is done.
fn during(member: &Member, subtree: &str, act: impl FnOnce(&Member)) -> Vec<Difference> {
    let before = member.version().unwrap();
    act(member);
    let after = member.version().unwrap();
    let found = member.diff(&before, &after, subtree).unwrap();
    check(member, &before, &after, subtree, &found);
    found
}

type Tree = BTreeMap<String, String>;

/// What each path of a subtree shows at a version, found by walking all of it.
fn tree(fs: &Fs, version: &Frontier, subtree: &str) -> Tree {
    let then = fs.at(version).unwrap();
    let Ok(walk) = then.walk(subtree) else { return Tree::new() };
    walk.map(|entry| {
        let about = entry.metadata();
        let shown = match about.file_type() {
            FileType::Alias { .. } => "alias".to_owned(),
            FileType::File => {
                format!("{:?} {}", then.read(entry.path()).unwrap(), about.is_executable())
            }
            other => format!("{other:?}"),
        };
        (entry.path().to_owned(), shown)
    })
    .collect()
}

/// The differences tell where each path of the one tree comes from and what became of each path of
/// the other, judged by walking both.
fn check(fs: &Fs, a: &Frontier, b: &Frontier, subtree: &str, found: &[Difference]) {
    let (before, after) = (tree(fs, a, subtree), tree(fs, b, subtree));
    let told = |path: &str| {
        found.iter().find(|told| told.path == path && told.kind != DifferenceKind::Removed)
    };
    // Where a path was before, as far as the directories above it say.
    let origin_of = |path: &str| {
        let cuts = path.rmatch_indices('/').map(|(at, _)| at);
        for at in cuts {
            match told(&path[..at]).map(|told| &told.kind) {
                Some(DifferenceKind::Renamed { from }) => return format!("{from}{}", &path[at..]),
                Some(_) => return format!("{path} is in what was not there"),
                None => {}
            }
        }
        path.to_owned()
    };
    let left: BTreeSet<String> = found
        .iter()
        .filter_map(|told| match &told.kind {
            DifferenceKind::Renamed { from } => Some(from.clone()),
            _ => None,
        })
        .collect();
    let mut origins = BTreeSet::new();
    for (path, shown) in &after {
        let what = format!("{path} of {after:?} after {before:?}: {:?}", lines(found));
        match told(path).map(|told| (&told.kind, told)) {
            Some((DifferenceKind::Added, _)) => {
                let origin = origin_of(path);
                let is_free = !before.contains_key(&origin) || left.contains(&origin);
                assert!(is_free, "{what}");
            }
            Some((DifferenceKind::Renamed { from }, told)) => {
                let is_same = before[from] == *shown;
                let is_told = told.content || told.executable() || told.file_type();
                assert_eq!(is_same, !is_told, "{what}");
                origins.insert(from.clone());
            }
            Some(_) => {
                let origin = origin_of(path);
                assert_ne!(before.get(&origin), Some(shown), "{what}");
                origins.insert(origin);
            }
            None => {
                let origin = origin_of(path);
                assert_eq!(before.get(&origin), Some(shown), "{what}");
                origins.insert(origin);
            }
        }
    }
    for path in before.keys() {
        let is_removed =
            found.iter().any(|told| told.path == *path && told.kind == DifferenceKind::Removed);
        let gave_way =
            told(path).is_some_and(|told| matches!(told.kind, DifferenceKind::Renamed { .. }));
        let what = format!("{path} of {before:?} before {after:?}: {:?}", lines(found));
        assert!(is_removed != origins.contains(path) || gave_way, "{what}");
    }
}

#[test]
fn any_two_moments_of_a_busy_hierarchy() {
    let founder = &founder_and(0)[0];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut moments = vec![founder.version().unwrap()];
    for step in 0..400 {
        let path = |n: u64| {
            ["/a", "/b", "/a/c", "/b/c", "/a/c/d", "/e", "/a/f"][usize::try_from(n).unwrap()]
        };
        let (path, other) = (path(below(7)), path(below(7)));
        // What cannot be done there is not done.
        let _ = match below(9) {
            0..3 => founder.write(path, below(3).to_string()).map(drop),
            3 => founder.create_dir_all(path),
            4 => founder.remove_all(path).map(drop),
            5 => founder.set_executable(path, below(2) == 0).map(drop),
            6 => founder.symlink(other, path).map(drop),
            _ => founder.fs.rename(path, other).map(drop),
        };
        if step % 10 == 0 {
            moments.push(founder.version().unwrap());
        }
    }
    for _ in 0..300 {
        let pick = |n: u64| &moments[usize::try_from(n).unwrap()];
        let (a, b) = (pick(below(41)), pick(below(41)));
        let found = founder.diff(a, b, "/").unwrap();
        check(founder, a, b, "/", &found);
    }
}

#[test]
fn files_come_go_and_change() {
    let founder = &founder_and(0)[0];
    founder.write("/a/keep", "same").unwrap();
    founder.write("/a/content", "old").unwrap();
    founder.write("/a/mode", "same").unwrap();
    founder.write("/a/gone", "x").unwrap();
    founder.write("/a/kind", "x").unwrap();
    founder.symlink("one", "/a/link").unwrap();
    let found = during(founder, "/", |fs| {
        fs.write("/a/content", "new").unwrap();
        fs.set_executable("/a/mode", true).unwrap();
        fs.remove("/a/gone").unwrap();
        fs.remove("/a/kind").unwrap();
        fs.create_dir_all("/a/kind/inner").unwrap();
        fs.symlink("two", "/a/link").unwrap();
        fs.write("/a/keep", "other").unwrap();
        fs.write("/a/keep", "same").unwrap();
    });
    let expected = [
        "changed /a/content",
        "removed /a/gone",
        "changed /a/kind",
        "added /a/kind/inner",
        "changed /a/link",
        "changed /a/mode",
    ];
    assert_eq!(lines(&found), expected);
    let what: Vec<_> = found.iter().map(|d| (d.content, d.executable(), d.file_type())).collect();
    assert_eq!(what[0], (true, false, false));
    assert_eq!(what[2], (true, false, true));
    assert_eq!(what[5], (false, true, false));
    assert_eq!(found[0].before.as_ref().unwrap().len(), 3);
}

#[test]
fn directories_are_told_path_by_path_in_path_order() {
    let founder = &founder_and(0)[0];
    founder.write("/a/b/c", "1").unwrap();
    let found = during(founder, "/", |fs| {
        fs.write("/a-b", "sorts after what is in /a").unwrap();
        fs.write("/a/z/y", "2").unwrap();
        fs.remove_all("/a/b").unwrap();
    });
    assert_eq!(
        lines(&found),
        ["removed /a/b", "removed /a/b/c", "added /a/z", "added /a/z/y", "added /a-b"]
    );
}

#[test]
fn a_directory_deleted_and_made_again_is_told_by_what_is_in_it() {
    let founder = &founder_and(0)[0];
    founder.write("/d/same", "1").unwrap();
    founder.write("/d/old", "1").unwrap();
    let found = during(founder, "/", |fs| {
        fs.remove_all("/d").unwrap();
        fs.write("/d/same", "1").unwrap();
    });
    assert_eq!(lines(&found), ["removed /d/old"]);
}

#[test]
fn renames_are_followed_and_what_is_inside_is_compared() {
    let founder = &founder_and(0)[0];
    founder.write("/old/a", "1").unwrap();
    founder.write("/old/b", "2").unwrap();
    founder.write("/file", "3").unwrap();
    let found = during(founder, "/", |member| {
        member.rename(("/", "old"), ("/", "tmp"));
        member.rename(("/", "tmp"), ("/", "new"));
        member.write("/new/b", "22").unwrap();
        member.rename(("/", "file"), ("/", "moved"));
        member.write("/moved", "33").unwrap();
        member.write("/file", "another").unwrap();
    });
    let expected = [
        "added /file",
        "renamed /file to /moved and changed",
        "renamed /old to /new",
        "changed /new/b",
    ];
    assert_eq!(lines(&found), expected);
}

#[test]
fn a_rename_over_something_and_out_of_a_deleted_directory() {
    let founder = &founder_and(0)[0];
    founder.write("/d/f", "1").unwrap();
    founder.write("/d/g", "2").unwrap();
    founder.write("/target/inner", "3").unwrap();
    let found = during(founder, "/", |member| {
        member.rename(("/d", "f"), ("/", "target"));
        member.remove_all("/d").unwrap();
    });
    let expected =
        ["removed /d", "removed /d/g", "renamed /d/f to /target", "removed /target/inner"];
    let mut told = lines(&found);
    told.sort();
    let mut expected: Vec<_> = expected.map(String::from).to_vec();
    expected.sort();
    assert_eq!(told, expected);
}

#[test]
fn a_rename_across_the_border_is_seen_from_inside() {
    let founder = &founder_and(0)[0];
    founder.create_dir_all("/in").unwrap();
    founder.write("/out/f", "1").unwrap();
    founder.write("/in/g", "2").unwrap();
    let found = during(founder, "/in", |member| {
        member.rename(("/out", "f"), ("/in", "f"));
        member.rename(("/in", "g"), ("/out", "g"));
        member.write("/out/more", "not seen").unwrap();
    });
    assert_eq!(lines(&found), ["added /in/f", "removed /in/g"]);
}

#[test]
fn what_a_revoke_takes_away_and_what_is_only_confirmed() {
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    one.write("/team/f", "1").unwrap();
    let same = one.write("/team/same", "1").unwrap();
    exchange(&team);
    let found = during(founder, "/", |member| {
        member.link("/team", "same", vec![same], same);
        member.revoke("/team", one.author(), vec![]);
    });
    assert_eq!(lines(&found), ["removed /team/f"], "an ack shows nothing new");
}

#[test]
fn errors_say_which_side_is_wrong() {
    let founder = &founder_and(0)[0];
    let other = Fs::in_memory().unwrap();
    let (now, theirs) = (founder.version().unwrap(), other.version().unwrap());
    founder.write("/f", "1").unwrap();
    assert!(matches!(founder.diff(&now, &now, "/f"), Err(DiffError::NotFound { .. })));
    assert!(matches!(founder.diff(&now, &now, "/../f"), Err(DiffError::Path(_))));
    other.write("/f", "1").unwrap();
    let later = other.version().unwrap();
    assert!(matches!(founder.diff(&now, &later, "/"), Err(DiffError::Version(_))));
    let (here, there) = (founder.at(&now).unwrap(), other.at(&theirs).unwrap());
    assert_eq!(here.diff(&there, "/"), Err(DiffError::OtherReplica));
}
