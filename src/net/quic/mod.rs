//! The QUIC transport, on quinn.

mod config;
mod connection;
mod pushes;
mod reset;

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::udp::{UdpSockRef, UdpSocketState};
use quinn::{Endpoint, Incoming, TokioRuntime, TransportConfig, VarInt};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

pub use config::{Congestion, QuicConfig};
pub use connection::{QuicConnection, QuicReceiver, QuicSender};

use super::tls::{Identity, SERVER_NAME};
use super::{BindError, CloseReason, ConnectError, Connection, Transport};
use crate::id::NodeId;
use crate::wire::SecretKey;

/// Handshakes under way with peers that dialled; more are refused. Each costs two signatures and
/// about 50 KB.
const MAX_HANDSHAKES: usize = 64;
/// Above so many, a peer must show first that it can receive at the address it dialled from. That
/// costs it a round trip, and a flood with forged addresses costs us next to nothing.
const MAX_UNVALIDATED: usize = 16;
/// The time for one of those handshakes; at half the packets lost one takes up to a minute.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// Packets that wait in the kernel, in bytes, for each direction. The usual 208 KiB overflow when
/// this process is not scheduled for a millisecond.
const SOCKET_BUFFER: usize = 2 << 20;
/// Connections ready for [`Transport::accept`]; a node that does not keep up turns others away.
const MAX_READY: usize = 64;

/// Connects nodes over QUIC.
///
/// Both ends prove their node keys in the TLS 1.3 handshake. Dropping the transport closes all its
/// connections.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use basefs::net::{Connection, QuicConfig, QuicTransport, Transport};
/// use basefs::wire::SecretKey;
///
/// let [at_ana, at_ben] = [1, 2].map(|n| {
///     let mut config = QuicConfig::default();
///     config.listen = ([127, 0, 0, 1], 0).into();
///     QuicTransport::bind(config, &SecretKey::from_seed([n; 32]))
/// });
/// let (at_ana, at_ben) = (at_ana?, at_ben?);
/// let dialling = at_ana.connect(at_ben.local_addresses()[0], at_ben.node());
/// let (dialled, accepted) = tokio::join!(dialling, at_ben.accept());
/// assert_eq!(dialled?.peer(), at_ben.node());
/// assert_eq!(accepted.map(|connection| connection.peer()), Some(at_ana.node()));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct QuicTransport {
    endpoint: Endpoint,
    identity: Identity,
    dialling: Arc<TransportConfig>,
    addresses: Vec<SocketAddr>,
    ready: Mutex<mpsc::Receiver<QuicConnection>>,
}

impl QuicTransport {
    /// Opens the socket and begins to accept peers, on the tokio runtime this is called on.
    ///
    /// `node_key` must be used for nothing else than this.
    ///
    /// # Errors
    ///
    /// [`BindError`]; nothing was opened.
    ///
    /// ```
    /// use basefs::net::{QuicConfig, QuicTransport, Transport};
    /// use basefs::wire::SecretKey;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut config = QuicConfig::default();
    /// config.listen = "127.0.0.1:0".parse()?;
    /// let key = SecretKey::from_seed([7; 32]);
    /// let transport = QuicTransport::bind(config, &key)?;
    /// assert_eq!(transport.node().as_bytes(), key.public().as_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn bind(config: QuicConfig, node_key: &SecretKey) -> Result<Self, BindError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BindError::NoRuntime);
        }
        let refused = |what: &dyn fmt::Display| BindError::Identity { what: what.to_string() };
        let identity = Identity::new(node_key).map_err(|error| refused(&error))?;
        let tls = identity.server_config().map_err(|error| refused(&error))?;
        let tls = QuicServerConfig::try_from(tls).map_err(|error| refused(&error))?;
        let server = config::server(tls, config.tuning());

        let taken = |error: std::io::Error| BindError::Address { what: error.to_string() };
        let socket = UdpSocket::bind(config.listen).map_err(taken)?;
        let bound = socket.local_addr().map_err(taken)?;
        enlarge_buffers(&socket);
        let endpoint =
            Endpoint::new(config::endpoint(node_key), Some(server), socket, Arc::new(TokioRuntime))
                .map_err(taken)?;

        let (sender, ready) = mpsc::channel(MAX_READY);
        tokio::spawn(accept_all(endpoint.clone(), identity.node(), sender));
        let tuning = config.tuning();
        let addresses =
            if config.advertised.is_empty() { reachable(bound) } else { config.advertised };
        let dialling = config::dialling(tuning);
        Ok(Self { endpoint, identity, dialling, addresses, ready: Mutex::new(ready) })
    }

    fn client_config(&self, expected: NodeId) -> Result<quinn::ClientConfig, ConnectError> {
        let refused = |what: &dyn fmt::Display| ConnectError::Local { what: what.to_string() };
        let tls = self.identity.client_config(expected).map_err(|error| refused(&error))?;
        let tls = QuicClientConfig::try_from(tls).map_err(|error| refused(&error))?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(self.dialling.clone());
        Ok(config)
    }
}

impl Transport for QuicTransport {
    type Connection = QuicConnection;

    fn node(&self) -> NodeId {
        self.identity.node()
    }

    fn local_addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    async fn connect(
        &self,
        address: SocketAddr,
        expected: NodeId,
    ) -> Result<QuicConnection, ConnectError> {
        let config = self.client_config(expected)?;
        let connecting = self
            .endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| ConnectError::Local { what: error.to_string() })?;
        let connection =
            connecting.await.map_err(|error| connection::connect_error(&error, expected))?;
        let found = QuicConnection::new(connection, self.node());
        found.filter(|connection| connection.peer() == expected).ok_or_else(|| {
            ConnectError::Misbehaved { what: "its identity changed after the handshake".into() }
        })
    }

    async fn accept(&self) -> Option<QuicConnection> {
        let mut ready = self.ready.lock().await;
        loop {
            let connection = ready.recv().await?;
            if connection.is_open() {
                return Some(connection);
            }
        }
    }

    fn close(&self) {
        self.endpoint.close(VarInt::from_u32(CloseReason::Done.code()), &[]);
    }

    async fn wait_closed(&self) {
        self.endpoint.wait_idle().await;
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for QuicTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicTransport")
            .field("node", &self.node())
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Lets peers in until the endpoint is closed; slow handshakes do not hold up others.
async fn accept_all(endpoint: Endpoint, node: NodeId, ready: mpsc::Sender<QuicConnection>) {
    let slots = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while let Some(incoming) = endpoint.accept().await {
        let under_way = MAX_HANDSHAKES - slots.available_permits();
        if under_way >= MAX_UNVALIDATED && incoming.may_retry() {
            // Fails only for an attempt that may not be retried.
            let _ = incoming.retry();
            continue;
        }
        match slots.clone().try_acquire_owned() {
            Ok(slot) => drop(tokio::spawn(shake_hands(incoming, node, ready.clone(), slot))),
            Err(_) => incoming.refuse(),
        }
    }
}

/// Finishes one handshake. Whoever fails it learns why from TLS; nobody here needs to know.
async fn shake_hands(
    incoming: Incoming,
    node: NodeId,
    ready: mpsc::Sender<QuicConnection>,
    _slot: OwnedSemaphorePermit,
) {
    let Ok(Ok(connection)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming.into_future()).await
    else {
        return;
    };
    let Some(connection) = QuicConnection::new(connection, node) else { return };
    if let Err(refused) = ready.try_send(connection) {
        refused.into_inner().close(CloseReason::Busy);
    }
}

/// Asks for room in the kernel. The system may grant less: then more packets are lost at high
/// rates, and nothing else changes.
fn enlarge_buffers(socket: &UdpSocket) {
    if let Ok(state) = UdpSocketState::new(UdpSockRef::from(socket)) {
        let _ = state.set_recv_buffer_size(UdpSockRef::from(socket), SOCKET_BUFFER);
        let _ = state.set_send_buffer_size(UdpSockRef::from(socket), SOCKET_BUFFER);
    }
}

/// Under which addresses a socket bound to `bound` can be reached, as far as a machine can know.
fn reachable(bound: SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    // From the ranges reserved for documentation: only the route to them is asked for.
    let abroad: [IpAddr; 2] =
        [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
    let mut found: Vec<SocketAddr> = abroad
        .into_iter()
        .filter(|target| bound.is_ipv6() || target.is_ipv4())
        .filter_map(|target| source_towards(target).ok())
        .map(|source| SocketAddr::new(source, bound.port()))
        .collect();
    if found.is_empty() {
        found.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port()));
    }
    found
}

/// The address this machine would send from. Nothing is sent: connecting a UDP socket only looks
/// up the route.
fn source_towards(target: IpAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((target, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_told_to_nobody() {
        for bound in ["0.0.0.0:7", "[::]:7"] {
            let found = reachable(bound.parse().unwrap());
            assert!(!found.is_empty());
            for address in found {
                assert!(!address.ip().is_unspecified());
                assert_eq!(address.port(), 7);
            }
        }
        let given = "10.1.2.3:9".parse().unwrap();
        assert_eq!(reachable(given), [given]);
    }

    #[test]
    fn outside_a_runtime_binding_is_an_error() {
        let bound = QuicTransport::bind(QuicConfig::default(), &SecretKey::from_seed([1; 32]));
        assert_eq!(bound.err(), Some(BindError::NoRuntime));
    }
}
