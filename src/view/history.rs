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
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// use basefs::view::{Status, Version};
///
/// let no = ana.write(&mut replica, "motd", "hello", &[]);
/// let slot = replica.log().slot_of(no).unwrap();
/// let versions = replica.view().versions(replica.log(), replica.authority(), slot);
/// assert_eq!(versions, [Version { no, status: Status::Current }]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The entry.
    pub no: EntryNo,
    /// Where it stands.
    pub status: Status,
}

/// A tip that lost, and what decided against it.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// # use author::Author;
/// # use basefs::entry::Rights;
/// use basefs::view::{Decided, Loser};
///
/// let mut ben = Author::new(2);
/// ana.grant(&mut replica, &mut ben, Rights::Write);
/// let no = ben.write(&mut replica, "motd", "hello", &[]);
/// let by = ana.write(&mut replica, "motd", "good morning", &[]);
/// let slot = replica.log().slot_of(no).unwrap();
/// let explanation = replica.view().explain(replica.log(), replica.authority(), slot);
/// assert_eq!(explanation.losers, [Loser { no, decided: Decided::Rank, by }]);
/// ```
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
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// use basefs::view::Explanation;
///
/// let hello = ana.write(&mut replica, "motd", "hello", &[]);
/// let slot = replica.log().slot_of(hello).unwrap();
/// let explanation = replica.view().explain(replica.log(), replica.authority(), slot);
/// let undisputed =
///     Explanation { winner: Some(hello), losers: vec![], cut: vec![], incomplete: vec![] };
/// assert_eq!(explanation, undisputed);
/// ```
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
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// use basefs::view::Status;
    ///
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let base = ana.write(&mut replica, "motd", "hello", &[]);
    /// let by_ana = ana.write(&mut replica, "motd", "good morning", &[base]);
    /// let by_ben = ben.write(&mut replica, "motd", "hi", &[base]);
    /// let slot = replica.log().slot_of(base).unwrap();
    /// let versions = replica.view().versions(replica.log(), replica.authority(), slot);
    /// let found: Vec<_> = versions.iter().map(|version| (version.no, version.status)).collect();
    /// let line = [(by_ana, Status::Current), (base, Status::Superseded)];
    /// assert_eq!(found, [line[0], line[1], (by_ben, Status::Tip)]);
    /// ```
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
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// use basefs::view::{Status, View};
    ///
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let spam = ben.write(&mut replica, "motd", "buy", &[]);
    /// ana.revoke(&mut replica, &ben, &[]);
    /// let slot = replica.log().slot_of(spam).unwrap();
    /// let outcome = replica.view().outcome(replica.log(), replica.authority(), slot);
    /// assert_eq!(View::status(replica.authority(), &outcome, spam), Status::Cut);
    /// ```
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
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let draft = ana.write(&mut replica, "draft", "hello", &[]);
    /// let target = replica.log().id(draft);
    /// let link = ana.say(&mut replica, "motd", &[], Payload::Link { target });
    /// let moved_to = Some(replica.log().id(link));
    /// ana.say(&mut replica, "draft", &[draft], Payload::Delete { moved_to });
    /// let slot = replica.log().slot_of(link).unwrap();
    /// let history = replica.view().history(replica.log(), replica.authority(), slot);
    /// assert_eq!(history, [link, draft], "through the rename");
    /// ```
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
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::{FileData, Payload};
    /// let content = basefs::block::encode(&vec![7; 600_000].into())?.content;
    /// let data = FileData::Blocks(content);
    /// let film = ana.say(&mut replica, "film", &[], Payload::Write { executable: false, data });
    /// let (log, slot) = (replica.log(), replica.log().slot_of(film).unwrap());
    /// assert_eq!(replica.view().pending(log, replica.authority(), slot), [film]);
    /// assert_eq!(replica.view().winner(slot), None, "no part of it is here");
    /// # Ok::<(), basefs::block::BuildError>(())
    /// ```
    // rule: VIEW-3
    pub fn pending(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Vec<EntryNo> {
        let outcome = self.outcome(log, authority, slot);
        let mut entries = self.entries(slot);
        entries.retain(|no| Self::status(authority, &outcome, *no) == Status::Incomplete);
        entries
    }

    /// Whether a slot would show something else, or be shown by another entry, if the content of
    /// one entry were here.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::{FileData, Payload};
    /// let content = basefs::block::encode(&vec![7; 600_000].into())?.content;
    /// let data = FileData::Blocks(content);
    /// let film = ana.say(&mut replica, "film", &[], Payload::Write { executable: false, data });
    /// let (log, authority) = (replica.log(), replica.authority());
    /// assert!(replica.view().would_win(log, authority, film), "worth fetching first");
    /// # Ok::<(), basefs::block::BuildError>(())
    /// ```
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
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let by_ana = ana.write(&mut replica, "motd", "good morning", &[]);
    /// let by_ben = ben.write(&mut replica, "motd", "hi", &[]);
    /// let (log, slot) = (replica.log(), replica.log().slot_of(by_ana).unwrap());
    /// let (authority, view) = (replica.authority(), replica.view());
    /// assert_eq!(view.conflicts(log, authority, slot), [by_ben]);
    /// assert_eq!(view.tips(log, authority, slot), [by_ana, by_ben]);
    /// ```
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
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let spam = ben.write(&mut replica, "motd", "buy", &[hello]);
    /// let slot = replica.log().slot_of(spam).unwrap();
    /// assert_eq!(replica.view().winner(slot), Some(spam));
    /// ana.revoke(&mut replica, &ben, &[]);
    /// let why = replica.view().explain(replica.log(), replica.authority(), slot);
    /// assert_eq!((why.winner, why.cut), (Some(hello), vec![spam]));
    /// ```
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
