//! Reading: paths to bytes, directories and metadata.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::block::{self, SourceError};
use crate::entry::{FileData, SignedEntry, inline_content};
use crate::fs::Fs;
use crate::fs::engine::Engine;
use crate::fs::error::ReadError;
use crate::fs::path::{Target, join};
use crate::fs::shown::{Reading, Shown};
use crate::id::{Content, DirId, EntryId};
use crate::limits::{MAX_FILE, MAX_INLINE};
use crate::log::{DirNo, EntryNo};
use crate::store::StoreError;
use crate::view::{Node, NodeKind, Past};

/// What is at a path.
///
/// ```
/// use basefs::fs::FileType;
///
/// let fs = basefs::Fs::in_memory()?;
/// fs.symlink("etc", "/conf")?;
/// let link = FileType::Symlink { target: "etc".into() };
/// assert_eq!(fs.metadata("/conf")?.file_type(), &link);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileType {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: String,
    },
    /// A second name of a directory, shown as a symbolic link.
    Alias {
        /// The path of the directory, if it has one.
        target: Option<String>,
    },
}

/// About what is at a path; symbolic links are not followed.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// let version = fs.write("/bin/tool", "#!/bin/sh")?;
/// let about = fs.metadata("/bin/tool")?;
/// assert!(about.is_file() && !about.is_dir() && !about.is_symlink() && !about.is_executable());
/// assert_eq!((about.len(), about.is_empty(), about.version()), (9, false, Some(version)));
/// assert_eq!((about.file_type(), about.is_here()), (&basefs::fs::FileType::File, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    file_type: FileType,
    len: u64,
    executable: bool,
    version: Option<EntryId>,
    is_here: bool,
}

impl Metadata {
    /// What it is.
    pub fn file_type(&self) -> &FileType {
        &self.file_type
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        self.file_type == FileType::File
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type == FileType::Dir
    }

    /// Whether it is a symbolic link or an alias, which is shown as one.
    pub fn is_symlink(&self) -> bool {
        !self.is_file() && !self.is_dir()
    }

    /// The length of a file in bytes, or of the text of a symbolic link; otherwise 0.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the length is 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a file is a program.
    pub fn is_executable(&self) -> bool {
        self.executable
    }

    /// The version it is at: the id of the entry that won its slot. None for the root.
    pub fn version(&self) -> Option<EntryId> {
        self.version
    }

    /// Whether all of its content is on this replica. So it is for every version that shows; older
    /// versions of the path and those that wait for content are not asked about here.
    pub fn is_here(&self) -> bool {
        self.is_here
    }
}

/// A name in a directory.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/etc/hosts", "")?;
/// let entry = &fs.read_dir("/etc")?[0];
/// assert_eq!((entry.name(), entry.path()), ("hosts", "/etc/hosts"));
/// assert!(entry.metadata().is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    path: String,
    metadata: Metadata,
}

impl DirEntry {
    /// The last component.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The whole path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// About it.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn into_path(self) -> String {
        self.path
    }
}

impl Fs {
    /// Reads a whole file: the winning version, of those whose content is all here.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]. A symbolic link is one, [`IsASymlink`](ReadError::IsASymlink), for links
    /// are not followed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// assert_eq!(fs.read("/motd")?, "hello");
    /// assert!(fs.read("/nothing").is_err() && !fs.exists("/nothing"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, path: impl AsRef<str>) -> Result<Bytes, ReadError> {
        Ok(self.engine.now().read_file(path.as_ref())?.0)
    }

    /// Reads the text of a symbolic link.
    ///
    /// # Errors
    ///
    /// Nothing is there, or something else.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.symlink("../etc", "/conf")?;
    /// assert_eq!(fs.read_link("/conf")?, "../etc");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_link(&self, path: impl AsRef<str>) -> Result<String, ReadError> {
        self.engine.now().read_link(path.as_ref())
    }

    /// Lists a directory in the order of names.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not a directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/etc/hosts", "")?;
    /// let names: Vec<String> = fs.read_dir("/etc")?.iter().map(|e| e.name().to_owned()).collect();
    /// assert_eq!(names, ["hosts"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_dir(&self, path: impl AsRef<str>) -> Result<Vec<DirEntry>, ReadError> {
        self.engine.now().read_dir(path.as_ref())
    }

    /// About what is at a path; symbolic links are not followed.
    ///
    /// # Errors
    ///
    /// Nothing is there.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/motd", "hello")?;
    /// let about = fs.metadata("/motd")?;
    /// assert_eq!((about.is_file(), about.len(), about.version()), (true, 5, Some(version)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metadata(&self, path: impl AsRef<str>) -> Result<Metadata, ReadError> {
        self.engine.now().metadata(path.as_ref())
    }

    /// Whether something is at a path.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/etc/motd", "hello")?;
    /// assert!(fs.exists("/etc") && fs.exists("/etc/motd") && fs.exists("/"));
    /// assert!(!fs.exists("/etc/../etc"), "what is no path is nowhere");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exists(&self, path: impl AsRef<str>) -> bool {
        self.engine.now().exists(path.as_ref())
    }

    /// Everything below a directory, parents before children.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not a directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/a/b", "1")?;
    /// let paths: Vec<String> = fs.walk("/")?.map(|entry| entry.path().to_owned()).collect();
    /// assert_eq!(paths, ["/a", "/a/b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn walk(&self, path: impl AsRef<str>) -> Result<Walk, ReadError> {
        let mut open = self.read_dir(path)?;
        open.reverse();
        Ok(Walk { engine: Arc::clone(&self.engine), past: None, open })
    }

    /// The id of the directory at a path.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not a directory.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.create_dir_all("/drafts")?;
    /// let id = fs.dir_id("/drafts")?;
    /// fs.rename("/drafts", "/letters")?;
    /// assert_eq!(fs.dir_id("/letters")?, id); // it goes along when a directory moves
    /// assert_eq!(fs.dir_id("/")?, basefs::log::root_dir(&fs.hierarchy()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dir_id(&self, path: impl AsRef<str>) -> Result<DirId, ReadError> {
        self.engine.now().dir_id(path.as_ref())
    }
}

/// What a path resolved to: all that reading needs after the lock is released.
struct Found {
    node: Node,
    content: Option<Content>,
    origin: Option<EntryNo>,
    version: Option<EntryId>,
}

fn find(shown: Shown<'_>, at: &Target<'_>) -> Result<Node, ReadError> {
    if let Some(node) = shown.find(at) {
        return Ok(node);
    }
    // Whether a component on the way is something else than a directory makes a difference to
    // whoever reads the message.
    for end in 1..at.names.len() {
        let above = Target { names: at.names[..end].to_vec(), ..*at };
        match shown.find(&above).map(|node| node.kind) {
            Some(NodeKind::Dir(_)) => {}
            None => break,
            Some(_) => return Err(ReadError::NotADirectory { path: above.path() }),
        }
    }
    Err(ReadError::NotFound { path: at.path() })
}

impl Reading<'_> {
    fn find(self, at: &Target<'_>) -> Result<Found, ReadError> {
        self.look(|shown| {
            let node = find(shown, at)?;
            let content = match node.kind {
                NodeKind::File { content, .. } => Some(*shown.log.content(content)),
                _ => None,
            };
            let origin = node.winner.map(|no| shown.log.origin(no));
            let version = node.winner.map(|no| shown.log.id(no));
            Ok(Found { node, content, origin, version })
        })
    }

    pub(super) fn metadata(self, path: &str) -> Result<Metadata, ReadError> {
        let at = Target::parse(path)?;
        self.look(|shown| Ok(metadata_of(shown, &find(shown, &at)?)))
    }

    pub(super) fn exists(self, path: &str) -> bool {
        let Ok(at) = Target::parse(path) else { return false };
        self.look(|shown| find(shown, &at).is_ok())
    }

    /// The content of a file and the version it is of.
    pub(super) fn read_file(self, path: &str) -> Result<(Bytes, EntryId), ReadError> {
        let at = Target::parse(path)?;
        let found = self.find(&at)?;
        match found.node.kind {
            NodeKind::File { .. } => {}
            NodeKind::Dir(_) => return Err(ReadError::IsADirectory { path: at.path() }),
            NodeKind::Symlink(target) => {
                return Err(ReadError::IsASymlink { path: at.path(), target });
            }
            NodeKind::Alias(dir) => {
                let target = self.look(|shown| shown.path_of(dir)).unwrap_or_default();
                return Err(ReadError::IsASymlink { path: at.path(), target });
            }
        }
        let (Some(content), Some(origin), Some(version)) =
            (found.content, found.origin, found.version)
        else {
            return Err(ReadError::NotFound { path: at.path() });
        };
        Ok((self.engine.read_content(|| at.path(), &content, origin)?, version))
    }

    pub(super) fn read_link(self, path: &str) -> Result<String, ReadError> {
        let at = Target::parse(path)?;
        match self.find(&at)?.node.kind {
            NodeKind::Symlink(target) => Ok(target),
            NodeKind::Alias(dir) => {
                self.look(|shown| shown.path_of(dir)).ok_or(ReadError::NotFound { path: at.path() })
            }
            _ => Err(ReadError::NotASymlink { path: at.path() }),
        }
    }

    pub(super) fn dir_id(self, path: &str) -> Result<DirId, ReadError> {
        let at = Target::parse(path)?;
        self.look(|shown| match find(shown, &at)?.kind {
            NodeKind::Dir(dir) => Ok(shown.log.dir_id(dir)),
            _ => Err(ReadError::NotADirectory { path: at.path() }),
        })
    }

    pub(super) fn read_dir(self, path: &str) -> Result<Vec<DirEntry>, ReadError> {
        let at = Target::parse(path)?;
        self.look(|shown| match find(shown, &at)?.kind {
            NodeKind::Dir(dir) => {
                let lost = at.lost.map(|_| shown.lost()).unwrap_or_default();
                let children = children(shown, dir, &at.path(), at.names.len(), &lost);
                Ok(children.into_iter().map(|(_, entry)| entry).collect())
            }
            _ => Err(ReadError::NotADirectory { path: at.path() }),
        })
    }
}

impl Engine {
    /// The bytes of a content: in the entry it comes from, or in blocks.
    pub(super) fn read_content(
        &self,
        path: impl FnOnce() -> String,
        content: &Content,
        origin: EntryNo,
    ) -> Result<Bytes, ReadError> {
        if content.size <= MAX_INLINE as u64 {
            return Ok(self.inline_content(content, origin)?);
        }
        let mut source = |id: &crate::id::BlockId| self.block(id);
        match block::read(content, MAX_FILE, &mut source) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(read_error(path, error)),
        }
    }

    /// The content of a version of a file, as a write would carry it again.
    pub(super) fn data_of(&self, version: &EntryId) -> Result<Option<FileData>, StoreError> {
        let found = self.read(|node| {
            let log = node.replica().log();
            let no = log.number(version)?;
            Some((*log.content(log.content_of(no)?), log.origin(no)))
        });
        let Some((content, origin)) = found else { return Ok(None) };
        if content.size > MAX_INLINE as u64 {
            return Ok(Some(FileData::Blocks(content)));
        }
        Ok(Some(FileData::Inline(self.inline_content(&content, origin)?)))
    }

    /// The content of a write that carries it.
    fn inline_content(&self, content: &Content, write: EntryNo) -> Result<Bytes, StoreError> {
        let length = usize::try_from(content.size).unwrap_or(usize::MAX);
        inline_content(&self.entry_bytes(write)?, length)
            .ok_or_else(|| damaged("an entry is not the one that the view knows"))
    }

    /// An entry, read from the store and decoded.
    pub(super) fn entry(&self, no: EntryNo) -> Result<SignedEntry, StoreError> {
        SignedEntry::decode(&self.entry_bytes(no)?)
            .map_err(|error| damaged(&alloc::format!("entry {}: {error}", no.index())))
    }
}

/// What a directory shows, in the order of names.
fn children(
    shown: Shown<'_>,
    dir: DirNo,
    path: &str,
    depth: usize,
    lost: &BTreeSet<DirNo>,
) -> Vec<(NodeKind, DirEntry)> {
    let prefix = if path == "/" { "" } else { path };
    shown
        .log
        .children(dir)
        .filter_map(|(name, slot)| {
            let node = shown.node(slot, depth, lost)?;
            let metadata = metadata_of(shown, &node);
            Some((node.kind, DirEntry { path: alloc::format!("{prefix}/{name}"), metadata }))
        })
        .collect()
}

/// What a path shows and, if it is a directory, everything below it, parents first.
pub(super) fn list_subtree(shown: Shown<'_>, names: &[&str]) -> Vec<DirEntry> {
    let Some(node) = shown.resolve(names) else { return Vec::new() };
    let top = DirEntry { path: join(names), metadata: metadata_of(shown, &node) };
    let mut open = Vec::from([(node.kind, top, names.len())]);
    let mut all = Vec::new();
    while let Some((kind, entry, depth)) = open.pop() {
        if let NodeKind::Dir(dir) = kind {
            let inner = children(shown, dir, &entry.path, depth, &BTreeSet::new()).into_iter();
            open.extend(inner.rev().map(|(kind, entry)| (kind, entry, depth + 1)));
        }
        all.push(entry);
    }
    all.retain(|entry| entry.metadata.version.is_some());
    all
}

pub(super) fn metadata_of(shown: Shown<'_>, node: &Node) -> Metadata {
    let log = shown.log;
    let version = node.winner.map(|no| log.id(no));
    let plain =
        |file_type, len| Metadata { file_type, len, executable: false, version, is_here: true };
    match &node.kind {
        NodeKind::Dir(_) => plain(FileType::Dir, 0),
        NodeKind::Symlink(target) => {
            plain(FileType::Symlink { target: target.clone() }, target.len() as u64)
        }
        NodeKind::Alias(dir) => {
            let target = shown.path_of(*dir);
            let len = target.as_ref().map_or(0, |target| target.len() as u64);
            plain(FileType::Alias { target }, len)
        }
        NodeKind::File { content, executable } => Metadata {
            file_type: FileType::File,
            len: log.content(*content).size,
            executable: *executable,
            version,
            is_here: shown.view.is_complete(log, *content),
        },
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt { what: what.into() }
}

fn read_error(path: impl FnOnce() -> String, error: block::ReadError<StoreError>) -> ReadError {
    match error {
        block::ReadError::Missing { id } => ReadError::NotHere { path: path(), block: id },
        block::ReadError::TooLarge { size, limit } => ReadError::TooLarge { size, limit },
        block::ReadError::Source(SourceError::Failed(error)) => ReadError::Store(error),
        other => ReadError::Store(damaged(&alloc::format!("{other}"))),
    }
}

/// Everything below a directory, parents before children, in the order of names.
///
/// Directories are listed one at a time while iterating: a change made meanwhile may or may not be
/// seen, and what is gone when its turn comes is left out. It keeps the replica open, like a
/// handle.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/etc/hosts", "")?;
/// fs.write("/etc/motd", "hello")?;
/// let bytes: u64 = fs.walk("/")?.map(|entry| entry.metadata().len()).sum();
/// assert_eq!(bytes, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Walk {
    pub(super) engine: Arc<Engine>,
    /// None for the present.
    pub(super) past: Option<Arc<Past>>,
    /// What is still to be given, the next last.
    pub(super) open: Vec<DirEntry>,
}

impl Iterator for Walk {
    type Item = DirEntry;

    fn next(&mut self) -> Option<DirEntry> {
        let entry = self.open.pop()?;
        if entry.metadata.is_dir() {
            let reading = Reading { engine: &self.engine, past: self.past.as_deref() };
            let children = reading.read_dir(&entry.path).unwrap_or_default();
            self.open.extend(children.into_iter().rev());
        }
        Some(entry)
    }
}
