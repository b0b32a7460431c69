//! Which admitted entries count today.

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::Payload;
use basefs::id::EntryId;

use super::admission::{Cap, Log};
use super::{Deciders, count};

/// The authorised entries, capability by capability, the best rank first.
// rule: AUTH-1
pub(super) fn authorised(log: &Log<'_>, deciders: &mut Deciders) -> BTreeSet<EntryId> {
    let mut caps = log.caps();
    caps.sort_by_key(|cap| log.rank(cap));
    let mut authorised = BTreeSet::from([log.genesis]);
    let mut effective: BTreeMap<Cap, BTreeSet<EntryId>> = BTreeMap::new();
    for cap in caps {
        effective.insert(cap, select(log, &authorised, &cap, deciders));
        let is_live = authorised.contains(&cap.0);
        let against: BTreeSet<EntryId> =
            log.upward(&cap).iter().flat_map(|above| &effective[above]).copied().collect();
        for (id, entry) in &log.entries {
            if log.cap_of(entry) != cap {
                continue;
            }
            if is_live && against.iter().all(|revoke| is_kept(log, id, revoke)) {
                authorised.insert(*id);
                if !against.is_empty() {
                    count(deciders, "REVOKE-1.kept");
                }
                if log.upward(&cap).iter().skip(1).any(|above| !effective[above].is_empty()) {
                    count(deciders, "REVOKE-1.kept_below");
                }
            } else {
                count(deciders, "AUTH-1.cut");
            }
        }
    }
    authorised
}

/// Whether `x` is `head` or reached from it through `aprev`.
// rule: CHAIN-2
fn is_chain_below(log: &Log<'_>, x: &EntryId, head: &EntryId) -> bool {
    let mut at = log.entries.get(head);
    while let Some(entry) = at {
        if entry.id() == *x {
            return true;
        }
        at = entry.body().aprev.and_then(|id| log.entries.get(&id));
    }
    false
}

// rule: REVOKE-1
fn is_kept(log: &Log<'_>, x: &EntryId, revoke: &EntryId) -> bool {
    log.closure(revoke).iter().any(|member| match &log.entries[member].body().payload {
        Payload::Revoke { keep, .. } => keep.iter().any(|head| is_chain_below(log, x, head)),
        _ => false,
    })
}

// rule: REVOKE-2
fn is_applicable(log: &Log<'_>, revoke: &EntryId, cap: &Cap, deciders: &mut Deciders) -> bool {
    let body = log.entries[revoke].body();
    let Payload::Revoke { who, .. } = &body.payload else { return false };
    if *who != cap.1 || !log.lineage(&log.cap_dir(cap)).contains(&body.dir) {
        return false;
    }
    if log.rank_of(revoke) >= log.rank(cap) {
        count(deciders, "REVOKE-2.rank");
        return false;
    }
    if is_spared(log, revoke, cap) {
        count(deciders, "REVOKE-2.spared");
        return false;
    }
    true
}

// rule: REVOKE-2
fn is_spared(log: &Log<'_>, revoke: &EntryId, cap: &Cap) -> bool {
    let Payload::Grant { after, .. } = &log.entries[&cap.0].body().payload else { return false };
    let issuer = log.rank_of(&cap.0);
    let closure = log.closure(revoke);
    after.iter().any(|named| {
        log.closure(named).iter().any(|q| closure.contains(q) && log.rank_of(q) >= issuer)
    })
}

// rule: REVOKE-3
fn select(
    log: &Log<'_>,
    authorised: &BTreeSet<EntryId>,
    cap: &Cap,
    deciders: &mut Deciders,
) -> BTreeSet<EntryId> {
    let candidates: Vec<EntryId> = log
        .entries
        .keys()
        .copied()
        .filter(|id| authorised.contains(id) && is_applicable(log, id, cap, deciders))
        .collect();
    let Some(best) = candidates.iter().map(|id| log.rank_of(id)).min() else {
        return BTreeSet::new();
    };
    let of_best_rank: BTreeSet<EntryId> =
        candidates.iter().copied().filter(|id| log.rank_of(id) == best).collect();
    if of_best_rank.len() < candidates.len() {
        count(deciders, "REVOKE-3.rank");
    }
    let is_amended = |id: &EntryId| {
        of_best_rank.iter().any(|other| other != id && log.closure(other).contains(id))
    };
    let mut selected = of_best_rank.clone();
    selected.retain(|id| !is_amended(id));
    if selected.len() < of_best_rank.len() {
        count(deciders, "REVOKE-3.amended");
    }
    if selected.len() > 1 {
        count(deciders, "REVOKE-3.intersect");
    }
    selected
}
