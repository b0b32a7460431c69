//! What members say to each other. A message is encoded as its numbers, padded to the length that
//! memberlist's MessagePack with field names gives it: what counts here is how long it is.

use super::events::Event;

/// A UDP packet begins with a checksum and its kind.
const PACKET_OVERHEAD: usize = 5;
/// Kind and count of a compound message.
const COMPOUND_HEADER: usize = 2;
/// And the length of each part.
pub(crate) const COMPOUND_OVERHEAD: usize = 2;

/// Room for messages in a packet.
pub(crate) const fn room(udp_buffer_size: usize) -> usize {
    udp_buffer_size - PACKET_OVERHEAD - COMPOUND_HEADER
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Ping {
        number: u32,
    },
    /// Probe somebody on my behalf.
    PingFor {
        number: u32,
        target: usize,
    },
    Ack {
        number: u32,
    },
    /// The target of a probe on your behalf did not answer in time.
    Nack {
        number: u32,
    },
    Suspect {
        member: usize,
        incarnation: u32,
        from: usize,
    },
    Alive {
        member: usize,
        incarnation: u32,
    },
    Dead {
        member: usize,
        incarnation: u32,
        from: usize,
    },
    /// Serf's user event.
    Event(Event),
}

impl Message {
    /// Its length in MessagePack, with names and addresses of typical lengths.
    fn length(&self) -> usize {
        /// Serf's envelope: kind, logical time, name, whether to coalesce.
        const EVENT_OVERHEAD: usize = 42;
        match self {
            Self::Ping { .. } => 77,
            Self::PingFor { .. } => 104,
            Self::Ack { .. } => 22,
            Self::Nack { .. } => 14,
            Self::Suspect { .. } | Self::Dead { .. } => 48,
            Self::Alive { .. } => 102,
            Self::Event(event) => EVENT_OVERHEAD + usize::from(event.length),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let short = |n: usize| u32::try_from(n).expect("so few members");
        let (kind, a, b, c) = match *self {
            Self::Ping { number } => (0, number, 0, 0),
            Self::PingFor { number, target } => (1, number, short(target), 0),
            Self::Ack { number } => (2, number, 0, 0),
            Self::Nack { number } => (3, number, 0, 0),
            Self::Suspect { member, incarnation, from } => {
                (4, short(member), incarnation, short(from))
            }
            Self::Alive { member, incarnation } => (5, short(member), incarnation, 0),
            Self::Dead { member, incarnation, from } => {
                (6, short(member), incarnation, short(from))
            }
            Self::Event(Event { id, time, length }) => (7, id, time, u32::from(length)),
        };
        let mut bytes = vec![kind];
        for number in [a, b, c] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        // The shortest is 13 bytes in this encoding.
        bytes.resize(self.length().max(bytes.len()), 0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
        };
        let (kind, a, b, c) = (*bytes.first()?, number(1)?, number(5)?, number(9)?);
        let member = usize::try_from(a).expect("32 bits");
        let from = usize::try_from(c).expect("32 bits");
        Some(match kind {
            0 => Self::Ping { number: a },
            1 => Self::PingFor { number: a, target: usize::try_from(b).expect("32 bits") },
            2 => Self::Ack { number: a },
            3 => Self::Nack { number: a },
            4 => Self::Suspect { member, incarnation: b, from },
            5 => Self::Alive { member, incarnation: b },
            6 => Self::Dead { member, incarnation: b, from },
            7 => Self::Event(Event { id: a, time: b, length: u16::try_from(c).ok()? }),
            _ => return None,
        })
    }
}

/// Puts messages into one packet.
pub(crate) fn pack(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = vec![0; PACKET_OVERHEAD];
    packet.push(u8::try_from(messages.len()).expect("a packet holds at most 255 messages"));
    packet.push(0);
    for message in messages {
        let length = u16::try_from(message.len()).expect("shorter than a packet");
        packet.extend_from_slice(&length.to_le_bytes());
        packet.extend_from_slice(message);
    }
    packet
}

/// Takes a packet apart.
pub(crate) fn unpack(packet: &[u8]) -> Vec<Message> {
    let mut rest = packet.get(PACKET_OVERHEAD + COMPOUND_HEADER..).unwrap_or_default();
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length));
        let Some((message, after)) = after.split_at_checked(length) else { break };
        messages.extend(Message::decode(message));
        rest = after;
    }
    messages
}
