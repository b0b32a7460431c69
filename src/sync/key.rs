//! What a session puts on the wire for a set or an id: short, and under a key of its own.
//!
//! The key comes from the nonces of both sides, which nobody knew when the entries were written.
//! So a writer cannot prepare entries that coincide in a shortened form, and the forms can be
//! short: what coincides does so by chance, is noticed when the roots are compared, and does not
//! coincide again under the key of the next round.

use core::fmt;

use super::Summary;
use crate::id::EntryId;

/// A random number of one side, used once.
///
/// ```
/// use basefs::sync::Nonce;
///
/// let nonce = Nonce::from_bytes([7; 16]); // really: random
/// assert_eq!(format!("{nonce:?}"), "Nonce(0707…)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; Nonce::LEN]);

impl Nonce {
    /// Length in bytes: enough never to be drawn twice.
    pub const LEN: usize = 16;

    /// Wraps bytes that must come from a cryptographic random source, fresh for each session.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// The whole range of a session: long, for this comparison is the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root(pub(super) [u8; Root::LEN]);

impl Root {
    /// Length in bytes.
    pub(super) const LEN: usize = 16;
}

/// A part of the range. Two different sets share one with probability 2^-64, once per part that
/// differs, and the roots tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [u8; Fingerprint::LEN]);

impl Fingerprint {
    /// Length in bytes.
    pub(super) const LEN: usize = 8;
}

/// An id in a list of at most [`LIST_MAX`](super::compare::LIST_MAX) = 64.
///
/// An entry that one side lacks is overlooked if it coincides with one of the list: 64 / 2^40, or
/// 6e-11 per entry. A session that moves a million entries needs a further round for that in one
/// of 17,000 cases; four bytes would make it one in 67, six cost a fifth more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShortId(pub(super) [u8; ShortId::LEN]);

impl ShortId {
    /// Length in bytes.
    pub(super) const LEN: usize = 5;
}

/// The key of one round.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RoundKey([u8; 32]);

/// Separates what is computed under one key.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Purpose {
    Root = 0,
    Sum = 1,
    List = 2,
    Id = 3,
}

impl RoundKey {
    /// For the first message, which is sent before the nonce of the responder is known.
    pub(super) fn opening(initiator: Nonce) -> Self {
        Self(blake3::derive_key("basefs v1 sync opening", initiator.as_bytes()))
    }

    /// For everything else in a round.
    pub(super) fn round(initiator: Nonce, responder: Nonce, round: u8) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("basefs v1 sync round");
        hasher.update(initiator.as_bytes()).update(responder.as_bytes()).update(&[round]);
        Self(hasher.finalize().into())
    }

    pub(super) fn root(&self, summary: &Summary) -> Root {
        Root(self.summary(Purpose::Root, summary))
    }

    /// The fingerprint of a long range, from its homomorphic hash.
    pub(super) fn sum(&self, summary: &Summary) -> Fingerprint {
        Fingerprint(self.summary(Purpose::Sum, summary))
    }

    /// The fingerprint of a short range, straight from its ids in order: some thirty times cheaper
    /// than expanding those ids that do not fill a whole leaf.
    pub(super) fn list(&self, ids: impl Iterator<Item = EntryId>) -> Fingerprint {
        let mut hasher = self.hasher(Purpose::List);
        for id in ids {
            hasher.update(id.as_bytes());
        }
        Fingerprint(cut(&hasher))
    }

    pub(super) fn short(&self, id: &EntryId) -> ShortId {
        let mut hasher = self.hasher(Purpose::Id);
        hasher.update(id.as_bytes());
        ShortId(cut(&hasher))
    }

    fn summary<const N: usize>(&self, purpose: Purpose, summary: &Summary) -> [u8; N] {
        let mut hasher = self.hasher(purpose);
        hasher.update(&summary.count.to_le_bytes()).update(&summary.hash.to_bytes());
        cut(&hasher)
    }

    fn hasher(&self, purpose: Purpose) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[purpose as u8]);
        hasher
    }
}

impl fmt::Debug for RoundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoundKey(…)")
    }
}

fn cut<const N: usize>(hasher: &blake3::Hasher) -> [u8; N] {
    let mut bytes = [0; N];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::LtHash;

    #[test]
    fn rounds_and_purposes_are_separate() {
        let (a, b) = (Nonce::from_bytes([1; 16]), Nonce::from_bytes([2; 16]));
        let id = EntryId::from_bytes([3; 32]);
        let first = RoundKey::round(a, b, 1);
        assert_ne!(first.short(&id), RoundKey::round(a, b, 2).short(&id));
        assert_ne!(first.short(&id), RoundKey::round(b, a, 1).short(&id));
        assert_ne!(first.short(&id), RoundKey::opening(a).short(&id));
        let one = Summary { count: 1, hash: LtHash::of(&id) };
        assert_ne!(first.root(&one).0[..Fingerprint::LEN], first.sum(&one).0);
        assert_ne!(first.sum(&one), first.list([id].into_iter()));
        assert_ne!(first.sum(&one), first.sum(&Summary { count: 2, ..one.clone() }));
    }
}
