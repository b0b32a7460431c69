//! One process per store: a lock file that says who.

use std::format;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::string::String;

use super::error::io_error;
use crate::store::StoreError;

/// Longest text read from the lock file of another process; a process id has at most 20 digits.
const MAX_HOLDER: u64 = 32;

/// Held as long as the store is open. The operating system lets go of it when the process ends,
/// however it ends, so a leftover file locks nobody out.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock without waiting.
    pub(super) fn acquire(path: &Path) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| io_error("opening the lock file", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { holder: holder(&file) });
            }
            Err(TryLockError::Error(error)) => {
                return Err(io_error("locking the lock file", &error));
            }
        }
        // The text is a courtesy: a full disk must not keep anybody from reading.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        // Closing the file is not enough: a child that another thread is just starting has it open
        // as well until it runs its program, and would go on holding the lock.
        let _ = self.file.unlock();
    }
}

/// Who wrote the file, as far as can be read: some systems refuse to read what is locked.
fn holder(file: &File) -> String {
    let mut text = String::new();
    let read = file.take(MAX_HOLDER).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) if pid == std::process::id() => format!("process {pid}, this one"),
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => String::from("unknown process"),
    }
}
