//! Reading contents and ranges of them.

use basefs::block::{self, Leaves, ReadError, SourceError};
use bytes::Bytes;

use super::{Blocks, encode, stream};

#[test]
fn ranges_read_what_slices_do() {
    let bytes = stream("ranges", 1_000_000);
    let encoded = encode(&bytes);
    let mut store = Blocks::of(&encoded);
    let size = bytes.len();
    for (from, to) in [(0, 1), (0, 0), (0, size), (size - 1, size), (99_999, 700_001), (5, 5)] {
        let range = from as u64..to as u64;
        let read = block::read_range(&encoded.content, range, &mut store);
        assert_eq!(read.unwrap(), bytes[from..to], "{from}..{to}");
    }
    let beyond = block::read_range(&encoded.content, 999_990..u64::MAX, &mut store);
    assert_eq!(beyond.unwrap(), bytes[999_990..], "a range ends where the content does");
    let behind = block::read_range(&encoded.content, 2_000_000..3_000_000, &mut store);
    assert_eq!(behind.unwrap(), b"");
    let (from, to) = (500_000, 300_000);
    assert_eq!(block::read_range(&encoded.content, from..to, &mut store).unwrap(), b"");
}

#[test]
fn a_range_needs_only_its_own_blocks() {
    let bytes = stream("range", 1_000_000);
    let encoded = encode(&bytes);
    let mut store = Blocks::of(&encoded);
    let (first, leaf) = encoded.blocks[0].clone();
    store.blocks.remove(&first);
    let range = leaf.len() as u64..bytes.len() as u64;
    let read = block::read_range(&encoded.content, range, &mut store);
    assert_eq!(read.unwrap(), bytes[leaf.len()..]);
    let whole = block::read(&encoded.content, u64::MAX, &mut store);
    assert_eq!(whole, Err(ReadError::Missing { id: first }), "the error names what is missing");
}

#[test]
fn content_above_the_limit_is_not_touched() {
    let encoded = encode(&stream("limit", 100_000));
    let mut store = Blocks::of(&encoded);
    let read = block::read(&encoded.content, 99_999, &mut store);
    assert_eq!(read, Err(ReadError::TooLarge { size: 100_000, limit: 99_999 }));
    assert_eq!(store.reads, 0);
}

#[test]
fn every_damaged_block_is_found() {
    let encoded = encode(&stream("damage", 700_000));
    for (id, bytes) in &encoded.blocks {
        let mut store = Blocks::of(&encoded);
        let mut damaged = bytes.to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x10;
        store.blocks.insert(*id, Bytes::from(damaged));
        let read = block::read(&encoded.content, u64::MAX, &mut store);
        assert_eq!(read, Err(ReadError::Source(SourceError::Corrupt { id: *id })));
    }
}

#[test]
fn leaves_end_after_an_error() {
    let encoded = encode(&stream("end", 700_000));
    let mut store = Blocks::of(&encoded);
    store.blocks.remove(&encoded.blocks[2].0);
    let leaves = Leaves::new(&encoded.content, 0..u64::MAX, &mut store).unwrap();
    let items: Vec<bool> = leaves.map(|leaf| leaf.is_ok()).collect();
    assert_eq!(items, [true, true, false]);
}

#[test]
fn one_leaf_repeated_is_read_once() {
    let encoded = encode(&vec![7; 10 * 262_144]);
    assert_eq!(encoded.blocks.len(), 2, "a leaf and the node that lists it ten times");
    let mut store = Blocks::of(&encoded);
    let read = block::read(&encoded.content, u64::MAX, &mut store).unwrap();
    assert_eq!(read, vec![7; 10 * 262_144]);
    assert_eq!(store.reads, 2);
}
