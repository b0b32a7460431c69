//! What differs between two versions of the whole hierarchy.

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::fs::Fs;
use crate::fs::history::{order, starts_with};
use crate::fs::path::{PathError, join, parse};
use crate::fs::read::{Metadata, metadata_of};
use crate::fs::shown::Shown;
use crate::fs::snapshot::{Snapshot, SnapshotError};
use crate::log::{DirNo, EntryNo, Frontier, Log, SlotNo, Value};
use crate::view::{Node, NodeKind};

/// A path that two versions show differently.
///
/// Printed, it is a line: `changed /etc/motd`.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// let before = fs.version()?;
/// fs.write("/motd", "good morning")?;
/// let difference = &fs.diff(&before, &fs.version()?, "/")?[0];
/// assert_eq!(difference.to_string(), "changed /motd");
/// assert!(difference.content && !difference.executable() && !difference.file_type());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The path; of what was removed, where it was.
    pub path: String,
    /// What happened to it.
    pub kind: DifferenceKind,
    /// What it showed before; for a rename, under its old name.
    pub before: Option<Metadata>,
    /// What it shows after.
    pub after: Option<Metadata>,
    /// Whether the content of the file, or the text of the link, is another.
    pub content: bool,
}

impl Difference {
    /// Whether it is of another kind: a directory in place of a file, and so on.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/data", "one file")?;
    /// let before = fs.version()?;
    /// fs.remove("/data")?;
    /// fs.create_dir_all("/data")?;
    /// let difference = &fs.diff(&before, &fs.version()?, "/")?[0];
    /// assert!(difference.file_type());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn file_type(&self) -> bool {
        let kind = |about: &Metadata| (about.is_file(), about.is_dir());
        self.before.as_ref().map(kind) != self.after.as_ref().map(kind)
    }

    /// Whether the executable bit is another.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/tool", "#!/bin/sh")?;
    /// let before = fs.version()?;
    /// fs.set_executable("/tool", true)?;
    /// let difference = &fs.diff(&before, &fs.version()?, "/")?[0];
    /// assert!(difference.executable() && !difference.content);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn executable(&self) -> bool {
        let is_executable = |about: &Metadata| about.is_executable();
        self.before.as_ref().map(is_executable) != self.after.as_ref().map(is_executable)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            DifferenceKind::Added => write!(f, "added {path}"),
            DifferenceKind::Removed => write!(f, "removed {path}"),
            DifferenceKind::Changed => write!(f, "changed {path}"),
            DifferenceKind::Renamed { from } if self.content => {
                write!(f, "renamed {from} to {path} and changed")
            }
            DifferenceKind::Renamed { from } => write!(f, "renamed {from} to {path}"),
        }
    }
}

/// What happened to a path.
///
/// ```
/// use basefs::fs::DifferenceKind;
///
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/draft", "hello")?;
/// let before = fs.version()?;
/// fs.rename("/draft", "/motd")?;
/// let difference = &fs.diff(&before, &fs.version()?, "/")?[0];
/// assert_eq!(difference.path, "/motd");
/// assert_eq!(difference.kind, DifferenceKind::Renamed { from: "/draft".into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// It was not there.
    Added,
    /// It is there no more.
    Removed,
    /// It has other content, another executable bit, or is of another kind.
    Changed,
    /// It was elsewhere. What is below a directory that was renamed is listed only where it
    /// differs by itself.
    Renamed {
        /// Where it was.
        from: String,
    },
}

/// Why two versions cannot be compared. Nothing was changed.
///
/// ```
/// use basefs::fs::DiffError;
/// use basefs::Fs;
///
/// let fs = Fs::in_memory()?;
/// let now = fs.version()?;
/// assert!(matches!(fs.diff(&now, &now, "/nowhere"), Err(DiffError::NotFound { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiffError {
    /// One of the versions cannot be shown.
    Version(SnapshotError),
    /// The text is not a path.
    Path(PathError),
    /// Neither version has something there.
    NotFound {
        /// The path.
        path: String,
    },
    /// The snapshots are of two replicas; make both with one handle, or clones of it.
    OtherReplica,
}

impl fmt::Display for DiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiffError::Version(error) => error.fmt(f),
            DiffError::Path(error) => error.fmt(f),
            DiffError::NotFound { path } => write!(f, "{path}: nothing is there in either version"),
            DiffError::OtherReplica => f.write_str("the snapshots are of two replicas"),
        }
    }
}

impl core::error::Error for DiffError {}

impl From<SnapshotError> for DiffError {
    fn from(error: SnapshotError) -> Self {
        DiffError::Version(error)
    }
}

impl From<PathError> for DiffError {
    fn from(error: PathError) -> Self {
        DiffError::Path(error)
    }
}

impl Fs {
    /// What differs in a subtree between two versions: see [`Snapshot::diff`], which is cheaper
    /// for more than one comparison.
    ///
    /// # Errors
    ///
    /// See [`DiffError`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let before = fs.version()?;
    /// fs.write("/motd", "hello")?;
    /// let differences = fs.diff(&before, &fs.version()?, "/")?;
    /// assert_eq!(differences[0].to_string(), "added /motd");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn diff(
        &self,
        before: &Frontier,
        after: &Frontier,
        subtree: impl AsRef<str>,
    ) -> Result<Vec<Difference>, DiffError> {
        self.at(before)?.diff(&self.at(after)?, subtree)
    }
}

impl Snapshot {
    /// What differs in a subtree between this version and another, in the order of paths. A rename
    /// across the border of the subtree is seen from inside: as added, or removed.
    ///
    /// Costs a look at each name and directory of the log, and work for those that differ.
    ///
    /// # Errors
    ///
    /// See [`DiffError`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/etc/motd", "hello")?;
    /// let before = fs.at(&fs.version()?)?;
    /// fs.write("/etc/motd", "good morning")?;
    /// fs.write("/etc/hosts", "")?;
    /// let after = fs.at(&fs.version()?)?;
    /// let lines: Vec<String> = before.diff(&after, "/")?.iter().map(|d| d.to_string()).collect();
    /// assert_eq!(lines, ["added /etc/hosts", "changed /etc/motd"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn diff(
        &self,
        after: &Snapshot,
        subtree: impl AsRef<str>,
    ) -> Result<Vec<Difference>, DiffError> {
        let names = parse(subtree.as_ref())?;
        if !Arc::ptr_eq(&self.engine, &after.engine) {
            return Err(DiffError::OtherReplica);
        }
        self.engine.read(|node| {
            let replica = node.replica();
            let before = Shown::past(replica, &self.past);
            let after = Shown::past(replica, &after.past);
            let (a, b) = (before.resolve(&names), after.resolve(&names));
            if a.is_none() && b.is_none() {
                return Err(DiffError::NotFound { path: join(&names) });
            }
            let mut differ = Differ::new(before, after, &names);
            let depths = (names.len(), names.len());
            let paths = (join(&names), join(&names));
            differ.walk(Pair { paths, is_renamed: false, a, b, depths });
            differ.found.sort_by(|a, b| order(&a.path).cmp(&order(&b.path)));
            Ok(differ.found)
        })
    }
}

/// What a path shows in either version.
struct Pair {
    /// Its path before and after; they differ in and below what was renamed.
    paths: (String, String),
    is_renamed: bool,
    a: Option<Node>,
    b: Option<Node>,
    depths: (usize, usize),
}

struct Differ<'a> {
    log: &'a Log,
    a: Shown<'a>,
    b: Shown<'a>,
    /// Directories in which, or below which, something differs.
    differs: Vec<bool>,
    /// Renames: to where, from where.
    moved: BTreeMap<SlotNo, SlotNo>,
    /// The origins among them.
    left: BTreeSet<SlotNo>,
    open: Vec<Pair>,
    found: Vec<Difference>,
}

impl<'a> Differ<'a> {
    fn new(a: Shown<'a>, b: Shown<'a>, subtree: &[&str]) -> Self {
        let log = a.log;
        let mut differ = Self {
            log,
            a,
            b,
            differs: alloc::vec![false; log.dirs()],
            moved: BTreeMap::new(),
            left: BTreeSet::new(),
            open: Vec::new(),
            found: Vec::new(),
        };
        let (mut seen_a, mut seen_b) = (differ.differs.clone(), differ.differs.clone());
        for slot in (0..log.slots()).filter_map(SlotNo::from_index) {
            if a.view.winner(slot) != b.view.winner(slot) {
                climb(a, log.slot_dir(slot), &mut seen_a);
                climb(b, log.slot_dir(slot), &mut seen_b);
                differ.note_rename(slot, subtree);
            }
        }
        for dir in (0..log.dirs()).filter_map(DirNo::from_index) {
            let place = |shown: Shown<'_>| shown.view.place(log, shown.authority, dir);
            let places = (place(a), place(b));
            if places.0 != places.1 {
                for above in [places.0, places.1].into_iter().flatten() {
                    climb(a, log.slot_dir(above), &mut seen_a);
                    climb(b, log.slot_dir(above), &mut seen_b);
                }
            }
        }
        differ.differs = seen_a.iter().zip(&seen_b).map(|(a, b)| *a || *b).collect();
        differ
    }

    /// Notes where something went that was at a slot before, if both ends lie in the subtree.
    fn note_rename(&mut self, from: SlotNo, subtree: &[&str]) {
        let Some(to) = self.destination(from) else { return };
        let is_inside = |shown: Shown<'_>, slot: SlotNo| {
            shown
                .names_of(slot)
                .is_some_and(|names| names.len() > subtree.len() && starts_with(&names, subtree))
        };
        if !is_inside(self.a, from) || !is_inside(self.b, to) {
            return;
        }
        if let Entry::Vacant(moved) = self.moved.entry(to) {
            moved.insert(from);
            self.left.insert(from);
        }
    }

    /// The slot that shows after what a slot showed before, following each deletion that names
    /// one.
    fn destination(&self, from: SlotNo) -> Option<SlotNo> {
        let value_before =
            |slot: SlotNo| self.a.view.winner(slot).and_then(|no| self.log.value(no));
        let was = value_before(from).filter(|value| **value != Value::Tomb)?;
        let mut seen = BTreeSet::from([from]);
        let (mut at, mut since) = (from, self.a.view.winner(from)?);
        while let Some(end) = self.end_of(at, since)? {
            since = self.log.moved_to(end)?;
            at = self.log.slot_of(since).filter(|slot| seen.insert(*slot))?;
        }
        let shows = self.b.view.node(self.log, self.b.authority, at).is_some();
        // A file that was in both places before stayed in one and was removed from the other.
        let was_there = value_before(at) == Some(was) && !matches!(was, Value::Dir(_));
        (at != from && shows && !was_there).then_some(at)
    }

    /// The deletion that ended what an entry began in a slot, or nothing within if it did not end;
    /// nothing at all if the entry is not on the winning line.
    fn end_of(&self, slot: SlotNo, since: EntryNo) -> Option<Option<EntryNo>> {
        let mut end = None;
        for no in self.b.view.line(self.log, self.b.authority, slot) {
            if no == since {
                return Some(end);
            }
            if self.log.value(no) == Some(&Value::Tomb) {
                end = Some(no);
            }
        }
        None
    }

    fn walk(&mut self, start: Pair) {
        self.open.push(start);
        while let Some(pair) = self.open.pop() {
            self.compare(&pair);
            let dir = |node: &Option<Node>| match node.as_ref().map(|node| &node.kind) {
                Some(NodeKind::Dir(dir)) => Some(*dir),
                _ => None,
            };
            let dirs = (dir(&pair.a), dir(&pair.b));
            if dirs.0 != dirs.1 || dirs.0.is_some_and(|dir| self.differs[dir.index()]) {
                self.descend(&pair.paths, dirs, pair.depths);
            }
        }
    }

    /// Pairs up what two directories, or one, show under each name.
    fn descend(
        &mut self,
        paths: &(String, String),
        dirs: (Option<DirNo>, Option<DirNo>),
        depths: (usize, usize),
    ) {
        let log = self.log;
        let names = |dir: Option<DirNo>| dir.into_iter().flat_map(|dir| log.children(dir));
        let mut slots: BTreeMap<&Arc<str>, (Option<SlotNo>, Option<SlotNo>)> = BTreeMap::new();
        for (name, slot) in names(dirs.0) {
            slots.entry(name).or_default().0 = Some(slot);
        }
        for (name, slot) in names(dirs.1) {
            slots.entry(name).or_default().1 = Some(slot);
        }
        let below = |path: &str, name: &str| format!("{}/{name}", path.trim_end_matches('/'));
        for (name, (a, b)) in slots {
            let paths = (below(&paths.0, name), below(&paths.1, name));
            self.pair_up(paths, a, b, depths);
        }
    }

    fn pair_up(
        &mut self,
        mut paths: (String, String),
        a: Option<SlotNo>,
        b: Option<SlotNo>,
        depths: (usize, usize),
    ) {
        let node = |shown: Shown<'_>, slot: Option<SlotNo>, depth: usize| {
            shown.view.node_at_depth(shown.log, shown.authority, slot?, depth)
        };
        let stays = a.filter(|slot| !self.left.contains(slot));
        let before = node(self.a, stays, depths.0);
        let after = node(self.b, b, depths.1);
        let depths = (depths.0 + 1, depths.1 + 1);
        let Some(origin) = b.and_then(|b| self.moved.get(&b).copied()) else {
            self.open.push(Pair { paths, is_renamed: false, a: before, b: after, depths });
            return;
        };
        // What was under this name gives way: of it only what is below is told.
        if let Some(Node { kind: NodeKind::Dir(dir), .. }) = before {
            self.descend(&paths, (Some(dir), None), depths);
        }
        let names = self.a.names_of(origin).unwrap_or_default();
        let a = node(self.a, Some(origin), names.len().saturating_sub(1));
        let depths = (names.len(), depths.1);
        paths.0 = join(&names);
        self.open.push(Pair { paths, is_renamed: true, a, b: after, depths });
    }

    fn compare(&mut self, pair: &Pair) {
        let kind = |node: &Option<Node>| node.as_ref().map(|node| node.kind.clone());
        let (a, b) = (kind(&pair.a), kind(&pair.b));
        let content = match (&a, &b) {
            (Some(NodeKind::File { content: a, .. }), Some(NodeKind::File { content: b, .. })) => {
                a != b
            }
            // Of directories what is in them is told.
            (Some(NodeKind::Dir(_)), Some(NodeKind::Dir(_))) => false,
            _ => a != b,
        };
        let is_dir = |kind: &Option<NodeKind>| matches!(kind, Some(NodeKind::Dir(_)));
        let kind = match (&a, &b) {
            (None, None) => return,
            _ if pair.is_renamed => DifferenceKind::Renamed { from: pair.paths.0.clone() },
            (None, Some(_)) => DifferenceKind::Added,
            (Some(_), None) => DifferenceKind::Removed,
            _ if a == b || is_dir(&a) && is_dir(&b) => return,
            _ => DifferenceKind::Changed,
        };
        let path = match kind {
            DifferenceKind::Removed => pair.paths.0.clone(),
            _ => pair.paths.1.clone(),
        };
        self.found.push(Difference {
            path,
            kind,
            before: pair.a.as_ref().map(|node| metadata_of(self.a, node)),
            after: pair.b.as_ref().map(|node| metadata_of(self.b, node)),
            content,
        });
    }
}

/// Marks a directory and all above it, up to the first that is marked.
fn climb(shown: Shown<'_>, dir: DirNo, seen: &mut [bool]) {
    let mut at = Some(dir);
    while let Some(dir) = at.filter(|dir| !core::mem::replace(&mut seen[dir.index()], true)) {
        let place = shown.view.place(shown.log, shown.authority, dir);
        at = place.map(|slot| shown.log.slot_dir(slot));
    }
}
