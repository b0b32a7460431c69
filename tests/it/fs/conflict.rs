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
