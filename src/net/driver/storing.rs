//! The thread that stores: commits wait for a disk, and tasks must not.

use alloc::string::ToString;
use alloc::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::task::JoinHandle;

use super::Host;
use super::core::Core;
use crate::net::Transport;
use crate::node::Input;

/// What the thread is to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Wait,
    Store,
    End,
}

/// Wakes the thread that stores. Asking it directly saves the step over a task.
#[derive(Debug, Default)]
pub(super) struct Unstored {
    next: Mutex<Next>,
    changed: Condvar,
}

impl Unstored {
    /// There is something to store.
    pub(super) fn notify(&self) {
        let mut next = self.next.lock();
        if *next == Next::Wait {
            *next = Next::Store;
            self.changed.notify_one();
        }
    }

    fn end(&self) {
        *self.next.lock() = Next::End;
        self.changed.notify_one();
    }

    /// Waits for something to store; `false` when the thread is to end.
    fn wait(&self) -> bool {
        let mut next = self.next.lock();
        while *next == Next::Wait {
            self.changed.wait(&mut next);
        }
        if *next == Next::Store {
            *next = Next::Wait;
            return true;
        }
        false
    }
}

/// The running thread; it ends when this is dropped, after what it is at.
pub(super) struct Storing<T: Transport, H: Host> {
    core: Arc<Core<T, H>>,
    thread: JoinHandle<()>,
}

impl<T: Transport, H: Host> Storing<T, H> {
    pub(super) fn start(core: Arc<Core<T, H>>) -> Self {
        let storing = core.clone();
        let thread = tokio::task::spawn_blocking(move || {
            while storing.unstored.wait() {
                storing.store();
            }
        });
        Self { core, thread }
    }

    /// Waits until the thread has ended by itself, which it does only in a panic.
    pub(super) async fn failed(&mut self) {
        if let Err(panicked) = (&mut self.thread).await {
            self.core.registry.fail(panicked.to_string());
        }
    }

    /// Ends the thread, and stores what is left unless the host has failed.
    pub(super) async fn finish(mut self) {
        self.core.unstored.end();
        if !self.thread.is_finished() {
            self.failed().await;
        }
        if self.core.registry.failure().is_none() {
            let core = self.core.clone();
            let last = tokio::task::spawn_blocking(move || core.store());
            if let Err(panicked) = last.await {
                self.core.registry.fail(panicked.to_string());
            }
        }
    }
}

impl<T: Transport, H: Host> Drop for Storing<T, H> {
    fn drop(&mut self) {
        self.core.unstored.end();
    }
}

impl<T: Transport, H: Host> Core<T, H> {
    /// Stores whatever there is to store. Blocks.
    fn store(self: &Arc<Self>) {
        match self.host.store() {
            Ok(()) => self.input(Input::Timeout),
            Err(error) => self.registry.fail(error.to_string()),
        }
    }
}
