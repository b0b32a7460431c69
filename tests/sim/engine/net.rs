//! Packets, connections and the queue as one: a network that calls back by events.

use super::packets::{LinkModel, Packets};
use super::queue::{Fingerprint, Micros, Queue};
use super::quic::{Congestion, EndId, Happening, Packet, Quic};
use super::rng::mix;

/// Something that waits for its time.
#[derive(Debug)]
pub enum Event<T> {
    /// A packet of a connection arrives.
    Packet(Box<Packet>),
    /// A timer of a connection fires.
    Timer(EndId),
    /// Something of the user of the network.
    Other(T),
}

impl<T: Fingerprint> Fingerprint for Event<T> {
    fn fingerprint(&self) -> u64 {
        match self {
            Event::Packet(packet) => packet.fingerprint(),
            Event::Timer(end) => mix(u64::from(end.connection) << 1 | u64::from(end.side)),
            Event::Other(other) => mix(other.fingerprint()),
        }
    }
}

/// What the user of a network is told.
#[derive(Debug)]
pub enum Told<T> {
    /// Something happened on a connection.
    Connection(EndId, Happening),
    /// The time of something of his own has come.
    Other(T),
}

/// A network. `T` is what its user has happen beside packets, for example datagrams of another
/// protocol that went through [`Packets::send`].
#[derive(Debug)]
pub struct Net<T> {
    /// What happens next.
    pub queue: Queue<Event<T>>,
    /// The wires.
    pub packets: Packets,
    /// The connections.
    pub quic: Quic,
}

impl<T: Fingerprint> Net<T> {
    /// A network of so many hosts.
    pub fn new(hosts: usize, model: LinkModel, congestion: Congestion, seed: u64) -> Self {
        Self {
            queue: Queue::new(),
            packets: Packets::new(hosts, model, seed),
            quic: Quic::new(hosts, congestion),
        }
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.queue.now()
    }

    /// Gives the wires what the connections want to send.
    fn settle(&mut self) {
        let now = self.queue.now();
        self.quic.flush(now);
        while let Some(packet) = self.quic.transmits.pop_front() {
            let [first, second] = self.packets.send(now, packet.from, packet.to, packet.bytes);
            if let Some(time) = second {
                self.queue.at(time, Event::Packet(Box::new(packet.duplicate())));
            }
            if let Some(time) = first {
                self.queue.at(time, Event::Packet(Box::new(packet)));
            }
        }
        for (due, end) in self.quic.timers.drain(..) {
            self.queue.at(due, Event::Timer(end));
        }
    }

    /// Goes on until there is something to tell, at most until a time; then that is the time.
    pub fn next(&mut self, until: Micros) -> Option<Told<T>> {
        loop {
            self.settle();
            if let Some((end, happening)) = self.quic.poll() {
                return Some(Told::Connection(end, happening));
            }
            let Some(event) = self.queue.pop(until) else {
                self.queue.advance(until);
                return None;
            };
            let now = self.queue.now();
            match event {
                Event::Packet(packet) => {
                    self.packets.arrived(packet.to, packet.bytes);
                    self.quic.packet(now, *packet);
                }
                Event::Timer(end) => self.quic.timer(now, end),
                Event::Other(other) => return Some(Told::Other(other)),
            }
        }
    }
}
