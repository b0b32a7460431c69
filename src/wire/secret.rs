//! What a replica must know to be let in.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The read secret of a hierarchy: made with it, handed on in tickets, never in the log. Wiped
/// from memory when dropped, never printed.
///
/// ```
/// use basefs::wire::ReadSecret;
///
/// let secret = ReadSecret::from_bytes([7; 32]);
/// assert_eq!(format!("{secret:?}"), "ReadSecret(…)");
/// assert!(secret == ReadSecret::from_bytes(*secret.as_bytes()));
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ReadSecret([u8; 32]);

impl ReadSecret {
    /// Wraps 32 bytes, which must come from a source of randomness fit for keys.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes: keep them where secrets go.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for ReadSecret {
    /// Takes the same time wherever the two differ.
    fn eq(&self, other: &Self) -> bool {
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(other.0)
    }
}

impl Eq for ReadSecret {}

impl fmt::Debug for ReadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadSecret(…)")
    }
}
