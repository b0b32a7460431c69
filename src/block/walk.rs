//! Which blocks of a content are here, and which to ask for next.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

use super::tree::{BlockRef, ContentError, NodeBlock};
use super::{Source, SourceError, fetch};
use crate::id::{BlockId, Content};
use crate::limits::{MAX_LEAF, MAX_TREE_NODES, MAX_WALK_STEPS, MAX_WANTED, MAX_WANTED_NODES};

/// How far a content is.
///
/// ```
/// use basefs::block::{self, Completeness};
/// use basefs::id::{BlockId, Content};
/// use std::convert::Infallible;
///
/// let content = Content { root: block::id(b"hello"), size: 5, levels: 0 };
/// let mut nothing = |_: &BlockId| Ok::<_, Infallible>(None);
/// let Ok(Completeness::Missing(blocks)) = block::check(&content, &mut nothing) else {
///     panic!("nothing is here");
/// };
/// assert_eq!(blocks[0].id, content.root);
/// let mut all = |_: &BlockId| Ok::<_, Infallible>(Some(b"hello"[..].into()));
/// assert_eq!(block::check(&content, &mut all), Ok(Completeness::Complete));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// All blocks are here, and form a tree of exactly the size and height claimed.
    Complete,
    /// Blocks are missing: the first ones in the order of the content, at most
    /// [`MAX_WANTED`]. There may be more, below these or after them.
    Missing(Vec<BlockRef>),
    /// The content can never be complete.
    Invalid(ContentError),
}

/// Whether a content is complete here, from the blocks alone.
///
/// Leaves are judged by their length, which a [`Source`] may know without reading them. Work is
/// proportional to the distinct node blocks that are here, whatever sizes they claim.
///
/// # Errors
/// The source failed; nothing is known then.
///
/// ```
/// use basefs::block::{self, Completeness};
/// use basefs::id::BlockId;
/// use std::collections::BTreeMap;
/// use std::convert::Infallible;
///
/// let encoded = block::encode(&vec![7; 600_000].into())?;
/// let mut store: BTreeMap<_, _> = encoded.blocks.iter().cloned().collect();
/// let mut source = |id: &BlockId| Ok::<_, Infallible>(store.get(id).cloned());
/// assert_eq!(block::check(&encoded.content, &mut source), Ok(Completeness::Complete));
///
/// store.remove(&encoded.blocks[1].0);
/// let mut source = |id: &BlockId| Ok::<_, Infallible>(store.get(id).cloned());
/// let Ok(Completeness::Missing(blocks)) = block::check(&encoded.content, &mut source) else {
///     panic!("a leaf was taken away");
/// };
/// assert_eq!((blocks[0].id, blocks[0].offset), (encoded.blocks[1].0, 524_288));
/// # Ok::<(), block::BuildError>(())
/// ```
// rule: READY-1
pub fn check<S: Source>(
    content: &Content,
    source: &mut S,
) -> Result<Completeness, SourceError<S::Error>> {
    let mut walker = match Walker::new(*content) {
        Ok(walker) => walker,
        Err(error) => return Ok(Completeness::Invalid(error)),
    };
    loop {
        match walker.advance(source)? {
            Progress::Complete => return Ok(Completeness::Complete),
            Progress::Waiting => return Ok(Completeness::Missing(walker.wanted)),
            Progress::Invalid(error) => return Ok(Completeness::Invalid(error)),
            Progress::More => {}
        }
    }
}

/// What came of [`Walker::advance`].
///
/// ```
/// use basefs::block::{self, Progress, Walker};
/// use basefs::id::{BlockId, Content};
/// use std::convert::Infallible;
///
/// let content = Content { root: block::id(b"hello"), size: 5, levels: 0 };
/// let mut walker = Walker::new(content)?;
/// let mut nothing = |_: &BlockId| Ok::<_, Infallible>(None);
/// assert_eq!(walker.advance(&mut nothing), Ok(Progress::Waiting));
/// walker.accept(b"hello")?;
/// assert_eq!(walker.advance(&mut nothing), Ok(Progress::Complete), "it saw all there is");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All blocks are here.
    Complete,
    /// Nothing more can be done before one of [`Walker::wanted`] arrives.
    Waiting,
    /// The budget of one call is used up: call again, after other work.
    More,
    /// The content can never be complete; the walk is over.
    Invalid(ContentError),
}

/// Finds the missing blocks of one content, in an order in which it can be read while it arrives.
///
/// The loop: [`advance`](Self::advance) over what is in the store; ask peers for what is
/// [`wanted`](Self::wanted); [`accept`](Self::accept) what they send, put it into the store, and
/// advance again. A walk that was interrupted starts anew with the content alone: what is in the
/// store is passed over quickly and not asked for again.
///
/// Each distinct node block is entered once, so a tree that names the same child a million times
/// costs no more than naming it once per node. Blocks must stay in the store while the walk lasts.
///
/// ```
/// use basefs::block::{self, Progress, Walker};
/// use basefs::id::BlockId;
/// use std::cell::RefCell;
/// use std::collections::BTreeMap;
/// use std::convert::Infallible;
///
/// let encoded = block::encode(&vec![7; 600_000].into())?;
/// let peer: BTreeMap<_, _> = encoded.blocks.iter().cloned().collect();
/// let store = RefCell::new(BTreeMap::new());
/// let mut source = |id: &BlockId| Ok::<_, Infallible>(store.borrow().get(id).cloned());
///
/// let mut walker = Walker::new(encoded.content)?;
/// while walker.advance(&mut source).unwrap() != Progress::Complete {
///     let block = peer[&walker.wanted()[0].id].clone();
///     let id = walker.accept(&block)?;
///     store.borrow_mut().insert(id, block);
/// }
/// assert_eq!(store.into_inner(), peer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Walker {
    /// The root, until it was looked at.
    root: Option<BlockRef>,
    /// Nodes with children not looked at yet, the earliest part of the content last.
    open: Vec<Open>,
    /// The node read last, so that advancing leaf by leaf does not decode it again and again.
    current: Option<(BlockId, NodeBlock)>,
    /// What is missing, ascending by offset, parents first.
    wanted: Vec<BlockRef>,
    /// Every node ever looked at, with the length claimed for it.
    seen: BTreeMap<(BlockId, u8), u64>,
    failed: Option<ContentError>,
}

/// A node that was entered: its place, and the next child.
#[derive(Clone, Debug)]
struct Open {
    place: BlockRef,
    next: usize,
    offset: u64,
}

/// What the store has of a block.
enum Found {
    /// The leaf is here, or the node was looked at before.
    Known,
    Node(NodeBlock),
    Missing,
}

/// Why the walk stopped.
enum Stop<E> {
    Content(ContentError),
    Source(SourceError<E>),
}

impl<E> From<ContentError> for Stop<E> {
    fn from(error: ContentError) -> Self {
        Stop::Content(error)
    }
}

impl<E> From<SourceError<E>> for Stop<E> {
    fn from(error: SourceError<E>) -> Self {
        Stop::Source(error)
    }
}

impl Walker {
    /// Starts the walk of a content.
    ///
    /// # Errors
    /// The content is invalid whatever its blocks are.
    ///
    /// ```
    /// use basefs::block::{ContentError, Walker};
    /// use basefs::id::{BlockId, Content};
    ///
    /// let content = Content { root: BlockId::from_bytes([7; 32]), size: 5, levels: 8 };
    /// assert_eq!(Walker::new(content).unwrap_err(), ContentError::Levels { levels: 8 });
    /// ```
    pub fn new(content: Content) -> Result<Self, ContentError> {
        Ok(Self {
            root: Some(BlockRef::root(&content)?),
            open: Vec::new(),
            current: None,
            wanted: Vec::new(),
            seen: BTreeMap::new(),
            failed: None,
        })
    }

    /// The blocks that are missing, as far as is known: distinct in id and height, ascending by
    /// offset, at most [`MAX_WANTED`], of which [`MAX_WANTED_NODES`] nodes.
    ///
    /// ```
    /// use basefs::block::{self, Walker};
    /// use basefs::id::BlockId;
    /// use std::convert::Infallible;
    ///
    /// let text: Vec<u8> = (0..600_000u32).map(|n| (n / 1_000) as u8).collect();
    /// let encoded = block::encode(&text.into())?;
    /// let (root, node) = encoded.blocks.last().unwrap();
    /// let mut source = |id: &BlockId| Ok::<_, Infallible>((id == root).then(|| node.clone()));
    /// let mut walker = Walker::new(encoded.content)?;
    /// let _ = walker.advance(&mut source);
    /// assert_eq!(walker.wanted().len(), encoded.blocks.len() - 1, "every leaf");
    /// assert_eq!(walker.wanted()[0].offset, 0, "the beginning first");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wanted(&self) -> &[BlockRef] {
        &self.wanted
    }

    /// Looks at blocks in the store until enough are known to be missing.
    ///
    /// # Errors
    /// The source failed. The walk is as before the block that it failed at, and can go on.
    ///
    /// ```
    /// use basefs::block::{self, Progress, SourceError, Walker};
    /// use basefs::id::{BlockId, Content};
    ///
    /// let content = Content { root: block::id(b"hello"), size: 5, levels: 0 };
    /// let mut walker = Walker::new(content)?;
    /// let failed = walker.advance(&mut |_: &BlockId| Err("the disk is away"));
    /// assert_eq!(failed, Err(SourceError::Failed("the disk is away")));
    /// let mut source = |_: &BlockId| Ok::<_, &str>(Some(b"hello"[..].into()));
    /// assert_eq!(walker.advance(&mut source), Ok(Progress::Complete), "it goes on");
    /// # Ok::<(), block::ContentError>(())
    /// ```
    pub fn advance<S: Source>(
        &mut self,
        source: &mut S,
    ) -> Result<Progress, SourceError<S::Error>> {
        if let Some(error) = self.failed {
            return Ok(Progress::Invalid(error));
        }
        for _ in 0..MAX_WALK_STEPS {
            match self.step(source) {
                Ok(true) => {}
                Ok(false) if self.is_done() => return Ok(Progress::Complete),
                Ok(false) => return Ok(Progress::Waiting),
                Err(Stop::Source(error)) => return Err(error),
                Err(Stop::Content(error)) => {
                    self.fail(error);
                    return Ok(Progress::Invalid(error));
                }
            }
        }
        Ok(Progress::More)
    }

    /// Checks a block that a peer sent; on success the caller stores it under the id given back,
    /// and then advances.
    ///
    /// # Errors
    /// See [`AcceptError`]; the block must not be stored on account of this content.
    ///
    /// ```
    /// use basefs::block::{self, AcceptError, Walker};
    /// use basefs::id::{BlockId, Content};
    /// use std::convert::Infallible;
    ///
    /// let content = Content { root: block::id(b"hello"), size: 5, levels: 0 };
    /// let mut walker = Walker::new(content)?;
    /// let _ = walker.advance(&mut |_: &BlockId| Ok::<_, Infallible>(None));
    /// assert_eq!(walker.accept(b"hullo"), Err(AcceptError::NotWanted));
    /// assert_eq!(walker.accept(b"hello"), Ok(content.root));
    /// assert_eq!(walker.accept(b"hello"), Err(AcceptError::NotWanted), "once is enough");
    /// # Ok::<(), block::ContentError>(())
    /// ```
    pub fn accept(&mut self, bytes: &[u8]) -> Result<BlockId, AcceptError> {
        // Longer than any block: not worth hashing.
        if bytes.len() > MAX_LEAF {
            return Err(AcceptError::NotWanted);
        }
        let id = super::id(bytes);
        if !self.wanted.iter().any(|place| place.id == id) {
            return Err(AcceptError::NotWanted);
        }
        // The same bytes can be wanted as a leaf and as nodes of several heights.
        let (arrived, wanted): (Vec<_>, Vec<_>) =
            self.wanted.drain(..).partition(|place| place.id == id);
        self.wanted = wanted;
        for place in arrived {
            match place.verify(bytes) {
                Ok(Some(_)) => self.enter(place),
                Ok(None) => {}
                Err(error) => {
                    self.fail(error);
                    return Err(AcceptError::Content(error));
                }
            }
        }
        Ok(id)
    }

    fn is_done(&self) -> bool {
        self.root.is_none() && self.open.is_empty() && self.wanted.is_empty()
    }

    fn fail(&mut self, error: ContentError) {
        self.failed = Some(error);
        self.open.clear();
        self.wanted.clear();
        self.seen.clear();
    }

    /// Looks at one more block; says whether there may be another. Changes nothing on an error
    /// of the source.
    fn step<S: Source>(&mut self, source: &mut S) -> Result<bool, Stop<S::Error>> {
        if self.wanted.len() >= MAX_WANTED {
            return Ok(false);
        }
        let Some(place) = self.next_place(source)? else { return Ok(false) };
        let nodes_wanted = || self.wanted.iter().filter(|wanted| wanted.height > 0).count();
        if place.height > 0 && nodes_wanted() >= MAX_WANTED_NODES {
            return Ok(false);
        }
        let found = self.look(&place, source)?;
        match self.open.last_mut() {
            None => self.root = None,
            Some(parent) => {
                parent.next += 1;
                parent.offset = place.end();
            }
        }
        if place.height > 0 {
            self.seen.insert((place.id, place.height), place.length);
        }
        match found {
            Found::Known => {}
            Found::Missing => self.want(place)?,
            Found::Node(node) => {
                self.enter(place);
                self.current = Some((place.id, node));
            }
        }
        Ok(true)
    }

    /// The first place not looked at yet.
    fn next_place<S: Source>(
        &mut self,
        source: &mut S,
    ) -> Result<Option<BlockRef>, Stop<S::Error>> {
        if let Some(root) = self.root {
            return Ok(Some(root));
        }
        while let Some(open) = self.open.last() {
            let node = match &self.current {
                Some((id, node)) if *id == open.place.id => node,
                _ => {
                    let id = open.place.id;
                    let bytes = fetch(source, &id)?.ok_or(SourceError::Lost { id })?;
                    let node = NodeBlock::decode(&bytes)
                        .map_err(|error| ContentError::Node { id, error })?;
                    &self.current.insert((id, node)).1
                }
            };
            match node.children().get(open.next) {
                Some(child) => return Ok(Some(open.place.child(child, open.offset)?)),
                None => drop(self.open.pop()),
            }
        }
        Ok(None)
    }

    fn look<S: Source>(&self, place: &BlockRef, source: &mut S) -> Result<Found, Stop<S::Error>> {
        if place.height == 0 {
            let Some(length) = source.length(&place.id).map_err(SourceError::Failed)? else {
                return Ok(Found::Missing);
            };
            if length as u64 == place.length {
                return Ok(Found::Known);
            }
            // Before the author is blamed: is it really that block?
            let Some(bytes) = fetch(source, &place.id)? else { return Ok(Found::Missing) };
            place.verify(&bytes)?;
            return Ok(Found::Known);
        }
        if let Some(&length) = self.seen.get(&(place.id, place.height)) {
            // A node has one length: two claims cannot both come true.
            place.check_length(length)?;
            return Ok(Found::Known);
        }
        if self.seen.len() >= MAX_TREE_NODES {
            return Err(ContentError::TooManyNodes.into());
        }
        let Some(bytes) = fetch(source, &place.id)? else { return Ok(Found::Missing) };
        Ok(place.verify(&bytes)?.map_or(Found::Known, Found::Node))
    }

    /// Notes that a block is missing, once, and checks that claims about it agree.
    fn want(&mut self, place: BlockRef) -> Result<(), ContentError> {
        let same = |other: &&BlockRef| (other.id, other.height) == (place.id, place.height);
        if let Some(other) = self.wanted.iter().find(same) {
            return place.check_length(other.length);
        }
        let key = |place: &BlockRef| (place.offset, Reverse(place.height));
        let index = self.wanted.partition_point(|other| key(other) < key(&place));
        self.wanted.insert(index, place);
        Ok(())
    }

    /// Queues the children of a node, before all that comes later in the content.
    fn enter(&mut self, place: BlockRef) {
        assert!(place.height > 0, "leaves have no children");
        // Only a node that has no child left can stand at the same offset.
        let index = self.open.partition_point(|other| other.offset > place.offset);
        self.open.insert(index, Open { place, next: 0, offset: place.offset });
    }
}

/// Why a block was not accepted. It must not be stored on account of this content.
///
/// ```
/// use basefs::block::{self, AcceptError, ContentError, Walker};
/// use basefs::id::{BlockId, Content};
/// use std::convert::Infallible;
///
/// // An author signed that these five bytes are six; the peer that sends them is not at fault.
/// let content = Content { root: block::id(b"hello"), size: 6, levels: 0 };
/// let mut walker = Walker::new(content)?;
/// let _ = walker.advance(&mut |_: &BlockId| Ok::<_, Infallible>(None));
/// let error = ContentError::Length { id: content.root, claimed: 6, found: 5 };
/// assert_eq!(walker.accept(b"hello"), Err(AcceptError::Content(error)));
/// # Ok::<(), ContentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// No block with this hash is wanted: it was damaged or made up, or arrived before. The walk
    /// is as before.
    NotWanted,
    /// The block is what was asked for and cannot stand where the tree has it: the author is at
    /// fault, not the peer, and the walk is over.
    Content(ContentError),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::NotWanted => f.write_str("no block with this hash was asked for"),
            AcceptError::Content(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            AcceptError::NotWanted => None,
            AcceptError::Content(error) => Some(error),
        }
    }
}
