//! A mount by an ordinary user, through `fusermount3`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use super::process::binary;

/// The user `nobody`, everywhere.
const NOBODY: u32 = 65_534;

/// What an ordinary user does, in a name space of mounts of its own, where everybody may use
/// `/dev/fuse` as on most systems: 1 is the program, 2 the replica, 3 a directory to mount at, 4
/// one of somebody else, 5 a device that everybody may use.
const SCRIPT: &str = r#"
mount --bind "$5" /dev/fuse || exit 77
trap 'kill -KILL $program 2>/dev/null' EXIT
user="setpriv --reuid 65534 --regid 65534 --clear-groups"
$user "$1" "$2" "$4" 2>&1 && echo 'foreign: mounted'
$user "$1" "$2" "$3" >/dev/null 2>&1 & program=$!
tries=0
until grep -q " $3 fuse" /proc/mounts; do
    tries=$((tries + 1)); [ $tries -lt 200 ] || exit 1
    sleep 0.05
done
$user sh -c 'echo hello | dd of="$0/greeting" conv=fsync status=none; cat "$0/greeting"' "$3"
ls "$3" >/dev/null 2>&1 || echo 'root: not let in'
kill -KILL $program; wait $program 2>/dev/null
$user "$1" "$2" "$3" 2>&1 && echo 'dead: mounted'
$user fusermount3 -u "$3" && echo 'recovered'
$user "$1" "$2" "$3" >/dev/null 2>&1 & program=$!
until $user test -s "$3/greeting"; do
    tries=$((tries + 1)); [ $tries -lt 200 ] || exit 1
    sleep 0.05
done
kill -INT $program; wait $program; echo "ended: $?"
grep -q " $3 fuse" /proc/mounts || echo 'unmounted'
mount --bind /dev/null "$(command -v fusermount3)"
$user "$1" "$2" "$3" 2>&1 && echo 'without help: mounted'
"#;

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|done| done.status.success())
}

fn own(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
}

#[test]
fn an_ordinary_user_mounts_and_recovers() {
    let needed = ["unshare", "setpriv", "fusermount3"];
    let missing: Vec<_> = needed.into_iter().filter(|program| !has(program)).collect();
    if !geteuid().is_root() || !missing.is_empty() || !super::can_mount() {
        println!("skipped: it needs root, to be somebody else, and {needed:?}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::copy(binary(), at("program")).unwrap();
    for (name, owner) in [("data", NOBODY), ("place", NOBODY), ("foreign", 0)] {
        fs::create_dir(at(name)).unwrap();
        own(&at(name), owner);
    }
    let device = at("fuse");
    let made = Command::new("mknod").arg(&device).args(["c", "10", "229", "-m", "666"]).status();
    if !made.is_ok_and(|made| made.success()) {
        println!("skipped: this process may not make a device");
        return;
    }
    let mut script = Command::new("unshare");
    script.args(["-m", "sh", "-c", SCRIPT, "sh"]);
    script.args(["program", "data", "place", "foreign"].map(at)).arg(&device);
    let done = script.output().unwrap();
    if done.status.code() == Some(77) {
        println!("skipped: {}", String::from_utf8_lossy(&done.stderr));
        return;
    }
    let said = String::from_utf8(done.stdout).unwrap();
    for (line, expected) in [
        "no write access to mountpoint",
        "hello",
        "root: not let in",
        "Stale",
        "recovered",
        "ended: 0",
        "unmounted",
        "NoHelper",
    ]
    .into_iter()
    .enumerate()
    {
        let found = said.lines().nth(line).unwrap_or_default();
        assert!(found.contains(expected), "{expected} in {said}{done:?}", done = done.stderr);
    }
    assert_eq!(said.lines().count(), 8, "{said}");
}
