//! Warnings: what others wrote or revoked hides work of this replica's author.

use crate::fs::shown::Shown;
use crate::id::{EntryId, PublicKey};
use crate::log::EntryNo;
use crate::view::{Decided, SlotChange};

/// Work of this replica's own author that stopped showing, though whoever caused that did not
/// build on it. It is still in the history.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// # ana.create_dir_all("/team")?;
/// # ana.grant("/team", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// use std::time::Duration;
/// use basefs::fs::Overruling;
/// use basefs::view::Decided;
/// use basefs::{WatchEvent, WatchFrom};
///
/// let version = ben.write("/team/plan", "ben's")?;
/// ana.write("/team/plan", "ana's")?; // they are apart
/// let watch = ben.watch("/team", WatchFrom::Now)?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// let mut warning = None;
/// while let Some(event) = watch.next_blocking(Duration::from_millis(100)) {
///     if let WatchEvent::Change(change) = event {
///         warning = warning.or(change.overruled);
///     }
/// }
/// let warning = warning.ok_or("ben is not warned")?;
/// assert_eq!((warning.version, warning.by), (version, ana.author()));
/// assert_eq!(warning.why, Overruling::Lost(Decided::Rank));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overruled {
    /// The latest version of the author that is hidden now.
    pub version: EntryId,
    /// Who wrote the branch that won, or who revoked.
    pub by: PublicKey,
    /// Why.
    pub why: Overruling,
}

/// Why work of this replica's author stopped showing.
///
/// ```
/// use basefs::fs::Overruling;
/// use basefs::view::Decided;
///
/// let advice = |why| match why {
///     Overruling::Lost(Decided::Rank) => "somebody of better rank wrote at the same time",
///     Overruling::Lost(_) => "somebody else wrote at the same time: look at both and merge them",
///     Overruling::Cut => "the key was revoked: ask whoever did it to keep the work",
///     _ => "see `Fs::explain`",
/// };
/// assert!(advice(Overruling::Cut).starts_with("the key was revoked"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overruling {
    /// Another branch won; what decided between them (FORK-4).
    Lost(Decided),
    /// A revoke does not keep it (AUTH-1).
    Cut,
}

/// What of an author's work a change hid. Says nothing of what was built upon, merged or removed
/// by those who had seen it.
// rule: CLIENT-11
pub(super) fn overruled(
    shown: Shown<'_>,
    change: &SlotChange,
    author: &PublicKey,
) -> Option<Overruled> {
    let Shown { log, authority, view } = shown;
    let before = change.before?;
    // The usual change is a version on top of the last, and needs no look at the branches.
    if change.after.is_some_and(|after| after == before || log.prev(after).contains(&before)) {
        return None;
    }
    let line = core::iter::successors(Some(before), |no| log.prev(*no).first().copied());
    let mine: EntryNo = line.into_iter().find(|no| log.author(*no) == *author)?;
    let version = log.id(mine);
    if !authority.is_authorised(mine) {
        let cut = authority.cut_by(log, mine).into_iter().next()?;
        return Some(Overruled { version, by: log.author(cut.revoke), why: Overruling::Cut });
    }
    let lost = view.outcome(log, authority, change.slot).beaten_at(mine)?;
    let by = log.author(lost.by);
    (by != *author).then_some(Overruled { version, by, why: Overruling::Lost(lost.decided) })
}
