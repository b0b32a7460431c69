//! What people call an entry: eight actions make more verbs than that.

use core::fmt;

use crate::authority::Authority;
use crate::entry::Action;
use crate::log::{EntryNo, Log, Value};
use crate::view::View;

/// What an entry of a slot did, in the words of its author (CLIENT-3).
///
/// ```
/// # #[cfg(feature = "std")] {
/// use basefs::view::Verb;
///
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/draft", "hello")?;
/// fs.rename("/draft", "/motd")?;
/// assert_eq!(fs.versions("/motd")?[0].verb, Verb::RenamedFrom);
/// assert_eq!(fs.versions("/draft")?[0].verb, Verb::RenamedTo);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Made a directory.
    Mkdir,
    /// Wrote content.
    Write,
    /// Wrote the same content with another executable bit.
    Mode,
    /// Removed what was there.
    Delete,
    /// Removed what was there, for it went elsewhere.
    RenamedTo,
    /// Put here what was elsewhere, where it is gone.
    RenamedFrom,
    /// Put here what is elsewhere too.
    Link,
    /// Confirmed what was there, or its removal, with the author's rank.
    Ack,
    /// Brought back an older version.
    Revert,
    /// Made a symbolic link.
    Symlink,
    /// Founded the hierarchy.
    Found,
    /// Gave a key rights.
    Grant,
    /// Took rights from a key.
    Revoke,
}

impl Verb {
    /// The verb as histories print it.
    ///
    /// ```
    /// assert_eq!(basefs::view::Verb::RenamedTo.name(), "renamed to");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Mkdir => "mkdir",
            Verb::Write => "write",
            Verb::Mode => "mode",
            Verb::Delete => "delete",
            Verb::RenamedTo => "renamed to",
            Verb::RenamedFrom => "renamed from",
            Verb::Link => "link",
            Verb::Ack => "ack",
            Verb::Revert => "revert",
            Verb::Symlink => "symlink",
            Verb::Found => "found",
            Verb::Grant => "grant",
            Verb::Revoke => "revoke",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl View {
    /// What an entry did.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// use basefs::entry::Payload;
    /// use basefs::view::Verb;
    ///
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let target = replica.log().id(hello);
    /// let back = ana.say(&mut replica, "motd", &[morning], Payload::Link { target });
    /// let verb = |no| replica.view().verb(replica.log(), replica.authority(), no);
    /// assert_eq!([verb(morning), verb(back)], [Verb::Write, Verb::Revert]);
    /// ```
    // rule: CLIENT-3
    // rule: VIEW-2
    pub fn verb(&self, log: &Log, authority: &Authority, no: EntryNo) -> Verb {
        let base = log.prev(no).first().copied();
        match log.action(no) {
            Action::Genesis => Verb::Found,
            Action::Mkdir => Verb::Mkdir,
            Action::Slink => Verb::Symlink,
            Action::Grant => Verb::Grant,
            Action::Revoke => Verb::Revoke,
            Action::Write => {
                let says = |no: EntryNo| match log.value(no) {
                    Some(Value::File { content, executable }) => Some((*content, *executable)),
                    _ => None,
                };
                match (base.and_then(says), says(no)) {
                    (Some(was), Some(is)) if was.0 == is.0 && was.1 != is.1 => Verb::Mode,
                    _ => Verb::Write,
                }
            }
            Action::Delete if log.moved_to(no).is_some() => Verb::RenamedTo,
            Action::Delete if base.and_then(|base| log.value(base)) == Some(&Value::Tomb) => {
                Verb::Ack
            }
            Action::Delete => Verb::Delete,
            Action::Link => {
                let target = log.target(no);
                if self.renamed_from(authority, no).is_some() {
                    Verb::RenamedFrom
                } else if target == base {
                    Verb::Ack
                } else if target.and_then(|target| log.slot_of(target)) == log.slot_of(no) {
                    Verb::Revert
                } else {
                    Verb::Link
                }
            }
        }
    }

    /// The authorised deletion that a link took something from, if there is one: the first.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let draft = ana.write(&mut replica, "draft", "hello", &[]);
    /// let target = replica.log().id(draft);
    /// let link = ana.say(&mut replica, "motd", &[], Payload::Link { target });
    /// assert_eq!(replica.view().renamed_from(replica.authority(), link), None, "a copy so far");
    /// let moved_to = Some(replica.log().id(link));
    /// let delete = ana.say(&mut replica, "draft", &[draft], Payload::Delete { moved_to });
    /// assert_eq!(replica.view().renamed_from(replica.authority(), link), Some(delete));
    /// ```
    // rule: VIEW-2
    pub fn renamed_from(&self, authority: &Authority, link: EntryNo) -> Option<EntryNo> {
        self.moves_to(link).find(|delete| authority.is_authorised(*delete))
    }
}
