//! How far peers are: what they claim to have, compared with what is here and was here.
//!
//! A claim is opaque: equal claims mean equal entries, and that is all. So a peer is *behind* if
//! it claims what this node claimed before, and *ahead* if it claimed before what this node claims
//! now. Nothing is done because of a standing; it is for those who watch.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::fmt;

use crate::gossip::Claim;
use crate::id::NodeId;
use crate::time::Timestamp;

/// Earlier claims of this node that are recognised in a peer: 40 bytes each, and at one claim in
/// 50 ms the last minute of the busiest writer.
const MAX_OWN: usize = 1_024;
/// Earlier claims of a peer that are recognised as the present one of this node.
const MAX_HEARD: usize = 64;
/// Peers whose standing is remembered, each in about 2 KiB; beyond, the one not heard of for
/// longest is forgotten.
const MAX_PEERS: usize = 1_024;

/// How far a peer is, as far as was heard of it.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::node::Standing;
///
/// let (ana, _) = nodes::connected();
/// assert_eq!(ana.node.standing(&nodes::BEN).0, Standing::Equal);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It has not been compared with.
    #[default]
    Unknown,
    /// It has the entries that this node has.
    Equal,
    /// It has what this node has, and more: what it has is on its way here.
    Ahead,
    /// It has what this node had some time ago.
    Behind,
    /// It has something that this node lacks, and lacks something that this node has; or one of
    /// the two is so far behind that the other does not remember.
    Differs,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Standing::Unknown => "unknown",
            Standing::Equal => "equal",
            Standing::Ahead => "ahead",
            Standing::Behind => "behind",
            Standing::Differs => "differs",
        })
    }
}

/// Claims that were made, the oldest forgotten first.
#[derive(Debug, Default)]
struct Past {
    order: VecDeque<Claim>,
    all: BTreeSet<Claim>,
}

impl Past {
    fn add(&mut self, claim: Claim, most: usize) {
        if !self.all.insert(claim) {
            return;
        }
        self.order.push_back(claim);
        if self.order.len() > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

#[derive(Debug)]
struct Peer {
    claim: Option<Claim>,
    past: Past,
    standing: Standing,
    since: Timestamp,
    /// When anything was heard of it.
    heard: Timestamp,
}

/// The standings of all peers that were heard of.
///
/// ```
/// use basefs::gossip::Claim;
/// use basefs::id::NodeId;
/// use basefs::node::{Standing, Standings};
/// use basefs::time::Timestamp;
///
/// let (mut standings, peer) = (Standings::default(), NodeId::from_bytes([7; 32]));
/// let [old, new] = [1, 2].map(|byte| Claim::from_bytes([byte; Claim::LEN]));
/// standings.note_own(old, Timestamp::from_micros(1));
/// standings.note_own(new, Timestamp::from_micros(2));
/// standings.heard(peer, old, Timestamp::from_micros(3));
/// let since = Timestamp::from_micros(3);
/// assert_eq!(standings.standing(&peer), (Standing::Behind, since));
/// ```
#[derive(Debug, Default)]
pub struct Standings {
    /// Nothing while this node has more than it claims.
    own: Option<Claim>,
    past: Past,
    peers: BTreeMap<NodeId, Peer>,
}

impl Standings {
    /// What this node claims from now on.
    ///
    /// ```
    /// # use basefs::gossip::Claim;
    /// # use basefs::id::NodeId;
    /// # use basefs::node::{Standing, Standings};
    /// # use basefs::time::Timestamp;
    /// #
    /// # let (mut standings, peer) = (Standings::default(), NodeId::from_bytes([7; 32]));
    /// # let claim = Claim::from_bytes([1; Claim::LEN]);
    /// standings.note_own(claim, Timestamp::ZERO);
    /// standings.heard(peer, claim, Timestamp::ZERO);
    /// assert_eq!(standings.standing(&peer).0, Standing::Equal);
    /// ```
    pub fn note_own(&mut self, claim: Claim, now: Timestamp) {
        if self.own == Some(claim) {
            return;
        }
        self.outdate_own();
        self.own = Some(claim);
        for peer in self.peers.values_mut() {
            if let Some(standing) = standing(self.own, &self.past, peer) {
                peer.change(standing, now);
            }
        }
    }

    /// This node has something new, and will [claim](Self::note_own) it soon. What peers claim
    /// meanwhile is not compared with what it claimed before: a peer that it has just caught up
    /// with would seem to differ for a moment.
    ///
    /// ```
    /// # use basefs::gossip::Claim;
    /// # use basefs::id::NodeId;
    /// # use basefs::node::{Standing, Standings};
    /// # use basefs::time::Timestamp;
    /// #
    /// # let (mut standings, peer) = (Standings::default(), NodeId::from_bytes([7; 32]));
    /// # let [old, new] = [1, 2].map(|byte| Claim::from_bytes([byte; Claim::LEN]));
    /// standings.note_own(old, Timestamp::from_micros(1));
    /// standings.outdate_own();
    /// standings.compared(peer, true, Timestamp::from_micros(2));
    /// standings.heard(peer, new, Timestamp::from_micros(3));
    /// standings.note_own(new, Timestamp::from_micros(4));
    /// assert_eq!(standings.standing(&peer), (Standing::Equal, Timestamp::from_micros(2)));
    /// ```
    pub fn outdate_own(&mut self) {
        if let Some(before) = self.own.take() {
            self.past.add(before, MAX_OWN);
        }
    }

    /// What a peer claims.
    ///
    /// ```
    /// # use basefs::gossip::Claim;
    /// # use basefs::id::NodeId;
    /// # use basefs::node::{Standing, Standings};
    /// # use basefs::time::Timestamp;
    /// #
    /// # let (mut standings, peer) = (Standings::default(), NodeId::from_bytes([7; 32]));
    /// # let claim = Claim::from_bytes([1; Claim::LEN]);
    /// standings.heard(peer, claim, Timestamp::ZERO);
    /// assert_eq!(standings.standing(&peer).0, Standing::Unknown, "it has something else");
    /// ```
    pub fn heard(&mut self, node: NodeId, claim: Claim, now: Timestamp) {
        let peer = peer(&mut self.peers, node, now);
        if let Some(before) = peer.claim.replace(claim).filter(|before| *before != claim) {
            peer.past.add(before, MAX_HEARD);
        }
        if let Some(standing) = standing(self.own, &self.past, peer) {
            peer.change(standing, now);
        }
    }

    /// A session has found out whether a peer is equal. It knows better than claims, which are
    /// older: what the peer claimed before it says nothing any more.
    ///
    /// ```
    /// # use basefs::gossip::Claim;
    /// # use basefs::id::NodeId;
    /// # use basefs::node::{Standing, Standings};
    /// # use basefs::time::Timestamp;
    /// #
    /// # let (mut standings, peer) = (Standings::default(), NodeId::from_bytes([7; 32]));
    /// # let claim = Claim::from_bytes([1; Claim::LEN]);
    /// standings.compared(peer, true, Timestamp::from_micros(5));
    /// assert_eq!(standings.standing(&peer), (Standing::Equal, Timestamp::from_micros(5)));
    /// ```
    pub fn compared(&mut self, node: NodeId, equal: bool, now: Timestamp) {
        let peer = peer(&mut self.peers, node, now);
        if let Some(before) = peer.claim.take() {
            peer.past.add(before, MAX_HEARD);
        }
        peer.change(if equal { Standing::Equal } else { Standing::Differs }, now);
    }

    /// How far a peer is, and since when: of one that is unknown, since ever.
    ///
    /// ```
    /// # use basefs::gossip::Claim;
    /// # use basefs::id::NodeId;
    /// # use basefs::node::{Standing, Standings};
    /// # use basefs::time::Timestamp;
    /// #
    /// # let (mut standings, peer) = (Standings::default(), NodeId::from_bytes([7; 32]));
    /// # let claim = Claim::from_bytes([1; Claim::LEN]);
    /// assert_eq!(standings.standing(&peer), (Standing::Unknown, Timestamp::ZERO));
    /// ```
    pub fn standing(&self, node: &NodeId) -> (Standing, Timestamp) {
        let peer = self.peers.get(node);
        peer.map_or((Standing::Unknown, Timestamp::ZERO), |peer| (peer.standing, peer.since))
    }

    /// All that were heard of, in the order of their ids.
    ///
    /// ```
    /// # use basefs::gossip::Claim;
    /// # use basefs::id::NodeId;
    /// # use basefs::node::{Standing, Standings};
    /// # use basefs::time::Timestamp;
    /// #
    /// # let (mut standings, peer) = (Standings::default(), NodeId::from_bytes([7; 32]));
    /// # let claim = Claim::from_bytes([1; Claim::LEN]);
    /// standings.compared(peer, false, Timestamp::ZERO);
    /// let all: Vec<_> = standings.all().collect();
    /// assert_eq!(all, [(peer, Standing::Differs, Timestamp::ZERO)]);
    /// ```
    pub fn all(&self) -> impl Iterator<Item = (NodeId, Standing, Timestamp)> + '_ {
        self.peers.iter().map(|(node, peer)| (*node, peer.standing, peer.since))
    }
}

impl Peer {
    fn change(&mut self, standing: Standing, now: Timestamp) {
        if self.standing != standing {
            (self.standing, self.since) = (standing, now);
        }
    }
}

/// The memory of a peer, made if there is none; it was heard of now.
fn peer(peers: &mut BTreeMap<NodeId, Peer>, node: NodeId, now: Timestamp) -> &mut Peer {
    if peers.len() >= MAX_PEERS && !peers.contains_key(&node) {
        let oldest = peers.iter().min_by_key(|(_, peer)| peer.heard).map(|(node, _)| *node);
        oldest.and_then(|oldest| peers.remove(&oldest));
    }
    let peer = peers.entry(node).or_insert_with(|| Peer {
        claim: None,
        past: Past::default(),
        standing: Standing::Unknown,
        since: now,
        heard: now,
    });
    peer.heard = now;
    peer
}

/// What the claims say; nothing if one of the two has not claimed.
fn standing(own: Option<Claim>, past: &Past, peer: &Peer) -> Option<Standing> {
    let (own, claim) = (own?, peer.claim?);
    Some(if own == claim {
        Standing::Equal
    } else if past.all.contains(&claim) {
        Standing::Behind
    } else if peer.past.all.contains(&own) {
        Standing::Ahead
    } else {
        Standing::Differs
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const PEER: NodeId = NodeId::from_bytes([7; 32]);

    fn claim(number: u32) -> Claim {
        let mut bytes = [0; Claim::LEN];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        Claim::from_bytes(bytes)
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_peer_that_follows_is_behind_until_it_has_caught_up() {
        let mut standings = Standings::default();
        assert_eq!(standings.standing(&PEER), (Standing::Unknown, at(0)));
        standings.heard(PEER, claim(1), at(1));
        assert_eq!(standings.standing(&PEER), (Standing::Unknown, at(1)), "nothing to compare");
        standings.note_own(claim(1), at(2));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(2)));
        standings.note_own(claim(2), at(3));
        standings.note_own(claim(3), at(4));
        assert_eq!(standings.standing(&PEER), (Standing::Behind, at(3)), "since the first of both");
        standings.heard(PEER, claim(2), at(5));
        assert_eq!(standings.standing(&PEER), (Standing::Behind, at(3)));
        standings.heard(PEER, claim(3), at(6));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(6)));
    }

    #[test]
    fn a_peer_that_leads_is_ahead_and_one_that_writes_as_well_differs() {
        let mut standings = Standings::default();
        standings.note_own(claim(1), at(1));
        standings.heard(PEER, claim(1), at(2));
        standings.heard(PEER, claim(2), at(3));
        assert_eq!(standings.standing(&PEER), (Standing::Ahead, at(3)));
        standings.note_own(claim(3), at(4));
        assert_eq!(standings.standing(&PEER), (Standing::Differs, at(4)));
        // What the peer claims now, it claimed after this node had claimed something else.
        standings.note_own(claim(2), at(5));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(5)));
        let other = NodeId::from_bytes([8; 32]);
        standings.heard(other, claim(9), at(6));
        let all: Vec<_> = standings.all().collect();
        assert_eq!(all, [(PEER, Standing::Equal, at(5)), (other, Standing::Differs, at(6))]);
    }

    #[test]
    fn a_session_knows_better_than_the_claims_before_it() {
        let mut standings = Standings::default();
        standings.note_own(claim(1), at(1));
        standings.heard(PEER, claim(5), at(2));
        standings.compared(PEER, true, at(3));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(3)));
        // What came in the session is claimed a moment later, here and there.
        standings.note_own(claim(6), at(4));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(3)));
        standings.heard(PEER, claim(6), at(5));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(3)));
        standings.compared(PEER, false, at(6));
        assert_eq!(standings.standing(&PEER), (Standing::Differs, at(6)));
    }

    #[test]
    fn what_is_heard_before_the_own_claim_is_up_to_date_waits_for_it() {
        let mut standings = Standings::default();
        standings.note_own(claim(1), at(1));
        standings.outdate_own();
        standings.compared(PEER, true, at(2));
        standings.heard(PEER, claim(2), at(3));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(2)));
        standings.note_own(claim(2), at(4));
        assert_eq!(standings.standing(&PEER), (Standing::Equal, at(2)));
        standings.outdate_own();
        standings.heard(PEER, claim(3), at(5));
        standings.note_own(claim(2), at(6));
        assert_eq!(standings.standing(&PEER), (Standing::Ahead, at(6)), "nothing new after all");
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut standings = Standings::default();
        let own = u32::try_from(MAX_OWN).unwrap();
        (0..=own).for_each(|number| standings.note_own(claim(number), at(1)));
        standings.heard(PEER, claim(0), at(2));
        assert_eq!(standings.standing(&PEER).0, Standing::Behind);
        standings.note_own(claim(own + 1), at(3));
        assert_eq!(standings.standing(&PEER).0, Standing::Differs, "it is too far behind");
        for number in 0..u32::try_from(MAX_HEARD).unwrap() * 3 {
            standings.heard(PEER, claim(10_000 + number), at(4));
        }
        assert_eq!(standings.peers[&PEER].past.order.len(), MAX_HEARD);
        assert_eq!(standings.peers[&PEER].past.all.len(), MAX_HEARD);
        for number in 0..=MAX_PEERS {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            standings.heard(NodeId::from_bytes(bytes), claim(1), at(5 + number as u64));
        }
        assert_eq!(standings.peers.len(), MAX_PEERS);
        assert_eq!(standings.standing(&PEER), (Standing::Unknown, at(0)), "the oldest went first");
    }
}
