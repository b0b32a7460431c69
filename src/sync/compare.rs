//! Comparing what the peer says about a range with what is here, and what to say in return.
//!
//! Three round trips are the goal, entries included: of six flights the last two carry entries and
//! the fourth lists ids, so a range is cut three times at most. A range of n entries that may still be
//! cut k times is cut into (n / 32)^(1/k) parts, which leaves lists of about 32 whatever n is.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::error::SyncError;
use super::key::{Fingerprint, Root, RoundKey, ShortId};
use super::ranges::{Reader, Said, Statement, shared_prefix};
use super::{KeyRange, Order, Tree, Work};
use crate::limits::MAX_ORDER_KEY;

/// Most entries that are listed rather than cut up. Listing 64 costs 320 bytes, cutting them up
/// and listing one part about 200, but a flight more.
pub(super) const LIST_MAX: usize = 64;
/// The size that cutting aims at: half, so that a part with some entries more can still be listed.
const LIST_TARGET: usize = LIST_MAX / 2;
/// Most parts that a range is cut into: bounds what one statement of a peer makes us say.
const PARTS_MAX: usize = 128;
/// Parts may be larger or smaller by this fraction, 1/4, where that makes for a shorter bound:
/// between two directories rather than between two versions of one file.
const WINDOW: usize = 4;
/// Most parts of the whole range in the first message, one packet, if a difference is known.
const OPENING_PARTS: usize = 48;
/// The same if both sides are likely equal: then all of it is wasted.
const OPENING_PARTS_UNSURE: usize = 8;
/// Most parts that have a sum as fingerprint. Each may take a leaf's worth of expanding, for which
/// the work of one call must suffice.
const SUMS_MAX: usize = 64;
/// Ranges up to this length have the fingerprint of a list. Hashing 1,024 ids costs what
/// expanding 30 ids does, and a range with arbitrary bounds needs about 50 expanded.
const LIST_PRINT_MAX: usize = 1_024;
/// Bytes of bounds after which a range is cut no further; 128 bounds rarely have a tenth of it.
const BOUNDS_MAX: usize = 8 * 1_024;
/// A message is sent when it has grown to this; about twelve packets.
pub(super) const MESSAGE_FILL: usize = 16 * 1_024;
/// Longest message: what the reply to one statement adds, each of its parts with a kind, two
/// lengths and a fingerprint, and bounds around it.
pub(super) const MESSAGE_MAX: usize =
    MESSAGE_FILL + PARTS_MAX * (1 + 3 + 3 + Fingerprint::LEN) + BOUNDS_MAX + 3 * MAX_ORDER_KEY;

/// What dealing with a statement costs at least, in units of [`Work`]: finding its range.
const STEP: u64 = 32;
/// What a bound costs: two order keys, and finding its place.
const BOUND: u64 = 64;
/// What shortening an id costs.
const SHORTEN: u64 = 2;
/// What an id in the fingerprint of a list costs.
const LIST: u64 = 1;

const _: () = {
    assert!(LIST_PRINT_MAX > LIST_MAX);
    assert!(LIST_MAX * ShortId::LEN < BOUNDS_MAX);
    assert!(OPENING_PARTS_UNSURE < OPENING_PARTS && OPENING_PARTS <= PARTS_MAX);
};

/// A message of the peer that is being worked on.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) reader: Reader,
    /// A statement that was begun.
    pub(super) current: Option<Scan>,
    /// The key of fingerprints and lists in it.
    pub(super) stated: RoundKey,
    /// The key of wants in it: that of our lists that they answer.
    pub(super) wanted: RoundKey,
    /// How often ranges in it may still be cut up before they are listed.
    pub(super) cuts: u8,
    /// The last request of a round.
    pub(super) last: bool,
}

/// A statement, and how far its list was compared.
#[derive(Debug)]
pub(super) struct Scan {
    said: Said,
    /// Entries of the range that were compared with the list.
    done: usize,
    /// Which ids of the list were found here.
    found: Vec<bool>,
}

/// What came of a statement.
#[derive(Debug)]
pub(super) enum Step {
    /// The work was spent; the statement waits.
    Blocked,
    /// It is dealt with, and this is to be said in return.
    Reply(Vec<Said>),
    /// The message has no more statements.
    End,
}

/// This side of the comparison.
pub(super) struct Local<'a, O> {
    pub(super) tree: &'a mut Tree,
    pub(super) order: &'a O,
    pub(super) work: Work,
}

impl<O: Order> Local<'_, O> {
    /// The root of the session's range; nothing if the work is spent.
    pub(super) fn root(&mut self, key: &RoundKey, range: &KeyRange) -> Option<Root> {
        let ranks = self.ranks(range);
        let summary = self.tree.summary(self.order, ranks, &mut self.work)?;
        Some(key.root(&summary))
    }

    /// The first statements of a round; nothing if the work is spent.
    pub(super) fn open(
        &mut self,
        key: &RoundKey,
        range: &KeyRange,
        unsure: bool,
    ) -> Option<Vec<Said>> {
        let ranks = self.ranks(range);
        let count = ranks.len();
        if count == 0 || count <= LIST_MAX && !unsure {
            return Some(vec![self.list(key, range.clone(), ranks)]);
        }
        let most = if unsure { OPENING_PARTS_UNSURE } else { OPENING_PARTS };
        self.cut(key, range, ranks, (count / LIST_TARGET).clamp(1, most))
    }

    /// Whether so few entries are here that [`open`](Self::open) lists them.
    pub(super) fn opens_with_list(&self, range: &KeyRange, unsure: bool) -> bool {
        let count = self.ranks(range).len();
        count == 0 || count <= LIST_MAX && !unsure
    }

    /// Deals with the next statement of a message. What is here and the peer lacks is added to
    /// `send`; `key` is for what is said in return, as briefly as possible if `brief`.
    pub(super) fn step(
        &mut self,
        incoming: &mut Incoming,
        key: &RoundKey,
        brief: bool,
        send: &mut Vec<u32>,
    ) -> Result<Step, SyncError> {
        let mut scan = match incoming.current.take() {
            Some(scan) => scan,
            None => match incoming.reader.read()? {
                Some(said) => Scan::new(said),
                None => return Ok(Step::End),
            },
        };
        self.work.spend(STEP);
        let reply = match &scan.said.statement {
            Statement::Ids(_) | Statement::Want(_) => self.scan(incoming, &mut scan, send),
            statement => match self.differs(&incoming.stated, &scan.said.range, statement) {
                None => None,
                Some(false) => Some(Vec::new()),
                Some(true) => self.describe(key, &scan.said.range, incoming.cuts, brief),
            },
        };
        Ok(match reply {
            Some(reply) => Step::Reply(reply),
            None => {
                incoming.current = Some(scan);
                Step::Blocked
            }
        })
    }

    fn ranks(&self, range: &KeyRange) -> Range<usize> {
        let start = self.tree.rank(self.order, &range.lo);
        let end = match &range.hi {
            Some(hi) => self.tree.rank(self.order, hi),
            None => self.tree.len(),
        };
        start..end.max(start)
    }

    /// Whether what is here is not what the peer states.
    fn differs(&mut self, key: &RoundKey, range: &KeyRange, statement: &Statement) -> Option<bool> {
        let ranks = self.ranks(range);
        Some(match statement {
            Statement::Sum(theirs) => {
                key.sum(&self.tree.summary(self.order, ranks, &mut self.work)?) != *theirs
            }
            Statement::List(theirs) => {
                ranks.len() > LIST_PRINT_MAX
                    || self.list_print(key, ranks) != Statement::List(*theirs)
            }
            _ => true,
        })
    }

    /// What to say about a range that differs.
    fn describe(
        &mut self,
        key: &RoundKey,
        range: &KeyRange,
        cuts: u8,
        brief: bool,
    ) -> Option<Vec<Said>> {
        let ranks = self.ranks(range);
        if ranks.is_empty() || ranks.len() <= LIST_MAX && !brief {
            return Some(vec![self.list(key, range.clone(), ranks)]);
        }
        if brief {
            return Some(vec![Said { range: range.clone(), statement: Statement::Differs }]);
        }
        let lists = ranks.len().div_ceil(LIST_TARGET);
        let parts = if cuts > 1 { lists.isqrt() } else { lists };
        let most = if ranks.len() > PARTS_MAX * LIST_PRINT_MAX { SUMS_MAX } else { PARTS_MAX };
        self.cut(key, range, ranks, parts.clamp(2, most))
    }

    /// Fingerprints of so many parts of about equal size.
    fn cut(
        &mut self,
        key: &RoundKey,
        range: &KeyRange,
        ranks: Range<usize>,
        parts: usize,
    ) -> Option<Vec<Said>> {
        let mut said = Vec::with_capacity(parts);
        let (mut start, mut lo) = (ranks.start, range.lo.clone());
        let (size, rest) = (ranks.len() / parts, ranks.len() % parts);
        let mut bounds = 0;
        for part in 1..parts {
            let middle = ranks.start + size * part + rest * part / parts;
            let first = middle.saturating_sub(size / WINDOW).max(start + 1);
            let last = (middle + size / WINDOW).min(ranks.end - 1);
            if first > last || bounds > BOUNDS_MAX {
                continue;
            }
            let (end, hi) = self.separator(first, last);
            self.work.spend(BOUND);
            bounds += hi.len() - shared_prefix(&lo, &hi);
            let statement = self.print(key, start..end)?;
            said.push(Said { range: KeyRange { lo, hi: Some(hi.clone()) }, statement });
            (start, lo) = (end, hi);
        }
        let statement = self.print(key, start..ranks.end)?;
        said.push(Said { range: KeyRange { lo, hi: range.hi.clone() }, statement });
        Some(said)
    }

    /// The shortest bound that separates some entry of the ranks `first..=last` from the one before
    /// it, with the rank of that entry.
    ///
    /// A bound between the two ends of the window tells them apart, so it is longer than what they
    /// share; one byte more of the upper end is enough.
    fn separator(&self, first: usize, last: usize) -> (usize, Vec<u8>) {
        let key = |rank| self.tree.get(rank).map(|entry| self.order.order_key(entry));
        let before = first.checked_sub(1).and_then(key).unwrap_or_default();
        let mut bound = key(last).unwrap_or_default();
        bound.truncate(shared_prefix(&before, &bound) + 1);
        (self.tree.rank(self.order, &bound).clamp(first, last), bound)
    }

    fn print(&mut self, key: &RoundKey, ranks: Range<usize>) -> Option<Statement> {
        if ranks.len() <= LIST_PRINT_MAX {
            return Some(self.list_print(key, ranks));
        }
        let summary = self.tree.summary(self.order, ranks, &mut self.work)?;
        Some(Statement::Sum(key.sum(&summary)))
    }

    fn list_print(&mut self, key: &RoundKey, ranks: Range<usize>) -> Statement {
        self.spend(LIST, ranks.len());
        Statement::List(key.list(self.tree.range(ranks).map(|entry| self.order.id(entry))))
    }

    fn list(&mut self, key: &RoundKey, range: KeyRange, ranks: Range<usize>) -> Said {
        self.spend(SHORTEN, ranks.len());
        let entries = self.tree.range(ranks);
        let mut ids: Vec<ShortId> = entries.map(|entry| key.short(&self.order.id(entry))).collect();
        ids.sort_unstable();
        Said { range, statement: Statement::Ids(ids) }
    }

    /// Compares the entries of a range with a list; nothing if the work is spent first.
    ///
    /// Should the tree change in between, some are overlooked: the roots will tell.
    fn scan(
        &mut self,
        incoming: &Incoming,
        scan: &mut Scan,
        send: &mut Vec<u32>,
    ) -> Option<Vec<Said>> {
        let ranks = self.ranks(&scan.said.range);
        let (key, ids, wanted) = match &scan.said.statement {
            Statement::Ids(ids) => (&incoming.stated, ids, false),
            Statement::Want(ids) => (&incoming.wanted, ids, true),
            _ => return Some(Vec::new()),
        };
        let (start, end) = (ranks.start.saturating_add(scan.done), ranks.end);
        if ids.is_empty() {
            // The peer has nothing here, or wants nothing: no need to look.
            send.extend(self.tree.range(start..if wanted { start } else { end }));
            return Some(Vec::new());
        }
        for entry in self.tree.range(start..end) {
            if self.work.is_spent() {
                return None;
            }
            let id = key.short(&self.order.id(entry));
            let first = ids.partition_point(|other| *other < id);
            let equal = ids[first..].iter().take_while(|other| **other == id).count();
            scan.found[first..first + equal].fill(true);
            if (equal > 0) == wanted {
                send.push(entry);
            }
            scan.done += 1;
            self.work.spend(SHORTEN);
        }
        let missing = ids.iter().zip(&scan.found).filter(|(_, found)| !**found && !wanted);
        let missing: Vec<ShortId> = missing.map(|(id, _)| *id).collect();
        if missing.is_empty() {
            return Some(Vec::new());
        }
        let statement = Statement::Want(missing);
        Some(vec![Said { range: scan.said.range.clone(), statement }])
    }

    fn spend(&mut self, cost: u64, count: usize) {
        self.work.spend(cost * u64::try_from(count).unwrap_or(u64::MAX / cost));
    }
}

impl Scan {
    fn new(said: Said) -> Self {
        let ids = match &said.statement {
            Statement::Ids(ids) | Statement::Want(ids) => ids.len(),
            _ => 0,
        };
        Self { said, done: 0, found: vec![false; ids] }
    }
}
