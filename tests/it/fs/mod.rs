//! The API that applications use, on both stores.

#[cfg(feature = "quic")]
mod admission;
mod concurrency;
#[cfg(feature = "quic")]
mod conflict;
mod crash;
#[cfg(feature = "quic")]
mod history;
#[cfg(feature = "quic")]
mod history_diff;
#[cfg(feature = "quic")]
mod history_why;
#[cfg(all(unix, feature = "quic"))]
mod killed;
mod local;
mod members;
#[cfg(feature = "quic")]
pub(crate) mod network;
mod opening;
#[cfg(feature = "quic")]
mod races;
#[cfg(feature = "quic")]
mod rename;
#[cfg(feature = "quic")]
mod replicated;
#[cfg(feature = "quic")]
mod revoke;
#[cfg(feature = "quic")]
mod secrets;
pub(crate) mod team;
#[cfg(feature = "quic")]
mod tools;
#[cfg(feature = "quic")]
mod verbs;
#[cfg(feature = "quic")]
mod watch;
#[cfg(feature = "quic")]
mod watch_lost;
