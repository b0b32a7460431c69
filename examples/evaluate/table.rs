//! The summary: one row for each target.

use std::fmt::Write as _;

use serde_json::json;

use crate::stats::figure;

/// A target and what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    /// Network, size and what is told.
    pub(crate) case: String,
    pub(crate) value: f64,
    /// The worst seed, where the value is a median.
    pub(crate) worst: Option<f64>,
    pub(crate) unit: &'static str,
    /// What the baseline or the publication says of the same.
    pub(crate) peer: Option<f64>,
    pub(crate) target: Target,
}

/// What a value should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// At most, and that of the worst seed.
    WorstAtMost(f64),
}

impl Row {
    pub(crate) fn is_met(&self) -> bool {
        match self.target {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
            Target::WorstAtMost(most) => self.worst.unwrap_or(self.value) <= most,
        }
    }

    fn target_text(&self) -> String {
        let unit = self.unit;
        match self.target {
            Target::AtMost(most) => format!("<= {} {unit}", figure(most)),
            Target::AtLeast(least) => format!(">= {} {unit}", figure(least)),
            Target::WorstAtMost(most) => format!("worst <= {} {unit}", figure(most)),
        }
    }

    /// One object for a machine: `{id, case, value, worst, unit, peer, target, met}`. What never
    /// happened has no number, and is `null`.
    pub(crate) fn to_json(&self) -> String {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        json!({
            "id": self.id,
            "case": self.case,
            "value": finite(Some(self.value)),
            "worst": finite(self.worst),
            "unit": self.unit,
            "peer": finite(self.peer),
            "target": self.target_text(),
            "met": self.is_met(),
        })
        .to_string()
    }
}

/// All rows under one heading.
pub(crate) fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.case.chars().count()).max().unwrap_or(0).max(4);
    let mut text = String::new();
    let heading = format!(
        "{:<3} {:<width$} {:>9} {:>9} {:<9} {:>9}  {:<22} result",
        "row", "case", "median", "worst", "", "peer", "target"
    );
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{heading}\n{}", "-".repeat(heading.len()));
    for row in rows {
        let optional = |value: Option<f64>| value.map_or("-".to_owned(), figure);
        let _ = writeln!(
            text,
            "{:<3} {:<width$} {:>9} {:>9} {:<9} {:>9}  {:<22} {}",
            row.id,
            row.case,
            figure(row.value),
            optional(row.worst),
            row.unit,
            optional(row.peer),
            row.target_text(),
            if row.is_met() { "met" } else { "NOT MET" },
        );
    }
    text
}
