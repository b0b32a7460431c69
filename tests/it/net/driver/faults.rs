//! What goes wrong between nodes: they come and go, stop reading, lose packets, and move.

use std::sync::Arc;
use std::time::{Duration, Instant};

use basefs::net::{
    Connection, Established, PeerAddress, QuicConnection, QuicTransport, Transport, dial,
};
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::{Running, STUCK, admission};
use crate::net::quic;
use crate::net::relay::{Relay, Way};

/// A round trip of 20 ms without other limits; loses some of a thousand packets.
fn lossy(loss: u32) -> Way {
    Way { delay: Duration::from_millis(10), rate: 100_000_000, loss }
}

/// Open files of this process.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Memory of this process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A peer made by hand dials a node.
async fn dial_it(from: &QuicTransport, to: &Running) -> Established<QuicConnection> {
    let address = to.handle.local_addresses()[0];
    let admission = admission();
    let dialing = dial(from, address, to.handle.node(), &admission);
    timeout(STUCK, dialing).await.unwrap().unwrap()
}

/// Connects again and again, each time without the end before having been seen; gives by how much
/// files and memory grew after the first tenth.
async fn reconnect(times: usize) -> (usize, usize) {
    let (one, ana) = (Running::start(1, quic(1), &[]), quic(2));
    let mut before = (0, 0);
    for time in 0..times {
        if time == times / 10 {
            before = (open_files(), resident());
        }
        let met = dial_it(&ana, &one).await;
        if time % 2 == 0 {
            met.connection.push(Bytes::from_static(b"no frame of any kind")).await.unwrap_or(());
        }
    }
    let after = (open_files(), resident());
    one.until(|one| one.connected().is_empty()).await;
    assert!(one.handle.peers().is_empty());
    one.handle.shutdown().await.unwrap();
    (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1))
}

#[tokio::test]
async fn who_comes_and_goes_leaves_nothing_behind() {
    let (files, _) = reconnect(200).await;
    // Other tests of this process open some at the same time.
    assert!(files < 150, "{files} more files are open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long, and is alone in its process"]
async fn a_thousand_reconnects_cost_no_memory() {
    let (files, memory) = reconnect(1_000).await;
    println!("after 1,000 reconnects: {files} more files, {memory} KiB more");
    assert!(files < 10 && memory < 8_192, "{files} more files, {memory} KiB more");
}

/// One peer reads nothing at all, frames, pushes and datagrams alike, and another does not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_stops_reading_slows_no_other() {
    let one = Running::start(1, quic(1), &[]);
    let two = Running::start(2, quic(2), &[&one]);
    let ana = quic(3);
    let deaf = dial_it(&ana, &one).await;
    two.until(|two| two.shelf.len() == 1).await;
    one.until(|one| one.connected().len() == 2).await;
    for at in 0..100 {
        let id = one.shelf.write(&format!("file-{at}"), &Bytes::from(vec![7; 300]));
        one.shelf.commit();
        two.until(|two| two.shelf.has(&id)).await;
    }
    let deaf_link = one.handle.peers().into_iter().find(|peer| peer.node == ana.node()).unwrap();
    let sent = deaf_link.link.expect("it is connected and says nothing").stats.sent;
    assert!(sent < 5 << 20, "{sent} bytes for a peer that reads nothing");
    drop(deaf);
    one.until(|one| one.connected().len() == 1).await;
}

/// Two nodes that know each other only by relays, some of which lose packets from the start.
async fn meet_through(relays: usize, loss: u32, seed: u64) -> Duration {
    let one = Running::start(1, quic(1), &[]);
    let target = one.handle.local_addresses()[0];
    let relays: Vec<Relay> =
        (0..relays).map(|at| Relay::new(target, lossy(loss), seed + at as u64)).collect();
    let two = Running::start(2, quic(2), &[]);
    let addresses = relays.iter().map(Relay::address).collect();
    let start = Instant::now();
    two.handle.add_peer(PeerAddress { node: one.handle.node(), addresses });
    while two.connected().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(80), "beyond the budget of a dial");
        sleep(Duration::from_millis(2)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_where_a_third_of_the_packets_is_lost() {
    let mut meetings = tokio::task::JoinSet::new();
    for seed in 0..4 {
        meetings.spawn(meet_through(2, 300, seed * 100));
    }
    meetings.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn how_long_meeting_takes_where_packets_are_lost() {
    for (relays, loss) in [(1, 300), (3, 300), (1, 500), (3, 500)] {
        let mut meetings = tokio::task::JoinSet::new();
        for seed in 0..40 {
            meetings.spawn(meet_through(relays, loss, seed * 100));
        }
        let mut times = meetings.join_all().await;
        times.sort();
        println!(
            "{relays} addresses, {loss} of 1,000 lost: median {:.2?}, worst {:.2?}",
            times[20], times[39]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_survives_a_new_address_of_who_dialled() {
    let one = Running::start(1, quic(1), &[]);
    let relay = Arc::new(Relay::new(one.handle.local_addresses()[0], lossy(0), 1));
    let two = Running::start(2, quic(2), &[]);
    two.handle.add_peer(PeerAddress { node: one.handle.node(), addresses: vec![relay.address()] });
    two.until(|two| two.shelf.len() == 1).await;
    let since = two.connected()[0].link.clone().unwrap().age;
    relay.move_dialer();
    // The moved node must speak first: nobody else knows where it is.
    let id = two.shelf.write("after", &Bytes::from_static(b"the move"));
    two.shelf.commit();
    one.until(|one| one.shelf.has(&id)).await;
    let id = one.shelf.write("back", &Bytes::from_static(b"to the new address"));
    one.shelf.commit();
    two.until(|two| two.shelf.has(&id)).await;
    assert!(two.connected()[0].link.clone().unwrap().age >= since, "it is another link");
}
