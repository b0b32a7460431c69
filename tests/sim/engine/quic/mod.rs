//! A model of QUIC: what the transport of basefs does to frames, pushes and datagrams, packet by
//! packet.
//!
//! Modelled: the handshake with its sizes, round trips and repetitions, and the hello after it;
//! acknowledgements and their delay, loss detection by packets, by time and by probe timeout, with
//! exponential back-off (RFC 9002); congestion control; streams without head-of-line blocking among
//! each other; datagrams; idle timeouts. Not modelled: cryptography, flow control, migration.

mod bbr;
mod congestion;
mod end;
mod pacer;
mod shake;
mod stream;

pub use congestion::Control;
pub use end::{End, PACKET, Packet, Up};
pub use shake::{Shaking, Step};

use self::shake::Shake;
use super::queue::Micros;

/// What a round trip is taken for before one was measured.
const INITIAL_RTT: Micros = 100_000;
/// A dial that has come to nothing for so long fails.
pub const DIAL_TIMEOUT: Micros = 75_000_000;
/// A peer that is silent for so long is gone.
pub const IDLE_TIMEOUT: Micros = 120_000_000;

/// Bytes of UDP payload of a packet that closes.
const CLOSE: usize = 60;

/// What travels between two ends.
#[derive(Clone, Debug)]
pub enum Datagram {
    /// Of a handshake.
    Shake(Shaking),
    /// Established.
    Packet(Packet),
    /// The connection is closed.
    Close,
    /// There is no such connection here.
    Reset,
}

impl Datagram {
    /// Bytes of UDP payload.
    pub fn size(&self) -> usize {
        match self {
            Datagram::Shake(packet) => packet.step.size(),
            Datagram::Packet(packet) => packet.size,
            Datagram::Close | Datagram::Reset => CLOSE,
        }
    }

    /// Whether it begins a connection.
    pub fn is_initial(&self) -> bool {
        matches!(self, Datagram::Shake(packet) if packet.step == Step::Initial)
    }
}

/// How far an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Shaking,
    Open,
    Closed,
}

#[derive(Debug)]
struct Side {
    stage: Stage,
    shake: Shake,
    end: End,
}

/// A connection, or the attempt at one.
#[derive(Debug)]
pub struct Connection {
    /// The hosts at its ends; the first dialled.
    pub hosts: [usize; 2],
    pub since: Micros,
    sides: [Side; 2],
    started: [Micros; 2],
}

/// What comes of an input.
#[derive(Debug)]
pub enum Event {
    /// The connection stands, as far as this end is concerned.
    Opened,
    /// It is gone.
    Closed,
    Up(Up),
}

impl Connection {
    pub fn dial(hosts: [usize; 2], control: Control, now: Micros) -> Self {
        let side = |is_dialler| Side {
            stage: Stage::Shaking,
            shake: Shake::new(is_dialler, now),
            end: End::new(control, now, INITIAL_RTT),
        };
        Self { hosts, since: now, sides: [side(true), side(false)], started: [now; 2] }
    }

    pub fn end(&mut self, at: usize) -> Option<&mut End> {
        let side = &mut self.sides[at];
        (side.stage == Stage::Open).then_some(&mut side.end)
    }

    pub fn is_open(&self, at: usize) -> bool {
        self.sides[at].stage == Stage::Open
    }

    /// Whether the dialler is done with TLS, and only the hello of basefs is to come.
    pub fn is_secured(&self) -> bool {
        self.sides[0].shake.is_answering
    }

    pub fn is_over(&self) -> bool {
        self.sides.iter().all(|side| side.stage == Stage::Closed)
    }

    /// Closes one end; gives what tells the other, if it knows of the connection.
    pub fn close(&mut self, at: usize) -> Option<Datagram> {
        let before = std::mem::replace(&mut self.sides[at].stage, Stage::Closed);
        (before == Stage::Open).then_some(Datagram::Close)
    }

    /// An end forgets the connection without a word.
    pub fn forget(&mut self, at: usize) {
        self.sides[at].stage = Stage::Closed;
    }

    /// Something arrives at an end. What is to be sent in answer at once goes to `answers`.
    pub fn take(
        &mut self,
        now: Micros,
        at: usize,
        datagram: &Datagram,
        answers: &mut Vec<Datagram>,
    ) -> Vec<Event> {
        let (first, second) = self.sides.split_at_mut(1);
        let (side, other) =
            if at == 0 { (&mut first[0], &second[0]) } else { (&mut second[0], &first[0]) };
        side.end.heard = now;
        match (datagram, side.stage) {
            (Datagram::Close | Datagram::Reset, Stage::Open) => {
                side.stage = Stage::Closed;
                vec![Event::Closed]
            }
            (Datagram::Close | Datagram::Reset, _) => Vec::new(),
            (Datagram::Packet(packet), Stage::Open) => {
                side.end.take(now, packet, &other.end).into_iter().map(Event::Up).collect()
            }
            (_, Stage::Closed) => {
                answers.push(Datagram::Reset);
                Vec::new()
            }
            (Datagram::Shake(packet), Stage::Shaking) => {
                let (said, is_open) = side.shake.take(now, *packet);
                answers.extend(said.into_iter().map(Datagram::Shake));
                if is_open { Self::open(side, now) } else { Vec::new() }
            }
            (Datagram::Shake(packet), Stage::Open) => {
                // The answer to the hello was lost.
                let (said, _) = side.shake.take(now, *packet);
                answers.extend(said.into_iter().map(Datagram::Shake));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn open(side: &mut Side, now: Micros) -> Vec<Event> {
        side.stage = Stage::Open;
        side.shake.due = None;
        side.end.heard = now;
        side.shake.rtt.into_iter().for_each(|rtt| side.end.measure(rtt, 0));
        vec![Event::Opened]
    }

    /// When an end wants to be looked at again.
    pub fn timeout(&self, at: usize) -> Option<Micros> {
        let side = &self.sides[at];
        match side.stage {
            Stage::Closed => None,
            Stage::Open => {
                let idle = side.end.heard + IDLE_TIMEOUT;
                Some(side.end.timeout().map_or(idle, |due| due.min(idle)))
            }
            Stage::Shaking => side.shake.due,
        }
    }

    pub fn handle_timeout(
        &mut self,
        now: Micros,
        at: usize,
        answers: &mut Vec<Datagram>,
    ) -> Vec<Event> {
        let started = self.started[at];
        let side = &mut self.sides[at];
        match side.stage {
            Stage::Closed => Vec::new(),
            Stage::Open if side.end.heard + IDLE_TIMEOUT <= now => {
                side.stage = Stage::Closed;
                vec![Event::Closed]
            }
            Stage::Open => {
                side.end.handle_timeout(now);
                Vec::new()
            }
            Stage::Shaking if side.shake.due.is_none_or(|due| due > now) => Vec::new(),
            Stage::Shaking if now >= started + DIAL_TIMEOUT => {
                side.stage = Stage::Closed;
                vec![Event::Closed]
            }
            Stage::Shaking => {
                answers.extend(side.shake.repeat(now).into_iter().map(Datagram::Shake));
                Vec::new()
            }
        }
    }
}
