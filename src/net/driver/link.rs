//! The life of a driver, and of each of its connections.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Host;
use super::beside::Live;
use super::core::{Core, drain};
use super::registry::{LinkEntry, Signals};
use super::storing::Storing;
use crate::id::NodeId;
use crate::net::hello::{Established, welcome};
use crate::net::{
    CloseReason, ConnectError, Connection, FrameReceiver, FrameSender, LinkError, Transport,
};
use crate::node::{Input, LinkId, Outgoing};

/// Connections at a time; each costs about 100 kB when idle. A hierarchy with more nodes connects
/// each of them to some of the others.
const MAX_LINKS: usize = 128;
/// Peers that connected and have not said hello yet.
const MAX_WELCOMES: usize = 64;
/// Two nodes that dial each other at the same time both see two connections within this time. A
/// second connection after that means that the peer has lost the first.
const SIMULTANEOUS: Duration = Duration::from_secs(10);
/// A connection on which a peer is silent for so long, and for as many round trips, while it has
/// another to this node, has died with an earlier life of the peer: the other takes its place. One
/// that the peer has too carries at least the first words of both, which QUIC acknowledges.
const SILENT: (Duration, u32) = (Duration::from_millis(750), 4);
/// How often it is looked whether the peer has broken the silence.
const LISTEN: Duration = Duration::from_millis(10);
/// The time a peer has to take what was sent before the node stopped.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection that passed the hello.
pub(super) struct Meeting<C: Connection> {
    pub(super) established: Established<C>,
    pub(super) dialed: bool,
    /// The peer was silent on an older connection that would have been better.
    pub(super) outlasted: bool,
    /// Told when the connection is in use or was closed.
    pub(super) settled: Option<oneshot::Sender<()>>,
}

/// Numbers links. They are never used again: a node may be served again before the last driver has
/// told it that its links are gone.
fn next_link() -> LinkId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    LinkId::new(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl<T: Transport, H: Host> Core<T, H> {
    /// Runs until it is told to stop.
    pub(super) async fn run(self: Arc<Self>, mut meetings: mpsc::Receiver<Meeting<T::Connection>>) {
        let mut services = JoinSet::new();
        services.spawn(self.clone().keep_time());
        services.spawn(self.clone().keep_gate());
        services.spawn(self.clone().watch_paths());
        let mut storing = Storing::start(self.clone());
        let mut links = JoinSet::new();
        let mut arrivals = JoinSet::new();
        let mut dialed = BTreeSet::new();
        let mut told = BTreeMap::new();
        // A member decides by itself whom to dial, and when again.
        let is_member = self.host.with_node(|node| node.is_member());
        let mut changes = self.registry.changes();
        changes.mark_changed();
        loop {
            tokio::select! {
                () = self.registry.stopped() => break,
                () = storing.failed() => break,
                connection = self.transport.accept(), if arrivals.len() < MAX_WELCOMES => {
                    let Some(connection) = connection else { break };
                    arrivals.spawn(self.clone().hear(connection));
                }
                Some(meeting) = meetings.recv() => {
                    if let Some(old) = self.better(&meeting) {
                        arrivals.spawn(self.clone().outlast(meeting, old));
                    } else if let Some((link, signals, established)) = self.adopt(meeting) {
                        links.spawn(self.clone().converse(link, signals, established));
                    }
                }
                Ok(()) = changes.changed() => {
                    for peer in self.registry.to_dial() {
                        if is_member {
                            let addresses = self.registry.addresses(peer);
                            let before = told.insert(peer, addresses.clone());
                            if before.as_ref() != Some(&addresses) {
                                self.input(Input::AddPeer { peer, addresses });
                            }
                        } else if dialed.insert(peer) {
                            services.spawn(self.clone().dial_always(peer));
                        }
                    }
                }
                Some(_) = links.join_next() => {}
                Some(_) = arrivals.join_next() => {}
            }
        }
        // The transport may have ended by itself.
        self.registry.stop();
        arrivals.abort_all();
        while links.join_next().await.is_some() {}
        storing.finish().await;
        services.shutdown().await;
        self.transport.close();
        // Who was not told in time finds out by its own timeout.
        let _ = tokio::time::timeout(FAREWELL, self.transport.wait_closed()).await;
    }

    /// Closes connections to peers that are not let in any more.
    async fn keep_gate(self: Arc<Self>) {
        let mut changes = self.gate.changes();
        // The sender is ours, so waiting cannot fail.
        while changes.changed().await.is_ok() {
            let admission = changes.borrow_and_update().clone();
            self.registry.review(&admission);
            self.dial_again();
        }
    }

    /// Who refused, or was not to be dialled, may let this node in now, with another secret.
    fn dial_again(self: &Arc<Self>) {
        // Membership knows the addresses of members.
        let mut others: BTreeMap<NodeId, Vec<SocketAddr>> = self.host.with_node(|node| {
            let alone = node.members().filter(|member| member.link.is_none());
            alone.map(|member| (member.node, Vec::new())).collect()
        });
        let added = self.registry.to_dial().into_iter();
        others.extend(added.map(|peer| (peer, self.registry.addresses(peer))));
        for (peer, addresses) in others {
            if !self.registry.is_connected(peer) {
                self.input(Input::AddPeer { peer, addresses });
            }
        }
    }

    /// Hears the hello of a peer that connected.
    async fn hear(self: Arc<Self>, connection: T::Connection) {
        match welcome(connection, &self.gate.admission()).await {
            Ok(established) => {
                let meeting =
                    Meeting { established, dialed: false, outlasted: false, settled: None };
                // Fails only when the driver stops.
                let _ = self.met.send(meeting).await;
            }
            Err(error) => tracing::debug!(%error, "turned a peer away"),
        }
    }

    /// The connection to the same peer that is to stay instead, if the peer has it too.
    ///
    /// Both ends must come to the same decision: of two connections made at the same time, the one
    /// that the node with the smaller id dialled stays. Of two that one side dialled, it has lost
    /// the first.
    fn better(&self, meeting: &Meeting<T::Connection>) -> Option<LinkId> {
        let connection = &meeting.established.connection;
        let (node, peer) = (connection.node(), connection.peer());
        let is_right = |dialed: bool| dialed == (node < peer);
        if meeting.outlasted || is_right(meeting.dialed) {
            return None;
        }
        let is_better =
            |old: &LinkEntry| old.since.elapsed() < SIMULTANEOUS && is_right(old.dialed);
        self.registry.link_to(peer, is_better)
    }

    /// Keeps a connection until it is clear whether the peer has the older one too, or has begun a
    /// new life since: it may come back under another address before the old connection times out.
    async fn outlast(self: Arc<Self>, mut meeting: Meeting<T::Connection>, old: LinkId) {
        let connection = meeting.established.connection.clone();
        let before = self.registry.received(old);
        let (time, round_trips) = SILENT;
        let end = Instant::now() + time + connection.path().rtt * round_trips;
        loop {
            tokio::select! {
                // The peer has made the same choice.
                _ = connection.closed() => return,
                () = tokio::time::sleep(LISTEN) => {}
            }
            let received = self.registry.received(old);
            if received > before {
                return connection.close(CloseReason::Done);
            }
            if received.is_none() || Instant::now() >= end {
                break;
            }
        }
        meeting.outlasted = true;
        // Fails only when the driver stops.
        let _ = self.met.send(meeting).await;
    }

    /// Takes a connection into use; another one to the same peer is closed.
    fn adopt(
        self: &Arc<Self>,
        meeting: Meeting<T::Connection>,
    ) -> Option<(LinkId, Arc<Signals>, Established<T::Connection>)> {
        let Meeting { established, dialed, settled, .. } = meeting;
        let connection = established.connection.clone();
        let (node, peer) = (connection.node(), connection.peer());
        if node == peer || self.registry.links() >= MAX_LINKS {
            connection.close(CloseReason::Busy);
            return None;
        }
        let link = next_link();
        let signals = Arc::new(Signals::default());
        let (counted, closed) = (connection.clone(), connection.clone());
        let entry = LinkEntry {
            link,
            dialed,
            since: Instant::now(),
            secret: established.secret.clone(),
            signals: signals.clone(),
            stats: Box::new(move || counted.stats()),
            close: Box::new(move |reason| closed.close(reason)),
        };
        self.registry.link_up(peer, entry);
        // Who is let in may have changed since the hello.
        self.registry.review(&self.gate.admission());
        self.live.lock().insert(link, Live::new(connection));
        self.input(Input::LinkUp { link, peer, dialed });
        self.tell_paths();
        if let Some(settled) = settled {
            // Whoever dialled may have stopped waiting.
            let _ = settled.send(());
        }
        Some((link, signals, established))
    }

    /// Serves one connection until it ends.
    async fn converse(
        self: Arc<Self>,
        link: LinkId,
        signals: Arc<Signals>,
        established: Established<T::Connection>,
    ) {
        let Established { connection, sender, receiver, .. } = established;
        let beside = self.stay_beside(link, &signals, &connection);
        let receiving = async {
            tokio::select! {
                ended = self.receive(link, &signals, receiver) => ended,
                error = beside => Err(error),
            }
        };
        let sending = self.send(link, &signals, sender);
        tokio::pin!(receiving);
        let stopped = async {
            self.registry.stopped().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::pin!(stopped);
        let ended = tokio::select! {
            ended = &mut receiving => ended,
            sent = sending => match sent {
                // Everything was sent: the peer takes it and closes.
                Ok(()) => tokio::select! {
                    ended = &mut receiving => ended,
                    () = &mut stopped => Ok(()),
                },
                Err(error) => Err(error),
            },
            () = &mut stopped => Ok(()),
        };
        connection.close(CloseReason::Done);
        tracing::debug!(link = link.number(), ?ended, "a connection ended");
        self.live.lock().remove(&link);
        self.registry.link_down(link, refusal(&ended));
        self.input(Input::LinkDown { link });
    }

    async fn receive(
        self: &Arc<Self>,
        link: LinkId,
        signals: &Signals,
        mut receiver: <T::Connection as Connection>::Receiver,
    ) -> Result<(), LinkError> {
        let mut has_room = true;
        loop {
            while !has_room {
                signals.receive.notified().await;
                has_room = self.host.with_node(|node| node.wants_input(link));
            }
            let Some(bytes) = receiver.receive().await? else { return Ok(()) };
            let now = self.now();
            let drained = self.host.with_node(|node| {
                node.handle(now, Input::Frame { link, bytes });
                has_room = node.wants_input(link);
                drain(node)
            });
            self.dispatch(drained);
        }
    }

    /// Sends what the node has for a peer until the node stops; then what is left, and the end.
    async fn send(
        self: &Arc<Self>,
        link: LinkId,
        signals: &Signals,
        mut sender: <T::Connection as Connection>::Sender,
    ) -> Result<(), LinkError> {
        let mut next = self.host.with_node(|node| node.next_send(link));
        loop {
            let Some(mut outgoing) = next.take() else {
                tokio::select! {
                    () = signals.send.notified() => {}
                    () = self.registry.stopped() => {
                        sender.finish();
                        return Ok(());
                    }
                }
                next = self.host.with_node(|node| node.next_send(link));
                continue;
            };
            loop {
                let (rest, frame) = self.next_frame(outgoing).await?;
                outgoing = rest;
                let Some(frame) = frame else { break };
                sender.send(frame).await?;
            }
            let now = self.now();
            let drained = self.host.with_node(|node| {
                node.handle(now, Input::Sent { link, outgoing });
                next = node.next_send(link);
                drain(node)
            });
            self.dispatch(drained);
        }
    }

    /// The next frame of what is to be sent, read where blocking is allowed.
    async fn next_frame(
        &self,
        mut outgoing: Outgoing,
    ) -> Result<(Outgoing, Option<bytes::Bytes>), LinkError> {
        let read = |mut outgoing: Outgoing, host: &H| {
            let frame = outgoing.next_frame(host).map_err(|error| error.to_string());
            (outgoing, frame)
        };
        let frame;
        if outgoing.reads() {
            let host = self.host.clone();
            let reading = tokio::task::spawn_blocking(move || read(outgoing, &host));
            let lost = |_| LinkError::Failed { what: "the node is being stopped".into() };
            (outgoing, frame) = reading.await.map_err(lost)?;
        } else {
            (outgoing, frame) = read(outgoing, &self.host);
        }
        match frame {
            Ok(frame) => Ok((outgoing, frame)),
            Err(what) => {
                self.registry.fail(what.clone());
                Err(LinkError::Failed { what })
            }
        }
    }
}

/// What the peer said of this node when it closed a connection, if it is refused by now.
fn refusal(ended: &Result<(), LinkError>) -> Option<ConnectError> {
    match ended {
        Err(LinkError::Closed(CloseReason::Expelled)) => Some(ConnectError::Expelled),
        Err(LinkError::Closed(CloseReason::WrongSecret)) => Some(ConnectError::WrongSecret),
        _ => None,
    }
}
