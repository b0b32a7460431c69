//! Integration tests, one binary: a module per part.
#![allow(missing_docs)]
// Helpers of tests may fail as tests do; the exception for tests covers only functions marked so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "quic")]
#[cfg(feature = "redb")]
mod bad_input;
mod block;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "std")]
mod cost;
#[cfg(all(unix, feature = "redb", feature = "quic"))]
mod examples;
#[cfg(feature = "redb")]
mod fs;
#[cfg(all(target_os = "linux", feature = "fuse", feature = "quic"))]
mod fuse;
#[cfg(feature = "quic")]
mod fuzz_bodies;
#[cfg(feature = "std")]
mod gossip;
#[cfg(all(feature = "handler", unix))]
mod handler;
#[cfg(feature = "quic")]
mod net;
mod node;
mod store;
mod sync;
mod tidy;
