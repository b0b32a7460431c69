//! What congestion controllers make of paths: figures, not verdicts.
//! `cargo test --release --test it net::paths -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::net::{Congestion, Connection, FrameReceiver, FrameSender, Transport, dial, welcome};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::relay::{Relay, Way};
use super::{Pair, admission, quic_with};

const UPLOADS: u64 = 5;
const MESSAGES: usize = 300;
const EVERY: Duration = Duration::from_millis(50);

fn way(millis: u64, rate: u64, loss: u32) -> Way {
    Way { delay: Duration::from_micros(millis * 500), rate, loss }
}

fn paths() -> Vec<(&'static str, Way)> {
    vec![
        ("1 ms, 1 Gbit/s", way(1, 1_000_000_000, 0)),
        ("50 ms, 10 Mbit/s", way(50, 10_000_000, 0)),
        ("50 ms, 10 Mbit/s, 10 %", way(50, 10_000_000, 100)),
        ("50 ms, 10 Mbit/s, 30 %", way(50, 10_000_000, 300)),
        ("50 ms, 10 Mbit/s, 50 %", way(50, 10_000_000, 500)),
        ("300 ms, 64 kbit/s", way(300, 64_000, 0)),
    ]
}

/// The median and the 99th percentile, in milliseconds.
fn percentiles(times: &mut [Duration]) -> String {
    times.sort();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().max(1) - 1));
    let millis = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    format!("{:.1}/{:.1}", millis(at(50)), millis(at(99)))
}

/// A connection through a relay, both ends.
macro_rules! connect {
    ($way:expr, $congestion:expr, $seed:expr) => {{
        let mut path = $way;
        let loss = std::mem::take(&mut path.loss);
        let pair = Pair { ana: quic_with(1, $congestion), bob: quic_with(2, $congestion) };
        let (address, node) = pair.at_bob();
        let relay = Relay::new(address, path, $seed);
        let admission = admission();
        let dialing = dial(&pair.ana, relay.address(), node, &admission);
        let answering = async { welcome(pair.bob.accept().await.unwrap(), &admission).await };
        let (ana, bob) = tokio::join!(dialing, answering);
        relay.set_loss(loss);
        (pair, relay, ana.unwrap(), bob.unwrap())
    }};
}

async fn upload(path: Way, congestion: Congestion, seed: u64) -> Option<Duration> {
    let (_pair, _relay, mut ana, mut bob) = connect!(path, congestion, seed);
    let start = Instant::now();
    let sending = async { ana.sender.send(Bytes::from(vec![1; 256 << 10])).await.unwrap() };
    let both = async { tokio::join!(sending, bob.receiver.receive()) };
    timeout(Duration::from_secs(100), both).await.ok().map(|_| start.elapsed())
}

/// Sends messages at a steady pace; gives how long those took that arrived.
async fn messages(path: Way, congestion: Congestion, seed: u64, pushed: bool) -> Vec<Duration> {
    let (_pair, _relay, ana, bob) = connect!(path, congestion, seed);
    let start = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let taken = times.clone();
    tokio::spawn(async move {
        while let Ok(message) = match pushed {
            true => bob.connection.receive_push().await,
            false => bob.connection.receive_datagram().await,
        } {
            let sent = u64::from_le_bytes(message[..8].try_into().unwrap());
            taken.lock().push(start.elapsed() - Duration::from_micros(sent));
        }
    });
    let mut pushes = JoinSet::new();
    for _ in 0..MESSAGES {
        let mut message = vec![7; 300];
        let now = u64::try_from(start.elapsed().as_micros()).unwrap();
        message[..8].copy_from_slice(&now.to_le_bytes());
        if pushed {
            let connection = ana.connection.clone();
            pushes.spawn(async move { connection.push(message.into()).await });
        } else {
            ana.connection.send_datagram(message.into());
        }
        sleep(EVERY).await;
    }
    let _ = timeout(Duration::from_secs(30), async { while pushes.join_next().await.is_some() {} })
        .await;
    sleep(Duration::from_secs(1)).await;
    let times = times.lock().clone();
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn controllers() {
    let nudge = std::env::var("T_NUDGE").ok().and_then(|only| only.parse::<u64>().ok());
    let _ = nudge;
    let only: Option<usize> = std::env::var("ONLY").ok().and_then(|only| only.parse().ok());
    let mut running = JoinSet::new();
    for (at, (name, path)) in paths().into_iter().enumerate() {
        if only.is_some_and(|only| only > at) {
            continue;
        }
        for congestion in [Congestion::Cubic, Congestion::Bbr, Congestion::Steady] {
            running.spawn(async move {
                let seed = at as u64 * 1_000;
                let mut uploads = Vec::new();
                for round in 0..UPLOADS {
                    uploads.push(upload(path, congestion, seed + round).await);
                }
                uploads.sort_by_key(|time| time.unwrap_or(Duration::MAX));
                let uploads: Vec<String> = uploads.into_iter().map(|time| time.map_or("-".into(), |time| format!("{:.2}", time.as_secs_f64()))).collect();
                let (mut datagrams, mut pushes) = tokio::join!(
                    messages(path, congestion, seed, false),
                    messages(path, congestion, seed, true)
                );
                let arrived = datagrams.len() * 100 / MESSAGES;
                format!(
                    "{at} {name:24} {congestion:8?} upload {}; datagrams {} ({arrived} %); pushes {} ({})",
                    uploads.join(" "),
                    percentiles(&mut datagrams),
                    percentiles(&mut pushes),
                    pushes.len(),
                )
            });
        }
    }
    let mut lines = running.join_all().await;
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
}
