//! Who has something else than this node: what peers claim, compared with what is here and was.
//!
//! A claim is a count and a hash over all durable entries. Peers tell theirs when they connect and
//! with every probe. A claim that was ours a moment ago, or is not ours yet, means nothing: news is
//! on its way. Only what stays unexplained for [`PATIENCE`] is worth a session. Besides, one takes
//! place every now and then without a reason, so nothing depends on claims.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::frame::Frame;
use super::{LogOrder, Node};
use crate::gossip::Claim;
use crate::id::LinkId;
use crate::sync::{Summary, Work};
use crate::time::Timestamp;

/// About how long a node goes without comparing with anybody. A session between equals costs some
/// 200 bytes.
pub(super) const SYNC_INTERVAL: Duration = Duration::from_secs(20);
/// How long a difference may last before a session is worth it: news that spreads, and probes that
/// tell of it, take less.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same on a slow uplink, where news takes its time.
const SLOW_PATIENCE: Duration = Duration::from_secs(15);
/// How long a change waits to be claimed: a burst of writes makes one claim, and hashing is kept
/// out of the way of news.
const CLAIM_AFTER: Duration = Duration::from_millis(50);
/// Earlier claims of this node that it recognises: 36 bytes each.
const MAX_PAST: usize = 1_024;
/// Sessions that this node starts at a time because of claims.
const MAX_STARTED: usize = 2;
/// Work of one call on hashes, in units of about 50 ns: 13 ms.
const CLAIM_WORK: u64 = 1 << 18;

/// What a peer's claim says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// It has what is here.
    Equal,
    /// It has what was here until then.
    Past(Timestamp),
    /// It has something else.
    Other,
}

/// The claims of this node.
#[derive(Debug, Default)]
pub(super) struct Claims {
    own: Option<Claim>,
    /// When the present state is to be claimed, unless it is.
    due: Option<Timestamp>,
    /// Earlier claims, each with the time it was replaced; the newest last.
    past: VecDeque<(Claim, Timestamp)>,
    /// When to compare with anybody, once there is somebody.
    sync_at: Option<Timestamp>,
}

impl Claims {
    pub(super) fn own(&self) -> Option<Claim> {
        self.own
    }

    /// How many entries this node claims to have.
    pub(super) fn count(&self) -> u32 {
        self.own.map_or(0, |own| own.count())
    }

    /// A session has ended.
    pub(super) fn compared(&mut self, next: Timestamp) {
        self.sync_at = Some(next);
    }

    /// What is durable has changed.
    pub(super) fn changed(&mut self, now: Timestamp) {
        if self.own.is_some() {
            self.due.get_or_insert(now + CLAIM_AFTER);
        }
    }

    fn replace(&mut self, claim: Claim, now: Timestamp) {
        if let Some(old) = self.own.replace(claim)
            && old != claim
        {
            self.past.push_back((old, now));
            if self.past.len() > MAX_PAST {
                self.past.pop_front();
            }
        }
    }

    pub(super) fn compare(&self, claim: &Claim) -> Compared {
        if self.own.as_ref() == Some(claim) {
            return Compared::Equal;
        }
        let past = self.past.iter().rev().find(|(past, _)| past == claim);
        past.map_or(Compared::Other, |(_, until)| Compared::Past(*until))
    }
}

fn claim_of(summary: &Summary) -> Claim {
    let mut hasher = blake3::Hasher::new_derive_key("basefs v1 claim");
    hasher.update(&summary.count.to_le_bytes()).update(&summary.hash.to_bytes());
    let mut bytes = [0; Claim::LEN];
    let (count, print) = bytes.split_at_mut(4);
    // Entries are numbered in 32 bits.
    count.copy_from_slice(&u32::try_from(summary.count).unwrap_or(u32::MAX).to_le_bytes());
    hasher.finalize_xof().fill(print);
    Claim::from_bytes(bytes)
}

impl Node {
    /// Claims what is durable here, if that is due.
    pub(super) fn claim(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let untold = self.links.values().any(|state| !state.has_claimed);
        if self.claims.own.is_none() || untold && self.claims.due.is_some() {
            self.claims.due = Some(self.now);
        }
        if self.claims.due.is_some_and(|due| due <= self.now) {
            let order = LogOrder(self.replica.log());
            let all = 0..self.tree.len();
            match self.tree.summary(&order, all, &mut Work::new(CLAIM_WORK)) {
                Some(summary) => {
                    self.claims.due = None;
                    let claim = claim_of(&summary);
                    self.claims.replace(claim, self.now);
                    self.standings.note_own(claim, self.now);
                    if let Some(membership) = &mut self.membership {
                        membership.set_claim(claim);
                    }
                }
                None => self.more = true,
            }
        }
        if let Some(own) = self.claims.own {
            for state in self.links.values_mut().filter(|state| !state.has_claimed) {
                state.has_claimed = true;
                state.send(&Frame::Claim(own));
            }
        }
    }

    /// Takes what a peer claims.
    pub(super) fn hear_claim(&mut self, link: LinkId, claim: Claim) {
        let compared = self.claims.compare(&claim);
        let (now, usual) = (self.now, self.patience());
        let Some(state) = self.links.get_mut(&link) else { return };
        self.standings.heard(state.peer, claim, now);
        // On a new link nothing is on its way yet, and the peer that dialled acts by itself.
        let is_new = state.claim.replace(claim).is_none() && state.dialed;
        let patience = if is_new { Duration::ZERO } else { usual };
        match compared {
            // The session under way covers it.
            _ if state.session.is_some() => {}
            Compared::Equal => {
                state.doubt = None;
                state.contacted = now;
            }
            Compared::Past(until) if now - until < patience => {}
            Compared::Past(_) => state.doubt = Some(now),
            Compared::Other => drop(state.doubt.get_or_insert(now + patience)),
        }
    }

    fn patience(&self) -> Duration {
        if self.spread.is_slow() { SLOW_PATIENCE } else { PATIENCE }
    }

    /// Chooses with whom to compare: among those that differ, or if it is time for that among all,
    /// with a probability in proportion to the time since the last contact.
    pub(super) fn choose_sessions(&mut self) {
        let mut due: Vec<LinkId> = Vec::new();
        let (now, patience) = (self.now, self.patience());
        for (link, state) in &mut self.links {
            if state.doubt.is_none_or(|due| due > now) || state.session.is_some() {
                continue;
            }
            let compared = state.claim.map_or(Compared::Other, |claim| self.claims.compare(&claim));
            match compared {
                Compared::Equal => state.doubt = None,
                Compared::Past(until) if now - until < patience => state.doubt = None,
                _ => due.push(*link),
            }
        }
        while !due.is_empty() && self.started() < MAX_STARTED {
            let chosen = self.draw(&due);
            due.retain(|link| *link != chosen);
            self.compare_with(chosen);
        }
        if self.links.is_empty() {
            return;
        }
        let next = now + self.random.around(SYNC_INTERVAL);
        if *self.claims.sync_at.get_or_insert(next) <= now {
            self.claims.sync_at = Some(next);
            let own = self.claims.own;
            let differs = self.links.iter().filter(|(_, state)| state.claim != own);
            let mut among: Vec<LinkId> = differs.map(|(link, _)| *link).collect();
            if among.is_empty() {
                among.extend(self.links.keys());
            }
            let chosen = self.draw(&among);
            self.compare_with(chosen);
        }
    }

    /// Sessions under way, or about to be, that this node wanted.
    fn started(&self) -> usize {
        let wanted =
            |link: &&super::link::Link| link.dialed && (link.session.is_some() || link.is_behind);
        self.links.values().filter(wanted).count()
    }

    fn compare_with(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.doubt = None;
            state.contacted = self.now;
            state.is_behind = true;
        }
    }

    /// One of `links`, which are not none, by the time since the last contact.
    fn draw(&mut self, links: &[LinkId]) -> LinkId {
        let age = |link: &LinkId| {
            let contacted = self.links.get(link).map_or(self.now, |state| state.contacted);
            u64::try_from((self.now - contacted).as_millis()).unwrap_or(u64::MAX / 1_024) + 1
        };
        let ages: Vec<u64> = links.iter().map(age).collect();
        let mut point = self.random.below(ages.iter().sum());
        for (link, age) in links.iter().zip(ages) {
            match point.checked_sub(age) {
                Some(rest) => point = rest,
                None => return *link,
            }
        }
        links[0]
    }

    /// When something is due here.
    pub(super) fn claims_due(&self) -> Option<Timestamp> {
        if self.links.is_empty() {
            return None;
        }
        // Who differs and cannot be compared with now, is when another session has ended.
        let doubts = self.links.values().filter_map(|state| state.doubt);
        let doubts = doubts.filter(|due| *due > self.now);
        doubts.chain(self.claims.due).chain(self.claims.sync_at).min()
    }
}
