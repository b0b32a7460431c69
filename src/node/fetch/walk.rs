//! Looking up which blocks of contents are here: an effect, for it reads the store.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::block::{Progress, Source, SourceError, Walker};
use crate::id::BlockId;
use crate::log::ContentNo;
use crate::node::outgoing::{Archive, Blocks};

/// One content whose blocks are to be looked up.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) content: ContentNo,
    pub(super) walker: Walker,
    /// What came of it; nothing if the store failed or was not asked.
    pub(super) progress: Option<Progress>,
}

/// Contents whose blocks are to be looked up in the store.
///
/// [`run`](Self::run) it wherever blocking is allowed, then give it back in
/// [`Input::Walked`](crate::node::Input::Walked).
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::node::{Input, Output};
/// use basefs::time::Timestamp;
///
/// let (mut ana, _) = nodes::connected();
/// ana.node.offer(nodes::film());
/// ana.node.handle(Timestamp::ZERO, Input::Timeout);
/// let mut outputs = std::iter::from_fn(|| ana.node.poll_output());
/// let walk = outputs.find_map(|output| if let Output::Walk(walk) = output { Some(walk) } else { None });
/// let mut walk = walk.expect("the content may be here in part");
/// walk.run(&ana.disk)?;
/// ana.node.handle(Timestamp::ZERO, Input::Walked(walk));
/// assert_eq!(ana.node.wanted(), 1, "it is not here");
/// # Ok::<(), basefs::block::SourceError<std::convert::Infallible>>(())
/// ```
#[must_use = "no content arrives while it is out"]
pub struct Walk {
    pub(super) jobs: Vec<Job>,
    /// Blocks that were accepted and may not be stored yet.
    pub(super) fresh: BTreeMap<BlockId, Bytes>,
}

impl Walk {
    /// Does the looking up: some thousand questions to the archive at most.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::node::{Input, Output};
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, _) = nodes::connected();
    /// ana.node.offer(nodes::film());
    /// ana.node.handle(Timestamp::ZERO, Input::Timeout);
    /// let mut outputs = std::iter::from_fn(|| ana.node.poll_output());
    /// let walk = outputs.find_map(|output| if let Output::Walk(walk) = output { Some(walk) } else { None });
    /// let mut walk = walk.expect("the content may be here in part");
    /// walk.run(&ana.disk)?;
    /// ana.node.handle(Timestamp::ZERO, Input::Walked(walk));
    /// assert_eq!(ana.node.wanted(), 1, "it is not here");
    /// # Ok::<(), basefs::block::SourceError<std::convert::Infallible>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The archive failed. Give the walk back all the same: what was not looked up is tried again
    /// later.
    pub fn run<A: Archive>(&mut self, archive: &A) -> Result<(), SourceError<A::Error>> {
        for job in &mut self.jobs {
            let mut source = Overlay { fresh: &self.fresh, stored: Blocks(archive) };
            job.progress = Some(job.walker.advance(&mut source)?);
        }
        Ok(())
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("contents", &self.jobs.len()).finish_non_exhaustive()
    }
}

/// Blocks on their way to the store, before those in it.
struct Overlay<'a, A> {
    fresh: &'a BTreeMap<BlockId, Bytes>,
    stored: Blocks<'a, A>,
}

impl<A: Archive> Source for Overlay<'_, A> {
    type Error = A::Error;

    fn block(&mut self, id: &BlockId) -> Result<Option<Bytes>, A::Error> {
        match self.fresh.get(id) {
            Some(block) => Ok(Some(block.clone())),
            None => self.stored.block(id),
        }
    }

    fn length(&mut self, id: &BlockId) -> Result<Option<usize>, A::Error> {
        match self.fresh.get(id) {
            Some(block) => Ok(Some(block.len())),
            None => self.stored.length(id),
        }
    }
}

/// Stands for a store that must not be asked here: a walk that needs it stops.
pub(super) struct Elsewhere;

impl Source for Elsewhere {
    type Error = Elsewhere;

    fn block(&mut self, _id: &BlockId) -> Result<Option<Bytes>, Elsewhere> {
        Err(Elsewhere)
    }
}
