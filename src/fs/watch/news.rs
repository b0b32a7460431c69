//! What a change of the replica is to those who watch.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::cursor::Cursor;
use super::event::{
    ChangeKind, ConflictChange, ContentArrived, PathChange, PermissionChange, WatchEvent,
};
use super::registry::Names;
use super::tracking::{Tracking, touched};
use crate::entry::Action;
use crate::fs::overruled::overruled;
use crate::fs::path::join;
use crate::fs::shown::Shown;
use crate::id::PublicKey;
use crate::log::{EntryNo, SlotNo, Value};
use crate::node::{Effects, Origin, Replica};
use crate::view::SlotChange;

/// An event, and where. Its cursor is set when it is given out.
#[derive(Clone, Debug)]
pub(in crate::fs) struct News {
    pub(super) names: Names,
    pub(super) event: WatchEvent,
}

/// A change of a replica, right after it.
pub(super) struct Told<'a> {
    pub(super) replica: &'a Replica,
    pub(super) effects: &'a Effects,
    pub(super) own: &'a PublicKey,
}

impl Told<'_> {
    /// All there is to tell.
    pub(super) fn news(&self, tracking: &mut Tracking) -> Vec<News> {
        let touched = touched(self.replica, self.effects);
        let moved = tracking.moved(self.replica, self.effects, &touched);
        let conflicts = tracking.conflicts(self.replica, &touched);
        let waited = tracking.waited(self.replica, self.effects);
        let changes = self.effects.slots.iter();
        let mut news: Vec<News> =
            changes.filter_map(|change| self.change(change, &waited)).collect();
        news.extend(moved.into_iter().filter_map(|slot| self.moved(slot)));
        let admitted = self.effects.admitted.iter();
        news.extend(admitted.filter_map(|entry| {
            permission(self.replica, entry.no(), self.origin(Some(entry.no())))
        }));
        news.extend(self.contents());
        news.extend(conflicts.into_iter().filter_map(|(slot, is_open)| {
            conflict(self.replica, slot, is_open, self.origin(None))
        }));
        news
    }

    /// The path and kind of a change; nothing if it is not visible anywhere.
    fn change(&self, change: &SlotChange, waited: &BTreeMap<EntryNo, Origin>) -> Option<News> {
        let log = self.replica.log();
        let shows = |no: Option<EntryNo>| no.filter(|no| log.value(*no) != Some(&Value::Tomb));
        let (before, after) = (shows(change.before), shows(change.after));
        let kind = match (before, after) {
            (None, None) => return None,
            (None, Some(_)) => ChangeKind::Created,
            (Some(_), None) => ChangeKind::Removed,
            (Some(before), Some(after)) if before == after => return None,
            _ => ChangeKind::Modified,
        };
        let names = Shown::now(self.replica).names_of(change.slot)?;
        let id = |no: Option<EntryNo>| no.map(|no| log.id(no));
        let origin = self.origin(change.after);
        let event = WatchEvent::Change(PathChange {
            path: join(&names),
            kind,
            before: id(before),
            after: id(after),
            author: change.after.map(|no| log.author(no)),
            origin: change.after.and_then(|no| waited.get(&no)).copied().unwrap_or(origin),
            overruled: overruled(Shown::now(self.replica), change, self.own),
            cursor: Cursor::UNSET,
        });
        Some(News { names, event })
    }

    /// A directory came or went at a path, and the version is the same.
    fn moved(&self, slot: SlotNo) -> Option<News> {
        let log = self.replica.log();
        let names = Shown::now(self.replica).names_of(slot)?;
        let winner = self.replica.view().winner(slot)?;
        let version = Some(log.id(winner));
        let event = WatchEvent::Change(PathChange {
            path: join(&names),
            kind: ChangeKind::Modified,
            before: version,
            after: version,
            author: Some(log.author(winner)),
            origin: self.origin(None),
            overruled: None,
            cursor: Cursor::UNSET,
        });
        Some(News { names, event })
    }

    /// Contents of versions that were here before and do not show because of it.
    fn contents(&self) -> impl Iterator<Item = News> {
        let (log, view) = (self.replica.log(), self.replica.view());
        let contents = self.effects.completed.iter().filter_map(|content| log.content_no(content));
        let first = self.effects.admitted.first().map(|entry| entry.no());
        let users = contents.flat_map(move |content| view.users_of(content));
        let earlier = users.filter(move |no| first.is_none_or(|first| *no < first));
        let shown: BTreeSet<EntryNo> =
            self.effects.slots.iter().filter_map(|to| to.after).collect();
        earlier.filter(move |no| !shown.contains(no)).filter_map(|no| content(self.replica, no))
    }

    /// Where the entry came from that caused something: the one that is named, or else a revoke.
    /// Unless one is named, it may be whichever came last.
    fn origin(&self, cause: Option<EntryNo>) -> Origin {
        let Effects { admitted, origins, .. } = self.effects;
        let log = self.replica.log();
        let at = cause
            .and_then(|no| admitted.binary_search_by_key(&no, |entry| entry.no()).ok())
            .or_else(|| admitted.iter().rposition(|e| log.action(e.no()) == Action::Revoke))
            .or_else(|| admitted.len().checked_sub(1).filter(|_| cause.is_none()));
        at.and_then(|at| origins.get(at)).copied().unwrap_or_default()
    }
}

/// A grant or a revoke.
pub(super) fn permission(replica: &Replica, no: EntryNo, origin: Origin) -> Option<News> {
    let log = replica.log();
    let key = log.key(log.grantee(no)?);
    let dir = log.dir_of(no)?;
    let names = replica.view().path_of_dir(log, replica.authority(), dir)?;
    let event = WatchEvent::Permission(PermissionChange {
        path: join(&names),
        key,
        is_revoke: log.action(no) == Action::Revoke,
        author: log.author(no),
        entry: log.id(no),
        origin,
        cursor: Cursor::UNSET,
    });
    Some(News { names, event })
}

pub(super) fn conflict(
    replica: &Replica,
    slot: SlotNo,
    is_open: bool,
    origin: Origin,
) -> Option<News> {
    let names = Shown::now(replica).names_of(slot)?;
    let path = join(&names);
    let cursor = Cursor::UNSET;
    let event = WatchEvent::Conflict(ConflictChange { path, is_open, origin, cursor });
    Some(News { names, event })
}

/// The content of a version that counts has arrived.
pub(super) fn content(replica: &Replica, no: EntryNo) -> Option<News> {
    let log = replica.log();
    let slot = log.slot_of(no).filter(|_| replica.authority().is_authorised(no))?;
    let names = Shown::now(replica).names_of(slot)?;
    let path = join(&names);
    let (version, cursor) = (log.id(no), Cursor::UNSET);
    Some(News { names, event: WatchEvent::Content(ContentArrived { path, version, cursor }) })
}
