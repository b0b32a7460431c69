//! What only hostile hosts do.

use basefs::id::EntryId;

use super::author;
use super::hosts::World;

impl World {
    /// A host signs two different entries with the same number, and lets one host have the one and
    /// another the other.
    pub fn equivocate(&mut self, at: usize, told: [usize; 2], name: &str) -> [EntryId; 2] {
        let grant = self.founding[at + 1].id();
        let node = self.hosts[at].node.as_ref().expect("only a host that is up can write");
        let replica = node.replica();
        let written = [&b"one"[..], b"other"]
            .map(|bytes| author::write(replica, at, grant, name, &bytes.to_vec().into()));
        let [one, other] = written.map(|written| written.entry);
        [self.offer(told[0], one, None), self.offer(told[1], other, None)]
    }
}
