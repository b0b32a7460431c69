//! The log and who may: strangers, subsets, ranks, encodings.

use std::collections::BTreeSet;

use basefs::entry::{Rights, SignedEntry, VerifiedEntry};
use basefs::id::EntryId;
use basefs::log::{CapNo, EntryNo};
use proptest::prelude::*;

use super::{everything, holds, known_contents};
use crate::compare;
use crate::generate::{AUTHORS, Act, Keep, Operation, Rng, STRANGER, World, key};
use crate::random::{cases, operations, worlds};
use crate::replay::Replay;

/// The capabilities of a replica.
fn caps(replay: &Replay) -> impl Iterator<Item = CapNo> {
    (0..replay.replica.log().caps()).filter_map(CapNo::from_index)
}

proptest! {
    #![proptest_config(cases(300))]

    /// Law 4: whatever somebody without a grant signs, nothing comes of it.
    // rule: ADMIT-3
    #[test]
    fn l04_strangers_change_nothing(
        operations in operations(40),
        strange in operations(40),
    ) {
        let strange = strange.into_iter().map(|op| Operation { author: STRANGER, ..op });
        let told = operations.into_iter().zip(strange).flat_map(|(op, other)| [op, other]);
        let world = World::of(&told.collect::<Vec<_>>());
        let is_known = |entry: &&VerifiedEntry| entry.body().key != key(STRANGER).public();
        let entries = world.entries();
        let all = Replay::of(world.genesis, &entries, &known_contents());
        let known = entries.iter().filter(is_known);
        let without = Replay::of(world.genesis, known, &known_contents());
        // Unless all that the stranger did was to listen.
        let is_silent = entries.iter().all(|entry| is_known(&entry));
        prop_assert!(is_silent || all.told().len() > without.told().len());
        holds(compare::same(&all.replica, &holds(without.check())?))?;
    }

    /// Law 6: whoever has more entries has admitted more.
    // rule: ADMIT-2
    #[test]
    fn l06_admission_is_monotone(world in worlds(60), seed in any::<u64>()) {
        let mut rng = Rng(seed);
        let entries = world.0.entries();
        let some: Vec<&VerifiedEntry> = entries.iter().filter(|_| !rng.one_in(5)).collect();
        let part = Replay::of(world.0.genesis, some, &BTreeSet::new());
        let all = Replay::of(world.0.genesis, &entries, &BTreeSet::new());
        let (part, all) = (holds(part.check())?, holds(all.check())?);
        prop_assert!(part.admitted.is_subset(&all.admitted));
    }

    /// Law 8: a revoke that does not outrank a capability strictly is not in effect against it. One
    /// that outranks no capability of its victim cuts nothing, and one that does cuts something
    /// only below such a capability or by bringing other revokes down.
    // rule: REVOKE-2
    #[test]
    fn l08_a_revoke_that_does_not_outrank_has_no_effect(
        world in worlds(40),
        author in 0..AUTHORS,
        who in 0..AUTHORS,
        dir in any::<u8>(),
    ) {
        let mut world = world.0;
        let mut replay = everything(&world);
        let act = Act::Revoke { who, keep: Keep::Nothing, amends: false };
        world.apply(&Operation { author, act, dir, ..Operation::decode([0; 6]) });
        let revoke = &world.made.last().expect("a genesis").entry;
        let before = replay.replica.clone();
        replay.offer(revoke);
        let log = replay.replica.log();
        for cap in caps(&replay) {
            for effective in replay.replica.authority().effective(cap) {
                prop_assert!(log.rank(*effective) < log.cap_rank(cap));
            }
        }
        let Some(no) = log.number(&revoke.id()).filter(|no| no.index() >= before.log().len())
        else {
            return Ok(());
        };
        let outranks = |cap: CapNo| {
            log.key(log.cap_key(cap)) == key(who).public() && log.rank(no) < log.cap_rank(cap)
        };
        let flipped = (0..before.log().len()).filter_map(EntryNo::from_index).filter(|no| {
            replay.replica.authority().is_authorised(*no) != before.authority().is_authorised(*no)
        });
        let flipped: Vec<EntryNo> = flipped.collect();
        let above = |no: &EntryNo| {
            let parent = |cap: &CapNo| {
                let entry = log.cap_entry(*cap);
                (log.id(entry) != log.genesis()).then(|| log.cap_of(entry))
            };
            std::iter::successors(Some(log.cap_of(*no)), parent).any(outranks)
        };
        prop_assert!(flipped.is_empty() || flipped.iter().any(above));
    }

    /// Law 9: whoever passes a right on gets nobody above or beside themselves: rank gets worse,
    /// rights and area only shrink.
    // rule: RANK-2
    // rule: ADMIT-11
    #[test]
    fn l09_delegation_only_shrinks(world in worlds(60)) {
        let replay = everything(&world.0);
        let log = replay.replica.log();
        for cap in caps(&replay) {
            let grant = log.cap_entry(cap);
            if log.id(grant) == log.genesis() {
                prop_assert_eq!(log.cap_rights(cap), Rights::All);
                continue;
            }
            let issuer = log.cap_of(grant);
            prop_assert!(log.cap_rank(issuer) < log.cap_rank(cap));
            prop_assert!(log.cap_rights(issuer).includes(log.cap_rights(cap)));
            prop_assert!(log.is_in_lineage(log.cap_dir(issuer), log.cap_dir(cap)));
        }
    }

    /// An entry has one encoding, and with any bit flipped it is another entry or none.
    // rule: ENTRY-1
    // rule: ID-1
    #[test]
    fn encoding_is_one_to_one(world in worlds(12), seed in any::<u64>()) {
        let mut rng = Rng(seed);
        for made in &world.0.made {
            let entry = &made.entry;
            let decoded = SignedEntry::decode(entry.bytes()).expect("it was signed here");
            prop_assert_eq!(decoded.id(), entry.id());
            prop_assert_eq!(decoded.body(), entry.body());
            prop_assert_eq!(decoded.bytes(), entry.bytes());
            for _ in 0..16 {
                let mut bytes = entry.bytes().to_vec();
                let at = rng.below(bytes.len());
                bytes[at] ^= 1 << rng.below(8);
                if let Ok(other) = SignedEntry::decode(&bytes) {
                    prop_assert_ne!(other.id(), entry.id());
                    let id: EntryId = other.id();
                    let verified = other.verify();
                    prop_assert!(verified.is_err(), "{} was not signed", id);
                }
            }
        }
    }
}
