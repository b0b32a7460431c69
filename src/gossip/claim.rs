//! What a member says of its own state.

use core::fmt;

/// A replica's state in a few bytes, opaque to the gossip that carries it: two members with the
/// same claim have the same entries. Nothing is believed because of it; it only says with whom to
/// compare.
///
/// ```
/// use basefs::gossip::Claim;
///
/// let mut bytes = [7; Claim::LEN];
/// bytes[..4].copy_from_slice(&1_000_u32.to_le_bytes());
/// let claim = Claim::from_bytes(bytes);
/// assert_eq!((claim.count(), claim.as_bytes()), (1_000, &bytes));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim([u8; Claim::LEN]);

impl Claim {
    /// Length in bytes: a count of four, and sixteen of a hash.
    pub const LEN: usize = 20;

    /// Wraps bytes; no check is implied.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// How many entries it speaks of.
    pub const fn count(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_le_bytes([a, b, c, d])
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., print, more] = self.0;
        write!(f, "Claim({}, …{print:02x}{more:02x})", self.count())
    }
}
