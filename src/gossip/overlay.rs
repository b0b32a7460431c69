//! Who is connected with whom, and who pushes to whom.
//!
//! Few members are all connected with each other. More stand on several rings, each in the order of
//! a hash of their ids, and each has the next one of every ring for a neighbour. So everybody has
//! as many neighbours as everybody else and is a neighbour of as many, the graph is strongly
//! connected, and ways are about as short as they can be: random graphs in which some are chosen by
//! few took twice the steps. Who comes or goes changes two neighbours of a ring.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::id::NodeId;

/// Rings, and so links that a node keeps up when there are too many members for links to all; as
/// many others keep one to it.
const RINGS: u64 = 6;

/// A place on the ring: the hash first, the id for the case that two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    hash: u64,
    pub(super) node: NodeId,
}

impl Place {
    pub(super) fn of(node: NodeId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("basefs v1 member ring");
        let mut hash = [0; 8];
        hasher.update(node.as_bytes()).finalize_xof().fill(&mut hash);
        Self { hash: u64::from_le_bytes(hash), node }
    }

    /// How far another is ahead on a ring.
    pub(super) fn ahead(&self, other: &Place, ring: u64) -> u64 {
        other.on(ring).wrapping_sub(self.on(ring))
    }

    /// The place on a ring.
    fn on(&self, ring: u64) -> u64 {
        // The finaliser of SplitMix64: every bit of the input moves half of the output's.
        let mut z = self.hash ^ ring.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if ring == 0 { self.hash } else { z ^ (z >> 31) }
    }
}

/// The others in the order of the ring, starting after `me`. `sorted` is in ascending order and
/// may contain `me`.
pub(super) fn ring_after<'a>(
    me: &'a Place,
    sorted: &'a [Place],
) -> impl Iterator<Item = &'a Place> + 'a {
    let start = sorted.partition_point(|place| place <= me);
    let (before, after) = sorted.split_at(start);
    after.iter().chain(before).filter(move |place| *place != me)
}

/// The next one on each of so many rings, without repetition.
fn next_on(me: &Place, others: &[Place], rings: u64) -> Vec<NodeId> {
    let mut chosen = Vec::new();
    for ring in 0..rings {
        let ahead = |place: &&Place| (me.ahead(place, ring), place.node);
        let others = others.iter().filter(|place| *place != me);
        // Where rings agree, the one after the next takes the place.
        let next = others.filter(|place| !chosen.contains(&place.node)).min_by_key(ahead);
        chosen.extend(next.map(|place| place.node));
    }
    chosen
}

/// Whom a node keeps links to when there are too many for links to all.
pub(super) fn wanted(me: &Place, sorted: &[Place]) -> BTreeSet<NodeId> {
    next_on(me, sorted, RINGS).into_iter().collect()
}

/// Whom a node pushes to, of those that it is connected with; all if they are not more than
/// `fanout`.
pub(super) fn eager(me: &Place, connected: &[Place], fanout: usize) -> Vec<NodeId> {
    next_on(me, connected, fanout as u64)
}

/// Whom a node pushes to when everybody is connected with everybody: the next one on the ring, and
/// for the rest a Kautz graph as Imase and Itoh (1981) generalised it, which reaches all in the
/// fewest steps that so few edges allow. Who comes or goes changes the choice of nearly all, but
/// no link has to be made for it. `sorted` contains `me`.
pub(super) fn eager_among_all(me: &Place, sorted: &[Place], fanout: usize) -> Vec<NodeId> {
    let count = sorted.len();
    let at = sorted.partition_point(|place| place < me);
    let chords = fanout.saturating_sub(1);
    let mut chosen = Vec::new();
    let kautz = (1..=chords).map(|step| count * (chords + 1) - chords * at - step.min(count));
    // Where these fall together, the next ones on the ring take their place.
    for position in core::iter::once(at + 1).chain(kautz).chain(at + 2..at + count) {
        let node = sorted.get(position % count.max(1)).map(|place| place.node);
        let is_new = |node: &NodeId| *node != me.node && !chosen.contains(node);
        if chosen.len() < fanout {
            chosen.extend(node.filter(is_new));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn members(count: u16) -> Vec<Place> {
        let id = |number: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&number.to_le_bytes());
            NodeId::from_bytes(bytes)
        };
        let mut places: Vec<Place> = (0..count).map(|number| Place::of(id(number))).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn the_ring_goes_round() {
        let places = members(5);
        for (at, me) in places.iter().enumerate() {
            let after: Vec<&Place> = ring_after(me, &places).collect();
            let expected: Vec<&Place> = (1..5).map(|step| &places[(at + step) % 5]).collect();
            assert_eq!(after, expected);
        }
    }

    #[test]
    fn few_choose_all() {
        for count in 1..5 {
            let places = members(count);
            for me in &places {
                assert_eq!(eager(me, &places, 4).len(), places.len() - 1);
                assert_eq!(wanted(me, &places).len(), places.len() - 1);
            }
        }
    }

    #[test]
    fn among_all_three_or_four_steps_reach_thirty_two() {
        for count in 1..=32 {
            let places = members(count);
            let pushes: BTreeMap<NodeId, Vec<NodeId>> =
                places.iter().map(|me| (me.node, eager_among_all(me, &places, 4))).collect();
            for (start, first) in &pushes {
                assert_eq!(first.len(), 4.min(places.len() - 1));
                let mut reached = BTreeSet::from([*start]);
                for _ in 0..4 {
                    let edge: Vec<NodeId> =
                        reached.iter().flat_map(|node| &pushes[node]).copied().collect();
                    reached.extend(edge);
                }
                assert_eq!(reached.len(), places.len());
            }
        }
    }

    #[test]
    fn one_more_or_less_changes_little() {
        let places = members(1_000);
        let gone = places[500];
        let left: Vec<Place> = places.iter().copied().filter(|place| *place != gone).collect();
        let (mut changed, mut links) = (0, 0);
        for me in &left {
            let (before, after) = (wanted(me, &places), wanted(me, &left));
            links += after.len();
            changed += before.symmetric_difference(&after).count();
            if !before.contains(&gone.node) {
                assert_eq!(before, after, "only who chose it chooses again");
            }
        }
        assert_eq!(links, 999 * 6);
        // Each of the six or so that chose it, and the two before it on the ring, lose and gain
        // one; a chord that becomes a successor makes room for another.
        assert!(changed <= 40, "{changed} of {links} links changed");
    }

    #[test]
    fn chords_are_spread_evenly() {
        let places = members(1_000);
        let mut chosen = BTreeMap::new();
        for me in &places {
            for node in wanted(me, &places) {
                *chosen.entry(node).or_insert(0_u32) += 1;
            }
        }
        let most = chosen.values().max().copied();
        assert!(most < Some(20), "one member is chosen by {most:?}, six on average");
    }
}
