//! What the library tells, as requests carry it.

use std::collections::BTreeMap;

use basefs::fs::{
    ChangeKind, Conflict, Difference, DifferenceKind, FileType, KeyInfo, Metadata, Overruled,
    Overruling, ResyncReason, Version, WatchEvent,
};
use basefs::id::{EntryId, PublicKey};
use basefs::node::Origin;
use basefs::view::Status;
use basefs::{Fs, ReadError};

use crate::request::{
    ConflictItem, DifferenceItem, EventItem, Item, KeyItem, Kind, Rights, VersionItem,
};

pub(super) fn item(path: &str, metadata: &Metadata) -> Item {
    let (kind, target) = match metadata.file_type() {
        FileType::File => (Kind::File, None),
        FileType::Dir => (Kind::Dir, None),
        FileType::Symlink { target } => (Kind::Symlink, Some(target.clone())),
        FileType::Alias { target } => (Kind::Alias, target.clone()),
        _ => (Kind::Symlink, None),
    };
    Item {
        path: path.to_owned(),
        kind,
        size: metadata.len(),
        executable: metadata.is_executable(),
        target,
        version: metadata.version().map(|version| version.to_string()),
        here: metadata.is_here(),
    }
}

/// What keys are called: the label of the first grant that gives one.
#[derive(Debug)]
pub(super) struct Labels(BTreeMap<PublicKey, String>);

impl Labels {
    pub(super) fn of(fs: &Fs) -> Result<Self, ReadError> {
        let mut labels = BTreeMap::new();
        for info in fs.keys()?.into_iter().filter(|info| !info.label.is_empty()) {
            labels.entry(info.key).or_insert(info.label);
        }
        Ok(Self(labels))
    }

    pub(super) fn version(&self, version: &Version) -> VersionItem {
        VersionItem {
            id: version.id.to_string(),
            path: version.path.clone(),
            verb: version.verb.to_string(),
            status: status(version.status).to_owned(),
            author: version.author.to_string(),
            label: self.0.get(&version.author).cloned().unwrap_or_default(),
            time: version.time.as_millis(),
            size: version.size,
            renamed_to: version.renamed_to.clone(),
            renamed_from: version.renamed_from.clone(),
            prev: Vec::new(),
        }
    }

    pub(super) fn conflict(&self, conflict: &Conflict) -> ConflictItem {
        ConflictItem {
            path: conflict.path.clone(),
            winner: self.version(&conflict.winner),
            losers: conflict.losers.iter().map(|loser| self.version(&loser.version)).collect(),
            text: conflict.to_string(),
        }
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Current => "current",
        Status::Superseded => "superseded",
        Status::Tip => "lost",
        Status::Cut => "cut",
        Status::Incomplete => "incomplete",
        _ => "unknown",
    }
}

pub(super) fn key(info: &KeyInfo, own: &PublicKey) -> KeyItem {
    KeyItem {
        key: info.key.to_string(),
        label: info.label.clone(),
        path: info.path.clone(),
        rights: rights(info.rights),
        rank: (info.rank.depth, info.rank.grants),
        grant: info.grant.to_string(),
        granted_by: info.granted_by.map(|key| key.to_string()),
        live: info.is_live,
        own: info.key == *own,
    }
}

fn rights(rights: basefs::entry::Rights) -> Rights {
    match rights {
        basefs::entry::Rights::Write => Rights::Write,
        basefs::entry::Rights::Grant => Rights::Grant,
        basefs::entry::Rights::All => Rights::All,
    }
}

pub(super) fn difference(difference: &Difference) -> DifferenceItem {
    let (kind, from) = match &difference.kind {
        DifferenceKind::Added => ("added", None),
        DifferenceKind::Removed => ("removed", None),
        DifferenceKind::Renamed { from } => ("renamed", Some(from.clone())),
        _ => ("changed", None),
    };
    let (path, text) = (difference.path.clone(), difference.to_string());
    DifferenceItem { path, kind: kind.to_owned(), from, text }
}

pub(super) fn event(event: &WatchEvent) -> EventItem {
    let mut item = EventItem {
        event: "something".to_owned(),
        path: event.path().map(str::to_owned),
        key: None,
        origin: None,
        reason: None,
        cursor: event.cursor().to_string(),
        before: None,
        after: None,
        author: None,
        overruled: None,
    };
    let text = |version: Option<EntryId>| version.map(|version| version.to_string());
    let word = match event {
        WatchEvent::Change(change) => {
            (item.before, item.after) = (text(change.before), text(change.after));
            item.author = change.author.map(|key| key.to_string());
            item.overruled = change.overruled.as_ref().map(overruled);
            item.origin = origin(&change.origin);
            match change.kind {
                ChangeKind::Present => "present",
                ChangeKind::Created => "created",
                ChangeKind::Removed => "removed",
                _ => "modified",
            }
        }
        WatchEvent::Conflict(change) => {
            item.origin = origin(&change.origin);
            if change.is_open { "conflict" } else { "conflict-over" }
        }
        WatchEvent::Permission(change) => {
            item.origin = origin(&change.origin);
            item.author = Some(change.author.to_string());
            item.key = Some(change.key.to_string());
            if change.is_revoke { "revoked" } else { "granted" }
        }
        WatchEvent::Content(arrived) => {
            item.after = Some(arrived.version.to_string());
            "content"
        }
        WatchEvent::SnapshotEnd { .. } => "snapshot-end",
        WatchEvent::Resync { reason, .. } => {
            item.reason = Some(because(*reason).to_owned());
            "resync"
        }
        _ => "something",
    };
    word.clone_into(&mut item.event);
    item
}

fn origin(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Local => Some("local".to_owned()),
        Origin::Peer(node) => Some(node.to_string()),
        _ => None,
    }
}

/// Why a watch begins anew.
fn because(reason: ResyncReason) -> &'static str {
    match reason {
        ResyncReason::Initial => "initial",
        ResyncReason::Lagged => "lagged",
        ResyncReason::Compacted => "compacted",
        ResyncReason::ForeignCursor => "foreign-cursor",
        _ => "other",
    }
}

fn overruled(overruled: &Overruled) -> String {
    let Overruled { version, by, why, .. } = overruled;
    match why {
        Overruling::Cut => format!("your version {version:.8} was cut by a revoke of {by:.8}"),
        _ => format!("your version {version:.8} lost against {by:.8}"),
    }
}
