//! From blocks to bytes: whole contents and ranges, every block verified on the way.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use bytes::Bytes;

use super::tree::{BlockRef, ContentError, NodeBlock};
use super::{Source, SourceError, fetch};
use crate::id::{BlockId, Content};
use crate::limits::MAX_LEAF;

/// Reads a whole content of at most `limit` bytes.
///
/// # Errors
/// The content is larger than `limit`, not all here, invalid, or the source failed. Nothing was
/// changed.
///
/// ```
/// use basefs::block;
/// use basefs::id::BlockId;
/// use std::collections::BTreeMap;
/// use std::convert::Infallible;
///
/// let encoded = block::encode(&vec![7; 600_000].into())?;
/// let store: BTreeMap<_, _> = encoded.blocks.into_iter().collect();
/// let mut source = |id: &BlockId| Ok::<_, Infallible>(store.get(id).cloned());
/// assert_eq!(block::read(&encoded.content, 1 << 20, &mut source).unwrap(), vec![7; 600_000]);
/// # Ok::<(), block::BuildError>(())
/// ```
pub fn read<S: Source>(
    content: &Content,
    limit: u64,
    source: &mut S,
) -> Result<Vec<u8>, ReadError<S::Error>> {
    if content.size > limit {
        return Err(ReadError::TooLarge { size: content.size, limit });
    }
    read_range(content, 0..content.size, source)
}

/// Reads the bytes of a range, as much of it as lies within the content; a range that ends before
/// it starts is empty. Blocks outside it are not needed, except the nodes above.
///
/// # Errors
/// A block of the range is not here, the content is invalid, or the source failed. Nothing was
/// changed.
///
/// ```
/// use basefs::block;
/// use basefs::id::BlockId;
/// use std::collections::BTreeMap;
/// use std::convert::Infallible;
///
/// let text: Vec<u8> = (0..600_000u32).map(|n| (n / 1_000) as u8).collect();
/// let encoded = block::encode(&text.clone().into())?;
/// let store: BTreeMap<_, _> = encoded.blocks.into_iter().collect();
/// let mut source = |id: &BlockId| Ok::<_, Infallible>(store.get(id).cloned());
/// let range = block::read_range(&encoded.content, 299_999..300_001, &mut source).unwrap();
/// assert_eq!(range, text[299_999..300_001]);
/// let end = block::read_range(&encoded.content, 599_990..u64::MAX, &mut source).unwrap();
/// assert_eq!(end.len(), 10);
/// # Ok::<(), block::BuildError>(())
/// ```
pub fn read_range<S: Source>(
    content: &Content,
    range: Range<u64>,
    source: &mut S,
) -> Result<Vec<u8>, ReadError<S::Error>> {
    // What the content claims is no reason to allocate; what was verified is.
    let wanted = range.end.min(content.size).saturating_sub(range.start);
    let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or(MAX_LEAF).min(MAX_LEAF));
    for part in Leaves::new(content, range, source)? {
        bytes.extend_from_slice(&part?);
    }
    Ok(bytes)
}

/// The leaves of a range in the order of the content, each verified and cut to the range.
///
/// Memory is one leaf, and one node per level. After an error it ends.
///
/// ```
/// use basefs::block::{self, Leaves};
/// use basefs::id::BlockId;
/// use std::collections::BTreeMap;
/// use std::convert::Infallible;
///
/// let encoded = block::encode(&vec![7; 600_000].into())?;
/// let store: BTreeMap<_, _> = encoded.blocks.into_iter().collect();
/// let mut source = |id: &BlockId| Ok::<_, Infallible>(store.get(id).cloned());
/// let mut lengths = Vec::new();
/// for leaf in Leaves::new(&encoded.content, 262_000..600_000, &mut source)? {
///     lengths.push(leaf.unwrap().len());
/// }
/// assert_eq!(lengths, [144, 262_144, 75_712], "the end of the first leaf, and the others");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Leaves<'s, S> {
    source: &'s mut S,
    range: Range<u64>,
    root: Option<BlockRef>,
    /// The nodes from the root to the next leaf.
    open: Vec<Open>,
    /// The leaf given last: content made of one leaf repeated is read and hashed once.
    last: Option<(BlockId, Bytes)>,
}

#[derive(Debug)]
struct Open {
    place: BlockRef,
    node: NodeBlock,
    next: usize,
    offset: u64,
}

impl<'s, S: Source> Leaves<'s, S> {
    /// Starts at the beginning of the range.
    ///
    /// # Errors
    /// The content is invalid whatever its blocks are.
    ///
    /// ```
    /// use basefs::block::{ContentError, Leaves};
    /// use basefs::id::{BlockId, Content};
    /// use std::convert::Infallible;
    ///
    /// let content = Content { root: BlockId::from_bytes([7; 32]), size: 300_000, levels: 0 };
    /// let mut source = |_: &BlockId| Ok::<_, Infallible>(None);
    /// let error = Leaves::new(&content, 0..1, &mut source).err();
    /// assert_eq!(error, Some(ContentError::Size { height: 0, size: 300_000 }), "no leaf is as long");
    /// ```
    pub fn new(
        content: &Content,
        range: Range<u64>,
        source: &'s mut S,
    ) -> Result<Self, ContentError> {
        let root = Some(BlockRef::root(content)?).filter(|root| overlaps(root, &range));
        assert!(root.is_none() || range.start < range.end, "what overlaps is not empty");
        Ok(Self { source, range, root, open: Vec::new(), last: None })
    }

    fn next_place(&mut self) -> Result<Option<BlockRef>, ContentError> {
        if let Some(root) = self.root.take() {
            return Ok(Some(root));
        }
        while let Some(open) = self.open.last_mut() {
            let Some(child) = open.node.children().get(open.next) else {
                self.open.pop();
                continue;
            };
            let place = open.place.child(child, open.offset)?;
            open.next += 1;
            open.offset = place.end();
            if overlaps(&place, &self.range) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn load(&mut self, place: &BlockRef) -> Result<Bytes, ReadError<S::Error>> {
        if let Some((id, bytes)) = &self.last
            && *id == place.id
        {
            return Ok(bytes.clone());
        }
        fetch(self.source, &place.id)?.ok_or(ReadError::Missing { id: place.id })
    }

    fn step(&mut self) -> Result<Option<Bytes>, ReadError<S::Error>> {
        while let Some(place) = self.next_place()? {
            let bytes = self.load(&place)?;
            match place.verify(&bytes)? {
                Some(node) => {
                    self.open.push(Open { place, node, next: 0, offset: place.offset });
                }
                None => {
                    self.last = Some((place.id, bytes.clone()));
                    return Ok(Some(cut(&bytes, &place, &self.range)));
                }
            }
        }
        Ok(None)
    }
}

impl<S: Source> Iterator for Leaves<'_, S> {
    type Item = Result<Bytes, ReadError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step().transpose();
        if matches!(item, Some(Err(_))) {
            self.open.clear();
        }
        item
    }
}

fn overlaps(place: &BlockRef, range: &Range<u64>) -> bool {
    !range.is_empty() && place.offset < range.end && range.start < place.end()
}

/// The part of a leaf that lies in the range, which it overlaps.
fn cut(bytes: &Bytes, place: &BlockRef, range: &Range<u64>) -> Bytes {
    let within = |position: u64| {
        let inside = position.clamp(place.offset, place.end()) - place.offset;
        usize::try_from(inside).unwrap_or(bytes.len()).min(bytes.len())
    };
    bytes.slice(within(range.start)..within(range.end))
}

/// Why content could not be read. Nothing was changed.
///
/// ```
/// use basefs::block::{self, ReadError};
/// use basefs::id::{BlockId, Content};
/// use std::convert::Infallible;
///
/// let content = Content { root: block::id(b"hello"), size: 5, levels: 0 };
/// let mut empty = |_: &BlockId| Ok::<_, Infallible>(None);
/// let too_large = ReadError::TooLarge { size: 5, limit: 4 };
/// assert_eq!(block::read(&content, 4, &mut empty), Err(too_large));
/// assert_eq!(block::read(&content, 5, &mut empty), Err(ReadError::Missing { id: content.root }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The content is larger than the caller takes.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// What the caller takes, in bytes.
        limit: u64,
    },
    /// A block is not here: fetch the content first.
    Missing {
        /// The first block that is missing.
        id: BlockId,
    },
    /// The content can never be complete.
    Content(ContentError),
    /// The source failed.
    Source(SourceError<E>),
}

impl<E> From<ContentError> for ReadError<E> {
    fn from(error: ContentError) -> Self {
        ReadError::Content(error)
    }
}

impl<E> From<SourceError<E>> for ReadError<E> {
    fn from(error: SourceError<E>) -> Self {
        ReadError::Source(error)
    }
}

impl<E: fmt::Display> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::TooLarge { size, limit } => {
                write!(f, "the content has {size} bytes, more than the {limit} asked for")
            }
            ReadError::Missing { id } => {
                write!(f, "block {id:.16} of the content is not on this replica yet")
            }
            ReadError::Content(error) => error.fmt(f),
            ReadError::Source(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for ReadError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            ReadError::Content(error) => Some(error),
            ReadError::Source(error) => Some(error),
            ReadError::TooLarge { .. } | ReadError::Missing { .. } => None,
        }
    }
}
