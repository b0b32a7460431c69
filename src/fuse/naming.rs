//! Names: making, removing and moving what has one; and attributes.

use alloc::string::String;
use std::ffi::OsStr;
use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileType, INodeNo, RenameFlags, TimeOrNow};

use crate::fs::WriteError;
use crate::fuse::errno::{Result, of_write};
use crate::fuse::staging::is_executable;
use crate::fuse::volume::{Volume, leads_out};
use crate::fuse::{special, split};
use crate::id::EntryId;

/// What of an inode is to be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changes {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<TimeOrNow>,
}

fn dir_of(path: &str) -> &str {
    split(path).map_or("/", |(dir, _)| dir)
}

impl Volume {
    pub(super) fn set_attributes(&self, ino: INodeNo, changes: Changes) -> Result<FileAttr> {
        let (uid, gid) = self.owner;
        let is_other = |id: Option<u32>, own: u32| id.is_some_and(|id| id != own);
        if is_other(changes.uid, uid) || is_other(changes.gid, gid) {
            return Err(Errno::EPERM);
        }
        if let Some(size) = changes.size {
            self.truncate(ino, size)?;
        }
        if let Some(mode) = changes.mode {
            self.set_executable(ino, is_executable(mode))?;
        }
        if let Some(modified) = changes.modified {
            self.set_modified(ino, modified)?;
        }
        self.getattr(ino)
    }

    fn set_executable(&self, ino: INodeNo, is_executable: bool) -> Result<()> {
        let fs = self.source.writable()?;
        let _names = self.names.read();
        let (kind, path, file) = {
            let table = self.table.lock();
            let node = table.node(ino)?;
            (node.kind, node.path.clone(), node.file.clone())
        };
        if kind != FileType::RegularFile {
            return Ok(());
        }
        let mut file = file.as_ref().map(|file| file.lock());
        if let Some(file) = &mut file {
            file.is_executable = is_executable;
            if file.is_changed {
                return Ok(());
            }
        }
        let Some(path) = path else { return Ok(()) };
        if special::is_special(&path) {
            return Err(Errno::EROFS);
        }
        let found = self.source.metadata(&path)?;
        if found.is_executable() != is_executable {
            let version = fs.set_executable(&path, is_executable);
            let version = version.map_err(|error| of_write(&error))?;
            self.note_own(&path, Some(version));
            // Who has another version open goes on with that.
            if let Some(mut file) = file.filter(|file| file.version == found.version()) {
                file.version = Some(version);
            }
            self.table.lock().node_mut(ino)?.told = Some(version);
        }
        Ok(())
    }

    /// Kept only while the kernel remembers the file.
    fn set_modified(&self, ino: INodeNo, modified: TimeOrNow) -> Result<()> {
        let modified = match modified {
            TimeOrNow::SpecificTime(time) => time,
            TimeOrNow::Now => SystemTime::now(),
        };
        if let Ok((file, _)) = self.file(ino) {
            file.lock().modified = modified;
        }
        let path = self.table.lock().node(ino)?.path.clone();
        let found = path.and_then(|path| self.source.metadata(&path).ok());
        if let Some(version) = found.and_then(|found| found.version()) {
            self.table.lock().node_mut(ino)?.written = Some((version, modified));
        }
        Ok(())
    }

    /// Where something new is to be.
    fn vacant(&self, parent: INodeNo, name: &OsStr) -> Result<String> {
        let path = self.child(parent, name)?;
        if special::is_special(&path) {
            return Err(Errno::EROFS);
        }
        self.source.writable()?;
        if self.about_path(&path).is_ok() { Err(Errno::EEXIST) } else { Ok(path) }
    }

    /// Something new is at a path, unless a peer's that wins has just come there: what the kernel is
    /// told must be of the kind that it asked for, or it tells the program of a broken disk.
    fn made(&self, path: &str, version: Option<EntryId>, kind: FileType) -> Result<FileAttr> {
        self.note_own(path, version);
        self.table.lock().touch(dir_of(path));
        let found = self.enter(path)?;
        if found.kind != kind {
            self.forget(found.ino, 1);
            return Err(Errno::EEXIST);
        }
        Ok(found)
    }

    pub(super) fn mkdir(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr> {
        let _names = self.names.write();
        let path = self.vacant(parent, name)?;
        let fs = self.source.writable()?;
        fs.create_dir_all(&path).map_err(|error| of_write(&error))?;
        self.made(&path, self.source.metadata(&path)?.version(), FileType::Directory)
    }

    /// An empty file that is not opened.
    pub(super) fn mknod(&self, parent: INodeNo, name: &OsStr, mode: u32) -> Result<FileAttr> {
        let kind = rustix::fs::FileType::from_raw_mode(mode);
        if kind != rustix::fs::FileType::RegularFile {
            return Err(Errno::EPERM);
        }
        let _names = self.names.write();
        let path = self.vacant(parent, name)?;
        let mut batch = self.source.writable()?.batch();
        let done = batch.write_executable(&path, "", is_executable(mode));
        done.and_then(|()| batch.commit()).map_err(|error| of_write(&error))?;
        self.made(&path, self.source.metadata(&path)?.version(), FileType::RegularFile)
    }

    pub(super) fn symlink(&self, parent: INodeNo, name: &OsStr, text: &str) -> Result<FileAttr> {
        let _names = self.names.write();
        let path = self.vacant(parent, name)?;
        if self.confines_symlinks && leads_out(&path, text) {
            return Err(Errno::EPERM);
        }
        let made = self.source.writable()?.symlink(text, &path);
        let version = made.map_err(|error| match error {
            // What is wrong with a text can only be its length.
            WriteError::Invalid(_) => Errno::ENAMETOOLONG,
            error => of_write(&error),
        })?;
        self.made(&path, Some(version), FileType::Symlink)
    }

    pub(super) fn remove(&self, parent: INodeNo, name: &OsStr, is_dir: bool) -> Result<()> {
        let _names = self.names.write();
        let path = self.child(parent, name)?;
        if special::is_special(&path) {
            return Err(Errno::EROFS);
        }
        let fs = self.source.writable()?;
        let about = self.about_path(&path)?;
        match (about.kind == FileType::Directory, is_dir) {
            (true, false) => return Err(Errno::EISDIR),
            (false, true) => return Err(Errno::ENOTDIR),
            _ => {}
        }
        if !self.table.lock().new_in(&path).is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.keep_for_holders(&path)?;
        // A file that was only created has no entry.
        if let Ok(found) = self.source.metadata(&path) {
            fs.remove(&path).map_err(|error| of_write(&error))?;
            self.note_own(&path, found.version());
        }
        let mut table = self.table.lock();
        table.detach(&path);
        table.abandon(&path);
        table.touch(dir_of(&path));
        Ok(())
    }

    /// What is at a path goes away: whoever has it open reads on.
    fn keep_for_holders(&self, path: &str) -> Result<()> {
        let ino = self.table.lock().ino(path);
        let file = ino.and_then(|ino| self.file(ino).ok());
        file.map_or(Ok(()), |(file, _)| file.lock().load(&self.source))
    }

    pub(super) fn rename(
        &self,
        (parent, name): (INodeNo, &OsStr),
        (new_parent, new_name): (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Result<()> {
        // Two names cannot be exchanged in one entry each without a moment between.
        if !RenameFlags::RENAME_NOREPLACE.contains(flags) {
            return Err(Errno::EINVAL);
        }
        let _names = self.names.write();
        let (from, to) = (self.child(parent, name)?, self.child(new_parent, new_name)?);
        if special::is_special(&from) || special::is_special(&to) {
            return Err(Errno::EROFS);
        }
        let fs = self.source.writable()?;
        let modified = self.about_path(&from)?.modified;
        if from == to {
            return Ok(());
        }
        let replaced = self.about_path(&to);
        if replaced.is_ok() && flags.contains(RenameFlags::RENAME_NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        if !self.table.lock().new_in(&to).is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.keep_for_holders(&to)?;
        let ino = self.table.lock().ino(&from);
        if let Some(ino) = ino {
            self.publish_named(ino)?;
        }
        let found = self.source.metadata(&from)?;
        let version = fs.rename(&from, &to).map_err(|error| of_write(&error))?;
        self.note_own(&from, found.version());
        self.note_own(&to, Some(version));
        if let Some((file, _)) = ino.and_then(|ino| self.file(ino).ok()) {
            let mut file = file.lock();
            // Who has another version open goes on with that.
            if file.version == found.version() {
                file.version = Some(version);
            }
        }
        let mut table = self.table.lock();
        table.moved(&from, &to);
        table.touch(dir_of(&from));
        table.touch(dir_of(&to));
        if let Some(node) = ino.and_then(|ino| table.node_mut(ino).ok()) {
            // Under its new name it is another version, and was not changed.
            node.written = Some((version, modified));
            node.told = Some(version);
        }
        Ok(())
    }
}
