//! Gossip: who is there, and how what is new gets around.

mod membership;
mod spread;
