//! Exchanging entries, and after it.

use super::{Exchange, Phase, ROUNDS_MAX, Role, Session};
use crate::sync::Order;
use crate::sync::compare::Local;
use crate::sync::event::Event;
use crate::sync::key::{Root, RoundKey};
use crate::sync::message::Message;

impl Session {
    /// Everything is compared: hands out what to send.
    pub(super) fn conclude(&mut self) {
        let mut send = core::mem::take(&mut self.send);
        send.sort_unstable();
        send.dedup();
        send.retain(|entry| self.sent.binary_search(entry).is_err());
        self.sent.extend(&send);
        self.sent.sort_unstable();
        self.events.push_back(Event::Send(send));
        self.phase = Phase::Exchanging;
    }

    /// Both sides were equal from the start: no round took place.
    pub(super) fn skip_exchange(&mut self, root: Option<Root>) {
        self.exchange = Exchange { sent: true, received: true, admitted: true, root };
        self.round = 0;
        self.phase = Phase::Exchanging;
    }

    /// Responder: states the root once the exchange is complete; says whether the work was spent.
    pub(super) fn state_root<O: Order>(&mut self, local: &mut Local<'_, O>) -> bool {
        if !self.exchange.sent || !self.exchange.admitted {
            return false;
        }
        let Some(root) = local.root(&self.key, &self.range) else { return true };
        self.outbox.push_back(Message::Root(root).encode());
        self.phase = Phase::Judging;
        false
    }

    /// Initiator: compares the roots once the exchange is complete.
    pub(super) fn judge<O: Order>(&mut self, local: &mut Local<'_, O>) -> bool {
        let Some(theirs) = self.exchange.root else { return false };
        if !self.exchange.sent || !self.exchange.admitted {
            return false;
        }
        let Some(ours) = local.root(&self.key, &self.range) else { return true };
        let equal = ours == theirs;
        if equal || !(1..ROUNDS_MAX).contains(&self.round) {
            self.outbox.push_back(Message::Close { equal }.encode());
            self.finish(equal);
            return false;
        }
        // Under the key of the next round: what coincided by chance does not do so again.
        let next = self.key_of_round(self.round + 1);
        let Some(said) = local.open(&next, &self.range, false) else { return true };
        self.outbox.push_back(Message::Again.encode());
        self.next_round();
        self.request(said);
        false
    }

    pub(super) fn next_round(&mut self) {
        self.round += 1;
        self.key = self.round_key();
        self.turns = 0;
        self.spent = 0;
        self.last_came = false;
        self.exchange = Exchange::default();
        self.phase = Phase::Comparing;
    }

    pub(super) fn finish(&mut self, equal: bool) {
        self.phase = Phase::Over;
        self.events.push_back(Event::Finished { equal, rounds: self.round });
    }

    pub(super) fn round_key(&self) -> RoundKey {
        self.key_of_round(self.round)
    }

    fn key_of_round(&self, round: u8) -> RoundKey {
        let peer = self.peer_nonce.unwrap_or(self.nonce);
        match self.role {
            Role::Initiator => RoundKey::round(self.nonce, peer, round),
            Role::Responder => RoundKey::round(peer, self.nonce, round),
        }
    }
}
