//! Random logs, and how many of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestRng, TestRunner};

use crate::generate::{Operation, WIDTH, World};

/// Cases of each law: as many as usual, or `BASEFS_CASES` if that is more.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("BASEFS_CASES").ok().and_then(|cases| cases.parse::<u32>().ok());
    let persistence = FileFailurePersistence::Direct("tests/law/proptest-regressions.txt");
    ProptestConfig {
        cases: asked.map_or(usual, |cases| cases.max(usual)),
        failure_persistence: Some(Box::new(persistence)),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// The same logs every time, so that what they reach does not hang on luck; others in long runs.
pub(crate) fn runner(usual: u32) -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    match cases(usual) {
        config if config.cases == usual => TestRunner::new_with_rng(config, rng),
        config => TestRunner::new(config),
    }
}

/// The bytes of up to so many operations. Now and then the first is one of the long ones, which
/// few bytes give by chance.
pub(crate) fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let long = (0..24_u8).prop_map(|pick| vec![[u8::MAX, 1, 0, pick, 0, 0]]);
    let first = prop_oneof![30 => Just(vec![]), 1 => long];
    let operations = vec(any::<[u8; WIDTH]>(), 0..=most);
    (first, operations).prop_map(|(first, operations)| [first, operations].concat().concat())
}

/// The bytes of up to so many operations of two equals in one slot, whom roots revoke and whose
/// heads, kept by a revoke, may arrive after it: much of what can go wrong takes a crowd.
pub(crate) fn quarrels(most: usize) -> impl Strategy<Value = Vec<u8>> {
    const WRITE: u8 = 0;
    const DELETE: u8 = 92;
    const REVOKE: u8 = 190;
    const HEAR: u8 = 220;
    const HEAR_ONE: u8 = 250;
    let what = prop_oneof![
        4 => Just(WRITE),
        1 => Just(DELETE),
        1 => Just(REVOKE),
        2 => Just(HEAR),
        1 => Just(HEAR_ONE),
    ];
    // Author and other are the second and the third on grants; a revoke is by a root.
    let who = prop_oneof![Just(0x21_u8), Just(0x22), Just(0x31), Just(0x32)];
    let operation = (what, who, any::<u8>(), 0..16_u8)
        .prop_map(|(what, who, pick, style)| [what, who, 0x40, pick, style, 0]);
    vec(operation, 0..=most).prop_map(|operations| operations.concat())
}

/// What authors do, as a list that shrinks and prints.
pub(crate) fn operations(most: usize) -> impl Strategy<Value = Vec<Operation>> {
    vec(any::<[u8; WIDTH]>().prop_map(Operation::decode), 0..=most)
}

/// A world in which such a list happened.
pub(crate) fn worlds(most: usize) -> impl Strategy<Value = Told> {
    operations(most).prop_map(|operations| Told(World::of(&operations)))
}

/// A world that prints as its entries.
#[derive(Clone)]
pub(crate) struct Told(pub(crate) World);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n{}", self.0)
    }
}
