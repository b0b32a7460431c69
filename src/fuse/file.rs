//! The content of an open file.

use alloc::vec::Vec;
use std::time::SystemTime;

use bytes::Bytes;
use fuser::Errno;

use crate::fuse::errno::Result;
use crate::fuse::source::Source;
use crate::id::EntryId;
use crate::limits::MAX_FILE;

/// Longest file that can be written: it is held in memory whole until it is an entry.
pub const MAX_FILE_SIZE: u64 = MAX_FILE;

#[derive(Debug)]
enum Content {
    /// Nobody has asked for it yet.
    Unread,
    /// As it is in the hierarchy, or was when it was last looked at.
    Known(Bytes),
    /// Changed here.
    Staged(Vec<u8>),
}

/// What everybody who has a file open shares.
#[derive(Debug)]
pub(super) struct OpenFile {
    content: Content,
    pub(super) version: Option<EntryId>,
    pub(super) is_executable: bool,
    /// Something is to become an entry.
    pub(super) is_changed: bool,
    /// Bytes were written, not only the length changed.
    pub(super) has_new_bytes: bool,
    pub(super) modified: SystemTime,
}

impl OpenFile {
    /// Something that exists, at a version.
    pub(super) fn existing(
        version: Option<EntryId>,
        is_executable: bool,
        modified: SystemTime,
    ) -> Self {
        Self {
            content: Content::Unread,
            version,
            is_executable,
            is_changed: false,
            has_new_bytes: false,
            modified,
        }
    }

    /// A file that is to be.
    pub(super) fn new(is_executable: bool) -> Self {
        let content = Content::Staged(Vec::new());
        let existing = Self::existing(None, is_executable, SystemTime::now());
        Self { content, is_changed: true, ..existing }
    }

    /// Nothing of it was read here, nor written.
    pub(super) fn is_unread(&self) -> bool {
        matches!(self.content, Content::Unread)
    }

    /// Reads the content of its version, unless it is known.
    pub(super) fn load(&mut self, source: &Source) -> Result<()> {
        if self.is_unread() {
            let version = self.version.ok_or(Errno::ESTALE)?;
            self.content = Content::Known(source.read_version(&version)?);
        }
        Ok(())
    }

    /// The content, as far as it is known.
    fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Unread => &[],
            Content::Known(bytes) => bytes,
            Content::Staged(bytes) => bytes,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// Bytes held because of changes.
    pub(super) fn staged(&self) -> u64 {
        if let Content::Staged(bytes) = &self.content { bytes.len() as u64 } else { 0 }
    }

    pub(super) fn read(&self, offset: u64, size: u32) -> &[u8] {
        let bytes = self.bytes();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let length = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len() - start);
        &bytes[start..start + length]
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        // No copy where nobody else has the bytes.
        let mut bytes = match core::mem::replace(&mut self.content, Content::Unread) {
            Content::Known(bytes) => Vec::from(bytes),
            Content::Staged(bytes) => bytes,
            Content::Unread => Vec::new(),
        };
        let done = change(&mut bytes);
        self.content = Content::Staged(bytes);
        self.is_changed = true;
        self.modified = SystemTime::now();
        done
    }

    /// Sets the length; what is new is zero.
    pub(super) fn resize(&mut self, size: u64) -> Result<()> {
        if size > MAX_FILE_SIZE {
            return Err(Errno::EFBIG);
        }
        let size = usize::try_from(size).map_err(|_| Errno::EFBIG)?;
        self.change(|bytes| {
            let more = size.saturating_sub(bytes.len());
            bytes.try_reserve(more).map_err(|_| Errno::ENOSPC)?;
            bytes.resize(size, 0);
            Ok(())
        })
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        let end = offset.checked_add(data.len() as u64).filter(|end| *end <= MAX_FILE_SIZE);
        let end = end.ok_or(Errno::EFBIG)?;
        if end > self.len() {
            self.resize(end)?;
        }
        let start = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
        self.change(|bytes| bytes[start..start + data.len()].copy_from_slice(data));
        self.has_new_bytes = true;
        Ok(())
    }

    /// The content that was taken did not become an entry.
    pub(super) fn keep_changed(&mut self) {
        self.is_changed = true;
        self.has_new_bytes = true;
    }

    /// The content as an entry is to have it; it is known from now on, and not changed.
    pub(super) fn take(&mut self) -> Bytes {
        let bytes = match core::mem::replace(&mut self.content, Content::Unread) {
            Content::Known(bytes) => bytes,
            Content::Staged(bytes) => Bytes::from(bytes),
            Content::Unread => Bytes::new(),
        };
        self.content = Content::Known(bytes.clone());
        self.is_changed = false;
        self.has_new_bytes = false;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zero_and_the_limit_is_said_before_anything_is_kept() {
        let mut file = OpenFile::new(false);
        file.write(3, b"abc").expect("written");
        assert_eq!(file.read(0, 100), b"\0\0\0abc");
        file.resize(4).expect("shorter");
        file.resize(6).expect("longer");
        assert_eq!((file.read(2, 3), file.read(9, 1)), (&b"\0a\0"[..], &b""[..]));
        let too_far = file.write(MAX_FILE_SIZE, b"x");
        assert_eq!(too_far.map_err(Errno::code), Err(Errno::EFBIG.code()));
        assert_eq!((&file.take()[..], file.is_changed), (&b"\0\0\0a\0\0"[..], false));
    }
}
