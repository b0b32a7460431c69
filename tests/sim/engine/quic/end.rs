//! One end of an established connection: packets out, packets in, what is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use basefs::gossip::{Path, PushId};
use bytes::Bytes;

use super::super::queue::Micros;
use super::congestion::{Acked, Congestion, Control, Lost};
use super::pacer::Pacer;
use super::stream::{In, Out, Ranges};

/// Most of UDP payload at first: what every path takes.
pub const PACKET: usize = 1_200;
/// Most of it once the path was found to take as much; that takes so many round trips.
const LARGE_PACKET: usize = 1_452;
const MTU_SEARCH: Micros = 6;
/// Where more than one of so many packets is lost, large ones are taken for the reason.
const MTU_LOSS: u64 = 20;
/// So many probe timeouts without anything that arrived are persistent congestion.
const PERSISTENT: Micros = 3;
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
    Ping,
}

/// A packet of an established connection.
#[derive(Clone, Debug)]
pub struct Packet {
    number: u64,
    parts: Vec<Part>,
    ack: Vec<(u64, u64)>,
    /// How long the newest of them has waited for it.
    ack_delay: Micros,
    /// Bytes of UDP payload.
    pub size: usize,
}

#[derive(Debug)]
struct Sent {
    at: Micros,
    size: usize,
    parts: Vec<Part>,
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
    /// The newest packet that arrived, and when.
    newest: (u64, Micros),
    packet: usize,
    started: Micros,
    /// Whether all was sent that there was.
    app_limited: bool,
    /// The first packet after the first measured round trip.
    first_after_rtt: Option<u64>,
    latest_rtt: Micros,
    srtt: Micros,
    rttvar: Micros,
    min_rtt: Micros,
    /// Whether a round trip was measured.
    pub has_rtt: bool,
    ptos: u32,
    probes: u32,
    last_sent: Micros,
    congestion: Congestion,
    pacer: Pacer,
    /// When more may be sent.
    paced_at: Option<Micros>,
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
            newest: (0, now),
            packet: PACKET,
            started: now,
            app_limited: true,
            first_after_rtt: None,
            latest_rtt: rtt,
            srtt: rtt,
            rttvar: rtt / 2,
            min_rtt: rtt,
            has_rtt: false,
            ptos: 0,
            probes: 0,
            last_sent: now,
            congestion: Congestion::new(control, PACKET),
            pacer: Pacer::default(),
            paced_at: None,
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
        (self.srtt.max(self.latest_rtt) * 9 / 8).max(1_000)
    }

    /// When to look again.
    pub fn timeout(&self) -> Option<Micros> {
        let overtaken = self.sent.range(..self.largest_acked).next();
        let lost = overtaken.map(|(_, sent)| sent.at + self.loss_delay());
        let pto = (!self.sent.is_empty() && lost.is_none())
            .then(|| self.last_sent + (self.pto() << self.ptos.min(10)));
        [self.ack_at, self.paced_at, lost, pto].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Micros) {
        if self.sent.range(..self.largest_acked).next().is_some() {
            self.detect_loss(now, false);
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
        let window = self.congestion.window();
        let has_room = is_probe || self.in_flight + self.packet < window;
        // A probe gets through even where the path takes less than it took.
        let most = if is_probe { PACKET } else { self.packet };
        let mut room = most - HEAD;
        let mut ack = Vec::new();
        let has_data = !self.datagrams.is_empty() || !self.ready.is_empty();
        let mut sends_data = has_room && (has_data || is_probe);
        self.app_limited = !has_data;
        self.paced_at = None;
        if sends_data && !is_probe {
            self.paced_at = self.pacer.wait(now, self.srtt, self.packet, window);
            sends_data = self.paced_at.is_none();
        }
        if !owes && !sends_data {
            return None;
        }
        if self.owed > 0 {
            ack = self.got.newest(MAX_RANGES);
            room -= 6 + 4 * ack.len();
            (self.owed, self.ack_at) = (0, None);
        }
        let ack_delay = now - self.newest.1;
        let mut parts = Vec::new();
        if sends_data {
            self.fill(&mut parts, &mut room);
            if parts.is_empty() && is_probe {
                // As quinn does it: what is on a stream is repeated only once it is known to be lost.
                parts.push(Part::Ping);
                room -= 1;
            }
        }
        if is_probe {
            self.probes -= 1;
        }
        if parts.is_empty() && ack.is_empty() {
            return None;
        }
        let (number, size) = (self.next, most - room);
        self.next += 1;
        if !parts.is_empty() {
            self.packets += 1;
            self.in_flight += size;
            self.last_sent = now;
            self.congestion.sent(now, number, size);
            self.pacer.sent(size);
            let parts = parts.clone();
            self.sent.insert(number, Sent { at: now, size, parts });
        }
        Some(Packet { number, parts, ack, ack_delay, size })
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

    /// A packet arrived. `other` is what the other end says on each of its streams.
    pub fn take(&mut self, now: Micros, packet: &Packet, other: &End) -> Vec<Up> {
        self.heard = now;
        let mut ups = Vec::new();
        self.take_ack(now, packet, &mut ups);
        if self.got.add(packet.number, packet.number + 1) == 0 {
            return ups;
        }
        let is_next = packet.number == self.newest.0 + 1;
        if packet.number > self.newest.0 {
            self.newest = (packet.number, now);
        }
        if packet.parts.is_empty() {
            return ups;
        }
        self.owed += 1;
        let at = if self.owed >= 2 || !is_next { now } else { now + MAX_ACK_DELAY };
        self.ack_at = Some(self.ack_at.map_or(at, |before| before.min(at)));
        for part in &packet.parts {
            match part {
                Part::Ping => {}
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

    fn take_ack(&mut self, now: Micros, packet: &Packet, ups: &mut Vec<Up>) {
        let mut newest = None;
        for (start, end) in &packet.ack {
            while let Some(number) = self.sent.range(*start..*end).next().map(|(number, _)| *number)
            {
                let Some(sent) = self.sent.remove(&number) else { break };
                self.acked(now, &sent, ups);
                newest = Some((number, sent.at));
            }
        }
        let Some((number, at)) = newest else { return };
        let largest = number.max(self.largest_acked);
        self.congestion.acked_all(now, self.in_flight, self.app_limited, largest);
        if number > self.largest_acked {
            self.largest_acked = number;
            self.measure(now - at, packet.ack_delay.min(MAX_ACK_DELAY));
        }
        self.detect_loss(now, true);
        self.ptos = 0;
        let is_found = now > self.started + MTU_SEARCH * self.srtt;
        let is_clean = self.lost * MTU_LOSS <= self.packets;
        self.packet = if is_found && is_clean { LARGE_PACKET } else { PACKET };
    }

    /// Takes a round trip into account, of which the other end spent a part on waiting.
    pub fn measure(&mut self, rtt: Micros, waited: Micros) {
        let rtt = rtt.max(1);
        self.latest_rtt = rtt;
        self.first_after_rtt.get_or_insert(self.next);
        if self.has_rtt {
            self.min_rtt = self.min_rtt.min(rtt);
            let rtt = if self.min_rtt + waited <= rtt { rtt - waited } else { rtt };
            self.rttvar = (3 * self.rttvar + self.srtt.abs_diff(rtt)) / 4;
            self.srtt = (7 * self.srtt + rtt) / 8;
        } else {
            (self.srtt, self.rttvar, self.min_rtt, self.has_rtt) = (rtt, rtt / 2, rtt, true);
        }
    }

    fn acked(&mut self, now: Micros, sent: &Sent, ups: &mut Vec<Up>) {
        self.in_flight -= sent.size;
        self.congestion.acked(
            now,
            &Acked {
                bytes: sent.size,
                app_limited: self.app_limited,
                min_rtt: self.min_rtt,
                srtt: self.srtt,
                sent: sent.at,
                packet: self.packet,
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

    fn detect_loss(&mut self, now: Micros, by_ack: bool) {
        let (largest, delay) = (self.largest_acked, self.loss_delay());
        let is_lost = |number: &u64, sent: &Sent| number + 3 <= largest || sent.at + delay <= now;
        let lost: Vec<u64> = self
            .sent
            .range(..largest)
            .filter(|(number, sent)| is_lost(number, sent))
            .map(|(number, _)| *number)
            .collect();
        let Some(last) = lost.last().map(|last| self.sent[last].at) else { return };
        let is_persistent = by_ack && self.is_persistent(&lost);
        let bytes = lost.iter().map(|number| self.sent[number].size).sum();
        let packet = self.packet;
        self.congestion.lost(now, &Lost { bytes, sent: last, is_persistent, packet });
        for number in lost {
            let Some(sent) = self.sent.remove(&number) else { continue };
            self.in_flight -= sent.size;
            self.lost += 1;
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

    /// Whether packets were lost for so long with none between them that arrived.
    fn is_persistent(&self, lost: &[u64]) -> bool {
        let long = PERSISTENT * self.pto();
        let after = self.first_after_rtt.unwrap_or(u64::MAX);
        // The number that would go on with the row, and when the row began.
        let mut row: Option<(u64, Micros)> = None;
        lost.iter().filter(|number| **number > after).any(|number| {
            let at = self.sent[number].at;
            let began = row.filter(|(next, _)| next == number).map_or(at, |(_, began)| began);
            row = Some((number + 1, began));
            at - began > long
        })
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
