//! One write to a peer that is connected, and what a peer missed that was away.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use iroh::EndpointAddr;
use iroh::protocol::Router;
use iroh_docs::api::Doc;
use iroh_docs::api::protocol::{AddrInfoOptions, ShareMode};
use iroh_docs::engine::LiveEvent;
use n0_future::{Stream, StreamExt};
use tokio::time::timeout;

use crate::{PATIENCE, ROUNDS, WRITES, content, join, key, median, node};

/// Figures by the names under which a bench wants them.
type Figures = Vec<(&'static str, f64)>;

const SINGLE_WRITES: usize = 500;
const MISSED: usize = 10;
/// What has not come by then does not come at all.
const TO_ARRIVE: Duration = Duration::from_secs(20);

/// From a write to its entry and to its content at a peer: medians in milliseconds.
pub(crate) async fn one_write(root: &Path) -> Result<Figures> {
    let (first, docs) = node(&root.join("first")).await?;
    let author = docs.author_create().await?;
    let doc = docs.create().await?;
    let ticket = doc.share(ShareMode::Write, AddrInfoOptions::Addresses).await?;
    let (second, other) = node(&root.join("second")).await?;
    let (_replica, mut events) = other.import_and_subscribe(ticket).await?;
    timeout(PATIENCE, until(&mut events, |event| matches!(event, LiveEvent::NeighborUp(_))))
        .await??;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut entries, mut contents) = (Vec::new(), Vec::new());
    for number in 0..SINGLE_WRITES {
        let bytes = content(number);
        let before = Instant::now();
        doc.set_bytes(author, key(number), bytes).await?;
        let arrived = async {
            until(&mut events, |event| matches!(event, LiveEvent::InsertRemote { .. })).await?;
            let entry = before.elapsed();
            until(&mut events, |event| matches!(event, LiveEvent::ContentReady { .. })).await?;
            anyhow::Ok((entry, before.elapsed()))
        };
        // Some contents are never fetched.
        let Ok(arrived) = timeout(Duration::from_secs(5), arrived).await else { continue };
        let (entry, content) = arrived?;
        entries.push(millis(entry));
        contents.push(millis(content));
    }
    if contents.len() < SINGLE_WRITES {
        println!("N1: {} of {SINGLE_WRITES} did not arrive", SINGLE_WRITES - contents.len());
    }
    first.shutdown().await?;
    second.shutdown().await?;
    Ok(vec![("iroh-docs-entry", median(&mut entries)), ("iroh-docs-write", median(&mut contents))])
}

/// From coming back to all entries and contents that were missed: milliseconds and kilobytes, UDP
/// payload both ways.
pub(crate) async fn ten_missed(root: &Path) -> Result<Figures> {
    let (first, docs) = node(&root.join("first")).await?;
    let author = docs.author_create().await?;
    let doc = docs.create().await?;
    for number in 0..WRITES {
        doc.set_bytes(author, key(number), content(number)).await?;
    }
    let ticket = doc.share(ShareMode::Write, AddrInfoOptions::Addresses).await?;
    let address = ticket.nodes.first().context("a ticket without an address")?.clone();
    let (second, other) = node(&root.join("second")).await?;
    timeout(PATIENCE, join(&other, ticket)).await??;
    second.shutdown().await?;
    let (mut times, mut bytes) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for number in 0..MISSED {
            let number = WRITES + round * MISSED + number;
            doc.set_bytes(author, key(number), content(number)).await?;
        }
        match timeout(TO_ARRIVE, come_back(&root.join("second"), &doc, &address)).await {
            Ok(arrived) => {
                let (time, sum) = arrived?;
                times.push(millis(time));
                bytes.push(sum as f64 / 1e3);
            }
            Err(_) => println!("N3: round {round} was not complete after {TO_ARRIVE:?}"),
        }
    }
    first.shutdown().await?;
    if times.is_empty() {
        bail!("no round was complete");
    }
    Ok(vec![("iroh-docs-resync", median(&mut times)), ("iroh-docs-resync-kb", median(&mut bytes))])
}

/// Starts the replica again and waits for what it missed.
async fn come_back(dir: &Path, doc: &Doc, peer: &EndpointAddr) -> Result<(Duration, u64)> {
    let (router, docs) = node(dir).await?;
    let replica = docs.open(doc.id()).await?.context("the replica is gone")?;
    let mut events = replica.subscribe().await?;
    let before = Instant::now();
    replica.start_sync(vec![peer.clone()]).await?;
    for _ in 0..MISSED {
        until(&mut events, |event| matches!(event, LiveEvent::ContentReady { .. })).await?;
    }
    let time = before.elapsed();
    let bytes = transferred(&router);
    drop(events);
    router.shutdown().await?;
    Ok((time, bytes))
}

fn transferred(router: &Router) -> u64 {
    let socket = &router.endpoint().metrics().socket;
    let counters =
        [&socket.send_ipv4, &socket.send_ipv6, &socket.recv_data_ipv4, &socket.recv_data_ipv6];
    counters.iter().map(|counter| counter.get()).sum()
}

async fn until(
    events: &mut (impl Stream<Item = Result<LiveEvent>> + Unpin),
    is_it: impl Fn(&LiveEvent) -> bool,
) -> Result<()> {
    loop {
        match events.next().await.transpose()? {
            Some(event) if is_it(&event) => return Ok(()),
            Some(_) => {}
            None => bail!("the events ended"),
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
