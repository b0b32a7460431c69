//! Links: whom to dial, whom to hang up on, whom to push to.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::super::message::{Digest, Purpose as Why, Row, Table};
use super::super::overlay::{self, Place};
use super::known::{Known, Link, Purpose};
use super::timers::Timer;
use super::{MAX_ADDRESSES, MemberState, Membership, Output};
use crate::id::{LinkId, NodeId};

/// Members up to which everybody has a link to everybody.
const FULL_UP_TO: usize = 32;
/// Members down to which a sparse overlay stays one: coming and going at the edge changes nothing.
const SPARSE_DOWN_TO: usize = 28;
/// Members up to which four neighbours are enough.
const FEW: usize = 100;
/// Neighbours among few, and among more.
const FANOUT: (usize, usize) = (4, 5);
/// The least time between two choices of links and neighbours: each looks at all members.
const CHOOSE_EVERY: Duration = Duration::from_millis(100);
/// How long the one of a pair that does not dial first waits for the other.
const DIAL_SECOND: Duration = Duration::from_secs(3);
/// The longest wait after a first failure, and at all.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// How long a link must have held for its loss not to count as a failure to connect.
const STABLE: Duration = Duration::from_secs(30);
/// Between the dials of a node to any of the dead: at first, and when no death is recent. An attempt
/// takes half a minute and sends seven packets of 1,200 bytes meanwhile: 600 bytes a second at
/// last. With 15 on each side of a partition, that is two new attempts a second, and 14 packets
/// that may be the first to come through.
const DIAL_DEAD_EVERY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));
/// Between the dials of a node to the same, at last.
const DIAL_DEAD_MOST: Duration = Duration::from_secs(60);
/// How long a link stays that nobody wants.
const GRACE: Duration = Duration::from_secs(30);
/// How long the last word may take before links are closed.
const FAREWELL: Duration = Duration::from_millis(500);
/// Peers of tickets that were not met yet.
const MAX_SEEDS: usize = 64;
/// Times that the time without a link is doubled.
pub(super) const MAX_PATIENCE: u32 = 4;

/// Somebody of whom nothing is known but addresses.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    addresses: Vec<SocketAddr>,
    /// Attempts that failed in a row.
    failures: u32,
}

/// Links come and go.
impl Membership {
    pub(super) fn link_up(&mut self, link: LinkId, peer: NodeId, dialed: bool) {
        if self.has_left || peer == self.node() {
            return self.outputs.push_back(Output::HangUp { link });
        }
        let state = self.state_of(&peer);
        let was_known = matches!(state, Some(MemberState::Alive | MemberState::Suspect));
        let is_first = self.size() == 1;
        let mut new = Link::new(peer, dialed, self.now);
        (new.was_known, new.is_first) = (was_known, is_first);
        self.links.insert(link, new);
        // If there was one before, the peer has lost it, or will see both.
        self.by_peer.insert(peer, link);
        self.dialled.remove(&peer);
        let digest = self.digest();
        self.hello(link, Why::Greet, digest);
        if let Some(known) = self.members.get_mut(&peer) {
            known.member.link = Some(link);
            // From now on it is dialled as a member. Who has not said yet that it is one stays what
            // it was: the link may break before that.
            self.seeds.remove(&peer);
            if state == Some(MemberState::Dead) {
                // It must hear of it, to contradict.
                let row = Row { signed: known.signed.clone(), dead: Some(0) };
                let bytes = Table::Members(alloc::vec![row]).encode().into();
                self.outputs.push_back(Output::Table { link, bytes });
            }
        }
        self.timers.cancel(Timer::Dial(peer));
        self.timers.cancel(Timer::Unlinked(peer));
        self.heard(link);
        if !self.timers.is_set(Timer::Tick) {
            let first = self.random.part(self.tuning.interval);
            self.timers.set(Timer::Tick, self.now + first);
        }
        self.choose_soon();
    }

    pub(super) fn hello(&mut self, link: LinkId, purpose: Why, digest: Digest) {
        let own = self.own.clone();
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let bytes = Table::Hello { purpose, digest, members, own }.encode().into();
        self.outputs.push_back(Output::Table { link, bytes });
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        let Some(Link { peer, up_at, .. }) = self.links.remove(&link) else { return };
        self.timers.cancel(Timer::Unwanted(link));
        let other = self.links.iter().find(|(_, other)| other.peer == peer).map(|(link, _)| *link);
        if self.by_peer.get(&peer) == Some(&link) {
            match other {
                Some(other) => self.by_peer.insert(peer, other),
                None => self.by_peer.remove(&peer),
            };
        }
        self.unlink_probes(link);
        self.choose_soon();
        let left = self.by_peer.get(&peer).copied();
        let failures = if self.now - up_at >= STABLE { 0 } else { 1 };
        let Some(known) = self.members.get_mut(&peer) else {
            return if left.is_none() {
                self.seed_lost(peer, failures);
            };
        };
        known.member.link = left;
        if left.is_some() || !known.is_active() {
            return;
        }
        known.dialling.failures = if failures == 0 { 0 } else { known.dialling.failures + 1 };
        // A link that breaks is the first failed probe.
        if self.wanted.contains(&peer) && !self.has_left {
            self.start_probe(peer, None, Purpose::Watch);
        }
    }

    /// A member has moved: it is asked whether it still has its link.
    pub(super) fn doubt(&mut self, node: NodeId) {
        let Some(id) = self.by_peer.get(&node).copied() else { return };
        if let Some(link) = self.links.get_mut(&id)
            && link.heard < self.now
        {
            link.is_doubted = true;
            self.start_probe(node, Some(id), Purpose::Watch);
        }
    }

    /// A member does not answer on its link. If that has died and the member lives, the link must
    /// make room for another.
    pub(super) fn hang_up_dead(&mut self, node: NodeId, is_alive: bool) {
        let Some(id) = self.by_peer.get(&node).copied() else { return };
        let Some(link) = self.links.get(&id) else { return };
        let silent = self.now - link.heard;
        if link.is_doubted || is_alive && silent >= self.tuning.suspicion_max {
            self.outputs.push_back(Output::HangUp { link: id });
        }
    }

    /// A member that should have a link has none; if that lasts, it is asked after.
    pub(super) fn miss(&mut self, node: NodeId) {
        let Some(known) = self.members.get(&node) else { return };
        let patience = self.tuning.unlinked * (1 << known.patience.min(MAX_PATIENCE));
        self.timers.set_by(Timer::Unlinked(node), self.now + patience);
    }

    pub(super) fn ask_after(&mut self, node: NodeId) {
        let is_alive = self.state_of(&node) == Some(MemberState::Alive);
        if is_alive && self.wanted.contains(&node) && !self.by_peer.contains_key(&node) {
            self.start_probe(node, None, Purpose::Watch);
        }
    }
}

/// Dialling.
impl Membership {
    /// Somebody is, or may be, at these addresses, or hears this node now if it did not before: it
    /// is dialled at once, whatever became of earlier attempts.
    pub(super) fn add_seed(&mut self, node: NodeId, mut addresses: Vec<SocketAddr>) {
        let is_full = self.seeds.len() >= MAX_SEEDS && !self.seeds.contains_key(&node);
        if node == self.node() || self.by_peer.contains_key(&node) || is_full {
            return;
        }
        addresses.truncate(MAX_ADDRESSES);
        self.seeds.insert(node, Seed { addresses, failures: 0 });
        if let Some(known) = self.members.get_mut(&node) {
            known.dialling.failures = 0;
        }
        self.dialled.remove(&node);
        self.timers.set(Timer::Dial(node), self.now);
    }

    /// Where a peer may be: as whoever named it said, and as it says itself.
    fn addresses_of(&self, peer: &NodeId) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        if let Some(seed) = self.seeds.get(peer) {
            addresses.clone_from(&seed.addresses);
        }
        if let Some(known) = self.members.get(peer) {
            let more = known.member.addresses.iter().filter(|one| !addresses.contains(one));
            addresses.extend(more.copied().collect::<Vec<_>>());
        }
        addresses
    }

    /// Whether an attempt is under way at every address that is known of a peer.
    fn is_dialled(&self, peer: &NodeId) -> bool {
        let under_way = self.dialled.get(peer);
        under_way.is_some_and(|tried| self.addresses_of(peer).iter().all(|at| tried.contains(at)))
    }

    /// Dials a peer, if that is still in order. An attempt that lacks an address begins anew.
    pub(super) fn dial(&mut self, peer: NodeId) {
        if self.by_peer.contains_key(&peer) || self.has_left || self.is_dialled(&peer) {
            return;
        }
        let addresses = self.addresses_of(&peer);
        if !addresses.is_empty() {
            self.dialled.insert(peer, addresses.clone());
            self.outputs.push_back(Output::Dial { peer, addresses });
        }
    }

    pub(super) fn dial_failed(&mut self, peer: NodeId) {
        self.dialled.remove(&peer);
        if self.by_peer.contains_key(&peer) {
            return;
        }
        let mut failures = None;
        if let Some(seed) = self.seeds.get_mut(&peer) {
            seed.failures = seed.failures.saturating_add(1);
            failures = Some(seed.failures);
        }
        if let Some(known) = self.members.get_mut(&peer)
            && known.is_active()
            && self.wanted.contains(&peer)
        {
            known.dialling.failures = known.dialling.failures.saturating_add(1);
            failures = Some(known.dialling.failures);
        }
        if let Some(failures) = failures {
            let at = self.now + self.backoff(failures);
            self.timers.set(Timer::Dial(peer), at);
        }
    }

    /// The link to somebody is gone who did not say yet that it is a member.
    fn seed_lost(&mut self, peer: NodeId, failures: u32) {
        if let Some(seed) = self.seeds.get_mut(&peer) {
            seed.failures = if failures == 0 { 0 } else { seed.failures.saturating_add(failures) };
            let failures = seed.failures;
            let at = self.now + self.backoff(failures);
            self.timers.set(Timer::Dial(peer), at);
        }
    }

    /// The wait after so many failures, shortened by up to a half, so that nodes that lost a peer
    /// together do not come back together.
    fn backoff(&mut self, failures: u32) -> Duration {
        let (first, most) = BACKOFF;
        let doublings = failures.saturating_sub(1).min(16);
        let longest = first.saturating_mul(1 << doublings).min(most);
        longest - self.random.part(longest / 2)
    }

    /// Sees to it that a wanted member without a link is dialled.
    fn seek(&mut self, node: NodeId) {
        self.miss(node);
        if self.timers.is_set(Timer::Dial(node)) || self.is_dialled(&node) {
            return;
        }
        let Some(known) = self.members.get(&node) else { return };
        let failures = known.dialling.failures;
        let first = self.is_sparse || self.node() < node;
        let mut wait = if first { Duration::ZERO } else { DIAL_SECOND };
        if failures > 0 {
            wait = wait.max(self.backoff(failures));
        }
        self.timers.set(Timer::Dial(node), self.now + wait);
    }

    /// A member may be reachable after all: it said where.
    pub(super) fn dial_afresh(&mut self, node: NodeId) {
        if let Some(known) = self.members.get_mut(&node) {
            known.dialling.failures = 0;
        }
        // What is under way may be waiting where nobody is any more.
        self.dialled.remove(&node);
        if self.wanted.contains(&node) && !self.by_peer.contains_key(&node) {
            self.timers.set(Timer::Dial(node), self.now);
        }
    }

    /// Dials one of the dead, any that is due.
    pub(super) fn dial_dead(&mut self) {
        if self.has_left {
            return;
        }
        let now = self.now;
        let is_due = |known: &&Known| {
            known.member.state == MemberState::Dead
                && known.dialling.dead_due <= now
                && !self.dialled.contains_key(&known.member.node)
        };
        let mut due: Vec<NodeId> =
            self.members.values().filter(is_due).map(|known| known.member.node).collect();
        if let [node] = self.random.some_of(&mut due, 1)[..] {
            self.dial(node);
            if let Some(known) = self.members.get_mut(&node) {
                // Dialled once more whenever it has been dead for twice as long, until a minute.
                let age = (now - known.member.since).max(DIAL_DEAD_EVERY.0);
                known.dialling.dead_due = now + self.random.around(age.min(DIAL_DEAD_MOST));
            }
        }
        self.dial_dead_soon();
    }

    pub(super) fn dial_dead_soon(&mut self) {
        let is_dead = |known: &&Known| known.member.state == MemberState::Dead;
        let dead = || self.members.values().filter(is_dead);
        let due = dead().map(|known| known.dialling.dead_due).min();
        let last_death = dead().map(|known| known.member.since).max();
        if let (Some(due), Some(last_death)) = (due, last_death) {
            let (first, at_last) = DIAL_DEAD_EVERY;
            let gap = (self.now - last_death).clamp(first, at_last);
            let next = self.now + self.random.around(gap);
            self.timers.set_by(Timer::DialDead, due.max(next));
        }
    }
}

/// Choosing.
impl Membership {
    /// Chooses again when it is in order to.
    pub(super) fn choose_soon(&mut self) {
        let at = self.chosen_at.map_or(self.now, |last| self.now.max(last + CHOOSE_EVERY));
        self.timers.set_by(Timer::Choose, at);
    }

    /// Chooses whom to keep links to and whom to push to.
    pub(super) fn choose(&mut self) {
        if self.has_left {
            return;
        }
        self.chosen_at = Some(self.now);
        let bound = if self.is_sparse { SPARSE_DOWN_TO } else { FULL_UP_TO };
        self.is_sparse = self.size() > bound;
        self.wanted = if self.is_sparse {
            overlay::wanted(&self.me, &self.ring)
        } else {
            overlay::ring_after(&self.me, &self.ring).map(|place| place.node).collect()
        };
        let missing: Vec<NodeId> =
            self.wanted.iter().filter(|node| !self.by_peer.contains_key(node)).copied().collect();
        missing.into_iter().for_each(|node| self.seek(node));
        let unwanted: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| self.is_unwanted(link))
            .map(|(id, _)| *id)
            .collect();
        for link in unwanted {
            self.timers.set_by(Timer::Unwanted(link), self.now + GRACE);
        }
        self.tell_neighbours();
    }

    /// Whether this node made a link that it does not want now.
    fn is_unwanted(&self, link: &Link) -> bool {
        link.dialed && !self.wanted.contains(&link.peer) && self.members.contains_key(&link.peer)
    }

    pub(super) fn hang_up_unwanted(&mut self, link: LinkId) {
        let Some(Link { peer, place, .. }) =
            self.links.get(&link).filter(|link| self.is_unwanted(link))
        else {
            return;
        };
        let is_active = self.members.get(peer).is_some_and(Known::is_active);
        if is_active && overlay::wanted(place, &self.ring).contains(&self.node()) {
            // The other side would dial at once; it may change its mind.
            return self.timers.set(Timer::Unwanted(link), self.now + GRACE);
        }
        self.outputs.push_back(Output::HangUp { link });
    }

    /// Says whom to push to, if that has changed.
    fn tell_neighbours(&mut self) {
        // Who is not known yet is about to say who it is, and may be pushed to already.
        let is_linked = |peer: &NodeId| self.members.get(peer).is_none_or(Known::is_active);
        let mut linked: Vec<Place> = self
            .by_peer
            .iter()
            .filter(|(peer, _)| is_linked(peer))
            .filter_map(|(_, link)| Some(self.links.get(link)?.place))
            .collect();
        linked.sort_unstable();
        let usual = if self.size() > FEW { FANOUT.1 } else { FANOUT.0 };
        let fanout = self.fanout.unwrap_or(usual);
        let link_of = |node: &NodeId| self.by_peer.get(node).copied();
        let mut others = overlay::ring_after(&self.me, &self.ring);
        let is_whole = others.all(|place| self.by_peer.contains_key(&place.node));
        let mut ring = Vec::new();
        let eager = if is_whole {
            let others = overlay::ring_after(&self.me, &linked);
            ring.extend(others.filter_map(|place| link_of(&place.node)));
            let at = linked.partition_point(|place| *place < self.me);
            linked.insert(at, self.me);
            overlay::eager_among_all(&self.me, &linked, fanout)
        } else {
            overlay::eager(&self.me, &linked, fanout)
        };
        let neighbours: Vec<LinkId> = eager.iter().filter_map(link_of).collect();
        if neighbours != self.neighbours {
            self.neighbours.clone_from(&neighbours);
            self.outputs.push_back(Output::Neighbours(neighbours));
        }
        if ring != self.linked_ring {
            self.linked_ring.clone_from(&ring);
            self.outputs.push_back(Output::Ring(ring));
        }
    }
}

/// Leaving.
impl Membership {
    pub(super) fn leave(&mut self) {
        if self.has_left {
            return;
        }
        let mut record = self.own.record.clone();
        record.left = true;
        self.say(record.incarnation, record);
        self.has_left = true;
        let signed = self.own.clone();
        let bytes = Table::Members(alloc::vec![Row { signed, dead: None }]).encode();
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            let bytes = bytes.clone().into();
            self.outputs.push_back(Output::Table { link, bytes });
        }
        self.timers = super::Timers::default();
        self.timers.set(Timer::HangUp, self.now + FAREWELL);
    }

    pub(super) fn hang_up_all(&mut self) {
        let links = self.links.keys().copied();
        self.outputs.extend(links.map(|link| Output::HangUp { link }));
    }
}
