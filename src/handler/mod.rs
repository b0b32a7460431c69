//! Running a command whenever something changes in a subtree.
//!
//! A [`Handler`] watches a subtree and runs a program for each path that changes. Changes that
//! come close together are one run; of one path there is one run at a time; what fails is run again
//! after a pause that doubles; what hangs is ended, with everything that it started. A path shows
//! only versions whose content is here, so a handler never sees half a file.
//!
//! The program is told what happened in its environment:
//!
//! | variable | |
//! |---|---|
//! | `BASEFS_EVENT_TYPE` | `present` (it is there: a handler starts, or continues, or lost count), `created`, `modified`, `removed`, or `resync` |
//! | `BASEFS_EVENT_PATH` | the path in the hierarchy |
//! | `BASEFS_EVENT_VERSION` | the version that shows now; empty if none does |
//! | `BASEFS_EVENT_AUTHOR` | the key of whoever wrote or removed it; empty if that is unknown |
//!
//! The content is not passed on: a handler reads what it needs, and sees the latest.
//!
//! `resync`, with the subtree as its path, says that the past cannot be told any more (the replica
//! is another one than before, or a revoke changed too much at once): everything that is there is
//! `present` once more, and of what is not, nobody says that it is gone.

mod process;
mod run;
mod saved;
mod schedule;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use crate::fs::{Fs, ReadError};

pub use run::RunningHandler;

/// How long a run may take unless a handler says otherwise.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// When what is run; see the builder's methods.
#[derive(Clone, Copy, Debug)]
struct Limits {
    debounce: Duration,
    debounce_at_most: Duration,
    at_once: usize,
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(200),
            debounce_at_most: Duration::from_secs(2),
            at_once: 4,
            attempts: 10,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
        }
    }
}

/// How a run of a command ended.
///
/// ```
/// use basefs::Fs;
/// use basefs::handler::{Handler, HandlerEnd, HandlerReport};
/// use std::sync::mpsc;
///
/// let fs = Fs::in_memory()?;
/// fs.write("/jobs/1", "")?;
/// let (send, ends) = mpsc::channel();
/// let report = move |report: HandlerReport<'_>| {
///     if let HandlerReport::Ended { end, given_up, .. } = report {
///         let _ = send.send((end, given_up));
///     }
/// };
/// let handler = Handler::new("/jobs/1", "sh").arguments(["-c", "exit 3"]);
/// let running = handler.attempts(1).report(report).start(&fs)?;
/// assert_eq!(ends.recv()?, (HandlerEnd::Failed(3), true));
/// running.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerEnd {
    /// It succeeded.
    Done,
    /// It returned another code than 0.
    Failed(i32),
    /// A signal ended it.
    Killed(i32),
    /// It took longer than it may, and was ended.
    TimedOut,
    /// The handler was stopped meanwhile, and ended it.
    Stopped,
    /// It could not be started.
    NotStarted(io::ErrorKind),
}

impl fmt::Display for HandlerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(code) => write!(f, "failed with code {code}"),
            Self::Killed(signal) => write!(f, "ended by signal {signal}"),
            Self::TimedOut => f.write_str("took too long and was ended"),
            Self::Stopped => f.write_str("was stopped"),
            Self::NotStarted(kind) => write!(f, "could not be started: {kind}"),
        }
    }
}

/// What a handler reports.
///
/// ```
/// use basefs::handler::{HandlerEnd, HandlerReport};
///
/// let told = |report: HandlerReport<'_>| match report {
///     HandlerReport::Started { path, kind } => format!("{path}: {kind}"),
///     HandlerReport::Output { path, line } => format!("{path}: says {line}"),
///     HandlerReport::Ended { path, end, .. } => format!("{path}: {end}"),
///     other => format!("{other:?}"),
/// };
/// let end = HandlerEnd::Failed(3);
/// let report = HandlerReport::Ended { path: "/a", end, failures: 0, given_up: false };
/// assert_eq!(told(report), "/a: failed with code 3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerReport<'a> {
    /// A command was started because of a path.
    Started {
        /// The path.
        path: &'a str,
        /// What happened to it, as in `BASEFS_EVENT_TYPE`.
        kind: &'static str,
    },
    /// A command printed a line.
    Output {
        /// The path that it was started for.
        path: &'a str,
        /// The line.
        line: &'a str,
    },
    /// A command has ended.
    Ended {
        /// The path that it was started for.
        path: &'a str,
        /// How.
        end: HandlerEnd,
        /// How often it failed before, since the path last changed.
        failures: u32,
        /// Whether it is not tried again before the path changes.
        given_up: bool,
    },
    /// What was handled could not be remembered: after a restart, more than necessary is handled
    /// again.
    NotRemembered {
        /// Why.
        error: io::ErrorKind,
    },
}

type Report = Arc<dyn Fn(HandlerReport<'_>) + Send + Sync>;

/// Why a handler does not start.
///
/// ```
/// use basefs::handler::{Handler, HandlerError};
///
/// let dir = tempfile::tempdir()?;
/// let file = dir.path().join("handled");
/// std::fs::write(&file, "something else")?;
/// let started = Handler::new("/", "true").remember(&file).start(&basefs::Fs::in_memory()?);
/// assert!(matches!(started, Err(HandlerError::Remembered { .. })));
/// assert_eq!(std::fs::read(&file)?, b"something else");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum HandlerError {
    /// The subtree cannot be watched.
    Watch(ReadError),
    /// The file that says what was handled cannot be read, or holds something else. Nothing was
    /// started, and the file is as it was.
    Remembered {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The system has no more threads for this process.
    Thread(io::Error),
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch(error) => error.fmt(f),
            Self::Remembered { file, .. } => {
                write!(f, "{} does not say what was handled", file.display())
            }
            Self::Thread(_) => f.write_str("no thread could be started"),
        }
    }
}

impl core::error::Error for HandlerError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Watch(error) => Some(error),
            Self::Remembered { error, .. } | Self::Thread(error) => Some(error),
        }
    }
}

/// A command to be run on changes, not running yet.
///
/// ```
/// use basefs::Fs;
/// use basefs::handler::{Handler, HandlerReport};
/// use std::sync::mpsc;
///
/// let fs = Fs::in_memory()?;
/// let (send, receive) = mpsc::channel();
/// let running = Handler::new("/users", "sh")
///     .arguments(["-c", "echo $BASEFS_EVENT_TYPE $BASEFS_EVENT_PATH"])
///     .report(move |report| {
///         if let HandlerReport::Output { line, .. } = report {
///             let _ = send.send(line.to_owned());
///         }
///     })
///     .start(&fs)?;
/// fs.write("/users/ana/info", "Ana, Barcelona")?;
/// assert!(receive.iter().any(|line| line == "created /users/ana/info"));
/// running.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a handler does nothing before it is started"]
pub struct Handler {
    subtree: String,
    program: OsString,
    arguments: Vec<OsString>,
    limits: Limits,
    time: Duration,
    remembered: Option<PathBuf>,
    report: Report,
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("subtree", &self.subtree)
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

impl Handler {
    /// Runs `program` for each path at or below `subtree`: for what is there, and then for what
    /// changes.
    ///
    /// ```
    /// use basefs::handler::Handler;
    ///
    /// # let fs = basefs::Fs::in_memory()?;
    /// fs.create_dir_all("/jobs")?;
    /// let running = Handler::new("/jobs", "/usr/local/bin/do-it").start(&fs)?;
    /// running.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(subtree: impl Into<String>, program: impl Into<OsString>) -> Self {
        Self {
            subtree: subtree.into(),
            program: program.into(),
            arguments: Vec::new(),
            limits: Limits::default(),
            time: TIME_LIMIT,
            remembered: None,
            report: Arc::new(|_| {}),
        }
    }

    /// With these arguments. They are passed on as they are; there is no shell between.
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerReport};
    /// use std::sync::mpsc;
    ///
    /// # let fs = basefs::Fs::in_memory()?;
    /// fs.write("/jobs/1", "")?;
    /// let (send, lines) = mpsc::channel();
    /// let report = move |report: HandlerReport<'_>| {
    ///     if let HandlerReport::Output { line, .. } = report {
    ///         let _ = send.send(line.to_owned());
    ///     }
    /// };
    /// let handler = Handler::new("/jobs/1", "echo").arguments(["a b", "$HOME", "*"]);
    /// let running = handler.report(report).start(&fs)?;
    /// assert_eq!(lines.recv()?, "a b $HOME *"); // no shell has touched them
    /// running.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Waits until a path has not changed for so long (200 ms), but ten times that at most.
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerReport};
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// # let fs = basefs::Fs::in_memory()?;
    /// let (send, lines) = mpsc::channel();
    /// let report = move |report: HandlerReport<'_>| {
    ///     if let HandlerReport::Output { line, .. } = report {
    ///         let _ = send.send(line.to_owned());
    ///     }
    /// };
    /// let handler = Handler::new("/log", "printenv").arguments(["BASEFS_EVENT_VERSION"]);
    /// let handler = handler.debounce(Duration::from_millis(300));
    /// let running = handler.report(report).start(&fs)?;
    /// fs.write("/log", "one")?;
    /// fs.write("/log", "one, two")?;
    /// let last = fs.write("/log", "one, two, three")?;
    /// assert_eq!(lines.recv()?, last.to_string()); // one run for all three
    /// running.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn debounce(mut self, pause: Duration) -> Self {
        self.limits.debounce = pause;
        self.limits.debounce_at_most = pause.saturating_mul(10);
        self
    }

    /// A run that takes longer is ended: asked to, and killed two seconds later. A minute unless
    /// said.
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::handler::{Handler, HandlerEnd, HandlerReport};
    /// use std::sync::mpsc;
    ///
    /// let fs = Fs::in_memory()?;
    /// fs.write("/jobs/1", "")?;
    /// let (send, ends) = mpsc::channel();
    /// let report = move |report: HandlerReport<'_>| {
    ///     if let HandlerReport::Ended { end, given_up, .. } = report {
    ///         let _ = send.send((end, given_up));
    ///     }
    /// };
    /// let handler = Handler::new("/jobs/1", "sleep").arguments(["60"]);
    /// let handler = handler.time_limit(std::time::Duration::from_millis(100)).attempts(1);
    /// let running = handler.report(report).start(&fs)?;
    /// assert_eq!(ends.recv()?.0, HandlerEnd::TimedOut);
    /// running.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn time_limit(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// So many paths are handled at the same time, at least one; 4 unless said.
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerReport};
    /// use std::sync::mpsc;
    ///
    /// # let fs = basefs::Fs::in_memory()?;
    /// fs.write("/jobs/1", "")?;
    /// fs.write("/jobs/2", "")?;
    /// let (send, happens) = mpsc::channel();
    /// let report = move |report: HandlerReport<'_>| {
    ///     let _ = match report {
    ///         HandlerReport::Started { .. } => send.send("started"),
    ///         HandlerReport::Ended { .. } => send.send("ended"),
    ///         _ => Ok(()),
    ///     };
    /// };
    /// let handler = Handler::new("/jobs", "true").at_once(1);
    /// let running = handler.report(report).start(&fs)?;
    /// let first: Vec<&str> = happens.iter().take(4).collect();
    /// assert_eq!(first, ["started", "ended", "started", "ended"]); // one after the other
    /// running.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at_once(mut self, paths: usize) -> Self {
        self.limits.at_once = paths.max(1);
        self
    }

    /// How often a command is started at most for one change, at least once; 10 times unless said.
    /// The pauses between double, from a second up to five minutes.
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerReport};
    /// use std::sync::mpsc;
    ///
    /// # let fs = basefs::Fs::in_memory()?;
    /// fs.write("/jobs/1", "")?;
    /// let (send, ends) = mpsc::channel();
    /// let report = move |report: HandlerReport<'_>| {
    ///     if let HandlerReport::Ended { failures, given_up, .. } = report {
    ///         let _ = send.send((failures, given_up));
    ///     }
    /// };
    /// let handler = Handler::new("/jobs/1", "false").attempts(2);
    /// let running = handler.report(report).start(&fs)?;
    /// assert_eq!((ends.recv()?, ends.recv()?), ((0, false), (1, true))); // a second lies between
    /// running.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.limits.attempts = attempts.max(1);
        self
    }

    /// Remembers in a file what was handled. A handler that starts with the same file goes on
    /// there: each change is handled at least once, also across crashes.
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerReport};
    /// use std::sync::mpsc;
    ///
    /// # let (fs, dir) = (basefs::Fs::in_memory()?, tempfile::tempdir()?);
    /// let handle = |until: &str| {
    ///     let (send, lines) = mpsc::channel();
    ///     let handler = Handler::new("/jobs", "printenv").arguments(["BASEFS_EVENT_PATH"]);
    ///     let handler = handler.remember(dir.path().join("handled")).report(move |report| {
    ///         if let HandlerReport::Output { line, .. } = report {
    ///             let _ = send.send(line.to_owned());
    ///         }
    ///     });
    ///     let running = handler.start(&fs)?;
    ///     let mut handled = vec![];
    ///     while !handled.iter().any(|path| path == until) {
    ///         handled.push(lines.recv()?);
    ///     }
    ///     running.stop();
    ///     Ok::<_, Box<dyn std::error::Error>>(handled)
    /// };
    /// fs.write("/jobs/1", "")?;
    /// handle("/jobs/1")?;
    /// fs.write("/jobs/2", "")?; // while no handler runs
    /// assert!(handle("/jobs/2")?.contains(&"/jobs/2".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remember(mut self, file: impl Into<PathBuf>) -> Self {
        self.remembered = Some(file.into());
        self
    }

    /// Calls this for everything that happens, from several threads.
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerEnd, HandlerReport};
    /// use std::sync::mpsc;
    ///
    /// # let fs = basefs::Fs::in_memory()?;
    /// fs.write("/jobs/1", "")?;
    /// let (send, ends) = mpsc::channel();
    /// let handler = Handler::new("/jobs/1", "true").report(move |report| {
    ///     println!("{report:?}"); // as it happens
    ///     if let HandlerReport::Ended { path, end, .. } = report {
    ///         let _ = send.send((path.to_owned(), end));
    ///     }
    /// });
    /// let running = handler.start(&fs)?;
    /// assert_eq!(ends.recv()?, ("/jobs/1".to_owned(), HandlerEnd::Done));
    /// running.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn report(mut self, report: impl Fn(HandlerReport<'_>) + Send + Sync + 'static) -> Self {
        self.report = Arc::new(report);
        self
    }

    /// Starts it, in threads of its own.
    ///
    /// # Errors
    ///
    /// [`HandlerError`]; nothing runs then.
    ///
    /// ```
    /// use basefs::handler::{Handler, HandlerError};
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let failed = Handler::new("/a/../b", "true").start(&fs);
    /// assert!(matches!(failed, Err(HandlerError::Watch(_))), "that is no path");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start(self, fs: &Fs) -> Result<RunningHandler, HandlerError> {
        RunningHandler::start(self, fs)
    }
}
