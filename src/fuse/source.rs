//! What is mounted: the present, or the hierarchy as it was at a version.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fuser::Errno;

use crate::fs::{DirEntry, Explanation, Fs, Metadata, Snapshot, Version};
use crate::fuse::errno::{Result, of_read};
use crate::id::EntryId;

/// The hierarchy that a mount shows.
#[derive(Debug)]
pub(super) struct Source {
    fs: Fs,
    past: Option<Snapshot>,
    is_read_only: bool,
}

impl Source {
    pub(super) fn new(fs: Fs, past: Option<Snapshot>, is_read_only: bool) -> Self {
        let is_read_only = is_read_only || past.is_some();
        Self { fs, past, is_read_only }
    }

    /// The replica, whatever is shown of it.
    pub(super) fn fs(&self) -> &Fs {
        &self.fs
    }

    pub(super) fn is_past(&self) -> bool {
        self.past.is_some()
    }

    /// The replica, if it may be written through this mount.
    pub(super) fn writable(&self) -> Result<&Fs> {
        if self.is_read_only { Err(Errno::EROFS) } else { Ok(&self.fs) }
    }

    pub(super) fn metadata(&self, path: &str) -> Result<Metadata> {
        let found = match &self.past {
            None => self.fs.metadata(path),
            Some(past) => past.metadata(path),
        };
        found.map_err(|error| of_read(&error))
    }

    pub(super) fn read_dir(&self, path: &str) -> Result<Vec<DirEntry>> {
        let found = match &self.past {
            None => self.fs.read_dir(path),
            Some(past) => past.read_dir(path),
        };
        found.map_err(|error| of_read(&error))
    }

    /// A whole file and the version it is of.
    pub(super) fn read(&self, path: &str) -> Result<(Bytes, Option<EntryId>)> {
        let found = match &self.past {
            None => self.fs.read_with_version(path).map(|(bytes, version)| (bytes, Some(version))),
            Some(past) => past
                .metadata(path)
                .and_then(|about| past.read(path).map(|bytes| (bytes, about.version()))),
        };
        found.map_err(|error| of_read(&error))
    }

    pub(super) fn read_version(&self, version: &EntryId) -> Result<Bytes> {
        self.fs.read_version(version).map_err(|error| of_read(&error))
    }

    pub(super) fn read_link(&self, path: &str) -> Result<String> {
        let found = match &self.past {
            None => self.fs.read_link(path),
            Some(past) => past.read_link(path),
        };
        found.map_err(|error| of_read(&error))
    }

    pub(super) fn versions(&self, path: &str) -> Result<Vec<Version>> {
        let found = match &self.past {
            None => self.fs.versions(path),
            Some(past) => past.versions(path),
        };
        found.map_err(|error| of_read(&error))
    }

    pub(super) fn explain(&self, path: &str) -> Result<Explanation> {
        let found = match &self.past {
            None => self.fs.explain(path),
            Some(past) => past.explain(path),
        };
        found.map_err(|error| of_read(&error))
    }

    pub(super) fn version_info(&self, version: &EntryId) -> Result<Version> {
        self.fs.version_info(version).map_err(|error| of_read(&error))
    }
}

/// When the author of a version says that it was written.
pub(super) fn time_of(version: &Version) -> SystemTime {
    // A time that the system cannot hold was made up.
    UNIX_EPOCH.checked_add(Duration::from_millis(version.time.as_millis())).unwrap_or(UNIX_EPOCH)
}
