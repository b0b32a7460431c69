//! A replica of the crate against what the rules say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use basefs::id::{DirId, EntryId};
use basefs::log::{DirNo, EntryNo, SlotNo};
use basefs::node::Replica;
use basefs::view::NodeKind;

use crate::naive::{Shown, Slot, State};

/// Whether a replica has and shows exactly what the rules say.
///
/// # Errors
///
/// Says where the two part: the crate's answer, the rules' and about what.
pub(crate) fn same(replica: &Replica, state: &State) -> Result<(), String> {
    let told = Told(replica);
    same_set("ADMIT", &told.admitted(), &state.admitted)?;
    same_set("AUTH-1", &told.authorised(), &state.authorised)?;
    let (live, decided) = told.decided();
    same_set("READY-2", &live, &state.live)?;
    same_map("FORK-3, the winner", &told.winners(), &state.winners)?;
    same_map("FORK-3, decided anew", &decided, &state.winners)?;
    same_map("VIEW-3, conflicts", &told.conflicts(), &state.conflicts)?;
    same_map("TREE-2, the place", &told.places(), &state.places)?;
    same_map("VIEW-1, the path", &told.paths(), &state.paths)?;
    same_set("TREE-4, lost and found", &told.lost_and_found(), &state.lost_and_found)?;
    same_map("VIEW-4, orphans", &told.orphans(), &state.orphans)?;
    if told.order() != state.order {
        return Err(format!("ORDER-1: crate {:?}, rules {:?}", told.order(), state.order));
    }
    Ok(())
}

fn same_set<T: Ord + Debug>(
    what: &str,
    crates: &BTreeSet<T>,
    rules: &BTreeSet<T>,
) -> Result<(), String> {
    if crates == rules {
        return Ok(());
    }
    let only_crate: Vec<&T> = crates.difference(rules).collect();
    let only_rules: Vec<&T> = rules.difference(crates).collect();
    Err(format!("{what}: only the crate has {only_crate:?}, only the rules have {only_rules:?}"))
}

fn same_map<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    crates: &BTreeMap<K, V>,
    rules: &BTreeMap<K, V>,
) -> Result<(), String> {
    let keys: BTreeSet<&K> = crates.keys().chain(rules.keys()).collect();
    let differs = keys.into_iter().find(|key| crates.get(key) != rules.get(key));
    match differs {
        None => Ok(()),
        Some(key) => Err(format!(
            "{what} of {key:?}: crate {:?}, rules {:?}",
            crates.get(key),
            rules.get(key)
        )),
    }
}

/// What a replica says, with ids in place of numbers.
struct Told<'a>(&'a Replica);

impl Told<'_> {
    fn numbers(&self) -> impl Iterator<Item = EntryNo> {
        (0..self.0.log().len()).filter_map(EntryNo::from_index)
    }

    fn slot_numbers(&self) -> impl Iterator<Item = SlotNo> {
        (0..self.0.log().slots()).filter_map(SlotNo::from_index)
    }

    fn dir_numbers(&self) -> impl Iterator<Item = DirNo> {
        (0..self.0.log().dirs()).filter_map(DirNo::from_index)
    }

    fn id(&self, no: EntryNo) -> EntryId {
        self.0.log().id(no)
    }

    fn slot(&self, slot: SlotNo) -> Slot {
        let log = self.0.log();
        (log.dir_id(log.slot_dir(slot)), log.slot_name(slot).to_string())
    }

    fn admitted(&self) -> BTreeSet<EntryId> {
        self.numbers().map(|no| self.id(no)).collect()
    }

    fn authorised(&self) -> BTreeSet<EntryId> {
        let authority = self.0.authority();
        self.numbers().filter(|no| authority.is_authorised(*no)).map(|no| self.id(no)).collect()
    }

    /// The winners as they are maintained.
    fn winners(&self) -> BTreeMap<Slot, Option<EntryId>> {
        let winner = |slot| self.0.view().winner(slot).map(|no| self.id(no));
        self.slot_numbers().map(|slot| (self.slot(slot), winner(slot))).collect()
    }

    /// What is live, and the winners, when every slot is decided from scratch.
    fn decided(&self) -> (BTreeSet<EntryId>, BTreeMap<Slot, Option<EntryId>>) {
        let (log, view, authority) = (self.0.log(), self.0.view(), self.0.authority());
        let (mut live, mut winners) = (BTreeSet::new(), BTreeMap::new());
        for slot in self.slot_numbers() {
            let outcome = view.outcome(log, authority, slot);
            let losers: Vec<EntryNo> =
                outcome.tips().filter(|tip| outcome.winner != Some(*tip)).collect();
            let beaten = outcome.beaten_tips();
            assert_eq!(beaten.iter().map(|(no, _)| *no).collect::<Vec<_>>(), losers, "FORK-3");
            for (tip, at) in beaten {
                assert_eq!(outcome.beaten_at(tip), Some(at));
                assert!(outcome.beaten.contains(&at) && outcome.line().any(|no| no == at.by));
            }
            let entries = view.entries(slot).into_iter().filter(|no| outcome.is_live(*no));
            live.extend(entries.map(|no| self.id(no)));
            winners.insert(self.slot(slot), outcome.winner.map(|no| self.id(no)));
        }
        (live, winners)
    }

    fn conflicts(&self) -> BTreeMap<Slot, BTreeSet<EntryId>> {
        let (log, view, authority) = (self.0.log(), self.0.view(), self.0.authority());
        let conflicts = |slot| view.conflicts(log, authority, slot).into_iter();
        self.slot_numbers()
            .map(|slot| (self.slot(slot), conflicts(slot).map(|no| self.id(no)).collect()))
            .filter(|(_, conflicts): &(_, BTreeSet<_>)| !conflicts.is_empty())
            .collect()
    }

    fn places(&self) -> BTreeMap<DirId, Option<Slot>> {
        let (log, view, authority) = (self.0.log(), self.0.view(), self.0.authority());
        let dirs = self.dir_numbers().filter(|dir| Some(*dir) != log.root());
        let place = |dir| view.place(log, authority, dir).map(|slot| self.slot(slot));
        dirs.map(|dir| (log.dir_id(dir), place(dir))).collect()
    }

    fn paths(&self) -> BTreeMap<String, Shown> {
        let log = self.0.log();
        let (view, authority) = (self.0.view(), self.0.authority());
        let mut paths = BTreeMap::new();
        let mut open: Vec<(String, usize, DirNo)> =
            log.root().map(|root| (String::new(), 0, root)).into_iter().collect();
        while let Some((above, depth, dir)) = open.pop() {
            for (name, slot) in log.children(dir) {
                let Some(node) = view.node_at_depth(log, authority, slot, depth) else { continue };
                let path = format!("{above}/{name}");
                if let NodeKind::Dir(dir) = node.kind {
                    open.push((path.clone(), depth + 1, dir));
                }
                paths.insert(path, self.shown(node.kind));
            }
        }
        paths
    }

    fn shown(&self, kind: NodeKind) -> Shown {
        let log = self.0.log();
        match kind {
            NodeKind::Dir(dir) => Shown::Dir(log.dir_id(dir)),
            NodeKind::File { content, executable } => {
                Shown::File { content: *log.content(content), executable }
            }
            NodeKind::Symlink(text) => Shown::Symlink(text),
            NodeKind::Alias(dir) => {
                let path = self.0.view().path_of_dir(log, self.0.authority(), dir);
                Shown::Alias(path.map(|names| names.iter().map(|n| format!("/{n}")).collect()))
            }
        }
    }

    fn lost_and_found(&self) -> BTreeSet<DirId> {
        let log = self.0.log();
        let lost = self.0.view().lost_and_found(log, self.0.authority());
        lost.into_iter().map(|dir| log.dir_id(dir)).collect()
    }

    fn orphans(&self) -> BTreeMap<Slot, EntryId> {
        let log = self.0.log();
        let orphans = self.0.view().orphans(log, self.0.authority()).into_iter();
        orphans.filter_map(|(_, no)| Some((self.slot(log.slot_of(no)?), self.id(no)))).collect()
    }

    fn order(&self) -> Vec<EntryId> {
        let log = self.0.log();
        let mut numbers: Vec<EntryNo> = self.numbers().collect();
        numbers.sort_by(|a, b| log.compare(*a, *b));
        numbers.into_iter().map(|no| self.id(no)).collect()
    }
}

/// The crate's replica of the vectors, in the order listed, is what the rules say.
#[test]
fn vectors_in_the_crate_are_what_the_rules_say() {
    let mut compared = 0;
    for name in ["vectors.json", "random.json.gz"] {
        let file = crate::file::read(&crate::file::beside(name));
        for scenario in crate::file::list(&file["scenarios"]) {
            let world = crate::vectors::Scenario::parse(scenario);
            let (replica, state) = world.both();
            same(&replica, &state).unwrap_or_else(|e| panic!("{}: {e}", scenario["name"]));
            compared += 1;
        }
    }
    assert_eq!(compared, 442);
}
