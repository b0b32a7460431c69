//! Why a path shows what it shows: by which rule, in words.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::fs::error::ReadError;
use crate::fs::history::{Sketch, Version};
use crate::fs::path::{Target, join, lost_path};
use crate::fs::shown::{Reading, Shown};
use crate::fs::words::bytes;
use crate::id::{Content, EntryId, PublicKey};
use crate::limits::MAX_PENDING_TRIED;
use crate::log::{DirNo, EntryNo, SlotNo, Value};
use crate::view::{Decided, Node, NodeKind, Status};

/// A version that lost, and what decided against it.
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
/// let loser = &ana.explain("/team/plan")?.losers[0];
/// assert_eq!(loser.decided, basefs::view::Decided::Rank);
/// assert_eq!((loser.version.author, loser.by), (ben.author(), ana.author()));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loser {
    /// The version.
    pub version: Version,
    /// What decided.
    pub decided: Decided,
    /// Who wrote the first entry of the branch that won there.
    pub by: PublicKey,
}

/// A version that does not count, and what keeps it from counting.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// # ana.create_dir_all("/team")?;
/// # ana.grant("/team", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// ben.write("/team/plan", "ben's")?;
/// # for entry in ben.export() { ana.admit(&entry?)?; }
/// let revoke = ana.revoke_plan("/team", ben.author(), basefs::fs::Keep::Nothing)?.apply()?;
/// let cut = &ana.cut("/")?[0];
/// assert_eq!((cut.version.author, cut.by[0].revoke), (ben.author(), revoke));
/// assert_eq!((cut.by[0].by, cut.by[0].path.as_str()), (ana.author(), "/team"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutVersion {
    /// The version.
    pub version: Version,
    /// The revokes, those against the version itself first.
    pub by: Vec<CutReason>,
}

/// A revoke that keeps a version from counting.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// # ana.grant("/", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// # ben.write("/notes", "useful")?;
/// # for entry in ben.export() { ana.admit(&entry?)?; }
/// # ana.revoke_plan("/", ben.author(), basefs::fs::Keep::Nothing)?.apply()?;
/// let cut = &ana.explain("/notes")?.cut[0];
/// let reason = &cut.by[0];
/// assert_eq!((reason.by, reason.not_kept), (ana.author(), cut.version.id));
/// ana.amend(&reason.path, ben.author(), &[reason.not_kept])?; // keep it after all
/// assert_eq!(ana.read("/notes")?, "useful");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutReason {
    /// The revoke.
    pub revoke: EntryId,
    /// Who made it.
    pub by: PublicKey,
    /// The directory from which on it acts.
    pub path: String,
    /// What it does not keep: the version, or a grant that its author's authority comes from. The
    /// version would count if the revoke, or one that amends it, named this or a later entry of
    /// the same chain.
    pub not_kept: EntryId,
}

/// A version that does not count yet.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// ana.write("/photo", vec![0; 1_000])?;
/// # for entry in ana.export() { ben.admit(&entry?)?; } // entries alone: the blocks come later
/// let waiting = &ben.pending("/")?[0];
/// assert_eq!((waiting.version.path.as_str(), waiting.content.size), ("/photo", 1_000));
/// assert_eq!(waiting.would_win, Some(true)); // it shows once its content is here
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncompleteVersion {
    /// The version.
    pub version: Version,
    /// The content that is not here, or not in full.
    pub content: Content,
    /// Whether the path would show this version if its content were here. Of many incomplete
    /// versions of one path only the [best ranked](crate::limits::MAX_PENDING_TRIED) are looked
    /// into; of the others it is not known.
    pub would_win: Option<bool>,
}

/// Why a path is not in the tree although something was written there.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/etc/motd", "hello")?;
/// fs.remove_all("/etc")?;
/// let hidden = fs.explain("/etc/motd")?.hidden.ok_or("it shows")?;
/// assert_eq!(hidden.path, "/etc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hidden {
    /// The path above it that is no directory.
    pub path: String,
    /// What that shows, unless nothing counts there.
    pub by: Option<Version>,
    /// If it is a second name of a directory: the path of that, or nothing if it has none.
    pub alias_of: Option<Option<String>>,
}

/// Why a directory is shown where it is, or is not.
///
/// ```
/// use basefs::fs::Place;
///
/// let fs = basefs::Fs::in_memory()?;
/// fs.create_dir_all("/drafts")?;
/// fs.rename("/drafts", "/letters")?;
/// let place = fs.explain("/letters")?.place;
/// assert_eq!(place, Some(Place::Moved { made_at: "/drafts".into() }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// It was made elsewhere and moved here. What governs it is still the place where it was made.
    Moved {
        /// The path that it was made at.
        made_at: String,
    },
    /// The directory is elsewhere; this is a second name of it.
    Alias {
        /// Its path, if it is shown.
        of: Option<String>,
    },
    /// It was moved into itself, or too deep for any path.
    Lost {
        /// Where it can be read.
        path: String,
    },
}

/// Why a path shows what it shows.
///
/// Printed, it is a few lines for people. [The guide](crate::manual::guide) shows one of a conflict.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// let version = fs.write("/motd", "hello")?;
/// let why = fs.explain("/motd")?;
/// assert_eq!(why.winner.as_ref().map(|winner| winner.id), Some(version));
/// assert!(why.losers.is_empty() && why.cut.is_empty() && why.incomplete.is_empty());
/// assert_eq!((why.rule(), why.reasons().len(), why.lines().len()), ("FORK-5", 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The path.
    pub path: String,
    /// The winner, if anything counts.
    pub winner: Option<Version>,
    /// The tips that lost against it.
    pub losers: Vec<Loser>,
    /// Versions that do not count because their author is not authorised.
    pub cut: Vec<CutVersion>,
    /// Versions that do not count yet because content is missing.
    pub incomplete: Vec<IncompleteVersion>,
    /// Why the path is not in the tree, if so.
    pub hidden: Option<Hidden>,
    /// Why a directory is here or elsewhere, unless it is where it was made.
    pub place: Option<Place>,
}

/// A rule that had a say, and what it said.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// let reasons = fs.explain("/motd")?.reasons();
/// assert_eq!(reasons[0].rule, "FORK-5");
/// assert_eq!(reasons[0].text, "nothing else was written beside it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// The name of the rule; [the rules](crate::manual::rules) have its text.
    pub rule: &'static str,
    /// What it says of this path, for people.
    pub text: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.rule)
    }
}

impl Explanation {
    /// The name of the rule that decided what the path shows.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// assert_eq!(fs.explain("/motd")?.rule(), "FORK-5"); // nobody else wrote
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rule(&self) -> &'static str {
        self.reasons().first().map_or("FORK-3", |reason| reason.rule)
    }

    /// Every rule that had a say, the one that decided first.
    pub fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        reasons.extend(self.hidden.as_ref().map(Hidden::reason));
        reasons.extend(self.place.as_ref().map(Place::reason));
        if self.losers.is_empty() && self.winner.is_some() {
            let text = match self.cut.is_empty() && self.incomplete.is_empty() {
                true => "nothing else was written beside it",
                false => "nothing else that counts was written beside it",
            };
            reasons.push(Reason { rule: "FORK-5", text: text.into() });
        }
        reasons.extend(self.losers.iter().map(Loser::reason));
        reasons.extend(self.cut.iter().flat_map(CutVersion::reasons));
        reasons.extend(self.incomplete.iter().map(IncompleteVersion::reason));
        reasons
    }

    /// The text that [`Display`](fmt::Display) prints, as lines.
    pub fn lines(&self) -> Vec<String> {
        self.to_string().lines().map(String::from).collect()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.winner {
            Some(winner) => write!(f, "{}: {winner} won", self.path)?,
            None => write!(f, "{}: nothing counts", self.path)?,
        }
        // What is the usual case is said in the same line.
        let is_plain = |reason: &Reason| reason.rule == "FORK-5";
        let (plain, special): (Vec<_>, Vec<_>) = self.reasons().into_iter().partition(is_plain);
        for reason in plain {
            write!(f, ", {reason}")?;
        }
        for reason in special {
            write!(f, "\n  {reason}")?;
        }
        Ok(())
    }
}

/// What decided, in words that fit between two versions.
pub(super) fn words(decided: Decided) -> &'static str {
    match decided {
        Decided::Rank => "the winner's capability has the better rank",
        Decided::Keys => "ranks are equal, and more keys stand behind the winner",
        Decided::Kind => "equals in rank and number, and the winner hides less",
        Decided::Tie => "equals in everything, decided by a hash over their keys",
        Decided::Id => "equals in everything, decided by the greater id",
    }
}

impl Loser {
    // rule: FORK-4
    pub(super) fn reason(&self) -> Reason {
        let text = format!("over {}: {}", self.version, words(self.decided));
        Reason { rule: "FORK-4", text }
    }
}

impl CutVersion {
    // rule: AUTH-1
    // rule: REVOKE-1
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let version = &self.version;
        let reason = |cut: &CutReason| {
            let CutReason { revoke, by, path, not_kept } = cut;
            let what = if *not_kept == version.id {
                String::from("it")
            } else {
                format!("grant {not_kept:.8} behind it")
            };
            let text = format!(
                "{version} does not count: revoke {revoke:.8} by {by:.8} at {path} does not keep \
                 {what} (REVOKE-1); it would, had it named that or a later entry of the chain"
            );
            Reason { rule: "AUTH-1", text }
        };
        self.by.iter().map(reason).collect()
    }
}

impl IncompleteVersion {
    // rule: READY-2
    fn reason(&self) -> Reason {
        let Content { root, size, .. } = self.content;
        let mut text = format!(
            "{} does not count yet: its content ({root:.8}, {}) is not all here",
            self.version,
            bytes(size)
        );
        if self.would_win == Some(true) {
            text += ", and would show if it were";
        }
        Reason { rule: "READY-2", text }
    }
}

impl Hidden {
    // rule: TREE-1
    fn reason(&self) -> Reason {
        let path = &self.path;
        match (&self.alias_of, &self.by) {
            (Some(Some(of)), _) => {
                let text = format!("hidden, for {path} is a second name of {of}: look there");
                Reason { rule: "TREE-3", text }
            }
            (Some(None), _) => {
                let text = format!("hidden, for {path} is a name of a directory without a place");
                Reason { rule: "TREE-4", text }
            }
            (None, Some(by)) if by.renamed_to.is_some() => {
                Reason { rule: "TREE-2", text: format!("hidden, for {path} is elsewhere: {by}") }
            }
            (None, Some(by)) => {
                Reason { rule: "TREE-1", text: format!("hidden by what is at {path}: {by}") }
            }
            (None, None) => {
                Reason { rule: "TREE-1", text: format!("hidden, for nothing counts at {path}") }
            }
        }
    }
}

impl Place {
    // rule: TREE-2
    // rule: TREE-3
    // rule: TREE-4
    fn reason(&self) -> Reason {
        match self {
            Place::Moved { made_at } => {
                let text = format!(
                    "the directory was made at {made_at}, which governs it, and moved here"
                );
                Reason { rule: "TREE-2", text }
            }
            Place::Alias { of: Some(of) } => {
                let text = format!("the directory is at {of}; this is a second name of it");
                Reason { rule: "TREE-3", text }
            }
            Place::Alias { of: None } => {
                let text = "a name of a directory that was deleted, or moved to where it is not";
                Reason { rule: "TREE-3", text: text.into() }
            }
            Place::Lost { path } => {
                let text = format!(
                    "the directory contains itself, or is too deep for a path; it is at {path}"
                );
                Reason { rule: "TREE-4", text }
            }
        }
    }
}

/// What was found in the view, before the store is asked about the entries.
struct Findings {
    winner: Option<Sketch>,
    losers: Vec<(Sketch, Decided, PublicKey)>,
    cut: Vec<CutSketch>,
    incomplete: Vec<IncompleteSketch>,
    hidden: Option<(Hidden, Option<Sketch>)>,
    place: Option<Place>,
}

/// A cut version without what only the store knows.
pub(super) struct CutSketch {
    sketch: Sketch,
    by: Vec<CutReason>,
}

/// An incomplete version without what only the store knows.
pub(super) struct IncompleteSketch {
    sketch: Sketch,
    content: Content,
    would_win: Option<bool>,
}

impl Reading<'_> {
    pub(super) fn explain(self, path: &str) -> Result<Explanation, ReadError> {
        let at = Target::parse(path)?;
        let found = self.look(|shown| {
            let (slot, hidden) =
                shown.trace(&at).ok_or_else(|| ReadError::NotFound { path: at.path() })?;
            Ok::<_, ReadError>(shown.explain(slot, hidden))
        })?;
        let losers = found.losers.into_iter().map(|(sketch, decided, by)| {
            Ok(Loser { version: self.complete(sketch)?, decided, by })
        });
        let hidden = match found.hidden {
            Some((hidden, by)) => {
                Some(Hidden { by: by.map(|by| self.complete(by)).transpose()?, ..hidden })
            }
            None => None,
        };
        Ok(Explanation {
            path: at.path(),
            winner: found.winner.map(|winner| self.complete(winner)).transpose()?,
            losers: losers.collect::<Result<_, ReadError>>()?,
            cut: found
                .cut
                .into_iter()
                .map(|cut| self.complete_cut(cut))
                .collect::<Result<_, _>>()?,
            incomplete: found
                .incomplete
                .into_iter()
                .map(|incomplete| self.complete_incomplete(incomplete))
                .collect::<Result<_, _>>()?,
            hidden,
            place: found.place,
        })
    }

    pub(super) fn complete_cut(self, cut: CutSketch) -> Result<CutVersion, ReadError> {
        Ok(CutVersion { version: self.complete(cut.sketch)?, by: cut.by })
    }

    pub(super) fn complete_incomplete(
        self,
        incomplete: IncompleteSketch,
    ) -> Result<IncompleteVersion, ReadError> {
        let IncompleteSketch { sketch, content, would_win } = incomplete;
        Ok(IncompleteVersion { version: self.complete(sketch)?, content, would_win })
    }
}

impl Shown<'_> {
    /// The slot of a path, and the first component above it that is no directory any more. Past
    /// that, the way leads through what was there before.
    fn trace(self, at: &Target<'_>) -> Option<(SlotNo, Option<Blocked>)> {
        let start = Target { lost: at.lost, names: Vec::new() };
        let NodeKind::Dir(mut dir) = self.find(&start)?.kind else { return None };
        let mut blocked = None;
        let (name, above) = at.names.split_last()?;
        for (depth, name) in above.iter().enumerate() {
            let slot = self.log.child(dir, name)?;
            let node = self.view.node_at_depth(self.log, self.authority, slot, depth);
            if let Some(NodeKind::Dir(shown)) = node.as_ref().map(|node| &node.kind) {
                dir = *shown;
                continue;
            }
            let path = Target { lost: at.lost, names: above[..=depth].to_vec() }.path();
            blocked = blocked.or(Some(Blocked { path, slot, node }));
            dir = self.dir_before(slot)?;
        }
        Some((self.log.child(dir, name)?, blocked))
    }

    /// The directory that a slot showed last, by its winning line or else by any entry.
    fn dir_before(self, slot: SlotNo) -> Option<DirNo> {
        let outcome = self.view.outcome(self.log, self.authority, slot);
        let others = self.view.entries(slot).into_iter().rev();
        let line: Vec<EntryNo> = outcome.line().collect();
        line.into_iter().chain(others).find_map(|no| match self.log.value(no) {
            Some(Value::Dir(dir)) => Some(*dir),
            _ => None,
        })
    }

    fn explain(self, slot: SlotNo, blocked: Option<Blocked>) -> Findings {
        let Self { log, authority, view } = self;
        let found = view.explain(log, authority, slot);
        let losers = found
            .losers
            .iter()
            .map(|loser| (self.sketch(loser.no, Status::Tip), loser.decided, log.author(loser.by)));
        Findings {
            winner: found.winner.map(|no| self.sketch(no, Status::Current)),
            losers: losers.collect(),
            cut: found.cut.iter().map(|no| self.cut(*no)).collect(),
            incomplete: self.incomplete(&found.incomplete),
            hidden: blocked.map(|blocked| self.hidden(blocked)),
            place: self.place(slot),
        }
    }

    fn hidden(self, blocked: Blocked) -> (Hidden, Option<Sketch>) {
        let alias_of = match blocked.node {
            Some(Node { kind: NodeKind::Alias(dir), .. }) => Some(self.path_of(dir)),
            _ => None,
        };
        let winner = self.view.winner(blocked.slot);
        let by = winner.map(|no| self.sketch(no, Status::Current));
        (Hidden { path: blocked.path, by: None, alias_of }, by)
    }

    fn place(self, slot: SlotNo) -> Option<Place> {
        let Self { log, authority, view } = self;
        let winner = view.winner(slot)?;
        let moved_to = log.moved_to(winner);
        let Some(Value::Dir(dir)) = log.value(moved_to.unwrap_or(winner)) else { return None };
        let path = self.path_of(*dir);
        if path.is_none() && self.lost().contains(dir) {
            return Some(Place::Lost { path: lost_path(log.dir_id(*dir)) });
        }
        // A deletion says itself where the directory went.
        let is_here = view.place(log, authority, *dir) == Some(slot);
        if moved_to.is_some() || !is_here {
            return (moved_to.is_none() || path.is_none()).then_some(Place::Alias { of: path });
        }
        let is_home = log.home(*dir) == Some(slot);
        (!is_home).then(|| Place::Moved { made_at: join(&self.dir_made_at(*dir)) })
    }

    pub(super) fn cut(self, no: EntryNo) -> CutSketch {
        let Self { log, authority, .. } = self;
        let reason = |cut: &crate::authority::CutBy| CutReason {
            revoke: log.id(cut.revoke),
            by: log.author(cut.revoke),
            path: self.path_of_entry(cut.revoke),
            not_kept: log.id(cut.not_kept),
        };
        let by = authority.cut_by(log, no).iter().map(reason).collect();
        CutSketch { sketch: self.sketch(no, Status::Cut), by }
    }

    /// The incomplete versions of one slot, in the order given.
    pub(super) fn incomplete(self, versions: &[EntryNo]) -> Vec<IncompleteSketch> {
        let Self { log, authority, view } = self;
        let mut best: Vec<EntryNo> = versions.to_vec();
        best.sort_by_key(|no| log.rank(*no));
        best.truncate(MAX_PENDING_TRIED);
        let best: BTreeSet<EntryNo> = best.into_iter().collect();
        let sketch = |no: &EntryNo| {
            let content = *log.content(log.content_of(*no)?);
            let sketch = self.sketch(*no, Status::Incomplete);
            let would_win = best.contains(no).then(|| view.would_win(log, authority, *no));
            Some(IncompleteSketch { sketch, content, would_win })
        };
        versions.iter().filter_map(sketch).collect()
    }
}

/// A component of a path that is no directory.
struct Blocked {
    path: String,
    slot: SlotNo,
    node: Option<Node>,
}
