//! What was: versions of a path under its names, and of the whole hierarchy.

use std::collections::BTreeMap;

use basefs::fs::SnapshotError;
use basefs::log::{Frontier, ParseFrontierError};
use basefs::view::{Status, Verb};
use basefs::{Fs, ReadError};

use super::tools::{Member, exchange, founder_and, team, tip};

/// Everything that paths show: kind, executable bit and content.
fn picture(paths: impl Iterator<Item = basefs::fs::DirEntry>) -> BTreeMap<String, String> {
    paths
        .map(|entry| {
            let about = entry.metadata();
            (entry.path().to_owned(), format!("{:?} {}", about.file_type(), about.len()))
        })
        .collect()
}

fn verbs(fs: &Fs, path: &str) -> Vec<Verb> {
    fs.versions(path).unwrap().iter().map(|version| version.verb).collect()
}

#[test]
fn versions_are_named_by_what_their_author_did() {
    // rule: VIEW-2
    let fs = Fs::in_memory().unwrap();
    fs.write("/f", "one").unwrap();
    fs.set_executable("/f", true).unwrap();
    fs.write("/f", "two").unwrap();
    fs.remove("/f").unwrap();
    fs.symlink("elsewhere", "/f").unwrap();
    let expected = [Verb::Symlink, Verb::Delete, Verb::Write, Verb::Mode, Verb::Write];
    assert_eq!(verbs(&fs, "/f"), expected);
}

#[test]
fn links_read_as_ack_revert_or_link_by_what_they_point_at() {
    // rule: CLIENT-3
    // rule: VIEW-2
    let all = founder_and(0);
    let founder = &all[0];
    let first = founder.write("/f", "first").unwrap();
    let second = founder.write("/f", "second").unwrap();
    let ack = founder.link("/", "f", vec![second], second);
    let revert = founder.link("/", "f", vec![ack], first);
    founder.link("/", "copy", vec![], revert);
    assert_eq!(verbs(founder, "/f"), [Verb::Revert, Verb::Ack, Verb::Write, Verb::Write]);
    assert_eq!(verbs(founder, "/copy"), [Verb::Link]);
    assert_eq!(founder.read("/copy").unwrap(), "first");

    // Of a deletion the ack is another deletion.
    let gone = founder.remove("/f").unwrap();
    let again = basefs::entry::Payload::Delete { moved_to: None };
    founder.sign("/", "f", vec![gone], again);
    assert_eq!(verbs(founder, "/f")[..2], [Verb::Ack, Verb::Delete]);
}

#[test]
fn what_clients_do_is_named_as_they_call_it() {
    // rule: CLIENT-3
    let fs = Fs::in_memory().unwrap();
    let first = fs.write("/f", "first").unwrap();
    fs.write("/f", "second").unwrap();
    fs.ack("/f").unwrap();
    fs.revert("/f", first).unwrap();
    fs.rename("/f", "/g").unwrap();
    fs.link("/g", "/copy").unwrap();
    assert_eq!(verbs(&fs, "/f")[..3], [Verb::RenamedTo, Verb::Revert, Verb::Ack]);
    assert_eq!(
        (verbs(&fs, "/g"), verbs(&fs, "/copy")),
        (vec![Verb::RenamedFrom], vec![Verb::Link])
    );
}

#[test]
fn history_goes_on_under_the_old_name() {
    // rule: VIEW-2
    let all = founder_and(0);
    let founder = &all[0];
    founder.write("/draft", "a draft").unwrap();
    founder.write("/draft", "a better draft").unwrap();
    founder.write("/final", "of something else").unwrap();
    founder.rename(("/", "draft"), ("/", "final"));
    founder.write("/final", "the text").unwrap();

    let here = founder.versions("/final").unwrap();
    assert_eq!(here.len(), 3, "the versions of a path are those of its name");
    assert_eq!(here[1].verb, Verb::RenamedFrom);
    assert_eq!(here[1].renamed_from.as_deref(), Some("/draft"));
    assert!(here[1].to_string().contains("renamed from /draft"), "{}", here[1]);
    let there = &founder.versions("/draft").unwrap()[0];
    assert_eq!((there.verb, there.status), (Verb::RenamedTo, Status::Current));
    assert_eq!(there.renamed_to.as_deref(), Some("/final"));

    let history = founder.history("/final").unwrap();
    let told: Vec<_> = history.iter().map(|version| (&*version.path, version.verb)).collect();
    let expected = [
        ("/final", Verb::Write),
        ("/final", Verb::RenamedFrom),
        ("/draft", Verb::Write),
        ("/draft", Verb::Write),
    ];
    assert_eq!(told, expected, "what the target had before is another history");
    assert_eq!(founder.read_version(&history[3].id).unwrap(), "a draft");
}

#[test]
fn a_file_moved_back_and_forth_has_an_end() {
    let all = founder_and(0);
    let founder = &all[0];
    founder.write("/a", "content").unwrap();
    for _ in 0..3 {
        founder.rename(("/", "a"), ("/", "b"));
        founder.rename(("/", "b"), ("/", "a"));
    }
    let history = founder.history("/a").unwrap();
    assert_eq!(history.len(), 7, "six moves and the write");
    assert_eq!(history[6].verb, Verb::Write);
}

#[test]
fn single_versions_say_why_they_cannot_be_read() {
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    let large = one.write("/team/large", vec![7; 1_000]).unwrap();
    let dir = tip(founder, "/team");
    exchange(&team);
    assert_eq!(one.read_version(&large).unwrap().len(), 1_000);
    let there = founder.read_version(&large);
    assert!(matches!(there, Err(ReadError::NotHere { path, .. }) if path == "/team/large"));
    assert!(matches!(founder.read_version(&dir), Err(ReadError::IsADirectory { .. })));
    let gone = one.remove("/team/large").unwrap();
    assert!(matches!(one.read_version(&gone), Err(ReadError::NotFound { .. })));
    let other = Fs::in_memory().unwrap().write("/f", "").unwrap();
    assert_eq!(founder.read_version(&other), Err(ReadError::UnknownVersion { id: other }));
}

#[test]
fn every_moment_can_be_looked_at_again() {
    // rule: AT-1
    let all = founder_and(0);
    let founder = &all[0];
    let mut moments = Vec::new();
    let mut note = |fs: &Fs| {
        moments.push((fs.version().unwrap(), picture(fs.walk("/").unwrap())));
    };
    note(founder);
    founder.write("/etc/motd", "hello").unwrap();
    note(founder);
    founder.set_executable("/etc/motd", true).unwrap();
    founder.symlink("etc", "/conf").unwrap();
    note(founder);
    founder.rename(("/", "etc"), ("/", "settings"));
    note(founder);
    founder.write("/settings/motd", "good morning").unwrap();
    founder.remove("/conf").unwrap();
    note(founder);
    founder.remove_all("/settings").unwrap();
    note(founder);

    for (version, shown) in &moments {
        let version: Frontier = version.to_string().parse().unwrap();
        let then = founder.at(&version).unwrap();
        assert_eq!(&picture(then.walk("/").unwrap()), shown);
        assert_eq!(founder.find_version(&version.id()).as_ref(), Ok(&version));
    }
    let then = founder.at(&moments[3].0).unwrap();
    assert_eq!(then.read("/settings/motd").unwrap(), "hello");
    assert!(then.metadata("/settings/motd").unwrap().is_executable());
    assert_eq!(then.read_link("/conf").unwrap(), "etc");
    assert!(!then.exists("/etc"));
    assert_eq!(then.versions("/settings/motd").unwrap().len(), 2);
    assert_eq!(then.explain("/settings/motd").unwrap().rule(), "FORK-5");
    assert_eq!(
        then.dir_id("/settings").unwrap(),
        founder.at(&moments[1].0).unwrap().dir_id("/etc").unwrap()
    );
    assert!(matches!(then.read("/settings"), Err(ReadError::IsADirectory { .. })));
    assert_eq!(then.version(), &moments[3].0);
}

#[test]
fn a_version_is_shown_wherever_its_entries_are_and_named_where_they_are_not() {
    // rule: AT-1
    let team = team();
    let [founder, one, two] = &team[..] else { panic!("three") };
    one.write("/team/f", "one's").unwrap();
    let version = one.version().unwrap();
    let Err(SnapshotError::Missing(missing)) = two.at(&version) else { panic!("it lacks one's") };
    assert_eq!(missing.ids, [tip(one, "/team/f")]);
    let unknown = Err(SnapshotError::Unknown(version.id()));
    assert_eq!(two.find_version(&version.id()), unknown);

    exchange(&team);
    founder.write("/team/f", "the founder's").unwrap();
    two.write("/team/g", "two's").unwrap();
    exchange(&team);
    for member in &team {
        let then = member.at(&version).unwrap();
        assert_eq!(then.read("/team/f").unwrap(), "one's");
        assert!(!then.exists("/team/g"));
    }
    assert_eq!(founder.version().unwrap(), two.version().unwrap(), "equal logs, one version");
}

#[test]
fn authority_is_that_of_then() {
    // rule: AT-1
    // rule: AUTH-1
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    one.write("/team/f", "one's").unwrap();
    exchange(&team);
    let before = founder.version().unwrap();
    founder.revoke("/team", one.author(), vec![]);
    assert!(!founder.exists("/team/f"));
    assert_eq!(founder.at(&before).unwrap().read("/team/f").unwrap(), "one's");
}

#[test]
fn a_kept_head_that_the_version_does_not_reach_keeps_nothing() {
    // rule: AT-1
    // rule: REVOKE-1
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    let write = one.write("/team/f", "kept").unwrap();
    let head = one.write("/team/g", "the head").unwrap();
    exchange(&team);
    let revoke = founder.revoke("/team", one.author(), vec![head]);
    assert!(founder.exists("/team/f"));
    // What a revoke keeps is a soft reference: a version need not contain it.
    let without = founder.at(&Frontier::new(vec![revoke, write])).unwrap();
    assert!(without.exists("/team") && !without.exists("/team/f"));
    let with = founder.at(&Frontier::new(vec![revoke, head])).unwrap();
    assert_eq!(with.read("/team/f").unwrap(), "kept");
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    let then = founder.at(&founder.version().unwrap()).unwrap();
    let shown = picture(then.walk("/").unwrap());
    for n in 0..20 {
        one.write(format!("/team/new/{n}"), "x").unwrap();
    }
    founder.grant_all("/team/", one.author());
    exchange(&team);
    founder.remove_all("/team").unwrap();
    assert_eq!(picture(then.walk("/").unwrap()), shown);
    assert!(then.explain("/team").unwrap().losers.is_empty());
}

#[test]
fn the_latest_versions_are_remembered_and_no_more() {
    use basefs::limits::MAX_REMEMBERED_VERSIONS;
    let fs = Fs::in_memory().unwrap();
    let first = fs.version().unwrap();
    let mut last = first.clone();
    for n in 0..MAX_REMEMBERED_VERSIONS {
        fs.write("/f", n.to_string()).unwrap();
        last = fs.version().unwrap();
    }
    assert_eq!(fs.find_version(&first.id()), Err(SnapshotError::Unknown(first.id())));
    assert_eq!(fs.find_version(&last.id()), Ok(last));
    assert!(fs.at(&first).is_ok(), "in full it is good for ever");
}

#[test]
fn short_ids_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::open(dir.path()).unwrap();
    fs.write("/f", "then").unwrap();
    let version = fs.version().unwrap();
    fs.write("/f", "now").unwrap();
    drop(fs);
    let fs = Fs::open(dir.path()).unwrap();
    let found = fs.find_version(&version.id()).unwrap();
    assert_eq!(fs.at(&found).unwrap().read("/f").unwrap(), "then");
}

#[test]
fn a_version_is_one_line_of_text() {
    let founder: &Member = &founder_and(0)[0];
    founder.write("/f", "").unwrap();
    let text = founder.version().unwrap().to_string();
    assert_eq!((&text[..8], text.len()), ("version1", 8 + 61), "one head");
    assert_eq!(text.to_uppercase().parse(), Ok(founder.version().unwrap()));
    assert_eq!(
        text.replace("version1", "basefs1").parse::<Frontier>(),
        Err(ParseFrontierError::NotAVersion)
    );
    assert_eq!(text[..40].parse::<Frontier>(), Err(ParseFrontierError::Mistyped));
}
