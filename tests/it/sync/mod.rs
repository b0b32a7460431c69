//! Reconciliation between replicas that have only an order, no real entries.

mod converge;
mod cost;
mod hash;
mod hostile;
mod replica;
mod tree;
