//! Integration tests, one binary: a module per part.
#![allow(missing_docs)]

mod block;
mod tidy;
