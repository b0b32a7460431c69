// Two nodes with a disk each and a wire between them, for the examples of `node`; as in
// `examples/sans_io.rs`, which says more. Included by the examples, public to nobody.

use std::collections::BTreeMap;
use std::convert::Infallible;

use basefs::block;
use basefs::entry::{Body, FileData, Payload, SignedEntry, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId, LinkId, NodeId};
use basefs::log::{EntryNo, Offered, root_dir};
use basefs::node::{Archive, Effects, Input, Node, NodeEvent, Output, PeerFault, Replica};
use basefs::time::{Timestamp, WallTime};
use basefs::wire::SecretKey;
use bytes::Bytes;

/// The wire, at both ends.
pub const WIRE: LinkId = LinkId::new(0);
/// Who is at its ends.
pub const ANA: NodeId = NodeId::from_bytes([1; 32]);
pub const BEN: NodeId = NodeId::from_bytes([2; 32]);

/// What a node has stored.
#[derive(Default)]
pub struct Disk {
    pub entries: Vec<Bytes>,
    pub blocks: BTreeMap<BlockId, Bytes>,
}

impl Disk {
    pub fn store(&mut self, effects: &Effects) {
        self.entries.extend(effects.admitted.iter().map(|entry| entry.bytes().clone()));
        self.blocks.extend(effects.blocks.iter().cloned());
    }
}

impl Archive for Disk {
    type Error = Infallible;

    fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
        Ok(self.entries[no.index()].clone())
    }

    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
        Ok(self.blocks.get(id).cloned())
    }
}

/// A node, its disk, what happened to it, and what peers did to it.
pub struct Machine {
    pub node: Node,
    pub disk: Disk,
    pub events: Vec<NodeEvent>,
    pub faults: Vec<PeerFault>,
}

/// The author of everything.
fn key() -> SecretKey {
    SecretKey::from_seed([7; 32])
}

/// The entry that founds the hierarchy.
pub fn genesis() -> VerifiedEntry {
    let payload = Payload::Genesis { roots: vec![key().public()], nonce: [1; 16] };
    sign(DirId::from_bytes([0; 32]), "example", EntryId::from_bytes([0; 32]), payload)
}

/// What comes after the genesis: a small file.
pub fn motd() -> VerifiedEntry {
    let genesis = genesis().id();
    let data = FileData::Inline("good morning".into());
    let payload = Payload::Write { executable: false, data };
    sign(root_dir(&genesis), "motd", genesis, payload)
}

/// A file whose content, of one block, is not in the entry; instead of the other.
pub fn film() -> VerifiedEntry {
    let genesis = genesis().id();
    let bytes = [7; 10_000];
    let content = Content { root: block::id(&bytes), size: 10_000, levels: 0 };
    let payload = Payload::Write { executable: false, data: FileData::Blocks(content) };
    sign(root_dir(&genesis), "film", genesis, payload)
}

fn sign(dir: DirId, name: &str, cap: EntryId, payload: Payload) -> VerifiedEntry {
    let body = Body {
        dir,
        name: name.into(),
        prev: Vec::new(),
        cap,
        key: key().public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload,
    };
    body.sign(&key()).expect("a valid body")
}

/// Two of the same hierarchy that do not know each other; the first has the genesis.
pub fn machines() -> (Machine, Machine) {
    let machine = |seed: u8| Machine {
        node: Node::new(Replica::new(genesis().id(), seed.into()), [seed; 32]),
        disk: Disk::default(),
        events: Vec::new(),
        faults: Vec::new(),
    };
    let mut ana = machine(1);
    ana.offer(genesis());
    (ana, machine(2))
}

/// The same, connected and in agreement.
pub fn connected() -> (Machine, Machine) {
    let (mut ana, mut ben) = machines();
    connect(&mut ana, &mut ben);
    talk(&mut ana, &mut ben);
    (ana, ben)
}

/// Connects two; they have said nothing yet.
pub fn connect(ana: &mut Machine, ben: &mut Machine) {
    ana.node.handle(Timestamp::ZERO, Input::LinkUp { link: WIRE, peer: BEN, dialed: true });
    ben.node.handle(Timestamp::ZERO, Input::LinkUp { link: WIRE, peer: ANA, dialed: false });
}

/// Carries what the two say until neither says more.
pub fn talk(ana: &mut Machine, ben: &mut Machine) {
    loop {
        let (to_ben, to_ana) = (ana.work(), ben.work());
        if to_ben.is_empty() && to_ana.is_empty() {
            return;
        }
        to_ben.into_iter().for_each(|input| ben.node.handle(Timestamp::ZERO, input));
        to_ana.into_iter().for_each(|input| ana.node.handle(Timestamp::ZERO, input));
    }
}

impl Machine {
    /// Offers an entry and stores what comes of it.
    pub fn offer(&mut self, entry: VerifiedEntry) {
        assert_eq!(self.node.offer(entry), Offered::Admitted);
        self.store();
    }

    /// Stores what there is to store.
    pub fn store(&mut self) {
        let effects = self.node.take_effects();
        self.disk.store(&effects);
        self.node.stored(effects.mark);
    }

    /// Does all that the node asks for; gives what the other is to hear.
    pub fn work(&mut self) -> Vec<Input> {
        let mut said = Vec::new();
        loop {
            let Some(output) = self.node.poll_output() else {
                if self.node.poll_timeout().is_none_or(|due| due > Timestamp::ZERO) {
                    return said;
                }
                self.node.handle(Timestamp::ZERO, Input::Timeout);
                continue;
            };
            match output {
                Output::Send { link } => self.send(link, &mut said),
                Output::Verify { link, entries } => {
                    let all = entries.len();
                    let entries: Vec<_> = entries.into_iter().flat_map(SignedEntry::verify).collect();
                    let invalid = all - entries.len();
                    self.node.handle(Timestamp::ZERO, Input::Verified { link, entries, invalid });
                }
                Output::Walk(mut walk) => {
                    walk.run(&self.disk).expect("a map does not fail");
                    self.node.handle(Timestamp::ZERO, Input::Walked(walk));
                }
                Output::Store => self.store(),
                Output::Push { link, push, bytes } => {
                    said.push(Input::Pushed { link, bytes });
                    let ended = Input::PushEnded { link, push, delivered: true };
                    self.node.handle(Timestamp::ZERO, ended);
                }
                Output::Datagram { link, bytes } => said.push(Input::Datagram { link, bytes }),
                Output::Event(event) => self.events.push(event),
                Output::Close { fault, .. } => self.faults.push(fault),
                _ => {}
            }
        }
    }

    fn send(&mut self, link: LinkId, said: &mut Vec<Input>) {
        while let Some(mut outgoing) = self.node.next_send(link) {
            while let Some(bytes) = outgoing.next_frame(&self.disk).expect("a map does not fail") {
                said.push(Input::Frame { link, bytes });
            }
            self.node.handle(Timestamp::ZERO, Input::Sent { link, outgoing });
        }
    }
}
