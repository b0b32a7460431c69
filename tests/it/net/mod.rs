//! Two nodes, over real QUIC on the loopback interface and over the network in memory.

mod driver;
mod frames;
mod hello;
mod measure;
mod messages;
mod paths;
mod relay;
mod stranger;

use std::net::SocketAddr;

use basefs::id::{EntryId, NodeId};
use basefs::net::memory::{MemoryNetwork, MemoryTransport};
use basefs::net::{
    Access, Admission, Congestion, ConnectError, Established, QuicConfig, QuicTransport,
    ReadSecret, Transport, dial, welcome,
};
use basefs::wire::SecretKey;

/// Ana dials, Bob answers.
struct Pair<T> {
    ana: T,
    bob: T,
}

/// What the two ends of a dial came to: Ana's, then Bob's.
type Outcome<T> = (
    Result<Established<<T as Transport>::Connection>, ConnectError>,
    Result<Established<<T as Transport>::Connection>, ConnectError>,
);

impl<T: Transport> Pair<T> {
    fn at_bob(&self) -> (SocketAddr, NodeId) {
        (self.bob.local_addresses()[0], self.bob.node())
    }

    /// Ana dials Bob, and both say hello as they are told.
    async fn meet_as(&self, ana: &Admission, bob: &Admission) -> Outcome<T> {
        let (address, node) = self.at_bob();
        let answer = async { welcome(self.bob.accept().await.unwrap(), bob).await };
        tokio::join!(dial(&self.ana, address, node, ana), answer)
    }

    /// Ana dials Bob, and they agree.
    async fn meet(&self) -> (Established<T::Connection>, Established<T::Connection>) {
        let (ana, bob) = self.meet_as(&admission(), &admission()).await;
        (ana.unwrap(), bob.unwrap())
    }

    /// A connection without hello.
    async fn connect(&self) -> (T::Connection, T::Connection) {
        let (address, node) = self.at_bob();
        let (ana, bob) = tokio::join!(self.ana.connect(address, node), self.bob.accept());
        (ana.unwrap(), bob.unwrap())
    }
}

fn quic(seed: u8) -> QuicTransport {
    quic_with(seed, Congestion::default())
}

fn quic_with(seed: u8, congestion: Congestion) -> QuicTransport {
    let mut config = QuicConfig::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.congestion = Some(congestion);
    QuicTransport::bind(config, &SecretKey::from_seed([seed; 32])).unwrap()
}

fn quic_pair() -> Pair<QuicTransport> {
    Pair { ana: quic(1), bob: quic(2) }
}

fn memory_pair() -> Pair<MemoryTransport> {
    let network = MemoryNetwork::new();
    let bind = |byte: u8| {
        network.bind(([10, 0, 0, byte], 1).into(), NodeId::from_bytes([byte; 32])).unwrap()
    };
    Pair { ana: bind(1), bob: bind(2) }
}

fn hierarchy(byte: u8) -> EntryId {
    EntryId::from_bytes([byte; 32])
}

fn secret(byte: u8) -> ReadSecret {
    ReadSecret::from_bytes([byte; 32])
}

fn with_secrets(current: u8, also_accepted: &[u8]) -> Admission {
    let also_accepted = also_accepted.iter().copied().map(secret).collect();
    let access = Access::Secret { current: secret(current), also_accepted };
    Admission::new(hierarchy(1), access)
}

fn admission() -> Admission {
    with_secrets(7, &[])
}
