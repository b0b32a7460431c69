//! A handler that runs: one thread that decides, one that listens to the watch, and one for each
//! command.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::process::{Lines, Run};
use super::schedule::{Job, Outcome, Schedule};
use super::{Handler, HandlerEnd, HandlerError, HandlerReport};
use crate::fs::{ChangeKind, Fs, PathChange, Watch, WatchEvent, WatchFrom};
use crate::id::{EntryId, PublicKey};
use crate::time::Timestamp;

/// Events between the watch and the schedule; more wait in the watch, which has a limit and says
/// when it is reached.
const AHEAD: usize = 256;
/// How often the thread that listens looks whether it is to stop.
const LISTEN: Duration = Duration::from_millis(500);

/// What wakes the thread that decides.
enum Message {
    Event(WatchEvent),
    /// A run has ended, or all are to.
    Look,
}

/// What happened to a path, without the path.
#[derive(Clone, Debug)]
struct Happened {
    kind: ChangeKind,
    version: Option<EntryId>,
    author: Option<PublicKey>,
}

impl From<&PathChange> for Happened {
    fn from(change: &PathChange) -> Self {
        Self { kind: change.kind, version: change.after, author: change.author }
    }
}

/// A handler that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningHandler {
    stopping: Arc<AtomicBool>,
    wake: SyncSender<Message>,
    threads: Vec<JoinHandle<()>>,
}

impl RunningHandler {
    pub(super) fn start(handler: Handler, fs: &Fs) -> Result<Self, HandlerError> {
        let watch = fs.watch(&handler.subtree, WatchFrom::Snapshot).map_err(HandlerError::Watch)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (wake, messages) = sync_channel(AHEAD);
        let (ended, ends) = channel();
        let decider = Decider {
            schedule: Schedule::new(handler.limits),
            handler,
            fs: fs.clone(),
            stopping: Arc::clone(&stopping),
            wake: wake.clone(),
            ended,
            ends,
            running: 0,
            start: Instant::now(),
        };
        let named = |name: &str| thread::Builder::new().name(name.into());
        let mut running =
            Self { stopping: Arc::clone(&stopping), wake: wake.clone(), threads: Vec::new() };
        let listen = move || listen(&watch, &wake, &stopping);
        let decide = move || decider.run(&messages);
        let decides = named("basefs-handler").spawn(decide).map_err(HandlerError::Thread)?;
        running.threads.push(decides);
        let listens = named("basefs-handler-watch").spawn(listen).map_err(HandlerError::Thread)?;
        running.threads.push(listens);
        Ok(running)
    }

    /// Ends what runs, and waits until it has ended.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for RunningHandler {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Full of events, it wakes as well.
        let _ = self.wake.try_send(Message::Look);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Passes on what the watch tells, until it is stopped.
fn listen(watch: &Watch, wake: &SyncSender<Message>, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        if let Some(event) = watch.next_blocking(LISTEN)
            && wake.send(Message::Event(event)).is_err()
        {
            return;
        }
    }
}

/// Decides what runs.
struct Decider {
    handler: Handler,
    fs: Fs,
    schedule: Schedule<Happened>,
    stopping: Arc<AtomicBool>,
    wake: SyncSender<Message>,
    /// How runs end. They must not wait for room among the events, which wait for them.
    ended: Sender<(String, u32, HandlerEnd)>,
    ends: Receiver<(String, u32, HandlerEnd)>,
    running: usize,
    start: Instant,
}

impl Decider {
    fn now(&self) -> Timestamp {
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Timestamp::from_micros(micros)
    }

    fn run(mut self, messages: &Receiver<Message>) {
        while !self.stopping.load(Ordering::Acquire) {
            let wait = self.schedule.next_due().map_or(LISTEN, |due| due - self.now());
            match messages.recv_timeout(wait.min(LISTEN)) {
                Ok(Message::Event(event)) => self.take(event),
                Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok((path, failures, end)) = self.ends.try_recv() {
                self.ended(&path, failures, end);
            }
            let now = self.now();
            self.schedule.take_due(now).into_iter().for_each(|job| self.begin(job));
        }
        self.stopping.store(true, Ordering::Release);
        while self.running > 0
            && let Ok((path, failures, end)) = self.ends.recv()
        {
            self.ended(&path, failures, end);
        }
    }

    fn take(&mut self, event: WatchEvent) {
        let now = self.now();
        match event {
            WatchEvent::Change(change) => {
                let happened = Happened::from(&change);
                self.schedule.changed(now, change.path, happened);
            }
            WatchEvent::Resync => self.look_again(),
            WatchEvent::SnapshotEnd => {}
        }
    }

    /// Events were lost: everything that is there may have changed.
    fn look_again(&mut self) {
        let now = self.now();
        let Ok(walk) = self.fs.walk(&self.handler.subtree) else { return };
        for entry in walk {
            let version = entry.metadata().version();
            let happened = Happened { kind: ChangeKind::Present, version, author: None };
            self.schedule.changed(now, entry.path().to_string(), happened);
        }
    }

    /// Starts a command in a thread of its own.
    fn begin(&mut self, job: Job<Happened>) {
        let Job { path, event: Happened { kind, version, author }, failures } = job;
        // It may be gone by now, or be there again.
        let there = self.fs.metadata(&path).ok().and_then(|metadata| metadata.version());
        let kind = match (kind, there) {
            (ChangeKind::Removed, Some(_)) => ChangeKind::Created,
            (_, None) => ChangeKind::Removed,
            (kind, Some(_)) => kind,
        };
        let shown = there.map_or(String::new(), |version| version.to_string());
        // Whoever wrote another version than the one that shows is not its author.
        let author = author.filter(|_| there == version || there.is_none());
        let environment = [
            ("BASEFS_EVENT_TYPE", word(kind).into()),
            ("BASEFS_EVENT_PATH", path.clone()),
            ("BASEFS_EVENT_VERSION", shown),
            ("BASEFS_EVENT_AUTHOR", author.map_or(String::new(), |author| author.to_string())),
        ];
        let Handler { program, arguments, time, report, .. } = self.handler.clone();
        let run = Run { program, arguments, environment: environment.into(), time };
        let (ended, stopping) = (self.ended.clone(), Arc::clone(&self.stopping));
        let (wake, started) = (self.wake.clone(), path.clone());
        self.running += 1;
        let task = move || {
            report(HandlerReport::Started { path: &path, kind });
            let lines: Lines = {
                let (report, path) = (Arc::clone(&report), path.clone());
                Arc::new(move |line| report(HandlerReport::Output { path: &path, line }))
            };
            let end = run.run(&lines, &|| stopping.load(Ordering::Acquire));
            let _ = ended.send((path, failures, end));
            // Full of events, it wakes as well.
            let _ = wake.try_send(Message::Look);
        };
        if thread::Builder::new().name("basefs-handler-run".into()).spawn(task).is_err() {
            self.ended(&started, failures, HandlerEnd::NotStarted(std::io::ErrorKind::WouldBlock));
        }
    }

    fn ended(&mut self, path: &str, failures: u32, end: HandlerEnd) {
        self.running -= 1;
        let outcome = if end == HandlerEnd::Done { Outcome::Done } else { Outcome::Failed };
        let given_up = if end == HandlerEnd::Stopped {
            false
        } else {
            let now = self.now();
            self.schedule.ended(now, path, outcome)
        };
        (self.handler.report)(HandlerReport::Ended { path, end, failures, given_up });
    }
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Present => "present",
        ChangeKind::Created => "created",
        ChangeKind::Modified => "modified",
        ChangeKind::Removed => "removed",
    }
}
