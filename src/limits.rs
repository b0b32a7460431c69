//! Every bound in one place, each with its reason.
//!
//! The first part is consensus: replicas that disagree on one of these split the log. The rest
//! protects one replica from its peers and can be tuned freely. Lengths are in bytes unless a
//! limit says otherwise.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use basefs::limits::MAX_NAME;
//! use basefs::{Fs, WriteError};
//!
//! let fs = Fs::in_memory()?;
//! fs.write(format!("/{}", "a".repeat(MAX_NAME)), "")?;
//! let error = fs.write(format!("/{}", "a".repeat(MAX_NAME + 1)), "").unwrap_err();
//! assert!(matches!(error, WriteError::Path(_)), "{error}");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// --- Consensus: part of the format. ---

/// Longest encoded entry: entry and framing fit one QUIC packet on nearly every path.
pub const MAX_ENTRY: usize = 1_120;
/// Content up to this length stands in the entry itself (WRITE-2).
pub const MAX_INLINE: usize = 320;
/// Longest file name, as on the file systems people use.
pub const MAX_NAME: usize = 255;
/// Longest label of a genesis, grant or revoke.
pub const MAX_LABEL: usize = 64;
/// Most `prev` ids of a data entry: a merge of eight branches at once.
pub const MAX_PREV: usize = 8;
/// Most revokes amended by one revoke.
pub const MAX_AMEND: usize = 4;
/// Most kept heads of one revoke; more are kept by amending it.
pub const MAX_KEEP: usize = 16;
/// Most revokes that a re-grant names.
pub const MAX_AFTER: usize = 4;
/// Most members in the closure of a revoke: bounds the work of every authority check.
pub const MAX_CLOSURE: usize = 64;
/// Most grants between a capability and its root.
pub const MAX_DELEGATION: u8 = 16;
/// Deepest directory; the root has depth 0.
pub const MAX_DEPTH: u8 = 64;
/// Longest static path of a new directory, each name counted with one separator.
pub const MAX_PATH: usize = 4_096;
/// Longest order key: a path, one more name, the separator and an id (ORDER-1).
pub const MAX_ORDER_KEY: usize = MAX_PATH + (MAX_NAME + 1) + 1 + 32;
/// Most root keys of a hierarchy.
pub const MAX_ROOTS: usize = 8;
/// Highest block tree: 1,024^7 leaves hold more than any size that can be written.
pub const MAX_LEVELS: u8 = 7;
/// Largest content: sizes stay positive as signed 64-bit integers.
pub const MAX_SIZE: u64 = (1 << 63) - 1;
/// Deepest nesting of arrays in an entry.
pub const MAX_NESTING: usize = 4;
/// Longest leaf of a block tree.
pub const MAX_LEAF: usize = 262_144;
/// Most children of a node block.
pub const MAX_CHILDREN: usize = 1_024;

// --- Local: what one replica spends on others. ---

/// Longest node block: 1,024 pairs of a 32-byte id and a length, each at most 45 bytes encoded.
pub const MAX_NODE_BLOCK: usize = 3 + MAX_CHILDREN * 45;
/// Entries of one peer that may wait for a missing reference; 4 MiB at most.
pub const MAX_WAITING_PER_PEER: usize = 4_096;
/// Entries of one author key that may wait: one author cannot use up a peer's share.
pub const MAX_WAITING_PER_KEY: usize = 1_024;
/// Entries waiting in all.
pub const MAX_WAITING: usize = 65_536;
/// Longest datagram: fits the smallest packet that QUIC may be limited to (1,200 bytes), with its
/// headers, on every path.
pub const MAX_DATAGRAM: usize = 1_100;
/// Longest frame on a stream: a leaf block with its header and room to spare.
pub const MAX_FRAME: usize = MAX_LEAF + 4_096;
/// Shortest chunk that content is cut into, except the last: below this the ids cost more than
/// equal parts save.
pub const CHUNK_MIN: usize = 16_384;
/// Length that the chunker aims at: 8 changed bytes resend about this much.
pub const CHUNK_AVERAGE: usize = 65_536;
/// Longest chunk: as long as a leaf may be.
pub const CHUNK_MAX: usize = MAX_LEAF;
/// Distinct node blocks of one content that a replica follows: full ones list 4 TiB of average
/// chunks, and remembering them takes about 4 MiB.
pub const MAX_TREE_NODES: usize = 65_536;
/// Blocks of one content asked for at a time: 64 MiB of the longest leaves.
pub const MAX_WANTED: usize = 256;
/// Node blocks among them: reading ahead in the tree must not delay the leaves in front.
pub const MAX_WANTED_NODES: usize = 16;
/// Children looked at in one step of a tree walk, about 50 ms of look-ups: a node has other things
/// to do in between.
pub const MAX_WALK_STEPS: usize = 16_384;
/// Heads of a version that is given as text: one for each capability that was ever used, in 850
/// kB of letters.
pub const MAX_HEADS: usize = 16_384;
/// Versions whose short ids a replica remembers: 40 bytes each.
pub const MAX_REMEMBERED_VERSIONS: usize = 1_024;
/// Incomplete versions of one path of which it is found out whether they would win: each costs a
/// look at the whole slot, and whoever may write there can announce any number.
pub const MAX_PENDING_TRIED: usize = 64;
/// Longest file that is written or read whole in memory; larger ones need streaming.
pub const MAX_FILE: u64 = 1 << 30;

const _: () = {
    assert!(MAX_INLINE + MAX_NAME + MAX_PREV * 34 + 32 * 4 + 64 + 64 < MAX_ENTRY);
    assert!(MAX_NODE_BLOCK <= MAX_LEAF);
    assert!(MAX_LEAF < MAX_FRAME);
    assert!(CHUNK_MIN < CHUNK_AVERAGE && CHUNK_AVERAGE < CHUNK_MAX && CHUNK_MAX <= MAX_LEAF);
    assert!(MAX_WANTED_NODES < MAX_WANTED);
    assert!(MAX_WAITING_PER_KEY <= MAX_WAITING_PER_PEER);
    assert!(MAX_WAITING_PER_PEER <= MAX_WAITING);
    assert!(MAX_FILE <= MAX_SIZE);
};
