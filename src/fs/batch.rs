//! Many writes, one commit.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::fs::Fs;
use crate::fs::error::WriteError;
use crate::fs::plan::{Plan, Prepared, prepare};
use crate::fs::verbs::Expected;

/// Operations that happen together: all are durable after [`commit`](Batch::commit), or none.
///
/// Content is hashed and cut into blocks as it is added, and kept in memory until then; commit
/// every 64 MiB or so when importing much. Other writers see nothing of a batch before its commit.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// let mut batch = fs.batch();
/// batch.write("/etc/hostname", "ana")?;
/// batch.symlink("hostname", "/etc/name");
/// assert_eq!((batch.len(), batch.is_empty(), batch.content_bytes()), (2, false, 3));
/// batch.commit()?;
/// assert_eq!(fs.read("/etc/hostname")?, "ana");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    fs: Fs,
    operations: Vec<Operation>,
    bytes: usize,
}

#[derive(Debug)]
enum Operation {
    Write { path: String, content: Prepared, executable: Option<bool> },
    CreateDirAll { path: String },
    Symlink { target: String, path: String },
    Remove { path: String, all: bool },
    WriteIf { path: String, expected: Expected, content: Prepared },
    Rename { from: String, to: String, across: bool },
    Link { original: String, path: String },
}

impl Batch {
    pub(super) fn new(fs: &Fs) -> Self {
        Self { fs: fs.clone(), operations: Vec::new(), bytes: 0 }
    }

    /// Writes a file, and makes the directories above it.
    ///
    /// # Errors
    ///
    /// The content is too large. Whether the write is allowed is found out at commit.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut batch = fs.batch();
    /// batch.write("/users/ana/info", "Ana")?;
    /// batch.write("/users/ana/info", "Ana, Barcelona")?; // one after the other
    /// assert!(!fs.exists("/users"), "nothing is done yet");
    /// batch.commit()?;
    /// assert_eq!(fs.read("/users/ana/info")?, "Ana, Barcelona");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(
        &mut self,
        path: impl AsRef<str>,
        content: impl Into<Bytes>,
    ) -> Result<(), WriteError> {
        self.add_write(path.as_ref(), content.into(), None)
    }

    /// Writes a file that is, or is not, a program.
    ///
    /// # Errors
    ///
    /// The content is too large.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut batch = fs.batch();
    /// batch.write_executable("/bin/tool", "#!/bin/sh", true)?;
    /// batch.commit()?;
    /// assert!(fs.metadata("/bin/tool")?.is_executable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_executable(
        &mut self,
        path: impl AsRef<str>,
        content: impl Into<Bytes>,
        executable: bool,
    ) -> Result<(), WriteError> {
        self.add_write(path.as_ref(), content.into(), Some(executable))
    }

    fn add_write(
        &mut self,
        path: &str,
        content: Bytes,
        executable: Option<bool>,
    ) -> Result<(), WriteError> {
        self.bytes += content.len();
        let content = prepare(content)?;
        self.operations.push(Operation::Write { path: path.to_string(), content, executable });
        Ok(())
    }

    /// Makes a directory and those above it.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut batch = fs.batch();
    /// batch.create_dir_all("/var/log");
    /// batch.create_dir_all("/var"); // it is no error that it exists
    /// batch.commit()?;
    /// assert!(fs.metadata("/var/log")?.is_dir());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_dir_all(&mut self, path: impl AsRef<str>) {
        self.operations.push(Operation::CreateDirAll { path: path.as_ref().to_string() });
    }

    /// Makes a symbolic link at `path` with the text `target`.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut batch = fs.batch();
    /// batch.write("/releases/2/tool", "new")?;
    /// batch.symlink("releases/2", "/current");
    /// batch.commit()?; // nobody sees the link without what it points to
    /// assert_eq!(fs.read_link("/current")?, "releases/2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn symlink(&mut self, target: impl AsRef<str>, path: impl AsRef<str>) {
        let (target, path) = (target.as_ref().to_string(), path.as_ref().to_string());
        self.operations.push(Operation::Symlink { target, path });
    }

    /// Removes a file, a symbolic link or an empty directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/tmp/x", "1")?;
    /// let mut batch = fs.batch();
    /// batch.remove("/tmp/x");
    /// batch.remove("/tmp"); // it is empty by then
    /// batch.commit()?;
    /// assert!(!fs.exists("/tmp"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&mut self, path: impl AsRef<str>) {
        self.operations.push(Operation::Remove { path: path.as_ref().to_string(), all: false });
    }

    /// Removes whatever is at a path, and everything below.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/config/old", "1")?;
    /// let mut batch = fs.batch();
    /// batch.remove_all("/config");
    /// batch.write("/config/new", "2")?;
    /// batch.commit()?; // one directory in place of the other
    /// assert!(fs.exists("/config/new") && !fs.exists("/config/old"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_all(&mut self, path: impl AsRef<str>) {
        self.operations.push(Operation::Remove { path: path.as_ref().to_string(), all: true });
    }

    /// Writes a file if it is at this version; if not, the whole batch is refused. Several files
    /// can be compared and set together.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let (ana, ben) = (fs.write("/ana", "10")?, fs.write("/ben", "0")?);
    /// let mut batch = fs.batch();
    /// batch.write_if("/ana", ana, "9")?;
    /// batch.write_if("/ben", ben, "1")?;
    /// batch.commit()?;
    /// assert_eq!(fs.read("/ben")?, "1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The content is too large. The version is compared at commit.
    pub fn write_if(
        &mut self,
        path: impl AsRef<str>,
        expected: impl Into<Expected>,
        content: impl Into<Bytes>,
    ) -> Result<(), WriteError> {
        let (content, expected) = (content.into(), expected.into());
        self.bytes += content.len();
        let (path, content) = (path.as_ref().to_string(), prepare(content)?);
        self.operations.push(Operation::WriteIf { path, expected, content });
        Ok(())
    }

    /// Moves what is at a path: see [`Fs::rename`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/drafts/plan", "all of it")?;
    /// let mut batch = fs.batch();
    /// batch.rename("/drafts", "/letters");
    /// batch.link("/letters/plan", "/plan");
    /// assert_eq!((batch.len(), batch.is_empty()), (2, false));
    /// batch.commit()?; // both are durable, or none
    /// assert_eq!(fs.read("/plan")?, "all of it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rename(&mut self, from: impl AsRef<str>, to: impl AsRef<str>) {
        let (from, to) = (from.as_ref().to_string(), to.as_ref().to_string());
        self.operations.push(Operation::Rename { from, to, across: false });
    }

    /// Moves what is at a path, also across the boundary of a grant: see [`Fs::rename_across`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/ben/notes/1", "one")?;
    /// fs.grant("/ben", basefs::wire::SecretKey::from_seed([7; 32]).public())?;
    /// let mut batch = fs.batch();
    /// batch.rename_across("/ben/notes", "/notes"); // permissions do not move along
    /// batch.commit()?;
    /// assert_eq!(fs.read("/notes/1")?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rename_across(&mut self, from: impl AsRef<str>, to: impl AsRef<str>) {
        let (from, to) = (from.as_ref().to_string(), to.as_ref().to_string());
        self.operations.push(Operation::Rename { from, to, across: true });
    }

    /// Gives what is at `original` a further name: see [`Fs::link`].
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/photos/1.jpg", "a sunset")?;
    /// let mut batch = fs.batch();
    /// batch.link("/photos/1.jpg", "/best/1.jpg"); // without its content: that is here already
    /// assert_eq!(batch.content_bytes(), 0);
    /// batch.commit()?;
    /// assert_eq!(fs.read("/best/1.jpg")?, "a sunset");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn link(&mut self, original: impl AsRef<str>, path: impl AsRef<str>) {
        let (original, path) = (original.as_ref().to_string(), path.as_ref().to_string());
        self.operations.push(Operation::Link { original, path });
    }

    /// Number of operations so far.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Bytes of content so far.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut batch = fs.batch();
    /// assert!(batch.is_empty());
    /// for n in 0..1_000 {
    ///     batch.write(format!("/import/{n}"), vec![0; 100])?;
    ///     if batch.content_bytes() >= 64 << 20 {
    ///         std::mem::replace(&mut batch, fs.batch()).commit()?;
    ///     }
    /// }
    /// assert_eq!((batch.len(), batch.content_bytes()), (1_000, 100_000));
    /// batch.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn content_bytes(&self) -> usize {
        self.bytes
    }

    /// Does all of it, in the order it was added.
    ///
    /// # Errors
    ///
    /// The first operation that cannot be done; nothing was written then.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let mut batch = fs.batch();
    /// batch.write("/a", "1")?;
    /// batch.remove("/nothing");
    /// assert!(batch.commit().is_err(), "there is nothing to remove");
    /// assert!(!fs.exists("/a"), "all or nothing");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(self) -> Result<(), WriteError> {
        let Batch { fs, operations, .. } = self;
        fs.plan(|plan| operations.into_iter().try_for_each(|operation| apply(plan, operation)))
    }
}

fn apply(plan: &mut Plan<'_>, operation: Operation) -> Result<(), WriteError> {
    match operation {
        Operation::Write { path, content, executable } => {
            plan.write(&path, content, executable).map(drop)
        }
        Operation::CreateDirAll { path } => plan.create_dir_all(&path),
        Operation::Symlink { target, path } => plan.symlink(&target, &path).map(drop),
        Operation::Remove { path, all } => plan.remove(&path, all).map(drop),
        Operation::WriteIf { path, expected, content } => {
            plan.write_if(&path, expected, content).map(drop)
        }
        Operation::Rename { from, to, across } => plan.rename(&from, &to, across).map(drop),
        Operation::Link { original, path } => plan.link(&original, &path).map(drop),
    }
}
