//! Writing: one operation, one commit.

use bytes::Bytes;

use crate::fs::error::WriteError;
use crate::fs::plan::{check_size, prepare};
use crate::fs::{Batch, Fs};
use crate::id::EntryId;

impl Fs {
    /// Writes a whole file, and makes the directories above it. An executable file stays one.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/users/ana/info", "Ana, Barcelona")?;
    /// assert_eq!(fs.versions("/users/ana/info")?[0].id, version);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(
        &self,
        path: impl AsRef<str>,
        content: impl AsRef<[u8]>,
    ) -> Result<EntryId, WriteError> {
        let content = content.as_ref();
        // Before it is copied.
        check_size(content.len() as u64)?;
        let content = prepare(Bytes::copy_from_slice(content))?;
        self.plan(|plan| plan.write(path.as_ref(), content, None))
    }

    /// Says whether a file is a program: a new version with the same content.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/bin/tool", "#!/bin/sh")?;
    /// fs.set_executable("/bin/tool", true)?;
    /// fs.write("/bin/tool", "#!/bin/bash")?; // it stays one
    /// assert!(fs.metadata("/bin/tool")?.is_executable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_executable(
        &self,
        path: impl AsRef<str>,
        executable: bool,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.set_executable(path.as_ref(), executable))
    }

    /// Makes a symbolic link at `path` with the text `target`, which is kept as it is.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.symlink("../nowhere", "/etc/link")?;
    /// assert_eq!(fs.read_link("/etc/link")?, "../nowhere");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn symlink(
        &self,
        target: impl AsRef<str>,
        path: impl AsRef<str>,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.symlink(target.as_ref(), path.as_ref()))
    }

    /// Makes a directory and those above it; it is no error if they exist.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.create_dir_all("/var/log")?;
    /// fs.create_dir_all("/var/log")?;
    /// assert!(fs.metadata("/var/log")?.is_dir());
    /// assert_eq!(fs.entries(), 3, "the genesis and the two directories");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_dir_all(&self, path: impl AsRef<str>) -> Result<(), WriteError> {
        self.plan(|plan| plan.create_dir_all(path.as_ref()))
    }

    /// Removes a file, a symbolic link or an empty directory. Older versions stay in the history.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/tmp/x", "1")?;
    /// assert!(fs.remove("/tmp").is_err(), "it is not empty");
    /// fs.remove("/tmp/x")?;
    /// fs.remove("/tmp")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, path: impl AsRef<str>) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.remove(path.as_ref(), false))
    }

    /// Removes whatever is at a path, and everything below; one entry, however much that is.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/tmp/a/b", "1")?;
    /// fs.remove_all("/tmp")?;
    /// assert!(!fs.exists("/tmp/a/b"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_all(&self, path: impl AsRef<str>) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.remove(path.as_ref(), true))
    }

    /// Collects operations that will be done together.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut batch = fs.batch();
    /// batch.write("/etc/hostname", "ana")?;
    /// batch.write("/etc/hosts", "")?;
    /// batch.commit()?; // one wait for the disk
    /// assert_eq!(fs.read_dir("/etc")?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch(&self) -> Batch {
        Batch::new(self)
    }
}
