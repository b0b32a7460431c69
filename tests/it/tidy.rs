//! The shape of the source, enforced: the direction of the rings, the purity of the core, the
//! length of functions and files, rules that are cited, and nothing left half done.
//!
//! Everything here reads source line by line, with comments and strings blanked out. It knows
//! nothing of macros that make paths or items; none in this crate do. Each check is a function
//! from text to findings, and has a test at the end that feeds it what it must find.

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::{File, Finding, Line, lines, word_positions};

/// Modules and their rings: a module names only modules of lower rings.
const RINGS: [(&str, u8); 17] = [
    ("id", 0),
    ("time", 0),
    ("limits", 0),
    ("wire", 1),
    ("entry", 2),
    ("block", 2),
    ("log", 3),
    ("authority", 4),
    ("view", 5),
    ("gossip", 6),
    ("sync", 6),
    ("node", 7),
    ("store", 8),
    ("net", 9),
    ("fs", 10),
    ("handler", 11),
    ("fuse", 11),
];

/// Rules whose implementation has landed: each is cited in the source and in a test.
const IMPLEMENTED: [&str; 67] = [
    "ENTRY-1",
    "ENTRY-2",
    "ENTRY-3",
    "ENTRY-4",
    "ENTRY-5",
    "ENTRY-6",
    "NAME-1",
    "NAME-2",
    "WRITE-1",
    "WRITE-2",
    "SIG-1",
    "ID-1",
    "DIR-1",
    "DIR-2",
    "SLOT",
    "VALUE-1",
    "CHAIN-1",
    "CHAIN-2",
    "CAP-1",
    "RANK-1",
    "RANK-2",
    "ADMIT-1",
    "ADMIT-2",
    "ADMIT-3",
    "ADMIT-4",
    "ADMIT-5",
    "ADMIT-6",
    "ADMIT-7",
    "ADMIT-8",
    "ADMIT-9",
    "ADMIT-10",
    "ADMIT-11",
    "ADMIT-12",
    "WAIT-1",
    "REVOKE-1",
    "REVOKE-2",
    "REVOKE-3",
    "AUTH-1",
    "READY-1",
    "READY-2",
    "FORK-1",
    "FORK-2",
    "FORK-3",
    "FORK-4",
    "FORK-5",
    "TREE-1",
    "TREE-2",
    "TREE-3",
    "TREE-4",
    "TREE-5",
    "VIEW-1",
    "VIEW-2",
    "VIEW-3",
    "VIEW-4",
    "ORDER-1",
    "ORDER-2",
    "CLIENT-1",
    "CLIENT-2",
    "CLIENT-3",
    "CLIENT-4",
    "CLIENT-5",
    "CLIENT-6",
    "CLIENT-10",
    "CLIENT-11",
    "AT-1",
    "GC-1",
    "GC-2",
];

/// What may lie at the top of the repository, besides dotfiles and licences.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "src",
    "examples",
    "tests",
    "fuzz",
    "benches",
];

/// Where the build puts its results; not part of the repository.
const BUILD_RESULTS: &str = "target";

const MAX_FUNCTION_LINES: usize = 60;
const MAX_FILE_LINES: usize = 600;

/// What the core must not name, and why.
const IMPURE: [(&str, &str); 12] = [
    ("std::", "the core builds without the standard library"),
    ("SystemTime", "time is an argument"),
    ("Instant", "time is an argument"),
    ("RandomState", "its order is random: a run could not be replayed"),
    ("DefaultHashBuilder", "its order may be random: a run could not be replayed"),
    ("thread", "the core has no threads"),
    ("rand", "randomness is an argument"),
    ("getrandom", "randomness is an argument"),
    ("OsRng", "randomness is an argument"),
    ("tokio", "the core has no I/O"),
    ("println", "libraries speak through return values"),
    ("eprintln", "libraries speak through return values"),
];

/// Words for work that was not done. Put together here so that this file may name them.
const UNDONE: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
];

fn report(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}\n", lines.join("\n"));
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files with this ending below a directory of the repository, in order.
fn files(under: &str, ending: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut open = vec![under.to_owned()];
    while let Some(path) = open.pop() {
        // `fuzz/target` and the like are not part of the repository.
        if path.ends_with(BUILD_RESULTS) || !top().join(&path).exists() {
            continue;
        }
        if top().join(&path).is_dir() {
            let children = fs::read_dir(top().join(&path)).unwrap();
            let name = |child: fs::DirEntry| child.file_name().into_string().unwrap();
            open.extend(children.map(|child| format!("{path}/{}", name(child.unwrap()))));
        } else if path.ends_with(ending) {
            let text = fs::read_to_string(top().join(&path)).unwrap();
            found.push(File { path, text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The name at the beginning of a path.
fn first_name(path: &str) -> &str {
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The top-level names of `{a, b::{c, d}}`, given what stands after the opening brace.
fn group_names(group: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (position, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(first_name(group[start..position].trim_start()));
                return names;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(first_name(group[start..position].trim_start()));
                start = position + 1;
            }
            _ => {}
        }
    }
    names
}

/// The top-level modules that a file names outside tests, with the line.
fn named_modules(file: &File) -> Vec<(usize, String)> {
    let kept = lines(&file.text);
    let code: Vec<&str> =
        kept.iter().map(|line| if line.test { "" } else { line.code.as_str() }).collect();
    let code = code.join("\n");
    let depth = file.module().len();
    let mut named = Vec::new();
    // From a file of depth n, n times `super` is the crate.
    for prefix in ["crate::".to_owned(), "super::".repeat(depth)] {
        if prefix.is_empty() {
            continue;
        }
        for position in word_positions(&code, &prefix) {
            // A longer chain of `super` was or will be found at its own start.
            if prefix.starts_with("super") && code[..position].ends_with("::") {
                continue;
            }
            let line = code[..position].matches('\n').count() + 1;
            let after = &code[position + prefix.len()..];
            let names = match after.strip_prefix('{') {
                Some(group) => group_names(group),
                None => vec![first_name(after)],
            };
            named.extend(names.into_iter().map(|name| (line, name.to_owned())));
        }
    }
    named
}

fn ring(module: &str) -> Option<u8> {
    RINGS.iter().find(|(name, _)| *name == module).map(|(_, ring)| *ring)
}

/// Every file names only modules of lower rings, or its own.
fn check_rings(file: &File) -> Vec<Finding> {
    let module = file.module();
    let Some(own) = module.first().filter(|name| **name != "manual") else { return Vec::new() };
    let Some(own_ring) = ring(own) else {
        return vec![file.finding(1, format!("module `{own}`"), "it is not in the table of rings")];
    };
    let mut findings = Vec::new();
    for (line, name) in named_modules(file) {
        let Some(other) = ring(&name).filter(|_| name != **own) else { continue };
        if other == own_ring {
            let what = format!("`{own}` names `{name}` of its own ring");
            findings.push(file.finding(line, what, "modules of one ring don't know each other"));
        } else if other > own_ring {
            let what = format!("`{own}` (ring {own_ring}) names `{name}` (ring {other})");
            findings.push(file.finding(line, what, "dependencies point inwards only"));
        }
    }
    findings
}

/// The files of modules that are declared behind a feature, and everything below them.
fn gated_modules(files: &[File]) -> BTreeSet<Vec<String>> {
    let mut gated = BTreeSet::new();
    for file in files {
        for line in lines(&file.text).iter().filter(|line| line.gated) {
            let declared = line.code.trim().trim_end_matches(';');
            if let Some(name) = declared.split("mod ").nth(1).filter(|_| line.code.contains(';')) {
                let parents = file.module().into_iter().chain([name]);
                gated.insert(parents.map(str::to_owned).collect());
            }
        }
    }
    gated
}

/// A file of the core has no ambient effects, outside tests and what a feature adds.
fn check_purity(file: &File, gated: &BTreeSet<Vec<String>>) -> Vec<Finding> {
    let module: Vec<String> = file.module().into_iter().map(str::to_owned).collect();
    let behind_feature = (1..=module.len()).any(|length| gated.contains(&module[..length]));
    if behind_feature || module.is_empty() && file.path != "src/lib.rs" {
        return Vec::new();
    }
    let maps: &[(&str, &str)] = if file.text.contains("hashbrown") {
        &[]
    } else {
        &[("HashMap", "its order is random"), ("HashSet", "its order is random")]
    };
    let mut findings = Vec::new();
    for line in lines(&file.text).iter().filter(|line| !line.test && !line.gated) {
        for (word, why) in IMPURE.iter().chain(maps) {
            if word_positions(&line.code, word).next().is_some() {
                findings.push(file.finding(line.number, format!("`{word}` in the core"), why));
            }
        }
    }
    findings
}

/// Functions and files outside tests are short enough to be read at once.
fn check_lengths(file: &File) -> Vec<Finding> {
    let lines: Vec<Line> = lines(&file.text).into_iter().filter(|line| !line.test).collect();
    let mut findings = Vec::new();
    if lines.len() > MAX_FILE_LINES {
        let what = format!("{} lines before tests", lines.len());
        findings.push(file.finding(1, what, "a file has at most 600: split the module"));
    }
    for (index, line) in lines.iter().enumerate() {
        if word_positions(&line.code, "fn ").next().is_none() {
            continue;
        }
        let length = function_length(&lines[index..]);
        if length > MAX_FUNCTION_LINES {
            let what = format!("a function of {length} lines");
            findings.push(file.finding(line.number, what, "a function has at most 60"));
        }
    }
    findings
}

/// The lines of the function that starts at the first line; 0 for a declaration without body.
fn function_length(lines: &[Line]) -> usize {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (index, line) in lines.iter().enumerate() {
        for c in line.code.chars() {
            match c {
                '{' => braces += 1,
                '}' if braces <= 1 => return index + 1,
                '}' => braces -= 1,
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return 0,
                _ => {}
            }
        }
    }
    lines.len()
}

/// The command takes no sources of the library by their path: it has the public API alone.
fn check_command(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in lines(&file.text) {
        let code: String = line.code.split_whitespace().collect();
        for word in ["#[path=", "include!("].iter().filter(|word| code.contains(**word)) {
            let why = "the command uses only what the library lets everybody use";
            findings.push(file.finding(line.number, format!("`{word}`"), why));
        }
    }
    findings
}

/// Nothing says that it is not done yet.
fn check_undone(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for word in UNDONE.iter().filter(|word| word_positions(line, word).next().is_some()) {
            findings.push(file.finding(index + 1, format!("`{word}`"), "do it, or leave it out"));
        }
    }
    findings
}

/// Nothing strange lies at the top of the repository.
fn check_top_level<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<Finding> {
    let is_known = |name: &str| {
        name.starts_with('.')
            || name.starts_with("LICENSE")
            || name == BUILD_RESULTS
            || TOP_LEVEL.contains(&name)
    };
    let stray = names.into_iter().filter(|name| !is_known(name));
    let why = "the top level holds what everyone expects there and nothing else";
    stray.map(|name| File::new(name, "").finding(0, "a stray file", why)).collect()
}

fn is_rule(name: &str) -> bool {
    let (word, number) = name.split_once('-').unwrap_or((name, ""));
    let word = word
        .strip_prefix('L')
        .filter(|rest| !rest.is_empty())
        .map_or(word, |law| if law.bytes().all(|byte| byte.is_ascii_digit()) { "L" } else { word });
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_uppercase())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The rules that a text defines: a line that starts with the name in bold, as a list item or not.
fn defined_rules(text: &str) -> Vec<String> {
    let bold = text.lines().filter_map(|line| line.trim_start_matches("- ").strip_prefix("**"));
    let names = bold.filter_map(|rest| rest.split_once("**")).map(|(name, _)| name);
    names.filter(|name| is_rule(name)).map(str::to_owned).collect()
}

/// The rules that a file cites: line, name, and whether a test cites it.
fn citations(file: &File) -> Vec<(usize, String, bool)> {
    let tests = file.path.starts_with("tests/");
    let mut cited = Vec::new();
    for line in lines(&file.text) {
        let comment = line.raw.trim_start();
        let Some(names) = comment.strip_prefix("// rule: ") else { continue };
        for name in names.split(',') {
            cited.push((line.number, name.trim().to_owned(), tests || line.test));
        }
    }
    cited
}

/// Every rule that is cited exists.
fn check_citations(file: &File, rules: &[String]) -> Vec<Finding> {
    let unknown = citations(file).into_iter().filter(|(_, name, _)| !rules.contains(name));
    let why = "no rule of this name stands in src/manual/rules.md";
    unknown.map(|(line, name, _)| file.finding(line, format!("`{name}` is cited"), why)).collect()
}

/// Every rule that is implemented is cited, where it is implemented and where it is tested.
fn check_implemented(files: &[File], implemented: &[&str]) -> Vec<Finding> {
    let cited: Vec<_> = files.iter().flat_map(citations).collect();
    let table = File::new("tests/it/tidy.rs", "");
    let mut findings = Vec::new();
    for rule in implemented {
        for (in_test, place) in [(false, "source"), (true, "test")] {
            if !cited.iter().any(|(_, name, test)| name == rule && *test == in_test) {
                let what = format!("`{rule}` is cited in no {place}");
                findings.push(table.finding(0, what, "a rule that is kept can be found"));
            }
        }
    }
    findings
}

fn rust_files() -> Vec<File> {
    ["src", "tests", "examples", "benches", "fuzz"]
        .into_iter()
        .flat_map(|directory| files(directory, ".rs"))
        .collect()
}

fn rules() -> Vec<String> {
    defined_rules(&fs::read_to_string(top().join("src/manual/rules.md")).unwrap())
}

#[test]
fn dependencies_point_inwards() {
    report(&files("src", ".rs").iter().flat_map(check_rings).collect::<Vec<_>>());
}

#[test]
fn the_core_is_pure() {
    let files = files("src", ".rs");
    let gated = gated_modules(&files);
    report(&files.iter().flat_map(|file| check_purity(file, &gated)).collect::<Vec<_>>());
}

#[test]
fn the_command_uses_the_public_api() {
    let files = files("src/bin", ".rs");
    assert!(!files.is_empty(), "the command was found");
    report(&files.iter().flat_map(check_command).collect::<Vec<_>>());
}

#[test]
fn functions_and_files_are_short() {
    report(&files("src", ".rs").iter().flat_map(check_lengths).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_undone() {
    let mut all = rust_files();
    all.extend(files("src", ".md"));
    all.extend(["README.md", "CHANGELOG.md", "Cargo.toml"].iter().flat_map(|name| files(name, "")));
    report(&all.iter().flat_map(check_undone).collect::<Vec<_>>());
}

#[test]
fn the_top_level_is_tidy() {
    let names = fs::read_dir(top()).unwrap();
    let names: Vec<String> =
        names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    report(&check_top_level(names.iter().map(String::as_str)));
}

#[test]
fn cited_rules_exist() {
    let rules = rules();
    let distinct: BTreeSet<&String> = rules.iter().collect();
    assert_eq!(distinct.len(), rules.len(), "a rule is defined once");
    assert!(rules.len() > 70, "the rules were found: {rules:?}");
    report(&rust_files().iter().flat_map(|file| check_citations(file, &rules)).collect::<Vec<_>>());
}

#[test]
fn implemented_rules_are_cited() {
    report(&check_implemented(&rust_files(), &IMPLEMENTED));
}

/// Every check finds what it is there to find.
mod finds {
    use super::source::blank;
    use super::*;

    fn whats(findings: &[Finding]) -> Vec<(usize, &str)> {
        findings.iter().map(|finding| (finding.line, finding.what.as_str())).collect()
    }

    #[test]
    fn modules_of_higher_and_equal_rings() {
        let text = "use crate::{id::BlockId, view::{Slot, Tip}};\n\
                    // crate::net in a comment, \"crate::fs\" in none\n\
                    fn f() { let s = \"crate::fs\"; crate::entry::decode(s) }\n\
                    use super::super::node::Input;\n\
                    use super::tree;\n\
                    #[cfg(test)]\nmod tests {\n    use crate::node::Node;\n}\n";
        let findings = check_rings(&File::new("src/block/walk.rs", text));
        assert_eq!(
            whats(&findings),
            [
                (1, "`block` (ring 2) names `view` (ring 5)"),
                (3, "`block` names `entry` of its own ring"),
                (4, "`block` (ring 2) names `node` (ring 7)"),
            ]
        );
        let shown = "src/block/walk.rs:1: `block` (ring 2) names `view` (ring 5): \
                     dependencies point inwards only";
        assert_eq!(findings[0].to_string(), shown);
    }

    #[test]
    fn modules_outside_the_table() {
        let findings = check_rings(&File::new("src/utils.rs", ""));
        assert_eq!(whats(&findings), [(1, "module `utils`")]);
        assert_eq!(check_rings(&File::new("src/view/mod.rs", "use super::log;")), []);
        assert_eq!(check_rings(&File::new("src/log/mod.rs", "use super::view;")).len(), 1);
    }

    #[test]
    fn effects_in_the_core() {
        let text = "use std::fs;\n\
                    #[cfg(feature = \"std\")]\nuse std::io;\n\
                    use core::time::Duration; // not std::time::Instant\n\
                    fn now() -> Instant { Instant::now() }\n\
                    #[cfg(not(feature = \"std\"))]\nuse std::mem;\n\
                    #[cfg(test)]\nmod tests {\n    use std::vec;\n}\n\
                    type Map = HashMap<u8, u8>;\n";
        let file = File::new("src/log/mod.rs", text);
        let found = check_purity(&file, &BTreeSet::new());
        assert_eq!(
            whats(&found),
            [
                (1, "`std::` in the core"),
                (5, "`Instant` in the core"),
                (7, "`std::` in the core"),
                (12, "`HashMap` in the core"),
            ]
        );
        let generic = "#[cfg(feature = \"std\")]\nfn f<A, B>()\nwhere\n    A: B,\n{\n    std::f()\n}\n\
                       struct S {\n    #[cfg(feature = \"std\")]\n    a: A,\n    b: std::B,\n}\n";
        let found = check_purity(&File::new("src/log/mod.rs", generic), &BTreeSet::new());
        assert_eq!(whats(&found), [(11, "`std::` in the core")]);
        let gated = gated_modules(&[File::new(
            "src/lib.rs",
            "pub mod view;\n#[cfg(feature = \"std\")]\npub mod log;\npub mod wire;\n",
        )]);
        assert_eq!(gated, BTreeSet::from([vec!["log".to_owned()]]));
        assert_eq!(check_purity(&file, &gated), [], "what a feature adds may have effects");
    }

    #[test]
    fn sources_of_the_library_in_the_command() {
        let text = "#[path = \"../../fs/plan.rs\"]\nmod plan;\n// #[path = no code]\n\
                    include!(\"../../id.rs\");\nuse basefs::Fs;\n";
        let findings = check_command(&File::new("src/bin/basefs/main.rs", text));
        assert_eq!(whats(&findings), [(1, "`#[path=`"), (4, "`include!(`")]);
    }

    #[test]
    fn long_functions_and_files() {
        let function =
            |lines: usize| format!("fn f(\n) {{\n{}}}\n", "    g();\n".repeat(lines - 3));
        let file = |text: String| File::new("src/log/mod.rs", &text);
        assert_eq!(check_lengths(&file(function(60))), []);
        assert_eq!(whats(&check_lengths(&file(function(61)))), [(1, "a function of 61 lines")]);
        let declared = format!("fn f(a: [u8; 3]);\n{}", "const A: u8 = 0;\n".repeat(100));
        assert_eq!(check_lengths(&file(declared)), []);
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(700));
        assert_eq!(check_lengths(&file(test)), [], "tests may be long");
        let found = check_lengths(&file("const A: u8 = 0;\n".repeat(601)));
        assert_eq!(whats(&found), [(1, "601 lines before tests")]);
    }

    #[test]
    fn undone_work() {
        for word in UNDONE {
            let file = File::new("src/log/mod.rs", &format!("\n// {word} later\n"));
            assert_eq!(check_undone(&file).len(), 1, "{word}");
        }
        assert_eq!(check_undone(&File::new("src/log/mod.rs", "MAX_XXXL todos")), []);
    }

    #[test]
    fn stray_files() {
        let findings = check_top_level(["src", "LICENSE-MIT", ".ci", "notes.txt", "target"]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, "notes.txt");
    }

    #[test]
    fn unknown_rules() {
        let rules = defined_rules(
            "**FORK-1** (tree). Text.\nSee **FORK-3** there.\n- **L7** Finality.\n**SLOT** x\n**Note** y\n",
        );
        assert_eq!(rules, ["FORK-1", "L7", "SLOT"]);
        let text = "// rule: FORK-1, L7\nfn f() {}\n    // rule: FORK-3\n";
        let findings = check_citations(&File::new("src/view/mod.rs", text), &rules);
        assert_eq!(whats(&findings), [(3, "`FORK-3` is cited")]);
    }

    #[test]
    fn rules_without_source_or_test() {
        let source = File::new(
            "src/view/mod.rs",
            "// rule: FORK-1\nfn f() {}\n// rule: FORK-2\nfn g() {}\n\
             #[cfg(test)]\nmod tests {\n    // rule: FORK-2\n    fn t() {}\n}\n",
        );
        let test = File::new("tests/it/view.rs", "// rule: FORK-3\n");
        let findings = check_implemented(&[source, test], &["FORK-1", "FORK-2", "FORK-3"]);
        assert_eq!(
            whats(&findings),
            [(0, "`FORK-1` is cited in no test"), (0, "`FORK-3` is cited in no source")]
        );
    }

    #[test]
    fn code_behind_strings_comments_and_lifetimes() {
        let text =
            "a /* b */ \"c \\\" d\" e r#\"f \" g\"# h '\"' i 'j k '\\'' l // m\nn r\"o\" raw#p";
        let kept: String = blank(text).chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(kept, "aehi'jklnraw#p");
    }
}
