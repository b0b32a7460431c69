//! What the QUIC transport is set up with, and every bound it keeps.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;

use super::reset::ResetKey;
use crate::gossip::Profile;
use crate::limits::MAX_DATAGRAM;
use crate::wire::SecretKey;

/// Unread bytes of one stream: 20 MB/s at a round trip of 100 ms.
const STREAM_WINDOW: u32 = 2 << 20;
/// Unread bytes of one admitted peer.
const PEER_WINDOW: u32 = 4 << 20;
/// Unread bytes of one peer before its hello.
const STRANGER_WINDOW: u32 = 64 << 10;
/// Bytes sent to one peer and not acknowledged.
const SEND_WINDOW: u64 = 4 << 20;
/// Streams that an admitted peer may have open: its sessions and transfers.
const PEER_STREAMS: u32 = 64;
/// Streams that a peer may have open before its hello: the one the hello is on.
const STRANGER_STREAMS: u32 = 1;
/// One-way streams, each with one pushed frame, that an admitted peer may have open: more news
/// than a node passes on at a time, also while a lost packet holds some of them up.
pub(super) const PUSH_STREAMS: u32 = 64;
/// One-way streams that a peer may have open before its hello.
const STRANGER_PUSHES: u32 = 0;
/// Datagrams that wait to be read or sent, in bytes; the oldest are lost first. Fifty of the
/// longest: more than come at once unless somebody does not read, and those would be outdated.
///
/// QUIC settles in the handshake whether datagrams are allowed, so a stranger may send them. They
/// stay in this buffer unread until the hello is through, and are dropped with the connection if
/// it fails: an admitted peer's datagrams may well overtake its hello.
const DATAGRAM_BUFFER: usize = 64 << 10;
const _: () = assert!(DATAGRAM_BUFFER >= 50 * MAX_DATAGRAM);
/// Handshake bytes kept out of order; a whole handshake has about 1,000.
const CRYPTO_BUFFER: usize = 8 << 10;
/// Connection attempts that wait to be looked at; the default of 65,536 is a memory attack.
const MAX_INCOMING: usize = 256;
/// Early packets kept for one such attempt.
const INCOMING_BUFFER: u64 = 16 << 10;
/// Early packets kept for all of them.
const INCOMING_BUFFERS: u64 = 1 << 20;

/// How the transport adapts to the capacity of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Congestion {
    /// By measuring rate and delay. Keeps going where packets are lost for other reasons than
    /// congestion, as on radio links. It hardly notices a peer whose socket overflows: on links
    /// faster than the peer can read it wants receive buffers of 2 MiB, which the transport asks
    /// the system for (on Linux, `net.core.rmem_max` must allow it).
    #[default]
    Bbr,
    /// By measuring how much is delivered.
    Steady,
    /// By backing off when packets are lost (RFC 9438). Fair to other traffic; collapses above a
    /// few per cent of loss.
    Cubic,
}

/// How to set up a [`QuicTransport`](super::QuicTransport).
///
/// ```
/// use basefs::net::QuicConfig;
///
/// let mut config = QuicConfig::default();
/// config.listen = "127.0.0.1:0".parse().expect("an address");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QuicConfig {
    /// Where to listen. Port 0 picks a free one; `[::]` serves IPv4 as well where the system
    /// allows it. The default is every IPv4 address.
    pub listen: SocketAddr,
    /// What to tell others instead of the addresses found: for nodes behind a port forwarding or
    /// with several networks. Empty by default.
    pub advertised: Vec<SocketAddr>,
    /// What kind of network this node is on. Nodes of one hierarchy may differ.
    pub profile: Profile,
    /// How to adapt to the path, if not as the profile says.
    pub congestion: Option<Congestion>,
}

impl QuicConfig {
    pub(super) fn tuning(&self) -> Tuning {
        let tuning = Tuning::of(self.profile);
        Tuning { congestion: self.congestion.unwrap_or(tuning.congestion), ..tuning }
    }
}

/// What differs between kinds of networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    congestion: Congestion,
    /// A peer that is silent for so long is gone.
    idle_timeout_millis: u32,
    /// How often the dialling side breaks the silence, if at all; the other side need not.
    keep_alive: Option<Duration>,
    /// The round trip assumed before one was measured: a lost first packet is repeated after three
    /// of these. The standard's 333 ms make the first loss cost a second.
    initial_rtt: Duration,
}

impl Tuning {
    fn of(profile: Profile) -> Self {
        match profile {
            Profile::Lan => Self {
                congestion: Congestion::Bbr,
                idle_timeout_millis: 120_000,
                keep_alive: Some(Duration::from_secs(45)),
                initial_rtt: Duration::from_millis(100),
            },
            // A keep-alive more within the timeout than on a LAN: half of them may be lost.
            Profile::Mesh => Self {
                congestion: Congestion::Bbr,
                idle_timeout_millis: 120_000,
                keep_alive: Some(Duration::from_secs(30)),
                initial_rtt: Duration::from_millis(100),
            },
        }
    }
}

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 0).into(),
            advertised: Vec::new(),
            profile: Profile::default(),
            congestion: None,
        }
    }
}

/// The transport parameters of a dialling node.
pub(super) fn dialling(tuning: Tuning) -> Arc<TransportConfig> {
    let mut config = accepting(tuning);
    config.keep_alive_interval(tuning.keep_alive);
    Arc::new(config)
}

/// The transport parameters of an accepting node.
fn accepting(tuning: Tuning) -> TransportConfig {
    let controller: Arc<dyn ControllerFactory + Send + Sync> = match tuning.congestion {
        Congestion::Bbr => Arc::new(BbrConfig::default()),
        Congestion::Steady => Arc::new(super::steady::SteadyFactory),
        Congestion::Cubic => Arc::new(CubicConfig::default()),
    };
    let idle_timeout = IdleTimeout::from(VarInt::from_u32(tuning.idle_timeout_millis));
    let mut config = TransportConfig::default();
    config
        .congestion_controller_factory(controller)
        .max_idle_timeout(Some(idle_timeout))
        .initial_rtt(tuning.initial_rtt)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(STRANGER_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(STRANGER_PUSHES))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .crypto_buffer_size(CRYPTO_BUFFER);
    config
}

/// What an endpoint is set up with, whoever dials.
///
/// Its secrets follow from the node key: a node that was killed and is back at its address knows
/// the connections of its earlier life, as far as to tell their other ends that they are gone.
pub(super) fn endpoint(node_key: &SecretKey) -> EndpointConfig {
    let reset_key = ResetKey::of(node_key);
    let ids = reset_key.of_ids();
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config
}

/// All that an accepting endpoint is set up with.
pub(super) fn server(crypto: QuicServerConfig, tuning: Tuning) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(accepting(tuning)))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFERS);
    config
}

/// Gives an admitted peer its full share.
pub(super) fn admit(connection: &quinn::Connection) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(PEER_STREAMS));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(PUSH_STREAMS));
    connection.set_receive_window(VarInt::from_u32(PEER_WINDOW));
}
