//! Verbs about versions: write only what one has read, go back, bring back, and settle conflicts.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::entry::Payload;
use crate::fs::Fs;
use crate::fs::error::{ReadError, WriteError};
use crate::fs::path::{PathError, join, parse};
use crate::fs::plan::{Plan, Prepared, Shows, Target, Weight, check_size, not_found, prepare};
use crate::id::EntryId;
use crate::log::{EntryNo, Log, SlotNo, Value};
use crate::node::Replica;

/// What a path has to be at for a conditional write.
///
/// ```
/// use basefs::fs::Expected;
///
/// let fs = basefs::Fs::in_memory()?;
/// let version = fs.write_if("/lock", Expected::Absent, "ana")?;
/// assert!(fs.write_if("/lock", Expected::Absent, "ben").is_err());
/// fs.write_if("/lock", Expected::Version(version), "ben")?;
/// assert_eq!(fs.read("/lock")?, "ben");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing is there.
    Absent,
    /// It is at this version: that of [`Metadata::version`](crate::fs::Metadata::version) or
    /// [`Fs::read_with_version`].
    Version(EntryId),
}

impl From<EntryId> for Expected {
    fn from(version: EntryId) -> Self {
        Expected::Version(version)
    }
}

/// Why another version of a path could not be shown, or what it shows not be settled. Except where
/// the store failed, nothing was written.
///
/// ```
/// use basefs::fs::RevertError;
///
/// let fs = basefs::Fs::in_memory()?;
/// let elsewhere = fs.write("/a", "1")?;
/// fs.write("/b", "2")?;
/// let refused = fs.revert("/b", elsewhere);
/// assert!(matches!(refused, Err(RevertError::NoSuchVersion { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevertError {
    /// It could not be written, as with any write.
    Write(WriteError),
    /// The path never was at such a version, as far as this replica knows.
    NoSuchVersion {
        /// The path.
        path: String,
        /// The version asked for.
        version: EntryId,
    },
    /// The version is a deletion: to go back to it, remove the path.
    IsADeletion {
        /// The path.
        path: String,
        /// The version asked for.
        version: EntryId,
    },
    /// The content of the version is not on this replica yet; it would show nothing here.
    NotHere {
        /// The path.
        path: String,
        /// The version asked for.
        version: EntryId,
    },
    /// Nothing else is open against what the path shows, so there is nothing to dismiss.
    NotInConflict {
        /// The path.
        path: String,
    },
    /// Something is there, so nothing is to be revived. To show another version, revert to it.
    Exists {
        /// The path.
        path: String,
    },
}

impl fmt::Display for RevertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevertError::Write(error) => return error.fmt(f),
            RevertError::NoSuchVersion { path, version } => {
                write!(f, "{path}: no version {version:.16} of it is known here")
            }
            RevertError::IsADeletion { path, version } => {
                write!(f, "{path}: version {version:.16} is a deletion; remove the path instead")
            }
            RevertError::NotHere { path, version } => {
                write!(f, "{path}: the content of version {version:.16} is not on this replica yet")
            }
            RevertError::NotInConflict { path } => write!(f, "{path}: is not in conflict"),
            RevertError::Exists { path } => {
                write!(f, "{path}: is there; revert to the version that is to show")
            }
        }?;
        f.write_str("; nothing was written")
    }
}

impl core::error::Error for RevertError {}

impl From<WriteError> for RevertError {
    fn from(error: WriteError) -> Self {
        RevertError::Write(error)
    }
}

impl From<PathError> for RevertError {
    fn from(error: PathError) -> Self {
        RevertError::Write(error.into())
    }
}

impl Fs {
    /// Reads a whole file and says which version it is, for [`write_if`](Self::write_if).
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/motd", "hello")?;
    /// assert_eq!(fs.read_with_version("/motd")?, ("hello".into(), version));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_with_version(&self, path: impl AsRef<str>) -> Result<(Bytes, EntryId), ReadError> {
        self.engine.now().read_file(path.as_ref())
    }

    /// Writes a file if it is still at the version that was read: compare and set.
    ///
    /// It compares with what this replica shows, in one step with respect to everybody who writes
    /// on this replica. What others write on theirs at the same time is a conflict like any other:
    /// the new version stands on the expected one, and nothing is overwritten unseen.
    ///
    /// # Errors
    ///
    /// [`WriteError::Changed`] with the version that the path is at: read it again. Otherwise as
    /// for [`write`](Self::write).
    ///
    /// ```
    /// use basefs::WriteError;
    /// use basefs::fs::Expected;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write_if("/counter", Expected::Absent, "1")?;
    /// let (content, version) = fs.read_with_version("/counter")?;
    /// assert_eq!(content, "1");
    /// fs.write_if("/counter", version, "2")?;
    /// let late = fs.write_if("/counter", version, "2 as well");
    /// assert!(matches!(late, Err(WriteError::Changed { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_if(
        &self,
        path: impl AsRef<str>,
        expected: impl Into<Expected>,
        content: impl AsRef<[u8]>,
    ) -> Result<EntryId, WriteError> {
        let (expected, content) = (expected.into(), copied(content.as_ref())?);
        self.plan(|plan| plan.write_if(path.as_ref(), expected, content))
    }

    /// Writes a file as an edit of the version that was read, whatever shows by now: for editors,
    /// and for a mount, where long passes between reading and writing. If somebody has written
    /// meanwhile, the two versions are a [conflict](Self::conflicts), as if they had been written
    /// on two replicas: it is decided which one shows, and neither is overwritten unseen. Gives the
    /// version that was written, which need not be the one that shows.
    ///
    /// A base that is not a version of this path counts as [`Expected::Absent`]: nothing of what is
    /// there now was seen. `executable` says whether the file is a program; none keeps that.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let opened = fs.write("/notes", "one")?;
    /// fs.write("/notes", "one, two")?;
    /// fs.write_on("/notes", opened, "one, three", None)?;
    /// assert_eq!(fs.conflicts("/notes")?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // rule: CLIENT-2
    pub fn write_on(
        &self,
        path: impl AsRef<str>,
        base: impl Into<Expected>,
        content: impl Into<Bytes>,
        executable: Option<bool>,
    ) -> Result<EntryId, WriteError> {
        let (base, content) = (base.into(), prepare(content.into())?);
        self.plan(|plan| {
            let names = parse(path.as_ref())?;
            let at = plan.target(&names, true)?;
            let prev = plan.seen(&at, base).into_iter().collect();
            plan.write_at(&at, prev, content, executable)
        })
    }

    /// Shows an earlier version of a path again, or one that lost a conflict or was cut: a new
    /// version with the same value. What is there now stays in the history, and a conflict stays
    /// open; see [`resolve`](Self::resolve).
    ///
    /// # Errors
    ///
    /// See [`RevertError`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let first = fs.write("/motd", "hello")?;
    /// fs.write("/motd", "a typo")?;
    /// fs.revert("/motd", first)?;
    /// assert_eq!(fs.read("/motd")?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revert(&self, path: impl AsRef<str>, version: EntryId) -> Result<EntryId, RevertError> {
        self.plan(|plan| plan.revert(path.as_ref(), version))
    }

    /// Brings back what was removed, a directory with all that was in it.
    ///
    /// What the path showed last shows again. [`revert`](Self::revert) brings back any other
    /// version, and is the only way if nothing that was ever there counts any more.
    ///
    /// # Errors
    ///
    /// See [`RevertError`]. [`WriteError::FormerPlace`] if the path is empty because a directory
    /// was moved: it is at its new place.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/team/plan", "all of it")?;
    /// fs.remove_all("/team")?;
    /// fs.revive("/team")?;
    /// assert_eq!(fs.read("/team/plan")?, "all of it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revive(&self, path: impl AsRef<str>) -> Result<EntryId, RevertError> {
        self.plan(|plan| plan.revive(path.as_ref()))
    }

    /// Confirms what a path shows, or that nothing is there, with the best rank this author has:
    /// nobody of lower rank, writing on an older version, displaces it any more.
    ///
    /// # Errors
    ///
    /// See [`RevertError`]. [`WriteError::NotFound`] if nothing ever was there.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/motd", "hello")?;
    /// assert_ne!(fs.ack("/motd")?, version);
    /// assert_eq!(fs.read("/motd")?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack(&self, path: impl AsRef<str>) -> Result<EntryId, RevertError> {
        self.plan(|plan| plan.ack(path.as_ref(), false))
    }

    /// Settles a conflict in favour of what the path shows, with the best rank this author has: no
    /// other version that is known here is open afterwards.
    ///
    /// # Errors
    ///
    /// As for [`ack`](Self::ack), and [`RevertError::NotInConflict`].
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # ana.create_dir_all("/team")?;
    /// # ana.grant("/team", ben.author())?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ana.write("/team/plan", "ana's")?;
    /// ben.write("/team/plan", "ben's")?; // they are apart
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// ana.dismiss("/team/plan")?;
    /// assert!(ana.conflicts("/")?.is_empty());
    /// assert_eq!(ana.read("/team/plan")?, "ana's");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dismiss(&self, path: impl AsRef<str>) -> Result<EntryId, RevertError> {
        self.plan(|plan| plan.ack(path.as_ref(), true))
    }

    /// Settles a conflict in favour of one version, also of a deletion: no other version that is
    /// known here is open afterwards.
    ///
    /// # Errors
    ///
    /// See [`RevertError`].
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # ana.create_dir_all("/team")?;
    /// # ana.grant("/team", ben.author())?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ana.write("/team/plan", "ana's")?;
    /// ben.write("/team/plan", "ben's")?; // they are apart
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// let lost = ana.conflicts("/")?[0].losers[0].version.id;
    /// ana.resolve("/team/plan", lost)?;
    /// assert!(ana.conflicts("/")?.is_empty());
    /// assert_eq!(ana.read("/team/plan")?, "ben's");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve(&self, path: impl AsRef<str>, version: EntryId) -> Result<EntryId, RevertError> {
        self.plan(|plan| plan.resolve(path.as_ref(), version))
    }

    /// Settles a conflict with new content, for example merged from all versions: no other version
    /// that is known here is open afterwards.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # ana.create_dir_all("/team")?;
    /// # ana.grant("/team", ben.author())?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ana.write("/team/plan", "ana's")?;
    /// ben.write("/team/plan", "ben's")?; // they are apart
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// ana.resolve_with("/team/plan", "ana's and ben's")?;
    /// assert!(ana.conflicts("/")?.is_empty());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve_with(
        &self,
        path: impl AsRef<str>,
        content: impl AsRef<[u8]>,
    ) -> Result<EntryId, WriteError> {
        let content = copied(content.as_ref())?;
        self.plan(|plan| plan.resolve_with(path.as_ref(), content))
    }
}

/// Content as an entry carries it; its size is checked before it is copied.
fn copied(content: &[u8]) -> Result<Prepared, WriteError> {
    check_size(content.len() as u64)?;
    prepare(Bytes::copy_from_slice(content))
}

/// A version of a slot, as far as showing it again is concerned.
#[derive(Clone, Copy, Debug)]
struct Known {
    is_deletion: bool,
    /// It says where a directory or file went.
    is_move: bool,
    is_ready: bool,
    /// What shows now was built on it.
    is_behind_winner: bool,
}

impl Plan<'_> {
    pub(super) fn write_if(
        &mut self,
        path: &str,
        expected: Expected,
        content: Prepared,
    ) -> Result<EntryId, WriteError> {
        let names = parse(path)?;
        let at = match self.target(&names, expected == Expected::Absent) {
            // Gone with a directory above it, or that gave way to something else.
            Err(WriteError::NotFound { .. } | WriteError::NotADirectory { .. })
                if expected != Expected::Absent =>
            {
                return Err(WriteError::Changed { path: join(&names), version: None });
            }
            at => at?,
        };
        let version = at.slot.winner.filter(|_| at.slot.shows != Shows::Nothing);
        if version.map_or(Expected::Absent, Expected::Version) != expected {
            return Err(WriteError::Changed { path: join(&names), version });
        }
        self.write_at(&at, at.slot.winner.into_iter().collect(), content, None)
    }

    /// What somebody stands on who has seen this much of a slot: the version, or the deletion that
    /// left nothing there.
    fn seen(&self, at: &Target<'_>, base: Expected) -> Option<EntryId> {
        let seen = self.in_slot(at, |replica, slot| {
            let (log, view) = (replica.log(), replica.view());
            let version = match base {
                Expected::Version(version) => log.number(&version),
                Expected::Absent => None,
            };
            let is_here = |no: &EntryNo| log.slot_of(*no) == Some(slot);
            version.filter(is_here).or_else(|| {
                let outcome = view.outcome(log, replica.authority(), slot);
                outcome.line().find(|no| log.value(*no) == Some(&Value::Tomb))
            })
        });
        let seen = seen.flatten();
        let seen = seen.map(|no| self.engine.read(|node| node.replica().log().id(no)));
        seen.or(at.slot.winner.filter(|_| at.slot.shows == Shows::Nothing))
    }

    // rule: CLIENT-3
    fn revert(&mut self, path: &str, version: EntryId) -> Result<EntryId, RevertError> {
        let names = parse(path)?;
        let at = self.target(&names, false)?;
        if at.slot.winner == Some(version) && at.slot.shows != Shows::Nothing {
            return Ok(version);
        }
        let known = self.known(&at, version)?;
        self.check_shows(&at, version, known)?;
        // What was cut or lost is named, so that it is not a conflict if it counts again.
        let seen = (!known.is_behind_winner).then_some(version);
        let prev = at.slot.winner.into_iter().chain(seen).collect();
        let link = Payload::Link { target: version };
        Ok(self.data(&at, Weight::Narrowest, prev, link, Shows::Other)?)
    }

    // rule: CLIENT-3
    fn revive(&mut self, path: &str) -> Result<EntryId, RevertError> {
        let names = parse(path)?;
        let at = self.target(&names, false)?;
        if at.slot.shows != Shows::Nothing {
            return Err(RevertError::Exists { path: join(&names) });
        }
        let hidden = self.in_slot(&at, |replica, slot| {
            let (log, view) = (replica.log(), replica.view());
            let outcome = view.outcome(log, replica.authority(), slot);
            let shows = |no: &EntryNo| log.value(*no) != Some(&Value::Tomb);
            outcome.line().find(shows).map(|no| log.id(no))
        });
        let version = hidden.flatten().ok_or_else(|| not_found(&at))?;
        self.revert(path, version)
    }

    // rule: CLIENT-1
    // rule: CLIENT-3
    fn ack(&mut self, path: &str, dismiss: bool) -> Result<EntryId, RevertError> {
        let names = parse(path)?;
        let at = self.target(&names, false)?;
        let winner = at.slot.winner.ok_or_else(|| not_found(&at))?;
        let tips = if dismiss { self.all_tips(&at) } else { Vec::from([winner]) };
        if dismiss && tips == [winner] {
            return Err(RevertError::NotInConflict { path: join(&names) });
        }
        let payload = self.again(&at, winner)?;
        Ok(self.close(&at, Weight::Best, tips, payload, at.slot.shows)?)
    }

    /// An entry that says the same as a version.
    fn again(&self, at: &Target<'_>, version: EntryId) -> Result<Payload, RevertError> {
        Ok(match self.known(at, version)?.is_deletion {
            true => Payload::Delete { moved_to: None },
            false => Payload::Link { target: version },
        })
    }

    // rule: CLIENT-2
    fn resolve(&mut self, path: &str, version: EntryId) -> Result<EntryId, RevertError> {
        let names = parse(path)?;
        let at = self.target(&names, false)?;
        let known = self.known(&at, version)?;
        if !known.is_deletion && at.slot.winner != Some(version) {
            self.check_shows(&at, version, known)?;
        }
        let mut tips = self.all_tips(&at);
        if known.is_move {
            // A deletion does not say again where something went; the line of the slot does, so
            // this version has to be on it.
            tips.retain(|tip| *tip != version);
            tips.insert(0, version);
        } else if !known.is_behind_winner && !tips.contains(&version) {
            tips.push(version);
        }
        if let Some((_, others)) = tips.split_first_mut() {
            others.sort_unstable();
        }
        let payload = self.again(&at, version)?;
        Ok(self.close(&at, Weight::Narrowest, tips, payload, Shows::Other)?)
    }

    // rule: CLIENT-2
    fn resolve_with(&mut self, path: &str, content: Prepared) -> Result<EntryId, WriteError> {
        let names = parse(path)?;
        let at = self.target(&names, true)?;
        let tips = self.all_tips(&at);
        self.write_at(&at, tips, content, None)
    }

    /// Refuses versions whose showing again would show nothing, or would move a directory.
    fn check_shows(
        &self,
        at: &Target<'_>,
        version: EntryId,
        known: Known,
    ) -> Result<(), RevertError> {
        let path = || join(at.names);
        if known.is_deletion {
            return Err(RevertError::IsADeletion { path: path(), version });
        }
        if !known.is_ready {
            return Err(RevertError::NotHere { path: path(), version });
        }
        Ok(self.check_former_place(version, at)?)
    }

    fn known(&self, at: &Target<'_>, version: EntryId) -> Result<Known, RevertError> {
        let known = self.in_slot(at, |replica, slot| {
            let (log, view) = (replica.log(), replica.view());
            let no = log.number(&version).filter(|no| log.slot_of(*no) == Some(slot))?;
            Some(Known {
                is_deletion: log.value(no) == Some(&Value::Tomb),
                is_move: log.moved_to(no).is_some(),
                is_ready: view.is_ready(log, no),
                is_behind_winner: view
                    .winner(slot)
                    .is_some_and(|won| all_behind(log, won).contains(&no)),
            })
        });
        let unknown = || RevertError::NoSuchVersion { path: join(at.names), version };
        known.flatten().ok_or_else(unknown)
    }

    /// Looks at a slot, if it was ever used.
    fn in_slot<T>(&self, at: &Target<'_>, look: impl FnOnce(&Replica, SlotNo) -> T) -> Option<T> {
        self.engine.read(|node| {
            let replica = node.replica();
            let log = replica.log();
            let slot = log.dir(&at.dir.id).and_then(|dir| log.child(dir, at.name))?;
            Some(look(replica, slot))
        })
    }
}

/// An entry of a slot, and all that are reached from it by following `prev`.
pub(super) fn all_behind(log: &Log, no: EntryNo) -> BTreeSet<EntryNo> {
    let mut open = Vec::from([no]);
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        if seen.insert(at) {
            open.extend(log.prev(at));
        }
    }
    seen
}
