//! What an entry says.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::id::{Content, DirId, EntryId, PublicKey};
use crate::time::WallTime;

/// The eight kinds of entries, with their numbers on the wire.
///
/// ```
/// use basefs::entry::Action;
///
/// assert_eq!((Action::Write.code(), Action::Write.name()), (2, "write"));
/// assert_eq!(Action::from_code(2), Some(Action::Write));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Founds a hierarchy.
    Genesis,
    /// Makes a directory.
    Mkdir,
    /// Gives a name new content.
    Write,
    /// Removes a name.
    Delete,
    /// Adopts the value of another entry.
    Link,
    /// Makes a symbolic link.
    Slink,
    /// Gives a key rights at a directory and below.
    Grant,
    /// Ends what a key may do, from a frontier on.
    Revoke,
}

impl Action {
    /// The number on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Action::Genesis => 0,
            Action::Mkdir => 1,
            Action::Write => 2,
            Action::Delete => 3,
            Action::Link => 4,
            Action::Slink => 5,
            Action::Grant => 6,
            Action::Revoke => 7,
        }
    }

    /// The action with a number on the wire.
    ///
    /// ```
    /// use basefs::entry::Action;
    ///
    /// assert_eq!(Action::from_code(0), Some(Action::Genesis));
    /// assert_eq!(Action::from_code(8), None, "there are eight");
    /// ```
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Action::Genesis,
            1 => Action::Mkdir,
            2 => Action::Write,
            3 => Action::Delete,
            4 => Action::Link,
            5 => Action::Slink,
            6 => Action::Grant,
            7 => Action::Revoke,
            _ => return None,
        })
    }

    /// Whether entries of this kind stand in a slot: mkdir, write, delete, link, slink.
    ///
    /// ```
    /// use basefs::entry::Action;
    ///
    /// assert!(Action::Delete.is_data(), "it removes a name");
    /// assert!(!Action::Grant.is_data(), "it governs a directory");
    /// ```
    pub const fn is_data(self) -> bool {
        !matches!(self, Action::Genesis | Action::Grant | Action::Revoke)
    }

    /// The word users know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Genesis => "genesis",
            Action::Mkdir => "mkdir",
            Action::Write => "write",
            Action::Delete => "delete",
            Action::Link => "link",
            Action::Slink => "symlink",
            Action::Grant => "grant",
            Action::Revoke => "revoke",
        }
    }
}

/// What a grant allows: to write (W), to grant and revoke (G), or both.
///
/// ```
/// use basefs::entry::Rights;
///
/// assert!(Rights::All.includes(Rights::Write) && !Rights::Write.includes(Rights::Grant));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rights {
    /// Data entries: W.
    Write,
    /// Control entries: G.
    Grant,
    /// Both.
    All,
}

impl Rights {
    /// The number on the wire: W is 1, G is 2.
    ///
    /// ```
    /// use basefs::entry::Rights;
    ///
    /// assert_eq!(Rights::All.code(), Rights::Write.code() | Rights::Grant.code());
    /// ```
    pub const fn code(self) -> u8 {
        match self {
            Rights::Write => 1,
            Rights::Grant => 2,
            Rights::All => 3,
        }
    }

    pub(crate) const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Rights::Write),
            2 => Some(Rights::Grant),
            3 => Some(Rights::All),
            _ => None,
        }
    }

    /// Whether everything `other` allows is allowed.
    ///
    /// ```
    /// use basefs::entry::Rights;
    ///
    /// assert!(Rights::Grant.includes(Rights::Grant));
    /// assert!(!Rights::Grant.includes(Rights::All), "it may not write");
    /// ```
    pub const fn includes(self, other: Rights) -> bool {
        self.code() & other.code() == other.code()
    }
}

/// The content of a write.
///
/// ```
/// use basefs::entry::FileData;
/// use basefs::limits::MAX_INLINE;
///
/// let short = FileData::Inline(b"hello"[..].into());
/// let encoded = basefs::block::encode(&vec![7; MAX_INLINE + 1].into())?;
/// let long = FileData::Blocks(encoded.content);
/// assert_ne!(short, long);
/// # Ok::<(), basefs::block::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileData {
    /// Up to [`MAX_INLINE`](crate::limits::MAX_INLINE) bytes, in the entry itself.
    Inline(Bytes),
    /// Longer content, named by hash.
    Blocks(Content),
}

/// What the action needs besides its place.
///
/// ```
/// use basefs::entry::{Action, Payload};
///
/// assert_eq!(Payload::Delete { moved_to: None }.action(), Action::Delete);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The root keys, best first, and 16 random bytes.
    Genesis {
        /// 1 to 8 distinct keys; the first signs.
        roots: Vec<PublicKey>,
        /// Makes two hierarchies of the same keys different.
        nonce: [u8; 16],
    },
    /// A new directory.
    Mkdir,
    /// New content.
    Write {
        /// Whether the file is a program.
        executable: bool,
        /// What it contains.
        data: FileData,
    },
    /// Nothing is here any more.
    Delete {
        /// The link at the new place, if this is the second half of a rename.
        moved_to: Option<EntryId>,
    },
    /// The value of another data entry.
    Link {
        /// The entry whose value is adopted.
        target: EntryId,
    },
    /// A symbolic link.
    Slink {
        /// Its text; never interpreted.
        text: Box<str>,
    },
    /// A capability for a key.
    Grant {
        /// Who receives it.
        who: PublicKey,
        /// What it allows.
        rights: Rights,
        /// The revokes of that key which this grant is made in spite of, ascending.
        after: Vec<EntryId>,
    },
    /// The end of a key's capabilities at `dir` and below.
    Revoke {
        /// Whose.
        who: PublicKey,
        /// The heads of the chains that stay, ascending.
        keep: Vec<EntryId>,
    },
}

impl Payload {
    /// The action this payload belongs to.
    ///
    /// ```
    /// use basefs::entry::{Action, Payload};
    ///
    /// let link = Payload::Slink { text: "/motd".into() };
    /// assert_eq!(link.action(), Action::Slink);
    /// ```
    pub const fn action(&self) -> Action {
        match self {
            Payload::Genesis { .. } => Action::Genesis,
            Payload::Mkdir => Action::Mkdir,
            Payload::Write { .. } => Action::Write,
            Payload::Delete { .. } => Action::Delete,
            Payload::Link { .. } => Action::Link,
            Payload::Slink { .. } => Action::Slink,
            Payload::Grant { .. } => Action::Grant,
            Payload::Revoke { .. } => Action::Revoke,
        }
    }
}

/// The signed part of an entry; the [module](crate::entry) shows one being signed.
///
/// ```
/// # use basefs::entry::{Body, Payload};
/// # use basefs::id::{DirId, EntryId};
/// # use basefs::time::WallTime;
/// let key = basefs::wire::SecretKey::from_seed([7; 32]);
/// let (dir, genesis) = (DirId::from_bytes([1; 32]), EntryId::from_bytes([2; 32]));
/// let mkdir = Body {
///     dir,
///     name: "users".into(),
///     prev: vec![],  // nobody had the name before
///     cap: genesis,  // the author is a root key
///     key: key.public(),
///     seq: 0,        // the first entry of this author
///     aprev: None,
///     ts: WallTime::from_millis(1_700_000_000_000),
///     payload: Payload::Mkdir,
/// };
/// let first = mkdir.clone().sign(&key)?;
/// let next = Body { name: "lib".into(), seq: 1, aprev: Some(first.id()), ..mkdir };
/// assert!(next.sign(&key).is_ok());
/// # Ok::<(), basefs::entry::InvalidEntry>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The directory that holds the name; for grant and revoke, the directory governed.
    pub dir: DirId,
    /// The file name; for genesis, grant and revoke a label for people.
    pub name: Arc<str>,
    /// Data: `prev[0]` is the base, the rest are other tips the author has seen. Revoke: what it
    /// amends.
    pub prev: Vec<EntryId>,
    /// The grant exercised, or the genesis for a root key.
    pub cap: EntryId,
    /// The author.
    pub key: PublicKey,
    /// Position in the author's chain.
    pub seq: u64,
    /// The author's entry before this one.
    pub aprev: Option<EntryId>,
    /// When the author says it was; informative.
    pub ts: WallTime,
    /// What is done.
    pub payload: Payload,
}
