//! The API that applications use, on both stores.

mod concurrency;
mod local;
#[cfg(feature = "quic")]
mod network;
