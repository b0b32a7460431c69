//! Entries: the signed statements that the log is made of.
//!
//! Bytes become a [`SignedEntry`] by decoding (well formed by itself), a [`VerifiedEntry`] by
//! checking its signature, and an `AdmittedEntry` in the log. Each type proves what was checked,
//! so that nothing unchecked can reach the view.
//!
//! ```
//! use basefs::entry::{Body, FileData, Payload, SignedEntry};
//! use basefs::id::{DirId, EntryId};
//! use basefs::time::WallTime;
//! use basefs::wire::SecretKey;
//!
//! let key = SecretKey::from_seed([7; 32]);
//! let body = Body {
//!     dir: DirId::from_bytes([1; 32]),
//!     name: "greeting".into(),
//!     prev: vec![],
//!     cap: EntryId::from_bytes([2; 32]),
//!     key: key.public(),
//!     seq: 0,
//!     aprev: None,
//!     ts: WallTime::from_millis(0),
//!     payload: Payload::Write { executable: false, data: FileData::Inline(b"hi"[..].into()) },
//! };
//! let entry = body.sign(&key)?;
//! let received = SignedEntry::decode(entry.bytes())?.verify()?;
//! assert_eq!(received.id(), entry.id());
//! # Ok::<(), basefs::entry::InvalidEntry>(())
//! ```

mod body;
mod decode;
mod encode;
#[cfg(feature = "std")]
mod parallel;
mod rule;
mod signed;

pub use body::{Action, Body, FileData, Payload, Rights};
pub use decode::check_name;
#[cfg(feature = "std")]
pub use parallel::verify_all;
pub use rule::{InvalidEntry, Rule};
pub use signed::{SignedEntry, VerifiedEntry, inline_content};
