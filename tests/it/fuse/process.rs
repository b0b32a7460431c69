//! The example as a person runs it, and ends it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fuse::{Mount, MountError, MountOptions};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use super::{World, errno};

/// Long enough for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn binary() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let target = deps.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--features", "fuse", "--example", "mount"]);
    if target.ends_with("release") {
        cargo.arg("--release");
    }
    // What is said of this package would make build scripts of others run again.
    let of_package =
        |name: &str| name.starts_with("CARGO_PKG") || name.starts_with("CARGO_MANIFEST");
    for (name, _) in std::env::vars().filter(|(name, _)| of_package(name)) {
        cargo.env_remove(name);
    }
    assert!(cargo.status().unwrap().success());
    target.join("examples/mount")
}

/// Runs the example until it says that it has mounted.
fn run(arguments: &[&str], data: &Path, dir: &Path) -> Child {
    let mut command = Command::new(binary());
    command.args(arguments).args([data, dir]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.ends_with("is mounted; interrupt to unmount it\n"), "{line}");
    child
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_unmounts_and_nothing_is_lost() {
    if !super::can_mount() {
        return;
    }
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = data.path().join("replica");
    for (name, signal) in [("int", Signal::INT), ("term", Signal::TERM)] {
        let mut child = run(&[], &data, dir.path());
        fs::write(dir.path().join(name), name).unwrap();
        send(&child, signal);
        assert!(child.wait().unwrap().success());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "it is not mounted any more");
    }
    let hierarchy = Fs::open(&data).unwrap();
    assert_eq!(hierarchy.read("/int").unwrap(), "int");
    assert_eq!(hierarchy.read("/term").unwrap(), "term");
    let version = hierarchy.version().unwrap().to_string();
    hierarchy.remove("/int").unwrap();
    drop(hierarchy);

    let mut child = run(&["--at", &version], &data, dir.path());
    assert_eq!(fs::read_to_string(dir.path().join("int")).unwrap(), "int");
    assert_eq!(errno(fs::write(dir.path().join("x"), "")), Some(30));
    // Somebody else unmounts it.
    unmount(dir.path(), UnmountFlags::empty()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_program_that_died_leaves_a_mount_that_is_told_of() {
    if !super::can_mount() {
        return;
    }
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = run(&[], data.path(), dir.path());
    let synced = fs::File::create(dir.path().join("synced")).unwrap();
    synced.sync_all().unwrap();
    drop(synced);
    child.kill().unwrap();
    child.wait().unwrap();
    let hierarchy = Fs::open(data.path()).unwrap();
    assert!(hierarchy.exists("/synced"), "what `fsync` promised is there");
    let start = Instant::now();
    while fs::read_dir(dir.path()).is_ok() && start.elapsed() < PATIENCE {
        sleep(Duration::from_millis(5));
    }
    // Nobody hangs: whatever is asked of it is refused.
    for asked in [
        errno(fs::read_dir(dir.path())),
        errno(fs::read(dir.path().join("synced"))),
        errno(fs::write(dir.path().join("more"), "")),
    ] {
        assert_eq!(asked, Some(107), "ENOTCONN");
    }
    let spawn = || Mount::spawn(&hierarchy, dir.path(), &MountOptions::default());
    let refused = spawn().map(drop);
    unmount(dir.path(), UnmountFlags::DETACH).unwrap();
    assert!(matches!(refused, Err(MountError::Stale { .. })), "{refused:?}");
    let said = refused.unwrap_err().to_string();
    assert!(said.ends_with(&format!("`fusermount3 -u {}` first", dir.path().display())), "{said}");
    let mount = spawn().unwrap();
    assert!(mount.is_mounted() && dir.path().join("synced").exists());
    unmount(dir.path(), UnmountFlags::empty()).unwrap();
    mount.join().unwrap();
}

#[test]
fn a_full_disk_is_told_while_writing() {
    let mut options = MountOptions::default();
    // Of this file system it is said that nothing fits in.
    options.data_dir = Some("/proc".into());
    let Some(world) = World::mount(Fs::in_memory().unwrap(), &options) else { return };
    assert_eq!(errno(fs::write(world.at("/f"), "x")), Some(28));
    assert!(fs::create_dir(world.at("/d")).is_ok(), "names are small");
}

#[test]
fn a_mount_that_is_read_only_says_so() {
    let mut options = MountOptions::default();
    options.read_only = true;
    let hierarchy = Fs::in_memory().unwrap();
    hierarchy.write("/f", "1").unwrap();
    let Some(world) = World::mount(hierarchy, &options) else { return };
    for refused in [
        errno(fs::write(world.at("/f"), "2")),
        errno(fs::write(world.at("/g"), "2")),
        errno(fs::create_dir(world.at("/d"))),
        errno(fs::remove_file(world.at("/f"))),
        errno(fs::rename(world.at("/f"), world.at("/g"))),
    ] {
        assert_eq!(refused, Some(30));
    }
    world.fs.write("/f", "22").unwrap();
    let start = Instant::now();
    while fs::read_to_string(world.at("/f")).unwrap() != "22" {
        assert!(start.elapsed() < PATIENCE, "what others change shows");
    }
}
