//! Networks of whole nodes, simulated: what is lost, late, cut or hostile, from a seed.

mod engine;
mod faults;
mod quic;
mod spread;
