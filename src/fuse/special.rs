//! `/.basefs`: what is not in the tree, as files and directories that can only be read.
//!
//! It is not listed in the root, so that whoever copies or searches the whole mount does not copy
//! its history too; it is there for those who name it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fuser::{Errno, FileType};

use crate::fs::Version;
use crate::fuse::errno::{Result, of_read};
use crate::fuse::source::{Source, time_of};
use crate::fuse::split;
use crate::fuse::volume::{About, Listed};

const TOP: &str = "/.basefs";
const STATUS: &str = "/.basefs/status";
const CONFLICTS: &str = "/.basefs/conflicts";
const LOST: &str = "/.basefs/lost+found";
const VERSIONS: &str = "/.basefs/versions";

/// Whether a path is in `/.basefs`, or is it.
pub(super) fn is_special(path: &str) -> bool {
    path == TOP || below(TOP, path).is_some()
}

/// Whether a path there is one that a hierarchy knows: in a directory that lost its place.
pub(super) fn is_of_hierarchy(path: &str) -> bool {
    below(LOST, path).is_some()
}

/// Whether the content can be another the next time.
pub(super) fn is_volatile(path: &str) -> bool {
    path == STATUS || path == CONFLICTS
}

fn below<'p>(dir: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(dir).filter(|rest| rest.starts_with('/'))
}

/// What a path in `versions` is.
enum Found {
    /// A directory of the hierarchy, with a directory for each name in it.
    Dir(String),
    /// A file of the hierarchy: a directory of its versions.
    Versions(Vec<Version>),
    Version(Version),
}

fn find(source: &Source, path: &str) -> Result<Found> {
    let path = if path.is_empty() { "/" } else { path };
    if source.metadata(path).is_ok_and(|about| about.is_dir()) {
        return Ok(Found::Dir(path.into()));
    }
    match source.versions(path) {
        Ok(versions) => return Ok(Found::Versions(versions)),
        Err(error) if error.code() == Errno::EIO.code() => return Err(error),
        // The last name may be that of a version.
        Err(_) => {}
    }
    let (file, name) = split(path).ok_or(Errno::ENOENT)?;
    let versions = source.versions(file).map_err(|_| Errno::ENOENT)?;
    let version = versions.into_iter().find(|version| file_name(version).as_deref() == Some(name));
    version.map(Found::Version).ok_or(Errno::ENOENT)
}

/// The name of a version of a file; others have no content to show.
fn file_name(version: &Version) -> Option<String> {
    version.size.map(|_| format!("{:.16}", version.id))
}

pub(super) fn about(source: &Source, path: &str) -> Result<About> {
    let dir = about_one(FileType::Directory, 0, UNIX_EPOCH);
    if let Some(path) = below(VERSIONS, path) {
        return match find(source, path)? {
            Found::Dir(_) | Found::Versions(_) => Ok(dir),
            Found::Version(version) => {
                let size = version.size.unwrap_or_default();
                Ok(about_one(FileType::RegularFile, size, time_of(&version)))
            }
        };
    }
    match path {
        TOP | VERSIONS => Ok(dir),
        _ if source.is_past() => Err(Errno::ENOENT),
        LOST => Ok(dir),
        STATUS | CONFLICTS => {
            let len = content(source, path)?.len() as u64;
            Ok(about_one(FileType::RegularFile, len, SystemTime::now()))
        }
        _ if is_of_hierarchy(path) => {
            let found = source.metadata(path)?;
            let kind = super::volume::kind_of(found.file_type());
            let modified = match found.version() {
                Some(version) => time_of(&source.version_info(&version)?),
                None => UNIX_EPOCH,
            };
            let is_executable = found.is_executable();
            Ok(About { is_executable, ..about_one(kind, found.len(), modified) })
        }
        _ => Err(Errno::ENOENT),
    }
}

fn about_one(kind: FileType, len: u64, modified: SystemTime) -> About {
    About { kind, len, is_executable: false, is_writable: false, modified, version: None }
}

pub(super) fn list(source: &Source, path: &str) -> Result<Vec<Listed>> {
    let listed = |name: String, kind| Listed { name, kind };
    let named = |text: &str, kind| listed(text.rsplit('/').next().unwrap_or_default().into(), kind);
    if path == VERSIONS || below(VERSIONS, path).is_some() {
        return match find(source, path.strip_prefix(VERSIONS).unwrap_or_default())? {
            Found::Dir(dir) => {
                let entries = source.read_dir(&dir)?;
                let names = entries.iter().map(|entry| entry.name().to_string());
                Ok(names.map(|name| listed(name, FileType::Directory)).collect())
            }
            Found::Versions(versions) => {
                let names = versions.iter().filter_map(file_name);
                Ok(names.map(|name| listed(name, FileType::RegularFile)).collect())
            }
            Found::Version(_) => Err(Errno::ENOTDIR),
        };
    }
    match path {
        TOP if source.is_past() => Ok(Vec::from([named(VERSIONS, FileType::Directory)])),
        TOP => Ok(Vec::from([
            named(CONFLICTS, FileType::RegularFile),
            named(LOST, FileType::Directory),
            named(STATUS, FileType::RegularFile),
            named(VERSIONS, FileType::Directory),
        ])),
        LOST => {
            let lost = source.fs().lost_and_found();
            Ok(lost.iter().map(|lost| named(&lost.path, FileType::Directory)).collect())
        }
        _ => Err(Errno::ENOTDIR),
    }
}

/// The content of a file there.
pub(super) fn content(source: &Source, path: &str) -> Result<Bytes> {
    if let Some(path) = below(VERSIONS, path) {
        return match find(source, path)? {
            Found::Version(version) => source.read_version(&version.id),
            Found::Dir(_) | Found::Versions(_) => Err(Errno::EISDIR),
        };
    }
    match path {
        _ if is_of_hierarchy(path) => Ok(source.read(path)?.0),
        STATUS => Ok(status(source).into()),
        CONFLICTS => {
            let conflicts = source.fs().conflicts("/").map_err(|error| of_read(&error))?;
            let lines: Vec<String> =
                conflicts.iter().map(|conflict| conflict.to_string() + "\n").collect();
            Ok(lines.concat().into())
        }
        _ => Err(Errno::EISDIR),
    }
}

fn status(source: &Source) -> String {
    let fs = source.fs();
    format!(
        "hierarchy {}\nnode {}\nauthor {}\nentries {}\nwritable {}\n",
        fs.hierarchy(),
        fs.node(),
        fs.author(),
        fs.entries(),
        if source.writable().is_ok() { "yes" } else { "no" },
    )
}
