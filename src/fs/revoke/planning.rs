//! What a revoke has to say, and what would come of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::{Keep, PathEffect, RevokeError};
use crate::entry::{Payload, Rights};
use crate::fs::error::WriteError;
use crate::fs::grants::{KeyInfo, unlabelled};
use crate::fs::path::{join, parse};
use crate::fs::plan::{Dir, Need, Plan, Shows, Slot, Target, Weight};
use crate::fs::shown::Shown;
use crate::fs::verbs::all_behind;
use crate::id::{EntryId, PublicKey};
use crate::limits::{MAX_CLOSURE, MAX_KEEP};
use crate::log::{CapNo, Detail, DirNo, EntryNo, Rank, SlotNo, Value};
use crate::node::{Effects, Replica};
use crate::view::NodeKind;

/// What a revoke would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) kept: Vec<EntryId>,
    pub(super) cut: Vec<EntryId>,
    /// The authors of what is cut.
    pub(super) authors: Vec<PublicKey>,
    pub(super) paths: Vec<PathEffect>,
    pub(super) frozen: Vec<KeyInfo>,
    pub(super) left: Vec<KeyInfo>,
    pub(super) pinned: Vec<String>,
    pub(super) unpinned: Vec<String>,
    /// The rank of the revoke.
    pub(super) rank: Rank,
}

/// A key at a directory, and what a revoke by a capability of this author reaches of it.
struct Reach {
    path: String,
    who: PublicKey,
    dir: Dir,
    /// What the revoke cites.
    cap: CapNo,
    /// The key's capabilities there that the revoke outranks.
    hit: Vec<CapNo>,
    /// These, and what was granted under them, ascending.
    below: Vec<CapNo>,
}

impl Plan<'_> {
    /// Plans the revoke and the pins that go with it. Gives the last revoke.
    // rule: CLIENT-5
    pub(super) fn revoke(
        &mut self,
        path: &str,
        who: PublicKey,
        keep: &Keep,
    ) -> Result<(EntryId, Effect), RevokeError> {
        let reach = self.reach(path, who)?;
        let kept = self.heads(&reach, keep)?;
        let revoke = self.sign_revokes(&reach, None, &kept)?;
        let (after, effects) = self.rehearse();
        if !self.has_effect(&reach, &after, &effects) {
            return Err(RevokeError::NoEffect { path: reach.path, key: who });
        }
        let (pinned, unpinned) = self.pin(&reach, &after)?;
        let effect = self.effect(&reach, &after, &effects);
        Ok((revoke, Effect { kept, pinned, unpinned, ..effect }))
    }

    /// Plans an amendment of each revoke in force against the key at exactly this directory, so
    /// that all of them keep these entries.
    // rule: REVOKE-1
    pub(super) fn amend(
        &mut self,
        path: &str,
        who: PublicKey,
        keep: &[EntryId],
    ) -> Result<EntryId, RevokeError> {
        let reach = self.reach(path, who)?;
        let kept = self.heads(&reach, &Keep::UpTo(keep.to_vec()))?;
        let revokes: BTreeSet<EntryNo> = self.engine.read(|node| {
            let (log, authority) = (node.replica().log(), node.replica().authority());
            let is_here = |no: &&EntryNo| match log.record(**no).detail {
                Detail::Revoke { dir, .. } => dir == reach.dir.logged,
                _ => false,
            };
            let in_force = reach.hit.iter().flat_map(|cap| authority.effective(*cap));
            in_force.filter(is_here).copied().collect()
        });
        let mut last = None;
        for revoke in revokes {
            let (id, by, is_mine) = self.engine.read(|node| {
                let log = node.replica().log();
                let is_mine = log.cap_rank(reach.cap) <= log.rank(revoke);
                (log.id(revoke), log.author(revoke), is_mine)
            });
            if !is_mine {
                return Err(RevokeError::Outranked { path: reach.path, key: who, by });
            }
            last = Some(self.sign_revokes(&reach, Some((id, revoke)), &kept)?);
        }
        let not_revoked = || RevokeError::NotRevoked { path: reach.path.clone(), key: who };
        let last = last.ok_or_else(not_revoked)?;
        if self.rehearse().1.authorised.is_empty() {
            return Err(RevokeError::NoEffect { path: reach.path, key: who });
        }
        Ok(last)
    }

    /// What the best capability of this author reaches.
    // rule: REVOKE-2
    // rule: CLIENT-1
    fn reach(&mut self, path: &str, who: PublicKey) -> Result<Reach, RevokeError> {
        let names = parse(path)?;
        let path = join(&names);
        let dir = self.walk_to(&names, false)?;
        let need = Need { right: Rights::Grant, gives: None, weight: Weight::Best };
        let cap = self.capability(dir.logged, need).ok_or_else(|| self.denied(&names))?;
        let (all, hit, below) = self.engine.read(|node| {
            let (log, authority) = (node.replica().log(), node.replica().authority());
            let caps = log.key_no(&who).map_or(&[][..], |key| authority.caps_of(key));
            let is_below = |cap: &&CapNo| log.is_in_lineage(dir.logged, log.cap_dir(**cap));
            let all = caps.iter().filter(is_below);
            let is_hit = |hit: &&CapNo| log.cap_rank(cap) < log.cap_rank(**hit);
            let hit: Vec<CapNo> = all.clone().filter(is_hit).copied().collect();
            (all.count(), hit.clone(), delegation(node.replica(), hit))
        });
        if all == 0 {
            return Err(RevokeError::NothingToRevoke { path, key: who });
        }
        if hit.is_empty() {
            return Err(RevokeError::NotOutranked { path, key: who });
        }
        Ok(Reach { path, who, dir, cap, hit, below })
    }

    /// The ends of the chains to keep, ascending.
    fn heads(&self, reach: &Reach, keep: &Keep) -> Result<Vec<EntryId>, RevokeError> {
        self.engine.read(|node| {
            let replica = node.replica();
            let log = replica.log();
            let mut heads = match keep {
                Keep::Nothing => Vec::new(),
                Keep::Seen => reach.below.iter().flat_map(|cap| ends(replica, *cap)).collect(),
                Keep::UpTo(entries) => entries.clone(),
            };
            heads.sort_unstable();
            heads.dedup();
            let is_theirs = |head: &&EntryId| {
                log.number(head)
                    .is_some_and(|no| reach.below.binary_search(&log.cap_of(no)).is_ok())
            };
            match heads.iter().find(|head| !is_theirs(head)) {
                Some(entry) => Err(RevokeError::NotOfKey { key: reach.who, entry: *entry }),
                None => Ok(heads),
            }
        })
    }

    /// Signs a revoke that keeps these entries. Each further one that this takes amends the one
    /// before, for revokes that stand side by side keep only what all of them do.
    fn sign_revokes(
        &mut self,
        reach: &Reach,
        amended: Option<(EntryId, EntryNo)>,
        kept: &[EntryId],
    ) -> Result<EntryId, RevokeError> {
        let closure = amended.map_or(0, |(_, no)| {
            self.engine.read(|node| node.replica().log().revoke(no).map_or(0, |r| r.closure.len()))
        });
        let revokes = kept.len().div_ceil(MAX_KEEP).max(1);
        if closure + revokes > MAX_CLOSURE {
            let (revokes, limit) = (closure + revokes, MAX_CLOSURE);
            return Err(RevokeError::TooMany { key: reach.who, revokes, limit });
        }
        let mut prev: Vec<EntryId> = amended.into_iter().map(|(id, _)| id).collect();
        let mut keeps = kept.chunks(MAX_KEEP);
        let mut keep = keeps.next().unwrap_or_default().to_vec();
        loop {
            let payload = Payload::Revoke { who: reach.who, keep };
            let id = self.sign(reach.dir.id, "".into(), prev, reach.cap, payload)?;
            prev = Vec::from([id]);
            match keeps.next() {
                Some(more) => keep = more.to_vec(),
                None => return Ok(id),
            }
        }
    }

    /// Whether anything is different after: an entry is cut, or a capability is revoked that was
    /// not, or only by somebody of lower rank.
    fn has_effect(&self, reach: &Reach, after: &Replica, effects: &Effects) -> bool {
        let rank = after.log().cap_rank(reach.cap);
        let takes_over = self.engine.read(|node| {
            let (log, authority) = (node.replica().log(), node.replica().authority());
            reach.hit.iter().any(|cap| {
                authority.effective(*cap).first().is_none_or(|revoke| rank < log.rank(*revoke))
            })
        });
        takes_over || !effects.authorised.is_empty()
    }

    fn effect(&self, reach: &Reach, after: &Replica, effects: &Effects) -> Effect {
        self.engine.read(|node| {
            let before = node.replica();
            let log = after.log();
            let mut cut: Vec<EntryNo> = effects.authorised.iter().map(|(no, _)| *no).collect();
            cut.retain(|no| !after.authority().is_authorised(*no));
            cut.sort_unstable();
            cut.dedup();
            let authors: BTreeSet<PublicKey> = cut.iter().map(|no| log.author(*no)).collect();
            let was_live = |cap: &CapNo| before.authority().is_live(before.log(), *cap);
            let is_live = |cap: &CapNo| after.authority().is_live(log, *cap);
            let of_key = |cap: &CapNo| log.key(log.cap_key(*cap)) == reach.who;
            let frozen = reach.below.iter().filter(|cap| !of_key(cap) && was_live(cap));
            let frozen = frozen.filter(|cap| !is_live(cap));
            // Entries may have come since the rehearsal: what it does not know is not asked of it.
            let all = (0..log.caps()).filter_map(CapNo::from_index);
            let left = all.filter(|cap| of_key(cap) && is_live(cap));
            Effect {
                kept: Vec::new(),
                cut: cut.iter().map(|no| log.id(*no)).collect(),
                authors: authors.into_iter().collect(),
                paths: paths(before, after, effects),
                frozen: frozen.map(|cap| unlabelled(before, *cap)).collect(),
                left: left.map(|cap| unlabelled(before, cap)).collect(),
                pinned: Vec::new(),
                unpinned: Vec::new(),
                rank: log.cap_rank(reach.cap),
            }
        })
    }

    /// Confirms what shows wherever an entry that stays has not come with its content. Gives the
    /// paths where that was done, and where it cannot be.
    // rule: CLIENT-5
    fn pin(
        &mut self,
        reach: &Reach,
        after: &Replica,
    ) -> Result<(Vec<String>, Vec<String>), RevokeError> {
        let (log, authority, view) = (after.log(), after.authority(), after.view());
        let entries = reach.below.iter().flat_map(|cap| authority.entries_of(*cap));
        let mut withheld: BTreeMap<SlotNo, Vec<EntryNo>> = BTreeMap::new();
        for no in entries.filter(|no| authority.is_authorised(**no) && !view.is_ready(log, **no)) {
            if let Some(slot) = log.slot_of(*no) {
                withheld.entry(slot).or_default().push(*no);
            }
        }
        let (mut pinned, mut unpinned) = (Vec::new(), Vec::new());
        for (slot, withheld) in withheld {
            let winner = view.winner(slot);
            let past = winner.map_or_else(BTreeSet::new, |winner| all_behind(log, winner));
            if withheld.iter().all(|no| past.contains(no)) {
                continue;
            }
            let path = Shown::now(after).path_of_slot(slot);
            match self.pin_slot(after, slot, winner) {
                Ok(()) => pinned.push(path),
                Err(WriteError::Denied { .. }) => unpinned.push(path),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((pinned, unpinned))
    }

    fn pin_slot(
        &mut self,
        after: &Replica,
        slot: SlotNo,
        winner: Option<EntryNo>,
    ) -> Result<(), WriteError> {
        let log = after.log();
        let name = log.slot_name(slot).clone();
        let names = [&*name];
        let id = winner.map(|winner| log.id(winner));
        let at = Target {
            names: &names,
            dir: self.logged(log.slot_dir(slot)),
            name: &name,
            slot: Slot { winner: id, shows: Shows::Other },
        };
        let (Some(winner), Some(id)) = (winner, id) else { return Err(self.denied(&names)) };
        let payload = match log.value(winner) {
            Some(Value::Tomb) => Payload::Delete { moved_to: None },
            _ => Payload::Link { target: id },
        };
        self.data(&at, Weight::Best, Vec::from([id]), payload, Shows::Other)?;
        Ok(())
    }
}

/// These capabilities and what was granted under them, ascending.
fn delegation(replica: &Replica, of: Vec<CapNo>) -> Vec<CapNo> {
    let mut found: BTreeSet<CapNo> = BTreeSet::new();
    let mut open = of;
    while let Some(cap) = open.pop() {
        if found.insert(cap) {
            open.extend(replica.authority().granted_under(cap));
        }
    }
    found.into_iter().collect()
}

/// The entries under a capability that count and that none that counts follows: one, unless its
/// chain forked or started again.
fn ends(replica: &Replica, cap: CapNo) -> Vec<EntryId> {
    let (log, authority) = (replica.log(), replica.authority());
    let counts = authority.entries_of(cap).iter().filter(|no| authority.is_authorised(**no));
    let followed: BTreeSet<EntryNo> =
        counts.clone().filter_map(|no| log.chain_before(*no)).collect();
    counts.filter(|no| !followed.contains(no)).map(|no| log.id(*no)).collect()
}

/// The paths that show something else afterwards.
// rule: TREE-2
fn paths(before: &Replica, after: &Replica, effects: &Effects) -> Vec<PathEffect> {
    let mut slots: BTreeSet<SlotNo> = effects.slots.iter().map(|change| change.slot).collect();
    // A directory also moves, or has no place any more, if a move of it is cut that was confirmed
    // since: all winners stay.
    for dir in (0..after.log().dirs()).filter_map(DirNo::from_index) {
        let place =
            |replica: &Replica| replica.view().place(replica.log(), replica.authority(), dir);
        let (place_before, place_after) = (place(before), place(after));
        if place_before != place_after {
            slots.extend([place_before, place_after].into_iter().flatten());
        }
    }
    // Entries may have come since the rehearsal, which knows nothing of their slots.
    slots.retain(|slot| slot.index() < after.log().slots());
    let effect = |slot: SlotNo| {
        let names = |replica| Shown::now(replica).names_of(slot);
        let path = join(&names(before).or_else(|| names(after))?);
        let (before, after) = (shown(before, slot), shown(after, slot));
        let id = |shown: Option<(EntryId, bool)>| shown.map(|(id, _)| id);
        (before != after).then_some(PathEffect { path, before: id(before), after: id(after) })
    };
    let mut paths: Vec<PathEffect> = slots.into_iter().filter_map(effect).collect();
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    paths
}

/// The version that a slot shows, and whether it is a directory. A name of a directory that has no
/// place shows nothing.
fn shown(replica: &Replica, slot: SlotNo) -> Option<(EntryId, bool)> {
    let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    let node = view.node(log, authority, slot)?;
    let is_dir = match node.kind {
        NodeKind::Dir(_) => true,
        NodeKind::Alias(dir) => {
            view.place(log, authority, dir)?;
            false
        }
        NodeKind::File { .. } | NodeKind::Symlink(_) => false,
    };
    Some((log.id(node.winner?), is_dir))
}
