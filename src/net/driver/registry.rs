//! Who is known, who is connected, and what is waited for: the part of a driver that is the same
//! for every transport and host.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use super::{LinkStatus, PeerStatus, ReplicationError, SyncReport, SynchroniseError};
use crate::id::{EntryId, NodeId};
use crate::net::{Admission, CloseReason, ConnectError, LinkStats, PeerAddress};
use crate::node::{LinkId, NodeEvent};
use crate::time::Timestamp;
use crate::wire::ReadSecret;

/// Addresses remembered of one peer; a dial tries them all.
const MAX_ADDRESSES: usize = 16;

/// How far the sessions of a link are.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The number of the last session that ended.
    ended: u64,
    /// The number of the last session that ended with both sides equal.
    equal: u64,
}

/// What the driver holds of a connection, whatever its type.
pub(super) struct LinkEntry {
    pub(super) link: LinkId,
    pub(super) dialed: bool,
    pub(super) since: Instant,
    /// What the peer was let in by.
    pub(super) secret: Option<ReadSecret>,
    pub(super) signals: Arc<Signals>,
    pub(super) stats: Box<dyn Fn() -> LinkStats + Send>,
    pub(super) close: Box<dyn Fn(CloseReason) + Send>,
}

/// Wakes the two halves of a link's task.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// There is something to send.
    pub(super) send: Notify,
    /// There is room to receive.
    pub(super) receive: Notify,
    /// There is room to receive, for the pushes.
    pub(super) receive_push: Notify,
}

/// A peer is being dialled.
pub(super) struct Dialing<'a> {
    registry: &'a Registry,
    peer: NodeId,
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.registry.state.lock().dialing.remove(&self.peer);
        self.registry.changed();
    }
}

struct Linked {
    entry: LinkEntry,
    last_sync: Option<(SyncReport, Instant)>,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Peer {
    /// Where to dial it; nothing unless it was added.
    addresses: Vec<SocketAddr>,
    failures: u32,
    error: Option<ConnectError>,
    linked: Option<Linked>,
}

#[derive(Default)]
struct State {
    peers: BTreeMap<NodeId, Peer>,
    by_link: BTreeMap<LinkId, NodeId>,
    /// Who is being dialled.
    dialing: BTreeSet<NodeId>,
    requests: Vec<Request>,
    /// Who has told that it has what, by the number of the wait.
    waits: BTreeMap<u64, watch::Sender<BTreeSet<NodeId>>>,
    next_wait: u64,
    failure: Option<String>,
}

/// What somebody wants of the node.
pub(super) enum Request {
    /// Takes leave of the others.
    Leave,
    /// A session, and to know the number of the last one before it.
    Synchronise { link: LinkId, answer: oneshot::Sender<u64> },
    /// To know who has these entries.
    Await { token: u64, heads: Vec<EntryId> },
    /// To know that no more.
    Forget { token: u64 },
}

pub(super) struct Registry {
    node: NodeId,
    /// A moment, and what it is in the node's time, which goes on when a node is served again.
    origin: (Instant, Timestamp),
    state: Mutex<State>,
    /// Counts changes of who is known and connected.
    changes: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    /// There are requests.
    pub(super) requested: Notify,
}

impl Registry {
    pub(super) fn new(node: NodeId, now: Timestamp) -> Self {
        Self {
            node,
            origin: (Instant::now(), now),
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            requested: Notify::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let (since, then) = self.origin;
        then + since.elapsed()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Waits until `is_so` of who is known and connected.
    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        let mut changes = self.changes.subscribe();
        // The sender is ours, so waiting cannot fail.
        let _ = changes.wait_for(|_| is_so(&self.state.lock())).await;
    }
}

/// Stopping.
impl Registry {
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// The host failed: the node stops.
    pub(super) fn fail(&self, what: String) {
        self.state.lock().failure.get_or_insert(what);
        self.stop();
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.state.lock().failure.clone()
    }

    pub(super) async fn stopped(&self) {
        // The sender is ours, so waiting cannot fail.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// Peers.
impl Registry {
    pub(super) fn add_peer(&self, peer: PeerAddress) {
        if peer.node == self.node {
            return;
        }
        let mut state = self.state.lock();
        let addresses = &mut state.peers.entry(peer.node).or_default().addresses;
        // The newest first: the others may be where it was.
        let mut known = peer.addresses;
        known.extend(
            addresses.iter().filter(|old| !known.contains(old)).copied().collect::<Vec<_>>(),
        );
        known.truncate(MAX_ADDRESSES);
        *addresses = known;
        drop(state);
        self.changed();
    }

    /// The peers to dial, and a way to hear of more.
    pub(super) fn to_dial(&self) -> Vec<NodeId> {
        let state = self.state.lock();
        let added = state.peers.iter().filter(|(_, peer)| !peer.addresses.is_empty());
        added.map(|(node, _)| *node).collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        let state = self.state.lock();
        state.peers.get(&node).map(|peer| peer.addresses.clone()).unwrap_or_default()
    }

    pub(super) fn dial_failed(&self, node: NodeId, error: Option<ConnectError>, failures: u32) {
        if let Some(peer) = self.state.lock().peers.get_mut(&node) {
            peer.failures = failures;
            peer.error = error;
        }
    }

    /// The same, of one attempt more.
    pub(super) fn dial_failed_again(&self, node: NodeId, error: ConnectError) {
        if let Some(peer) = self.state.lock().peers.get_mut(&node) {
            peer.failures = peer.failures.saturating_add(1);
            peer.error = Some(error);
        }
    }

    /// Nobody else dials a peer until what this gives is dropped; nothing if somebody does.
    pub(super) fn begin_dial(&self, peer: NodeId) -> Option<Dialing<'_>> {
        let is_first = self.state.lock().dialing.insert(peer);
        is_first.then_some(Dialing { registry: self, peer })
    }

    pub(super) async fn until_not_dialed(&self, node: NodeId) {
        self.until(|state| !state.dialing.contains(&node)).await;
    }

    /// Waits until anybody is connected.
    pub(super) async fn until_linked(&self) {
        self.until(|state| !state.by_link.is_empty()).await;
    }

    pub(super) fn is_connected(&self, node: NodeId) -> bool {
        self.state.lock().is_connected(node)
    }

    pub(super) async fn until_connected(&self, node: NodeId) {
        self.until(|state| state.is_connected(node)).await;
    }

    /// Waits until a peer is known under other addresses than these.
    pub(super) async fn until_moved(&self, node: NodeId, tried: &[SocketAddr]) {
        let is_other = |peer: &Peer| peer.addresses != tried;
        self.until(|state| state.peers.get(&node).is_some_and(is_other)).await;
    }

    pub(super) async fn until_disconnected(&self, node: NodeId) {
        self.until(|state| !state.is_connected(node)).await;
    }

    pub(super) fn peers(&self) -> Vec<PeerStatus> {
        let state = self.state.lock();
        let status = |(node, peer): (&NodeId, &Peer)| PeerStatus {
            node: *node,
            addresses: peer.addresses.clone(),
            link: peer.linked.as_ref().map(Linked::status),
            failures: peer.failures,
            error: peer.error.clone(),
        };
        state.peers.iter().map(status).collect()
    }
}

impl State {
    fn is_connected(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.linked.is_some())
    }

    fn linked(&mut self, link: LinkId) -> Option<&mut Linked> {
        let node = self.by_link.get(&link)?;
        let linked = self.peers.get_mut(node)?.linked.as_mut()?;
        (linked.entry.link == link).then_some(linked)
    }
}

impl Linked {
    fn status(&self) -> LinkStatus {
        let now = Instant::now();
        let last_sync = self.last_sync.map(|(report, at)| SyncReport { age: now - at, ..report });
        LinkStatus {
            dialed: self.entry.dialed,
            age: now - self.entry.since,
            stats: (self.entry.stats)(),
            last_sync,
        }
    }
}

/// Links.
impl Registry {
    pub(super) fn links(&self) -> usize {
        self.state.lock().by_link.len()
    }

    /// The connection to a peer, if there is one and it is like this.
    pub(super) fn link_to(
        &self,
        peer: NodeId,
        is_so: impl FnOnce(&LinkEntry) -> bool,
    ) -> Option<LinkId> {
        let state = self.state.lock();
        let linked = state.peers.get(&peer)?.linked.as_ref()?;
        is_so(&linked.entry).then_some(linked.entry.link)
    }

    /// The bytes that came on a connection; nothing if it is gone.
    pub(super) fn received(&self, link: LinkId) -> Option<u64> {
        self.state.lock().linked(link).map(|linked| (linked.entry.stats)().received)
    }

    /// Makes a connection the one to its peer. One that there was before is closed, and its task
    /// sees that.
    pub(super) fn link_up(&self, peer: NodeId, entry: LinkEntry) {
        let mut state = self.state.lock();
        let known = state.peers.entry(peer).or_default();
        (known.failures, known.error) = (0, None);
        let link = entry.link;
        let linked = Linked { entry, last_sync: None, progress: watch::Sender::default() };
        let old = known.linked.replace(linked);
        state.by_link.insert(link, peer);
        drop(state);
        if let Some(old) = old {
            (old.entry.close)(CloseReason::Done);
        }
        self.changed();
    }

    /// A connection is gone; the peer may have said that it refuses this node.
    pub(super) fn link_down(&self, link: LinkId, refusal: Option<ConnectError>) {
        let mut state = self.state.lock();
        let Some(node) = state.by_link.remove(&link) else { return };
        if let Some(peer) = state.peers.get_mut(&node) {
            // A newer connection may have taken its place.
            peer.linked = peer.linked.take().filter(|linked| linked.entry.link != link);
            if peer.linked.is_none() {
                peer.error = refusal.or(peer.error.take());
            }
            if peer.linked.is_none() && peer.addresses.is_empty() {
                state.peers.remove(&node);
            }
        }
        drop(state);
        self.changed();
    }

    pub(super) fn signals(&self, link: LinkId) -> Option<Arc<Signals>> {
        self.state.lock().linked(link).map(|linked| linked.entry.signals.clone())
    }

    /// Closes the connections to peers that would not be let in any more.
    pub(super) fn review(&self, admission: &Admission) {
        for (node, peer) in &self.state.lock().peers {
            let Some(linked) = &peer.linked else { continue };
            if admission.expelled.contains(node) {
                (linked.entry.close)(CloseReason::Expelled);
            } else if !admission.accepts(linked.entry.secret.as_ref()) {
                (linked.entry.close)(CloseReason::WrongSecret);
            }
        }
    }

    pub(super) fn close(&self, link: LinkId, reason: CloseReason) {
        if let Some(linked) = self.state.lock().linked(link) {
            (linked.entry.close)(reason);
        }
    }
}

/// Sessions.
impl Registry {
    pub(super) fn note(&self, event: &NodeEvent) {
        let mut state = self.state.lock();
        if let NodeEvent::Replicated { peer, token, .. } = event
            && let Some(wait) = state.waits.get(token)
        {
            wait.send_modify(|reached| {
                reached.insert(*peer);
            });
        }
        let NodeEvent::SyncFinished { link, session, equal, sent, received } = *event else {
            return;
        };
        let Some(linked) = state.linked(link) else { return };
        let report = SyncReport { equal, sent, received, age: Duration::ZERO };
        linked.last_sync = Some((report, Instant::now()));
        linked.progress.send_modify(|progress| {
            progress.ended = session;
            if equal {
                progress.equal = session;
            }
        });
    }

    /// Takes leave of the others, and waits until all have been told.
    pub(super) async fn leave(&self) {
        self.state.lock().requests.push(Request::Leave);
        self.requested.notify_one();
        self.until(|state| state.by_link.is_empty()).await;
    }

    pub(super) fn take_requests(&self) -> Vec<Request> {
        core::mem::take(&mut self.state.lock().requests)
    }

    pub(super) async fn synchronise(&self, with: Option<NodeId>) -> Result<(), SynchroniseError> {
        let chosen: Vec<NodeId> = {
            let state = self.state.lock();
            let connected = state.peers.iter().filter(|(_, peer)| peer.linked.is_some());
            let nodes = connected.map(|(node, _)| *node);
            nodes.filter(|node| with.is_none_or(|with| with == *node)).collect()
        };
        let mut any = false;
        // One after the other: their sessions run at the same time all the same.
        for node in chosen {
            any |= self.until_equal_with(node).await?;
        }
        if any { Ok(()) } else { Err(SynchroniseError::NotConnected) }
    }

    /// Waits for a session with a peer that ends equal, also if another connection takes the place
    /// of the present one; `false` if there is none any more.
    async fn until_equal_with(&self, node: NodeId) -> Result<bool, SynchroniseError> {
        loop {
            let linked = {
                let state = self.state.lock();
                let linked = state.peers.get(&node).and_then(|peer| peer.linked.as_ref());
                linked.map(|linked| (linked.entry.link, linked.progress.subscribe()))
            };
            let Some((link, progress)) = linked else { return Ok(false) };
            if self.until_equal(link, progress).await? {
                return Ok(true);
            }
        }
    }

    /// Waits for a session that ends equal; `false` if the link was lost.
    async fn until_equal(
        &self,
        link: LinkId,
        mut progress: watch::Receiver<Progress>,
    ) -> Result<bool, SynchroniseError> {
        let mut first = None;
        loop {
            let Some(before) = self.request(link).await? else { return Ok(false) };
            let first = *first.get_or_insert(before);
            let Ok(now) = progress.wait_for(|progress| progress.ended > before).await else {
                return Ok(false);
            };
            if now.equal > first {
                return Ok(true);
            }
        }
    }

    /// Asks for a session; gives the number of the last one before it, or nothing if the link is
    /// gone.
    async fn request(&self, link: LinkId) -> Result<Option<u64>, SynchroniseError> {
        let (answer, number) = oneshot::channel();
        self.state.lock().requests.push(Request::Synchronise { link, answer });
        self.requested.notify_one();
        tokio::select! {
            number = number => Ok(number.ok()),
            () = self.stopped() => Err(SynchroniseError::Stopped),
        }
    }
}

/// Replication.
impl Registry {
    /// Waits until that many peers have told that they have some entries; gives who they are.
    pub(super) async fn replicated(
        &self,
        heads: Vec<EntryId>,
        peers: usize,
        timeout: Duration,
    ) -> Result<Vec<NodeId>, ReplicationError> {
        let (wait, mut reached) = self.wait_for(heads);
        let enough = reached.wait_for(|reached| reached.len() >= peers);
        let outcome = tokio::select! {
            biased;
            // The sender is among the waits for as long as this one is.
            enough = tokio::time::timeout(timeout, enough) => enough.map(|enough| enough.is_ok()),
            () = self.stopped() => return Err(ReplicationError::Stopped),
        };
        let reached: Vec<NodeId> = reached.borrow().iter().copied().collect();
        drop(wait);
        match outcome {
            Ok(_) => Ok(reached),
            Err(_elapsed) => Err(ReplicationError::TimedOut { reached: reached.len() }),
        }
    }

    fn wait_for(&self, heads: Vec<EntryId>) -> (Wait<'_>, watch::Receiver<BTreeSet<NodeId>>) {
        let mut state = self.state.lock();
        let token = state.next_wait;
        state.next_wait += 1;
        let sender = watch::Sender::default();
        let reached = sender.subscribe();
        state.waits.insert(token, sender);
        state.requests.push(Request::Await { token, heads });
        drop(state);
        self.requested.notify_one();
        (Wait { registry: self, token }, reached)
    }
}

/// Somebody waits; when it is dropped, nobody does.
struct Wait<'a> {
    registry: &'a Registry,
    token: u64,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        state.waits.remove(&self.token);
        state.requests.push(Request::Forget { token: self.token });
        drop(state);
        self.registry.requested.notify_one();
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("node", &self.node).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::pin::pin;

    const LONG: Duration = Duration::from_secs(3_600);

    fn node(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    fn told(peer: u8, token: u64) -> NodeEvent {
        NodeEvent::Replicated { link: LinkId::new(0), peer: node(peer), token }
    }

    fn requests(registry: &Registry) -> Vec<(bool, u64)> {
        let shape = |request| match request {
            Request::Await { token, .. } => (true, token),
            Request::Forget { token } => (false, token),
            Request::Synchronise { .. } | Request::Leave => panic!("nobody wants that"),
        };
        registry.take_requests().into_iter().map(shape).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn peers_are_counted_once_and_nobody_waits_in_vain() {
        let registry = Registry::new(node(0), Timestamp::ZERO);
        let mut waiting = pin!(registry.replicated(Vec::new(), 2, LONG));
        let other = registry.replicated(Vec::new(), 2, Duration::from_secs(1));
        let outcome = tokio::select! {
            biased;
            _ = &mut waiting => panic!("nobody has it"),
            outcome = other => outcome,
        };
        assert_eq!(outcome, Err(ReplicationError::TimedOut { reached: 0 }));
        assert_eq!(requests(&registry), [(true, 0), (true, 1), (false, 1)]);
        for event in [told(1, 0), told(1, 0), told(2, 1), told(3, 9)] {
            registry.note(&event);
        }
        let early = tokio::time::timeout(Duration::from_secs(1), &mut waiting).await;
        assert!(early.is_err(), "one of two has it");
        registry.note(&told(2, 0));
        assert_eq!(waiting.await, Ok(Vec::from([node(1), node(2)])));
        assert_eq!(requests(&registry), [(false, 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_node_that_stops_is_told_so() {
        let registry = Registry::new(node(0), Timestamp::ZERO);
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            registry.stop();
        };
        let (outcome, ()) = tokio::join!(registry.replicated(Vec::new(), 1, LONG), stopping);
        assert_eq!(outcome, Err(ReplicationError::Stopped));
        assert!(registry.state.lock().waits.is_empty());
    }
}
