//! Errors as the kernel knows them.

use fuser::Errno;

use crate::fs::{PathError, ReadError, WriteError};
use crate::limits::MAX_NAME;
use crate::store::StoreError;

/// What an operation answers.
pub(super) type Result<T> = core::result::Result<T, Errno>;

/// A text that is no path: a name is too long, reserved, or has letters that names must not have.
fn of_path(error: &PathError) -> Errno {
    let is_too_long = error.path.split('/').any(|name| name.len() > MAX_NAME);
    if is_too_long { Errno::ENAMETOOLONG } else { Errno::EINVAL }
}

fn of_store(error: &StoreError) -> Errno {
    match error {
        StoreError::Full => Errno::ENOSPC,
        StoreError::TooLarge { .. } => Errno::EFBIG,
        _ => Errno::EIO,
    }
}

pub(super) fn of_read(error: &ReadError) -> Errno {
    match error {
        ReadError::Path(error) => of_path(error),
        ReadError::NotFound { .. } => Errno::ENOENT,
        ReadError::IsADirectory { .. } => Errno::EISDIR,
        ReadError::NotADirectory { .. } => Errno::ENOTDIR,
        ReadError::IsASymlink { .. } => Errno::ELOOP,
        ReadError::NotASymlink { .. } => Errno::EINVAL,
        ReadError::UnknownVersion { .. } => Errno::ESTALE,
        ReadError::TooLarge { .. } => Errno::EFBIG,
        ReadError::Store(error) => of_store(error),
        // The content is with somebody else, who is not here.
        ReadError::NotHere { .. } => Errno::EIO,
    }
}

pub(super) fn of_write(error: &WriteError) -> Errno {
    match error {
        WriteError::Path(error) => of_path(error),
        WriteError::Denied { .. } | WriteError::Outranked { .. } => Errno::EACCES,
        // It may write one day, and nothing of it depends on who asks.
        WriteError::NotSynced => Errno::EROFS,
        WriteError::NotFound { .. } => Errno::ENOENT,
        WriteError::IsADirectory { .. } => Errno::EISDIR,
        WriteError::IsASymlink { .. } => Errno::ELOOP,
        WriteError::NotADirectory { .. } => Errno::ENOTDIR,
        WriteError::NotEmpty { .. } => Errno::ENOTEMPTY,
        WriteError::Root => Errno::EBUSY,
        WriteError::TooLarge { .. } => Errno::EFBIG,
        WriteError::TooDeep { .. } => Errno::ENAMETOOLONG,
        WriteError::Changed { .. } => Errno::EEXIST,
        // Whoever is told so copies and removes, as between two file systems; that is right here.
        WriteError::CrossesGrant { .. } => Errno::EXDEV,
        WriteError::IntoItself { .. } => Errno::EINVAL,
        WriteError::FormerPlace { .. } => Errno::EPERM,
        WriteError::Store(error) => of_store(error),
        WriteError::TooManyRevokes { .. } | WriteError::Invalid(_) => Errno::EINVAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::string::String;

    #[test]
    fn every_fault_is_named_as_programs_expect_it() {
        let path = String::from("/a");
        assert_eq!(of_read(&ReadError::NotFound { path: path.clone() }).code(), 2);
        assert_eq!(of_write(&WriteError::NotEmpty { path }).code(), 39);
        assert_eq!(of_write(&WriteError::Store(StoreError::Full)).code(), 28);
        let long = PathError { path: "/".to_owned() + &"x".repeat(256), what: "" };
        assert_eq!(of_read(&ReadError::Path(long)).code(), 36);
    }
}
