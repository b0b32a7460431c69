//! The integration tests, in one binary: it is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "clippy exempts only the test functions themselves, not what they share"
)]

mod sync;
