//! The integration tests, in one binary: it is linked once.

mod sync;
