//! Whole nodes, their disks, and the connections between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use basefs::entry::{SignedEntry, VerifiedEntry};
use basefs::gossip::Profile;
use basefs::id::{Content, EntryId, LinkId, NodeId};
use basefs::log::Source;
use basefs::node::{Effects, Input, Node, NodeEvent, Outgoing, PeerFault, Replica};
use basefs::time::Timestamp;
use bytes::Bytes;

use super::author;
use super::disk::Disk;
use super::net::{Carried, settle};
use super::packets::Packets;
use super::queue::{Micros, Queue};
use super::quic::{Control, Quic};
use super::rng::Rng;

/// What a world is made with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub hosts: usize,
    /// The first of them may write.
    pub writers: usize,
    pub seed: u64,
    pub profile: Profile,
    pub control: Control,
    /// Whether nodes find each other by themselves; otherwise the test connects them.
    pub membership: bool,
    /// How long a commit takes.
    pub store: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: 30,
            writers: 30,
            seed: 1,
            profile: Profile::Mesh,
            control: Control::Bbr,
            membership: true,
            store: Duration::from_micros(500),
        }
    }
}

pub(super) enum Event {
    Carried(Carried),
    Node(usize, u32),
    Commit(usize, u32),
    Input(usize, u32, Box<Input>),
}

impl From<Carried> for Event {
    fn from(carried: Carried) -> Self {
        Event::Carried(carried)
    }
}

/// What is being sent on the stream of a link.
pub(super) enum Sending {
    Idle,
    Ready,
    Busy(Outgoing),
}

/// A machine.
pub struct Host {
    /// Nothing while it is down.
    pub node: Option<Node>,
    pub disk: Disk,
    pub(super) life: u32,
    pub(super) staged: VecDeque<Effects>,
    pub(super) is_committing: bool,
    pub(super) sending: BTreeMap<u64, Sending>,
    pub(super) by_peer: BTreeMap<usize, u64>,
    pub(super) dialing: BTreeMap<u64, usize>,
    pub(super) timer: Option<Micros>,
    /// Pushes sent: copies of entries and pieces.
    pub pushes: u64,
    pub faults: Vec<PeerFault>,
    /// What its node said of members, and when.
    pub members: Vec<(Micros, NodeEvent)>,
    pub sessions: u64,
    /// Its clock runs by so many millionths faster.
    pub skew_ppm: i64,
    /// It needs so long for everything that it is told.
    pub slow: Micros,
    /// It garbles so many of a thousand frames and datagrams of its own.
    pub garbles: u64,
    /// It pushes something again after so many of a thousand pushes.
    pub replays: u64,
    /// It says that it pushed, and pushes nothing.
    pub withholds: bool,
    /// What it could push again.
    pub(super) pushed: Vec<Bytes>,
}

/// All of it.
pub struct World {
    pub options: Options,
    pub packets: Packets,
    pub hosts: Vec<Host>,
    pub(super) queue: Queue<Event>,
    pub(super) quic: Quic,
    pub(super) memo: BTreeMap<EntryId, VerifiedEntry>,
    pub(super) founding: Vec<VerifiedEntry>,
    pub(super) ids: BTreeMap<NodeId, usize>,
    pub(super) rng: Rng,
    /// When each host had each written entry.
    pub(super) admitted: BTreeMap<EntryId, Vec<Option<Micros>>>,
    pub(super) completed: BTreeMap<Content, Vec<Option<Micros>>>,
    pub(super) contents: BTreeMap<EntryId, Option<Content>>,
}

/// Where a host can be reached.
pub fn address(host: usize) -> SocketAddr {
    let [.., high, low] = u32::try_from(host).expect("hosts are few").to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 1))
}

pub fn node_id(host: usize) -> NodeId {
    NodeId::from_bytes(*author::node_key(host).public().as_bytes())
}

impl World {
    /// Hosts that hold nothing but the genesis and the grants. They are up from now on, and know
    /// the first host's address.
    pub fn new(options: Options) -> Self {
        let founding = author::founding(options.writers.min(options.hosts));
        let mut world = Self {
            options,
            packets: Packets::new(options.seed, options.hosts),
            hosts: Vec::new(),
            queue: Queue::default(),
            quic: Quic::new(options.hosts, options.control),
            memo: BTreeMap::new(),
            founding,
            ids: (0..options.hosts).map(|host| (node_id(host), host)).collect(),
            rng: Rng::new(options.seed, 2),
            admitted: BTreeMap::new(),
            completed: BTreeMap::new(),
            contents: BTreeMap::new(),
        };
        let mut replica = Replica::new(world.founding[0].id(), 9);
        let mut effects = Effects::default();
        for entry in &world.founding {
            replica.offer(entry.clone(), Source::Local, &mut effects);
        }
        let mut disk = Disk::default();
        disk.commit(&effects);
        world.hosts = (0..options.hosts).map(|_| Host::down(disk.clone())).collect();
        for host in 0..options.hosts {
            world.start(host, Some(replica.clone()));
        }
        world
    }

    pub fn now(&self) -> Micros {
        self.queue.now()
    }

    /// A hash over everything that happened.
    pub fn hash(&self) -> u64 {
        self.queue.hash()
    }

    pub fn events(&self) -> u64 {
        self.queue.events()
    }

    /// Starts a host from its disk, or with a replica that its disk holds.
    fn start(&mut self, at: usize, replica: Option<Replica>) {
        let genesis = self.founding[0].id();
        let seed = self.rng.bytes();
        let host = &mut self.hosts[at];
        host.life += 1;
        let replica = replica.unwrap_or_else(|| host.disk.restore(genesis));
        host.node = Some(Node::new(replica, seed));
        if self.options.membership {
            super::member::join(self, at);
        }
        self.drain(at);
    }

    /// Starts a host that is down.
    pub fn restart(&mut self, at: usize) {
        assert!(self.hosts[at].node.is_none(), "it is up");
        self.quic.restart(at);
        self.start(at, None);
    }

    /// A host loses all that is not on its disk, and says nothing any more.
    pub fn crash(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let disk = std::mem::take(&mut host.disk);
        let mut fresh = Host::down(disk);
        fresh.life = host.life;
        fresh.pushes = host.pushes;
        fresh.sessions = host.sessions;
        std::mem::swap(&mut fresh.faults, &mut host.faults);
        *host = fresh;
        self.quic.crash(at);
    }

    pub fn is_up(&self, at: usize) -> bool {
        self.hosts[at].node.is_some()
    }

    /// Lets a host dial another.
    pub fn connect(&mut self, from: usize, to: usize) {
        self.dial(from, to);
    }

    /// A host writes a file in the root directory.
    pub fn write(&mut self, at: usize, name: &str, bytes: &[u8]) -> EntryId {
        assert!(at < self.options.writers, "it has no grant");
        let grant = self.founding[at + 1].id();
        let node = self.hosts[at].node.as_mut().expect("only a host that is up can write");
        let bytes = bytes.to_vec().into();
        let author::Written { entry, blocks, content } =
            author::write(node.replica(), at, grant, name, &bytes);
        node.add_blocks(blocks);
        content.iter().for_each(|content| node.complete(content));
        self.offer(at, entry, content)
    }

    /// A host takes in what was written with a key of its own.
    pub(super) fn offer(
        &mut self,
        at: usize,
        entry: VerifiedEntry,
        content: Option<Content>,
    ) -> EntryId {
        let (id, hosts) = (entry.id(), self.options.hosts);
        self.contents.insert(id, content);
        if let Some(content) = content {
            self.completed.entry(content).or_insert_with(|| vec![None; hosts]);
        }
        self.admitted.insert(id, vec![None; hosts]);
        self.memo.insert(id, entry.clone());
        if let Some(node) = &mut self.hosts[at].node {
            node.offer(entry);
        }
        self.tell(at, Input::Timeout);
        id
    }

    /// When a host had an entry, its content included.
    pub fn had(&self, id: EntryId, host: usize) -> Option<Micros> {
        let admitted = (*self.admitted.get(&id)?.get(host)?)?;
        match self.contents.get(&id)? {
            None => Some(admitted),
            Some(content) => Some(admitted.max((*self.completed.get(content)?.get(host)?)?)),
        }
    }

    /// When the last host had it, if all that are up have it.
    pub fn last(&self, id: EntryId) -> Option<Micros> {
        let up = (0..self.options.hosts).filter(|host| self.is_up(*host));
        up.map(|host| self.had(id, host)).try_fold(0, |last, had| Some(last.max(had?)))
    }

    /// Whether all hosts that are up have everything written so far.
    pub fn all_have_all(&self) -> bool {
        self.contents.keys().all(|id| self.last(*id).is_some())
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now() + micros(duration);
        self.settle();
        while let Some(event) = self.queue.pop_until(end) {
            self.happen(event);
        }
    }

    /// Lets time pass until something is so, at most so long; says whether it came to that.
    pub fn run_until(&mut self, most: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now() + micros(most);
        let mut looks = 0_u32;
        self.settle();
        while let Some(event) = self.queue.pop_until(end) {
            self.happen(event);
            looks += 1;
            if looks.is_multiple_of(16) && is_so(self) {
                return true;
            }
        }
        is_so(self)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Carried(carried) => {
                carried.happen(&mut self.queue, &mut self.packets, &mut self.quic);
            }
            Event::Node(at, life) if self.hosts[at].life == life => {
                // A timer that was set to something earlier since has fired then.
                let now = self.now();
                if self.hosts[at].timer.take_if(|due| *due <= now).is_some() {
                    self.tell(at, Input::Timeout);
                }
            }
            Event::Commit(at, life) if self.hosts[at].life == life => self.commit(at),
            Event::Input(at, life, input) if self.hosts[at].life == life => self.tell(at, *input),
            _ => {}
        }
        self.settle();
    }

    /// Lets packets leave and nodes hear what happened on their connections, until nothing is left
    /// to do at this time.
    fn settle(&mut self) {
        loop {
            settle(&mut self.queue, &mut self.packets, &mut self.quic);
            let Some((end, happening)) = self.quic.poll() else { return };
            self.happened(end, happening);
            while let Some((end, happening)) = self.quic.poll() {
                self.happened(end, happening);
            }
        }
    }

    /// The time on a host's clock.
    fn clock(&self, at: usize) -> Timestamp {
        let now = i128::from(self.now());
        let skewed = now + now * i128::from(self.hosts[at].skew_ppm) / 1_000_000;
        Timestamp::from_micros(u64::try_from(skewed).unwrap_or(0))
    }

    /// The time of the world at which a host's clock shows another.
    fn world_time(&self, at: usize, clock: Timestamp) -> Micros {
        let skew = i128::from(self.hosts[at].skew_ppm);
        let time = i128::from(clock.as_micros()) * 1_000_000 / (1_000_000 + skew);
        u64::try_from(time).unwrap_or(u64::MAX).saturating_add(u64::from(skew != 0))
    }

    /// Tells a node something and does what it wants.
    pub(super) fn tell(&mut self, at: usize, input: Input) {
        let now = self.clock(at);
        if let Some(node) = &mut self.hosts[at].node {
            node.handle(now, input);
            self.drain(at);
        }
    }

    /// Tells a node something when it gets round to it.
    pub(super) fn tell_soon(&mut self, at: usize, after: Micros, input: Input) {
        let after = after + self.hosts[at].slow;
        if after == 0 {
            return self.tell(at, input);
        }
        let life = self.hosts[at].life;
        self.queue.push(self.now() + after, Event::Input(at, life, Box::new(input)));
    }

    fn commit(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.is_committing = false;
        let Some(node) = &mut host.node else { return };
        while let Some(effects) = host.staged.pop_front() {
            host.disk.commit(&effects);
            node.stored(effects.mark);
        }
        self.tell(at, Input::Timeout);
    }

    /// Takes what a node wants stored.
    pub(super) fn stage(&mut self, at: usize) {
        let now = self.now();
        let Some(node) = &mut self.hosts[at].node else { return };
        let effects = node.take_effects();
        for entry in &effects.admitted {
            if let Some(times) = self.admitted.get_mut(&entry.id()) {
                times[at].get_or_insert(now);
            }
        }
        for content in &effects.completed {
            if let Some(times) = self.completed.get_mut(content) {
                times[at].get_or_insert(now);
            }
        }
        let host = &mut self.hosts[at];
        host.staged.push_back(effects);
        if !std::mem::replace(&mut host.is_committing, true) {
            let (life, store) = (host.life, micros(self.options.store));
            self.queue.push(now + store, Event::Commit(at, life));
        }
    }

    /// Makes sure that a node is asked when its time comes.
    pub(super) fn set_timer(&mut self, at: usize) {
        let Some(due) = self.hosts[at].node.as_ref().and_then(Node::poll_timeout) else { return };
        // Work at once costs a millisecond of other things.
        let due = self.world_time(at, due).max(self.now() + 1);
        let host = &mut self.hosts[at];
        if host.timer.is_none_or(|timer| due < timer) {
            host.timer = Some(due);
            let life = host.life;
            self.queue.push(due, Event::Node(at, life));
        }
    }

    /// Checks signatures: each distinct entry really, once in this world.
    pub(super) fn verify(&mut self, entries: Vec<SignedEntry>) -> (Vec<VerifiedEntry>, usize) {
        let all = entries.len();
        let mut verified = Vec::with_capacity(all);
        for entry in entries {
            let id = entry.id();
            match self.memo.get(&id) {
                Some(known) => verified.push(known.clone()),
                None => {
                    if let Ok(entry) = entry.verify() {
                        self.memo.insert(id, entry.clone());
                        verified.push(entry);
                    }
                }
            }
        }
        let invalid = all - verified.len();
        (verified, invalid)
    }

    /// Whether all hosts that are up hold and show the same, contents included.
    pub fn is_equal(&self) -> bool {
        let nodes = || self.hosts.iter().filter_map(|host| host.node.as_ref());
        let length = |node: &Node| node.replica().log().len();
        let first = nodes().next().map(length);
        // Most of the time this tells already.
        nodes().all(|node| Some(length(node)) == first && node.wanted() == 0)
            && self.explain_differences().is_empty()
    }

    /// The hosts that are up and do not hold or show the same as the first that is; each with what
    /// differs.
    pub fn explain_differences(&self) -> Vec<String> {
        let up: Vec<usize> = (0..self.hosts.len()).filter(|host| self.is_up(*host)).collect();
        let Some((first, others)) = up.split_first() else { return Vec::new() };
        let (ids, shown) = (self.entry_ids(*first), self.shown(*first));
        let differs = |host: &usize| {
            let (own_ids, own_shown) = (self.entry_ids(*host), self.shown(*host));
            let lacks = ids.difference(&own_ids).count();
            let has = own_ids.difference(&ids).count();
            let shows = usize::from(lacks + has == 0 && shown != own_shown);
            let wanted = self.hosts[*host].node.as_ref().map_or(0, Node::wanted);
            (lacks + has + shows + wanted > 0).then(|| {
                format!(
                    "lacks {lacks} and has {has} that host {first} has not, shows other: {shows}"
                )
            })
        };
        let lines = others.iter().filter_map(|host| Some((host, differs(host)?)));
        let mut lines: Vec<String> = lines
            .map(|(host, differs)| format!("host {host} {differs}; {}", self.state(*host)))
            .collect();
        let wants = self.hosts[*first].node.as_ref().is_some_and(|node| node.wanted() > 0);
        if wants || !lines.is_empty() {
            lines.insert(0, format!("host {first}: {}", self.state(*first)));
        }
        lines
    }

    fn state(&self, host: usize) -> String {
        let Some(node) = &self.hosts[host].node else { return "down".into() };
        format!(
            "{} entries, {} wait, {} contents are wanted, {} links",
            node.replica().log().len(),
            node.replica().log().waiting(),
            node.wanted(),
            node.peers().count()
        )
    }

    fn entry_ids(&self, host: usize) -> BTreeSet<EntryId> {
        let log = self.hosts[host].node.as_ref().map(|node| node.replica().log());
        log.into_iter().flat_map(|log| log.in_order().into_iter().map(|no| log.id(no))).collect()
    }

    /// The entry that each name in the root shows.
    pub fn shown(&self, host: usize) -> BTreeMap<String, EntryId> {
        let Some(node) = &self.hosts[host].node else { return BTreeMap::new() };
        let (log, view) = (node.replica().log(), node.replica().view());
        let children = log.root().into_iter().flat_map(|root| log.children(root));
        let winner = |(name, slot): (&std::sync::Arc<str>, _)| {
            Some((name.to_string(), log.id(view.winner(slot)?)))
        };
        children.filter_map(winner).collect()
    }

    /// Links between hosts that both ends hold for open.
    pub fn links(&self) -> usize {
        self.quic.standing()
    }
}

impl Host {
    fn down(disk: Disk) -> Self {
        Self {
            node: None,
            disk,
            life: 0,
            staged: VecDeque::new(),
            is_committing: false,
            sending: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            dialing: BTreeMap::new(),
            timer: None,
            pushes: 0,
            faults: Vec::new(),
            members: Vec::new(),
            sessions: 0,
            skew_ppm: 0,
            slow: 0,
            garbles: 0,
            replays: 0,
            withholds: false,
            pushed: Vec::new(),
        }
    }
}

pub fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The link that a node knows a connection by.
pub(super) fn link(connection: u64) -> LinkId {
    LinkId::new(connection)
}
