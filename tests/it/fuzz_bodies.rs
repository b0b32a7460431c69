//! What the fuzz targets do, on random input and on mutations of what is valid: a stand-in for
//! the fuzzer that runs on every toolchain.

use basefs::block::{Child, NodeBlock, id};
use basefs::id::EntryId;
use basefs::net::{ReadSecret, Ticket};
use basefs::node::Frame;
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "../../fuzz/bodies.rs"]
mod bodies;

/// Things that decode, one of each kind.
fn valid() -> Vec<Vec<u8>> {
    let fs = basefs::Fs::in_memory().unwrap();
    fs.write("/a/b", "c").unwrap();
    let entries: Vec<_> = fs.export().map(Result::unwrap).collect();
    let node = NodeBlock::new(vec![Child { id: id(b"1"), length: 1 }; 3]).unwrap();
    let secret = ReadSecret::from_bytes([2; 32]);
    let ticket = Ticket::new(EntryId::from_bytes([1; 32]), Some(secret), vec![]);
    let opening = [&[0, 20, 1, 1][..], &[9; 16], &[0, 0], &[1, 3], &[2, 7, 7], &[1, 7]].concat();
    let mut valid: Vec<Vec<u8>> = entries.iter().map(|entry| entry.to_vec()).collect();
    valid.extend([
        node.encode(),
        ticket.to_string().into_bytes(),
        Frame::Entries(entries).encode().to_vec(),
        Frame::Ask(vec![id(b"1")]).encode().to_vec(),
        Frame::Blocks(vec![b"1"[..].into(), b"22"[..].into()]).encode().to_vec(),
        opening,
    ]);
    valid
}

fn decoders(bytes: &[u8]) {
    bodies::entry(bytes);
    bodies::cbor(bytes);
    bodies::node_block(bytes);
    bodies::ticket(bytes);
    bodies::hello(bytes);
    bodies::frame(bytes);
    bodies::session(bytes);
}

#[test]
fn valid_input_passes_the_bodies() {
    valid().iter().for_each(|bytes| decoders(bytes));
}

/// Bytes that were overwritten, inserted or removed.
fn mutate(bytes: &mut Vec<u8>, changes: &[(u8, u16, u8)]) {
    for (kind, at, byte) in changes {
        let at = usize::from(*at) % (bytes.len() + 1);
        match kind % 4 {
            0 => bytes.insert(at, *byte),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ if at < bytes.len() => bytes[at] ^= byte,
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_decoder_fails_on_noise(bytes in vec(any::<u8>(), 0..300)) {
        decoders(&bytes);
    }

    #[test]
    fn no_decoder_fails_on_what_was_valid(
        which in any::<prop::sample::Index>(),
        changes in vec(any::<(u8, u16, u8)>(), 1..4),
    ) {
        thread_local!(static VALID: Vec<Vec<u8>> = valid());
        let mut bytes = VALID.with(|valid| which.get(valid).clone());
        mutate(&mut bytes, &changes);
        decoders(&bytes);
    }
}
