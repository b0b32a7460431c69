//! One conversation with one peer, as a state machine without I/O.
//!
//! ```text
//! initiator                                      responder
//!   open, ranges ───────────────────────────────▶
//!                ◀─────────────────────────────── accept, ranges … last   (one answer per request)
//!   ranges …     ───────────────────────────────▶
//!                ◀─────────────────────────────── … last
//!   last, entries, done ────────────────────────▶
//!                ◀─────────────────────────────── entries, done, root
//!   close, or again and a further round ────────▶
//! ```
//!
//! The initiator drives: it has a limited number of requests outstanding and keeps what is left to
//! compare; the responder answers each request and keeps nothing. So neither can be made to buffer
//! without bound. A driver goes on reading while it waits to write, or both ends may wait for ever.

mod exchange;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::compare::{Incoming, Local, MESSAGE_FILL, MESSAGE_MAX, Step};
use super::error::SyncError;
use super::event::{Event, Start};
use super::key::{Nonce, Root, RoundKey};
use super::message::Message;
use super::ranges::{Reader, Said, Writer};
use super::{KeyRange, Order, Tree, Work};

/// Rounds until a session ends unequal. Concurrent writes are found by the next session anyway;
/// chance collisions of shortened ids are gone after one further round.
const ROUNDS_MAX: u8 = 3;
/// Requests of the initiator without an answer: a thousand ranges in flight.
const REQUESTS_MAX: usize = 16;
/// From here on, what still differs in a request is answered without detail.
const ANSWER_BRIEF: usize = 128 * 1_024;
/// Longest answer: where brevity begins, and the bounds of a request repeated.
const ANSWER_MAX: usize = ANSWER_BRIEF + 2 * MESSAGE_MAX;
/// Bytes of answers kept by the initiator before it waits with further requests.
const HELD_MAX: usize = 2 * 1_024 * 1_024;
/// Work that one round may cause, in units of about 50 ns: a base of 0.2 s, and so much for each
/// entry here. Computing all hashes for the first time takes 32 an entry, comparing every entry at
/// every level about 10; a peer with far more entries than we have makes us look more often.
const WORK_BASE: u64 = 1 << 22;
const WORK_PER_ENTRY: u64 = 128;
/// Entries that may become due to the peer beyond those in the tree: some may be removed meanwhile.
const DUE_BASE: usize = 4_096;
/// Work of one call of [`Session::advance`], in units of about 50 ns: 13 ms.
const WORK_PER_CALL: u64 = 1 << 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Initiator,
    Responder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The opening was not made (initiator) or did not come (responder) yet.
    Opening,
    /// Finding out what differs.
    Comparing,
    /// Sending and receiving entries.
    Exchanging,
    /// The responder has sent its root and waits for the verdict.
    Judging,
    /// Finished or failed.
    Over,
}

/// How far the exchange of a round has come.
#[derive(Debug, Default)]
struct Exchange {
    sent: bool,
    received: bool,
    admitted: bool,
    /// The root that the responder claims to have after it.
    root: Option<Root>,
}

/// A session of reconciliation with one peer.
///
/// After making it and after every [`handle`](Self::handle), [`entries_sent`](Self::entries_sent)
/// or [`entries_admitted`](Self::entries_admitted), call [`advance`](Self::advance) until it
/// returns `false`, then drain [`poll_transmit`](Self::poll_transmit) and, after it,
/// [`poll_event`](Self::poll_event). Messages and entries travel on one ordered stream, so that
/// the end of the entries is a message like any other.
///
/// The tree may change between calls. What a session misses because of that, the comparison of
/// the roots shows.
///
/// ```
/// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
/// # use ids::{Ids, converse};
/// use basefs::sync::{Event, KeyRange, Nonce, Session, Start};
///
/// let (mut here, mut there) = (Ids::of(&[1, 2]), Ids::of(&[2, 3]));
/// let mut a = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Differs);
/// let mut b = Session::respond(Nonce::from_bytes([2; 16]), KeyRange::ALL);
/// converse(&mut a, &here, &mut b, &there);
/// assert_eq!(a.poll_event(), Some(Event::Send(vec![0])), "the entry [1; 32]");
/// assert_eq!(b.poll_event(), Some(Event::Send(vec![1])), "the entry [3; 32]");
/// // Both send them, and say so …
/// a.entries_sent();
/// b.entries_sent();
/// converse(&mut a, &here, &mut b, &there);
/// assert_eq!((a.poll_event(), b.poll_event()), (Some(Event::Received), Some(Event::Received)));
/// // … and admit what came.
/// here.0.push([3; 32]);
/// there.0.push([1; 32]);
/// a.entries_admitted();
/// b.entries_admitted();
/// converse(&mut a, &here, &mut b, &there);
/// assert_eq!(a.poll_event(), Some(Event::Finished { equal: true, rounds: 1 }));
/// ```
#[derive(Debug)]
pub struct Session {
    role: Role,
    phase: Phase,
    start: Start,
    nonce: Nonce,
    peer_nonce: Option<Nonce>,
    /// The range that is compared; for a responder before the opening, what it allows.
    range: KeyRange,
    round: u8,
    key: RoundKey,
    /// The root that the opening claims, until it is compared.
    claim: Option<Root>,
    /// Messages with statements to deal with: the initiator takes the newest first, which keeps
    /// them few, the responder the oldest.
    inbox: VecDeque<Incoming>,
    /// The message that is being written.
    draft: Writer,
    /// Initiator: requests without an answer.
    outstanding: usize,
    /// Length of the answer that is coming in or going out.
    answer: usize,
    /// Initiator: answers of this round so far. Responder: requests of this round so far.
    turns: usize,
    /// Responder: the last request of this round has come.
    last_came: bool,
    /// Work done in this round.
    spent: u64,
    exchange: Exchange,
    send: Vec<u32>,
    /// Entries sent so far, ascending: a peer that did not admit them will not do so now.
    sent: Vec<u32>,
    outbox: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Session {
    /// Starts a session about `range`. The nonce must be fresh and unpredictable.
    ///
    /// ```
    /// use basefs::sync::{KeyRange, Nonce, Session, Start};
    ///
    /// let nonce = Nonce::from_bytes([1; 16]); // really: random
    /// let users = KeyRange::with_prefix(b"users\0");
    /// let session = Session::initiate(nonce, users.clone(), Start::Unsure);
    /// assert_eq!(session.range(), &users);
    /// ```
    pub fn initiate(nonce: Nonce, range: KeyRange, start: Start) -> Self {
        Self::new(Role::Initiator, nonce, range, start)
    }

    /// Waits for a session that a peer starts, about any part of `range`: what this replica holds.
    /// The nonce must be fresh and unpredictable.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::{Ids, converse};
    /// # use basefs::sync::{KeyRange, Nonce, Session, Start};
    /// let users = KeyRange::with_prefix(b"users\0");
    /// let mut a = Session::initiate(Nonce::from_bytes([1; 16]), users.clone(), Start::Unsure);
    /// let mut b = Session::respond(Nonce::from_bytes([2; 16]), KeyRange::ALL);
    /// converse(&mut a, &Ids::of(&[]), &mut b, &Ids::of(&[]));
    /// assert_eq!(b.range(), &users, "what the peer asked for");
    /// assert!(a.is_over() && b.is_over());
    /// ```
    pub fn respond(nonce: Nonce, range: KeyRange) -> Self {
        Self::new(Role::Responder, nonce, range, Start::Unsure)
    }

    fn new(role: Role, nonce: Nonce, range: KeyRange, start: Start) -> Self {
        Self {
            role,
            phase: Phase::Opening,
            start,
            nonce,
            peer_nonce: None,
            draft: Writer::new(&range),
            range,
            round: 1,
            key: RoundKey::opening(nonce),
            claim: None,
            inbox: VecDeque::new(),
            outstanding: 0,
            answer: 0,
            turns: 0,
            last_came: false,
            spent: 0,
            exchange: Exchange::default(),
            send: Vec::new(),
            sent: Vec::new(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The range that is compared; a responder knows it once the opening has come.
    pub fn range(&self) -> &KeyRange {
        &self.range
    }

    /// Whether the session has finished or failed.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Takes a message of the peer. Cheap: the work is done in [`advance`](Self::advance).
    ///
    /// # Errors
    ///
    /// A [`SyncError`] if the peer broke the protocol. The session is over then; the replica is
    /// as it was.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// # use basefs::sync::{KeyRange, Nonce, Session, Start, SyncError};
    /// let mut a = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Unsure);
    /// while a.advance(&mut Ids::of(&[1]).tree(), &Ids::of(&[1]))? {}
    /// let opening = a.poll_transmit().unwrap();
    /// // This replica holds a part of the hierarchy, and was asked for all of it.
    /// let mut b = Session::respond(Nonce::from_bytes([2; 16]), KeyRange::with_prefix(b"users\0"));
    /// assert_eq!(b.handle(&opening), Err(SyncError::ForeignRange));
    /// assert!(b.is_over());
    /// # Ok::<(), SyncError>(())
    /// ```
    pub fn handle(&mut self, message: &[u8]) -> Result<(), SyncError> {
        if self.phase == Phase::Over {
            return Err(SyncError::Over);
        }
        let result = Message::decode(message).and_then(|message| match self.role {
            Role::Initiator => self.handle_as_initiator(message),
            Role::Responder => self.handle_as_responder(message),
        });
        self.fail_on_error(result)
    }

    /// Works for some milliseconds; `true` if there is more to do at once.
    ///
    /// # Errors
    ///
    /// A [`SyncError`] if what the peer has sent turns out to be out of all proportion. The
    /// session is over then; the replica is as it was.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::Ids;
    /// # use basefs::sync::{KeyRange, Nonce, Session, Start};
    /// let ids = Ids::of(&[1, 2, 3]);
    /// let mut tree = ids.tree();
    /// let mut session = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Unsure);
    /// while session.advance(&mut tree, &ids)? {
    ///     // A driver may do other things in between.
    /// }
    /// assert!(session.poll_transmit().is_some(), "the opening");
    /// assert!(session.poll_event().is_none(), "nothing is known before the answer");
    /// # Ok::<(), basefs::sync::SyncError>(())
    /// ```
    #[must_use = "there may be more to do, or the peer may have misbehaved"]
    pub fn advance<O: Order>(&mut self, tree: &mut Tree, order: &O) -> Result<bool, SyncError> {
        let mut local = Local { tree, order, work: Work::new(WORK_PER_CALL) };
        let result = match (self.phase, self.role) {
            (Phase::Opening, Role::Initiator) => Ok(self.open(&mut local)),
            (Phase::Comparing, Role::Initiator) => self.compare_as_initiator(&mut local),
            (Phase::Comparing, Role::Responder) => self.compare_as_responder(&mut local),
            (Phase::Exchanging, Role::Initiator) => Ok(self.judge(&mut local)),
            (Phase::Exchanging, Role::Responder) => Ok(self.state_root(&mut local)),
            (Phase::Opening, Role::Responder) | (Phase::Judging | Phase::Over, _) => Ok(false),
        };
        self.spent = self.spent.saturating_add(WORK_PER_CALL - local.work.left());
        let result = result.and_then(|more| self.within_reason(local.tree).map(|()| more));
        self.fail_on_error(result)
    }

    /// The next message to send.
    #[must_use = "a message taken out and not sent is lost"]
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// The next event.
    #[must_use = "an event taken out and ignored stalls the session"]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The entries of [`Event::Send`] were put on the stream.
    ///
    /// ```
    /// # mod ids { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/ids.rs")); }
    /// # use ids::{Ids, converse};
    /// # use basefs::sync::{Event, KeyRange, Nonce, Session, Start};
    /// # let (here, there) = (Ids::of(&[1]), Ids::of(&[]));
    /// # let mut a = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Differs);
    /// # let mut b = Session::respond(Nonce::from_bytes([2; 16]), KeyRange::ALL);
    /// # converse(&mut a, &here, &mut b, &there);
    /// assert_eq!(a.poll_event(), Some(Event::Send(vec![0])));
    /// assert_eq!(a.poll_transmit(), None);
    /// a.entries_sent(); // they are on the stream
    /// let done = a.poll_transmit().unwrap();
    /// b.handle(&done)?; // it comes after them
    /// # assert_eq!(b.poll_event(), Some(Event::Send(vec![])));
    /// assert_eq!(b.poll_event(), Some(Event::Received));
    /// # Ok::<(), basefs::sync::SyncError>(())
    /// ```
    pub fn entries_sent(&mut self) {
        if self.phase == Phase::Exchanging && !self.exchange.sent {
            self.exchange.sent = true;
            self.outbox.push_back(Message::Done.encode());
        }
    }

    /// The entries announced by [`Event::Received`] are stored and in the tree, as far as they
    /// were admitted.
    pub fn entries_admitted(&mut self) {
        self.exchange.admitted = self.exchange.received;
    }

    /// Stops a peer that asks endlessly or for the same again.
    fn within_reason(&self, tree: &Tree) -> Result<(), SyncError> {
        let entries = u64::try_from(tree.len()).unwrap_or(u64::MAX);
        let most = WORK_BASE.saturating_add(WORK_PER_ENTRY.saturating_mul(entries));
        // Every entry is due once.
        if self.spent > most || self.send.len() > tree.len().saturating_add(DUE_BASE) {
            return Err(SyncError::TooMuch);
        }
        Ok(())
    }

    fn fail_on_error<T>(&mut self, result: Result<T, SyncError>) -> Result<T, SyncError> {
        if result.is_err() {
            self.phase = Phase::Over;
            self.inbox.clear();
            self.outbox.clear();
            self.events.clear();
        }
        result
    }
}

/// Taking messages.
impl Session {
    fn handle_as_initiator(&mut self, message: Message) -> Result<(), SyncError> {
        match (self.phase, message) {
            (Phase::Comparing, Message::Accept { nonce }) if self.peer_nonce.is_none() => {
                self.peer_nonce = Some(nonce);
                self.key = self.round_key();
            }
            (Phase::Comparing, Message::Ranges { statements, last }) if self.outstanding > 0 => {
                if self.peer_nonce.is_none() {
                    return Err(SyncError::OutOfPlace);
                }
                self.answer += statements.len();
                if self.answer > ANSWER_MAX {
                    return Err(SyncError::TooMuch);
                }
                self.take_ranges(statements, false)?;
                if last {
                    self.outstanding -= 1;
                    self.turns += 1;
                    self.answer = 0;
                }
            }
            // Instead of an answer to the opening: the responder found the roots equal.
            (Phase::Comparing, Message::Root(root)) if self.opening_is_unanswered() => {
                self.skip_exchange(Some(root));
            }
            (Phase::Exchanging, Message::Done) if !self.exchange.received => {
                self.exchange.received = true;
                self.events.push_back(Event::Received);
            }
            (Phase::Exchanging, Message::Root(root))
                if self.exchange.received && self.exchange.root.is_none() =>
            {
                self.exchange.root = Some(root);
            }
            _ => return Err(SyncError::OutOfPlace),
        }
        Ok(())
    }

    fn handle_as_responder(&mut self, message: Message) -> Result<(), SyncError> {
        match (self.phase, message) {
            (Phase::Opening, Message::Open { nonce, root, range }) => {
                if !range.is_within(&self.range) {
                    return Err(SyncError::ForeignRange);
                }
                self.range = range;
                self.draft = Writer::new(&self.range);
                self.claim = root;
                self.peer_nonce = Some(nonce);
                self.key = self.round_key();
                self.phase = Phase::Comparing;
                self.outbox.push_back(Message::Accept { nonce: self.nonce }.encode());
            }
            (Phase::Comparing, Message::Ranges { statements, last }) if !self.last_came => {
                // An honest initiator may be one above its own limit, by what it had begun to write.
                if self.inbox.len() > REQUESTS_MAX {
                    return Err(SyncError::TooMuch);
                }
                self.take_ranges(statements, last)?;
                self.turns += 1;
                self.last_came = last;
            }
            (Phase::Comparing | Phase::Exchanging, Message::Done)
                if self.last_came && !self.exchange.received =>
            {
                self.exchange.received = true;
                self.events.push_back(Event::Received);
            }
            (Phase::Judging, Message::Again) if (1..ROUNDS_MAX).contains(&self.round) => {
                self.next_round();
            }
            (Phase::Judging, Message::Close { equal }) => self.finish(equal),
            _ => return Err(SyncError::OutOfPlace),
        }
        Ok(())
    }

    fn take_ranges(&mut self, statements: Vec<u8>, last: bool) -> Result<(), SyncError> {
        let opening = match self.role {
            Role::Initiator => RoundKey::opening(self.nonce),
            Role::Responder => RoundKey::opening(self.peer_nonce.unwrap_or(self.nonce)),
        };
        let first = self.turns == 0;
        // What the initiator says first, and what answers it, knew one nonce only.
        let key = |by| {
            let early = first && self.round == 1 && self.role == by;
            if early { opening.clone() } else { self.key.clone() }
        };
        let incoming = Incoming {
            reader: Reader::new(statements, &self.range)?,
            current: None,
            stated: key(Role::Responder),
            wanted: key(Role::Initiator),
            cuts: if first && self.role == Role::Responder { 2 } else { 1 },
            last,
        };
        self.inbox.push_back(incoming);
        Ok(())
    }

    fn opening_is_unanswered(&self) -> bool {
        self.round == 1
            && self.turns == 0
            && self.answer == 0
            && self.outstanding == 1
            && self.peer_nonce.is_some()
            && self.inbox.is_empty()
    }
}

/// Comparing.
impl Session {
    /// Makes the opening; says whether the work was spent before.
    fn open<O: Order>(&mut self, local: &mut Local<'_, O>) -> bool {
        let unsure = self.start == Start::Unsure;
        // Computing the root may cost seconds once; who has next to nothing differs anyhow.
        let root = if local.opens_with_list(&self.range, unsure) && !unsure {
            None
        } else {
            let Some(root) = local.root(&self.key, &self.range) else { return true };
            Some(root)
        };
        let Some(said) = local.open(&self.key, &self.range, unsure) else { return true };
        let open = Message::Open { nonce: self.nonce, root, range: self.range.clone() };
        self.outbox.push_back(open.encode());
        self.request(said);
        self.phase = Phase::Comparing;
        false
    }

    /// Sends statements as a request.
    fn request(&mut self, said: Vec<Said>) {
        said.into_iter().for_each(|said| self.draft.push(said));
        self.send_draft(false);
        self.outstanding += 1;
    }

    fn compare_as_initiator<O: Order>(
        &mut self,
        local: &mut Local<'_, O>,
    ) -> Result<bool, SyncError> {
        loop {
            let held: usize = self.inbox.iter().map(|incoming| incoming.reader.size()).sum();
            let wait = self.outstanding >= REQUESTS_MAX || held > HELD_MAX;
            if wait && self.outstanding > 0 {
                return Ok(false);
            }
            let Some(incoming) = self.inbox.back_mut() else { break };
            if local.work.is_spent() {
                return Ok(true);
            }
            match local.step(incoming, &self.key, false, &mut self.send)? {
                Step::Blocked => return Ok(true),
                Step::End => drop(self.inbox.pop_back()),
                Step::Reply(said) => {
                    if said.first().is_some_and(|said| !self.draft.takes(&said.range)) {
                        self.request(Vec::new());
                    }
                    said.into_iter().for_each(|said| self.draft.push(said));
                    if self.draft.len() >= MESSAGE_FILL {
                        self.request(Vec::new());
                    }
                }
            }
        }
        if self.draft.asks() {
            self.request(Vec::new());
        } else if self.outstanding == 0 {
            self.send_draft(true);
            self.conclude();
        }
        Ok(false)
    }

    fn compare_as_responder<O: Order>(
        &mut self,
        local: &mut Local<'_, O>,
    ) -> Result<bool, SyncError> {
        while let Some(incoming) = self.inbox.front_mut() {
            if let Some(claim) = self.claim {
                let opening = incoming.stated.clone();
                let Some(root) = local.root(&opening, &self.range) else { return Ok(true) };
                self.claim = None;
                if root == claim {
                    self.inbox.clear();
                    self.skip_exchange(None);
                    return Ok(self.state_root(local));
                }
            }
            if local.work.is_spent() {
                return Ok(true);
            }
            let brief = self.answer + self.draft.len() >= ANSWER_BRIEF;
            match local.step(incoming, &self.key, brief, &mut self.send)? {
                Step::Blocked => return Ok(true),
                Step::Reply(said) => {
                    said.into_iter().for_each(|said| self.draft.push(said));
                    if self.draft.len() >= MESSAGE_FILL {
                        self.answer += self.draft.len();
                        self.send_draft(false);
                    }
                }
                Step::End => {
                    let last = incoming.last;
                    self.inbox.pop_front();
                    self.answer = 0;
                    if last {
                        // Wants are all that it may hold.
                        if !self.draft.is_empty() || !self.inbox.is_empty() {
                            return Err(SyncError::OutOfPlace);
                        }
                        self.conclude();
                        return Ok(false);
                    }
                    self.send_draft(true);
                }
            }
        }
        Ok(false)
    }

    fn send_draft(&mut self, last: bool) {
        let draft = core::mem::replace(&mut self.draft, Writer::new(&self.range));
        self.outbox.push_back(Message::Ranges { statements: draft.finish(), last }.encode());
    }
}
