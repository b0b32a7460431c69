//! Networks of whole nodes, simulated: what is lost, late, cut or hostile, from a seed.

mod baseline;
mod engine;
mod faults;
mod quic;
mod soak;
mod speed;
mod spread;
