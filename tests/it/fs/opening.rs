//! What opening a replica does not do: decide conflicts again, or check signatures again.

use std::collections::BTreeMap;
use std::sync::Arc;

use basefs::Fs;
use basefs::entry::SignedEntry;
use basefs::id::{BlockId, Content, EntryId};
use basefs::log::{EntryNo, SlotNo, Source};
use basefs::node::{Effects, Replica};
use basefs::store::{Batch, Durability, MemoryStore, Store, Table, layout};
use basefs::wire::SecretKey;
use serde_json::Value as Json;

#[path = "../../vectors/file.rs"]
mod file;

use file::{array, beside, hex, list, read, text};

fn content(blob: &Json) -> Content {
    Content {
        root: BlockId::from_bytes(array(&blob["root"])),
        size: blob["size"].as_u64().unwrap(),
        levels: u8::try_from(blob["levels"].as_u64().unwrap()).unwrap(),
    }
}

/// Takes in a scenario entry by entry, storing after each what a node would store.
fn live(scenario: &Json, store: &MemoryStore) -> Replica {
    let genesis = EntryId::from_bytes(array(&scenario["genesis_id"]));
    let mut replica = Replica::new(genesis, 1);
    let mut batch = Batch::new();
    layout::found(&mut batch, genesis);
    store.commit(&batch, Durability::Durable).unwrap();
    let blobs: BTreeMap<&str, Content> = scenario["blobs"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, blob)| (name.as_str(), content(blob)))
        .collect();
    for entry in list(&scenario["entries"]) {
        let decoded = SignedEntry::decode(&hex(&entry["hex"])).and_then(SignedEntry::verify);
        let Ok(entry) = decoded else { continue };
        let mut effects = Effects::default();
        replica.offer(entry, Source::Local, &mut effects);
        for name in list(&scenario["present"]) {
            replica.complete(&blobs[text(name)], &mut effects);
        }
        let mut batch = Batch::new();
        layout::record(&mut batch, &effects);
        store.commit(&batch, Durability::Durable).unwrap();
    }
    replica
}

/// Everything that a replica says about its slots and entries.
fn shown(replica: &Replica) -> String {
    let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    let slots = (0..log.slots()).filter_map(SlotNo::from_index);
    let slots: Vec<_> = slots
        .map(|slot| {
            let node = view.node(log, authority, slot);
            (view.versions(log, authority, slot), view.conflicts(log, authority, slot), node)
        })
        .collect();
    let entries = (0..log.len()).filter_map(EntryNo::from_index);
    let entries: Vec<_> =
        entries.map(|no| (log.id(no), authority.is_authorised(no), log.rank(no))).collect();
    format!("{slots:?} {entries:?} {:?}", view.lost_and_found(log, authority))
}

#[test]
fn opening_decides_nothing_again() {
    let vectors = read(&beside("vectors.json"));
    let (mut decided, mut computed, mut cut, mut incomplete) = (0, 0, 0, 0);
    for scenario in list(&vectors["scenarios"]) {
        let store = MemoryStore::new();
        let before = live(scenario, &store);
        decided += before.view().decisions();
        computed += before.authority().computed();
        incomplete += before.view().incomplete(before.log()).count() as u64;
        store
            .scan(Table::Cut, &[], &mut |_, _| {
                cut += 1;
                true
            })
            .unwrap();
        let loaded = layout::load(&store, before.log().genesis(), 2).unwrap();
        let name = text(&scenario["name"]);
        assert_eq!(loaded.view().decisions(), 0, "{name}: decided again");
        assert_eq!(loaded.authority().computed(), 0, "{name}: computed again");
        assert_eq!(shown(&loaded), shown(&before), "{name}");
    }
    // There was something to decide.
    let work = [decided, computed, cut, incomplete];
    assert!(work.iter().zip([100, 100, 30, 5]).all(|(done, least)| *done >= least), "{work:?}");
}

#[test]
fn opening_checks_no_signature_again() {
    // What was verified when it arrived is protected by the checksums of the store; a store
    // without any, like this one, would give a forged signature back as it is.
    let store = Arc::new(MemoryStore::new());
    let open = || {
        let key = SecretKey::from_seed([1; 32]);
        Fs::builder().store(store.clone()).key(key).open().unwrap()
    };
    let fs = open();
    fs.write("/a", "1").unwrap();
    fs.write("/b", "2").unwrap();
    let last = fs.entries() - 1;
    drop(fs);
    let mut forged = layout::entry_bytes(&*store, last).unwrap().unwrap().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    SignedEntry::decode(&forged).unwrap().verify().unwrap_err();
    let mut batch = Batch::new();
    batch.put(Table::Entries, (last as u64).to_be_bytes().to_vec(), forged);
    store.commit(&batch, Durability::Durable).unwrap();
    let fs = open();
    assert_eq!((fs.read("/a").unwrap(), fs.read("/b").unwrap()), ("1".into(), "2".into()));
}
