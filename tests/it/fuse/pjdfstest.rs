//! The conformance suite pjdfstest on a real mount: exactly the cases listed in `pjdfstest.txt` fail.
//!
//! It needs root, for it changes users, and the program `pjdfstest` in the search path or named by
//! `BASEFS_PJDFSTEST`: `cargo install pjdfstest --version 0.2.2 --locked`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use basefs::Fs;
use basefs::fuse::MountOptions;
use rustix::process::geteuid;

use super::World;

/// The version that the list is for.
const VERSION: &str = "pjdfstest 0.2.2";
/// A suite that broke off early would find nothing.
const LEAST_CASES: usize = 390;
/// Two users that every system has.
const USERS: [&str; 2] = ["nobody", "daemon"];

/// The cases that are to fail, each with the reason.
fn listed() -> BTreeMap<String, &'static str> {
    let (mut all, mut reason) = (BTreeMap::new(), None);
    for line in include_str!("pjdfstest.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(text) = line.strip_prefix("reason: ") {
            reason = Some(text);
            continue;
        }
        let reason = reason.expect("a reason above the first case");
        let (stem, ends) = match line.split_once('{') {
            Some((stem, ends)) => (stem, ends.trim_end_matches('}')),
            None => (line, ""),
        };
        for end in ends.split(',') {
            assert_eq!(all.insert(format!("{stem}{end}"), reason), None, "{line} is listed twice");
        }
    }
    all
}

/// What became of each case, by the output of the suite.
fn outcomes(output: &str) -> BTreeMap<String, String> {
    let words = output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let case = words.filter_map(|words| match words[..] {
        [name, outcome @ ("ok" | "FAILED" | "skipped")] if name.contains("::") => {
            Some((name.to_string(), outcome.to_string()))
        }
        _ => None,
    });
    case.collect()
}

/// The name of the group that a user is in.
fn group_of(user: &str) -> Option<String> {
    let field = |file: &str, of: &str, key: usize, wanted: usize| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.split(':').nth(key) == Some(of))?;
        line.split(':').nth(wanted).map(String::from)
    };
    let number = field("/etc/passwd", user, 0, 3)?;
    field("/etc/group", &number, 2, 0)
}

fn configuration() -> Option<String> {
    let [first, second] = USERS.map(|user| Some(format!("[{user:?}, {:?}]", group_of(user)?)));
    // The cases that mount anew, read-only, want `/etc/fstab`; `a_mount_that_is_read_only_says_so`
    // does it another way.
    Some(format!(
        "[features]\nposix_fallocate = {{}}\nutimensat = {{}}\nutime_now = {{}}\n\
         [settings]\nnaptime = 0.01\n[dummy_auth]\nentries = [{}, {}]\n",
        first?, second?
    ))
}

/// Runs the suite; none where it cannot run, which is said.
fn run(world: &World) -> Option<String> {
    let program = std::env::var("BASEFS_PJDFSTEST").unwrap_or_else(|_| "pjdfstest".into());
    let version = match Command::new(&program).arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: {program} is not installed (cargo install pjdfstest)");
            return None;
        }
        version => String::from_utf8(version.unwrap().stdout).unwrap(),
    };
    assert_eq!(version.trim(), VERSION, "the list of cases is for this version");
    let Some(configuration) = configuration() else {
        println!("skipped: there are no users {USERS:?}");
        return None;
    };
    let beside = tempfile::tempdir().unwrap();
    let file = beside.path().join("pjdfstest.toml");
    fs::write(&file, configuration).unwrap();
    let mut suite = Command::new(&program);
    suite.arg("-c").arg(&file).arg("-p").arg(world.dir.path()).arg("-s").arg(beside.path());
    suite.env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
    let output = suite.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &errors)
}

#[test]
fn exactly_the_listed_cases_fail() {
    if !geteuid().is_root() {
        println!("skipped: pjdfstest changes users, so it needs root");
        return;
    }
    let mut options = MountOptions::default();
    options.allow_other = true;
    let Some(world) = World::mount(Fs::in_memory().unwrap(), &options) else { return };
    let Some(output) = run(&world) else { return };
    let outcomes = outcomes(&output);
    let of = |wanted: &str| -> BTreeSet<&str> {
        let those = outcomes.iter().filter(|(_, outcome)| *outcome == wanted);
        those.map(|(name, _)| name.as_str()).collect()
    };
    let (passed, failed, skipped) = (of("ok"), of("FAILED"), of("skipped"));
    let listed = listed();
    let listed: BTreeSet<&str> = listed.keys().map(String::as_str).collect();
    println!(
        "pjdfstest: {} passed, {} do not apply, {} skipped by the suite",
        passed.len(),
        failed.intersection(&listed).count(),
        skipped.len()
    );
    assert!(outcomes.len() >= LEAST_CASES, "it broke off:\n{output}");
    let unlisted: Vec<_> = failed.difference(&listed).collect();
    assert!(unlisted.is_empty(), "these fail and are not listed: {unlisted:#?}\n{output}");
    let passes: Vec<_> = listed.difference(&failed).collect();
    assert!(passes.is_empty(), "these are listed and do not fail: {passes:#?}");
}

#[test]
fn cases_are_read_from_lists_and_output() {
    let listed = listed();
    assert_eq!(listed["open::interact_2gb"], "A file is at most 1 GiB long: EFBIG.");
    assert!(listed.contains_key("mknod::device_files::char"));
    let output =
        "rename::a::dir   ok\nrename::b  FAILED\n\tmessage: c::d ok no\n\nSummary: 1 failed";
    let expected = [("rename::a::dir", "ok"), ("rename::b", "FAILED")];
    assert!(outcomes(output).iter().map(|(name, outcome)| (&name[..], &outcome[..])).eq(expected));
}
