//! From a directory of this machine into a hierarchy. What is only in the hierarchy stays there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Progress, link_text, list, read};
use crate::args::Import;
use crate::failure::{Cause, Failure};
use crate::render::Style;
use crate::request::{Change, Item, Kind, Message, Request};
use crate::session::Session;

/// Bytes of content that are written together: one wait for the disk for many small files, and
/// little to repeat where something is refused.
const BATCH_BYTES: usize = 8 << 20;
/// Changes that are written together.
const BATCH_CHANGES: usize = 1_000;

/// Something on this machine that is to be in the hierarchy.
#[derive(Debug)]
struct Found {
    here: PathBuf,
    /// Its path in the hierarchy.
    there: String,
    metadata: fs::Metadata,
}

/// What is on its way into the hierarchy.
#[derive(Debug, Default)]
struct Load {
    changes: Vec<Change>,
    body: Vec<u8>,
}

/// Copies a directory into a hierarchy.
pub(crate) fn import(import: &Import, style: Style) -> Result<(), Failure> {
    let session = Session::open(&import.name)?;
    let (top, known) = match list(&session, &import.path, None) {
        Ok((top, mut items)) => {
            // A directory is not among what it shows.
            if items.iter().all(|item| item.path != top) {
                items.push(Item::dir(&top));
            }
            (top, items)
        }
        // Nothing is there yet; if it is something else, writing says so.
        Err(failure) if failure.cause == Cause::Failed => (import.path.clone(), Vec::new()),
        Err(failure) => return Err(failure),
    };
    let known: BTreeMap<String, Item> =
        known.into_iter().map(|item| (item.path.clone(), item)).collect();
    let mut progress = Progress::new(0, import.dry_run, style);
    let found = walk(&import.dir, &top, &mut progress)?;
    progress.bar.set_length(found.len() as u64);
    let mut load = Load::default();
    for one in &found {
        progress.step(&one.there);
        match change(&session, one, known.get(&one.there)) {
            Ok(None) => progress.tally.unchanged += 1,
            Ok(Some((change, content))) => {
                note(&mut progress, &change, known.contains_key(&one.there))?;
                let is_full = load.body.len() + content.len() > BATCH_BYTES
                    || load.changes.len() >= BATCH_CHANGES;
                if is_full {
                    send(&session, &mut load, import)?;
                }
                load.changes.push(change);
                match load.body.is_empty() {
                    _ if import.dry_run => {}
                    // A long file is not copied: it has a load to itself.
                    true => load.body = content,
                    false => load.body.extend(content),
                }
            }
            Err(Problem::Here(error)) => {
                progress.problem(&format!("{}: {error}", one.here.display()));
            }
            Err(Problem::There(failure)) => return Err(failure),
        }
    }
    send(&session, &mut load, import)?;
    progress.end("imported")
}

/// All that is below a directory, parents first, in the order of names; links are not followed.
fn walk(dir: &Path, top: &str, progress: &mut Progress) -> Result<Vec<Found>, Failure> {
    let metadata = fs::metadata(dir).map_err(|error| Failure::io(dir.display(), &error))?;
    if !metadata.is_dir() {
        let dir = dir.display();
        return Err(Failure::usage(format!(
            "{dir}: is no directory\n  write a file with `basefs put`"
        )));
    }
    let there = format!("/{}", top.trim_matches('/'));
    let mut found = Vec::new();
    let mut open = vec![Found { here: dir.to_path_buf(), there, metadata }];
    while let Some(one) = open.pop() {
        if one.metadata.is_dir() {
            match children(&one, progress) {
                Ok(children) => open.extend(children.into_iter().rev()),
                Err(error) => progress.problem(&format!("{}: {error}", one.here.display())),
            }
        }
        if one.there != "/" {
            found.push(one);
        }
    }
    Ok(found)
}

fn children(dir: &Found, progress: &mut Progress) -> io::Result<Vec<Found>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(&dir.here)? {
        let here = entry?.path();
        let name = here.file_name().and_then(|name| name.to_str());
        let (Some(name), Ok(metadata)) = (name, fs::symlink_metadata(&here)) else {
            progress.problem(&format!("{}: its name is no UTF-8, or it is gone", here.display()));
            continue;
        };
        let there = format!("{}/{name}", dir.there.trim_end_matches('/'));
        children.push(Found { there, here, metadata });
    }
    children.sort_by(|a, b| a.there.cmp(&b.there));
    Ok(children)
}

/// Why something is not imported.
enum Problem {
    /// It cannot be read here; the rest is imported.
    Here(io::Error),
    /// The hierarchy failed.
    There(Failure),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem::Here(error)
    }
}

/// What has to be done for something to be in the hierarchy; nothing if it is.
fn change(
    session: &Session,
    found: &Found,
    known: Option<&Item>,
) -> Result<Option<(Change, Vec<u8>)>, Problem> {
    let path = found.there.clone();
    let kind = found.metadata.file_type();
    if kind.is_dir() {
        let is_there = known.is_some_and(|item| item.kind == Kind::Dir);
        return Ok((!is_there).then(|| (Change::Dir { path }, Vec::new())));
    }
    if kind.is_symlink() {
        let target = fs::read_link(&found.here)?;
        let not_text = || io::Error::other("the text of this link is no UTF-8");
        let target = target.to_str().ok_or_else(not_text)?.to_owned();
        let is_link = |item: &&Item| matches!(item.kind, Kind::Symlink | Kind::Alias);
        let is_there = known.filter(is_link).and_then(link_text).is_some_and(|text| text == target);
        return Ok((!is_there).then(|| (Change::Symlink { path, target }, Vec::new())));
    }
    if !kind.is_file() {
        return Err(io::Error::other("neither a file nor a directory nor a symbolic link").into());
    }
    if found.metadata.len() > basefs::limits::MAX_FILE {
        return Err(io::Error::other("longer than a file of a hierarchy can be").into());
    }
    let content = fs::read(&found.here)?;
    let executable = found.metadata.permissions().mode() & 0o111 != 0;
    let is_alike = |item: &&Item| {
        item.kind == Kind::File
            && item.size == content.len() as u64
            && item.executable == executable
            && item.here
    };
    if known.filter(is_alike).is_some()
        && read(session, &path, None).map_err(Problem::There)? == content
    {
        return Ok(None);
    }
    Ok(Some((Change::File { path, length: content.len(), executable }, content)))
}

fn note(progress: &mut Progress, change: &Change, is_known: bool) -> Result<(), Failure> {
    let tally = &mut progress.tally;
    let path = match change {
        Change::File { path, length, .. } => {
            tally.files += 1;
            tally.bytes += *length as u64;
            path
        }
        Change::Symlink { path, .. } => {
            tally.links += 1;
            path
        }
        Change::Dir { path } => {
            tally.dirs += 1;
            path
        }
    };
    progress.would(if is_known { "change" } else { "add" }, path)
}

/// Writes what is waiting.
fn send(session: &Session, load: &mut Load, import: &Import) -> Result<(), Failure> {
    let Load { changes, body } = std::mem::take(load);
    if import.dry_run || changes.is_empty() {
        return Ok(());
    }
    let sent = session.call(Message { head: Request::Batch { changes }, body: body.into() });
    sent.map(drop).map_err(|mut failure| {
        failure.message.push_str(
            "\n  what came before stays; put that right and import again, what is there is skipped",
        );
        failure
    })
}
