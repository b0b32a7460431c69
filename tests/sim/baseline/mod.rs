//! What basefs is measured against: members as memberlist and Serf make them, with the log
//! comparison that the original BaseFS put on top, in the same simulator.
//!
//! Intervals, limits, queue and failure detector follow memberlist's source (`config.go`,
//! `queue.go`, `state.go`, `suspicion.go`, `awareness.go`, `util.go`), user events follow Serf's.
//! Messages have the lengths that they have there. Where something had to be simplified it was
//! made kinder: streams are a TCP that never slows down, and nobody computes coordinates.

#![allow(dead_code, reason = "shared by tests and an example, each of which uses a part")]

mod config;
mod events;
mod exchange;
mod members;
mod message;
mod probe;
mod queue;
mod stream;
pub(crate) mod world;

use std::collections::VecDeque;
use std::time::Duration;

pub(crate) use config::Config;
pub(crate) use events::Event;
use events::Events;
use members::Members;
pub(crate) use members::Standing;
use message::{COMPOUND_OVERHEAD, Message, pack, room, unpack};
use probe::Prober;
use queue::{About, Queue};
use stream::Streams;

use crate::engine::rng::Rng;

/// Members draw from streams of random numbers of their own, away from the engine's.
const PURPOSE: u64 = 1 << 32;
/// The first byte of a packet that belongs to a stream; others begin with zero.
const STREAM_PACKET: u8 = 1;

/// What a member wants done, or tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send a packet.
    Packet { to: usize, bytes: Vec<u8> },
    /// An event is here.
    Delivered { id: u32 },
    /// A member is dead in this member's eyes, whoever declared it.
    Buried { member: usize },
}

/// One member: packets and time go in, packets and events come out.
#[derive(Debug)]
pub(crate) struct Peer {
    config: Config,
    me: usize,
    members: Members,
    prober: Prober,
    about_members: Queue,
    user: Queue,
    events: Events,
    streams: Streams,
    random: Rng,
    next_gossip: Duration,
    next_push_pull: Option<Duration>,
    next_sync: Option<Duration>,
    /// When each member's log was last compared with this one's.
    compared: Vec<Duration>,
    out: VecDeque<Output>,
    /// How many times a packet carried a user event.
    pub(crate) event_sends: u64,
}

impl Peer {
    /// A member of a cluster in which all know all.
    pub(crate) fn new(config: Config, me: usize, members: usize, seed: u64, now: Duration) -> Self {
        let mut random = Rng::new(seed, PURPOSE + me as u64);
        let mut start = |interval: Duration| now + interval.mul_f64(random.unit());
        let next_gossip = start(config.gossip_interval);
        let next_probe = start(config.probe_interval);
        let next_push_pull = config.push_pull(members).map(&mut start);
        let next_sync = config.sync_interval.map(&mut start);
        Self {
            config,
            me,
            members: Members::new(config, me, members),
            prober: Prober::new(next_probe, members),
            about_members: Queue::default(),
            user: Queue::default(),
            events: Events::default(),
            streams: Streams::new(config.stream_timeout),
            random,
            next_gossip,
            next_push_pull,
            next_sync,
            compared: vec![now; members],
            out: VecDeque::new(),
            event_sends: 0,
        }
    }

    /// Sends a new event to all.
    pub(crate) fn write(&mut self, id: u32, length: u16) {
        let event = self.events.write(id, length);
        self.user.push(About::Itself, Message::Event(event).encode());
    }

    /// What another member is in this one's eyes.
    pub(crate) fn standing(&self, member: usize) -> Standing {
        self.members.get(member).standing
    }

    pub(crate) fn receive(&mut self, now: Duration, from: usize, packet: &[u8]) {
        if packet.first() == Some(&STREAM_PACKET) {
            for (stream, message) in self.streams.receive(now, from, packet) {
                self.exchange(now, stream, &message);
            }
        } else {
            for message in unpack(packet) {
                self.message(now, from, message);
            }
        }
        self.collect();
    }

    pub(crate) fn timeout(&mut self, now: Duration) {
        self.members.timeout(now);
        self.streams.timeout(now);
        self.probe_timeout(now);
        if self.next_gossip <= now {
            self.next_gossip = now + self.config.gossip_interval;
            self.gossip(now);
        }
        if self.next_push_pull.is_some_and(|due| due <= now) {
            self.next_push_pull = self.config.push_pull(self.members.len()).map(|i| now + i);
            self.push_pull(now);
        }
        if self.next_sync.is_some_and(|due| due <= now) {
            self.next_sync = self.config.sync_interval.map(|interval| now + interval);
            self.synchronise(now);
        }
        self.collect();
    }

    pub(crate) fn poll_timeout(&self) -> Duration {
        let others = [
            self.members.poll_timeout(),
            self.streams.poll_timeout(),
            self.prober.poll_timeout(),
            self.next_push_pull,
            self.next_sync,
        ];
        others.into_iter().flatten().fold(self.next_gossip, Duration::min)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn message(&mut self, now: Duration, from: usize, message: Message) {
        match message {
            Message::Ping { number } => self.send(from, Message::Ack { number }),
            Message::PingFor { number, target } => self.relay(now, from, number, target),
            Message::Ack { number } => self.acknowledged(number),
            Message::Nack { number } => self.prober.refused(number),
            Message::Suspect { member, incarnation, from } => {
                self.members.suspect(now, member, incarnation, from);
            }
            Message::Alive { member, incarnation } => self.members.alive(now, member, incarnation),
            Message::Dead { member, incarnation, from } => {
                self.members.dead(now, member, incarnation, from);
            }
            Message::Event(event) => {
                if self.events.hear(event) {
                    self.user.push(About::Itself, Message::Event(event).encode());
                    self.keep(event);
                }
            }
        }
    }

    fn keep(&mut self, event: Event) {
        if self.events.keep(event) {
            self.out.push_back(Output::Delivered { id: event.id });
        }
    }

    /// `gossip`: to a few random members, what was sent least.
    fn gossip(&mut self, now: Duration) {
        for to in
            self.random_members(self.config.gossip_nodes, |members, to| members.hears(now, to))
        {
            let messages = self.broadcasts(room(self.config.udp_buffer_size));
            if messages.is_empty() {
                return;
            }
            self.out.push_back(Output::Packet { to, bytes: pack(&messages) });
        }
    }

    /// Sends a message, and with it whatever fits in the packet.
    fn send(&mut self, to: usize, message: Message) {
        let message = message.encode();
        let room = room(self.config.udp_buffer_size) - COMPOUND_OVERHEAD - message.len();
        let mut messages = vec![message];
        messages.extend(self.broadcasts(room));
        self.out.push_back(Output::Packet { to, bytes: pack(&messages) });
    }

    fn broadcasts(&mut self, room: usize) -> Vec<Vec<u8>> {
        let limit = self.config.retransmit_limit(self.members.len());
        let mut messages = self.about_members.take(COMPOUND_OVERHEAD, room, limit);
        let used: usize = messages.iter().map(|message| message.len() + COMPOUND_OVERHEAD).sum();
        // Another byte says that it is the user's.
        let events = self.user.take(COMPOUND_OVERHEAD + 1, room - used, limit);
        self.event_sends += events.len() as u64;
        messages.extend(events);
        messages
    }

    /// `kRandomNodes`: up to `k` others that are suitable.
    fn random_members(
        &mut self,
        k: usize,
        is_suitable: impl Fn(&Members, usize) -> bool,
    ) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(k);
        for _ in 0..3 * self.members.len() {
            if chosen.len() == k {
                break;
            }
            let member = self.random.index(self.members.len());
            let is_new = !chosen.contains(&member) && member != self.me;
            if is_new && is_suitable(&self.members, member) {
                chosen.push(member);
            }
        }
        chosen
    }

    /// Takes what the parts of this member have to say.
    fn collect(&mut self) {
        for (member, message) in std::mem::take(&mut self.members.news) {
            self.about_members.push(About::Member(member), message.encode());
        }
        for (to, bytes) in std::mem::take(&mut self.streams.packets) {
            self.out.push_back(Output::Packet { to, bytes });
        }
        for member in std::mem::take(&mut self.members.buried) {
            self.out.push_back(Output::Buried { member });
        }
    }
}
