//! The API that applications use, on both stores.

mod concurrency;
mod crash;
mod local;
mod opening;
#[cfg(feature = "quic")]
mod secrets;
