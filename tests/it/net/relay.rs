//! A way through a network that is slow, narrow and lossy: two UDP sockets and a thread for each
//! direction, beside the runtime, so that what is measured does not delay it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What a path is like, in each direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// How long a packet is on its way, beside waiting for others.
    pub(super) delay: Duration,
    /// Bits per second.
    pub(super) rate: u64,
    /// Of a thousand packets, how many are lost.
    pub(super) loss: u32,
}

impl Way {
    /// How long packets may wait before further ones are dropped: a tenth of a second, and ten
    /// packets on slow links.
    fn queue(&self) -> Duration {
        Duration::from_millis(100).max(self.duration_of(10 * 1_200))
    }

    fn duration_of(&self, bytes: usize) -> Duration {
        Duration::from_nanos(bytes as u64 * 8 * 1_000_000_000 / self.rate)
    }
}

/// Carries packets between whoever sends to it, one at a time, and one target.
pub(super) struct Relay {
    shared: Arc<Shared>,
}

struct Shared {
    /// Where the dialling node sends to, and what it hears from.
    front: UdpSocket,
    /// What the target hears from.
    back: Mutex<Arc<UdpSocket>>,
    address: SocketAddr,
    dialer: Mutex<Option<SocketAddr>>,
    target: SocketAddr,
    loss: AtomicU32,
    stopped: AtomicBool,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket
}

impl Relay {
    pub(super) fn new(target: SocketAddr, way: Way, seed: u64) -> Self {
        let front = socket();
        let address = front.local_addr().unwrap();
        let shared = Arc::new(Shared {
            front,
            back: Mutex::new(Arc::new(socket())),
            address,
            dialer: Mutex::new(None),
            target,
            loss: AtomicU32::new(way.loss),
            stopped: AtomicBool::new(false),
        });
        for forth in [true, false] {
            let (packets, due) = mpsc::channel();
            let (reading, writing) = (shared.clone(), shared.clone());
            thread::spawn(move || reading.read(forth, way, seed + u64::from(forth), &packets));
            thread::spawn(move || writing.write(forth, &due));
        }
        Self { shared }
    }

    /// Where to dial instead of at the target.
    pub(super) fn address(&self) -> SocketAddr {
        self.shared.address
    }

    pub(super) fn set_loss(&self, permille: u32) {
        self.shared.loss.store(permille, Ordering::Relaxed);
    }

    /// From now on the target hears the dialling node from another address.
    pub(super) fn move_dialer(&self) {
        *self.shared.back.lock() = Arc::new(socket());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    /// Reads packets and decides when they arrive, if they do.
    fn read(&self, forth: bool, way: Way, seed: u64, packets: &mpsc::Sender<(Instant, Vec<u8>)>) {
        let (mut buffer, mut random, mut busy) = ([0; 65_536], seed, Instant::now());
        while !self.stopped.load(Ordering::Relaxed) {
            let back = self.back.lock().clone();
            let socket = if forth { &self.front } else { &*back };
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if forth {
                *self.dialer.lock() = Some(from);
            }
            let now = Instant::now();
            busy = busy.max(now);
            if busy - now > way.queue() {
                continue;
            }
            busy += way.duration_of(length);
            random = next(random);
            let is_lost = (random >> 33) % 1_000 < u64::from(self.loss.load(Ordering::Relaxed));
            if !is_lost && packets.send((busy + way.delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    }

    /// Lets packets arrive when they are due.
    fn write(&self, forth: bool, due: &mpsc::Receiver<(Instant, Vec<u8>)>) {
        while let Ok((at, packet)) = due.recv() {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            let dialer = *self.dialer.lock();
            // Nobody may listen any more.
            let _ = match (forth, dialer) {
                (true, _) => self.back.lock().send_to(&packet, self.target),
                (false, Some(dialer)) => self.front.send_to(&packet, dialer),
                (false, None) => continue,
            };
        }
    }
}

/// A linear congruential generator: its upper bits are even enough for losses.
fn next(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}
