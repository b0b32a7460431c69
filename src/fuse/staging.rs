//! Open files: what is written to them is kept in memory and becomes an entry.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use std::ffi::OsStr;
use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileType, FopenFlags, INodeNo, OpenAccMode, OpenFlags};
use parking_lot::Mutex;
use rustix::fs::OFlags;

use crate::fs::Expected;
use crate::fuse::errno::{Result, of_write};
use crate::fuse::file::OpenFile;
use crate::fuse::volume::{Handle, Volume};
use crate::fuse::{special, split};
use crate::id::EntryId;

/// Most bytes of open files that may wait to become entries: two files of the longest length. They
/// are in memory.
pub const MAX_STAGED: u64 = 2 << 30;
/// Room on the disk of the store that writing through a mount leaves: a store whose disk is full
/// takes no more writes until it is opened again, and other programs need some.
const RESERVE: u64 = 16 << 20;
/// What a mount remembers of its own doings until it hears of them: a few megabytes of paths. What
/// it forgets costs one look by the kernel.
const MAX_OWN: usize = 65_536;

fn has(flags: i32, flag: OFlags) -> bool {
    OFlags::from_bits_retain(flags.cast_unsigned()).contains(flag)
}

impl Volume {
    /// Refuses what could not become an entry, before anything is taken.
    pub(super) fn check_write(&self, path: &str) -> Result<()> {
        if special::is_special(path) {
            return Err(Errno::EROFS);
        }
        self.source.writable()?.check_write(path).map_err(|error| of_write(&error))
    }

    pub(super) fn open(&self, ino: INodeNo, flags: OpenFlags) -> Result<(u64, FopenFlags)> {
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY || has(flags.0, OFlags::TRUNC);
        let (path, is_parted) = {
            let table = self.table.lock();
            let node = table.node(ino)?;
            (node.path.clone(), node.is_parted)
        };
        if path.is_none() && is_parted {
            // What is asked for has another number by now; the kernel looks again.
            return Err(Errno::ESTALE);
        }
        if let Some(path) = &path {
            if writes {
                self.check_write(path)?;
            }
            if special::is_special(path) {
                let handle = Handle::Special(special::content(&self.source, path)?);
                self.table.lock().opened(ino)?;
                let is_volatile = special::is_volatile(path);
                let kept =
                    if is_volatile { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::empty() };
                return Ok((self.add_handle(handle), kept));
            }
        }
        self.hold(ino, path.as_deref(), writes)?;
        let appends = has(flags.0, OFlags::APPEND);
        if has(flags.0, OFlags::TRUNC) {
            self.resize(ino, 0)?;
        }
        Ok((self.add_handle(Handle::File { appends }), FopenFlags::empty()))
    }

    /// One more handle of a file. Where the kernel was told of another version than would be read,
    /// it asks again, for it answers `ESTALE` to nobody before it has tried that.
    fn hold(&self, ino: INodeNo, path: Option<&str>, writes: bool) -> Result<()> {
        if let Some(path) = path {
            self.hold_shown(ino, path)?;
        }
        let mut table = self.table.lock();
        let node = table.node_mut(ino)?;
        if node.file.is_none() {
            return Err(Errno::ESTALE);
        }
        node.is_written |= writes;
        let is_renewed = node.is_renewed;
        table.opened(ino)?;
        drop(table);
        if let Some(notifier) = self.notifier.get().filter(|_| is_renewed)
            && let Err(error) = notifier.inval_inode(ino, -1, 0)
        {
            // An answer of before, with the length of an older version, may overtake this one.
            tracing::debug!(%error, "the kernel does not ask for a length again");
        }
        Ok(())
    }

    fn hold_shown(&self, ino: INodeNo, path: &str) -> Result<()> {
        if let Ok((file, _)) = self.file(ino) {
            if file.lock().is_changed {
                return Ok(());
            }
            let is_other = self.part(path, &self.shown(path)?)?;
            return if is_other { Err(Errno::ESTALE) } else { Ok(()) };
        }
        let about = self.shown(path)?;
        let mut table = self.table.lock();
        let node = table.node_mut(ino)?;
        if node.told != about.version {
            return Err(Errno::ESTALE);
        }
        let file = OpenFile::existing(about.version, about.is_executable, about.modified);
        node.file.get_or_insert_with(|| Arc::new(Mutex::new(file)));
        Ok(())
    }

    /// Makes a file and opens it. There is no entry of it before it is closed.
    pub(super) fn create(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Result<(FileAttr, u64, FopenFlags)> {
        let path = self.child(parent, name)?;
        self.check_write(&path)?;
        let names = self.names.write();
        if self.about_path(&path).is_ok() {
            drop(names);
            if has(flags, OFlags::EXCL) {
                return Err(Errno::EEXIST);
            }
            let attributes = self.enter(&path)?;
            let opened = match attributes.kind {
                FileType::RegularFile => self.open(attributes.ino, OpenFlags(flags)),
                // Somebody has made something else; the kernel looks again.
                _ => Err(Errno::ESTALE),
            };
            // What was not opened is not told either.
            let (handle, kept) = opened.inspect_err(|_| self.forget(attributes.ino, 1))?;
            return Ok((attributes, handle, kept));
        }
        {
            let mut table = self.table.lock();
            let ino = table.find_or_add(&path, FileType::RegularFile);
            let node = table.node_mut(ino)?;
            node.is_new = true;
            node.is_written = true;
            node.file = Some(Arc::new(Mutex::new(OpenFile::new(is_executable(mode)))));
            table.opened(ino)?;
            table.touch(split(&path).map_or("/", |(dir, _)| dir));
        }
        let attributes = self.enter(&path)?;
        let handle = self.add_handle(Handle::File { appends: has(flags, OFlags::APPEND) });
        Ok((attributes, handle, FopenFlags::empty()))
    }

    pub(super) fn write(
        &self,
        ino: INodeNo,
        (number, is_from_cache): (u64, bool),
        offset: u64,
        data: &[u8],
    ) -> Result<()> {
        let (file, path) = self.file(ino)?;
        if let Some(path) = &path {
            // The key may have been revoked since it was opened.
            self.check_write(path)?;
        }
        let mut file = file.lock();
        file.load(&self.source)?;
        let is_appended = !is_from_cache && self.appends(number);
        let offset = if is_appended { file.len() } else { offset };
        let end = offset.saturating_add(data.len() as u64);
        let len = end.max(file.len());
        self.stage(&mut file, len, |file| file.write(offset, data))
    }

    /// Changes an open file to one of so many bytes, if there is room for it.
    fn stage(
        &self,
        file: &mut OpenFile,
        len: u64,
        change: impl FnOnce(&mut OpenFile) -> Result<()>,
    ) -> Result<()> {
        let before = file.staged();
        let more = len.saturating_sub(before);
        if len <= super::MAX_FILE_SIZE && more > 0 {
            let staged = self.staged.load(Ordering::Relaxed).saturating_add(more);
            if staged > MAX_STAGED || self.room()?.is_some_and(|room| staged > room) {
                return Err(Errno::ENOSPC);
            }
        }
        let done = change(file);
        let after = file.staged();
        self.staged.fetch_add(after, Ordering::Relaxed);
        self.staged.fetch_sub(before, Ordering::Relaxed);
        done
    }

    /// Bytes that the disk of the store has room for, if it is known which that is.
    fn room(&self) -> Result<Option<u64>> {
        let Some(dir) = &self.data_dir else { return Ok(None) };
        let about = rustix::fs::statvfs(dir).map_err(|_| Errno::EIO)?;
        Ok(Some(about.f_bavail.saturating_mul(about.f_frsize).saturating_sub(RESERVE)))
    }

    /// Sets the length of a file that is open.
    fn resize(&self, ino: INodeNo, size: u64) -> Result<()> {
        let (file, path) = self.file(ino)?;
        if let Some(path) = &path {
            self.check_write(path)?;
        }
        let mut file = file.lock();
        // What is cut to nothing need not be read.
        if size > 0 {
            file.load(&self.source)?;
        }
        self.stage(&mut file, size, |file| file.resize(size))
    }

    /// Sets the length of a file, open or not. Of one that is not it is an entry at once.
    pub(super) fn truncate(&self, ino: INodeNo, size: u64) -> Result<()> {
        let path = self.table.lock().node(ino)?.path.clone();
        let was_open = self.table.lock().is_open(ino);
        self.hold(ino, path.as_deref(), true)?;
        let done = self.resize(ino, size).and_then(|()| match was_open {
            true => Ok(()),
            false => self.publish(ino),
        });
        self.let_go(ino);
        done
    }

    /// Makes an entry of what was changed in an open file.
    pub(super) fn publish(&self, ino: INodeNo) -> Result<()> {
        let _names = self.names.read();
        self.publish_named(ino)
    }

    /// The same for whoever holds the names still.
    pub(super) fn publish_named(&self, ino: INodeNo) -> Result<()> {
        let Ok((file, Some(path))) = self.file(ino) else { return Ok(()) };
        let mut file = file.lock();
        if !file.is_changed {
            return Ok(());
        }
        let fs = self.source.writable()?;
        let staged = file.staged();
        let bytes = file.take();
        let base = file.version.map_or(Expected::Absent, Expected::Version);
        let done = fs.write_on(&path, base, bytes, Some(file.is_executable));
        self.staged.fetch_sub(staged, Ordering::Relaxed);
        match done {
            Ok(version) => {
                file.version = Some(version);
                self.published(ino, &path, version, file.modified)
            }
            Err(error) => {
                file.keep_changed();
                Err(of_write(&error))
            }
        }
    }

    /// What was changed in an open file is a version. Where a peer has written meanwhile it need not
    /// be the one that shows.
    fn published(
        &self,
        ino: INodeNo,
        path: &str,
        version: EntryId,
        modified: SystemTime,
    ) -> Result<()> {
        let shows = self.source.metadata(path).is_ok_and(|found| found.version() == Some(version));
        let mut table = self.table.lock();
        let node = table.node_mut(ino)?;
        node.is_new = false;
        node.told = Some(version);
        node.written = Some((version, modified));
        // Of what does not come from where the kernel looks it has to be told.
        let is_known = shows && node.path.is_some();
        drop(table);
        if is_known {
            self.note_own(path, Some(version));
        } else if let Some(notifier) = self.notifier.get()
            && let Err(error) = notifier.inval_inode(ino, -1, 0)
        {
            tracing::debug!(%error, "the kernel does not ask for a length again");
        }
        Ok(())
    }

    /// At each `close`: an entry, unless nothing was written. A shell opens a file, hands it to a
    /// program and closes it; that is no reason for an empty version.
    pub(super) fn flush(&self, ino: INodeNo) -> Result<()> {
        match self.file(ino) {
            Ok((file, _)) if file.lock().has_new_bytes => self.publish(ino),
            _ => Ok(()),
        }
    }

    pub(super) fn fsync(&self, ino: INodeNo) -> Result<()> {
        self.publish(ino)?;
        self.sync()
    }

    pub(super) fn sync(&self) -> Result<()> {
        let synced = self.source.fs().sync().map_err(crate::fs::WriteError::from);
        synced.map_err(|error| of_write(&error))
    }

    pub(super) fn release(&self, ino: INodeNo, number: u64) -> Result<()> {
        self.remove_handle(number);
        let done = self.publish(ino);
        self.let_go(ino);
        done
    }

    /// One handle less of a file. With the last one goes what could not become an entry.
    fn let_go(&self, ino: INodeNo) {
        let file = self.file(ino).ok();
        let _names = self.names.write();
        let mut table = self.table.lock();
        if !table.closed(ino) {
            return;
        }
        let lost =
            table.node(ino).ok().filter(|node| node.is_new).and_then(|node| node.path.clone());
        if let Some(path) = lost {
            table.detach(&path);
        }
        drop(table);
        if let Some((file, _)) = file {
            self.staged.fetch_sub(file.lock().staged(), Ordering::Relaxed);
        }
    }

    /// Makes entries of all that is open and was changed, and makes them durable: before the end.
    pub(super) fn publish_all(&self) -> Result<()> {
        let open = self.table.lock().open_files();
        let mut done = Ok(());
        for ino in open {
            done = done.and(self.publish(ino));
        }
        if self.source.writable().is_ok() { done.and(self.sync()) } else { done }
    }

    /// Remembers what this mount did, so that it is not told to the kernel, which knows.
    pub(super) fn note_own(&self, path: &str, version: Option<EntryId>) {
        let Some(version) = version else { return };
        let mut own = self.own.lock();
        if own.len() >= MAX_OWN {
            own.clear();
        }
        own.insert((String::from(path), version));
    }
}

/// Of the mode one bit is kept.
pub(super) fn is_executable(mode: u32) -> bool {
    mode & 0o100 != 0
}
