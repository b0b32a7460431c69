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
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::HandlerEnd;

/// How long a command that was told to end may take before it is killed, and how long its output is
/// waited for once it has ended.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether a command has ended: a handler runs for longer than this.
const LOOK: Duration = Duration::from_millis(10);
/// The longest line of output that is passed on; longer ones are cut into pieces.
const MAX_LINE: u64 = 8 << 10;
/// The most lines of one run that are passed on; further ones are read and counted.
const MAX_LINES: usize = 1_000;
/// As many lines have been read when nobody listens any more.
const CLOSED: usize = usize::MAX / 2;

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
        let deadline = Instant::now() + GRACE;
        // A process that left the group may keep the pipes open for as long as it likes.
        while readers.iter().flatten().flatten().any(|reader| !reader.is_finished())
            && Instant::now() < deadline
        {
            thread::sleep(LOOK);
        }
        let read = core::mem::replace(&mut *budget.lock(), CLOSED);
        if read > MAX_LINES {
            lines(&alloc::format!("({} more lines)", read - MAX_LINES));
        }
        end
    }
}

/// Waits until a command ends, or ends it; nothing of its group is left then.
fn wait(child: &mut Child, time: Duration, stop: &dyn Fn() -> bool) -> HandlerEnd {
    let deadline = Instant::now() + time;
    let mut told = None;
    while !has_ended(child) {
        let now = Instant::now();
        match told {
            None if stop() => told = Some((HandlerEnd::Stopped, now)),
            None if now >= deadline => told = Some((HandlerEnd::TimedOut, now)),
            None => {}
            Some((_, since)) if now - since >= GRACE => break,
            Some(_) => {}
        }
        if told.is_some_and(|(_, since)| since == now) {
            kill(child, Signal::TERM);
        }
        thread::sleep(LOOK);
    }
    // Before it is reaped: until then its number, and so that of the group, is nobody else's.
    kill(child, Signal::KILL);
    match (told, child.wait()) {
        (Some((end, _)), _) => end,
        (None, Ok(status)) => ended(status),
        (None, Err(error)) => HandlerEnd::NotStarted(error.kind()),
    }
}

/// Whether a command has ended, without reaping it.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // If it cannot be asked, waiting for it will say why.
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
}

/// Sends a signal to all of a group; those that are gone do not mind.
fn kill(child: &Child, signal: Signal) {
    let _ = kill_process_group(Pid::from_child(child), signal);
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
        // Who leaves the group is not ended, and holds nobody up.
        let (end, _, took) = shell("setsid sleep 8 & exit 0", LONG);
        assert_eq!(end, HandlerEnd::Done);
        assert!(took < Duration::from_secs(5), "{took:?}");
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
