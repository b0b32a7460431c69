//! What stays in memory of an admitted entry, and of the things entries define.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::entry::{Action, Rights};
use crate::id::{DirId, EntryId};
use crate::log::number::{CapNo, ContentNo, DirNo, EntryNo, KeyNo, SlotNo, ValueNo};

/// An admitted entry: about 80 bytes, whatever it contains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) id: EntryId,
    pub(crate) cap: CapNo,
    /// Position in the author's chain; below 2^32 because every predecessor is admitted.
    pub(crate) seq: u32,
    pub(crate) aprev: Option<EntryNo>,
    /// A jump back along the chain (skew binary, so that any ancestor is O(log n) steps away).
    pub(crate) jump: Option<EntryNo>,
    /// Where `prev` begins in the shared list, and how long it is.
    pub(crate) prev: (u32, u8),
    pub(crate) detail: Detail,
}

/// What differs between data and control entries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Detail {
    Genesis,
    Data {
        action: Action,
        slot: SlotNo,
        value: ValueNo,
        /// The write (or mkdir, …) that the value comes from.
        origin: EntryNo,
        /// A link's target, or the link a deletion moved to.
        other: Option<EntryNo>,
    },
    Grant(CapNo),
    Revoke {
        who: KeyNo,
        dir: DirNo,
    },
}

/// A value of a slot (VALUE-1). Equal values have equal numbers.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// use basefs::entry::Payload;
/// use basefs::log::Value;
///
/// let link = ana.say(&mut replica, "latest", &[], Payload::Slink { text: "v2".into() });
/// let gone = ana.say(&mut replica, "latest", &[link], Payload::Delete { moved_to: None });
/// let log = replica.log();
/// assert_eq!(log.value(link), Some(&Value::Sym("v2".into())));
/// assert_eq!(log.value(gone), Some(&Value::Tomb));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A directory.
    Dir(DirNo),
    /// A file: its content and whether it is executable.
    File {
        /// What it contains.
        content: ContentNo,
        /// Whether it is a program.
        executable: bool,
    },
    /// A symbolic link with its text.
    Sym(Box<str>),
    /// Nothing: the slot was deleted.
    Tomb,
}

/// A directory, known from the first entry that defines it.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    pub(crate) id: DirId,
    /// Where it was made: parent and slot; none for the root.
    pub(crate) home: Option<(DirNo, SlotNo)>,
    pub(crate) depth: u8,
    /// Length of its static path, each name counted with one separator.
    pub(crate) path_len: u16,
    pub(crate) children: BTreeMap<Arc<str>, SlotNo>,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) dir: DirNo,
    pub(crate) name: Arc<str>,
}

/// The weight of a capability; smaller is better (RANK-1).
///
/// ```
/// use basefs::log::Rank;
///
/// let root = Rank { depth: 0, grants: 0, root: 0 };
/// let admin = Rank { depth: 0, grants: 1, root: 0 }; // granted `/` by the root
/// let user = Rank { depth: 2, grants: 1, root: 0 }; // granted `/users/ana`
/// assert!(root < admin && admin < user, "smaller is better");
/// ```
// rule: RANK-1
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// Depth of the directory it governs.
    pub depth: u8,
    /// Grants between it and the root.
    pub grants: u8,
    /// Which root key, if it is one.
    pub root: u8,
}

/// What a key may do at a directory and below (CAP-1).
// rule: CAP-1
#[derive(Clone, Debug)]
pub(crate) struct Capability {
    pub(crate) key: KeyNo,
    pub(crate) dir: DirNo,
    pub(crate) rights: Rights,
    pub(crate) rank: Rank,
    /// None for a root key.
    pub(crate) parent: Option<CapNo>,
    /// The grant, or the genesis.
    pub(crate) entry: EntryNo,
    /// The revokes it was made in spite of.
    pub(crate) after: Box<[EntryNo]>,
}

/// What a revoke says besides its place.
#[derive(Clone, Debug)]
pub(crate) struct Revoke {
    pub(crate) keep: Box<[EntryId]>,
    /// Itself and what it amends, recursively; ascending (REVOKE-1).
    pub(crate) closure: Box<[EntryNo]>,
}
