//! Commands that a node runs when something changes: `--handler PATH=COMMAND`.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::str::FromStr;

use basefs::Fs;
use basefs::handler::{Handler, HandlerEnd, HandlerReport, RunningHandler};

use crate::failure::Failure;
use crate::render;

/// Where a node remembers what its handlers have handled, in the directory of the replica.
const REMEMBERED: &str = "handlers";

/// A subtree, and a line of shell that is run for each path in it that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    subtree: String,
    command: String,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((subtree, command)) if subtree.starts_with('/') && !command.trim().is_empty() => {
                Ok(Self { subtree: subtree.into(), command: command.into() })
            }
            _ => Err("a handler is PATH=COMMAND, such as '/users=./on-change'".into()),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.subtree, self.command)
    }
}

/// Starts the handlers of a node; they run until they are dropped.
pub(crate) fn start(
    fs: &Fs,
    dir: &Path,
    wanted: &[Wanted],
) -> Result<Vec<RunningHandler>, Failure> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let remembered = dir.join(REMEMBERED);
    std::fs::create_dir_all(&remembered)
        .map_err(|error| Failure::io(remembered.display(), &error))?;
    let start = |wanted: &Wanted| {
        // Another command begins anew; the same one goes on where it was.
        let name = blake3::hash(wanted.to_string().as_bytes()).to_hex();
        let (tag, subtree) = (wanted.to_string(), wanted.subtree.clone());
        Handler::new(subtree, "sh")
            .arguments(["-c", &wanted.command])
            .remember(remembered.join(&name[..16]))
            .report(move |report| log(&tag, report))
            .start(fs)
            .map_err(|error| Failure::failed(format!("handler {wanted}: {error}")))
    };
    wanted.iter().map(start).collect()
}

/// Writes down what a handler does, for whoever reads the log of the node.
fn log(tag: &str, report: HandlerReport<'_>) {
    let line = match report {
        HandlerReport::Output { path, line } => format!("{path}: {line}"),
        HandlerReport::Ended { end: HandlerEnd::Done | HandlerEnd::Stopped, .. } => return,
        HandlerReport::Ended { path, end, given_up: true, .. } => {
            format!("{path}: {end}; given up until it changes")
        }
        HandlerReport::Ended { path, end, .. } => format!("{path}: {end}; it is tried again"),
        HandlerReport::NotRemembered { error } => {
            format!("what was handled could not be written down ({error})")
        }
        _ => return,
    };
    // A log that nobody takes any more stops no handler.
    let _ = writeln!(std::io::stderr(), "[{}] {}", render::plain(tag), render::plain(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_a_path_and_a_command() {
        let wanted: Wanted = "/users=test $A = 1".parse().unwrap();
        assert_eq!((wanted.subtree.as_str(), wanted.command.as_str()), ("/users", "test $A = 1"));
        assert_eq!(wanted.to_string(), "/users=test $A = 1");
        for wrong in ["", "/users", "users=x", "/users=", "/users= "] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong}");
        }
    }
}
