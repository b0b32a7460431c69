//! Where a watch can be resumed.
//!
//! The entries of a replica are numbered without gaps in the order of their admission, and become
//! durable in that order; so do the contents that are complete. How many there are of both says
//! what a consumer has been told, on this replica and no other.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::BASE32_NOPAD;

use crate::log::{EntryNo, Log};
use crate::store::layout::REPLICA_ID;

/// What a cursor begins with: so that it is not mistaken for anything else, and for the format.
const PREFIX: &str = "bc1";
/// Bytes of the id of the last entry: after a backup was restored, other entries have its numbers.
const TAG: usize = 6;
/// Bytes of a checksum against mistakes in copying.
const CHECKSUM: usize = 2;
const BODY: usize = REPLICA_ID + 4 + 4 + TAG;

/// A random id of a data directory, made with it: cursors of others are never taken for its own.
pub(in crate::fs) type ReplicaId = [u8; REPLICA_ID];

/// How far a replica has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::fs) struct Position {
    /// Entries admitted.
    pub(in crate::fs) entries: u32,
    /// Contents that became complete.
    pub(in crate::fs) contents: u32,
    /// Of the last of the entries.
    tag: [u8; TAG],
}

impl Position {
    /// Before everything.
    pub(in crate::fs) const START: Self = Self { entries: 0, contents: 0, tag: [0; TAG] };

    /// The end of a log.
    pub(in crate::fs) fn of(log: &Log, contents: u32) -> Self {
        // Entries are numbered in 32 bits.
        let entries = u32::try_from(log.len()).unwrap_or(u32::MAX);
        Self { entries, contents, tag: tag(log, entries) }
    }

    /// Whether a log has been there.
    pub(super) fn is_before(&self, log: &Log, now: &Self) -> bool {
        self.entries <= now.entries
            && self.contents <= now.contents
            && self.tag == tag(log, self.entries)
    }
}

fn tag(log: &Log, entries: u32) -> [u8; TAG] {
    let mut tag = [0; TAG];
    let last = entries.checked_sub(1).and_then(|last| EntryNo::from_index(last as usize));
    if let Some(last) = last.filter(|last| last.index() < log.len()) {
        tag.copy_from_slice(&log.id(last).as_bytes()[..TAG]);
    }
    tag
}

/// Where a watch can be resumed: after the event that it came with, and all events before that.
///
/// It is short text when printed, can be kept in a file, and means the same after a restart; what
/// is in it is nobody's business. It is good for any subtree of the replica that it came from.
/// Another replica answers it with a
/// [`ForeignCursor`](super::ResyncReason::ForeignCursor) resync, for it has admitted other entries
/// in another order.
///
/// ```
/// use std::time::Duration;
/// use basefs::fs::Cursor;
/// use basefs::{Fs, WatchEvent, WatchFrom};
///
/// let fs = Fs::in_memory()?;
/// let watch = fs.watch("/", WatchFrom::Now)?;
/// fs.write("/motd", "hello")?;
/// let event = watch.next_blocking(Duration::from_secs(1)).ok_or("nothing came")?;
/// let saved = event.cursor().to_string(); // once the event has been dealt with
/// drop(watch);
///
/// fs.write("/news", "while nobody watched")?;
/// let watch = fs.watch("/", WatchFrom::After(saved.parse::<Cursor>()?))?;
/// let Some(WatchEvent::Change(change)) = watch.next_blocking(Duration::ZERO) else {
///     panic!("a change was missed");
/// };
/// assert_eq!(change.path, "/news");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    body: [u8; BODY],
}

impl Cursor {
    /// Of an event that is not given out yet.
    pub(super) const UNSET: Self = Self { body: [0; BODY] };

    pub(super) fn new(replica: &ReplicaId, at: &Position) -> Self {
        let mut body = [0; BODY];
        let (id, rest) = body.split_at_mut(REPLICA_ID);
        let (entries, rest) = rest.split_at_mut(4);
        let (contents, tag) = rest.split_at_mut(4);
        id.copy_from_slice(replica);
        entries.copy_from_slice(&at.entries.to_be_bytes());
        contents.copy_from_slice(&at.contents.to_be_bytes());
        tag.copy_from_slice(&at.tag);
        Self { body }
    }

    /// The position, if the cursor is of this replica.
    pub(super) fn at(&self, replica: &ReplicaId) -> Option<Position> {
        let (id, rest) = self.body.split_first_chunk::<REPLICA_ID>()?;
        let (entries, rest) = rest.split_first_chunk()?;
        let (contents, tag) = rest.split_first_chunk()?;
        (id == replica).then_some(Position {
            entries: u32::from_be_bytes(*entries),
            contents: u32::from_be_bytes(*contents),
            tag: tag.try_into().ok()?,
        })
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let hash = blake3::hash(body);
    let [first, second, ..] = *hash.as_bytes();
    [first, second]
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sealed = [&self.body[..], &checksum(&self.body)].concat();
        let mut letters = BASE32_NOPAD.encode(&sealed);
        letters.make_ascii_lowercase();
        write!(f, "{PREFIX}{letters}")
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// A text that is no cursor, or was changed since it was printed.
///
/// ```
/// use basefs::fs::Cursor;
///
/// let error = "yesterday".parse::<Cursor>().unwrap_err();
/// assert!(error.to_string().contains("is not a cursor"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseCursorError;

impl fmt::Display for ParseCursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text is not a cursor, which begins with `{PREFIX}` and is copied whole")
    }
}

impl core::error::Error for ParseCursorError {}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let lower: String = text.trim().to_ascii_lowercase();
        let letters = lower.strip_prefix(PREFIX).ok_or(ParseCursorError)?;
        let letters = letters.to_ascii_uppercase();
        let sealed: Vec<u8> =
            BASE32_NOPAD.decode(letters.as_bytes()).map_err(|_| ParseCursorError)?;
        let (body, sum) = sealed.split_at_checked(BODY).ok_or(ParseCursorError)?;
        let body: [u8; BODY] = body.try_into().map_err(|_| ParseCursorError)?;
        if sum == checksum(&body) { Ok(Self { body }) } else { Err(ParseCursorError) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_cursor_survives_being_printed_and_no_change_of_a_letter() {
        let at = Position { entries: 7, contents: u32::MAX, tag: [9; TAG] };
        let cursor = Cursor::new(&[3; REPLICA_ID], &at);
        let text = cursor.to_string();
        assert!(text.len() <= 48, "{text} is short");
        assert_eq!(text.parse(), Ok(cursor));
        assert_eq!(alloc::format!(" {}\n", text.to_uppercase()).parse(), Ok(cursor));
        assert_eq!(cursor.at(&[3; REPLICA_ID]), Some(at));
        assert_eq!(cursor.at(&[4; REPLICA_ID]), None, "it is of another replica");
        for place in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'a' { b'b' } else { b'a' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(wrong.parse::<Cursor>(), Err(ParseCursorError), "{wrong}");
        }
        assert_eq!(text[..text.len() - 1].parse::<Cursor>(), Err(ParseCursorError));
        assert_eq!("".parse::<Cursor>(), Err(ParseCursorError));
        assert_eq!("bc1ü".parse::<Cursor>(), Err(ParseCursorError));
    }
}
