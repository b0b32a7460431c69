//! Who writes: a hierarchy in which every writing host has a key and a grant.

use basefs::block;
use basefs::entry::{Body, FileData, Payload, Rights, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId};
use basefs::log::{EntryNo, root_dir};
use basefs::node::Replica;
use basefs::time::WallTime;
use basefs::wire::SecretKey;
use bytes::Bytes;

/// The key that founded the hierarchy.
fn root() -> SecretKey {
    SecretKey::from_seed([0xff; 32])
}

/// The key that a host writes with.
pub fn author(host: usize) -> SecretKey {
    SecretKey::from_seed(*blake3::hash(format!("author {host}").as_bytes()).as_bytes())
}

/// The key that a host shows to its peers.
pub fn node_key(host: usize) -> SecretKey {
    SecretKey::from_seed(*blake3::hash(format!("node {host}").as_bytes()).as_bytes())
}

/// The first entries of every replica: the genesis, and a grant for each writer.
pub fn founding(writers: usize) -> Vec<VerifiedEntry> {
    let none = || EntryId::from_bytes([0; 32]);
    let genesis = Body {
        dir: DirId::from_bytes([0; 32]),
        name: "simulated".into(),
        prev: vec![],
        cap: none(),
        key: root().public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload: Payload::Genesis { roots: vec![root().public()], nonce: [7; 16] },
    };
    let genesis = genesis.sign(&root()).expect("it is well formed");
    let id = genesis.id();
    let mut entries = vec![genesis];
    let mut before = None;
    for host in 0..writers {
        let grant = Body {
            dir: root_dir(&id),
            name: "".into(),
            prev: vec![],
            cap: id,
            key: root().public(),
            seq: host as u64,
            aprev: before,
            ts: WallTime::from_millis(0),
            payload: Payload::Grant {
                who: author(host).public(),
                rights: Rights::Write,
                after: vec![],
            },
        };
        let grant = grant.sign(&root()).expect("it is well formed");
        before = Some(grant.id());
        entries.push(grant);
    }
    entries
}

/// A file that is written.
pub struct Written {
    pub entry: VerifiedEntry,
    pub blocks: Vec<(BlockId, Bytes)>,
    pub content: Option<Content>,
}

/// Writes over what a replica shows in the root.
pub fn write(replica: &Replica, host: usize, grant: EntryId, name: &str, bytes: &Bytes) -> Written {
    let log = replica.log();
    let (blocks, content, data) = if bytes.len() <= basefs::limits::MAX_INLINE {
        (Vec::new(), None, FileData::Inline(bytes.clone()))
    } else {
        let encoded = block::encode(bytes).expect("it is not too long");
        (encoded.blocks, Some(encoded.content), FileData::Blocks(encoded.content))
    };
    let slot = log.root().and_then(|root| log.child(root, name));
    let winner = slot.and_then(|slot| replica.view().winner(slot));
    let key = author(host);
    let mut all = (1..log.len()).rev().filter_map(EntryNo::from_index);
    let chain = all.find(|no| log.author(*no) == key.public());
    let body = Body {
        dir: root_dir(&log.genesis()),
        name: name.into(),
        prev: winner.map(|no| log.id(no)).into_iter().collect(),
        cap: grant,
        key: key.public(),
        seq: chain.map_or(0, |no| log.seq(no) + 1),
        aprev: chain.map(|no| log.id(no)),
        ts: WallTime::from_millis(0),
        payload: Payload::Write { executable: false, data },
    };
    Written { entry: body.sign(&key).expect("it is well formed"), blocks, content }
}
