//! Figures, not verdicts: `cargo test --release --test it net::measure -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use basefs::limits::MAX_FRAME;
use basefs::net::{Congestion, Connection, FrameReceiver, FrameSender, QuicTransport};
use bytes::Bytes;

use super::{Pair, quic_with};

fn pair(congestion: Congestion) -> Pair<QuicTransport> {
    Pair { ana: quic_with(1, congestion), bob: quic_with(2, congestion) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn handshake_and_hello() {
    let pair = pair(Congestion::default());
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let met = pair.meet().await;
        times.push(start.elapsed());
        drop(met);
    }
    println!("handshake and hello, median of 50: {:?}", median(times));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn throughput() {
    const TOTAL: usize = 256 << 20;
    for congestion in [Congestion::Bbr, Congestion::Cubic, Congestion::Bbr, Congestion::Cubic] {
        for size in [MAX_FRAME, 1_120] {
            let pair = pair(congestion);
            let (mut ana, mut bob) = pair.meet().await;
            let frame = Bytes::from(vec![7; size]);
            let start = Instant::now();
            let sending = tokio::spawn(async move {
                for _ in 0..TOTAL / size {
                    ana.sender.send(frame.clone()).await.unwrap();
                }
                ana.sender.finish();
                ana
            });
            let mut received = 0;
            while let Some(frame) = bob.receiver.receive().await.unwrap() {
                received += frame.len();
            }
            let rate = received as f64 / start.elapsed().as_secs_f64() / 1e6;
            let ana = sending.await.unwrap();
            let lost = ana.connection.stats().lost;
            println!("{congestion:?}, frames of {size}: {rate:.0} MB/s, {lost} packets lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn ping_pong() {
    for congestion in [Congestion::Bbr, Congestion::Cubic] {
        let pair = pair(congestion);
        let (mut ana, mut bob) = pair.meet().await;
        tokio::spawn(async move {
            while let Ok(Some(frame)) = bob.receiver.receive().await {
                bob.sender.send(frame).await.unwrap();
            }
        });
        let frame = Bytes::from(vec![7; 400]);
        let mut times = Vec::new();
        for _ in 0..10_000 {
            let start = Instant::now();
            ana.sender.send(frame.clone()).await.unwrap();
            ana.receiver.receive().await.unwrap().unwrap();
            times.push(start.elapsed());
        }
        println!("{congestion:?}, 400 bytes there and back, median: {:?}", median(times));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn pushes_and_datagrams() {
    let pair = pair(Congestion::default());
    let (ana, bob) = pair.meet().await;
    let message = Bytes::from(vec![7; 400]);
    let (mut arrivals, mut ends, mut datagrams) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2_000 {
        let start = Instant::now();
        let (connection, message) = (ana.connection.clone(), message.clone());
        let pushing = tokio::spawn(async move {
            connection.push(message).await.unwrap();
            start.elapsed()
        });
        bob.connection.receive_push().await.unwrap();
        arrivals.push(start.elapsed());
        ends.push(pushing.await.unwrap());
    }
    for _ in 0..2_000 {
        let start = Instant::now();
        ana.connection.send_datagram(message.clone());
        bob.connection.receive_datagram().await.unwrap();
        datagrams.push(start.elapsed());
    }
    for (what, mut times) in [
        ("a push, until it is there", arrivals),
        ("a push, until its sender knows", ends),
        ("a datagram", datagrams),
    ] {
        times.sort();
        println!("{what}, 400 bytes: median {:?}, p99 {:?}", times[1_000], times[1_980]);
    }
}
