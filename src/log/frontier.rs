//! Frontiers: a few entries that stand for everything they were built on.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::BASE32_NOPAD;

use crate::id::{EntryId, VersionId};
use crate::limits::MAX_HEADS;
use crate::log::number::{DirNo, EntryNo};
use crate::log::{Detail, Log};

/// The context in which the ids of a frontier are hashed.
const VERSION_CONTEXT: &str = "basefs v1 version";
/// What the text of every frontier begins with; the version of the format follows.
const PREFIX: &str = "version1";
/// Bytes of the checksum, which are the first of the version id. A mistyped frontier passes it once
/// in 2^48.
const CHECKSUM: usize = 6;
/// Longest text that is looked at: five bits a letter.
const MAX_TEXT: usize = PREFIX.len() + (MAX_HEADS * EntryId::LEN + CHECKSUM) * 8 / 5 + 1;

/// A version of the whole hierarchy: the entries that were the ends of all chains.
///
/// It prints as one line of lower-case letters and digits, about 51 for each head and 18 more, and
/// parses back, in either case. Any replica that has the entries can show what the hierarchy looked like
/// then; see `Fs::at`. The [id](Self::id) is short and means the same, but only to a replica that
/// knows the frontier already.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::log::Frontier;
///
/// let frontier = Frontier::new(vec![EntryId::from_bytes([7; 32])]);
/// let text = frontier.to_string();
/// assert!(text.starts_with("version1"));
/// assert_eq!(text.to_uppercase().parse(), Ok(frontier));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontier {
    /// Ascending, none twice.
    heads: Vec<EntryId>,
}

impl Frontier {
    /// The frontier of these entries, in any order.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::log::Frontier;
    ///
    /// let [a, b] = [1, 2].map(|n| EntryId::from_bytes([n; 32]));
    /// let frontier = Frontier::new(vec![b, a, b]);
    /// assert_eq!(frontier.heads(), [a, b]);
    /// ```
    pub fn new(mut heads: Vec<EntryId>) -> Self {
        heads.sort_unstable();
        heads.dedup();
        Self { heads }
    }

    /// Its entries, in ascending order.
    pub fn heads(&self) -> &[EntryId] {
        &self.heads
    }

    /// A hash that names the frontier (AT-1).
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::log::Frontier;
    ///
    /// let [a, b] = [1, 2].map(|n| EntryId::from_bytes([n; 32]));
    /// assert_eq!(Frontier::new(vec![a, b]).id(), Frontier::new(vec![b, a]).id());
    /// assert_ne!(Frontier::new(vec![a, b]).id(), Frontier::new(vec![a]).id());
    /// ```
    // rule: AT-1
    pub fn id(&self) -> VersionId {
        let mut hasher = blake3::Hasher::new_derive_key(VERSION_CONTEXT);
        for head in &self.heads {
            hasher.update(head.as_bytes());
        }
        VersionId::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes: Vec<u8> = self.heads.iter().flat_map(|head| *head.as_bytes()).collect();
        bytes.extend_from_slice(&self.id().as_bytes()[..CHECKSUM]);
        let mut letters = BASE32_NOPAD.encode(&bytes);
        letters.make_ascii_lowercase();
        write!(f, "{PREFIX}{letters}")
    }
}

/// Why a text is not a version of a hierarchy.
///
/// ```
/// use basefs::log::{Frontier, ParseFrontierError};
///
/// let text = Frontier::new(vec![]).to_string();
/// assert_eq!("motd".parse::<Frontier>(), Err(ParseFrontierError::NotAVersion));
/// assert_eq!(text[..12].parse::<Frontier>(), Err(ParseFrontierError::Mistyped));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseFrontierError {
    /// It is something else.
    NotAVersion,
    /// It is longer than [`MAX_HEADS`] heads.
    TooLong,
    /// Letters are wrong or missing.
    Mistyped,
}

impl fmt::Display for ParseFrontierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseFrontierError::NotAVersion => {
                write!(f, "not a version: these begin with {PREFIX:?}")
            }
            ParseFrontierError::TooLong => {
                write!(f, "a version of more than {MAX_HEADS} heads; use its id where it is known")
            }
            ParseFrontierError::Mistyped => {
                f.write_str("the version was mistyped or cut; copy it again")
            }
        }
    }
}

impl core::error::Error for ParseFrontierError {}

impl FromStr for Frontier {
    type Err = ParseFrontierError;

    fn from_str(text: &str) -> Result<Self, ParseFrontierError> {
        let is_ours = text.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX));
        if !is_ours {
            return Err(ParseFrontierError::NotAVersion);
        }
        if text.len() > MAX_TEXT {
            return Err(ParseFrontierError::TooLong);
        }
        let upper = text[PREFIX.len()..].to_ascii_uppercase();
        let mistyped = ParseFrontierError::Mistyped;
        let bytes = BASE32_NOPAD.decode(upper.as_bytes()).map_err(|_| mistyped)?;
        let length = bytes.len().checked_sub(CHECKSUM).ok_or(mistyped)?;
        let (ids, checksum) = bytes.split_at(length);
        let heads: Vec<EntryId> = ids
            .chunks(EntryId::LEN)
            .map(EntryId::from_slice)
            .collect::<Option<_>>()
            .ok_or(mistyped)?;
        let frontier = Self::new(heads);
        // The text of a frontier is one: another order or a repetition is a mistake.
        let is_same = frontier.heads.iter().map(EntryId::as_bytes).eq(ids.chunks(EntryId::LEN));
        if is_same && frontier.id().as_bytes()[..CHECKSUM] == *checksum {
            Ok(frontier)
        } else {
            Err(mistyped)
        }
    }
}

/// Entries of a frontier that are not in the log: it cannot be shown here until they come.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (_, replica) = author::found();
/// # use basefs::id::EntryId;
/// use basefs::log::Frontier;
///
/// let unheard_of = EntryId::from_bytes([7; 32]);
/// let missing = replica.log().reach(&Frontier::new(vec![unheard_of])).unwrap_err();
/// assert_eq!(missing.ids, [unheard_of], "fetch these, then ask again");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingHeads {
    /// Their ids, in ascending order; never none.
    pub ids: Vec<EntryId>,
}

impl fmt::Display for MissingHeads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.ids.first() else { return f.write_str("nothing is missing") };
        write!(f, "this replica lacks entry {first:.16}")?;
        match self.ids.len() {
            1 => f.write_str(" of that version"),
            more => write!(f, " and {} more of that version", more - 1),
        }
    }
}

impl core::error::Error for MissingHeads {}

impl Log {
    /// The present: the heads of all chains.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let readme = ana.write(&mut replica, "readme", "see motd", &[]);
    /// let log = replica.log();
    /// assert_eq!(log.frontier().heads(), [log.id(readme)], "of one author, the last entry");
    /// ```
    pub fn frontier(&self) -> Frontier {
        self.frontier_of_first(self.len())
    }

    /// The heads of all chains among the first `len` entries in the order of admission. What they
    /// reach is exactly those entries. Linear in `len`.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let log = replica.log();
    /// assert_eq!(log.frontier_of_first(2).heads(), [log.id(hello)], "the genesis and this");
    /// assert_eq!(log.frontier_of_first(3), log.frontier());
    /// ```
    // rule: AT-1
    // rule: CHAIN-1
    pub fn frontier_of_first(&self, len: usize) -> Frontier {
        let records = &self.records[..len.min(self.len())];
        let mut is_followed = alloc::vec![false; records.len()];
        for before in records.iter().filter_map(|record| record.aprev) {
            is_followed[before.index()] = true;
        }
        // The genesis is no part of a chain: it cites no capability.
        let heads = records.iter().zip(&is_followed).skip(1).filter(|(_, followed)| !**followed);
        Frontier::new(heads.map(|(record, _)| record.id).collect())
    }

    /// The entries that an entry names and cannot be admitted without, except those that define
    /// its directory.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let log = replica.log();
    /// let genesis = log.number(&log.genesis()).unwrap();
    /// let named: Vec<_> = log.hard_references(morning).collect();
    /// assert_eq!(named, [genesis, hello, hello], "`cap`, `aprev` and `prev`");
    /// ```
    pub fn hard_references(&self, no: EntryNo) -> impl Iterator<Item = EntryNo> + '_ {
        let other = match self.record(no).detail {
            Detail::Data { other, .. } => other,
            _ => None,
        };
        let after: &[EntryNo] = match self.record(no).detail {
            Detail::Grant(cap) => &self.cap(cap).after,
            _ => &[],
        };
        let cited = self.cap_entry(self.cap_of(no));
        let single = [Some(cited).filter(|cited| *cited != no), self.chain_before(no), other];
        single.into_iter().flatten().chain(self.prev(no).iter().chain(after).copied())
    }

    /// The entries that a frontier and the genesis reach through hard references, in the order of
    /// admission; without those that a log of these alone would not admit, as no entry among them
    /// defines their directory. Linear in the log.
    ///
    /// # Errors
    ///
    /// Entries of the frontier are not in the log. Whatever those that are refer to is.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let then = replica.log().frontier();
    /// ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let log = replica.log();
    /// let genesis = log.number(&log.genesis()).unwrap();
    /// assert_eq!(log.reach(&then)?, [genesis, hello]);
    /// # Ok::<(), basefs::log::MissingHeads>(())
    /// ```
    // rule: AT-1
    pub fn reach(&self, frontier: &Frontier) -> Result<Vec<EntryNo>, MissingHeads> {
        let mut is_reached = alloc::vec![false; self.len()];
        let mut missing = Vec::new();
        for id in frontier.heads() {
            match self.number(id) {
                Some(no) => is_reached[no.index()] = true,
                None => missing.push(*id),
            }
        }
        if !missing.is_empty() {
            return Err(MissingHeads { ids: missing });
        }
        if let Some(genesis) = is_reached.first_mut() {
            *genesis = true;
        }
        // What an entry refers to was admitted before it, so one pass backwards finds all.
        for no in (0..self.len()).rev().filter_map(EntryNo::from_index) {
            if is_reached[no.index()] {
                self.hard_references(no).for_each(|named| is_reached[named.index()] = true);
            }
        }
        let all = (0..self.len()).filter_map(EntryNo::from_index);
        Ok(self.admitted_alone(all.filter(|no| is_reached[no.index()]).collect()))
    }

    /// Those of some entries, with all that they refer to among them, that a log of these alone
    /// would admit. The entry that defines a directory there may be a later one than here.
    // rule: ADMIT-2
    fn admitted_alone(&self, entries: Vec<EntryNo>) -> Vec<EntryNo> {
        let mut is_admitted = alloc::vec![false; self.len()];
        let mut is_defined = alloc::vec![false; self.dirs()];
        let mut waiting: BTreeMap<EntryNo, Vec<EntryNo>> = BTreeMap::new();
        let mut in_dir: BTreeMap<DirNo, Vec<EntryNo>> = BTreeMap::new();
        let mut open: Vec<EntryNo> = entries.iter().rev().copied().collect();
        while let Some(no) = open.pop() {
            if let Some(missing) =
                self.hard_references(no).find(|named| !is_admitted[named.index()])
            {
                waiting.entry(missing).or_default().push(no);
                continue;
            }
            if let Some(dir) = self.dir_of(no).filter(|dir| !is_defined[dir.index()]) {
                in_dir.entry(dir).or_default().push(no);
                continue;
            }
            is_admitted[no.index()] = true;
            open.extend(waiting.remove(&no).into_iter().flatten());
            if let Some(dir) = self.defined_dir(no) {
                is_defined[dir.index()] = true;
                open.extend(in_dir.remove(&dir).into_iter().flatten());
            }
        }
        entries.into_iter().filter(|no| is_admitted[no.index()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn frontier(heads: u8) -> Frontier {
        Frontier::new((0..heads).rev().map(|n| EntryId::from_bytes([n; 32])).collect())
    }

    // rule: AT-1
    #[test]
    fn the_id_is_the_hash_of_the_ascending_ids() {
        let data: Vec<u8> = (0..3).flat_map(|n| [n; 32]).collect();
        let expected = blake3::derive_key("basefs v1 version", &data);
        assert_eq!(frontier(3).id().as_bytes(), &expected);
    }

    #[test]
    fn the_text_is_frozen_and_parses_back() {
        assert_eq!(
            frontier(1).to_string(),
            "version1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaagairp3iewe"
        );
        for heads in 0..9 {
            assert_eq!(frontier(heads).to_string().parse(), Ok(frontier(heads)));
        }
    }

    #[test]
    fn no_changed_letter_passes() {
        let text = frontier(2).to_string();
        for at in 0..text.len() {
            let mut letters = text.clone().into_bytes();
            letters[at] = if letters[at] == b'z' { b'y' } else { b'z' };
            let changed = core::str::from_utf8(&letters).expect("letters");
            assert!(changed.parse::<Frontier>().is_err(), "{changed}");
            assert!(text[..at].parse::<Frontier>().is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_frontier_has_one_text() {
        let mut bytes: Vec<u8> = [[2; 32], [1; 32]].concat();
        bytes.extend_from_slice(
            &Frontier::new(alloc::vec![EntryId::from_bytes([1; 32]), EntryId::from_bytes([2; 32])])
                .id()
                .as_bytes()[..CHECKSUM],
        );
        let text = alloc::format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes));
        assert_eq!(text.parse::<Frontier>(), Err(ParseFrontierError::Mistyped));
        let long = "a".repeat(MAX_TEXT);
        assert_eq!(
            alloc::format!("{PREFIX}{long}").parse::<Frontier>(),
            Err(ParseFrontierError::TooLong)
        );
    }
}
