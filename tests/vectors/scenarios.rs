//! Scenarios: entries that arrive in any order, and what must be admitted and shown in the end.

use std::collections::{BTreeMap, BTreeSet};

use basefs::authority::Authority;
use basefs::entry::SignedEntry;
use basefs::id::{BlockId, Content, EntryId};
use basefs::log::{EntryNo, Frontier, Offered, Source};
use basefs::node::{Effects, Replica};
use basefs::view::{NodeKind, View};
use serde_json::{Value as Json, json};

use crate::file::{array, beside, hex, list, read, text};

/// A small generator for shuffling; the seed is printed when something fails.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below bound")
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

struct Scenario {
    name: String,
    genesis: EntryId,
    labels: BTreeMap<EntryId, String>,
    entries: Vec<(String, SignedEntryOrBytes)>,
    blobs: BTreeMap<String, Content>,
    inline: BTreeMap<String, Vec<u8>>,
    present: Vec<String>,
    expected: Json,
    /// Views of the past.
    at: Vec<Json>,
    steps: Vec<Json>,
}

type SignedEntryOrBytes = Result<basefs::entry::VerifiedEntry, &'static str>;

impl Scenario {
    fn parse(json: &Json) -> Self {
        let mut labels = BTreeMap::new();
        let mut inline = BTreeMap::new();
        let mut entries = Vec::new();
        for entry in list(&json["entries"]) {
            let label = text(&entry["label"]).to_owned();
            let decoded = SignedEntry::decode(&hex(&entry["hex"])).and_then(SignedEntry::verify);
            if let Ok(entry) = &decoded {
                labels.insert(entry.id(), label.clone());
                if let basefs::entry::Payload::Write {
                    data: basefs::entry::FileData::Inline(bytes),
                    ..
                } = &entry.body().payload
                {
                    inline.insert(label.clone(), bytes.to_vec());
                }
            }
            entries.push((label, decoded.map_err(|error| error.rule.name())));
        }
        let blobs = json["blobs"].as_object().into_iter().flatten().map(|(name, blob)| {
            let content = Content {
                root: BlockId::from_bytes(array(&blob["root"])),
                size: blob["size"].as_u64().expect("a size"),
                levels: u8::try_from(blob["levels"].as_u64().expect("levels")).expect("u8"),
            };
            (name.clone(), content)
        });
        Self {
            name: text(&json["name"]).to_owned(),
            genesis: EntryId::from_bytes(array(&json["genesis_id"])),
            labels,
            entries,
            blobs: blobs.collect(),
            inline,
            present: list(&json["present"]).iter().map(|name| text(name).to_owned()).collect(),
            expected: json["expected"].clone(),
            at: json["at"].as_array().cloned().unwrap_or_default(),
            steps: json["steps"].as_array().cloned().unwrap_or_default(),
        }
    }

    /// Runs the events in an order and checks everything at the end.
    fn run(&self, order: &[Event], context: &str) -> World<'_> {
        let mut world = World::new(self);
        for event in order {
            world.take(event);
        }
        let fail = |what: &str| format!("{}: {what} ({context})", self.name);
        let expected = &self.expected;
        assert_eq!(world.admitted(), labels_of(&expected["admitted"]), "{}", fail("admitted"));
        assert_eq!(
            world.authorised(),
            labels_of(&expected["authorised"]),
            "{}",
            fail("authorised")
        );
        world.check_rejected(&fail);
        let order: Vec<String> = list(&expected["order"]).iter().map(|l| text(l).into()).collect();
        assert_eq!(world.order(), order, "{}", fail("order"));
        world.check_view(expected, &fail("view"));
        for step in &self.steps {
            for blob in list(&step["complete"]) {
                world.take(&Event::Complete(text(blob).to_owned()));
            }
            world.check_view(&step["expected"], &fail("view after a step"));
        }
        world.check_order(&fail("order"));
        world.check_restored(&fail("restored"));
        world
    }

    /// The listed order, with contents first.
    fn listed(&self) -> Vec<Event> {
        let contents = self.present.iter().cloned().map(Event::Complete);
        contents.chain((0..self.entries.len()).map(Event::Entry)).collect()
    }

    fn shuffled(&self, rng: &mut Rng) -> Vec<Event> {
        let mut events = self.listed();
        for _ in 0..3 {
            events.push(Event::Entry(rng.below(self.entries.len())));
        }
        rng.shuffle(&mut events);
        events
    }
}

#[derive(Clone, Debug)]
enum Event {
    Entry(usize),
    Complete(String),
}

struct World<'a> {
    scenario: &'a Scenario,
    replica: Replica,
    effects: Effects,
    rejected: BTreeMap<String, &'static str>,
}

fn labels_of(json: &Json) -> BTreeSet<String> {
    list(json).iter().map(|label| text(label).to_owned()).collect()
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            replica: Replica::new(scenario.genesis, 7),
            effects: Effects::default(),
            rejected: BTreeMap::new(),
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Entry(at) => {
                let (label, entry) = &self.scenario.entries[*at];
                match entry {
                    Err(rule) => drop(self.rejected.insert(label.clone(), rule)),
                    Ok(entry) => {
                        let offered =
                            self.replica.offer(entry.clone(), Source::Local, &mut self.effects);
                        if let Offered::Rejected(rule) = offered {
                            self.rejected.insert(label.clone(), rule.name());
                        }
                        for refused in self.effects.refused.drain(..) {
                            let label = &self.scenario.labels[&refused.id];
                            self.rejected.insert(label.clone(), refused.rule.name());
                        }
                    }
                }
            }
            Event::Complete(blob) => {
                let content = self.scenario.blobs[blob];
                self.replica.complete(&content, &mut self.effects);
            }
        }
        self.check_incremental();
    }

    /// Law L2 in passing: the maintained winners are what a decision from scratch gives.
    fn check_incremental(&self) {
        // rule: FORK-5
        let (log, view) = (self.replica.log(), self.replica.view());
        for slot in (0..log.slots()).filter_map(basefs::log::SlotNo::from_index) {
            let outcome = view.outcome(log, self.replica.authority(), slot);
            assert_eq!(outcome.winner, view.winner(slot), "{}: incremental", self.scenario.name);
        }
    }

    fn label(&self, no: EntryNo) -> String {
        self.scenario.labels[&self.replica.log().id(no)].clone()
    }

    fn numbers(&self) -> impl Iterator<Item = EntryNo> {
        (0..self.replica.log().len()).filter_map(EntryNo::from_index)
    }

    fn admitted(&self) -> BTreeSet<String> {
        self.numbers().map(|no| self.label(no)).collect()
    }

    fn authorised(&self) -> BTreeSet<String> {
        // rule: AUTH-1
        let authority = self.replica.authority();
        self.numbers().filter(|no| authority.is_authorised(*no)).map(|no| self.label(no)).collect()
    }

    /// What depends on something rejected may wait instead; nothing else has a choice.
    fn check_rejected(&self, fail: &dyn Fn(&str) -> String) {
        // rule: ADMIT-2
        // rule: WAIT-1
        let log = self.replica.log();
        let waiting: BTreeSet<String> =
            log.waiting_ids().map(|id| self.scenario.labels[&id].clone()).collect();
        let expected_waiting = labels_of(&self.scenario.expected["waiting"]);
        assert!(expected_waiting.is_subset(&waiting), "{}", fail("waiting"));
        let expected = self.scenario.expected["rejected"].as_object().expect("an object");
        for (label, rule) in expected {
            match self.rejected.get(label) {
                Some(ours) => assert_eq!(Some(*ours), rule.as_str(), "{}: {label}", fail("rule")),
                None => {
                    assert_eq!(rule, "ADMIT-2", "{}: {label}", fail("not rejected"));
                    assert!(waiting.contains(label), "{}: {label}", fail("lost"));
                }
            }
        }
        for label in self.rejected.keys().chain(&waiting) {
            let known = expected.contains_key(label) || expected_waiting.contains(label);
            assert!(known, "{}: {label}", fail("neither admitted nor expected to be refused"));
        }
    }

    fn order(&self) -> Vec<String> {
        // rule: ORDER-1
        let log = self.replica.log();
        let mut numbers: Vec<EntryNo> = self.numbers().collect();
        numbers.sort_by(|a, b| log.compare(*a, *b));
        for pair in numbers.windows(2) {
            assert!(log.order_key(pair[0]) < log.order_key(pair[1]), "{}", self.scenario.name);
            assert!(log.compare_key(pair[0], &log.order_key(pair[1])).is_lt());
        }
        numbers.into_iter().map(|no| self.label(no)).collect()
    }

    fn check_view(&self, expected: &Json, context: &str) {
        // rule: TREE-1
        // rule: TREE-2
        // rule: TREE-3
        // rule: TREE-4
        // rule: VIEW-1
        // rule: VIEW-3
        // rule: VIEW-4
        let (view, absent) = self.view();
        assert_eq!(Json::Object(view), expected["view"], "{context}");
        assert_eq!(Json::Object(absent), expected["absent"], "{context}: absent");
        let (log, authority) = (self.replica.log(), self.replica.authority());
        let lost = self.replica.view().lost_and_found(log, authority);
        let mut lost: Vec<String> = lost.iter().map(|dir| log.dir_id(*dir).to_string()).collect();
        lost.sort();
        assert_eq!(json!(lost), expected["lost_found"], "{context}: lost and found");
        let orphans = self.replica.view().orphans(log, authority);
        let mut orphans: Vec<(String, String, String)> = orphans
            .into_iter()
            .map(|(dir, no)| {
                let slot = log.slot_of(no).expect("data");
                (log.dir_id(dir).to_string(), log.slot_name(slot).to_string(), self.label(no))
            })
            .collect();
        orphans.sort();
        assert_eq!(json!(orphans), expected["orphans"], "{context}: orphans");
    }

    /// Every visible path, and every slot of a visible directory that a deletion won.
    fn view(&self) -> (serde_json::Map<String, Json>, serde_json::Map<String, Json>) {
        self.view_of(self.replica.authority(), self.replica.view())
    }

    fn view_of(
        &self,
        authority: &Authority,
        view: &View,
    ) -> (serde_json::Map<String, Json>, serde_json::Map<String, Json>) {
        let log = self.replica.log();
        let (mut shown, mut absent) = Default::default();
        let shown: &mut serde_json::Map<String, Json> = &mut shown;
        let absent: &mut serde_json::Map<String, Json> = &mut absent;
        let mut open: Vec<(String, usize, basefs::log::DirNo)> =
            log.root().map(|root| (String::new(), 0, root)).into_iter().collect();
        while let Some((path, depth, dir)) = open.pop() {
            for (name, slot) in log.children(dir) {
                let Some(winner) = view.winner(slot) else { continue };
                let path = format!("{path}/{name}");
                let mut conflicts: Vec<String> = view
                    .conflicts(log, authority, slot)
                    .into_iter()
                    .map(|no| self.label(no))
                    .collect();
                conflicts.sort();
                let mut object = match view.node_at_depth(log, authority, slot, depth) {
                    Some(node) => {
                        if let NodeKind::Dir(dir) = node.kind {
                            open.push((path.clone(), depth + 1, dir));
                        }
                        self.object(authority, view, node.kind, winner)
                    }
                    None => json!({}),
                };
                object["entry"] = json!(self.label(winner));
                let is_absent = object.get("kind").is_none();
                if !conflicts.is_empty() {
                    object["conflicts"] = json!(conflicts);
                }
                if is_absent { &mut *absent } else { &mut *shown }.insert(path, object);
            }
        }
        (std::mem::take(shown), std::mem::take(absent))
    }

    fn object(&self, authority: &Authority, view: &View, kind: NodeKind, winner: EntryNo) -> Json {
        let log = self.replica.log();
        match kind {
            NodeKind::Dir(dir) => json!({"kind": "dir", "dir": log.dir_id(dir).to_string()}),
            NodeKind::Symlink(target) => json!({"kind": "symlink", "target": target}),
            NodeKind::Alias(dir) => {
                let path = view.path_of_dir(log, authority, dir);
                let path = path.map(|names| format!("/{}", names.join("/")));
                json!({"kind": "alias", "dir": log.dir_id(dir).to_string(), "target": path})
            }
            NodeKind::File { content, executable } => {
                let flags = u8::from(executable);
                let origin = self.label(log.origin(winner));
                match self.scenario.inline.get(&origin) {
                    Some(bytes) => json!({
                        "kind": "file",
                        "flags": flags,
                        "inline": data_encoding::HEXLOWER.encode(bytes),
                    }),
                    None => {
                        let content = log.content(content);
                        json!({
                            "kind": "file",
                            "flags": flags,
                            "root": content.root.to_string(),
                            "size": content.size,
                            "levels": content.levels,
                        })
                    }
                }
            }
        }
    }

    /// The same log as far as `keep` says, in a new replica without the contents of `without`.
    fn rebuilt(&self, keep: impl Fn(EntryNo) -> bool, without: &BTreeSet<Content>) -> World<'a> {
        let mut world = World::new(self.scenario);
        let complete = self.effects.completed.iter().filter(|content| !without.contains(content));
        complete.for_each(|content| world.replica.complete(content, &mut world.effects));
        let entries: BTreeMap<EntryId, _> = self
            .scenario
            .entries
            .iter()
            .filter_map(|(_, entry)| entry.as_ref().ok().map(|entry| (entry.id(), entry)))
            .collect();
        for no in self.numbers().filter(|no| keep(*no)) {
            let entry = entries[&self.replica.log().id(no)].clone();
            world.replica.offer(entry, Source::Local, &mut world.effects);
        }
        world
    }

    /// Every moment of the past shows what a replica that stopped there would show, whichever way
    /// it is described.
    fn check_past(&self) {
        // rule: AT-1
        let (log, view) = (self.replica.log(), self.replica.view());
        let name = &self.scenario.name;
        let present = view.at(log, &log.frontier()).expect("all here");
        assert_eq!(self.view_of(present.authority(), present.view()), self.view(), "{name}: now");
        let heads: Vec<EntryId> = log.frontier().heads().to_vec();
        let of_one = heads.iter().map(|head| Frontier::new(vec![*head]));
        let without = (0..heads.len()).map(|at| [&heads[..at], &heads[at + 1..]].concat());
        let prefixes = (0..=log.len()).map(|len| log.frontier_of_first(len));
        for (at, frontier) in prefixes.chain(of_one).chain(without.map(Frontier::new)).enumerate() {
            let reached = log.reach(&frontier).expect("all here");
            if at <= log.len() {
                assert_eq!(reached.len(), at.max(1), "{name}: a prefix is what its heads reach");
            }
            let past = view.at(log, &frontier).expect("all here");
            let alone = self.rebuilt(|no| reached.contains(&no), &BTreeSet::new());
            assert_eq!(alone.replica.log().waiting(), 0, "{name}: past {at}");
            let shown = self.view_of(past.authority(), past.view());
            assert_eq!(shown, alone.view(), "{name}: past {at}");
            let authorised = reached.iter().filter(|no| past.authority().is_authorised(**no));
            let authorised: BTreeSet<String> = authorised.map(|no| self.label(*no)).collect();
            assert_eq!(authorised, alone.authorised(), "{name}: past {at}");
        }
    }

    /// The moments of the past that the vector describes.
    // rule: AT-1
    fn check_described_past(&self) {
        let (log, view) = (self.replica.log(), self.replica.view());
        for described in &self.scenario.at {
            let context = format!("{}: {}", self.scenario.name, described["frontier"]);
            let names = labels_of(&described["frontier"]);
            let heads = self.scenario.labels.iter().filter(|(_, label)| names.contains(*label));
            let frontier = Frontier::new(heads.map(|(id, _)| *id).collect());
            assert_eq!(frontier.id().to_string(), text(&described["version"]), "{context}");
            let reached = log.reach(&frontier).expect("all here");
            let reached: BTreeSet<String> = reached.into_iter().map(|no| self.label(no)).collect();
            assert_eq!(reached, labels_of(&described["closure"]), "{context}");
            let past = view.at(log, &frontier).expect("all here");
            let (shown, _) = self.view_of(past.authority(), past.view());
            assert_eq!(Json::Object(shown), described["view"], "{context}");
        }
    }

    /// What is said to be spare can go, all of it at once.
    fn check_spare(&self) {
        let (log, authority) = (self.replica.log(), self.replica.authority());
        // rule: GC-1
        let spare = self.replica.view().spare_contents(log, authority);
        let spare = spare.superseded.iter().chain(&spare.cut).map(|no| *log.content(*no)).collect();
        let kept = self.rebuilt(|_| true, &spare);
        assert_eq!(kept.view(), self.view(), "{}: without {spare:?}", self.scenario.name);
        // rule: GC-2
        let needed = self.replica.view().needed_entries(log, authority);
        let kept = self.rebuilt(|no| needed[no.index()], &BTreeSet::new());
        assert_eq!(kept.view(), self.view(), "{}: without entries", self.scenario.name);
        assert_eq!(kept.authorised(), self.authorised(), "{}: flags", self.scenario.name);
    }

    /// The order for reconciliation, found at once, is that of the comparison.
    // rule: ORDER-1
    fn check_order(&self, context: &str) {
        let log = self.replica.log();
        let ordered = log.in_order();
        assert_eq!(ordered.len(), log.len(), "{context}");
        let ascends = |pair: &[EntryNo]| log.compare(pair[0], pair[1]).is_lt();
        assert!(ordered.windows(2).all(ascends), "{context}: {ordered:?}");
    }

    /// A replica restored from what a store would have kept shows the same, without decisions.
    fn check_restored(&self, context: &str) {
        let mut restore = basefs::node::Restore::new(self.scenario.genesis, 9);
        for entry in &self.effects.admitted {
            restore.entry(SignedEntry::decode(entry.bytes()).expect("stored")).expect("fits");
        }
        let mut cut = BTreeSet::new();
        for (no, authorised) in &self.effects.authorised {
            if *authorised {
                cut.remove(&no.index())
            } else {
                cut.insert(no.index())
            };
        }
        let mut winners = BTreeMap::new();
        for change in self.effects.slots.iter().filter(|change| change.is_forked) {
            winners.insert(change.slot.index(), change.after.map(EntryNo::index));
        }
        let winners: Vec<_> = winners.into_iter().collect();
        let restored =
            restore.finish(&self.effects.completed, &cut, &winners).expect("facts that fit");
        assert_eq!(restored.view().decisions(), 0, "{context}: decided again");
        assert_eq!(restored.authority().computed(), 0, "{context}: computed again");
        let again =
            World { replica: restored, effects: Effects::default(), ..World::new(self.scenario) };
        assert_eq!(again.view(), self.view(), "{context}: view");
        assert_eq!(again.authorised(), self.authorised(), "{context}: authorised");
        again.check_incremental();
    }
}

fn run_file(file: &Json, orders: usize, seed: u64) -> (usize, usize) {
    let scenarios: Vec<Scenario> = list(&file["scenarios"]).iter().map(Scenario::parse).collect();
    assert!(!scenarios.is_empty());
    let mut runs = 0;
    for scenario in &scenarios {
        let world = scenario.run(&scenario.listed(), "listed order");
        world.check_past();
        world.check_described_past();
        world.check_spare();
        for order in 0..orders {
            let seed = seed.wrapping_add(order as u64) | 1;
            let events = scenario.shuffled(&mut Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            scenario.run(&events, &format!("order of seed {seed}"));
        }
        runs += orders + 1;
    }
    println!("{} vectors, {runs} orders", scenarios.len());
    (scenarios.len(), runs)
}

fn orders(default: usize) -> usize {
    std::env::var("BASEFS_ORDERS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn named_scenarios_in_any_order() {
    // rule: ADMIT-1
    // rule: ADMIT-3
    // rule: ADMIT-4
    // rule: ADMIT-5
    // rule: ADMIT-6
    // rule: ADMIT-7
    // rule: ADMIT-8
    // rule: ADMIT-9
    // rule: ADMIT-10
    // rule: ADMIT-11
    // rule: ADMIT-12
    // rule: CAP-1
    // rule: CHAIN-1
    // rule: CHAIN-2
    // rule: DIR-2
    // rule: FORK-1
    // rule: FORK-2
    // rule: FORK-3
    // rule: FORK-4
    // rule: RANK-1
    // rule: RANK-2
    // rule: READY-1
    // rule: READY-2
    // rule: REVOKE-1
    // rule: REVOKE-2
    // rule: REVOKE-3
    // rule: SLOT
    // rule: TREE-5
    // rule: VALUE-1
    let (vectors, _) = run_file(&read(&beside("vectors.json")), orders(20), 1);
    assert_eq!(vectors, 142);
}

#[test]
fn random_logs_in_any_order() {
    let (vectors, _) = run_file(&read(&beside("random.json.gz")), orders(2), 1000);
    assert_eq!(vectors, 300);
}

#[test]
fn a_file_of_the_callers_choice() {
    let Some(path) = std::env::var_os("BASEFS_VECTORS") else { return };
    run_file(&read(path.as_ref()), orders(20), 1);
}
