//! From a hierarchy to a directory of this machine. What is only on this machine stays there.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Progress, link_text, list, read};
use crate::args::Export;
use crate::failure::{Cause, Failure};
use crate::render::Style;
use crate::request::{Item, Kind};
use crate::session::Session;

/// The name of a file until it is whole, unless something in the hierarchy is called so.
const UNFINISHED: &str = ".basefs-export";

/// Copies a directory of a hierarchy to this machine.
pub(crate) fn export(export: &Export, style: Style) -> Result<(), Failure> {
    let session = Session::open(&export.name)?;
    let at = export.version.as_deref();
    let (top, items) = list(&session, &export.path, at)?;
    if items.iter().any(|item| item.path == top) {
        return Err(Failure::usage(format!(
            "{top}: is no directory\n  print a file with `basefs cat`"
        )));
    }
    if !export.dry_run {
        let made = fs::create_dir_all(&export.dir);
        made.map_err(|error| Failure::io(export.dir.display(), &error))?;
    }
    let mut progress = Progress::new(items.len(), export.dry_run, style);
    let unfinished = unfinished(&items);
    // The last directory that something else stands in place of, such as a link to elsewhere.
    let mut blocked: Option<&str> = None;
    for item in &items {
        progress.step(&item.path);
        if blocked.is_some_and(|dir| is_below(dir, &item.path)) {
            continue;
        }
        let there = place(&export.dir, &top, &item.path);
        let beside = (!export.dry_run).then(|| there.with_file_name(&unfinished));
        match write(&session, item, &there, at, beside.as_deref()) {
            Ok(false) => progress.tally.unchanged += 1,
            Ok(true) => note(&mut progress, item)?,
            // Without the others there is no sense in going on.
            Err(failure) if matches!(failure.cause, Cause::Closed | Cause::Conflict) => {
                return Err(failure);
            }
            Err(failure) => {
                progress.problem(&failure.message);
                blocked = (item.kind == Kind::Dir).then_some(item.path.as_str()).or(blocked);
            }
        }
    }
    progress.end("exported")
}

fn is_below(dir: &str, path: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// Where a path of the hierarchy goes. Its names are no `..`, nor do they contain a slash.
fn place(dir: &Path, top: &str, path: &str) -> PathBuf {
    let below = path.strip_prefix(top.trim_end_matches('/')).unwrap_or(path);
    below
        .split('/')
        .filter(|name| !name.is_empty())
        .fold(dir.to_path_buf(), |dir, name| dir.join(name))
}

fn note(progress: &mut Progress, item: &Item) -> Result<(), Failure> {
    let tally = &mut progress.tally;
    match item.kind {
        Kind::Dir => tally.dirs += 1,
        Kind::Symlink | Kind::Alias => tally.links += 1,
        Kind::File => {
            tally.files += 1;
            tally.bytes += item.size;
        }
    }
    progress.would("write", &item.path)
}

/// The name of a file until it is whole: one that nothing in the hierarchy has.
fn unfinished(items: &[Item]) -> String {
    let mut name = UNFINISHED.to_owned();
    while items.iter().any(|item| item.path.rsplit('/').next() == Some(name.as_str())) {
        name.push('~');
    }
    name
}

/// Makes one thing as the hierarchy has it, unless it is so; whether there was something to do.
/// Without a place beside it, that is all there is to say.
fn write(
    session: &Session,
    item: &Item,
    there: &Path,
    at: Option<&str>,
    beside: Option<&Path>,
) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::io(there.display(), &error);
    let present = match fs::symlink_metadata(there) {
        Ok(metadata) => Some(metadata),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => None,
        Err(error) => return Err(failed(error)),
    };
    match item.kind {
        Kind::Dir => match present {
            // A link is not followed: what it leads to is not in the directory given.
            Some(metadata) if metadata.is_dir() => Ok(false),
            Some(_) => {
                Err(Failure::failed(format!("{}: a directory belongs here", there.display())))
            }
            None if beside.is_none() => Ok(true),
            None => fs::create_dir(there).map(|()| true).map_err(failed),
        },
        _ if present.as_ref().is_some_and(fs::Metadata::is_dir) => {
            Err(Failure::failed(format!("{}: a directory is in the way", there.display())))
        }
        Kind::Symlink | Kind::Alias => {
            let lost = || Failure::failed(format!("{}: leads nowhere", item.path));
            let text = link_text(item).ok_or_else(lost)?;
            if fs::read_link(there).is_ok_and(|present| present == Path::new(&text)) {
                return Ok(false);
            }
            if let Some(beside) = beside {
                clear(beside);
                let made = std::os::unix::fs::symlink(text, beside);
                made.and_then(|()| fs::rename(beside, there)).map_err(failed)?;
            }
            Ok(true)
        }
        Kind::File => {
            let content = read(session, &item.path, at)?;
            if is_so(present.as_ref(), there, item, &content) {
                return Ok(false);
            }
            if let Some(beside) = beside {
                write_file(beside, there, item, present.as_ref(), &content).map_err(failed)?;
            }
            Ok(true)
        }
    }
}

/// Whether a file is as the hierarchy has it.
fn is_so(present: Option<&fs::Metadata>, there: &Path, item: &Item, content: &[u8]) -> bool {
    present.is_some_and(|metadata| {
        metadata.is_file()
            && metadata.len() == content.len() as u64
            && (metadata.permissions().mode() & 0o111 != 0) == item.executable
    }) && fs::read(there).is_ok_and(|present| present == content)
}

/// Takes away what an export left that was killed.
fn clear(beside: &Path) {
    let _ = fs::remove_file(beside);
}

/// Writes a file whole or not at all: beside it, and renamed.
fn write_file(
    beside: &Path,
    there: &Path,
    item: &Item,
    present: Option<&fs::Metadata>,
    content: &[u8],
) -> io::Result<()> {
    clear(beside);
    // A link that somebody put there meanwhile is not followed.
    let made = fs::File::options().write(true).create_new(true).open(beside)?;
    let written = io::Write::write_all(&mut &made, content).and_then(|()| {
        let new = made.metadata()?.permissions().mode();
        let mode = present
            .filter(|metadata| metadata.is_file())
            .map_or(new, |metadata| metadata.permissions().mode() & 0o7777);
        // Who may read it may run it.
        let mode = match item.executable {
            true => mode | (mode & 0o444) >> 2,
            false => mode & !0o111,
        };
        made.set_permissions(fs::Permissions::from_mode(mode))?;
        fs::rename(beside, there)
    });
    if written.is_err() {
        clear(beside);
    }
    written
}
