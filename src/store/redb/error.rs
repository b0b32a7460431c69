//! Errors of the database and of the system, in the terms of the store.

use std::any::Any;
use std::format;
use std::io;
use std::string::String;

use crate::store::StoreError;

/// What the system said while `doing` something.
pub(super) fn io_error(doing: &str, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io { what: format!("{doing}: {error}") },
    }
}

/// What the database said while `doing` something.
pub(super) fn database_error(doing: &str, error: impl Into<::redb::Error>) -> StoreError {
    use ::redb::Error;
    match error.into() {
        // A header that is none, or a page that names one outside of the file.
        Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            StoreError::Corrupt { what: format!("{doing}: {error}") }
        }
        Error::Io(error) => io_error(doing, &error),
        Error::PreviousIo | Error::LockPoisoned(_) | Error::DatabaseClosed => StoreError::Poisoned,
        Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => {
            StoreError::Locked { holder: String::from("unknown process") }
        }
        error @ (Error::ValueTooLarge(_) | Error::Unsupported | Error::Backend(_)) => {
            StoreError::Io { what: format!("{doing}: {error}") }
        }
        // What is left says that the file does not hold what this store put there.
        error => StoreError::Corrupt { what: format!("{doing}: {error}") },
    }
}

/// The database gave up with a panic: it trusts pages that it wrote itself, and says so.
pub(super) fn panic_error(payload: &(dyn Any + Send)) -> StoreError {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    StoreError::Corrupt { what: format!("the database gave up: {}", text) }
}
