//! Why a path shows what it shows, by every rule that can have a say; and what does not show.

use std::time::Duration;

use basefs::fs::{ChangeKind, Explanation, Overruling, Place};
use basefs::limits::MAX_PENDING_TRIED;
use basefs::view::{Decided, Status};
use basefs::{Fs, ReadError, Watch, WatchEvent, WatchFrom};

use super::tools::{Member, exchange, founder_and, team, tip};

/// The rule that decided, with the whole text for whoever reads a failure.
fn rule_of(fs: &Fs, path: &str) -> (&'static str, String, Explanation) {
    let why = fs.explain(path).unwrap();
    (why.rule(), why.to_string(), why)
}

fn assert_says(fs: &Fs, path: &str, rule: &str, words: &str) {
    let (found, text, _) = rule_of(fs, path);
    assert_eq!(found, rule, "{text}");
    assert!(text.contains(words) && text.contains(&format!("({rule})")), "{text}");
}

#[test]
fn a_plain_write_is_explained_in_one_line() {
    // rule: FORK-5
    let fs = Fs::in_memory().unwrap();
    fs.write("/f", "1").unwrap();
    assert_says(&fs, "/f", "FORK-5", "nothing else was written beside it");
    assert_eq!(fs.explain("/f").unwrap().lines().len(), 1);
}

#[test]
fn each_step_of_the_score_has_its_words() {
    // rule: FORK-4
    let team = team();
    let [founder, one, two] = &team[..] else { panic!("three") };
    for (path, first, second) in [("/team/rank", founder, one), ("/team/tie", one, two)] {
        first.write(path, "first").unwrap();
        second.write(path, "second").unwrap();
    }
    one.write("/team/kind", "base").unwrap();
    exchange(&team);
    one.remove("/team/kind").unwrap();
    two.write("/team/kind", "kept").unwrap();
    // Two that say the same make one branch heavier than the third.
    let base = founder.write("/team/keys", "base").unwrap();
    exchange(&team);
    let branch = one.write("/team/keys", "one's").unwrap();
    two.admit(&one.export().last().unwrap().unwrap()).unwrap();
    two.write("/team/keys", "two's on one's").unwrap();
    exchange(&team);
    assert_eq!(founder.history("/team/keys").unwrap()[1].id, branch);

    assert_says(founder, "/team/rank", "FORK-4", "better rank");
    assert_says(founder, "/team/tie", "FORK-4", "hash over their keys");
    assert_says(founder, "/team/kind", "FORK-4", "hides less");
    // The author of one chain signs two entries on one base: only ids are left to decide.
    one.link("/team", "keys", vec![base], base);
    two.link("/team", "id", vec![], base);
    two.link("/team", "id", vec![], branch);
    let why = two.explain("/team/id").unwrap();
    assert_eq!(why.losers[0].decided, Decided::Id);
    assert!(why.to_string().contains("greater id"), "{why}");
    let why = one.explain("/team/keys").unwrap();
    assert_eq!(why.losers[0].decided, Decided::Keys, "{why}");
    assert_eq!(why.losers[0].by, one.author(), "who began the branch that won");
}

#[test]
fn what_was_cut_names_the_revoke_and_what_would_have_kept_it() {
    // rule: AUTH-1
    // rule: REVOKE-1
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    one.write("/team/f", "kept").unwrap();
    let kept = tip(one, "/team/f");
    let late = one.write("/team/f", "late").unwrap();
    exchange(&team);
    let revoke = founder.revoke("/team", one.author(), vec![kept]);
    let (rule, text, why) = rule_of(founder, "/team/f");
    assert_eq!(founder.read("/team/f").unwrap(), "kept");
    assert_eq!(rule, "FORK-5", "{text}");
    let cut = &why.cut[0];
    assert_eq!((cut.version.id, cut.version.status), (late, Status::Cut));
    let by = &cut.by[0];
    assert_eq!((by.revoke, by.by, &*by.path), (revoke, founder.author(), "/team"));
    assert_eq!(by.not_kept, late, "it, or a later entry of its chain");
    assert!(text.contains("(AUTH-1)") && text.contains("REVOKE-1"), "{text}");
    assert!(text.contains("had it named that or a later entry"), "{text}");

    let amended = basefs::entry::Payload::Revoke { who: one.author(), keep: vec![late] };
    founder.sign("/team", "", vec![revoke], amended);
    assert_eq!(founder.read("/team/f").unwrap(), "late");
}

#[test]
fn a_grant_that_was_cut_is_named_as_the_reason() {
    // rule: AUTH-1
    let all = founder_and(2);
    let [founder, admin, user] = &all[..] else { panic!("three") };
    founder.create_dir_all("/team").unwrap();
    founder.grant_all("/team", admin.author());
    exchange(&all);
    admin.grant("/team", user.author()).unwrap();
    exchange(&all);
    let grant = founder.audit(&user.author()).unwrap().holds[0].grant;
    let write = user.write("/team/f", "1").unwrap();
    exchange(&all);
    founder.revoke("/", admin.author(), vec![write]);
    assert!(!founder.exists("/team/f"));
    let (rule, text, why) = rule_of(founder, "/team/f");
    assert_eq!(rule, "AUTH-1", "{text}");
    assert_eq!(why.cut[0].by.last().unwrap().not_kept, grant);
    assert!(text.contains(&format!("{grant:.8} behind it")), "{text}");
    let cut: Vec<_> = founder.cut("/team").unwrap().into_iter().map(|cut| cut.version.id).collect();
    assert_eq!(cut.len(), 2, "the grant and what was written with it");
    assert!(cut.contains(&grant) && cut.contains(&write));
    assert!(founder.cut("/other").unwrap().is_empty());
}

#[test]
fn content_that_is_missing_is_named() {
    // rule: READY-2
    // rule: VIEW-3
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    one.write("/team/f", "short").unwrap();
    let large = one.write("/team/f", vec![7; 1_000]).unwrap();
    one.write("/team/other", vec![8; 500]).unwrap();
    exchange(&team);
    assert_eq!(founder.read("/team/f").unwrap(), "short");
    let (_, text, why) = rule_of(founder, "/team/f");
    assert_eq!((why.incomplete[0].version.id, why.incomplete[0].content.size), (large, 1_000));
    assert!(
        text.contains("1000 bytes) is not all here, and would show if it were (READY-2)"),
        "{text}"
    );
    assert_says(founder, "/team/other", "READY-2", "500 bytes");

    let pending: Vec<_> = founder
        .pending("/team")
        .unwrap()
        .into_iter()
        .map(|version| (version.version.path, version.would_win))
        .collect();
    assert_eq!(pending, [("/team/f".into(), Some(true)), ("/team/other".into(), Some(true))]);
    assert!(founder.pending("/team/f").unwrap().len() == 1 && one.pending("/").unwrap().is_empty());
    // What stands above it now cannot be displaced by it.
    founder.write("/team/f", "the founder's").unwrap();
    assert_eq!(founder.pending("/team/f").unwrap()[0].would_win, Some(false));
}

#[test]
fn announcing_without_end_costs_the_reader_a_limited_number_of_looks() {
    // rule: READY-2
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    for n in 0..MAX_PENDING_TRIED + 10 {
        one.write("/team/f", [n.to_le_bytes(); 50].concat()).unwrap();
    }
    exchange(&team);
    let pending = founder.pending("/").unwrap();
    let tried = pending.iter().filter(|version| version.would_win.is_some()).count();
    assert_eq!((pending.len(), tried), (MAX_PENDING_TRIED + 10, MAX_PENDING_TRIED));
    assert_eq!(founder.explain("/team/f").unwrap().incomplete.len(), pending.len());
}

#[test]
fn paths_that_are_hidden_say_by_what() {
    // rule: TREE-1
    // rule: TREE-2
    // rule: TREE-3
    let all = founder_and(0);
    let founder = &all[0];
    founder.write("/gone/f", "1").unwrap();
    founder.write("/old/f", "2").unwrap();
    founder.write("/dir/f", "3").unwrap();
    let dir = tip(founder, "/dir");
    founder.remove_all("/gone").unwrap();
    founder.rename(("/", "old"), ("/", "new"));
    founder.link("/", "alias", vec![], dir);
    assert_says(founder, "/gone/f", "TREE-1", "hidden by what is at /gone");
    assert_says(founder, "/old/f", "TREE-2", "renamed to /new");
    assert_says(founder, "/new", "TREE-2", "made at /old");
    assert_eq!(rule_of(founder, "/new/f").0, "FORK-5");
    assert_says(founder, "/alias", "TREE-3", "the directory is at /dir");
    founder.write("/file", "").unwrap();
    assert!(matches!(founder.explain("/file/x"), Err(ReadError::NotFound { .. })));
    assert!(matches!(founder.explain("/nowhere"), Err(ReadError::NotFound { .. })));
    founder.remove_all("/dir").unwrap();
    assert_says(founder, "/alias", "TREE-3", "deleted");
    let orphans = founder.orphans().unwrap();
    let paths: Vec<_> = orphans.iter().map(|orphan| &*orphan.version.path).collect();
    assert_eq!(paths, ["/gone/f", "/dir/f"]);
}

#[test]
fn a_directory_that_contains_itself_is_found_again() {
    // rule: TREE-4
    let all = founder_and(0);
    let founder = &all[0];
    founder.write("/a/b/f", "inside").unwrap();
    let a = tip(founder, "/a");
    // Through a second name, a directory is moved below itself.
    let link = founder.link("/a/b", "a", vec![], a);
    let moved = basefs::entry::Payload::Delete { moved_to: Some(link) };
    founder.sign("/", "a", vec![a], moved);

    assert!(!founder.exists("/a"));
    assert_says(founder, "/a", "TREE-4", "contains itself");
    let lost = founder.lost_and_found();
    assert_eq!(lost.len(), 2, "both lie on the way round");
    let lost_a = lost.iter().find(|lost| lost.made_at == "/a").unwrap();
    let place = founder.explain("/a").unwrap().place;
    assert_eq!(place, Some(Place::Lost { path: lost_a.path.clone() }));
    assert_eq!(founder.read_dir(&lost_a.path).unwrap()[0].name(), "b");
    assert!(founder.metadata(format!("{}/b", lost_a.path)).unwrap().is_symlink(), "no way round");
    let lost_b = lost.iter().find(|lost| lost.made_at == "/a/b").unwrap();
    assert_eq!(founder.read(format!("{}/f", lost_b.path)).unwrap(), "inside");
    assert_eq!(founder.walk(&lost_b.path).unwrap().count(), 2);
    assert_eq!(founder.versions(format!("{}/f", lost_b.path)).unwrap().len(), 1);
    assert!(founder.write(format!("{}/f", lost_b.path), "").is_err(), "it is for reading");
    assert!(founder.write("/a/b/f", "").is_ok(), "the old name is free");
    let found = founder.explain("/a").unwrap().place;
    assert_eq!(found, None, "what is at the old name now is another directory");
}

#[test]
fn conflicts_are_listed_in_the_order_of_paths() {
    // rule: VIEW-3
    let team = team();
    let [founder, one, two] = &team[..] else { panic!("three") };
    for path in ["/team/b", "/team/a/x", "/team/same"] {
        let text = |who| if path == "/team/same" { "same" } else { who };
        one.write(path, text("one")).unwrap();
        two.write(path, text("two")).unwrap();
    }
    founder.write("/quiet", "1").unwrap();
    exchange(&team);
    for member in &team {
        let conflicts = member.conflicts("/").unwrap();
        let paths: Vec<_> = conflicts.iter().map(|conflict| &*conflict.path).collect();
        assert_eq!(paths, ["/team/a/x", "/team/b"], "who says the same does not disagree");
    }
    let conflict = &founder.conflicts("/team/b").unwrap()[0];
    let shown = founder.read("/team/b").unwrap();
    let (winner, loser) = if shown == "one" { (one, two) } else { (two, one) };
    assert_eq!(conflict.winner.author, winner.author());
    assert!(conflict.hides(&loser.author()) && !conflict.hides(&winner.author()));
    assert_eq!(conflict.losers[0].decided, Decided::Tie);
    assert!(conflict.to_string().contains("FORK-4"), "{conflict}");
    assert_eq!(loser.read_version(&conflict.losers[0].version.id).unwrap().len(), 3);

    founder.remove("/team/b").unwrap();
    assert_eq!(founder.conflicts("/").unwrap().len(), 1, "whoever removes has seen both");
    assert!(matches!(founder.conflicts("/../x"), Err(ReadError::Path(_))));
}

#[test]
fn an_audit_has_what_a_key_holds_and_did_and_what_was_cut() {
    let team = team();
    let [founder, one, two] = &team[..] else { panic!("three") };
    one.write("/team/f", "1").unwrap();
    let head = one.write("/team/g", "2").unwrap();
    exchange(&team);
    let audit = two.audit(&one.author()).unwrap();
    assert_eq!((audit.holds.len(), &*audit.chains[0].path), (1, "/team"));
    assert_eq!((audit.chains[0].head, audit.chains[0].length), (head, 2));
    let wrote: Vec<_> = audit.wrote.iter().map(|version| &*version.path).collect();
    assert_eq!(wrote, ["/team/f", "/team/g"]);
    assert!(audit.equivocations.is_empty() && audit.cut.is_empty());

    founder.revoke("/team", one.author(), vec![audit.wrote[0].id]);
    let audit = founder.audit(&one.author()).unwrap();
    assert_eq!(audit.cut[0].version.path, "/team/g");
    assert_eq!(audit.cut[0].by[0].by, founder.author());
    assert!(!audit.holds[0].is_live);
    let nobody = founder.audit(&basefs::wire::SecretKey::from_seed([99; 32]).public()).unwrap();
    assert!(nobody.holds.is_empty() && nobody.wrote.is_empty());
}

#[test]
fn two_pasts_of_one_key_convict_it() {
    // rule: CHAIN-1
    let team = team();
    let [founder, one, _] = &team[..] else { panic!("three") };
    one.write("/team/f", "common").unwrap();
    exchange(&team);
    // The same key writes on two machines that have not heard of each other.
    let copy = Fs::builder().join(&founder.ticket(vec![])).key(one.key.clone()).open().unwrap();
    for entry in one.export() {
        copy.admit(&entry.unwrap()).unwrap();
    }
    one.write("/team/f", "here").unwrap();
    copy.write("/team/f", "there").unwrap();
    for entry in one.export().chain(copy.export()) {
        founder.admit(&entry.unwrap()).unwrap();
    }
    let audit = founder.audit(&one.author()).unwrap();
    assert_eq!((audit.equivocations.len(), audit.chains.len()), (1, 2));
    let proof = &audit.equivocations[0];
    assert_eq!(proof.convicts(), Some(one.author()));

    let mut forged = proof.clone();
    forged.second = forged.first.clone();
    assert_eq!(forged.convicts(), None, "one entry proves nothing");
    forged.second = founder.export().last().unwrap().unwrap().slice(..40);
    assert_eq!(forged.convicts(), None);
    let honest = one.export().map(Result::unwrap).collect::<Vec<_>>();
    forged.second = honest[0].clone();
    assert_eq!(forged.convicts(), None, "entries of two chains prove nothing");
}

/// The warning in the next change that a watch tells of a path.
fn warning(watch: &Watch, path: &str) -> Option<basefs::fs::Overruled> {
    loop {
        match watch.next_blocking(Duration::from_secs(5)) {
            Some(WatchEvent::Change(change)) if change.path == path => {
                assert_ne!(change.kind, ChangeKind::Present);
                return change.overruled;
            }
            Some(_) => {}
            None => panic!("no change of {path}"),
        }
    }
}

#[test]
fn whoever_is_overruled_is_told_by_whom_and_why() {
    // rule: CLIENT-11
    // rule: FORK-4
    let team = team();
    let [founder, one, two] = &team[..] else { panic!("three") };
    let mine = one.write("/team/f", "one's").unwrap();
    founder.write("/team/f", "the founder's").unwrap();
    let watch = one.watch("/", WatchFrom::Now).unwrap();
    let theirs = two.watch("/", WatchFrom::Now).unwrap();
    exchange(&team);
    let warned = warning(&watch, "/team/f").unwrap();
    assert_eq!((warned.version, warned.by), (mine, founder.author()));
    assert_eq!(warned.why, Overruling::Lost(Decided::Rank));
    assert_eq!(warning(&theirs, "/team/f"), None, "it is nothing to somebody else");

    // Whoever builds on what is shown overrules nobody.
    one.write("/team/g", "one's").unwrap();
    assert_eq!(warning(&watch, "/team/g"), None);
    exchange(&team);
    founder.write("/team/g", "one's, corrected").unwrap();
    exchange(&team);
    assert_eq!(warning(&watch, "/team/g"), None);
}

#[test]
fn whoever_is_revoked_is_told_what_of_theirs_went() {
    // rule: CLIENT-11
    // rule: AUTH-1
    let team = team();
    let [founder, one, _]: &[Member; 3] = team.as_slice().try_into().unwrap();
    let mine = one.write("/team/f", "one's").unwrap();
    exchange(&team);
    let watch = one.watch("/team", WatchFrom::Now).unwrap();
    founder.revoke("/team", one.author(), vec![]);
    exchange(&team);
    let warned = warning(&watch, "/team/f").unwrap();
    assert_eq!((warned.version, warned.by), (mine, founder.author()));
    assert_eq!(warned.why, Overruling::Cut);
}
