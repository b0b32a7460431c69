//! Peers that are not what they should be. The replica is open beside each of them.

use std::future::Future;

use basefs::Fs;
use basefs::id::{EntryId, NodeId};
use basefs::net::memory::{MemoryConnection, MemoryNetwork, MemoryTransport};
use basefs::net::{
    Access, Admission, CloseReason, ConnectError, Connection, FrameSender, ReadSecret, Transport,
    dial, welcome,
};
use bytes::Bytes;

use super::world::{Failure, World};
use super::{Row, nothing};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a wrong read secret",
        prepare: nothing,
        meet: |world| {
            let own = admission(&world.fs());
            let secret = ReadSecret::from_bytes([9; 32]);
            let access = Access::Secret { current: secret, also_accepted: vec![] };
            refused_on_both_ends(world, Admission { access, ..own })
        },
        expected: |failure| matches!(failure, Failure::Connect(ConnectError::WrongSecret)),
        words: &["read secret was not accepted", "ticket is outdated"],
    },
    Row {
        name: "a peer of another hierarchy",
        prepare: nothing,
        meet: |world| {
            let own = admission(&world.fs());
            let hierarchy = EntryId::from_bytes([9; 32]);
            refused_on_both_ends(world, Admission { hierarchy, ..own })
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
    Admission {
        hierarchy: fs.hierarchy(),
        access: Access::Secret { current, also_accepted: vec![] },
    }
}

/// A peer with this admission dials a node of the hierarchy; both must come to the same end.
fn refused_on_both_ends(world: &World, other: Admission) -> Failure {
    let fs = world.fs();
    let (ana, bob) = transports();
    let (address, node) = (bob.local_addresses()[0], bob.node());
    let own = admission(&fs);
    let (at_peer, at_node) = run(async {
        let answer = async { welcome(bob.accept().await.unwrap(), &own).await.map(drop) };
        tokio::join!(async { dial(&ana, address, node, &other).await.map(drop) }, answer)
    });
    assert_eq!(at_peer, at_node);
    Failure::Connect(at_node.unwrap_err())
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
