//! Replicas of applications, over real QUIC on loopback and over the in-memory network.

use std::net::SocketAddr;
use std::time::Duration;

use basefs::fs::{Origin, PathChange, Serving};
use basefs::log::Offered;
use basefs::net::QuicConfig;
use basefs::net::memory::MemoryNetwork;
use basefs::view::{Decided, Status};
use basefs::{Fs, ReadError, WatchEvent, WatchFrom, WriteError};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// On the network, at an address of its own.
pub(crate) async fn serve(fs: &Fs) -> Serving {
    let mut config = QuicConfig::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    fs.serve(config).await.unwrap()
}

/// All paths and versions: equal for replicas that agree.
fn tree(fs: &Fs) -> Vec<(String, Option<basefs::id::EntryId>, bool)> {
    let line = |entry: basefs::fs::DirEntry| {
        let metadata = entry.metadata();
        (entry.path().to_owned(), metadata.version(), metadata.is_here())
    };
    fs.walk("/").unwrap().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_joins_by_ticket_and_both_write_apart() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Fs::open(one.path()).unwrap();
    first.write("/shared/small", "small").unwrap();
    first.write("/shared/large", vec![42; 700_000]).unwrap();
    first.symlink("small", "/shared/link").unwrap();
    let node = serve(&first).await;
    let ticket = node.ticket().to_string();

    let second = Fs::join(two.path(), &ticket.parse().unwrap()).unwrap();
    assert!(matches!(second.write("/x", ""), Err(WriteError::NotSynced)));
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    assert_eq!(tree(&second), tree(&first));
    assert_eq!(second.read("/shared/large").unwrap(), vec![42; 700_000]);
    assert!(matches!(second.write("/x", ""), Err(WriteError::Denied { .. })));

    first.create_dir_all("/team").unwrap();
    first.grant("/team", second.author()).unwrap();
    peer.wait_synced(PATIENCE).await.unwrap();
    second.write("/team/plan", "base").unwrap();
    peer.wait_synced(PATIENCE).await.unwrap();
    peer.shutdown().await.unwrap();

    // Apart, both write the same path; the founder's capability has the better rank.
    second.write("/team/plan", "the newer one").unwrap();
    first.write("/team/plan", "the heavier one").unwrap();
    second.write("/team/own", vec![1; 50_000]).unwrap();
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    node.wait_synced(PATIENCE).await.unwrap();
    assert_eq!(tree(&second), tree(&first));
    assert_eq!(first.read("/team/plan").unwrap(), "the heavier one");
    assert_eq!(first.read("/team/own").unwrap().len(), 50_000);
    let why = first.explain("/team/plan").unwrap();
    assert_eq!(why, second.explain("/team/plan").unwrap());
    assert_eq!(why.losers.len(), 1);
    assert_eq!(why.losers[0].decided, Decided::Rank);
    assert_eq!(why.losers[0].version.author, second.author());
    let statuses: Vec<Status> =
        second.versions("/team/plan").unwrap().iter().map(|version| version.status).collect();
    assert_eq!(statuses, [Status::Current, Status::Superseded, Status::Tip]);

    // Opened again, everything is as it was.
    let before = tree(&second);
    peer.shutdown().await.unwrap();
    node.shutdown().await.unwrap();
    drop(second);
    assert_eq!(tree(&Fs::open(two.path()).unwrap()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_reaches_a_connected_peer_and_its_watches() {
    let first = Fs::in_memory().unwrap();
    let node = serve(&first).await;
    let second = Fs::builder().join(&node.ticket()).open().unwrap();
    let peer = serve(&second).await;
    peer.wait_synced(PATIENCE).await.unwrap();
    let watch = second.watch("/", WatchFrom::Now).unwrap();
    for content in ["inline".to_owned(), "in a block".repeat(100)] {
        first.write("/news", &content).unwrap();
        let event = tokio::task::block_in_place(|| watch.next_blocking(PATIENCE));
        let Some(WatchEvent::Change(PathChange { path, author, origin, .. })) = event else {
            panic!("{event:?}")
        };
        assert_eq!((path.as_str(), author), ("/news", Some(first.author())));
        assert_eq!(origin, Origin::Peer(first.node()), "with its content or before");
        assert_eq!(second.read("/news").unwrap(), content, "a change is told when it can be read");
    }
    peer.shutdown().await.unwrap();
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_replicas_cost_next_to_nothing_to_compare() {
    let network = MemoryNetwork::new();
    let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let first = Fs::in_memory().unwrap();
    let mut batch = first.batch();
    for n in 0..2_000 {
        batch.write(format!("/d{}/{n}", n % 17), format!("content {n}")).unwrap();
    }
    batch.commit().unwrap();
    let node = first.serve_on(network.bind(address(1), first.node()).unwrap()).unwrap();
    let second = Fs::builder().join(&node.ticket()).open().unwrap();
    let peer = second.serve_on(network.bind(address(2), second.node()).unwrap()).unwrap();
    peer.wait_synced(PATIENCE).await.unwrap();
    peer.shutdown().await.unwrap();

    let peer = second.serve_on(network.bind(address(3), second.node()).unwrap()).unwrap();
    peer.wait_synced(PATIENCE).await.unwrap();
    let link = peer.peers().into_iter().find_map(|peer| peer.link).unwrap();
    let bytes = link.stats.sent + link.stats.received;
    println!("{bytes} bytes to find out that nothing differs, hello and greetings included");
    assert!(bytes <= 2_500, "{bytes} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_content_says_what_is_missing() {
    let first = Fs::in_memory().unwrap();
    first.write("/f", vec![9; 5_000]).unwrap();
    let second = Fs::builder().join(&first.ticket(vec![])).open().unwrap();
    // The entries alone, as if the connection had ended before the blocks came.
    for entry in first.export() {
        assert_eq!(second.admit(&entry.unwrap()).unwrap(), Offered::Admitted);
    }
    assert!(matches!(second.read("/f"), Err(ReadError::NotFound { .. })));
    let why = second.explain("/f").unwrap();
    assert_eq!((why.winner, why.incomplete.len()), (None, 1));
    let node = serve(&first).await;
    let peer = serve(&second).await;
    peer.add_peer(node.address());
    peer.wait_synced(PATIENCE).await.unwrap();
    assert_eq!(second.read("/f").unwrap(), vec![9; 5_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_moved_is_found_where_it_is_said_to_be() {
    let first = Fs::in_memory().unwrap();
    first.write("/f", "1").unwrap();
    // A socket that never answers stands where the peer was.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let old = basefs::net::PeerAddress {
        node: first.node(),
        addresses: vec![silent.local_addr().unwrap()],
    };
    let second = Fs::builder().join(&first.ticket(vec![old])).open().unwrap();
    let peer = serve(&second).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let node = serve(&first).await;
    let start = std::time::Instant::now();
    peer.add_peer(node.address());
    peer.wait_synced(PATIENCE).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "the silent address was waited for");
    assert_eq!(second.read("/f").unwrap(), "1");
}

#[test]
fn a_ticket_without_a_secret_is_refused() {
    let first = Fs::in_memory().unwrap();
    let public = basefs::net::Ticket::new(first.hierarchy(), None, vec![]).to_string();
    let dir = tempfile::tempdir().unwrap();
    let refused = Fs::join(dir.path(), &public.parse().unwrap());
    assert!(matches!(refused, Err(basefs::OpenError::PublicTicket)));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}
