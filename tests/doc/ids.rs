// Entries that consist of their id, in the order of their ids: all that the examples of
// reconciliation need. Included by the examples, public to nobody.

use std::cmp::Ordering;

use basefs::id::EntryId;
use basefs::sync::{Order, Session, Tree};

/// One id for each number.
pub struct Ids(pub Vec<[u8; 32]>);

impl Ids {
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| [*byte; 32]).collect())
    }

    /// A tree of all of them.
    pub fn tree(&self) -> Tree {
        Tree::load(self, (0..).take(self.0.len()).collect(), None)
    }
}

impl Order for Ids {
    fn compare(&self, a: u32, b: u32) -> Ordering {
        self.0[a as usize].cmp(&self.0[b as usize])
    }

    fn compare_key(&self, a: u32, key: &[u8]) -> Ordering {
        self.0[a as usize][..].cmp(key)
    }

    fn order_key(&self, a: u32) -> Vec<u8> {
        self.0[a as usize].to_vec()
    }

    fn id(&self, a: u32) -> EntryId {
        EntryId::from_bytes(self.0[a as usize])
    }
}

/// Carries messages between two sessions until neither has any.
pub fn converse(a: &mut Session, at_a: &Ids, b: &mut Session, at_b: &Ids) {
    let (mut tree_a, mut tree_b) = (at_a.tree(), at_b.tree());
    loop {
        while a.advance(&mut tree_a, at_a).expect("an honest peer") {}
        while b.advance(&mut tree_b, at_b).expect("an honest peer") {}
        let messages = [a.poll_transmit(), b.poll_transmit()];
        if let Some(message) = &messages[0] {
            b.handle(message).expect("an honest peer");
        }
        if let Some(message) = &messages[1] {
            a.handle(message).expect("an honest peer");
        }
        if messages == [None, None] {
            return;
        }
    }
}
