//! Probing: pings, repeated; asking others to ping; answering.

use alloc::vec::Vec;
use core::time::Duration;

use super::super::message::{About, Kind, Rumor};
use super::super::overlay;
use super::known::{Known, Probe, Purpose};
use super::timers::Timer;
use super::{MemberEvent, MemberState, Membership, SLOW_TIMES};
use crate::id::{LinkId, NodeId};
use crate::time::Timestamp;

/// Others that are asked to try as well.
const HELPERS: usize = 3;
/// Probes that are made for others at a time.
const MAX_RELAYS: usize = 64;
/// The same, for one of them.
const MAX_RELAYS_PER_LINK: usize = 8;
/// Pings of a probe that is made for another.
const RELAY_TRIES: u32 = 4;

/// How often the wait for an answer doubles on a slow uplink.
const MAX_DOUBLINGS: u32 = 3;
/// A ping that comes again within this time is not answered again by a slow node.
const SAME_ANSWER: Duration = Duration::from_secs(2);
/// For how long a late answer makes a node sparing: once around a group of thirty, at a ping a second.
const LATE_FOR: Duration = Duration::from_secs(30);

/// Starting and ending.
impl Membership {
    /// The next member's turn.
    pub(super) fn tick(&mut self) {
        if self.links.is_empty() || self.has_left {
            return;
        }
        let interval = self.tuning.interval;
        // An eighth either way keeps nodes from falling into step.
        let next = interval - interval / 8 + self.random.part(interval / 4);
        self.timers.set(Timer::Tick, self.now + self.stretched(next));
        self.turns = self.turns.wrapping_add(1);
        let target = match self.turns % self.tuning.ring_every {
            0 => self.successor().or_else(|| self.longest_silent()),
            _ => self.longest_silent(),
        };
        if let Some(target) = target {
            let link = self.by_peer.get(&target).copied();
            if let Some(link) = link.and_then(|link| self.links.get_mut(&link)) {
                link.probed = self.now;
            }
            self.start_probe(target, link, Purpose::Watch);
        }
    }

    /// A time, longer if this node may itself be what is wrong (Lifeguard).
    fn stretched(&self, time: Duration) -> Duration {
        (time + time / 2 * self.health) * if self.is_sparing() { SLOW_TIMES } else { 1 }
    }

    fn is_probed(&self, node: &NodeId) -> bool {
        let is_own = |probe: &Probe| !matches!(probe.purpose, Purpose::Relay { .. });
        self.probes.values().any(|probe| probe.target == *node && is_own(probe))
    }

    /// The next one on the ring that has a link, unless it is being probed.
    fn successor(&self) -> Option<NodeId> {
        let mut after = overlay::ring_after(&self.me, &self.ring).map(|place| place.node);
        after.find(|node| self.by_peer.contains_key(node)).filter(|node| !self.is_probed(node))
    }

    /// Of the peers that are not being probed, the one that was neither heard from nor probed for
    /// longest. Going by that instead of a fixed round saves the ping where the other side's did as well, and no
    /// link falls silent.
    fn longest_silent(&self) -> Option<NodeId> {
        let has_left = |node| self.state_of(node) == Some(MemberState::Left);
        let links = self.by_peer.values().filter_map(|link| self.links.get(link));
        links
            .filter(|link| !has_left(&link.peer) && !self.is_probed(&link.peer))
            .min_by_key(|link| (link.heard.max(link.probed), self.me.ahead(&link.place, 1)))
            .map(|link| link.peer)
    }

    pub(super) fn state_of(&self, node: &NodeId) -> Option<MemberState> {
        self.members.get(node).map(|known| known.member.state)
    }

    /// The time after which an answer of a node is late.
    pub(super) fn retry_of(&self, node: &NodeId) -> Duration {
        let link = self.by_peer.get(node).and_then(|link| self.links.get(link));
        link.map_or(self.tuning.retry, |link| link.retry(self.tuning))
    }

    /// Probes a node from now on; a probe of it for the same purpose goes on instead.
    pub(super) fn start_probe(&mut self, target: NodeId, link: Option<LinkId>, purpose: Purpose) {
        let is_same = |probe: &Probe| probe.target == target && probe.purpose == purpose;
        if self.probes.values().any(is_same) {
            return;
        }
        let retry = self.retry_of(&target);
        let lasts = match purpose {
            Purpose::Watch | Purpose::Confirm => {
                self.stretched(self.tuning.period).max(retry * (self.tuning.tries_alone + 3))
            }
            Purpose::Relay { .. } => retry * RELAY_TRIES,
        };
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        let (asked, end) = (Vec::new(), self.now + lasts);
        // Who begins on a slow uplink has been given its time.
        let is_extended = self.is_sparing();
        let probe =
            Probe { target, link, purpose, tries: 0, end, is_extended, asked, is_heard: false };
        self.probes.insert(seq, probe);
        self.continue_probe(seq);
    }

    /// Whether this node sends as little as it can, because answers come late, or would.
    pub(super) fn is_sparing(&self) -> bool {
        self.is_slow || self.now < self.late_until
    }

    /// An answer was late, and not because a packet was lost: the next ones will be, too. One peer
    /// that is always late says that once, until another's answer is late as well.
    fn expect_late(&mut self, peer: NodeId) {
        if self.late.replace(peer) == Some(peer) {
            return;
        }
        let was_sparing = self.is_sparing();
        self.late_until = self.now + LATE_FOR;
        if !was_sparing {
            self.extend_probes();
        }
    }

    /// Forgets the probes of a node that this node made for itself; says whether there were any.
    pub(super) fn end_probes(&mut self, node: &NodeId) -> bool {
        let is_over = |probe: &Probe| {
            probe.target == *node && !matches!(probe.purpose, Purpose::Relay { .. })
        };
        let over = self.probes.iter().filter(|(_, probe)| is_over(probe));
        let over: Vec<u32> = over.map(|(seq, _)| *seq).collect();
        for seq in &over {
            self.end_probe(*seq);
        }
        !over.is_empty()
    }

    /// The uplink turned out to be slow: what was sent waits there, and answers come later than was
    /// thought when the probes began.
    pub(super) fn extend_probes(&mut self) {
        let more = self.tuning.period * (SLOW_TIMES - 1);
        for probe in self.probes.values_mut() {
            let is_own = !matches!(probe.purpose, Purpose::Relay { .. });
            if is_own && !core::mem::replace(&mut probe.is_extended, true) {
                probe.end = probe.end + more;
            }
        }
    }

    fn end_probe(&mut self, seq: u32) -> Option<Probe> {
        self.timers.cancel(Timer::Probe(seq));
        self.probes.remove(&seq)
    }

    /// A link is gone: what was probed on it goes on with the help of others alone.
    pub(super) fn unlink_probes(&mut self, link: LinkId) {
        let mut over = Vec::new();
        for (seq, probe) in &mut self.probes {
            let is_for =
                matches!(probe.purpose, Purpose::Relay { link: asker, .. } if asker == link);
            let is_relay = matches!(probe.purpose, Purpose::Relay { .. });
            if is_for || is_relay && probe.link == Some(link) {
                over.push(*seq);
            } else if probe.link == Some(link) {
                probe.link = None;
            }
        }
        over.into_iter().for_each(|seq| self.conclude(seq));
    }
}

/// The course of a probe.
impl Membership {
    /// Pings once more, asks others, or gives up.
    pub(super) fn continue_probe(&mut self, seq: u32) {
        let retry = self.probes.get(&seq).map(|probe| self.retry_of(&probe.target));
        let (Some(retry), Some(probe)) = (retry, self.probes.get_mut(&seq)) else { return };
        if self.now >= probe.end {
            return self.conclude(seq);
        }
        let (target, link, tries, purpose) = (probe.target, probe.link, probe.tries, probe.purpose);
        let end = probe.end;
        probe.tries += 1;
        let retry = match purpose {
            Purpose::Confirm => retry.max(self.tuning.retry_suspect),
            Purpose::Watch | Purpose::Relay { .. } => retry,
        };
        // What waits in a queue need not be repeated.
        let times = if self.is_sparing() { 1 << tries.min(MAX_DOUBLINGS) } else { 1 };
        let next = (self.now + retry * times).min(end);
        self.timers.set(Timer::Probe(seq), next);
        let is_first = tries == 0 && matches!(purpose, Purpose::Watch);
        if let Some(link) = link
            && (is_first || self.may_add())
        {
            let (claim, print) = (self.claim, self.digest().print());
            let suspicion = self.suspicion_of(&target);
            let length =
                self.send(link, Kind::Ping { seq, again: !is_first, claim, print }, suspicion);
            if !is_first {
                self.added(1, length);
            } else if let Some(link) = self.links.get_mut(&link) {
                link.pinged = Some((seq, self.now));
            }
        }
        // A relay does not ask on, and a suspect with a link is heard by whom it can reach.
        let asks = match purpose {
            Purpose::Watch => link.is_none() || tries >= self.tuning.tries_alone,
            Purpose::Confirm => link.is_none(),
            Purpose::Relay { .. } => false,
        };
        if asks {
            self.ask_others(seq, target);
        }
    }

    /// What is said of a suspect: it hears it with every ping, and refutes it at once.
    fn suspicion_of(&self, node: &NodeId) -> Option<Rumor> {
        let known = self.members.get(node)?;
        let by = *known.accusers.first().filter(|_| known.member.state == MemberState::Suspect)?;
        let incarnation = known.member.incarnation;
        Some(Rumor::Suspect(About { node: *node, incarnation, by }))
    }

    fn ask_others(&mut self, seq: u32, target: NodeId) {
        let Some(probe) = self.probes.get(&seq) else { return };
        let mut asked = probe.asked.clone();
        asked.retain(|link| self.links.contains_key(link));
        if asked.is_empty() {
            asked = self.helpers(&target);
        }
        for link in &asked {
            if self.is_sparing() || !self.may_add() {
                break;
            }
            let length = self.send(*link, Kind::Ask { seq, node: target }, None);
            self.added(1, length);
        }
        if let Some(probe) = self.probes.get_mut(&seq) {
            probe.asked = asked;
        }
    }

    /// Peers that probably have a link to a node.
    fn helpers(&mut self, target: &NodeId) -> Vec<LinkId> {
        let choice = self.is_sparse.then(|| self.members.get(target)).flatten();
        let near = choice.map(|known| overlay::wanted(&known.place, &self.ring));
        let mut links: Vec<LinkId> = Vec::new();
        for (peer, link) in &self.by_peer {
            let is_active = self.members.get(peer).is_some_and(Known::is_active);
            let is_near = near.as_ref().is_none_or(|near| near.contains(peer));
            if peer != target && is_active && is_near {
                links.push(*link);
            }
        }
        self.random.some_of(&mut links, HELPERS)
    }

    /// A probe ends without an answer.
    fn conclude(&mut self, seq: u32) {
        let Some(probe) = self.end_probe(seq) else { return };
        match probe.purpose {
            Purpose::Relay { link, seq } => {
                if self.links.contains_key(&link) {
                    self.send(link, Kind::Nack { seq }, None);
                }
            }
            Purpose::Watch => {
                // If nobody else answers either, it may well be this node that is not heard.
                if !probe.asked.is_empty() && !probe.is_heard {
                    self.health = (self.health + 1).min(self.tuning.health_max);
                }
                self.accuse_myself(probe.target);
                self.hang_up_dead(probe.target, false);
            }
            Purpose::Confirm => {
                if self.state_of(&probe.target) == Some(MemberState::Suspect) {
                    self.accuse_myself(probe.target);
                    self.confirm(probe.target);
                }
            }
        }
    }
}

/// What arrives.
impl Membership {
    pub(super) fn take_kind(&mut self, link: LinkId, kind: Kind) {
        match kind {
            Kind::Ping { seq, again, claim, print } => {
                self.note(link, claim, print);
                if self.has_answered(link, seq) {
                    return;
                }
                let (claim, print) = (self.claim, self.digest().print());
                self.send(link, Kind::Ack { seq, again, claim, print }, None);
            }
            Kind::Ack { seq, again, claim, print } => {
                self.note(link, claim, print);
                if !again {
                    self.note_answer(link, seq);
                }
                self.take_ack(link, seq);
            }
            Kind::Ask { seq, node } => self.take_ask(link, seq, node),
            Kind::Reached { seq } => {
                if let Some(probe) =
                    self.probes.get(&seq).filter(|probe| probe.asked.contains(&link))
                {
                    self.vouched_for(probe.target);
                }
            }
            Kind::Nack { seq } => {
                let probe = self.probes.get_mut(&seq);
                if let Some(probe) = probe.filter(|probe| probe.asked.contains(&link)) {
                    probe.is_heard = true;
                }
            }
            Kind::News => {}
        }
    }

    /// Whether an answer to this ping waits in the queue of a slow uplink: another one would, too.
    fn has_answered(&mut self, link: LinkId, seq: u32) -> bool {
        let (now, is_slow) = (self.now, self.is_sparing());
        let Some(link) = self.links.get_mut(&link) else { return false };
        let is_same = |(last, at): (u32, Timestamp)| last == seq && now - at < SAME_ANSWER;
        if is_slow && link.answered.is_some_and(is_same) {
            return true;
        }
        link.answered = Some((seq, now));
        false
    }

    /// Takes what goes along with a ping or an ack.
    fn note(&mut self, link: LinkId, claim: Option<super::Claim>, print: [u8; 4]) {
        if let Some(claim) = claim {
            let peer = self.links.get(&link).map(|link| link.peer);
            if let Some(known) = peer.and_then(|peer| self.members.get_mut(&peer)) {
                known.member.claim = Some((claim, self.now));
            }
            self.event(MemberEvent::Claimed { link, claim });
        }
        self.note_print(link, print);
    }

    /// The answer to a ping that was not sent before. If it was sent again meanwhile, neither has
    /// been lost: they have waited in a queue.
    fn note_answer(&mut self, link: LinkId, seq: u32) {
        let Some(link) = self.links.get(&link) else { return };
        let Some((_, since)) = link.pinged.filter(|(last, _)| *last == seq) else { return };
        if self.now - since > link.retry(self.tuning) {
            self.expect_late(link.peer);
        }
    }

    /// The answer to a relay; own probes ended when anything was heard.
    fn take_ack(&mut self, link: LinkId, seq: u32) {
        if self.probes.get(&seq).is_none_or(|probe| probe.link != Some(link)) {
            return;
        }
        if let Some(Probe { purpose: Purpose::Relay { link, seq }, .. }) = self.end_probe(seq)
            && self.links.contains_key(&link)
        {
            self.send(link, Kind::Reached { seq }, None);
        }
    }

    fn take_ask(&mut self, asker: LinkId, seq: u32, node: NodeId) {
        if node == self.node() {
            self.send(asker, Kind::Reached { seq }, None);
            return;
        }
        let purpose = Purpose::Relay { link: asker, seq };
        let target = self.by_peer.get(&node).copied().filter(|link| *link != asker);
        let is_for = |probe: &Probe| match probe.purpose {
            Purpose::Relay { link, .. } => link == asker,
            _ => false,
        };
        let is_relay = |probe: &Probe| matches!(probe.purpose, Purpose::Relay { .. });
        let for_all = self.probes.values().filter(|probe| is_relay(probe)).count();
        let for_asker = self.probes.values().filter(|probe| is_for(probe)).count();
        if target.is_some() && for_all < MAX_RELAYS && for_asker < MAX_RELAYS_PER_LINK {
            self.start_probe(node, target, purpose);
        } else {
            self.send(asker, Kind::Nack { seq }, None);
        }
    }

    /// A peer has reached a member that this node could not.
    fn vouched_for(&mut self, node: NodeId) {
        self.end_probes(&node);
        self.clear(node);
        self.health = self.health.saturating_sub(1);
        self.hang_up_dead(node, true);
        if !self.by_peer.contains_key(&node)
            && let Some(known) = self.members.get_mut(&node)
        {
            known.patience = (known.patience + 1).min(super::linking::MAX_PATIENCE);
            self.miss(node);
        }
    }
}
