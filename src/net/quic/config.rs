//! What the QUIC transport is set up with, and every bound it keeps.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, ServerConfig, TransportConfig, VarInt};

/// A peer that is silent for so long is gone. Long enough for a link that loses half its packets.
const IDLE_TIMEOUT_MILLIS: u32 = 30_000;
/// How often the dialling side breaks the silence: three tries within the idle timeout. The other
/// side need not.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
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
/// Pushes that an admitted peer may have under way: many, so that lost packets of some do not hold
/// up others. A stranger may have none.
const PEER_PUSHES: u32 = 128;
/// Datagrams that wait to be sent or read, in bytes; the oldest make room.
const DATAGRAM_BUFFER: usize = 64 << 10;
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
    /// How to adapt to the path.
    pub congestion: Congestion,
}

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 0).into(),
            advertised: Vec::new(),
            congestion: Congestion::default(),
        }
    }
}

/// The transport parameters of a dialling node.
pub(super) fn dialling(congestion: Congestion) -> Arc<TransportConfig> {
    let mut config = accepting(congestion);
    config.keep_alive_interval(Some(KEEP_ALIVE));
    Arc::new(config)
}

/// The transport parameters of an accepting node.
fn accepting(congestion: Congestion) -> TransportConfig {
    let controller: Arc<dyn ControllerFactory + Send + Sync> = match congestion {
        Congestion::Bbr => Arc::new(BbrConfig::default()),
        Congestion::Cubic => Arc::new(CubicConfig::default()),
    };
    let mut config = TransportConfig::default();
    config
        .congestion_controller_factory(controller)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MILLIS))))
        .initial_rtt(INITIAL_RTT)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(STRANGER_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        // Datagrams cannot be allowed later: those of a stranger wait here, and are lost with it.
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .crypto_buffer_size(CRYPTO_BUFFER);
    config
}

/// All that an accepting endpoint is set up with.
pub(super) fn server(crypto: QuicServerConfig, congestion: Congestion) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(accepting(congestion)))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFERS);
    config
}

/// Gives an admitted peer its full share.
pub(super) fn admit(connection: &quinn::Connection) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(PEER_STREAMS));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(PEER_PUSHES));
    connection.set_receive_window(VarInt::from_u32(PEER_WINDOW));
}
