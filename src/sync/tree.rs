//! The order as a B+-tree: entries by number, each node with a count and a hash.
//!
//! Counts are exact at all times. Hashes are computed when they are asked for and then kept:
//! expanding an id costs from 0.5 µs (AVX-512) to 2 µs, too much for a million entries while a
//! replica opens. New entries wait in a list until a hash is next needed, so that inserting
//! computes none. Whatever computes hashes takes a [`Work`] allowance and can be called again.

mod hashes;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::{LtHash, Order, Work};

/// Most entries of a leaf. Its hash has 2 KiB, so a full leaf spends 16 bytes of hash on an entry.
const LEAF_MAX: usize = 128;
/// Most children of an inner node: a million entries make three levels.
const INNER_MAX: usize = 64;
/// How full nodes are made where the order of insertion says that little will be inserted later:
/// seven eighths, so that a stray insert does not split them at once.
const LEAF_FILL: usize = LEAF_MAX / 8 * 7;
const INNER_FILL: usize = INNER_MAX / 8 * 7;
/// Growth of a leaf's vector; doubling would leave a quarter of it unused.
const LEAF_GROWTH: usize = 16;

/// When so many entries and a quarter of the tree are pending, computing all hashes anew is
/// cheaper than finding the place of each pending entry once more.
const PENDING_BASE: usize = 1_024;

/// What expanding one id costs, in units of [`Work`].
const EXPAND: u64 = 32;
/// What adding up two hashes costs.
const MERGE: u64 = 2;

const _: () = {
    // Half of a leaf at either end of a range, and on the way to it a few levels of inner nodes.
    assert!(LEAF_MAX as u64 * EXPAND + 16 * INNER_MAX as u64 * MERGE < Work::MIN);
};

#[derive(Debug)]
struct Node {
    /// The hash over the entries below that are not pending, once it was needed.
    sum: Option<Box<LtHash>>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Leaf(Vec<u32>),
    Inner(Vec<Child>),
}

#[derive(Clone, Copy, Debug)]
struct Child {
    node: usize,
    /// The first entry below.
    first: u32,
    /// How many entries are below.
    count: usize,
}

/// The way to a place in a leaf.
struct Path {
    /// Inner nodes from the root down, with the index of the child taken.
    above: Vec<(usize, usize)>,
    leaf: usize,
    /// The place in the leaf.
    at: usize,
}

/// Entry numbers in the order of an [`Order`], with count and hash of any range.
///
/// A *rank* is the position of an entry in the order, counted from 0. The same order must be given
/// to every call.
///
/// ```
/// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
/// # use ids::Ids;
/// use basefs::sync::Tree;
///
/// let ids = Ids::of(&[30, 10, 20]); // by order of arrival
/// let mut tree = Tree::new();
/// for number in 0..3 {
///     tree.insert(&ids, number);
/// }
/// assert!(tree.range(0..3).eq([1, 2, 0]), "by id");
/// assert_eq!((tree.len(), tree.get(0), tree.rank(&ids, &[15])), (3, Some(1), 1));
/// ```
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Nodes that are free for reuse.
    free: Vec<usize>,
    root: usize,
    count: usize,
    /// Entries inserted below a node with a hash, and not yet part of any hash.
    pending: Vec<u32>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        let root = Node { sum: Some(Box::new(LtHash::EMPTY)), body: Body::Leaf(Vec::new()) };
        Self { nodes: vec![root], free: Vec::new(), root: 0, count: 0, pending: Vec::new() }
    }

    /// A tree of many entries at once; fast if they come in order already.
    ///
    /// `hash` is the hash of them all where it is known from before, so that comparing the whole
    /// set needs no work. It is trusted: keep it in the transaction that keeps the entries.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// use basefs::sync::{Order, Tree, Work};
    ///
    /// let ids = Ids::of(&[30, 10, 20]);
    /// let mut tree = Tree::load(&ids, vec![0, 1, 2], None);
    /// assert_eq!(tree.hash(), None, "not known yet");
    /// let all = tree.summary(&ids, 0..3, &mut Work::unlimited()).unwrap();
    /// let again = Tree::load(&ids, vec![0, 1, 2], Some(all.hash.clone()));
    /// assert_eq!(again.hash(), Some(&all.hash));
    /// ```
    pub fn load<O: Order>(order: &O, mut numbers: Vec<u32>, hash: Option<LtHash>) -> Self {
        numbers.sort_unstable_by(|&a, &b| order.compare(a, b));
        numbers.dedup();
        let mut tree = Self::new();
        tree.count = numbers.len();
        if numbers.is_empty() {
            return tree;
        }
        tree.nodes.clear();
        let mut level: Vec<Child> = numbers
            .chunks(LEAF_FILL)
            .map(|entries| tree.adopt(Body::Leaf(entries.to_vec())))
            .collect();
        while level.len() > 1 {
            let children = core::mem::take(&mut level);
            level = children
                .chunks(INNER_FILL)
                .map(|children| tree.adopt(Body::Inner(children.to_vec())))
                .collect();
        }
        tree.root = tree.nodes.len() - 1;
        tree.nodes[tree.root].sum = hash.map(Box::new);
        tree
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of memory that it uses.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// let ids = ids::Ids((0..1_000u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect());
    /// let mut tree = ids.tree();
    /// let before = tree.memory();
    /// tree.summary(&ids, 0..1_000, &mut basefs::sync::Work::unlimited());
    /// assert!(tree.memory() - before > 1_000 * 16, "hashes take 16 bytes an entry, or more");
    /// ```
    pub fn memory(&self) -> usize {
        let node = |node: &Node| {
            let body = match &node.body {
                Body::Leaf(entries) => size_of::<u32>() * entries.capacity(),
                Body::Inner(children) => size_of::<Child>() * children.capacity(),
            };
            body + node.sum.as_ref().map_or(0, |_| LtHash::LEN)
        };
        size_of::<Node>() * self.nodes.capacity()
            + size_of::<u32>() * self.pending.capacity()
            + self.nodes.iter().map(node).sum::<usize>()
    }

    /// Inserts an entry; says whether it was new. Computes no hash.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// let ids = Ids::of(&[1, 2]);
    /// let mut tree = basefs::sync::Tree::new();
    /// assert!(tree.insert(&ids, 1));
    /// assert!(!tree.insert(&ids, 1), "it is there");
    /// ```
    pub fn insert<O: Order>(&mut self, order: &O, number: u32) -> bool {
        let path = self.path(order, number);
        let appended = path.at == self.entries(path.leaf).len();
        if self.entries(path.leaf).get(path.at) == Some(&number) {
            return false;
        }
        if path.nodes().any(|node| self.nodes[node].sum.is_some()) {
            self.pending.push(number);
            if self.pending.len() > PENDING_BASE + self.count / 4 {
                self.forget_hashes();
            }
        }
        if let Body::Leaf(entries) = &mut self.nodes[path.leaf].body {
            if entries.len() == entries.capacity() {
                entries.reserve_exact(LEAF_GROWTH);
            }
            entries.insert(path.at, number);
        }
        self.count += 1;
        let mut first = self.first(path.leaf);
        for &(node, index) in path.above.iter().rev() {
            let children = self.children_mut(node);
            children[index].count += 1;
            children[index].first = first;
            first = children[0].first;
        }
        self.split_upwards(path, appended);
        true
    }

    /// Removes an entry; says whether it was there.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// let ids = Ids::of(&[1, 2]);
    /// let mut tree = ids.tree();
    /// assert!(tree.remove(&ids, 0));
    /// assert!(!tree.remove(&ids, 0) && tree.range(0..9).eq([1]));
    /// ```
    pub fn remove<O: Order>(&mut self, order: &O, number: u32) -> bool {
        let path = self.path(order, number);
        if self.entries(path.leaf).get(path.at) != Some(&number) {
            return false;
        }
        if let Some(at) = self.pending.iter().position(|&pending| pending == number) {
            self.pending.swap_remove(at);
        } else if path.nodes().any(|node| self.nodes[node].sum.is_some()) {
            let element = LtHash::of(&order.id(number));
            path.nodes().for_each(|node| {
                if let Some(sum) = &mut self.nodes[node].sum {
                    sum.subtract(&element);
                }
            });
        }
        if let Body::Leaf(entries) = &mut self.nodes[path.leaf].body {
            entries.remove(path.at);
        }
        self.count -= 1;
        for &(node, index) in path.above.iter().rev() {
            let child = self.children_mut(node)[index];
            if child.count == 1 {
                self.children_mut(node).remove(index);
                self.release(child.node);
            } else {
                let first = self.first(child.node);
                let child = &mut self.children_mut(node)[index];
                child.count -= 1;
                child.first = first;
            }
        }
        self.shrink_root();
        true
    }

    /// The rank of the first entry whose key is not below `key`.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// let ids = Ids::of(&[1, 2, 4]);
    /// let tree = ids.tree();
    /// let ranks = [&[2; 32][..], &[3; 32], &[5; 32]].map(|key| tree.rank(&ids, key));
    /// assert_eq!(ranks, [1, 2, 3]);
    /// ```
    pub fn rank<O: Order>(&self, order: &O, key: &[u8]) -> usize {
        let path = self.locate(|entry| order.compare_key(entry, key));
        let before = path.above.iter().map(|&(node, index)| {
            self.children(node)[..index].iter().map(|child| child.count).sum::<usize>()
        });
        before.sum::<usize>() + path.at
    }

    /// The entry of a rank.
    pub fn get(&self, rank: usize) -> Option<u32> {
        self.range(rank..rank.checked_add(1)?).next()
    }

    /// The entries of a range of ranks, in order. Ranks beyond the end are left out.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// let tree = Ids::of(&[3, 1, 2]).tree();
    /// assert!(tree.range(1..100).eq([2, 0]));
    /// ```
    pub fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let end = ranks.end.min(self.count);
        let mut at = ranks.start;
        core::iter::from_fn(move || {
            let (entries, start) = (at < end).then(|| self.leaf_at(at))?;
            let taken = &entries[at - start..entries.len().min(end - start)];
            at += taken.len();
            Some(taken.iter().copied())
        })
        .flatten()
    }
}

/// Nodes.
impl Tree {
    fn entries(&self, leaf: usize) -> &[u32] {
        match &self.nodes[leaf].body {
            Body::Leaf(entries) => entries,
            Body::Inner(_) => &[],
        }
    }

    fn children(&self, inner: usize) -> &[Child] {
        match &self.nodes[inner].body {
            Body::Inner(children) => children,
            Body::Leaf(_) => &[],
        }
    }

    fn children_mut(&mut self, inner: usize) -> &mut Vec<Child> {
        match &mut self.nodes[inner].body {
            Body::Inner(children) => children,
            Body::Leaf(_) => unreachable!("only inner nodes stand above a leaf on a path"),
        }
    }

    /// The first entry below a node that has any.
    fn first(&self, node: usize) -> u32 {
        match &self.nodes[node].body {
            Body::Leaf(entries) => entries[0],
            Body::Inner(children) => children[0].first,
        }
    }

    /// The way to where `number` is or belongs.
    fn path<O: Order>(&self, order: &O, number: u32) -> Path {
        self.locate(|entry| order.compare(entry, number))
    }

    /// The way to the first entry that is not less, or to the end of the leaf ahead of it if that
    /// entry is greater.
    fn locate(&self, compare: impl Fn(u32) -> Ordering) -> Path {
        let mut above = Vec::with_capacity(4);
        let mut node = self.root;
        loop {
            match &self.nodes[node].body {
                Body::Inner(children) => {
                    let after = children.partition_point(|child| compare(child.first).is_le());
                    let index = after.saturating_sub(1);
                    above.push((node, index));
                    node = children[index].node;
                }
                Body::Leaf(entries) => {
                    let at = entries.partition_point(|&entry| compare(entry).is_lt());
                    return Path { above, leaf: node, at };
                }
            }
        }
    }

    /// The leaf with the entry of a rank, and the rank of its first entry.
    fn leaf_at(&self, rank: usize) -> (&[u32], usize) {
        debug_assert!(rank < self.count);
        let mut node = self.root;
        let mut start = 0;
        loop {
            match &self.nodes[node].body {
                Body::Leaf(entries) => return (entries, start),
                Body::Inner(children) => {
                    for child in children {
                        node = child.node;
                        if rank < start + child.count {
                            break;
                        }
                        start += child.count;
                    }
                }
            }
        }
    }

    /// Gives a node that is not empty a place in the arena.
    fn adopt(&mut self, body: Body) -> Child {
        let (first, count) = match &body {
            Body::Leaf(entries) => (entries[0], entries.len()),
            Body::Inner(children) => {
                (children[0].first, children.iter().map(|child| child.count).sum())
            }
        };
        let node = Node { sum: None, body };
        let place = if let Some(place) = self.free.pop() {
            self.nodes[place] = node;
            place
        } else {
            self.nodes.push(node);
            self.nodes.len() - 1
        };
        Child { node: place, first, count }
    }

    fn release(&mut self, node: usize) {
        self.nodes[node] = Node { sum: None, body: Body::Leaf(Vec::new()) };
        self.free.push(node);
    }

    /// Splits the leaf of a path if it is too long, then its parents.
    fn split_upwards(&mut self, mut path: Path, appended: bool) {
        let mut node = path.leaf;
        while let Some((right, whole)) = self.split(node, appended) {
            if let Some((parent, index)) = path.above.pop() {
                let children = self.children_mut(parent);
                children[index].count -= right.count;
                children.insert(index + 1, right);
                node = parent;
            } else {
                let left = Child { node, first: self.first(node), count: self.count - right.count };
                self.root = self.adopt(Body::Inner(vec![left, right])).node;
                self.nodes[self.root].sum = whole;
            }
        }
    }

    /// Moves the upper part of a node that is too long into a new one. Gives the hash that the
    /// node had; neither part has one.
    fn split(&mut self, node: usize, appended: bool) -> Option<(Child, Option<Box<LtHash>>)> {
        let right = match &mut self.nodes[node].body {
            Body::Leaf(entries) if entries.len() > LEAF_MAX => {
                let right = entries.split_off(if appended { LEAF_FILL } else { LEAF_MAX / 2 });
                entries.shrink_to_fit();
                Body::Leaf(right)
            }
            Body::Inner(children) if children.len() > INNER_MAX => {
                let at = if appended { INNER_FILL } else { INNER_MAX / 2 };
                Body::Inner(children.split_off(at))
            }
            _ => return None,
        };
        let whole = self.nodes[node].sum.take();
        Some((self.adopt(right), whole))
    }

    /// Takes away levels that an emptied tree no longer needs.
    fn shrink_root(&mut self) {
        while let Body::Inner(children) = &self.nodes[self.root].body {
            let old = self.root;
            match children[..] {
                [] => {
                    self.nodes[old].body = Body::Leaf(Vec::new());
                    self.nodes[old].sum = Some(Box::new(LtHash::EMPTY));
                }
                [child] => {
                    let whole = self.nodes[old].sum.take();
                    let sum = &mut self.nodes[child.node].sum;
                    *sum = sum.take().or(whole);
                    self.root = child.node;
                    self.release(old);
                }
                _ => return,
            }
        }
    }
}

impl Path {
    /// All nodes of the way.
    fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        self.above.iter().map(|&(node, _)| node).chain([self.leaf])
    }
}
