//! What the QUIC transport is set up with, and every bound it keeps.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    AckFrequencyConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;

use super::reset::ResetKey;
use crate::gossip::Profile;
use crate::limits::MAX_DATAGRAM;
use crate::wire::SecretKey;

/// The round trip assumed before one was measured: a lost first packet is repeated after three of
/// these. The standard's 333 ms make the first loss cost a second.
const INITIAL_RTT: Duration = Duration::from_millis(100);
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
///
/// Both were measured through a relay with a round trip of 50 ms and 10 Mbit/s. Uploading 256 KiB
/// took, in seconds, the median of five, where 0, 10, 30 and 50 % of the packets were lost each
/// way: CUBIC 0.34, 2.5, 7.6 and 57; BBR 0.34, 0.41, 0.93 and 1.8. Of datagrams of 300 bytes, one
/// every 50 ms, the 99th percentile was on its way for 26 ms with BBR at any loss, with CUBIC for
/// 26, 26, 131 and 2,170 ms; of pushed frames for 26, 205, 490 and 1,560 ms with BBR and for 27,
/// 230, 700 and more than 30,000 ms with CUBIC. With 64 kbit/s and 300 ms, and no loss, there is
/// no difference. With 1 ms and 1 Gbit/s CUBIC uploads in 10 ms every time, BBR in 10 ms mostly
/// and in 100 at worst; over loopback CUBIC carries half as much again. A window of twice what
/// was delivered in a round trip, which takes no loss for congestion, was tried as well: as good
/// as BBR up to 30 % of loss, three times slower at 50 %.
///
/// ```
/// use basefs::net::{Congestion, QuicConfig};
///
/// let mut config = QuicConfig::default(); // as the profile says
/// config.congestion = Some(Congestion::Cubic); // fair to whoever shares the line
/// assert_eq!(Congestion::default(), Congestion::Bbr);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Congestion {
    /// By measuring rate and delay: what [`Profile::Mesh`] uses. Keeps going where packets are
    /// lost for other reasons than congestion, as on radio links. It hardly notices a peer whose
    /// socket overflows: on links faster than the peer can read it wants receive buffers of 2 MiB,
    /// which the transport asks the system for (on Linux, `net.core.rmem_max` must allow it).
    #[default]
    Bbr,
    /// By backing off when packets are lost (RFC 9438): what [`Profile::Lan`] uses. Fair to other
    /// traffic; collapses above a few per cent of loss.
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

/// What differs between kinds of networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    congestion: Congestion,
    /// A peer that is silent for so long is gone.
    idle_timeout_millis: u32,
    /// How often the dialling side breaks the silence, if at all; the other side need not.
    keep_alive: Option<Duration>,
    /// How long the peer may keep an acknowledgement back to send it with others. The standard's
    /// 25 ms make a node wait so long to know that a single push has arrived, and to repeat it if
    /// it has not.
    max_ack_delay: Duration,
}

impl Tuning {
    // Once nodes probe each other on every link, that breaks all silence, and nothing else need.
    fn of(profile: Profile) -> Self {
        match profile {
            Profile::Lan => Self {
                congestion: Congestion::Cubic,
                idle_timeout_millis: 120_000,
                keep_alive: Some(Duration::from_secs(45)),
                max_ack_delay: Duration::from_millis(2),
            },
            // One more within the timeout than on a LAN: half of them may be lost.
            Profile::Mesh => Self {
                congestion: Congestion::Bbr,
                idle_timeout_millis: 120_000,
                keep_alive: Some(Duration::from_secs(30)),
                max_ack_delay: Duration::from_millis(5),
            },
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
        Congestion::Cubic => Arc::new(CubicConfig::default()),
    };
    let idle_timeout = IdleTimeout::from(VarInt::from_u32(tuning.idle_timeout_millis));
    let mut config = TransportConfig::default();
    config
        .congestion_controller_factory(controller)
        .max_idle_timeout(Some(idle_timeout))
        .initial_rtt(INITIAL_RTT)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(STRANGER_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(STRANGER_PUSHES))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .ack_frequency_config(Some(acknowledgements(tuning)))
        .crypto_buffer_size(CRYPTO_BUFFER);
    config
}

/// How the peer is to acknowledge what it receives.
fn acknowledgements(tuning: Tuning) -> AckFrequencyConfig {
    let mut config = AckFrequencyConfig::default();
    // A gap is told at once, as it is without this extension.
    config.max_ack_delay(Some(tuning.max_ack_delay)).reordering_threshold(VarInt::from_u32(1));
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
