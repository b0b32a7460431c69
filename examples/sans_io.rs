//! Two nodes and a loop: no network, no disk, no clock, no runtime.
//!
//! ```sh
//! cargo run --example sans_io --no-default-features
//! ```
//!
//! A [`Node`] does nothing by itself: it is told what happened and says what is to be done. Here
//! "the disk" is a vector, and "the network" is a function call.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;

use basefs::entry::{Body, FileData, Payload, SignedEntry, VerifiedEntry};
use basefs::id::{BlockId, DirId, EntryId, NodeId};
use basefs::log::{EntryNo, root_dir};
use basefs::node::{Archive, Effects, Input, LinkId, Node, Output, Replica};
use basefs::time::{Timestamp, WallTime};
use basefs::wire::SecretKey;
use bytes::Bytes;

/// The only connection there is.
const LINK: LinkId = LinkId::new(0);

/// What a node has stored.
#[derive(Default)]
struct Disk {
    entries: Vec<Bytes>,
    blocks: BTreeMap<BlockId, Bytes>,
}

impl Disk {
    fn store(&mut self, effects: &Effects) {
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

struct Machine {
    node: Node,
    disk: Disk,
}

impl Machine {
    fn new(genesis: EntryId, seed: u8) -> Self {
        let node = Node::new(Replica::new(genesis, seed.into()), [seed; 32]);
        Self { node, disk: Disk::default() }
    }

    /// Stores what there is to store: only then may it leave.
    fn commit(&mut self) {
        let effects = self.node.take_effects();
        self.disk.store(&effects);
        self.node.stored(effects.mark);
    }

    /// Does all that the node asks for; gives what the other node hears of it.
    fn work(&mut self, now: Timestamp) -> Vec<Input> {
        let mut heard = Vec::new();
        loop {
            let Some(output) = self.node.poll_output() else {
                if self.node.poll_timeout().is_none_or(|due| due > now) {
                    return heard;
                }
                self.node.handle(now, Input::Timeout);
                continue;
            };
            match output {
                Output::Send { link } => {
                    while let Some(mut outgoing) = self.node.next_send(link) {
                        // Nothing that is infallible fails.
                        while let Ok(Some(frame)) = outgoing.next_frame(&self.disk) {
                            heard.push(Input::Frame { link, bytes: frame });
                        }
                        self.node.handle(now, Input::Sent { link, outgoing });
                    }
                }
                Output::Verify { link, entries } => {
                    let all = entries.len();
                    let entries: Vec<VerifiedEntry> =
                        entries.into_iter().flat_map(SignedEntry::verify).collect();
                    let invalid = all - entries.len();
                    self.node.handle(now, Input::Verified { link, entries, invalid });
                }
                Output::Walk(mut walk) => {
                    let looked_up = walk.run(&self.disk);
                    debug_assert!(looked_up.is_ok(), "a map does not fail");
                    self.node.handle(now, Input::Walked(walk));
                }
                Output::Store => self.commit(),
                Output::Push { link, push, bytes } => {
                    println!("  a push of {} bytes", bytes.len());
                    heard.push(Input::Pushed { link, bytes });
                    self.node.handle(now, Input::PushEnded { link, push, delivered: true });
                }
                Output::Datagram { link, bytes } => heard.push(Input::Datagram { link, bytes }),
                Output::Event(event) => println!("  {event:?}"),
                other => println!("  {other:?}"),
            }
        }
    }

    fn print(&self) {
        let (log, view) = (self.node.replica().log(), self.node.replica().view());
        for (name, slot) in log.root().into_iter().flat_map(|root| log.children(root)) {
            let Some(winner) = view.winner(slot) else { continue };
            println!("  /{name}, by {:.8}", log.author(winner));
        }
    }
}

/// A hierarchy is founded by an entry like any other.
fn genesis(key: &SecretKey) -> Result<VerifiedEntry, Box<dyn Error>> {
    let body = Body {
        dir: DirId::from_bytes([0; 32]),
        name: "example".into(),
        prev: vec![],
        cap: EntryId::from_bytes([0; 32]),
        key: key.public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload: Payload::Genesis { roots: vec![key.public()], nonce: [7; 16] },
    };
    Ok(body.sign(key)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let key = SecretKey::from_seed([1; 32]);
    let founded = genesis(&key)?;
    let hierarchy = founded.id();
    let (mut ana, mut bob) = (Machine::new(hierarchy, 1), Machine::new(hierarchy, 2));

    println!("Ana writes three files:");
    let mut before = None;
    ana.node.offer(founded);
    for (seq, name) in (0..).zip(["apple", "banana", "cherry"]) {
        let entry = file(&key, &hierarchy, seq, name, before)?;
        before = Some(entry.id());
        ana.node.offer(entry);
    }
    ana.commit();
    ana.print();

    println!("They meet:");
    let now = Timestamp::from_micros(1);
    let (at_ana, at_bob) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
    ana.node.handle(now, Input::LinkUp { link: LINK, peer: at_bob, dialed: true });
    bob.node.handle(now, Input::LinkUp { link: LINK, peer: at_ana, dialed: false });
    talk(&mut ana, &mut bob, now);

    println!("Bob sees:");
    bob.print();
    assert_eq!(bob.disk.entries.len(), 4);

    println!("Ana writes one more:");
    ana.node.offer(file(&key, &hierarchy, 3, "damson", before)?);
    ana.node.handle(now, Input::Timeout);
    talk(&mut ana, &mut bob, now);

    println!("Bob sees:");
    bob.print();
    assert_eq!(bob.disk.entries.len(), 5);
    Ok(())
}

/// An entry that writes a small file.
fn file(
    key: &SecretKey,
    hierarchy: &EntryId,
    seq: u64,
    name: &str,
    before: Option<EntryId>,
) -> Result<VerifiedEntry, Box<dyn Error>> {
    let data = FileData::Inline(Bytes::from(name.repeat(3)));
    let body = Body {
        dir: root_dir(hierarchy),
        name: name.into(),
        prev: vec![],
        cap: *hierarchy,
        key: key.public(),
        seq,
        aprev: before,
        ts: WallTime::from_millis(0),
        payload: Payload::Write { executable: false, data },
    };
    Ok(body.sign(key)?)
}

/// Lets both say and hear everything, until there is nothing more.
fn talk(ana: &mut Machine, bob: &mut Machine, now: Timestamp) {
    loop {
        let (to_bob, to_ana) = (ana.work(now), bob.work(now));
        if to_bob.is_empty() && to_ana.is_empty() {
            return;
        }
        to_bob.into_iter().for_each(|input| bob.node.handle(now, input));
        to_ana.into_iter().for_each(|input| ana.node.handle(now, input));
    }
}
