//! What the kernel asks for, answered from a hierarchy: the reading part.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fuser::{Errno, FileAttr, FileType, INodeNo, Notifier};
use parking_lot::{Mutex, RwLock};

use crate::entry::check_name;
use crate::fs::{FileType as Shown, Metadata};
use crate::fuse::errno::Result;
use crate::fuse::file::OpenFile;
use crate::fuse::source::{Source, time_of};
use crate::fuse::table::Table;
use crate::fuse::{special, split};
use crate::id::EntryId;
use crate::limits::MAX_NAME;

/// Sizes of files are told in blocks of this many bytes, as `stat` has them.
const BLOCK: u64 = 512;
/// The size of a read that costs least, as `stat` tells it.
const BEST_READ: u32 = 131_072;

/// What was opened.
#[derive(Debug)]
pub(super) enum Handle {
    /// A file of the hierarchy.
    File { appends: bool },
    /// A file that is made up, as it was when it was opened.
    Special(Bytes),
    /// A directory, as it was when it was listed.
    Dir(Arc<Vec<Listed>>),
}

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) kind: FileType,
}

/// What is at a path, as far as `stat` says it.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) kind: FileType,
    pub(super) len: u64,
    pub(super) is_executable: bool,
    pub(super) is_writable: bool,
    pub(super) modified: SystemTime,
    /// None for what has no entry, or not yet.
    pub(super) version: Option<EntryId>,
}

/// A mounted hierarchy.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) source: Source,
    pub(super) table: Mutex<Table>,
    /// Held for writing while names change, and for reading while content becomes an entry: paths
    /// hold still then. Whoever holds it may lock a file, and then the table, in this order.
    pub(super) names: RwLock<()>,
    handles: Mutex<(u64, BTreeMap<u64, Handle>)>,
    /// Bytes of open files that are not entries yet.
    pub(super) staged: AtomicU64,
    /// What this mount did itself and need not be told of: paths with the version before or after.
    pub(super) own: Mutex<BTreeSet<(String, EntryId)>>,
    /// Where the kernel is told to ask again; set once it is mounted.
    pub(super) notifier: OnceLock<Notifier>,
    pub(super) confines_symlinks: bool,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) owner: (u32, u32),
}

impl Volume {
    pub(super) fn new(source: Source, options: &super::MountOptions) -> Self {
        let owner = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Self {
            source,
            table: Mutex::new(Table::new()),
            names: RwLock::new(()),
            handles: Mutex::default(),
            staged: AtomicU64::new(0),
            own: Mutex::default(),
            notifier: OnceLock::new(),
            confines_symlinks: options.confine_symlinks,
            data_dir: options.data_dir.clone(),
            owner,
        }
    }

    /// The path of a name in a directory. It need not exist.
    pub(super) fn child(&self, parent: INodeNo, name: &OsStr) -> Result<String> {
        let dir = self.table.lock().path(parent)?;
        if name.len() > MAX_NAME {
            return Err(Errno::ENAMETOOLONG);
        }
        // A name that cannot be is not there, and cannot be made.
        let name = name.to_str().ok_or(Errno::EILSEQ)?;
        Ok(String::from(dir.trim_end_matches('/')) + "/" + name)
    }

    pub(super) fn lookup(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr> {
        let path = match self.child(parent, name) {
            Err(error) if error.code() == Errno::EILSEQ.code() => return Err(Errno::ENOENT),
            path => path?,
        };
        let has_name = split(&path).is_some_and(|(_, name)| check_name(name).is_ok());
        if !has_name && !special::is_special(&path) {
            return Err(Errno::ENOENT);
        }
        self.enter(&path)
    }

    /// Tells the kernel of what is at a path: it remembers the number.
    pub(super) fn enter(&self, path: &str) -> Result<FileAttr> {
        let about = self.about_path(path)?;
        self.part(path, &about)?;
        let mut table = self.table.lock();
        let ino = table.find_or_add(path, about.kind);
        table.remember(ino);
        let node = table.node_mut(ino)?;
        node.tell(about.version);
        let touched = node.touched;
        drop(table);
        Ok(self.attributes(ino, &about, touched, true))
    }

    /// What a name in a listing is. The kernel remembers the numbers of all but the directory itself
    /// and the one above.
    pub(super) fn entry_of(&self, dir: INodeNo, name: &str) -> Result<FileAttr> {
        match name {
            "." => self.getattr(dir),
            ".." => {
                let path = self.table.lock().path(dir)?;
                let above = split(&path).map_or("/", |(above, _)| above);
                let about = self.about_path(above)?;
                let ino = self.table.lock().ino(above).unwrap_or(INodeNo::ROOT);
                Ok(self.attributes(ino, &about, None, true))
            }
            name => self.lookup(dir, OsStr::new(name)),
        }
    }

    /// A number that was not told to the kernel after all.
    pub(super) fn not_told(&self, name: &str, ino: INodeNo) {
        if name != "." && name != ".." {
            self.forget(ino, 1);
        }
    }

    pub(super) fn forget(&self, ino: INodeNo, times: u64) {
        self.table.lock().forget(ino, times);
    }

    pub(super) fn getattr(&self, ino: INodeNo) -> Result<FileAttr> {
        let (path, touched, file, is_linked) = {
            let table = self.table.lock();
            let node = table.node(ino)?;
            (node.path.clone(), node.touched, node.file.clone(), node.place().is_some())
        };
        let about = match (&path, file) {
            (Some(path), None) => self.shown(path)?,
            (path, Some(file)) => self.about_open(path.as_deref(), &file)?,
            (None, None) => return Err(Errno::ESTALE),
        };
        let mut table = self.table.lock();
        table.node_mut(ino)?.tell(about.version);
        if table.node(ino)?.kind != about.kind {
            // A peer has put something else there: whoever asks looks it up again.
            table.part(path.as_deref().unwrap_or_default());
            return Err(Errno::ESTALE);
        }
        drop(table);
        Ok(self.attributes(ino, &about, touched, is_linked))
    }

    /// What a path shows, with what was changed here and is no entry yet.
    pub(super) fn about_path(&self, path: &str) -> Result<About> {
        if special::is_special(path) {
            return special::about(&self.source, path);
        }
        let ino = self.table.lock().ino(path);
        if let Some((file, _)) = ino.and_then(|ino| self.file(ino).ok()) {
            let file = file.lock();
            if file.is_changed {
                return Ok(about_file(&file));
            }
        }
        self.shown(path)
    }

    /// What a path shows, whatever was changed here.
    pub(super) fn shown(&self, path: &str) -> Result<About> {
        if special::is_special(path) {
            return special::about(&self.source, path);
        }
        let found = self.source.metadata(path)?;
        let ino = self.table.lock().ino(path);
        let modified = self.modified(ino, &found)?;
        Ok(self.about(path, &found, modified))
    }

    /// What an open file is: the version that was opened, with what was changed.
    fn about_open(&self, path: Option<&str>, file: &Mutex<OpenFile>) -> Result<About> {
        let mut file = file.lock();
        if !file.is_changed {
            let shown = path.and_then(|path| self.shown(path).ok());
            if let Some(shown) = shown.filter(|shown| shown.version == file.version) {
                return Ok(shown);
            }
            file.load(&self.source)?;
        }
        Ok(about_file(&file))
    }

    /// Parts those who have a file open from what its path shows, if that is another version: they
    /// go on with the version they opened, under its number, and the path gets another number. No
    /// reader sees a half of each, and what is written stands on what its writer saw. Where nobody
    /// has seen anything yet, everybody goes on with the new version. Says whether there was
    /// another version.
    pub(super) fn part(&self, path: &str, shown: &About) -> Result<bool> {
        let ino = self.table.lock().ino(path);
        let Some((file, _)) = ino.and_then(|ino| self.file(ino).ok()) else { return Ok(false) };
        let mut file = file.lock();
        if file.is_changed || file.version == shown.version {
            return Ok(false);
        }
        let is_written = {
            let table = self.table.lock();
            ino.and_then(|ino| table.node(ino).ok()).is_some_and(|node| node.is_written)
        };
        if is_written && file.is_unread() && shown.kind == FileType::RegularFile {
            *file = OpenFile::existing(shown.version, shown.is_executable, shown.modified);
        } else {
            file.load(&self.source)?;
            self.table.lock().part(path);
        }
        Ok(true)
    }

    fn about(&self, path: &str, found: &Metadata, modified: SystemTime) -> About {
        let (kind, len) = match found.file_type() {
            Shown::Dir => (FileType::Directory, 0),
            Shown::Alias { target } => {
                let target = target.as_deref().map(|target| relative(path, target));
                (FileType::Symlink, target.map_or(0, |target| target.len() as u64))
            }
            Shown::Symlink { .. } => (FileType::Symlink, found.len()),
            Shown::File => (FileType::RegularFile, found.len()),
        };
        let is_executable = found.is_executable();
        let (is_writable, version) = (self.source.writable().is_ok(), found.version());
        About { kind, len, is_executable, is_writable, modified, version }
    }

    /// When a version was written. Reading that takes a look at the disk, so it is kept while the
    /// kernel remembers the number.
    fn modified(&self, ino: Option<INodeNo>, found: &Metadata) -> Result<SystemTime> {
        let Some(version) = found.version() else { return Ok(UNIX_EPOCH) };
        let known = ino.and_then(|ino| self.table.lock().node(ino).ok()?.written);
        if let Some((_, modified)) = known.filter(|(known, _)| *known == version) {
            return Ok(modified);
        }
        let modified = time_of(&self.source.version_info(&version)?);
        if let Some(ino) = ino
            && let Ok(node) = self.table.lock().node_mut(ino)
        {
            node.written = Some((version, modified));
        }
        Ok(modified)
    }

    fn attributes(
        &self,
        ino: INodeNo,
        about: &About,
        touched: Option<SystemTime>,
        is_linked: bool,
    ) -> FileAttr {
        let modified = touched.map_or(about.modified, |touched| touched.max(about.modified));
        let (uid, gid) = self.owner;
        // Of a directory too: two would say that there is no directory in it.
        let nlink = u32::from(is_linked);
        FileAttr {
            ino,
            size: about.len,
            blocks: about.len.div_ceil(BLOCK),
            atime: modified,
            mtime: modified,
            ctime: modified,
            crtime: modified,
            kind: about.kind,
            perm: permissions(about),
            nlink,
            uid,
            gid,
            rdev: 0,
            blksize: BEST_READ,
            flags: 0,
        }
    }

    pub(super) fn read_link(&self, ino: INodeNo) -> Result<String> {
        let path = self.table.lock().path(ino)?;
        if special::is_special(&path) && !special::is_of_hierarchy(&path) {
            return Err(Errno::EINVAL);
        }
        let target = self.source.read_link(&path)?;
        if let Shown::Alias { .. } = self.source.metadata(&path)?.file_type() {
            // It is a path of the hierarchy, and the mount may be anywhere.
            return Ok(relative(&path, &target));
        }
        if self.confines_symlinks && leads_out(&path, &target) {
            return Err(Errno::EPERM);
        }
        Ok(target)
    }

    pub(super) fn add_handle(&self, handle: Handle) -> u64 {
        let mut handles = self.handles.lock();
        handles.0 += 1;
        let number = handles.0;
        handles.1.insert(number, handle);
        number
    }

    pub(super) fn remove_handle(&self, number: u64) -> Option<Handle> {
        self.handles.lock().1.remove(&number)
    }

    pub(super) fn appends(&self, number: u64) -> bool {
        matches!(self.handles.lock().1.get(&number), Some(Handle::File { appends: true }))
    }

    /// What a directory shows, for a handle: the same however often it is read on.
    pub(super) fn listing(&self, number: u64) -> Result<Arc<Vec<Listed>>> {
        match self.handles.lock().1.get(&number) {
            Some(Handle::Dir(listed)) => Ok(Arc::clone(listed)),
            _ => Err(Errno::EBADF),
        }
    }

    /// Lists a directory anew, for a handle that starts to read it again or for the first time.
    pub(super) fn list(&self, ino: INodeNo, number: u64) -> Result<Arc<Vec<Listed>>> {
        let path = self.table.lock().path(ino)?;
        let mut listed = Vec::from(
            [".", ".."].map(|name| Listed { name: name.into(), kind: FileType::Directory }),
        );
        if special::is_special(&path) && !special::is_of_hierarchy(&path) {
            listed.extend(special::list(&self.source, &path)?);
        } else {
            let new = self.table.lock().new_in(&path);
            let found = self.source.read_dir(&path)?;
            let is_new = |name: &str| new.iter().any(|(known, _)| known == name);
            let found = found.iter().filter(|entry| !is_new(entry.name()));
            listed.extend(found.map(|entry| Listed {
                name: entry.name().into(),
                kind: kind_of(entry.metadata().file_type()),
            }));
            let kind = FileType::RegularFile;
            listed.extend(new.iter().map(|(name, _)| Listed { name: name.clone(), kind }));
        }
        let listed = Arc::new(listed);
        if let Some(handle) = self.handles.lock().1.get_mut(&number) {
            *handle = Handle::Dir(Arc::clone(&listed));
        }
        Ok(listed)
    }

    /// The open file behind a number, with where what is written to it goes.
    pub(super) fn file(&self, ino: INodeNo) -> Result<(Arc<Mutex<OpenFile>>, Option<String>)> {
        let table = self.table.lock();
        let node = table.node(ino)?;
        Ok((node.file.clone().ok_or(Errno::EBADF)?, node.place().cloned()))
    }

    /// Reads from an open file.
    pub(super) fn read<T>(
        &self,
        ino: INodeNo,
        number: u64,
        (offset, size): (u64, u32),
        answer: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        if let Some(Handle::Special(bytes)) = self.handles.lock().1.get(&number) {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let size = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len() - start);
            return Ok(answer(&bytes[start..start + size]));
        }
        let (file, _) = self.file(ino)?;
        let mut file = file.lock();
        file.load(&self.source)?;
        Ok(answer(file.read(offset, size)))
    }
}

fn about_file(file: &OpenFile) -> About {
    About {
        kind: FileType::RegularFile,
        len: file.len(),
        is_executable: file.is_executable,
        is_writable: true,
        modified: file.modified,
        version: file.version.filter(|_| !file.is_changed),
    }
}

pub(super) fn kind_of(shown: &Shown) -> FileType {
    match shown {
        Shown::Dir => FileType::Directory,
        Shown::File => FileType::RegularFile,
        Shown::Symlink { .. } | Shown::Alias { .. } => FileType::Symlink,
    }
}

/// Of the mode only the executable bit is kept; who may write is decided by keys, not by users.
fn permissions(about: &About) -> u16 {
    let all = match about.kind {
        FileType::Symlink => 0o777,
        FileType::Directory => 0o755,
        _ if about.is_executable => 0o755,
        _ => 0o644,
    };
    if about.is_writable || about.kind == FileType::Symlink { all } else { all & 0o555 }
}

/// A path of the hierarchy as the text of a link at another path.
fn relative(link: &str, target: &str) -> String {
    let up = link.matches('/').count().saturating_sub(1);
    let target = target.trim_start_matches('/');
    let text = "../".repeat(up) + target;
    if text.is_empty() { String::from(".") } else { text }
}

/// Whether a link can lead out of the mount. What goes up after going down counts as leading out,
/// for what is on the way down may be a link itself.
pub(super) fn leads_out(link: &str, target: &str) -> bool {
    let depth = link.matches('/').count().saturating_sub(1);
    let names: Vec<&str> = target.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let ups = names.iter().take_while(|name| **name == "..").count();
    target.starts_with('/') || ups > depth || names.iter().skip(ups).any(|name| *name == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_leads_to_its_directory_wherever_the_mount_is() {
        assert_eq!(relative("/conf", "/etc"), "etc");
        assert_eq!(relative("/a/b/conf", "/etc/x"), "../../etc/x");
        assert_eq!(relative("/root", "/"), ".");
    }

    #[test]
    fn links_that_lead_out_are_known() {
        for (link, target) in
            [("/a", "/etc"), ("/a", ".."), ("/d/a", "../../x"), ("/d/a", "e/../../x")]
        {
            assert!(leads_out(link, target), "{link} {target}");
        }
        for (link, target) in
            [("/a", "b/c"), ("/d/a", "../x"), ("/d/e/a", ".././../x"), ("/a", ".")]
        {
            assert!(!leads_out(link, target), "{link} {target}");
        }
    }
}
