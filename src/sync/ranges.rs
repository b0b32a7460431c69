//! Statements about consecutive ranges: the body of most messages.
//!
//! ```text
//! ranges    = statement*
//! statement = kind(1) bound payload     a range from the end of the one before up to the bound
//! kind      = 0 skip · 1 sum · 2 list · 3 differs · 4 ids · 5 want; + 128: up to the session's end
//! bound     = shared(varint) length(varint) bytes      absent with + 128
//! payload   = sum, list: fingerprint(8) · ids, want: count(varint) short ids(5 each, ascending)
//! ```
//!
//! A bound is written as what differs from the bound before it. The first range starts at the
//! session's lower end. Since every range starts where the one before ended, ranges cannot overlap
//! or go backwards.

use alloc::vec::Vec;

use super::KeyRange;
use super::compare::LIST_MAX;
use super::error::SyncError;
use super::key::{Fingerprint, ShortId};
use super::message::{put_varint, take, take_varint};
use crate::limits::MAX_ORDER_KEY;

const SKIP: u8 = 0;
const SUM: u8 = 1;
const LIST: u8 = 2;
const DIFFERS: u8 = 3;
const IDS: u8 = 4;
const WANT: u8 = 5;
const TO_END: u8 = 0x80;

/// What one side says about a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// The fingerprint of what it has, by summary.
    Sum(Fingerprint),
    /// The fingerprint of what it has, by list.
    List(Fingerprint),
    /// What it has is something else, and the other may cut the range up.
    Differs,
    /// The ids of all that it has, ascending.
    Ids(Vec<ShortId>),
    /// Ids, of those that the other has listed, that it lacks.
    Want(Vec<ShortId>),
}

/// A statement with the range that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) range: KeyRange,
    pub(super) statement: Statement,
}

/// Writes statements about ascending ranges.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The end of what is written; nothing once the session's end is reached.
    position: Option<Vec<u8>>,
    /// The last statement, held back because the next may extend it.
    held: Option<Said>,
    session_end: Option<Vec<u8>>,
    /// Whether something in here calls for an answer.
    asks: bool,
}

impl Writer {
    pub(super) fn new(session: &KeyRange) -> Self {
        Self {
            bytes: Vec::new(),
            position: Some(session.lo.clone()),
            held: None,
            session_end: session.hi.clone(),
            asks: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.held.is_none()
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// Whether a range can follow what is here.
    pub(super) fn takes(&self, range: &KeyRange) -> bool {
        let end = match &self.held {
            Some(held) => held.range.hi.as_ref(),
            None => self.position.as_ref(),
        };
        end.is_some_and(|end| *end <= range.lo)
    }

    /// Adds a statement about a range that [`takes`](Self::takes) allows.
    pub(super) fn push(&mut self, said: Said) {
        debug_assert!(self.takes(&said.range));
        self.asks |= !matches!(said.statement, Statement::Want(_));
        if let Some(held) = &mut self.held {
            let nothing = Statement::Ids(Vec::new());
            let touch = held.range.hi.as_ref() == Some(&said.range.lo);
            if touch && held.statement == nothing && said.statement == nothing {
                held.range.hi = said.range.hi;
                return;
            }
        }
        self.write_held();
        self.held = Some(said);
    }

    /// The bytes of all statements.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.write_held();
        self.bytes
    }

    fn write_held(&mut self) {
        let Some(Said { range, statement }) = self.held.take() else { return };
        if self.position.as_ref() != Some(&range.lo) {
            self.put_range(SKIP, Some(range.lo));
        }
        let kind = match &statement {
            Statement::Sum(_) => SUM,
            Statement::List(_) => LIST,
            Statement::Differs => DIFFERS,
            Statement::Ids(_) => IDS,
            Statement::Want(_) => WANT,
        };
        self.put_range(kind, range.hi);
        match statement {
            Statement::Sum(print) | Statement::List(print) => {
                self.bytes.extend_from_slice(&print.0);
            }
            Statement::Differs => {}
            Statement::Ids(ids) | Statement::Want(ids) => {
                put_varint(&mut self.bytes, ids.len());
                self.bytes.extend(ids.iter().flat_map(|id| id.0));
            }
        }
    }

    fn put_range(&mut self, kind: u8, hi: Option<Vec<u8>>) {
        let bound = hi.filter(|hi| self.session_end.as_ref() != Some(hi));
        if let (Some(bound), Some(position)) = (&bound, &self.position) {
            let shared = shared_prefix(position, bound);
            self.bytes.push(kind);
            put_varint(&mut self.bytes, shared);
            put_varint(&mut self.bytes, bound.len() - shared);
            self.bytes.extend_from_slice(&bound[shared..]);
        } else {
            self.bytes.push(kind | TO_END);
        }
        self.position = bound;
    }
}

/// Reads statements, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    at: usize,
    /// The end of what was read; nothing once the session's end is reached.
    position: Option<Vec<u8>>,
    session_end: Option<Vec<u8>>,
}

impl Reader {
    /// Checks all statements and then starts at the first.
    pub(super) fn new(bytes: Vec<u8>, session: &KeyRange) -> Result<Self, SyncError> {
        let reader = Self {
            bytes,
            at: 0,
            position: Some(session.lo.clone()),
            session_end: session.hi.clone(),
        };
        let mut trial = reader.clone();
        while trial.read()?.is_some() {}
        Ok(reader)
    }

    /// Bytes held in memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The next statement, skipped ranges left out.
    pub(super) fn read(&mut self) -> Result<Option<Said>, SyncError> {
        let mut skipped = false;
        loop {
            let Some((&head, mut rest)) = self.bytes[self.at..].split_first() else {
                return if skipped { Err(SyncError::NotCanonical) } else { Ok(None) };
            };
            let lo = self.position.take().ok_or(SyncError::Trailing)?;
            let hi = if head & TO_END == 0 {
                Some(take_bound(&mut rest, &lo, self.session_end.as_deref())?)
            } else {
                self.session_end.clone()
            };
            let statement = match head & !TO_END {
                // Skipping twice, or skipping the rest, says nothing.
                SKIP if skipped || head & TO_END != 0 => return Err(SyncError::NotCanonical),
                SKIP => None,
                SUM => Some(Statement::Sum(Fingerprint(take(&mut rest)?))),
                LIST => Some(Statement::List(Fingerprint(take(&mut rest)?))),
                DIFFERS => Some(Statement::Differs),
                IDS => Some(Statement::Ids(take_ids(&mut rest)?)),
                WANT => Some(Statement::Want(take_ids(&mut rest)?)),
                _ => return Err(SyncError::UnknownKind(head)),
            };
            self.at = self.bytes.len() - rest.len();
            self.position = hi.clone().filter(|_| head & TO_END == 0);
            if let Some(statement) = statement {
                return Ok(Some(Said { range: KeyRange { lo, hi }, statement }));
            }
            skipped = true;
        }
    }
}

/// Reads a bound, which must lie after `lo` and before the session's end.
fn take_bound(rest: &mut &[u8], lo: &[u8], end: Option<&[u8]>) -> Result<Vec<u8>, SyncError> {
    let shared = take_varint(rest)?;
    let length = take_varint(rest)?;
    if shared > lo.len() || length == 0 || length > MAX_ORDER_KEY - shared.min(MAX_ORDER_KEY) {
        return Err(SyncError::BadBound);
    }
    let (suffix, after) = rest.split_at_checked(length).ok_or(SyncError::Truncated)?;
    // Larger in the first byte that is not shared: after `lo`, and sharing all that it can.
    if lo.get(shared).is_some_and(|&byte| suffix[0] <= byte) {
        return Err(SyncError::BadBound);
    }
    *rest = after;
    let mut bound = Vec::with_capacity(shared + length);
    bound.extend_from_slice(&lo[..shared]);
    bound.extend_from_slice(suffix);
    if end.is_some_and(|end| bound.as_slice() >= end) {
        return Err(SyncError::BadBound);
    }
    Ok(bound)
}

fn take_ids(rest: &mut &[u8]) -> Result<Vec<ShortId>, SyncError> {
    let count = take_varint(rest)?;
    if count > LIST_MAX {
        return Err(SyncError::TooMuch);
    }
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        let id = ShortId(take(rest)?);
        if ids.last().is_some_and(|&last| id < last) {
            return Err(SyncError::NotCanonical);
        }
        ids.push(id);
    }
    Ok(ids)
}

/// How many bytes two strings have in common at the start.
pub(super) fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn said(lo: &[u8], hi: Option<&[u8]>, statement: Statement) -> Said {
        let range = KeyRange { lo: lo.to_vec(), hi: hi.map(<[u8]>::to_vec) };
        Said { range, statement }
    }

    fn round_trip(session: &KeyRange, all: &[Said]) -> Vec<u8> {
        let mut writer = Writer::new(session);
        for said in all {
            assert!(writer.takes(&said.range));
            writer.push(said.clone());
        }
        let bytes = writer.finish();
        let mut reader = Reader::new(bytes.clone(), session).unwrap();
        for said in all {
            assert_eq!(reader.read().unwrap().as_ref(), Some(said));
        }
        assert_eq!(reader.read(), Ok(None));
        bytes
    }

    #[test]
    fn statements_are_frozen_and_read_back() {
        let session = KeyRange::with_prefix(b"ab");
        let ids = vec![ShortId([1; 5]), ShortId([2; 5])];
        let bytes = round_trip(
            &session,
            &[
                said(b"ab", Some(b"abc"), Statement::Sum(Fingerprint([7; 8]))),
                said(b"abd", Some(b"abdx"), Statement::Want(ids)),
                said(b"abdx", None, Statement::Differs),
            ]
            .map(|mut said| {
                // What reaches the end of the session is read as such.
                said.range.hi = said.range.hi.or_else(|| session.hi.clone());
                said
            }),
        );
        let expected = [
            &[SUM, 2, 1, b'c', 7, 7, 7, 7, 7, 7, 7, 7][..],
            &[SKIP, 2, 1, b'd'],
            &[WANT, 3, 1, b'x', 2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2],
            &[DIFFERS | TO_END],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn neighbouring_ranges_with_nothing_in_them_become_one() {
        let nothing = || Statement::Ids(Vec::new());
        let mut writer = Writer::new(&KeyRange::ALL);
        writer.push(said(b"", Some(b"a"), nothing()));
        writer.push(said(b"a", Some(b"b"), nothing()));
        writer.push(said(b"c", None, nothing()));
        assert!(!writer.takes(&KeyRange::with_prefix(b"z")), "the end is reached");
        let bytes = writer.finish();
        let mut reader = Reader::new(bytes, &KeyRange::ALL).unwrap();
        assert_eq!(reader.read(), Ok(Some(said(b"", Some(b"b"), nothing()))));
        assert_eq!(reader.read(), Ok(Some(said(b"c", None, nothing()))));
        assert_eq!(reader.read(), Ok(None));
    }
}
