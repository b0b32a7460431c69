//! Integration tests, one binary: a module per part.
#![allow(missing_docs)]
// Helpers of tests may fail as tests do; the exception for tests covers only functions marked so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod block;
mod tidy;
