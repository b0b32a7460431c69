//! Extended attributes, and how much room there is.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fuser::{Errno, INodeNo};

use crate::fs::Version;
use crate::fuse::errno::Result;
use crate::fuse::special;
use crate::fuse::volume::Volume;

const PREFIX: &str = "user.basefs.";
const AUTHOR: &str = "user.basefs.author";
const RANK: &str = "user.basefs.rank";
const VERSION: &str = "user.basefs.version";
const CONFLICT: &str = "user.basefs.conflict";

/// Room in blocks of [`Room::BLOCK`] bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) all: u64,
    pub(super) free: u64,
}

impl Room {
    pub(super) const BLOCK: u32 = 4_096;
    /// What is told where nothing is known: 1 TiB, so that nobody refuses to write.
    const UNKNOWN: Room = Room { all: 1 << 28, free: 1 << 28 };
}

impl Volume {
    /// The version that a path is at. The root has none, nor has what was only created.
    fn version_at(&self, ino: INodeNo) -> Result<Option<(String, Version)>> {
        let path = self.table.lock().path(ino)?;
        if special::is_special(&path) {
            return Ok(None);
        }
        let version = self.source.metadata(&path).ok().and_then(|found| found.version());
        let Some(version) = version else { return Ok(None) };
        Ok(Some((path, self.source.version_info(&version)?)))
    }

    /// The versions that lost, a line for each; nothing if nobody disagrees.
    fn conflict(&self, path: &str) -> Result<Option<String>> {
        let losers = self.source.explain(path)?.losers;
        let lines: Vec<String> = losers.iter().map(|loser| loser.version.to_string()).collect();
        Ok((!lines.is_empty()).then(|| lines.join("\n")))
    }

    pub(super) fn get_attribute(&self, ino: INodeNo, name: &str) -> Result<String> {
        if !name.starts_with(PREFIX) {
            return Err(Errno::NO_XATTR);
        }
        let (path, version) = self.version_at(ino)?.ok_or(Errno::NO_XATTR)?;
        match name {
            AUTHOR => Ok(version.author.to_string()),
            RANK => {
                let rank = version.rank;
                Ok(alloc::format!("{}.{}.{}", rank.depth, rank.grants, rank.root))
            }
            VERSION => Ok(version.id.to_string()),
            CONFLICT => self.conflict(&path)?.ok_or(Errno::NO_XATTR),
            _ => Err(Errno::NO_XATTR),
        }
    }

    /// The names of all attributes, each followed by a zero byte.
    pub(super) fn list_attributes(&self, ino: INodeNo) -> Result<Vec<u8>> {
        let Some((path, _)) = self.version_at(ino)? else { return Ok(Vec::new()) };
        let conflict = self.conflict(&path)?.map(|_| CONFLICT);
        let names = [AUTHOR, RANK, VERSION].into_iter().chain(conflict);
        Ok(names.flat_map(|name| name.bytes().chain([0])).collect())
    }

    /// Setting or removing one: ours are read-only, and others are not kept.
    pub(super) fn refuse_attribute(name: &str) -> Errno {
        if name.starts_with(PREFIX) { Errno::EPERM } else { Errno::ENOTSUP }
    }

    /// The room on the disk of the store.
    pub(super) fn space(&self) -> Room {
        let about = self.data_dir.as_ref().and_then(|dir| rustix::fs::statvfs(dir).ok());
        about.map_or(Room::UNKNOWN, |about| {
            let blocks = |count: u64| count.saturating_mul(about.f_frsize) / u64::from(Room::BLOCK);
            Room { all: blocks(about.f_blocks), free: blocks(about.f_bavail) }
        })
    }
}
