//! Bad input: whatever is wrong with a file, a path, a ticket or a peer, the error says who is at
//! fault and what became of the state, and the store holds what it held before.
//!
//! One table. Each row damages a copy of one hierarchy, meets the damage, and is checked for the
//! variant of the error, for words that a person needs in its text, and for an unchanged hash of
//! the store.

pub(crate) mod full_disk;
mod network;
mod opening;
mod using;
mod world;

use world::{Failure, World, sample};

/// One case of bad input.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    /// Makes the situation. The store is hashed after it.
    prepare: fn(&World),
    /// Runs into it.
    meet: fn(&World) -> Failure,
    expected: fn(&Failure) -> bool,
    /// Parts of the text that the user is shown.
    words: &'static [&'static str],
}

/// For rows where nothing but the call itself is wrong.
fn nothing(_: &World) {}

#[test]
fn every_case_has_its_error_and_leaves_the_store_as_it_was() {
    let sample = sample();
    let tables = [
        opening::ROWS,
        using::PATHS,
        using::WRITES,
        using::TICKETS,
        network::ROWS,
        full_disk::ROWS,
    ];
    let mut failures = Vec::new();
    for row in tables.concat() {
        let world = World::copy_of(sample.path());
        (row.prepare)(&world);
        let before = world.hash();
        let failure = (row.meet)(&world);
        let after = world.hash();
        let text = failure.to_string();
        println!("{}: {text}", row.name);
        if !(row.expected)(&failure) {
            failures.push(format!("{}: {failure:?}", row.name));
        }
        for word in row.words.iter().filter(|word| !text.contains(**word)) {
            failures.push(format!("{}: no {word:?} in {text:?}", row.name));
        }
        if before != after {
            failures.push(format!("{}: the store was changed", row.name));
        }
    }
    // The hash would have noticed.
    let world = World::copy_of(sample.path());
    let before = world.hash();
    assert_eq!(World::copy_of(sample.path()).hash(), before);
    world.fs().write("/new", "x").unwrap();
    assert_ne!(world.hash(), before);
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
