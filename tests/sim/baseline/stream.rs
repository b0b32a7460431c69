//! Reliable streams over packets that get lost: TCP as far as it matters here, which is how long
//! messages take and what they cost. It is kinder than TCP: every segment is acknowledged by
//! itself, and loss never makes the window smaller.

use std::collections::BTreeMap;
use std::time::Duration;

/// Payload of a segment.
const SEGMENT: usize = 1360;
/// Ports, numbers, window, options: what TCP sends more than UDP, and this model's own fields.
const HEADER: usize = 20;
/// Segments sent before the first acknowledgement.
const INITIAL_WINDOW: usize = 10;
/// Before the round trip is known, as RFC 6298 wants.
const INITIAL_RTO: Duration = Duration::from_secs(1);
/// What Linux waits at least.
const MIN_RTO: Duration = Duration::from_millis(200);

/// One connection, from the view of either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId {
    pub(crate) peer: usize,
    /// Whether this end opened it.
    pub(crate) dialed: bool,
    number: u32,
}

const SYN: u8 = 0;
const SYN_ACK: u8 = 1;
const DATA: u8 = 2;
const LAST: u8 = 3;
const ACK: u8 = 4;

#[derive(Debug)]
struct Segment {
    kind: u8,
    payload: Vec<u8>,
    /// When it is sent again, once it was sent.
    due: Option<Duration>,
    sent: Duration,
    tries: u32,
}

#[derive(Debug)]
struct Stream {
    ready: bool,
    deadline: Duration,
    rto: Duration,
    window: usize,
    /// By number; number 0 is the handshake. What is acknowledged is gone.
    out: BTreeMap<u32, Segment>,
    next: u32,
    got: BTreeMap<u32, (bool, Vec<u8>)>,
    wanted: u32,
    partial: Vec<u8>,
}

/// All connections of a member.
#[derive(Debug)]
pub(crate) struct Streams {
    timeout: Duration,
    numbers: u32,
    open: BTreeMap<StreamId, Stream>,
    /// Packets to be sent, and to whom.
    pub(crate) packets: Vec<(usize, Vec<u8>)>,
}

impl Streams {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, numbers: 0, open: BTreeMap::new(), packets: Vec::new() }
    }

    /// Opens a connection and sends a message on it as soon as it stands.
    pub(crate) fn open(&mut self, now: Duration, peer: usize, message: &[u8]) -> StreamId {
        self.numbers += 1;
        let id = StreamId { peer, dialed: true, number: self.numbers };
        let mut stream = Stream::new(now + self.timeout);
        stream.out.insert(0, Segment::new(SYN, Vec::new()));
        self.open.insert(id, stream);
        self.send(now, id, message);
        id
    }

    /// Sends another message, unless the connection is gone.
    pub(crate) fn send(&mut self, now: Duration, id: StreamId, message: &[u8]) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let count = message.len().div_ceil(SEGMENT);
        for (i, part) in message.chunks(SEGMENT).enumerate() {
            let kind = if i + 1 == count { LAST } else { DATA };
            stream.out.insert(stream.next, Segment::new(kind, part.to_vec()));
            stream.next += 1;
        }
        self.pump(now, id);
    }

    /// Takes a packet; gives the messages that are whole now.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        peer: usize,
        bytes: &[u8],
    ) -> Vec<(StreamId, Vec<u8>)> {
        let Some((header, payload)) = bytes.split_first_chunk::<HEADER>() else {
            return Vec::new();
        };
        let field = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let (kind, dialed, number, segment) = (header[1], header[2] == 0, field(4), field(8));
        let id = StreamId { peer, dialed, number };
        if kind == SYN {
            let deadline = now + self.timeout;
            let stream = self.open.entry(id).or_insert_with(|| Stream::new(deadline));
            stream.ready = true;
            self.packet(id, SYN_ACK, 0, &[]);
            return Vec::new();
        }
        let Some(stream) = self.open.get_mut(&id) else { return Vec::new() };
        let mut messages = Vec::new();
        match kind {
            SYN_ACK => {
                stream.ready = true;
                stream.acknowledged(now, 0);
            }
            ACK => stream.acknowledged(now, segment),
            _ => {
                messages = stream.take(segment, kind == LAST, payload);
                self.packet(id, ACK, segment, &[]);
            }
        }
        self.pump(now, id);
        messages.into_iter().map(|message| (id, message)).collect()
    }

    pub(crate) fn timeout(&mut self, now: Duration) {
        self.open.retain(|_, stream| now < stream.deadline);
        let ids: Vec<StreamId> = self.open.keys().copied().collect();
        for id in ids {
            self.pump(now, id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let due = self.open.values().flat_map(|stream| {
            stream.out.values().filter_map(|segment| segment.due).chain([stream.deadline])
        });
        due.min()
    }

    /// Sends what may be sent, and what was lost again.
    fn pump(&mut self, now: Duration, id: StreamId) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let (ready, window, rto) = (stream.ready, stream.window, stream.rto);
        let mut sent = Vec::new();
        for (&number, segment) in stream.out.iter_mut().take(window) {
            let may = ready || segment.kind == SYN;
            if !may || segment.due.is_some_and(|due| due > now) {
                continue;
            }
            segment.due = Some(now + rto * (1 << segment.tries.min(6)));
            segment.sent = now;
            segment.tries += 1;
            sent.push((segment.kind, number, segment.payload.clone()));
        }
        for (kind, number, payload) in sent {
            self.packet(id, kind, number, &payload);
        }
    }

    fn packet(&mut self, id: StreamId, kind: u8, segment: u32, payload: &[u8]) {
        let mut bytes = vec![super::STREAM_PACKET, kind, u8::from(id.dialed), 0];
        bytes.extend_from_slice(&id.number.to_le_bytes());
        bytes.extend_from_slice(&segment.to_le_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(payload);
        self.packets.push((id.peer, bytes));
    }
}

impl Segment {
    fn new(kind: u8, payload: Vec<u8>) -> Self {
        Self { kind, payload, due: None, sent: Duration::ZERO, tries: 0 }
    }
}

impl Stream {
    fn new(deadline: Duration) -> Self {
        Self {
            ready: false,
            deadline,
            rto: INITIAL_RTO,
            window: INITIAL_WINDOW,
            out: BTreeMap::new(),
            next: 1,
            got: BTreeMap::new(),
            wanted: 1,
            partial: Vec::new(),
        }
    }

    fn acknowledged(&mut self, now: Duration, number: u32) {
        let Some(segment) = self.out.remove(&number) else { return };
        self.window += 1;
        if segment.tries == 1 {
            self.rto = MIN_RTO.max((now - segment.sent) * 2);
        }
    }

    /// Puts a segment where it belongs; gives the messages that it completes.
    fn take(&mut self, number: u32, last: bool, payload: &[u8]) -> Vec<Vec<u8>> {
        if number >= self.wanted {
            self.got.insert(number, (last, payload.to_vec()));
        }
        let mut messages = Vec::new();
        while let Some((last, payload)) = self.got.remove(&self.wanted) {
            self.wanted += 1;
            self.partial.extend_from_slice(&payload);
            if last {
                messages.push(std::mem::take(&mut self.partial));
            }
        }
        messages
    }
}
