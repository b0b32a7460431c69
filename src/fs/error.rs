//! What can go wrong, one enum per kind of operation.
//!
//! Every arm says who is at fault and what became of the state. Unless it says otherwise, nothing
//! was written.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use std::io;
use std::path::PathBuf;

use crate::entry::InvalidEntry;
use crate::fs::grants::Boundary;
use crate::fs::path::PathError;
use crate::id::{BlockId, EntryId, PublicKey};
use crate::store::StoreError;

/// Why a hierarchy could not be opened.
///
/// ```
/// use basefs::store::StoreError;
/// use basefs::{Fs, OpenError};
///
/// let dir = tempfile::tempdir()?;
/// let _open = Fs::open(dir.path())?;
/// let Err(OpenError::Store(StoreError::Locked { holder })) = Fs::open(dir.path()) else {
///     panic!("it is open already");
/// };
/// println!("held by {holder}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The store could not be opened or read.
    Store(StoreError),
    /// A key file is missing where it is needed, open to others, or not a key file. It was left as
    /// it is.
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system refused.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The store belongs to another hierarchy than the ticket.
    OtherHierarchy,
    /// The ticket has no read secret: a public hierarchy, which [`Fs`](crate::Fs) does not
    /// replicate.
    PublicTicket,
    /// The name given to the hierarchy is not valid.
    Name(InvalidEntry),
    /// The system gave no random numbers.
    NoRandomness,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Store(error) => error.fmt(f),
            OpenError::Key { path, what } => {
                write!(f, "{}: {what}; nothing was changed", path.display())
            }
            OpenError::Io { path, error } => {
                write!(f, "{}: the system refused: {error}; nothing was lost", path.display())
            }
            OpenError::PublicTicket => f.write_str(
                "the ticket has no read secret; public hierarchies cannot be joined this way, \
                 nothing was changed",
            ),
            OpenError::OtherHierarchy => f.write_str(
                "this directory holds a replica of another hierarchy than the ticket's; \
                 nothing was changed",
            ),
            OpenError::Name(error) => {
                write!(f, "the name given to the hierarchy: {error}; none was made")
            }
            OpenError::NoRandomness => {
                f.write_str("the system gave no random numbers; nothing was changed")
            }
        }
    }
}

impl core::error::Error for OpenError {}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        OpenError::Store(error)
    }
}

/// Why something could not be read. Reading never changes anything.
///
/// ```
/// use basefs::{Fs, ReadError};
///
/// let fs = Fs::in_memory()?;
/// fs.create_dir_all("/etc")?;
/// assert!(matches!(fs.read("/etc"), Err(ReadError::IsADirectory { .. })));
/// assert!(matches!(fs.read("/etc/hosts"), Err(ReadError::NotFound { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The text is not a path.
    Path(PathError),
    /// Nothing is there.
    NotFound {
        /// The path.
        path: String,
    },
    /// It is a directory.
    IsADirectory {
        /// The path.
        path: String,
    },
    /// It, or something on the way to it, is not a directory.
    NotADirectory {
        /// The path.
        path: String,
    },
    /// It is a symbolic link; the text is up to the caller to interpret.
    IsASymlink {
        /// The path.
        path: String,
        /// The text of the link.
        target: String,
    },
    /// It is not a symbolic link.
    NotASymlink {
        /// The path.
        path: String,
    },
    /// No version of that id is in the log of this replica.
    UnknownVersion {
        /// The id.
        id: EntryId,
    },
    /// The content, or a part of it, is not on this replica. A path shows a version only once all
    /// of its content is here; so this is a version that does not show, or the store has lost a
    /// block.
    NotHere {
        /// The path.
        path: String,
        /// The first block that is missing.
        block: BlockId,
    },
    /// The file is larger than can be read at once.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The store failed, or is damaged.
    Store(StoreError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Path(error) => error.fmt(f),
            ReadError::NotFound { path } => write!(f, "{path}: nothing is there"),
            ReadError::IsADirectory { path } => write!(f, "{path}: is a directory"),
            ReadError::NotADirectory { path } => write!(f, "{path}: not a directory"),
            ReadError::IsASymlink { path, target } => {
                write!(f, "{path}: is a symbolic link to {target:?}")
            }
            ReadError::NotASymlink { path } => write!(f, "{path}: not a symbolic link"),
            ReadError::UnknownVersion { id } => {
                write!(f, "version {id:.16} is not on this replica")
            }
            ReadError::NotHere { path, block } => {
                write!(f, "{path}: block {block:.16} is not on this replica")
            }
            ReadError::TooLarge { size, limit } => {
                write!(f, "{size} bytes are more than can be read at once ({limit})")
            }
            ReadError::Store(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReadError {}

impl From<PathError> for ReadError {
    fn from(error: PathError) -> Self {
        ReadError::Path(error)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        ReadError::Store(error)
    }
}

/// Why something could not be written. Except where the store failed, nothing was, not even a part
/// of a batch.
///
/// ```
/// use basefs::{Fs, WriteError};
///
/// let fs = Fs::in_memory()?;
/// let stranger = basefs::wire::SecretKey::from_seed([7; 32]);
/// # #[cfg(feature = "quic")] {
/// let other = Fs::builder().join(&fs.ticket(vec![])).key(stranger).open()?;
/// assert_eq!(other.write("/motd", "hello"), Err(WriteError::NotSynced));
/// for entry in fs.export() {
///     other.admit(&entry?)?;
/// }
/// assert!(matches!(other.write("/motd", "hello"), Err(WriteError::Denied { .. })));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The text is not a path.
    Path(PathError),
    /// The author's key has no capability that covers this: somebody with the right to grant here
    /// has to grant it.
    Denied {
        /// The path.
        path: String,
        /// The author.
        key: PublicKey,
    },
    /// The replica has no genesis entry yet: it has joined and not heard from a peer.
    NotSynced,
    /// Nothing is there.
    NotFound {
        /// The path.
        path: String,
    },
    /// It is a directory.
    IsADirectory {
        /// The path.
        path: String,
    },
    /// It is a symbolic link.
    IsASymlink {
        /// The path.
        path: String,
    },
    /// Something on the way to it is not a directory.
    NotADirectory {
        /// The path.
        path: String,
    },
    /// It is a directory and not empty.
    NotEmpty {
        /// The path.
        path: String,
    },
    /// The root directory cannot be replaced or removed.
    Root,
    /// The file is larger than can be written at once.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The directory would be too deep or its path too long.
    TooDeep {
        /// The path.
        path: String,
    },
    /// The path is not at the version that the caller said: somebody was faster. Read it again.
    Changed {
        /// The path.
        path: String,
        /// The version that it is at, unless nothing is there.
        version: Option<EntryId>,
    },
    /// Permissions would not move along: these grants cover only one of the two places. Copy and
    /// remove, or use [`rename_across`](crate::Fs::rename_across).
    CrossesGrant {
        /// The present path.
        from: String,
        /// The path asked for.
        to: String,
        /// The grants that cover one and not the other.
        grants: Vec<Boundary>,
    },
    /// A directory would become a part of itself.
    IntoItself {
        /// The directory.
        from: String,
        /// The path asked for, which lies in it.
        to: String,
    },
    /// A link here would move the directory, which once was at this place, and not give it a second
    /// name. To move it, rename it.
    FormerPlace {
        /// The path of the link.
        path: String,
        /// Where the directory is now.
        now: String,
    },
    /// A grant would have no effect, for somebody of better rank than the author has revoked the
    /// key. Only somebody of that rank or better can grant it something again.
    Outranked {
        /// The directory.
        path: String,
        /// The key that was to receive the grant.
        key: PublicKey,
        /// The revoke.
        revoke: EntryId,
        /// Who signed it.
        by: PublicKey,
    },
    /// A key was revoked so often that a grant cannot name all the revokes, and joining them would
    /// make entries count again that they cut. Grant to another key of the same person.
    TooManyRevokes {
        /// The directory.
        path: String,
        /// The key that was to receive the grant.
        key: PublicKey,
        /// How many revokes are in force.
        count: usize,
    },
    /// The entry would break a rule of the log.
    Invalid(InvalidEntry),
    /// The store failed. What was durable is intact; what was being written is there whole or not
    /// at all once the hierarchy is opened again. What this handle shows may be ahead of the
    /// store, so it takes no more writes: drop all clones of it first.
    Store(StoreError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Store(error @ (StoreError::Poisoned | StoreError::TooLarge { .. })) => {
                error.fmt(f)
            }
            WriteError::Store(error) => {
                return write!(
                    f,
                    "{error}; this write is there whole or not at all once the hierarchy is \
                     opened again"
                );
            }
            WriteError::Path(error) => error.fmt(f),
            WriteError::Denied { path, key } => {
                write!(f, "{path}: key {key:.16} has no permission for this here")
            }
            WriteError::NotSynced => f.write_str(
                "this replica has not heard from a peer yet and has nothing to write on; connect it",
            ),
            WriteError::NotFound { path } => write!(f, "{path}: nothing is there"),
            WriteError::IsASymlink { path } => write!(f, "{path}: is a symbolic link"),
            WriteError::IsADirectory { path } => write!(f, "{path}: is a directory"),
            WriteError::NotADirectory { path } => write!(f, "{path}: not a directory"),
            WriteError::NotEmpty { path } => write!(f, "{path}: the directory is not empty"),
            WriteError::Root => f.write_str("the root directory cannot be replaced or removed"),
            WriteError::TooLarge { size, limit } => {
                write!(f, "{size} bytes are more than can be written at once ({limit})")
            }
            WriteError::TooDeep { path } => {
                write!(f, "{path}: too deep, or the path is too long")
            }
            WriteError::Changed { path, version: Some(version) } => {
                write!(f, "{path}: is at version {version:.16} by now")
            }
            WriteError::Changed { path, version: None } => write!(f, "{path}: is gone by now"),
            WriteError::CrossesGrant { from, to, grants } => {
                write!(f, "{from} to {to}: permissions do not move along, of ")?;
                write_list(f, grants)
            }
            WriteError::IntoItself { from, to } => {
                write!(f, "{from}: cannot be moved into itself, to {to}")
            }
            WriteError::FormerPlace { path, now } => {
                write!(f, "{path}: a link would move the directory back from {now}; rename it")
            }
            WriteError::Outranked { path, key, by, .. } => write!(
                f,
                "{path}: key {key:.16} was revoked by {by:.16}, who outranks this author; a grant \
                 would have no effect"
            ),
            WriteError::TooManyRevokes { path, key, count } => write!(
                f,
                "{path}: {count} revokes of key {key:.16} are in force and cannot be joined; grant \
                 to another key"
            ),
            WriteError::Invalid(error) => error.fmt(f),
        }?;
        f.write_str("; nothing was written")
    }
}

/// Most items of a list that a message names; the error itself has all.
const MAX_LISTED: usize = 3;

/// A few items and the number of the others.
pub(super) fn write_list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (position, item) in items.iter().take(MAX_LISTED).enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}{item}")?;
    }
    match items.len().saturating_sub(MAX_LISTED) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

impl core::error::Error for WriteError {}

impl From<PathError> for WriteError {
    fn from(error: PathError) -> Self {
        WriteError::Path(error)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        WriteError::Store(error)
    }
}

impl From<InvalidEntry> for WriteError {
    fn from(error: InvalidEntry) -> Self {
        WriteError::Invalid(error)
    }
}
