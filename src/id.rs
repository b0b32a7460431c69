//! Names for things: 32-byte ids and keys as distinct types.
//!
//! Every id in the protocol is 32 bytes, and mixing two kinds up would compile if they were plain
//! arrays. Each kind is therefore a type of its own: no `Deref`, no arithmetic, a short [`Debug`]
//! (eight hex digits) for logs and a full [`Display`](core::fmt::Display) that parses back.

use core::fmt;
use core::str::FromStr;

/// The text given for an id was not 64 hexadecimal digits.
///
/// ```
/// use basefs::id::{NodeId, ParseIdError};
///
/// assert_eq!("too short".parse::<NodeId>(), Err(ParseIdError));
/// assert_eq!("07".repeat(32).parse(), Ok(NodeId::from_bytes([7; 32])));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is 64 hexadecimal digits")
    }
}

impl core::error::Error for ParseIdError {}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = 32;

            /// Wraps 32 bytes; no check is implied.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Wraps a slice, or gives nothing if it is not 32 bytes long.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                for byte in &self.0[..4] {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str("…)")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The precision cuts the text short: `{:.8}` prints eight digits.
                let digits = f.precision().unwrap_or(64);
                for byte in self.0.iter().take(digits.div_ceil(2)) {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .map_err(|_| ParseIdError)?;
                Self::from_slice(&bytes).ok_or(ParseIdError)
            }
        }
    };
}

id_type! {
    /// The id of an entry: a hash over its exact bytes, signature included (ID-1).
    ///
    /// ```
    /// use basefs::id::EntryId;
    ///
    /// let id = EntryId::from_bytes([0xab; 32]);
    /// assert_eq!(id.to_string().parse(), Ok(id)); // 64 hexadecimal digits
    /// assert_eq!(format!("{id:.8}, {id:?}"), "abababab, EntryId(abababab…)");
    /// assert_eq!(EntryId::from_slice(id.as_bytes()), Some(id));
    /// assert_eq!(EntryId::from_slice(b"too short"), None);
    /// ```
    EntryId
}
id_type! {
    /// The id of a block: the plain BLAKE3-256 of its bytes.
    ///
    /// ```
    /// use basefs::block;
    /// use basefs::id::BlockId;
    ///
    /// let bytes = b"hello";
    /// let id: BlockId = block::id(bytes);
    /// assert_eq!(id.as_bytes(), blake3::hash(bytes).as_bytes());
    /// assert_eq!(BlockId::from_bytes(*blake3::hash(bytes).as_bytes()), id);
    /// assert_eq!(BlockId::from_slice(bytes), None); // not of 32 bytes
    /// ```
    BlockId
}
id_type! {
    /// The id of a directory, derived from where and over what it was made (DIR-1).
    ///
    /// ```
    /// use basefs::id::{DirId, EntryId};
    /// use basefs::log::root_dir;
    ///
    /// let genesis = EntryId::from_bytes([7; 32]);
    /// let root: DirId = root_dir(&genesis);
    /// assert_eq!(DirId::from_slice(root.as_bytes()), Some(root));
    /// assert_ne!(root.as_bytes(), genesis.as_bytes(), "derived, not the same");
    /// ```
    DirId
}
id_type! {
    /// The identity of a node on the network: its Ed25519 public key.
    ///
    /// ```
    /// use basefs::id::NodeId;
    /// use basefs::wire::SecretKey;
    ///
    /// let key = SecretKey::from_seed([7; 32]).public();
    /// let node = NodeId::from_bytes(*key.as_bytes()); // the same bytes, another meaning
    /// assert_eq!(node.to_string(), key.to_string());
    /// assert_eq!(NodeId::from_slice(node.as_bytes()), Some(node));
    /// ```
    NodeId
}
id_type! {
    /// The short name of a version of the whole hierarchy: a hash over its frontier (AT-1).
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use basefs::id::VersionId;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let before: VersionId = fs.version()?.id();
    /// fs.write("/motd", "hello")?;
    /// assert_ne!(fs.version()?.id(), before);
    /// assert_eq!(VersionId::from_slice(before.as_bytes()), Some(before));
    /// assert_eq!(VersionId::from_bytes(*before.as_bytes()), before);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    VersionId
}
id_type! {
    /// The Ed25519 public key of an author of entries.
    ///
    /// ```
    /// use basefs::id::PublicKey;
    /// use basefs::wire::SecretKey;
    ///
    /// let key: PublicKey = SecretKey::from_seed([7; 32]).public();
    /// assert_eq!(PublicKey::from_bytes(*key.as_bytes()), key); // no check that it is a point
    /// assert_eq!(PublicKey::from_slice(key.as_bytes()), Some(key));
    /// assert_eq!(key.to_string().parse(), Ok(key)); // as handed on to whoever grants it something
    /// ```
    PublicKey
}

/// A connection to a peer, by a number that the driver of a node chooses and never uses again.
///
/// ```
/// use basefs::id::LinkId;
///
/// assert_eq!(LinkId::new(3).number(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

impl LinkId {
    /// The link with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The content a write commits to: a hash, a length and the height of the block tree.
///
/// With `levels == 0` the root is the BLAKE3-256 of the content itself; above that it is the hash
/// of a block that lists its children, `levels` steps above the content.
///
/// ```
/// use basefs::block;
/// use basefs::id::Content;
///
/// let bytes = b"Ana, Barcelona";
/// let content = Content { root: block::id(bytes), size: bytes.len() as u64, levels: 0 };
/// assert_eq!((content.size, content.root), (14, block::id(b"Ana, Barcelona")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// Hash of the root block.
    pub root: BlockId,
    /// Length of the whole content in bytes.
    pub size: u64,
    /// Height of the root above the content blocks.
    pub levels: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn ids_print_short_and_parse_back() {
        let id = EntryId::from_bytes([0xab; 32]);
        assert_eq!(format!("{id:?}"), "EntryId(abababab…)");
        assert_eq!(format!("{id:.8}"), "abababab");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("ab".parse::<EntryId>(), Err(ParseIdError));
        assert_eq!("zz".repeat(32).parse::<EntryId>(), Err(ParseIdError));
    }
}
