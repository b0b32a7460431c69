//! A network of whole nodes in one thread: every run comes back with its seed.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "shared by tests and by an example, each of which uses a part"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times and windows are computed in floats, far below what they hold exactly"
)]
#![allow(clippy::panic, reason = "it fails as tests do")]

pub mod author;
pub mod disk;
mod hostile;
pub mod hosts;
pub mod member;
pub mod net;
pub mod packets;
pub mod queue;
pub mod quic;
pub mod rng;
mod wiring;
