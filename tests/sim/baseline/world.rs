//! A network of such members, over the engine's packets.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::hosts::micros;
use crate::engine::packets::{IP_UDP, Packets};
use crate::engine::queue::{Micros, Queue};

use super::{Config, Output, Peer};

#[derive(Debug)]
enum Event {
    Timer { member: usize },
    Packet { from: usize, to: usize, bytes: Vec<u8> },
}

/// All members, and the network.
pub(crate) struct World {
    pub(crate) packets: Packets,
    queue: Queue<Event>,
    peers: Vec<Peer>,
    timers: Vec<Micros>,
    /// Members that neither send nor receive any more.
    off: Vec<bool>,
    /// When each member had an event: by member and event.
    pub(crate) delivered: BTreeMap<(usize, u32), Duration>,
    /// Deaths that members believed in: when, who, of whom.
    pub(crate) buried: Vec<(Duration, usize, usize)>,
}

impl World {
    /// Members that all know each other.
    pub(crate) fn new(config: Config, members: usize, seed: u64) -> Self {
        let peer = |me| Peer::new(config, me, members, seed, Duration::ZERO);
        let mut world = Self {
            packets: Packets::new(seed, members),
            queue: Queue::default(),
            peers: (0..members).map(peer).collect(),
            timers: vec![Micros::MAX; members],
            off: vec![false; members],
            delivered: BTreeMap::new(),
            buried: Vec::new(),
        };
        (0..members).for_each(|member| world.drain(member));
        world
    }

    pub(crate) fn now(&self) -> Duration {
        Duration::from_micros(self.queue.now())
    }

    pub(crate) fn switch_off(&mut self, member: usize) {
        self.off[member] = true;
    }

    pub(crate) fn peer(&self, member: usize) -> &Peer {
        &self.peers[member]
    }

    /// How many times a packet carried an event.
    pub(crate) fn event_sends(&self) -> u64 {
        self.peers.iter().map(|peer| peer.event_sends).sum()
    }

    /// A member writes something that takes a few events.
    pub(crate) fn write(&mut self, member: usize, ids: std::ops::Range<u32>, length: u16) {
        for id in ids {
            self.peers[member].write(id, length);
            self.delivered.insert((member, id), self.now());
        }
        self.drain(member);
    }

    /// When a member had all of some events.
    pub(crate) fn complete(&self, member: usize, ids: std::ops::Range<u32>) -> Option<Duration> {
        let mut ids = ids.map(|id| self.delivered.get(&(member, id)).copied());
        ids.try_fold(Duration::ZERO, |last, at| Some(last.max(at?)))
    }

    /// Lets time pass until so many deliveries have happened, at most until a time.
    pub(crate) fn run(&mut self, until: Duration, deliveries: usize) {
        while self.delivered.len() < deliveries {
            let Some(event) = self.queue.pop_until(micros(until)) else { return };
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Timer { member } => {
                if self.off[member] || self.timers[member] != self.queue.now() {
                    return;
                }
                self.timers[member] = Micros::MAX;
                self.peers[member].timeout(now);
                self.drain(member);
            }
            Event::Packet { from, to, bytes } => {
                if !self.off[to] {
                    self.peers[to].receive(now, from, &bytes);
                    self.drain(to);
                }
            }
        }
    }

    fn drain(&mut self, member: usize) {
        let now = self.now();
        while let Some(output) = self.peers[member].poll_output() {
            match output {
                Output::Packet { to, bytes } => self.send(member, to, &bytes),
                Output::Delivered { id } => {
                    self.delivered.insert((member, id), now);
                }
                Output::Buried { member: dead } => self.buried.push((now, member, dead)),
            }
        }
        // Not before the time that was asked for, whatever is below a microsecond.
        let due = self.peers[member].poll_timeout() + Duration::from_nanos(999);
        let due = micros(due).max(self.queue.now());
        if due < self.timers[member] {
            self.timers[member] = due;
            self.queue.push(due, Event::Timer { member });
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let now = self.queue.now();
        let arrivals = self.packets.send(now, from, to, bytes.len() + IP_UDP);
        for at in arrivals.into_iter().flatten() {
            self.queue.push(at, Event::Packet { from, to, bytes: bytes.to_vec() });
        }
    }
}
