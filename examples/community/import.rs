//! A directory into a hierarchy.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use basefs::{Batch, Fs};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Error;

/// Bytes of content from which on a batch is committed.
const BATCH_BYTES: usize = 64 << 20;

/// What an import did.
#[derive(Default)]
pub(crate) struct Imported {
    pub(crate) files: usize,
    pub(crate) dirs: usize,
    pub(crate) symlinks: usize,
    pub(crate) bytes: u64,
    /// What could not be read or has no place in a hierarchy, and why.
    pub(crate) skipped: Vec<(PathBuf, String)>,
}

/// Where something below `source` stands in the hierarchy: under the last name of `source`. None if
/// a name on the way is not UTF-8.
pub(crate) fn place(source: &Path, path: &Path) -> Option<String> {
    let top = source.file_name().map_or(Some("root"), |name| name.to_str())?;
    let below = path.strip_prefix(source).ok()?.to_str()?;
    let place = format!("/{top}/{below}");
    Some(place.trim_end_matches('/').to_owned())
}

/// Everything below a directory, parents first; directories that cannot be listed are reported.
pub(crate) fn list(source: &Path, skipped: &mut Vec<(PathBuf, String)>) -> Vec<PathBuf> {
    let mut open = vec![source.to_path_buf()];
    let mut all = Vec::new();
    while let Some(path) = open.pop() {
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_dir {
            match fs::read_dir(&path) {
                Ok(entries) => {
                    open.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
                }
                Err(error) => skipped.push((path.clone(), error.to_string())),
            }
        }
        all.push(path);
    }
    all.sort();
    all
}

/// Imports a directory. What cannot be read is skipped and reported.
pub(crate) fn import(fs: &Fs, source: &Path) -> Result<Imported, Error> {
    let mut imported = Imported::default();
    let paths = list(source, &mut imported.skipped);
    let template = "{msg} [{bar:30}] {pos}/{len} {elapsed}";
    let bar = ProgressBar::new(paths.len() as u64)
        .with_message(format!("importing {}", source.display()))
        .with_style(ProgressStyle::with_template(template)?);
    let mut batch = fs.batch();
    for path in bar.wrap_iter(paths.iter()) {
        if let Err(why) = add(&mut batch, source, path, &mut imported)? {
            imported.skipped.push((path.clone(), why));
        }
        if batch.content_bytes() > BATCH_BYTES {
            core::mem::replace(&mut batch, fs.batch()).commit()?;
        }
    }
    batch.commit()?;
    Ok(imported)
}

/// Adds one file, directory or symbolic link to a batch, or says why not.
fn add(
    batch: &mut Batch,
    source: &Path,
    path: &Path,
    imported: &mut Imported,
) -> Result<Result<(), String>, Error> {
    let Some(place) = place(source, path) else { return Ok(Err("its name is not UTF-8".into())) };
    if let Some(Err(error)) = place.rsplit('/').next().map(basefs::entry::check_name) {
        return Ok(Err(error.to_string()));
    }
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if metadata.is_symlink() {
        return Ok(match fs::read_link(path).map(PathBuf::into_os_string) {
            Ok(target) => match target.into_string() {
                Ok(target) => {
                    batch.symlink(target, place);
                    imported.symlinks += 1;
                    Ok(())
                }
                Err(_) => Err("its target is not UTF-8".into()),
            },
            Err(error) => Err(error.to_string()),
        });
    }
    if metadata.is_dir() {
        batch.create_dir_all(place);
        imported.dirs += 1;
        return Ok(Ok(()));
    }
    if !metadata.is_file() {
        return Ok(Err("neither a file, a directory nor a symbolic link".into()));
    }
    match read(path) {
        Ok(content) => {
            imported.files += 1;
            imported.bytes += content.len() as u64;
            batch.write_executable(place, content, is_executable(&metadata))?;
            Ok(Ok(()))
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Whether its owner may run a file.
pub(crate) fn is_executable(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o100 != 0
}
