//! Blocks that come in pieces.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::block::{Piece, pieces};
use crate::id::{BlockId, LinkId};
use crate::time::Timestamp;

/// Blocks put together at a time, whether or not their entries are here: 4 MiB at most.
const MAX_PARTIAL: usize = 256;
/// How long they are kept; by then the block has been asked for as a whole.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// How a piece came, and so how it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) from: LinkId,
    /// Nothing: to all neighbours.
    pub(super) span: Option<usize>,
}

#[derive(Debug)]
struct Partial {
    length: usize,
    pieces: Vec<Option<Piece>>,
    /// Pieces that wait for the entry before they go on.
    held: Vec<(usize, Way)>,
    /// The entry that names it is here.
    is_named: bool,
    since: Timestamp,
    is_done: bool,
    /// Some piece went along a tree.
    is_routed: bool,
}

impl Partial {
    fn new(length: usize, since: Timestamp) -> Self {
        let pieces = alloc::vec![None; pieces(length)];
        let held = Vec::new();
        Self { length, pieces, held, is_named: false, since, is_done: false, is_routed: false }
    }
}

/// What becomes of a piece.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Pieces that go on now.
    pub(super) onward: Vec<(Piece, Way)>,
    /// The whole block, if this was the last piece.
    pub(super) whole: Option<Bytes>,
}

/// Blocks of which some pieces are here.
#[derive(Debug, Default)]
pub(super) struct Partials {
    blocks: BTreeMap<BlockId, Partial>,
    order: VecDeque<BlockId>,
}

impl Partials {
    fn open(&mut self, root: BlockId, length: usize, now: Timestamp) -> &mut Partial {
        if !self.blocks.contains_key(&root) {
            self.order.push_back(root);
            while self.order.len() > MAX_PARTIAL {
                if let Some(oldest) = self.order.pop_front() {
                    self.blocks.remove(&oldest);
                }
            }
        }
        self.blocks.entry(root).or_insert_with(|| Partial::new(length, now))
    }

    pub(super) fn forget_old(&mut self, now: Timestamp) {
        while let Some(root) = self.order.front()
            && self.blocks.get(root).is_none_or(|partial| now - partial.since > KEPT_FOR)
        {
            let root = *root;
            self.blocks.remove(&root);
            self.order.pop_front();
        }
    }

    /// The pieces of blocks younger than `age` that have gone along trees from here; each once.
    pub(super) fn take_routed(
        &mut self,
        now: Timestamp,
        age: Duration,
    ) -> Vec<(BlockId, usize, Piece)> {
        let mut routed = Vec::new();
        for (root, partial) in &mut self.blocks {
            let is_young = partial.is_named && now - partial.since < age;
            if is_young && core::mem::take(&mut partial.is_routed) {
                let pieces = partial.pieces.iter().flatten();
                routed.extend(pieces.map(|piece| (*root, partial.length, piece.clone())));
            }
        }
        routed
    }

    /// An entry is here that names the block.
    pub(super) fn name(&mut self, root: BlockId, length: usize, now: Timestamp) -> Taken {
        let partial = self.open(root, length, now);
        if partial.length != length {
            // Pieces of another length than the entry says were lies.
            *partial = Partial::new(length, now);
        }
        partial.is_named = true;
        let held = core::mem::take(&mut partial.held);
        let onward = held.into_iter().filter_map(|(index, way)| {
            partial.pieces.get(index).cloned().flatten().map(|piece| (piece, way))
        });
        let onward = onward.collect();
        Taken { onward, whole: partial.take_whole() }
    }

    /// A piece came. The caller has checked that it is one of the block.
    pub(super) fn take(
        &mut self,
        root: BlockId,
        length: usize,
        piece: Piece,
        way: Way,
        now: Timestamp,
    ) -> Taken {
        let partial = self.open(root, length, now);
        let index = piece.index;
        if partial.length != length || index >= partial.pieces.len() {
            return Taken::default();
        }
        partial.is_routed |= way.span.is_some();
        // Who has it already still answers for its part of the ring.
        if partial.pieces[index].replace(piece.clone()).is_some() && way.span.is_none() {
            return Taken::default();
        }
        if !partial.is_named {
            partial.held.push((index, way));
            return Taken::default();
        }
        Taken { onward: alloc::vec![(piece, way)], whole: partial.take_whole() }
    }
}

impl Partial {
    /// The block, once, when all pieces are here and an entry names it.
    fn take_whole(&mut self) -> Option<Bytes> {
        if self.is_done || !self.is_named || self.pieces.iter().any(Option::is_none) {
            return None;
        }
        self.is_done = true;
        let mut whole = BytesMut::with_capacity(self.length);
        for piece in self.pieces.iter().flatten() {
            whole.extend_from_slice(&piece.bytes);
        }
        Some(whole.freeze())
    }
}
