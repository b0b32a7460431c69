//! What each decoder must do with any bytes: fail, or give something whose encoding they are.

// Each target includes this file and uses one function of it.
#![allow(dead_code)]

use std::cmp::Ordering;

use basefs::block::NodeBlock;
use basefs::entry::SignedEntry;
use basefs::id::{EntryId, NodeId};
use basefs::limits::{MAX_ENTRY, MAX_NESTING};
use basefs::net::memory::MemoryNetwork;
use basefs::net::{
    Access, Admission, Connection, FrameSender, ReadSecret, Role, Ticket, Transport, hello as greet,
};
use basefs::node::Frame;
use basefs::sync::{KeyRange, Nonce, Order, Session, Start, Tree};
use basefs::wire::cbor;
use bytes::Bytes;

/// An entry is its exact bytes, and no longer than allowed.
pub(crate) fn entry(bytes: &[u8]) {
    let Ok(entry) = SignedEntry::decode(bytes) else { return };
    assert!(bytes.len() <= MAX_ENTRY);
    assert_eq!(entry.bytes(), bytes);
    let body = entry.body().encode();
    assert_eq!(bytes[1..1 + body.len()], body, "there is one encoding");
    let _ = entry.verify();
}

/// What passes the check begins with something that a reader knows.
pub(crate) fn cbor(bytes: &[u8]) {
    if cbor::check(bytes, MAX_NESTING).is_err() {
        return;
    }
    let reader = || cbor::Reader::new(bytes);
    let is_known = reader().uint().is_ok()
        || reader().bytes().is_ok()
        || reader().text().is_ok()
        || reader().array(0..=usize::MAX).is_ok()
        || reader().null() == Ok(true);
    assert!(is_known, "a checked value is of one of the types that there are");
}

/// There is one encoding of a node.
pub(crate) fn node_block(bytes: &[u8]) {
    if let Ok(node) = NodeBlock::decode(bytes) {
        assert_eq!(node.encode(), bytes);
    }
}

/// A ticket prints as it was read, but for case and the white space around it.
pub(crate) fn ticket(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.to_string(), text.trim().to_ascii_lowercase());
    }
}

/// Nobody gets in without the proof, whatever they say; nobody can make the other end wait.
pub(crate) fn hello(bytes: &[u8]) {
    let access =
        Access::Secret { current: ReadSecret::from_bytes([7; 32]), also_accepted: Vec::new() };
    let admission = Admission::new(EntryId::from_bytes([1; 32]), access);
    let network = MemoryNetwork::new();
    let bind = |byte: u8| {
        let address = ([10, 0, 0, byte], 1).into();
        network.bind(address, NodeId::from_bytes([byte; 32])).expect("a free address")
    };
    let (ana, bob) = (bind(1), bind(2));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let address = bob.local_addresses()[0];
        let dialled = ana.connect(address, bob.node()).await.expect("a connection");
        let heard = bob.accept().await.expect("a connection");
        let (mut sender, _receiver) = dialled.open().await.expect("a stream");
        let frame = Bytes::copy_from_slice(bytes);
        let said = async {
            let _ = sender.send(frame).await;
            sender.finish();
        };
        let (met, ()) = tokio::join!(greet(heard, Role::Responder, &admission), said);
        assert!(met.is_err(), "a stranger got in");
    });
}

/// A frame that is understood has one encoding.
pub(crate) fn frame(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(frame) = Frame::decode(&bytes) {
        assert_eq!(frame.encode(), bytes);
    }
}

/// Entries that are nothing but their ids.
struct Ids(Vec<EntryId>);

impl Order for Ids {
    fn compare(&self, a: u32, b: u32) -> Ordering {
        self.id(a).cmp(&self.id(b))
    }

    fn compare_key(&self, a: u32, key: &[u8]) -> Ordering {
        self.id(a).as_bytes()[..].cmp(key)
    }

    fn order_key(&self, a: u32) -> Vec<u8> {
        self.id(a).as_bytes().to_vec()
    }

    fn id(&self, a: u32) -> EntryId {
        self.0[a as usize]
    }
}

/// Messages, each behind a byte with its length, for either role: the session ends with a reason
/// or goes on, within bounds, and the tree is as it was.
pub(crate) fn session(bytes: &[u8]) {
    let Some((role, mut rest)) = bytes.split_first() else { return };
    let ids = Ids((0..200).map(|n| EntryId::from_bytes([n; 32])).collect());
    let mut tree = Tree::load(&ids, (0..200).collect(), None);
    let nonce = Nonce::from_bytes([1; 16]);
    let mut session = match role % 3 {
        0 => Session::respond(nonce, KeyRange::ALL),
        1 => Session::initiate(nonce, KeyRange::ALL, Start::Unsure),
        _ => Session::initiate(nonce, KeyRange::ALL, Start::Differs),
    };
    loop {
        while session.advance(&mut tree, &ids) == Ok(true) {}
        while session.poll_transmit().is_some() {}
        while session.poll_event().is_some() {
            session.entries_sent();
            session.entries_admitted();
        }
        let Some((length, after)) = rest.split_first() else { break };
        let (message, after) = after.split_at(after.len().min((*length).into()));
        rest = after;
        if session.handle(message).is_err() {
            assert!(session.is_over());
            break;
        }
    }
    assert_eq!(tree.len(), 200);
}
