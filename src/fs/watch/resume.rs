//! What a consumer is told first: what is there, or what may have changed since a cursor.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::MAX_WAITING_EVENTS;
use super::cursor::{Cursor, Position};
use super::event::{ChangeKind, PathChange, WatchEvent};
use super::news::{News, conflict, content, permission};
use super::registry::Names;
use super::tracking::{Tracking, is_in_conflict};
use crate::entry::Action;
use crate::fs::path::join;
use crate::fs::read::{DirEntry, list_subtree};
use crate::fs::shown::Shown;
use crate::id::{Content, EntryId};
use crate::log::{EntryNo, SlotNo};
use crate::node::{Origin, Replica};

/// Everything that a subtree shows, as it is now.
pub(super) fn snapshot(replica: &Replica, subtree: &Names) -> Vec<WatchEvent> {
    let names: Vec<&str> = subtree.iter().map(|name| &**name).collect();
    let number = |id: Option<EntryId>| replica.log().number(&id?);
    let present = |entry: DirEntry| {
        WatchEvent::Change(PathChange {
            kind: ChangeKind::Present,
            before: None,
            after: entry.metadata().version(),
            author: number(entry.metadata().version()).map(|no| replica.log().author(no)),
            origin: Origin::Unknown,
            path: entry.into_path(),
            overruled: None,
            cursor: Cursor::UNSET,
        })
    };
    list_subtree(Shown::now(replica), &names).into_iter().map(present).collect()
}

/// What there is to tell to whoever was told everything up to a position: at each path that may
/// have changed, what is there now. Nothing if that cannot be told path by path.
pub(super) struct Since<'a> {
    replica: &'a Replica,
    subtree: &'a Names,
    /// Entries admitted since.
    entries: Vec<EntryNo>,
    /// Older entries whose content arrived since.
    arrived: Vec<EntryNo>,
}

impl<'a> Since<'a> {
    /// The contents are those that became complete since.
    pub(super) fn new(
        replica: &'a Replica,
        subtree: &'a Names,
        position: Position,
        contents: &[Content],
    ) -> Self {
        let (log, view) = (replica.log(), replica.view());
        let first = position.entries as usize;
        let entries = (first..log.len()).filter_map(EntryNo::from_index).collect();
        let contents = contents.iter().filter_map(|content| log.content_no(content));
        let users = contents.flat_map(|content| view.users_of(content));
        let arrived = users.filter(|no| no.index() < first).collect();
        Self { replica, subtree, entries, arrived }
    }

    /// The events, in the order of their paths, permissions first.
    pub(super) fn news(&self) -> Option<Vec<WatchEvent>> {
        let log = self.replica.log();
        // What a revoke cuts, and what had stood in its shadow, may be anywhere.
        if self.entries.iter().any(|no| log.action(*no) == Action::Revoke) {
            return None;
        }
        let grants = self.entries.iter().filter_map(|no| {
            let News { names, event } = permission(self.replica, *no, Origin::Unknown)?;
            self.concerns(&names).then_some(event)
        });
        let mut events: Vec<WatchEvent> = grants.collect();
        let places = self.places()?;
        let (winners, forked): (Vec<_>, Vec<_>) = places
            .iter()
            .map(|(names, slot)| (self.now(names, *slot), self.conflict(*slot)))
            .unzip();
        events.extend(winners);
        let showing = |no: &&EntryNo| {
            log.slot_of(**no).and_then(|slot| self.replica.view().winner(slot)) != Some(**no)
        };
        let hidden = self.arrived.iter().filter(showing);
        let contents = hidden.filter_map(|no| content(self.replica, *no));
        let concerned = contents.filter(|news| self.concerns(&news.names));
        events.extend(concerned.map(|news| news.event));
        events.extend(forked.into_iter().flatten());
        (events.len() <= MAX_WAITING_EVENTS).then_some(events)
    }

    /// The paths that may show something else than before.
    fn places(&self) -> Option<BTreeMap<Names, SlotNo>> {
        let log = self.replica.log();
        let entries = self.entries.iter().chain(&self.arrived);
        let mut slots: BTreeSet<SlotNo> = entries.filter_map(|no| log.slot_of(*no)).collect();
        let moved = Tracking::of(self.replica).names_with(&slots);
        slots.extend(moved);
        let mut places = BTreeMap::new();
        for slot in slots {
            // Where the directory is not shown, what hides it is among the others.
            let names = Shown::now(self.replica).names_of(slot);
            places.extend(names.filter(|names| self.concerns(names)).map(|names| (names, slot)));
            if places.len() > MAX_WAITING_EVENTS {
                return None;
            }
        }
        Some(places)
    }

    fn concerns(&self, names: &Names) -> bool {
        let common = names.len().min(self.subtree.len());
        names[..common] == self.subtree[..common]
    }

    /// What a path shows.
    fn now(&self, names: &Names, slot: SlotNo) -> WatchEvent {
        let (log, view) = (self.replica.log(), self.replica.view());
        let winner = view.winner(slot);
        let shown = view.node(log, self.replica.authority(), slot).and_then(|node| node.winner);
        WatchEvent::Change(PathChange {
            path: join(names),
            kind: if shown.is_some() { ChangeKind::Present } else { ChangeKind::Removed },
            before: None,
            after: shown.map(|no| log.id(no)),
            author: winner.map(|no| log.author(no)),
            origin: Origin::Unknown,
            overruled: None,
            cursor: Cursor::UNSET,
        })
    }

    /// Whether there is a conflict now at a path that ever had branches.
    fn conflict(&self, slot: SlotNo) -> Option<WatchEvent> {
        if !self.replica.view().is_forked(slot) {
            return None;
        }
        let is_open = is_in_conflict(self.replica, slot);
        Some(conflict(self.replica, slot, is_open, Origin::Unknown)?.event)
    }
}
