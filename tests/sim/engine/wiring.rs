//! Between nodes and the model of QUIC: what nodes want done, and what arrives.

use bytes::Bytes;
use std::time::Duration;

use basefs::gossip::PushId;
use basefs::id::{LinkId, NodeId};
use basefs::node::{Input, NodeEvent, Output};

use super::hosts::{Host, Sending, World, link, node_id};
use super::quic::{EndId, Happening};

/// What checking one signature takes.
const VERIFY: u64 = 40;
/// Names the pushes that no node asked for.
const REPLAY: u64 = u64::MAX;
/// Two hosts that dial each other at the same time both see two connections within this time.
const SIMULTANEOUS: u64 = 10_000_000;

impl World {
    /// Does everything that a node wants done.
    pub(super) fn drain(&mut self, at: usize) {
        while let Some(output) =
            self.hosts[at].node.as_mut().and_then(basefs::node::Node::poll_output)
        {
            match output {
                Output::Send { link } => {
                    if let Some(sending) = self.hosts[at].sending.get_mut(&link.number()) {
                        if let Sending::Idle = sending {
                            *sending = Sending::Ready;
                        }
                        self.pump(at, link.number());
                    }
                }
                Output::Receive { link } => self.read(at, link.number()),
                Output::Verify { link, entries } => {
                    let cost = VERIFY * entries.len() as u64;
                    let (entries, invalid) = self.verify(entries);
                    self.tell_soon(at, cost, Input::Verified { link, entries, invalid });
                }
                Output::Walk(mut walk) => {
                    walk.run(&self.hosts[at].disk).expect("a disk in memory does not fail");
                    self.tell_soon(at, 1, Input::Walked(walk));
                }
                Output::Store => self.stage(at),
                Output::Datagram { link, bytes } => self.send_datagram(at, link, bytes),
                Output::Push { link, push, bytes } => self.push(at, link, push, bytes),
                Output::Dial { peer, .. } => self.dial_peer(at, peer),
                Output::HangUp { link } => self.close(link.number(), at),
                Output::Close { link, fault } => {
                    self.hosts[at].faults.push(fault);
                    self.close(link.number(), at);
                }
                Output::Event(event) => self.note(at, event),
                other => panic!("an output that nobody knows: {other:?}"),
            }
        }
        self.set_timer(at);
    }

    fn note(&mut self, at: usize, event: NodeEvent) {
        let now = self.now();
        let host = &mut self.hosts[at];
        host.sessions += u64::from(matches!(event, NodeEvent::SyncStarted { .. }));
        if super::member::is_about_members(&event) {
            host.members.push((now, event));
        }
    }

    fn send_datagram(&mut self, at: usize, link: LinkId, bytes: Bytes) {
        assert!(bytes.len() <= basefs::limits::MAX_DATAGRAM, "a datagram of {}", bytes.len());
        let bytes = self.garble(at, bytes);
        if let Some(end) = self.quic.end_at(link.number(), at) {
            self.quic.datagram(end, bytes);
        }
    }

    fn push(&mut self, at: usize, link: LinkId, push: PushId, bytes: Bytes) {
        if self.hosts[at].withholds {
            return self.tell_soon(at, 1, Input::PushEnded { link, push, delivered: true });
        }
        self.hosts[at].pushes += 1;
        let bytes = self.garble(at, bytes);
        if let Some(end) = self.quic.end_at(link.number(), at) {
            self.quic.push(end, push.number(), bytes.clone());
            self.replay(at, end, bytes);
        }
    }

    /// A hostile host pushes something again, to somebody.
    fn replay(&mut self, at: usize, end: EndId, bytes: Bytes) {
        let replays = self.hosts[at].replays;
        if replays == 0 {
            return;
        }
        let pushed = &mut self.hosts[at].pushed;
        pushed.push(bytes);
        if self.rng.below(1_000) < replays {
            let again = pushed[self.rng.index(pushed.len())].clone();
            self.quic.push(end, REPLAY, again);
        }
    }

    /// A hostile host changes some of what it sends.
    fn garble(&mut self, at: usize, bytes: Bytes) -> Bytes {
        let garbles = self.hosts[at].garbles;
        if garbles == 0 || self.rng.below(1_000) >= garbles || bytes.is_empty() {
            return bytes;
        }
        let mut garbled = bytes.to_vec();
        let at = self.rng.index(garbled.len());
        garbled[at] ^= 1 << self.rng.below(8);
        garbled.into()
    }

    fn dial_peer(&mut self, at: usize, peer: NodeId) {
        let known = self.ids.get(&peer).copied();
        let host = &self.hosts[at];
        match known {
            Some(to) if to != at => {
                if !host.dialing.values().any(|other| *other == to)
                    && !host.by_peer.contains_key(&to)
                {
                    self.dial(at, to);
                }
            }
            _ => self.tell_soon(at, 1_000, Input::DialFailed { peer }),
        }
    }

    pub(super) fn dial(&mut self, from: usize, to: usize) {
        let end = self.quic.dial(self.now(), from, to);
        self.hosts[from].dialing.insert(u64::from(end.connection), to);
    }

    /// Something happened on a connection.
    pub(super) fn happened(&mut self, end: EndId, happening: Happening) {
        // Of a connection that is gone, only that is told.
        let number = u64::from(end.connection);
        let link = link(number);
        let ends = self.quic.host(end).zip(self.quic.peer(end));
        let Some((host, peer)) = ends else { return };
        let input = match happening {
            Happening::Secured => return,
            Happening::Up => return self.opened(end, host, peer),
            Happening::Failed | Happening::Down => return self.closed(number, host, peer),
            Happening::Readable => return self.read(host, number),
            Happening::Writable => return self.pump(host, number),
            Happening::Pushed(bytes) => Input::Pushed { link, bytes },
            Happening::PushEnded(REPLAY, _) => return,
            Happening::PushEnded(token, delivered) => {
                Input::PushEnded { link, push: PushId::new(token), delivered }
            }
            Happening::Datagram(bytes) => Input::Datagram { link, bytes },
            Happening::Path(path) => Input::Path { link, path },
        };
        self.tell_soon(host, 0, input);
    }

    /// Hands frames of the ordered stream over as long as the node wants them.
    fn read(&mut self, host: usize, number: u64) {
        let link = link(number);
        while self.hosts[host].node.as_mut().is_some_and(|node| node.wants_input(link))
            && let Some(end) = self.quic.end_at(number, host)
            && let Some(bytes) = self.quic.read(end)
        {
            self.tell_soon(host, 0, Input::Frame { link, bytes });
        }
    }

    /// A connection stands at one end: it is taken into use unless there is a better one.
    fn opened(&mut self, end: EndId, host: usize, peer: usize) {
        let number = u64::from(end.connection);
        self.hosts[host].dialing.remove(&number);
        if let Some(old) = self.hosts[host].by_peer.get(&peer).copied() {
            let is_right = |end: EndId| (end.side == 0) == (node_id(host) < node_id(peer));
            let keeps = self.quic.end_at(old, host).is_some_and(|old| {
                let age = self.now() - self.quic.since(old).unwrap_or(0);
                age < SIMULTANEOUS && is_right(old) && !is_right(end)
            });
            if keeps {
                return self.close(number, host);
            }
            self.close(old, host);
        }
        self.hosts[host].by_peer.insert(peer, number);
        self.hosts[host].sending.insert(number, Sending::Idle);
        let up = Input::LinkUp { link: link(number), peer: node_id(peer), dialed: end.side == 0 };
        self.tell_soon(host, 0, up);
    }

    fn closed(&mut self, number: u64, host: usize, peer: usize) {
        if self.hosts[host].dialing.remove(&number).is_some() {
            self.tell_soon(host, 0, Input::DialFailed { peer: node_id(peer) });
        }
        self.unlink(number, host, peer);
    }

    fn unlink(&mut self, number: u64, host: usize, peer: usize) {
        let Host { sending, by_peer, .. } = &mut self.hosts[host];
        if by_peer.get(&peer) == Some(&number) {
            by_peer.remove(&peer);
        }
        if sending.remove(&number).is_some() {
            self.tell_soon(host, 0, Input::LinkDown { link: link(number) });
        }
    }

    /// A host closes a connection.
    fn close(&mut self, number: u64, host: usize) {
        let Some(end) = self.quic.end_at(number, host) else { return };
        let Some(peer) = self.quic.peer(end) else { return };
        self.quic.close(self.now(), end);
        self.unlink(number, host, peer);
    }

    /// Gives the stream of a link what it takes of what the node has for it.
    fn pump(&mut self, at: usize, number: u64) {
        let Some(end) = self.quic.end_at(number, at) else { return };
        loop {
            let takes = self.quic.wants_frame(end);
            let Host { node: Some(node), sending, disk, .. } = &mut self.hosts[at] else { return };
            let Some(state) = sending.get_mut(&number) else { return };
            if !takes || matches!(state, Sending::Idle) {
                return;
            }
            let outgoing = match std::mem::replace(state, Sending::Idle) {
                Sending::Busy(outgoing) => Some(outgoing),
                _ => node.next_send(link(number)),
            };
            let Some(mut outgoing) = outgoing else { return };
            match outgoing.next_frame(disk).expect("a disk in memory does not fail") {
                Some(frame) => {
                    *state = Sending::Busy(outgoing);
                    let frame = self.garble(at, frame);
                    self.quic.write(end, frame);
                }
                None => {
                    *state = Sending::Ready;
                    self.tell(at, Input::Sent { link: link(number), outgoing });
                }
            }
        }
    }

    /// All hosts hold and show the same within so long, or the test fails and says why.
    pub fn assert_equal_within(&mut self, bound: Duration) {
        let equal = self.run_until(bound, World::is_equal);
        let seed = self.options.seed;
        assert!(equal, "seed {seed}: after {bound:?}: {:#?}", self.explain_differences());
    }
}
