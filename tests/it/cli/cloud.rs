//! The worked example, `examples/cloud.sh`, as a person would run it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// It takes seven seconds; a busy machine has more.
const LONGEST: Duration = Duration::from_secs(60);

#[test]
fn the_cloud_starts_and_stops_what_its_users_declare() {
    let bin = Path::new(env!("CARGO_BIN_EXE_basefs")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let temp = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cloud.sh");
    let started = Instant::now();
    let output =
        Command::new("bash").arg(script).env("PATH", path).env("TMPDIR", temp.path()).output();
    let output = output.expect("bash starts");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
    // What it says, in this order.
    let mut rest = &*out;
    for told in [
        "may write and grant at /users and below",
        "superuser's node is off",
        "cleo is refused in /users/dora",
        "/users/cleo/nodes/ben/web: running: debian with 64 MiB",
        "/users/cleo/nodes/ben/web: running: debian with 128 MiB",
        "it is another process",
        "/users/cleo/nodes/ben/web: stopped",
        "/users/cleo/nodes/ana/web: running: debian with 128 MiB",
        "/users/cleo/nodes/ana/web: stopped",
        "cleo reads in /users/cleo/contact: the address of Cleo bounces; ask Ana",
        "ana   write\n   lost",
        "the winner's capability has the better rank (FORK-4)",
        "/users/cleo/nodes/ben/miner: running: miner with 4096 MiB",
        "/users/cleo/apps/miner",
        "revoked (",
        "/users/cleo/nodes/ben/miner: stopped",
        "cleo's own node refuses her now",
    ] {
        let at = rest.find(told).unwrap_or_else(|| panic!("{told}: {out}\n{err}"));
        rest = &rest[at + told.len()..];
    }
    assert_eq!(out.matches("   shows").count(), 1, "one conflict, and no other: {out}");
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0, "it leaves nothing behind");
}
