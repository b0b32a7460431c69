//! The examples as a person would run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The binary of an example, built by the `cargo test` that runs this, or now.
fn example(name: &str) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let target = deps.ancestors().nth(2).unwrap();
    let binary = target.join("examples").join(name);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", name]);
    if target.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success());
    binary
}

fn run(name: &str, arguments: &[&str]) -> Output {
    Command::new(example(name)).args(arguments).output().unwrap()
}

/// A little of everything that a directory can hold.
fn make_source(dir: &Path) {
    std::fs::create_dir_all(dir.join("empty/deep")).unwrap();
    std::fs::write(dir.join("small"), "small").unwrap();
    std::fs::write(dir.join("medium"), "0123456789abcdef".repeat(1_000)).unwrap();
    let large: Vec<u8> = (0..1_500_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    std::fs::write(dir.join("large"), large).unwrap();
    std::os::unix::fs::symlink("../nowhere", dir.join("link")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
    drop(socket);
}

#[test]
fn the_community_ends_equal() {
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("things");
    make_source(&source);
    let output = run("community", &[source.to_str().unwrap()]);
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches("equal: 3 files, 3 directories, 1 symbolic links").count(), 3, "{out}");
    assert!(out.contains("skipped           1"), "the socket is counted: {out}");
    assert!(out.contains("the winner's capability has the better rank (FORK-4)"), "{out}");
    assert!(out.contains("rejected by rule ADMIT-3"), "{out}");
    for told in [
        "drafts to letters: the edit made meanwhile went along",
        "readme to about: the edit lost to the move, and was taken over",
        "/users/ben/status by a further version, a revert",
        "does not keep it (REVOKE-1)",
        "ben: 1 version cut, the rest of his work stays",
        "his own replica refuses him now",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
}

#[test]
fn a_damaged_replica_makes_the_community_fail() {
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("things");
    make_source(&source);
    let output = run("community", &[source.to_str().unwrap(), "--sabotage"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("differ, 1 times"), "{err}");
    assert!(err.contains("the store was damaged"), "{err}");
}

#[test]
fn a_small_cluster_spreads_writes_and_survives_kills() {
    let arguments =
        "--nodes 4 --writes 5 --idle 500ms --kill --kills 3 --deaths 0 --tickets --json";
    let output = run("cluster", &arguments.split(' ').collect::<Vec<_>>());
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let rows: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |what: &str| {
        let is_it = |row: &&serde_json::Value| row["what"].as_str().unwrap().contains(what);
        rows.iter().find(is_it).unwrap_or_else(|| panic!("no row {what}: {out}"))
    };
    assert_eq!(row("5 writes: missed anywhere")["value"], 0.0);
    assert_eq!(row("3 x kill -9: lost of")["value"], 0.0);
    assert!(row("all equal after the last restart")["value"].is_number(), "in time: {out}");
    assert!(row("400 B written, last of 3 has it")["value"].as_f64().unwrap() > 0.0);
    assert_eq!(row("4 idle: CPU of all")["unit"], "%");
}

#[test]
fn the_small_examples_run() {
    for (name, says) in
        [("hello", "Ana, Girona"), ("custom_store", "note 7 says: note 7"), ("sans_io", "")]
    {
        let output = run(name, &[]);
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && out.contains(says), "{name}: {out}");
    }
    assert_eq!(run("community", &["--nonsense"]).status.code(), Some(2));
    assert!(run("community", &["--help"]).status.success());
    assert_eq!(run("cluster", &["--loss", "30%"]).status.code(), Some(2), "without --netns");
    assert!(run("cluster", &["--help"]).status.success());
}
