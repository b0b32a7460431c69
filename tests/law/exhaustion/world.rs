//! A small log in every order of arrival, held against the rules.

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::{Body, FileData, Payload, Rights, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId, PublicKey};
use basefs::log::Source;
use basefs::node::{Effects, Replica};
use basefs::time::WallTime;
use basefs::wire::SecretKey;

use super::menu::{Action, KEYS, Made, NAMES, Step};
use crate::compare::same;
use crate::naive::{self, Deciders, State};

/// Signed entries that are remembered: a signature costs more than what it is needed for.
const MAX_SIGNED: usize = 100_000;

/// What happens to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The entry with this position arrives.
    Entry(usize),
    /// The content arrives.
    Content,
}

/// The end of the log that was checked last, as long as the next begins like it.
struct Trail {
    shape: u64,
    entry: VerifiedEntry,
    /// After this entry and all before it, in this order.
    replica: Replica,
}

/// What all logs have in common, and what was found.
pub(super) struct World {
    keys: Vec<SecretKey>,
    /// The genesis, and the grants of the second and third key.
    base: Vec<VerifiedEntry>,
    root: DirId,
    complete: Content,
    incomplete: Content,
    signed: BTreeMap<u64, VerifiedEntry>,
    trail: Vec<Trail>,
    /// The base is here, nothing else.
    founded: Replica,
    pub(super) logs: u64,
    pub(super) orders: u64,
    pub(super) comparisons: u64,
    pub(super) deciders: Deciders,
    pub(super) findings: Vec<String>,
}

impl World {
    pub(super) fn new() -> Self {
        let keys: Vec<SecretKey> =
            (1..=KEYS).map(|seed| SecretKey::from_seed([seed; 32])).collect();
        let roots = vec![keys[0].public()];
        let nothing = EntryId::from_bytes([0; 32]);
        let genesis = Payload::Genesis { roots, nonce: [0; 16] };
        let genesis = sign(&keys[0], DirId::from_bytes([0; 32]), nothing, genesis);
        let root = naive::root_dir(&genesis.id());
        let grant = |who: &SecretKey| {
            let who = who.public();
            let payload = Payload::Grant { who, rights: Rights::All, after: vec![] };
            sign(&keys[0], root, genesis.id(), payload)
        };
        let base = vec![genesis.clone(), grant(&keys[1]), grant(&keys[2])];
        let mut founded = Replica::new(genesis.id(), 1);
        for entry in &base {
            founded.offer(entry.clone(), Source::Local, &mut Effects::default());
        }
        Self {
            root,
            complete: content(1),
            incomplete: content(2),
            signed: BTreeMap::new(),
            trail: Vec::new(),
            logs: 0,
            orders: 0,
            comparisons: 0,
            deciders: Deciders::new(),
            findings: Vec::new(),
            founded,
            keys,
            base,
        }
    }

    /// Checks a log: after every event in the order it was written in and in one other, and after
    /// the last in all others.
    // rule: FORK-5
    pub(super) fn check(&mut self, log: &[Made]) {
        self.follow(log);
        let entries: Vec<VerifiedEntry> =
            self.trail.iter().map(|step| step.entry.clone()).collect();
        let ids: BTreeSet<EntryId> = entries.iter().map(VerifiedEntry::id).collect();
        assert_eq!(ids.len(), log.len(), "an entry of a log is there twice");
        let whole = self.rules(&entries, true);
        let orders = orders(log);
        let watched = usize::try_from(self.logs).expect("a count") % orders.len();
        for (number, order) in orders.iter().enumerate() {
            let mut replica = self.founded.clone();
            for (at, event) in order.iter().enumerate() {
                self.happen(&mut replica, &entries, *event);
                if number == watched && at + 1 < order.len() {
                    let state = self.rules_after(&entries, &order[..=at]);
                    self.compare(&replica, &state, log, &order[..=at]);
                }
            }
            self.compare(&replica, &whole, log, order);
            self.orders += 1;
        }
        self.backwards(log, &entries, &whole);
        for (rule, times) in whole.deciders {
            *self.deciders.entry(rule).or_default() += times;
        }
        self.logs += 1;
    }

    /// Everything backwards, the genesis last.
    fn backwards(&mut self, log: &[Made], entries: &[VerifiedEntry], whole: &State) {
        let mut replica = Replica::new(self.base[0].id(), 2);
        for entry in self.base.iter().chain(entries).rev() {
            replica.offer(entry.clone(), Source::Local, &mut Effects::default());
        }
        self.happen(&mut replica, entries, Event::Content);
        self.compare(&replica, whole, log, &[]);
        self.orders += 1;
    }

    fn happen(&self, replica: &mut Replica, entries: &[VerifiedEntry], event: Event) {
        let mut effects = Effects::default();
        match event {
            Event::Entry(at) => {
                replica.offer(entries[at].clone(), Source::Local, &mut effects);
            }
            Event::Content => replica.complete(&self.complete, &mut effects),
        }
    }

    /// Brings the trail to the end of a log. What it shares with the log before was checked then.
    fn follow(&mut self, log: &[Made]) {
        let is_shared = |(step, made): &(&Trail, &Made)| step.shape == made.shape[0];
        let shared = self.trail.iter().zip(log).take_while(is_shared).count();
        self.trail.truncate(shared);
        for made in &log[shared..] {
            let entry = self.entry(made);
            let mut replica = self.trail.last().map_or(&self.founded, |step| &step.replica).clone();
            let mut effects = Effects::default();
            if self.trail.is_empty() {
                replica.complete(&self.complete, &mut effects);
            }
            replica.offer(entry.clone(), Source::Local, &mut effects);
            self.trail.push(Trail { shape: made.shape[0], entry, replica });
            // The end of the log is compared with all its other orders.
            if self.trail.len() < log.len() {
                let entries: Vec<VerifiedEntry> =
                    self.trail.iter().map(|step| step.entry.clone()).collect();
                let state = self.rules(&entries, true);
                let replica = self.trail[entries.len() - 1].replica.clone();
                self.compare(&replica, &state, &log[..entries.len()], &[Event::Content]);
            }
        }
    }

    fn rules(&self, entries: &[VerifiedEntry], is_complete: bool) -> State {
        let entries = [&self.base, entries].concat();
        let complete = if is_complete { BTreeSet::from([self.complete]) } else { BTreeSet::new() };
        naive::evaluate(self.base[0].id(), &entries, &complete)
    }

    /// What the rules say when only this has happened.
    fn rules_after(&self, entries: &[VerifiedEntry], events: &[Event]) -> State {
        let here = events.iter().filter_map(|event| match event {
            Event::Entry(at) => Some(entries[*at].clone()),
            Event::Content => None,
        });
        self.rules(&here.collect::<Vec<_>>(), events.contains(&Event::Content))
    }

    fn compare(&mut self, replica: &Replica, state: &State, log: &[Made], order: &[Event]) {
        self.comparisons += 1;
        if let Err(what) = same(replica, state) {
            let log: Vec<String> = log.iter().map(|made| format!("    {:?}", made.step)).collect();
            self.findings.push(format!("{what}\n{}\n    in order {order:?}", log.join("\n")));
        }
    }

    /// The entry that a log has after what the trail has.
    fn entry(&mut self, made: &Made) -> VerifiedEntry {
        if let Some(entry) = self.signed.get(&made.shape[0]) {
            return entry.clone();
        }
        let body = self.body(&made.step);
        let key = &self.keys[usize::from(made.step.key)];
        let entry = body.sign(key).expect("a valid body");
        if self.signed.len() >= MAX_SIGNED {
            self.signed.clear();
        }
        self.signed.insert(made.shape[0], entry.clone());
        entry
    }

    fn body(&self, step: &Step) -> Body {
        let entry = |at: u8| &self.trail[usize::from(at)].entry;
        let id = |at: u8| entry(at).id();
        let cap = match (step.cap, step.key) {
            (Some(grant), _) => id(grant),
            (None, 0) => self.base[0].id(),
            (None, key) => self.base[usize::from(key)].id(),
        };
        let dir = step.dir.map_or(self.root, |mkdir| naive::defined_dir(entry(mkdir)));
        let is_control = matches!(step.action, Action::Grant { .. } | Action::Revoke { .. });
        let name = if is_control { "" } else { NAMES[usize::from(step.name)] };
        Body {
            dir,
            name: name.into(),
            prev: step.base.map(id).into_iter().chain(self.ids(step.rest)).collect(),
            cap,
            key: self.public(step.key),
            seq: step.aprev.map_or(0, |before| entry(before).body().seq + 1),
            aprev: step.aprev.map(id),
            ts: WallTime::from_millis(0),
            payload: self.payload(step.action),
        }
    }

    fn payload(&self, action: Action) -> Payload {
        let id = |at: u8| self.trail[usize::from(at)].entry.id();
        let write = |data| Payload::Write { executable: false, data };
        match action {
            Action::Mkdir => Payload::Mkdir,
            Action::WriteInline => write(FileData::Inline(b"x"[..].into())),
            Action::WriteComplete => write(FileData::Blocks(self.complete)),
            Action::WriteIncomplete => write(FileData::Blocks(self.incomplete)),
            Action::Slink => Payload::Slink { text: "x".into() },
            Action::Delete => Payload::Delete { moved_to: None },
            Action::Move(link) => Payload::Delete { moved_to: Some(id(link)) },
            Action::Link(target) => Payload::Link { target: id(target) },
            Action::Grant { who, all, after } => Payload::Grant {
                who: self.public(who),
                rights: if all { Rights::All } else { Rights::Write },
                after: self.ids(after),
            },
            Action::Revoke { who, keep } => {
                Payload::Revoke { who: self.public(who), keep: self.ids(keep) }
            }
        }
    }

    /// The ids of a set of entries, ascending.
    fn ids(&self, bits: u8) -> Vec<EntryId> {
        let named = self.trail.iter().enumerate().filter(|(at, _)| bits & 1 << at != 0);
        let ids: BTreeSet<EntryId> = named.map(|(_, step)| step.entry.id()).collect();
        ids.into_iter().collect()
    }

    fn public(&self, key: u8) -> PublicKey {
        self.keys[usize::from(key)].public()
    }
}

/// A content in one block.
fn content(number: u8) -> Content {
    Content { root: BlockId::from_bytes([number; 32]), size: 1_000, levels: 0 }
}

/// Signs an entry that begins a chain. The label sets it apart: the same grant is in the menu, and
/// would be the same entry.
fn sign(key: &SecretKey, dir: DirId, cap: EntryId, payload: Payload) -> VerifiedEntry {
    let (prev, ts) = (Vec::new(), WallTime::from_millis(0));
    let body = Body {
        dir,
        name: "base".into(),
        prev,
        cap,
        key: key.public(),
        seq: 0,
        aprev: None,
        ts,
        payload,
    };
    body.sign(key).expect("a valid body")
}

/// The orders in which a log and its content arrive. Of four entries all orders count, with the
/// content now here and now there among them.
fn orders(log: &[Made]) -> Vec<Vec<Event>> {
    let mut events: Vec<Event> = (0..log.len()).map(Event::Entry).collect();
    if log.iter().all(|made| made.step.action != Action::WriteComplete) {
        return permutations(&events);
    }
    if log.len() < 4 {
        events.push(Event::Content);
        return permutations(&events);
    }
    let mut orders = permutations(&events);
    for (number, order) in orders.iter_mut().enumerate() {
        order.insert(number % (log.len() + 1), Event::Content);
    }
    orders
}

/// All orders of a few things.
fn permutations<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
    let mut orders = vec![Vec::new()];
    for (length, item) in items.iter().enumerate() {
        let longer = |order: &Vec<T>| {
            let order = order.clone();
            (0..=length).map(move |at| [&order[..at], &[*item], &order[at..]].concat())
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}
