//! A handler that runs: one thread that decides, one that listens to the watch, and one for each
//! command.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::process::{Lines, Run};
use super::saved::Saved;
use super::schedule::{Job, Outcome, Schedule};
use super::{Handler, HandlerEnd, HandlerError, HandlerReport};
use crate::fs::{ChangeKind, Fs, Metadata, ResyncReason, Watch, WatchEvent, WatchFrom};
use crate::id::{EntryId, PublicKey};
use crate::time::Timestamp;

/// Events between the watch and the schedule; more wait in the watch, which has a limit and says
/// when it is reached.
const AHEAD: usize = 256;
/// How often the thread that listens looks whether it is to stop.
const LISTEN: Duration = Duration::from_millis(500);

/// How often what was handled is written down.
const SAVE: Duration = Duration::from_secs(1);

/// What wakes the thread that decides.
enum Message {
    Event(Box<WatchEvent>),
    /// A run has ended, or all are to.
    Look,
}

/// Under which name a lost past waits to be handled: no path is empty.
const RESYNC: &str = "";

#[derive(Clone, Copy, Debug)]
enum What {
    Change(ChangeKind),
    Resync,
}

/// What happened to a path, without the path.
#[derive(Clone, Debug)]
struct Happened {
    what: What,
    version: Option<EntryId>,
    author: Option<PublicKey>,
}

/// A handler that runs until it is stopped or dropped.
///
/// ```
/// use basefs::handler::Handler;
///
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/jobs/1", "")?;
/// let running = Handler::new("/jobs", "sleep").arguments(["60"]).start(&fs)?;
/// running.stop(); // ends the command too, and returns when it has ended
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunningHandler {
    stopping: Arc<AtomicBool>,
    wake: SyncSender<Message>,
    threads: Vec<JoinHandle<()>>,
}

impl RunningHandler {
    pub(super) fn start(handler: Handler, fs: &Fs) -> Result<Self, HandlerError> {
        let file = handler.remembered.clone();
        let last = match &file {
            None => None,
            Some(file) => Saved::read(file)
                .map_err(|error| HandlerError::Remembered { file: file.clone(), error })?,
        };
        let from = last.map_or(WatchFrom::Snapshot, WatchFrom::After);
        let watch = fs.watch(&handler.subtree, from).map_err(HandlerError::Watch)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (wake, messages) = sync_channel(AHEAD);
        let (ended, ends) = channel();
        let decider = Decider {
            schedule: Schedule::new(handler.limits),
            saved: Saved::new(file, last),
            saved_at: Instant::now(),
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
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerEnd, HandlerReport};
    /// use std::sync::mpsc;
    ///
    /// # let fs = basefs::Fs::in_memory()?;
    /// fs.write("/jobs/1", "")?;
    /// let (send, reports) = mpsc::channel();
    /// let handler = Handler::new("/jobs/1", "sleep").arguments(["60"]).report(move |report| {
    ///     let _ = match report {
    ///         HandlerReport::Started { .. } => send.send(None),
    ///         HandlerReport::Ended { end, .. } => send.send(Some(end)),
    ///         _ => Ok(()),
    ///     };
    /// });
    /// let running = handler.start(&fs)?;
    /// assert_eq!(reports.recv()?, None); // it was started
    /// running.stop();
    /// assert_eq!(reports.recv()?, Some(HandlerEnd::Stopped));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            && wake.send(Message::Event(Box::new(event))).is_err()
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
    saved: Saved,
    saved_at: Instant,
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
                Ok(Message::Event(event)) => self.take(*event),
                Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok((path, failures, end)) = self.ends.try_recv() {
                self.ended(&path, failures, end);
            }
            let now = self.now();
            self.schedule.take_due(now).into_iter().for_each(|job| self.begin(job));
            if self.saved_at.elapsed() >= SAVE {
                self.save();
            }
        }
        self.stopping.store(true, Ordering::Release);
        while self.running > 0
            && let Ok((path, failures, end)) = self.ends.recv()
        {
            self.ended(&path, failures, end);
        }
        self.save();
    }

    fn save(&mut self) {
        self.saved_at = Instant::now();
        if let Err(error) = self.saved.save(self.schedule.handled()) {
            (self.handler.report)(HandlerReport::NotRemembered { error: error.kind() });
        }
    }

    fn take(&mut self, event: WatchEvent) {
        let (now, cursor) = (self.now(), event.cursor());
        match event {
            WatchEvent::Change(change) => {
                let what = What::Change(change.kind);
                let happened = Happened { what, version: change.after, author: change.author };
                self.schedule.changed(now, change.path, happened);
            }
            WatchEvent::Resync { reason, .. } if reason != ResyncReason::Initial => {
                let happened = Happened { what: What::Resync, version: None, author: None };
                self.schedule.changed(now, RESYNC.to_string(), happened);
            }
            // What does not show, who may write and who disagrees is not a handler's business.
            _ => {}
        }
        self.saved.note(self.schedule.count(), cursor);
    }

    /// Starts a command in a thread of its own.
    fn begin(&mut self, job: Job<Happened>) {
        let Job { path, event, failures } = job;
        let (word, shown, author) = self.describe(&path, &event);
        let told = if path == RESYNC { self.handler.subtree.clone() } else { path.clone() };
        let environment = [
            ("BASEFS_EVENT_TYPE", word.into()),
            ("BASEFS_EVENT_PATH", told),
            ("BASEFS_EVENT_VERSION", shown),
            ("BASEFS_EVENT_AUTHOR", author),
        ];
        let Handler { program, arguments, time, report, .. } = self.handler.clone();
        let run = Run { program, arguments, environment: environment.into(), time };
        let (ended, stopping) = (self.ended.clone(), Arc::clone(&self.stopping));
        let (wake, started) = (self.wake.clone(), path.clone());
        self.running += 1;
        let task = move || {
            report(HandlerReport::Started { path: &path, kind: word });
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

    /// Type, version and author of what happened to a path, as things are now: it may be gone since,
    /// or be there again.
    fn describe(&self, path: &str, happened: &Happened) -> (&'static str, String, String) {
        let What::Change(kind) = happened.what else {
            return ("resync", String::new(), String::new());
        };
        let there = self.fs.metadata(path).ok();
        let version = there.as_ref().and_then(Metadata::version);
        let kind = match (kind, there.is_some()) {
            (ChangeKind::Removed, true) => ChangeKind::Created,
            (_, false) => ChangeKind::Removed,
            (kind, true) => kind,
        };
        // Whoever wrote another version than the one that shows is not its author.
        let author = happened.author.filter(|_| version == happened.version || there.is_none());
        let text = |version: EntryId| version.to_string();
        let author = author.map_or(String::new(), |author| author.to_string());
        (word(kind), version.map_or(String::new(), text), author)
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
