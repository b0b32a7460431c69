//! A replica of a million entries.

use std::path::Path;

use basefs::entry::{Action, Body, FileData, Payload, VerifiedEntry};
use basefs::id::{DirId, EntryId};
use basefs::log::{Offered, Source, child_dir, root_dir};
use basefs::node::{Effects, Replica};
use basefs::store::{Batch, Durability, RedbStore, Store, layout};
use basefs::time::WallTime;
use basefs::wire::SecretKey;

/// Files of the large replica, and versions of each: a million entries.
const FILES: usize = 100_000;
const VERSIONS: usize = 10;
/// Directories in a directory, at three levels above the files.
const FANOUT: usize = 17;

/// Two genesis keys' directories, and the versions of all files.
pub(crate) const EXPECTED: usize = 1 + dirs() + FILES * VERSIONS;

const fn dirs() -> usize {
    FANOUT + FANOUT * FANOUT + FANOUT * FANOUT * FANOUT
}

/// Fills a store with files of ten versions each, one version of all after the other; gives the
/// bytes of the entries.
///
/// Two authors on a thread each sign half of them: signing takes most of the time.
pub(crate) fn build(dir: &Path) -> u64 {
    let keys = [key(1), key(2)];
    let genesis = genesis(&keys);
    let store = RedbStore::open(&dir.join("store")).unwrap();
    let mut replica = Replica::new(genesis.id(), 1);
    let mut batch = Batch::new();
    layout::found(&mut batch, genesis.id());
    store.commit(&batch, Durability::Durable).unwrap();
    let mut bytes = 0;
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::sync_channel::<Vec<VerifiedEntry>>(8);
        send.send(vec![genesis.clone()]).unwrap();
        for (half, key) in keys.iter().enumerate() {
            let (send, genesis) = (send.clone(), genesis.id());
            scope.spawn(move || sign_half(half, Author::new(key, genesis), &send));
        }
        drop(send);
        for entries in receive {
            bytes += entries.iter().map(|entry| entry.bytes().len() as u64).sum::<u64>();
            take_in(&mut replica, &store, entries);
        }
    });
    bytes
}

/// Directories first, then every version of every file, 10,000 entries at a time.
fn sign_half(
    half: usize,
    mut author: Author<'_>,
    send: &std::sync::mpsc::SyncSender<Vec<VerifiedEntry>>,
) {
    let root = root_dir(&author.genesis);
    let mut entries = Vec::new();
    let mut nodes = Vec::new();
    for area in (0..FANOUT).filter(|area| area % 2 == half) {
        let area = author.mkdir(root, &format!("area{area:02}"), &mut entries);
        for site in 0..FANOUT {
            let site = author.mkdir(area, &format!("site{site:02}"), &mut entries);
            for node in 0..FANOUT {
                nodes.push(author.mkdir(site, &format!("node{node:02}"), &mut entries));
            }
        }
    }
    let files: Vec<usize> = (0..FILES).filter(|file| file % 2 == half).collect();
    let mut last: Vec<Option<EntryId>> = vec![None; files.len()];
    for version in 0..VERSIONS {
        for (at, file) in files.iter().enumerate() {
            let length = 40 + (file * 7 + version * 31) % 280;
            let content = content(file * VERSIONS + version, length);
            let data = FileData::Inline(content.into());
            let payload = Payload::Write { executable: false, data };
            let dir = nodes[at % nodes.len()];
            let entry = author.sign(dir, &format!("file{file}"), last[at], payload);
            last[at] = Some(entry.id());
            entries.push(entry);
            if entries.len() >= 10_000 {
                send.send(std::mem::take(&mut entries)).unwrap();
            }
        }
    }
    send.send(entries).unwrap();
}

/// Takes entries into a replica and its store.
pub(crate) fn take_in(replica: &mut Replica, store: &RedbStore, entries: Vec<VerifiedEntry>) {
    let mut effects = Effects::default();
    for entry in entries {
        assert_eq!(replica.offer(entry, Source::Local, &mut effects), Offered::Admitted);
    }
    let mut batch = Batch::new();
    layout::record(&mut batch, &effects);
    store.commit(&batch, Durability::Durable).unwrap();
}

/// One chain of entries.
pub(crate) struct Author<'a> {
    key: &'a SecretKey,
    pub(crate) genesis: EntryId,
    cap: EntryId,
    next: u64,
    last: Option<EntryId>,
}

impl<'a> Author<'a> {
    /// Begins a chain under a capability.
    pub(crate) fn new(key: &'a SecretKey, cap: EntryId) -> Self {
        Self { key, genesis: cap, cap, next: 0, last: None }
    }

    fn mkdir(&mut self, dir: DirId, name: &str, entries: &mut Vec<VerifiedEntry>) -> DirId {
        entries.push(self.sign(dir, name, None, Payload::Mkdir));
        child_dir(&dir, None, name)
    }

    pub(crate) fn sign(
        &mut self,
        dir: DirId,
        name: &str,
        base: Option<EntryId>,
        payload: Payload,
    ) -> VerifiedEntry {
        debug_assert_ne!(payload.action(), Action::Genesis);
        let body = Body {
            dir,
            name: name.into(),
            prev: base.into_iter().collect(),
            cap: self.cap,
            key: self.key.public(),
            seq: self.next,
            aprev: self.last,
            ts: WallTime::from_millis(1_700_000_000_000 + self.next),
            payload,
        };
        let entry = body.sign(self.key).unwrap();
        self.next += 1;
        self.last = Some(entry.id());
        entry
    }
}

pub(crate) fn genesis(keys: &[SecretKey]) -> VerifiedEntry {
    let roots = keys.iter().map(SecretKey::public).collect();
    let body = Body {
        dir: DirId::from_bytes([0; 32]),
        name: "scale".into(),
        prev: Vec::new(),
        cap: EntryId::from_bytes([0; 32]),
        key: keys[0].public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(1_700_000_000_000),
        payload: Payload::Genesis { roots, nonce: [7; 16] },
    };
    body.sign(&keys[0]).unwrap()
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// Bytes that differ from number to number.
pub(crate) fn content(number: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
