//! Verbs about conflicts, keys and readers: the same whether a node runs or not, and together they
//! do what they are for.

use super::both_ways::{copy, masked, worked_on};
use super::world::{Said, World};

/// A node that nobody has heard of.
const STRANGER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What every one of these verbs answers, and how it ends.
fn verbs<'v>(ben: &'v str, lost: &'v str) -> Vec<(Vec<&'v str>, i32)> {
    vec![
        (vec!["dismiss", "HERE", "/etc/motd"], 0),
        (vec!["conflicts", "HERE"], 0),
        (vec!["resolve", "HERE", "/etc/motd", "--with", "merged"], 0),
        (vec!["cat", "HERE", "/etc/motd"], 0),
        (vec!["conflicts", "HERE"], 0),
        (vec!["resolve", "HERE", "/etc/motd", "--with", "missing"], 1),
        (vec!["resolve", "HERE", "/etc/motd"], 2),
        (vec!["resolve", "HERE", "/etc/motd", lost, "--with", "merged"], 2),
        (vec!["revert", "HERE", "/etc/motd", lost], 0),
        (vec!["ack", "HERE", "/etc/motd"], 0),
        (vec!["ack", "HERE", "/etc/motd", "--json"], 0),
        (vec!["ack", "HERE", "/nowhere"], 1),
        (vec!["dismiss", "HERE", "/etc/motd"], 1),
        (vec!["dismiss", "HERE", "/nowhere"], 1),
        (vec!["revive", "HERE", "/etc/motd"], 1),
        (vec!["rm", "-r", "HERE", "/etc"], 0),
        (vec!["revive", "HERE", "/etc"], 0),
        (vec!["revive", "HERE", "/nowhere"], 1),
        (vec!["cat", "HERE", "/etc/motd"], 0),
        (vec!["adopt", "HERE", "ben"], 0),
        (vec!["revoke", "HERE", "ben", "--adopt"], 2),
        (vec!["revoke", "HERE", "ben", "--discard", "--yes", "--regrant"], 0),
        (vec!["hidden", "HERE"], 0),
        (vec!["hidden", "HERE", "/etc", "--json"], 0),
        (vec!["hidden", "HERE", "/nowhere/else"], 0),
        (vec!["amend", "HERE", "ben"], 2),
        (vec!["amend", "HERE", "ben", "ffffffff"], 1),
        (vec!["amend", "HERE", ben, lost, "--json"], 0),
        (vec!["amend", "HERE", "ben", lost], 1),
        (vec!["grant", "HERE", "/not/there", ben], 1),
        (vec!["expelled", "HERE"], 0),
        (vec!["expel", "HERE", "0011"], 1),
        (vec!["expel", "HERE", STRANGER], 0),
        (vec!["expel", "HERE", STRANGER], 0),
        (vec!["expelled", "HERE"], 0),
        (vec!["expelled", "HERE", "--json"], 0),
        (vec!["readmit", "HERE", "0011"], 0),
        (vec!["readmit", "HERE", STRANGER, "--json"], 0),
        (vec!["rotate", "HERE", "--drop-old"], 0),
        (vec!["rotate", "HERE"], 0),
        (vec!["rotate", "HERE", "--json"], 0),
        (vec!["rotate", "HERE", "--drop-old"], 0),
        (vec!["rotate", "HERE", "--ticket", "nonsense"], 2),
        (vec!["keys", "HERE"], 0),
        (vec!["ls", "-R", "HERE"], 0),
    ]
}

#[test]
fn settling_and_judging_is_the_same_both_ways() {
    let world = World::with_team();
    let (_, ben) = worked_on(&world);
    let known = world.ok(&["versions", "team", "/etc/motd", "--json"]);
    let known: serde_json::Value = serde_json::from_str(&known).unwrap();
    let mut versions = known["versions"].as_array().unwrap().iter();
    let by_ben = versions.find(|version| version["author"] == ben.as_str()).unwrap();
    let lost = by_ben["id"].as_str().unwrap()[..8].to_owned();
    std::fs::write(world.path("merged"), "both\n").unwrap();
    copy(&world.home("team"), &world.home("twin"));
    let verbs = verbs(&ben, &lost);
    let run_all = |name: &str| -> Vec<Said> {
        let run = |(verb, code): &(Vec<&str>, i32)| {
            let words: Vec<&str> =
                verb.iter().map(|word| if *word == "HERE" { name } else { word }).collect();
            let said = world.run(&words);
            assert_eq!(said.code, *code, "{words:?}: {said:?}");
            let err = said.err.replace(name, "HERE");
            Said { out: masked(&said.out), err: masked(&err), ..said }
        };
        verbs.iter().map(run).collect()
    };
    let closed = run_all("team");
    let node = world.start("twin", &[]);
    let running = run_all("twin");
    drop(node);
    for ((verb, _), (a, b)) in verbs.iter().zip(closed.iter().zip(&running)) {
        assert_eq!(a, b, "{verb:?}");
    }
    let said = |verb: &[&str]| {
        let position = verbs.iter().position(|(one, _)| one[..] == *verb).unwrap();
        format!("{}{}", closed[position].out, closed[position].err)
    };
    assert_eq!(said(&["cat", "HERE", "/etc/motd"]), "both\n");
    assert_eq!(said(&["conflicts", "HERE"]), "nobody disagrees\n");
    let grant = said(&["grant", "HERE", "/not/there", &ben]);
    assert!(grant.contains("basefs mkdir HERE /not/there"), "{grant}");
    let hidden = said(&["hidden", "HERE"]);
    assert!(hidden.starts_with("1 version do") && hidden.contains("/etc/motd"), "{hidden}");
    assert_eq!(said(&["hidden", "HERE", "/nowhere/else"]), "nothing is hidden\n");
    assert!(said(&["revive", "HERE", "/etc/motd"]).contains("basefs versions"));
    let expelled = |at: usize| closed[at].out.clone();
    let position = verbs.iter().position(|(one, _)| one[0] == "expel" && one[2].len() == 64);
    let position = position.unwrap();
    assert!(expelled(position).contains("from now on"), "{}", expelled(position));
    assert!(expelled(position + 1).contains("already"), "{}", expelled(position + 1));
    assert!(said(&["rotate", "HERE"]).contains("1 old one until dropped"));
}

/// What was cut can be brought back, by whoever revoked, in his own name.
#[test]
fn a_revoke_can_take_over_what_it_cuts_and_let_the_others_go_on() {
    let world = World::with_team();
    let (_, _) = worked_on(&world);
    let cleo = "0123456789abcdef".repeat(4);
    let fs = basefs::Fs::open(world.home("team")).unwrap();
    let key = basefs::wire::SecretKey::from_seed([9; 32]);
    fs.grant_with("/", key.public(), basefs::entry::Rights::All, "dora").unwrap();
    let ticket = fs.ticket(vec![]);
    let dora = basefs::Fs::builder().key(key).join(&ticket).open().unwrap();
    let exchange = |from: &basefs::Fs, to: &basefs::Fs| {
        for entry in from.export() {
            to.admit(&entry.unwrap()).unwrap();
        }
    };
    exchange(&fs, &dora);
    dora.write("/notes/1", "useful").unwrap();
    dora.grant_with("/notes", cleo.parse().unwrap(), basefs::entry::Rights::Write, "cleo").unwrap();
    exchange(&dora, &fs);
    drop(fs);
    let said = world.ok(&["revoke", "team", "dora", "--discard", "--yes", "--adopt", "--regrant"]);
    assert!(said.contains("/notes/1\n") && said.contains("1 grant made again"), "{said}");
    assert_eq!(world.ok(&["cat", "team", "/notes/1"]), "useful");
    let keys = world.ok(&["keys", "team"]);
    assert!(keys.lines().any(|line| line.contains("live") && line.contains("cleo")), "{keys}");
    let audit = world.ok(&["audit", "team", "dora"]);
    assert!(audit.contains("do not count"), "{audit}");
}

/// Who has the old ticket reads on until the old secret is dropped, and no longer.
#[test]
fn a_rotated_secret_keeps_old_tickets_out() {
    let world = World::with_team();
    let old = world.run(&["ticket", "team"]).out;
    world.ok(&["join", "other", old.trim()]);
    let rotated = world.ok(&["rotate", "team"]);
    assert!(rotated.contains("basefs ticket") && rotated.contains("--drop-old"), "{rotated}");
    let new = world.run(&["ticket", "team"]).out;
    assert_ne!(old, new);
    world.ok(&["rotate", "other", "--ticket", new.trim()]);
    assert_eq!(world.run(&["ticket", "other"]).out, new);
    assert!(world.ok(&["status", "other"]).contains("old secrets          1"));
    let dropped = world.ok(&["rotate", "other", "--drop-old"]);
    assert_eq!(dropped, "1 old secret is accepted no more\n");
    assert!(!world.ok(&["status", "other"]).contains("old secrets"));
    // A ticket of another hierarchy opens nothing here.
    world.ok(&["new", "elsewhere"]);
    let foreign = world.run(&["ticket", "elsewhere"]).out;
    let said = world.fails(&["rotate", "team", "--ticket", foreign.trim()], 2);
    assert!(said.contains("another hierarchy"), "{said}");
}

/// Whoever may grant chooses labels: none of them makes a verb take one key for another.
#[test]
fn a_label_that_looks_like_the_digits_of_another_key_is_not_taken_for_it() {
    let world = World::with_team();
    let made = |name: &str| {
        let said = world.ok(&["genkey", name, "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        said["key"].as_str().unwrap().to_owned()
    };
    let (ana, ben) = (made("ana.key"), made("ben.key"));
    world.ok(&["grant", "team", "/", &ana, "--label", "ana"]);
    world.ok(&["grant", "team", "/", &ben, "--label", &ana[..8]]);
    let said = world.fails(&["revoke", "team", &ana[..8], "--yes"], 1);
    assert!(said.contains("2 keys are called") && said.contains("basefs keys team"), "{said}");
    assert!(world.ok(&["audit", "team", &ana[..9]]).contains(&ana));
    assert!(world.ok(&["audit", "team", "ana"]).contains(&ana));
    // A label that nobody has is no matter of digits.
    let said = world.fails(&["revoke", "team", "ben"], 1);
    assert!(said.contains("no key is called ben"), "{said}");
}
