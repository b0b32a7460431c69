//! Nodes that die without a word and come back before anybody has noticed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use basefs::net::{QuicConfig, QuicTransport};
use basefs::wire::SecretKey;
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::Running;

/// Far less than the timeout of a connection; a busy machine takes its time for a handshake.
const SOON: Duration = Duration::from_secs(4);

/// A node that can be killed: nothing of it runs outside its runtime.
struct Life {
    runtime: Runtime,
    running: Running,
}

impl Life {
    fn begin(seed: u8, listen: SocketAddr, peers: &[&Life]) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config = QuicConfig::default();
        config.listen = listen;
        let peers: Vec<&Running> = peers.iter().map(|life| &life.running).collect();
        let running = runtime.block_on(async {
            let transport = QuicTransport::bind(config, &SecretKey::from_seed([seed; 32])).unwrap();
            Running::start(seed, transport, &peers)
        });
        Self { runtime, running }
    }

    fn address(&self) -> SocketAddr {
        self.running.handle.local_addresses()[0]
    }

    /// Its tasks are dropped where they are: nobody is told anything.
    fn kill(self) {
        self.runtime.shutdown_timeout(SOON);
    }

    fn until(&self, is_so: impl Fn(&Running) -> bool) -> Duration {
        let begun = Instant::now();
        self.runtime.block_on(self.running.until(is_so));
        begun.elapsed()
    }

    /// Until it is connected and has the genesis, which one of the two had first.
    fn until_connected(&self) {
        self.until(|running| running.connected().len() == 1 && running.shelf.len() > 0);
    }
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Whoever dialled first, and whatever the order of the ids.
#[test]
fn the_connection_of_a_new_life_takes_the_place_of_the_old() {
    for (survivor, victim) in [(1, 2), (2, 1)] {
        for dials in [true, false] {
            let (one, other) = if dials {
                let other = Life::begin(victim, anywhere(), &[]);
                (Life::begin(survivor, anywhere(), &[&other]), other)
            } else {
                let one = Life::begin(survivor, anywhere(), &[]);
                let other = Life::begin(victim, anywhere(), &[&one]);
                (one, other)
            };
            one.until_connected();
            other.until_connected();
            let age = |running: &Running| {
                running.connected().first().and_then(|peer| peer.link.as_ref().map(|link| link.age))
            };
            let killed = Instant::now();
            other.kill();
            // It is elsewhere now: of the connection of its earlier life nobody will hear.
            let again = Life::begin(victim, anywhere(), &[&one]);
            one.until(|running| age(running).is_some_and(|age| age < killed.elapsed()));
            again.until_connected();
            // And what is said arrives.
            let id = one.running.shelf.write("news", &Bytes::from_static(b"for the new life"));
            one.running.shelf.commit();
            again.until(|running| running.shelf.has(&id));
            let time = killed.elapsed();
            assert!(time < SOON, "{survivor} survives, dials {dials}: {time:?}");
        }
    }
}

#[test]
fn whoever_is_back_at_its_address_says_that_the_old_connection_is_gone() {
    let other = Life::begin(2, anywhere(), &[]);
    let one = Life::begin(1, anywhere(), &[&other]);
    one.until_connected();
    other.until_connected();
    let address = other.address();
    other.kill();
    let again = Life::begin(2, address, &[]);
    let id = one.running.shelf.write("news", &Bytes::from_static(b"for the new life"));
    one.running.shelf.commit();
    // It knows nobody: all depends on the survivor, which says something and dials anew.
    let time = again.until(|running| running.shelf.has(&id));
    assert!(time < SOON, "{time:?}");
}
