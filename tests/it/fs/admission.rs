//! Who is let in, while nodes run and after: rotated secrets and expelled nodes, over real QUIC.

use std::time::Duration;

use basefs::Fs;
use basefs::fs::{AdoptTicketError, MAX_OLD_SECRETS, RotateSecretError, Serving};
use basefs::id::NodeId;
use basefs::net::memory::MemoryNetwork;
use basefs::net::{ConnectError, PeerAddress};
use tokio::time::{sleep, timeout};

use super::network::{PATIENCE, serve};

/// Long enough for somebody to be let in who should not be.
const WHILE: Duration = Duration::from_millis(800);

fn join(dir: &tempfile::TempDir, node: &Serving) -> Fs {
    Fs::join(dir.path(), &node.ticket()).unwrap()
}

fn is_connected(node: &Serving, to: NodeId) -> bool {
    node.peers().iter().any(|peer| peer.node == to && peer.link.is_some())
}

fn error(node: &Serving, to: NodeId) -> Option<ConnectError> {
    node.peers().into_iter().find(|peer| peer.node == to)?.error
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never came to that: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_one_replica_after_the_other() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let ana = Fs::open(dirs[0].path()).unwrap();
    let at_ana = serve(&ana).await;
    let old_ticket = at_ana.ticket();
    let (ben, eve) = (join(&dirs[1], &at_ana), join(&dirs[2], &at_ana));
    let (at_ben, at_eve) = (serve(&ben).await, serve(&eve).await);
    for node in [&at_ben, &at_eve] {
        node.wait_synced(PATIENCE).await.unwrap();
    }

    // The new secret is in every ticket, and nobody is lost.
    ana.rotate_secret().unwrap();
    assert_ne!(at_ana.ticket(), old_ticket);
    assert_eq!(at_ana.status().old_secrets, 1);
    ana.write("/motd", "one").unwrap();
    at_ana.sync_now(PATIENCE).await.unwrap();
    assert!(is_connected(&at_ana, ben.node()) && is_connected(&at_ana, eve.node()));
    // Who joins by the old ticket gets in, and whom Ana dials is dialled with the old secret.
    let late = Fs::builder().join(&old_ticket).open().unwrap();
    let at_late = serve(&late).await;
    at_late.wait_synced(PATIENCE).await.unwrap();
    at_late.shutdown().await.unwrap();
    let late = Fs::builder().join(&Fs::ticket(&late, vec![])).open().unwrap();
    let at_late = serve(&late).await;
    at_ana.add_peer(at_late.address());
    until("the old secret is tried", || is_connected(&at_ana, late.node())).await;
    at_late.shutdown().await.unwrap();

    // Ben takes the new ticket; Eve does not get it. The old secret is dropped everywhere.
    ben.adopt_ticket(&at_ana.ticket()).unwrap();
    assert_eq!(ben.drop_old_secrets().unwrap(), 1);
    assert_eq!(ana.drop_old_secrets().unwrap(), 1);
    until("Eve is hung up on", || !is_connected(&at_ana, eve.node())).await;
    until("Eve learns why", || error(&at_eve, ana.node()) == Some(ConnectError::WrongSecret)).await;
    until("Ben comes back", || is_connected(&at_ana, ben.node())).await;
    ana.write("/motd", "two").unwrap();
    at_ben.wait_synced(PATIENCE).await.unwrap();
    assert_eq!(ben.read("/motd").unwrap(), "two");
    sleep(WHILE).await;
    assert!(!is_connected(&at_ana, eve.node()));
    assert_eq!(eve.read("/motd").unwrap(), "one", "she learns nothing new");

    // All of it survives.
    for node in [at_ana, at_ben] {
        node.shutdown().await.unwrap();
    }
    drop((ana, ben));
    let (ana, ben) = (Fs::open(dirs[0].path()).unwrap(), Fs::open(dirs[1].path()).unwrap());
    let at_ana = serve(&ana).await;
    assert_eq!((ana.old_secrets(), ana.ticket(vec![])), (0, ben.ticket(vec![])));
    let at_ben = serve(&ben).await;
    at_ben.add_peer(at_ana.address());
    at_ben.wait_synced(PATIENCE).await.unwrap();
    at_eve.add_peer(at_ana.address());
    sleep(WHILE).await;
    assert!(!is_connected(&at_ana, eve.node()));

    // With the new ticket she is in again, at once.
    at_eve.join(&at_ana.ticket()).unwrap();
    until("Eve is back", || is_connected(&at_ana, eve.node())).await;
    at_eve.wait_synced(PATIENCE).await.unwrap();
    assert_eq!(eve.read("/motd").unwrap(), "two");
}

#[test]
fn secrets_are_kept_until_they_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut tickets = Vec::new();
    let fs = Fs::open(dir.path()).unwrap();
    for old in 0..MAX_OLD_SECRETS {
        assert_eq!(fs.old_secrets(), old);
        tickets.push(fs.ticket(vec![]));
        fs.rotate_secret().unwrap();
    }
    let one_more = fs.rotate_secret();
    assert!(matches!(one_more, Err(RotateSecretError::TooManyOld { limit: MAX_OLD_SECRETS })));
    let present = fs.ticket(vec![]);
    drop(fs);
    let fs = Fs::open(dir.path()).unwrap();
    assert_eq!((fs.old_secrets(), fs.ticket(vec![])), (MAX_OLD_SECRETS, present.clone()));

    // An old ticket may become the current one again; none is there twice.
    fs.adopt_ticket(&tickets[3]).unwrap();
    assert_eq!((fs.old_secrets(), fs.ticket(vec![])), (MAX_OLD_SECRETS, tickets[3].clone()));
    fs.adopt_ticket(&present).unwrap();
    let other = Fs::in_memory().unwrap();
    let adopted = fs.adopt_ticket(&other.ticket(vec![]));
    assert!(matches!(adopted, Err(AdoptTicketError::OtherHierarchy)));
    let public = basefs::net::Ticket::new(fs.hierarchy(), None, vec![]);
    assert!(matches!(fs.adopt_ticket(&public), Err(AdoptTicketError::PublicTicket)));
    drop(fs);

    // To open it with a ticket adopts that as well.
    let fs = Fs::join(dir.path(), &tickets[0]).unwrap();
    assert_eq!((fs.old_secrets(), fs.ticket(vec![])), (MAX_OLD_SECRETS, tickets[0].clone()));
    drop(fs);
    let unknown = basefs::net::ReadSecret::from_bytes([9; 32]);
    let ticket = basefs::net::Ticket::new(tickets[0].hierarchy(), Some(unknown), vec![]);
    assert!(matches!(Fs::join(dir.path(), &ticket), Err(basefs::OpenError::Key { .. })));
    let fs = Fs::open(dir.path()).unwrap();
    assert_eq!((fs.old_secrets(), fs.ticket(vec![])), (MAX_OLD_SECRETS, tickets[0].clone()));
    assert_eq!(fs.drop_old_secrets().unwrap(), MAX_OLD_SECRETS);
    assert_eq!(fs.drop_old_secrets().unwrap(), 0);
    drop(fs);
    let fs = Fs::open(dir.path()).unwrap();
    assert_eq!((fs.old_secrets(), fs.ticket(vec![])), (0, tickets[0].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expelled_node_is_closed_refused_and_told_why() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let ana = Fs::open(dirs[0].path()).unwrap();
    ana.write("/motd", "one").unwrap();
    let at_ana = serve(&ana).await;
    let eve = join(&dirs[1], &at_ana);
    let at_eve = serve(&eve).await;
    at_eve.wait_synced(PATIENCE).await.unwrap();

    assert!(ana.expel(eve.node()).unwrap());
    assert!(!ana.expel(eve.node()).unwrap(), "she is already");
    until("Eve is hung up on", || !is_connected(&at_ana, eve.node())).await;
    ana.write("/motd", "two").unwrap();
    until("Eve learns why", || error(&at_eve, ana.node()) == Some(ConnectError::Expelled)).await;
    // Nor is she dialled.
    at_ana.add_peer(at_eve.address());
    sleep(WHILE).await;
    assert!(!is_connected(&at_ana, eve.node()) && !is_connected(&at_eve, ana.node()));
    assert_eq!(error(&at_eve, ana.node()), Some(ConnectError::Expelled));
    assert_eq!(at_ana.status().expelled, [eve.node()]);
    assert_eq!(eve.read("/motd").unwrap(), "one");

    // It survives, on both sides.
    at_ana.shutdown().await.unwrap();
    drop(ana);
    let ana = Fs::open(dirs[0].path()).unwrap();
    assert_eq!(ana.expelled(), [eve.node()]);
    let at_ana = serve(&ana).await;
    let failures = || at_eve.peers().iter().map(|peer| peer.failures).max();
    let before = failures();
    at_ana.add_peer(at_eve.address());
    at_eve.add_peer(at_ana.address());
    until("Eve tries again", || failures() > before).await;
    assert_eq!(error(&at_eve, ana.node()), Some(ConnectError::Expelled));
    sleep(WHILE).await;
    assert!(!is_connected(&at_ana, eve.node()));

    // She is readmitted, and nobody has to dial anew.
    assert!(ana.readmit(eve.node()).unwrap());
    assert!(!ana.readmit(eve.node()).unwrap());
    until("Eve is back", || is_connected(&at_eve, ana.node())).await;
    at_eve.wait_synced(PATIENCE).await.unwrap();
    assert_eq!(eve.read("/motd").unwrap(), "two");
    assert_eq!(error(&at_eve, ana.node()), None);
}

#[tokio::test]
async fn the_newest_peers_are_remembered() {
    let store = std::sync::Arc::new(basefs::store::MemoryStore::new());
    let founder = Fs::in_memory().unwrap();
    let ticket = |peer: u8| {
        let node = NodeId::from_bytes([peer; 32]);
        founder.ticket(vec![PeerAddress { node, addresses: vec![([10, 0, 0, peer], 1).into()] }])
    };
    let fs = Fs::builder().store(store).join(&ticket(0)).open().unwrap();
    for peer in 1..30 {
        fs.adopt_ticket(&ticket(peer)).unwrap();
    }
    let network = MemoryNetwork::new();
    let node = fs.serve_on(network.bind(([10, 0, 0, 99], 1).into(), fs.node()).unwrap()).unwrap();
    let known: Vec<u8> = node.peers().iter().map(|peer| peer.node.as_bytes()[0]).collect();
    assert_eq!(known, (14..30).collect::<Vec<u8>>());
}

/// Three nodes that know each other, with real keys on a network in memory.
struct Group {
    network: MemoryNetwork,
    /// The last address that was used: a node that comes back has another.
    port: u16,
    members: Vec<(Fs, Serving)>,
}

impl Group {
    fn new() -> Self {
        let founder = Fs::in_memory().unwrap();
        let mut group = Self { network: MemoryNetwork::new(), port: 0, members: Vec::new() };
        for at in 0..3 {
            let fs = match at {
                0 => founder.clone(),
                _ => Fs::builder().join(&founder.ticket(vec![])).open().unwrap(),
            };
            let node = group.serve(&fs);
            group.members.push((fs, node));
        }
        group.introduce();
        group
    }

    fn serve(&mut self, fs: &Fs) -> Serving {
        self.port += 1;
        let address = ([10, 0, 0, 1], self.port).into();
        fs.serve_on(self.network.bind(address, fs.node()).unwrap()).unwrap()
    }

    fn introduce(&self) {
        for (_, node) in &self.members {
            self.members.iter().for_each(|(_, other)| node.add_peer(other.address()));
        }
    }

    async fn restart(&mut self, at: usize) {
        let (fs, node) = self.members.remove(at);
        node.shutdown().await.unwrap();
        let node = self.serve(&fs);
        self.members.insert(at, (fs, node));
        self.introduce();
    }

    /// Everybody is connected to everybody, and what is written is everywhere.
    async fn assert_whole(&self, step: &str) {
        for (_, node) in &self.members {
            for (other, _) in self.members.iter().filter(|(fs, _)| fs.node() != node.address().node)
            {
                until(step, || is_connected(node, other.node())).await;
            }
        }
        let (founder, node) = &self.members[0];
        founder.write("/step", step).unwrap();
        let reached = node.wait_replicated(None, 2, PATIENCE).await;
        assert_eq!(reached.map(|nodes| nodes.len()), Ok(2), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_of_a_rotation_nobody_is_lost() {
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut group = Group::new();
        group.assert_whole("before").await;
        group.members[order[0]].0.rotate_secret().unwrap();
        group.assert_whole("rotated").await;
        let ticket = group.members[order[0]].0.ticket(vec![]);
        for at in order {
            group.members[at].0.adopt_ticket(&ticket).unwrap();
            group.assert_whole("adopted").await;
            group.restart(order[2]).await;
            group.assert_whole("restarted").await;
        }
        for at in order {
            assert_eq!(group.members[at].0.drop_old_secrets().unwrap(), 1);
            // Connections by the old secret are closed, and come back by the new one.
            sleep(Duration::from_millis(20)).await;
            group.assert_whole("dropped").await;
        }
    }
}
