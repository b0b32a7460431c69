//! Operations that make many entries, to reach a limit.

use basefs::entry::{Payload, Rights};
use basefs::limits::{MAX_DELEGATION, MAX_DEPTH, MAX_NAME, MAX_PATH};

use super::compose::Place;
use super::operation::{Act, After, Big};
use super::world::{World, key, plain};

impl World {
    /// At most one in a log: they are long.
    pub(super) fn do_big(&mut self, author: usize, big: Big) {
        if core::mem::replace(&mut self.has_big, true) {
            return;
        }
        match big {
            Big::Tower => self.tower(author),
            Big::LongPath => self.long_path(author),
            Big::Delegation => self.delegation(),
        }
    }

    /// Directories in each other, below the root; gives the topmost and the deepest.
    fn nest(&mut self, author: usize, name: &'static str, count: usize) -> Option<[usize; 2]> {
        let operation = plain(author, Act::Mkdir, 0);
        let (mut dir, mut top) = (0, None);
        for _ in 0..count {
            self.make(&operation, Place { dir, name }, Payload::Mkdir)?;
            dir = self.known_dirs(author).last().copied()?;
            top = top.or(Some(dir));
        }
        Some([top?, dir])
    }

    /// Each half is allowed, and so is the move; together they are deeper than a path may be.
    fn tower(&mut self, author: usize) {
        let half = usize::from(MAX_DEPTH) / 2 + 1;
        let Some([_, deepest]) = self.nest(author, "low", half) else { return };
        let Some([_, _]) = self.nest(author, "high", half) else { return };
        let operation = plain(author, Act::Mkdir, 0);
        let (from, to) = (Place { dir: 0, name: "high" }, Place { dir: deepest, name: "high" });
        let Some(target) = self.tips(author, from).last().copied() else { return };
        let Some(link) = self.make(&operation, to, Payload::Link { target }) else { return };
        let moved_to = Some(self.made[link].entry.id());
        self.make(&operation, from, Payload::Delete { moved_to });
    }

    fn long_path(&mut self, author: usize) {
        const LONG: &str = match core::str::from_utf8(&[b'n'; MAX_NAME]) {
            Ok(name) => name,
            Err(_) => "",
        };
        self.nest(author, LONG, MAX_PATH / (MAX_NAME + 1) + 1);
    }

    /// A root grants somebody, who grants somebody else, who grants the first again.
    fn delegation(&mut self) {
        for step in 0..=usize::from(MAX_DELEGATION) {
            let (author, who) = match step {
                0 => (0, 4),
                _ if step % 2 == 1 => (4, 5),
                _ => (5, 4),
            };
            self.hear(author, 0);
            self.hear(author, 9 - author.max(4));
            let payload =
                Payload::Grant { who: key(who).public(), rights: Rights::All, after: Vec::new() };
            let operation =
                plain(author, Act::Grant { who, rights: Rights::All, after: After::Nothing }, 0);
            self.make(&operation, Place { dir: 0, name: "" }, payload);
        }
    }
}
