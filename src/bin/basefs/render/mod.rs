//! What people and programs read: the only place where answers are printed.

mod graph;
mod table;
mod text;
pub(crate) mod width;

use std::io::{IsTerminal, Write};

use crate::args::When;
use crate::failure::Failure;
use crate::request::{Message, Response, StatusItem};

pub(crate) use table::{Table, cell, painted};
pub(crate) use text::bytes;

/// Bytes that are encoded at a time; three of them are four characters.
const BASE64_PIECE: usize = 3 << 14;

/// How a listing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    Short,
    Long,
    Tree,
}

/// How answers are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) json: bool,
    pub(crate) color: bool,
    pub(crate) listing: Listing,
    /// Versions of the hierarchy in full.
    pub(crate) full: bool,
    /// The columns that lines are broken to fit in, where they have to.
    pub(crate) columns: Option<usize>,
}

impl Style {
    pub(crate) fn new(json: bool, when: When) -> Self {
        let is_wanted = || {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
            !refused && !dumb && std::io::stdout().is_terminal()
        };
        let color = match when {
            When::Always => true,
            When::Never => false,
            When::Auto => is_wanted(),
        };
        let color = color && !json;
        Self { json, color, listing: Listing::Short, full: false, columns: None }.measured()
    }

    /// The same for a terminal as wide as it is by now.
    pub(crate) fn measured(self) -> Self {
        Self { columns: width::columns().filter(|_| !self.json), ..self }
    }

    /// A text in a colour.
    pub(crate) fn paint(self, text: &str, paint: Paint) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
    }
}

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Dir,
    Link,
    Program,
    Good,
    Bad,
    Id,
    Faint,
    Strong,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Dir => "1;34",
            Paint::Link => "36",
            Paint::Program | Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Id => "33",
            Paint::Faint => "2",
            Paint::Strong => "1",
        }
    }
}

/// Prints an answer.
pub(crate) fn print(
    to: &mut impl Write,
    style: Style,
    answer: &Message<Response>,
) -> Result<(), Failure> {
    let written = match &answer.head {
        Response::Content { version } if style.json => {
            content(to, &answer.body, version.as_deref())
        }
        Response::Content { .. } => to.write_all(&answer.body),
        head if style.json => match serde_json::to_string(head) {
            Ok(line) => writeln!(to, "{line}"),
            Err(error) => Err(error.into()),
        },
        head => {
            let text = text::text(head, style);
            // A name is not broken where nothing else is in its line, nor is a drawing.
            let is_names =
                matches!(head, Response::Listing { .. }) && style.listing != Listing::Long;
            let columns = style.columns.filter(|_| !is_names);
            to.write_all(width::fit(&text, columns).as_bytes())
        }
    };
    written.and_then(|()| to.flush()).map_err(|error| Failure::output(&error))
}

/// How a replica and its node are, as `basefs status` prints it.
pub(crate) fn show_status(status: StatusItem, style: Style) -> Result<String, Failure> {
    let mut text = Vec::new();
    print(&mut text, style, &Message::bare(Response::Status(Box::new(status))))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A word of a command line that is to be copied: in quotes if a shell would take it for more, as
/// the path of somebody who means harm.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%…".contains(c);
    match text.chars().all(is_plain) && !text.is_empty() {
        true => text.to_owned(),
        false => format!("'{}'", plain(text).replace('\'', "'\\''")),
    }
}

/// Prints a content as JSON, piece by piece: it may be long.
fn content(to: &mut impl Write, bytes: &[u8], version: Option<&str>) -> std::io::Result<()> {
    write!(to, "{{\"answer\":\"content\",\"base64\":\"")?;
    for piece in bytes.chunks(BASE64_PIECE) {
        to.write_all(data_encoding::BASE64.encode(piece).as_bytes())?;
    }
    writeln!(to, "\",\"version\":{}}}", serde_json::to_string(&version)?)
}

/// A number of things, in the singular if it is one.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A text as it can go to a terminal: what would move the cursor or change the colour is shown
/// by its number.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Marks that turn the direction of writing can make one name look like another.
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let breaks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
        if c.is_control() || turns || breaks {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_steer_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\n"), "a\\u{1b}[31mb\\u{a}");
        assert_eq!(plain("txt\u{202e}exe"), "txt\\u{202e}exe");
        assert_eq!(plain("a\u{2028}b\u{61c}\u{feff}"), "a\\u{2028}b\\u{61c}\\u{feff}");
        assert_eq!(plain("Düsseldorf 東京"), "Düsseldorf 東京");
    }

    #[test]
    fn what_is_to_be_copied_is_one_word_for_a_shell() {
        for plain in ["/users/ana", "team", "./a-b_c", "/東京/ä"] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(word("/x; rm -rf ~"), "'/x; rm -rf ~'");
        assert_eq!(word("/it's"), r"'/it'\''s'");
        assert_eq!(word("$(id)\n"), r"'$(id)\u{a}'");
        assert_eq!(word(""), "''");
    }
}
