//! What is remembered of members and links.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::Path;
use super::super::overlay::Place;
use super::super::record::SignedRecord;
use super::super::tuning::Tuning;
use super::{Member, MemberState};
use crate::id::{LinkId, NodeId};
use crate::time::Timestamp;

/// Members that are remembered, dead ones included: about 2 MB.
pub(super) const MAX_MEMBERS: usize = 4_096;
/// How long the dead are remembered, and those that left: a weekend's outage heals by itself.
pub(super) const REMEMBERED: Duration = Duration::from_secs(48 * 3_600);
/// Accusers that are told apart: more shorten a suspicion no further.
pub(super) const MAX_ACCUSERS: usize = 4;
/// Signatures that are checked at the cost of one link at once: a full table.
const MAX_CHECKS: u32 = 4_096;
/// How soon a link earns another check.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// Another member.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) member: Member,
    pub(super) place: Place,
    pub(super) signed: SignedRecord,
    /// Who accuses it, while it is suspected.
    pub(super) accusers: BTreeSet<NodeId>,
    /// Whether somebody gave it up, which weighs as much as enough accusers.
    pub(super) is_given_up: bool,
    /// When anything last came from it.
    pub(super) heard: Option<Timestamp>,
    pub(super) dialling: Dialling,
    /// Doubles the time that it may be without a link, each time that it proved to be alive
    /// nevertheless.
    pub(super) patience: u32,
}

/// How connecting to a peer goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialling {
    /// Attempts that failed in a row.
    pub(super) failures: u32,
    /// When it is dialled again, if it is dead.
    pub(super) dead_due: Timestamp,
}

impl Known {
    /// Whether it is part of the group: alive, as far as is known.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.member.state, MemberState::Alive | MemberState::Suspect)
    }

    /// How long the present suspicion stands in all.
    ///
    /// It shrinks with the logarithm of the number of those who share it, as in Lifeguard.
    pub(super) fn suspicion_lasts(&self, tuning: &Tuning, retry: Duration) -> Duration {
        let shrunk = match self.accusers.len() {
            _ if self.is_given_up => 1_000,
            0 | 1 => 0,
            2 => 500,
            3 => 792,
            _ => 1_000,
        };
        // Whoever is far away needs time for the refutation.
        let least = tuning.suspicion_min.max(retry * 3);
        let most = tuning.suspicion_max.max(least);
        most - (most - least) / 1_000 * shrunk
    }
}

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) peer: NodeId,
    pub(super) place: Place,
    pub(super) dialed: bool,
    pub(super) path: Path,
    pub(super) up_at: Timestamp,
    pub(super) heard: Timestamp,
    /// The peer has moved, and nothing came since: perhaps it has begun a new life, which knows
    /// nothing of this link.
    pub(super) is_doubted: bool,
    /// Whether the peer was a living member when the link came up: then the tables differ by
    /// little, and news will bring it.
    pub(super) was_known: bool,
    /// Whether this node knew nobody when the link came up: what it learns on it is news to nobody
    /// else.
    pub(super) is_first: bool,
    /// When the peer was last probed in its turn.
    pub(super) probed: Timestamp,
    /// When this node last sent its table on it.
    pub(super) table_at: Option<Timestamp>,
    /// Since when the prints of the tables differ.
    pub(super) differs_since: Option<Timestamp>,
    /// The ping that was answered last, and when.
    pub(super) answered: Option<(u32, Timestamp)>,
    /// The last probe of the peer in its turn, and when it was first pinged for it.
    pub(super) pinged: Option<(u32, Timestamp)>,
    /// Checks left, and when that was so.
    checks: u32,
    checked_at: Timestamp,
}

impl Link {
    pub(super) fn new(peer: NodeId, dialed: bool, now: Timestamp) -> Self {
        Self {
            peer,
            place: Place::of(peer),
            dialed,
            path: Path::default(),
            up_at: now,
            heard: now,
            was_known: false,
            is_first: false,
            probed: now,
            is_doubted: false,
            table_at: None,
            differs_since: None,
            answered: None,
            pinged: None,
            checks: MAX_CHECKS,
            checked_at: now,
        }
    }

    /// The time after which an answer is late.
    pub(super) fn retry(&self, tuning: &Tuning) -> Duration {
        tuning.retry.max(self.path.rtt + self.path.rtt / 2)
    }

    /// Takes one check from the link's budget, if there is one.
    pub(super) fn may_check(&mut self, now: Timestamp) -> bool {
        let earned = (now - self.checked_at).as_micros() / CHECK_EVERY.as_micros();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(MAX_CHECKS);
            self.checks = self.checks.saturating_add(earned).min(MAX_CHECKS);
            self.checked_at = now;
        }
        let may = self.checks > 0;
        self.checks = self.checks.saturating_sub(1);
        may
    }
}

/// A probe of one member.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) target: NodeId,
    /// Where to; none if others alone can reach it.
    pub(super) link: Option<LinkId>,
    pub(super) purpose: Purpose,
    pub(super) tries: u32,
    pub(super) end: Timestamp,
    /// Whether it was given more time: once, or an uplink that is now slow and now not would keep it
    /// from ever ending.
    pub(super) is_extended: bool,
    /// Who was asked to try as well.
    pub(super) asked: Vec<LinkId>,
    /// Whether one of them answered anything.
    pub(super) is_heard: bool,
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is the target's turn.
    Watch,
    /// The target is suspected.
    Confirm,
    /// Somebody asked.
    Relay { link: LinkId, seq: u32 },
}
