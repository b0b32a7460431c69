//! Where directories hang, and what paths show.

use std::collections::{BTreeMap, BTreeSet};

use basefs::id::{DirId, EntryId};
use basefs::limits;

use super::admission::{Log, Slot, Value};
use super::{Shown, State, count};

/// The lines of all slots, the winners first.
pub(super) struct Tree<'a> {
    pub(super) log: &'a Log<'a>,
    pub(super) lines: &'a BTreeMap<Slot, Vec<EntryId>>,
}

impl Tree<'_> {
    /// Fills in places, paths, the lost and the orphaned.
    pub(super) fn fill(&self, state: &mut State) {
        let deciders = &mut state.deciders;
        for dir in self.log.dirs() {
            let place = self.place(&dir);
            match &place {
                None => count(deciders, "TREE-2.lost"),
                Some(slot) if self.log.home(&dir) != Some(slot) => count(deciders, "TREE-2.moved"),
                Some(_) => {}
            }
            state.places.insert(dir, place);
        }
        let max_depth = usize::from(limits::MAX_DEPTH);
        for dir in self.log.dirs() {
            // rule: TREE-4
            match self.climb(&dir, &state.places) {
                Climb::Cycle => count(deciders, "TREE-4.cycle"),
                Climb::Names(names) if names.len() == max_depth + 1 => {
                    count(deciders, "TREE-4.deep");
                }
                _ => continue,
            }
            state.lost_and_found.insert(dir);
        }
        self.show(state);
        // rule: VIEW-4
        for (slot, line) in self.lines {
            if self.path(&slot.0, &state.places).is_none()
                && let Some(winner) = line.first()
            {
                state.orphans.insert(slot.clone(), *winner);
            }
        }
    }

    /// The slot where a directory hangs.
    // rule: TREE-2
    fn place(&self, dir: &DirId) -> Option<Slot> {
        let is_dir = |id: &EntryId| *self.log.value(id) == Value::Dir(*dir);
        let mut visited = BTreeSet::new();
        let mut slot = self.log.home(dir)?.clone();
        while visited.insert(slot.clone()) {
            let line = self.lines.get(&slot)?;
            let moved = |id: &EntryId| self.log.moved_to(id).filter(is_dir);
            let x = line.iter().find(|id| is_dir(id) || moved(id).is_some())?;
            match moved(x) {
                None => return (line.first() == Some(x)).then_some(slot),
                Some(link) => slot = self.log.slot(self.log.entries[&link]),
            }
        }
        None
    }

    /// Follows places upward from a directory.
    fn climb(&self, dir: &DirId, places: &BTreeMap<DirId, Option<Slot>>) -> Climb {
        let mut names = Vec::new();
        let mut visited = BTreeSet::new();
        let mut at = *dir;
        while at != self.log.root() {
            let Some(Some((above, name))) = places.get(&at) else { return Climb::Nowhere };
            if !visited.insert(at) {
                return if at == *dir { Climb::Cycle } else { Climb::Nowhere };
            }
            names.insert(0, name.clone());
            at = *above;
        }
        Climb::Names(names)
    }

    /// The path of a directory, if it has one.
    fn path(&self, dir: &DirId, places: &BTreeMap<DirId, Option<Slot>>) -> Option<String> {
        match self.climb(dir, places) {
            Climb::Names(names) if names.len() <= usize::from(limits::MAX_DEPTH) => {
                Some(names.iter().map(|name| format!("/{name}")).collect())
            }
            _ => None,
        }
    }

    /// Walks down from the root.
    // rule: TREE-1
    fn show(&self, state: &mut State) {
        let mut open = vec![(String::new(), self.log.root())];
        while let Some((above, dir)) = open.pop() {
            for (slot, line) in self.lines.iter().filter(|(slot, _)| slot.0 == dir) {
                let Some(winner) = line.first() else { continue };
                let path = format!("{above}/{}", slot.1);
                let shown = match self.log.value(winner) {
                    Value::Tomb => continue,
                    Value::File { content, executable } => {
                        Shown::File { content: *content, executable: *executable }
                    }
                    Value::Sym(text) => Shown::Symlink(text.clone()),
                    // rule: TREE-3
                    Value::Dir(dir) => {
                        let target = self.path(dir, &state.places);
                        if state.places[dir].as_ref() == Some(slot) && target.is_some() {
                            assert_eq!(target.as_ref(), Some(&path), "one path per directory");
                            open.push((path.clone(), *dir));
                            Shown::Dir(*dir)
                        } else {
                            count(&mut state.deciders, "TREE-3.alias");
                            Shown::Alias(target)
                        }
                    }
                };
                state.paths.insert(path, shown);
            }
        }
    }
}

/// Where following places upward leads.
enum Climb {
    /// To the root, along these names.
    Names(Vec<String>),
    /// Back to the directory itself.
    Cycle,
    /// To a directory without a place, or into a cycle of others.
    Nowhere,
}
