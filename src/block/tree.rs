//! The format of block trees, and every reason why a tree is none.

use alloc::vec::Vec;
use core::fmt;

use crate::id::{BlockId, Content};
use crate::limits::{MAX_CHILDREN, MAX_LEAF, MAX_LEVELS, MAX_NODE_BLOCK, MAX_SIZE};
use crate::wire::cbor::{CborError, Reader, Writer};

/// A block as its parent lists it.
///
/// ```
/// use basefs::block::{Child, id};
///
/// let leaf = Child { id: id(b"hello"), length: 5 };
/// let built = basefs::block::build([leaf, leaf])?;
/// let node = basefs::block::NodeBlock::decode(&built.nodes[0].1)?;
/// assert_eq!(node.children(), [leaf, leaf]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Id of the child block.
    pub id: BlockId,
    /// Content bytes below the child, or in it if it is a leaf.
    pub length: u64,
}

/// A block at its place in a tree.
///
/// ```
/// use basefs::block::{BlockRef, Walker};
/// use basefs::id::{BlockId, Content};
/// use std::convert::Infallible;
///
/// let content = Content { root: BlockId::from_bytes([7; 32]), size: 600_000, levels: 1 };
/// let mut walker = Walker::new(content)?;
/// let _ = walker.advance(&mut |_: &BlockId| Ok::<_, Infallible>(None));
/// let root = BlockRef { id: content.root, height: 1, length: 600_000, offset: 0 };
/// assert_eq!(walker.wanted(), [root], "what is below it, it will say itself");
/// # Ok::<(), basefs::block::ContentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Id of the block.
    pub id: BlockId,
    /// Steps above the leaves: 0 for a leaf.
    pub height: u8,
    /// Content bytes below the block, or in it if it is a leaf; claimed until it is verified.
    pub length: u64,
    /// Where its first byte stands in the whole content.
    pub offset: u64,
}

impl BlockRef {
    /// The root block of a content.
    ///
    /// # Errors
    /// No tree has that height and size.
    pub(super) fn root(content: &Content) -> Result<Self, ContentError> {
        if content.levels > MAX_LEVELS {
            return Err(ContentError::Levels { levels: content.levels });
        }
        let root =
            BlockRef { id: content.root, height: content.levels, length: content.size, offset: 0 };
        root.check_capacity()?;
        Ok(root)
    }

    /// The child at `index` of this block, whose bytes were found to be `node`.
    pub(super) fn child(&self, child: &Child, offset: u64) -> Result<Self, ContentError> {
        assert!(self.height > 0, "leaves have no children");
        let child =
            BlockRef { id: child.id, height: self.height - 1, length: child.length, offset };
        child.check_capacity()?;
        Ok(child)
    }

    /// Where the block's content ends.
    pub(super) fn end(&self) -> u64 {
        // Offsets and lengths add up to at most MAX_SIZE in a checked tree.
        self.offset.saturating_add(self.length)
    }

    /// Finds out early that a claimed length cannot be: full leaves below full nodes hold less.
    fn check_capacity(&self) -> Result<(), ContentError> {
        let mut capacity = MAX_LEAF as u64;
        for _ in 0..self.height {
            capacity = capacity.saturating_mul(MAX_CHILDREN as u64);
        }
        if self.length == 0 || self.length > capacity.min(MAX_SIZE) {
            return Err(ContentError::Size { height: self.height, size: self.length });
        }
        Ok(())
    }

    /// Checks a block of this place, given its bytes, which were found to hash to its id. Gives
    /// the node, or nothing for a leaf.
    pub(super) fn verify(&self, bytes: &[u8]) -> Result<Option<NodeBlock>, ContentError> {
        if self.height == 0 {
            self.check_length(bytes.len() as u64)?;
            return Ok(None);
        }
        let node =
            NodeBlock::decode(bytes).map_err(|error| ContentError::Node { id: self.id, error })?;
        self.check_length(node.length())?;
        Ok(Some(node))
    }

    /// Compares the length that was found with the one that was claimed.
    pub(super) fn check_length(&self, found: u64) -> Result<(), ContentError> {
        if found == self.length {
            return Ok(());
        }
        Err(ContentError::Length { id: self.id, claimed: self.length, found })
    }
}

/// A node block: the ids and lengths of 1 to 1,024 children, in the order of the content.
///
/// Its bytes are deterministic CBOR, an array of pairs `[id, length]`; no other bytes decode to
/// the same node. Lengths are at least 1 and add up to less than 2^63. Children of a node at
/// height *n* have height *n* − 1; nothing in the block says so, their place in the tree does.
///
/// ```
/// use basefs::block::{Child, NodeBlock, id};
///
/// let children = vec![
///     Child { id: id(b"hello, "), length: 7 },
///     Child { id: id(b"world"), length: 5 },
/// ];
/// let node = NodeBlock::new(children)?;
/// assert_eq!(node.length(), 12);
/// assert_eq!(NodeBlock::decode(&node.encode()), Ok(node));
/// # Ok::<(), basefs::block::NodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeBlock {
    children: Vec<Child>,
    length: u64,
}

impl NodeBlock {
    /// A node with these children.
    ///
    /// # Errors
    /// Too few or too many children, one without content, or more content than any file may have.
    ///
    /// ```
    /// use basefs::block::{Child, NodeBlock, NodeError, id};
    ///
    /// let leaf = Child { id: id(b"hello"), length: 5 };
    /// assert_eq!(NodeBlock::new(vec![leaf; 1_024])?.length(), 5_120);
    /// assert_eq!(NodeBlock::new(vec![leaf; 1_025]), Err(NodeError::Children));
    /// # Ok::<(), NodeError>(())
    /// ```
    pub fn new(children: Vec<Child>) -> Result<Self, NodeError> {
        if children.is_empty() || children.len() > MAX_CHILDREN {
            return Err(NodeError::Children);
        }
        let mut length: u64 = 0;
        for child in &children {
            if child.length == 0 {
                return Err(NodeError::EmptyChild);
            }
            length = length
                .checked_add(child.length)
                .filter(|&sum| sum <= MAX_SIZE)
                .ok_or(NodeError::TooLarge)?;
        }
        Ok(Self { children, length })
    }

    /// Reads a node block; only the bytes that [`encode`](Self::encode) gives are accepted.
    ///
    /// # Errors
    /// The bytes are no node block. Whether that is the fault of their author or of a peer depends
    /// on whether they have the hash that was asked for.
    ///
    /// ```
    /// use basefs::block::{NodeBlock, NodeError};
    /// use basefs::wire::cbor::CborError;
    ///
    /// assert_eq!(NodeBlock::decode(&[0x80]), Err(NodeError::Children), "an empty array");
    /// let text = NodeBlock::decode(b"hello, world");
    /// assert_eq!(text, Err(NodeError::Encoding(CborError::Unexpected)));
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, NodeError> {
        if bytes.len() > MAX_NODE_BLOCK {
            return Err(NodeError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        let count = reader.array(1..=MAX_CHILDREN).map_err(|error| match error {
            CborError::Length => NodeError::Children,
            other => NodeError::Encoding(other),
        })?;
        let mut children = Vec::with_capacity(count);
        for _ in 0..count {
            reader.array(2..=2).map_err(NodeError::Encoding)?;
            let id = reader.bytes_exact().map(BlockId::from_bytes).map_err(NodeError::Encoding)?;
            let length = reader.uint().map_err(NodeError::Encoding)?;
            children.push(Child { id, length });
        }
        reader.finish().map_err(NodeError::Encoding)?;
        let node = Self::new(children)?;
        debug_assert_eq!(node.encode(), bytes, "there is one encoding");
        Ok(node)
    }

    /// The bytes of the block.
    ///
    /// ```
    /// use basefs::block::{Child, NodeBlock, id};
    ///
    /// let node = NodeBlock::new(vec![Child { id: id(b"hello"), length: 5 }])?;
    /// let bytes = node.encode();
    /// assert_eq!(bytes[..4], [0x81, 0x82, 0x58, 32], "one pair, which begins with 32 bytes");
    /// assert_eq!(bytes.last(), Some(&5));
    /// # Ok::<(), basefs::block::NodeError>(())
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(self.children.len());
        for child in &self.children {
            writer.array(2).bytes(child.id.as_bytes()).uint(child.length);
        }
        writer.into_bytes()
    }

    /// The children in the order of the content: 1 to 1,024.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Content bytes below this node.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// Why bytes are not a node block, or children cannot form one. Nothing was changed.
///
/// ```
/// use basefs::block::{Child, NodeBlock, NodeError, id};
///
/// let child = |length| Child { id: id(b"hello"), length };
/// assert_eq!(NodeBlock::new(vec![child(5), child(0)]), Err(NodeError::EmptyChild));
/// assert_eq!(NodeBlock::new(vec![child(u64::MAX)]), Err(NodeError::TooLarge));
/// assert_eq!(NodeBlock::decode(&[0; 50_000]), Err(NodeError::TooLong), "not looked at");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeError {
    /// Longer than a node block with all children can be; nothing of it was read.
    TooLong,
    /// Not an array of pairs in canonical CBOR.
    Encoding(CborError),
    /// No child, or more than 1,024.
    Children,
    /// A child has no content.
    EmptyChild,
    /// The lengths add up to 2^63 or more.
    TooLarge,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::TooLong => f.write_str("longer than any node block"),
            NodeError::Encoding(error) => write!(f, "not the encoding of a node block: {error}"),
            NodeError::Children => write!(f, "a node block has 1 to {MAX_CHILDREN} children"),
            NodeError::EmptyChild => f.write_str("a child has no content"),
            NodeError::TooLarge => f.write_str("the lengths of the children add up to too much"),
        }
    }
}

impl core::error::Error for NodeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            NodeError::Encoding(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a content can never be complete here, whatever blocks arrive.
///
/// Its author wrote it so: no peer that passed it on is at fault. Every version of the file that
/// can be completed keeps its place; this one shows nowhere.
///
/// ```
/// use basefs::block::{self, Completeness, ContentError};
/// use basefs::id::{BlockId, Content};
/// use std::convert::Infallible;
///
/// // An author signed that these five bytes are six.
/// let content = Content { root: block::id(b"hello"), size: 6, levels: 0 };
/// let mut source = |_: &BlockId| Ok::<_, Infallible>(Some(b"hello"[..].into()));
/// let error = ContentError::Length { id: content.root, claimed: 6, found: 5 };
/// assert_eq!(block::check(&content, &mut source), Ok(Completeness::Invalid(error)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentError {
    /// The tree is higher than 7 levels.
    Levels {
        /// The height claimed.
        levels: u8,
    },
    /// A block claims no content, or more than fits below its height.
    Size {
        /// Height of the block.
        height: u8,
        /// Content bytes claimed.
        size: u64,
    },
    /// A block that must be a node is none.
    Node {
        /// The block.
        id: BlockId,
        /// What is wrong with it.
        error: NodeError,
    },
    /// A block holds more or less content than its parent, or another parent, claims.
    Length {
        /// The block.
        id: BlockId,
        /// Content bytes claimed.
        claimed: u64,
        /// Content bytes found, or claimed elsewhere.
        found: u64,
    },
    /// The tree has more distinct node blocks than this replica follows. This alone is not a rule
    /// of the format but a bound on memory.
    TooManyNodes,
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the content can never be complete: ")?;
        match self {
            ContentError::Levels { levels } => write!(f, "a tree of {levels} levels"),
            ContentError::Size { height, size } => {
                write!(f, "{size} bytes claimed for a block at height {height}")
            }
            ContentError::Node { id, error } => write!(f, "block {id:.16} is no node: {error}"),
            ContentError::Length { id, claimed, found } => {
                write!(f, "block {id:.16} was said to hold {claimed} bytes but holds {found}")
            }
            ContentError::TooManyNodes => f.write_str("more node blocks than this replica follows"),
        }
    }
}

impl core::error::Error for ContentError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            ContentError::Node { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn child(byte: u8, length: u64) -> Child {
        Child { id: BlockId::from_bytes([byte; 32]), length }
    }

    #[test]
    fn a_full_node_is_the_longest_block_that_is_read() {
        let full = NodeBlock::new(vec![child(1, MAX_SIZE / 1_024); MAX_CHILDREN]).unwrap();
        let bytes = full.encode();
        assert!(bytes.len() <= MAX_NODE_BLOCK, "{}", bytes.len());
        assert_eq!(NodeBlock::decode(&bytes), Ok(full));
        let longer = vec![0x80; MAX_NODE_BLOCK + 1];
        assert_eq!(NodeBlock::decode(&longer), Err(NodeError::TooLong));
    }

    #[test]
    fn sums_do_not_wrap() {
        let children = vec![child(1, MAX_SIZE), child(2, u64::MAX), child(3, 2)];
        assert_eq!(NodeBlock::new(children), Err(NodeError::TooLarge));
        assert!(NodeBlock::new(vec![child(1, MAX_SIZE)]).is_ok());
    }

    #[test]
    fn impossible_claims_are_refused_before_any_block_is_asked_for() {
        let root = BlockId::from_bytes([0; 32]);
        let claim = |size, levels| BlockRef::root(&Content { root, size, levels });
        assert_eq!(claim(1, 8), Err(ContentError::Levels { levels: 8 }));
        assert_eq!(claim(0, 0), Err(ContentError::Size { height: 0, size: 0 }));
        assert!(claim(262_144, 0).is_ok());
        assert_eq!(claim(262_145, 0), Err(ContentError::Size { height: 0, size: 262_145 }));
        assert!(claim(262_144 * 1_024, 1).is_ok());
        assert!(claim(262_144 * 1_024 + 1, 1).is_err());
        assert!(claim(MAX_SIZE, 7).is_ok());
        assert!(claim(MAX_SIZE + 1, 7).is_err());
    }
}
