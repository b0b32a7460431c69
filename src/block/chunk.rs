//! From bytes to leaves: content-defined chunking.
//!
//! A cut depends on the bytes just before it and on nothing else, so that after an insertion the
//! cuts fall where they fell before. FastCDC in the version of 2020, normalisation 1, seed 0.

use std::io;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;
use fastcdc::v2020::{FastCDC, StreamCDC};

use super::build::{BuildError, Builder};
use super::tree::Child;
use crate::id::{BlockId, Content};
use crate::limits::{CHUNK_AVERAGE, CHUNK_MAX, CHUNK_MIN};

/// Content and its blocks.
///
/// ```
/// let encoded = basefs::block::encode(&vec![7; 600_000].into())?;
/// let lengths: Vec<usize> = encoded.blocks.iter().map(|(_, bytes)| bytes.len()).collect();
/// assert_eq!(lengths.len(), 3, "three leaves, of which two are equal, and the node above");
/// assert_eq!(lengths[..2], [262_144, 75_712]);
/// # Ok::<(), basefs::block::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What an entry commits to.
    pub content: Content,
    /// All blocks, each once: leaves in the order of the content, then nodes, children before
    /// parents. Leaves are slices of the input, not copies.
    pub blocks: Vec<(BlockId, Bytes)>,
}

/// Cuts content into chunks of 16 to 256 KiB, 64 KiB on average; the last may be shorter.
///
/// ```
/// let content = vec![7; 600_000];
/// let chunks: Vec<&[u8]> = basefs::block::split(&content).collect();
/// assert_eq!(chunks.concat(), content);
/// assert!(chunks.iter().all(|chunk| chunk.len() <= 262_144));
/// ```
pub fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    FastCDC::new(bytes, CHUNK_MIN, CHUNK_AVERAGE, CHUNK_MAX)
        .map(|chunk| &bytes[chunk.offset..chunk.offset + chunk.length])
}

/// Cuts what a reader gives, as [`split`] would, with one chunk in memory at a time.
///
/// # Errors
/// An item is an error if the reader failed; the content is incomplete then.
///
/// ```
/// let content = vec![7; 600_000];
/// let chunks = basefs::block::split_reader(&content[..]);
/// let lengths: Vec<usize> = chunks.map(|chunk| Ok(chunk?.len())).collect::<std::io::Result<_>>()?;
/// assert_eq!(lengths, [262_144, 262_144, 75_712]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn split_reader(reader: impl io::Read) -> impl Iterator<Item = io::Result<Bytes>> {
    StreamCDC::new(reader, CHUNK_MIN, CHUNK_AVERAGE, CHUNK_MAX)
        .map(|chunk| Ok(Bytes::from(chunk.map_err(io::Error::from)?.data)))
}

/// Cuts content into blocks and builds their tree.
///
/// # Errors
/// The content is empty; empty files stand in their entry.
///
/// ```
/// use basefs::block;
///
/// let encoded = block::encode(&vec![7; 600_000].into())?;
/// assert_eq!((encoded.content.size, encoded.content.levels), (600_000, 1));
/// assert_eq!(encoded.blocks.len(), 3, "two different leaves and their node");
/// # Ok::<(), block::BuildError>(())
/// ```
pub fn encode(bytes: &Bytes) -> Result<Encoded, BuildError> {
    let mut builder = Builder::new();
    let mut blocks = Vec::new();
    let mut seen = BTreeSet::new();
    for chunk in split(bytes) {
        let id = super::id(chunk);
        builder.push(Child { id, length: chunk.len() as u64 })?;
        if seen.insert(id) {
            blocks.push((id, bytes.slice_ref(chunk)));
        }
    }
    let built = builder.finish()?;
    blocks.extend(built.nodes.into_iter().filter(|(id, _)| seen.insert(*id)));
    Ok(Encoded { content: built.content, blocks })
}
