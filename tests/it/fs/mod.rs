//! The API that applications use, on both stores.

mod concurrency;
#[cfg(feature = "quic")]
mod conflict;
mod local;
#[cfg(feature = "quic")]
mod network;
