//! quinn itself in the simulated network: what the model of QUIC must be like.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ed25519_dalek::{Signer as _, SigningKey};
use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event, ServerConfig, StreamEvent, StreamId, TransportConfig,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use crate::engine::packets::{IP_UDP, Loss, Packets, Way};
use crate::engine::queue::{Micros, Queue, SECOND};
use crate::engine::quic::{Control, Happening};
use crate::quic::Net;

const NAME: &str = "simulated";
/// What stands before the 32 bytes of an Ed25519 key in PKCS #8.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What is told of either end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Connected,
    /// A stream was read to its end.
    Arrived,
    /// A stream was acknowledged in whole.
    Acknowledged,
}

enum Carried {
    Packet(usize, BytesMut),
    Timer(usize),
}

struct Host {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    timer: Option<Micros>,
}

/// Two hosts, the first of which dials the other.
pub(crate) struct Real {
    queue: Queue<Carried>,
    pub(crate) packets: Packets,
    hosts: [Host; 2],
    began: Instant,
    told: Vec<(usize, Told)>,
}

/// Keys and certificates of both ends; made once, for they take time.
pub(crate) struct Keys {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// A key as rcgen wants it.
struct Signer {
    key: SigningKey,
    public: [u8; 32],
}

impl Signer {
    fn new(seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        Self { public: key.verifying_key().to_bytes(), key }
    }
}

impl rcgen::PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_vec())
    }
}

impl Keys {
    pub(crate) fn new() -> Self {
        let seed = [7; 32];
        let mut parameters = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap();
        parameters.serial_number = Some(rcgen::SerialNumber::from(1));
        let made = parameters.self_signed(&Signer::new(seed)).unwrap();
        let key = PrivateKeyDer::Pkcs8([&PKCS8_ED25519[..], &seed].concat().into());
        Self { certificate: made.der().clone(), key }
    }

    fn configs(&self, control: Control) -> (ServerConfig, ClientConfig) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let roots = Arc::new(roots);
        let chain = vec![self.certificate.clone()];
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let tls = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(chain.clone(), self.key.clone_key())
            .unwrap();
        let crypto = QuicServerConfig::try_from(tls).unwrap();
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, self.key.clone_key())
            .unwrap();
        let crypto = QuicClientConfig::try_from(tls).unwrap();
        let mut client = ClientConfig::new(Arc::new(crypto));
        let controller: Arc<dyn ControllerFactory + Send + Sync> = match control {
            Control::Cubic => Arc::new(CubicConfig::default()),
            _ => Arc::new(BbrConfig::default()),
        };
        let mut transport = TransportConfig::default();
        transport
            .congestion_controller_factory(controller)
            .initial_rtt(Duration::from_millis(100))
            .max_idle_timeout(Some(Duration::from_secs(120).try_into().unwrap()));
        let transport = Arc::new(transport);
        server.transport_config(transport.clone());
        client.transport_config(transport);
        (server, client)
    }
}

fn address(host: usize) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, u8::try_from(host).unwrap()), 1).into()
}

impl Real {
    pub(crate) fn new(
        keys: &Keys,
        way: Way,
        rate: Option<u64>,
        seed: u64,
        control: Control,
    ) -> Self {
        let mut packets = Packets::new(seed, 2);
        packets.set_way(way);
        packets.set_rate(rate);
        let (server, client) = keys.configs(control);
        let config = Arc::new(EndpointConfig::default());
        let mut rng = [0; 32];
        rng[..8].copy_from_slice(&seed.to_le_bytes());
        let mut dialler = Endpoint::new(config.clone(), None, true, Some(rng));
        rng[31] = 1;
        let listener = Endpoint::new(config, Some(Arc::new(server)), true, Some(rng));
        let began = Instant::now();
        let connection = dialler.connect(began, client, address(1), NAME).unwrap();
        let host = |endpoint, connection| Host { endpoint, connection, timer: None };
        let hosts = [host(dialler, Some(connection)), host(listener, None)];
        let mut real = Self { queue: Queue::default(), packets, hosts, began, told: Vec::new() };
        real.pump(0);
        real
    }

    pub(crate) fn now(&self) -> Micros {
        self.queue.now()
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_micros(self.queue.now())
    }

    fn send(&mut self, from: usize, bytes: &[u8]) {
        let now = self.queue.now();
        let arrivals = self.packets.send(now, from, 1 - from, bytes.len() + IP_UDP);
        for arrival in arrivals.into_iter().flatten() {
            self.queue.push(arrival, Carried::Packet(1 - from, bytes.into()));
        }
    }

    /// Does what an end wants done, and sets its timer.
    fn pump(&mut self, at: usize) {
        let (instant, now) = (self.instant(), self.queue.now());
        let mut buffer = Vec::new();
        let Host { endpoint, connection: Some((handle, connection)), .. } = &mut self.hosts[at]
        else {
            return;
        };
        let mut packets = Vec::new();
        loop {
            let mut is_idle = true;
            while let Some(event) = connection.poll_endpoint_events() {
                if let Some(event) = endpoint.handle_event(*handle, event) {
                    connection.handle_event(event);
                }
                is_idle = false;
            }
            while let Some(event) = connection.poll() {
                self.told.extend(told(connection, event).map(|told| (at, told)));
                is_idle = false;
            }
            while let Some(transmit) = connection.poll_transmit(instant, 1, &mut buffer) {
                packets.push(buffer[..transmit.size].to_vec());
                buffer.clear();
                is_idle = false;
            }
            if is_idle {
                break;
            }
        }
        let due = connection.poll_timeout();
        packets.iter().for_each(|packet| self.send(at, packet));
        let due = due.map(|due| (due - self.began).as_nanos().div_ceil(1_000));
        let due = due.map(|due| u64::try_from(due).unwrap().max(now + 1));
        if let Some(due) = due
            && self.hosts[at].timer != Some(due)
        {
            self.hosts[at].timer = Some(due);
            self.queue.push(due, Carried::Timer(at));
        }
    }

    fn arrive(&mut self, at: usize, bytes: BytesMut) {
        let instant = self.instant();
        let mut buffer = Vec::new();
        let Host { endpoint, connection, .. } = &mut self.hosts[at];
        let from = address(1 - at);
        match endpoint.handle(instant, from, None, None, bytes, &mut buffer) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = endpoint.accept(incoming, instant, &mut buffer, None);
                *connection = accepted.ok().or(connection.take());
            }
            Some(DatagramEvent::Response(transmit)) => {
                self.send(at, &buffer[..transmit.size]);
            }
            None => {}
        }
        self.pump(at);
    }

    /// Waits for something; nothing if it does not come within ten minutes.
    pub(crate) fn wait(&mut self, wanted: &(usize, Told)) -> Option<Micros> {
        let end = self.now() + 600 * SECOND;
        loop {
            if let Some(found) = self.told.iter().position(|told| told == wanted) {
                self.told.drain(..=found);
                return Some(self.now());
            }
            let carried = self.queue.pop_until(end)?;
            self.happen(carried);
        }
    }

    fn happen(&mut self, carried: Carried) {
        match carried {
            Carried::Packet(at, bytes) => self.arrive(at, bytes),
            Carried::Timer(at) if self.hosts[at].timer == Some(self.now()) => {
                self.hosts[at].timer = None;
                let instant = self.instant();
                if let Some((_, connection)) = &mut self.hosts[at].connection {
                    connection.handle_timeout(instant);
                }
                self.pump(at);
            }
            Carried::Timer(_) => {}
        }
    }

    /// Lets time pass.
    pub(crate) fn rest(&mut self, time: Micros) {
        let end = self.now() + time;
        while let Some(carried) = self.queue.pop_until(end) {
            self.happen(carried);
        }
    }

    /// The dialler sends something on a stream of its own.
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        let Some((_, connection)) = &mut self.hosts[0].connection else { return };
        let id: StreamId = connection.streams().open(Dir::Uni).unwrap();
        let mut stream = connection.send_stream(id);
        assert_eq!(stream.write(bytes).unwrap(), bytes.len(), "it is taken at once");
        stream.finish().unwrap();
        self.pump(0);
    }
}

/// What an event means here; reads what can be read.
fn told(connection: &mut Connection, event: Event) -> Option<Told> {
    match event {
        Event::Connected => Some(Told::Connected),
        Event::Stream(StreamEvent::Finished { .. }) => Some(Told::Acknowledged),
        Event::Stream(StreamEvent::Opened { dir: Dir::Uni }) => {
            let mut is_whole = false;
            while let Some(id) = connection.streams().accept(Dir::Uni) {
                is_whole |= read(connection, id);
            }
            is_whole.then_some(Told::Arrived)
        }
        Event::Stream(StreamEvent::Readable { id }) => {
            read(connection, id).then_some(Told::Arrived)
        }
        _ => None,
    }
}

/// Reads a stream as far as it goes; says whether that was its end.
fn read(connection: &mut Connection, id: StreamId) -> bool {
    let mut stream = connection.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else { return false };
    let is_whole = loop {
        match chunks.next(usize::MAX) {
            Ok(Some(_)) => {}
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    _ = chunks.finalize();
    is_whole
}

/// Most that the model may take longer or shorter.
const FACTOR: f64 = 1.5;
const PUSHES: usize = 40;
const GAP: Micros = 500_000;

fn way(loss: f64) -> Way {
    let delay = Duration::from_millis(25);
    Way { delay, loss: Loss::Independent(loss), ..Way::default() }
}

fn is_near(here: f64, real: f64) -> bool {
    (real / FACTOR..=real * FACTOR).contains(&here)
}

/// When each of a series of pushes arrived, in milliseconds since it was sent.
fn real_pushes(keys: &Keys, loss: f64, size: usize, seed: u64) -> Vec<f64> {
    let mut real = Real::new(keys, way(0.0), None, seed, Control::Bbr);
    real.wait(&(0, Told::Connected)).unwrap();
    real.rest(SECOND);
    real.packets.set_way(way(loss));
    let mut times = Vec::new();
    for _ in 0..PUSHES {
        let start = real.now();
        real.push(&vec![7; size].into());
        let Some(at) = real.wait(&(1, Told::Arrived)) else { break };
        times.push((at - start) as f64 / 1e3);
        real.rest(GAP);
    }
    times
}

/// The same in the model.
fn model_pushes(loss: f64, size: usize, seed: u64) -> Vec<f64> {
    let mut net = Net::new(0.0, Control::Bbr, seed);
    net.packets.set_rate(None);
    let end = net.quic.dial(0, 0, 1);
    net.wait(|at, what| *at == end && matches!(what, Happening::Up));
    net.rest(SECOND);
    net.packets.set_way(way(loss));
    let mut times = Vec::new();
    for push in 0..PUSHES {
        let start = net.now();
        net.quic.push(end, push as u64, vec![7; size].into());
        let at = net.wait(|_, what| matches!(what, Happening::Pushed(_)));
        if at == Micros::MAX {
            break;
        }
        times.push((at - start) as f64 / 1e3);
        net.rest(GAP);
    }
    times
}

/// Of pushes in many runs, how long half and three quarters of them take at most; those after the
/// end of a connection take for ever.
fn quartiles(runs: u8, one: impl Fn(u64) -> Vec<f64>) -> [f64; 2] {
    let mut times: Vec<f64> = (0..u64::from(runs)).flat_map(one).collect();
    times.resize(PUSHES * usize::from(runs), f64::INFINITY);
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[times.len() * 3 / 4]]
}

#[test]
fn a_push_takes_as_long_as_with_quinn() {
    let keys = Keys::new();
    let mut off = Vec::new();
    for (loss, size) in [(0.1, 300), (0.3, 300), (0.5, 300), (0.0, 6_000), (0.3, 6_000)] {
        // Where half is lost, times have a long tail.
        let runs = if loss > 0.4 { 100 } else { 25 };
        let real = quartiles(runs, |seed| real_pushes(&keys, loss, size, seed));
        let here = quartiles(runs, |seed| model_pushes(loss, size, seed));
        println!("{size} bytes at {loss}: {here:.0?} ms, with quinn {real:.0?}");
        if here.iter().zip(&real).any(|(here, real)| !is_near(*here, *real)) {
            off.push((loss, size, here, real));
        }
    }
    assert!(off.is_empty(), "{off:?}");
}

/// Seconds until the handshake is done, and from then for an upload of 256 KiB.
fn upload(keys: &Keys, loss: f64, control: Control, seed: u64) -> (f64, f64) {
    let mut real = Real::new(keys, way(loss), Some(10_000_000), seed, control);
    let up = real.wait(&(0, Told::Connected)).unwrap_or(600 * SECOND);
    real.push(&vec![7; 262_144].into());
    let end = real.wait(&(0, Told::Acknowledged)).unwrap_or(up + 600 * SECOND);
    (up as f64 / 1e6, (end - up) as f64 / 1e6)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
fn an_upload_takes_as_long_as_with_quinn() {
    let keys = Keys::new();
    let mut off = Vec::new();
    for control in [Control::Cubic, Control::Bbr] {
        for loss in [0.0, 0.1, 0.3] {
            let one = |seed| upload(&keys, loss, control, seed);
            let (ups, times): (Vec<_>, Vec<_>) = (0..41).map(one).unzip();
            let (up, real) = (median(ups), median(times));
            let (up_here, here) = (crate::quic::shake(loss), crate::quic::upload(loss, control));
            println!(
                "{control:?} at {loss}: up after {up_here:.2} s, with quinn {up:.2}; upload \
                 {here:.2} s, with quinn {real:.2}"
            );
            if !is_near(here, real) || !is_near(up_here, up) {
                off.push((control, loss, here, real));
            }
        }
    }
    assert!(off.is_empty(), "{off:?}");
}
