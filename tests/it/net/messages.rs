//! Datagrams, and frames each on a stream of its own.

use std::time::Duration;

use basefs::limits::MAX_DATAGRAM;
use basefs::net::{
    CloseReason, Connection, FrameReceiver, FrameSender, LinkError, MAX_PUSH, Transport,
};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Pair, memory_pair, quic_pair};

const STUCK: Duration = Duration::from_secs(20);
const A_WHILE: Duration = Duration::from_millis(200);

fn bytes(byte: u8, length: usize) -> Bytes {
    Bytes::from(vec![byte; length])
}

async fn datagrams<T: Transport>(pair: Pair<T>) {
    let (ana, bob) = pair.meet().await;
    for (number, length) in [0, 1, 300, MAX_DATAGRAM].into_iter().enumerate() {
        let datagram = bytes(u8::try_from(number).unwrap(), length);
        for (from, to) in [(&ana, &bob), (&bob, &ana)] {
            from.connection.send_datagram(datagram.clone());
            let received = timeout(STUCK, to.connection.receive_datagram()).await;
            assert_eq!(received.unwrap().unwrap(), datagram);
        }
    }

    // Too long for any: nobody hears of it.
    ana.connection.send_datagram(bytes(7, 4_000));
    ana.connection.send_datagram(bytes(8, 8));
    assert_eq!(bob.connection.receive_datagram().await.unwrap(), bytes(8, 8));

    ana.connection.close(CloseReason::Done);
    ana.connection.send_datagram(bytes(9, 9));
    let received = timeout(STUCK, bob.connection.receive_datagram()).await.unwrap();
    assert_eq!(received, Err(LinkError::Closed(CloseReason::Done)));
}

#[tokio::test]
async fn datagrams_go_both_ways() {
    datagrams(quic_pair()).await;
    datagrams(memory_pair()).await;
}

async fn nobody_reads_datagrams<T: Transport>(pair: Pair<T>) {
    let (ana, bob) = pair.meet().await;
    for _ in 0..2_000 {
        ana.connection.send_datagram(bytes(1, 1_000));
    }
    // A reliable frame behind them shows that they came, or were lost.
    let (pushed, received) =
        tokio::join!(ana.connection.push(bytes(2, 2)), bob.connection.receive_push());
    assert_eq!((pushed, received), (Ok(()), Ok(bytes(2, 2))));
    let mut kept = 0;
    while timeout(A_WHILE, bob.connection.receive_datagram()).await.is_ok() {
        kept += 1;
    }
    assert!((1..=130).contains(&kept), "{kept} of 2,000 were kept");
}

#[tokio::test]
async fn datagrams_that_nobody_reads_are_lost() {
    nobody_reads_datagrams(quic_pair()).await;
    nobody_reads_datagrams(memory_pair()).await;
}

async fn pushes<T: Transport>(pair: Pair<T>) {
    let (ana, bob) = pair.meet().await;
    for length in [0, 1, 1_120, 40_000, MAX_PUSH] {
        let frame = bytes(3, length);
        for (from, to) in [(&ana, &bob), (&bob, &ana)] {
            let push = async {
                tokio::join!(from.connection.push(frame.clone()), to.connection.receive_push())
            };
            let (pushed, received) = timeout(STUCK, push).await.unwrap();
            assert_eq!((pushed, received.unwrap()), (Ok(()), frame.clone()));
        }
    }
    let length = MAX_PUSH as u64 + 1;
    let pushed = ana.connection.push(bytes(3, MAX_PUSH + 1)).await;
    assert_eq!(pushed, Err(LinkError::FrameTooLong { length }));

    // More than fit under way at a time, all of them different.
    let mut pushing = JoinSet::new();
    for number in 0..200_u8 {
        let connection = ana.connection.clone();
        pushing.spawn(async move { connection.push(bytes(number, usize::from(number) * 7)).await });
    }
    let mut received = Vec::new();
    for _ in 0..200 {
        let frame = timeout(STUCK, bob.connection.receive_push()).await.unwrap().unwrap();
        received.push(frame.len() / 7);
    }
    received.sort_unstable();
    assert_eq!(received, Vec::from_iter(0..200));
    assert!(pushing.join_all().await.into_iter().all(|pushed| pushed.is_ok()));

    bob.connection.close(CloseReason::Done);
    let pushed = timeout(STUCK, ana.connection.push(bytes(4, 4))).await.unwrap();
    assert_eq!(pushed, Err(LinkError::Closed(CloseReason::Done)));
}

#[tokio::test]
async fn pushed_frames_arrive_whole_and_the_sender_knows() {
    pushes(quic_pair()).await;
    pushes(memory_pair()).await;
}

/// A peer that takes none: what is under way is bounded, frames and datagrams go on beside it.
async fn nobody_takes_pushes<T: Transport>(pair: Pair<T>) {
    let (mut ana, mut bob) = pair.meet().await;
    let mut pushing = JoinSet::new();
    for _ in 0..100 {
        let connection = ana.connection.clone();
        pushing.spawn(async move { connection.push(bytes(1, 20_000)).await });
    }
    tokio::time::sleep(A_WHILE).await;
    let sent = ana.connection.stats().sent;
    assert!(sent < 3_000_000, "{sent} bytes to a peer that takes nothing");
    ana.sender.send(bytes(2, 2)).await.unwrap();
    assert_eq!(
        timeout(STUCK, bob.receiver.receive()).await.unwrap().unwrap().unwrap(),
        bytes(2, 2)
    );
    ana.connection.send_datagram(bytes(3, 3));
    let datagram = timeout(STUCK, bob.connection.receive_datagram()).await.unwrap();
    assert_eq!(datagram.unwrap(), bytes(3, 3));

    // As soon as it takes them, all arrive.
    for _ in 0..100 {
        timeout(STUCK, bob.connection.receive_push()).await.unwrap().unwrap();
    }
    assert!(pushing.join_all().await.into_iter().all(|pushed| pushed.is_ok()));
}

#[tokio::test]
async fn what_nobody_takes_is_bounded_and_delays_nothing_else() {
    nobody_takes_pushes(quic_pair()).await;
    nobody_takes_pushes(memory_pair()).await;
}

async fn interrupted<T: Transport>(pair: Pair<T>) {
    let (ana, bob) = pair.meet().await;
    let sending = async {
        for number in 0..30 {
            ana.connection.push(bytes(number, 5_000)).await.unwrap();
        }
    };
    let receiving = async {
        let mut number = 0;
        while number < 30 {
            tokio::select! {
                biased;
                frame = bob.connection.receive_push() => {
                    assert_eq!(frame.unwrap(), bytes(number, 5_000));
                    number += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    timeout(STUCK, async { tokio::join!(sending, receiving) }).await.unwrap();
}

#[tokio::test]
async fn an_interrupted_wait_for_a_push_loses_none() {
    interrupted(quic_pair()).await;
    interrupted(memory_pair()).await;
}

#[tokio::test]
async fn a_path_is_known_from_the_start() {
    let (ana, bob) = quic_pair().meet().await;
    for connection in [&ana.connection, &bob.connection] {
        let path = connection.path();
        assert!(path.rtt > Duration::ZERO && path.rtt < Duration::from_secs(1), "{path:?}");
        assert_eq!(path.lost, 0);
    }
}
