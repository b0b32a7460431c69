//! What holds for any content and any bytes.

use std::collections::BTreeSet;

use basefs::block::{self, Completeness, NodeBlock, Progress, Walker};
use basefs::id::{BlockId, Content};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Blocks, encode, stream};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_encoded_reads_back(seed in any::<u32>(), length in 1_usize..2_000_000) {
        let bytes = stream(&seed.to_string(), length);
        let encoded = encode(&bytes);
        prop_assert_eq!(encoded.content.size, length as u64);
        let mut store = Blocks::of(&encoded);
        prop_assert_eq!(store.blocks.len(), encoded.blocks.len(), "each block once");
        prop_assert_eq!(block::check(&encoded.content, &mut store), Ok(Completeness::Complete));
        prop_assert_eq!(block::read(&encoded.content, u64::MAX, &mut store), Ok(bytes));
    }

    #[test]
    fn a_reader_is_cut_like_a_slice(seed in any::<u32>(), length in 0_usize..1_000_000) {
        let bytes = stream(&seed.to_string(), length);
        let read: Vec<Bytes> = block::split_reader(&bytes[..]).map(Result::unwrap).collect();
        let cut: Vec<&[u8]> = block::split(&bytes).collect();
        prop_assert_eq!(read, cut);
    }

    #[test]
    fn any_range_reads_what_the_slice_does(
        seed in any::<u32>(), from in 0_usize..600_000, to in 0_usize..600_000,
    ) {
        let bytes = stream(&seed.to_string(), 500_000);
        let encoded = encode(&bytes);
        let range = from as u64..to as u64;
        let read = block::read_range(&encoded.content, range, &mut Blocks::of(&encoded));
        let slice = bytes.get(from..to.min(bytes.len())).unwrap_or(&[]);
        prop_assert_eq!(read.unwrap(), slice);
    }

    #[test]
    fn a_flipped_bit_is_found(seed in any::<u32>(), which: prop::sample::Index, bit in 0_u8..8) {
        let encoded = encode(&stream(&seed.to_string(), 300_000));
        let (id, bytes) = which.get(&encoded.blocks);
        let mut damaged = bytes.to_vec();
        let position = which.index(damaged.len());
        damaged[position] ^= 1 << bit;
        let mut store = Blocks::of(&encoded);
        store.blocks.insert(*id, damaged.into());
        prop_assert!(block::read(&encoded.content, u64::MAX, &mut store).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_decode_to_themselves_or_not_at_all(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(node) = NodeBlock::decode(&bytes) {
            prop_assert_eq!(node.encode(), bytes);
        }
    }

    #[test]
    fn a_damaged_node_decodes_to_itself_or_not_at_all(
        lengths in vec(1_u64..1 << 40, 1..20), position: prop::sample::Index, byte: u8,
    ) {
        let children = lengths.iter().map(|&length| block::Child { id: block::id(b""), length });
        let mut bytes = NodeBlock::new(children.collect()).unwrap().encode();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if let Ok(node) = NodeBlock::decode(&bytes) {
            prop_assert_eq!(node.encode(), bytes);
        }
    }

    /// A world of few blocks that list each other at random, often wrongly: checking, fetching and
    /// reading must agree, and end.
    #[test]
    fn checking_fetching_and_reading_judge_made_up_trees_alike(
        leaves in vec(vec(any::<u8>(), 0..4), 1..4),
        nodes in vec(vec((any::<prop::sample::Index>(), 0_u64..12), 1..5), 1..8),
        hidden in any::<prop::sample::Index>(),
        wrong_levels in prop::option::weighted(0.3, 0_u8..8),
    ) {
        let mut peer = Blocks::default();
        // Id, length, height.
        let mut made: Vec<(BlockId, u64, u8)> = Vec::new();
        for leaf in leaves {
            let length = leaf.len() as u64;
            made.push((peer.put(leaf), length, 0));
        }
        for node in nodes {
            let (first, _) = node[0];
            let height = first.get(&made).2;
            let level: Vec<_> = made.iter().filter(|child| child.2 == height).copied().collect();
            let children = node.iter().map(|(child, lie)| match lie {
                // A child of any height, a length too long, a length too short.
                0 => (child.get(&made).0, child.get(&made).1),
                1 => (child.get(&level).0, child.get(&level).1 + 1),
                2 => (child.get(&level).0, child.get(&level).1.saturating_sub(1)),
                _ => (child.get(&level).0, child.get(&level).1),
            });
            let children = children.map(|(id, length)| block::Child { id, length });
            let Ok(node) = NodeBlock::new(children.collect()) else { continue };
            made.push((peer.put(node.encode()), node.length(), height + 1));
        }
        let &(root, size, height) = made.last().unwrap();
        let content = Content { root, size, levels: wrong_levels.unwrap_or(height) };
        let complete = block::check(&content, &mut peer) == Ok(Completeness::Complete);
        let read = block::read(&content, 1 << 20, &mut peer);
        prop_assert_eq!(read.is_ok(), complete);

        let mut store = peer.clone();
        let ids: Vec<BlockId> = peer.blocks.keys().copied().collect();
        store.blocks.remove(hidden.get(&ids));
        let mut fetched = false;
        if let Ok(mut walker) = Walker::new(content) {
            while walker.advance(&mut store) == Ok(Progress::Waiting) {
                let block = peer.blocks[&walker.wanted()[0].id].clone();
                let Ok(id) = walker.accept(&block) else { break };
                store.blocks.insert(id, block);
            }
            fetched = walker.advance(&mut store) == Ok(Progress::Complete);
        }
        prop_assert_eq!(fetched, complete);
    }
}

#[test]
fn eight_bytes_inserted_into_16_mib_change_at_most_3_blocks() {
    let old = stream("insertion", 16 << 20);
    let known: BTreeSet<BlockId> = encode(&old).blocks.into_iter().map(|(id, _)| id).collect();
    for position in [0, 1, 5_000_000, 8 << 20, 16 << 20] {
        let mut new = old.clone();
        new.splice(position..position, *b"8 bytes!");
        let changed = encode(&new).blocks.iter().filter(|(id, _)| !known.contains(id)).count();
        assert!((1..=3).contains(&changed), "{changed} blocks changed by bytes at {position}");
    }
}
