//! A shared, signed, versioned hierarchy of files, replicated peer to peer.
//!
#![cfg_attr(all(feature = "redb", feature = "quic"), doc = include_str!("../README.md"))]
//!
//! # Module map
//!
//! The core is pure and builds without std: [`entry`] and [`block`] (bytes that prove what they
//! are), [`log`] (which entries belong), [`authority`] (which of them count), [`view`] (what the
//! tree looks like), [`gossip`] (who is there, and what is new), [`sync`] (what a peer lacks),
//! [`node`] (all of it behind one vocabulary), [`store`] (where bytes are kept). Around it, behind features: `net` (QUIC), `fs` (what
//! applications use) and `fuse` (a folder). A module names only modules of lower rings; [`manual`] says which and why.

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod authority;
pub mod block;
pub mod entry;
#[cfg(feature = "std")]
pub mod fs;
#[cfg(all(target_os = "linux", feature = "fuse"))]
pub mod fuse;
pub mod gossip;
#[cfg(all(feature = "handler", unix))]
pub mod handler;
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
