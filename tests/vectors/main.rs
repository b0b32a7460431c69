//! The conformance vectors: bytes that every implementation of the rules must agree on.
//!
//! `BASEFS_VECTORS=FILE BASEFS_ORDERS=N cargo test --release --test vectors` replays any file of
//! the same schema, plain or gzip, in the listed order and N random ones.

mod file;
mod scenarios;
mod values;
