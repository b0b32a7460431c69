//! The summary.

use std::fmt;
use std::time::Duration;

use basefs::fs::Explanation;

use crate::check::Compared;
use crate::import::Imported;

/// Rows of a name and a value.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(String, String)>,
}

impl Table {
    fn row(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.rows.push((name.into(), value.into()));
    }

    pub(crate) fn imported(&mut self, imported: &Imported, entries: usize, took: Duration) {
        let Imported { files, dirs, symlinks, bytes, skipped } = imported;
        self.row(
            "imported by ana",
            format!("{files} files, {dirs} directories, {symlinks} symbolic links"),
        );
        self.row("", format!("{} in {}, durable", size(*bytes), seconds(took)));
        self.row("skipped", format!("{} (unreadable, or no file)", skipped.len()));
        self.row("entries", entries.to_string());
    }

    pub(crate) fn joined(&mut self, name: &str, entries: usize, took: Duration) {
        self.row(format!("{name} joined"), format!("{entries} entries in {}", seconds(took)));
    }

    pub(crate) fn stranger(&mut self, verdict: &str) {
        self.row("eve's entry", verdict);
    }

    pub(crate) fn reunited(&mut self, took: Duration) {
        self.row("equal again", format!("{} after connecting", seconds(took)));
    }

    pub(crate) fn contest(&mut self, explanation: &Explanation) {
        for line in explanation.lines() {
            let is_first = line.starts_with('/');
            self.row(if is_first { "who won" } else { "" }, line.trim());
        }
    }

    pub(crate) fn administered(&mut self, what: &str, outcome: &str) {
        self.row(what, outcome);
    }

    pub(crate) fn compared(&mut self, name: &str, compared: &Compared) {
        let Compared { files, dirs, symlinks, differences } = compared;
        let verdict = match differences.len() {
            0 => "equal".to_owned(),
            n => format!("{n} DIFFERENCES"),
        };
        self.row(
            format!("{name} against disk"),
            format!("{verdict}: {files} files, {dirs} directories, {symlinks} symbolic links"),
        );
    }

    pub(crate) fn wire(&mut self, name: &str, (sent, received): (u64, u64)) {
        self.row(
            format!("{name} on the wire"),
            format!("{} sent, {} received", size(sent), size(received)),
        );
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.rows {
            writeln!(f, "{name:width$}  {value}")?;
        }
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// Bytes for people, in powers of 1000.
fn size(bytes: u64) -> String {
    let (unit, divisor) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => ("kB", 1_000),
        1_000_000..1_000_000_000 => ("MB", 1_000_000),
        _ => ("GB", 1_000_000_000),
    };
    format!("{}.{:02} {unit}", bytes / divisor, bytes % divisor * 100 / divisor)
}
