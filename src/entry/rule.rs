//! The names of the rules that an entry can fail.

use core::fmt;

/// A rule of the log that entries are checked against; the manual's chapter on rules has the texts.
///
/// ```
/// assert_eq!(basefs::entry::Rule::Admit4.to_string(), "ADMIT-4");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The encoding is canonical and short enough.
    Entry1,
    /// The fields have their types.
    Entry2,
    /// `prev` is within its bound, without duplicates, in order.
    Entry3,
    /// `seq` is 0 exactly where `aprev` is null.
    Entry4,
    /// A genesis names its roots and nothing else.
    Entry5,
    /// The payload fits the action.
    Entry6,
    /// A file name is one that every host can carry.
    Name1,
    /// A label is short.
    Name2,
    /// Flags, levels and size are in range.
    Write1,
    /// Small content is inline, larger content is not.
    Write2,
    /// The signature holds.
    Sig1,
    /// The genesis is the replica's own.
    Admit1,
    /// No hard reference is rejected.
    Admit2,
    /// The capability belongs to the key.
    Admit3,
    /// The capability covers the directory.
    Admit4,
    /// The capability has the right.
    Admit5,
    /// The predecessor in the chain is of the same key and capability.
    Admit6,
    /// Every `prev` is a data entry of the same slot.
    Admit7,
    /// The new directory is neither too deep nor its path too long.
    Admit8,
    /// The target of a link shows something.
    Admit9,
    /// The link that a deletion moves to is a fitting one.
    Admit10,
    /// A grant stays within what its issuer may give.
    Admit11,
    /// A revoke amends only revokes of the same key and directory.
    Admit12,
}

impl Rule {
    /// The name as the manual has it.
    ///
    /// ```
    /// use basefs::entry::Rule;
    ///
    /// assert_eq!(Rule::Sig1.name(), "SIG-1");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Entry1 => "ENTRY-1",
            Rule::Entry2 => "ENTRY-2",
            Rule::Entry3 => "ENTRY-3",
            Rule::Entry4 => "ENTRY-4",
            Rule::Entry5 => "ENTRY-5",
            Rule::Entry6 => "ENTRY-6",
            Rule::Name1 => "NAME-1",
            Rule::Name2 => "NAME-2",
            Rule::Write1 => "WRITE-1",
            Rule::Write2 => "WRITE-2",
            Rule::Sig1 => "SIG-1",
            Rule::Admit1 => "ADMIT-1",
            Rule::Admit2 => "ADMIT-2",
            Rule::Admit3 => "ADMIT-3",
            Rule::Admit4 => "ADMIT-4",
            Rule::Admit5 => "ADMIT-5",
            Rule::Admit6 => "ADMIT-6",
            Rule::Admit7 => "ADMIT-7",
            Rule::Admit8 => "ADMIT-8",
            Rule::Admit9 => "ADMIT-9",
            Rule::Admit10 => "ADMIT-10",
            Rule::Admit11 => "ADMIT-11",
            Rule::Admit12 => "ADMIT-12",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An entry that is invalid by itself, whatever else is known. Its author is at fault, or whoever
/// changed it on the way; nothing was stored.
///
/// ```
/// use basefs::entry::{Rule, SignedEntry};
///
/// let error = SignedEntry::decode(b"no entry").unwrap_err();
/// assert_eq!(error.rule, Rule::Entry1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEntry {
    /// The first rule it fails.
    pub rule: Rule,
    /// What is wrong, for people.
    pub what: &'static str,
}

impl InvalidEntry {
    pub(crate) const fn new(rule: Rule, what: &'static str) -> Self {
        Self { rule, what }
    }
}

impl fmt::Display for InvalidEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid entry: {} ({})", self.what, self.rule)
    }
}

impl core::error::Error for InvalidEntry {}
