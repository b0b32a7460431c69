//! The laws, each as a property of random logs.
//!
//! `BASEFS_CASES=N cargo test --release --test law laws` runs every law on at least N logs. Logs
//! that failed once are kept in `tests/law/proptest-regressions.txt` and run first.

mod dropping;
mod finality;
mod log;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::VerifiedEntry;
use basefs::id::{Content, EntryId};
use proptest::test_runner::TestCaseError;

use crate::generate::{World, contents};
use crate::naive::{Shown, Slot, State};
use crate::replay::Replay;

/// A result of a comparison as proptest wants it.
fn holds<T>(result: Result<T, String>) -> Result<T, TestCaseError> {
    result.map_err(TestCaseError::fail)
}

/// Every content, those included that nobody ever has.
fn all_contents() -> BTreeSet<Content> {
    contents().into_iter().collect()
}

/// The contents that somebody has.
fn known_contents() -> BTreeSet<Content> {
    World::completable().iter().map(|number| World::content(*number)).collect()
}

/// A replica of everything that was made, with every content.
fn everything(world: &World) -> Replay {
    Replay::of(world.genesis, &world.entries(), &all_contents())
}

/// What a view shows, without what it is silent about.
#[derive(Debug, PartialEq)]
struct Visible {
    winners: BTreeMap<Slot, EntryId>,
    conflicts: BTreeMap<Slot, BTreeSet<EntryId>>,
    paths: BTreeMap<String, Shown>,
    orphans: BTreeMap<Slot, EntryId>,
}

impl Visible {
    fn of(state: &State) -> Self {
        let winners = state.winners.iter();
        Self {
            winners: winners.filter_map(|(slot, no)| Some((slot.clone(), (*no)?))).collect(),
            conflicts: state.conflicts.clone(),
            paths: state.paths.clone(),
            orphans: state.orphans.clone(),
        }
    }
}

/// The slot of a data entry.
fn slot_of(entry: &VerifiedEntry) -> Option<Slot> {
    let body = entry.body();
    body.payload.action().is_data().then(|| (body.dir, body.name.to_string()))
}
