//! The manual: what basefs is built to, for those who use it and those who work on it.
//!
//! There is no code here. The manual stands in the crate so that it is versioned, linked and
//! tested with the code that it describes.
//!
//! - [`rules`]: the law. Every rule has a name, which code and tests cite.
//! - [`architecture`]: the rings, what each of them must not do, and how a write and a
//!   synchronisation pass through them.
//! - [`protocol`]: what travels between nodes, and the format of content.
//! - [`policies`]: what a panic means, what stays compatible, and who can do what to whom.

#[doc = include_str!("architecture.md")]
///
#[doc = include_str!("img/rings.svg")]
pub mod architecture {}

#[doc = include_str!("policies.md")]
pub mod policies {}

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("rules.md")]
pub mod rules {}
