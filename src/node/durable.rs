//! What the host is to store, and what it has stored: only that leaves the node.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Effects, LogOrder, Node};
use crate::id::{BlockId, Content};

/// Entries admitted and not durable before links are no longer read: about 8 MiB.
const MAX_UNSTORED: usize = 8_192;

/// Effects that the host is storing.
#[derive(Debug)]
pub(super) struct Taken {
    mark: u64,
    /// Entries up to here are among them.
    entries: usize,
    blocks: Vec<BlockId>,
    /// Roots of contents that became complete, which may have been written here.
    roots: Vec<BlockId>,
}

impl Node {
    /// Notes that a content is here in full. The caller has stored its blocks, or stores them with
    /// the effects. Said before the entry that names it is offered, that entry is ready at once.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::block;
    /// use basefs::id::Content;
    /// use bytes::Bytes;
    ///
    /// let (mut ana, _) = nodes::machines();
    /// let bytes = Bytes::from_static(b"content of one block");
    /// let content = Content { root: block::id(&bytes), size: bytes.len() as u64, levels: 0 };
    /// ana.node.add_blocks(vec![(content.root, bytes)]);
    /// ana.node.complete(&content);
    /// let effects = ana.node.take_effects();
    /// assert_eq!((effects.completed, effects.blocks.len()), (vec![content], 1));
    /// ```
    pub fn complete(&mut self, content: &Content) {
        self.replica.complete(content, &mut self.effects);
    }

    /// Adds blocks of local content to the effects.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::block;
    /// use bytes::Bytes;
    ///
    /// let (mut ana, _) = nodes::machines();
    /// let bytes = Bytes::from_static(b"content of one block");
    /// let id = block::id(&bytes);
    /// ana.node.add_blocks(vec![(id, bytes)]);
    /// ana.store();
    /// assert!(ana.disk.blocks.contains_key(&id));
    /// ```
    pub fn add_blocks(&mut self, blocks: Vec<(BlockId, Bytes)>) {
        self.effects.blocks.extend(blocks);
    }

    /// Whether there is something to store.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (mut ana, _) = nodes::machines();
    /// assert!(!ana.node.has_effects());
    /// ana.node.offer(nodes::motd());
    /// assert!(ana.node.has_effects());
    /// ```
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Takes what the host must store now, in one atomic batch, after whatever was taken before.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (mut ana, _) = nodes::machines();
    /// ana.node.offer(nodes::motd());
    /// let effects = ana.node.take_effects();
    /// ana.disk.store(&effects); // in one transaction
    /// ana.node.stored(effects.mark);
    /// assert_eq!((effects.admitted.len(), ana.node.durable()), (1, 2));
    /// ```
    #[must_use = "effects taken and not stored are lost"]
    pub fn take_effects(&mut self) -> Effects {
        let mark = self.next_mark;
        let effects = core::mem::take(&mut self.effects);
        self.store_asked = false;
        self.next_mark += 1;
        self.taken.push_back(Taken {
            mark,
            entries: self.replica.log().len(),
            blocks: effects.blocks.iter().map(|(id, _)| *id).collect(),
            roots: effects.completed.iter().map(|content| content.root).collect(),
        });
        Effects { mark, ..effects }
    }

    /// Effects are durable, and so is everything that was taken before them: entries may now leave
    /// the node. The mark is that of [`Effects::mark`]; another one says nothing new.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (mut ana, _) = nodes::machines();
    /// ana.node.offer(nodes::motd());
    /// assert_eq!(ana.node.durable(), 1, "only the genesis");
    /// let effects = ana.node.take_effects();
    /// ana.node.stored(effects.mark);
    /// assert_eq!(ana.node.durable(), 2);
    /// ```
    pub fn stored(&mut self, mark: u64) {
        while let Some(taken) = self.taken.pop_front_if(|taken| taken.mark <= mark) {
            let order = LogOrder(self.replica.log());
            for number in self.durable..taken.entries {
                // Entries are numbered in 32 bits.
                self.tree.insert(&order, u32::try_from(number).unwrap_or(u32::MAX));
            }
            if self.durable < taken.entries {
                self.claims.changed(self.now);
                self.standings.outdate_own();
            }
            self.durable = taken.entries;
            self.fetcher.stored(&taken.blocks);
            for link in self.links.values_mut() {
                link.stored(taken.blocks.iter().chain(&taken.roots));
            }
        }
        self.spread_durable();
        self.answer_awaits(..);
        self.more = true;
    }

    pub(super) fn has_room(&self) -> bool {
        self.replica.log().len() - self.durable < MAX_UNSTORED
    }
}
