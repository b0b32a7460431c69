//! One end of an established connection: packets out, packets in, what is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use basefs::gossip::{Path, PushId};
use bytes::Bytes;

use super::super::queue::Micros;
use super::congestion::{Acked, Congestion, Control};
use super::stream::{In, Out, Ranges};

/// Most of UDP payload: what every path takes.
pub const PACKET: usize = 1_200;
/// Header and authentication of a packet.
const HEAD: usize = 29;
const STREAM_HEAD: usize = 6;
const DATAGRAM_HEAD: usize = 3;
const MAX_ACK_DELAY: Micros = 25_000;
/// Ranges of one acknowledgement.
const MAX_RANGES: usize = 32;
/// Bytes of datagrams that wait; the oldest make room.
const DATAGRAM_BUFFER: usize = 65_536;
/// Bytes of the ordered stream that are taken before they can be sent.
const STREAM_BUFFER: u64 = 65_536;
/// The stream that is ordered; others have one frame each.
const ORDERED: u64 = 0;
/// Looks that loss is computed over, and the least number of packets.
const LOOKS: usize = 10;
const MIN_PACKETS: u64 = 20;

/// A part of a packet.
#[derive(Clone, Debug)]
enum Part {
    Stream { id: u64, start: u64, end: u64 },
    Datagram(Bytes),
}

/// A packet of an established connection.
#[derive(Clone, Debug)]
pub struct Packet {
    number: u64,
    parts: Vec<Part>,
    ack: Vec<(u64, u64)>,
    /// Bytes of UDP payload.
    pub size: usize,
}

#[derive(Debug)]
struct Sent {
    at: Micros,
    size: usize,
    parts: Vec<Part>,
    delivered: u64,
    delivered_at: Micros,
    app_limited: bool,
}

/// What the host is told.
#[derive(Debug)]
pub enum Up {
    Frame(Bytes),
    Pushed(Bytes),
    PushEnded(PushId),
    Datagram(Bytes),
}

/// One end.
#[derive(Debug)]
pub struct End {
    next: u64,
    sent: BTreeMap<u64, Sent>,
    in_flight: usize,
    largest_acked: u64,
    got: Ranges,
    owed: u32,
    ack_at: Option<Micros>,
    srtt: Micros,
    rttvar: Micros,
    min_rtt: Micros,
    /// Whether a round trip was measured.
    pub has_rtt: bool,
    ptos: u32,
    probes: u32,
    last_sent: Micros,
    congestion: Congestion,
    delivered: u64,
    delivered_at: Micros,
    datagrams: VecDeque<Bytes>,
    datagram_bytes: usize,
    out: BTreeMap<u64, Out>,
    ready: BTreeSet<u64>,
    incoming: BTreeMap<u64, In>,
    /// Streams of one frame that were read.
    finished: Ranges,
    next_stream: u64,
    /// When anything came last.
    pub heard: Micros,
    packets: u64,
    lost: u64,
    looks: VecDeque<(u64, u64)>,
    told: Option<Path>,
}

impl End {
    pub fn new(control: Control, now: Micros, rtt: Micros) -> Self {
        Self {
            next: 1,
            sent: BTreeMap::new(),
            in_flight: 0,
            largest_acked: 0,
            got: Ranges::default(),
            owed: 0,
            ack_at: None,
            srtt: rtt,
            rttvar: rtt / 2,
            min_rtt: rtt,
            has_rtt: false,
            ptos: 0,
            probes: 0,
            last_sent: now,
            congestion: Congestion::new(control),
            delivered: 0,
            delivered_at: now,
            datagrams: VecDeque::new(),
            datagram_bytes: 0,
            out: BTreeMap::from([(ORDERED, Out::default())]),
            ready: BTreeSet::new(),
            incoming: BTreeMap::new(),
            finished: Ranges::default(),
            next_stream: 1,
            heard: now,
            packets: 0,
            lost: 0,
            looks: VecDeque::new(),
            told: None,
        }
    }

    pub fn say(&mut self, frame: Bytes) {
        self.out.entry(ORDERED).or_default().say(frame);
        self.ready.insert(ORDERED);
    }

    /// Whether the ordered stream takes more.
    pub fn takes_more(&self) -> bool {
        self.out.get(&ORDERED).is_none_or(|out| out.unsent() < STREAM_BUFFER)
    }

    pub fn push(&mut self, push: PushId, frame: Bytes) {
        let id = self.next_stream;
        self.next_stream += 1;
        let out = self.out.entry(id).or_default();
        out.push = Some(push);
        out.say(frame);
        self.ready.insert(id);
    }

    pub fn datagram(&mut self, bytes: Bytes) {
        self.datagram_bytes += bytes.len();
        self.datagrams.push_back(bytes);
        while self.datagram_bytes > DATAGRAM_BUFFER {
            let oldest = self.datagrams.pop_front();
            self.datagram_bytes -= oldest.map_or(0, |oldest| oldest.len());
        }
    }

    fn pto(&self) -> Micros {
        self.srtt + (4 * self.rttvar).max(1_000) + MAX_ACK_DELAY
    }

    fn loss_delay(&self) -> Micros {
        self.srtt.max(1_000) * 9 / 8
    }

    /// When to look again.
    pub fn timeout(&self) -> Option<Micros> {
        let overtaken = self.sent.range(..self.largest_acked).next();
        let lost = overtaken.map(|(_, sent)| sent.at + self.loss_delay());
        let pto = (!self.sent.is_empty() && lost.is_none())
            .then(|| self.last_sent + (self.pto() << self.ptos.min(10)));
        [self.ack_at, lost, pto].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Micros) {
        if self.sent.range(..self.largest_acked).next().is_some() {
            self.detect_loss(now);
        } else if !self.sent.is_empty() && self.last_sent + (self.pto() << self.ptos.min(10)) <= now
        {
            self.ptos += 1;
            self.probes = 2;
        }
    }

    /// The next packet to send, if there is something and room for it.
    pub fn next_packet(&mut self, now: Micros) -> Option<Packet> {
        let owes = self.ack_at.is_some_and(|at| at <= now);
        let is_probe = self.probes > 0;
        let has_room = is_probe || self.in_flight + PACKET <= self.congestion.window();
        let mut room = PACKET - HEAD;
        let mut ack = Vec::new();
        let has_data = !self.datagrams.is_empty() || !self.ready.is_empty();
        let sends_data = has_room && (has_data || is_probe);
        if !owes && !sends_data {
            return None;
        }
        if self.owed > 0 {
            ack = self.got.newest(MAX_RANGES);
            room -= 6 + 4 * ack.len();
            (self.owed, self.ack_at) = (0, None);
        }
        let mut parts = Vec::new();
        if sends_data {
            self.fill(&mut parts, &mut room);
            if parts.is_empty() && is_probe {
                parts = self.repeat(room);
                room -= parts.iter().map(Part::size).sum::<usize>().min(room);
            }
        }
        if is_probe {
            self.probes -= 1;
        }
        if parts.is_empty() && ack.is_empty() {
            return None;
        }
        let (number, size) = (self.next, PACKET - room);
        self.next += 1;
        if !parts.is_empty() {
            self.packets += 1;
            self.in_flight += size;
            self.last_sent = now;
            if self.sent.is_empty() {
                self.delivered_at = now;
            }
            let app_limited = self.datagrams.is_empty() && self.ready.is_empty();
            let (delivered, delivered_at) = (self.delivered, self.delivered_at);
            let parts = parts.clone();
            self.sent.insert(
                number,
                Sent { at: now, size, parts, delivered, delivered_at, app_limited },
            );
        }
        Some(Packet { number, parts, ack, size })
    }

    fn fill(&mut self, parts: &mut Vec<Part>, room: &mut usize) {
        while let Some(next) = self.datagrams.front()
            && next.len() + DATAGRAM_HEAD <= *room
        {
            *room -= next.len() + DATAGRAM_HEAD;
            self.datagram_bytes -= next.len();
            parts.extend(self.datagrams.pop_front().map(Part::Datagram));
        }
        while *room > STREAM_HEAD
            && let Some(id) = self.ready.first().copied()
        {
            let Some(out) = self.out.get_mut(&id) else {
                self.ready.remove(&id);
                continue;
            };
            if let Some((start, end)) = out.next((*room - STREAM_HEAD) as u64) {
                *room -= STREAM_HEAD + (end - start) as usize;
                parts.push(Part::Stream { id, start, end });
            }
            if !out.has_to_send() {
                self.ready.remove(&id);
            }
        }
    }

    /// What was sent longest ago, for a probe.
    fn repeat(&self, room: usize) -> Vec<Part> {
        let skipped = usize::from(self.probes == 1);
        let mut unanswered = self.sent.values().filter(|sent| {
            sent.parts.iter().any(|part| matches!(part, Part::Stream { .. }))
                && sent.size <= room + HEAD
        });
        let oldest = unanswered.clone().nth(skipped).or_else(|| unanswered.next());
        let parts = oldest.map(|sent| sent.parts.clone()).unwrap_or_default();
        let mut parts: Vec<Part> =
            parts.into_iter().filter(|part| matches!(part, Part::Stream { .. })).collect();
        if parts.is_empty() {
            // A PING.
            parts.push(Part::Stream { id: u64::MAX, start: 0, end: 0 });
        }
        parts
    }

    /// A packet arrived. `other` is what the other end says on each of its streams.
    pub fn take(&mut self, now: Micros, packet: &Packet, other: &End) -> Vec<Up> {
        self.heard = now;
        let mut ups = Vec::new();
        self.take_ack(now, &packet.ack, &mut ups);
        if self.got.add(packet.number, packet.number + 1) == 0 || packet.parts.is_empty() {
            return ups;
        }
        self.owed += 1;
        let at = if self.owed >= 2 { now } else { now + MAX_ACK_DELAY };
        self.ack_at = Some(self.ack_at.map_or(at, |before| before.min(at)));
        for part in &packet.parts {
            match part {
                Part::Datagram(bytes) => ups.push(Up::Datagram(bytes.clone())),
                Part::Stream { id, .. } if self.finished.contains(*id) => {}
                Part::Stream { id, start, end } => {
                    let frames =
                        self.incoming.entry(*id).or_default().take(*start, *end, other.out.get(id));
                    let up = if *id == ORDERED { Up::Frame } else { Up::Pushed };
                    if *id != ORDERED && !frames.is_empty() {
                        self.incoming.remove(id);
                        self.finished.add(*id, *id + 1);
                    }
                    ups.extend(frames.into_iter().map(up));
                }
            }
        }
        ups
    }

    fn take_ack(&mut self, now: Micros, ranges: &[(u64, u64)], ups: &mut Vec<Up>) {
        let mut newest = None;
        for (start, end) in ranges {
            let acked: Vec<u64> =
                self.sent.range(*start..*end).map(|(number, _)| *number).collect();
            for number in acked {
                let Some(sent) = self.sent.remove(&number) else { continue };
                self.acked(now, &sent, ups);
                newest = Some((number, sent.at));
            }
        }
        let Some((number, at)) = newest else { return };
        self.ptos = 0;
        if number > self.largest_acked {
            self.largest_acked = number;
            self.measure(now - at);
        }
        self.detect_loss(now);
    }

    fn measure(&mut self, rtt: Micros) {
        let rtt = rtt.max(1);
        if self.has_rtt {
            self.min_rtt = self.min_rtt.min(rtt);
            self.rttvar = (3 * self.rttvar + self.srtt.abs_diff(rtt)) / 4;
            self.srtt = (7 * self.srtt + rtt) / 8;
        } else {
            (self.srtt, self.rttvar, self.min_rtt, self.has_rtt) = (rtt, rtt / 2, rtt, true);
        }
    }

    fn acked(&mut self, now: Micros, sent: &Sent, ups: &mut Vec<Up>) {
        self.in_flight -= sent.size;
        self.delivered += sent.size as u64;
        self.delivered_at = now;
        let took = (now - sent.delivered_at).max(1) as f64;
        let rate = (self.delivered - sent.delivered) as f64 / took;
        self.congestion.acked(
            now,
            &Acked {
                bytes: sent.size,
                delivered: self.delivered,
                delivered_before: sent.delivered,
                rate,
                app_limited: sent.app_limited,
                min_rtt: self.min_rtt,
            },
        );
        for part in &sent.parts {
            if let Part::Stream { id, start, end } = part
                && let Some(out) = self.out.get_mut(id)
                && out.acked(*start, *end)
                && *id != ORDERED
            {
                ups.extend(out.push.map(Up::PushEnded));
                self.out.remove(id);
                self.ready.remove(id);
            }
        }
    }

    fn detect_loss(&mut self, now: Micros) {
        let (largest, delay) = (self.largest_acked, self.loss_delay());
        let is_lost = |number: &u64, sent: &Sent| number + 3 <= largest || sent.at + delay <= now;
        let lost: Vec<u64> = self
            .sent
            .range(..largest)
            .filter(|(number, sent)| is_lost(number, sent))
            .map(|(number, _)| *number)
            .collect();
        for number in lost {
            let Some(sent) = self.sent.remove(&number) else { continue };
            self.in_flight -= sent.size;
            self.lost += 1;
            self.congestion.lost(now, sent.at, self.ptos >= 2);
            for part in sent.parts {
                if let Part::Stream { id, start, end } = part
                    && let Some(out) = self.out.get_mut(&id)
                {
                    out.lost(start, end);
                    if out.has_to_send() {
                        self.ready.insert(id);
                    }
                }
            }
        }
    }

    /// What is worth telling of the path; asked about once a second.
    pub fn look_at_path(&mut self) -> Option<Path> {
        self.looks.push_back((self.packets, self.lost));
        if self.looks.len() > LOOKS + 1 {
            self.looks.pop_front();
        }
        let (packets, lost) = self.looks[0];
        let (packets, lost) = (self.packets - packets, self.lost - lost);
        let before = self.told.map_or(0, |path| path.loss_permille);
        let loss_permille = if packets < MIN_PACKETS {
            before
        } else {
            u16::try_from(lost * 1_000 / packets).unwrap_or(1_000).min(1_000)
        };
        let path = Path { rtt: Duration::from_micros(self.srtt), loss_permille };
        let is_news = self.told.is_none_or(|told| {
            told.rtt.abs_diff(path.rtt) > told.rtt / 8
                || told.loss_permille.abs_diff(loss_permille) >= 20
        });
        if !is_news {
            return None;
        }
        self.told = Some(path);
        Some(path)
    }
}

impl Part {
    fn size(&self) -> usize {
        match self {
            Part::Stream { start, end, .. } => STREAM_HEAD + (end - start) as usize,
            Part::Datagram(bytes) => DATAGRAM_HEAD + bytes.len(),
        }
    }
}
