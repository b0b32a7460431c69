//! Inodes: the numbers that the kernel knows paths by.
//!
//! A number belongs to what was found at a path, and goes along when that is renamed through the
//! mount. It is kept while the kernel remembers it or has it open; after that, the same path gets
//! another one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::time::SystemTime;

use fuser::{Errno, FileType, INodeNo};
use parking_lot::Mutex;

use crate::fuse::errno::Result;
use crate::fuse::file::OpenFile;
use crate::id::EntryId;

/// What the kernel knows under a number.
#[derive(Debug)]
pub(super) struct Node {
    /// None once it was removed or replaced: it is there for those who have it open.
    pub(super) path: Option<String>,
    /// Where what is written to it goes, while a peer's newer version has the path.
    home: Option<String>,
    /// A peer's newer version, or nothing, has the path. The kernel may look here once more before
    /// it is told.
    pub(super) is_parted: bool,
    pub(super) kind: FileType,
    /// How often the kernel was told the number and has not forgotten it.
    lookups: u64,
    /// Handles that are open.
    handles: u32,
    pub(super) file: Option<Arc<Mutex<OpenFile>>>,
    /// It was created through the mount, and there is no entry of it yet.
    pub(super) is_new: bool,
    /// The time that goes with a version: read once.
    pub(super) written: Option<(EntryId, SystemTime)>,
    /// The version whose length the kernel was told.
    pub(super) told: Option<EntryId>,
    /// It was told of more than one: answers on the way to it can be of an older one.
    pub(super) is_renewed: bool,
    /// Somebody has it open who may write to it.
    pub(super) is_written: bool,
    /// When a name in a directory last changed, as far as this mount has seen.
    pub(super) touched: Option<SystemTime>,
}

impl Node {
    /// Where what is written to it goes. None if nobody is to find it.
    pub(super) fn place(&self) -> Option<&String> {
        self.path.as_ref().or(self.home.as_ref())
    }

    /// The kernel is told the length of a version.
    pub(super) fn tell(&mut self, version: Option<EntryId>) {
        self.is_renewed |= self.told.is_some() && self.told != version;
        self.told = version;
    }

    fn new(path: Option<String>, kind: FileType) -> Self {
        Self {
            path,
            home: None,
            is_parted: false,
            kind,
            lookups: 0,
            handles: 0,
            file: None,
            is_new: false,
            written: None,
            told: None,
            is_renewed: false,
            is_written: false,
            touched: None,
        }
    }
}

/// All that the kernel knows.
#[derive(Debug)]
pub(super) struct Table {
    nodes: BTreeMap<u64, Node>,
    paths: BTreeMap<String, u64>,
    /// Those that have a home and no path.
    parted: BTreeSet<u64>,
    next: u64,
}

impl Table {
    /// With the root, which is never forgotten.
    pub(super) fn new() -> Self {
        let root = INodeNo::ROOT.0;
        let mut node = Node::new(Some(String::from("/")), FileType::Directory);
        node.lookups = 1;
        Self {
            nodes: BTreeMap::from([(root, node)]),
            paths: BTreeMap::from([(String::from("/"), root)]),
            parted: BTreeSet::new(),
            next: root + 1,
        }
    }

    pub(super) fn node(&self, ino: INodeNo) -> Result<&Node> {
        self.nodes.get(&ino.0).ok_or(Errno::ESTALE)
    }

    pub(super) fn node_mut(&mut self, ino: INodeNo) -> Result<&mut Node> {
        self.nodes.get_mut(&ino.0).ok_or(Errno::ESTALE)
    }

    /// The path of something that was not removed.
    pub(super) fn path(&self, ino: INodeNo) -> Result<String> {
        self.node(ino)?.path.clone().ok_or(Errno::ENOENT)
    }

    pub(super) fn ino(&self, path: &str) -> Option<INodeNo> {
        self.paths.get(path).copied().map(INodeNo)
    }

    /// The number of what is at a path. What is there can be of another kind than before, when a
    /// peer has replaced it: that is something else, for the kernel too.
    pub(super) fn find_or_add(&mut self, path: &str, kind: FileType) -> INodeNo {
        if let Some(ino) = self.ino(path) {
            if self.nodes.get(&ino.0).is_some_and(|node| node.kind == kind) {
                return ino;
            }
            self.part(path);
        }
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, Node::new(Some(path.into()), kind));
        self.paths.insert(path.into(), ino);
        INodeNo(ino)
    }

    /// The kernel was told a number once more.
    pub(super) fn remember(&mut self, ino: INodeNo) {
        if let Some(node) = self.nodes.get_mut(&ino.0) {
            node.lookups += 1;
        }
    }

    pub(super) fn forget(&mut self, ino: INodeNo, times: u64) {
        if let Some(node) = self.nodes.get_mut(&ino.0) {
            node.lookups = node.lookups.saturating_sub(times);
            self.tidy(ino);
        }
    }

    pub(super) fn opened(&mut self, ino: INodeNo) -> Result<()> {
        self.node_mut(ino)?.handles += 1;
        Ok(())
    }

    /// Whether the last handle was closed. The content that was open goes with it.
    pub(super) fn closed(&mut self, ino: INodeNo) -> bool {
        let Some(node) = self.nodes.get_mut(&ino.0) else { return false };
        node.handles = node.handles.saturating_sub(1);
        if node.handles > 0 {
            return false;
        }
        node.file = None;
        node.is_written = false;
        node.home = None;
        self.parted.remove(&ino.0);
        self.tidy(ino);
        true
    }

    pub(super) fn is_open(&self, ino: INodeNo) -> bool {
        self.nodes.get(&ino.0).is_some_and(|node| node.handles > 0)
    }

    /// Removes what nobody knows any more.
    fn tidy(&mut self, ino: INodeNo) {
        let is_known = |node: &Node| node.lookups > 0 || node.handles > 0 || node.is_new;
        if ino == INodeNo::ROOT || self.nodes.get(&ino.0).is_none_or(is_known) {
            return;
        }
        self.parted.remove(&ino.0);
        if let Some(path) = self.nodes.remove(&ino.0).and_then(|node| node.path) {
            self.paths.remove(&path);
        }
    }

    /// Something newer, or nothing, is at a path and below it because a peer says so. Those who have
    /// the old one open keep it, and what they write to it still becomes a version of the path.
    pub(super) fn part(&mut self, path: &str) {
        let all = self.at_and_below(path).into_iter();
        let known: Vec<_> = all.filter_map(|path| Some((self.ino(&path)?, path))).collect();
        self.detach(path);
        for (ino, path) in known {
            let Some(node) = self.nodes.get_mut(&ino.0) else { continue };
            node.is_parted = true;
            if node.is_written {
                node.home = Some(path);
                self.parted.insert(ino.0);
            }
        }
    }

    /// What is written to those that have no path is for nobody any more.
    pub(super) fn abandon(&mut self, path: &str) {
        self.move_homes(path, None);
    }

    fn move_homes(&mut self, from: &str, to: Option<&str>) {
        let nodes = &mut self.nodes;
        self.parted.retain(|ino| {
            let Some(node) = nodes.get_mut(ino) else { return false };
            let home = node.home.as_deref().and_then(|home| home.strip_prefix(from));
            if let Some(rest) = home.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                node.home = to.map(|to| String::from(to) + rest);
            }
            node.home.is_some()
        });
    }

    /// Nothing is at a path any more, nor below it. Those who have it open keep it.
    pub(super) fn detach(&mut self, path: &str) {
        for path in self.at_and_below(path) {
            let Some(ino) = self.paths.remove(&path) else { continue };
            if let Some(node) = self.nodes.get_mut(&ino) {
                node.path = None;
                node.is_new = false;
            }
            self.tidy(INodeNo(ino));
        }
    }

    /// What was at a path, and below it, is at another now.
    pub(super) fn moved(&mut self, from: &str, to: &str) {
        self.detach(to);
        self.abandon(to);
        self.move_homes(from, Some(to));
        for path in self.at_and_below(from) {
            let Some(ino) = self.paths.remove(&path) else { continue };
            let moved = String::from(to) + path.get(from.len()..).unwrap_or_default();
            if let Some(node) = self.nodes.get_mut(&ino) {
                node.path = Some(moved.clone());
            }
            self.paths.insert(moved, ino);
        }
    }

    /// The known paths at and below one.
    pub(super) fn at_and_below(&self, path: &str) -> Vec<String> {
        let own = self.paths.get_key_value(path).map(|(path, _)| path.clone());
        own.into_iter().chain(self.below(path).map(|(path, _)| path.clone())).collect()
    }

    fn below(&self, dir: &str) -> impl Iterator<Item = (&String, &u64)> {
        let prefix = String::from(dir.trim_end_matches('/')) + "/";
        let all = self.paths.range(prefix.clone()..);
        all.take_while(move |(path, _)| path.starts_with(&prefix)).filter(|(path, _)| *path != "/")
    }

    /// What was created in a directory and has no entry yet: names and numbers.
    pub(super) fn new_in(&self, dir: &str) -> Vec<(String, INodeNo)> {
        let is_child = |path: &str| super::split(path).is_some_and(|(parent, _)| parent == dir);
        let new = self.below(dir).filter(|(path, ino)| {
            is_child(path) && self.nodes.get(ino).is_some_and(|node| node.is_new)
        });
        let name = |path: &str| super::split(path).map(|(_, name)| String::from(name));
        new.filter_map(|(path, ino)| Some((name(path)?, INodeNo(*ino)))).collect()
    }

    /// A name in a directory has changed.
    pub(super) fn touch(&mut self, dir: &str) {
        let ino = self.paths.get(dir).copied();
        if let Some(node) = ino.and_then(|ino| self.nodes.get_mut(&ino)) {
            node.touched = Some(SystemTime::now());
        }
    }

    /// All that is open.
    pub(super) fn open_files(&self) -> Vec<INodeNo> {
        let open = self.nodes.iter().filter(|(_, node)| node.file.is_some());
        open.map(|(ino, _)| INodeNo(*ino)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_while_the_kernel_remembers_it() {
        let mut table = Table::new();
        let ino = table.find_or_add("/a", FileType::RegularFile);
        table.remember(ino);
        table.remember(ino);
        table.forget(ino, 1);
        assert_eq!(table.find_or_add("/a", FileType::RegularFile), ino);
        table.forget(ino, 1);
        assert_eq!(table.ino("/a"), None);
        table.forget(INodeNo::ROOT, 100);
        assert!(table.path(INodeNo::ROOT).is_ok());
    }

    #[test]
    fn numbers_go_along_and_what_was_replaced_is_kept_for_those_who_have_it_open() {
        let mut table = Table::new();
        let (dir, inner) = ("/d", "/d/x");
        let dir_no = table.find_or_add(dir, FileType::Directory);
        let inner_no = table.find_or_add(inner, FileType::RegularFile);
        let beside = table.find_or_add("/d-", FileType::RegularFile);
        let replaced = table.find_or_add("/e/x", FileType::RegularFile);
        table.opened(replaced).expect("known");
        table.moved("/d", "/e");
        assert_eq!((table.ino("/e"), table.ino("/e/x")), (Some(dir_no), Some(inner_no)));
        assert_eq!((table.ino("/d"), table.ino("/d-")), (None, Some(beside)));
        assert_eq!(table.node(replaced).expect("open").path, None);
        assert!(table.closed(replaced) && table.node(replaced).is_err());
    }

    #[test]
    fn what_has_no_path_any_more_goes_home_wherever_that_is_moved() {
        let mut table = Table::new();
        let old = table.find_or_add("/d/x", FileType::RegularFile);
        table.opened(old).expect("known");
        table.node_mut(old).expect("known").is_written = true;
        table.part("/d/x");
        let new = table.find_or_add("/d/x", FileType::RegularFile);
        assert_ne!(new, old);
        let home = |table: &Table| table.node(old).expect("open").place().cloned();
        table.moved("/d", "/e");
        assert_eq!(home(&table).as_deref(), Some("/e/x"));
        table.abandon("/e/x");
        assert_eq!(home(&table), None);
        assert!(table.closed(old) && table.node(old).is_err());
    }

    #[test]
    fn another_kind_is_another_number() {
        let mut table = Table::new();
        let file = table.find_or_add("/a", FileType::RegularFile);
        assert_ne!(table.find_or_add("/a", FileType::Directory), file);
    }
}
