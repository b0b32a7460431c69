//! Versions of a path, who wrote them, and why one of them is shown.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::entry::Action;
use crate::fs::engine::Engine;
use crate::fs::error::ReadError;
use crate::fs::path::{join, parse};
use crate::id::{EntryId, PublicKey};
use crate::log::{EntryNo, Rank, SlotNo};
use crate::node::Replica;
use crate::time::WallTime;
use crate::view::{Decided, NodeKind, Status};

/// One version of a path.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// let version = &fs.versions("/motd")?[0];
/// assert_eq!((version.author, version.size), (fs.author(), Some(5)));
/// println!("{version}"); // id, action, author, rank, size
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// The id of the entry.
    pub id: EntryId,
    /// What it did.
    pub action: Action,
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
}

/// A version that lost, and what decided against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser {
    /// The version.
    pub version: Version,
    /// What decided.
    pub decided: Decided,
}

/// Why a path shows what it shows.
///
/// Printed, it is a few lines for people. [The guide](crate::manual::guide) shows one of a conflict.
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
    pub cut: Vec<Version>,
    /// Versions that do not count yet because content is missing.
    pub incomplete: Vec<Version>,
}

impl Explanation {
    /// The name of the rule that made the winner win.
    pub fn rule(&self) -> &'static str {
        if self.losers.is_empty() { "FORK-5" } else { "FORK-4" }
    }
}

/// What decided, in words that fit between two versions.
pub(super) fn reason(decided: Decided) -> &'static str {
    match decided {
        Decided::Rank => "the winner's capability has the better rank",
        Decided::Keys => "ranks are equal, and more keys stand behind the winner",
        Decided::Kind => "equals in rank and number, and the winner hides less",
        Decided::Tie => "equals in everything, decided by a hash over their keys",
        Decided::Id => "the same author wrote both, decided by the greater id",
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.8} {} by {:.8}", self.id, self.action.name(), self.author)?;
        let Rank { depth, grants, root } = self.rank;
        write!(f, " (rank {depth}.{grants}.{root}")?;
        match self.size {
            Some(size) => write!(f, ", {size} bytes)"),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.winner {
            Some(winner) => write!(f, "{}: {winner} won", self.path)?,
            None => write!(f, "{}: nothing counts", self.path)?,
        }
        if self.losers.is_empty() && self.winner.is_some() {
            f.write_str(", nothing else was written beside it (FORK-5)")?;
        }
        for Loser { version, decided } in &self.losers {
            write!(f, "\n  over {version}: {} (FORK-4)", reason(*decided))?;
        }
        for version in &self.cut {
            write!(f, "\n  {version} does not count: its author is not authorised (AUTH-1)")?;
        }
        for version in &self.incomplete {
            write!(f, "\n  {version} does not count yet: content is missing (READY-2)")?;
        }
        Ok(())
    }
}

/// A version without what only the store knows.
struct Sketch {
    no: EntryNo,
    version: Version,
}

impl Engine {
    // rule: VIEW-2
    pub(super) fn versions(&self, path: &str) -> Result<Vec<Version>, ReadError> {
        let names = parse(path)?;
        let sketches = self.read(|node| {
            let replica = node.replica();
            let slot = slot_of(replica, &names)?;
            let versions = replica.view().versions(replica.log(), replica.authority(), slot);
            Ok::<_, ReadError>(
                versions
                    .iter()
                    .map(|version| sketch(replica, version.no, version.status))
                    .collect(),
            )
        })?;
        self.complete_all(sketches)
    }

    pub(super) fn explain(&self, path: &str) -> Result<Explanation, ReadError> {
        let names = parse(path)?;
        let (found, sketches) = self.read(|node| {
            let replica = node.replica();
            let slot = slot_of(replica, &names)?;
            let found = replica.view().explain(replica.log(), replica.authority(), slot);
            let of = |no: &EntryNo, status| sketch(replica, *no, status);
            let winner = found.winner.iter().map(|no| of(no, Status::Current));
            let losers = found.losers.iter().map(|loser| of(&loser.no, Status::Tip));
            let cut = found.cut.iter().map(|no| of(no, Status::Cut));
            let incomplete = found.incomplete.iter().map(|no| of(no, Status::Incomplete));
            let sketches: Vec<Sketch> = winner.chain(losers).chain(cut).chain(incomplete).collect();
            Ok::<_, ReadError>((found, sketches))
        })?;
        let mut versions = self.complete_all(sketches)?.into_iter();
        let winner = found.winner.and_then(|_| versions.next());
        let decided = found.losers.iter().map(|loser| loser.decided);
        let losers = decided
            .zip(versions.by_ref())
            .map(|(decided, version)| Loser { version, decided })
            .collect();
        let cut = versions.by_ref().take(found.cut.len()).collect();
        let incomplete = versions.collect();
        Ok(Explanation { path: join(&names), winner, losers, cut, incomplete })
    }

    /// Adds what the bytes of the entries say, without holding the lock.
    fn complete_all(&self, sketches: Vec<Sketch>) -> Result<Vec<Version>, ReadError> {
        let complete = |sketch: Sketch| {
            let time = self.entry(sketch.no)?.body().ts;
            Ok(Version { time, ..sketch.version })
        };
        sketches.into_iter().map(complete).collect()
    }
}

/// The slot of a path, whether or not it shows something now.
fn slot_of(replica: &Replica, names: &[&str]) -> Result<SlotNo, ReadError> {
    let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    let not_found = || ReadError::NotFound { path: join(names) };
    let (name, above) = names.split_last().ok_or_else(not_found)?;
    let above = view.resolve(log, authority, above.iter().copied());
    match above.map(|node| node.kind) {
        Some(NodeKind::Dir(dir)) => log.child(dir, name).ok_or_else(not_found),
        _ => Err(not_found()),
    }
}

fn sketch(replica: &Replica, no: EntryNo, status: Status) -> Sketch {
    let log = replica.log();
    let size = log.content_of(no).map(|content| log.content(content).size);
    let version = Version {
        id: log.id(no),
        action: log.action(no),
        status,
        author: log.author(no),
        rank: log.rank(no),
        time: WallTime::default(),
        size,
    };
    Sketch { no, version }
}

impl Explanation {
    /// The text that [`Display`](fmt::Display) prints, as lines.
    pub fn lines(&self) -> Vec<String> {
        self.to_string().lines().map(String::from).collect()
    }
}
