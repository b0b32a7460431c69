//! Events on their way to one consumer: merged per path while they wait, and limited.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use core::task::Waker;

use parking_lot::{Condvar, Mutex};

use super::MAX_WAITING_EVENTS;
use super::cursor::Position;
use super::event::{ChangeKind, PathChange, WatchEvent};
use crate::fs::engine::Ticket;

/// What a watch and the engine share.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) state: Mutex<State>,
    pub(super) arrived: Condvar,
}

/// What waits.
#[derive(Debug)]
pub(super) struct State {
    /// Told before everything else: a snapshot, or what happened since a cursor. What a snapshot
    /// puts there has no limit but the subtree itself.
    pub(super) first: VecDeque<WatchEvent>,
    /// Where to resume as long as something of that waits.
    pub(super) resume: Position,
    /// Changes up to this ticket are not news.
    pub(super) after: Ticket,
    /// Events were dropped: nothing is taken in before a snapshot has been made.
    pub(super) is_lagging: bool,
    pub(super) waker: Option<Waker>,
    /// By the order in which the first of what is merged came.
    changes: BTreeMap<u64, Waiting>,
    /// Where the event about something waits.
    places: BTreeMap<Subject, u64>,
    /// The place of the next.
    next: u64,
}

/// What events are merged by: what they tell of, and its path.
type Subject = (u8, String);

#[derive(Debug)]
struct Waiting {
    event: WatchEvent,
    subject: Option<Subject>,
    /// Where the replica was before the first of what is merged.
    since: Position,
}

impl Queue {
    pub(super) fn new(after: Ticket) -> Self {
        let state = State {
            first: VecDeque::new(),
            resume: Position::START,
            after,
            is_lagging: false,
            waker: None,
            changes: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 0,
        };
        Self { state: Mutex::new(state), arrived: Condvar::new() }
    }

    /// Tells whoever waits that something came.
    pub(super) fn wake(&self) {
        let waker = self.state.lock().waker.take();
        self.arrived.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    /// Takes an event in; says whether it did.
    pub(super) fn push(&mut self, ticket: Ticket, since: Position, event: &WatchEvent) -> bool {
        if ticket <= self.after || self.is_lagging {
            return false;
        }
        let subject = subject(event);
        let place = subject.as_ref().and_then(|subject| self.places.get(subject)).copied();
        if let Some(waiting) = place.and_then(|place| self.changes.get_mut(&place)) {
            let still_tells = merge(&mut waiting.event, event);
            if let (false, Some(place), Some(subject)) = (still_tells, place, subject) {
                self.changes.remove(&place);
                self.places.remove(&subject);
            }
            return true;
        }
        if self.changes.len() == MAX_WAITING_EVENTS {
            self.lag();
            return true;
        }
        if let Some(subject) = &subject {
            self.places.insert(subject.clone(), self.next);
        }
        self.changes.insert(self.next, Waiting { event: event.clone(), subject, since });
        self.next += 1;
        true
    }

    /// Forgets what waits: a snapshot of the state up to a ticket takes its place.
    pub(super) fn restart(&mut self, after: Ticket) {
        self.lag();
        self.is_lagging = false;
        self.after = after;
        self.resume = Position::START;
    }

    fn lag(&mut self) {
        self.first.clear();
        self.changes.clear();
        self.places.clear();
        self.is_lagging = true;
    }

    /// The next event, and where to resume after it: before what waits first then, or where the
    /// replica is if nothing does.
    pub(super) fn pop(
        &mut self,
        published: impl FnOnce() -> Position,
    ) -> Option<(WatchEvent, Position)> {
        let event = self.first.pop_front().or_else(|| {
            let (_, waiting) = self.changes.pop_first()?;
            if let Some(subject) = waiting.subject {
                self.places.remove(&subject);
            }
            Some(waiting.event)
        })?;
        Some((event, self.position(published)))
    }

    /// Where to resume, with all told that was taken out.
    pub(super) fn position(&self, published: impl FnOnce() -> Position) -> Position {
        if self.is_lagging {
            return Position::START;
        }
        if !self.first.is_empty() {
            return self.resume;
        }
        // What has been merged away lies behind: whoever resumes there is told of it, to no harm.
        self.changes.first_key_value().map_or_else(published, |(_, waiting)| waiting.since)
    }
}

/// What an event can be merged by.
fn subject(event: &WatchEvent) -> Option<Subject> {
    let kind = match event {
        WatchEvent::Change(_) => 0,
        WatchEvent::Conflict(_) => 1,
        // Of each version and of each grant one tells.
        _ => return None,
    };
    Some((kind, event.path()?.into()))
}

/// Adds a later event to one about the same; says whether anything is left to tell.
fn merge(first: &mut WatchEvent, later: &WatchEvent) -> bool {
    match (first, later) {
        (WatchEvent::Change(first), WatchEvent::Change(later)) => merge_changes(first, later),
        // A conflict that ended and began again may be another one.
        (first @ WatchEvent::Conflict(_), later) => {
            *first = later.clone();
            true
        }
        _ => true,
    }
}

fn merge_changes(first: &mut PathChange, later: &PathChange) -> bool {
    let was_there = first.kind != ChangeKind::Created;
    let is_there = later.kind != ChangeKind::Removed;
    let kind = match (was_there, is_there) {
        (false, false) => return false,
        (false, true) => ChangeKind::Created,
        (true, false) => ChangeKind::Removed,
        // Also where the version is the one before: what is below need not be.
        (true, true) => ChangeKind::Modified,
    };
    let before = first.before;
    // A warning stays until it has been given, unless what it was about shows again.
    let overruled = later.overruled.or(first.overruled).filter(|_| before != later.after);
    *first = PathChange { kind, before, overruled, ..later.clone() };
    true
}
