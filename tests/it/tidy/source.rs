//! Source text for the checks: comments and strings blanked out, conditional items marked.

use std::fmt;

/// What begins an item.
const ITEMS: [&str; 10] =
    ["fn", "impl", "struct", "enum", "trait", "mod", "use", "const", "static", "type"];

/// One thing to put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) what: String,
    pub(super) why: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.what, self.why)
    }
}

/// A file of the repository; the path is relative to its top, with forward slashes.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(super) fn finding(
        &self,
        line: usize,
        what: impl Into<String>,
        why: &'static str,
    ) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into(), why }
    }

    /// The path of the module in this file: `["block", "tree"]` for `src/block/tree.rs`, nothing
    /// for `src/lib.rs` and for what is not part of the library.
    pub(super) fn module(&self) -> Vec<&str> {
        let Some(path) = self.path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs"))
        else {
            return Vec::new();
        };
        let mut module: Vec<&str> = path.split('/').collect();
        if matches!(module.last(), Some(&("mod" | "lib" | "main"))) {
            module.pop();
        }
        if module.first() == Some(&"bin") { Vec::new() } else { module }
    }
}

/// A line of a file.
pub(super) struct Line {
    pub(super) number: usize,
    /// As written.
    pub(super) raw: String,
    /// With comments and the insides of strings blanked out.
    pub(super) code: String,
    /// Compiled for tests only.
    pub(super) test: bool,
    /// Compiled with a feature only.
    pub(super) gated: bool,
}

/// Blanks out comments and the insides of strings and characters; line breaks stay.
pub(super) fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hashes = rest.len() - rest.trim_start_matches(['r', '#']).len();
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            match rest[hashes..].strip_prefix('"') {
                Some(raw) => {
                    let end = format!("\"{}", "#".repeat(hashes - 1));
                    hashes + 1 + raw.find(&end).map_or(raw.len(), |at| at + end.len())
                }
                None => 0,
            }
        } else if first == '"' || is_character(rest) {
            quoted(rest, first)
        } else {
            0
        };
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let blanked = rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' });
            code.extend(blanked);
            rest = &rest[length..];
        }
    }
    code
}

/// Whether a quote starts a character and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next() == Some('\'') && (chars.next() == Some('\\') || chars.next() == Some('\''))
}

/// The length of a string or character with escapes, quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return position + c.len_utf8();
        }
    }
    rest.len()
}

/// What an attribute says about the item after it: for tests only, behind a feature.
fn condition(raw: &str) -> Option<(bool, bool)> {
    let attribute = raw.trim_start();
    if !attribute.starts_with("#[cfg(") && !attribute.starts_with("#![cfg(") {
        return None;
    }
    let negated = attribute.contains("not(");
    let test = attribute.contains("(test)") || attribute.contains("(test,");
    Some((test && !negated, attribute.contains("feature") && !negated))
}

/// A condition that holds from its attribute to the end of the item after it.
struct Open {
    condition: (bool, bool),
    depth: usize,
    /// The body of the item has begun.
    body: bool,
    /// The item is not a field, a variant or an arm: a comma does not end it.
    item: bool,
}

impl Open {
    /// Reads on; says whether the condition still holds.
    fn read(&mut self, c: char, depth: usize) -> bool {
        self.body |= c == '{';
        match c {
            '}' if self.body && depth == self.depth => false,
            ')' | ']' | '}' => depth >= self.depth,
            ';' => depth > self.depth,
            ',' => self.item || depth > self.depth,
            _ => true,
        }
    }
}

/// Splits a file into lines and marks what is compiled only for tests or with a feature.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let code = blank(text);
    let mut lines: Vec<Line> = Vec::new();
    let mut whole = (false, false);
    let mut open: Vec<Open> = Vec::new();
    let mut depth = 0_usize;
    for (index, (raw, code)) in text.lines().zip(code.lines()).enumerate() {
        if let Some(condition) = condition(raw) {
            if raw.trim_start().starts_with("#!") {
                whole = condition;
            } else {
                open.push(Open { condition, depth, body: false, item: false });
            }
        }
        let test = whole.0 || open.iter().any(|open| open.condition.0);
        let gated = whole.1 || open.iter().any(|open| open.condition.1);
        lines.push(Line { number: index + 1, raw: raw.into(), code: code.into(), test, gated });
        if code.trim_start().starts_with("#[") {
            continue;
        }
        let item = ITEMS.iter().any(|word| word_positions(code, word).next().is_some());
        open.iter_mut().for_each(|open| open.item |= item);
        for c in code.chars() {
            match c {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            open.retain_mut(|open| open.read(c, depth));
        }
    }
    lines
}

/// Where a word stands in code, as a word of its own.
pub(super) fn word_positions<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(position, _)| position).filter(move |&position| {
        let after = &code[position + word.len()..];
        let ends = !word.ends_with(is_name) || !after.starts_with(is_name);
        ends && !code[..position].ends_with(is_name)
    })
}
