//! Who gets in, and what those learn who do not.

use std::time::Duration;

use basefs::id::NodeId;
use basefs::net::memory::MemoryNetwork;
use basefs::net::{
    Access, Admission, BindError, CloseReason, ConnectError, Connection, FrameReceiver,
    FrameSender, HELLO_TIMEOUT, LinkError, QuicTransport, Ticket, Transport, dial, welcome,
};
use basefs::wire::SecretKey;
use bytes::Bytes;

use super::{Pair, admission, hierarchy, memory_pair, quic, quic_pair, secret, with_secrets};

async fn both_know_each_other<T: Transport>(pair: Pair<T>) {
    let (mut ana, mut bob) = pair.meet().await;
    assert_eq!(ana.connection.peer(), pair.bob.node());
    assert_eq!(ana.connection.node(), pair.ana.node());
    assert_eq!(bob.connection.peer(), pair.ana.node());
    assert_eq!(bob.connection.node(), pair.bob.node());
    assert_eq!(ana.connection.binding(), bob.connection.binding());

    // The stream of the hello goes on.
    ana.sender.send(Bytes::from_static(b"after the hello")).await.unwrap();
    assert_eq!(bob.receiver.receive().await.unwrap().unwrap(), "after the hello");
    bob.sender.send(Bytes::from_static(b"and back")).await.unwrap();
    assert_eq!(ana.receiver.receive().await.unwrap().unwrap(), "and back");

    let (again, _bob) = pair.meet().await;
    assert_ne!(ana.connection.binding(), again.connection.binding());
}

#[tokio::test]
async fn two_nodes_prove_who_they_are() {
    both_know_each_other(quic_pair()).await;
    both_know_each_other(memory_pair()).await;
}

#[tokio::test]
async fn the_identity_is_the_node_key() {
    let public = SecretKey::from_seed([2; 32]).public();
    assert_eq!(quic_pair().bob.node(), NodeId::from_bytes(*public.as_bytes()));
}

async fn another_node_answers<T: Transport>(pair: Pair<T>) {
    let expected = NodeId::from_bytes([9; 32]);
    let (address, _) = pair.at_bob();
    let refused = dial(&pair.ana, address, expected, &admission()).await;
    assert_eq!(refused.err(), Some(ConnectError::OtherNode { expected }));
}

#[tokio::test]
async fn another_node_than_expected_is_not_connected_to() {
    another_node_answers(quic_pair()).await;
    another_node_answers(memory_pair()).await;
}

/// Both ends fail with this error, and the connection is gone.
async fn both_fail<T: Transport>(
    pair: &Pair<T>,
    ana: &Admission,
    bob: &Admission,
    error: ConnectError,
) {
    let (at_ana, at_bob) = pair.meet_as(ana, bob).await;
    assert_eq!(at_ana.err(), Some(error.clone()));
    assert_eq!(at_bob.err(), Some(error));
}

async fn refusals<T: Transport>(pair: Pair<T>) {
    let other = Admission { hierarchy: hierarchy(2), ..admission() };
    both_fail(&pair, &admission(), &other, ConnectError::OtherHierarchy).await;
    both_fail(&pair, &admission(), &with_secrets(8, &[]), ConnectError::WrongSecret).await;

    // Neither a reader of a public hierarchy nor one with a secret takes the other for its like.
    let public = Admission { access: Access::Public, ..admission() };
    both_fail(&pair, &public, &admission(), ConnectError::WrongSecret).await;
    both_fail(&pair, &admission(), &public, ConnectError::WrongSecret).await;

    // Who knows neither learns no more than who knows the secret alone.
    let neither = Admission { hierarchy: hierarchy(2), ..with_secrets(8, &[]) };
    both_fail(&pair, &neither, &admission(), ConnectError::OtherHierarchy).await;
}

#[tokio::test]
async fn strangers_are_refused_and_told_why() {
    refusals(quic_pair()).await;
    refusals(memory_pair()).await;
}

async fn admissions<T: Transport>(pair: Pair<T>) {
    let public = Admission { access: Access::Public, ..admission() };
    let ticket = Ticket::new(hierarchy(1), Some(secret(7)), vec![]).admission();
    for (ana, bob) in [
        (admission(), admission()),
        (ticket, admission()),
        (public.clone(), public),
        // Rotation from 7 to 8: accepted everywhere, then current everywhere, then 7 dropped.
        (with_secrets(7, &[]), with_secrets(7, &[8])),
        (with_secrets(8, &[7]), with_secrets(7, &[8])),
        (with_secrets(7, &[8]), with_secrets(8, &[7])),
        (with_secrets(7, &[]), with_secrets(8, &[7])),
        (with_secrets(8, &[7]), with_secrets(8, &[])),
    ] {
        let (at_ana, at_bob) = pair.meet_as(&ana, &bob).await;
        at_ana.unwrap();
        at_bob.unwrap();
    }
    let expelled = with_secrets(7, &[]);
    both_fail(&pair, &expelled, &with_secrets(8, &[]), ConnectError::WrongSecret).await;
}

#[tokio::test]
async fn readers_are_let_in_also_while_secrets_change() {
    admissions(quic_pair()).await;
    admissions(memory_pair()).await;
}

async fn falls_back<T: Transport>(pair: Pair<T>) {
    let (address, node) = pair.at_bob();
    // Bob has not heard of 9 and 8: the third try is right.
    let (ana, bob) = (with_secrets(9, &[8, 7]), with_secrets(7, &[]));
    let welcomes = async {
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            outcomes.push(welcome(pair.bob.accept().await.unwrap(), &bob).await);
        }
        outcomes
    };
    let (at_ana, mut at_bob) = tokio::join!(dial(&pair.ana, address, node, &ana), welcomes);
    assert_eq!(at_ana.unwrap().secret, Some(secret(7)));
    assert_eq!(at_bob.pop().unwrap().unwrap().secret, Some(secret(7)));
    for refused in at_bob {
        assert_eq!(refused.err(), Some(ConnectError::WrongSecret));
    }
}

#[tokio::test]
async fn who_has_not_heard_of_a_new_secret_is_dialled_with_the_old() {
    falls_back(quic_pair()).await;
    falls_back(memory_pair()).await;
}

async fn expulsion<T: Transport>(pair: Pair<T>) {
    let mut expels = admission();
    expels.expelled.insert(pair.ana.node());
    both_fail(&pair, &admission(), &expels, ConnectError::Expelled).await;
    // Who cannot read does not learn of it.
    both_fail(&pair, &with_secrets(8, &[]), &expels, ConnectError::WrongSecret).await;
    // Nor does who was expelled hear of whom expels it by being dialled.
    let (address, node) = pair.at_bob();
    expels.expelled.insert(node);
    let dialled = dial(&pair.ana, address, node, &expels).await;
    assert_eq!(dialled.err(), Some(ConnectError::Expelled));
}

#[tokio::test]
async fn an_expelled_node_is_told_so_and_not_dialled() {
    expulsion(quic_pair()).await;
    expulsion(memory_pair()).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_speaks_is_hung_up_on() {
    let pair = memory_pair();
    let (ana, bob) = pair.connect().await;
    let before = tokio::time::Instant::now();
    assert_eq!(welcome(bob, &admission()).await.err(), Some(ConnectError::TimedOut));
    assert!(before.elapsed() >= HELLO_TIMEOUT);
    assert_eq!(ana.closed().await, LinkError::Closed(CloseReason::Done));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_is_given_up() {
    let pair = memory_pair();
    let (address, node) = pair.at_bob();
    let admission = admission();
    let hearing = async {
        let bob = pair.bob.accept().await.unwrap();
        let streams = bob.accept().await.unwrap();
        (bob, streams)
    };
    let (refused, _bob) = tokio::join!(dial(&pair.ana, address, node, &admission), hearing);
    assert_eq!(refused.err(), Some(ConnectError::TimedOut));
}

async fn both_dial<T: Transport>(pair: Pair<T>) {
    // Two dialers never hear each other's hello as an answer: each waits on its own stream.
    let (ana, bob) = pair.connect().await;
    let (mine, yours) = (admission(), admission());
    let talk = async {
        tokio::join!(
            basefs::net::hello(ana, basefs::net::Role::Dialer, &mine),
            basefs::net::hello(bob, basefs::net::Role::Dialer, &yours),
        )
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), talk).await.is_err());
}

#[tokio::test]
async fn a_hello_is_no_answer_to_a_hello() {
    both_dial(quic_pair()).await;
    both_dial(memory_pair()).await;
}

#[tokio::test]
async fn a_node_can_go_and_come_back_a_hundred_times() {
    let pair = quic_pair();
    for round in 0..100 {
        let (ana, bob) = pair.meet().await;
        assert_eq!(bob.connection.peer(), pair.ana.node(), "round {round}");
        if round % 2 == 0 {
            ana.connection.close(CloseReason::Done);
            assert_eq!(bob.connection.closed().await, LinkError::Closed(CloseReason::Done));
        }
    }
}

async fn closing<T: Transport>(pair: Pair<T>) {
    let (ana, mut bob) = pair.meet().await;
    ana.connection.close(CloseReason::Busy);
    ana.connection.close(CloseReason::Misbehaved);
    assert_eq!(ana.connection.closed().await, LinkError::ClosedHere);
    assert_eq!(bob.connection.closed().await, LinkError::Closed(CloseReason::Busy));
    assert_eq!(bob.receiver.receive().await, Err(LinkError::Closed(CloseReason::Busy)));
    let sent = bob.sender.send(Bytes::from_static(b"too late")).await;
    assert_eq!(sent, Err(LinkError::Closed(CloseReason::Busy)));
    assert_eq!(bob.connection.open().await.err(), Some(LinkError::Closed(CloseReason::Busy)));

    // Dropping everything closes as well.
    let (ana, bob) = pair.meet().await;
    drop(ana);
    assert_eq!(bob.connection.closed().await, LinkError::Closed(CloseReason::Done));

    // And so does closing the transport.
    let (_ana, bob) = pair.meet().await;
    pair.ana.close();
    assert_eq!(bob.connection.closed().await, LinkError::Closed(CloseReason::Done));
    assert!(pair.ana.accept().await.is_none());
    let (address, node) = pair.at_bob();
    let refused = pair.ana.connect(address, node).await.err();
    assert!(matches!(refused, Some(ConnectError::Local { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_closed_connection_says_so_on_both_ends() {
    closing(quic_pair()).await;
    closing(memory_pair()).await;
}

#[tokio::test]
async fn an_address_is_taken_once() {
    let ana = quic(1);
    let mut config = basefs::net::QuicConfig::default();
    config.listen = ana.local_addresses()[0];
    let second = QuicTransport::bind(config, &SecretKey::from_seed([2; 32]));
    assert!(matches!(second.err(), Some(BindError::Address { .. })));

    let network = MemoryNetwork::new();
    let address = "10.0.0.1:1".parse().unwrap();
    let first = network.bind(address, NodeId::from_bytes([1; 32])).unwrap();
    let second = network.bind(address, NodeId::from_bytes([2; 32]));
    assert!(matches!(second.err(), Some(BindError::Address { .. })));
    drop(first);
    network.bind(address, NodeId::from_bytes([2; 32])).unwrap();
}

#[tokio::test]
async fn a_partition_ends_connections_until_it_heals() {
    let network = MemoryNetwork::new();
    let bind = |byte: u8| {
        network.bind(([10, 0, 0, byte], 1).into(), NodeId::from_bytes([byte; 32])).unwrap()
    };
    let (pair, carl) = (Pair { ana: bind(1), bob: bind(2) }, bind(3));
    let (ana, bob) = pair.connect().await;
    let (at_carl, node) = (carl.local_addresses()[0], carl.node());
    let to_carl = pair.ana.connect(at_carl, node).await.unwrap();

    network.partition(pair.bob.node(), pair.ana.node());
    assert_eq!(ana.closed().await, LinkError::TimedOut);
    assert_eq!(bob.closed().await, LinkError::TimedOut);
    let (address, node) = pair.at_bob();
    assert_eq!(pair.ana.connect(address, node).await.err(), Some(ConnectError::TimedOut));
    to_carl.open().await.unwrap();

    network.heal(pair.ana.node(), pair.bob.node());
    pair.connect().await;
}

#[tokio::test]
async fn a_node_that_accepts_nobody_turns_peers_away() {
    let pair = memory_pair();
    let (address, node) = pair.at_bob();
    let mut kept = Vec::new();
    let error = loop {
        match pair.ana.connect(address, node).await {
            Ok(connection) => kept.push(connection),
            Err(error) => break error,
        }
        assert!(kept.len() < 1_000);
    };
    assert_eq!(error, ConnectError::Busy);

    let pair = quic_pair();
    let (address, node) = pair.at_bob();
    let mut kept = Vec::new();
    for _ in 0..65 {
        kept.push(pair.ana.connect(address, node).await.unwrap());
    }
    // It learns only after its own handshake that there is no place left.
    let last = kept.pop().unwrap();
    assert_eq!(last.closed().await, LinkError::Closed(CloseReason::Busy));
    for connection in kept {
        assert_eq!(connection.peer(), node);
        assert!(pair.bob.accept().await.is_some());
    }
}
