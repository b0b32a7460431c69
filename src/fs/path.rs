//! Paths inside the hierarchy.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::entry::check_name;

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
}
