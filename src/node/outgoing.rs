//! What a node sends, read from the store piece by piece while the peer takes it.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::frame::{BLOCK_HEAD, FRAME_HEAD, Frame, MAX_FRAME_ENTRIES, MAX_FRAME_IDS};
use crate::block;
use crate::id::BlockId;
use crate::limits::{MAX_FRAME, MAX_LEAF};
use crate::log::EntryNo;

/// How full a frame of blocks is made: large enough that its head costs nothing, and soon enough
/// done that what is more urgent can go in between.
const FILL: usize = 64 * 1_024;

/// Blocks of one [`Outgoing`]: what is more urgent waits for no more than 8 MiB of the longest.
pub(super) const MAX_ANSWER: usize = 32;

const _: () = {
    assert!(FRAME_HEAD + FILL <= MAX_FRAME);
    assert!(MAX_ANSWER <= MAX_FRAME_IDS);
};

/// Read access to what the host has stored for a node, durably: entries by number, blocks by id.
/// `examples/sans_io.rs` implements it in a few lines.
///
/// ```
/// use std::convert::Infallible;
///
/// use basefs::id::BlockId;
/// use basefs::log::EntryNo;
/// use basefs::node::Archive;
/// use bytes::Bytes;
///
/// /// Entries in memory, and no blocks.
/// struct Entries(Vec<Bytes>);
///
/// impl Archive for Entries {
///     type Error = Infallible;
///
///     fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
///         Ok(self.0[no.index()].clone())
///     }
///
///     fn block(&self, _: &BlockId) -> Result<Option<Bytes>, Infallible> {
///         Ok(None)
///     }
/// }
/// ```
pub trait Archive {
    /// Why something could not be read.
    type Error;

    /// The exact bytes of an admitted entry.
    ///
    /// # Errors
    ///
    /// The store failed, or the entry is not in it, which for an entry that was reported
    /// [`stored`](super::Node::stored) means damage.
    fn entry(&self, no: EntryNo) -> Result<Bytes, Self::Error>;

    /// A block, if it is here.
    ///
    /// # Errors
    ///
    /// The store failed; whether it has the block is not known.
    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Self::Error>;

    /// The length in bytes of a block, if it is here; a store that knows it without reading the
    /// block should say so.
    ///
    /// # Errors
    ///
    /// As for [`block`](Self::block).
    fn block_length(&self, id: &BlockId) -> Result<Option<usize>, Self::Error> {
        Ok(self.block(id)?.map(|block| block.len()))
    }
}

impl<A: Archive + ?Sized> Archive for &A {
    type Error = A::Error;

    fn entry(&self, no: EntryNo) -> Result<Bytes, A::Error> {
        (**self).entry(no)
    }

    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, A::Error> {
        (**self).block(id)
    }

    fn block_length(&self, id: &BlockId) -> Result<Option<usize>, A::Error> {
        (**self).block_length(id)
    }
}

/// An [`Archive`] as a source of blocks.
pub(super) struct Blocks<'a, A>(pub(super) &'a A);

impl<A: Archive> block::Source for Blocks<'_, A> {
    type Error = A::Error;

    fn block(&mut self, id: &BlockId) -> Result<Option<Bytes>, A::Error> {
        self.0.block(id)
    }

    fn length(&mut self, id: &BlockId) -> Result<Option<usize>, A::Error> {
        self.0.block_length(id)
    }
}

/// The next thing for one link: a frame, or what frames are to be made of.
///
/// Take frames with [`next_frame`](Self::next_frame) and send them, in order, until there is none;
/// then return it in [`Input::Sent`](super::Input::Sent). At most 64 KiB and one block are held
/// meanwhile.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// # let (mut ana, mut ben) = nodes::machines();
/// # nodes::connect(&mut ana, &mut ben);
/// let mut outgoing = ana.node.next_send(nodes::WIRE).expect("whoever dialled begins");
/// let frame = outgoing.next_frame(&ana.disk)?.expect("it has one");
/// println!("to send: {} bytes", frame.len());
/// assert_eq!(outgoing.next_frame(&ana.disk)?, None);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Debug)]
#[must_use = "the peer waits for it"]
pub struct Outgoing(Kind);

#[derive(Debug)]
enum Kind {
    Frame(Option<Bytes>),
    Entries(Vec<EntryNo>),
    Answer(Answer),
}

/// Blocks that a peer asked for, on their way.
#[derive(Debug)]
struct Answer {
    asked: Vec<BlockId>,
    open: vec::IntoIter<BlockId>,
    /// A block that did not fit the last frame.
    held: Option<Bytes>,
    absent: Vec<BlockId>,
    absent_told: bool,
}

impl Outgoing {
    pub(super) fn frame(frame: Bytes) -> Self {
        Self(Kind::Frame(Some(frame)))
    }

    pub(super) fn entries(numbers: Vec<EntryNo>) -> Self {
        debug_assert!(numbers.len() <= MAX_FRAME_ENTRIES, "they would not fit a frame");
        Self(Kind::Entries(numbers))
    }

    pub(super) fn answer(asked: Vec<BlockId>) -> Self {
        debug_assert!(asked.len() <= MAX_ANSWER, "those absent would not fit a frame");
        let open = asked.clone().into_iter();
        let (held, absent) = (None, Vec::new());
        Self(Kind::Answer(Answer { asked, open, held, absent, absent_told: false }))
    }

    /// Whether [`next_frame`](Self::next_frame) reads from the archive, and so may take a while.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// # let (mut ana, mut ben) = nodes::machines();
    /// # nodes::connect(&mut ana, &mut ben);
    /// let outgoing = ana.node.next_send(nodes::WIRE).expect("whoever dialled begins");
    /// assert!(!outgoing.reads(), "a session begins with what is in memory");
    /// ```
    pub fn reads(&self) -> bool {
        !matches!(self.0, Kind::Frame(_))
    }

    /// The next frame to send, or nothing after the last.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// # let (mut ana, mut ben) = nodes::machines();
    /// # nodes::connect(&mut ana, &mut ben);
    /// let mut outgoing = ana.node.next_send(nodes::WIRE).expect("whoever dialled begins");
    /// while let Some(frame) = outgoing.next_frame(&ana.disk)? {
    ///     println!("to send: {} bytes", frame.len());
    /// }
    /// # Ok::<(), std::convert::Infallible>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The archive failed. The link is of no use then: close it.
    pub fn next_frame<A: Archive>(&mut self, archive: &A) -> Result<Option<Bytes>, A::Error> {
        match &mut self.0 {
            Kind::Frame(frame) => Ok(frame.take()),
            Kind::Entries(numbers) if numbers.is_empty() => Ok(None),
            Kind::Entries(numbers) => {
                let entries = numbers.drain(..).map(|no| archive.entry(no));
                Ok(Some(Frame::Entries(entries.collect::<Result<_, _>>()?).encode()))
            }
            Kind::Answer(answer) => answer.next_frame(archive),
        }
    }

    /// What an answer consisted of: the blocks that were asked for and those that were absent.
    pub(super) fn into_answer(self) -> Option<(Vec<BlockId>, Vec<BlockId>)> {
        match self.0 {
            Kind::Answer(answer) => Some((answer.asked, answer.absent)),
            _ => None,
        }
    }
}

impl Answer {
    fn next_frame<A: Archive>(&mut self, archive: &A) -> Result<Option<Bytes>, A::Error> {
        let mut blocks = Vec::from_iter(self.held.take());
        let mut length: usize = blocks.iter().map(Bytes::len).sum();
        while length < FILL
            && let Some(id) = self.open.next()
        {
            match archive.block(&id)? {
                // A block that cannot be sent might as well be absent.
                Some(block) if (1..=MAX_LEAF).contains(&block.len()) => {
                    length += BLOCK_HEAD + block.len();
                    if length > FILL && !blocks.is_empty() {
                        self.held = Some(block);
                        break;
                    }
                    blocks.push(block);
                }
                _ => self.absent.push(id),
            }
        }
        if !blocks.is_empty() {
            return Ok(Some(Frame::Blocks(blocks).encode()));
        }
        let tell = !self.absent.is_empty() && !core::mem::replace(&mut self.absent_told, true);
        Ok(tell.then(|| Frame::Absent(self.absent.clone()).encode()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use core::convert::Infallible;

    #[derive(Default)]
    struct Shelf(BTreeMap<BlockId, Bytes>);

    impl Archive for Shelf {
        type Error = Infallible;

        fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
            Ok(Bytes::from(vec![7; 100 + no.index()]))
        }

        fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
            Ok(self.0.get(id).cloned())
        }
    }

    fn frames(outgoing: &mut Outgoing, shelf: &Shelf) -> Vec<Frame> {
        let next = || outgoing.next_frame(shelf).unwrap();
        core::iter::from_fn(next).map(|frame| Frame::decode(&frame).unwrap()).collect()
    }

    #[test]
    fn small_blocks_share_a_frame_and_large_ones_do_not() {
        let mut shelf = Shelf::default();
        let mut ids = Vec::new();
        for length in [1_000, 2_000, 3_000, 60_000, 262_144, 10] {
            let block = Bytes::from(vec![1; length]);
            ids.push(block::id(&block));
            shelf.0.insert(block::id(&block), block);
        }
        let missing = BlockId::from_bytes([9; 32]);
        ids.insert(1, missing);
        let mut outgoing = Outgoing::answer(ids.clone());
        let lengths: Vec<Vec<usize>> = frames(&mut outgoing, &shelf)
            .into_iter()
            .map(|frame| match frame {
                Frame::Blocks(blocks) => blocks.iter().map(Bytes::len).collect(),
                other => {
                    assert_eq!(other, Frame::Absent(vec![missing]));
                    Vec::new()
                }
            })
            .collect();
        let expected =
            [vec![1_000, 2_000, 3_000], vec![60_000], vec![262_144], vec![10], Vec::new()];
        assert_eq!(lengths, expected);
        assert_eq!(outgoing.into_answer(), Some((ids, vec![missing])));
    }

    #[test]
    fn entries_make_one_frame() {
        let numbers = (0..3).filter_map(EntryNo::from_index).collect();
        let mut outgoing = Outgoing::entries(numbers);
        let frames = frames(&mut outgoing, &Shelf::default());
        let [Frame::Entries(entries)] = &frames[..] else { panic!("not one frame of entries") };
        assert_eq!(entries.iter().map(Bytes::len).collect::<Vec<_>>(), [100, 101, 102]);
    }
}
