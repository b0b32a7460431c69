//! Entries made by authors who mean well or not, taken in by a replica in any order: at every step
//! it must have and show what the slow evaluator says. So must one that takes them in by batches.

use crate::compare;
use crate::generate::{Rng, World, decode, schedule};
use crate::naive::Deciders;
use crate::replay::Replay;

/// Bytes in front of the operations.
pub(crate) const HEAD: usize = 2;
/// Most operations of one input: beyond that more time teaches little more.
const MAX_OPERATIONS: usize = 48;

/// Two bytes shuffle, six are an operation. Gives how often each rule decided something.
// rule: FORK-5
pub(crate) fn merge(bytes: &[u8]) -> Deciders {
    let mut deciders = Deciders::new();
    let Some((seed, operations)) = bytes.split_first_chunk::<HEAD>() else { return deciders };
    let mut operations = decode(operations);
    operations.truncate(MAX_OPERATIONS);
    let world = World::of(&operations);
    let seed = u16::from_le_bytes(*seed).into();
    let events = schedule(world.made.len(), seed);
    let [mut replay, mut batched] = [Replay::new(world.genesis), Replay::new(world.genesis)];
    let (mut rng, mut batch) = (Rng(seed), 0);
    for (step, event) in events.iter().enumerate() {
        replay.take(&world, *event);
        let state = replay.state();
        if let Err(what) = compare::same(&replay.replica, &state) {
            panic!("{what}\nafter {:?}\nof\n{world}", &events[..=step]);
        }
        if rng.one_in(6) || step + 1 == events.len() {
            batched.take_all(&world, &events[batch..=step]);
            if let Err(what) = compare::same(&batched.replica, &state) {
                panic!("{what}\nafter the batch {:?}\nof\n{world}", &events[batch..=step]);
            }
            batch = step + 1;
        }
        for (rule, times) in state.deciders {
            *deciders.entry(rule).or_default() += times;
        }
    }
    for replay in [replay, batched] {
        if let Err(what) = compare::same(&replay.restored(), &replay.state()) {
            panic!("restored: {what}\nafter {events:?}\nof\n{world}");
        }
    }
    deciders
}
