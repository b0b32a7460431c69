//! Commands that run on changes: real programs, real files.

mod killed;

use std::fs::{read_to_string, write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::handler::{Handler, HandlerEnd, HandlerError, HandlerReport};

/// What a handler reported, as text.
fn reported(handler: Handler) -> (Handler, Receiver<String>) {
    let (send, receive) = channel();
    let handler = handler.debounce(Duration::from_millis(20)).report(move |report| {
        let line = match report {
            HandlerReport::Output { line, .. } => line.to_owned(),
            HandlerReport::Ended { path, end, failures, given_up } => {
                format!("{path} {end}, {failures} before, given up: {given_up}")
            }
            _ => return,
        };
        // Nobody listens any more at the end of a test.
        let _ = send.send(line);
    });
    (handler, receive)
}

/// The lines up to one that is so.
fn until(lines: &Receiver<String>, is_so: impl Fn(&str) -> bool) -> Vec<String> {
    let mut seen = Vec::new();
    let end = Instant::now() + Duration::from_secs(30);
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        let found = is_so(&line);
        seen.push(line);
        if found {
            return seen;
        }
    }
    panic!("it did not come; this did: {seen:#?}");
}

/// A handler that runs a line of shell.
fn shell(subtree: &str, script: &str) -> Handler {
    Handler::new(subtree, "sh").arguments(["-c", script])
}

#[test]
fn what_is_there_what_comes_and_what_goes_is_handled() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/vms/web/spec", "2 cores").unwrap();
    let script =
        "echo $BASEFS_EVENT_TYPE $BASEFS_EVENT_PATH $BASEFS_EVENT_VERSION $BASEFS_EVENT_AUTHOR";
    let (handler, lines) = reported(shell("/vms", script));
    let running = handler.start(&fs).unwrap();
    until(&lines, |line| line.starts_with("present /vms/web/spec "));
    let version = fs.write("/vms/db/spec", "4 cores").unwrap();
    until(&lines, |line| line == format!("created /vms/db/spec {version} {}", fs.author()));
    let version = fs.write("/vms/db/spec", "8 cores").unwrap();
    until(&lines, |line| line == format!("modified /vms/db/spec {version} {}", fs.author()));
    fs.remove("/vms/db/spec").unwrap();
    until(&lines, |line| line == format!("removed /vms/db/spec {}", fs.author()));
    fs.write("/other", "nobody's business").unwrap();
    fs.write("/vms/end", "").unwrap();
    let seen = until(&lines, |line| line.starts_with("created /vms/end "));
    assert!(!seen.iter().any(|line| line.contains("/other")), "{seen:?}");
    running.stop();
}

#[test]
fn a_burst_is_handled_once_with_the_last_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::open(dir.path().join("data")).unwrap();
    let (handler, lines) = reported(shell("/counter", "echo $BASEFS_EVENT_VERSION"));
    let running = handler.debounce(Duration::from_millis(300)).start(&fs).unwrap();
    let mut last = fs.write("/counter", "0").unwrap();
    for number in 1..20 {
        last = fs.write("/counter", format!("{number}")).unwrap();
    }
    let seen = until(&lines, |line| line == last.to_string());
    let runs = seen.iter().filter(|line| line.contains("done")).count();
    assert!(runs <= 3, "twenty writes within a moment: {seen:?}");
    running.stop();
}

#[test]
fn what_fails_is_tried_again_and_given_up_and_a_change_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (tries, good) = (dir.path().join("tries"), dir.path().join("good"));
    let fs = Fs::in_memory().unwrap();
    let script = format!("echo x >> {}; test -e {}", tries.display(), good.display());
    let (handler, lines) = reported(shell("/job", &script));
    let running = handler.attempts(2).start(&fs).unwrap();
    fs.write("/job", "1").unwrap();
    until(&lines, |line| line == "/job failed with code 1, 0 before, given up: false");
    until(&lines, |line| line == "/job failed with code 1, 1 before, given up: true");
    assert_eq!(read_to_string(&tries).unwrap().lines().count(), 2);
    write(&good, "").unwrap();
    fs.write("/job", "2").unwrap();
    until(&lines, |line| line == "/job done, 0 before, given up: false");
    running.stop();
}

#[test]
fn what_hangs_is_ended_and_holds_nobody_up() {
    let fs = Fs::in_memory().unwrap();
    let script = "case $BASEFS_EVENT_PATH in */slow) sleep 60 & wait;; *) echo quick;; esac";
    let (handler, lines) = reported(shell("/jobs", script));
    let brief = Duration::from_millis(700);
    let running = handler.time_limit(brief).attempts(1).start(&fs).unwrap();
    fs.write("/jobs/slow", "").unwrap();
    fs.write("/jobs/quick", "").unwrap();
    let seen = until(&lines, |line| line.starts_with("/jobs/slow took too long"));
    assert!(seen.iter().any(|line| line == "quick"), "{seen:?}");
    // Stopping does not wait for what hangs either.
    fs.write("/jobs/slow", "again").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    running.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_program_that_is_not_there_is_reported() {
    let fs = Fs::in_memory().unwrap();
    fs.write("/a", "").unwrap();
    let (handler, lines) = reported(Handler::new("/a", "/nowhere/at-all"));
    let running = handler.attempts(1).start(&fs).unwrap();
    let end = HandlerEnd::NotStarted(std::io::ErrorKind::NotFound);
    until(&lines, |line| line.starts_with(&format!("/a {end}")));
    running.stop();
}

/// Handles all that changes, and gives the paths that were.
fn handle_all(fs: &Fs, file: &Path, last: &str) -> Vec<String> {
    let (handler, lines) = reported(shell("/", "echo $BASEFS_EVENT_TYPE $BASEFS_EVENT_PATH"));
    let running = handler.remember(file).start(fs).unwrap();
    let seen = until(&lines, |line| line.ends_with(last));
    // Until that is done, it is not handled.
    until(&lines, |line| line.starts_with(last));
    running.stop();
    seen
}

#[test]
fn what_was_handled_is_remembered_and_what_was_not_is_handled() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("handled"));
    let fs = Fs::open(&data).unwrap();
    fs.write("/first", "").unwrap();
    let seen = handle_all(&fs, &file, "/first");
    assert!(seen.iter().any(|line| line == "present /first"));
    fs.write("/second", "").unwrap();
    fs.remove("/first").unwrap();
    drop(fs);
    let fs = Fs::open(&data).unwrap();
    let seen = handle_all(&fs, &file, "/second");
    assert!(seen.iter().any(|line| line == "present /second"), "{seen:?}");
    fs.write("/third", "").unwrap();
    let seen = handle_all(&fs, &file, "/third");
    assert!(!seen.iter().any(|line| line.contains("/second")), "{seen:?}");
}

#[test]
fn a_file_that_says_something_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("handled");
    write(&file, "my diary").unwrap();
    let fs = Fs::in_memory().unwrap();
    let refused = Handler::new("/", "true").remember(&file).start(&fs).unwrap_err();
    assert!(matches!(&refused, HandlerError::Remembered { file: named, .. } if *named == file));
    assert_eq!(read_to_string(&file).unwrap(), "my diary");
    // And one of another replica means that everything is handled.
    let (one, two) = (Fs::in_memory().unwrap(), Fs::in_memory().unwrap());
    std::fs::remove_file(&file).unwrap();
    one.write("/a", "").unwrap();
    handle_all(&one, &file, "/a");
    two.write("/b", "").unwrap();
    let seen = handle_all(&two, &file, "/b");
    assert!(seen.iter().any(|line| line == "present /b"), "{seen:?}");
}
