//! Peers that are not what they should be. The replica is open beside each of them.

use std::future::Future;
use std::time::Duration;

use basefs::Fs;
use basefs::entry::FileData;
use basefs::id::{EntryId, NodeId};
use basefs::net::memory::{MemoryConnection, MemoryNetwork, MemoryTransport};
use basefs::net::{
    Access, Admission, CloseReason, ConnectError, Connection, FrameSender, LinkError, QuicConfig,
    ReadSecret, Ticket, Transport, dial, welcome,
};
use basefs::node::Frame;
use basefs::wire::SecretKey;
use bytes::Bytes;

use super::using::{sign, somebody};
use super::world::{Failure, World};
use super::{Row, nothing};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a wrong read secret",
        prepare: nothing,
        meet: |world| {
            joined_with(world, |ticket| {
                let secret = ReadSecret::from_bytes([9; 32]);
                Ticket::new(ticket.hierarchy(), Some(secret), ticket.peers().to_vec())
            })
        },
        expected: |failure| matches!(failure, Failure::Connect(ConnectError::WrongSecret)),
        words: &["read secret was not accepted", "ticket is outdated"],
    },
    Row {
        name: "a peer of another hierarchy",
        prepare: nothing,
        meet: |world| {
            joined_with(world, |ticket| {
                let hierarchy = EntryId::from_bytes([9; 32]);
                Ticket::new(hierarchy, ticket.secret().cloned(), ticket.peers().to_vec())
            })
        },
        expected: |failure| matches!(failure, Failure::Connect(ConnectError::OtherHierarchy)),
        words: &["the peer replicates another hierarchy"],
    },
    Row {
        name: "a peer of a later version of the protocol",
        prepare: nothing,
        meet: |world| visited(world, |peer| says(peer, b"\x82\x02\x40")),
        expected: |failure| matches!(failure, Failure::Connect(ConnectError::OtherVersion)),
        words: &["the peer speaks another version"],
    },
    Row {
        name: "a peer that speaks another protocol",
        prepare: nothing,
        meet: |world| visited(world, |peer| says(peer, b"GET / HTTP/1.1")),
        expected: |failure| matches!(failure, Failure::Connect(ConnectError::Misbehaved { .. })),
        words: &["the peer broke the protocol", "hello"],
    },
    Row {
        name: "a peer that hangs up instead of saying hello",
        prepare: nothing,
        meet: |world| visited(world, |peer| async move { peer.close(CloseReason::Misbehaved) }),
        expected: |failure| {
            matches!(
                failure,
                Failure::Connect(ConnectError::HungUp { reason: CloseReason::Misbehaved })
            )
        },
        words: &["the peer hung up during the hello"],
    },
    Row {
        name: "a peer that sends an entry with a flipped bit",
        prepare: nothing,
        meet: |world| {
            let mut entry = sign(&somebody(), FileData::Inline(b"hi"[..].into()));
            *entry.last_mut().unwrap() ^= 1;
            served_to(world, Frame::Entries(vec![entry.into()]).encode())
        },
        expected: is_dropped,
        words: &["the peer closed the connection", "Misbehaved"],
    },
    Row {
        name: "a peer that sends what is no frame",
        prepare: nothing,
        meet: |world| served_to(world, Bytes::from_static(b"\xffnoise")),
        expected: is_dropped,
        words: &["the peer closed the connection", "Misbehaved"],
    },
    Row {
        name: "another node at the address",
        prepare: nothing,
        meet: |world| {
            let fs = world.fs();
            let (ana, bob) = transports();
            let expected = NodeId::from_bytes([9; 32]);
            let address = bob.local_addresses()[0];
            let dialled =
                run(async { dial(&ana, address, expected, &admission(&fs)).await.map(drop) });
            Failure::Connect(dialled.unwrap_err())
        },
        expected: |failure| matches!(failure, Failure::Connect(ConnectError::OtherNode { .. })),
        words: &["another node than 0909090909090909 answered"],
    },
    Row {
        name: "nobody at the address",
        prepare: nothing,
        meet: |world| {
            let fs = world.fs();
            let (ana, bob) = transports();
            let (address, node) = (bob.local_addresses()[0], bob.node());
            drop(bob);
            let dialled = run(async { dial(&ana, address, node, &admission(&fs)).await.map(drop) });
            Failure::Connect(dialled.unwrap_err())
        },
        expected: |failure| matches!(failure, Failure::Connect(ConnectError::TimedOut)),
        words: &["did not answer in time"],
    },
];

fn is_dropped(failure: &Failure) -> bool {
    matches!(failure, Failure::Link(LinkError::Closed(CloseReason::Misbehaved)))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn transports() -> (MemoryTransport, MemoryTransport) {
    let network = MemoryNetwork::new();
    let bind = |byte: u8| {
        network.bind(([10, 0, 0, byte], 1).into(), NodeId::from_bytes([byte; 32])).unwrap()
    };
    (bind(1), bind(2))
}

fn admission(fs: &Fs) -> Admission {
    let current = ReadSecret::from_bytes([7; 32]);
    Admission::new(fs.hierarchy(), Access::Secret { current, also_accepted: vec![] })
}

/// Somebody joins with a ticket that was changed so, over QUIC; gives why it comes to nothing.
fn joined_with(world: &World, change: impl FnOnce(Ticket) -> Ticket) -> Failure {
    let fs = world.fs();
    let config = || {
        let mut config = QuicConfig::default();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config
    };
    let error = run(async {
        let node = fs.serve(config()).await.unwrap();
        let peer = Fs::builder().join(&change(node.ticket())).open().unwrap();
        let serving = peer.serve(config()).await.unwrap();
        let error = loop {
            if let Some(error) = serving.peers()[0].error.clone() {
                break error;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!((peer.entries(), node.peers().len()), (0, 0), "neither learnt of the other");
        serving.shutdown().await.unwrap();
        node.shutdown().await.unwrap();
        error
    });
    Failure::Connect(error)
}

/// A peer that passed the hello sends this; gives how the connection ends.
fn served_to(world: &World, frame: Bytes) -> Failure {
    let fs = Fs::builder().dir(world.dir()).node_key(SecretKey::from_seed([1; 32]));
    let fs = fs.open().unwrap();
    let network = MemoryNetwork::new();
    let bind = |byte: u8, node| network.bind(([10, 0, 0, byte], 1).into(), node).unwrap();
    let (node, peer) = (bind(1, fs.node()), bind(2, NodeId::from_bytes([2; 32])));
    let address = node.local_addresses()[0];
    let entries = fs.entries();
    let ended = run(async {
        let serving = fs.serve_on(node).unwrap();
        let admission = fs.ticket(vec![]).admission();
        let mut met = dial(&peer, address, fs.node(), &admission).await.unwrap();
        met.sender.send(frame).await.unwrap();
        let ended = met.connection.closed().await;
        serving.shutdown().await.unwrap();
        ended
    });
    assert_eq!(fs.entries(), entries);
    Failure::Link(ended)
}

/// A node of the hierarchy is visited by a peer that behaves so.
fn visited<F: Future<Output = ()>>(
    world: &World,
    behave: impl FnOnce(MemoryConnection) -> F,
) -> Failure {
    let fs = world.fs();
    let (ana, bob) = transports();
    let (address, node) = (bob.local_addresses()[0], bob.node());
    let heard = run(async {
        let (peer, visitor) = tokio::join!(ana.connect(address, node), bob.accept());
        let (peer, own) = (peer.unwrap(), admission(&fs));
        let (heard, ()) = tokio::join!(welcome(visitor.unwrap(), &own), behave(peer.clone()));
        heard.map(drop)
    });
    Failure::Connect(heard.unwrap_err())
}

async fn says(peer: MemoryConnection, hello: &'static [u8]) {
    let (mut sender, _receiver) = peer.open().await.unwrap();
    sender.send(Bytes::from_static(hello)).await.unwrap();
    peer.closed().await;
}
