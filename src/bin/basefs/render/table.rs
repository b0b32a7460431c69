//! Columns that are aligned.

use super::width::width;
use super::{Paint, Style, plain};

/// A cell: what it says and in which colour.
pub(crate) type Cell = (String, Option<Paint>);

/// Rows of cells; the last column is not filled up.
#[derive(Debug)]
pub(crate) struct Table {
    style: Style,
    rows: Vec<Vec<Cell>>,
    /// Columns that end where they end in every row: numbers.
    right: &'static [usize],
}

impl Table {
    pub(crate) fn new(style: Style, right: &'static [usize]) -> Self {
        Self { style, rows: Vec::new(), right }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().map(|(text, paint)| (plain(&text), paint)).collect());
    }

    /// The lines.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| width(text)).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, paint)) in row.iter().enumerate() {
                let missing = widths[column] - width(cell);
                let painted =
                    paint.map_or_else(|| cell.clone(), |paint| self.style.paint(cell, paint));
                if self.right.contains(&column) {
                    line.push_str(&" ".repeat(missing));
                }
                line.push_str(&painted);
                if column + 1 < row.len() {
                    let fill = if self.right.contains(&column) { 0 } else { missing };
                    line.push_str(&" ".repeat(fill + 2));
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell without colour.
pub(crate) fn cell(text: impl Into<String>) -> Cell {
    (text.into(), None)
}

/// A cell in a colour.
pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Cell {
    (text.into(), Some(paint))
}
