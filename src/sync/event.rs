//! What a driver says to a session, and hears from it.

use alloc::vec::Vec;

/// What the initiator knows beforehand.
///
/// ```
/// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
/// # use ids::Ids;
/// use basefs::sync::{KeyRange, Nonce, Session, Start};
///
/// let ids = Ids((0..2_000u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect());
/// let opening = |start| {
///     let mut session = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, start);
///     while session.advance(&mut ids.tree(), &ids)? {}
///     let messages = std::iter::from_fn(|| session.poll_transmit());
///     Ok::<usize, basefs::sync::SyncError>(messages.map(|message| message.len()).sum())
/// };
/// assert!(opening(Start::Unsure)? < opening(Start::Differs)?);
/// # Ok::<(), basefs::sync::SyncError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing: the first message is short, for both sides may well be equal.
    Unsure,
    /// The roots were seen to differ: the first message says more.
    Differs,
}

/// What the driver has to know or do.
///
/// ```
/// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
/// # use ids::{Ids, converse};
/// use basefs::sync::{Event, KeyRange, Nonce, Session, Start};
///
/// let (here, there) = (Ids::of(&[1, 2]), Ids::of(&[1, 2]));
/// let mut a = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Unsure);
/// let mut b = Session::respond(Nonce::from_bytes([2; 16]), KeyRange::ALL);
/// converse(&mut a, &here, &mut b, &there);
/// assert_eq!(a.poll_event(), Some(Event::Finished { equal: true, rounds: 0 }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Send these entries, in this order, then call [`entries_sent`](super::Session::entries_sent). They ascend, so
    /// that what an entry refers to comes before it. Once in each round, possibly empty.
    Send(Vec<u32>),
    /// The peer has sent all its entries of this round. Admit and store what came, insert it into
    /// the tree, then call [`entries_admitted`](super::Session::entries_admitted).
    Received,
    /// The session is over.
    Finished {
        /// Whether both sides had the same entries at the end. If not, entries were written in the
        /// meantime or not admitted; another session may find more.
        equal: bool,
        /// Rounds that entries were exchanged in; 0 if the sides were equal from the start.
        rounds: u8,
    },
}
