//! What differs between two versions, in the words of whoever compares directories.

use basefs::Fs;
use basefs::fs::{DiffError, Difference, DifferenceKind};
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
    check_replay(member, &before, &after, subtree, &found);
    found
}

/// Differences are complete: what is the same on both sides is what they do not name, judged by
/// walking both trees.
fn check_replay(fs: &Fs, a: &Frontier, b: &Frontier, subtree: &str, found: &[Difference]) {
    let list = |version: &Frontier| -> std::collections::BTreeMap<String, String> {
        let then = fs.at(version).unwrap();
        let Ok(walk) = then.walk(subtree) else { return Default::default() };
        walk.map(|entry| {
            let path = entry.path().to_owned();
            let content = then.read(&path).map(|bytes| format!("{bytes:?}"));
            let about = entry.metadata();
            let shown = (about.file_type().clone(), about.is_executable(), content.ok());
            (path, format!("{shown:?}"))
        })
        .collect()
    };
    let (mut tree, after) = (list(a), list(b));
    let old = tree.clone();
    for difference in found {
        match &difference.kind {
            DifferenceKind::Removed => assert!(tree.remove(&difference.path).is_some()),
            DifferenceKind::Renamed { from } => {
                let below = format!("{from}/");
                tree.retain(|path, _| path != from && !path.starts_with(&below));
            }
            _ => {}
        }
    }
    for difference in found {
        match &difference.kind {
            DifferenceKind::Renamed { from } => {
                let moved = old.iter().filter_map(|(path, shown)| {
                    let rest = path.strip_prefix(from.as_str())?;
                    (rest.is_empty() || rest.starts_with('/'))
                        .then(|| (format!("{}{rest}", difference.path), shown.clone()))
                });
                tree.extend(moved);
                if let Some(shown) = after.get(&difference.path) {
                    tree.insert(difference.path.clone(), shown.clone());
                }
            }
            DifferenceKind::Added | DifferenceKind::Changed => {
                if let Some(shown) = after.get(&difference.path) {
                    tree.insert(difference.path.clone(), shown.clone());
                }
            }
            _ => {}
        }
    }
    for difference in found {
        if difference.kind == DifferenceKind::Removed && !after.contains_key(&difference.path) {
            tree.remove(&difference.path);
        }
    }
    assert_eq!(tree, after);
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
