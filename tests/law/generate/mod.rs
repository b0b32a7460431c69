//! Logs as several authors would write them who know of each other's work only in part, and some
//! of whom mean no good.
//!
//! A log is a list of operations, each decoded from six bytes, so that a fuzzer can mutate it and
//! proptest shrink it. The world in which they happen computes tips, heads and directories by
//! itself; of the crate it uses the decoder, and the log to tell which entries honest authors would
//! never see.

mod big;
mod compose;
mod operation;
mod schedule;
mod world;

pub(crate) use operation::{
    AUTHORS, Act, After, Base, Cap, Keep, Operation, STRANGER, WIDTH, decode,
};
pub(crate) use schedule::{Event, Rng, schedule};
pub(crate) use world::{Made, World, blocks, contents, key};
