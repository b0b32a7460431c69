//! Whole trees, into a hierarchy and out of it.

mod export;
mod import;

use std::io::{IsTerminal, Write};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Cause, Failure};
use crate::render::width::fit;
use crate::render::{Style, count, plain};
use crate::request::{Item, Kind, Request, Response};
use crate::session::Session;
use crate::tell::output;

pub(crate) use export::export;
pub(crate) use import::import;

/// What came of it so far.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    bytes: u64,
    links: usize,
    dirs: usize,
    unchanged: usize,
    problems: usize,
    dry_run: bool,
}

/// A tally, and the bar that shows it.
#[derive(Debug)]
struct Progress {
    tally: Tally,
    bar: ProgressBar,
    style: Style,
}

impl Progress {
    fn new(total: usize, dry_run: bool, style: Style) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(total as u64)
        } else {
            ProgressBar::hidden()
        };
        let wanted = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
        if let Ok(style) = wanted {
            bar.set_style(style);
        }
        Self { tally: Tally { dry_run, ..Tally::default() }, bar, style }
    }

    /// The next path is looked at.
    fn step(&self, path: &str) {
        self.bar.set_message(plain(path));
        self.bar.inc(1);
    }

    /// Something that could not be read or made; the others go on.
    fn problem(&mut self, what: &str) {
        self.tally.problems += 1;
        let line = format!("basefs: {}", plain(what));
        // Where nobody can be told, the count at the end has to do.
        self.bar.suspend(|| drop(writeln!(std::io::stderr(), "{line}")));
    }

    /// Something that is to be done: in a dry run, all that is done is to say so.
    fn would(&self, what: &str, path: &str) -> Result<(), Failure> {
        if !self.tally.dry_run {
            return Ok(());
        }
        let line = if self.style.json {
            serde_json::json!({ "would": what, "path": path }).to_string()
        } else {
            format!("{what:<7} {}", plain(path))
        };
        self.bar.suspend(|| output(format!("{line}\n").as_bytes()))
    }

    /// Says what came of it.
    fn end(self, verb: &str) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let Tally { files, bytes, links, dirs, unchanged, problems, dry_run } = self.tally;
        let text = if self.style.json {
            serde_json::json!({
                "files": files, "bytes": bytes, "links": links, "dirs": dirs,
                "unchanged": unchanged, "problems": problems, "dry_run": dry_run,
            })
            .to_string()
        } else {
            let verb = if dry_run { format!("would have {verb}") } else { verb.to_owned() };
            let (files, links) = (count(files, "file", "files"), count(links, "link", "links"));
            let dirs = count(dirs, "directory", "directories");
            let text = format!(
                "{verb} {files} ({bytes} bytes), {links} and {dirs}; {unchanged} unchanged\n"
            );
            fit(&text, self.style.columns).trim_end().to_owned()
        };
        output(format!("{text}\n").as_bytes())?;
        match problems {
            0 => Ok(()),
            _ => Err(Failure::failed(format!("{problems} could not be {verb}: see above"))),
        }
    }
}

/// All that is below a path of the hierarchy, and the path itself unless it is a directory.
fn list(session: &Session, path: &str, at: Option<&str>) -> Result<(String, Vec<Item>), Failure> {
    let at = at.map(ToOwned::to_owned);
    let request = Request::List { path: path.to_owned(), recursive: true, at };
    match session.ask(request)?.head {
        Response::Listing { top, items } => Ok((top, items)),
        _ => {
            Err(Failure::new(Cause::Conflict, "the node answers something else\n  start it again"))
        }
    }
}

/// The content of a file of the hierarchy.
fn read(session: &Session, path: &str, at: Option<&str>) -> Result<Bytes, Failure> {
    let at = at.map(ToOwned::to_owned);
    Ok(session.ask(Request::Read { path: path.to_owned(), at })?.body)
}

/// The text of a symbolic link that means the same on a disk as in the hierarchy: that of an alias,
/// which is a path from the root, leads from where it is.
fn link_text(item: &Item) -> Option<String> {
    let target = item.target.clone()?;
    if item.kind != Kind::Alias {
        return Some(target);
    }
    let names = |path: &str| -> Vec<String> {
        path.split('/').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
    };
    let (from, to) = (names(&item.path), names(&target));
    let from = from.get(..from.len().saturating_sub(1))?;
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let steps: Vec<String> = up.chain(to[common..].iter().cloned()).collect();
    Some(if steps.is_empty() { ".".into() } else { steps.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_from_where_they_are() {
        let text = |path: &str, target: &str| {
            let target = Some(target.to_owned());
            link_text(&Item { kind: Kind::Alias, target, ..Item::dir(path) }).expect("a target")
        };
        assert_eq!(text("/conf", "/etc"), "etc");
        assert_eq!(text("/a/b/conf", "/a/etc"), "../etc");
        assert_eq!(text("/a/up", "/a"), ".");
        assert_eq!(text("/a/b/up", "/"), "../..");
    }
}
