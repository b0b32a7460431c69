//! Replicas that each hear a part of the story in another order, and then from each other.

use std::collections::BTreeSet;

use basefs::entry::VerifiedEntry;

use crate::compare;
use crate::exchange::Network;
use crate::generate::{Event, Rng, World, decode, schedule};
use crate::naive;

/// Most operations of one input.
const MAX_OPERATIONS: usize = 64;

/// Two bytes decide who hears what and when, six are an operation. In the end all must have and
/// show the same, and what the slow evaluator says.
// rule: FORK-5
pub(crate) fn converge(bytes: &[u8]) {
    let Some((seed, operations)) = bytes.split_first_chunk::<2>() else { return };
    let mut operations = decode(operations);
    operations.truncate(MAX_OPERATIONS);
    let world = World::of(&operations);
    let mut rng = Rng(u16::from_le_bytes(*seed).into());
    let count = 2 + u8::from(rng.one_in(2));
    let mut network = Network::new(world.genesis, count);
    let (mut told, mut complete) = (BTreeSet::new(), BTreeSet::new());
    for machine in &mut network.machines {
        let share = 1 + rng.below(4);
        for event in schedule(world.made.len(), rng.next()) {
            match event {
                _ if rng.below(4) >= share => {}
                Event::Entry(position) => {
                    told.insert(position);
                    machine.node.offer(world.made[position].entry.clone());
                }
                Event::Complete(number) => {
                    complete.insert(World::content(number));
                    machine.complete(number, &World::content(number));
                }
            }
            if rng.one_in(16) {
                machine.commit();
            }
        }
    }
    network.exchange(&mut rng);
    let told: Vec<VerifiedEntry> = told.iter().map(|at| world.made[*at].entry.clone()).collect();
    let state = naive::evaluate(world.genesis, &told, &complete);
    for (number, machine) in network.machines.iter().enumerate() {
        if let Err(what) = compare::same(machine.node.replica(), &state) {
            panic!("node {number} of {count}: {what}\nof\n{world}");
        }
    }
}
