//! One end of an established connection.

use std::collections::VecDeque;
use std::time::Duration;

use basefs::gossip::Path;
use bytes::Bytes;

use super::super::queue::{MILLI, Micros, SECOND};
use super::congestion::{Controller, Sample};
use super::recovery::{Ack, Flight, Received, Rtt, Sent};
use super::streams::{CHUNK_HEAD, Chunk, ReceiveStreams, SendStreams};
use super::{Control, HEADER, PACKET, SEND_BUFFER};

/// Type and length of a datagram's frame.
const DATAGRAM_HEAD: u64 = 3;
/// Datagrams that wait for the window; the oldest give way.
const MAX_DATAGRAMS: usize = 64;
/// The least room that a piece of a stream is worth.
const MIN_ROOM: u64 = CHUNK_HEAD + 16;
/// The pace is this part of a window per round trip, as in quinn.
const PACE: (u64, u64) = (5, 4);
/// How far packets may run ahead of the pace, in bytes at least and in time.
const BURST: u64 = 10 * PACKET;
const BURST_TIME: Micros = 2 * MILLI;

/// The contents of a packet of an established connection.
#[derive(Clone, Debug, Default)]
pub struct App {
    pub number: u64,
    pub is_eliciting: bool,
    pub chunks: Vec<Chunk>,
    pub datagrams: Vec<Bytes>,
    pub ack: Option<Ack>,
}

/// What a packet has brought.
#[derive(Debug, Default)]
pub struct Brought {
    pub pushed: Vec<Bytes>,
    pub datagrams: Vec<Bytes>,
    /// Pushes that were acknowledged in whole.
    pub ended: Vec<u64>,
    /// There is room again for what is sent on the ordered stream.
    pub has_room: bool,
}

/// One end.
#[derive(Debug)]
pub struct End {
    pub rtt: Rtt,
    controller: Controller,
    flight: Flight,
    received: Received,
    pub sends: SendStreams,
    pub receives: ReceiveStreams,
    datagrams: VecDeque<Bytes>,
    /// Packets sent and lost.
    counts: Path,
    /// There was nothing more to send when it was tried last.
    is_app_limited: bool,
    paced_at: Micros,
    /// There is something to send that waits for its turn in the pace.
    waits_for_pace: bool,
    probes: u32,
    last_heard: Micros,
    /// Something to be acknowledged was sent since: the time of silence counts from then.
    has_asked: bool,
    /// The owner of this end waits for room on the ordered stream.
    is_full: bool,
    idle_timeout: Micros,
    reported: Option<(Micros, Path)>,
    found: Vec<Sent>,
}

impl End {
    pub fn new(now: Micros, rtt: Rtt, control: Control, idle_timeout: Micros) -> Self {
        Self {
            rtt,
            controller: Controller::new(control),
            flight: Flight::default(),
            received: Received::default(),
            sends: SendStreams::default(),
            receives: ReceiveStreams::default(),
            datagrams: VecDeque::new(),
            counts: Path::default(),
            is_app_limited: true,
            paced_at: now,
            waits_for_pace: false,
            probes: 0,
            last_heard: now,
            has_asked: false,
            is_full: false,
            idle_timeout,
            reported: None,
            found: Vec::new(),
        }
    }

    pub fn datagram(&mut self, bytes: Bytes) {
        if self.datagrams.len() == MAX_DATAGRAMS {
            self.datagrams.pop_front();
        }
        self.datagrams.push_back(bytes);
    }

    /// Whether the next frame of the ordered stream should be written; if not, the first
    /// [`Brought::has_room`] says when.
    pub fn wants_frame(&mut self) -> bool {
        self.is_full = self.sends.unacknowledged() >= SEND_BUFFER;
        !self.is_full
    }

    fn has_data(&self) -> bool {
        !self.datagrams.is_empty() || self.sends.has_some()
    }

    /// The next packet to send now, with its bytes.
    pub fn next_packet(&mut self, now: Micros) -> Option<(App, u64)> {
        self.waits_for_pace = false;
        let has_data = self.has_data();
        self.is_app_limited = !has_data;
        let is_open = self.flight.bytes + PACKET < self.controller.window();
        self.waits_for_pace = has_data && is_open && self.paced_at > now + self.burst();
        let sends_data = self.probes > 0 || (has_data && is_open && !self.waits_for_pace);
        if !sends_data && !self.received.must_ack(now) {
            return None;
        }
        let mut app = App { number: self.flight.next_number(), ..App::default() };
        let mut bytes = HEADER;
        app.ack = self.received.ack(now);
        bytes += app.ack.map_or(0, |ack| ack.bytes());
        if sends_data {
            self.fill(&mut app, &mut bytes);
            app.is_eliciting = true;
            self.probes = self.probes.saturating_sub(1);
        }
        self.note_sent(now, &app, bytes);
        Some((app, bytes))
    }

    fn fill(&mut self, app: &mut App, bytes: &mut u64) {
        while let Some(next) = self.datagrams.front() {
            let length = next.len() as u64 + DATAGRAM_HEAD;
            if *bytes + length > PACKET {
                break;
            }
            *bytes += length;
            app.datagrams.extend(self.datagrams.pop_front());
        }
        while PACKET - *bytes >= MIN_ROOM
            && let Some(chunk) = self.sends.next_chunk(PACKET - *bytes)
        {
            *bytes += CHUNK_HEAD + (chunk.end - chunk.start);
            app.chunks.push(chunk);
        }
        if app.datagrams.is_empty() && app.chunks.is_empty() {
            // A ping, as quinn has it: what streams carry is sent again once it is known to be
            // lost, and not before.
            *bytes += 1;
        }
    }

    /// How long so many bytes take at the pace.
    fn pace(&self, bytes: u64) -> Micros {
        bytes * self.rtt.srtt * PACE.1 / (self.controller.window() * PACE.0).max(1)
    }

    fn burst(&self) -> Micros {
        self.pace(BURST).max(BURST_TIME)
    }

    fn note_sent(&mut self, now: Micros, app: &App, bytes: u64) {
        if !app.is_eliciting {
            return self.flight.push(None);
        }
        self.controller.sent(now, app.number, bytes);
        self.paced_at = self.paced_at.max(now) + self.pace(bytes);
        if !std::mem::replace(&mut self.has_asked, true) {
            self.last_heard = now;
        }
        self.counts.packets += 1;
        self.flight.push(Some(Sent {
            number: app.number,
            at: now,
            bytes,
            chunks: app.chunks.clone(),
        }));
    }

    /// Takes a packet in. `from` is what the other end sends from.
    pub fn take(&mut self, now: Micros, app: App, from: &mut SendStreams) -> Brought {
        let mut brought = Brought::default();
        (self.last_heard, self.has_asked) = (now, false);
        if !self.received.take(now, app.number, app.is_eliciting) {
            return brought;
        }
        if let Some(ack) = app.ack {
            self.take_ack(now, &ack, &mut brought);
        }
        for chunk in &app.chunks {
            brought.pushed.extend(self.receives.take(chunk, from));
        }
        brought.datagrams = app.datagrams;
        brought
    }

    fn take_ack(&mut self, now: Micros, ack: &Ack, brought: &mut Brought) {
        let mut found = std::mem::take(&mut self.found);
        if self.flight.acked(ack, &mut found)
            && let Some(latest) = found.first()
        {
            self.rtt.sample(now - latest.at, ack.delay);
        }
        let is_news = !found.is_empty();
        if is_news {
            self.flight.timeouts = 0;
        }
        for sent in found.drain(..).rev() {
            let sample = Sample {
                now,
                sent_at: sent.at,
                bytes: sent.bytes,
                is_app_limited: self.is_app_limited,
                srtt: self.rtt.srtt,
                min_rtt: self.rtt.min,
            };
            self.controller.acked(&sample);
            brought.ended.extend(sent.chunks.iter().filter_map(|chunk| self.sends.acked(chunk)));
        }
        self.found = found;
        if let Some(largest) = self.flight.largest_acked.filter(|_| is_news) {
            let (in_flight, is_limited) = (self.flight.bytes, self.is_app_limited);
            self.controller.acked_all(now, in_flight, is_limited, largest);
        }
        brought.has_room = self.is_full && self.wants_frame();
        self.find_lost(now);
    }

    fn find_lost(&mut self, now: Micros) {
        let lost = self.flight.lost(now, &self.rtt);
        let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return };
        // Persistent congestion: three time-outs without anything that arrived.
        let is_all = last.number - first.number < lost.len() as u64;
        let for_long = is_all && last.at - first.at > 3 * self.rtt.pto();
        let bytes = lost.iter().map(|sent| sent.bytes).sum();
        self.controller.lost(now, bytes, last.at, for_long);
        self.counts.lost += lost.len() as u64;
        lost.iter().flat_map(|sent| &sent.chunks).for_each(|chunk| self.sends.lost(chunk));
    }

    /// When [`due`](Self::due) has something to do, or the next packet can be sent.
    pub fn timeout(&self) -> Micros {
        let pace = self.waits_for_pace.then(|| self.paced_at.saturating_sub(self.burst()));
        let probe = self.flight.loss_due.or_else(|| self.flight.probe_due(&self.rtt));
        let times = [self.received.ack_due, probe, pace, Some(self.idle_at())];
        times.into_iter().flatten().min().unwrap_or(Micros::MAX)
    }

    fn idle_at(&self) -> Micros {
        self.last_heard + self.idle_timeout
    }

    /// Does what is due; false if the other end has been silent for too long.
    pub fn due(&mut self, now: Micros) -> bool {
        if self.idle_at() <= now {
            return false;
        }
        if self.flight.loss_due.is_some() {
            if self.flight.loss_due.is_some_and(|due| due <= now) {
                self.find_lost(now);
            }
        } else if self.flight.probe_due(&self.rtt).is_some_and(|due| due <= now) {
            self.flight.timeouts += 1;
            self.probes = 2;
        }
        true
    }

    /// What is known of the path, if that is news.
    pub fn path(&mut self, now: Micros) -> Option<Path> {
        if self.reported.is_some_and(|(at, _)| at + SECOND > now) {
            return None;
        }
        let before = self.reported.map(|(_, path)| path);
        let path = Path { rtt: Duration::from_micros(self.rtt.srtt), ..self.counts };
        let is_news = before.is_none_or(|before| {
            before.rtt.abs_diff(path.rtt) > before.rtt / 8
                || (before.packets, before.lost) != (path.packets, path.lost)
        });
        is_news.then(|| {
            self.reported = Some((now, path));
            path
        })
    }
}
