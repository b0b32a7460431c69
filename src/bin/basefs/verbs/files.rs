//! Files and directories.

use basefs::Fs;
use basefs::fs::{Expected as Wanted, Metadata};
use bytes::Bytes;

use super::{Answered, done, ids, items};
use crate::failure::Failure;
use crate::request::{Change, Expected, Message, Response};

pub(super) fn read(fs: &Fs, path: &str, at: Option<&str>) -> Answered {
    let (content, version) = match at {
        None => {
            let (content, version) = fs.read_with_version(path)?;
            (content, Some(version))
        }
        // What is no version of the hierarchy may be one of the file.
        Some(text) => match ids::frontier(fs, text) {
            Ok(frontier) => {
                let then = fs.at(&frontier)?;
                (then.read(path)?, then.metadata(path)?.version())
            }
            Err(_) => {
                let version = ids::version_of(fs, path, text)?;
                (fs.read_version(&version)?, Some(version))
            }
        },
    };
    let head = Response::Content { version: version.map(|version| version.to_string()) };
    Ok(Message { head, body: content })
}

pub(super) fn list(
    fs: &Fs,
    path: &str,
    recursive: bool,
    at: Option<&str>,
) -> Result<Response, Failure> {
    let then = at.map(|text| ids::snapshot(fs, text)).transpose()?;
    let metadata = match &then {
        Some(then) if !is_root(path) => Some(then.metadata(path)?),
        None if !is_root(path) => Some(fs.metadata(path)?),
        _ => None,
    };
    // The path as the hierarchy has it: `a//b/` is `/a/b`.
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let top = format!("/{}", names.join("/"));
    if let Some(metadata) = metadata.filter(|metadata| !metadata.is_dir()) {
        return Ok(Response::Listing { items: vec![items::item(&top, &metadata)], top });
    }
    let entries = match (&then, recursive) {
        (None, false) => fs.read_dir(path)?,
        (None, true) => fs.walk(path)?.collect(),
        (Some(then), false) => then.read_dir(path)?,
        (Some(then), true) => then.walk(path)?.collect(),
    };
    let items = entries.iter().map(|entry| items::item(entry.path(), entry.metadata())).collect();
    Ok(Response::Listing { top, items })
}

fn is_root(path: &str) -> bool {
    path.bytes().all(|byte| byte == b'/')
}

pub(super) fn write(
    fs: &Fs,
    path: &str,
    content: Bytes,
    executable: Option<bool>,
    expected: Option<Expected>,
) -> Result<Response, Failure> {
    let version = match expected {
        None if executable == Some(true) => {
            let mut batch = fs.batch();
            batch.write_executable(path, content, true)?;
            batch.commit()?;
            return Ok(Response::Done { version: version_now(fs.metadata(path).ok()) });
        }
        None => fs.write(path, content)?,
        Some(Expected::Absent) => fs.write_if(path, Wanted::Absent, content)?,
        Some(Expected::Version(text)) => {
            fs.write_if(path, ids::version_of(fs, path, &text)?, content)?
        }
    };
    match executable {
        Some(executable) => done(fs.set_executable(path, executable)?),
        None => done(version),
    }
}

fn version_now(metadata: Option<Metadata>) -> Option<String> {
    Some(metadata?.version()?.to_string())
}

/// Makes many changes together, or none.
pub(super) fn batch(fs: &Fs, changes: &[Change], mut body: Bytes) -> Result<Response, Failure> {
    let mut batch = fs.batch();
    for change in changes {
        match change {
            Change::File { path, length, executable } => {
                if *length > body.len() {
                    return Err(Failure::usage("the request lacks content"));
                }
                batch.write_executable(path, body.split_to(*length), *executable)?;
            }
            Change::Symlink { path, target } => batch.symlink(target, path),
            Change::Dir { path } => batch.create_dir_all(path),
        }
    }
    batch.commit()?;
    Ok(Response::Done { version: None })
}

pub(super) fn remove(fs: &Fs, path: &str, recursive: bool) -> Result<Response, Failure> {
    done(if recursive { fs.remove_all(path)? } else { fs.remove(path)? })
}

pub(super) fn rename(fs: &Fs, from: &str, to: &str, across: bool) -> Result<Response, Failure> {
    done(if across { fs.rename_across(from, to)? } else { fs.rename(from, to)? })
}
