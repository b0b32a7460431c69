//! A replica and its conversations behind one vocabulary of inputs and outputs.

mod replica;

use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::VerifiedEntry;
use crate::id::{BlockId, Content};
use crate::log::{Offered, Source};

pub use replica::{Effects, Replica, Restore, RestoreError};

/// A replica with its effects.
#[derive(Debug)]
pub struct Node {
    replica: Replica,
    effects: Effects,
}

impl Node {
    /// Wraps a replica.
    pub fn new(replica: Replica, _random: [u8; 32]) -> Self {
        Self { replica, effects: Effects::default() }
    }

    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Offers a local entry.
    pub fn offer(&mut self, entry: VerifiedEntry) -> Offered {
        self.replica.offer(entry, Source::Local, &mut self.effects)
    }

    /// Notes a local content.
    pub fn complete(&mut self, content: &Content) {
        self.replica.complete(content, &mut self.effects);
    }

    /// Stores blocks.
    pub fn store_blocks(&mut self, blocks: Vec<(BlockId, Bytes)>) {
        self.effects.blocks.extend(blocks);
    }

    /// Takes the effects.
    pub fn take_effects(&mut self) -> Effects {
        core::mem::take(&mut self.effects)
    }
}
