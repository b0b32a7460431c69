//! The file in which a handler remembers how far it came.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::fs::Cursor;

/// Cursors of events that are not handled yet; of more, every other one is forgotten: then a little
/// more is handled again after a restart.
const MAX_AHEAD: usize = 4_096;
/// Longest file that is read: a cursor is a line of some sixty characters.
const MAX_FILE: u64 = 1_024;

/// Which cursors may be saved when, and the file.
#[derive(Debug)]
pub(super) struct Saved {
    file: Option<PathBuf>,
    /// Numbers of events, each with the cursor after it; the oldest first.
    ahead: VecDeque<(u64, Cursor)>,
    /// What is in the file.
    last: Option<Cursor>,
}

impl Saved {
    pub(super) fn new(file: Option<PathBuf>, last: Option<Cursor>) -> Self {
        Self { file, ahead: VecDeque::new(), last }
    }

    /// The cursor in a file; nothing if there is no file.
    pub(super) fn read(file: &Path) -> io::Result<Option<Cursor>> {
        let text = match File::open(file) {
            Ok(file) => io::read_to_string(io::Read::take(file, MAX_FILE))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let cursor = text.trim_end().parse();
        cursor.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// After the event of this number, and those without a number that follow it, a watch would
    /// resume here.
    pub(super) fn note(&mut self, number: u64, cursor: Cursor) {
        match self.ahead.back_mut() {
            Some((last, at)) if *last == number => *at = cursor,
            _ => self.ahead.push_back((number, cursor)),
        }
        if self.ahead.len() > MAX_AHEAD {
            let mut keep = false;
            self.ahead.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// Saves how far everything is handled, if that has changed.
    pub(super) fn save(&mut self, handled: u64) -> io::Result<()> {
        let mut reached = None;
        while self.ahead.front().is_some_and(|(number, _)| *number <= handled) {
            reached = self.ahead.pop_front();
        }
        let Some((number, cursor)) = reached else { return Ok(()) };
        // What follows without a number would otherwise begin behind what is saved.
        if self.ahead.is_empty() {
            self.ahead.push_back((number, cursor));
        }
        let Some(file) = self.file.as_ref().filter(|_| self.last != Some(cursor)) else {
            return Ok(());
        };
        write_whole(file, &format!("{cursor}\n"))?;
        self.last = Some(cursor);
        Ok(())
    }
}

/// Replaces a file at once: after a crash it is the one or the other.
fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    let mut writer = File::create(&new)?;
    writer.write_all(text.as_bytes())?;
    writer.sync_data()?;
    std::fs::rename(&new, file)
}
