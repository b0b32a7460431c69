//! Values as the database holds them: with a checksum, and large ones by reference.
//!
//! The database does not check pages when it reads them, so a bit that flipped on the disk would
//! come back as data: an entry whose signature was checked when it arrived would be another one.
//! Eight bytes per value, over key and value, turn that into an error.

use std::format;
use std::vec::Vec;

use twox_hash::XxHash3_64;

use crate::store::StoreError;

const INLINE: u8 = 0;
const PACKED: u8 = 1;
const CHECKSUM: usize = 8;
const PREFIX: usize = 1 + CHECKSUM;

/// Where a large block lies, and what it hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// Number of the pack.
    pub(super) pack: u32,
    /// Offset in the pack, in bytes.
    pub(super) offset: u64,
    /// Length in bytes.
    pub(super) length: u32,
    /// Checksum of the bytes in the pack.
    pub(super) checksum: [u8; CHECKSUM],
}

/// What the database holds for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// The value itself.
    Inline(&'a [u8]),
    /// The value is in a pack.
    Packed(Location),
}

impl<'a> Record<'a> {
    /// Reads a record and checks that it was written for this key.
    pub(super) fn parse(key: &[u8], bytes: &'a [u8]) -> Result<Self, StoreError> {
        Self::parse_checked(key, bytes).ok_or_else(|| StoreError::Corrupt {
            what: format!(
                "the value of key {} fails its checksum",
                data_encoding::HEXLOWER.encode(key)
            ),
        })
    }

    fn parse_checked(key: &[u8], bytes: &'a [u8]) -> Option<Self> {
        let (prefix, payload) = bytes.split_at_checked(PREFIX)?;
        let kind = prefix[0];
        if prefix[1..] != record_checksum(kind, key, payload) {
            return None;
        }
        match kind {
            INLINE => Some(Record::Inline(payload)),
            PACKED => Some(Record::Packed(Location::parse(payload)?)),
            _ => None,
        }
    }

    /// Writes the record into `out`, in place of what was there.
    pub(super) fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.resize(PREFIX, 0);
        match self {
            Record::Inline(value) => out.extend_from_slice(value),
            Record::Packed(location) => {
                out[0] = PACKED;
                out.extend_from_slice(&location.pack.to_be_bytes());
                out.extend_from_slice(&location.offset.to_be_bytes());
                out.extend_from_slice(&location.length.to_be_bytes());
                out.extend_from_slice(&location.checksum);
            }
        }
        let checksum = record_checksum(out[0], key, &out[PREFIX..]);
        out[1..PREFIX].copy_from_slice(&checksum);
    }
}

impl Location {
    fn parse(payload: &[u8]) -> Option<Self> {
        let (pack, rest) = payload.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        Some(Self {
            pack: u32::from_be_bytes(*pack),
            offset: u64::from_be_bytes(*offset),
            length: u32::from_be_bytes(*length),
            checksum: rest.try_into().ok()?,
        })
    }
}

/// The checksum of a block in a pack.
pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut out = [0; CHECKSUM];
    out.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECKSUM]);
    out
}

/// The checksum of a record. Every read computes it, so it is XXH3, which takes a tenth of the
/// time of a cryptographic hash: it is there against disks. Whoever can write to the file can
/// compute any checksum.
fn record_checksum(kind: u8, key: &[u8], payload: &[u8]) -> [u8; CHECKSUM] {
    // As the seed, key and kind cannot trade bytes with the payload unnoticed.
    let seed = XxHash3_64::oneshot_with_seed(u64::from(kind), key);
    XxHash3_64::oneshot_with_seed(seed, payload).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_record_is_bound_to_its_key_and_to_every_bit() {
        let location = Location { pack: 7, offset: 1 << 40, length: 65_536, checksum: [9; 8] };
        for record in [Record::Inline(b""), Record::Inline(b"value"), Record::Packed(location)] {
            let mut bytes = vec![0xff; 99];
            record.encode(b"key", &mut bytes);
            assert_eq!(Record::parse(b"key", &bytes), Ok(record));
            assert!(Record::parse(b"kez", &bytes).is_err());
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(Record::parse(b"key", &flipped).is_err(), "bit {bit} went unnoticed");
            }
            for length in 0..bytes.len() {
                assert!(Record::parse(b"key", &bytes[..length]).is_err());
            }
        }
    }
}
