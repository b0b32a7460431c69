//! Frames: whole, in order, never more than there is room for.

use std::time::Duration;

use basefs::limits::MAX_FRAME;
use basefs::net::{CloseReason, Connection, FrameReceiver, FrameSender, LinkError, Transport};
use bytes::Bytes;
use tokio::time::timeout;

use super::{Pair, memory_pair, quic_pair};

/// Longer than anything here takes unless it is stuck.
const STUCK: Duration = Duration::from_secs(20);
/// Long enough to see that something does not go on.
const A_WHILE: Duration = Duration::from_millis(200);

/// A frame that differs from all others, in content or length.
fn frame(number: usize) -> Bytes {
    let length = [0, 1, 400, 1_200, 5_000, 70_000][number % 6] + number;
    Bytes::from(vec![byte(number); length])
}

fn byte(number: usize) -> u8 {
    u8::try_from(number % 251).unwrap()
}

async fn in_order<T: Transport>(pair: Pair<T>) {
    let (ana, bob) = pair.meet().await;
    let (mut sender, mut back) = ana.connection.open().await.unwrap();
    let sending = async {
        for number in 0..200 {
            sender.send(frame(number)).await.unwrap();
        }
        sender.finish();
        assert_eq!(sender.send(frame(0)).await, Err(LinkError::ClosedHere));
        assert_eq!(back.receive().await.unwrap().unwrap(), "thanks");
        assert_eq!(back.receive().await, Ok(None));
    };
    let receiving = async {
        let (mut answer, mut receiver) = bob.connection.accept().await.unwrap();
        for number in 0..200 {
            assert_eq!(receiver.receive().await.unwrap().unwrap(), frame(number));
        }
        assert_eq!(receiver.receive().await, Ok(None));
        answer.send(Bytes::from_static(b"thanks")).await.unwrap();
    };
    timeout(STUCK, async { tokio::join!(sending, receiving) }).await.unwrap();
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order() {
    in_order(quic_pair()).await;
    in_order(memory_pair()).await;
}

async fn longest<T: Transport>(pair: Pair<T>) {
    let (mut ana, mut bob) = pair.meet().await;
    let frame = Bytes::from(vec![7; MAX_FRAME]);
    let (sent, received) = tokio::join!(ana.sender.send(frame.clone()), bob.receiver.receive());
    sent.unwrap();
    assert_eq!(received.unwrap().unwrap(), frame);

    let length = (MAX_FRAME + 1) as u64;
    let sent = ana.sender.send(Bytes::from(vec![7; MAX_FRAME + 1])).await;
    assert_eq!(sent, Err(LinkError::FrameTooLong { length }));

    // Nothing of it was sent: the stream is as good as before. The receiver may allow less.
    ana.sender.send(Bytes::from_static(b"twelve bytes")).await.unwrap();
    let received = bob.receiver.receive_at_most(11).await;
    assert_eq!(received, Err(LinkError::FrameTooLong { length: 12 }));
    assert_eq!(bob.receiver.receive_at_most(12).await.unwrap().unwrap(), "twelve bytes");
}

#[tokio::test]
async fn a_frame_has_a_longest_length() {
    longest(quic_pair()).await;
    longest(memory_pair()).await;
}

async fn reader_stops<T: Transport>(pair: Pair<T>) {
    let (mut ana, mut bob) = pair.meet().await;
    let frame = Bytes::from(vec![7; MAX_FRAME]);
    let mut sent = 0;
    let sender = loop {
        let mut sending = Box::pin(async {
            ana.sender.send(frame.clone()).await.unwrap();
        });
        if timeout(A_WHILE, &mut sending).await.is_err() {
            break sending;
        }
        sent += 1;
        assert!(sent * MAX_FRAME < 10 << 20, "what nobody reads is not bounded");
    };

    // As soon as the peer reads again, everything arrives.
    let receiving = async {
        for _ in 0..=sent {
            assert_eq!(bob.receiver.receive().await.unwrap().unwrap(), frame);
        }
    };
    timeout(STUCK, async { tokio::join!(sender, receiving) }).await.unwrap();
}

#[tokio::test]
async fn a_sender_waits_for_a_peer_that_does_not_read() {
    reader_stops(quic_pair()).await;
    reader_stops(memory_pair()).await;
}

async fn broken_off<T: Transport>(pair: Pair<T>) {
    let (mut ana, _bob) = pair.meet().await;
    while timeout(A_WHILE, ana.sender.send(Bytes::from(vec![7; MAX_FRAME]))).await.is_ok() {}
    let sent = ana.sender.send(Bytes::from_static(b"inside another frame")).await;
    assert!(matches!(sent, Err(LinkError::Failed { .. })), "{sent:?}");
}

#[tokio::test]
async fn after_a_send_is_broken_off_the_stream_is_unusable() {
    broken_off(quic_pair()).await;
    broken_off(memory_pair()).await;
}

async fn interrupted<T: Transport>(pair: Pair<T>) {
    let (mut ana, mut bob) = pair.meet().await;
    let sending = async {
        for number in 0..50 {
            ana.sender.send(frame(number)).await.unwrap();
        }
        ana
    };
    let receiving = async {
        let mut number = 0;
        while number < 50 {
            // Polled once and dropped, time and again.
            tokio::select! {
                biased;
                received = bob.receiver.receive() => {
                    assert_eq!(received.unwrap().unwrap(), frame(number));
                    number += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    timeout(STUCK, async { tokio::join!(sending, receiving) }).await.unwrap();
}

#[tokio::test]
async fn an_interrupted_receive_loses_nothing() {
    interrupted(quic_pair()).await;
    interrupted(memory_pair()).await;
}

async fn streams<T: Transport>(pair: Pair<T>) {
    let (ana, bob) = pair.meet().await;
    let (mut silent, _kept) = ana.connection.open().await.unwrap();
    assert!(timeout(A_WHILE, bob.connection.accept()).await.is_err(), "nothing was sent yet");
    silent.finish();
    let (_, mut receiver) = timeout(STUCK, bob.connection.accept()).await.unwrap().unwrap();
    assert_eq!(receiver.receive().await, Ok(None));

    // Either end opens streams, many at a time.
    let mut open = Vec::new();
    for number in 0..20 {
        let (mut sender, receiver) = bob.connection.open().await.unwrap();
        sender.send(frame(number)).await.unwrap();
        open.push((sender, receiver));
    }
    for number in 0..20 {
        let (_, mut receiver) = ana.connection.accept().await.unwrap();
        assert_eq!(receiver.receive().await.unwrap().unwrap(), frame(number));
    }
}

#[tokio::test]
async fn a_stream_is_seen_with_its_first_frame() {
    streams(quic_pair()).await;
    streams(memory_pair()).await;
}

async fn nobody_reads<T: Transport>(pair: Pair<T>) {
    let (ana, bob) = pair.meet().await;
    let (mut sender, _receiver) = ana.connection.open().await.unwrap();
    sender.send(frame(2)).await.unwrap();
    drop(bob.connection.accept().await.unwrap());
    let refused = timeout(STUCK, async {
        loop {
            if let Err(error) = sender.send(frame(2)).await {
                break error;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(refused.await.unwrap(), LinkError::Closed(CloseReason::Done));
    ana.connection.open().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_nobody_reads_ends_alone() {
    nobody_reads(quic_pair()).await;
    nobody_reads(memory_pair()).await;
}

async fn counters<T: Transport>(pair: Pair<T>) {
    let (mut ana, mut bob) = pair.meet().await;
    let before = (ana.connection.stats(), bob.connection.stats());
    ana.sender.send(Bytes::from(vec![7; 100_000])).await.unwrap();
    bob.receiver.receive().await.unwrap().unwrap();
    let after = (ana.connection.stats(), bob.connection.stats());
    assert!((100_000..200_000).contains(&(after.0.sent - before.0.sent)));
    assert!((100_000..200_000).contains(&(after.1.received - before.1.received)));
}

#[tokio::test]
async fn a_connection_counts_its_bytes() {
    counters(quic_pair()).await;
    counters(memory_pair()).await;
    let (ana, _bob) = quic_pair().connect().await;
    assert!((1..1_000_000).contains(&ana.stats().rtt_micros));
}

/// In full only when optimised: an unoptimised QUIC is thirty times slower.
#[tokio::test(flavor = "multi_thread")]
async fn much_data_goes_through_unharmed() {
    let total: usize = if cfg!(debug_assertions) { 16 << 20 } else { 256 << 20 };
    let frames = total / MAX_FRAME;
    let pair = quic_pair();
    let (mut ana, mut bob) = pair.meet().await;
    let sending = tokio::spawn(async move {
        for number in 0..frames {
            ana.sender.send(Bytes::from(vec![byte(number); MAX_FRAME])).await.unwrap();
        }
        ana.sender.finish();
        ana
    });
    for number in 0..frames {
        let frame = bob.receiver.receive().await.unwrap().unwrap();
        assert_eq!(frame.len(), MAX_FRAME);
        assert!(frame.iter().all(|&found| found == byte(number)));
    }
    assert_eq!(bob.receiver.receive().await, Ok(None));
    sending.await.unwrap();
}
