//! What does not show: versions that lost, wait, were cut, or lost their place in the tree.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::fs::Fs;
use crate::fs::error::ReadError;
use crate::fs::explain::{CutVersion, IncompleteVersion, Loser};
use crate::fs::history::{Version, order, starts_with};
use crate::fs::path::{join, lost_path, parse};
use crate::fs::shown::{Reading, Shown};
use crate::id::{DirId, PublicKey};
use crate::log::{EntryNo, SlotNo};
use crate::view::Status;

/// A path at which authors disagree.
///
/// Printed, it is a few lines for people.
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
/// let conflict = &ana.conflicts("/")?[0];
/// assert_eq!(conflict.winner.author, ana.author()); // she has the better rank
/// assert!(conflict.hides(&ben.author()) && !conflict.hides(&ana.author()));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The path.
    pub path: String,
    /// The version that shows.
    pub winner: Version,
    /// The latest versions of the branches that lost and say something else, with what decided
    /// against each (FORK-4). Never empty.
    pub losers: Vec<Loser>,
}

impl Conflict {
    /// Whether the latest version of a branch that lost is by a key: whose work is hidden.
    pub fn hides(&self, key: &PublicKey) -> bool {
        self.losers.iter().any(|loser| loser.version.author == *key)
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} won", self.path, self.winner)?;
        self.losers.iter().try_for_each(|loser| write!(f, "\n  {}", loser.reason()))
    }
}

/// Something in a directory that is not shown anywhere.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// ana.create_dir_all("/team")?;
/// ana.grant("/team", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// ana.remove_all("/team")?;
/// ben.write("/team/plan", "ben's")?; // he has not heard of it
/// # for entry in ben.export() { ana.admit(&entry?)?; }
/// let orphan = &ana.orphans()?[0];
/// assert_eq!((orphan.version.path.as_str(), orphan.version.author), ("/team/plan", ben.author()));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Orphan {
    /// The directory.
    pub dir: DirId,
    /// What it would show; its path is the one that it was made under.
    pub version: Version,
}

/// A directory that contains itself, or is too deep for any path.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// ana.create_dir_all("/a")?;
/// ana.create_dir_all("/b")?;
/// # ana.grant("/", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// ana.rename_across("/a", "/b/a")?;
/// ben.rename_across("/b", "/a/b")?; // they are apart: now each contains the other
/// # for entry in ben.export() { ana.admit(&entry?)?; }
/// let lost = ana.lost_and_found();
/// assert!(lost.iter().all(|dir| ana.read_dir(&dir.path).is_ok()));
/// assert!(lost.iter().any(|dir| dir.made_at == "/b"), "{lost:?}");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostDir {
    /// The directory.
    pub dir: DirId,
    /// Where it can be read, and not written.
    pub path: String,
    /// The path that it was made at. If nothing else is there, [`Fs::revive`] brings it back.
    pub made_at: String,
}

impl Fs {
    /// Every path of a subtree that is in conflict: some latest version lost and says something
    /// else than the one that shows. In the order of paths. Costs what the paths cost that were
    /// ever written at the same time, however large the subtree.
    ///
    /// # Errors
    ///
    /// The text is not a path, or the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// fs.write("/motd", "good morning")?;
    /// assert!(fs.conflicts("/")?.is_empty(), "whoever has seen the other does not disagree");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn conflicts(&self, subtree: impl AsRef<str>) -> Result<Vec<Conflict>, ReadError> {
        self.engine.now().conflicts(subtree.as_ref())
    }

    /// Versions in a subtree that wait for content. One that
    /// [would win](IncompleteVersion::would_win) changes what is shown when that arrives.
    ///
    /// # Errors
    ///
    /// The text is not a path, or the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/big", vec![0; 1_000])?;
    /// assert!(fs.pending("/")?.is_empty(), "who writes has the content");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pending(&self, subtree: impl AsRef<str>) -> Result<Vec<IncompleteVersion>, ReadError> {
        self.engine.now().pending(subtree.as_ref())
    }

    /// Versions, grants and revokes in a subtree that do not count, and which revoke did that. A
    /// path counts to the subtree if it is there or was made there.
    ///
    /// # Errors
    ///
    /// The text is not a path, or the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// assert!(fs.cut("/")?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cut(&self, subtree: impl AsRef<str>) -> Result<Vec<CutVersion>, ReadError> {
        self.engine.now().cut(subtree.as_ref())
    }

    /// What directories contain that are not shown anywhere, because they were deleted or lost
    /// their place. Linear in the number of directories.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/notes/1", "hello")?;
    /// fs.remove_all("/notes")?;
    /// assert_eq!(fs.orphans()?[0].version.path, "/notes/1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn orphans(&self) -> Result<Vec<Orphan>, ReadError> {
        self.engine.now().orphans()
    }

    /// Directories that were moved into themselves, or too deep for any path. Their content is read
    /// under the path given; it is in nobody's tree. Linear in the number of directories.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.create_dir_all("/a/b")?;
    /// assert!(fs.lost_and_found().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lost_and_found(&self) -> Vec<LostDir> {
        self.engine.now().look(|shown| {
            let lost = shown.lost().into_iter().map(|dir| {
                let id = shown.log.dir_id(dir);
                let made_at = join(&shown.dir_made_at(dir));
                LostDir { dir: id, path: lost_path(id), made_at }
            });
            lost.collect()
        })
    }
}

impl Shown<'_> {
    /// The slots in a subtree that have or had more than one branch: all that can have losers,
    /// cut or incomplete entries.
    fn forked_in(self, subtree: &[&str]) -> impl Iterator<Item = SlotNo> {
        let is_there = move |slot: &SlotNo| {
            self.names_of(*slot).is_some_and(|names| starts_with(&names, subtree))
        };
        self.view.forked().iter().copied().filter(is_there)
    }

    /// The tips of a slot that disagree with its winner.
    fn disagreeing(self, slot: SlotNo) -> Vec<EntryNo> {
        self.view.conflicts(self.log, self.authority, slot)
    }

    /// Every entry of a subtree that is cut.
    // rule: AUTH-1
    fn cut_in(self, subtree: &[&str]) -> Vec<EntryNo> {
        let Self { log, authority, view } = self;
        let slots = view.forked().iter().filter(|slot| {
            starts_with(&self.made_at(**slot), subtree)
                || self.names_of(**slot).is_some_and(|names| starts_with(&names, subtree))
        });
        let data = slots.flat_map(|slot| view.entries(*slot));
        let control = log.control().filter(|no| {
            let names = log.dir_of(*no).map(|dir| {
                let shown = view.path_of_dir(log, authority, dir);
                shown.unwrap_or_else(|| self.dir_made_at(dir))
            });
            names.is_some_and(|names| starts_with(&names, subtree))
        });
        data.chain(control).filter(|no| !authority.is_authorised(*no)).collect()
    }
}

impl Reading<'_> {
    // rule: VIEW-3
    fn conflicts(self, subtree: &str) -> Result<Vec<Conflict>, ReadError> {
        let names = parse(subtree)?;
        let found = self.look(|shown| {
            let (log, authority, view) = (shown.log, shown.authority, shown.view);
            let conflict = |slot: SlotNo| {
                let disagreeing = shown.disagreeing(slot);
                let found = view.explain(log, authority, slot);
                let winner = found.winner.filter(|_| !disagreeing.is_empty())?;
                let disagrees = |no| disagreeing.binary_search(no).is_ok();
                let losers = found.losers.iter().filter(|loser| disagrees(&loser.no));
                let losers: Vec<_> = losers
                    .map(|loser| {
                        let sketch = shown.sketch(loser.no, Status::Tip);
                        (sketch, loser.decided, log.author(loser.by))
                    })
                    .collect();
                Some((shown.path_of_slot(slot), shown.sketch(winner, Status::Current), losers))
            };
            shown.forked_in(&names).filter_map(conflict).collect::<Vec<_>>()
        });
        let mut conflicts = Vec::with_capacity(found.len());
        for (path, winner, losers) in found {
            let losers = losers.into_iter().map(|(sketch, decided, by)| {
                Ok(Loser { version: self.complete(sketch)?, decided, by })
            });
            let losers = losers.collect::<Result<_, ReadError>>()?;
            conflicts.push(Conflict { path, winner: self.complete(winner)?, losers });
        }
        conflicts.sort_by(|a, b| order(&a.path).cmp(&order(&b.path)));
        Ok(conflicts)
    }

    // rule: VIEW-3
    fn pending(self, subtree: &str) -> Result<Vec<IncompleteVersion>, ReadError> {
        let names = parse(subtree)?;
        let found: Vec<_> = self.look(|shown| {
            let (log, authority, view) = (shown.log, shown.authority, shown.view);
            let pending = shown.forked_in(&names).map(|slot| view.pending(log, authority, slot));
            pending.flat_map(|versions| shown.incomplete(&versions)).collect()
        });
        let complete = |incomplete| self.complete_incomplete(incomplete);
        let mut pending = found.into_iter().map(complete).collect::<Result<Vec<_>, _>>()?;
        pending.sort_by(|a, b| order(&a.version.path).cmp(&order(&b.version.path)));
        Ok(pending)
    }

    fn cut(self, subtree: &str) -> Result<Vec<CutVersion>, ReadError> {
        let names = parse(subtree)?;
        let found: Vec<_> =
            self.look(|shown| shown.cut_in(&names).into_iter().map(|no| shown.cut(no)).collect());
        let complete = |cut| self.complete_cut(cut);
        let mut cut = found.into_iter().map(complete).collect::<Result<Vec<_>, _>>()?;
        cut.sort_by(|a, b| order(&a.version.path).cmp(&order(&b.version.path)));
        Ok(cut)
    }

    // rule: VIEW-4
    fn orphans(self) -> Result<Vec<Orphan>, ReadError> {
        let (dirs, sketches) = self.look(|shown| {
            let orphans = shown.view.orphans(shown.log, shown.authority);
            let (dirs, entries): (Vec<_>, Vec<_>) =
                orphans.into_iter().map(|(dir, no)| (shown.log.dir_id(dir), no)).unzip();
            (dirs, shown.sketch_all(&entries))
        });
        let versions = self.complete_all(sketches)?;
        Ok(dirs.into_iter().zip(versions).map(|(dir, version)| Orphan { dir, version }).collect())
    }
}
