//! From leaves to a tree.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::tree::{Child, NodeBlock};
use crate::id::{BlockId, Content};
use crate::limits::{MAX_CHILDREN, MAX_LEAF, MAX_LEVELS, MAX_SIZE};

/// A tree over leaves that are kept elsewhere.
///
/// ```
/// use basefs::block::{self, Child};
///
/// let leaf = |bytes: &[u8]| Child { id: block::id(bytes), length: bytes.len() as u64 };
/// let built = block::build([leaf(b"hello, "), leaf(b"world")])?;
/// assert_eq!(built.nodes.len(), 1);
/// assert_eq!(built.content.root, built.nodes[0].0, "the last node is the root");
/// # Ok::<(), block::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What an entry commits to.
    pub content: Content,
    /// The node blocks, each once, children before parents; none for a single leaf.
    pub nodes: Vec<(BlockId, Bytes)>,
}

/// Builds the tree over leaves given one after the other, for content that is not in memory.
///
/// It holds at most 1,024 children per level, and the node blocks made: one byte in about 1,700 of
/// average chunks.
///
/// ```
/// use basefs::block::{self, Builder, Child};
///
/// let mut builder = Builder::new();
/// for leaf in [&b"hello, "[..], b"world"] {
///     builder.push(Child { id: block::id(leaf), length: leaf.len() as u64 })?;
/// }
/// let built = builder.finish()?;
/// assert_eq!((built.content.size, built.content.levels), (12, 1));
/// # Ok::<(), block::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    size: u64,
    /// Per height, the blocks that have no parent yet: at most 1,024 each.
    open: Vec<Vec<Child>>,
    nodes: Vec<(BlockId, Bytes)>,
    made: BTreeSet<BlockId>,
}

impl Builder {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next leaf.
    ///
    /// # Errors
    /// The leaf has a length that no leaf may have, or the content gets too large. The builder is
    /// as before.
    ///
    /// ```
    /// use basefs::block::{self, BuildError, Builder, Child};
    ///
    /// let mut builder = Builder::new();
    /// let nothing = Child { id: block::id(b""), length: 0 };
    /// assert_eq!(builder.push(nothing), Err(BuildError::Leaf { length: 0 }));
    /// builder.push(Child { id: block::id(b"hello"), length: 5 })?;
    /// assert_eq!(builder.finish()?.content.size, 5);
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn push(&mut self, leaf: Child) -> Result<(), BuildError> {
        if leaf.length == 0 || leaf.length > MAX_LEAF as u64 {
            return Err(BuildError::Leaf { length: leaf.length });
        }
        let size = self.size + leaf.length;
        if size > MAX_SIZE {
            return Err(BuildError::TooLarge);
        }
        self.add(leaf, 0)?;
        self.size = size;
        Ok(())
    }

    /// Ends the content: one leaf is its own root; more get as many levels as they need.
    ///
    /// # Errors
    /// There was no leaf: empty content is no block.
    ///
    /// ```
    /// use basefs::block::{self, BuildError, Builder, Child};
    ///
    /// let mut builder = Builder::new();
    /// builder.push(Child { id: block::id(b"hello"), length: 5 })?;
    /// let content = builder.finish()?.content;
    /// assert_eq!((content.root, content.levels), (block::id(b"hello"), 0), "one leaf is the root");
    /// assert_eq!(Builder::new().finish(), Err(BuildError::Empty));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn finish(mut self) -> Result<Built, BuildError> {
        let mut height = 0;
        loop {
            let top = height + 1 == self.open.len();
            match self.open.get_mut(height).map(core::mem::take).as_deref() {
                None => return Err(BuildError::Empty),
                Some([root]) if top => {
                    assert_eq!(root.length, self.size, "the root holds all content");
                    let levels = u8::try_from(height).map_err(|_| BuildError::TooLarge)?;
                    let content = Content { root: root.id, size: root.length, levels };
                    return Ok(Built { content, nodes: self.nodes });
                }
                Some([]) => {}
                Some(children) => {
                    let node = self.seal(children.to_vec())?;
                    self.add(node, height + 1)?;
                }
            }
            height += 1;
        }
    }

    /// Adds a block at its height. A full level is sealed only when a further block comes, so that
    /// exactly 1,024 leaves need one node and not two.
    fn add(&mut self, mut child: Child, mut height: usize) -> Result<(), BuildError> {
        loop {
            if height > usize::from(MAX_LEVELS) {
                return Err(BuildError::TooLarge);
            }
            if self.open.len() <= height {
                self.open.resize(height + 1, Vec::new());
            }
            let level = &mut self.open[height];
            if level.len() < MAX_CHILDREN {
                level.push(child);
                return Ok(());
            }
            let full = core::mem::replace(level, Vec::from([child]));
            child = self.seal(full)?;
            height += 1;
        }
    }

    fn seal(&mut self, children: Vec<Child>) -> Result<Child, BuildError> {
        let node = NodeBlock::new(children).map_err(|_| BuildError::TooLarge)?;
        let bytes = Bytes::from(node.encode());
        let id = super::id(&bytes);
        if self.made.insert(id) {
            self.nodes.push((id, bytes));
        }
        Ok(Child { id, length: node.length() })
    }
}

/// Builds the tree over all leaves; see [`Builder`].
///
/// # Errors
/// There is no leaf, one has a length that no leaf may have, or the content is too large.
///
/// ```
/// use basefs::block::{self, Child};
///
/// let leaf = Child { id: block::id(b"again "), length: 6 };
/// let built = block::build(vec![leaf; 1_025])?;
/// assert_eq!((built.content.size, built.content.levels), (6_150, 2));
/// assert_eq!(built.nodes.len(), 3, "1,024 leaves, the last one, and both of these");
/// # Ok::<(), block::BuildError>(())
/// ```
pub fn build(leaves: impl IntoIterator<Item = Child>) -> Result<Built, BuildError> {
    let mut builder = Builder::new();
    for leaf in leaves {
        builder.push(leaf)?;
    }
    builder.finish()
}

/// Why no tree can be built over these leaves: a fault of the caller. Nothing was changed.
///
/// ```
/// use basefs::block::{self, BuildError, Child};
///
/// let too_long = Child { id: block::id(b"?"), length: 262_145 };
/// assert_eq!(block::build([too_long]), Err(BuildError::Leaf { length: 262_145 }));
/// assert_eq!(block::build([]), Err(BuildError::Empty));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no content; empty files stand in their entry.
    Empty,
    /// A leaf is empty or longer than 262,144 bytes.
    Leaf {
        /// Its length in bytes.
        length: u64,
    },
    /// The content has 2^63 bytes or more, or more leaves than the highest tree.
    TooLarge,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Empty => f.write_str("empty content has no blocks"),
            BuildError::Leaf { length } => {
                write!(f, "a leaf has 1 to {MAX_LEAF} bytes, not {length}")
            }
            BuildError::TooLarge => f.write_str("the content is larger than any file may be"),
        }
    }
}

impl core::error::Error for BuildError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(length: u64) -> Child {
        Child { id: BlockId::from_bytes([7; 32]), length }
    }

    #[test]
    fn levels_grow_only_when_needed() {
        for (leaves, levels, nodes) in [(1, 0, 0), (2, 1, 1), (1_024, 1, 1), (1_025, 2, 3)] {
            let built = build((0..leaves).map(|_| leaf(10))).unwrap();
            assert_eq!(built.content.levels, levels, "{leaves} leaves");
            assert_eq!(built.content.size, 10 * leaves);
            assert_eq!(built.nodes.len(), nodes, "{leaves} leaves");
        }
    }

    #[test]
    fn a_million_equal_leaves_make_two_distinct_nodes() {
        let built = build((0..1_024 * 1_024).map(|_| leaf(1))).unwrap();
        assert_eq!((built.content.levels, built.nodes.len()), (2, 2));
    }

    #[test]
    fn leaves_that_no_tree_may_have_are_refused() {
        assert_eq!(build([]), Err(BuildError::Empty));
        assert_eq!(build([leaf(0)]), Err(BuildError::Leaf { length: 0 }));
        assert_eq!(build([leaf(262_145)]), Err(BuildError::Leaf { length: 262_145 }));
    }
}
