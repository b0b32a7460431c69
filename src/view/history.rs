//! The versions of a path, its conflicts, and why the winner won.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::authority::Authority;
use crate::log::{EntryNo, Log, SlotNo};
use crate::view::View;
use crate::view::fork::{self, Beaten, Decided, Outcome};

/// Where a version of a slot stands today (VIEW-2).
///
/// ```
/// # #[cfg(feature = "std")] {
/// use basefs::view::Status;
///
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// fs.write("/motd", "good morning")?;
/// let status: Vec<Status> = fs.versions("/motd")?.iter().map(|version| version.status).collect();
/// assert_eq!(status, [Status::Current, Status::Superseded]);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The winner.
    Current,
    /// Something that counts was built on it.
    Superseded,
    /// Nothing was built on it, but another branch won.
    Tip,
    /// Its author was not, or is no longer, authorised.
    Cut,
    /// Its content is not here, nor that of anything built on it.
    Incomplete,
}

/// One entry of a slot and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The entry.
    pub no: EntryNo,
    /// Where it stands.
    pub status: Status,
}

/// A tip that lost, and what decided against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loser {
    /// The tip.
    pub no: EntryNo,
    /// What decided between its branch and the winning one.
    pub decided: Decided,
    /// The first entry of the branch that won there.
    pub by: EntryNo,
}

/// Why a slot shows what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The winner, if anything counts.
    pub winner: Option<EntryNo>,
    /// The tips that lost, in order of admission.
    pub losers: Vec<Loser>,
    /// Entries that do not count because their author is not authorised.
    pub cut: Vec<EntryNo>,
    /// Entries that do not count yet because content is missing.
    pub incomplete: Vec<EntryNo>,
}

impl View {
    /// The entries of a slot, the winning line first, then the others from the latest back.
    // rule: VIEW-2
    pub fn versions(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Vec<Version> {
        let outcome = self.outcome(log, authority, slot);
        let line: Vec<EntryNo> = outcome.line().collect();
        let on_line: BTreeSet<EntryNo> = line.iter().copied().collect();
        let others = self.entries(slot).into_iter().rev().filter(|no| !on_line.contains(no));
        line.iter()
            .copied()
            .chain(others)
            .map(|no| Version { no, status: Self::status(authority, &outcome, no) })
            .collect()
    }

    /// Where an entry of a slot stands, given what fork choice found out about the slot.
    // rule: VIEW-2
    pub fn status(authority: &Authority, outcome: &Outcome, no: EntryNo) -> Status {
        if outcome.winner == Some(no) {
            Status::Current
        } else if !authority.is_authorised(no) {
            Status::Cut
        } else if !outcome.is_live(no) {
            Status::Incomplete
        } else if outcome.is_tip(no) {
            Status::Tip
        } else {
            Status::Superseded
        }
    }

    /// How what a slot shows came to be: the winner, what it was built on, and so on; where
    /// something was renamed to its place, what it was before under its old name.
    // rule: VIEW-2
    pub fn history(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Vec<EntryNo> {
        let mut seen = BTreeSet::new();
        let mut history = Vec::new();
        let mut at = self.winner(slot);
        while let Some(no) = at.filter(|no| seen.insert(*no)) {
            history.push(no);
            let left_by = self.renamed_from(authority, no);
            at = Self::line_next(log, authority, left_by.unwrap_or(no));
        }
        history
    }

    /// The authorised entries of a slot that do not count for want of content.
    // rule: VIEW-3
    pub fn pending(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Vec<EntryNo> {
        let outcome = self.outcome(log, authority, slot);
        let mut entries = self.entries(slot);
        entries.retain(|no| Self::status(authority, &outcome, *no) == Status::Incomplete);
        entries
    }

    /// Whether a slot would show something else, or be shown by another entry, if the content of
    /// one entry were here.
    // rule: VIEW-3
    pub fn would_win(&self, log: &Log, authority: &Authority, no: EntryNo) -> bool {
        log.slot_of(no).is_some_and(|slot| {
            // Others may have the same content; they would be ready too.
            let content = log.content_of(no);
            let has_it = |entry| content.is_some() && log.content_of(entry) == content;
            let is_ready = |entry| has_it(entry) || self.is_ready(log, entry);
            let outcome = fork::decide(log, authority, slot, self.entries(slot), is_ready);
            outcome.winner != self.winner(slot)
        })
    }

    /// The tips of a slot that disagree with the winner: another value, or moved elsewhere.
    // rule: VIEW-3
    pub fn conflicts(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Vec<EntryNo> {
        let outcome = self.outcome(log, authority, slot);
        Self::conflicts_in(log, &outcome)
    }

    fn conflicts_in(log: &Log, outcome: &Outcome) -> Vec<EntryNo> {
        let Some(winner) = outcome.winner else { return Vec::new() };
        let says = |no: EntryNo| (log.value_no(no), log.moved_to(no));
        outcome.tips().filter(|tip| *tip != winner && says(*tip) != says(winner)).collect()
    }

    /// All live tips of a slot, the winner among them.
    pub fn tips(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Vec<EntryNo> {
        self.outcome(log, authority, slot).tips().collect()
    }

    /// The winner of a slot, who lost against it and by which rule.
    pub fn explain(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Explanation {
        let outcome = self.outcome(log, authority, slot);
        let loser = |(no, Beaten { decided, by, .. })| Loser { no, decided, by };
        let entries = self.entries(slot);
        let cut = entries.iter().copied().filter(|no| !authority.is_authorised(*no));
        let incomplete = entries
            .iter()
            .copied()
            .filter(|no| authority.is_authorised(*no) && !outcome.is_live(*no));
        Explanation {
            winner: outcome.winner,
            losers: outcome.beaten_tips().into_iter().map(loser).collect(),
            cut: cut.collect(),
            incomplete: incomplete.collect(),
        }
    }
}
