//! Ending what a key may do: what it would mean, shown before it is done.

mod error;
mod planning;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::fs::Fs;
use crate::fs::error::WriteError;
use crate::fs::grants::KeyInfo;
use crate::fs::verbs::RevertError;
use crate::fs::words::Count;
use crate::id::{EntryId, PublicKey};
use crate::log::Rank;

pub use error::RevokeError;
use planning::Effect;

/// What a revoke keeps of what the key, and those it let in, have written.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// # ana.create_dir_all("/team")?;
/// # ana.grant("/team", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// use basefs::fs::Keep;
///
/// let first = ben.write("/team/plan", "one")?;
/// ben.write("/team/plan", "two")?;
/// # for entry in ben.export() { ana.admit(&entry?)?; }
/// let cut = |keep| ana.revoke_plan("/team", ben.author(), keep).map(|plan| plan.cut().len());
/// assert_eq!(cut(Keep::Seen)?, 0);
/// assert_eq!(cut(Keep::UpTo(vec![first]))?, 1);
/// assert_eq!(cut(Keep::Nothing)?, 2);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// All that counts on this replica now. What they wrote elsewhere and is not here yet is cut.
    #[default]
    Seen,
    /// Nothing.
    Nothing,
    /// These entries, and what the same key wrote before each with the same capability.
    UpTo(Vec<EntryId>),
}

/// A path that a revoke changes. If it shows the same version before and after, the directory that
/// this names comes here or goes elsewhere.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// # ana.create_dir_all("/team")?;
/// # ana.grant("/team", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// let version = ben.write("/team/plan", "ben's")?;
/// # for entry in ben.export() { ana.admit(&entry?)?; }
/// let plan = ana.revoke_plan("/team", ben.author(), basefs::fs::Keep::Nothing)?;
/// let effect = &plan.paths()[0];
/// assert_eq!(effect.path, "/team/plan");
/// assert_eq!((effect.before, effect.after), (Some(version), None)); // nothing would be there
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathEffect {
    /// The path. A directory stands for all below it.
    pub path: String,
    /// The version that it shows now, if anything.
    pub before: Option<EntryId>,
    /// The version that it would show, if anything; a name of a directory that is nowhere shows
    /// nothing.
    pub after: Option<EntryId>,
}

/// A revoke that was not made yet, and what it would do.
///
/// Printed, it is a few lines for people. It is made by [`Fs::revoke_plan`], from a copy of the
/// state in memory on which the revoke is tried out: up to 320 bytes per entry of the log for as
/// long as that takes, and the time to copy them and to look at every entry of the key.
///
/// ```
/// use basefs::fs::Keep;
///
/// let fs = basefs::Fs::in_memory()?;
/// let ben = basefs::wire::SecretKey::from_seed([7; 32]).public();
/// fs.create_dir_all("/team")?;
/// fs.grant_with("/team", ben, basefs::entry::Rights::Write, "ben")?;
///
/// let plan = fs.revoke_plan("/team", ben, Keep::Seen)?;
/// assert_eq!((plan.path(), plan.who()), ("/team", ben));
/// assert!(plan.cut().is_empty() && plan.paths().is_empty(), "he wrote nothing yet");
/// assert!(plan.pinned().is_empty() && plan.unpinned().is_empty());
/// println!("{plan}");
/// plan.apply()?;
/// assert!(!fs.keys()?[1].is_live);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a plan does nothing until it is applied"]
pub struct RevokePlan {
    fs: Fs,
    path: String,
    who: PublicKey,
    keep: Keep,
    effect: Effect,
    /// The delegates of the effect with their labels.
    frozen: Vec<KeyInfo>,
}

impl Fs {
    /// Ends what a key may do at a directory and below, and what those may do whom it let in there.
    /// All they wrote that is on this replica stays. Gives the revoke.
    ///
    /// The same as applying a [`revoke_plan`](Self::revoke_plan) with [`Keep::Seen`], which tells
    /// beforehand what that means. Who could read before can go on reading.
    ///
    /// # Errors
    ///
    /// See [`RevokeError`]: for one, only somebody of better rank than the key can revoke it.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let ben = basefs::wire::SecretKey::from_seed([7; 32]).public();
    /// fs.grant("/", ben)?;
    /// fs.revoke("/", ben)?;
    /// assert!(!fs.keys()?[1].is_live);
    /// assert!(fs.revoke("/", ben).is_err(), "it would have no effect");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revoke(&self, path: impl AsRef<str>, who: PublicKey) -> Result<EntryId, RevokeError> {
        self.engine.flush().map_err(WriteError::from)?;
        self.plan(|plan| Ok(plan.revoke(path.as_ref(), who, &Keep::Seen)?.0))
    }

    /// Says what revoking a key at a directory would do, and does nothing yet.
    ///
    /// # Errors
    ///
    /// See [`RevokeError`]; nothing was written.
    ///
    /// ```
    /// use basefs::fs::Keep;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let ben = basefs::wire::SecretKey::from_seed([7; 32]).public();
    /// fs.grant("/", ben)?;
    /// let plan = fs.revoke_plan("/", ben, Keep::Seen)?;
    /// assert_eq!((plan.path(), plan.who(), plan.cut().len()), ("/", ben, 0));
    /// assert!(fs.keys()?[1].is_live, "nothing was done yet");
    /// plan.apply()?;
    /// assert!(!fs.keys()?[1].is_live);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revoke_plan(
        &self,
        path: impl AsRef<str>,
        who: PublicKey,
        keep: Keep,
    ) -> Result<RevokePlan, RevokeError> {
        let path = String::from(path.as_ref());
        let mut plan = self.draft();
        let (_, effect) = plan.revoke(&path, who, &keep)?;
        let failed = |error| RevokeError::Write(WriteError::Store(error));
        let frozen = self.engine.labelled(effect.frozen.clone()).map_err(failed)?;
        Ok(RevokePlan { fs: self.clone(), path, who, keep, effect, frozen })
    }

    /// Widens the revokes of a key at a directory: what it wrote up to each of these entries counts
    /// again. Gives the last of the amendments.
    ///
    /// A revoke is never taken back. To let the key write again, [`grant`](Self::grant) it
    /// something; to narrow what is kept, revoke it once more.
    ///
    /// # Errors
    ///
    /// See [`RevokeError`]: for one, only somebody of the rank of the revoke or better can widen it.
    ///
    /// ```
    /// use basefs::fs::Keep;
    /// # use basefs::Fs;
    /// # let fs = Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = Fs::builder().join(&fs.ticket(vec![])).open()?;
    /// # fs.grant("/", ben.author())?;
    /// # for entry in fs.export() { ben.admit(&entry?)?; }
    /// # ben.write("/notes", "useful")?;
    /// # for entry in ben.export() { fs.admit(&entry?)?; }
    /// fs.revoke_plan("/", ben.author(), Keep::Nothing)?.apply()?;
    /// let cut = fs.versions("/notes")?[0].id;
    /// fs.amend("/", ben.author(), &[cut])?;
    /// assert_eq!(fs.read("/notes")?, "useful");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // rule: CLIENT-5
    pub fn amend(
        &self,
        path: impl AsRef<str>,
        who: PublicKey,
        keep: &[EntryId],
    ) -> Result<EntryId, RevokeError> {
        self.plan(|plan| plan.amend(path.as_ref(), who, keep))
    }
}

impl RevokePlan {
    /// Where the key would be revoked.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which key.
    pub fn who(&self) -> PublicKey {
        self.who
    }

    /// The ends of the chains that would stay; what comes before each in its chain stays too.
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # ana.grant("/", ben.author())?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ben.write("/notes/1", "one")?;
    /// let last = ben.write("/notes/2", "two")?;
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// let plan = ana.revoke_plan("/", ben.author(), basefs::fs::Keep::Seen)?;
    /// assert_eq!(plan.kept(), [last]); // and with it all before it
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kept(&self) -> &[EntryId] {
        &self.effect.kept
    }

    /// The entries that would not count any more, in the order they came here.
    pub fn cut(&self) -> &[EntryId] {
        &self.effect.cut
    }

    /// The paths that would change.
    pub fn paths(&self) -> &[PathEffect] {
        &self.effect.paths
    }

    /// The capabilities of other keys that come from this one and would be frozen with it.
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # let phone = basefs::wire::SecretKey::from_seed([7; 32]).public();
    /// use basefs::entry::Rights;
    ///
    /// ana.grant_with("/", ben.author(), Rights::All, "ben")?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ben.grant_with("/", phone, Rights::Write, "ben's phone")?;
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// let plan = ana.revoke_plan("/", ben.author(), basefs::fs::Keep::Seen)?;
    /// assert_eq!(plan.frozen()[0].label, "ben's phone");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn frozen(&self) -> &[KeyInfo] {
        &self.frozen
    }

    /// What the key could go on using, without labels: capabilities elsewhere, and those that this
    /// author does not outrank.
    ///
    /// ```
    /// use basefs::fs::Keep;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let ben = basefs::wire::SecretKey::from_seed([7; 32]).public();
    /// for dir in ["/ben", "/team"] {
    ///     fs.create_dir_all(dir)?;
    ///     fs.grant(dir, ben)?;
    /// }
    /// let plan = fs.revoke_plan("/team", ben, Keep::Seen)?;
    /// assert_eq!(plan.left()[0].path.as_deref(), Some("/ben")); // that needs a revoke of its own
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left(&self) -> &[KeyInfo] {
        &self.effect.left
    }

    /// The paths at which what shows would be pinned, because a version that stays has not come
    /// with its content: published only later, it would win without having been seen by anybody.
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # ana.write("/photo", "ana's")?;
    /// # ana.grant("/", ben.author())?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ben.write("/photo", vec![0; 1_000])?;
    /// # for entry in ben.export() { ana.admit(&entry?)?; } // entries alone: the blocks come later
    /// let plan = ana.revoke_plan("/", ben.author(), basefs::fs::Keep::Seen)?;
    /// assert_eq!(plan.pinned(), ["/photo"]); // so that it goes on showing what it shows now
    /// assert!(plan.unpinned().is_empty());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pinned(&self) -> &[String] {
        &self.effect.pinned
    }

    /// The paths that would have to be pinned and cannot be: nothing shows there, or this author
    /// may not write there.
    pub fn unpinned(&self) -> &[String] {
        &self.effect.unpinned
    }

    /// Makes the revoke. Gives its id, or that of the last if it took several.
    ///
    /// # Errors
    ///
    /// [`RevokeError::Changed`] if it would do something else by now; see [`RevokeError`].
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # ana.grant("/", ben.author())?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// use basefs::fs::{Keep, RevokeError};
    ///
    /// let plan = ana.revoke_plan("/", ben.author(), Keep::Nothing)?;
    /// ben.write("/notes", "meanwhile")?;
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// assert!(matches!(plan.apply(), Err(RevokeError::Changed { .. }))); // it would cut that too
    /// let plan = ana.revoke_plan("/", ben.author(), Keep::Nothing)?;
    /// assert_eq!(plan.paths()[0].path, "/notes"); // look, and then do it
    /// plan.apply()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&self) -> Result<EntryId, RevokeError> {
        // What is kept must not be lost: it leaves this replica before the revoke that names it.
        self.fs.engine.flush().map_err(WriteError::from)?;
        self.fs.plan(|plan| {
            let (revoke, effect) = plan.revoke(&self.path, self.who, &self.keep)?;
            if effect != self.effect {
                return Err(RevokeError::Changed { path: self.path.clone(), key: self.who });
            }
            Ok(revoke)
        })
    }

    /// Takes over, after it was applied, what was cut below the path: see [`Fs::adopt`].
    ///
    /// # Errors
    ///
    /// As for [`Fs::adopt`]; nothing was written, unless the store failed.
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # ana.create_dir_all("/team")?;
    /// # ana.grant("/team", ben.author())?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ben.write("/team/plan", "useful")?;
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// let plan = ana.revoke_plan("/team", ben.author(), basefs::fs::Keep::Nothing)?;
    /// plan.apply()?;
    /// assert!(!ana.exists("/team/plan"));
    /// assert_eq!(plan.adopt()?, ["/team/plan"]);
    /// assert_eq!(ana.read("/team/plan")?, "useful"); // signed by Ana
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt(&self) -> Result<Vec<String>, RevertError> {
        self.fs.plan(|plan| plan.adopt(&self.path, &self.effect.authors))
    }

    /// Grants the frozen delegates again, after it was applied, what they had: from now on by this
    /// author, and for the same directories, wherever these are shown by now. Gives the grants.
    ///
    /// # Errors
    ///
    /// As for [`Fs::grant_with`]; nothing was written, unless the store failed.
    ///
    /// ```
    /// # let ana = basefs::Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// # let phone = basefs::wire::SecretKey::from_seed([7; 32]).public();
    /// use basefs::entry::Rights;
    /// use basefs::fs::Keep;
    ///
    /// ana.create_dir_all("/ben")?;
    /// ana.grant_with("/ben", ben.author(), Rights::All, "ben")?;
    /// # for entry in ana.export() { ben.admit(&entry?)?; }
    /// ben.grant_with("/ben", phone, Rights::Write, "ben's phone")?;
    /// # for entry in ben.export() { ana.admit(&entry?)?; }
    /// let plan = ana.revoke_plan("/ben", ben.author(), Keep::Seen)?;
    /// assert_eq!(plan.frozen()[0].key, phone);
    /// plan.apply()?;
    /// plan.regrant()?; // the phone may write again, by Ana now
    /// assert!(ana.keys()?.iter().any(|info| info.key == phone && info.is_live));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn regrant(&self) -> Result<Vec<EntryId>, WriteError> {
        self.fs.plan(|plan| self.frozen.iter().map(|info| plan.grant_again(info)).collect())
    }
}

/// Most paths that are printed; [`RevokePlan::paths`] has all.
const MAX_PRINTED: usize = 20;

impl fmt::Display for RevokePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Effect { kept, cut, paths, left, pinned, unpinned, rank, .. } = &self.effect;
        write!(f, "revoking {:.16} at {}", self.who, self.path)?;
        match kept.len() {
            0 => f.write_str("\n  keeps nothing")?,
            1 => f.write_str("\n  keeps what was written up to 1 entry")?,
            ends => write!(f, "\n  keeps what was written up to {ends} entries, one a chain")?,
        }
        let entries = Count(cut.len(), "entry", "entries");
        let changed = Count(paths.len(), "path", "paths");
        write!(f, "\n  cuts {entries} and changes {changed}")?;
        for effect in paths.iter().take(MAX_PRINTED) {
            write!(f, "\n    {effect}")?;
        }
        if let Some(more) = paths.len().checked_sub(MAX_PRINTED + 1) {
            write!(f, "\n    and {} more", more + 1)?;
        }
        for info in &self.frozen {
            write!(f, "\n  freezes {}; it can be granted again", Named(info))?;
        }
        for info in left {
            write!(f, "\n  leaves {}", Named(info))?;
        }
        for path in pinned {
            write!(f, "\n  pins {path}: a version that stays has not come with its content")?;
        }
        for path in unpinned {
            write!(f, "\n  cannot pin {path}: what shows may change when content comes")?;
        }
        let Rank { depth, grants, root } = rank;
        write!(f, "\n  only rank {depth}.{grants}.{root} or better can let the key in again")
    }
}

impl fmt::Display for PathEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if before == after => {
                write!(f, "{before:.8} stays, its directory moves")
            }
            (Some(before), Some(after)) => write!(f, "{before:.8} becomes {after:.8}"),
            (Some(before), None) => write!(f, "{before:.8} goes"),
            (None, Some(after)) => write!(f, "{after:.8} comes back"),
            (None, None) => f.write_str("stays empty"),
        }
    }
}

/// A capability in a line for people.
struct Named<'a>(&'a KeyInfo);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyInfo { key, path, label, .. } = self.0;
        let path = path.as_deref().unwrap_or("a hidden directory");
        match label.as_str() {
            "" => write!(f, "{key:.16} at {path}"),
            // Whoever granted chose the text: it is not to pass for lines of the plan.
            label => write!(f, "{key:.16} ({}) at {path}", label.escape_debug()),
        }
    }
}
