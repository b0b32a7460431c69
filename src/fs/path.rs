//! Paths inside the hierarchy.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::entry::check_name;
use crate::id::DirId;

/// Where directories are listed that lost their place in the tree.
const LOST_AND_FOUND: &str = "/.basefs/lost+found";

/// A text that is no path of a hierarchy. Nothing was read or written.
///
/// ```
/// use basefs::{Fs, ReadError};
///
/// let fs = Fs::in_memory()?;
/// assert_eq!(fs.read_dir("/")?, fs.read_dir("")?, "slashes at the ends mean nothing");
/// let Err(ReadError::Path(error)) = fs.read("/a/../b") else { panic!("`..` is no name") };
/// assert_eq!(error.path, "/a/../b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// The text.
    pub path: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a path: {}", self.path, self.what)
    }
}

impl core::error::Error for PathError {}

/// The components of a path from the root. `/a/b`, `a/b` and `/a//b/` are the same path; `.` and
/// `..` are no names.
// rule: NAME-1
pub(super) fn parse(text: &str) -> Result<Vec<&str>, PathError> {
    let names = text.split('/').filter(|name| !name.is_empty());
    names
        .map(|name| match check_name(name) {
            Ok(()) => Ok(name),
            Err(error) => Err(PathError { path: text.to_string(), what: error.what }),
        })
        .collect()
}

/// A path that can be read: in the tree, or in a directory that lost its place there.
#[derive(Clone, Debug)]
pub(super) struct Target<'t> {
    pub(super) lost: Option<DirId>,
    pub(super) names: Vec<&'t str>,
}

impl<'t> Target<'t> {
    // rule: TREE-4
    pub(super) fn parse(text: &'t str) -> Result<Self, PathError> {
        let within = text.strip_prefix(LOST_AND_FOUND).and_then(|rest| rest.strip_prefix('/'));
        let (hex, rest) = within.map(|rest| rest.split_once('/').unwrap_or((rest, ""))).unzip();
        let lost = hex.and_then(|hex: &str| hex.parse::<DirId>().ok());
        // Anything else below `.basefs` is refused as the name that it is.
        let inner = rest.filter(|_| lost.is_some()).unwrap_or(text);
        Ok(Self { lost, names: parse(inner)? })
    }

    /// The text of the path.
    pub(super) fn path(&self) -> String {
        match self.lost {
            None => join(&self.names),
            Some(dir) => self.names.iter().fold(lost_path(dir), |path, name| path + "/" + name),
        }
    }
}

/// Where a directory is listed that lost its place in the tree.
pub(super) fn lost_path(dir: DirId) -> String {
    alloc::format!("{LOST_AND_FOUND}/{dir}")
}

/// The text of a path.
pub(super) fn join<Name: AsRef<str>>(names: &[Name]) -> String {
    if names.is_empty() {
        return String::from("/");
    }
    names.iter().fold(String::new(), |path, name| path + "/" + name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_do_not_matter_and_dots_are_refused() {
        for text in ["/a/b", "a/b", "//a//b/"] {
            assert_eq!(join(&parse(text).expect("a path")), "/a/b");
        }
        assert_eq!(join(&parse("/").expect("the root")), "/");
        for text in ["/a/../b", "/./a", "/a\nb", "/.basefs/x"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lost_directories_have_a_path_for_reading() {
        let dir = DirId::from_bytes([7; 32]);
        let text = lost_path(dir) + "/a/b";
        let target = Target::parse(&text).expect("a path");
        assert_eq!((target.lost, &target.names[..]), (Some(dir), &["a", "b"][..]));
        assert_eq!(target.path(), text);
        assert!(parse(&text).is_err(), "nothing is written there");
        for text in ["/.basefs", "/.basefs/lost+found", "/.basefs/lost+found/abc"] {
            assert!(Target::parse(text).is_err(), "{text:?}");
        }
    }
}
