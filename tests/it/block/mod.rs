#![cfg(feature = "std")]

mod properties;
mod reading;
mod vectors;
mod walking;

use std::collections::BTreeMap;
use std::convert::Infallible;

use basefs::block::{self, Encoded, Source};
use basefs::id::BlockId;
use bytes::Bytes;

/// The first `length` bytes of BLAKE3's output for `seed`: content that need not be stored.
fn stream(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn encode(bytes: &[u8]) -> Encoded {
    block::encode(&Bytes::copy_from_slice(bytes)).unwrap()
}

/// Blocks in memory, counting what is asked of them.
#[derive(Clone, Debug, Default)]
struct Blocks {
    blocks: BTreeMap<BlockId, Bytes>,
    reads: usize,
    lengths: usize,
}

impl Blocks {
    fn of(encoded: &Encoded) -> Self {
        Self { blocks: encoded.blocks.iter().cloned().collect(), ..Self::default() }
    }

    fn put(&mut self, bytes: impl Into<Bytes>) -> BlockId {
        let bytes = bytes.into();
        let id = block::id(&bytes);
        self.blocks.insert(id, bytes);
        id
    }
}

impl Source for Blocks {
    type Error = Infallible;

    fn block(&mut self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
        self.reads += 1;
        Ok(self.blocks.get(id).cloned())
    }

    fn length(&mut self, id: &BlockId) -> Result<Option<usize>, Infallible> {
        self.lengths += 1;
        Ok(self.blocks.get(id).map(Bytes::len))
    }
}
