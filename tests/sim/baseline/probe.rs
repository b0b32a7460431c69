//! Probing: one member after the other, directly, through others, and over a stream, as in
//! memberlist's `probeNode`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exchange;
use super::members::Standing;
use super::message::Message;
use super::stream::StreamId;
use super::{Output, Peer};

#[derive(Debug)]
struct Probe {
    member: usize,
    number: u32,
    /// When others are asked; nothing once they are.
    ask: Option<Duration>,
    deadline: Duration,
    expected_nacks: u32,
    nacks: u32,
    stream: Option<StreamId>,
    /// Whether the stream found the member.
    is_there: bool,
}

/// A probe on somebody's behalf.
#[derive(Debug)]
struct Relay {
    from: usize,
    number: u32,
    due: Duration,
}

#[derive(Debug)]
pub(crate) struct Prober {
    numbers: u32,
    tick: Duration,
    /// Members in the order in which they are probed, last first.
    order: Vec<usize>,
    probe: Option<Probe>,
    relays: BTreeMap<u32, Relay>,
    members: usize,
}

impl Prober {
    pub(crate) fn new(tick: Duration, members: usize) -> Self {
        Self { numbers: 0, tick, order: Vec::new(), probe: None, relays: BTreeMap::new(), members }
    }

    pub(crate) fn refused(&mut self, number: u32) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.number == number) {
            probe.nacks += 1;
        }
    }

    pub(crate) fn answered(&mut self, stream: StreamId) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.stream == Some(stream)) {
            probe.is_there = true;
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let own = match &self.probe {
            Some(probe) => probe.ask.unwrap_or(probe.deadline),
            None => self.tick,
        };
        self.relays.values().map(|relay| relay.due).chain([own]).min()
    }

    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }
}

impl Peer {
    pub(crate) fn probe_timeout(&mut self, now: Duration) {
        self.refuse_late_relays(now);
        match &self.prober.probe {
            Some(probe) if probe.ask.is_some_and(|ask| ask <= now) => self.ask_others(now),
            Some(probe) if probe.deadline <= now => self.probe_failed(now),
            _ => {}
        }
        // A tick that came while a probe was under way is made up for at once, once.
        if self.prober.probe.is_none() && self.prober.tick <= now {
            let interval = self.config.probe_interval;
            while self.prober.tick <= now {
                self.prober.tick += interval;
            }
            self.probe(now);
        }
    }

    fn probe(&mut self, now: Duration) {
        let Some(member) = self.next_to_probe() else { return };
        let number = self.prober.number();
        let deadline = now + self.members.probe_interval();
        let ask = Some((now + self.config.probe_timeout).min(deadline));
        self.prober.probe = Some(Probe {
            member,
            number,
            ask,
            deadline,
            expected_nacks: 0,
            nacks: 0,
            stream: None,
            is_there: false,
        });
        let known = self.members.get(member);
        if known.standing == Standing::Suspect {
            // Whoever is suspected is told first of all, so that it can refute.
            let incarnation = known.incarnation;
            let suspect = Message::Suspect { member, incarnation, from: self.me };
            let messages = [Message::Ping { number }.encode(), suspect.encode()];
            let bytes = super::pack(&messages);
            self.out.push_back(Output::Packet { to: member, bytes });
        } else {
            self.send(member, Message::Ping { number });
        }
    }

    fn next_to_probe(&mut self) -> Option<usize> {
        for _ in 0..2 * self.prober.members {
            if self.prober.order.is_empty() {
                let mut order: Vec<usize> = (0..self.prober.members).collect();
                for i in (1..order.len()).rev() {
                    order.swap(i, self.random.index(i + 1));
                }
                self.prober.order = order;
            }
            let member = self.prober.order.pop()?;
            if member != self.me && self.members.get(member).standing != Standing::Dead {
                return Some(member);
            }
        }
        None
    }

    fn ask_others(&mut self, now: Duration) {
        let Some(mut probe) = self.prober.probe.take() else { return };
        probe.ask = None;
        let Probe { member: target, number, .. } = probe;
        let helpers = self.random_members(self.config.indirect_checks, |members, helper| {
            helper != target && members.get(helper).standing == Standing::Alive
        });
        for helper in helpers {
            probe.expected_nacks += 1;
            self.send(helper, Message::PingFor { number, target });
        }
        probe.stream = Some(self.streams.open(now, target, &exchange::ping()));
        self.prober.probe = Some(probe);
    }

    fn probe_failed(&mut self, now: Duration) {
        let Some(probe) = self.prober.probe.take() else { return };
        if probe.is_there {
            self.members.improve();
            return;
        }
        // Helpers that don't even say no: perhaps it is this member that hears badly.
        match probe.expected_nacks {
            0 => self.members.worsen(1),
            expected => self.members.worsen(expected.saturating_sub(probe.nacks)),
        }
        let incarnation = self.members.get(probe.member).incarnation;
        self.members.suspect(now, probe.member, incarnation, self.me);
    }

    pub(crate) fn acknowledged(&mut self, number: u32) {
        if self.prober.probe.as_ref().is_some_and(|probe| probe.number == number) {
            self.prober.probe = None;
            self.members.improve();
        } else if let Some(relay) = self.prober.relays.remove(&number) {
            self.send(relay.from, Message::Ack { number: relay.number });
        }
    }

    pub(crate) fn relay(&mut self, now: Duration, from: usize, number: u32, target: usize) {
        let own = self.prober.number();
        let due = now + self.config.probe_timeout;
        self.prober.relays.insert(own, Relay { from, number, due });
        self.send(target, Message::Ping { number: own });
    }

    fn refuse_late_relays(&mut self, now: Duration) {
        let late: Vec<u32> = self
            .prober
            .relays
            .iter()
            .filter(|(_, relay)| relay.due <= now)
            .map(|(&own, _)| own)
            .collect();
        for own in late {
            if let Some(relay) = self.prober.relays.remove(&own) {
                self.send(relay.from, Message::Nack { number: relay.number });
            }
        }
    }
}
