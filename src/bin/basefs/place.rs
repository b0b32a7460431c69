//! Where a hierarchy lives on this machine.

use std::fmt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use basefs::fs::{NODE_KEY_FILE, READ_SECRET_FILE};

use crate::failure::Failure;
use crate::render::word;

/// The files by which the directory of a replica is known; the first is made first.
const HOLDS_REPLICA: [&str; 2] = [NODE_KEY_FILE, READ_SECRET_FILE];

/// Longest name of a hierarchy: most file systems allow 255 bytes.
const MAX_NAME: usize = 128;

/// A hierarchy as the command line names it: a name, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(String);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_path = text.contains('/') || text.starts_with('.');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.starts_with('-') {
            return Err("a hierarchy has a name".into());
        }
        if !is_path && (text.len() > MAX_NAME || !text.chars().all(is_plain)) {
            return Err(
                "a name has letters, digits, `-`, `_` and `.`, at most 128 of them; a path \
                        contains a `/`"
                    .into(),
            );
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Place {
    /// The directory of the replica; it need not exist.
    pub(crate) fn dir(&self) -> Result<PathBuf, Failure> {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = std::env::home_dir();
        self.dir_below(data.filter(|dir| dir.is_absolute()), home)
    }

    fn dir_below(&self, data: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf, Failure> {
        if self.0.contains('/') || self.0.starts_with('.') {
            return Ok(PathBuf::from(&self.0));
        }
        let data = data.or_else(|| home.map(|home| home.join(".local/share")));
        let unknown =
            || Failure::usage("neither XDG_DATA_HOME nor HOME is set; give a path such as ./team");
        Ok(data.ok_or_else(unknown)?.join("basefs").join(&self.0))
    }

    /// The directory of a replica that exists.
    pub(crate) fn existing(&self) -> Result<PathBuf, Failure> {
        let dir = self.dir()?;
        if !holds_replica(&dir)? {
            let (name, dir) = (word(&self.0), dir.display());
            return Err(Failure::failed(format!(
                "no hierarchy {self} ({dir} is none)\n  make one with `basefs new {name}`, or join \
                 one with `basefs join {name} TICKET`"
            )));
        }
        if !dir.join(NODE_KEY_FILE).exists() {
            let dir = dir.display();
            return Err(Failure::failed(format!(
                "{dir}/{NODE_KEY_FILE}: missing, and by it others know this replica\n  put it back \
                 from a backup, or join once more under another name"
            )));
        }
        Ok(dir)
    }

    /// The directory for a replica that is to be made, which only its owner can enter.
    pub(crate) fn make(&self) -> Result<PathBuf, Failure> {
        let dir = self.dir()?;
        if holds_replica(&dir)? {
            return Err(Failure::failed(format!(
                "{self} exists already ({})\n  choose another name",
                dir.display()
            )));
        }
        let mode = make_private(&dir).map_err(|error| Failure::io(dir.display(), &error))?;
        if mode & 0o077 != 0 {
            let name = word(&dir.display().to_string());
            return Err(Failure::failed(format!(
                "{}: others can enter it (mode {mode:o}), and could read all of the hierarchy\n  \
                 first: chmod 700 {name}",
                dir.display()
            )));
        }
        Ok(dir)
    }
}

/// Whether a replica was made in a directory; that of another user cannot be looked into.
fn holds_replica(dir: &Path) -> Result<bool, Failure> {
    for file in HOLDS_REPLICA {
        if dir.join(file).try_exists().map_err(|error| Failure::io(dir.display(), &error))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes a directory that only its owner can enter; one that is there is left as it is. Its mode.
fn make_private(dir: &Path) -> std::io::Result<u32> {
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700);
    match builder.create(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made?,
    }
    Ok(dir.metadata()?.permissions().mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(text: &str) -> PathBuf {
        let place: Place = text.parse().expect("a place");
        place.dir_below(None, Some("/home/ana".into())).expect("a directory")
    }

    #[test]
    fn names_are_in_the_data_directory_and_paths_are_paths() {
        assert_eq!(dir("team"), Path::new("/home/ana/.local/share/basefs/team"));
        assert_eq!(dir("./team"), Path::new("./team"));
        assert_eq!(dir("a/b"), Path::new("a/b"));
        let place: Place = "team".parse().expect("a place");
        let found = place.dir_below(Some("/data".into()), None).expect("a directory");
        assert_eq!(found, Path::new("/data/basefs/team"));
        assert!(place.dir_below(None, None).is_err());
    }

    #[test]
    fn what_is_no_name() {
        for text in ["", "a b", "ä", "-x", "a\nb", &"x".repeat(129)] {
            assert!(text.parse::<Place>().is_err(), "{text:?}");
        }
    }
}
