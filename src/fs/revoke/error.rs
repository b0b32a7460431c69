//! Why a key could not be revoked.

use alloc::string::String;
use core::fmt;

use crate::fs::error::WriteError;
use crate::fs::path::PathError;
use crate::id::{EntryId, PublicKey};

/// Why a revoke was not made. Except where the store failed, nothing was written.
///
/// ```
/// use basefs::fs::RevokeError;
///
/// let fs = basefs::Fs::in_memory()?;
/// let root = fs.author();
/// assert!(matches!(fs.revoke("/", root), Err(RevokeError::NotOutranked { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokeError {
    /// It could not be written, as with any write: for one, the author may not revoke there.
    Write(WriteError),
    /// The key was never granted anything at the directory or below.
    NothingToRevoke {
        /// The directory.
        path: String,
        /// The key.
        key: PublicKey,
    },
    /// This author does not outrank the key there: equals cannot revoke each other, somebody above
    /// both has to. A root key cannot be revoked by a lower one.
    NotOutranked {
        /// The directory.
        path: String,
        /// The key.
        key: PublicKey,
    },
    /// The key is revoked there already, by somebody of this author's rank or better, and no entry
    /// would be cut that was not; or, of an amendment, none would count that does not.
    NoEffect {
        /// The directory.
        path: String,
        /// The key.
        key: PublicKey,
    },
    /// An entry that is to be kept was not written by the key, or by whom it let in there, or is
    /// not on this replica.
    NotOfKey {
        /// The key.
        key: PublicKey,
        /// The entry.
        entry: EntryId,
    },
    /// More entries are to be kept than revokes that amend each other can name, or the revoke was
    /// amended too often.
    TooMany {
        /// The key.
        key: PublicKey,
        /// How many revokes it would take.
        revokes: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The key is not revoked at this directory, so there is nothing to amend.
    NotRevoked {
        /// The directory.
        path: String,
        /// The key.
        key: PublicKey,
    },
    /// The key was revoked there by somebody who outranks this author: an amendment would have no
    /// effect.
    Outranked {
        /// The directory.
        path: String,
        /// The key.
        key: PublicKey,
        /// Who revoked it.
        by: PublicKey,
    },
    /// The log has changed since the plan was made, and the revoke would do something else than it
    /// says: plan it again.
    Changed {
        /// The directory.
        path: String,
        /// The key.
        key: PublicKey,
    },
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevokeError::Write(error) => return error.fmt(f),
            RevokeError::NothingToRevoke { path, key } => {
                write!(f, "{path}: key {key:.16} was never granted anything there")
            }
            RevokeError::NotOutranked { path, key } => write!(
                f,
                "{path}: this author does not outrank key {key:.16} there; somebody above both has \
                 to revoke it"
            ),
            RevokeError::NoEffect { path, key } => write!(
                f,
                "{path}: key {key:.16} is revoked there already, and this would change nothing"
            ),
            RevokeError::NotOfKey { key, entry } => write!(
                f,
                "entry {entry:.16} to be kept is not known here as one of key {key:.16} or of whom \
                 it let in"
            ),
            RevokeError::TooMany { key, revokes, limit } => write!(
                f,
                "key {key:.16}: {revokes} revokes would have to amend each other, {limit} can; \
                 keep less"
            ),
            RevokeError::NotRevoked { path, key } => {
                write!(f, "{path}: key {key:.16} is not revoked at this very directory")
            }
            RevokeError::Outranked { path, key, by } => write!(
                f,
                "{path}: key {key:.16} was revoked by {by:.16}, who outranks this author; an \
                 amendment would have no effect"
            ),
            RevokeError::Changed { path, key } => write!(
                f,
                "{path}: revoking key {key:.16} would do something else by now; plan it again"
            ),
        }?;
        f.write_str("; nothing was written")
    }
}

impl core::error::Error for RevokeError {}

impl From<WriteError> for RevokeError {
    fn from(error: WriteError) -> Self {
        RevokeError::Write(error)
    }
}

impl From<PathError> for RevokeError {
    fn from(error: PathError) -> Self {
        RevokeError::Write(error.into())
    }
}
