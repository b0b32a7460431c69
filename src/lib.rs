//! A shared, signed, versioned hierarchy, replicated peer to peer.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod authority;
pub mod block;
pub mod entry;
#[cfg(feature = "std")]
pub mod fs;
pub mod id;
pub mod limits;
pub mod log;
pub mod manual;
#[cfg(feature = "quic")]
pub mod net;
pub mod node;
pub mod store;
pub mod sync;
pub mod time;
pub mod view;
pub mod wire;

#[cfg(feature = "std")]
pub use fs::{Batch, Fs, OpenError, ReadError, Watch, WatchEvent, WatchFrom, WriteError};
