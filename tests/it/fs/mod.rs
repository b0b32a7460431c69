//! The API that applications use, on both stores.

mod concurrency;
#[cfg(feature = "quic")]
mod conflict;
mod crash;
mod local;
#[cfg(feature = "quic")]
mod network;
mod opening;
#[cfg(feature = "quic")]
mod rename;
#[cfg(feature = "quic")]
mod revoke;
#[cfg(feature = "quic")]
mod secrets;
#[cfg(feature = "quic")]
mod team;
#[cfg(feature = "quic")]
mod verbs;
