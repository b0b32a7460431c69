//! How wide things are, and how they fit where they are shown.

use unicode_width::UnicodeWidthChar;

/// Fewest columns that are counted with: narrower, nothing is readable.
const MIN_COLUMNS: usize = 10;
/// How much further a line goes in that goes on what the line above it began.
const HANGING: usize = 2;

/// The columns there are; nothing if that does not matter, as in a file or a pipe.
///
/// What the environment says counts before what the terminal says, as people expect of `COLUMNS`.
pub(crate) fn columns() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let is_some = |columns: &usize| *columns > 0;
    let seen = || terminal_size::terminal_size_of(std::io::stdout()).map(|(wide, _)| wide.0.into());
    said.filter(is_some).or_else(seen).filter(is_some).map(|columns| columns.max(MIN_COLUMNS))
}

/// The rows that a terminal has.
pub(crate) fn rows() -> Option<usize> {
    let seen = terminal_size::terminal_size_of(std::io::stdout());
    seen.map(|(_, high)| usize::from(high.0)).filter(|rows| *rows > 0)
}

/// The columns that a text takes; colours take none.
pub(crate) fn width(text: &str) -> usize {
    cells(text).map(|(_, cells)| cells).sum()
}

/// The beginning of a line that fits, with what ends its colours.
pub(crate) fn clip(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let room = columns.saturating_sub(1);
    let (mut clipped, mut taken, mut is_full) = (String::new(), 0, false);
    for (c, cells) in cells(line) {
        is_full = is_full || taken + cells > room;
        // What has no width ends colours that began before.
        if cells == 0 && (c == '\x1b' || clipped_in_colour(&clipped)) || !is_full {
            clipped.push(c);
            taken += cells;
        }
    }
    clipped.push('…');
    clipped
}

/// Whether a text ends within the sequence that begins or ends a colour.
fn clipped_in_colour(text: &str) -> bool {
    text.rfind('\x1b').is_some_and(|at| !text[at..].contains('m'))
}

/// The characters of a text, each with the columns it takes.
fn cells(text: &str) -> impl Iterator<Item = (char, usize)> + '_ {
    let mut in_colour = false;
    text.chars().map(move |c| {
        in_colour |= c == '\x1b';
        let cells = if in_colour { 0 } else { c.width().unwrap_or_default() };
        in_colour &= c != 'm';
        (c, cells)
    })
}

/// The same text in lines no wider than that, broken between words. A word that is wider stays
/// whole: it is an id or a path, and somebody may want to copy it.
pub(crate) fn fit(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let mut fitted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match width(line.trim_end()) {
            wide if wide <= columns => fitted.push_str(line),
            _ => wrap(line, columns, &mut fitted),
        }
    }
    fitted
}

fn wrap(line: &str, columns: usize, to: &mut String) {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let hanging = (indent + HANGING).min(columns / 2);
    let mut taken = 0;
    let mut gap = indent.min(columns / 2);
    for word in line.trim().split(' ') {
        if word.is_empty() {
            // Columns that do not fit need not be aligned.
            gap = (gap + 1).min(HANGING);
            continue;
        }
        let wide = width(word);
        if taken > 0 && taken + gap + wide > columns {
            to.push('\n');
            (taken, gap) = (0, hanging);
            // A word that does not fit all the same gets the line to itself.
            if hanging + wide > columns {
                gap = 0;
            }
        }
        to.extend(std::iter::repeat_n(' ', gap));
        to.push_str(word);
        (taken, gap) = (taken + gap + wide, 1);
    }
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room_and_wide_characters_take_two_columns() {
        assert_eq!(width("\x1b[1;34metc\x1b[0m"), 3);
        assert_eq!(width("東京"), 4);
        assert_eq!(clip("東京都", 5), "東京…");
        assert_eq!(clip("東京都", 4), "東…");
        assert_eq!(clip("\x1b[31mmany words\x1b[0m", 5), "\x1b[31mmany\x1b[0m…");
        assert_eq!(clip("fits", 4), "fits");
        assert_eq!(clip("no", 0), "…");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let fitted = |text: &str| fit(text, Some(10));
        assert_eq!(fitted("short\n"), "short\n");
        assert_eq!(fitted("a line of words\n"), "a line of\n  words\n");
        assert_eq!(fitted("  in  0123456789abcdef  x\n"), "  in\n0123456789abcdef\n    x\n");
        assert_eq!(fitted("one        two\n"), "one  two\n");
        assert_eq!(fitted(""), "");
        assert_eq!(fit("as it is, however wide\n", None), "as it is, however wide\n");
    }
}
