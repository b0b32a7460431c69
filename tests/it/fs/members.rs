//! Who is there: nodes that join through anybody, leave, die and come back, over real QUIC.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fs::Serving;
use basefs::gossip::MemberState;
use basefs::id::NodeId;
use basefs::net::{QuicConfig, Ticket};
use basefs::wire::SecretKey;
use tokio::runtime::{Builder, Runtime};

use super::network::PATIENCE;

/// Within which a death on one site is known.
const DEATH: Duration = Duration::from_secs(8);
/// Within which somebody who is back is taken back.
const RETURN: Duration = Duration::from_secs(2);

/// A node that can be killed: nothing of it runs outside its runtime.
struct Life {
    runtime: Runtime,
    node: Serving,
}

impl Life {
    fn begin(fs: &Fs) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config = QuicConfig::default();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let node = runtime.block_on(fs.serve(config)).unwrap();
        Self { runtime, node }
    }

    fn join(key: u8, ticket: &Ticket) -> Self {
        let key = SecretKey::from_seed([key; 32]);
        Self::begin(&Fs::builder().node_key(key).join(ticket).open().unwrap())
    }

    fn id(&self) -> NodeId {
        self.node.address().node
    }

    /// Its tasks are dropped where they are: nobody is told anything.
    fn kill(self) {
        self.runtime.shutdown_timeout(PATIENCE);
    }

    fn state_of(&self, node: NodeId) -> Option<MemberState> {
        let members = self.node.members();
        members.iter().find(|member| member.node == node).map(|member| member.state)
    }

    fn linked(&self) -> usize {
        self.node.status().members.iter().filter(|member| member.link.is_some()).count()
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came to that: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// Three that have met, though two know only one other each.
fn three() -> [Life; 3] {
    let ana = Life::begin(&Fs::in_memory().unwrap());
    let ben = Life::join(2, &ana.node.ticket());
    let eve = Life::join(3, &ben.node.ticket());
    for life in [&ana, &ben, &eve] {
        until("all have met", || life.linked() == 2);
    }
    [ana, ben, eve]
}

#[test]
fn who_leaves_has_left_and_is_not_dead() {
    let [ana, ben, eve] = three();
    let id = eve.id();
    eve.runtime.block_on(eve.node.leave()).unwrap();
    for life in [&ana, &ben] {
        until("she has left", || life.state_of(id) == Some(MemberState::Left));
    }
    // The connection is gone, and nobody minds.
    until("the links are closed", || ana.linked() == 1 && ben.linked() == 1);
    std::thread::sleep(Duration::from_secs(1));
    for life in [&ana, &ben] {
        assert_eq!(life.state_of(id), Some(MemberState::Left));
        assert!(life.node.status().members.iter().any(|member| member.node == id));
    }
    // She may be back, through whom she did not come before.
    let eve = Life::join(3, &ana.node.ticket());
    for life in [&ana, &ben] {
        let time = until("she is back", || life.state_of(id) == Some(MemberState::Alive));
        assert!(time < RETURN, "{time:?}");
    }
    until("all have met", || eve.linked() == 2);
}

#[test]
fn who_is_killed_is_seen_dead_and_alive_again_when_it_is_back() {
    let [ana, ben, eve] = three();
    let id = ben.id();
    ben.kill();
    let killed = Instant::now();
    for life in [&ana, &eve] {
        until("he is dead", || life.state_of(id) == Some(MemberState::Dead));
        assert!(killed.elapsed() < DEATH, "{:?}", killed.elapsed());
    }
    let begun = Instant::now();
    let ben = Life::join(2, &eve.node.ticket());
    for life in [&ana, &eve] {
        until("he is alive", || life.state_of(id) == Some(MemberState::Alive));
        assert!(begun.elapsed() < RETURN, "{:?}", begun.elapsed());
    }
    until("all have met", || ben.linked() == 2);

    // And somebody who is back before anybody missed it.
    let is_new = |life: &Life, age: Duration| {
        let peers = life.node.peers();
        let link = peers.into_iter().find(|peer| peer.node == id).and_then(|peer| peer.link);
        link.is_some_and(|link| link.age < age)
    };
    ben.kill();
    let begun = Instant::now();
    let ben = Life::join(2, &ana.node.ticket());
    for life in [&ana, &eve] {
        until("they are connected anew", || is_new(life, begun.elapsed()));
        assert!(begun.elapsed() < RETURN * 2, "{:?}", begun.elapsed());
        assert_eq!(life.state_of(id), Some(MemberState::Alive));
    }
    until("all have met", || ben.linked() == 2);
}
