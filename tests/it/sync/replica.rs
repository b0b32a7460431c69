//! A replica reduced to what reconciliation sees, and two of them in conversation.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use basefs::id::EntryId;
use basefs::sync::{Event, KeyRange, Nonce, Order, Session, Start, Summary, Tree, Work};

/// Order keys by arrival number.
#[derive(Debug, Default)]
pub(super) struct Keys(pub(super) Vec<Rc<[u8]>>);

impl Order for Keys {
    fn compare(&self, a: u32, b: u32) -> Ordering {
        self.0[a as usize].cmp(&self.0[b as usize])
    }

    fn compare_key(&self, a: u32, key: &[u8]) -> Ordering {
        (*self.0[a as usize]).cmp(key)
    }

    fn order_key(&self, a: u32) -> Vec<u8> {
        self.0[a as usize].to_vec()
    }

    fn id(&self, a: u32) -> EntryId {
        EntryId::from_slice(self.0[a as usize].last_chunk::<32>().unwrap()).unwrap()
    }
}

/// The order key of the `version`th entry at a path.
pub(super) fn key(path: &str, version: u64) -> Rc<[u8]> {
    let mut key = Vec::new();
    for component in path.split('/').filter(|component| !component.is_empty()) {
        key.extend(component.as_bytes());
        key.push(0);
    }
    key.push(0);
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_bytes()).update(&version.to_le_bytes());
    key.extend(hasher.finalize().as_bytes());
    key.into()
}

/// The `n`th of many files in directories of 100.
pub(super) fn file(n: u64) -> Rc<[u8]> {
    key(&format!("users/u{:05}/notes/{}.txt", n / 100, n % 100), 0)
}

#[derive(Debug, Default)]
pub(super) struct Replica {
    pub(super) keys: Keys,
    pub(super) tree: Tree,
    known: BTreeSet<Rc<[u8]>>,
}

impl Replica {
    pub(super) fn new(keys: impl IntoIterator<Item = Rc<[u8]>>) -> Self {
        let keys = Keys(keys.into_iter().collect());
        let known = keys.0.iter().cloned().collect();
        let numbers = (0..u32::try_from(keys.0.len()).unwrap()).collect();
        let tree = Tree::load(&keys, numbers, None);
        Self { keys, tree, known }
    }

    pub(super) fn insert(&mut self, key: Rc<[u8]>) {
        if self.known.insert(key.clone()) {
            let number = u32::try_from(self.keys.0.len()).unwrap();
            self.keys.0.push(key);
            assert!(self.tree.insert(&self.keys, number));
        }
    }

    pub(super) fn known(&self) -> &BTreeSet<Rc<[u8]>> {
        &self.known
    }

    pub(super) fn summary(&mut self) -> Summary {
        let all = 0..self.tree.len();
        self.tree.summary(&self.keys, all, &mut Work::unlimited()).unwrap()
    }
}

/// What travels on the stream.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Message(Vec<u8>),
    Entry(Rc<[u8]>),
}

/// One end of a session with its replica: what a driver does.
pub(super) struct End {
    pub(super) replica: Replica,
    pub(super) session: Session,
    arrived: Vec<Rc<[u8]>>,
    pub(super) finished: Option<(bool, u8)>,
}

impl End {
    pub(super) fn new(replica: Replica, session: Session) -> Self {
        Self { replica, session, arrived: Vec::new(), finished: None }
    }

    /// Takes one item and gives what is to be sent then.
    pub(super) fn take(&mut self, item: Item) -> Vec<Item> {
        match item {
            Item::Message(message) => self.session.handle(&message).unwrap(),
            Item::Entry(key) => self.arrived.push(key),
        }
        self.drive()
    }

    pub(super) fn drive(&mut self) -> Vec<Item> {
        let mut out = Vec::new();
        loop {
            while self.session.advance(&mut self.replica.tree, &self.replica.keys).unwrap() {}
            while let Some(message) = self.session.poll_transmit() {
                out.push(Item::Message(message));
            }
            match self.session.poll_event() {
                None => return out,
                Some(Event::Send(numbers)) => {
                    assert!(numbers.is_sorted());
                    let keys = &self.replica.keys.0;
                    out.extend(numbers.iter().map(|&n| Item::Entry(keys[n as usize].clone())));
                    self.session.entries_sent();
                }
                Some(Event::Received) => {
                    for key in std::mem::take(&mut self.arrived) {
                        self.replica.insert(key);
                    }
                    self.session.entries_admitted();
                }
                Some(Event::Finished { equal, rounds }) => self.finished = Some((equal, rounds)),
                Some(event) => panic!("unknown event {event:?}"),
            }
        }
    }
}

/// What a session took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Bytes both ways without entries, each message with three bytes of framing.
    pub(super) bytes: usize,
    pub(super) messages: usize,
    pub(super) entries: usize,
    /// One-way trips until the last entry had arrived.
    pub(super) flights: usize,
    /// One-way trips in all.
    pub(super) all_flights: usize,
    pub(super) equal: bool,
    pub(super) rounds: u8,
}

pub(super) struct Pair {
    pub(super) a: End,
    pub(super) b: End,
}

impl Pair {
    pub(super) fn new(a: Replica, b: Replica, start: Start) -> Self {
        Self::with_range(a, b, start, KeyRange::ALL, 0)
    }

    pub(super) fn with_range(
        a: Replica,
        b: Replica,
        start: Start,
        range: KeyRange,
        seed: u8,
    ) -> Self {
        let a = End::new(a, Session::initiate(Nonce::from_bytes([seed; 16]), range, start));
        let nonce = Nonce::from_bytes([seed ^ 0xff; 16]);
        Self { a, b: End::new(b, Session::respond(nonce, KeyRange::ALL)) }
    }

    pub(super) fn run(&mut self) -> Cost {
        self.run_with(|_, _, _| true)
    }

    /// Runs the session until so many items, messages and entries, have been delivered.
    pub(super) fn run_items(&mut self, items: usize) {
        let mut flight: VecDeque<(bool, Item)> = VecDeque::new();
        flight.extend(self.a.drive().into_iter().map(|item| (true, item)));
        for _ in 0..items {
            let Some((to_b, item)) = flight.pop_front() else { return };
            let to = if to_b { &mut self.b } else { &mut self.a };
            flight.extend(to.take(item).into_iter().map(|item| (!to_b, item)));
        }
    }

    /// Runs the session, all that one side has to say at a time, until both are through or
    /// `before` the delivery of an item says that the connection is gone.
    pub(super) fn run_with(
        &mut self,
        mut before: impl FnMut(usize, &mut Replica, &mut Replica) -> bool,
    ) -> Cost {
        let mut cost = Cost::default();
        let mut flight: VecDeque<Item> = self.a.drive().into();
        let mut delivered = 0;
        while !flight.is_empty() {
            cost.all_flights += 1;
            let to = if cost.all_flights % 2 == 1 { &mut self.b } else { &mut self.a };
            let mut reply = Vec::new();
            for item in flight.drain(..) {
                match &item {
                    Item::Message(message) => {
                        cost.bytes += message.len() + 3;
                        cost.messages += 1;
                    }
                    Item::Entry(_) => {
                        cost.entries += 1;
                        cost.flights = cost.all_flights;
                    }
                }
                reply.extend(to.take(item));
            }
            flight.extend(reply);
            delivered += 1;
            if !before(delivered, &mut self.a.replica, &mut self.b.replica) {
                return cost;
            }
        }
        let finished = self.a.finished.expect("the session came to an end");
        assert_eq!(self.b.finished, Some(finished), "both sides see the same end");
        (cost.equal, cost.rounds) = finished;
        cost
    }

    pub(super) fn assert_equal(&mut self) {
        assert_eq!(self.a.replica.known(), self.b.replica.known());
        assert_eq!(self.a.replica.summary(), self.b.replica.summary());
    }
}

/// Shared keys, and some of one side alone.
pub(super) fn pair(
    shared: impl Iterator<Item = Rc<[u8]>> + Clone,
    only_a: impl IntoIterator<Item = Rc<[u8]>>,
    only_b: impl IntoIterator<Item = Rc<[u8]>>,
) -> (Replica, Replica) {
    (Replica::new(shared.clone().chain(only_a)), Replica::new(shared.chain(only_b)))
}
