//! The law of the view: a slow evaluator written from the rules, and the crate held against it.
#![allow(missing_docs)]
// Helpers of tests may fail as tests do; the exception for tests covers only functions marked so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout)]

mod compare;
#[path = "../../fuzz/converge.rs"]
mod converge;
mod exchange;
mod exhaustion;
#[path = "../vectors/file.rs"]
mod file;
mod generate;
mod laws;
#[path = "../../fuzz/merge.rs"]
mod merge;
mod mutations;
mod naive;
mod random;
mod replay;
mod vectors;
