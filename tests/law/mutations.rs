//! Whether the tests would notice: rules broken on purpose, one at a time, each caught by name.
//!
//! ```sh
//! cargo test --test law mutations -- --ignored --nocapture
//! ```
//!
//! builds a copy of the crate for each of them, in a directory of its own, and takes about a
//! quarter of an hour. `BASEFS_MUTATION=NAME` runs those whose name contains NAME.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A rule, how to break it, and the test that must fail then.
struct Mutation {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// The test binary and the test.
    caught_by: (&'static str, &'static str),
}

const fn mutation(
    name: &'static str,
    file: &'static str,
    [from, to]: [&'static str; 2],
    caught_by: (&'static str, &'static str),
) -> Mutation {
    Mutation { name, file, from, to, caught_by }
}

const FORK: &str = "src/view/fork.rs";
const VIEW: &str = "src/view/mod.rs";
const PLACE: &str = "src/view/place.rs";
const AUTHORITY: &str = "src/authority/mod.rs";
const ADMISSION: &str = "src/log/admission.rs";
const ORDER: &str = "src/log/order.rs";

const NAMED: (&str, &str) = ("vectors", "scenarios::named_scenarios_in_any_order");
const RANDOM: (&str, &str) = ("vectors", "scenarios::random_logs_in_any_order");

const TIE: (&str, &str) =
    ("it", "fs::conflict::the_greatest_hash_over_all_counted_keys_breaks_a_tie");
const REUSED: (&str, &str) =
    ("it", "fs::rename::a_name_used_again_and_moved_again_moves_nothing_else");

const MUTATIONS: [Mutation; 32] = [
    mutation(
        "FORK-4: the worse rank wins",
        FORK,
        ["other.rank.cmp(&self.rank)", "self.rank.cmp(&other.rank)"],
        NAMED,
    ),
    mutation(
        "FORK-4: keys of lower rank are counted too",
        FORK,
        ["Ordering::Greater => {}", "Ordering::Greater => votes.keys.extend(other.keys),"],
        NAMED,
    ),
    mutation(
        "FORK-4: a deletion hides no less than content",
        FORK,
        ["(Action::Delete, None) => 0", "(Action::Delete, None) => 2"],
        NAMED,
    ),
    mutation(
        "FORK-4: the smallest tie counts",
        FORK,
        ["votes.tie.max(other.tie)", "votes.tie.min(other.tie)"],
        TIE,
    ),
    mutation(
        "FORK-4: the smaller id wins",
        FORK,
        [
            "self.log.id(self.entries[a]).cmp(&self.log.id(self.entries[b]))",
            "self.log.id(self.entries[b]).cmp(&self.log.id(self.entries[a]))",
        ],
        NAMED,
    ),
    mutation(
        "FORK-1: a cut entry keeps its children",
        FORK,
        ["|base| star[*base]", "|base| *base"],
        NAMED,
    ),
    mutation(
        "FORK-2: a merge counts for its base alone",
        FORK,
        [
            "for above in &self.prev[at] {\n                anchor[",
            "for above in self.prev[at].iter().take(1) {\n                anchor[",
        ],
        NAMED,
    ),
    mutation(
        "FORK-2: what was built on a cut merge is forgotten",
        FORK,
        [
            "let Some(own) = anchor[at] else { continue };",
            "let Some(own) = anchor[at].filter(|_| self.authorised[at]) else { continue };",
        ],
        NAMED,
    ),
    mutation(
        "READY-2: content that is missing does not matter",
        FORK,
        ["self.authorised[at] && is_ready(self.entries[at])", "self.authorised[at]"],
        NAMED,
    ),
    mutation(
        "READY-2: a ready descendant carries nobody",
        FORK,
        ["let carries = counts || has_ready_descendant[at];", "let carries = counts;"],
        NAMED,
    ),
    mutation(
        "FORK-5: whatever comes last wins",
        VIEW,
        ["winner.is_none() || winner == log.prev(no).first().copied()", "winner.is_none() || true"],
        NAMED,
    ),
    mutation(
        "REVOKE-2: equals revoke each other",
        AUTHORITY,
        ["log.rank(revoke) < against.rank", "log.rank(revoke) <= against.rank"],
        NAMED,
    ),
    mutation(
        "REVOKE-2: a revoke acts above its directory",
        AUTHORITY,
        ["log.is_in_lineage(dir, against.dir)", "log.is_in_lineage(against.dir, dir)"],
        NAMED,
    ),
    mutation(
        "REVOKE-2: a grant spares nothing",
        AUTHORITY,
        ["&& !Self::is_spared(log, revoke, cap)", ""],
        NAMED,
    ),
    mutation(
        "REVOKE-2: anybody grants over the head of a revoker",
        AUTHORITY,
        ["any(|member| log.rank(*member) >= issuer)", "any(|_| issuer == issuer)"],
        NAMED,
    ),
    mutation(
        "REVOKE-3: revokes of worse rank count as well",
        AUTHORITY,
        ["if !counts || best.is_some_and(|best| best < log.rank(*revoke)) {", "if !counts {"],
        RANDOM,
    ),
    mutation(
        "REVOKE-3: an amended revoke stays beside its amendment",
        AUTHORITY,
        ["selected.retain(|no| !amended.contains(no));", "drop(amended);"],
        NAMED,
    ),
    mutation(
        "REVOKE-1: an amendment keeps what it names and no more",
        AUTHORITY,
        [
            "            .iter()\n            .filter_map(|member| log.revoke(*member))\n            .flat_map(|member| &member.keep)",
            "            .iter()\n            .filter(|member| **member == revoke)\n            .filter_map(|member| log.revoke(*member))\n            .flat_map(|member| &member.keep)",
        ],
        NAMED,
    ),
    mutation(
        "AUTH-1: delegates of a revoked key go on",
        AUTHORITY,
        [
            "&& upwards(log, cap)\n                .flat_map",
            "&& upwards(log, cap)\n                .take(1)\n                .flat_map",
        ],
        NAMED,
    ),
    mutation(
        "AUTH-1: what a cut grant gave is not taken away",
        AUTHORITY,
        [
            "capability.parent.is_none() || self.is_authorised(capability.entry)",
            "capability.parent.is_none() || capability.rank.grants > 0",
        ],
        NAMED,
    ),
    mutation(
        "AUTH-1: a head that arrives late keeps nothing",
        AUTHORITY,
        ["if !in_effect {", "if !in_effect || self.computed > 0 {"],
        NAMED,
    ),
    mutation(
        "AUTH-1: a revoke that is cut stays in force",
        AUTHORITY,
        [
            "pass.flipped.push(no);\n            self.enqueue_affected(log, no, pass);",
            "pass.flipped.push(no);",
        ],
        NAMED,
    ),
    mutation(
        "ADMIT-4: a grant reaches above its directory",
        ADMISSION,
        ["if !self.is_in_lineage(cap.dir, found.dir) {", "if self.depth(cap.dir) > 64 {"],
        NAMED,
    ),
    mutation(
        "ADMIT-7: a base in another slot",
        ADMISSION,
        [
            "self.slot_dir(slot) == found.dir && *self.slot_name(slot) == body.name;",
            "self.slot_dir(slot) == found.dir;",
        ],
        NAMED,
    ),
    mutation(
        "ADMIT-10: a move by somebody else's link",
        ADMISSION,
        ["\n            && self.author(link) == body.key", ""],
        NAMED,
    ),
    mutation(
        "ADMIT-12: a closure of any size",
        ADMISSION,
        ["closure.len() > limits::MAX_CLOSURE", "closure.len() > 2 * limits::MAX_CLOSURE"],
        NAMED,
    ),
    mutation(
        "DIR-1: a directory made again is the old one",
        ADMISSION,
        [
            "child_dir(&body.dir, body.prev.first(), &body.name)",
            "child_dir(&body.dir, None, &body.name)",
        ],
        NAMED,
    ),
    mutation(
        "RANK-1: delegation costs no rank",
        ADMISSION,
        [
            "grants: issuer.rank.grants + 1, root: 0 };",
            "grants: issuer.rank.grants.max(1), root: 0 };",
        ],
        NAMED,
    ),
    mutation(
        "TREE-2: a directory hangs where it once hung",
        PLACE,
        ["(no == winner).then_some(slot)", "(no <= winner).then_some(slot)"],
        NAMED,
    ),
    mutation(
        "TREE-2: a move of another directory of that name is followed",
        PLACE,
        [
            "Some(link) if is_dir(link) => Some((no, Some(link))),",
            "Some(link) => Some((no, Some(link))),",
        ],
        REUSED,
    ),
    mutation(
        "TREE-3: an alias is a second home",
        PLACE,
        [
            "if self.place(log, authority, *dir) == Some(slot) =>",
            "if self.place(log, authority, *dir).is_some() =>",
        ],
        NAMED,
    ),
    mutation(
        "ORDER-1: ids before paths",
        ORDER,
        [
            "self.components(a).cmp_path(&self.components(b), self).then_with(by_id)",
            "by_id().then_with(|| self.components(a).cmp_path(&self.components(b), self))",
        ],
        NAMED,
    ),
];

/// What a build of the tests needs.
const NEEDED: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", "src", "tests", "examples", "benches", "fuzz", "README.md"];

/// What grows in these and is not needed.
const LEFT_OUT: [&str; 4] = ["target", "corpus", "artifacts", "logs"];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_mutation_still_applies() {
    for mutation in &MUTATIONS {
        let text = fs::read_to_string(here().join(mutation.file)).unwrap();
        assert_eq!(text.matches(mutation.from).count(), 1, "{}: the code changed", mutation.name);
        assert!(!text.contains(mutation.to) || mutation.from.contains(mutation.to));
    }
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn every_mutation_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    NEEDED.iter().for_each(|name| copy(&here().join(name), &dir.path().join(name)));
    let asked = env::var("BASEFS_MUTATION").unwrap_or_default();
    let mut escaped = Vec::new();
    let mut caught = 0;
    for mutation in MUTATIONS.iter().filter(|mutation| mutation.name.contains(&asked)) {
        let path = dir.path().join(mutation.file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(mutation.from, mutation.to, 1)).unwrap();
        let verdict = run(dir.path(), mutation);
        fs::write(&path, text).unwrap();
        println!("{}: {verdict}", mutation.name);
        match verdict.starts_with("caught") {
            true => caught += 1,
            false => escaped.push(mutation.name),
        }
    }
    println!("{caught} mutations caught, {} not", escaped.len());
    assert!(escaped.is_empty(), "not caught: {escaped:?}");
    assert!(caught > 0, "nothing is called like that");
}

/// Runs the test that must fail; what it printed is looked at, for a build that fails catches
/// nothing.
fn run(dir: &Path, mutation: &Mutation) -> String {
    let (binary, test) = mutation.caught_by;
    let output = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--test", binary, "--", "--exact", test])
        .current_dir(dir)
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .env_remove("BASEFS_MUTATION")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    if printed.contains("test result: ok. 1 passed") {
        return format!("ESCAPED, {test} passes");
    }
    if !printed.contains("test result: FAILED") {
        let errors = String::from_utf8_lossy(&output.stderr);
        return format!("DOES NOT BUILD or run\n{errors}");
    }
    let reason = printed.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    format!("caught by {test} ({})", reason.unwrap_or_default())
}

fn copy(from: &Path, to: &PathBuf) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if !LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    }
}
