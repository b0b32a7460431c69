//! Between the connections, the wires and the queue: packets become events, and events packets.

use super::packets::{IP_UDP, Packets};
use super::queue::{Micros, Queue};
use super::quic::{EndId, Packet, Quic};

/// What the connections have happen.
#[derive(Debug)]
pub enum Carried {
    /// A packet arrives.
    Packet(Box<Packet>),
    /// A timer fires.
    Timer(EndId),
}

impl Carried {
    /// Lets it happen.
    pub fn happen<E>(self, queue: &mut Queue<E>, packets: &mut Packets, quic: &mut Quic) {
        let now = queue.now();
        match self {
            Carried::Packet(packet) => {
                queue.note(packet.fingerprint());
                packets.arrived(packet.to, ip_bytes(&packet));
                quic.packet(now, *packet);
            }
            Carried::Timer(end) => quic.timer(now, end),
        }
    }
}

fn ip_bytes(packet: &Packet) -> usize {
    usize::try_from(packet.bytes).expect("packets are small") + IP_UDP
}

/// Sends what the connections want to send now, and sets their timers.
pub fn settle<E: From<Carried>>(queue: &mut Queue<E>, packets: &mut Packets, quic: &mut Quic) {
    let now: Micros = queue.now();
    quic.flush(now);
    while let Some(packet) = quic.transmits.pop_front() {
        let bytes = ip_bytes(&packet);
        let [first, second] = packets.send(now, packet.from, packet.to, bytes);
        if let Some(time) = second {
            queue.push(time, Carried::Packet(Box::new(packet.duplicate())).into());
        }
        if let Some(time) = first {
            queue.push(time, Carried::Packet(Box::new(packet)).into());
        }
    }
    for (due, end) in quic.timers.drain(..) {
        queue.push(due, Carried::Timer(end).into());
    }
}
