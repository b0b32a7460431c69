//! Two authors who write apart, and what deciding between them means for the next write.

use basefs::Fs;
use basefs::view::{Decided, Status};

use super::team::{exchange, team};

#[test]
fn equals_are_decided_the_same_way_everywhere() {
    // rule: FORK-4
    let team = team();
    let [_, one, two] = &team;
    one.write("/team/f", "one").unwrap();
    two.write("/team/f", "two").unwrap();
    exchange(&team);
    let whys: Vec<_> = team.iter().map(|fs| fs.explain("/team/f").unwrap()).collect();
    assert!(whys.iter().all(|why| *why == whys[0]));
    assert_eq!(whys[0].losers[0].decided, Decided::Tie);
    assert!(whys[0].to_string().contains("FORK-4"));
}

#[test]
fn the_greatest_hash_over_all_counted_keys_breaks_a_tie() {
    // rule: FORK-4
    let founder = Fs::in_memory().unwrap();
    let members: Vec<Fs> =
        (0..4).map(|_| Fs::builder().join(&founder.ticket(vec![])).open().unwrap()).collect();
    for fs in &members {
        founder.grant("/", fs.author()).unwrap();
    }
    let all: Vec<Fs> = members.iter().cloned().chain([founder.clone()]).collect();
    exchange(&all);
    let names: Vec<String> = (0..16).map(|n| format!("f{n}")).collect();
    for name in &names {
        // Two branches with two keys each: the second of a pair builds on the first.
        for pair in members.chunks(2) {
            pair[0].write(name, "begun").unwrap();
            exchange(pair);
            pair[1].write(name, format!("by {}", pair[0].author())).unwrap();
        }
    }
    exchange(&all);
    for name in &names {
        let hash = |fs: &Fs| {
            let mut hasher = blake3::Hasher::new_derive_key("basefs v1 tie");
            hasher.update(founder.dir_id("/").unwrap().as_bytes());
            hasher.update(name.as_bytes()).update(fs.author().as_bytes());
            *hasher.finalize().as_bytes()
        };
        let greatest = members.chunks(2).max_by_key(|pair| pair.iter().map(hash).max()).unwrap();
        let shown = format!("by {}", greatest[0].author());
        assert_eq!(founder.read(name).unwrap(), shown, "{name}");
        let why = founder.explain(name).unwrap();
        assert_eq!(why.losers[0].decided, Decided::Tie);
    }
}

#[test]
fn concurrent_directories_merge() {
    // rule: DIR-1
    let team = team();
    let [_, one, two] = &team;
    one.write("/team/d/one", "1").unwrap();
    two.write("/team/d/two", "2").unwrap();
    exchange(&team);
    for fs in &team {
        let names: Vec<String> =
            fs.read_dir("/team/d").unwrap().iter().map(|entry| entry.name().to_owned()).collect();
        assert_eq!(names, ["one", "two"]);
    }
}

#[test]
fn a_plain_write_leaves_a_conflict_visible_and_a_removal_closes_it() {
    // rule: FORK-2
    let team = team();
    let [founder, one, two] = &team;
    one.write("/team/f", "one").unwrap();
    two.write("/team/f", "two").unwrap();
    exchange(&team);
    let winner = if founder.read("/team/f").unwrap() == "one" { one } else { two };
    winner.write("/team/f", "more").unwrap();
    exchange(&team);
    let tips = |fs: &Fs| {
        let versions = fs.versions("/team/f").unwrap();
        versions.iter().filter(|version| version.status == Status::Tip).count()
    };
    assert_eq!(tips(founder), 1, "the loser is still there to be seen");
    one.remove("/team/f").unwrap();
    exchange(&team);
    for fs in &team {
        assert!(!fs.exists("/team/f"), "no branch shows again behind a deletion that saw it");
        assert_eq!(tips(fs), 0);
    }
}

#[test]
fn the_narrowest_capability_is_used() {
    // rule: RANK-1
    let team = team();
    let [founder, one, two] = &team;
    founder.create_dir_all("/team/own").unwrap();
    founder.grant("/team/own", one.author()).unwrap();
    exchange(&team);
    one.write("/team/own/f", "deep").unwrap();
    one.write("/team/g", "shallow").unwrap();
    exchange(&team);
    let depth = |path| two.versions(path).unwrap()[0].rank.depth;
    assert_eq!((depth("/team/own/f"), depth("/team/g")), (2, 1));
    founder.write("/team/g", "the founder's").unwrap();
    assert_eq!(founder.versions("/team/g").unwrap()[0].rank.grants, 0);
}
