//! The watches of an engine, found by the paths that they are of.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound::{Included, Unbounded};

use parking_lot::Mutex;

use super::cursor::Position;
use super::news::{News, Told};
use super::queue::Queue;
use super::tracking::Tracking;
use crate::fs::engine::{Queued, Ticket};
use crate::id::PublicKey;
use crate::node::{Effects, Replica};

/// A path as components; in the order of such paths, what is below one follows it directly.
pub(super) type Names = Vec<Arc<str>>;

/// The watches by subtree.
#[derive(Debug, Default)]
struct Index {
    subtrees: BTreeMap<Names, BTreeMap<u64, Arc<Queue>>>,
    next: u64,
    /// Subtrees looked at for the sake of events; a measure of work, for tests.
    looked_at: u64,
}

impl Index {
    /// Calls for every watch that a path concerns: those of subtrees that contain it, and those of
    /// subtrees in it, all of which changes with a directory above. Costs what is found, and the
    /// depth of the path.
    fn each_concerned(&mut self, names: &[Arc<str>], mut tell: impl FnMut(u64, &Arc<Queue>)) {
        for depth in 0..names.len() {
            self.looked_at += 1;
            let watches = self.subtrees.get(&names[..depth]);
            watches.into_iter().flatten().for_each(|(id, queue)| tell(*id, queue));
        }
        for (subtree, watches) in self.subtrees.range::<[Arc<str>], _>((Included(names), Unbounded))
        {
            self.looked_at += 1;
            if !subtree.starts_with(names) {
                break;
            }
            watches.iter().for_each(|(id, queue)| tell(*id, queue));
        }
    }
}

/// The watches of an engine.
#[derive(Debug, Default)]
pub(in crate::fs) struct Watchers {
    index: Mutex<Index>,
    /// What is durable and has been told of.
    published: Mutex<Position>,
    /// What is kept to notice changes by; nothing while nobody watches.
    tracking: Mutex<Option<Tracking>>,
}

impl Watchers {
    /// For a replica that was opened at a position.
    pub(in crate::fs) fn new(at: Position) -> Self {
        Self { published: Mutex::new(at), ..Self::default() }
    }

    /// Registers a watch; the caller holds the state, so that nothing changes meanwhile.
    pub(super) fn add(&self, subtree: Names, queue: Arc<Queue>, replica: &Replica) -> u64 {
        let mut index = self.index.lock();
        index.next += 1;
        let id = index.next;
        index.subtrees.entry(subtree).or_default().insert(id, queue);
        self.tracking.lock().get_or_insert_with(|| Tracking::of(replica));
        id
    }

    pub(super) fn remove(&self, subtree: &[Arc<str>], id: u64) {
        let mut index = self.index.lock();
        if let Some(watches) = index.subtrees.get_mut(subtree) {
            watches.remove(&id);
            if watches.is_empty() {
                index.subtrees.remove(subtree);
            }
        }
        if index.subtrees.is_empty() {
            *self.tracking.lock() = None;
        }
    }

    /// How far everything has been told.
    pub(in crate::fs) fn published(&self) -> Position {
        *self.published.lock()
    }

    /// What a change is to those who watch, in words. Called while nothing else changes: later the
    /// paths may be others. Costs nothing while nobody watches.
    pub(in crate::fs) fn describe(
        &self,
        replica: &Replica,
        effects: &Effects,
        own: &PublicKey,
    ) -> Vec<News> {
        match &mut *self.tracking.lock() {
            Some(tracking) => Told { replica, effects, own }.news(tracking),
            None => Vec::new(),
        }
    }

    /// Tells every watch what concerns it, once it is durable.
    pub(in crate::fs) fn publish(&self, queue: &[Queued]) {
        let mut woken: BTreeMap<u64, Arc<Queue>> = BTreeMap::new();
        let mut since = self.published();
        for Queued { ticket, news, position, .. } in queue {
            self.tell(*ticket, since, news, &mut woken);
            since = *position;
        }
        // After the events: where nothing waits, everything up to here has been told.
        *self.published.lock() = since;
        woken.values().for_each(|queue| queue.wake());
    }

    fn tell(
        &self,
        ticket: Ticket,
        since: Position,
        news: &[News],
        woken: &mut BTreeMap<u64, Arc<Queue>>,
    ) {
        if news.is_empty() {
            return;
        }
        let mut index = self.index.lock();
        for News { names, event } in news {
            index.each_concerned(names, |id, queue| {
                if queue.state.lock().push(ticket, since, event) {
                    woken.entry(id).or_insert_with(|| Arc::clone(queue));
                }
            });
        }
    }
}

/// A path in components.
pub(super) fn names(parsed: &[&str]) -> Names {
    parsed.iter().map(|name| Arc::from(*name)).collect()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    fn split(path: &str) -> Names {
        path.split('/').filter(|name| !name.is_empty()).map(Arc::from).collect()
    }

    fn index(paths: impl IntoIterator<Item = String>) -> Index {
        let mut index = Index::default();
        for (id, path) in (0..).zip(paths) {
            let queue = Arc::new(Queue::new(Ticket::ZERO));
            index.subtrees.entry(split(&path)).or_default().insert(id, queue);
        }
        index
    }

    #[test]
    fn a_path_concerns_what_contains_it_and_what_is_in_it() {
        let paths = ["/", "/a", "/a/b", "/a/b/c", "/a/bc", "/b", "/a"].map(String::from);
        let mut index = index(paths);
        let mut concerned = |path: &str| {
            let mut ids = Vec::new();
            index.each_concerned(&split(path), |id, _| ids.push(id));
            ids.sort_unstable();
            ids
        };
        assert_eq!(concerned("/a/b"), [0, 1, 2, 3, 6]);
        assert_eq!(concerned("/a/b/c/d"), [0, 1, 2, 3, 6]);
        assert_eq!(concerned("/a"), [0, 1, 2, 3, 4, 6]);
        assert_eq!(concerned("/c"), [0]);
        assert_eq!(concerned("/"), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_hundred_watches_cost_a_write_only_those_that_it_matches() {
        let mut index = index((0..100).map(|n| format!("/dir{n:02}/deep/down")));
        let mut matches = 0;
        for n in 0..100_000 {
            let path = split(&format!("/dir{:02}/deep/down/{n}", n % 100));
            index.each_concerned(&path, |_, _| matches += 1);
        }
        assert_eq!(matches, 100_000, "each concerns one watch");
        // The root and three directories, and what follows in order.
        assert!(index.looked_at <= 100_000 * 5, "{} of 100 each", index.looked_at);
        index.looked_at = 0;
        index.each_concerned(&split("/elsewhere/deep/down"), |_, _| matches += 1);
        assert!(index.looked_at <= 4, "{} for none", index.looked_at);
    }
}
