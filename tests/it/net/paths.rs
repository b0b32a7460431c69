//! What comes through paths that are slow, narrow or lossy: figures, not verdicts.
//! `cargo test --release --test it net::paths -- --ignored --nocapture --test-threads 1`, with
//! `PATHS=0,3` only some of the paths; all take seven minutes.

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
const MESSAGES: u32 = 300;
const LONG: Duration = Duration::from_secs(100);

fn way(millis: u64, rate: u64, loss: u32) -> Way {
    Way { delay: Duration::from_micros(millis * 500), rate, loss }
}

/// The paths that are asked for, with their numbers.
fn paths() -> Vec<(u64, &'static str, Way)> {
    let all = [
        (0, "1 ms, 1 Gbit/s", way(1, 1_000_000_000, 0)),
        (1, "50 ms, 10 Mbit/s", way(50, 10_000_000, 0)),
        (2, "50 ms, 10 Mbit/s, 10 %", way(50, 10_000_000, 100)),
        (3, "50 ms, 10 Mbit/s, 30 %", way(50, 10_000_000, 300)),
        (4, "50 ms, 10 Mbit/s, 50 %", way(50, 10_000_000, 500)),
        (5, "300 ms, 64 kbit/s", way(300, 64_000, 0)),
    ];
    let wanted = std::env::var("PATHS").ok();
    let is_wanted = |at: u64| match &wanted {
        Some(wanted) => wanted.split(',').any(|wanted| wanted == at.to_string()),
        None => true,
    };
    all.into_iter().filter(|(at, ..)| is_wanted(*at)).collect()
}

/// The median, the 90th and the 99th percentile, in milliseconds, and how many there are.
fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at =
        |part: usize| times.get(times.len() * part / 100).map_or(f64::NAN, Duration::as_secs_f64);
    let [half, most, nearly] = [50, 90, 99].map(|part| at(part) * 1e3);
    format!("{half:.1}/{most:.1}/{nearly:.1} ({})", times.len())
}

/// A connection through a relay that begins to lose packets when the hello is through.
struct Meeting<C: Connection> {
    ana: basefs::net::Established<C>,
    bob: basefs::net::Established<C>,
    _relay: Relay,
    _pair: Pair<basefs::net::QuicTransport>,
}

async fn meet(
    path: Way,
    congestion: Congestion,
    seed: u64,
) -> Meeting<basefs::net::QuicConnection> {
    let pair = Pair { ana: quic_with(1, congestion), bob: quic_with(2, congestion) };
    let (address, node) = pair.at_bob();
    let relay = Relay::new(address, Way { loss: 0, ..path }, seed);
    let admission = admission();
    let dialing = dial(&pair.ana, relay.address(), node, &admission);
    let answering = async { welcome(pair.bob.accept().await.unwrap(), &admission).await };
    let (ana, bob) = tokio::join!(dialing, answering);
    relay.set_loss(path.loss);
    Meeting { ana: ana.unwrap(), bob: bob.unwrap(), _relay: relay, _pair: pair }
}

async fn upload(path: Way, congestion: Congestion, seed: u64) -> Duration {
    let mut met = meet(path, congestion, seed).await;
    let start = Instant::now();
    let sending = async { met.ana.sender.send(Bytes::from(vec![1; 256 << 10])).await.unwrap() };
    let both = async { tokio::join!(sending, met.bob.receiver.receive()) };
    timeout(LONG, both).await.map_or(LONG, |_| start.elapsed())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Datagrams,
    Pushes,
    /// Pushes, and an empty datagram every 25 ms for as long as one is under way.
    Nudged,
}

/// Sends messages at a steady pace; gives how long those took that arrived.
async fn messages(path: Way, congestion: Congestion, kind: Kind, every: Duration) -> Vec<Duration> {
    let met = meet(path, congestion, 7).await;
    let start = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let (taken, bob) = (times.clone(), met.bob.connection);
    tokio::spawn(async move {
        while let Ok(message) = match kind {
            Kind::Datagrams => bob.receive_datagram().await,
            Kind::Pushes | Kind::Nudged => bob.receive_push().await,
        } {
            let sent = u64::from_le_bytes(message[..8].try_into().unwrap());
            taken.lock().push(start.elapsed() - Duration::from_micros(sent));
        }
    });
    let mut pushing = JoinSet::new();
    for _ in 0..MESSAGES {
        let mut message = vec![7; 300];
        let now = u64::try_from(start.elapsed().as_micros()).unwrap();
        message[..8].copy_from_slice(&now.to_le_bytes());
        let connection = met.ana.connection.clone();
        if kind == Kind::Datagrams {
            connection.send_datagram(message.into());
        } else {
            pushing.spawn(push(connection, message.into(), kind == Kind::Nudged));
        }
        sleep(every).await;
    }
    let _ = timeout(LONG, pushing.join_all()).await;
    sleep(Duration::from_secs(1)).await;
    times.lock().clone()
}

async fn push(connection: impl Connection, frame: Bytes, nudged: bool) {
    let nudging = async {
        loop {
            sleep(Duration::from_millis(25)).await;
            connection.send_datagram(Bytes::new());
        }
    };
    tokio::select! {
        pushed = connection.push(frame) => pushed.unwrap(),
        () = nudging, if nudged => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn controllers() {
    let mut running = JoinSet::new();
    for (at, name, path) in paths() {
        for congestion in [Congestion::Cubic, Congestion::Bbr] {
            running.spawn(async move {
                let mut uploads = Vec::new();
                for round in 0..UPLOADS {
                    uploads.push(upload(path, congestion, at * 100 + round).await);
                }
                let every = Duration::from_millis(50);
                let (datagrams, pushes) = tokio::join!(
                    messages(path, congestion, Kind::Datagrams, every),
                    messages(path, congestion, Kind::Pushes, every)
                );
                uploads.sort();
                let (datagrams, pushes) = (percentiles(datagrams), percentiles(pushes));
                format!(
                    "{at} {name:24} {congestion:8?} 256 KiB in {uploads:.2?}; datagrams {datagrams}; \
                     pushes {pushes}"
                )
            });
        }
    }
    let mut lines = running.join_all().await;
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn single_pushes() {
    let mut running = JoinSet::new();
    for (at, name, path) in paths().into_iter().filter(|(.., path)| path.loss > 0) {
        for kind in [Kind::Pushes, Kind::Nudged] {
            running.spawn(async move {
                let every = Duration::from_millis(400);
                let times = messages(path, Congestion::Bbr, kind, every).await;
                format!("{at} {name:24} {kind:?}: {}", percentiles(times))
            });
        }
    }
    let mut lines = running.join_all().await;
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
}
