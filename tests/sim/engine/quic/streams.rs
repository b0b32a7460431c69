//! Streams of one direction of a connection: one in order that lasts, and short ones of one frame.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::ranges::Ranges;

/// The stream that lasts has this number; those of one frame count from 1.
pub const ORDERED: u64 = 0;
/// Streams of one frame that may be open at a time.
const MAX_PUSHES: usize = 64;
/// Length in front of a frame.
const FRAME_LENGTH: u64 = 4;
/// Type, stream, offset and length of a piece of a stream.
pub const CHUNK_HEAD: u64 = 8;

/// Part of a stream in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub stream: u64,
    pub start: u64,
    pub end: u64,
}

/// One stream at its sender.
#[derive(Debug, Default)]
struct Sending {
    /// Bytes written.
    written: u64,
    /// Bytes sent at least once.
    sent: u64,
    /// To be sent again.
    lost: Ranges,
    acked: Ranges,
    /// It stands in the order of those that have something to send.
    is_queued: bool,
}

impl Sending {
    fn has_some(&self, allowed: u64) -> bool {
        !self.lost.is_empty() || self.sent < self.written.min(allowed)
    }

    /// What is sent next, lost bytes first.
    fn take(&mut self, most: u64, allowed: u64) -> Option<(u64, u64)> {
        if let Some(range) = self.lost.take(most) {
            return Some(range);
        }
        let end = self.written.min(allowed).min(self.sent + most);
        (end > self.sent).then(|| (std::mem::replace(&mut self.sent, end), end))
    }
}

/// All that one end sends on streams. What was sent stays here until the other end has read it:
/// packets carry offsets, not bytes.
#[derive(Debug, Default)]
pub struct SendStreams {
    ordered: Sending,
    /// Frames of the ordered stream that were not read yet, with the offsets of their ends.
    frames: VecDeque<(u64, Bytes)>,
    pushes: BTreeMap<u64, (Sending, u64)>,
    /// The bytes of pushes that did not arrive in whole.
    bodies: BTreeMap<u64, Bytes>,
    next_push: u64,
    /// Pushes that wait until the other end lets more streams be open.
    waiting: VecDeque<(u64, Bytes)>,
    /// Who sends next, in turn.
    turn: VecDeque<u64>,
    /// How far the other end lets the ordered stream go.
    allowed: u64,
}

impl SendStreams {
    /// Adds a frame to the ordered stream.
    pub fn write(&mut self, frame: Bytes) {
        self.ordered.written += frame.len() as u64 + FRAME_LENGTH;
        self.frames.push_back((self.ordered.written, frame));
        self.queue(ORDERED);
    }

    /// Bytes of the ordered stream that were written and not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        self.ordered.written - self.ordered.acked.prefix()
    }

    /// Opens a stream for one frame; `token` comes back when it is acknowledged.
    pub fn push(&mut self, token: u64, frame: Bytes) {
        if self.pushes.len() >= MAX_PUSHES {
            return self.waiting.push_back((token, frame));
        }
        self.next_push += 1;
        let written = frame.len() as u64 + FRAME_LENGTH;
        self.pushes.insert(self.next_push, (Sending { written, ..Sending::default() }, token));
        self.bodies.insert(self.next_push, frame);
        self.queue(self.next_push);
    }

    /// The other end has room for the ordered stream up to here.
    pub fn allow(&mut self, offset: u64) {
        self.allowed = self.allowed.max(offset);
        self.queue(ORDERED);
    }

    fn sending(&mut self, stream: u64) -> Option<&mut Sending> {
        if stream == ORDERED {
            return Some(&mut self.ordered);
        }
        self.pushes.get_mut(&stream).map(|(sending, _)| sending)
    }

    fn allowed(&self, stream: u64) -> u64 {
        if stream == ORDERED { self.allowed } else { u64::MAX }
    }

    fn queue(&mut self, stream: u64) {
        let allowed = self.allowed(stream);
        if let Some(sending) = self.sending(stream)
            && !sending.is_queued
            && sending.has_some(allowed)
        {
            sending.is_queued = true;
            self.turn.push_back(stream);
        }
    }

    /// Whether there is something to send, again or for the first time.
    pub fn has_some(&self) -> bool {
        !self.turn.is_empty()
    }

    /// The next piece that fits so many bytes with its head.
    pub fn next_chunk(&mut self, room: u64) -> Option<Chunk> {
        let most = room.checked_sub(CHUNK_HEAD).filter(|most| *most > 0)?;
        while let Some(stream) = self.turn.pop_front() {
            let allowed = self.allowed(stream);
            let Some(sending) = self.sending(stream) else { continue };
            sending.is_queued = false;
            let taken = sending.take(most, allowed);
            self.queue(stream);
            if let Some((start, end)) = taken {
                return Some(Chunk { stream, start, end });
            }
        }
        None
    }

    /// A piece has arrived. Gives the token of a push that is complete thereby.
    pub fn acked(&mut self, chunk: &Chunk) -> Option<u64> {
        let sending = self.sending(chunk.stream)?;
        sending.acked.insert(chunk.start, chunk.end);
        sending.lost.remove(chunk.start, chunk.end);
        if chunk.stream == ORDERED || sending.acked.prefix() < sending.written {
            return None;
        }
        let ended = self.pushes.remove(&chunk.stream).map(|(_, token)| token);
        if let Some((token, frame)) = self.waiting.pop_front() {
            self.push(token, frame);
        }
        ended
    }

    /// A piece is to be sent again, except what of it is known to have arrived.
    pub fn lost(&mut self, chunk: &Chunk) {
        let Some(sending) = self.sending(chunk.stream) else { return };
        sending.lost.insert(chunk.start, chunk.end);
        let Sending { lost, acked, .. } = sending;
        lost.remove_all(acked);
        self.queue(chunk.stream);
    }

    /// The tokens of pushes that were not acknowledged in whole.
    pub fn open_pushes(&self) -> impl Iterator<Item = u64> + '_ {
        let waiting = self.waiting.iter().map(|(token, _)| *token);
        self.pushes.values().map(|(_, token)| *token).chain(waiting)
    }
}

/// What one end has received on streams.
#[derive(Debug, Default)]
pub struct ReceiveStreams {
    ordered: Ranges,
    /// How far the ordered stream was read.
    read: u64,
    pushes: BTreeMap<u64, Ranges>,
}

impl ReceiveStreams {
    /// Takes a piece in. Gives a pushed frame that is complete thereby.
    pub fn take(&mut self, chunk: &Chunk, from: &mut SendStreams) -> Option<Bytes> {
        if chunk.stream == ORDERED {
            self.ordered.insert(chunk.start, chunk.end);
            return None;
        }
        // What arrived in whole is forgotten by its sender too.
        let length = from.bodies.get(&chunk.stream)?.len() as u64 + FRAME_LENGTH;
        if chunk.end - chunk.start < length {
            let got = self.pushes.entry(chunk.stream).or_default();
            got.insert(chunk.start, chunk.end);
            if got.prefix() < length {
                return None;
            }
            self.pushes.remove(&chunk.stream);
        }
        from.bodies.remove(&chunk.stream)
    }

    /// Reads the next frame of the ordered stream, if it is here in whole.
    pub fn read(&mut self, from: &mut SendStreams) -> Option<Bytes> {
        let (end, frame) = from.frames.pop_front_if(|(end, _)| *end <= self.ordered.prefix())?;
        self.read = end;
        Some(frame)
    }

    /// Whether a frame of the ordered stream can be read.
    pub fn has_frame(&self, from: &SendStreams) -> bool {
        from.frames.front().is_some_and(|(end, _)| *end <= self.ordered.prefix())
    }

    /// How far the ordered stream was read.
    pub fn offset(&self) -> u64 {
        self.read
    }
}
