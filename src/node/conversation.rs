//! What passes between a node and one peer: frames in, sessions forward.

use alloc::vec::Vec;

use bytes::Bytes;

use super::claims::SYNC_INTERVAL;
use super::frame::Frame;
use super::io::{NodeEvent, Output, PeerFault};
use super::link::{Exchange, Link};
use super::spreading::{Came, SHORT_SESSION};
use super::{LogOrder, Node};
use crate::entry::{SignedEntry, VerifiedEntry};
use crate::gossip::MembershipInput;
use crate::id::LinkId;
use crate::log::{EntryNo, Offered, Source};
use crate::sync::{Event, KeyRange, Session, Start};

/// Entries given out for verification at a time: 10 ms of one core.
const VERIFY_BATCH: usize = 256;
/// Known entries that a session may bring beyond as many as there are here.
const KNOWN_BASE: usize = 1_024;
/// A session in which the peer has said nothing for so long is not waited for.
const STALLED: core::time::Duration = core::time::Duration::from_secs(5);
/// How long blocks that a peer lacked are not asked for again without a reason.
const RECONSIDER: core::time::Duration = core::time::Duration::from_secs(300);

/// Frames.
impl Node {
    pub(super) fn take_frame(&mut self, link: LinkId, bytes: &Bytes) -> Result<(), PeerFault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        match Frame::decode(bytes).map_err(PeerFault::Frame)? {
            Frame::Sync(message) => self.take_sync(link, &message),
            Frame::Entries(entries) => self.take_entries(link, &entries),
            Frame::Changed if state.dialed => {
                state.is_behind = true;
                Ok(())
            }
            Frame::Changed => Err(PeerFault::OutOfPlace),
            Frame::Ask(ids) => state.asked(ids),
            Frame::Blocks(blocks) => self.fetcher.received(link, blocks, self.now),
            Frame::Absent(ids) => self.fetcher.absent(link, &ids, self.now),
            Frame::Await { token, heads } => self.take_await(link, token, heads),
            Frame::Reached { token } => self.take_reached(link, token),
            Frame::Have(ids) if ids.is_empty() => {
                self.fetcher.reconsider(link);
                Ok(())
            }
            Frame::Members(bytes) => {
                self.tell_members(MembershipInput::Table { link, bytes });
                Ok(())
            }
            Frame::Claim(claim) => {
                self.hear_claim(link, claim);
                Ok(())
            }
            Frame::Have(ids) => {
                self.fetcher.may_have(link, &ids);
                Ok(())
            }
        }
    }

    fn take_sync(&mut self, link: LinkId, message: &[u8]) -> Result<(), PeerFault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if state.session.is_none() {
            if state.dialed {
                return Err(PeerFault::OutOfPlace);
            }
            let session = Session::respond(self.random.nonce(), KeyRange::ALL);
            self.sessions += 1;
            begin(state, session, self.sessions);
            let started = NodeEvent::SyncStarted { link, session: self.sessions };
            self.outputs.push_back(Output::Event(started));
        }
        state.exchange.heard = self.now;
        state.exchange.is_open |= state.dialed;
        match &mut state.session {
            Some(session) => session.handle(message).map_err(PeerFault::Sync),
            None => Ok(()),
        }
    }

    /// Entries count as part of the session under way, in which the peer has not said that it is
    /// done.
    fn take_entries(&mut self, link: LinkId, entries: &[Bytes]) -> Result<(), PeerFault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if state.session.is_none() || state.exchange.ended {
            return Err(PeerFault::OutOfPlace);
        }
        let log = self.replica.log();
        state.exchange.heard = self.now;
        for bytes in entries {
            let entry = SignedEntry::decode(bytes).map_err(PeerFault::Entry)?;
            state.exchange.received += 1;
            if log.number(&entry.id()).is_none() {
                state.unverified.push_back(entry);
            } else {
                state.exchange.known += 1;
            }
        }
        // In one session, an honest peer sends an entry once.
        if state.exchange.known > log.len() + KNOWN_BASE {
            return Err(PeerFault::Flood);
        }
        Ok(())
    }

    pub(super) fn take_verified(
        &mut self,
        link: LinkId,
        entries: Vec<VerifiedEntry>,
        invalid: usize,
    ) -> Result<(), PeerFault> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.verifying = 0;
        if invalid > 0 {
            return Err(PeerFault::Signature);
        }
        let before = self.effects.refused.len();
        let passes_on = state.exchange.received <= SHORT_SESSION;
        let spreading = &self.spreading;
        let (pushed, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| spreading.is_verifying(&entry.id(), link));
        let mut useless = self.take_session_entries(link, others, passes_on);
        useless += self.take_pushed_entries(link, pushed);
        let own = Source::Peer(link.number());
        let refused = self.effects.refused[before..].iter();
        useless += refused.filter(|refused| refused.source == own).count();
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        (0..useless).try_for_each(|_| state.count_useless())
    }

    /// Takes entries of a session; gives how many were of no use.
    fn take_session_entries(
        &mut self,
        link: LinkId,
        entries: Vec<VerifiedEntry>,
        passes_on: bool,
    ) -> usize {
        let came = Came { from: Some(link), ..Came::default() };
        let offered = self.offer_all(entries, &came, passes_on);
        let Some(state) = self.links.get_mut(&link) else { return 0 };
        let mut useless = 0;
        for offered in offered {
            match offered {
                Offered::Admitted => state.exchange.admitted = true,
                Offered::Known => state.exchange.known += 1,
                Offered::Rejected(_) | Offered::Dropped(_) => useless += 1,
                Offered::Waiting(_) => {}
            }
        }
        useless
    }
}

/// Starts a session: it covers everything that is durable by now.
fn begin(state: &mut Link, session: Session, number: u64) {
    state.session = Some(session);
    state.exchange = Exchange { number, ..Exchange::default() };
    state.is_behind = false;
    state.hinted = false;
}

/// Sessions.
impl Node {
    /// Goes on with one peer.
    pub(super) fn converse(&mut self, link: LinkId) -> Result<(), PeerFault> {
        self.begin_if_due(link);
        self.settle(link);
        self.advance_session(link)?;
        // A session that ended may be followed by another at once.
        self.begin_if_due(link);
        self.advance_session(link)?;
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        if state.verifying == 0 && !state.unverified.is_empty() {
            let batch = state.unverified.len().min(VERIFY_BATCH);
            let entries: Vec<SignedEntry> = state.unverified.drain(..batch).collect();
            state.verifying = entries.len();
            self.outputs.push_back(Output::Verify { link, entries });
        }
        Ok(())
    }

    /// Whether another session brings, or will, what this node lacks: the next one waits for its
    /// end. A newcomer is greeted by many at the same time, and each would send it everything. Only
    /// a session that the peer takes part in counts, so that no two nodes wait for each other.
    fn is_busy_elsewhere(&self, link: LinkId) -> bool {
        let own = self.claims.count();
        self.links.iter().any(|(other, state)| {
            let exchange = &state.exchange;
            let brings =
                exchange.received > 0 || state.claim.is_some_and(|claim| claim.count() > own);
            let takes_part = state.session.is_some() && exchange.is_open;
            *other != link && takes_part && brings && self.now - exchange.heard < STALLED
        })
    }

    /// Starts a session, or hints that the peer should, if there is reason to.
    fn begin_if_due(&mut self, link: LinkId) {
        let is_due = |state: &Link| state.session.is_none() && state.is_behind;
        // Asked for every link after every input: what looks at all links comes last.
        if !self.links.get(&link).is_some_and(is_due) {
            return;
        }
        let busy = self.is_busy_elsewhere(link);
        let Some(state) = self.links.get_mut(&link) else { return };
        if state.dialed && !busy {
            let nonce = self.random.nonce();
            let session = Session::initiate(nonce, KeyRange::ALL, Start::Unsure);
            self.sessions += 1;
            begin(state, session, self.sessions);
            let started = NodeEvent::SyncStarted { link, session: self.sessions };
            self.outputs.push_back(Output::Event(started));
        } else if !state.dialed && !state.hinted {
            state.hinted = true;
            state.send(&Frame::Changed);
        }
    }

    /// Lets a session go on once everything it brought is durable.
    fn settle(&mut self, link: LinkId) {
        let admitted = self.replica.log().len();
        let Some(state) = self.links.get_mut(&link) else { return };
        if !state.exchange.ended || state.verifying > 0 || !state.unverified.is_empty() {
            return;
        }
        let target = *state.exchange.target.get_or_insert(admitted);
        if self.durable >= target
            && let Some(session) = &mut state.session
        {
            session.entries_admitted();
            state.exchange.ended = false;
            state.exchange.target = None;
        }
    }

    fn advance_session(&mut self, link: LinkId) -> Result<(), PeerFault> {
        let is_new =
            |state: &Link| !state.dialed && state.session.is_some() && !state.exchange.is_open;
        if self.links.get(&link).is_some_and(is_new) && self.is_busy_elsewhere(link) {
            return Ok(());
        }
        loop {
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            let Some(session) = &mut state.session else { return Ok(()) };
            state.exchange.is_open |= !state.dialed;
            let order = LogOrder(self.replica.log());
            let more = session.advance(&mut self.tree, &order).map_err(PeerFault::Sync)?;
            self.more |= more;
            let mut messages = Vec::new();
            while let Some(message) = session.poll_transmit() {
                messages.push(message);
            }
            let event = session.poll_event();
            for message in messages {
                state.send(&Frame::Sync(message.into()));
            }
            match event {
                Some(Event::Send(numbers)) => self.send_entries(link, &numbers),
                Some(Event::Received) => {
                    state.exchange.ended = true;
                    self.settle(link);
                }
                Some(Event::Finished { equal, .. }) => self.finish(link, equal),
                None => return Ok(()),
            }
        }
    }

    /// Queues entries, and after them the message that they were all.
    fn send_entries(&mut self, link: LinkId, numbers: &[u32]) {
        let Some(state) = self.links.get_mut(&link) else { return };
        state.exchange.sent += numbers.len() as u64;
        debug_assert!(
            numbers.iter().all(|number| (*number as usize) < self.durable),
            "only what is durable leaves the node"
        );
        let numbers = numbers.iter().map(|number| *number as usize);
        state.send_entries(numbers.filter_map(EntryNo::from_index));
        if let Some(session) = &mut state.session {
            session.entries_sent();
        }
    }

    fn finish(&mut self, link: LinkId, equal: bool) {
        let Some(state) = self.links.get_mut(&link) else { return };
        state.session = None;
        let (peer, exchange) = (state.peer, core::mem::take(&mut state.exchange));
        // What was written meanwhile is worth another session; what was not admitted is not.
        state.is_behind |= state.dialed && !equal && exchange.admitted;
        state.contacted = self.now;
        state.doubt = state.doubt.filter(|_| !equal);
        self.claims.compared(self.now + self.random.around(SYNC_INTERVAL));
        let Exchange { number: session, sent, received, .. } = exchange;
        if received > 0 || self.now >= state.reconsidered + RECONSIDER {
            state.reconsidered = self.now;
            self.fetcher.reconsider(link);
        }
        self.standings.compared(peer, equal, self.now);
        let finished = NodeEvent::SyncFinished { link, session, equal, sent, received };
        self.outputs.push_back(Output::Event(finished));
    }
}
