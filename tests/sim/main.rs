//! Networks of whole nodes, simulated: what is lost, late, cut or hostile, from a seed.
#![allow(missing_docs)]
// Helpers of tests may fail as tests do; the exception for tests covers only functions marked so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod baseline;
mod engine;
mod faults;
mod memberlist;
mod quic;
#[cfg(feature = "quic")]
mod real;
mod soak;
mod speed;
mod spread;
