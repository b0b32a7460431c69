//! Inputs into the node, and what its outputs ask for.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use std::net::SocketAddr;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::Host;
use super::beside::Live;
use super::link::Meeting;
use super::registry::{Registry, Request};
use super::storing::Unstored;
use crate::entry::{SignedEntry, VerifiedEntry, verify_all};
use crate::id::NodeId;
use crate::net::{CloseReason, Gate, Transport};
use crate::node::{Input, LinkId, Node, Output, Walk};
use crate::time::Timestamp;

/// Entries whose signatures are checked at once on this thread: handing them to others takes
/// longer.
const FEW_ENTRIES: usize = 4;

/// All that the tasks of one driver share.
pub(super) struct Core<T: Transport, H> {
    pub(super) transport: T,
    pub(super) host: Arc<H>,
    pub(super) gate: Gate,
    pub(super) registry: Arc<Registry>,
    /// Where connections go that passed the hello.
    pub(super) met: mpsc::Sender<Meeting<T::Connection>>,
    /// The connections in use.
    pub(super) live: Mutex<BTreeMap<LinkId, Live<T::Connection>>>,
    /// Who is being dialled because the node wants it.
    pub(super) dialing: Mutex<BTreeMap<NodeId, watch::Sender<Vec<SocketAddr>>>>,
    /// When the timer will go off, in microseconds of the node's time.
    due: AtomicU64,
    /// The timer must go off earlier.
    earlier: Notify,
    /// There is something to store.
    pub(super) unstored: Unstored,
}

/// What a look at the node gave.
pub(super) struct Drained {
    outputs: Vec<Output>,
    due: Option<Timestamp>,
}

/// Takes everything that a node has to say.
pub(super) fn drain(node: &mut Node) -> Drained {
    let outputs = core::iter::from_fn(|| node.poll_output()).collect();
    Drained { outputs, due: node.poll_timeout() }
}

impl<T: Transport, H: Host> Core<T, H> {
    pub(super) fn new(
        transport: T,
        host: Arc<H>,
        gate: Gate,
        registry: Arc<Registry>,
        met: mpsc::Sender<Meeting<T::Connection>>,
    ) -> Self {
        Self {
            transport,
            host,
            gate,
            registry,
            met,
            live: Mutex::default(),
            dialing: Mutex::default(),
            due: AtomicU64::new(u64::MAX),
            earlier: Notify::new(),
            unstored: Unstored::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.registry.now()
    }

    /// Hands an input to the node and does what comes of it.
    pub(super) fn input(self: &Arc<Self>, input: Input) {
        let now = self.now();
        let drained = self.host.with_node(|node| {
            node.handle(now, input);
            drain(node)
        });
        self.dispatch(drained);
    }

    /// Does what the node wants.
    pub(super) fn dispatch(self: &Arc<Self>, mut drained: Drained) {
        loop {
            let due = drained.due.map_or(u64::MAX, Timestamp::as_micros);
            let answers: Vec<Input> =
                drained.outputs.into_iter().filter_map(|output| self.perform(output)).collect();
            if due < self.due.load(Ordering::Acquire) {
                self.earlier.notify_one();
            }
            if answers.is_empty() {
                return;
            }
            let now = self.now();
            drained = self.host.with_node(|node| {
                answers.into_iter().for_each(|input| node.handle(now, input));
                drain(node)
            });
        }
    }

    /// Does one thing, or sees to it; gives the answer to what was done at once.
    fn perform(self: &Arc<Self>, output: Output) -> Option<Input> {
        match output {
            Output::Send { link } => {
                if let Some(signals) = self.registry.signals(link) {
                    signals.send.notify_one();
                }
            }
            Output::Receive { link } => {
                if let Some(signals) = self.registry.signals(link) {
                    signals.receive.notify_one();
                    signals.receive_push.notify_one();
                }
            }
            Output::Verify { link, entries } if entries.len() <= FEW_ENTRIES => {
                return Some(verified(link, entries.len(), check(entries)));
            }
            Output::Verify { link, entries } => {
                tokio::spawn(self.clone().verify(link, entries));
            }
            Output::Datagram { link, bytes } => self.send_datagram(link, bytes),
            Output::Push { link, push, bytes } => self.push(link, push, bytes),
            Output::Dial { peer, addresses } => self.dial_for_node(peer, addresses),
            Output::HangUp { link } => self.registry.close(link, CloseReason::Done),
            Output::Walk(walk) => drop(tokio::spawn(self.clone().walk(walk))),
            Output::Store => self.unstored.notify(),
            Output::Close { link, fault } => {
                tracing::warn!(link = link.number(), %fault, "closing a connection");
                self.registry.close(link, CloseReason::Misbehaved);
            }
            Output::Event(event) => {
                tracing::debug!(?event);
                self.registry.note(&event);
            }
        }
        None
    }

    /// Checks signatures on all cores.
    async fn verify(self: Arc<Self>, link: LinkId, entries: Vec<SignedEntry>) {
        let all = entries.len();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut rest = entries;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let later = rest.split_off(all.div_ceil(cores).min(rest.len()));
            let part = core::mem::replace(&mut rest, later);
            parts.push(tokio::task::spawn_blocking(move || check(part)));
        }
        let mut valid = Vec::with_capacity(all);
        for part in parts {
            // A part that is lost was not verified: only a panic or the end of the runtime loses
            // one.
            valid.extend(part.await.unwrap_or_default());
        }
        self.input(verified(link, all, valid));
    }

    async fn walk(self: Arc<Self>, mut walk: Walk) {
        let host = self.host.clone();
        let walking = tokio::task::spawn_blocking(move || {
            let result = walk.run(&*host).map_err(|error| error.to_string());
            (walk, result)
        });
        let Ok((walk, result)) = walking.await else { return };
        if let Err(what) = result {
            self.registry.fail(what);
        }
        self.input(Input::Walked(walk));
    }

    /// Keeps the node's time, and hears of changes from elsewhere.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let due = self.host.with_node(|node| node.poll_timeout());
            let due = due.map_or(u64::MAX, Timestamp::as_micros);
            self.due.store(due, Ordering::Release);
            let wait = Timestamp::from_micros(due) - self.now();
            tokio::select! {
                () = tokio::time::sleep(wait) => self.input(Input::Timeout),
                () = self.earlier.notified() => {}
                () = self.host.wake().notified() => self.input(Input::Timeout),
                () = self.registry.requested.notified() => self.take_requests(),
            }
            // More work at once is no reason to keep others from theirs.
            tokio::task::yield_now().await;
        }
    }

    fn take_requests(self: &Arc<Self>) {
        for request in self.registry.take_requests() {
            match request {
                Request::Synchronise { link, answer } => self.synchronise(link, answer),
                Request::Await { token, heads } => {
                    self.input(Input::AwaitReplicated { token, heads });
                }
                Request::Leave => self.input(Input::Leave),
                Request::Forget { token } => self.input(Input::ForgetReplicated { token }),
            }
        }
    }

    fn synchronise(self: &Arc<Self>, link: LinkId, answer: oneshot::Sender<u64>) {
        let now = self.now();
        let (before, drained) = self.host.with_node(|node| {
            let known = node.peers().any(|(known, _)| known == link);
            let before = known.then_some(node.sessions());
            node.handle(now, Input::Synchronise { link });
            (before, drain(node))
        });
        if let Some(before) = before {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(before);
        }
        self.dispatch(drained);
    }
}

/// The answer to a question about so many entries.
fn verified(link: LinkId, all: usize, entries: Vec<VerifiedEntry>) -> Input {
    Input::Verified { link, invalid: all - entries.len(), entries }
}

/// The entries whose signatures hold.
fn check(entries: Vec<SignedEntry>) -> Vec<VerifiedEntry> {
    verify_all(entries).into_iter().filter_map(Result::ok).collect()
}
