//! The vocabulary of the kernel: every request to its answer, and nothing else.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use crate::fuse::attributes::Room;
use crate::fuse::errno::Result;
use crate::fuse::naming::Changes;
use crate::fuse::volume::{Handle, Volume};
use crate::limits::MAX_NAME;

/// How long the kernel may answer by itself. Changes by peers are told to it at once; this is for
/// what a lost message would leave.
const TRUSTED: Duration = Duration::from_secs(1);
/// A number is never given twice, so it needs no generation.
const GENERATION: Generation = Generation(0);
/// What a listing says of a number that was not asked for.
const UNKNOWN: INodeNo = INodeNo(u32::MAX as u64);

/// What answers the kernel.
#[derive(Debug)]
pub(super) struct Kernel(pub(super) Arc<Volume>);

fn empty(reply: ReplyEmpty, done: Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(reply: ReplyEntry, found: Result<FileAttr>) {
    match found {
        Ok(attributes) => reply.entry(&TRUSTED, &attributes, GENERATION),
        Err(error) => reply.error(error),
    }
}

fn attributes(reply: ReplyAttr, found: Result<FileAttr>) {
    match found {
        Ok(attributes) => reply.attr(&TRUSTED, &attributes),
        Err(error) => reply.error(error),
    }
}

/// An attribute: its length if the caller asks with no room, its value if that fits.
fn value(reply: ReplyXattr, size: u32, found: Result<Vec<u8>>) {
    let found = found.and_then(|value| match u32::try_from(value.len()) {
        Ok(length) => Ok((length, value)),
        Err(_) => Err(Errno::E2BIG),
    });
    match found {
        Ok((length, _)) if size == 0 => reply.size(length),
        Ok((length, value)) if length <= size => reply.data(&value),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Kernel {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Whatever the kernel does not offer is done without.
        for wanted in [InitFlags::FUSE_DO_READDIRPLUS, InitFlags::FUSE_PARALLEL_DIROPS] {
            if let Err(missing) = config.add_capabilities(wanted) {
                tracing::debug!(?missing, "the kernel does without");
            }
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.0.lookup(parent, name));
    }

    fn forget(&self, _: &Request, ino: INodeNo, times: u64) {
        self.0.forget(ino, times);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attributes(reply, self.0.getattr(ino));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changes = Changes { mode, uid, gid, size, modified };
        attributes(reply, self.0.set_attributes(ino, changes));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.0.read_link(ino) {
            Ok(text) => reply.data(text.as_bytes()),
            Err(error) => reply.error(error),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, self.0.mknod(parent, name, mode));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        entry(reply, self.0.mkdir(parent, name));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.0.remove(parent, name, false));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.0.remove(parent, name, true));
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, text: &Path, reply: ReplyEntry) {
        let text = text.to_str().ok_or(Errno::EILSEQ);
        entry(reply, text.and_then(|text| self.0.symlink(parent, name, text)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.0.rename((parent, name), (new_parent, new_name), flags));
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.0.open(ino, flags) {
            Ok((number, kept)) => reply.opened(FileHandle(number), kept),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        match self.0.create(parent, name, mode, flags) {
            Ok((attributes, number, kept)) => {
                reply.created(&TRUSTED, &attributes, GENERATION, FileHandle(number), kept);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut reply = Some(reply);
        let answered = self.0.read(ino, handle.0, (offset, size), |bytes| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        });
        if let (Err(error), Some(reply)) = (answered, reply) {
            reply.error(error);
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let is_from_cache = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        let done = self.0.write(ino, (handle.0, is_from_cache), offset, data);
        match done.and_then(|()| u32::try_from(data.len()).map_err(|_| Errno::EINVAL)) {
            Ok(length) => reply.written(length),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, ino: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        empty(reply, self.0.flush(ino));
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.0.fsync(ino));
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let done = self.0.release(ino, handle.0);
        if let Err(error) = &done {
            // Nobody hears the answer; `close` was told the same if bytes had been written.
            tracing::warn!(?error, "what was changed in an open file did not become an entry");
        }
        empty(reply, done);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let number = self.0.add_handle(Handle::Dir(Arc::default()));
        reply.opened(FileHandle(number), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listed = match offset {
            0 => self.0.list(ino, handle.0),
            _ => self.0.listing(handle.0),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return reply.error(error),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, listed) in (1..).zip(listed.iter()).skip(from) {
            if reply.add(UNKNOWN, next, listed.kind, &listed.name) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let listed = match offset {
            0 => self.0.list(ino, handle.0),
            _ => self.0.listing(handle.0),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return reply.error(error),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, listed) in (1..).zip(listed.iter()).skip(from) {
            // What is gone since it was listed is left out.
            let Ok(attributes) = self.0.entry_of(ino, &listed.name) else { continue };
            if reply.add(attributes.ino, next, &listed.name, &TRUSTED, &attributes, GENERATION) {
                self.0.not_told(&listed.name, attributes.ino);
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.0.remove_handle(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.0.sync());
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let Room { all, free } = self.0.space();
        let names = u32::try_from(MAX_NAME).unwrap_or(u32::MAX);
        reply.statfs(all, free, free, 0, 0, Room::BLOCK, names, Room::BLOCK);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name = name.to_str().ok_or(Errno::NO_XATTR);
        let found = name.and_then(|name| self.0.get_attribute(ino, name));
        value(reply, size, found.map(String::into_bytes));
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        value(reply, size, self.0.list_attributes(ino));
    }

    fn setxattr(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: &[u8],
        _: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(Volume::refuse_attribute(name.to_str().unwrap_or_default()));
    }

    fn removexattr(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply.error(Volume::refuse_attribute(name.to_str().unwrap_or_default()));
    }
}
