//! Who is there: SWIM with suspicion and Lifeguard over warm links.
//!
//! Every interval one linked member is pinged. Within the period of a probe the ping is repeated,
//! for on lossy ways a lost packet is the rule, and others are asked to try as well. Who stays
//! silent is *suspected*: everybody hears of it, everybody with a link tries too, the suspect above
//! all hears of it and refutes with a new signed record. Only when the suspicion has stood for its
//! time, which others who find the same shorten, is a member *dead*. Anything that arrives from a
//! suspect clears it here, whatever others say.
//!
//! After: Das, Gupta and Motivala 2002 ("SWIM"); Dadgar, Phillips and Currey 2018 ("Lifeguard").

mod io;
mod known;
mod linking;
mod news;
mod probe;
mod random;
mod suspicion;
mod table;
mod timers;

pub use super::record::{MAX_ADDRESSES, MAX_ZONE};
pub use io::{Input, LocalMember, Member, MemberEvent, MemberFault, MemberState, Output};

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;

use super::Claim;
use super::bucket::Bucket;
use super::message::{Datagram, Digest, Kind, Rumor, Undecoded};
use super::overlay::Place;
use super::record::{Record, SignedRecord};
use super::tuning::Tuning;
use crate::id::{LinkId, NodeId};
use crate::time::Timestamp;
use crate::wire::SecretKey;
use known::{Known, Link, Probe};
use linking::Seed;
use news::News;
use random::Random;
use timers::{Timer, Timers};

/// Longest table message.
pub const MAX_TABLE: usize = 32_768;

/// The most rumors of one datagram; suspicions are small, and a datagram of them need not be full.
const MAX_RUMORS: usize = 8;
/// The same on a slow uplink, and by how much longer it waits between rounds of news and between
/// probes: membership must not use up what it has.
const SLOW_RUMORS: usize = 2;
const SLOW_ROUNDS: u32 = 20;
const SLOW_TIMES: u32 = 3;
/// Bytes a second that may be sent beyond first pings and answers, and how many may be saved up:
/// repeated pings, asking others, news. Far more than is needed where three in four packets are
/// lost, and a bound on what anybody can make this node send.
const EXTRAS: (u64, u64) = (16_000, 64 << 10);
/// What a datagram costs beside its own bytes, in headers.
const AROUND: usize = 64;
/// By how much more it costs on a slow uplink: repeating keeps a congested uplink of 16 kbit/s
/// congested.
const SLOW_COST: usize = 48;
/// Peers that hear news in each round.
const ROUND_TO: usize = 3;

/// The membership of one node, without I/O: inputs in, outputs out.
///
/// ```
/// use basefs::gossip::{
///     LocalMember, Membership, MembershipInput as Input, MembershipOutput as Output, Profile,
/// };
/// use basefs::id::{LinkId, NodeId};
/// use basefs::time::Timestamp;
/// use basefs::wire::SecretKey;
///
/// let local = LocalMember {
///     key: SecretKey::from_seed([1; 32]),
///     addresses: vec!["192.0.2.1:4000".parse()?],
///     weight: 1,
///     zone: "hall".into(),
///     profile: Profile::Lan,
/// };
/// let mut membership = Membership::new(local, [2; 32], 1_700_000_000_000);
/// let (link, peer) = (LinkId::new(0), NodeId::from_bytes([3; 32]));
/// membership.handle(Timestamp::ZERO, Input::LinkUp { link, peer, dialed: true });
/// let greeting = membership.poll_output();
/// assert!(matches!(greeting, Some(Output::Table { .. })));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct Membership {
    tuning: &'static Tuning,
    key: SecretKey,
    me: Place,
    own: SignedRecord,
    claim: Option<Claim>,
    now: Timestamp,
    random: Random,
    timers: Timers,
    /// All other members, the dead included.
    members: BTreeMap<NodeId, Known>,
    /// The active ones and this node, in order.
    ring: Vec<Place>,
    links: BTreeMap<LinkId, Link>,
    /// The link to each peer that has one.
    by_peer: BTreeMap<NodeId, LinkId>,
    seeds: BTreeMap<NodeId, Seed>,
    /// Who is being dialled, and where.
    dialled: BTreeMap<NodeId, Vec<SocketAddr>>,
    /// Whom this node keeps links to.
    wanted: BTreeSet<NodeId>,
    /// Whether there are too many members for links to all.
    is_sparse: bool,
    chosen_at: Option<Timestamp>,
    fanout: Option<usize>,
    neighbours: Vec<LinkId>,
    linked_ring: Vec<LinkId>,
    probes: BTreeMap<u32, Probe>,
    next_seq: u32,
    turns: u32,
    /// By how many halves this node stretches its times, because it may itself be at fault.
    health: u32,
    is_slow: bool,
    /// The peer that answered late last.
    late: Option<NodeId>,
    /// Until when answers are expected to be late.
    late_until: Timestamp,
    extras: Bucket,
    news: News,
    last_round: Option<Timestamp>,
    digest: Option<Digest>,
    compared_at: Option<Timestamp>,
    refuted_at: Option<Timestamp>,
    has_left: bool,
    outputs: VecDeque<Output>,
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("own", &self.own.record)
            .field("members", &self.members.len())
            .field("links", &self.links.len())
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl Membership {
    /// The membership of a node that knows nobody yet.
    ///
    /// `seed` is known to nobody else. `incarnation` is larger than any that this key ever used:
    /// milliseconds of the wall clock do, and should the clock go back, others say so.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// use basefs::gossip::Membership;
    ///
    /// let membership = Membership::new(members::local(1), [2; 32], 1_700_000_000_000);
    /// assert_eq!(membership.incarnation(), 1_700_000_000_000);
    /// assert_eq!(membership.members().count(), 0);
    /// ```
    pub fn new(local: LocalMember, seed: [u8; 32], incarnation: u64) -> Self {
        let node = NodeId::from_bytes(*local.key.public().as_bytes());
        let record = Record {
            node,
            incarnation,
            left: false,
            weight: local.weight,
            addresses: local.addresses,
            zone: local.zone,
        };
        let me = Place::of(node);
        Self {
            tuning: Tuning::of(local.profile),
            own: SignedRecord::sign(record, &local.key),
            key: local.key,
            me,
            claim: None,
            now: Timestamp::ZERO,
            random: Random::new(&seed),
            timers: Timers::default(),
            members: BTreeMap::new(),
            ring: alloc::vec![me],
            links: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            seeds: BTreeMap::new(),
            dialled: BTreeMap::new(),
            wanted: BTreeSet::new(),
            is_sparse: false,
            chosen_at: None,
            fanout: None,
            neighbours: Vec::new(),
            linked_ring: Vec::new(),
            probes: BTreeMap::new(),
            next_seq: 0,
            turns: 0,
            health: 0,
            is_slow: false,
            late: None,
            late_until: Timestamp::ZERO,
            extras: Bucket::new(EXTRAS.0, EXTRAS.1),
            news: News::default(),
            last_round: None,
            digest: None,
            compared_at: None,
            refuted_at: None,
            has_left: false,
            outputs: VecDeque::new(),
        }
    }

    /// This node's id.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// let key = members::local(1).key;
    /// let (ana, _) = members::connected();
    /// assert_eq!(ana.node().as_bytes(), key.public().as_bytes());
    /// ```
    pub fn node(&self) -> NodeId {
        self.me.node
    }

    /// Takes an input and does what is due. Outputs are to be drained afterwards.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// use basefs::gossip::{MembershipInput as Input, MembershipOutput as Output};
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, _) = members::connected();
    /// ana.handle(Timestamp::ZERO, Input::LinkDown { link: members::WIRE });
    /// let mut outputs = std::iter::from_fn(|| ana.poll_output());
    /// assert!(outputs.all(|output| !matches!(output, Output::Fault { .. })));
    /// ```
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = self.now.max(now);
        self.take(input);
        while let Some(timer) = self.timers.pop(self.now) {
            self.fire(timer);
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::LinkUp { link, peer, dialed } => self.link_up(link, peer, dialed),
            Input::LinkDown { link } => self.link_down(link),
            Input::DialFailed { peer } => self.dial_failed(peer),
            Input::Datagram { link, bytes } => self.take_datagram(link, &bytes),
            Input::Table { link, bytes } => self.take_table(link, &bytes),
            Input::Heard { link } => self.heard(link),
            Input::Path { link, path } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.path = path;
                }
            }
            Input::AddPeer { node, addresses } => self.add_seed(node, addresses),
            Input::Leave => self.leave(),
            Input::SetAddresses(addresses) => self.set_addresses(addresses),
            Input::Timeout => {}
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Tick => self.tick(),
            Timer::Probe(seq) => self.continue_probe(seq),
            Timer::Suspicion(node) => self.judge(node),
            Timer::Unlinked(node) => self.ask_after(node),
            Timer::Dial(node) => self.dial(node),
            Timer::DialDead => self.dial_dead(),
            Timer::Forget(node) => self.forget(node),
            Timer::Unwanted(link) => self.hang_up_unwanted(link),
            Timer::Choose => self.choose(),
            Timer::Round => self.tell_news(),
            Timer::HangUp => self.hang_up_all(),
        }
    }

    /// The next thing to do.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// let (mut ana, _) = members::connected();
    /// while let Some(output) = ana.poll_output() {
    ///     println!("to do: {output:?}");
    /// }
    /// ```
    #[must_use = "an output taken out and ignored is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to handle [`Input::Timeout`] unless another input comes first.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// use basefs::gossip::MembershipInput as Input;
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, mut ben) = members::connected();
    /// members::talk(Timestamp::ZERO, &mut ana, &mut ben);
    /// let due = ana.poll_timeout().expect("whoever has a link watches it");
    /// assert!(due > Timestamp::ZERO);
    /// ana.handle(due, Input::Timeout);
    /// ```
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// What this node claims of its state from now on.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// use basefs::gossip::{Claim, MemberEvent};
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, mut ben) = members::connected();
    /// let claim = Claim::from_bytes([7; Claim::LEN]);
    /// ben.set_claim(claim);
    /// let mut events = members::talk(Timestamp::ZERO, &mut ana, &mut ben);
    /// // It goes with the next ping or answer.
    /// for _ in 0..10 {
    ///     let due = ben.poll_timeout().expect("whoever has a link watches it");
    ///     events.extend(members::talk(due, &mut ana, &mut ben));
    /// }
    /// assert!(events.contains(&MemberEvent::Claimed { link: members::WIRE, claim }));
    /// ```
    pub fn set_claim(&mut self, claim: Claim) {
        self.claim = Some(claim);
    }

    /// Whether the uplink of this node is slow, or what it sends waits in a queue. Then, and while
    /// answers to its pings are late, it probes and repeats less often, asks nobody for help, and
    /// tells little news.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// let (mut ana, _) = members::connected();
    /// ana.set_slow(true); // what it sends waits in a queue
    /// ana.set_slow(false); // not any more
    /// ```
    pub fn set_slow(&mut self, is_slow: bool) {
        let was_sparing = self.is_sparing();
        self.is_slow = is_slow;
        if is_slow && !was_sparing {
            self.extend_probes();
        }
    }

    /// To how many neighbours entries are pushed; nothing: 4 among up to 100 members and 5 among
    /// more. At least one: the ring.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// let (mut ana, _) = members::connected();
    /// ana.set_fanout(Some(8)); // much is lost
    /// ana.set_fanout(None); // not any more
    /// ```
    pub fn set_fanout(&mut self, fanout: Option<usize>) {
        let fanout = fanout.map(|fanout| fanout.max(1));
        if self.fanout != fanout {
            self.fanout = fanout;
            self.timers.set_by(Timer::Choose, self.now);
        }
    }

    /// All other members, the dead and those that left included as long as they are remembered, in
    /// the order of their ids.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, mut ben) = members::connected();
    /// members::talk(Timestamp::ZERO, &mut ana, &mut ben);
    /// let all: Vec<_> = ana.members().map(|member| member.node).collect();
    /// assert_eq!(all, [ben.node()]);
    /// ```
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(|known| &known.member)
    }

    /// One other member.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// let (ana, ben) = members::connected();
    /// assert_eq!(ana.member(&ana.node()), None, "of the others only");
    /// ```
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.members.get(node).map(|known| &known.member)
    }

    /// The number of what this node last said of itself.
    ///
    /// ```
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// use basefs::gossip::MembershipInput as Input;
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, _) = members::connected();
    /// let before = ana.incarnation();
    /// ana.handle(Timestamp::ZERO, Input::SetAddresses(vec!["192.0.2.9:4000".parse()?]));
    /// assert!(ana.incarnation() > before, "it has something new to say of itself");
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn incarnation(&self) -> u64 {
        self.own.record.incarnation
    }

    fn event(&mut self, event: MemberEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn fault(&mut self, link: LinkId, fault: MemberFault) {
        self.outputs.push_back(Output::Fault { link, fault });
    }

    /// Members that are active, this node included.
    fn size(&self) -> usize {
        self.ring.len()
    }
}

/// News.
impl Membership {
    fn spread(&mut self, rumor: Rumor) {
        self.news.add(rumor);
        let at = self.last_round.map_or(self.now, |last| self.now.max(last + self.round()));
        self.timers.set_by(Timer::Round, at);
    }

    /// Whether something beside first pings and answers may be sent now.
    fn may_add(&mut self) -> bool {
        self.extras.is_open(self.now)
    }

    /// So much was sent beside first pings and answers.
    fn added(&mut self, datagrams: usize, bytes: usize) {
        let times = if self.is_sparing() { SLOW_COST } else { 1 };
        self.extras.owe((bytes + AROUND) * datagrams * times);
    }

    /// Sends a datagram, with as much news as fits after the rumor that the receiver must hear;
    /// gives its length.
    fn send(&mut self, link: LinkId, kind: Kind, first: Option<Rumor>) -> usize {
        let before = usize::from(first.is_some());
        let mut rumors: Vec<Rumor> = first.into_iter().collect();
        rumors.extend(self.news.first(self.rumors()));
        let (bytes, fitting) = Datagram { kind, rumors }.encode();
        self.news.told(fitting.saturating_sub(before), 1, self.size());
        let length = bytes.len();
        self.outputs.push_back(Output::Datagram { link, bytes: bytes.into() });
        length
    }

    /// Between two rounds of news.
    fn round(&self) -> Duration {
        self.tuning.round * if self.is_sparing() { SLOW_ROUNDS } else { 1 }
    }

    /// Rumors of one datagram.
    fn rumors(&self) -> usize {
        if self.is_sparing() { SLOW_RUMORS } else { MAX_RUMORS }
    }

    /// Tells the latest news to a few peers.
    fn tell_news(&mut self) {
        if self.news.is_empty() || self.has_left {
            return;
        }
        if !self.may_add() {
            return self.timers.set(Timer::Round, self.now + self.round());
        }
        self.last_round = Some(self.now);
        let mut links: Vec<LinkId> = self.by_peer.values().copied().collect();
        let to = self.random.some_of(&mut links, ROUND_TO);
        let rumors = self.news.first(self.rumors());
        let (bytes, fitting) = Datagram { kind: Kind::News, rumors }.encode();
        let bytes = Bytes::from(bytes);
        self.added(to.len(), bytes.len());
        // Without links there is nobody to tell, and none of it is news when there is one.
        let times = if to.is_empty() { u32::MAX } else { u32::try_from(to.len()).unwrap_or(1) };
        self.news.told(fitting, times, self.size());
        for link in to {
            self.outputs.push_back(Output::Datagram { link, bytes: bytes.clone() });
        }
        if !self.news.is_empty() {
            self.timers.set(Timer::Round, self.now + self.round());
        }
    }

    fn take_datagram(&mut self, link: LinkId, bytes: &[u8]) {
        if !self.links.contains_key(&link) || self.has_left {
            return;
        }
        let datagram = match Datagram::decode(bytes) {
            Ok(datagram) => datagram,
            // A later version may have more kinds, and a datagram asks for nothing by itself.
            Err(Undecoded::Unknown) => return self.heard(link),
            Err(Undecoded::Malformed) => return self.fault(link, MemberFault::Datagram),
        };
        self.heard(link);
        for rumor in datagram.rumors {
            let taken = match rumor {
                Rumor::Record(signed) => self.take_record(link, signed),
                Rumor::Suspect(about) => {
                    self.hear_suspicion(link, about);
                    Ok(())
                }
                Rumor::Dead(about) => {
                    self.hear_verdict(Some(link), about);
                    Ok(())
                }
            };
            if let Err(fault) = taken {
                return self.fault(link, fault);
            }
        }
        self.take_kind(link, datagram.kind);
    }
}

/// What this node says of itself.
impl Membership {
    fn set_addresses(&mut self, addresses: Vec<SocketAddr>) {
        let mut record = self.own.record.clone();
        record.addresses = addresses;
        record.clamp();
        if record.addresses != self.own.record.addresses {
            self.say(record.incarnation, record);
        }
    }

    /// Signs a new record, with an incarnation above `than`, and tells the others.
    fn say(&mut self, than: u64, mut record: Record) {
        record.incarnation = than.saturating_add(1);
        self.own = SignedRecord::sign(record, &self.key);
        self.digest = None;
        self.spread(Rumor::Record(self.own.clone()));
    }
}
