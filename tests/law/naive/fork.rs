//! Which entry of a slot wins.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::{FileData, Payload};
use basefs::id::{Content, EntryId, PublicKey};

use super::admission::{Log, Rank, Slot, Value};
use super::{Deciders, count};

/// A slot that is to be decided.
pub(super) struct Fork<'a> {
    pub(super) log: &'a Log<'a>,
    pub(super) authorised: &'a BTreeSet<EntryId>,
    pub(super) complete: &'a BTreeSet<Content>,
    pub(super) slot: &'a Slot,
}

/// What was decided.
pub(super) struct Outcome {
    pub(super) live: BTreeSet<EntryId>,
    /// The winner, its parent in the tree, and so on.
    pub(super) line: Vec<EntryId>,
    pub(super) conflicts: BTreeSet<EntryId>,
}

/// What branches are compared by, but for the id.
struct Score {
    rank: Rank,
    keys: usize,
    kind: u8,
    tie: [u8; 32],
}

impl Fork<'_> {
    pub(super) fn decide(&self, entries: &[EntryId], deciders: &mut Deciders) -> Outcome {
        let ancestors: BTreeMap<EntryId, BTreeSet<EntryId>> =
            entries.iter().map(|id| (*id, self.ancestors(id, |_| true))).collect();
        let live = self.live(entries, &ancestors, deciders);
        let future = |x: &EntryId| -> Vec<EntryId> {
            live.iter().filter(|y| ancestors[*y].contains(x)).copied().collect()
        };
        // rule: FORK-2
        let mut anchors: BTreeMap<EntryId, Option<EntryId>> = BTreeMap::new();
        for x in &live {
            let through_authorised =
                |y: &EntryId| self.ancestors(y, |id| self.authorised.contains(id)).contains(x);
            if !future(x).iter().all(through_authorised) {
                count(deciders, "FORK-2.through_cut");
            }
            let anchor = self.lowest_common_ancestor(x, &future(x));
            if anchor.is_none() {
                count(deciders, "FORK-2.no_common_branch");
            }
            anchors.insert(*x, anchor);
        }
        let winner = self.walk(&live, &anchors, deciders);
        // rule: VIEW-3
        let says = |id: &EntryId| (self.log.value(id), self.log.moved_to(id));
        let is_tip = |id: &&EntryId| future(id).is_empty();
        let conflicts = winner.map_or(BTreeSet::new(), |winner| {
            let differs = |id: &&EntryId| says(id) != says(&winner);
            live.iter().filter(is_tip).filter(differs).copied().collect()
        });
        let line = winner.map_or(Vec::new(), |winner| self.line(&winner));
        Outcome { live, line, conflicts }
    }

    /// What following `prev`, all of it, leads to, as long as what is passed through is let
    /// through.
    fn ancestors(&self, x: &EntryId, lets_through: impl Fn(&EntryId) -> bool) -> BTreeSet<EntryId> {
        let mut found = BTreeSet::new();
        let mut open = self.log.entries[x].body().prev.clone();
        while let Some(id) = open.pop() {
            if found.insert(id) && lets_through(&id) {
                open.extend(&self.log.entries[&id].body().prev);
            }
        }
        found
    }

    // rule: READY-1
    fn is_ready(&self, id: &EntryId) -> bool {
        let Value::File { content, .. } = self.log.value(id) else { return true };
        let is_inline = matches!(
            self.log.origin(id).body().payload,
            Payload::Write { data: FileData::Inline(_), .. }
        );
        is_inline || self.complete.contains(content)
    }

    // rule: READY-2
    fn live(
        &self,
        entries: &[EntryId],
        ancestors: &BTreeMap<EntryId, BTreeSet<EntryId>>,
        deciders: &mut Deciders,
    ) -> BTreeSet<EntryId> {
        let counts = |id: &EntryId| self.authorised.contains(id) && self.is_ready(id);
        let mut live = BTreeSet::new();
        for id in entries.iter().filter(|id| self.authorised.contains(id)) {
            if self.is_ready(id) {
                live.insert(*id);
            } else if entries.iter().any(|y| counts(y) && ancestors[y].contains(id)) {
                count(deciders, "READY-2.kept_by_descendant");
                live.insert(*id);
            } else {
                count(deciders, "READY-2.dropped");
            }
        }
        live
    }

    /// The parent in the tree: the nearest authorised entry along `prev[0]`.
    // rule: FORK-1
    fn parent(&self, id: &EntryId) -> Option<EntryId> {
        let mut at = self.log.entries[id].body().prev.first();
        while let Some(base) = at {
            if self.authorised.contains(base) {
                return Some(*base);
            }
            at = self.log.entries[base].body().prev.first();
        }
        None
    }

    /// An authorised entry, its parent in the tree, and so on.
    fn line(&self, id: &EntryId) -> Vec<EntryId> {
        std::iter::successors(Some(*id), |at| self.parent(at)).collect()
    }

    /// The first entry of the line of `x` that is in the line of all others too.
    fn lowest_common_ancestor(&self, x: &EntryId, others: &[EntryId]) -> Option<EntryId> {
        let mut common = self.line(x);
        for y in others {
            let line = self.line(y);
            common.retain(|id| line.contains(id));
        }
        common.first().copied()
    }

    // rule: FORK-3
    fn walk(
        &self,
        live: &BTreeSet<EntryId>,
        anchors: &BTreeMap<EntryId, Option<EntryId>>,
        deciders: &mut Deciders,
    ) -> Option<EntryId> {
        let mut at = None;
        loop {
            let mut branches: Vec<(EntryId, Score)> = Vec::new();
            for k in live.iter().filter(|k| self.parent(k) == at) {
                let is_below = |anchor: &EntryId| self.line(anchor).contains(k);
                let voters: Vec<EntryId> = live
                    .iter()
                    .filter(|x| anchors[*x].as_ref().is_some_and(is_below))
                    .copied()
                    .collect();
                branches.extend(self.score(k, &voters).map(|score| (*k, score)));
            }
            let Some(best) = branches.iter().max_by(|a, b| compare(a, b).0) else { return at };
            for other in branches.iter().filter(|other| other.0 != best.0) {
                count(deciders, compare(best, other).1);
            }
            at = Some(best.0);
        }
    }

    // rule: FORK-4
    fn score(&self, k: &EntryId, voters: &[EntryId]) -> Option<Score> {
        let rank = voters.iter().map(|x| self.log.rank_of(x)).min()?;
        let keys: BTreeSet<PublicKey> = voters
            .iter()
            .filter(|x| self.log.rank_of(x) == rank)
            .map(|x| self.log.entries[x].body().key)
            .collect();
        let kind = match self.log.entries[k].body().payload {
            Payload::Delete { moved_to: None } => 0,
            Payload::Delete { moved_to: Some(_) } => 1,
            _ => 2,
        };
        let tie = |key: &PublicKey| {
            let (dir, name) = self.slot;
            let text = [&dir.as_bytes()[..], name.as_bytes(), key.as_bytes()].concat();
            blake3::derive_key("basefs v1 tie", &text)
        };
        let tie = keys.iter().map(tie).max()?;
        Some(Score { rank, keys: keys.len(), kind, tie })
    }
}

/// Compares two branches and says what decided.
// rule: FORK-4
fn compare(a: &(EntryId, Score), b: &(EntryId, Score)) -> (Ordering, &'static str) {
    let steps = [
        (b.1.rank.cmp(&a.1.rank), "FORK-4.rank"),
        (a.1.keys.cmp(&b.1.keys), "FORK-4.keys"),
        (a.1.kind.cmp(&b.1.kind), "FORK-4.kind"),
        (a.1.tie.cmp(&b.1.tie), "FORK-4.tie"),
        (a.0.cmp(&b.0), "FORK-4.id"),
    ];
    steps.into_iter().find(|(order, _)| order.is_ne()).unwrap_or((Ordering::Equal, "FORK-4.id"))
}
