//! Content as blocks: cut, named by hash, listed in trees, and put together again verified.
//!
//! Content too long to stand in an entry is cut into *leaves* of 1 to 262,144 bytes. Each leaf is a
//! *block*, named by the BLAKE3-256 of its bytes. If there is more than one, *node blocks* list the
//! ids and lengths of their children, up to a single root ([`NodeBlock`] has the format). An entry
//! commits to the root, the size and the height of the tree, a [`Content`](crate::id::Content).
//!
//! Whether a tree is complete decides what a directory shows, so every replica must judge alike;
//! the rules are those of [`NodeBlock`] and [`ContentError`]. Where the cuts fall is the writer's
//! business and not part of the format; `encode` (feature `std`) cuts by content, so that equal
//! parts become equal blocks whatever file or version they belong to.
//!
//! | to do | use |
//! |---|---|
//! | make blocks of content | `encode`, or [`Builder`] for leaves cut elsewhere |
//! | learn whether content is all here | [`check`] |
//! | fetch what is missing | [`Walker`] |
//! | read it, or a range of it | [`read`], [`read_range`], [`Leaves`] |
//!
//! A tree comes from strangers. Nothing here recurses, trusts a length, or does work that is not
//! proportional to the blocks that were really handed over: six node blocks of 38 kB each can
//! describe 2^60 bytes, and are checked by reading each of them once or twice.

mod build;
#[cfg(feature = "std")]
mod chunk;
mod piece;
mod read;
mod tree;
mod walk;

use bytes::Bytes;
use core::fmt;

use crate::id::BlockId;

pub use build::{BuildError, Builder, Built, build};
#[cfg(feature = "std")]
pub use chunk::{Encoded, encode, split, split_reader};
pub use piece::{MAX_PIECED, MAX_PROOF, PIECE, Piece, pieces};
pub use read::{Leaves, ReadError, read, read_range};
pub use tree::{BlockRef, Child, ContentError, NodeBlock, NodeError};
pub use walk::{AcceptError, Completeness, Progress, Walker, check};

/// The id of a block: the plain BLAKE3-256 of its bytes, as `b3sum` prints it.
///
/// ```
/// let id = basefs::block::id(b"hello");
/// assert_eq!(format!("{id:.8}"), "ea8f163d");
/// ```
pub fn id(bytes: &[u8]) -> BlockId {
    BlockId::from_bytes(*blake3::hash(bytes).as_bytes())
}

/// Where blocks are kept.
///
/// A closure from id to block is a source; a store that knows lengths without reading the blocks
/// should implement [`length`](Source::length) too.
///
/// What a source holds was verified when it was stored. Node blocks are verified again whenever
/// they are used, leaves whenever they are read.
///
/// ```
/// use basefs::block::{self, Source};
/// use basefs::id::BlockId;
/// use bytes::Bytes;
/// use std::collections::BTreeMap;
///
/// /// Blocks in memory, which cannot fail.
/// struct Memory(BTreeMap<BlockId, Bytes>);
///
/// impl Source for Memory {
///     type Error = std::convert::Infallible;
///
///     fn block(&mut self, id: &BlockId) -> Result<Option<Bytes>, Self::Error> {
///         Ok(self.0.get(id).cloned())
///     }
/// }
///
/// let mut memory = Memory([(block::id(b"hello"), b"hello"[..].into())].into());
/// assert_eq!(memory.length(&block::id(b"hello")), Ok(Some(5)));
/// assert_eq!(memory.block(&block::id(b"world")), Ok(None));
/// ```
pub trait Source {
    /// Why the source could not be asked.
    type Error;

    /// The block with this id, if it is here.
    ///
    /// # Errors
    /// The source failed; whether it has the block is not known.
    fn block(&mut self, id: &BlockId) -> Result<Option<Bytes>, Self::Error>;

    /// The length in bytes of the block with this id, if it is here.
    ///
    /// # Errors
    /// The source failed; whether it has the block is not known.
    fn length(&mut self, id: &BlockId) -> Result<Option<usize>, Self::Error> {
        Ok(self.block(id)?.map(|bytes| bytes.len()))
    }
}

impl<F, E> Source for F
where
    F: FnMut(&BlockId) -> Result<Option<Bytes>, E>,
{
    type Error = E;

    fn block(&mut self, id: &BlockId) -> Result<Option<Bytes>, E> {
        self(id)
    }
}

/// The source of blocks failed: a fault of this machine, not of the content or of a peer. Nothing
/// was changed; the same call can be made again.
///
/// ```
/// use basefs::block::{self, ReadError, SourceError};
/// use basefs::id::BlockId;
///
/// let content = basefs::id::Content { root: block::id(b"hello"), size: 5, levels: 0 };
/// let mut damaged = |_: &BlockId| Ok::<_, std::io::Error>(Some(b"hullo"[..].into()));
/// let error = block::read(&content, 100, &mut damaged).unwrap_err();
/// assert!(matches!(error, ReadError::Source(SourceError::Corrupt { id }) if id == content.root));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError<E> {
    /// The source could not be asked.
    Failed(E),
    /// The source gave other bytes than those it was asked for: it is damaged.
    Corrupt {
        /// The block that was asked for.
        id: BlockId,
    },
    /// A node block that was here before is gone: it was accepted but not stored, or removed
    /// while its tree was being walked.
    Lost {
        /// The block that was asked for.
        id: BlockId,
    },
}

impl<E: fmt::Display> fmt::Display for SourceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Failed(error) => write!(f, "the block store failed: {error}"),
            SourceError::Corrupt { id } => {
                write!(f, "the block store is damaged: other bytes are stored as {id:.16}")
            }
            SourceError::Lost { id } => {
                write!(f, "block {id:.16} vanished from the store while it was in use")
            }
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for SourceError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            SourceError::Failed(error) => Some(error),
            SourceError::Corrupt { .. } | SourceError::Lost { .. } => None,
        }
    }
}

/// Asks a source for a block and checks that it is the one.
fn fetch<S: Source>(source: &mut S, id: &BlockId) -> Result<Option<Bytes>, SourceError<S::Error>> {
    match source.block(id).map_err(SourceError::Failed)? {
        Some(bytes) if self::id(&bytes) != *id => Err(SourceError::Corrupt { id: *id }),
        found => Ok(found),
    }
}
