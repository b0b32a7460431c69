//! The in-memory store.

use basefs::store::MemoryStore;

use super::conformance;

#[test]
fn conforms() {
    conformance::run(&|| Box::new(MemoryStore::new()));
}
