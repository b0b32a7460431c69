//! Versions of a path, and who wrote them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::entry::Action;
use crate::fs::Fs;
use crate::fs::error::ReadError;
use crate::fs::path::Target;
use crate::fs::shown::{Reading, Shown};
use crate::fs::words::bytes;
use crate::id::{EntryId, PublicKey};
use crate::log::{EntryNo, Rank, SlotNo, Value};
use crate::time::WallTime;
use crate::view::{NodeKind, Outcome, Status, Verb, View};

/// One version of a path.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// let version = &fs.versions("/motd")?[0];
/// assert_eq!((version.author, version.size), (fs.author(), Some(5)));
/// println!("{version}"); // id, verb, author, rank, size
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// The id of the entry.
    pub id: EntryId,
    /// Its path, for a grant or a revoke that of the directory governed. Where that is not shown,
    /// the path that it was made under.
    pub path: String,
    /// What kind of entry it is.
    pub action: Action,
    /// What its author did.
    pub verb: Verb,
    /// Where it stands today.
    pub status: Status,
    /// Who wrote it.
    pub author: PublicKey,
    /// The weight of the capability it was written with; smaller is better.
    pub rank: Rank,
    /// When the author says it was written; decides nothing.
    pub time: WallTime,
    /// The length of the content in bytes, for files.
    pub size: Option<u64>,
    /// Where what was here went, if this version says so.
    pub renamed_to: Option<String>,
    /// Where this was before, if it was renamed.
    pub renamed_from: Option<String>,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.8} {}", self.id, self.verb)?;
        if let Some(path) = self.renamed_to.as_ref().or(self.renamed_from.as_ref()) {
            write!(f, " {path}")?;
        }
        let Rank { depth, grants, root } = self.rank;
        write!(f, " by {:.8} (rank {depth}.{grants}.{root}", self.author)?;
        match self.size {
            Some(size) => write!(f, ", {})", bytes(size)),
            None => f.write_str(")"),
        }
    }
}

impl Fs {
    /// How what a path shows came to be: the version that shows, what it was built on, and so on
    /// back to the first. Where something was renamed, it goes on with what it was under its old
    /// name.
    ///
    /// # Errors
    ///
    /// Nothing was ever there, or the directory is not shown.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// fs.write("/motd", "good morning")?;
    /// let sizes: Vec<_> = fs.history("/motd")?.iter().map(|version| version.size).collect();
    /// assert_eq!(sizes, [Some(12), Some(5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn history(&self, path: impl AsRef<str>) -> Result<Vec<Version>, ReadError> {
        self.engine.now().history(path.as_ref())
    }

    /// Reads a whole file as it was in one version, whether that shows or not.
    ///
    /// # Errors
    ///
    /// [`ReadError::UnknownVersion`], [`ReadError::NotHere`] where its content is not, and what
    /// [`read`](Self::read) says of versions that are no files.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// fs.write("/motd", "good morning")?;
    /// let old = &fs.versions("/motd")?[1];
    /// assert_eq!(fs.read_version(&old.id)?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_version(&self, version: &EntryId) -> Result<Bytes, ReadError> {
        self.engine.now().read_version(version)
    }

    /// About one version of any path, whether it shows or not: who wrote it, when, with which rank.
    /// Reads one entry, however many versions the path has.
    ///
    /// # Errors
    ///
    /// [`ReadError::UnknownVersion`], or the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let id = fs.write("/motd", "hello")?;
    /// let version = fs.version_info(&id)?;
    /// assert_eq!((version.path.as_str(), version.author), ("/motd", fs.author()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn version_info(&self, version: &EntryId) -> Result<Version, ReadError> {
        self.engine.now().version_info(version)
    }
}

/// A version without what only the store knows.
pub(super) struct Sketch {
    no: EntryNo,
    version: Version,
}

impl Reading<'_> {
    // rule: VIEW-2
    pub(super) fn versions(self, path: &str) -> Result<Vec<Version>, ReadError> {
        let at = Target::parse(path)?;
        let sketches = self.look(|shown| {
            let slot = slot_of(shown, &at)?;
            let versions = shown.view.versions(shown.log, shown.authority, slot);
            let sketches = versions.iter().map(|version| shown.sketch(version.no, version.status));
            Ok::<_, ReadError>(sketches.collect())
        })?;
        self.complete_all(sketches)
    }

    pub(super) fn history(self, path: &str) -> Result<Vec<Version>, ReadError> {
        let at = Target::parse(path)?;
        let sketches = self.look(|shown| {
            let slot = slot_of(shown, &at)?;
            let history = shown.view.history(shown.log, shown.authority, slot);
            Ok::<_, ReadError>(shown.sketch_all(&history))
        })?;
        self.complete_all(sketches)
    }

    pub(super) fn read_version(self, id: &EntryId) -> Result<Bytes, ReadError> {
        let (content, origin, path) = self.look(|shown| {
            let log = shown.log;
            let no = log.number(id).ok_or(ReadError::UnknownVersion { id: *id })?;
            let path = shown.path_of_entry(no);
            match log.value(no) {
                Some(Value::File { content, .. }) => {
                    Ok((*log.content(*content), log.origin(no), path))
                }
                Some(Value::Sym(text)) => {
                    Err(ReadError::IsASymlink { path, target: String::from(&**text) })
                }
                Some(Value::Dir(_)) => Err(ReadError::IsADirectory { path }),
                Some(Value::Tomb) | None => Err(ReadError::NotFound { path }),
            }
        })?;
        self.engine.read_content(|| path, &content, origin)
    }

    pub(super) fn version_info(self, id: &EntryId) -> Result<Version, ReadError> {
        let sketch = self.look(|shown| {
            let no = shown.log.number(id)?;
            shown.sketch_all(&[no]).pop()
        });
        self.complete(sketch.ok_or(ReadError::UnknownVersion { id: *id })?)
    }

    /// Adds what the bytes of the entries say, without holding the lock.
    pub(super) fn complete_all(self, sketches: Vec<Sketch>) -> Result<Vec<Version>, ReadError> {
        sketches.into_iter().map(|sketch| self.complete(sketch)).collect()
    }

    pub(super) fn complete(self, sketch: Sketch) -> Result<Version, ReadError> {
        let time = self.engine.entry(sketch.no)?.body().ts;
        Ok(Version { time, ..sketch.version })
    }
}

/// The slot of a path, whether or not it shows something now.
fn slot_of(shown: Shown<'_>, at: &Target<'_>) -> Result<SlotNo, ReadError> {
    let not_found = || ReadError::NotFound { path: at.path() };
    let (name, above) = at.names.split_last().ok_or_else(not_found)?;
    let above = Target { lost: at.lost, names: above.to_vec() };
    match shown.find(&above).map(|node| node.kind) {
        Some(NodeKind::Dir(dir)) => shown.log.child(dir, name).ok_or_else(not_found),
        _ => Err(not_found()),
    }
}

impl Shown<'_> {
    /// A version whose status is known.
    pub(super) fn sketch(self, no: EntryNo, status: Status) -> Sketch {
        let Self { log, authority, view } = self;
        let path_of = |no: EntryNo| Some(self.path_of_slot(log.slot_of(no)?));
        let version = Version {
            id: log.id(no),
            path: self.path_of_entry(no),
            action: log.action(no),
            verb: view.verb(log, authority, no),
            status,
            author: log.author(no),
            rank: log.rank(no),
            time: WallTime::default(),
            size: log.content_of(no).map(|content| log.content(content).size),
            renamed_to: log.moved_to(no).and_then(path_of),
            renamed_from: view.renamed_from(authority, no).and_then(path_of),
        };
        Sketch { no, version }
    }

    /// Versions of any slots. Each forked slot is decided once.
    pub(super) fn sketch_all(self, entries: &[EntryNo]) -> Vec<Sketch> {
        let mut outcomes = BTreeMap::new();
        let sketch = |no: &EntryNo| self.sketch(*no, self.status(*no, &mut outcomes));
        entries.iter().map(sketch).collect()
    }

    fn status(self, no: EntryNo, outcomes: &mut BTreeMap<SlotNo, Outcome>) -> Status {
        let Self { log, authority, view } = self;
        match log.slot_of(no) {
            Some(slot) if view.is_forked(slot) => {
                let outcome =
                    outcomes.entry(slot).or_insert_with(|| view.outcome(log, authority, slot));
                View::status(authority, outcome, no)
            }
            Some(slot) if view.winner(slot) != Some(no) => Status::Superseded,
            None if !authority.is_authorised(no) => Status::Cut,
            _ => Status::Current,
        }
    }
}

/// Whether a path is a subtree's or below.
pub(super) fn starts_with<Name: AsRef<str>>(names: &[Name], subtree: &[&str]) -> bool {
    names.len() >= subtree.len() && names.iter().zip(subtree).all(|(a, b)| a.as_ref() == *b)
}

/// A path as it is sorted: component by component.
pub(super) fn order(path: &str) -> impl Ord + '_ {
    path.split('/').collect::<Vec<_>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_is_what_begins_with_its_components() {
        assert!(starts_with(&["a", "b"], &["a"]) && starts_with(&["a"], &[]));
        assert!(!starts_with(&["ab"], &["a"]) && !starts_with(&["a"], &["a", "b"]));
        assert!(order("/a/b") < order("/a-b"), "what is in /a comes before what is beside it");
    }
}
