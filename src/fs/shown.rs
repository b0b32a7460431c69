//! What is looked at: the present, or the hierarchy as it was at a version.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::authority::Authority;
use crate::fs::engine::Engine;
use crate::fs::path::{Target, join};
use crate::log::{DirNo, EntryNo, Log, SlotNo};
use crate::node::Replica;
use crate::view::{Node, NodeKind, Past, View};

/// A log, and authority and view over it or over a part of it.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) log: &'a Log,
    pub(super) authority: &'a Authority,
    pub(super) view: &'a View,
}

impl<'a> Shown<'a> {
    pub(super) fn now(replica: &'a Replica) -> Self {
        Self { log: replica.log(), authority: replica.authority(), view: replica.view() }
    }

    pub(super) fn past(replica: &'a Replica, past: &'a Past) -> Self {
        Self { log: replica.log(), authority: past.authority(), view: past.view() }
    }

    /// What a path shows.
    pub(super) fn resolve(self, names: &[&str]) -> Option<Node> {
        self.view.resolve(self.log, self.authority, names.iter().copied())
    }

    /// What a path shows, in the tree or in a directory that lost its place in it.
    pub(super) fn find(self, at: &Target<'_>) -> Option<Node> {
        let Some(lost) = at.lost else { return self.resolve(&at.names) };
        let dir = self.log.dir(&lost)?;
        let listed = self.lost();
        if !listed.contains(&dir) {
            return None;
        }
        let mut node = Node { slot: None, winner: None, kind: NodeKind::Dir(dir) };
        for (depth, name) in at.names.iter().enumerate() {
            let NodeKind::Dir(dir) = node.kind else { return None };
            node = self.node(self.log.child(dir, name)?, depth, &listed)?;
        }
        Some(node)
    }

    /// What a slot shows, in a directory at a depth. A directory that contains itself is reached
    /// only where it is listed, and elsewhere a link that leads nowhere.
    // rule: TREE-4
    pub(super) fn node(self, slot: SlotNo, depth: usize, lost: &BTreeSet<DirNo>) -> Option<Node> {
        let mut node = self.view.node_at_depth(self.log, self.authority, slot, depth)?;
        if let NodeKind::Dir(dir) = node.kind
            && lost.contains(&dir)
        {
            node.kind = NodeKind::Alias(dir);
        }
        Some(node)
    }

    pub(super) fn lost(self) -> BTreeSet<DirNo> {
        self.view.lost_and_found(self.log, self.authority).into_iter().collect()
    }

    /// The path of a directory, if it is shown.
    pub(super) fn path_of(self, dir: DirNo) -> Option<String> {
        self.view.path_of_dir(self.log, self.authority, dir).map(|names| join(&names))
    }

    /// The path of a slot as components, if its directory is shown.
    pub(super) fn names_of(self, slot: SlotNo) -> Option<Vec<Arc<str>>> {
        let dir = self.log.slot_dir(slot);
        let mut names = self.view.path_of_dir(self.log, self.authority, dir)?;
        names.push(self.log.slot_name(slot).clone());
        Some(names)
    }

    /// The path of a slot; where its directory is not shown, the path that it was made under.
    pub(super) fn path_of_slot(self, slot: SlotNo) -> String {
        join(&self.names_of(slot).unwrap_or_else(|| self.made_at(slot)))
    }

    /// The path of what an entry is about: its slot, or the directory that it governs.
    pub(super) fn path_of_entry(self, no: EntryNo) -> String {
        match (self.log.slot_of(no), self.log.dir_of(no)) {
            (Some(slot), _) => self.path_of_slot(slot),
            (None, Some(dir)) => self.path_of(dir).unwrap_or_else(|| join(&self.dir_made_at(dir))),
            (None, None) => String::from("/"),
        }
    }

    /// The components of the path that a slot was made under, whatever moved since.
    pub(super) fn made_at(self, slot: SlotNo) -> Vec<Arc<str>> {
        let homes =
            core::iter::successors(Some(slot), |slot| self.log.home(self.log.slot_dir(*slot)));
        let mut names: Vec<Arc<str>> = homes.map(|slot| self.log.slot_name(slot).clone()).collect();
        names.reverse();
        names
    }

    /// The components of the path that a directory was made at.
    pub(super) fn dir_made_at(self, dir: DirNo) -> Vec<Arc<str>> {
        self.log.home(dir).map_or_else(Vec::new, |home| self.made_at(home))
    }
}

/// An engine, looked at as it is or as it was.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) engine: &'a Engine,
    pub(super) past: Option<&'a Past>,
}

impl Engine {
    /// The present.
    pub(super) fn now(&self) -> Reading<'_> {
        Reading { engine: self, past: None }
    }
}

impl Reading<'_> {
    /// Looks at the state; other readers are not kept out.
    pub(super) fn look<T>(self, look: impl FnOnce(Shown<'_>) -> T) -> T {
        self.engine.read(|node| {
            let replica = node.replica();
            look(self.past.map_or_else(|| Shown::now(replica), |past| Shown::past(replica, past)))
        })
    }
}
