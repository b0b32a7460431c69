//! The hashes of the nodes: computed when they are asked for, and kept.

use alloc::boxed::Box;
use core::ops::Range;

use super::{Body, EXPAND, MERGE, Tree};
use crate::sync::{LtHash, Order, Summary, Work};

impl Tree {
    /// The hash of all entries, if it is known without further work.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// use basefs::sync::{LtHash, Order, Tree, Work};
    ///
    /// let ids = Ids::of(&[1, 2]);
    /// let mut tree = Tree::new();
    /// assert_eq!(tree.hash(), Some(&LtHash::EMPTY));
    /// tree.insert(&ids, 0);
    /// assert_eq!(tree.hash(), None, "inserting computes none");
    /// tree.summary(&ids, 0..1, &mut Work::unlimited());
    /// assert_eq!(tree.hash(), Some(&LtHash::of(&ids.id(0))));
    /// ```
    pub fn hash(&self) -> Option<&LtHash> {
        self.nodes[self.root].sum.as_deref().filter(|_| self.pending.is_empty())
    }

    /// Count and hash of a range of ranks; nothing if the work was spent first. Calling again
    /// goes on where it stopped.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// use basefs::sync::Work;
    ///
    /// // Two replicas, of which one lacks an entry: equal halves need not be looked at again.
    /// let (ours, theirs) = (Ids::of(&[1, 2, 3, 4]), Ids::of(&[1, 2, 4]));
    /// let (mut our_tree, mut their_tree) = (ours.tree(), theirs.tree());
    /// let work = &mut Work::unlimited();
    /// assert_eq!(our_tree.summary(&ours, 0..2, work), their_tree.summary(&theirs, 0..2, work));
    /// assert_ne!(our_tree.summary(&ours, 2..4, work), their_tree.summary(&theirs, 2..3, work));
    /// ```
    pub fn summary<O: Order>(
        &mut self,
        order: &O,
        ranks: Range<usize>,
        work: &mut Work,
    ) -> Option<Summary> {
        let ranks = ranks.start.min(self.count)..ranks.end.min(self.count);
        if !self.settle(order, work) {
            return None;
        }
        let count = u64::try_from(ranks.len()).ok()?;
        let mut hash = LtHash::EMPTY;
        let done = if ranks.len() == self.count {
            self.add_whole(order, self.root, &mut hash, work)
        } else {
            ranks.is_empty() || self.collect(order, self.root, ranks, &mut hash, work)
        };
        done.then_some(Summary { count, hash })
    }

    /// Drops all hashes, and with them the need to bring them up to date.
    pub(super) fn forget_hashes(&mut self) {
        self.pending.clear();
        self.nodes.iter_mut().for_each(|node| node.sum = None);
    }

    /// Adds pending entries to the hashes that lack them; says whether none are left.
    ///
    /// Nothing may compute a missing hash before this: it would count a pending entry, which would
    /// then be counted again.
    fn settle<O: Order>(&mut self, order: &O, work: &mut Work) -> bool {
        while !work.is_spent() {
            let Some(number) = self.pending.pop() else { return true };
            let path = self.path(order, number);
            let element = LtHash::of(&order.id(number));
            for node in path.nodes() {
                if let Some(sum) = &mut self.nodes[node].sum {
                    sum.merge(&element);
                }
            }
            work.spend(EXPAND + MERGE);
        }
        self.pending.is_empty()
    }

    /// Adds the hash of a range of ranks, counted within `node`, to `hash`; says whether the work
    /// sufficed. The range is not empty.
    fn collect<O: Order>(
        &mut self,
        order: &O,
        node: usize,
        ranks: Range<usize>,
        hash: &mut LtHash,
        work: &mut Work,
    ) -> bool {
        if let Body::Inner(children) = &self.nodes[node].body {
            let mut start = 0;
            for index in 0..children.len() {
                let child = self.children(node)[index];
                let end = start + child.count;
                let inside = ranks.start.clamp(start, end)..ranks.end.clamp(start, end);
                let local = inside.start - start..inside.end - start;
                let done = if local.len() == child.count {
                    self.add_whole(order, child.node, hash, work)
                } else {
                    local.is_empty() || self.collect(order, child.node, local, hash, work)
                };
                if !done {
                    return false;
                }
                start = end;
            }
            return true;
        }
        let length = self.entries(node).len();
        if ranks.len() * 2 <= length {
            for &entry in &self.entries(node)[ranks.clone()] {
                hash.add(&order.id(entry));
            }
            work.spend(EXPAND * units(ranks.len()));
            return true;
        }
        if !self.add_whole(order, node, hash, work) {
            return false;
        }
        let entries = self.entries(node);
        for &entry in entries[..ranks.start].iter().chain(&entries[ranks.end..]) {
            hash.remove(&order.id(entry));
        }
        work.spend(EXPAND * units(length - ranks.len()));
        true
    }

    fn add_whole<O: Order>(
        &mut self,
        order: &O,
        node: usize,
        hash: &mut LtHash,
        work: &mut Work,
    ) -> bool {
        let Some(sum) = self.sum(order, node, work) else { return false };
        hash.merge(sum);
        work.spend(MERGE);
        true
    }

    /// The hash of a node, computed if it is missing; nothing if the work does not suffice.
    fn sum<O: Order>(&mut self, order: &O, node: usize, work: &mut Work) -> Option<&LtHash> {
        if self.nodes[node].sum.is_none() {
            let mut sum = Box::new(LtHash::EMPTY);
            match &self.nodes[node].body {
                Body::Leaf(_) if work.is_spent() => return None,
                Body::Leaf(entries) => {
                    work.spend(EXPAND * units(entries.len()));
                    entries.iter().for_each(|&entry| sum.add(&order.id(entry)));
                }
                Body::Inner(children) => {
                    for index in 0..children.len() {
                        let child = self.children(node)[index];
                        sum.merge(self.sum(order, child.node, work)?);
                        work.spend(MERGE);
                    }
                }
            }
            self.nodes[node].sum = Some(sum);
        }
        self.nodes[node].sum.as_deref()
    }
}

fn units(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX / EXPAND)
}
