//! A process with a handler that is killed again and again: everything is handled.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use basefs::Fs;
use basefs::handler::Handler;

/// Where the process finds its directory.
const DIR: &str = "BASEFS_TEST_HANDLER_DIR";

/// How often it is killed.
fn kills() -> u32 {
    let kills = std::env::var("BASEFS_KILLS").ok();
    kills.map_or(15, |kills| kills.parse().expect("BASEFS_KILLS is a number"))
}

/// Writes a file every few milliseconds, and has each handled.
fn work(dir: &Path) {
    let fs = Fs::open(dir.join("data")).unwrap();
    let script = format!("echo $BASEFS_EVENT_PATH >> {}", dir.join("handled").display());
    let handler = Handler::new("/", "sh").arguments(["-c", &script]).remember(dir.join("cursor"));
    let _running = handler.debounce(Duration::from_millis(5)).start(&fs).unwrap();
    for number in 0_u64.. {
        fs.write(format!("/files/{}-{number}", std::process::id()), "x").unwrap();
        std::thread::sleep(Duration::from_millis(8));
    }
}

#[test]
#[ignore = "the other process of a test"]
fn child_handles() {
    if let Ok(dir) = std::env::var(DIR) {
        work(Path::new(&dir));
    }
}

#[test]
fn whoever_is_killed_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..kills() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "handler::killed::child_handles"])
            .env(DIR, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(600 + u64::from(round * 97 % 700)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // Whatever is left is handled by one that lives.
    let fs = Fs::open(dir.path().join("data")).unwrap();
    let script = format!("echo $BASEFS_EVENT_PATH >> {}", dir.path().join("handled").display());
    let handler = Handler::new("/", "sh").arguments(["-c", &script]);
    let running = handler.remember(dir.path().join("cursor")).start(&fs).unwrap();
    let written: BTreeSet<String> =
        fs.walk("/files").unwrap().map(|entry| entry.path().to_owned()).collect();
    assert!(written.len() > kills() as usize, "{}", written.len());
    let missing = || -> Vec<String> {
        let handled = std::fs::read_to_string(dir.path().join("handled")).unwrap_or_default();
        let handled: BTreeSet<&str> = handled.lines().collect();
        written.iter().filter(|path| !handled.contains(path.as_str())).cloned().collect()
    };
    for _ in 0..600 {
        if missing().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(missing(), Vec::<String>::new(), "of {}", written.len());
    running.stop();
}
