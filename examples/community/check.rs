//! A hierarchy against the directory it was imported from.

use std::fs;
use std::path::{Path, PathBuf};

use basefs::Fs;
use basefs::entry::{Body, FileData, Payload};
use basefs::fs::FileType;
use basefs::time::WallTime;
use basefs::wire::SecretKey;

use crate::Error;
use crate::import::{is_executable, list, place};

/// What a comparison found.
#[derive(Default)]
pub(crate) struct Compared {
    pub(crate) files: usize,
    pub(crate) dirs: usize,
    pub(crate) symlinks: usize,
    pub(crate) differences: Vec<String>,
}

/// Compares everything below a directory with what a replica shows.
pub(crate) fn compare(replica: &Fs, source: &Path) -> Result<Compared, Error> {
    let mut compared = Compared::default();
    let mut unreadable = Vec::new();
    let paths = list(source, &mut unreadable);
    let mut expected = 0;
    for path in &paths {
        let Some(place) = place(source, path) else { continue };
        let Ok(metadata) = fs::symlink_metadata(path) else { continue };
        let same = if metadata.is_symlink() {
            let Ok(Some(target)) = fs::read_link(path).map(|t| t.to_str().map(String::from)) else {
                continue;
            };
            compared.symlinks += 1;
            replica.read_link(&place).is_ok_and(|shown| shown == target)
        } else if metadata.is_dir() {
            compared.dirs += 1;
            replica.metadata(&place).is_ok_and(|shown| shown.is_dir())
        } else if metadata.is_file() {
            let Ok(content) = fs::read(path) else { continue };
            compared.files += 1;
            let executable = replica.metadata(&place).map(|shown| shown.is_executable());
            replica.read(&place).is_ok_and(|shown| shown == content)
                && executable == Ok(is_executable(&metadata))
        } else {
            continue;
        };
        expected += 1;
        if !same {
            let why = replica.read(&place).err().map_or("differs".into(), |why| why.to_string());
            compared.differences.push(format!("{place}: {why}"));
        }
    }
    let top = place(source, source).ok_or("the name of the directory is not UTF-8")?;
    let shown = replica.walk(&top)?.count() + 1;
    if shown != expected {
        compared.differences.push(format!("{top}: {shown} paths are shown, {expected} expected"));
    }
    Ok(compared)
}

/// All that a replica shows, with versions.
pub(crate) fn listing(replica: &Fs) -> Result<Vec<(String, FileType, Option<String>)>, Error> {
    let line = |entry: basefs::fs::DirEntry| {
        let version = entry.metadata().version().map(|id| id.to_string());
        (entry.path().to_owned(), entry.metadata().file_type().clone(), version)
    };
    Ok(replica.walk("/")?.map(line).collect())
}

/// What somebody without any grant could send: an entry that is well formed and well signed, and
/// cites the capability of a root key.
pub(crate) fn forged_by_stranger(replica: &Fs, path: &str) -> Result<Vec<u8>, Error> {
    let stranger = SecretKey::from_seed([0xe5; 32]);
    let current = replica.versions(path)?.into_iter().next().ok_or("nothing to overwrite")?;
    let mut name = PathBuf::from(path);
    let file = name.file_name().and_then(|name| name.to_str()).ok_or("no name")?.to_owned();
    name.pop();
    let dir = replica.dir_id(name.to_str().ok_or("not UTF-8")?)?;
    let body = Body {
        dir,
        name: file.into(),
        prev: vec![current.id],
        cap: replica.hierarchy(),
        key: stranger.public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload: Payload::Write {
            executable: false,
            data: FileData::Inline(b"eve was here"[..].into()),
        },
    };
    Ok(body.sign(&stranger)?.bytes().to_vec())
}
