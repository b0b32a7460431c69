//! Nodes in conversation, without a network, a clock or a disk.

mod contents;
mod converge;
mod hostile;
mod replicated;
mod spread;
pub(crate) mod world;
