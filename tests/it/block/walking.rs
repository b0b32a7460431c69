//! Fetching a content from peers, block by block.

use basefs::block::{
    self, AcceptError, Child, Completeness, ContentError, NodeBlock, Progress, SourceError, Walker,
};
use basefs::id::{BlockId, Content};
use basefs::limits::{MAX_WANTED, MAX_WANTED_NODES};
use bytes::Bytes;

use super::{Blocks, encode, stream};

/// Many small leaves, so that the tree gets high without much content.
fn tree(leaves: usize) -> (Content, Blocks) {
    let mut store = Blocks::default();
    let bytes = stream("leaves", leaves * 8);
    let children: Vec<Child> = bytes
        .chunks(8)
        .map(|leaf| Child { id: store.put(leaf.to_vec()), length: leaf.len() as u64 })
        .collect();
    let built = block::build(children).unwrap();
    for (_, node) in built.nodes {
        store.put(node);
    }
    (built.content, store)
}

/// Fetches everything wanted from a peer, in the order that `pick` chooses; gives the number of
/// blocks transferred.
fn fetch(
    walker: &mut Walker,
    peer: &Blocks,
    store: &mut Blocks,
    mut pick: impl FnMut(usize) -> usize,
) -> usize {
    let mut transferred = 0;
    loop {
        match walker.advance(store).unwrap() {
            Progress::Complete => return transferred,
            Progress::More => continue,
            Progress::Waiting => {}
            Progress::Invalid(error) => panic!("{error}"),
        }
        let wanted = walker.wanted();
        assert!(wanted.len() <= MAX_WANTED);
        assert!(wanted.iter().filter(|block| block.height > 0).count() <= MAX_WANTED_NODES);
        assert!(wanted.is_sorted_by_key(|block| block.offset), "content order");
        let block = peer.blocks[&wanted[pick(wanted.len())].id].clone();
        let id = walker.accept(&block).unwrap();
        assert_eq!(walker.accept(&block), Err(AcceptError::NotWanted), "twice is once");
        store.blocks.insert(id, block);
        transferred += 1;
    }
}

#[test]
fn every_block_is_transferred_once_in_any_order() {
    let (content, peer) = tree(20_000);
    assert_eq!(content.levels, 2);
    let mut seed = 1_usize;
    let random = |count: usize| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (seed >> 33) % count
    };
    let mut orders: [Box<dyn FnMut(usize) -> usize>; 3] =
        [Box::new(|_| 0), Box::new(|count| count - 1), Box::new(random)];
    for pick in &mut orders {
        let mut store = Blocks::default();
        let mut walker = Walker::new(content).unwrap();
        assert_eq!(fetch(&mut walker, &peer, &mut store, pick), peer.blocks.len());
        assert_eq!(store.blocks, peer.blocks);
    }
}

#[test]
fn the_beginning_of_the_content_arrives_first() {
    let (content, peer) = tree(20_000);
    let mut store = Blocks::default();
    let mut walker = Walker::new(content).unwrap();
    for _ in 0..600 {
        assert_eq!(walker.advance(&mut store), Ok(Progress::Waiting));
        let id = walker.wanted()[0].id;
        store.blocks.insert(walker.accept(&peer.blocks[&id]).unwrap(), peer.blocks[&id].clone());
    }
    // 600 blocks are the root, the first node, and 598 leaves of 8 bytes.
    assert!(block::read_range(&content, 0..598 * 8, &mut store).is_ok());
}

#[test]
fn an_interrupted_walk_goes_on_where_it_was_from_the_store_alone() {
    let (content, peer) = tree(5_000);
    let mut store = Blocks::default();
    let mut transferred = 0;
    // A crash after every 700 blocks, and another one that loses what was accepted last.
    loop {
        let mut walker = Walker::new(content).unwrap();
        let mut budget = 700;
        while budget > 0 && walker.advance(&mut store) == Ok(Progress::Waiting) {
            let id = walker.wanted()[0].id;
            let bytes = peer.blocks[&id].clone();
            assert_eq!(walker.accept(&bytes), Ok(id));
            budget -= 1;
            if budget > 0 {
                store.blocks.insert(id, bytes);
            }
            transferred += 1;
        }
        if budget > 0 {
            break;
        }
    }
    assert_eq!(block::check(&content, &mut store), Ok(Completeness::Complete));
    let crashes = transferred / 700;
    assert_eq!(transferred, peer.blocks.len() + crashes, "one block is sent again per crash");
}

#[test]
fn a_new_version_fetches_only_what_changed() {
    let old = stream("version", 3_000_000);
    let mut new = old.clone();
    new.splice(1_500_000..1_500_000, *b"8 bytes!");
    let (old, new) = (encode(&old), encode(&new));
    let mut store = Blocks::of(&old);
    let mut walker = Walker::new(new.content).unwrap();
    let transferred = fetch(&mut walker, &Blocks::of(&new), &mut store, |_| 0);
    assert!(transferred <= 3, "{transferred} blocks for 8 bytes");
}

#[test]
fn damaged_and_unasked_blocks_change_nothing() {
    let encoded = encode(&stream("damage", 300_000));
    let peer = Blocks::of(&encoded);
    let mut store = Blocks::default();
    let mut walker = Walker::new(encoded.content).unwrap();
    assert_eq!(walker.advance(&mut store), Ok(Progress::Waiting));
    let root = peer.blocks[&encoded.content.root].to_vec();
    for position in [0, 1, root.len() / 2, root.len() - 1] {
        let mut damaged = root.clone();
        damaged[position] ^= 1;
        assert_eq!(walker.accept(&damaged), Err(AcceptError::NotWanted));
    }
    let (_, leaf) = &encoded.blocks[0];
    assert_eq!(walker.accept(leaf), Err(AcceptError::NotWanted), "not asked for yet");
    assert_eq!(walker.accept(&vec![0; 1 << 20]), Err(AcceptError::NotWanted));
    assert_eq!(fetch(&mut walker, &peer, &mut store, |_| 0), peer.blocks.len());
}

#[test]
fn a_tree_that_lies_ends_the_walk_and_blames_the_author() {
    let mut peer = Blocks::default();
    let leaf = peer.put(&b"hello"[..]);
    let node = NodeBlock::new(vec![Child { id: leaf, length: 4 }]).unwrap();
    let root = peer.put(node.encode());
    let mut store = peer.clone();
    store.blocks.remove(&leaf);
    let mut walker = Walker::new(Content { root, size: 4, levels: 1 }).unwrap();
    assert_eq!(walker.advance(&mut store), Ok(Progress::Waiting));
    let lie = ContentError::Length { id: leaf, claimed: 4, found: 5 };
    assert_eq!(walker.accept(b"hello"), Err(AcceptError::Content(lie)));
    assert_eq!(walker.advance(&mut store), Ok(Progress::Invalid(lie)), "and stays so");
    assert!(walker.wanted().is_empty());
}

#[test]
fn one_block_can_be_wanted_as_leaf_and_as_node() {
    // The node lists one leaf as long as the node itself, so it can stand at both heights.
    let mut peer = Blocks::default();
    let probe = NodeBlock::new(vec![Child { id: block::id(b""), length: 38 }]).unwrap();
    let length = probe.encode().len();
    let leaf = peer.put(vec![7; length]);
    let both = NodeBlock::new(vec![Child { id: leaf, length: length as u64 }]).unwrap().encode();
    let both = Child { id: peer.put(both), length: length as u64 };
    let low = NodeBlock::new(vec![both]).unwrap();
    let low = Child { id: peer.put(low.encode()), length: low.length() };
    let high = NodeBlock::new(vec![low]).unwrap();
    let high = Child { id: peer.put(high.encode()), length: high.length() };
    // Height 3 above `high` as a node of height 2, and beside it `low` as a node of height 2,
    // whose child is then a node and not a leaf.
    let top = NodeBlock::new(vec![high, low]).unwrap();
    let content = Content { root: peer.put(top.encode()), size: top.length(), levels: 3 };

    let mut store = Blocks::default();
    let mut walker = Walker::new(content).unwrap();
    assert_eq!(fetch(&mut walker, &peer, &mut store, |count| count - 1), 5);
    let expected = [peer.blocks[&both.id].to_vec(), vec![7; length]].concat();
    assert_eq!(block::read(&content, 1_000, &mut store), Ok(expected));
}

#[test]
fn a_long_walk_gives_way_to_other_work() {
    let (content, mut store) = tree(40_000);
    let mut walker = Walker::new(content).unwrap();
    let mut calls = 1;
    while walker.advance(&mut store) == Ok(Progress::More) {
        calls += 1;
    }
    assert_eq!(walker.advance(&mut store), Ok(Progress::Complete));
    assert!(calls > 1, "40,000 leaves are more than one call looks at");
}

#[test]
fn a_source_that_fails_leaves_the_walk_as_it_was() {
    let (content, peer) = tree(3_000);
    let mut walker = Walker::new(content).unwrap();
    let mut calls = 0;
    let mut errors = 0;
    let mut source = |id: &BlockId| {
        calls += 1;
        if calls % 3 == 0 { Err("the disk is away") } else { Ok(peer.blocks.get(id).cloned()) }
    };
    loop {
        match walker.advance(&mut source) {
            Ok(Progress::Complete) => break,
            Ok(progress) => assert_eq!(progress, Progress::More),
            Err(error) => {
                assert_eq!(error, SourceError::Failed("the disk is away"));
                errors += 1;
            }
        }
    }
    assert!(errors > 1_000);
}

#[test]
fn a_damaged_or_forgetful_store_is_told_from_bad_content() {
    let (content, peer) = tree(2_000);
    let mut store = peer.clone();
    store.blocks.insert(content.root, Bytes::from_static(b"other"));
    let damage = SourceError::Corrupt { id: content.root };
    assert_eq!(block::check(&content, &mut store), Err(damage));

    let mut store = peer.clone();
    let leaf = *store.blocks.iter().find(|(_, bytes)| bytes.len() == 8).unwrap().0;
    store.blocks.insert(leaf, Bytes::from_static(b"torn"));
    let damage = SourceError::Corrupt { id: leaf };
    assert_eq!(block::check(&content, &mut store), Err(damage), "the author is not blamed");

    let mut store = Blocks::default();
    let mut walker = Walker::new(content).unwrap();
    assert_eq!(walker.advance(&mut store), Ok(Progress::Waiting));
    assert!(walker.accept(&peer.blocks[&content.root]).is_ok());
    let lost = SourceError::Lost { id: content.root };
    assert_eq!(walker.advance(&mut store), Err(lost), "accepted, but never stored");
}
