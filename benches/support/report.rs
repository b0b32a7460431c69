//! What was asked for on the command line, and the table of what came out.
//!
//! Every figure stands beside what it is compared with, measured in the same run: absolute times
//! drift by a factor of ten on a shared machine, ratios stay.

// Compiled into each bench, and none uses all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use serde_json::json;

/// The command line: ids of rows (none means all), `--json`, `--dir DIR`, `--peer NAME=VALUE`.
#[derive(Debug, Default)]
pub(crate) struct Options {
    rows: Vec<String>,
    json: bool,
    /// A directory of the caller's choice, for rows that want one.
    pub(crate) dir: Option<PathBuf>,
    peers: BTreeMap<String, f64>,
}

impl Options {
    pub(crate) fn from_args() -> Self {
        let mut options = Self::default();
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--json" => options.json = true,
                // Cargo says it to every bench.
                "--bench" => {}
                "--dir" => options.dir = args.next().map(PathBuf::from),
                "--peer" => {
                    let peer = args.next().unwrap_or_default();
                    let (name, value) = peer.split_once('=').expect("--peer NAME=VALUE");
                    options.peers.insert(name.to_owned(), value.parse().expect("a number"));
                }
                row => options.rows.push(row.to_owned()),
            }
        }
        options
    }

    /// Whether a row was asked for.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row == id)
    }

    /// The figure of a peer that was measured by another program.
    pub(crate) fn peer(&self, name: &str) -> Option<f64> {
        self.peers.get(name).copied()
    }
}

/// A figure that another one is compared with, in the same unit.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) value: f64,
}

impl Reference {
    pub(crate) fn new(name: &str, value: f64) -> Self {
        Self { name: name.to_owned(), value }
    }
}

/// What a figure should be, as a multiple of something or by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most so many times the peer.
    TimesPeer(f64),
    /// At least so many times the peer.
    AtLeastTimesPeer(f64),
    /// At most so many times the limit.
    TimesLimit(f64),
    /// At least this part of the limit.
    PartOfLimit(f64),
    /// At most this.
    AtMost(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What the machine allows, whoever does it.
    pub(crate) limit: Option<Reference>,
    /// What others do.
    pub(crate) peer: Option<Reference>,
    pub(crate) target: Target,
}

impl Row {
    /// The figure as a multiple of what the target compares it with, if that was measured.
    fn ratio(&self) -> Option<f64> {
        let reference = match self.target {
            Target::TimesPeer(_) | Target::AtLeastTimesPeer(_) => self.peer.as_ref(),
            Target::TimesLimit(_) | Target::PartOfLimit(_) => self.limit.as_ref(),
            Target::AtMost(_) => return None,
        };
        // What costs nothing is no measure.
        let reference = reference.filter(|reference| reference.value > 0.0);
        reference.map(|reference| self.value / reference.value)
    }

    fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio();
        match self.target {
            Target::TimesPeer(most) | Target::TimesLimit(most) => ratio.map(|ratio| ratio <= most),
            Target::AtLeastTimesPeer(least) | Target::PartOfLimit(least) => {
                ratio.map(|ratio| ratio >= least)
            }
            Target::AtMost(most) => Some(self.value <= most),
        }
    }

    fn target_text(&self) -> String {
        match self.target {
            Target::TimesPeer(most) => format!("<= {most} x peer"),
            Target::AtLeastTimesPeer(least) => format!(">= {least} x peer"),
            Target::TimesLimit(most) => format!("<= {most} x limit"),
            Target::PartOfLimit(least) => format!(">= {least} x limit"),
            Target::AtMost(most) => format!("<= {most} {}", self.unit),
        }
    }

    fn to_json(&self) -> String {
        let value = |reference: &Option<Reference>| reference.as_ref().map(|r| r.value);
        let name = |reference: &Option<Reference>| reference.as_ref().map(|r| r.name.clone());
        json!({
            "id": self.id,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "limit": value(&self.limit),
            "limit_name": name(&self.limit),
            "peer": value(&self.peer),
            "peer_name": name(&self.peer),
            "ratio": self.ratio(),
            "target": self.target_text(),
            "met": self.is_met(),
        })
        .to_string()
    }

    fn to_text(&self) -> String {
        let reference = |reference: &Option<Reference>| match reference {
            Some(reference) => format!("{:>9} {}", figure(reference.value), reference.name),
            None => format!("{:>9}", "-"),
        };
        let ratio = self.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2} x"));
        let met = self.is_met().map_or("not compared", |met| if met { "met" } else { "NOT MET" });
        format!(
            "{:<3} {:<38} {:>9} {:<5} {:<26} {:<24} {:>8}  {:<14} {met}",
            self.id,
            self.what,
            figure(self.value),
            self.unit,
            reference(&self.limit),
            reference(&self.peer),
            ratio,
            self.target_text(),
        )
    }
}

/// Three significant digits are as many as a shared machine repeats.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Prints rows as they are measured.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self::with_json(options.json)
    }

    pub(crate) fn with_json(json: bool) -> Self {
        if !json {
            println!(
                "{:<3} {:<38} {:>9} {:<5} {:<26} {:<24} {:>8}  {:<14} result",
                "row", "what", "figure", "", "    limit", "    peer", "ratio", "target"
            );
        }
        Self { json }
    }

    pub(crate) fn row(&self, row: &Row) {
        println!("{}", if self.json { row.to_json() } else { row.to_text() });
    }

    /// Something that could not be measured, and why. It is not a row: nothing is compared.
    pub(crate) fn skip(&self, id: &str, why: &str) {
        if !self.json {
            println!("{id:<3} skipped: {why}");
        }
    }
}
