//! Between nodes and the model of QUIC: what nodes want done, and what arrives.

use bytes::Bytes;
use std::time::Duration;

use basefs::gossip::PushId;
use basefs::id::{LinkId, NodeId};
use basefs::node::{Input, NodeEvent, Output};

use super::hosts::{Event, Host, Sending, Wire, World, link, node_id};
use super::packets::IP_UDP;
use super::quic::{Connection, Datagram, Event as Happened, Up};

/// What checking one signature takes.
const VERIFY: u64 = 40;
/// Two hosts that dial each other at the same time both see two connections within this time.
const SIMULTANEOUS: u64 = 10_000_000;
const LOOK_AT_PATHS: u64 = 1_000_000;

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
                // Frames are handed over whatever the node says of its room.
                Output::Receive { .. } => {}
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

    fn side(&self, connection: u64, at: usize) -> Option<usize> {
        let hosts = self.wires.get(&connection)?.connection.hosts;
        hosts.iter().position(|host| *host == at)
    }

    fn send_datagram(&mut self, at: usize, link: LinkId, bytes: Bytes) {
        assert!(bytes.len() <= basefs::limits::MAX_DATAGRAM, "a datagram of {}", bytes.len());
        let bytes = self.garble(at, bytes);
        let Some(side) = self.side(link.number(), at) else { return };
        if let Some(wire) = self.wires.get_mut(&link.number())
            && let Some(end) = wire.connection.end(side)
        {
            end.datagram(bytes);
            self.transmit(link.number(), side);
        }
    }

    fn push(&mut self, at: usize, link: LinkId, push: PushId, bytes: Bytes) {
        self.hosts[at].pushes += 1;
        let bytes = self.garble(at, bytes);
        let Some(side) = self.side(link.number(), at) else { return };
        if let Some(wire) = self.wires.get_mut(&link.number())
            && let Some(end) = wire.connection.end(side)
        {
            end.push(push, bytes);
            self.transmit(link.number(), side);
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
        let number = self.next_connection;
        self.next_connection += 1;
        let connection = Connection::dial([from, to], self.options.control, self.now());
        let lives = [self.hosts[from].life, self.hosts[to].life];
        self.wires.insert(number, Wire { connection, timers: [None, None], lives });
        self.hosts[from].dialing.insert(number, to);
        self.transmit(number, 0);
    }

    /// Something arrives at one end of a connection.
    pub(super) fn arrive(&mut self, number: u64, at: usize, datagram: &Datagram) {
        let now = self.now();
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let host = wire.connection.hosts[at];
        let mut answers = Vec::new();
        if self.hosts[host].node.is_none() {
            // Nobody is there to answer.
            return;
        }
        if self.hosts[host].life != wire.lives[at] {
            // A connection of an earlier life; a dial may reach the present one.
            if matches!(datagram, Datagram::Initial) {
                return;
            }
            answers.push(Datagram::Reset);
        }
        let events = if answers.is_empty() {
            wire.connection.take(now, at, datagram, &mut answers)
        } else {
            Vec::new()
        };
        self.answer(number, at, answers);
        for event in events {
            self.happened(number, at, event);
        }
        self.transmit(number, at);
        self.pump(host, number);
    }

    pub(super) fn connection_due(&mut self, number: u64, at: usize) {
        let now = self.now();
        let Some(wire) = self.wires.get_mut(&number) else { return };
        wire.timers[at] = None;
        let mut answers = Vec::new();
        let events = wire.connection.handle_timeout(now, at, &mut answers);
        self.answer(number, at, answers);
        for event in events {
            self.happened(number, at, event);
        }
        self.transmit(number, at);
    }

    fn answer(&mut self, number: u64, at: usize, answers: Vec<Datagram>) {
        for datagram in answers {
            self.send_packet(number, at, datagram);
        }
    }

    fn send_packet(&mut self, number: u64, at: usize, datagram: Datagram) {
        let Some(wire) = self.wires.get(&number) else { return };
        let (from, to) = (wire.connection.hosts[at], wire.connection.hosts[1 - at]);
        let now = self.now();
        let arrivals = self.packets.send(now, from, to, datagram.size() + IP_UDP);
        for arrival in arrivals.into_iter().flatten() {
            let datagram = datagram.clone();
            self.queue.push(arrival, Event::Packet { connection: number, at: 1 - at, datagram });
        }
    }

    /// Sends what may leave one end now, and sets its timer.
    fn transmit(&mut self, number: u64, at: usize) {
        let now = self.now();
        while let Some(packet) = self
            .wires
            .get_mut(&number)
            .and_then(|wire| wire.connection.end(at))
            .and_then(|end| end.next_packet(now))
        {
            self.send_packet(number, at, Datagram::Packet(packet));
        }
        let Some(wire) = self.wires.get_mut(&number) else { return };
        if wire.connection.is_over() {
            self.wires.remove(&number);
            return;
        }
        if let Some(due) = wire.connection.timeout(at)
            && wire.timers[at].is_none_or(|timer| due < timer)
        {
            wire.timers[at] = Some(due);
            self.queue.push(due.max(now + 1), Event::Connection { connection: number, at });
        }
    }

    fn happened(&mut self, number: u64, at: usize, event: Happened) {
        let Some(wire) = self.wires.get(&number) else { return };
        let host = wire.connection.hosts[at];
        let link = link(number);
        match event {
            Happened::Opened => self.opened(number, at),
            Happened::Closed => self.closed(number, host, wire.connection.hosts[1 - at]),
            Happened::Up(Up::Frame(bytes)) => self.tell_soon(host, 0, Input::Frame { link, bytes }),
            Happened::Up(Up::Pushed(bytes)) => {
                self.tell_soon(host, 0, Input::Pushed { link, bytes })
            }
            Happened::Up(Up::PushEnded(push)) => {
                self.tell_soon(host, 0, Input::PushEnded { link, push, delivered: true });
            }
            Happened::Up(Up::Datagram(bytes)) => {
                self.tell_soon(host, 0, Input::Datagram { link, bytes });
            }
        }
    }

    /// A connection stands at one end: it is taken into use unless there is a better one.
    fn opened(&mut self, number: u64, at: usize) {
        let Some(wire) = self.wires.get(&number) else { return };
        let (host, peer) = (wire.connection.hosts[at], wire.connection.hosts[1 - at]);
        self.hosts[host].dialing.remove(&number);
        if let Some(old) = self.hosts[host].by_peer.get(&peer).copied() {
            let is_right = |side: usize| (side == 0) == (node_id(host) < node_id(peer));
            let keeps = self.wires.get(&old).is_some_and(|wire| {
                let side = usize::from(wire.connection.hosts[1] == host);
                let age = self.now() - wire.connection.since;
                age < SIMULTANEOUS && is_right(side) && !is_right(at)
            });
            if keeps {
                return self.close(number, host);
            }
            self.close(old, host);
        }
        self.hosts[host].by_peer.insert(peer, number);
        self.hosts[host].sending.insert(number, Sending::Idle);
        let up = Input::LinkUp { link: link(number), peer: node_id(peer), dialed: at == 0 };
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
        let Some(at) = self.side(number, host) else { return };
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let peer = wire.connection.hosts[1 - at];
        if let Some(word) = wire.connection.close(at) {
            self.send_packet(number, at, word);
        }
        self.unlink(number, host, peer);
    }

    /// Gives the stream of a link what it takes of what the node has for it.
    fn pump(&mut self, at: usize, number: u64) {
        let Some(side) = self.side(number, at) else { return };
        loop {
            let takes = self
                .wires
                .get_mut(&number)
                .and_then(|wire| wire.connection.end(side))
                .is_some_and(|end| end.takes_more());
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
                    if let Some(end) =
                        self.wires.get_mut(&number).and_then(|wire| wire.connection.end(side))
                    {
                        end.say(frame);
                    }
                    self.transmit(number, side);
                }
                None => {
                    *state = Sending::Ready;
                    self.tell(at, Input::Sent { link: link(number), outgoing });
                }
            }
        }
    }

    pub(super) fn look_at_paths(&mut self, at: usize) {
        let numbers: Vec<u64> = self.hosts[at].sending.keys().copied().collect();
        for number in numbers {
            let Some(side) = self.side(number, at) else { continue };
            let path = self
                .wires
                .get_mut(&number)
                .and_then(|wire| wire.connection.end(side))
                .and_then(|end| end.look_at_path());
            if let Some(path) = path {
                self.tell(at, Input::Path { link: link(number), path });
            }
        }
        let life = self.hosts[at].life;
        self.queue.push(self.now() + LOOK_AT_PATHS, Event::Paths(at, life));
    }

    /// All hosts hold and show the same within so long, or the test fails and says why.
    pub fn assert_equal_within(&mut self, bound: Duration) {
        let equal = self.run_until(bound, |world| world.explain_differences().is_empty());
        let seed = self.options.seed;
        assert!(equal, "seed {seed}: after {bound:?}: {:#?}", self.explain_differences());
    }
}
