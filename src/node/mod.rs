//! A replica and its conversations behind one vocabulary of inputs and outputs.

mod replica;

pub use replica::{Effects, Replica, Restore, RestoreError};
