//! What a node says of itself, signed by it.
//!
//! ```text
//! record    = node(32) incarnation(8, little endian) status(1) weight(1)
//!             addresses(1) (family(1) ip(4 or 16) port(2, little endian))*
//!             zone length(1) zone
//! signed    = signature(64) record
//! status    = 1 alive | 2 left
//! family    = 4 | 6
//! signature = Ed25519 by the node's key over "basefs v1 member" 0 record
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::id::{NodeId, PublicKey};
use crate::wire::SecretKey;
use crate::wire::key::Verifier;

/// Most addresses of a member: a few networks, both families.
pub const MAX_ADDRESSES: usize = 8;
/// Longest name of a zone, in bytes.
pub const MAX_ZONE: usize = 32;
/// Longest signed record.
pub(super) const MAX_SIGNED: usize = 64 + 32 + 8 + 1 + 1 + 1 + MAX_ADDRESSES * 19 + 1 + MAX_ZONE;

/// Separates these signatures from all others that the key of a node makes.
const DOMAIN: &[u8] = b"basefs v1 member\0";

const ALIVE: u8 = 1;
const LEFT: u8 = 2;

/// What a node says of itself. The record with the largest incarnation counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) node: NodeId,
    /// Counted up by the node alone.
    pub(super) incarnation: u64,
    /// Whether it took its leave.
    pub(super) left: bool,
    /// How much it is able to do; what that means is up to the application.
    pub(super) weight: u8,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) zone: String,
}

/// A record with its signature, as it is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignedRecord {
    pub(super) record: Record,
    signature: [u8; 64],
}

impl Record {
    /// Cuts what is too long, so that the record has an encoding: the first addresses count, and
    /// the beginning of the zone.
    pub(super) fn clamp(&mut self) {
        self.addresses.truncate(MAX_ADDRESSES);
        for address in &mut self.addresses {
            // Scopes and flow labels mean nothing on another machine.
            *address = SocketAddr::new(address.ip(), address.port());
        }
        while self.zone.len() > MAX_ZONE {
            self.zone.pop();
        }
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.node.as_bytes());
        bytes.extend(self.incarnation.to_le_bytes());
        bytes.push(if self.left { LEFT } else { ALIVE });
        bytes.push(self.weight);
        bytes.push(length(self.addresses.len()));
        for address in &self.addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(address.port().to_le_bytes());
        }
        bytes.push(length(self.zone.len()));
        bytes.extend(self.zone.as_bytes());
    }

    fn decode(rest: &mut &[u8]) -> Option<Self> {
        let node = NodeId::from_bytes(take(rest)?);
        let incarnation = u64::from_le_bytes(take(rest)?);
        let [status, weight, count] = take(rest)?;
        let left = match status {
            ALIVE => false,
            LEFT => true,
            _ => return None,
        };
        if usize::from(count) > MAX_ADDRESSES {
            return None;
        }
        let mut addresses = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let [family] = take(rest)?;
            let ip = match family {
                4 => IpAddr::from(take::<4>(rest)?),
                6 => IpAddr::from(take::<16>(rest)?),
                _ => return None,
            };
            addresses.push(SocketAddr::new(ip, u16::from_le_bytes(take(rest)?)));
        }
        let [long] = take(rest)?;
        if usize::from(long) > MAX_ZONE {
            return None;
        }
        let (zone, after) = rest.split_at_checked(usize::from(long))?;
        *rest = after;
        let zone = core::str::from_utf8(zone).ok()?.into();
        Some(Self { node, incarnation, left, weight, addresses, zone })
    }

    /// What is signed.
    fn message(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        self.encode(&mut bytes);
        bytes
    }
}

impl SignedRecord {
    /// Signs; `key` is the key of the node that the record is about.
    pub(super) fn sign(mut record: Record, key: &SecretKey) -> Self {
        debug_assert_eq!(record.node.as_bytes(), key.public().as_bytes());
        record.clamp();
        let signature = key.sign(&record.message());
        Self { record, signature }
    }

    /// Whether the node that it is about signed it.
    pub(super) fn holds(&self) -> bool {
        let key = PublicKey::from_bytes(*self.record.node.as_bytes());
        Verifier::new().verify(&key, &self.record.message(), &self.signature).is_ok()
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.signature);
        self.record.encode(bytes);
    }

    /// Takes a record off the front; its signature is not looked at yet.
    pub(super) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let signature = take(rest)?;
        Some(Self { record: Record::decode(rest)?, signature })
    }
}

/// A length that is known to be small.
fn length(length: usize) -> u8 {
    u8::try_from(length).expect("records are clamped before they are encoded")
}

/// Takes a fixed number of bytes.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn record(key: &SecretKey) -> Record {
        Record {
            node: NodeId::from_bytes(*key.public().as_bytes()),
            incarnation: 0x0102,
            left: false,
            weight: 9,
            addresses: vec!["192.0.2.1:258".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap()],
            zone: "hall".into(),
        }
    }

    #[test]
    fn records_are_frozen_and_read_back() {
        let key = SecretKey::from_seed([3; 32]);
        let signed = SignedRecord::sign(record(&key), &key);
        let mut bytes = Vec::new();
        signed.encode(&mut bytes);
        let ip = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1]].concat();
        let plain = [
            key.public().as_bytes(),
            &[2, 1, 0, 0, 0, 0, 0, 0, 1, 9, 2][..],
            &[4, 192, 0, 2, 1, 2, 1, 6][..],
            &ip,
            &[1, 0, 4],
            b"hall",
        ]
        .concat();
        assert_eq!(bytes[64..], plain);
        let signature = key.sign(&[b"basefs v1 member\0", &plain[..]].concat());
        assert_eq!(bytes[..64], signature);
        let mut rest = bytes.as_slice();
        assert_eq!(SignedRecord::decode(&mut rest), Some(signed.clone()));
        assert!(rest.is_empty() && signed.holds());
        for end in 0..bytes.len() {
            assert_eq!(SignedRecord::decode(&mut &bytes[..end]), None);
        }
    }

    #[test]
    fn nobody_speaks_for_another() {
        let (key, other) = (SecretKey::from_seed([3; 32]), SecretKey::from_seed([4; 32]));
        let mut signed = SignedRecord::sign(record(&key), &key);
        assert!(signed.holds());
        signed.record.incarnation += 1;
        assert!(!signed.holds());
        signed.record.incarnation -= 1;
        signed.record.node = NodeId::from_bytes(*other.public().as_bytes());
        assert!(!signed.holds());
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let key = SecretKey::from_seed([3; 32]);
        let mut long = record(&key);
        long.addresses = vec!["192.0.2.1:1".parse().unwrap(); 9];
        long.zone = "ä".repeat(17);
        let signed = SignedRecord::sign(long, &key);
        assert_eq!(signed.record.addresses.len(), MAX_ADDRESSES);
        assert_eq!(signed.record.zone, "ä".repeat(16));
    }
}
