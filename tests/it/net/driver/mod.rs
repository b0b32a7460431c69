//! Whole nodes over both networks.

mod faults;
mod host;
mod killed;
mod measure;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use basefs::block;
use basefs::id::{BlockId, NodeId};
use basefs::net::memory::MemoryNetwork;
use basefs::net::{
    Access, Admission, CloseReason, Connection, Driver, FrameSender, Handle, LinkError,
    PeerAddress, PeerStatus, SynchroniseError, Transport, dial,
};
use basefs::node::Frame;
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::{quic, secret};
use host::{Shelf, hierarchy};

/// Longer than anything here takes unless it is stuck.
const STUCK: Duration = Duration::from_secs(30);

fn admission() -> Admission {
    let access = Access::Secret { current: secret(7), also_accepted: vec![] };
    Admission::new(hierarchy(), access)
}

/// A node and its replica.
struct Running {
    shelf: Arc<Shelf>,
    handle: Handle,
}

impl Running {
    fn start<T: Transport>(at: u8, transport: T, peers: &[&Running]) -> Self {
        let shelf = Shelf::new(at, at != 1);
        Self::resume(shelf, transport, peers)
    }

    fn resume<T: Transport>(shelf: Arc<Shelf>, transport: T, peers: &[&Running]) -> Self {
        let peers: Vec<PeerAddress> = peers.iter().map(|peer| peer.address()).collect();
        let handle = Driver::spawn(transport, shelf.clone(), admission(), peers);
        Self { shelf, handle }
    }

    fn address(&self) -> PeerAddress {
        let addresses = self.handle.local_addresses().to_vec();
        PeerAddress { node: self.handle.node(), addresses }
    }

    fn connected(&self) -> Vec<PeerStatus> {
        self.handle.peers().into_iter().filter(|peer| peer.link.is_some()).collect()
    }

    async fn until(&self, is_so: impl Fn(&Running) -> bool) {
        let waiting = async {
            while !is_so(self) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(STUCK, waiting).await.expect("it never came to that");
    }
}

fn memory(network: &MemoryNetwork, at: u8) -> impl Transport + use<> {
    let address: SocketAddr = ([10, 0, 0, at], 1).into();
    network.bind(address, NodeId::from_bytes([at; 32])).unwrap()
}

fn contents() -> Vec<Bytes> {
    [321, 70_000, 3_000_000]
        .map(|length| {
            let mut bytes = vec![0; length];
            blake3::Hasher::new().update(&length.to_le_bytes()).finalize_xof().fill(&mut bytes);
            Bytes::from(bytes)
        })
        .to_vec()
}

/// Three in a line: what the first writes, the last has, contents included; and back.
async fn line<T: Transport>(transports: [T; 3]) {
    let [one, two, three] = transports;
    let one = Running::start(1, one, &[]);
    let two = Running::start(2, two, &[&one]);
    let three = Running::start(3, three, &[&two]);
    for (at, bytes) in (0..).zip(contents()) {
        one.shelf.write(&format!("file-{at}"), &bytes);
    }
    one.shelf.commit();
    three.until(|three| three.shelf.len() == 4 && three.shelf.has_contents()).await;
    for bytes in contents() {
        assert_eq!(three.shelf.read(&block::encode(&bytes).unwrap().content), bytes);
    }
    let id = three.shelf.write("back", &Bytes::from_static(b"from the other end"));
    three.shelf.commit();
    one.until(|one| one.shelf.has(&id)).await;
    two.handle.synchronise(None, STUCK).await.unwrap();
    assert_eq!(two.connected().len(), 2);
    for peer in two.connected() {
        let link = peer.link.unwrap();
        assert!(link.last_sync.is_some_and(|sync| sync.equal), "{link:?}");
        assert!(link.stats.sent > 0 && link.stats.received > 0, "{link:?}");
        assert_eq!(link.dialed, peer.node == one.handle.node(), "it dialled the first");
    }
    for node in [one, two, three] {
        assert_eq!(timeout(STUCK, node.handle.shutdown()).await.unwrap(), Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_and_contents_go_down_a_line() {
    let network = MemoryNetwork::new();
    line([1, 2, 3].map(|at| memory(&network, at))).await;
    line([1, 2, 3].map(quic)).await;
}

#[tokio::test]
async fn one_thread_is_enough() {
    line([4, 5, 6].map(quic)).await;
}

/// Both know each other and dial at the same time.
async fn mutual<T: Transport>(one: T, two: T) {
    let one = Running::start(1, one, &[]);
    let two = Running::start(2, two, &[&one]);
    one.handle.add_peer(two.address());
    for _ in 0..3 {
        one.until(|one| one.connected().len() == 1).await;
        two.until(|two| two.connected().len() == 1).await;
        // Until the two agree which connection stays, there may be none for a moment.
        let synchronised = async {
            while one.handle.synchronise(Some(two.handle.node()), STUCK).await.is_err() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(STUCK, synchronised).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    let (at_one, at_two) = (one.connected().remove(0), two.connected().remove(0));
    assert_ne!(at_one.link.unwrap().dialed, at_two.link.unwrap().dialed, "one connection");
    one.handle.shutdown().await.unwrap();
    two.handle.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_connections_one_stays() {
    for _ in 0..10 {
        let network = MemoryNetwork::new();
        mutual(memory(&network, 1), memory(&network, 2)).await;
        mutual(quic(1), quic(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_peer_is_dialled_until_it_is_back() {
    let network = MemoryNetwork::new();
    let one = Running::start(1, memory(&network, 1), &[]);
    let two = Running::start(2, memory(&network, 2), &[&one]);
    two.until(|two| two.shelf.len() == 1).await;

    network.partition(one.handle.node(), two.handle.node());
    two.until(|two| two.connected().is_empty()).await;
    let nobody = two.handle.synchronise(None, STUCK).await;
    assert_eq!(nobody, Err(SynchroniseError::NotConnected));
    one.shelf.write("meanwhile", &Bytes::from_static(b"1"));
    one.shelf.commit();
    two.shelf.write("meanwhile too", &Bytes::from_static(b"2"));
    two.shelf.commit();
    two.until(|two| two.handle.peers()[0].failures > 0).await;
    assert!(two.handle.peers()[0].error.is_some());

    network.heal(one.handle.node(), two.handle.node());
    two.until(|two| two.shelf.len() == 3).await;
    one.until(|one| one.shelf.len() == 3).await;
    assert_eq!(two.handle.peers()[0].failures, 0);

    // The node leaves for good and comes back with the same replica.
    let address = one.address();
    one.handle.shutdown().await.unwrap();
    two.until(|two| two.connected().is_empty()).await;
    let one = Running::resume(one.shelf, memory(&network, 1), &[]);
    assert_eq!(one.address(), address);
    one.until(|one| one.connected().len() == 1).await;
    drop(one.handle);
    two.until(|two| two.connected().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_just_before_leaving_arrives() {
    for transports in [[1, 2], [3, 4]] {
        let [one, two] = transports.map(quic);
        let one = Running::start(1, one, &[]);
        let two = Running::start(2, two, &[&one]);
        two.handle.synchronise(None, Duration::ZERO).await.unwrap_err();
        two.until(|two| two.shelf.len() == 1).await;
        let id = two.shelf.write("last words", &Bytes::from_static(b"bye"));
        two.shelf.commit();
        two.handle.synchronise(None, STUCK).await.unwrap();
        two.handle.shutdown().await.unwrap();
        assert!(one.shelf.has(&id));
        one.until(|one| one.connected().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_talks_rubbish_is_thrown_out_and_others_stay() {
    let one = Running::start(1, quic(1), &[]);
    let two = Running::start(2, quic(2), &[&one]);
    two.until(|two| two.shelf.len() == 1).await;
    let stranger = quic(9);
    let address = one.address();
    let mut met = dial(&stranger, address.addresses[0], address.node, &admission()).await.unwrap();
    met.sender.send(Bytes::from_static(b"\xffrubbish")).await.unwrap();
    let closed = timeout(STUCK, met.connection.closed()).await.unwrap();
    assert_eq!(closed, LinkError::Closed(CloseReason::Misbehaved));
    one.until(|one| one.connected().len() == 1).await;
    let id = one.shelf.write("still there", &Bytes::new());
    one.shelf.commit();
    two.until(|two| two.shelf.has(&id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_holds_up_nobody_else() {
    let one = Running::start(1, quic(1), &[]);
    for at in 0..2_000 {
        one.shelf.write(&format!("file-{at}"), &Bytes::from(vec![7; 300]));
    }
    one.shelf.commit();
    let large = block::encode(&contents()[2]).unwrap();
    one.shelf.write("large", &contents()[2]);
    one.shelf.commit();
    // It asks for as much as it may, some 70 MB, and takes nothing.
    let silent = quic(9);
    let address = one.address();
    let mut met = dial(&silent, address.addresses[0], address.node, &admission()).await.unwrap();
    let leaves: Vec<BlockId> = large.blocks.iter().map(|(id, _)| *id).cycle().take(256).collect();
    for _ in 0..4 {
        met.sender.send(Frame::Ask(leaves.clone()).encode()).await.unwrap();
    }
    let two = Running::start(2, quic(2), &[&one]);
    two.until(|two| two.shelf.len() == 2_002 && two.shelf.has_contents()).await;
    let silent = one.connected().into_iter().find(|peer| peer.node == silent.node()).unwrap();
    let sent = silent.link.unwrap().stats.sent;
    assert!((100_000..40_000_000).contains(&sent), "{sent} bytes were sent");
    assert_eq!(timeout(STUCK, one.handle.shutdown()).await.unwrap(), Ok(()));
}
