//! One run of a command: its environment, its output, its end.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};

use super::HandlerEnd;

/// How long a command that was told to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether a command has ended: a handler runs for longer than this.
const LOOK: Duration = Duration::from_millis(10);
/// The longest line of output that is passed on; longer ones are cut into pieces.
const MAX_LINE: u64 = 8 << 10;
/// The most lines of one run that are passed on; further ones are read and counted.
const MAX_LINES: usize = 1_000;

/// What is run, and with what around it.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) time: Duration,
}

/// Takes the lines that a run prints.
pub(super) type Lines = Arc<dyn Fn(&str) + Send + Sync>;

impl Run {
    /// Runs it to its end, or until its time is up or `stop` says so.
    pub(super) fn run(&self, lines: &Lines, stop: &dyn Fn() -> bool) -> HandlerEnd {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: what it starts ends with it.
        command.process_group(0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return HandlerEnd::NotStarted(error.kind()),
        };
        let budget = Arc::new(Mutex::new(0));
        let readers = [
            child.stdout.take().map(|pipe| read_lines(pipe, lines, &budget)),
            child.stderr.take().map(|pipe| read_lines(pipe, lines, &budget)),
        ];
        let end = wait(&mut child, self.time, stop);
        // Whatever of the group is left holds the pipes open.
        kill(&child, Signal::KILL);
        for reader in readers.into_iter().flatten().flatten() {
            drop(reader.join());
        }
        let dropped = budget.lock().saturating_sub(MAX_LINES);
        if dropped > 0 {
            lines(&alloc::format!("({dropped} more lines)"));
        }
        end
    }
}

fn wait(child: &mut Child, time: Duration, stop: &dyn Fn() -> bool) -> HandlerEnd {
    let deadline = Instant::now() + time;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return ended(status),
            Ok(None) => {}
            Err(error) => return HandlerEnd::NotStarted(error.kind()),
        }
        let is_stopped = stop();
        if is_stopped || Instant::now() >= deadline {
            end(child);
            return if is_stopped { HandlerEnd::Stopped } else { HandlerEnd::TimedOut };
        }
        thread::sleep(LOOK);
    }
}

/// Asks a group to end, and then makes it.
fn end(child: &mut Child) {
    kill(child, Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(LOOK);
    }
    kill(child, Signal::KILL);
    // Nothing survives that, and who waits for the disk is waited for.
    drop(child.wait());
}

/// Sends a signal to all of a group; those that are gone do not mind.
fn kill(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process_group(pid, signal);
    }
}

fn ended(status: ExitStatus) -> HandlerEnd {
    match (status.code(), status.signal()) {
        (Some(0), _) => HandlerEnd::Done,
        (Some(code), _) => HandlerEnd::Failed(code),
        (None, signal) => HandlerEnd::Killed(signal.unwrap_or(0)),
    }
}

/// Passes on what a pipe brings, line by line, in a thread of its own.
fn read_lines(
    pipe: impl Read + Send + 'static,
    lines: &Lines,
    count: &Arc<Mutex<usize>>,
) -> Option<thread::JoinHandle<()>> {
    let (lines, count) = (Arc::clone(lines), Arc::clone(count));
    let read = move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while next_line(&mut pipe, &mut line).is_ok_and(|length| length > 0) {
            let passes = {
                let mut count = count.lock();
                *count += 1;
                *count <= MAX_LINES
            };
            if passes {
                lines(String::from_utf8_lossy(&line).trim_end());
            }
            line.clear();
        }
    };
    thread::Builder::new().name("basefs-handler-output".into()).spawn(read).ok()
}

fn next_line(pipe: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    pipe.by_ref().take(MAX_LINE).read_until(b'\n', line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time: Duration) -> (HandlerEnd, Vec<String>, Duration) {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let lines: Lines = {
            let printed = Arc::clone(&printed);
            Arc::new(move |line| printed.lock().push(String::from(line)))
        };
        let run = Run {
            program: "sh".into(),
            arguments: ["-c", script].map(OsString::from).into(),
            environment: [("BASEFS_EVENT_PATH", String::from("/a b"))].into(),
            time,
        };
        let start = Instant::now();
        let end = run.run(&lines, &|| false);
        let printed = printed.lock().clone();
        (end, printed, start.elapsed())
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_it_prints_and_how_it_ends_is_told() {
        let (end, printed, _) = shell("echo \"$BASEFS_EVENT_PATH\"; echo no >&2; exit 3", LONG);
        assert_eq!(end, HandlerEnd::Failed(3));
        assert!(printed.contains(&"/a b".into()) && printed.contains(&"no".into()));
        assert_eq!(shell("true", LONG).0, HandlerEnd::Done);
        assert_eq!(shell("kill -9 $$", LONG).0, HandlerEnd::Killed(9));
        let nothing = Run {
            program: "/nowhere/at-all".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            time: LONG,
        };
        let lines: Lines = Arc::new(|_| {});
        assert_eq!(nothing.run(&lines, &|| false), HandlerEnd::NotStarted(io::ErrorKind::NotFound));
    }

    #[test]
    fn what_hangs_is_ended_with_all_that_it_started() {
        let brief = Duration::from_millis(200);
        let (end, _, took) = shell("sleep 60 & sleep 60", brief);
        assert_eq!(end, HandlerEnd::TimedOut);
        assert!(took < Duration::from_secs(2), "asked to end, it does: {took:?}");
        let (end, _, took) = shell("trap '' TERM; sleep 60 & wait; sleep 60", brief);
        assert_eq!(end, HandlerEnd::TimedOut);
        assert!(took < Duration::from_secs(5), "killed: {took:?}");
        // What it left in the background does not hold anybody up either.
        let (end, _, took) = shell("sleep 60 & exit 0", LONG);
        assert_eq!(end, HandlerEnd::Done);
        assert!(took < Duration::from_secs(2), "{took:?}");
    }

    #[test]
    fn a_flood_is_cut_short() {
        let (end, printed, _) = shell("yes | head -n 100000; head -c 20000 /dev/zero", LONG);
        assert_eq!(end, HandlerEnd::Done);
        assert_eq!(printed.len(), MAX_LINES + 1);
        assert_eq!(printed[MAX_LINES], "(99003 more lines)");
    }
}
