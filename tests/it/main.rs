//! Integration tests, linked once.
// Clippy knows tests by their attribute; what they share is test code too.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod store;
