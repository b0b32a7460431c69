//! The manual: what basefs is built to, for those who use it and those who work on it.
//!
//! There is no code here. The manual stands in the crate so that it is versioned, linked and
//! tested with the code that it describes.
//!
//! - [`guide`]: for those who use it. From opening to serving, with what to do about errors.
//! - [`administration`]: for those who appoint people and take rights away: who wins and why, what a
//!   revoke keeps, what a rename does to permissions, how to get something back.
//! - [`operations`]: for those who keep it running: machines, ports, services, backups, what to do when
//!   something is lost or full, what to watch, and the limits in numbers.
//! - [`security`]: who can do what to whom, what holds, and what does not.
//! - [`coming`]: for those who know etcd, Syncthing, git or iroh-docs; and common questions.
//! - [`rules`]: the law. Every rule has a name, which code and tests cite.
//! - [`architecture`]: the rings, what each of them must not do, how a write and a synchronisation
//!   pass through them, and what lies on the disk.
//! - [`protocol`]: what travels between nodes, byte for byte, and the format of content.
//! - [`policies`]: what a panic means, what an error says, and what stays compatible.

// The chapters link to modules that some builds leave out; there the links lead to the web.

#[doc = include_str!("architecture.md")]
///
#[doc = include_str!("img/flow.svg")]
///
#[doc = include_str!("img/rings.svg")]
///
#[cfg_attr(feature = "std", doc = "[`fs`]: crate::fs")]
#[cfg_attr(not(feature = "std"), doc = "[`fs`]: https://docs.rs/basefs/latest/basefs/fs/")]
#[cfg_attr(feature = "quic", doc = "[`net`]: crate::net")]
#[cfg_attr(not(feature = "quic"), doc = "[`net`]: https://docs.rs/basefs/latest/basefs/net/")]
pub mod architecture {}

/// How to use basefs in an application.
#[cfg_attr(all(feature = "redb", feature = "quic"), doc = include_str!("guide.md"))]
#[cfg_attr(
    not(all(feature = "redb", feature = "quic")),
    doc = "\nThis chapter is part of builds with the features `redb` and `quic`."
)]
pub mod guide {}

/// Who wins and why, what a revoke keeps, and how to get something back.
///
#[cfg_attr(
    all(feature = "redb", feature = "quic"),
    doc = include_str!("administration/winning.md"),
    doc = "",
    doc = include_str!("img/fork.svg"),
    doc = "",
    doc = include_str!("administration/revoking.md"),
    doc = "",
    doc = include_str!("img/revoke.svg"),
    doc = "",
    doc = include_str!("administration/recovering.md")
)]
#[cfg_attr(
    not(all(feature = "redb", feature = "quic")),
    doc = "\nThis chapter is part of builds with the features `redb` and `quic`."
)]
pub mod administration {}

/// For those who know etcd, Syncthing, git or iroh-docs: what is called what, what is better here,
/// and what is better there. And short answers to common questions.
#[cfg_attr(
    all(feature = "redb", feature = "quic"),
    doc = "",
    doc = include_str!("coming/etcd.md"),
    doc = "",
    doc = include_str!("coming/syncthing.md"),
    doc = "",
    doc = include_str!("coming/git.md"),
    doc = "",
    doc = include_str!("coming/iroh_docs.md"),
    doc = "",
    doc = include_str!("coming/faq.md")
)]
#[cfg_attr(
    not(all(feature = "redb", feature = "quic")),
    doc = "\nThis chapter is part of builds with the features `redb` and `quic`."
)]
pub mod coming {}

/// How to keep it running.
///
#[doc = include_str!("operations.md")]
///
#[cfg_attr(feature = "std", doc = "[`Fs`]: crate::Fs")]
#[cfg_attr(
    not(feature = "std"),
    doc = "[`Fs`]: https://docs.rs/basefs/latest/basefs/struct.Fs.html"
)]
pub mod operations {}

#[doc = include_str!("policies.md")]
pub mod policies {}

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("rules.md")]
pub mod rules {}

#[doc = include_str!("security.md")]
pub mod security {}
