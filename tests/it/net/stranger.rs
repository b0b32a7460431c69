//! Peers that do not keep to the protocol, made with plain quinn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use basefs::id::{NodeId, PublicKey};
use basefs::limits::MAX_FRAME;
use basefs::net::{
    ConnectError, Connection, FrameReceiver, LinkError, MAX_PUSH, QuicTransport, Transport, dial,
    welcome,
};
use basefs::wire::SecretKey;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionError, Endpoint, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureAlgorithm, SignatureScheme};
use tokio::time::timeout;

use super::{admission, quic};

const A_WHILE: Duration = Duration::from_millis(200);
const BASEFS: &[u8] = b"basefs/1";

fn seed(byte: u8) -> SecretKey {
    SecretKey::from_seed([byte; 32])
}

/// Shows one key and signs with another, if told so.
#[derive(Clone, Debug)]
struct Pretender {
    shown: PublicKey,
    key: SecretKey,
}

impl rcgen::PublicKeyData for Pretender {
    fn der_bytes(&self) -> &[u8] {
        self.shown.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Pretender {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_vec())
    }
}

impl SigningKey for Pretender {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Pretender {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.key.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The certificate of one node, `copies` times, with handshakes signed by another.
fn identity(shown: &SecretKey, signing: &SecretKey, copies: usize) -> Arc<SingleCertAndKey> {
    let owner = Pretender { shown: shown.public(), key: shown.clone() };
    let mut parameters = rcgen::CertificateParams::default();
    parameters.serial_number = Some(rcgen::SerialNumber::from(9));
    let certificate = parameters.self_signed(&owner).unwrap().der().clone();
    let signer = Pretender { shown: shown.public(), key: signing.clone() };
    let certified = CertifiedKey::new(vec![certificate; copies], Arc::new(signer));
    Arc::new(SingleCertAndKey::from(certified))
}

/// Trusts everybody.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A client that speaks `alpn` and shows this identity, or none.
fn client(alpn: &[u8], identity: Option<Arc<SingleCertAndKey>>) -> Endpoint {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut tls = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let tls = QuicClientConfig::try_from(tls).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    endpoint
}

/// A client that behaves, up to the hello.
fn decent_client() -> Endpoint {
    client(BASEFS, Some(identity(&seed(8), &seed(8), 1)))
}

/// Connects a client to a transport and gives both ends.
async fn connect(client: &Endpoint, to: &QuicTransport) -> (quinn::Connection, impl Connection) {
    let connecting = client.connect(to.local_addresses()[0], "whoever").unwrap();
    let (stranger, accepted) = tokio::join!(connecting, to.accept());
    (stranger.unwrap(), accepted.unwrap())
}

/// A client fails the handshake, at once or after it, and the transport never hears of it.
async fn is_refused(client: &Endpoint) -> ConnectionError {
    let bob = quic(2);
    let connecting = client.connect(bob.local_addresses()[0], "whoever").unwrap();
    let error = match connecting.await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    assert!(timeout(A_WHILE, bob.accept()).await.is_err());
    error
}

/// A server that finishes handshakes and does nothing else, for as long as the test runs.
fn serve(tls: rustls::ServerConfig) -> SocketAddr {
    let tls = QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let server = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = server.accept().await {
            let _ = incoming.await;
        }
    });
    address
}

/// A transport dials a server that shows this identity; gives what it makes of it.
async fn dialling(
    alpn: &[u8],
    identity: Arc<SingleCertAndKey>,
    expected: &SecretKey,
) -> ConnectError {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(identity);
    tls.alpn_protocols = vec![alpn.to_vec()];
    let address = serve(tls);
    let expected = NodeId::from_bytes(*expected.public().as_bytes());
    quic(1).connect(address, expected).await.unwrap_err()
}

/// Lets nobody in, for reasons of its own.
#[derive(Debug)]
struct Recluse;

impl ClientCertVerifier for Recluse {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Err(rustls::Error::General("nobody".into()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

#[tokio::test]
async fn a_peer_that_takes_no_certificate_is_lost_during_the_hello() {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Recluse))
        .with_cert_resolver(identity(&seed(8), &seed(8), 1));
    tls.alpn_protocols = vec![BASEFS.to_vec()];
    let server = serve(tls);
    let node = NodeId::from_bytes(*seed(8).public().as_bytes());
    let refused = dial(&quic(1), server, node, &admission()).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Lost { .. }), "{refused:?}");
    assert!(refused.to_string().starts_with("the connection was lost"), "{refused}");
}

/// The TLS alert in an error that the peer caused.
fn alert(error: &ConnectionError) -> u64 {
    match error {
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code) & 0xff,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_application_protocol_is_another_version() {
    let own = identity(&seed(8), &seed(8), 1);
    let refused = is_refused(&client(b"basefs/2", Some(own.clone()))).await;
    assert_eq!(alert(&refused), 120);
    assert_eq!(dialling(b"basefs/2", own, &seed(8)).await, ConnectError::OtherVersion);
}

#[tokio::test]
async fn the_certificate_of_somebody_else_is_worth_nothing() {
    let stolen = identity(&seed(8), &seed(9), 1);
    let refused = is_refused(&client(BASEFS, Some(stolen.clone()))).await;
    assert_eq!(alert(&refused), 51);
    let refused = dialling(BASEFS, stolen, &seed(8)).await;
    assert!(matches!(refused, ConnectError::Misbehaved { .. }), "{refused:?}");
}

#[tokio::test]
async fn chains_and_anonymous_peers_are_refused() {
    let chain = identity(&seed(8), &seed(8), 2);
    assert_eq!(alert(&is_refused(&client(BASEFS, Some(chain.clone()))).await), 42);
    let refused = dialling(BASEFS, chain, &seed(8)).await;
    assert!(matches!(refused, ConnectError::Misbehaved { .. }), "{refused:?}");
    assert_eq!(alert(&is_refused(&client(BASEFS, None)).await), 116);
}

#[tokio::test]
async fn another_node_is_told_apart_from_a_broken_one() {
    let own = identity(&seed(8), &seed(8), 1);
    let refused = dialling(BASEFS, own, &seed(9)).await;
    assert!(matches!(refused, ConnectError::OtherNode { .. }), "{refused:?}");
    let client = decent_client();
    let (_stranger, accepted) = connect(&client, &quic(2)).await;
    assert_eq!(accepted.peer().as_bytes(), seed(8).public().as_bytes());
}

/// Sends bytes as the beginning of the first stream; gives what the welcome came to, and the code
/// the stranger was sent off with.
async fn sent_off(bytes: &[u8], end: bool) -> (ConnectError, u64) {
    let (client, bob) = (decent_client(), quic(2));
    let (stranger, accepted) = connect(&client, &bob).await;
    let (mut sender, _receiver) = stranger.open_bi().await.unwrap();
    sender.write_all(bytes).await.unwrap();
    if end {
        sender.finish().unwrap();
    }
    let refused = welcome(accepted, &admission()).await.err().unwrap();
    match stranger.closed().await {
        ConnectionError::ApplicationClosed(close) => {
            assert!(close.reason.is_empty());
            (refused, close.error_code.into_inner())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn garbage_instead_of_a_hello_is_sent_off() {
    for (bytes, end) in [
        (&b"\0\0\0\x0eGET / HTTP/1.1"[..], false),
        (b"\0\0\0\0", false),
        (b"\0\0\0\x05\x83", true),
        (b"", true),
        // Announces a frame longer than a hello may be, or than any frame.
        (b"\0\0\x01\x01", false),
        (b"\xff\xff\xff\xff", false),
    ] {
        let (refused, code) = sent_off(bytes, end).await;
        assert!(matches!(refused, ConnectError::Misbehaved { .. }), "{bytes:?}: {refused:?}");
        assert_eq!(code, 4);
    }
}

#[tokio::test]
async fn a_hello_of_a_later_version_is_told_so() {
    let later = b"\0\0\0\x03\x82\x02\x40";
    assert_eq!(sent_off(later, false).await, (ConnectError::OtherVersion, 3));
}

#[tokio::test]
async fn a_hello_of_another_hierarchy_is_told_nothing_else() {
    let mut hello = b"\0\0\0\x46\x83\x01\x58\x20".to_vec();
    hello.extend([5; 32]);
    hello.extend([0x58, 0x20]);
    hello.extend([5; 32]);
    assert_eq!(sent_off(&hello, false).await, (ConnectError::OtherHierarchy, 1));
}

#[tokio::test]
async fn a_frame_that_is_too_long_is_refused_unread() {
    let (client, bob) = (decent_client(), quic(2));
    let (stranger, accepted) = connect(&client, &bob).await;
    let (mut sender, _receiver) = stranger.open_bi().await.unwrap();
    let length = u32::try_from(MAX_FRAME + 1).unwrap();
    sender.write_all(&length.to_be_bytes()).await.unwrap();
    let (_, mut receiver) = accepted.accept().await.unwrap();
    let error = LinkError::FrameTooLong { length: length.into() };
    assert_eq!(receiver.receive().await, Err(error));
}

#[tokio::test]
async fn a_stream_that_is_reset_or_cut_is_noticed() {
    let (client, bob) = (decent_client(), quic(2));
    let (stranger, accepted) = connect(&client, &bob).await;
    let (mut sender, _kept) = stranger.open_bi().await.unwrap();
    sender.write_all(b"\0\0\0\x05abc").await.unwrap();
    sender.finish().unwrap();
    let (_, mut receiver) = accepted.accept().await.unwrap();
    assert_eq!(receiver.receive().await, Err(LinkError::Truncated));

    accepted.admit();
    let (mut sender, _kept) = stranger.open_bi().await.unwrap();
    sender.write_all(b"\0\0\0\x05abc").await.unwrap();
    let (_, mut receiver) = accepted.accept().await.unwrap();
    sender.reset(VarInt::from_u32(5)).unwrap();
    assert_eq!(receiver.receive().await, Err(LinkError::Closed(basefs::net::CloseReason::Busy)));
}

#[tokio::test]
async fn before_the_hello_there_is_little_room() {
    let (client, bob) = (decent_client(), quic(2));
    let (stranger, accepted) = connect(&client, &bob).await;
    let (mut sender, _receiver) = stranger.open_bi().await.unwrap();
    assert!(timeout(A_WHILE, stranger.open_bi()).await.is_err());
    assert!(timeout(A_WHILE, stranger.open_uni()).await.is_err());
    // Datagrams cannot be refused until then and allowed later: few of them are kept.
    for number in 0..1_000_u32 {
        let mut datagram = vec![0; 1_000];
        datagram[..4].copy_from_slice(&number.to_le_bytes());
        stranger.send_datagram(datagram.into()).unwrap();
    }
    tokio::time::sleep(A_WHILE).await;
    let mut kept = 0;
    while timeout(A_WHILE, accepted.receive_datagram()).await.is_ok() {
        kept += 1;
    }
    assert!((1..=70).contains(&kept), "{kept} datagrams of 1,000 bytes");

    // quinn's own buffer takes what the peer does not let through; what left it was let through.
    let before = stranger.stats().udp_tx.bytes;
    let flood = vec![0; 1 << 20];
    let _ = timeout(A_WHILE, sender.write_all(&flood)).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(stranger.stats().udp_tx.bytes - before < 128 << 10);

    accepted.admit();
    timeout(Duration::from_secs(5), stranger.open_bi()).await.unwrap().unwrap();
}

#[tokio::test]
async fn many_at_once_all_get_in() {
    // More than may be under way without having shown their address: some are told to retry.
    let (client, bob) = (decent_client(), quic(2));
    let address = bob.local_addresses()[0];
    let dialled: Vec<_> = (0..48).map(|_| client.connect(address, "whoever").unwrap()).collect();
    let mut kept = Vec::new();
    for connecting in dialled {
        kept.push(connecting.await.unwrap());
    }
    for _ in 0..48 {
        timeout(Duration::from_secs(5), bob.accept()).await.unwrap().unwrap();
    }
}

/// A peer that is let in, and pushes by hand.
async fn admitted(client: &Endpoint, to: &QuicTransport) -> (quinn::Connection, impl Connection) {
    let (stranger, accepted) = connect(client, to).await;
    accepted.admit();
    (stranger, accepted)
}

#[tokio::test]
async fn a_push_that_stalls_holds_up_no_other() {
    let (client, bob) = (decent_client(), quic(2));
    let (stranger, accepted) = admitted(&client, &bob).await;
    let mut stalled = Vec::new();
    for number in 0..40 {
        let mut stream = stranger.open_uni().await.unwrap();
        stream.write_all(&[number; 1_000]).await.unwrap();
        stalled.push(stream);
    }
    let mut whole = stranger.open_uni().await.unwrap();
    whole.write_all(b"whole").await.unwrap();
    whole.finish().unwrap();
    let received = timeout(A_WHILE * 20, accepted.receive_push()).await.unwrap();
    assert_eq!(received.unwrap(), "whole");

    // One is broken off, and is never heard of; the others end.
    stalled.pop().unwrap().reset(VarInt::from_u32(0)).unwrap();
    stalled.iter_mut().for_each(|stream| stream.finish().unwrap());
    for _ in 0..39 {
        let received = timeout(A_WHILE * 20, accepted.receive_push()).await.unwrap();
        assert_eq!(received.unwrap().len(), 1_000);
    }
    assert!(timeout(A_WHILE, accepted.receive_push()).await.is_err());
}

#[tokio::test]
async fn pushes_that_do_not_end_have_little_room() {
    let (client, bob) = (decent_client(), quic(2));
    let (stranger, accepted) = admitted(&client, &bob).await;
    let reading = tokio::spawn(async move {
        // Nothing is whole until the peer has filled all the room there is.
        let first = accepted.receive_push().await.unwrap();
        (first, accepted)
    });
    let mut open = Vec::new();
    for _ in 0..60 {
        let mut stream = stranger.open_uni().await.unwrap();
        // Refused while it is written, or later.
        let _ = stream.write_all(&vec![7; MAX_PUSH]).await;
        open.push(stream);
    }
    tokio::time::sleep(A_WHILE).await;
    for stream in &mut open {
        let _ = stream.finish();
    }
    let (first, accepted) = timeout(A_WHILE * 20, reading).await.unwrap().unwrap();
    assert_eq!(first.len(), MAX_PUSH);
    let mut whole = 1;
    while timeout(A_WHILE, accepted.receive_push()).await.is_ok() {
        whole += 1;
    }
    let (mut taken, mut refused) = (0, 0);
    for stream in &open {
        match stream.stopped().await.unwrap() {
            None => taken += 1,
            Some(code) => refused += usize::from(code == VarInt::from_u32(5)),
        }
    }
    assert_eq!((taken, taken + refused), (whole, 60));
    assert!((35..=43).contains(&whole), "{whole} have room");
}

#[tokio::test]
async fn a_push_that_is_too_long_is_refused() {
    let (client, bob) = (decent_client(), quic(2));
    let (stranger, accepted) = admitted(&client, &bob).await;
    let mut stream = stranger.open_uni().await.unwrap();
    let writing = async { stream.write_all(&vec![7; MAX_PUSH + 1]).await };
    let (_, received) = tokio::join!(writing, accepted.receive_push());
    assert!(matches!(received, Err(LinkError::FrameTooLong { .. })), "{received:?}");
}
