//! Ending what a key may do, and letting it in again.

use basefs::entry::{Action, Rights};
use basefs::fs::{Keep, RevokeError};
use basefs::id::EntryId;
use basefs::view::Status;
use basefs::wire::SecretKey;
use basefs::{Fs, WriteError};

use super::team::{exchange, join, join_as, send, team};

fn status(fs: &Fs, path: &str, version: EntryId) -> Status {
    fs.versions(path).unwrap().iter().find(|found| found.id == version).unwrap().status
}

/// How many revokes are in the log.
fn revokes(fs: &Fs) -> usize {
    let decode = |entry: Result<bytes::Bytes, _>| {
        basefs::entry::SignedEntry::decode(&entry.unwrap()).unwrap().body().payload.action()
    };
    fs.export().map(decode).filter(|action| *action == Action::Revoke).count()
}

#[test]
fn what_was_seen_stays_and_what_comes_later_counts_for_nothing() {
    // rule: CLIENT-5
    // rule: AUTH-1
    let team = team();
    let [founder, one, two] = &team;
    one.write("/team/seen", "1").unwrap();
    two.write("/team/two", "2").unwrap();
    exchange(&team);
    let unseen = one.write("/team/seen", "written offline").unwrap();
    one.write("/team/new", "written offline").unwrap();

    let plan = founder.revoke_plan("/team", one.author(), Keep::Seen).unwrap();
    assert_eq!((plan.kept().len(), plan.cut().len(), plan.paths().len()), (1, 0, 0));
    plan.apply().unwrap();
    exchange(&team);
    for fs in &team {
        assert_eq!(fs.read("/team/seen").unwrap(), "1");
        assert!(!fs.exists("/team/new"));
        assert_eq!(status(fs, "/team/seen", unseen), Status::Cut);
        assert_eq!(fs.read("/team/two").unwrap(), "2");
    }
    let refused = one.write("/team/seen", "again").unwrap_err();
    assert_eq!(refused, WriteError::Denied { path: "/team/seen".into(), key: one.author() });
}

#[test]
fn a_lost_phone_is_revoked_from_the_laptop_with_the_key_of_its_owner() {
    // rule: CLIENT-8
    // rule: REVOKE-2
    let founder = Fs::in_memory().unwrap();
    let ana = SecretKey::from_seed([1; 32]); // kept offline, opened only to appoint devices
    founder.create_dir_all("/users/ana").unwrap();
    founder.grant_with("/users/ana", ana.public(), Rights::All, "ana").unwrap();

    let phone = join(&founder);
    let laptop = join(&founder);
    let owner = join_as(&founder, &ana);
    owner.grant_with("/users/ana", phone.author(), Rights::All, "ana's phone").unwrap();
    owner.grant_with("/users/ana", laptop.author(), Rights::All, "ana's laptop").unwrap();
    let all = [founder, phone, laptop, owner];
    exchange(&all);
    let [founder, phone, laptop, owner] = &all;
    phone.write("/users/ana/photo", "from the phone").unwrap();
    exchange(&all);

    // Devices are equals: the laptop itself can do nothing about the phone, nor it about the laptop.
    let refused = laptop.revoke("/users/ana", phone.author()).unwrap_err();
    let words = format!(
        "/users/ana: this author does not outrank key {:.16} there; somebody above both has to \
         revoke it; nothing was written",
        phone.author()
    );
    assert_eq!(refused.to_string(), words);
    assert!(phone.revoke("/users/ana", laptop.author()).is_err());

    owner.revoke("/users/ana", phone.author()).unwrap();
    phone.write("/users/ana/photo", "the thief's").unwrap();
    phone.write("/users/ana/spam", "the thief's").unwrap();
    let thief = SecretKey::from_seed([66; 32]);
    phone.grant("/users/ana", thief.public()).unwrap();
    exchange(&all);
    for fs in [founder, laptop, owner] {
        assert_eq!(fs.read("/users/ana/photo").unwrap(), "from the phone");
        assert!(!fs.exists("/users/ana/spam"));
        let live: Vec<_> = fs.keys().unwrap().into_iter().filter(|key| key.is_live).collect();
        assert!(live.iter().all(|info| info.key != phone.author() && info.key != thief.public()));
        assert_eq!(live.len(), 3, "the founder, Ana and her laptop");
    }
    laptop.write("/users/ana/photo", "the laptop goes on").unwrap();
}

#[test]
fn a_plan_says_what_it_would_cut_and_a_purge_can_be_adopted() {
    // rule: CLIENT-3
    // rule: CLIENT-5
    let team = team();
    let [founder, one, two] = &team;
    founder.write("/team/shared", "the founder's").unwrap();
    exchange(&team);
    let kept_version = founder.metadata("/team/shared").unwrap().version().unwrap();
    let ours = one.write("/team/shared", "one's").unwrap();
    let notes = one.write("/team/notes/a", "useful").unwrap();
    one.write("/team/spent", "two goes on from this").unwrap();
    exchange(&team);
    two.write("/team/notes/b", "two's, in a directory of one's").unwrap();
    two.write("/team/spent", "two's").unwrap();
    exchange(&team);

    let plan = founder.revoke_plan("/team", one.author(), Keep::Nothing).unwrap();
    assert_eq!(plan.cut().len(), 4, "three files and a directory");
    let paths: Vec<_> = plan.paths().iter().map(|effect| effect.path.as_str()).collect();
    assert_eq!(paths, ["/team/notes", "/team/notes/a", "/team/shared"]);
    let dir = founder.metadata("/team/notes").unwrap().version().unwrap();
    let text = format!(
        "revoking {:.16} at /team\n  \
         keeps nothing\n  \
         cuts 4 entries and changes 3 paths\n    \
         /team/notes: {dir:.8} goes\n    \
         /team/notes/a: {notes:.8} goes\n    \
         /team/shared: {ours:.8} becomes {kept_version:.8}\n  \
         only rank 0.0.0 or better can let the key in again",
        one.author()
    );
    assert_eq!(plan.to_string(), text);
    assert_eq!(founder.read("/team/shared").unwrap(), "one's", "nothing was done yet");

    plan.apply().unwrap();
    exchange(&team);
    assert!(!two.exists("/team/notes"), "two's note is hidden with the directory");
    assert_eq!(two.read("/team/shared").unwrap(), "the founder's");
    assert_eq!(two.read("/team/spent").unwrap(), "two's", "honest work on a cut entry stays");

    let adopted = plan.adopt().unwrap();
    assert_eq!(adopted, ["/team/notes", "/team/notes/a", "/team/shared"]);
    exchange(&team);
    for fs in &team {
        assert_eq!(fs.read("/team/notes/a").unwrap(), "useful");
        assert_eq!(fs.read("/team/notes/b").unwrap(), "two's, in a directory of one's");
        assert_eq!(fs.read("/team/shared").unwrap(), "one's");
        assert_eq!(fs.versions("/team/shared").unwrap()[0].author, founder.author());
    }
    assert!(founder.adopt("/", one.author()).unwrap().is_empty(), "there is nothing more to adopt");
}

/// A founder, a chief who may do everything in `/office`, and a clerk who may do nothing yet.
fn office() -> [Fs; 3] {
    let founder = Fs::in_memory().unwrap();
    let (chief, clerk) = (join(&founder), join(&founder));
    founder.create_dir_all("/office").unwrap();
    founder.grant_with("/office", chief.author(), Rights::All, "chief").unwrap();
    let all = [founder, chief, clerk];
    exchange(&all);
    all
}

#[test]
fn what_several_keys_made_together_is_adopted_as_it_was() {
    // rule: CLIENT-3
    let all = office();
    let [founder, chief, clerk] = &all;
    chief.grant("/office", clerk.author()).unwrap();
    exchange(&all);
    // Each goes on from the other, and works in a directory of the other.
    for n in 0..4 {
        chief.write(format!("/office/{n}"), "a draft").unwrap();
        chief.create_dir_all(format!("/office/dir{n}")).unwrap();
    }
    exchange(&all);
    for n in 0..4 {
        clerk.write(format!("/office/{n}"), "the text").unwrap();
        clerk.write(format!("/office/dir{n}/f"), "the clerk's").unwrap();
    }
    exchange(&all);
    let paths = |fs: &Fs| -> Vec<(String, Option<bytes::Bytes>)> {
        let entries = fs.walk("/office").unwrap();
        entries.map(|entry| (entry.path().to_owned(), fs.read(entry.path()).ok())).collect()
    };
    let before = paths(founder);

    let plan = founder.revoke_plan("/office", chief.author(), Keep::Nothing).unwrap();
    plan.apply().unwrap();
    assert!(paths(founder).is_empty());
    let adopted = plan.adopt().unwrap();
    assert_eq!(adopted.len(), 12, "each path once: {adopted:?}");
    assert_eq!(paths(founder), before);
    assert!(founder.conflicts("/").unwrap().is_empty(), "nobody disagrees with themselves");
}

#[test]
fn delegates_are_let_in_again_where_they_were_whatever_has_the_name_now() {
    // rule: CLIENT-5
    // rule: TREE-5
    let all = office();
    let [founder, chief, clerk] = &all;
    chief.create_dir_all("/office/desk").unwrap();
    chief.grant_with("/office/desk", clerk.author(), Rights::Write, "clerk").unwrap();
    exchange(&all);

    let plan = founder.revoke_plan("/office", chief.author(), Keep::Nothing).unwrap();
    plan.apply().unwrap();
    plan.regrant().unwrap();
    assert!(!founder.exists("/office/desk"), "it was the chief's");
    plan.adopt().unwrap();
    founder.rename("/office/desk", "/office/attic").unwrap();
    founder.create_dir_all("/office/desk").unwrap();
    plan.regrant().unwrap();
    exchange(&all);
    clerk.write("/office/attic/f", "where the clerk was").unwrap();
    let elsewhere = clerk.write("/office/desk/f", "");
    assert!(matches!(elsewhere, Err(WriteError::Denied { .. })), "{elsewhere:?}");
}

#[test]
fn a_label_does_not_pass_for_lines_of_a_plan() {
    // rule: NAME-2
    let founder = &Fs::in_memory().unwrap();
    let chief = join(founder);
    founder.grant_with("/", chief.author(), Rights::All, "chief").unwrap();
    send(founder, &chief);
    let other = SecretKey::from_seed([9; 32]).public();
    chief.grant_with("/", other, Rights::Write, "x\n  cuts nothing\u{1b}[2K").unwrap();
    send(&chief, founder);
    let plan = founder.revoke_plan("/", chief.author(), Keep::Seen).unwrap();
    let text = plan.to_string();
    let line = format!("\n  freezes {other:.16} (x\\n  cuts nothing\\u{{1b}}[2K) at /; it can be");
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("\n  keeps what was written up to 1 entry\n"), "{text}");
}

#[test]
fn a_plan_tells_of_a_directory_whose_confirmed_move_is_cut() {
    // rule: TREE-2
    let team = team();
    let [founder, one, _] = &team;
    founder.write("/team/a/f", "in a").unwrap();
    exchange(&team);
    one.rename("/team/a", "/team/b").unwrap();
    exchange(&team);
    let confirmed = founder.ack("/team/b").unwrap();
    founder.ack("/team/a").unwrap();
    let plan = founder.revoke_plan("/team", one.author(), Keep::Nothing).unwrap();
    let effects: Vec<_> = plan.paths().iter().map(|effect| effect.to_string()).collect();
    assert_eq!(effects, [format!("/team/b: {confirmed:.8} goes")]);
    plan.apply().unwrap();
    assert!(!founder.metadata("/team/b").unwrap().is_dir());
    founder.revive("/team/a").unwrap();
    assert_eq!(founder.read("/team/a/f").unwrap(), "in a");
}

#[test]
fn a_revoke_is_narrowed_by_another_and_widened_by_an_amendment() {
    // rule: CLIENT-5
    // rule: REVOKE-1
    // rule: REVOKE-3
    let team = team();
    let [founder, one, _] = &team;
    let versions: Vec<_> =
        ["1", "2", "3"].iter().map(|text| one.write("/team/f", text).unwrap()).collect();
    exchange(&team);
    let shown = || founder.read("/team/f").unwrap();
    let keep = |version: usize| Keep::UpTo(vec![versions[version]]);
    let revoke = |keep| founder.revoke_plan("/team", one.author(), keep).unwrap().apply().unwrap();

    revoke(Keep::Seen);
    assert_eq!(shown(), "3");
    revoke(keep(1));
    assert_eq!(shown(), "2");
    revoke(keep(0));
    assert_eq!(shown(), "1");
    founder.amend("/team", one.author(), &[versions[1]]).unwrap();
    assert_eq!(shown(), "2", "all three revokes keep it now");
    exchange(&team);
    assert!(team.iter().all(|fs| fs.read("/team/f").unwrap() == "2"));

    let again = founder.amend("/team", one.author(), &[versions[0]]).unwrap_err();
    assert!(matches!(again, RevokeError::NoEffect { .. }), "{again}");
    let above = founder.amend("/", one.author(), &[versions[2]]).unwrap_err();
    let words = format!(
        "/: key {:.16} is not revoked at this very directory; nothing was written",
        one.author()
    );
    assert_eq!(above.to_string(), words);
    let foreign = founder.write("/team/f", "the founder's").unwrap();
    let refused = founder.amend("/team", one.author(), &[foreign]).unwrap_err();
    assert_eq!(refused, RevokeError::NotOfKey { key: one.author(), entry: foreign });
    assert!(refused.to_string().contains("is not known here as one of key"), "{refused}");
}

#[test]
fn delegates_freeze_with_the_key_and_are_let_in_again() {
    // rule: CLIENT-5
    let founder = Fs::in_memory().unwrap();
    let (chief, clerk) = (join(&founder), join(&founder));
    founder.create_dir_all("/office").unwrap();
    founder.grant_with("/office", chief.author(), Rights::All, "chief").unwrap();
    founder.create_dir_all("/own").unwrap();
    founder.grant("/own", chief.author()).unwrap();
    let all = [founder, chief, clerk];
    let [founder, chief, clerk] = &all;
    exchange(&all);
    chief.grant_with("/office", clerk.author(), Rights::Write, "clerk").unwrap();
    exchange(&all);
    clerk.write("/office/file", "1").unwrap();
    exchange(&all);

    let plan = founder.revoke_plan("/office", chief.author(), Keep::Seen).unwrap();
    assert_eq!(plan.kept().len(), 2, "the chains of chief and clerk");
    assert_eq!((plan.frozen()[0].key, plan.frozen()[0].label.as_str()), (clerk.author(), "clerk"));
    assert_eq!(plan.left()[0].path.as_deref(), Some("/own"));
    let text = plan.to_string();
    for line in [
        format!("\n  freezes {:.16} (clerk) at /office; it can be granted again", clerk.author()),
        format!("\n  leaves {:.16} at /own", chief.author()),
    ] {
        assert!(text.contains(&line), "{text}");
    }
    plan.apply().unwrap();
    exchange(&all);
    assert_eq!(founder.read("/office/file").unwrap(), "1");
    assert!(matches!(clerk.write("/office/file", "2"), Err(WriteError::Denied { .. })));
    chief.write("/own/file", "elsewhere it may still write").unwrap();

    plan.regrant().unwrap();
    exchange(&all);
    clerk.write("/office/file", "2").unwrap();
    exchange(&all);
    assert_eq!(founder.read("/office/file").unwrap(), "2");
    let labels: Vec<_> =
        founder.grants_below("/office").unwrap().into_iter().map(|g| g.label).collect();
    assert_eq!(labels, ["clerk"]);
}

#[test]
fn more_chains_than_one_revoke_can_name_all_stay() {
    // rule: CLIENT-5
    // rule: REVOKE-1
    const DELEGATES: usize = 35;
    let founder = Fs::in_memory().unwrap();
    let chief = join(&founder);
    founder.grant_with("/", chief.author(), Rights::All, "chief").unwrap();
    send(&founder, &chief);
    let delegates: Vec<Fs> = (0..DELEGATES).map(|_| join(&founder)).collect();
    for delegate in &delegates {
        chief.grant("/", delegate.author()).unwrap();
    }
    for (n, delegate) in delegates.iter().enumerate() {
        send(&chief, delegate);
        delegate.write(format!("/file{n}"), "x").unwrap();
        send(delegate, &founder);
    }
    let plan = founder.revoke_plan("/", chief.author(), Keep::Seen).unwrap();
    assert_eq!((plan.kept().len(), plan.cut().len()), (DELEGATES + 1, 0));
    plan.apply().unwrap();
    assert_eq!(revokes(&founder), 3, "of 16, 16 and 4");
    assert_eq!(founder.read_dir("/").unwrap().len(), DELEGATES);
    send(&founder, &delegates[0]);
    assert!(delegates[0].write("/file0", "y").is_err());
}

#[test]
fn content_that_was_withheld_wins_nothing_later() {
    // rule: CLIENT-5
    // rule: READY-2
    let team = team();
    let [founder, one, _] = &team;
    founder.write("/team/f", "what everybody saw").unwrap();
    founder.write("/team/gone", "removed").unwrap();
    exchange(&team);
    founder.remove("/team/gone").unwrap();
    exchange(&team);
    // Entries come, their content does not.
    let (late, secret) = (vec![1; 5_000], vec![2; 5_000]);
    one.write("/team/f", &late).unwrap();
    one.write("/team/gone", &late).unwrap();
    one.write("/team/new", &secret).unwrap();
    exchange(&team);
    let plan = founder.revoke_plan("/team", one.author(), Keep::Seen).unwrap();
    assert_eq!(plan.pinned(), ["/team/f", "/team/gone"]);
    assert_eq!(plan.unpinned(), ["/team/new"], "nothing shows there that could be confirmed");
    let text = plan.to_string();
    assert!(text.contains("\n  pins /team/f: a version that stays has not come"), "{text}");
    assert!(text.contains("\n  cannot pin /team/new: "), "{text}");
    plan.apply().unwrap();
    // The same bytes from elsewhere: now the content is here.
    founder.write("/copy", &late).unwrap();
    founder.write("/copy", &secret).unwrap();
    assert_eq!(founder.read("/team/f").unwrap(), "what everybody saw");
    assert!(!founder.exists("/team/gone"));
    assert_eq!(founder.read("/team/new").unwrap(), secret);
}

#[test]
fn a_revoke_that_would_do_nothing_is_refused() {
    // rule: REVOKE-2
    let team = team();
    let [founder, one, two] = &team;
    let stranger = SecretKey::from_seed([9; 32]).public();
    let refused = founder.revoke("/team", stranger).unwrap_err();
    let words =
        format!("/team: key {stranger:.16} was never granted anything there; nothing was written");
    assert_eq!(refused.to_string(), words);
    let refused = one.revoke("/team", two.author()).unwrap_err();
    assert!(matches!(refused, RevokeError::Write(WriteError::Denied { .. })), "{refused}");
    founder.revoke("/team", one.author()).unwrap();
    let refused = founder.revoke("/team", one.author()).unwrap_err();
    let words = format!(
        "/team: key {:.16} is revoked there already, and this would change nothing; nothing was \
         written",
        one.author()
    );
    assert_eq!(refused.to_string(), words);
    let foreign = founder.write("/team/f", "x").unwrap();
    let keep = Keep::UpTo(vec![foreign]);
    let refused = founder.revoke_plan("/team", two.author(), keep).unwrap_err();
    assert_eq!(refused, RevokeError::NotOfKey { key: two.author(), entry: foreign });
}

#[test]
fn a_plan_that_is_outdated_is_not_applied() {
    let team = team();
    let [founder, one, _] = &team;
    one.write("/team/f", "1").unwrap();
    exchange(&team);
    let plan = founder.revoke_plan("/team", one.author(), Keep::Seen).unwrap();
    one.write("/team/f", "2").unwrap();
    exchange(&team);
    let before = founder.entries();
    let refused = plan.apply().unwrap_err();
    assert_eq!(refused, RevokeError::Changed { path: "/team".into(), key: one.author() });
    assert!(refused.to_string().ends_with("plan it again; nothing was written"), "{refused}");
    assert_eq!(founder.entries(), before);
    founder.revoke("/team", one.author()).unwrap();
    assert_eq!(founder.read("/team/f").unwrap(), "2");
}

/// A founder, two administrators of everything, and Ben, who may write everywhere.
fn administrators() -> [Fs; 4] {
    let founder = Fs::in_memory().unwrap();
    let all = [join(&founder), join(&founder), join(&founder)];
    for admin in &all[..2] {
        founder.grant_with("/", admin.author(), Rights::All, "").unwrap();
    }
    let [one, two, ben] = all;
    send(&founder, &one);
    one.grant("/", ben.author()).unwrap();
    let all = [founder, one, two, ben];
    exchange(&all);
    all
}

#[test]
fn a_revoked_key_is_let_in_again_by_whom_the_revoker_does_not_outrank() {
    // rule: CLIENT-6
    // rule: REVOKE-2
    let all = administrators();
    let [founder, one, two, ben] = &all;
    ben.write("/f", "before").unwrap();
    exchange(&all);
    let cut = ben.write("/f", "unseen").unwrap();
    one.revoke("/", ben.author()).unwrap();
    exchange(&all);
    two.grant("/", ben.author()).unwrap();
    exchange(&all);
    ben.write("/f", "after").unwrap();
    exchange(&all);
    for fs in &all {
        assert_eq!(fs.read("/f").unwrap(), "after");
        assert_eq!(status(fs, "/f", cut), Status::Cut, "old entries stay as the revoke left them");
    }
    founder.revoke("/", ben.author()).unwrap();
    exchange(&all);
    assert_eq!(founder.read("/f").unwrap(), "after");
    let refused = two.grant("/", ben.author()).unwrap_err();
    let words = format!(
        "/: key {:.16} was revoked by {:.16}, who outranks this author; a grant would have no \
         effect; nothing was written",
        ben.author(),
        founder.author()
    );
    assert_eq!(refused.to_string(), words);
    let widen = one.amend("/", ben.author(), &[cut]).unwrap_err();
    assert!(matches!(widen, RevokeError::Outranked { .. }), "{widen}");
    founder.grant("/", ben.author()).unwrap();
    exchange(&all);
    ben.write("/f", "at last").unwrap();
}

/// A founder, and Ben, who has written three versions of a file in each of three directories that
/// he was granted.
fn three_chains() -> (Fs, Fs, [[EntryId; 3]; 3]) {
    let founder = Fs::in_memory().unwrap();
    let ben = join(&founder);
    for dir in ["/a", "/b", "/c"] {
        founder.create_dir_all(dir).unwrap();
        founder.grant(dir, ben.author()).unwrap();
    }
    send(&founder, &ben);
    let write = |dir, text| ben.write(format!("{dir}/f"), text).unwrap();
    let versions = ["/a", "/b", "/c"].map(|dir| ["1", "2", "3"].map(|text| write(dir, text)));
    send(&ben, &founder);
    (founder, ben, versions)
}

fn shown(fs: &Fs) -> [Option<bytes::Bytes>; 3] {
    ["/a/f", "/b/f", "/c/f"].map(|path| fs.read(path).ok())
}

#[test]
fn many_revokes_are_joined_for_a_grant() {
    // rule: CLIENT-6
    // rule: ADMIT-11
    let (founder, ben, [a, b, c]) = three_chains();
    let [a1, a2, a3] = a;
    let [b1, b2, b3] = b;
    for keep in [vec![a3, b3], vec![a3, b2], vec![a3, b1], vec![a3], vec![a2], vec![a1], vec![]] {
        founder.revoke_plan("/", ben.author(), Keep::UpTo(keep)).unwrap().apply().unwrap();
    }
    assert_eq!(revokes(&founder), 7);
    let before = shown(&founder);
    founder.grant("/", ben.author()).unwrap();
    assert_eq!(revokes(&founder), 8, "four of the seven are joined by one that amends them");
    assert_eq!(shown(&founder), before, "what they cut stays cut");
    send(&founder, &ben);
    ben.revert("/c/f", c[0]).unwrap();
}

#[test]
fn revokes_are_not_joined_for_a_grant_if_that_would_give_something_back() {
    // rule: CLIENT-6
    // rule: REVOKE-3
    let (founder, ben, [[_, a2, a3], [b1, b2, b3], [_, c2, c3]]) = three_chains();
    // The first two keep together what each of them cuts.
    for keep in [vec![a2, b3, c3], vec![a3, b2, c3], vec![a3, b1, c3], vec![a3, c3], vec![a3, c2]] {
        founder.revoke_plan("/", ben.author(), Keep::UpTo(keep)).unwrap().apply().unwrap();
    }
    let before = (founder.entries(), shown(&founder));
    let refused = founder.grant("/", ben.author()).unwrap_err();
    let words = format!(
        "/: 5 revokes of key {:.16} are in force and cannot be joined; grant to another key; \
         nothing was written",
        ben.author()
    );
    assert_eq!(refused.to_string(), words);
    assert_eq!((founder.entries(), shown(&founder)), before);
}

#[test]
fn deleting_a_directory_revokes_nothing_but_tells_what_to_revoke() {
    // rule: CLIENT-10
    let team = team();
    let [founder, one, two] = &team;
    let keys: Vec<_> =
        founder.grants_below("/").unwrap().into_iter().map(|grant| grant.key).collect();
    assert_eq!(keys, [one.author(), two.author()]);
    founder.revoke("/team", one.author()).unwrap();
    founder.remove_all("/team").unwrap();
    let left = founder.grants_below("/").unwrap();
    assert_eq!((left.len(), left[0].path.as_deref()), (1, None), "its directory is hidden");
    assert!(founder.grants_below("/team").is_err());
    founder.revive("/team").unwrap();
    assert_eq!(founder.grants_below("/team").unwrap()[0].key, two.author());
}
