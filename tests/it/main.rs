//! Tests across modules, in one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is the point here")]

#[cfg(feature = "quic")]
mod net;
