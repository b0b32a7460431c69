//! The database file: one page that says what it is, then the pages of the database.
//!
//! The page of its own makes the two questions that come first, "is this ours" and "can this
//! version read it", a matter of reading 56 bytes: nothing is changed before they are answered,
//! and the database never sees a file that is not for it.

use std::format;
use std::io;
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::DiskFile;
use super::error::io_error;
use crate::store::StoreError;

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u64 = 1;

/// Names the kind of file; the control characters show whether a transfer mangled line ends.
const MAGIC: [u8; 16] = *b"basefs store\r\n\x1a\n";
/// Bytes that say what the file is: magic and format, then their hash.
const SIGNED: usize = MAGIC.len() + 8;
const HEADER: usize = SIGNED + 32;
/// Room for the header: a page, so that the pages of the database stay aligned.
const HEADER_PAGE: u64 = 4_096;

const _: () = assert!(HEADER as u64 <= HEADER_PAGE);

/// Writes the first page of a new file.
pub(super) fn write_header(file: &dyn DiskFile) -> io::Result<()> {
    let mut header = [0; HEADER];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..SIGNED].copy_from_slice(&FORMAT.to_be_bytes());
    let hash = blake3::hash(&header[..SIGNED]);
    header[SIGNED..].copy_from_slice(hash.as_bytes());
    file.set_size(HEADER_PAGE)?;
    file.write_at(0, &header)
}

/// Checks that this version may open the file; changes nothing.
pub(super) fn check_header(file: &dyn DiskFile) -> Result<(), StoreError> {
    let size = file.size().map_err(|error| io_error("measuring the store", &error))?;
    let mut header = [0; HEADER];
    let present = usize::try_from(size).unwrap_or(HEADER).min(HEADER);
    file.read_at(0, &mut header[..present])
        .map_err(|error| io_error("reading the header of the store", &error))?;
    if present < MAGIC.len() || header[..MAGIC.len()] != MAGIC {
        let start = header[..present.min(MAGIC.len())].escape_ascii();
        return Err(StoreError::Foreign { what: format!("the file begins with \"{start}\"") });
    }
    if blake3::hash(&header[..SIGNED]) != header[SIGNED..] {
        return Err(StoreError::Corrupt { what: String::from("the header is damaged") });
    }
    let mut format = [0; 8];
    format.copy_from_slice(&header[MAGIC.len()..SIGNED]);
    let found = u64::from_be_bytes(format);
    if found > FORMAT {
        return Err(StoreError::NewerFormat { found, supported: FORMAT });
    }
    // The database would take an empty file for a new one and start over.
    if size <= HEADER_PAGE {
        return Err(StoreError::Corrupt { what: String::from("the file ends after its header") });
    }
    Ok(())
}

/// The part of the file that belongs to the database.
#[derive(Debug)]
pub(super) struct Backend {
    file: Arc<dyn DiskFile>,
    poisoned: Arc<AtomicBool>,
}

impl Backend {
    pub(super) fn new(file: Arc<dyn DiskFile>, poisoned: Arc<AtomicBool>) -> Self {
        Self { file, poisoned }
    }

    /// Lets nothing through to the disk after an error. Closing the database would otherwise
    /// still make deferred commits durable whose blocks never reached their pack.
    fn writable(&self) -> io::Result<&dyn DiskFile> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(io::Error::other("an earlier error closed the store for writing"));
        }
        Ok(&*self.file)
    }
}

impl ::redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.size()?.saturating_sub(HEADER_PAGE))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(shifted(offset)?, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?.set_size(shifted(len)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.writable()?.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.writable()?.write_at(shifted(offset)?, data)
    }
}

/// A damaged page can name any offset.
fn shifted(offset: u64) -> io::Result<u64> {
    offset.checked_add(HEADER_PAGE).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
