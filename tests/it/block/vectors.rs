//! The frozen bytes: `tests/vectors/blocks.json`, made by an independent implementation.

use basefs::block::{self, Child, Completeness, NodeBlock};
use basefs::id::{BlockId, Content};
use data_encoding::HEXLOWER;
use serde_json::Value;

use super::{Blocks, encode, stream};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/blocks.json")).unwrap()
}

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn length(value: &Value) -> usize {
    number(value).try_into().unwrap()
}

fn content(value: &Value) -> Content {
    let levels = number(&value["levels"]).try_into().unwrap();
    Content { root: text(value, "root").parse().unwrap(), size: number(&value["size"]), levels }
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn repeated(child: Child, times: usize) -> Vec<u8> {
    match NodeBlock::new(vec![child; times]) {
        Ok(node) => node.encode(),
        // One child too many cannot be encoded; its pairs follow the head all the same.
        Err(_) => {
            let pair = &NodeBlock::new(vec![child]).unwrap().encode()[1..];
            let head = [0x99].into_iter().chain(u16::try_from(times).unwrap().to_be_bytes());
            head.chain(pair.repeat(times)).collect()
        }
    }
}

/// A block of a content vector: bytes, one byte filled in, or a node that repeats one child.
fn block_bytes(value: &Value) -> Vec<u8> {
    if let Some(fill) = value.get("fill") {
        return vec![u8::try_from(number(fill)).unwrap(); length(&value["length"])];
    }
    if value.get("times").is_some() {
        let id = text(value, "id").parse().unwrap();
        return repeated(Child { id, length: number(&value["length"]) }, length(&value["times"]));
    }
    hex(value)
}

/// Cuts the input of a tree vector as it says.
fn leaves(tree: &Value, seed: &str) -> Vec<Vec<u8>> {
    let bytes = stream(seed, length(&tree["size"]));
    let mut rest = &bytes[..];
    let mut leaves = Vec::new();
    for cut in array(tree, "cuts") {
        for _ in 0..number(&cut[1]) {
            let (leaf, after) = rest.split_at(length(&cut[0]));
            leaves.push(leaf.to_vec());
            rest = after;
        }
    }
    assert!(rest.is_empty(), "the cuts cover the input");
    leaves
}

fn is_built(tree: &Value) -> bool {
    tree["built"].as_bool().unwrap()
}

#[test]
fn trees_over_given_leaves_have_the_frozen_bytes() {
    let vectors = vectors();
    let seed = text(&vectors, "seed");
    for tree in array(&vectors, "trees").iter().filter(|tree| is_built(tree)) {
        let children = leaves(tree, seed)
            .into_iter()
            .map(|leaf| Child { id: block::id(&leaf), length: leaf.len() as u64 });
        let built = block::build(children).unwrap();
        assert_eq!(built.content, content(tree), "{}", tree["name"]);
        let frozen = array(tree, "nodes");
        assert_eq!(built.nodes.len(), frozen.len(), "{}", tree["name"]);
        for node in frozen {
            let id: BlockId = text(node, "id").parse().unwrap();
            let (_, bytes) = built.nodes.iter().find(|(made, _)| *made == id).unwrap();
            assert_eq!(
                NodeBlock::decode(bytes).unwrap().children().len(),
                length(&node["children"])
            );
            if node.get("hex").is_some() {
                assert_eq!(bytes[..], hex(&node["hex"]), "{}", tree["name"]);
            }
        }
    }
}

// rule: READY-1
#[test]
fn trees_are_complete_and_read_back_however_they_were_built() {
    let vectors = vectors();
    let seed = text(&vectors, "seed");
    for tree in array(&vectors, "trees") {
        let mut store = Blocks::default();
        let leaves = leaves(tree, seed);
        for leaf in &leaves {
            store.put(leaf.clone());
        }
        if is_built(tree) {
            let children =
                leaves.iter().map(|leaf| Child { id: block::id(leaf), length: leaf.len() as u64 });
            block::build(children).unwrap().nodes.into_iter().for_each(|(_, node)| {
                store.put(node);
            });
        } else {
            array(tree, "nodes").iter().for_each(|node| {
                store.put(hex(&node["hex"]));
            });
        }
        let content = content(tree);
        let name = &tree["name"];
        assert_eq!(block::check(&content, &mut store), Ok(Completeness::Complete), "{name}");
        let bytes = block::read(&content, content.size, &mut store).unwrap();
        assert_eq!(bytes, stream(seed, length(&tree["size"])), "{name}");
    }
}

#[test]
fn what_is_no_node_block_is_refused_for_the_frozen_reason() {
    for vector in array(&vectors(), "invalid_nodes") {
        let error = NodeBlock::decode(&hex(&vector["hex"])).unwrap_err();
        assert_eq!(format!("{error:?}"), text(vector, "error"), "{}", vector["name"]);
    }
}

// rule: READY-1
#[test]
fn completeness_of_every_odd_tree_is_as_frozen() {
    for vector in array(&vectors(), "contents") {
        let mut store = Blocks::default();
        for bytes in array(vector, "blocks") {
            store.put(block_bytes(bytes));
        }
        let verdict = match block::check(&content(vector), &mut store).unwrap() {
            Completeness::Complete => "complete".to_owned(),
            Completeness::Missing(blocks) => {
                let ids: Vec<String> = blocks.iter().map(|block| block.id.to_string()).collect();
                format!("missing: {}", ids.join(" "))
            }
            Completeness::Invalid(error) => {
                let reason = format!("{error:?}");
                let name: String = reason.chars().take_while(char::is_ascii_alphabetic).collect();
                format!("invalid: {name}")
            }
        };
        assert_eq!(verdict, text(vector, "verdict"), "{}", vector["name"]);
        let whole = block::read(&content(vector), 1 << 30, &mut store);
        assert_eq!(whole.is_ok(), verdict == "complete", "{}: {whole:?}", vector["name"]);
    }
}

#[test]
fn a_tree_of_2_to_the_60_bytes_is_checked_in_a_few_reads() {
    let vectors = vectors();
    let bomb = content(&vectors["bomb"]);
    let mut store = Blocks::default();
    let mut child = Child { id: store.put(&b"a"[..]), length: 1 };
    for _ in 0..bomb.levels {
        let id = store.put(repeated(child, 1_024));
        child = Child { id, length: child.length * 1_024 };
    }
    assert_eq!((child.id, child.length), (bomb.root, bomb.size));
    assert_eq!(block::check(&bomb, &mut store), Ok(Completeness::Complete));
    assert!(store.reads <= 2 * 6, "each node is read when entered and when left: {}", store.reads);
    assert_eq!(store.lengths, 1_024, "leaves are looked up once per distinct node");
}

#[test]
fn the_chunker_cuts_where_it_always_did() {
    let vectors = vectors();
    let seed = text(&vectors, "seed");
    for vector in array(&vectors, "chunks") {
        let bytes = stream(seed, length(&vector["size"]));
        let lengths: Vec<u64> = block::split(&bytes).map(|chunk| chunk.len() as u64).collect();
        let frozen: Vec<u64> = array(vector, "lengths").iter().map(number).collect();
        assert_eq!(lengths, frozen, "{} bytes", vector["size"]);
        assert_eq!(encode(&bytes).content, content(vector));
    }
}
