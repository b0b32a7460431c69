//! Beside the flood: along trees where every copy counts, in pieces where much is lost.
//!
//! A node that writes chooses. On a clean and fast network, an entry goes with its content to all
//! neighbours, and from them to theirs. If the uplink is known to be slow, or if a content is longer
//! than a packet and nothing is known, the entry goes along a tree over all members, and each piece
//! of the content along a tree of its own: then every node sends about as much as it receives, and
//! passes pieces on while others are still on their way. If packets are lost, pieces are flooded: a
//! piece is here with the first of its copies, and no copy of a whole waits for all its packets.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::parcel::{Carried, Parcelled, Pushed};
use super::partial::{Taken, Way};
use super::peer::Peer;
use super::route::children;
use super::uplink::Copy;
use super::{Output, Spread};
use crate::block::{self, Piece};
use crate::id::{BlockId, EntryId, LinkId};
use crate::time::Timestamp;

/// The loss, in permille, from which contents are flooded in pieces.
const LOSSY: u64 = 50;
/// What went along trees so short a time before packets were found to be lost is flooded after all.
const FLOOD_SINCE: Duration = Duration::from_secs(10);
/// Longest item that fits a packet with its headers.
const ONE_PACKET: usize = 1_100;
/// Bytes around a push: IP, UDP, QUIC.
const AROUND: usize = 64;
/// Copies that a flood makes a node send.
const COPIES: u64 = 4;
/// If sending all copies takes longer, the uplink is slow.
const SLOW_MILLIS: u64 = 250;
/// The part of packets, in permille, that wait in queues from which the uplink is congested.
const QUEUED: u64 = 300;
/// A push that is not acknowledged after two round trips and this waits in a queue, or is lost.
const LATE: Duration = Duration::from_millis(500);
/// What is acknowledged so long after two of the shortest round trips has waited in a queue.
const WAITED: Duration = Duration::from_millis(100);
/// With fewer members than this, all are neighbours.
const MIN_RING: usize = 4;

impl Spread {
    /// Whether this node has found its uplink narrow: what spreads takes a while then.
    fn is_narrow(&self) -> bool {
        self.uplink.rate().is_some_and(|rate| takes_long(ONE_PACKET, rate))
    }

    /// After how long a push on a link must have waited in a queue to be acknowledged only now; where
    /// packets are lost, nobody knows.
    pub(super) fn late(&self, link: LinkId) -> Option<Duration> {
        let least = self.peers.get(&link).and_then(Peer::least)?;
        (self.loss_permille() < LOSSY).then(|| least.saturating_mul(2) + WAITED)
    }

    /// Whether packets are lost, and sending more of them helps.
    pub(super) fn is_lossy(&self) -> bool {
        self.loss_permille() >= LOSSY && !self.is_narrow()
    }

    /// Whether what this node sends waits in a queue, its own or others', or soon would.
    pub fn is_slow(&self) -> bool {
        let late = |link: LinkId| {
            let rtt = self.peers.get(&link).map_or(Duration::ZERO, |peer| peer.path.rtt);
            LATE + rtt.saturating_mul(2)
        };
        self.is_narrow()
            || self.losses.queued_permille() >= QUEUED
            || !self.is_lossy() && self.uplink.is_stuck(self.now, late)
    }

    /// When some link is to be nudged. On a slow uplink nudges would add to what pushes wait for.
    pub(super) fn nudge_due(&self) -> Option<Timestamp> {
        if !self.is_lossy() {
            return None;
        }
        self.peers.values().filter_map(Peer::nudge_due).min()
    }

    pub(super) fn nudge(&mut self) {
        if self.nudge_due().is_none_or(|due| due > self.now) {
            return;
        }
        for (link, peer) in &mut self.peers {
            if peer.nudge_due().is_some_and(|due| due <= self.now) {
                peer.nudged(self.now);
                self.outputs.push_back(Output::Datagram { link: *link, bytes: Bytes::new() });
            }
        }
    }

    /// Of a thousand packets sent lately, on whatever link, how many were lost.
    pub fn loss_permille(&self) -> u64 {
        self.losses.permille()
    }

    /// How a local entry goes: in pieces if its content is to be, along a tree if there is a span.
    pub(super) fn choose_way(&mut self, item: Parcelled) -> (Parcelled, Option<usize>) {
        let size = item.size() + AROUND;
        let is_long = item.size() > ONE_PACKET;
        let is_lossy = self.is_lossy();
        let is_slow = self.uplink.rate().map_or(is_long, |rate| takes_long(size, rate));
        let span = self.ring.len() + 1;
        let span = (is_slow && !is_lossy && self.ring.len() >= MIN_RING).then_some(span);
        let Carried::Block(body) = &item.body else { return (item, span) };
        if !is_long || !(is_lossy || span.is_some()) {
            return (item, span);
        }
        let (root, length) = (block::id(body), body.len());
        self.partials.name(root, length, self.now);
        // A different root of the tree for each piece, a third of the ring apart, which spreads the
        // load best; and a different first one for each block.
        let first = usize::from(root.as_bytes()[0]);
        for piece in Piece::split(body) {
            let way = Way { from: LinkId::new(u64::MAX), span };
            self.partials.take(root, length, piece.clone(), way, self.now);
            match span {
                Some(span) => {
                    let at = (first + piece.index * span / 3) % self.ring.len();
                    let push = Pushed::Piece { span: Some(span), root, length, piece };
                    self.send_copy(span, at, &push);
                }
                None => self.flood_piece(root, length, &piece, None),
            }
        }
        (Parcelled { body: Carried::InPieces, ..item }, span)
    }

    /// Packets are lost, which nobody knew when trees were chosen: one copy of each is too few.
    pub(super) fn flood_routed(&mut self) {
        let ids: Vec<EntryId> = self.hot.younger(self.now, FLOOD_SINCE).collect();
        ids.into_iter().for_each(|id| self.flood(id, None));
        for (root, length, piece) in self.partials.take_routed(self.now, FLOOD_SINCE) {
            self.flood_piece(root, length, &piece, None);
        }
    }

    /// Sends an entry to those members of its part of the ring that pass it on.
    pub(super) fn route(&mut self, id: EntryId, span: usize) {
        if self.is_lossy() {
            return self.flood(id, None);
        }
        let Some(item) = self.hot.get(&id).cloned() else { return };
        for (offset, span) in children(span.min(self.ring.len() + 1)) {
            let push = Pushed::Routed { span, item: item.clone() };
            // Entries before pieces: nobody passes these on without.
            self.send_copy(span + self.ring.len(), offset - 1, &push);
        }
    }

    /// An entry is here that names a block.
    pub(super) fn name(&mut self, root: BlockId, length: usize) {
        let taken = self.partials.name(root, length, self.now);
        self.go_on(root, length, taken);
    }

    pub(super) fn take_piece(&mut self, root: BlockId, length: usize, piece: Piece, way: Way) {
        let taken = self.partials.take(root, length, piece, way, self.now);
        self.go_on(root, length, taken);
    }

    fn go_on(&mut self, root: BlockId, length: usize, taken: Taken) {
        for (piece, Way { from, span }) in taken.onward {
            let Some(span) = span.filter(|_| !self.is_lossy()) else {
                self.flood_piece(root, length, &piece, Some(from));
                continue;
            };
            for (offset, span) in children(span.min(self.ring.len() + 1)) {
                let push = Pushed::Piece { span: Some(span), root, length, piece: piece.clone() };
                self.send_copy(span, offset - 1, &push);
            }
        }
        if let Some(bytes) = taken.whole {
            self.outputs.push_back(Output::Assembled { root, bytes });
        }
    }

    fn flood_piece(&mut self, root: BlockId, length: usize, piece: &Piece, from: Option<LinkId>) {
        let push = Pushed::Piece { span: None, root, length, piece: piece.clone() };
        let bytes = push.encode();
        for link in self.neighbours.iter().filter(|link| Some(**link) != from) {
            let Some(peer) = self.peers.get_mut(link) else { continue };
            let Some(push) = peer.began_beside(self.now) else {
                self.outputs.push_back(Output::Lagging { link: *link });
                continue;
            };
            self.uplink.began(self.now, (*link, push), bytes.len(), false);
            self.outputs.push_back(Output::Push { link: *link, push, bytes: bytes.clone() });
        }
    }

    /// Queues a copy for the member at a place of the ring.
    fn send_copy(&mut self, urgency: usize, at: usize, push: &Pushed) {
        let Some(link) = self.ring.get(at).copied() else { return };
        if !self.uplink.send_later(Copy { span: urgency, link, bytes: push.encode() }) {
            self.outputs.push_back(Output::Lagging { link });
        }
    }

    /// Sends the copies that may leave now.
    pub(super) fn send_copies(&mut self) {
        while let Some(Copy { link, bytes, .. }) = self.uplink.next_copy(self.now) {
            let peer = self.peers.get_mut(&link);
            let Some(push) = peer.and_then(|peer| peer.began_beside(self.now)) else {
                self.outputs.push_back(Output::Lagging { link });
                continue;
            };
            self.uplink.began(self.now, (link, push), bytes.len(), true);
            self.outputs.push_back(Output::Push { link, push, bytes });
        }
    }
}

fn takes_long(size: usize, rate: u64) -> bool {
    (size as u64).saturating_mul(COPIES * 1_000) / rate.max(1) > SLOW_MILLIS
}
