//! The conformance vectors: bytes that every implementation of the rules must agree on.
//!
//! `BASEFS_VECTORS=FILE BASEFS_ORDERS=N cargo test --release --test vectors` replays any file of
//! the same schema, plain or gzip, in the listed order and N random ones.
// Helpers of tests may fail as tests do; the exception for tests covers only functions marked so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout)]

mod file;
mod scenarios;
mod values;
