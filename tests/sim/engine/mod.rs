//! A simulated network: virtual time, packets with delay and loss, connections, whole nodes.
//!
//! Everything that happens follows from one seed; a run is replayed by giving the seed again.
#![allow(dead_code, reason = "each of the programs that include this uses a part of it")]
#![allow(unreachable_pub, reason = "it is written as the library that it is to them")]

pub mod net;
pub mod packets;
pub mod queue;
pub mod quic;
pub mod rng;
