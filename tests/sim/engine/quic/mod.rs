//! A model of QUIC: what the transport of basefs does to frames, pushes and datagrams, packet by
//! packet.
//!
//! Modelled: the handshake with its sizes, round trips and repetitions, and the hello after it;
//! acknowledgements and their delay, loss detection by packets, by time and by probe timeout, with
//! exponential back-off (RFC 9002); congestion control; streams without head-of-line blocking among
//! each other; datagrams; idle timeouts. Not modelled: cryptography, flow control, migration.

mod congestion;
mod end;
mod stream;

pub use congestion::Control;
pub use end::{End, PACKET, Packet, Up};

use super::queue::Micros;

/// The first repetition of a handshake packet; doubles.
const SHAKE_PTO: Micros = 300_000;
/// A dial that has come to nothing for so long fails.
pub const DIAL_TIMEOUT: Micros = 75_000_000;
/// A peer that is silent for so long is gone.
pub const IDLE_TIMEOUT: Micros = 120_000_000;

/// Sizes of handshake packets, in bytes of UDP payload.
const INITIAL: usize = 1_200;
const FLIGHT: [usize; 2] = [1_200, 700];
const FINISHED: usize = 720;
const WELCOME: usize = 150;
const CLOSE: usize = 60;

/// What travels between two ends.
#[derive(Clone, Debug)]
pub enum Datagram {
    /// Dialler: hello, TLS.
    Initial,
    /// The answer, part 0 and 1.
    Flight(u8),
    /// Dialler: the end of TLS, and the hello of basefs.
    Finished,
    /// The answer to the hello.
    Welcome,
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
            Datagram::Initial => INITIAL,
            Datagram::Flight(part) => FLIGHT[usize::from(*part)],
            Datagram::Finished => FINISHED,
            Datagram::Welcome => WELCOME,
            Datagram::Packet(packet) => packet.size,
            Datagram::Close | Datagram::Reset => CLOSE,
        }
    }
}

/// How far an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Dialler: has sent Initial. Other: has heard nothing.
    Start,
    /// Dialler: has the flight and has sent Finished. Other: has sent the flight.
    Shaken,
    Open,
    Closed,
}

#[derive(Debug)]
struct Side {
    stage: Stage,
    flight: [bool; 2],
    repeat_at: Option<Micros>,
    repeats: u32,
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
        let side = || Side {
            stage: Stage::Start,
            flight: [false; 2],
            repeat_at: None,
            repeats: 0,
            end: End::new(control, now, 100_000),
        };
        let mut sides = [side(), side()];
        sides[0].repeat_at = Some(now);
        Self { hosts, since: now, sides, started: [now; 2] }
    }

    pub fn end(&mut self, at: usize) -> Option<&mut End> {
        let side = &mut self.sides[at];
        (side.stage == Stage::Open).then_some(&mut side.end)
    }

    pub fn is_open(&self, at: usize) -> bool {
        self.sides[at].stage == Stage::Open
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
            (Datagram::Initial, Stage::Start | Stage::Shaken) => {
                side.stage = Stage::Shaken;
                answers.extend([Datagram::Flight(0), Datagram::Flight(1)]);
                side.repeat_at = Some(now + (SHAKE_PTO << side.repeats.min(8)));
                Vec::new()
            }
            (Datagram::Flight(part), Stage::Start) if at == 0 => {
                side.flight[usize::from(*part)] = true;
                if side.flight == [true; 2] {
                    side.stage = Stage::Shaken;
                    side.repeats = 0;
                    answers.push(Datagram::Finished);
                    side.repeat_at = Some(now + SHAKE_PTO);
                }
                Vec::new()
            }
            (Datagram::Finished, Stage::Shaken) if at == 1 => {
                answers.push(Datagram::Welcome);
                Self::open(side, now)
            }
            (Datagram::Finished, Stage::Open) => {
                answers.push(Datagram::Welcome);
                Vec::new()
            }
            (Datagram::Welcome, Stage::Shaken) if at == 0 => Self::open(side, now),
            _ => Vec::new(),
        }
    }

    fn open(side: &mut Side, now: Micros) -> Vec<Event> {
        side.stage = Stage::Open;
        side.repeat_at = None;
        side.end.heard = now;
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
            _ => side.repeat_at,
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
            _ if side.repeat_at.is_none_or(|due| due > now) => Vec::new(),
            _ if now >= started + DIAL_TIMEOUT => {
                side.stage = Stage::Closed;
                vec![Event::Closed]
            }
            stage => {
                match (at, stage) {
                    (0, Stage::Start) => answers.push(Datagram::Initial),
                    (0, _) => answers.push(Datagram::Finished),
                    _ => answers.extend([Datagram::Flight(0), Datagram::Flight(1)]),
                }
                side.repeat_at = Some(now + (SHAKE_PTO << side.repeats.min(8)));
                side.repeats += 1;
                Vec::new()
            }
        }
    }
}
