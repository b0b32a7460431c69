//! A shared, signed, versioned hierarchy, replicated peer to peer.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod id;
pub mod limits;
#[cfg(feature = "quic")]
pub mod net;
pub mod store;
pub mod sync;
pub mod time;
pub mod wire;
