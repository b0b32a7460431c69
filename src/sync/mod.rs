//! Set reconciliation: two replicas find out which entries the other lacks.
//!
//! All entries stand in one order, by path and then by id, so that a subtree is a range and
//! neighbouring differences cost little. One side describes ranges by a fingerprint each; where
//! the other computes something else, it cuts its range into smaller ones and describes those, until
//! a range is so small that listing (shortened) ids is cheaper. Then both know what to send.
//! ("Range-Based Set Reconciliation", Meyer 2023.)
//!
//! - [`LtHash`] hashes a set so that single changes are cheap and collisions are out of reach;
//! - [`Tree`] keeps the order, with a count and a hash in each node;
//! - [`Session`] is the conversation with one peer, as a state machine without I/O.
//!
//! ```
//! # use std::cmp::Ordering;
//! use basefs::sync::{Event, KeyRange, Nonce, Order, Session, Start, Tree};
//!
//! /// Entries that consist of their id.
//! struct Ids(Vec<[u8; 32]>);
//!
//! impl Order for Ids {
//!     # fn compare(&self, a: u32, b: u32) -> Ordering { self.0[a as usize].cmp(&self.0[b as usize]) }
//!     # fn compare_key(&self, a: u32, key: &[u8]) -> Ordering { self.0[a as usize][..].cmp(key) }
//!     # fn order_key(&self, a: u32) -> Vec<u8> { self.0[a as usize].to_vec() }
//!     # fn id(&self, a: u32) -> basefs::id::EntryId {
//!     #     basefs::id::EntryId::from_bytes(self.0[a as usize])
//!     # }
//!     // …
//! }
//!
//! let (ours, theirs) = (Ids(vec![[1; 32], [2; 32]]), Ids(vec![[2; 32]]));
//! let mut our_tree = Tree::load(&ours, vec![0, 1], None);
//! let mut their_tree = Tree::load(&theirs, vec![0], None);
//! let mut a = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Differs);
//! let mut b = Session::respond(Nonce::from_bytes([2; 16]), KeyRange::ALL);
//! let to_send = loop {
//!     while a.advance(&mut our_tree, &ours)? {}
//!     while let Some(message) = a.poll_transmit() {
//!         b.handle(&message)?;
//!     }
//!     if let Some(Event::Send(numbers)) = a.poll_event() {
//!         break numbers;
//!     }
//!     while b.advance(&mut their_tree, &theirs)? {}
//!     while let Some(message) = b.poll_transmit() {
//!         a.handle(&message)?;
//!     }
//! };
//! assert_eq!(to_send, [0]);
//! # Ok::<(), basefs::sync::SyncError>(())
//! ```
//!
//! A session keeps nothing that matters: what was admitted is in the log, and a session that was
//! cut off is simply followed by another.
//!
//! Architecture invariants: nothing here reads entries, checks signatures, or decides what is
//! admitted. A peer can make a session fail or end unequal; it cannot make it grow without bound,
//! nor make two honest replicas compare equal when they are not.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::id::EntryId;

mod compare;
mod error;
mod event;
mod hash;
mod key;
mod message;
mod ranges;
mod session;
mod tree;
mod work;

pub use error::SyncError;
pub use event::{Event, Start};
pub use hash::LtHash;
pub use key::Nonce;
pub use session::Session;
pub use tree::Tree;
pub use work::{Summary, Work};

/// What reconciliation needs to know about the entries behind their arrival numbers.
///
/// All methods are about one total order: by the path of the entry, component by component, then
/// by id. Numbers that the caller never put into a [`Tree`] are never asked for.
///
/// ```
/// use basefs::sync::Order;
/// use std::cmp::Ordering;
///
/// /// Files by path; two of one path would differ in their id.
/// struct Files(Vec<(&'static str, [u8; 32])>);
///
/// impl Order for Files {
///     fn compare(&self, a: u32, b: u32) -> Ordering {
///         self.order_key(a).cmp(&self.order_key(b))
///     }
///
///     fn compare_key(&self, a: u32, key: &[u8]) -> Ordering {
///         self.order_key(a)[..].cmp(key)
///     }
///
///     fn order_key(&self, a: u32) -> Vec<u8> {
///         let (path, id) = self.0[a as usize];
///         let components = path.split('/').flat_map(|name| [name.as_bytes(), b"\0"].concat());
///         components.chain([0]).chain(id).collect()
///     }
///
///     fn id(&self, a: u32) -> basefs::id::EntryId {
///         basefs::id::EntryId::from_bytes(self.0[a as usize].1)
///     }
/// }
///
/// let files = Files(vec![("users.txt", [1; 32]), ("users/ana", [2; 32])]);
/// assert!(files.compare(1, 0).is_lt(), "component by component");
/// ```
// rule: ORDER-1
pub trait Order {
    /// Compares two entries; equal only if they are the same.
    fn compare(&self, a: u32, b: u32) -> Ordering;

    /// Compares the order key of an entry with arbitrary bytes, as byte strings.
    fn compare_key(&self, a: u32, key: &[u8]) -> Ordering;

    /// The whole order key: `(component ‖ 00)… ‖ 00 ‖ id`, up to
    /// [`MAX_ORDER_KEY`](crate::limits::MAX_ORDER_KEY) bytes. Asked for only to name bounds.
    fn order_key(&self, a: u32) -> Vec<u8>;

    /// The id of an entry.
    fn id(&self, a: u32) -> EntryId;
}

/// A half-open range of order keys, as byte strings.
///
/// ```
/// use basefs::sync::KeyRange;
///
/// let users = KeyRange::with_prefix(b"users\0");
/// assert!(users.contains(b"users\0ana\0"));
/// assert!(!users.contains(b"usersx\0"));
/// assert!(KeyRange::ALL.contains(b""));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub const ALL: KeyRange = KeyRange { lo: Vec::new(), hi: None };

    /// The keys from `lo` up to but without `hi`; nothing if that range is empty.
    ///
    /// ```
    /// use basefs::sync::KeyRange;
    ///
    /// let range = KeyRange::new(b"lib".to_vec(), Some(b"users".to_vec())).unwrap();
    /// assert!(range.contains(b"motd") && !range.contains(b"users"));
    /// assert_eq!(KeyRange::new(b"users".to_vec(), Some(b"lib".to_vec())), None, "it is empty");
    /// ```
    pub fn new(lo: Vec<u8>, hi: Option<Vec<u8>>) -> Option<Self> {
        (hi.as_ref().is_none_or(|hi| lo < *hi)).then_some(Self { lo, hi })
    }

    /// The keys that start with `prefix`: with `(component ‖ 00)…`, a subtree.
    ///
    /// ```
    /// use basefs::sync::KeyRange;
    ///
    /// let users = KeyRange::with_prefix(b"users\0");
    /// assert_eq!((users.lo(), users.hi()), (&b"users\0"[..], Some(&b"users\x01"[..])));
    /// assert_eq!(KeyRange::with_prefix(b""), KeyRange::ALL);
    /// ```
    // rule: ORDER-2
    pub fn with_prefix(prefix: &[u8]) -> Self {
        let mut hi = prefix.to_vec();
        while hi.pop_if(|last| *last == u8::MAX).is_some() {}
        if let Some(last) = hi.last_mut() {
            *last += 1;
        }
        Self { lo: prefix.to_vec(), hi: (!hi.is_empty()).then_some(hi) }
    }

    /// The first key that may be in the range.
    pub fn lo(&self) -> &[u8] {
        &self.lo
    }

    /// The first key after the range, or nothing if the range has no upper end.
    pub fn hi(&self) -> Option<&[u8]> {
        self.hi.as_deref()
    }

    fn is_within(&self, outer: &KeyRange) -> bool {
        let hi = match (&self.hi, &outer.hi) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(hi), Some(outer)) => hi <= outer,
        };
        outer.lo <= self.lo && hi
    }

    /// Whether a key is in the range.
    ///
    /// ```
    /// use basefs::sync::KeyRange;
    ///
    /// let range = KeyRange::with_prefix(b"users\0");
    /// assert!(range.contains(b"users\0ana\0") && !range.contains(b"users.txt\0"));
    /// ```
    pub fn contains(&self, key: &[u8]) -> bool {
        self.lo.as_slice() <= key && self.hi.as_deref().is_none_or(|hi| key < hi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_ff_has_no_upper_end() {
        assert_eq!(KeyRange::with_prefix(&[1, 255]).hi(), Some(&[2][..]));
        assert_eq!(KeyRange::with_prefix(&[255, 255]).hi(), None);
        assert_eq!(KeyRange::with_prefix(&[]), KeyRange::ALL);
        assert_eq!(KeyRange::new(alloc::vec![1], Some(alloc::vec![1])), None);
    }
}
