//! A network of whole nodes in one thread: every run comes back with its seed.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "shared by tests and by an example, each of which uses a part"
)]

pub mod author;
pub mod disk;
pub mod hosts;
pub mod member;
pub mod net;
pub mod packets;
pub mod queue;
pub mod quic;
pub mod rng;
mod wiring;
