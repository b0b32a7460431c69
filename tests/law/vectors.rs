//! The slow evaluator against the conformance vectors: it must be right before others are held
//! against it.

use std::collections::{BTreeMap, BTreeSet};

use basefs::entry::{SignedEntry, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId};
use basefs::log::Source;
use basefs::node::{Effects, Replica};
use serde_json::{Map, Value as Json, json};

use crate::file::{array, beside, hex, list, read, text};
use crate::naive::{self, Shown, Slot, State, inline_content};

/// Entries and contents, and what the vectors say about them.
pub(crate) struct Scenario<'a> {
    json: &'a Json,
    genesis: EntryId,
    entries: Vec<VerifiedEntry>,
    labels: BTreeMap<EntryId, String>,
    /// What is invalid by itself, with the rule.
    invalid: BTreeMap<String, &'static str>,
    blobs: BTreeMap<String, Content>,
}

impl<'a> Scenario<'a> {
    pub(crate) fn parse(json: &'a Json) -> Self {
        let (mut entries, mut labels, mut invalid) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for entry in list(&json["entries"]) {
            let label = text(&entry["label"]).to_owned();
            match SignedEntry::decode(&hex(&entry["hex"])).and_then(SignedEntry::verify) {
                Ok(entry) => {
                    labels.insert(entry.id(), label);
                    entries.push(entry);
                }
                Err(error) => drop(invalid.insert(label, error.rule.name())),
            }
        }
        let blobs = json["blobs"].as_object().into_iter().flatten();
        let blobs = blobs.map(|(name, blob)| (name.clone(), content(blob))).collect();
        let genesis = EntryId::from_bytes(array(&json["genesis_id"]));
        Self { json, genesis, entries, labels, invalid, blobs }
    }

    /// The crate's replica after everything arrived as listed, and what the rules say.
    pub(crate) fn both(&self) -> (Replica, State) {
        let complete = self.named(&self.json["present"]);
        let mut replica = Replica::new(self.genesis, 1);
        let mut effects = Effects::default();
        for content in &complete {
            replica.complete(content, &mut effects);
        }
        for entry in &self.entries {
            replica.offer(entry.clone(), Source::Local, &mut effects);
        }
        (replica, naive::evaluate(self.genesis, &self.entries, &complete))
    }

    fn named(&self, names: &Json) -> BTreeSet<Content> {
        list(names).iter().map(|name| self.blobs[text(name)]).collect()
    }

    fn label(&self, id: &EntryId) -> &str {
        &self.labels[id]
    }

    fn labels_of<'b>(&self, ids: impl IntoIterator<Item = &'b EntryId>) -> BTreeSet<String> {
        ids.into_iter().map(|id| self.label(id).to_owned()).collect()
    }

    fn check(&self) {
        let name = text(&self.json["name"]);
        let expected = &self.json["expected"];
        let mut complete = self.named(&self.json["present"]);
        let state = naive::evaluate(self.genesis, &self.entries, &complete);
        assert_eq!(self.labels_of(&state.admitted), strings(&expected["admitted"]), "{name}");
        assert_eq!(self.labels_of(&state.authorised), strings(&expected["authorised"]), "{name}");
        let order: Vec<&str> = state.order.iter().map(|id| self.label(id)).collect();
        assert_eq!(json!(order), expected["order"], "{name}: order");
        let rejected = state.rejected.iter().map(|(id, rule)| (self.label(id), *rule));
        let invalid = self.invalid.iter().map(|(label, rule)| (&**label, *rule));
        let rejected: BTreeMap<&str, &str> = rejected.chain(invalid).collect();
        assert_eq!(json!(rejected), expected["rejected"], "{name}: rejected");
        let waiting = self
            .labels
            .keys()
            .filter(|id| !state.admitted.contains(*id) && !state.rejected.contains_key(*id));
        assert_eq!(self.labels_of(waiting), strings(&expected["waiting"]), "{name}: waiting");
        self.check_view(&state, expected, name);
        self.check_needed(&state, &complete, name);
        for step in list(self.json.get("steps").unwrap_or(&json!([]))) {
            complete.extend(self.named(&step["complete"]));
            let state = naive::evaluate(self.genesis, &self.entries, &complete);
            self.check_view(&state, &step["expected"], &format!("{name}, a step later"));
        }
        for past in list(self.json.get("at").unwrap_or(&json!([]))) {
            self.check_past(past, &complete, name);
        }
    }

    /// Without what is not needed everything looks the same.
    // rule: GC-2
    fn check_needed(&self, state: &State, complete: &BTreeSet<Content>, name: &str) {
        let is_needed = |entry: &&VerifiedEntry| state.needed.contains(&entry.id());
        let kept: Vec<VerifiedEntry> = self.entries.iter().filter(is_needed).cloned().collect();
        let without = naive::evaluate(self.genesis, &kept, complete);
        assert_eq!(without.admitted, state.needed, "{name}: what is needed is enough");
        assert_eq!(without.authorised, state.authorised, "{name}: needed");
        assert_eq!(without.paths, state.paths, "{name}: needed");
        assert_eq!(without.conflicts, state.conflicts, "{name}: needed");
        assert_eq!(without.orphans, state.orphans, "{name}: needed");
    }

    /// The view of a frontier of the past; all contents that ever come are complete.
    // rule: AT-1
    fn check_past(&self, past: &Json, complete: &BTreeSet<Content>, name: &str) {
        let heads = strings(&past["frontier"]);
        let heads: BTreeSet<EntryId> = self
            .labels
            .iter()
            .filter(|(_, label)| heads.contains(*label))
            .map(|(id, _)| *id)
            .collect();
        let reachable = naive::reachable(&self.entries, &heads);
        let state = naive::evaluate(self.genesis, &reachable, complete);
        assert_eq!(self.labels_of(&state.admitted), strings(&past["closure"]), "{name}: closure");
        assert_eq!(Json::Object(self.shown(&state)), past["view"], "{name}: view of the past");
        let ids: Vec<u8> = heads.iter().flat_map(|id| *id.as_bytes()).collect();
        let version = blake3::derive_key("basefs v1 version", &ids);
        assert_eq!(data_encoding::HEXLOWER.encode(&version), past["version"], "{name}: version");
    }

    fn check_view(&self, state: &State, expected: &Json, context: &str) {
        assert_eq!(Json::Object(self.shown(state)), expected["view"], "{context}: view");
        assert_eq!(Json::Object(self.absent(state)), expected["absent"], "{context}: absent");
        let lost: Vec<String> = state.lost_and_found.iter().map(DirId::to_string).collect();
        assert_eq!(json!(lost), expected["lost_found"], "{context}: lost and found");
        let orphans = state.orphans.iter();
        let mut orphans: Vec<(String, &str, &str)> = orphans
            .map(|((dir, name), winner)| (dir.to_string(), &**name, self.label(winner)))
            .collect();
        orphans.sort_unstable();
        assert_eq!(json!(orphans), expected["orphans"], "{context}: orphans");
    }

    /// Every path and what it shows.
    fn shown(&self, state: &State) -> Map<String, Json> {
        let object = |(path, shown): (&String, &Shown)| {
            let slot = slot_of(state, self.root(), path);
            let mut object = self.object(state, &slot, shown);
            self.describe(state, &slot, &mut object);
            (path.clone(), object)
        };
        state.paths.iter().map(object).collect()
    }

    /// The paths in directories that are shown where a deletion won.
    fn absent(&self, state: &State) -> Map<String, Json> {
        let dirs = state.paths.iter().filter_map(|(path, shown)| match shown {
            Shown::Dir(dir) => Some((&**path, *dir)),
            _ => None,
        });
        let dirs: BTreeMap<DirId, &str> =
            dirs.map(|(path, dir)| (dir, path)).chain([(self.root(), "")]).collect();
        let mut absent = Map::new();
        for (slot, winner) in &state.winners {
            let Some(above) = dirs.get(&slot.0) else { continue };
            let path = format!("{above}/{}", slot.1);
            if winner.is_some() && !state.paths.contains_key(&path) {
                let mut object = json!({});
                self.describe(state, slot, &mut object);
                absent.insert(path, object);
            }
        }
        absent
    }

    /// Adds who won a slot, and against whom.
    fn describe(&self, state: &State, slot: &Slot, object: &mut Json) {
        let winner = state.winners[slot].expect("a winner");
        object["entry"] = json!(self.label(&winner));
        if let Some(conflicts) = state.conflicts.get(slot) {
            object["conflicts"] = json!(self.labels_of(conflicts));
        }
    }

    fn object(&self, state: &State, slot: &Slot, shown: &Shown) -> Json {
        match shown {
            Shown::Dir(dir) => json!({"kind": "dir", "dir": dir.to_string()}),
            Shown::Symlink(text) => json!({"kind": "symlink", "target": text}),
            Shown::Alias(target) => {
                let winner = state.winners[slot].expect("a winner");
                let log = naive::Log::admit(self.genesis, &self.entries);
                let naive::Value::Dir(dir) = log.value(&winner) else {
                    panic!("an alias of no directory")
                };
                json!({"kind": "alias", "dir": dir.to_string(), "target": target})
            }
            Shown::File { content, executable } => match self.inline(content) {
                Some(bytes) => json!({
                    "kind": "file",
                    "flags": u8::from(*executable),
                    "inline": data_encoding::HEXLOWER.encode(&bytes),
                }),
                None => json!({
                    "kind": "file",
                    "flags": u8::from(*executable),
                    "root": content.root.to_string(),
                    "size": content.size,
                    "levels": content.levels,
                }),
            },
        }
    }

    /// The bytes of a short content, from some write that has them.
    fn inline(&self, content: &Content) -> Option<Vec<u8>> {
        use basefs::entry::{FileData, Payload};
        self.entries.iter().find_map(|entry| match &entry.body().payload {
            Payload::Write { data: FileData::Inline(bytes), .. } => {
                (inline_content(bytes) == *content).then(|| bytes.to_vec())
            }
            _ => None,
        })
    }

    fn root(&self) -> DirId {
        DirId::from_bytes(blake3::derive_key("basefs v1 dir", self.genesis.as_bytes()))
    }
}

fn content(blob: &Json) -> Content {
    Content {
        root: BlockId::from_bytes(array(&blob["root"])),
        size: blob["size"].as_u64().expect("a size"),
        levels: u8::try_from(blob["levels"].as_u64().expect("levels")).expect("u8"),
    }
}

fn strings(json: &Json) -> BTreeSet<String> {
    list(json).iter().map(|label| text(label).to_owned()).collect()
}

/// The slot that a shown path names.
fn slot_of(state: &State, root: DirId, path: &str) -> Slot {
    let (above, name) = path.rsplit_once('/').expect("an absolute path");
    let dir = match state.paths.get(above) {
        Some(Shown::Dir(dir)) => *dir,
        _ => root,
    };
    (dir, name.to_owned())
}

fn check_file(name: &str) -> usize {
    let file = read(&beside(name));
    let scenarios = list(&file["scenarios"]);
    for scenario in scenarios {
        Scenario::parse(scenario).check();
    }
    scenarios.len()
}

#[test]
fn named_scenarios() {
    assert_eq!(check_file("vectors.json"), 142);
}

#[test]
fn random_logs() {
    assert_eq!(check_file("random.json.gz"), 300);
}
