//! A network of such members.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::random::Random;
use super::{Config, Output, Peer};

/// What links do to packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// One way.
    pub(crate) delay: Duration,
    /// Of the delay, evenly to both sides.
    pub(crate) deviation: f64,
    /// Nominal.
    pub(crate) loss: f64,
    /// Of a packet's fate with that of the one before it on the same link.
    pub(crate) correlation: f64,
    /// Bits per second of each node, each way.
    pub(crate) rate: Option<u64>,
}

/// IP and UDP.
const PACKET_OVERHEAD: usize = 28;
/// Packets that wait for a slow link at most, as netem's `limit`.
const QUEUE: u32 = 1_000;

#[derive(Debug, Default)]
struct Interface {
    /// When the last byte will have left, and arrived.
    up: Duration,
    down: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Timer { member: usize },
    Packet { from: usize, to: usize, bytes: Vec<u8> },
}

/// All members, and the network.
#[derive(Debug)]
pub(crate) struct World {
    now: Duration,
    link: Link,
    peers: Vec<Peer>,
    interfaces: Vec<Interface>,
    /// The last fate on each link, for correlated loss.
    fates: BTreeMap<(usize, usize), f64>,
    timers: Vec<Duration>,
    queue: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    sequence: u64,
    random: Random,
    /// Members that neither send nor receive any more.
    off: Vec<bool>,
    /// When each member had an event: by member and event.
    pub(crate) delivered: BTreeMap<(usize, u32), Duration>,
    /// Deaths that members believed in: when, who, of whom.
    pub(crate) buried: Vec<(Duration, usize, usize)>,
    /// IP bytes sent by all, and packets.
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
}

impl World {
    /// Members that all know each other.
    pub(crate) fn new(config: Config, members: usize, link: Link, seed: u64) -> Self {
        let peer = |me| Peer::new(config, me, members, seed, Duration::ZERO);
        let mut world = Self {
            now: Duration::ZERO,
            link,
            peers: (0..members).map(peer).collect(),
            interfaces: (0..members).map(|_| Interface::default()).collect(),
            fates: BTreeMap::new(),
            timers: vec![Duration::MAX; members],
            queue: BinaryHeap::new(),
            sequence: 0,
            random: Random::new(seed.wrapping_mul(0x5851_F42D_4C95_7F2D)),
            off: vec![false; members],
            delivered: BTreeMap::new(),
            buried: Vec::new(),
            bytes: 0,
            packets: 0,
        };
        (0..members).for_each(|member| world.drain(member));
        world
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    pub(crate) fn switch_off(&mut self, member: usize) {
        self.off[member] = true;
    }

    pub(crate) fn peer(&self, member: usize) -> &Peer {
        &self.peers[member]
    }

    /// A member writes something that takes a few events.
    pub(crate) fn write(&mut self, member: usize, ids: std::ops::Range<u32>, length: u16) {
        for id in ids {
            self.peers[member].write(id, length);
            self.delivered.insert((member, id), self.now);
        }
        self.drain(member);
    }

    /// When a member had all of some events.
    pub(crate) fn complete(&self, member: usize, ids: std::ops::Range<u32>) -> Option<Duration> {
        let mut ids = ids.map(|id| self.delivered.get(&(member, id)).copied());
        ids.try_fold(Duration::ZERO, |last, at| Some(last.max(at?)))
    }

    /// Runs until a time, or until `done` says so after something was delivered.
    pub(crate) fn run(&mut self, until: Duration, mut done: impl FnMut(&Self) -> bool) {
        let mut seen = self.delivered.len();
        while let Some(Reverse((at, _, _))) = self.queue.peek() {
            if *at > until {
                break;
            }
            let Some(Reverse((at, _, event))) = self.queue.pop() else { break };
            self.now = at;
            self.happen(event);
            if self.delivered.len() != seen {
                seen = self.delivered.len();
                if done(self) {
                    return;
                }
            }
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Timer { member } => {
                if self.off[member] || self.timers[member] != self.now {
                    return;
                }
                self.timers[member] = Duration::MAX;
                self.peers[member].timeout(self.now);
                self.drain(member);
            }
            Event::Packet { from, to, bytes } => {
                if !self.off[to] {
                    self.peers[to].receive(self.now, from, &bytes);
                    self.drain(to);
                }
            }
        }
    }

    fn drain(&mut self, member: usize) {
        while let Some(output) = self.peers[member].poll_output() {
            match output {
                Output::Packet { to, bytes } => self.send(member, to, bytes),
                Output::Delivered { id } => {
                    self.delivered.insert((member, id), self.now);
                }
                Output::Buried { member: dead } => self.buried.push((self.now, member, dead)),
            }
        }
        let due = self.peers[member].poll_timeout().max(self.now);
        if due < self.timers[member] || self.timers[member] < self.now {
            self.timers[member] = due;
            self.schedule(due, Event::Timer { member });
        }
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, event)));
    }

    fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        let length = bytes.len() + PACKET_OVERHEAD;
        self.packets += 1;
        self.bytes += length as u64;
        let on_wire = match self.link.rate {
            Some(rate) => Duration::from_secs_f64(length as f64 * 8.0 / rate as f64),
            None => Duration::ZERO,
        };
        let up = &mut self.interfaces[from].up;
        if *up > self.now + on_wire * QUEUE {
            return;
        }
        *up = (*up).max(self.now) + on_wire;
        let sent = *up;
        if self.is_lost(from, to) {
            return;
        }
        let spread = (self.random.unit() * 2.0 - 1.0) * self.link.deviation;
        let arrives = sent + self.link.delay.mul_f64((1.0 + spread).max(0.0));
        let down = &mut self.interfaces[to].down;
        *down = (*down).max(arrives) + on_wire;
        let at = *down;
        self.schedule(at, Event::Packet { from, to, bytes });
    }

    fn is_lost(&mut self, from: usize, to: usize) -> bool {
        let uniform = self.random.unit();
        let Link { loss, correlation, .. } = self.link;
        if correlation == 0.0 {
            return uniform < loss;
        }
        let fate = self.fates.entry((from, to)).or_insert(uniform);
        *fate = correlation * *fate + (1.0 - correlation) * uniform;
        *fate < loss
    }
}
