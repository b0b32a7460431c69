//! One QUIC connection: its streams, and what its ends and errors mean to us.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use quinn::rustls::pki_types::CertificateDer;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};

use super::super::framing::{self, Assembler};
use super::super::tls;
use super::super::{
    CloseReason, ConnectError, Connection, FrameReceiver, FrameSender, LinkError, LinkStats,
};
use super::config;
use super::pushes::Pushes;
use crate::gossip::Path;
use crate::id::NodeId;

/// The label that sets our exported secrets apart from those of other uses of TLS (RFC 5705).
const EXPORTER: &[u8] = b"EXPORTER-basefs-hello";
/// Up to this length a frame is copied behind its head: cheaper than two pieces.
const SMALL_FRAME: usize = 2_048;
/// Pushed frames go before all that waits on streams of priority 0: they are short, and news.
const PUSH_PRIORITY: i32 = 1;
/// TLS alert `access_denied`: our verifier met another node than expected, nothing else raises it.
const OTHER_NODE_ALERT: u8 = 49;
/// TLS alert `no_application_protocol`: the two ends speak different versions.
const OTHER_VERSION_ALERT: u8 = 120;

/// A connection over QUIC to a peer that proved its node key. Clones are the same connection; it
/// closes when the last of them and the last of its streams are dropped.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::net::{QuicConfig, QuicTransport, Transport};
/// # use basefs::wire::SecretKey;
/// # let [at_ana, at_ben] = [1, 2].map(|n| {
/// #     let mut config = QuicConfig::default();
/// #     config.listen = ([127, 0, 0, 1], 0).into();
/// #     QuicTransport::bind(config, &SecretKey::from_seed([n; 32]))
/// # });
/// # let (at_ana, at_ben) = (at_ana?, at_ben?);
/// # let dialling = at_ana.connect(at_ben.local_addresses()[0], at_ben.node());
/// # let (to_ben, to_ana) = tokio::join!(dialling, at_ben.accept());
/// # let (to_ben, to_ana) = (to_ben?, to_ana.ok_or("closed")?);
/// use basefs::net::{CloseReason, Connection, LinkError};
///
/// assert_eq!(to_ben.binding(), to_ana.binding());
/// println!("a round trip takes {:?}", to_ben.path().rtt);
/// to_ana.close(CloseReason::Busy);
/// assert_eq!(to_ben.closed().await, LinkError::Closed(CloseReason::Busy));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct QuicConnection {
    inner: quinn::Connection,
    node: NodeId,
    peer: NodeId,
    binding: [u8; 32],
    pushes: Arc<Pushes>,
}

impl QuicConnection {
    /// Takes over a connection whose handshake is done; nothing if the peer has no identity.
    pub(super) fn new(inner: quinn::Connection, node: NodeId) -> Option<Self> {
        let identity = inner.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let peer = tls::node_of(identity.first()?)?;
        let mut binding = [0; 32];
        inner.export_keying_material(&mut binding, EXPORTER, &[]).ok()?;
        let pushes = Arc::new(Pushes::new());
        let connection = Self { inner, node, peer, binding, pushes };
        // Losses are counted from here.
        let _ = connection.path();
        Some(connection)
    }

    /// Whether nobody has closed it yet.
    pub(super) fn is_open(&self) -> bool {
        self.inner.close_reason().is_none()
    }
}

impl Connection for QuicConnection {
    type Sender = QuicSender;
    type Receiver = QuicReceiver;

    fn node(&self) -> NodeId {
        self.node
    }

    fn peer(&self) -> NodeId {
        self.peer
    }

    fn binding(&self) -> [u8; 32] {
        self.binding
    }

    fn admit(&self) {
        config::admit(&self.inner);
    }

    async fn open(&self) -> Result<(QuicSender, QuicReceiver), LinkError> {
        self.inner.open_bi().await.map(frames).map_err(|error| link_error(&error))
    }

    async fn accept(&self) -> Result<(QuicSender, QuicReceiver), LinkError> {
        self.inner.accept_bi().await.map(frames).map_err(|error| link_error(&error))
    }

    fn send_datagram(&self, datagram: Bytes) {
        // A datagram may be lost; whoever sends it knows.
        let _ = self.inner.send_datagram(datagram);
    }

    async fn receive_datagram(&self) -> Result<Bytes, LinkError> {
        self.inner.read_datagram().await.map_err(|error| link_error(&error))
    }

    async fn push(&self, frame: Bytes) -> Result<(), LinkError> {
        framing::check_push(&frame)?;
        let mut stream = self.inner.open_uni().await.map_err(|error| link_error(&error))?;
        // Fails only for a stream that has ended.
        let _ = stream.set_priority(PUSH_PRIORITY);
        stream.write_chunk(frame).await.map_err(|error| write_error(&error))?;
        let _ = stream.finish();
        match stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(LinkError::Closed(CloseReason::from_code(code.into_inner()))),
            Err(StoppedError::ConnectionLost(lost)) => Err(link_error(&lost)),
            Err(error) => Err(LinkError::Failed { what: error.to_string() }),
        }
    }

    async fn receive_push(&self) -> Result<Bytes, LinkError> {
        self.pushes.next(&self.inner).await
    }

    fn path(&self) -> Path {
        let path = self.inner.stats().path;
        // A probe for larger packets that is lost says nothing about others.
        let packets = path.sent_packets.saturating_sub(path.sent_plpmtud_probes);
        Path { rtt: path.rtt, packets, lost: path.lost_packets }
    }

    fn close(&self, reason: CloseReason) {
        self.inner.close(VarInt::from_u32(reason.code()), &[]);
    }

    async fn closed(&self) -> LinkError {
        link_error(&self.inner.closed().await)
    }

    fn stats(&self) -> LinkStats {
        let stats = self.inner.stats();
        LinkStats {
            sent: stats.udp_tx.bytes,
            received: stats.udp_rx.bytes,
            rtt_micros: u64::try_from(stats.path.rtt.as_micros()).unwrap_or(u64::MAX),
            packets: stats.path.sent_packets,
            lost: stats.path.lost_packets,
        }
    }
}

impl fmt::Debug for QuicConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicConnection")
            .field("peer", &self.peer)
            .field("address", &self.inner.remote_address())
            .finish_non_exhaustive()
    }
}

fn frames((sender, receiver): (SendStream, RecvStream)) -> (QuicSender, QuicReceiver) {
    (
        QuicSender { stream: sender, inside_frame: false },
        QuicReceiver { stream: receiver, frames: Assembler::default() },
    )
}

/// Sends frames on a QUIC stream.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::net::{QuicConfig, QuicTransport, Transport};
/// # use basefs::wire::SecretKey;
/// # let [at_ana, at_ben] = [1, 2].map(|n| {
/// #     let mut config = QuicConfig::default();
/// #     config.listen = ([127, 0, 0, 1], 0).into();
/// #     QuicTransport::bind(config, &SecretKey::from_seed([n; 32]))
/// # });
/// # let (at_ana, at_ben) = (at_ana?, at_ben?);
/// # let dialling = at_ana.connect(at_ben.local_addresses()[0], at_ben.node());
/// # let (to_ben, to_ana) = tokio::join!(dialling, at_ben.accept());
/// # let (to_ben, to_ana) = (to_ben?, to_ana.ok_or("closed")?);
/// use basefs::net::{Connection, FrameReceiver, FrameSender};
///
/// let (mut sender, _) = to_ben.open().await?;
/// sender.send("one".into()).await?;
/// sender.send("two".into()).await?;
/// sender.finish();
/// let (_, mut receiver) = to_ana.accept().await?;
/// assert_eq!(receiver.receive().await?.as_deref(), Some(&b"one"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct QuicSender {
    stream: SendStream,
    /// A frame was begun and not ended: whatever came next would be taken for the rest of it.
    inside_frame: bool,
}

impl FrameSender for QuicSender {
    async fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        let head = framing::head(&frame)?;
        if self.inside_frame {
            return Err(LinkError::Failed { what: "an earlier frame was broken off".into() });
        }
        self.inside_frame = true;
        let mut chunks = if frame.len() <= SMALL_FRAME {
            [[&head, &frame[..]].concat().into(), Bytes::new()]
        } else {
            [Bytes::copy_from_slice(&head), frame]
        };
        self.stream.write_all_chunks(&mut chunks).await.map_err(|error| write_error(&error))?;
        self.inside_frame = false;
        Ok(())
    }

    fn finish(&mut self) {
        // Fails only if the stream has ended already.
        let _ = self.stream.finish();
    }
}

/// Receives frames from a QUIC stream.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::net::{QuicConfig, QuicTransport, Transport};
/// # use basefs::wire::SecretKey;
/// # let [at_ana, at_ben] = [1, 2].map(|n| {
/// #     let mut config = QuicConfig::default();
/// #     config.listen = ([127, 0, 0, 1], 0).into();
/// #     QuicTransport::bind(config, &SecretKey::from_seed([n; 32]))
/// # });
/// # let (at_ana, at_ben) = (at_ana?, at_ben?);
/// # let dialling = at_ana.connect(at_ben.local_addresses()[0], at_ben.node());
/// # let (to_ben, to_ana) = tokio::join!(dialling, at_ben.accept());
/// # let (to_ben, to_ana) = (to_ben?, to_ana.ok_or("closed")?);
/// use basefs::net::{Connection, FrameReceiver, FrameSender};
///
/// let (mut sender, _) = to_ben.open().await?;
/// sender.send("one".into()).await?;
/// sender.finish();
/// let (_, mut receiver) = to_ana.accept().await?;
/// assert_eq!(receiver.receive().await?.as_deref(), Some(&b"one"[..]));
/// assert_eq!(receiver.receive().await?, None); // the end
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct QuicReceiver {
    stream: RecvStream,
    frames: Assembler,
}

impl FrameReceiver for QuicReceiver {
    async fn receive_at_most(&mut self, limit: usize) -> Result<Option<Bytes>, LinkError> {
        loop {
            if let Some(frame) = self.frames.next(limit)? {
                return Ok(Some(frame));
            }
            match self.stream.read_chunk(usize::MAX, true).await {
                Ok(Some(chunk)) => self.frames.push(chunk.bytes),
                Ok(None) => return self.frames.end().map(|()| None),
                Err(error) => return Err(read_error(&error)),
            }
        }
    }
}

fn write_error(error: &WriteError) -> LinkError {
    match error {
        WriteError::ConnectionLost(lost) => link_error(lost),
        WriteError::Stopped(code) => LinkError::Closed(CloseReason::from_code(code.into_inner())),
        WriteError::ClosedStream => LinkError::ClosedHere,
        WriteError::ZeroRttRejected => LinkError::Failed { what: error.to_string() },
    }
}

fn read_error(error: &ReadError) -> LinkError {
    match error {
        ReadError::ConnectionLost(lost) => link_error(lost),
        ReadError::Reset(code) => LinkError::Closed(CloseReason::from_code(code.into_inner())),
        ReadError::ClosedStream => LinkError::ClosedHere,
        ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            LinkError::Failed { what: error.to_string() }
        }
    }
}

pub(super) fn link_error(error: &ConnectionError) -> LinkError {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            LinkError::Closed(CloseReason::from_code(close.error_code.into_inner()))
        }
        ConnectionError::LocallyClosed => LinkError::ClosedHere,
        ConnectionError::TimedOut => LinkError::TimedOut,
        _ => LinkError::Failed { what: describe(error) },
    }
}

/// Why a handshake with the node `expected` came to nothing.
pub(super) fn connect_error(error: &ConnectionError, expected: NodeId) -> ConnectError {
    use quinn::TransportErrorCode as Code;
    let ours = |alert| matches!(error, ConnectionError::TransportError(e) if e.code == Code::crypto(alert));
    let theirs =
        |code| matches!(error, ConnectionError::ConnectionClosed(e) if e.error_code == code);
    match error {
        _ if ours(OTHER_NODE_ALERT) => ConnectError::OtherNode { expected },
        _ if ours(OTHER_VERSION_ALERT) || theirs(Code::crypto(OTHER_VERSION_ALERT)) => {
            ConnectError::OtherVersion
        }
        _ if theirs(Code::CONNECTION_REFUSED) => ConnectError::Busy,
        ConnectionError::VersionMismatch => ConnectError::OtherVersion,
        ConnectionError::TimedOut => ConnectError::TimedOut,
        ConnectionError::TransportError(_) => ConnectError::Misbehaved { what: describe(error) },
        ConnectionError::ApplicationClosed(close) => {
            ConnectError::HungUp { reason: CloseReason::from_code(close.error_code.into_inner()) }
        }
        ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
            ConnectError::Local { what: describe(error) }
        }
        ConnectionError::ConnectionClosed(_) | ConnectionError::Reset => {
            ConnectError::Lost { what: describe(error) }
        }
    }
}

/// An error in words of this machine: what the peer gave as its reason may be any text.
fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionClosed(close) => close.error_code.to_string(),
        _ => error.to_string(),
    }
}
