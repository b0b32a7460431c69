//! Verbs that make files on this machine and ask nothing of a replica that exists.

use std::io::Read;
use std::path::Path;

use basefs::Fs;
use basefs::fs::AUTHOR_KEY_FILE;
use basefs::net::Ticket;
use basefs::wire::SecretKey;
use clap::CommandFactory;

use crate::args::{Cli, Genkey, Join, New};
use crate::failure::Failure;
use crate::place::Place;
use crate::render::width::fit;
use crate::render::{Style, Table, word};
use crate::tell::output;

/// Longest ticket that is read: 16 peers with their addresses are below 4 KiB.
const MAX_TICKET: u64 = 64 << 10;
/// Longest key file that is read: 64 digits, and room for an editor's habits.
const MAX_KEY_FILE: u64 = 256;

/// Makes a hierarchy.
pub(crate) fn found(new: &New, style: Style) -> Result<(), Failure> {
    let dir = new.name.make()?;
    if let Some(key) = &new.key {
        take_key(key, &dir)?;
    }
    let label = new.name.label();
    let fs = Fs::builder().dir(&dir).name(label).open()?;
    let name = word(&new.name.to_string());
    let next = format!("basefs put {name} /motd, basefs ticket {name}, basefs run {name}");
    tell(&fs, &dir, "root key", &next, style)
}

/// Makes a replica of a hierarchy.
pub(crate) fn join(join: &Join, style: Style) -> Result<(), Failure> {
    let ticket = ticket(&join.ticket)?;
    let dir = join.name.make()?;
    if let Some(key) = &join.key {
        take_key(key, &dir)?;
    }
    let fs = Fs::join(&dir, &ticket)?;
    let next = format!(
        "basefs run {}; to write, let somebody who may run: basefs grant NAME PATH {}",
        word(&join.name.to_string()),
        fs.author()
    );
    tell(&fs, &dir, "author", &next, style)
}

/// A ticket, given or from standard input.
pub(crate) fn ticket(text: &str) -> Result<Ticket, Failure> {
    let mut read = String::new();
    if text == "-" {
        let from = std::io::stdin().lock();
        from.take(MAX_TICKET)
            .read_to_string(&mut read)
            .map_err(|error| Failure::io("standard input", &error))?;
    }
    let text = if text == "-" { read.trim() } else { text.trim() };
    text.parse().map_err(|error| {
        Failure::usage(format!("that is no ticket: {error}\n  `basefs ticket NAME` prints one"))
    })
}

fn tell(fs: &Fs, dir: &Path, key: &str, next: &str, style: Style) -> Result<(), Failure> {
    let (hierarchy, author, dir) = (fs.hierarchy(), fs.author(), dir.display());
    if style.json {
        let value = serde_json::json!({
            "hierarchy": hierarchy.to_string(),
            "author": author.to_string(),
            "node": fs.node().to_string(),
            "dir": dir.to_string(),
        });
        return output(format!("{value}\n").as_bytes());
    }
    let mut table = Table::new(style, &[]);
    for (what, value) in [
        ("hierarchy", hierarchy.to_string()),
        (key, author.to_string()),
        ("files", dir.to_string()),
        ("next", next.to_owned()),
    ] {
        table.row([(what.to_owned(), None), (value, None)]);
    }
    output(fit(&table.text(), style.columns).as_bytes())
}

/// Makes a key in a file.
pub(crate) fn genkey(genkey: &Genkey, style: Style) -> Result<(), Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|_| Failure::unavailable("the system gave no random numbers"))?;
    let key = SecretKey::from_seed(seed);
    save_key(&genkey.file, &key)?;
    let public = key.public().to_string();
    let line = if style.json {
        serde_json::json!({ "key": public, "file": genkey.file.display().to_string() }).to_string()
    } else {
        public
    };
    output(format!("{line}\n").as_bytes())
}

/// Copies a key into the directory of a replica.
fn take_key(file: &Path, dir: &Path) -> Result<(), Failure> {
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|from| from.take(MAX_KEY_FILE).read_to_string(&mut text))
        .map_err(|error| Failure::io(file.display(), &error))?;
    let seed = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok();
    let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.try_into().ok());
    let seed = seed.ok_or_else(|| {
        let file = file.display();
        Failure::failed(format!("{file} is no key file\n  `basefs genkey FILE` makes one"))
    })?;
    save_key(&dir.join(AUTHOR_KEY_FILE), &SecretKey::from_seed(seed))
}

/// Writes a key to a new file that only its owner can read.
fn save_key(path: &Path, key: &SecretKey) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let digits = data_encoding::HEXLOWER.encode(&*key.to_seed());
    file.and_then(|mut file| {
        writeln!(file, "{digits}")?;
        file.sync_all()
    })
    .map_err(|error| Failure::io(path.display(), &error))
}

/// Prints the manual page, or writes one for each verb.
pub(crate) fn man(dir: Option<&Path>) -> Result<(), Failure> {
    let mut page = Vec::new();
    let Some(dir) = dir else {
        let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
        rendered.map_err(|error| Failure::output(&error))?;
        return output(&page);
    };
    clap_mangen::generate_to(Cli::command(), dir)
        .map_err(|error| Failure::io(dir.display(), &error))
}

impl Place {
    /// What to call a new hierarchy: the name, or the last part of the path.
    fn label(&self) -> String {
        let text = self.to_string();
        let last = text.split('/').rfind(|name| !name.is_empty() && *name != "." && *name != "..");
        last.unwrap_or_default().chars().filter(|c| !c.is_control()).take(32).collect()
    }
}
