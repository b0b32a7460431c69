//! Memberships with links between them: packets are late, lost, or cut off, from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use basefs::gossip::{
    Claim, LocalMember, MemberEvent, MemberFault, MemberState, Membership,
    MembershipInput as Input, MembershipOutput as Output, Path, Profile,
};
use basefs::id::{LinkId, NodeId};
use basefs::time::Timestamp;
use basefs::wire::SecretKey;
use bytes::Bytes;

use crate::node::world::Rng;

/// What surrounds a datagram on its way: IP, UDP, QUIC.
const AROUND: u64 = 60;
/// A packet with nothing but QUIC's acknowledgement.
const ACK: u64 = 70;
/// How long QUIC waits for a packet that can carry it.
const ACK_DELAY: Duration = Duration::from_millis(25);
/// The first packets of a handshake are padded.
const HELLO: u64 = 1_228;
/// Silence after which an end of a link gives it up.
const IDLE: Duration = Duration::from_secs(30);
/// When an attempt to connect sends, in milliseconds; it fails with the link's idle timeout.
const TRIES: [u64; 7] = [0, 300, 900, 2_100, 4_500, 9_300, 18_900];

/// The ways between all machines.
#[derive(Clone, Copy)]
pub(super) struct Ways {
    pub(super) delay: Duration,
    /// The delay of each packet is up to so many per cent more.
    pub(super) jitter: u64,
    pub(super) loss_permille: u64,
}

impl Ways {
    pub(super) fn lan(loss_permille: u64) -> Self {
        Self { delay: Duration::from_micros(500), jitter: 50, loss_permille }
    }

    pub(super) fn mesh(loss_permille: u64) -> Self {
        Self { delay: Duration::from_millis(20), jitter: 50, loss_permille }
    }
}

enum Event {
    Datagram { link: usize, end: usize, bytes: Bytes },
    Table { link: usize, end: usize, bytes: Bytes },
    Up { link: usize, end: usize },
    Down { link: usize, end: usize },
    Try { from: usize, to: usize, number: usize, attempt: u64 },
    Failed { from: usize, to: NodeId, attempt: u64 },
    Idle { link: usize, end: usize },
    Timeout(usize),
}

pub(super) struct Machine {
    pub(super) id: NodeId,
    pub(super) membership: Option<Membership>,
    pub(super) address: SocketAddr,
    /// What packets pass between.
    pub(super) side: u8,
    /// By how much longer what it sends takes.
    pub(super) lag: Duration,
    pub(super) bytes: u64,
    pub(super) events: Vec<(Timestamp, MemberEvent)>,
    pub(super) neighbours: Vec<LinkId>,
    pub(super) ring: Vec<LinkId>,
    pub(super) faults: Vec<MemberFault>,
    pub(super) dials: u64,
    pub(super) hang_ups: u64,
    /// The attempts to connect that are under way.
    dialling: BTreeMap<NodeId, u64>,
    timeout: Option<Timestamp>,
}

struct End {
    machine: usize,
    is_up: bool,
    heard: Timestamp,
    /// When a packet came that is not acknowledged yet.
    owed: Option<Timestamp>,
    /// When the last table arrives there.
    table_at: Timestamp,
}

pub(super) struct World {
    pub(super) machines: Vec<Machine>,
    pub(super) now: Timestamp,
    pub(super) ways: Ways,
    pub(super) false_suspicions: u64,
    pub(super) false_deaths: u64,
    pub(super) events: u64,
    links: Vec<[End; 2]>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    numbers: u64,
    profile: Profile,
    rng: Rng,
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn key(machine: usize) -> SecretKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(machine as u64).to_le_bytes());
    SecretKey::from_seed(seed)
}

pub(super) fn node(machine: usize) -> NodeId {
    NodeId::from_bytes(*key(machine).public().as_bytes())
}

fn address(machine: usize) -> SocketAddr {
    format!("192.0.2.1:{}", 1_000 + machine).parse().unwrap()
}

impl World {
    /// Machines that know nobody.
    pub(super) fn new(machines: usize, profile: Profile, ways: Ways, seed: u64) -> Self {
        let mut world = Self {
            machines: Vec::new(),
            now: Timestamp::ZERO,
            ways,
            false_suspicions: 0,
            false_deaths: 0,
            events: 0,
            links: Vec::new(),
            queue: BTreeMap::new(),
            numbers: 0,
            profile,
            rng: Rng(seed),
        };
        (0..machines).for_each(|_| world.add_machine());
        world
    }

    /// Machines that joined through the first and have found each other.
    pub(super) fn joined(machines: usize, profile: Profile, ways: Ways, seed: u64) -> Self {
        // They meet while all is well: how they meet otherwise is another question.
        let mut world = Self::new(machines, profile, Ways { loss_permille: 0, ..ways }, seed);
        for machine in 1..machines {
            world.join(machine, 0);
        }
        let all_met = |world: &Self| world.events.is_multiple_of(100) && world.is_agreed();
        world.run_until(secs(120), all_met).expect("all meet");
        // Far away, all takes longer.
        world.run(secs(20).max(ways.delay * 30));
        world.ways = ways;
        world.forget_figures();
        world
    }

    /// One more machine, which knows nobody.
    pub(super) fn add_machine(&mut self) {
        let machine = self.machines.len();
        self.machines.push(Machine {
            id: node(machine),
            membership: None,
            address: address(machine),
            side: 0,
            lag: Duration::ZERO,
            bytes: 0,
            events: Vec::new(),
            neighbours: Vec::new(),
            ring: Vec::new(),
            faults: Vec::new(),
            dials: 0,
            hang_ups: 0,
            dialling: BTreeMap::new(),
            timeout: None,
        });
        self.start(machine);
    }

    /// A machine sends something of its own making to all it has a link to.
    pub(super) fn tell_all(&mut self, machine: usize, bytes: &Bytes) {
        for link in 0..self.links.len() {
            if self.links[link].iter().any(|end| end.machine == machine) {
                self.send(link, machine, bytes.clone());
            }
        }
    }

    /// All links of a machine break; both sides notice.
    pub(super) fn cut(&mut self, machine: usize) {
        for link in 0..self.links.len() {
            if self.links[link].iter().any(|end| end.machine == machine) {
                (0..2).for_each(|end| self.down(link, end));
            }
        }
    }

    /// Starts a machine, perhaps once more.
    pub(super) fn start(&mut self, machine: usize) {
        let local = LocalMember {
            key: key(machine),
            addresses: vec![self.machines[machine].address],
            weight: 1,
            zone: String::new(),
            profile: self.profile,
        };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.rng.next().to_le_bytes());
        let incarnation = 1_000_000 + self.now.as_micros() / 1_000;
        let mut membership = Membership::new(local, seed, incarnation);
        membership.set_claim(Claim::from_bytes([1; 20]));
        let state = &mut self.machines[machine];
        state.membership = Some(membership);
        (state.neighbours, state.ring) = (Vec::new(), Vec::new());
    }

    pub(super) fn join(&mut self, machine: usize, through: usize) {
        let (node, addresses) = (node(through), vec![self.machines[through].address]);
        self.give(machine, Input::AddPeer { node, addresses });
    }

    /// The power fails; or, if `loud`, the process ends and closes its connections.
    pub(super) fn stop(&mut self, machine: usize, loud: bool) {
        self.machines[machine].membership = None;
        self.machines[machine].dialling.clear();
        for link in 0..self.links.len() {
            for end in 0..2 {
                if self.links[link][end].machine == machine && self.links[link][end].is_up {
                    self.links[link][end].is_up = false;
                    if loud {
                        self.close(link, 1 - end);
                    }
                }
            }
        }
    }

    /// Tells the other end that a link is closed, unless that is lost.
    fn close(&mut self, link: usize, end: usize) {
        if let Some(delay) = self.passes(link, 1 - end) {
            self.later(delay, Event::Down { link, end });
        }
    }

    pub(super) fn forget_figures(&mut self) {
        (self.false_suspicions, self.false_deaths, self.events) = (0, 0, 0);
        for machine in &mut self.machines {
            machine.bytes = 0;
            machine.events.clear();
            (machine.dials, machine.hang_ups) = (0, 0);
        }
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.numbers += 1;
        self.queue.insert((self.now + delay, self.numbers), event);
    }

    fn delay(&mut self) -> Duration {
        let percent = 100 + self.rng.next() % (self.ways.jitter + 1);
        self.ways.delay * u32::try_from(percent).unwrap() / 100
    }

    fn is_lost(&mut self) -> bool {
        self.rng.next() % 1_000 < self.ways.loss_permille
    }

    /// The time that a packet from this end takes, unless it is lost.
    fn passes(&mut self, link: usize, end: usize) -> Option<Duration> {
        let (from, to) = (self.links[link][end].machine, self.links[link][1 - end].machine);
        let passes = self.machines[from].side == self.machines[to].side && !self.is_lost();
        passes.then(|| self.delay() + self.machines[from].lag)
    }

    /// Gives a machine an input and does what it says.
    pub(super) fn give(&mut self, machine: usize, input: Input) {
        let now = self.now;
        let Some(membership) = &mut self.machines[machine].membership else { return };
        membership.handle(now, input);
        while let Some(output) = self.output(machine) {
            self.carry_out(machine, output);
        }
        let state = &mut self.machines[machine];
        let due = state.membership.as_ref().and_then(Membership::poll_timeout);
        if let Some(due) = due.filter(|due| state.timeout.is_none_or(|set| *due < set)) {
            state.timeout = Some(due);
            self.later(due - now, Event::Timeout(machine));
        }
    }

    fn output(&mut self, machine: usize) -> Option<Output> {
        self.machines[machine].membership.as_mut()?.poll_output()
    }

    fn end_of(&self, link: usize, machine: usize) -> usize {
        usize::from(self.links[link][1].machine == machine)
    }

    fn carry_out(&mut self, machine: usize, output: Output) {
        match output {
            Output::Datagram { link, bytes } => self.send(number(link), machine, bytes),
            Output::Table { link, bytes } => self.send_table(number(link), machine, bytes),
            Output::Dial { peer, addresses } => self.dial(machine, peer, &addresses),
            Output::HangUp { link } => {
                self.machines[machine].hang_ups += 1;
                let link = number(link);
                let end = self.end_of(link, machine);
                self.later(Duration::ZERO, Event::Down { link, end });
                self.close(link, 1 - end);
            }
            Output::Neighbours(links) => self.machines[machine].neighbours = links,
            Output::Ring(links) => self.machines[machine].ring = links,
            Output::Event(event) => self.note(machine, event),
            Output::Fault { fault, .. } => self.machines[machine].faults.push(fault),
            _ => unreachable!("there are no others"),
        }
    }

    fn note(&mut self, machine: usize, event: MemberEvent) {
        let is_wrong = |node: &NodeId| {
            let of = self.machines.iter().find(|other| other.id == *node).unwrap();
            of.membership.is_some() && of.side == self.machines[machine].side
        };
        match &event {
            MemberEvent::Suspected(node) if is_wrong(node) => self.false_suspicions += 1,
            MemberEvent::Died(node) if is_wrong(node) => self.false_deaths += 1,
            MemberEvent::Claimed { .. } => return,
            _ => {}
        }
        self.machines[machine].events.push((self.now, event));
    }

    fn send(&mut self, link: usize, machine: usize, bytes: Bytes) {
        assert!(bytes.len() <= basefs::limits::MAX_DATAGRAM);
        let end = self.end_of(link, machine);
        if !self.links[link][end].is_up {
            return;
        }
        // What is sent carries the acknowledgement, unless that has left already.
        if let Some(since) = self.links[link][end].owed.take()
            && self.now - since > ACK_DELAY
        {
            self.machines[machine].bytes += ACK;
        }
        self.machines[machine].bytes += bytes.len() as u64 + AROUND;
        if let Some(delay) = self.passes(link, end) {
            self.later(delay, Event::Datagram { link, end: 1 - end, bytes });
        }
    }

    /// Streams repeat what is lost, and keep the order.
    fn send_table(&mut self, link: usize, machine: usize, bytes: Bytes) {
        let end = self.end_of(link, machine);
        if !self.links[link][end].is_up {
            return;
        }
        let packets = bytes.len() as u64 / 1_100 + 1;
        self.machines[machine].bytes += bytes.len() as u64 + packets * (AROUND + ACK);
        let mut delay = self.delay();
        for _ in 0..16 {
            if self.is_lost() {
                delay += self.ways.delay * 4;
            }
        }
        let at =
            (self.now + delay).max(self.links[link][1 - end].table_at + Duration::from_micros(1));
        self.links[link][1 - end].table_at = at;
        self.later(at - self.now, Event::Table { link, end: 1 - end, bytes });
    }

    fn dial(&mut self, from: usize, peer: NodeId, addresses: &[SocketAddr]) {
        self.machines[from].dials += 1;
        // Another attempt takes the place of the one before.
        let attempt = self.numbers;
        self.numbers += 1;
        self.machines[from].dialling.insert(peer, attempt);
        let to = (0..self.machines.len()).find(|to| {
            self.machines[*to].id == peer && addresses.contains(&self.machines[*to].address)
        });
        match to {
            Some(to) => self.later(Duration::ZERO, Event::Try { from, to, number: 0, attempt }),
            None => self.later(IDLE, Event::Failed { from, to: peer, attempt }),
        }
    }

    fn is_under_way(&self, from: usize, to: NodeId, attempt: u64) -> bool {
        self.machines[from].dialling.get(&to) == Some(&attempt)
    }

    /// A handshake takes three packets in a row; each try is all of them or nothing.
    fn try_to_connect(&mut self, from: usize, to: usize, tries: usize, attempt: u64) {
        if !self.is_under_way(from, self.machines[to].id, attempt) {
            return;
        }
        self.machines[from].bytes += HELLO;
        let side = self.machines[from].side == self.machines[to].side;
        let arrives = !(0..3).fold(false, |lost, _| self.is_lost() | lost);
        if side && arrives && self.machines[to].membership.is_some() {
            let now = self.now;
            let end =
                |machine| End { machine, is_up: false, heard: now, owed: None, table_at: now };
            self.links.push([end(from), end(to)]);
            let peer = self.machines[to].id;
            self.machines[from].dialling.remove(&peer);
            let link = self.links.len() - 1;
            let way = self.delay();
            self.later(way * 2, Event::Up { link, end: 0 });
            return self.later(way * 3, Event::Up { link, end: 1 });
        }
        let number = tries + 1;
        let event = match TRIES.get(number) {
            Some(_) => Event::Try { from, to, number, attempt },
            None => Event::Failed { from, to: self.machines[to].id, attempt },
        };
        let next = TRIES.get(number).copied().unwrap_or(30_000);
        self.later(Duration::from_millis(next - TRIES[tries]), event);
    }

    fn up(&mut self, link: usize, end: usize) {
        let (machine, other) = (self.links[link][end].machine, self.links[link][1 - end].machine);
        if self.machines[machine].membership.is_none() || end == 1 && !self.links[link][0].is_up {
            return;
        }
        self.links[link][end].is_up = true;
        self.links[link][end].heard = self.now;
        let (id, peer) = (LinkId::new(link as u64), self.machines[other].id);
        self.later(IDLE, Event::Idle { link, end });
        self.give(machine, Input::LinkUp { link: id, peer, dialed: end == 0 });
        let path = Path { rtt: self.ways.delay * 2, packets: 1_000, lost: self.ways.loss_permille };
        self.give(machine, Input::Path { link: id, path });
    }

    fn down(&mut self, link: usize, end: usize) {
        if std::mem::take(&mut self.links[link][end].is_up) {
            let machine = self.links[link][end].machine;
            self.give(machine, Input::LinkDown { link: LinkId::new(link as u64) });
        }
    }

    fn arrive(&mut self, link: usize, end: usize) -> Option<usize> {
        let now = self.now;
        let state = &mut self.links[link][end];
        if !state.is_up {
            return None;
        }
        state.heard = now;
        let machine = state.machine;
        if state.owed.replace(now).is_some() {
            self.machines[machine].bytes += ACK;
        }
        Some(machine)
    }

    fn happen(&mut self, event: Event) {
        self.events += 1;
        match event {
            Event::Datagram { link, end, bytes } => {
                if let Some(machine) = self.arrive(link, end) {
                    let link = LinkId::new(link as u64);
                    self.give(machine, Input::Datagram { link, bytes });
                }
            }
            Event::Table { link, end, bytes } => {
                let (machine, other) =
                    (self.links[link][end].machine, self.links[link][1 - end].machine);
                let passes = self.machines[machine].side == self.machines[other].side;
                if self.links[link][end].is_up && passes {
                    self.links[link][end].heard = self.now;
                    let link = LinkId::new(link as u64);
                    self.give(machine, Input::Table { link, bytes });
                }
            }
            Event::Up { link, end } => self.up(link, end),
            Event::Down { link, end } => self.down(link, end),
            Event::Try { from, to, number, attempt } => {
                self.try_to_connect(from, to, number, attempt);
            }
            Event::Failed { from, to, attempt } => {
                if self.is_under_way(from, to, attempt) {
                    self.machines[from].dialling.remove(&to);
                    self.give(from, Input::DialFailed { peer: to });
                }
            }
            Event::Idle { link, end } => {
                let due = self.links[link][end].heard + IDLE;
                if due > self.now {
                    self.later(due - self.now, Event::Idle { link, end });
                } else {
                    self.down(link, end);
                }
            }
            Event::Timeout(machine) => {
                let state = &mut self.machines[machine];
                if state.timeout.is_some_and(|set| set <= self.now) {
                    state.timeout = None;
                    self.give(machine, Input::Timeout);
                }
            }
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until something is so, and says how long that took; `None` if it never was.
    pub(super) fn run_until(
        &mut self,
        at_most: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let (start, end) = (self.now, self.now + at_most);
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > end {
                self.numbers += 1;
                self.queue.insert((at, 0), event);
                break;
            }
            self.now = at;
            self.happen(event);
            if is_so(self) {
                return Some(self.now - start);
            }
        }
        self.now = end;
        None
    }
}

/// What the machines think.
impl World {
    pub(super) fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.machines.len()).filter(|machine| self.machines[*machine].membership.is_some())
    }

    pub(super) fn of(&self, machine: usize) -> &Membership {
        self.machines[machine].membership.as_ref().unwrap()
    }

    /// Whom a machine holds for alive.
    pub(super) fn living(&self, machine: usize) -> BTreeSet<NodeId> {
        let members = self.of(machine).members();
        let living = members
            .filter(|member| matches!(member.state, MemberState::Alive | MemberState::Suspect));
        living.map(|member| member.node).collect()
    }

    /// Whether all that run hold each other for alive, and nobody else.
    pub(super) fn is_agreed(&self) -> bool {
        let running: BTreeSet<NodeId> =
            self.running().map(|machine| self.machines[machine].id).collect();
        self.running().all(|machine| {
            let mut expected = running.clone();
            expected.remove(&self.machines[machine].id);
            self.living(machine) == expected
        })
    }

    /// Whether everybody holds a machine for something.
    pub(super) fn all_hold(&self, machine: usize, state: MemberState) -> bool {
        let id = self.machines[machine].id;
        self.running()
            .filter(|at| *at != machine)
            .all(|at| self.of(at).member(&id).is_some_and(|member| member.state == state))
    }

    /// The machines at the other ends.
    pub(super) fn peers(&self, machine: usize, links: &[LinkId]) -> Vec<usize> {
        let other = |link: &LinkId| {
            let ends = &self.links[number(*link)];
            ends[1 - self.end_of(number(*link), machine)].machine
        };
        links.iter().map(other).collect()
    }

    /// Links that are up at both ends.
    pub(super) fn links(&self) -> Vec<(usize, usize)> {
        let up = self.links.iter().filter(|ends| ends.iter().all(|end| end.is_up));
        up.map(|ends| (ends[0].machine, ends[1].machine)).collect()
    }
}

fn number(link: LinkId) -> usize {
    usize::try_from(link.number()).unwrap()
}
