//! The messages of membership.
//!
//! ```text
//! datagrams
//!   ping    = 1 seq(4) flags(1) [claim(20)] print(4) rumors     flags: 1 claim,
//!                                                               2 sent before, or its answer
//!   ack     = 2 seq(4) flags(1) [claim(20)] print(4) rumors
//!   ask     = 3 seq(4) node(32) rumors      please ping it for me
//!   reached = 4 seq(4) rumors               it answered
//!   nack    = 5 seq(4) rumors               it did not, but I do
//!   news    = 6 rumors
//!   rumors  = (1 signed-record | 2 node(32) incarnation(8) by(32) | 3 node(32) incarnation(8)
//!             by(32))*                      2: suspected by, 3: given up by
//! on the stream
//!   hello   = 1 purpose(1) digest(16) members(4) signed-record  how many others the sender knows,
//!                                                               and its own record
//!   members = 2 (dead(1) [age(4)] signed-record)*               age: seconds since given up
//! ```
//!
//! Numbers are little endian. The print is the beginning of the digest.

use alloc::vec::Vec;

use super::Claim;
use super::record::{MAX_SIGNED, SignedRecord, take};
use crate::id::NodeId;
use crate::limits::MAX_DATAGRAM;

/// Length of a suspicion or a verdict, with its kind.
const ABOUT: usize = 1 + 32 + 8 + 32;
/// Longest rumor.
const MAX_RUMOR: usize = 1 + MAX_SIGNED;

/// The short name of a table of members: equal ones have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(pub(super) [u8; 16]);

impl Digest {
    /// Its beginning, which goes along with pings.
    pub(super) fn print(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }
}

/// What one member says of another that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct About {
    pub(super) node: NodeId,
    pub(super) incarnation: u64,
    pub(super) by: NodeId,
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rumor {
    Record(SignedRecord),
    Suspect(About),
    Dead(About),
}

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ping { seq: u32, again: bool, claim: Option<Claim>, print: [u8; 4] },
    Ack { seq: u32, again: bool, claim: Option<Claim>, print: [u8; 4] },
    Ask { seq: u32, node: NodeId },
    Reached { seq: u32 },
    Nack { seq: u32 },
    News,
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) kind: Kind,
    pub(super) rumors: Vec<Rumor>,
}

/// What came instead of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// A kind that this version does not know.
    Unknown,
    Malformed,
}

/// Why a hello is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The link is new.
    Greet,
    /// The prints have differed for a while: please send what you have, if the digests do.
    Compare,
    /// Follows the members that answer a comparison: please send what I lack.
    Answer,
}

/// A member in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) signed: SignedRecord,
    /// Seconds since it was given up, if it was.
    pub(super) dead: Option<u32>,
}

/// A message on the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Hello { purpose: Purpose, digest: Digest, members: u32, own: SignedRecord },
    Members(Vec<Row>),
}

impl Rumor {
    fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Rumor::Record(signed) => {
                bytes.push(1);
                signed.encode(bytes);
            }
            Rumor::Suspect(about) => about.encode(2, bytes),
            Rumor::Dead(about) => about.encode(3, bytes),
        }
    }

    fn decode(rest: &mut &[u8]) -> Option<Self> {
        match take(rest)? {
            [1] => SignedRecord::decode(rest).map(Rumor::Record),
            [2] => About::decode(rest).map(Rumor::Suspect),
            [3] => About::decode(rest).map(Rumor::Dead),
            _ => None,
        }
    }
}

impl About {
    fn encode(&self, kind: u8, bytes: &mut Vec<u8>) {
        bytes.push(kind);
        bytes.extend(self.node.as_bytes());
        bytes.extend(self.incarnation.to_le_bytes());
        bytes.extend(self.by.as_bytes());
    }

    fn decode(rest: &mut &[u8]) -> Option<Self> {
        let node = NodeId::from_bytes(take(rest)?);
        let incarnation = u64::from_le_bytes(take(rest)?);
        Some(Self { node, incarnation, by: NodeId::from_bytes(take(rest)?) })
    }
}

impl Kind {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let (kind, seq) = match self {
            Kind::Ping { seq, .. } => (1, Some(seq)),
            Kind::Ack { seq, .. } => (2, Some(seq)),
            Kind::Ask { seq, .. } => (3, Some(seq)),
            Kind::Reached { seq } => (4, Some(seq)),
            Kind::Nack { seq } => (5, Some(seq)),
            Kind::News => (6, None),
        };
        bytes.push(kind);
        bytes.extend(seq.iter().flat_map(|seq| seq.to_le_bytes()));
        match self {
            Kind::Ping { again, claim, print, .. } | Kind::Ack { again, claim, print, .. } => {
                bytes.push(u8::from(claim.is_some()) | u8::from(*again) << 1);
                bytes.extend(claim.iter().flat_map(|claim| *claim.as_bytes()));
                bytes.extend(print);
            }
            Kind::Ask { node, .. } => bytes.extend(node.as_bytes()),
            Kind::Reached { .. } | Kind::Nack { .. } | Kind::News => {}
        }
    }

    fn decode(rest: &mut &[u8]) -> Result<Self, Undecoded> {
        let [kind] = take(rest).ok_or(Undecoded::Malformed)?;
        if !(1..=6).contains(&kind) {
            return Err(Undecoded::Unknown);
        }
        Self::decode_body(kind, rest).ok_or(Undecoded::Malformed)
    }

    fn decode_body(kind: u8, rest: &mut &[u8]) -> Option<Self> {
        if kind == 6 {
            return Some(Kind::News);
        }
        let seq = u32::from_le_bytes(take(rest)?);
        Some(match kind {
            1 | 2 => {
                let [flags] = take(rest)?;
                if flags > 3 {
                    return None;
                }
                let again = flags & 2 != 0;
                let claim =
                    if flags & 1 == 0 { None } else { Some(Claim::from_bytes(take(rest)?)) };
                let print = take(rest)?;
                if kind == 1 {
                    Kind::Ping { seq, again, claim, print }
                } else {
                    Kind::Ack { seq, again, claim, print }
                }
            }
            3 => Kind::Ask { seq, node: NodeId::from_bytes(take(rest)?) },
            4 => Kind::Reached { seq },
            _ => Kind::Nack { seq },
        })
    }
}

impl Datagram {
    /// Encodes, leaving out rumors at the end that find no room; says how many are in.
    pub(super) fn encode(&self) -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        self.kind.encode(&mut bytes);
        let mut fitting = 0;
        for rumor in &self.rumors {
            let before = bytes.len();
            rumor.encode(&mut bytes);
            if bytes.len() > MAX_DATAGRAM {
                bytes.truncate(before);
                break;
            }
            fitting += 1;
        }
        (bytes, fitting)
    }

    /// Decodes; no signature is looked at yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Undecoded> {
        let mut rest = bytes;
        let kind = Kind::decode(&mut rest)?;
        if bytes.len() > MAX_DATAGRAM {
            return Err(Undecoded::Malformed);
        }
        let mut rumors = Vec::new();
        while !rest.is_empty() {
            rumors.push(Rumor::decode(&mut rest).ok_or(Undecoded::Malformed)?);
        }
        Ok(Self { kind, rumors })
    }
}

impl Row {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self.dead.is_some()));
        bytes.extend(self.dead.iter().flat_map(|age| age.to_le_bytes()));
        self.signed.encode(bytes);
    }

    fn decode(rest: &mut &[u8]) -> Option<Self> {
        let dead = match take(rest)? {
            [0] => None,
            [1] => Some(u32::from_le_bytes(take(rest)?)),
            _ => return None,
        };
        Some(Self { signed: SignedRecord::decode(rest)?, dead })
    }
}

/// Rows that surely fit one table message of `max` bytes.
pub(super) const fn rows_per_table(max: usize) -> usize {
    (max - 1) / (5 + MAX_SIGNED)
}

impl Table {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Table::Hello { purpose, digest, members, own } => {
                bytes.push(1);
                bytes.push(match purpose {
                    Purpose::Greet => 0,
                    Purpose::Compare => 1,
                    Purpose::Answer => 2,
                });
                bytes.extend(digest.0);
                bytes.extend(members.to_le_bytes());
                own.encode(&mut bytes);
            }
            Table::Members(rows) => {
                bytes.push(2);
                rows.iter().for_each(|row| row.encode(&mut bytes));
            }
        }
        bytes
    }

    /// Decodes; no signature is looked at yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Undecoded> {
        let mut rest = bytes;
        let [kind] = take(&mut rest).ok_or(Undecoded::Malformed)?;
        let table = match kind {
            1 => Self::decode_hello(&mut rest),
            2 => {
                let mut rows = Vec::new();
                while !rest.is_empty() {
                    rows.push(Row::decode(&mut rest).ok_or(Undecoded::Malformed)?);
                }
                Some(Table::Members(rows))
            }
            _ => return Err(Undecoded::Unknown),
        };
        table.filter(|_| rest.is_empty()).ok_or(Undecoded::Malformed)
    }

    fn decode_hello(rest: &mut &[u8]) -> Option<Self> {
        let purpose = match take(rest)? {
            [0] => Purpose::Greet,
            [1] => Purpose::Compare,
            [2] => Purpose::Answer,
            _ => return None,
        };
        let digest = Digest(take(rest)?);
        let members = u32::from_le_bytes(take(rest)?);
        Some(Table::Hello { purpose, digest, members, own: SignedRecord::decode(rest)? })
    }
}

const _: () = assert!(MAX_RUMOR + ABOUT + 64 < MAX_DATAGRAM);

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::*;
    use crate::wire::SecretKey;
    use alloc::string::String;
    use alloc::vec;

    fn id(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    fn signed() -> (SignedRecord, Vec<u8>) {
        let key = SecretKey::from_seed([3; 32]);
        let node = NodeId::from_bytes(*key.public().as_bytes());
        let (addresses, zone) = (vec![], String::new());
        let record = Record { node, incarnation: 5, left: true, weight: 1, addresses, zone };
        let signed = SignedRecord::sign(record, &key);
        let mut bytes = Vec::new();
        signed.encode(&mut bytes);
        (signed, bytes)
    }

    #[test]
    fn datagrams_are_frozen_and_read_back() {
        let (seq, print, node) = (0x0102, [6, 7, 8, 9], id(4));
        let about = About { node, incarnation: 0x0304, by: id(5) };
        let said = [&[4; 32][..], &[4, 3, 0, 0, 0, 0, 0, 0], &[5; 32]].concat();
        let (record, record_bytes) = signed();
        let claim = Some(Claim::from_bytes([9; 20]));
        for (kind, rumors, bytes) in [
            (
                Kind::Ping { seq, again: false, claim, print },
                vec![],
                [&[1, 2, 1, 0, 0, 1][..], &[9; 20], &print].concat(),
            ),
            (
                Kind::Ack { seq, again: true, claim: None, print },
                vec![Rumor::Suspect(about)],
                [&[2, 2, 1, 0, 0, 2, 6, 7, 8, 9, 2][..], &said].concat(),
            ),
            (Kind::Ask { seq, node }, vec![], [&[3, 2, 1, 0, 0][..], &[4; 32]].concat()),
            (Kind::Reached { seq }, vec![], vec![4, 2, 1, 0, 0]),
            (Kind::Nack { seq }, vec![], vec![5, 2, 1, 0, 0]),
            (
                Kind::News,
                vec![Rumor::Record(record), Rumor::Dead(about)],
                [&[6, 1][..], &record_bytes, &[3], &said].concat(),
            ),
        ] {
            let datagram = Datagram { kind, rumors };
            let (encoded, fitting) = datagram.encode();
            assert_eq!(encoded, bytes);
            assert_eq!(fitting, datagram.rumors.len());
            assert_eq!(Datagram::decode(&bytes), Ok(datagram));
            for end in 1..bytes.len() {
                match Datagram::decode(&bytes[..end]) {
                    Ok(cut) => assert_eq!(cut.encode().0, bytes[..end]),
                    Err(error) => assert_eq!(error, Undecoded::Malformed),
                }
            }
        }
    }

    #[test]
    fn tables_are_frozen_and_read_back() {
        let (own, bytes) = signed();
        let digest = Digest([7; 16]);
        let (purpose, members) = (Purpose::Answer, 0x0102);
        let hello = Table::Hello { purpose, digest, members, own: own.clone() };
        let rows =
            vec![Row { signed: own.clone(), dead: None }, Row { signed: own, dead: Some(0x0102) }];
        for (table, bytes) in [
            (hello, [&[1, 2][..], &[7; 16], &[2, 1, 0, 0], &bytes].concat()),
            (Table::Members(rows), [&[2, 0][..], &bytes, &[1, 2, 1, 0, 0], &bytes].concat()),
            (Table::Members(vec![]), vec![2]),
        ] {
            assert_eq!(table.encode(), bytes);
            assert_eq!(Table::decode(&bytes), Ok(table));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let about = About { node: id(1), incarnation: 0, by: id(2) };
        let rumors = vec![Rumor::Dead(about); 20];
        let (bytes, fitting) = Datagram { kind: Kind::News, rumors }.encode();
        assert_eq!((bytes.len(), fitting), (1 + 15 * ABOUT, 15));
    }

    #[test]
    fn later_kinds_are_told_from_rubbish() {
        assert_eq!(Datagram::decode(&[7, 1, 2]), Err(Undecoded::Unknown));
        assert_eq!(Table::decode(&[3, 1, 2]), Err(Undecoded::Unknown));
        for bytes in [&[][..], &[1], &[6, 4], &[6, 2, 0]] {
            assert_eq!(Datagram::decode(bytes), Err(Undecoded::Malformed));
        }
        for bytes in [&[][..], &[1, 3], &[2, 2], &[2, 0]] {
            assert_eq!(Table::decode(bytes), Err(Undecoded::Malformed));
        }
    }
}
