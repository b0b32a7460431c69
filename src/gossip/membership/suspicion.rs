//! Suspecting, refuting, giving up.

use alloc::collections::BTreeSet;
use core::time::Duration;

use super::super::message::{About, Kind, Rumor};
use super::known::{Known, MAX_ACCUSERS, Purpose, REMEMBERED};
use super::timers::Timer;
use super::{MemberEvent, MemberState, Membership};
use crate::id::{LinkId, NodeId};
use crate::time::Timestamp;

/// The least time between two refutations: each costs a signature here and a check everywhere.
const REFUTE_EVERY: Duration = Duration::from_millis(200);

/// What others say.
impl Membership {
    /// A peer passes on that a member does not answer.
    pub(super) fn hear_suspicion(&mut self, link: LinkId, about: About) {
        if about.node == self.node() {
            return self.refute(about.incarnation, Some(link));
        }
        let Some(known) = self.members.get(&about.node) else { return };
        if about.incarnation != known.member.incarnation || !known.is_active() {
            return;
        }
        if self.is_fresh(known) && known.member.state == MemberState::Alive {
            self.warn(about);
        } else {
            self.accuse(about, false);
        }
    }

    /// A peer passes on that a member was given up.
    pub(super) fn hear_verdict(&mut self, link: Option<LinkId>, about: About) {
        if about.node == self.node() {
            return self.refute(about.incarnation, link);
        }
        let Some(known) = self.members.get(&about.node) else { return };
        if about.incarnation != known.member.incarnation || !known.is_active() {
            return;
        }
        if known.member.link.is_none() {
            self.give_up(about);
        } else if self.is_fresh(known) {
            self.warn(about);
        } else {
            // Whoever has a link looks for itself.
            self.accuse(about, true);
        }
    }

    /// Whether a member was heard from so lately that hearsay means nothing.
    fn is_fresh(&self, known: &Known) -> bool {
        let is_fresh = |heard| self.now - heard < self.tuning.fresh;
        known.member.link.is_some() && known.heard.is_some_and(is_fresh)
    }

    /// Lets a member know what is said of it, so that it can refute.
    fn warn(&mut self, about: About) {
        if let Some(link) = self.by_peer.get(&about.node).copied() {
            self.send_news(link, Rumor::Suspect(about));
        }
    }

    /// Contradicts what is said of this node.
    fn refute(&mut self, incarnation: u64, to: Option<LinkId>) {
        if self.has_left {
            return;
        }
        let own = self.own.record.incarnation;
        let may = self.refuted_at.is_none_or(|at| self.now - at >= REFUTE_EVERY);
        if incarnation == own && may {
            self.refuted_at = Some(self.now);
            self.health = (self.health + 1).min(self.tuning.health_max);
            self.say(own, self.own.record.clone());
        }
        // Whoever said so hears it first; what it said of an earlier incarnation, it said for want
        // of a later one. Of incarnations that this node has not reached nobody can know.
        if let Some(link) = to.filter(|_| incarnation <= own) {
            let own = Rumor::Record(self.own.clone());
            self.send_news(link, own);
        }
    }

    fn send_news(&mut self, link: LinkId, rumor: Rumor) {
        if self.may_add() {
            let length = self.send(link, Kind::News, Some(rumor));
            self.added(1, length);
        }
    }
}

/// What this node concludes.
impl Membership {
    /// This node found that a member does not answer.
    pub(super) fn accuse_myself(&mut self, node: NodeId) {
        if let Some(known) = self.members.get(&node).filter(|known| known.is_active()) {
            let incarnation = known.member.incarnation;
            self.accuse(About { node, incarnation, by: self.node() }, false);
        }
    }

    /// Suspects an active member, or adds to the suspicion, and passes that on.
    fn accuse(&mut self, about: About, is_given_up: bool) {
        let retry = self.retry_of(&about.node);
        let Some(known) = self.members.get_mut(&about.node) else { return };
        debug_assert!(known.is_active(), "who is dead is not suspected");
        let begins = known.member.state == MemberState::Alive;
        if begins {
            known.member.state = MemberState::Suspect;
            known.member.since = self.now;
            known.accusers = BTreeSet::new();
            known.is_given_up = false;
        }
        let adds = known.accusers.len() < MAX_ACCUSERS && known.accusers.insert(about.by);
        known.is_given_up |= is_given_up;
        let judged = known.member.since + known.suspicion_lasts(self.tuning, retry);
        self.timers.set(Timer::Suspicion(about.node), judged.max(self.now));
        if adds {
            self.spread(Rumor::Suspect(about));
        }
        if begins {
            self.event(MemberEvent::Suspected(about.node));
            self.confirm(about.node);
        }
    }

    /// Looks for itself whether a suspect answers, if this node would know.
    pub(super) fn confirm(&mut self, node: NodeId) {
        let link = self.by_peer.get(&node).copied();
        if link.is_some() || self.wanted.contains(&node) {
            self.start_probe(node, link, Purpose::Confirm);
        }
    }

    /// A suspicion has stood for its time.
    pub(super) fn judge(&mut self, node: NodeId) {
        let Some(known) = self.members.get(&node) else { return };
        if known.member.state == MemberState::Suspect {
            let incarnation = known.member.incarnation;
            self.give_up(About { node, incarnation, by: self.node() });
        }
    }

    /// Holds a member for dead, and passes that on.
    fn give_up(&mut self, about: About) {
        self.spread(Rumor::Dead(about));
        self.bury(about.node, MemberState::Dead, self.now);
        self.event(MemberEvent::Died(about.node));
    }

    /// A member is no longer active since then.
    pub(super) fn bury(&mut self, node: NodeId, state: MemberState, since: Timestamp) {
        let Some(known) = self.members.get_mut(&node) else { return };
        let place = known.place;
        known.member.state = state;
        known.member.since = since;
        known.dialling.failures = 0;
        known.dialling.dead_due = self.now;
        if let Ok(at) = self.ring.binary_search(&place) {
            self.ring.remove(at);
        }
        self.digest = None;
        self.end_probes(&node);
        for timer in [Timer::Suspicion(node), Timer::Unlinked(node)] {
            self.timers.cancel(timer);
        }
        // Whom somebody named is dialled whatever is said of it.
        if !self.seeds.contains_key(&node) {
            self.timers.cancel(Timer::Dial(node));
        }
        self.timers.set(Timer::Forget(node), since + REMEMBERED);
        if state == MemberState::Dead {
            self.dial_dead_soon();
        }
        self.choose_soon();
    }

    /// A member is active again, or for the first time.
    pub(super) fn raise(&mut self, node: NodeId) {
        let Some(known) = self.members.get_mut(&node) else { return };
        let place = known.place;
        known.member.state = MemberState::Alive;
        known.member.since = self.now;
        known.dialling.failures = 0;
        if let Err(at) = self.ring.binary_search(&place) {
            self.ring.insert(at, place);
        }
        self.digest = None;
        self.news.withdraw(node);
        self.timers.cancel(Timer::Forget(node));
        self.choose_soon();
    }

    /// A suspect is alive.
    pub(super) fn clear(&mut self, node: NodeId) {
        let Some(known) = self.members.get_mut(&node) else { return };
        if known.member.state == MemberState::Suspect {
            known.member.state = MemberState::Alive;
            known.member.since = self.now;
            self.news.withdraw(node);
            self.timers.cancel(Timer::Suspicion(node));
            self.end_probes(&node);
            self.event(MemberEvent::Refuted(node));
        }
    }

    /// Something authenticated arrived: its sender is alive, whatever others say.
    pub(super) fn heard(&mut self, link: LinkId) {
        let Some(link) = self.links.get_mut(&link) else { return };
        link.heard = self.now;
        link.is_doubted = false;
        let node = link.peer;
        let Some(known) = self.members.get_mut(&node) else { return };
        known.heard = Some(self.now);
        let state = known.member.state;
        if self.end_probes(&node) {
            self.health = self.health.saturating_sub(1);
        }
        match state {
            MemberState::Alive => {}
            MemberState::Suspect => self.clear(node),
            MemberState::Dead => {
                self.raise(node);
                self.event(MemberEvent::Returned(node));
            }
            // It is hanging up.
            MemberState::Left => {}
        }
    }

    /// A member that is not active any more has been remembered for long enough.
    pub(super) fn forget(&mut self, node: NodeId) {
        if self.members.get(&node).is_some_and(|known| !known.is_active()) {
            self.members.remove(&node);
            self.timers.cancel(Timer::Forget(node));
            self.digest = None;
            self.event(MemberEvent::Forgotten(node));
        }
    }
}
