//! Versions as a graph: the latest at the top, lines to what each was built on.

use std::collections::{BTreeMap, BTreeSet};

use crate::request::VersionItem;

/// A row: what is drawn, and which of the versions stands beside it, if one does.
pub(super) type Row = (String, Option<usize>);

/// Draws versions, given latest first.
pub(super) fn rows(versions: &[VersionItem]) -> Vec<Row> {
    let numbers: BTreeMap<&str, usize> = versions
        .iter()
        .enumerate()
        .map(|(number, version)| (version.id.as_str(), number))
        .collect();
    let below: Vec<Vec<usize>> = versions
        .iter()
        .map(|version| {
            version.prev.iter().filter_map(|id| numbers.get(id.as_str()).copied()).collect()
        })
        .collect();
    let mut drawing = Drawing::default();
    for number in ordered(&below) {
        let mark = match versions[number].status.as_str() {
            "current" => '●',
            "cut" => '✕',
            "superseded" => '○',
            _ => '◌',
        };
        drawing.version(number, mark, &below[number]);
    }
    drawing.rows
}

/// The order to draw in: what was built on something above that, else as given.
fn ordered(below: &[Vec<usize>]) -> Vec<usize> {
    let mut above = vec![0_usize; below.len()];
    below.iter().flatten().for_each(|number| above[*number] += 1);
    let mut free: BTreeSet<usize> = (0..below.len()).filter(|number| above[*number] == 0).collect();
    let mut order = Vec::with_capacity(below.len());
    while let Some(number) = free.pop_first() {
        order.push(number);
        for next in &below[number] {
            above[*next] -= 1;
            if above[*next] == 0 {
                free.insert(*next);
            }
        }
    }
    order
}

#[derive(Debug, Default)]
struct Drawing {
    /// Of each column, which version its line leads to.
    lines: Vec<Option<usize>>,
    rows: Vec<Row>,
}

impl Drawing {
    fn version(&mut self, number: usize, mark: char, below: &[usize]) {
        let leading: Vec<usize> =
            (0..self.lines.len()).filter(|column| self.lines[*column] == Some(number)).collect();
        let (column, joining) = match leading.split_first() {
            Some((first, others)) => (*first, others.to_vec()),
            None => (self.open(number), Vec::new()),
        };
        self.connect(column, &joining, '┘', '┴');
        joining.iter().for_each(|joined| self.lines[*joined] = None);
        let drawn = (0..self.lines.len()).map(|at| match self.lines[at] {
            _ if at == column => mark,
            Some(_) => '│',
            None => ' ',
        });
        let row: Vec<String> = drawn.map(String::from).collect();
        self.rows.push((row.join(" ").trim_end().to_owned(), Some(number)));
        self.lines[column] = below.first().copied();
        let mut opened = Vec::new();
        for further in below.iter().skip(1) {
            opened.push(self.open(*further));
        }
        self.connect(column, &opened, '┐', '┬');
        while self.lines.last() == Some(&None) {
            self.lines.pop();
        }
    }

    /// A column for a line to a version, right of all that are in use.
    fn open(&mut self, number: usize) -> usize {
        self.lines.push(Some(number));
        self.lines.len() - 1
    }

    /// Draws a line from a column to others right of it.
    fn connect(&mut self, from: usize, to: &[usize], last: char, between: char) {
        let Some(end) = to.iter().max() else { return };
        let mut row = String::new();
        for at in 0..self.lines.len() {
            let is_line = self.lines[at].is_some();
            row.push(match at {
                _ if at == from => '├',
                _ if at == *end => last,
                _ if to.contains(&at) => between,
                _ if at > from && at < *end => {
                    if is_line {
                        '┼'
                    } else {
                        '─'
                    }
                }
                _ if is_line => '│',
                _ => ' ',
            });
            row.push(if at >= from && at < *end { '─' } else { ' ' });
        }
        self.rows.push((row.trim_end().to_owned(), None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(versions: &[(&str, &str, &[&str])]) -> String {
        let item = |(id, status, prev): &(&str, &str, &[&str])| VersionItem {
            id: (*id).into(),
            path: "/x".into(),
            verb: "write".into(),
            status: (*status).into(),
            author: "a".into(),
            label: String::new(),
            time: 0,
            size: None,
            renamed_to: None,
            renamed_from: None,
            prev: prev.iter().map(ToString::to_string).collect(),
        };
        let items: Vec<VersionItem> = versions.iter().map(item).collect();
        let row = |(line, number): Row| match number {
            Some(number) => format!("{line} {}\n", items[number].id),
            None => line + "\n",
        };
        rows(&items).into_iter().map(row).collect()
    }

    #[test]
    fn one_after_the_other() {
        let drawn = drawn(&[("b", "current", &["a"]), ("a", "superseded", &[])]);
        assert_eq!(drawn, "● b\n○ a\n");
    }

    #[test]
    fn a_fork_and_its_end() {
        let versions: [(&str, &str, &[&str]); 4] = [
            ("d", "current", &["b", "c"]),
            ("c", "superseded", &["a"]),
            ("b", "superseded", &["a"]),
            ("a", "superseded", &[]),
        ];
        assert_eq!(drawn(&versions), "● d\n├─┐\n│ ○ c\n○ │ b\n├─┘\n○ a\n");
    }

    /// What is drawn first is what was built on others, whatever the clocks of the authors say.
    #[test]
    fn branches_that_stay_open() {
        let versions: [(&str, &str, &[&str]); 4] = [
            ("a", "superseded", &[]),
            ("b", "lost", &["a"]),
            ("c", "current", &["a", "elsewhere"]),
            ("d", "cut", &[]),
        ];
        assert_eq!(drawn(&versions), "◌ b\n│ ● c\n├─┘\n○ a\n✕ d\n");
    }
}
