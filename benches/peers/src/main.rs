//! iroh-docs, doing what `benches/local.rs` (L4) and `benches/network.rs` (N1, N2, N3) measure:
//!
//! ```text
//! cd benches/peers && cargo run --release [-- N3]
//! ```
//!
//! It prints the arguments that put its figures beside ours. Run both within minutes of each
//! other: the machine changes. Works in the current directory, so that it meets a disk.

mod network;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use iroh::protocol::Router;
use iroh::{Endpoint, endpoint::presets};
use iroh_docs::api::DocsApi;
use iroh_docs::api::protocol::{AddrInfoOptions, ShareMode};
use iroh_docs::engine::LiveEvent;
use iroh_docs::protocol::Docs;
use iroh_docs::store::Store;
use iroh_docs::{Author, DocTicket, NamespaceSecret};
use iroh_gossip::net::Gossip;
use n0_future::StreamExt;

const WRITES: usize = 10_000;
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<()> {
    let rows: Vec<String> = std::env::args().skip(1).collect();
    let wants = |id: &str| rows.is_empty() || rows.iter().any(|row| row == id);
    let root = tempfile::tempdir_in(".")?;
    if wants("L4") {
        local(&root.path().join("L4")).await?;
    }
    let mut network = Vec::new();
    if wants("N1") {
        network.extend(network::one_write(&root.path().join("N1")).await?);
    }
    if wants("N2") {
        let (mut times, mut cpu) = first_sync(&root.path().join("N2")).await?;
        network.push(("iroh-docs", median(&mut times)));
        network.push(("iroh-docs-cpu", median(&mut cpu)));
    }
    if wants("N3") {
        network.extend(network::ten_missed(&root.path().join("N3")).await?);
    }
    if !network.is_empty() {
        let peers = network.iter().map(|(name, value)| format!(" --peer {name}={value:.2}"));
        println!("cargo bench --bench network -- N1 N2 N3{}", peers.collect::<String>());
    }
    Ok(())
}

async fn local(root: &Path) -> Result<()> {
    std::fs::create_dir_all(root)?;
    let (mut whole, mut entries) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        whole.push(write(&root.join(format!("whole{round}"))).await?);
        entries.push(write_entries(&root.join(format!("{round}.redb"))).await?);
    }
    println!(
        "cargo bench --bench local -- L4 --peer iroh-docs={:.0} --peer iroh-docs-entries={:.0}",
        median(&mut whole),
        median(&mut entries)
    );
    Ok(())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Writes a second as an application makes them, entries and contents on the disk.
async fn write(dir: &Path) -> Result<f64> {
    let (router, docs) = node(dir).await?;
    let author = docs.author_create().await?;
    let doc = docs.create().await?;
    let contents: Vec<_> = (0..WRITES).map(content).collect();
    let before = Instant::now();
    for (i, content) in contents.into_iter().enumerate() {
        doc.set_bytes(author, key(i), content).await?;
    }
    let time = before.elapsed();
    router.shutdown().await?;
    Ok(WRITES as f64 / time.as_secs_f64())
}

/// Entries a second into the store for entries alone, flushed at the end. Contents are not stored:
/// iroh-docs leaves them to another store.
async fn write_entries(path: &Path) -> Result<f64> {
    let mut store = Store::persistent(path)?;
    let mut random = rand::rng();
    let author = Author::new(&mut random);
    let mut replica = store.new_replica(NamespaceSecret::new(&mut random))?;
    let contents: Vec<_> = (0..WRITES).map(content).collect();
    let before = Instant::now();
    for (i, content) in contents.iter().enumerate() {
        replica.hash_and_insert(key(i), &author, content).await?;
    }
    drop(replica);
    store.flush()?;
    Ok(WRITES as f64 / before.elapsed().as_secs_f64())
}

/// An empty replica gets everything, entries and contents: seconds, and CPU seconds of both ends.
async fn first_sync(root: &Path) -> Result<(Vec<f64>, Vec<f64>)> {
    let (router, docs) = node(&root.join("first")).await?;
    let author = docs.author_create().await?;
    let doc = docs.create().await?;
    for i in 0..WRITES {
        doc.set_bytes(author, key(i), content(i)).await?;
    }
    let ticket = doc.share(ShareMode::Write, AddrInfoOptions::Addresses).await?;
    let (mut times, mut cpu) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (joined, docs) = node(&root.join(format!("joined{round}"))).await?;
        let (before, cpu_before) = (Instant::now(), cpu_time()?);
        let arrived = tokio::time::timeout(PATIENCE, join(&docs, ticket.clone())).await;
        match arrived {
            Ok(arrived) => arrived?,
            Err(_) => println!("N2: round {round} was not complete after {PATIENCE:?}"),
        }
        times.push(before.elapsed().as_secs_f64());
        cpu.push((cpu_time()? - cpu_before).as_secs_f64());
        joined.shutdown().await?;
    }
    router.shutdown().await?;
    Ok((times, cpu))
}

/// Joins a document and waits until every content is here.
async fn join(docs: &DocsApi, ticket: DocTicket) -> Result<()> {
    let (_doc, mut events) = docs.import_and_subscribe(ticket).await?;
    let mut missing = WRITES;
    while missing > 0 {
        match events.next().await.transpose()? {
            Some(LiveEvent::ContentReady { .. }) => missing -= 1,
            Some(_) => {}
            None => anyhow::bail!("the events ended with {missing} contents missing"),
        }
    }
    Ok(())
}

async fn node(dir: &Path) -> Result<(Router, DocsApi)> {
    std::fs::create_dir_all(dir)?;
    let endpoint = Endpoint::bind(presets::Minimal).await?;
    let blobs = iroh_blobs::store::fs::FsStore::load(dir.join("blobs")).await?;
    let gossip = Gossip::builder().spawn(endpoint.clone());
    let docs = Docs::persistent(dir.to_path_buf())
        .spawn(endpoint.clone(), (*blobs).clone(), gossip.clone())
        .await?;
    let api = docs.api().clone();
    let router = Router::builder(endpoint)
        .accept(iroh_blobs::ALPN, iroh_blobs::BlobsProtocol::new(&blobs, None))
        .accept(iroh_gossip::ALPN, gossip)
        .accept(iroh_docs::ALPN, docs)
        .spawn();
    Ok((router, api))
}

/// CPU time of this process so far, in steps of the 10 ms that the kernel counts in.
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Ok(Duration::from_millis(10 * ticks.sum::<u64>()))
}

fn key(number: usize) -> String {
    format!("notes/{}/{number}", number % 100)
}

/// 300 bytes that differ from number to number.
fn content(number: usize) -> Vec<u8> {
    let mut bytes = vec![0; 300];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
