//! A model of QUIC connections: what of the protocol decides when things arrive and how many bytes
//! that takes. It does no I/O: packets and timers that it wants are taken out and given back.
//!
//! Left out: path discovery, flow control of whole connections, keys, the payload's bytes on the
//! wire (a packet names ranges of streams, the receiver reads them at the sender).

mod bbr;
mod congestion;
mod end;
mod ranges;
mod recovery;
mod shake;
mod streams;

use std::collections::VecDeque;

use basefs::gossip::Path;
use bytes::Bytes;

use super::queue::{Micros, SECOND};
use super::rng::mix;
pub use congestion::Control;
use end::{App, Brought, End};
use shake::{Progress, Shake, Step};
use streams::SendStreams;

/// The longest packet, without the headers of IP and UDP.
pub const PACKET: u64 = 1_200;
/// Header and authentication of a packet.
pub const HEADER: u64 = 29;
/// A packet that closes a connection, or says that there is none.
const CLOSE: u64 = 45;
/// Unread bytes of the ordered stream.
const STREAM_WINDOW: u64 = 2 << 20;
/// Bytes on the ordered stream that were not acknowledged.
const SEND_BUFFER: u64 = 4 << 20;
/// Packets kept that came before the beginning was over.
const MAX_EARLY: usize = 32;

/// One end of a connection: its number, and 0 for who dialled or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndId {
    /// The connection.
    pub connection: u32,
    /// The side.
    pub side: u8,
}

impl EndId {
    fn index(self) -> (usize, usize) {
        (self.connection as usize, usize::from(self.side))
    }

    /// The other end.
    pub fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}

/// A packet under way.
#[derive(Debug)]
pub struct Packet {
    /// The sending host.
    pub from: usize,
    /// The receiving host.
    pub to: usize,
    /// Bytes without the headers of IP and UDP.
    pub bytes: u64,
    /// The receiving end.
    end: EndId,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Shake {
        step: Step,
        sent: Micros,
        answers: Micros,
    },
    App(App),
    Close,
    /// There is no such connection.
    Reset,
}

impl Packet {
    /// Tells packets apart in the hash of a run.
    pub fn fingerprint(&self) -> u64 {
        let kind = match &self.kind {
            Kind::Shake { .. } => 0,
            Kind::App(app) => 1 + app.number,
            Kind::Close => u64::MAX,
            Kind::Reset => u64::MAX - 1,
        };
        let end = u64::from(self.end.connection) << 1 | u64::from(self.end.side);
        mix(mix(end ^ (self.bytes << 40)) ^ kind)
    }

    /// The same packet once more.
    pub fn duplicate(&self) -> Self {
        Self { kind: self.kind.clone(), ..*self }
    }
}

/// What happened on an end, in order.
#[derive(Debug)]
pub enum Happening {
    /// The dialling end has finished the handshake of TLS.
    Secured,
    /// The connection stands, both sides have introduced themselves.
    Up,
    /// The attempt to connect was given up.
    Failed,
    /// The connection is gone.
    Down,
    /// A frame of the ordered stream can be read.
    Readable,
    /// The ordered stream has room again.
    Writable,
    /// A frame came on a stream of its own.
    Pushed(Bytes),
    /// A push was acknowledged in whole, or never will be.
    PushEnded(u64, bool),
    /// A datagram came.
    Datagram(Bytes),
    /// Something new is known about the path.
    Path(Path),
}

#[derive(Debug)]
enum Side {
    Absent,
    Shaking(Shake),
    Open(Box<End>),
    Gone,
}

#[derive(Debug)]
struct Connection {
    since: Micros,
    sides: [Side; 2],
    /// When a timer of a side fires, if one is set.
    timers: [Option<Micros>; 2],
    early: Vec<Packet>,
    /// Whether a side waits to be looked at.
    is_touched: [bool; 2],
}

/// All connections of a network.
#[derive(Debug)]
pub struct Quic {
    control: Control,
    idle_timeout: Micros,
    /// A connection that is gone leaves its place: its number is never used again.
    connections: Vec<Option<Box<Connection>>>,
    /// The hosts of each, also of those that are gone.
    hosts: Vec<[usize; 2]>,
    is_up: Vec<bool>,
    touched: VecDeque<EndId>,
    /// Packets to be sent.
    pub transmits: VecDeque<Packet>,
    /// Timers to be set.
    pub timers: Vec<(Micros, EndId)>,
    happenings: VecDeque<(EndId, Happening)>,
}

impl Quic {
    /// No connections.
    pub fn new(hosts: usize, control: Control) -> Self {
        Self {
            control,
            idle_timeout: 120 * SECOND,
            connections: Vec::new(),
            hosts: Vec::new(),
            is_up: vec![true; hosts],
            touched: VecDeque::new(),
            transmits: VecDeque::new(),
            timers: Vec::new(),
            happenings: VecDeque::new(),
        }
    }

    /// How connections made from now on adapt.
    pub fn set_control(&mut self, control: Control) {
        self.control = control;
    }

    /// How much silence ends a connection made from now on.
    pub fn set_idle_timeout(&mut self, timeout: Micros) {
        self.idle_timeout = timeout;
    }

    /// The next thing that happened.
    pub fn poll(&mut self) -> Option<(EndId, Happening)> {
        self.happenings.pop_front()
    }

    /// The host of an end, also of one that is gone.
    pub fn host(&self, end: EndId) -> Option<usize> {
        let (at, side) = end.index();
        Some(self.hosts.get(at)?[side])
    }

    /// The host at the other end.
    pub fn peer(&self, end: EndId) -> Option<usize> {
        self.host(end.other())
    }

    /// The end of a connection that is at a host.
    pub fn end_at(&self, connection: u64, host: usize) -> Option<EndId> {
        let connection = u32::try_from(connection).ok()?;
        let ends = [0, 1].map(|side| EndId { connection, side });
        ends.into_iter().find(|end| self.host(*end) == Some(host))
    }

    /// When a connection was dialled.
    pub fn since(&self, end: EndId) -> Option<Micros> {
        Some(self.connections.get(end.index().0)?.as_ref()?.since)
    }

    /// How many connections stand, as far as both ends know.
    pub fn standing(&self) -> usize {
        let sides = self.connections.iter().flatten().map(|connection| &connection.sides);
        sides.filter(|sides| sides.iter().all(|side| matches!(side, Side::Open(_)))).count()
    }

    /// Begins a connection; gives the dialling end.
    pub fn dial(&mut self, now: Micros, from: usize, to: usize) -> EndId {
        let connection = u32::try_from(self.connections.len()).expect("fewer than 2^32");
        let end = EndId { connection, side: 0 };
        self.hosts.push([from, to]);
        self.connections.push(Some(Box::new(Connection {
            since: now,
            sides: [Side::Shaking(Shake::new(now, true)), Side::Absent],
            timers: [None; 2],
            early: Vec::new(),
            is_touched: [false; 2],
        })));
        self.send_flight(now, end);
        self.touch(end);
        end
    }

    fn connection(&mut self, end: EndId) -> Option<&mut Connection> {
        self.connections.get_mut(end.index().0)?.as_deref_mut()
    }

    fn side(&mut self, end: EndId) -> Option<&mut Side> {
        self.connection(end).map(|connection| &mut connection.sides[end.index().1])
    }

    fn open(&mut self, end: EndId) -> Option<&mut End> {
        match self.side(end)? {
            Side::Open(open) => Some(open),
            _ => None,
        }
    }

    /// An end is looked at before time goes on: it may have something to send.
    fn touch(&mut self, end: EndId) {
        if let Some(connection) = self.connection(end)
            && !std::mem::replace(&mut connection.is_touched[end.index().1], true)
        {
            self.touched.push_back(end);
        }
    }

    /// Whether the next frame of the ordered stream should be written; if not,
    /// [`Happening::Writable`] says when. Never, if there is no connection.
    pub fn wants_frame(&mut self, end: EndId) -> bool {
        self.open(end).is_some_and(End::wants_frame)
    }

    /// Writes a frame to the ordered stream.
    pub fn write(&mut self, end: EndId, frame: Bytes) {
        if let Some(open) = self.open(end) {
            open.sends.write(frame);
            self.touch(end);
        }
    }

    /// Reads a frame of the ordered stream.
    pub fn read(&mut self, end: EndId) -> Option<Bytes> {
        let (at, side) = end.index();
        let connection = self.connections.get_mut(at)?.as_mut()?;
        let (one, other) = two(&mut connection.sides, side);
        let (Side::Open(reader), Side::Open(writer)) = (one, other) else { return None };
        let frame = reader.receives.read(&mut writer.sends)?;
        writer.sends.allow(reader.receives.offset() + STREAM_WINDOW);
        self.touch(end.other());
        Some(frame)
    }

    /// Sends a frame on a stream of its own.
    pub fn push(&mut self, end: EndId, token: u64, frame: Bytes) {
        match self.open(end) {
            Some(open) => open.sends.push(token, frame),
            None => self.happenings.push_back((end, Happening::PushEnded(token, false))),
        }
        self.touch(end);
    }

    /// Sends a datagram, or loses it.
    pub fn datagram(&mut self, end: EndId, bytes: Bytes) {
        if let Some(open) = self.open(end) {
            open.datagram(bytes);
            self.touch(end);
        }
    }

    /// Ends a connection. Nothing more happens on this end.
    pub fn close(&mut self, now: Micros, end: EndId) {
        if matches!(self.side(end), Some(Side::Open(_) | Side::Shaking(_))) {
            // What was written before goes out before.
            self.touch(end);
            self.flush(now);
            self.transmit(end, CLOSE, Kind::Close);
            self.forget(end);
        }
    }

    /// A host is gone without a word.
    pub fn crash(&mut self, host: usize) {
        self.is_up[host] = false;
        let ends = (0..self.connections.len()).flat_map(|at| {
            let connection = u32::try_from(at).expect("counted in 32 bits");
            [0, 1].map(|side| EndId { connection, side })
        });
        let own: Vec<EndId> = ends.filter(|end| self.host(*end) == Some(host)).collect();
        own.into_iter().for_each(|end| self.forget(end));
    }

    /// A host is back, and knows nothing of its connections.
    pub fn restart(&mut self, host: usize) {
        self.is_up[host] = true;
    }

    fn forget(&mut self, end: EndId) {
        let (at, side) = end.index();
        let Some(connection) = self.connections[at].as_mut() else { return };
        connection.sides[side] = Side::Gone;
        if connection.sides.iter().all(|side| matches!(side, Side::Gone | Side::Absent)) {
            self.connections[at] = None;
        }
    }

    /// An end has gone, and its owner is told.
    fn end(&mut self, end: EndId, happening: Happening) {
        if let Some(open) = self.open(end) {
            let pushes: Vec<u64> = open.sends.open_pushes().collect();
            let ended = pushes.into_iter().map(|token| (end, Happening::PushEnded(token, false)));
            self.happenings.extend(ended);
        }
        self.forget(end);
        self.happenings.push_back((end, happening));
    }

    fn transmit(&mut self, from: EndId, bytes: u64, kind: Kind) {
        let (at, side) = from.index();
        let (host, to) = (self.hosts[at][side], self.hosts[at][1 - side]);
        self.transmits.push_back(Packet { from: host, to, bytes, end: from.other(), kind });
    }

    fn send_flight(&mut self, now: Micros, end: EndId) {
        let Some(Side::Shaking(shake)) = self.side(end) else { return };
        let answers = shake.answers;
        for step in shake.flight() {
            self.transmit(end, step.bytes(), Kind::Shake { step: *step, sent: now, answers });
        }
    }

    /// A packet arrives.
    pub fn packet(&mut self, now: Micros, packet: Packet) {
        if !self.is_up[packet.to] {
            return;
        }
        let end = packet.end;
        let is_over = matches!(packet.kind, Kind::Close | Kind::Reset);
        match self.side(end) {
            None | Some(Side::Gone) if is_over => {}
            None | Some(Side::Gone) => {
                let (from, to) = (packet.to, packet.from);
                let reset = Packet { from, to, bytes: CLOSE, end: end.other(), kind: Kind::Reset };
                self.transmits.push_back(reset);
            }
            Some(Side::Absent) => self.begin(now, &packet),
            Some(side) if is_over => {
                let is_open = matches!(side, Side::Open(_));
                // Nobody was told of a server's end that did not get so far.
                match (is_open, end.side) {
                    (true, _) => self.end(end, Happening::Down),
                    (false, 0) => self.end(end, Happening::Failed),
                    _ => self.forget(end),
                }
            }
            Some(_) => self.take(now, packet),
        }
    }

    /// Somebody dials a host.
    fn begin(&mut self, now: Micros, packet: &Packet) {
        if let Kind::Shake { step: Step::Initial, sent, .. } = packet.kind
            && let Some(side) = self.side(packet.end)
        {
            let mut shake = Shake::new(now, false);
            shake.answers = sent;
            *side = Side::Shaking(shake);
            self.send_flight(now, packet.end);
            self.touch(packet.end);
        }
    }

    fn take(&mut self, now: Micros, packet: Packet) {
        let end = packet.end;
        match (self.side(end), packet.kind) {
            (Some(Side::Shaking(shake)), Kind::Shake { step, sent, answers }) => {
                match shake.take(now, step, sent, answers) {
                    Progress::Nothing => {}
                    Progress::Ack => {
                        let ack = Kind::Shake { step: Step::Ack, sent: now, answers: sent };
                        self.transmit(end, Step::Ack.bytes(), ack);
                    }
                    Progress::Send => {
                        self.send_flight(now, end);
                        self.happenings.push_back((end, Happening::Secured));
                    }
                    Progress::Open => self.establish(now, end, sent),
                }
            }
            (Some(Side::Open(_)), Kind::Shake { step: Step::Hello, sent, .. }) => {
                self.welcome(now, end, sent);
            }
            (Some(Side::Shaking(_)), kind @ Kind::App(_)) => {
                if let Some(connection) = self.connection(end)
                    && connection.early.len() < MAX_EARLY
                {
                    connection.early.push(Packet { kind, ..packet });
                }
            }
            (Some(Side::Open(_)), Kind::App(app)) => self.take_app(now, end, app),
            _ => {}
        }
        self.touch(end);
    }

    fn welcome(&mut self, now: Micros, end: EndId, answers: Micros) {
        let welcome = Kind::Shake { step: Step::Welcome, sent: now, answers };
        self.transmit(end, Step::Welcome.bytes(), welcome);
    }

    fn establish(&mut self, now: Micros, end: EndId, answers: Micros) {
        let (control, idle_timeout) = (self.control, self.idle_timeout);
        let Some(side) = self.side(end) else { return };
        let Side::Shaking(shake) = side else { return };
        let mut open = Box::new(End::new(now, shake.rtt, control, idle_timeout));
        open.sends.allow(STREAM_WINDOW);
        *side = Side::Open(open);
        if end.side == 1 {
            self.welcome(now, end, answers);
        }
        self.happenings.push_back((end, Happening::Up));
        let early = self.connection(end).map(|connection| std::mem::take(&mut connection.early));
        early.into_iter().flatten().for_each(|packet| self.take(now, packet));
    }

    fn take_app(&mut self, now: Micros, end: EndId, app: App) {
        let (at, side) = end.index();
        let Some(connection) = self.connections[at].as_mut() else { return };
        let (one, other) = two(&mut connection.sides, side);
        // What was under way from an end that is gone is lost with it.
        let mut nothing = SendStreams::default();
        let Side::Open(open) = one else { return };
        let from = match other {
            Side::Open(other) => &mut other.sends,
            _ => &mut nothing,
        };
        let Brought { pushed, datagrams, ended, has_room } = open.take(now, app, from);
        let is_readable = open.receives.has_frame(from);
        let mut tell = |happening| self.happenings.push_back((end, happening));
        datagrams.into_iter().map(Happening::Datagram).for_each(&mut tell);
        pushed.into_iter().map(Happening::Pushed).for_each(&mut tell);
        ended.into_iter().map(|token| Happening::PushEnded(token, true)).for_each(&mut tell);
        if is_readable {
            tell(Happening::Readable);
        }
        if has_room {
            tell(Happening::Writable);
        }
    }

    /// A timer fires.
    pub fn timer(&mut self, now: Micros, end: EndId) {
        let Some(connection) = self.connection(end) else { return };
        let timer = &mut connection.timers[end.index().1];
        // One that was set earlier than another is of no account any more.
        if timer.take_if(|due| *due <= now).is_none() {
            return;
        }
        match self.side(end) {
            Some(Side::Shaking(shake)) if shake.due <= now => {
                if shake.timed_out(now) {
                    self.send_flight(now, end);
                } else if end.side == 0 {
                    self.end(end, Happening::Failed);
                } else {
                    self.forget(end);
                }
            }
            Some(Side::Open(open)) => {
                let is_alive = open.due(now);
                if !is_alive {
                    self.end(end, Happening::Down);
                }
            }
            _ => {}
        }
        self.touch(end);
    }

    /// Sends what can be sent now. To be called after anything else, before time goes on.
    pub fn flush(&mut self, now: Micros) {
        while let Some(end) = self.touched.pop_front() {
            let Some(connection) = self.connection(end) else { continue };
            connection.is_touched[end.index().1] = false;
            while let Some((app, bytes)) = self.open(end).and_then(|open| open.next_packet(now)) {
                self.transmit(end, bytes, Kind::App(app));
            }
            if let Some(path) = self.open(end).and_then(|open| open.path(now)) {
                self.happenings.push_back((end, Happening::Path(path)));
            }
            self.arm(end);
        }
    }

    fn arm(&mut self, end: EndId) {
        let due = match self.side(end) {
            Some(Side::Shaking(shake)) => shake.due,
            Some(Side::Open(open)) => open.timeout(),
            _ => return,
        };
        let Some(connection) = self.connection(end) else { return };
        let timer = &mut connection.timers[end.index().1];
        if timer.is_none_or(|before| due < before) {
            *timer = Some(due);
            self.timers.push((due, end));
        }
    }
}

/// One of two, and the other.
fn two<T>(both: &mut [T; 2], first: usize) -> (&mut T, &mut T) {
    let [a, b] = both;
    if first == 0 { (a, b) } else { (b, a) }
}
