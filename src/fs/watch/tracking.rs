//! What is remembered of a replica while it is watched, to notice what no changed winner tells of:
//! directories that move, and conflicts that begin or end.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::log::{DirNo, EntryNo, Log, SlotNo, Value};
use crate::node::{Effects, Origin, Replica};

/// A directory that has other names than the one that it was made under.
#[derive(Debug, Default)]
struct Linked {
    /// Where it hangs.
    place: Option<SlotNo>,
    /// The names that it has or had, its home among them.
    slots: BTreeSet<SlotNo>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    dirs: BTreeMap<DirNo, Linked>,
    /// The directories with other names, by each of these names.
    by_slot: BTreeMap<SlotNo, BTreeSet<DirNo>>,
    conflicts: BTreeSet<SlotNo>,
    /// Where entries came from whose content is not here yet.
    waiting: BTreeMap<EntryNo, Origin>,
}

impl Tracking {
    /// As things are. Linear in the number of entries.
    pub(super) fn of(replica: &Replica) -> Self {
        let (log, view) = (replica.log(), replica.view());
        let mut tracking = Self::default();
        for no in (0..log.len()).filter_map(EntryNo::from_index) {
            if let Some((dir, slot)) = second_name(log, no) {
                tracking.link(log, dir, slot);
            }
        }
        for (dir, linked) in &mut tracking.dirs {
            linked.place = view.place(log, replica.authority(), *dir);
        }
        let forked = view.forked().iter().copied();
        tracking.conflicts = forked.filter(|slot| is_in_conflict(replica, *slot)).collect();
        tracking
    }

    /// Says whether the directory had no second name before.
    fn link(&mut self, log: &Log, dir: DirNo, slot: SlotNo) -> bool {
        let is_new = !self.dirs.contains_key(&dir);
        let slots = &mut self.dirs.entry(dir).or_default().slots;
        for slot in log.home(dir).into_iter().chain([slot]) {
            slots.insert(slot);
            self.by_slot.entry(slot).or_default().insert(dir);
        }
        is_new
    }

    /// Every name of the directories that have one of these names: where they hang may have
    /// changed.
    // rule: TREE-2
    pub(super) fn names_with(&self, slots: &BTreeSet<SlotNo>) -> BTreeSet<SlotNo> {
        let dirs = slots.iter().filter_map(|slot| self.by_slot.get(slot)).flatten();
        dirs.filter_map(|dir| self.dirs.get(dir))
            .flat_map(|linked| &linked.slots)
            .copied()
            .collect()
    }

    /// The names where a directory came or went though the winner stays. A move that is cut, for
    /// example, is not looked at any more, even if it was confirmed since.
    // rule: TREE-2
    pub(super) fn moved(
        &mut self,
        replica: &Replica,
        effects: &Effects,
        touched: &BTreeSet<SlotNo>,
    ) -> BTreeSet<SlotNo> {
        let (log, view) = (replica.log(), replica.view());
        for entry in &effects.admitted {
            if let Some((dir, slot)) = second_name(log, entry.no())
                && self.link(log, dir, slot)
                && let Some(linked) = self.dirs.get_mut(&dir)
            {
                linked.place = was_home(replica, effects, dir);
            }
        }
        let changed = effects.slots.iter().filter(|change| change.before != change.after);
        let changed: BTreeSet<SlotNo> = changed.map(|change| change.slot).collect();
        let dirs = touched.iter().filter_map(|slot| self.by_slot.get(slot)).flatten();
        let dirs: BTreeSet<DirNo> = dirs.copied().collect();
        let mut moved = BTreeSet::new();
        for dir in dirs {
            let place = view.place(log, replica.authority(), dir);
            if let Some(linked) = self.dirs.get_mut(&dir)
                && linked.place != place
            {
                moved.extend(core::mem::replace(&mut linked.place, place).into_iter().chain(place));
            }
        }
        moved.retain(|slot| !changed.contains(slot));
        moved
    }

    /// Where the entries came from whose content has arrived.
    pub(super) fn waited(
        &mut self,
        replica: &Replica,
        effects: &Effects,
    ) -> BTreeMap<EntryNo, Origin> {
        let (log, view) = (replica.log(), replica.view());
        for (entry, origin) in effects.admitted.iter().zip(&effects.origins) {
            if !view.is_ready(log, entry.no()) {
                self.waiting.insert(entry.no(), *origin);
            }
        }
        let contents = effects.completed.iter().filter_map(|content| log.content_no(content));
        let users = contents.flat_map(|content| view.users_of(content));
        users.filter_map(|no| Some((no, self.waiting.remove(&no)?))).collect()
    }

    /// The paths where a conflict began or ended, and which of the two.
    pub(super) fn conflicts(
        &mut self,
        replica: &Replica,
        touched: &BTreeSet<SlotNo>,
    ) -> BTreeMap<SlotNo, bool> {
        let mut found = BTreeMap::new();
        for slot in touched.iter().filter(|slot| replica.view().is_forked(**slot)) {
            let is_open = is_in_conflict(replica, *slot);
            let is_news =
                if is_open { self.conflicts.insert(*slot) } else { self.conflicts.remove(slot) };
            if is_news {
                found.insert(*slot, is_open);
            }
        }
        found
    }
}

/// Whether some latest version lost and says something else.
pub(super) fn is_in_conflict(replica: &Replica, slot: SlotNo) -> bool {
    !replica.view().conflicts(replica.log(), replica.authority(), slot).is_empty()
}

/// The directory that an entry gives another name than the one that it was made under.
fn second_name(log: &Log, no: EntryNo) -> Option<(DirNo, SlotNo)> {
    let Some(Value::Dir(dir)) = log.value(no) else { return None };
    let slot = log.slot_of(no)?;
    (log.home(*dir) != Some(slot)).then_some((*dir, slot))
}

/// Where a directory hung that had only one name.
fn was_home(replica: &Replica, effects: &Effects, dir: DirNo) -> Option<SlotNo> {
    let home = replica.log().home(dir)?;
    let change = effects.slots.iter().find(|change| change.slot == home);
    let before = change.map_or_else(|| replica.view().winner(home), |change| change.before);
    let is_dir = |no: EntryNo| replica.log().value(no) == Some(&Value::Dir(dir));
    before.is_some_and(is_dir).then_some(home)
}

/// The slots about which entries came, changed their weight, or got their content.
pub(super) fn touched(replica: &Replica, effects: &Effects) -> BTreeSet<SlotNo> {
    let log = replica.log();
    let admitted = effects.admitted.iter().map(|entry| entry.no());
    let flipped = effects.authorised.iter().map(|(no, _)| *no);
    let contents = effects.completed.iter().filter_map(|content| log.content_no(content));
    let users = contents.flat_map(|content| replica.view().users_of(content));
    let entries = admitted.chain(flipped).chain(users);
    let slots = entries.filter_map(|no| log.slot_of(no));
    slots.chain(effects.slots.iter().map(|change| change.slot)).collect()
}
