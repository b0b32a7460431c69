//! A host as small as it can be: a node behind a mutex, and a store in memory.

use std::convert::Infallible;
use std::sync::Arc;

use basefs::block;
use basefs::entry::{Body, FileData, Payload, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId};
use basefs::log::{EntryNo, Offered, root_dir};
use basefs::net::Host;
use basefs::node::{Archive, Node, Replica};
use basefs::store::{Batch, Durability, MemoryStore, Store, Table};
use basefs::time::WallTime;
use basefs::wire::SecretKey;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Shelf {
    node: Mutex<Node>,
    store: MemoryStore,
    /// Held from taking effects to their being durable: they become so in order.
    committing: Mutex<()>,
    wake: Notify,
    hierarchy: EntryId,
    author: SecretKey,
    chain: Mutex<(u64, Option<EntryId>)>,
}

fn key(at: u8) -> SecretKey {
    SecretKey::from_seed([at; 32])
}

fn genesis() -> VerifiedEntry {
    let body = Body {
        dir: DirId::from_bytes([0; 32]),
        name: "test".into(),
        prev: vec![],
        cap: EntryId::from_bytes([0; 32]),
        key: key(1).public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload: Payload::Genesis {
            roots: (1..9).map(|at| key(at).public()).collect(),
            nonce: [0; 16],
        },
    };
    body.sign(&key(1)).unwrap()
}

pub(super) fn hierarchy() -> EntryId {
    genesis().id()
}

impl Shelf {
    /// The machine `at` of eight, each with a root key; `is_empty` lacks even the genesis.
    pub(super) fn new(at: u8, is_empty: bool) -> Arc<Self> {
        let node = Node::new(Replica::new(hierarchy(), 7), [at; 32]);
        let shelf = Self {
            node: Mutex::new(node),
            store: MemoryStore::new(),
            committing: Mutex::new(()),
            wake: Notify::new(),
            hierarchy: hierarchy(),
            author: key(at),
            chain: Mutex::new((0, None)),
        };
        if !is_empty {
            assert_eq!(shelf.node.lock().offer(genesis()), Offered::Admitted);
            shelf.commit();
        }
        Arc::new(shelf)
    }

    /// Signs and offers a write of a new name; [`Shelf::commit`] makes it durable.
    pub(super) fn write(&self, name: &str, bytes: &Bytes) -> EntryId {
        let (data, content) = if bytes.len() <= basefs::limits::MAX_INLINE {
            (FileData::Inline(bytes.clone()), None)
        } else {
            let encoded = block::encode(bytes).unwrap();
            let mut batch = Batch::new();
            for (id, block) in encoded.blocks {
                batch.put(Table::Blocks, id.as_bytes().to_vec(), block);
            }
            self.store.commit(&batch, Durability::Durable).unwrap();
            (FileData::Blocks(encoded.content), Some(encoded.content))
        };
        let mut chain = self.chain.lock();
        let body = Body {
            dir: root_dir(&self.hierarchy),
            name: name.into(),
            prev: vec![],
            cap: self.hierarchy,
            key: self.author.public(),
            seq: chain.0,
            aprev: chain.1,
            ts: WallTime::from_millis(0),
            payload: Payload::Write { executable: false, data },
        };
        let entry = body.sign(&self.author).unwrap();
        let id = entry.id();
        *chain = (chain.0 + 1, Some(id));
        let mut node = self.node.lock();
        assert_eq!(node.offer(entry), Offered::Admitted);
        content.iter().for_each(|content| node.complete(content));
        id
    }

    /// What a host does for local changes: the same as for others', and then a wake-up.
    pub(super) fn commit(&self) {
        self.store().unwrap();
        self.wake.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.node.lock().replica().log().len()
    }

    pub(super) fn has(&self, id: &EntryId) -> bool {
        self.node.lock().replica().log().number(id).is_some()
    }

    /// Whether every content is here, and all of it stored: a node counts a block as here when
    /// it is verified, and its host has yet to store it.
    pub(super) fn has_contents(&self) -> bool {
        let _nothing_under_way = self.committing.lock();
        let node = self.node.lock();
        node.wanted() == 0 && !node.has_effects()
    }

    pub(super) fn read(&self, content: &Content) -> Vec<u8> {
        let mut source = |id: &BlockId| self.block(id);
        block::read(content, 1 << 30, &mut source).unwrap()
    }
}

fn key_of(no: EntryNo) -> [u8; 8] {
    (no.index() as u64).to_be_bytes()
}

impl Archive for Shelf {
    type Error = Infallible;

    fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
        Ok(self.store.get(Table::Entries, &key_of(no)).unwrap().expect("a stored entry"))
    }

    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
        Ok(self.store.get(Table::Blocks, id.as_bytes()).unwrap())
    }
}

impl Host for Shelf {
    fn with_node<R>(&self, work: impl FnOnce(&mut Node) -> R) -> R {
        work(&mut self.node.lock())
    }

    fn store(&self) -> Result<(), Infallible> {
        let _in_order = self.committing.lock();
        let effects = self.node.lock().take_effects();
        let mut batch = Batch::new();
        for entry in &effects.admitted {
            batch.put(Table::Entries, key_of(entry.no()).to_vec(), entry.bytes().clone());
        }
        for (id, block) in &effects.blocks {
            batch.put(Table::Blocks, id.as_bytes().to_vec(), block.clone());
        }
        self.store.commit(&batch, Durability::Durable).unwrap();
        self.node.lock().stored(effects.mark);
        Ok(())
    }

    fn wake(&self) -> &Notify {
        &self.wake
    }
}
