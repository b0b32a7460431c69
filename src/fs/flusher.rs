//! Commits deferred writes in the background.

use alloc::sync::Arc;
use core::time::Duration;
use std::io;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use crate::fs::engine::Engine;

/// How long a deferred write stays in memory at most, unless the disk takes longer.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// What the thread waits for.
#[derive(Debug, Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    has_work: bool,
    stop: bool,
}

/// A thread that sleeps until there is something to commit. Shared by all handles: when the last
/// is dropped, what is pending is committed and the thread has ended, so that the store is closed
/// and can be opened again at once.
#[derive(Debug)]
pub(super) struct Flusher {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub(super) fn start(engine: Arc<Engine>) -> io::Result<Self> {
        let signal = Arc::new(Signal::default());
        let shared = Arc::clone(&signal);
        let run = move || while flush_when_due(&engine, &shared) {};
        let thread = thread::Builder::new().name("basefs-flush".into()).spawn(run)?;
        Ok(Self { signal, thread: Some(thread) })
    }

    /// There is a write to commit.
    pub(super) fn wake(&self) {
        let mut state = self.signal.state.lock();
        if !state.has_work {
            state.has_work = true;
            self.signal.changed.notify_one();
        }
    }
}

/// Waits for work, then for more of it, and commits; says whether to go on.
fn flush_when_due(engine: &Engine, signal: &Signal) -> bool {
    let mut state = signal.state.lock();
    signal.changed.wait_while(&mut state, |state| !state.has_work && !state.stop);
    signal.changed.wait_while_for(&mut state, |state| !state.stop, FLUSH_INTERVAL);
    state.has_work = false;
    let go_on = !state.stop;
    drop(state);
    if let Err(error) = engine.commit_all() {
        // The engine remembers it, and the next write is told.
        tracing::error!(%error, "deferred writes could not be committed");
    }
    go_on
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.signal.state.lock().stop = true;
        self.signal.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It only fails if the store panicked, which the engine has turned into a failure.
            let _ = thread.join();
        }
    }
}
