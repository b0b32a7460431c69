//! What is said on streams: a probe that packets did not answer, memberlist's push/pull with
//! Serf's recent events in it, and the comparison of logs of the original BaseFS.

use std::time::Duration;

use super::Peer;
use super::events::Event;
use super::members::{Member, Members, Standing};
use super::stream::StreamId;

const PING: u8 = 0;
const PONG: u8 = 1;
const STATE: u8 = 2;
const STATE_BACK: u8 = 3;
const DIGEST: u8 = 4;
const SAME: u8 = 5;
const IDS: u8 = 6;
const LOG: u8 = 7;

/// A member's state in MessagePack with field names.
const MEMBER_BYTES: usize = 112;
/// An entry's id, as the original compares them: a SHA-256.
const ID_BYTES: usize = 32;

/// The message that a member answers to show that it is there.
pub(crate) fn ping() -> Vec<u8> {
    let mut message = vec![PING];
    message.resize(77, 0);
    message
}

impl Peer {
    /// `pushPull`: the whole state with a random member.
    pub(crate) fn push_pull(&mut self, now: Duration) {
        let is_alive =
            |members: &Members, peer: usize| members.get(peer).standing == Standing::Alive;
        let Some(&peer) = self.random_members(1, is_alive).first() else { return };
        let state = self.state(STATE);
        self.streams.open(now, peer, &state);
    }

    /// Compares logs with one member, the likelier the longer ago that was.
    pub(crate) fn synchronise(&mut self, now: Duration) {
        let waited: Vec<Duration> = (0..self.members.len())
            .map(|member| match self.members.hears(now, member) {
                true => now.saturating_sub(self.compared[member]),
                false => Duration::ZERO,
            })
            .collect();
        let mut draw = waited.iter().sum::<Duration>().mul_f64(self.random.unit());
        let drawn = waited.iter().position(|&waited| {
            let is_it = draw < waited;
            draw = draw.saturating_sub(waited);
            is_it
        });
        let Some(peer) = drawn else { return };
        self.compared[peer] = now;
        let mut message = vec![DIGEST];
        message.extend_from_slice(&self.events.digest().to_le_bytes());
        message.resize(1 + ID_BYTES, 0);
        self.streams.open(now, peer, &message);
    }

    /// A message on a stream.
    pub(crate) fn exchange(&mut self, now: Duration, stream: StreamId, message: &[u8]) {
        let Some((&kind, body)) = message.split_first() else { return };
        match kind {
            PING => self.streams.send(now, stream, &[PONG; 22]),
            PONG => self.prober.answered(stream),
            STATE => {
                let state = self.state(STATE_BACK);
                self.streams.send(now, stream, &state);
                self.merge(now, body);
            }
            STATE_BACK => self.merge(now, body),
            DIGEST => {
                self.compared[stream.peer] = now;
                let is_same = body.starts_with(&self.events.digest().to_le_bytes());
                let answer = if is_same { vec![SAME] } else { self.ids(IDS) };
                self.streams.send(now, stream, &answer);
            }
            IDS => self.answer_ids(now, stream, body),
            LOG => self.take_log(body),
            _ => {}
        }
    }

    fn state(&self, kind: u8) -> Vec<u8> {
        let mut message = vec![kind];
        for member in 0..self.members.len() {
            let Member { standing, incarnation, .. } = self.members.get(member);
            let mut record = vec![match standing {
                Standing::Alive => 0,
                Standing::Suspect => 1,
                Standing::Dead => 2,
            }];
            record.extend_from_slice(&incarnation.to_le_bytes());
            record.resize(MEMBER_BYTES, 0);
            message.extend_from_slice(&record);
        }
        for event in self.events.recent() {
            put_event(&mut message, event);
        }
        message
    }

    /// `mergeState`. A death is only suspected, for the dead may know better.
    fn merge(&mut self, now: Duration, body: &[u8]) {
        let (members, events) = body.split_at(self.members.len() * MEMBER_BYTES);
        for (member, record) in members.chunks(MEMBER_BYTES).enumerate() {
            let incarnation = u32::from_le_bytes([1, 2, 3, 4].map(|i| record[i]));
            match record[0] {
                0 => self.members.alive(now, member, incarnation),
                _ => self.members.suspect(now, member, incarnation, self.me),
            }
        }
        // Serf takes recent events over, but does not gossip them again.
        for event in get_events(events) {
            if self.events.hear(event) {
                self.keep(event);
            }
        }
    }

    fn ids(&self, kind: u8) -> Vec<u8> {
        let mut message = vec![kind];
        for id in self.events.log().keys() {
            message.extend_from_slice(&id.to_le_bytes());
            message.resize(message.len() + ID_BYTES - 4, 0);
        }
        message
    }

    /// Sends what the other end lacks, and which ids there are here so that it can do the same.
    fn answer_ids(&mut self, now: Duration, stream: StreamId, body: &[u8]) {
        let theirs: Vec<u32> = body.chunks_exact(ID_BYTES).filter_map(id_of).collect();
        let mut answer = vec![LOG];
        let ours = self.events.log();
        for event in ours.values().filter(|event| theirs.binary_search(&event.id).is_err()) {
            put_event(&mut answer, event);
        }
        if stream.dialed {
            let wanted = theirs.iter().any(|id| !ours.contains_key(id));
            if wanted {
                let ids = self.ids(IDS);
                self.streams.send(now, stream, &ids);
            }
        }
        if answer.len() > 1 {
            self.streams.send(now, stream, &answer);
        }
    }

    fn take_log(&mut self, body: &[u8]) {
        for event in get_events(body) {
            self.keep(event);
        }
    }
}

fn id_of(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
}

fn put_event(message: &mut Vec<u8>, event: &Event) {
    message.extend_from_slice(&event.id.to_le_bytes());
    message.extend_from_slice(&event.time.to_le_bytes());
    message.extend_from_slice(&event.length.to_le_bytes());
    message.resize(message.len() + usize::from(event.length), 0);
}

fn get_events(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<10>() {
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let length = u16::from_le_bytes([header[8], header[9]]);
        events.push(Event { id: number(0), time: number(4), length });
        bytes = rest.get(usize::from(length)..).unwrap_or_default();
    }
    events
}
