//! What an author does next, decoded from six bytes.

use basefs::entry::Rights;

/// Root 0, root 1, and four who live on grants.
pub(crate) const AUTHORS: usize = 6;
/// Somebody whom nobody ever grants anything.
pub(crate) const STRANGER: usize = AUTHORS;
/// Bytes of one operation.
pub(crate) const WIDTH: usize = 6;

/// One step of the story that a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) author: usize,
    pub(crate) act: Act,
    /// Which of the directories that the author knows.
    pub(crate) dir: u8,
    pub(crate) name: &'static str,
    pub(crate) base: Base,
    pub(crate) cap: Cap,
    pub(crate) chain: Chain,
    pub(crate) flaw: Option<Flaw>,
}

/// Numbers pick from what there is, modulo how much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Learns all that another author knows.
    Hear {
        from: usize,
    },
    /// Learns one entry and what it refers to.
    HearOne {
        pick: u8,
    },
    Mkdir,
    Write {
        text: u8,
    },
    WriteBlocks {
        content: usize,
    },
    /// Writes the content of an entry again, executable.
    Chmod {
        pick: u8,
    },
    Delete,
    Link {
        pick: u8,
    },
    Slink,
    /// A link at another place, and a deletion that points to it.
    Move {
        to_dir: u8,
        to_name: &'static str,
    },
    /// The link of a move without the deletion, or the deletion to any link.
    HalfMove {
        to_dir: u8,
        is_deletion: bool,
    },
    Grant {
        who: usize,
        rights: Rights,
        after: After,
    },
    Revoke {
        who: usize,
        keep: Keep,
        amends: bool,
    },
    /// Many entries at once, for a limit.
    Big(Big),
}

/// What `prev` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The latest tip that the author knows.
    Tip,
    /// All tips, the latest first.
    AllTips,
    /// All tips, the earliest first.
    AllTipsReversed,
    Nothing,
    /// Some older entry, as if the author had not looked for long.
    Old(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cap {
    /// The one of the deepest directory, among those that cover the place.
    Narrowest,
    /// The best-ranked one.
    Widest,
    /// Any, whether or not it covers the place.
    Any(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    Next,
    /// Another entry of the same number: a second successor.
    Fork,
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Nothing,
    /// The latest revokes of that key.
    Known,
    One(u8),
}

/// What a revoke keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    /// The heads of all chains of the key, and of those it passed its rights on to, that the
    /// revoker knows.
    Heads,
    /// Heads that the revoker may not even know.
    AllHeads,
    /// One older entry of these.
    One(u8),
    /// Some entry that never arrives.
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Big {
    /// Two chains of directories, one moved into the deepest of the other.
    Tower,
    /// Directories of the longest names, until the path is too long.
    LongPath,
    /// Two authors grant each other until the chain is too long.
    Delegation,
}

/// What is wrong with an entry. Each is well formed and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Cites a grant to somebody else.
    ForeignCap(u8),
    /// Follows an entry of another chain.
    ForeignChain(u8),
    /// Skips a number.
    Gap,
    /// Names an entry of another slot in `prev`.
    ForeignPrev(u8),
    /// Names an entry of the wrong kind as target, as link moved to, or in `after`.
    WrongKind(u8),
    /// Refers to an entry that was made with a flaw.
    OnFlawed(u8),
    /// Refers to an entry that nobody has.
    Missing,
    /// Stands in a directory that nobody made.
    NoDirectory,
    /// Is the genesis of another hierarchy.
    Genesis,
}

const NAMES: [&str; 4] = ["a", "a", "b", "c"];
/// Those who live on grants have more to quarrel about: nobody's rank is that of a root.
const WHO: [usize; 16] = [0, 2, 3, 4, 5, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, STRANGER];

fn name(byte: u8) -> &'static str {
    NAMES[usize::from(byte % 4)]
}

impl Operation {
    /// Every six bytes are an operation; zeros are the plainest.
    pub(crate) fn decode(bytes: [u8; WIDTH]) -> Self {
        let [what, who, place, pick, style, flaw] = bytes;
        let act = act(what, usize::from(who >> 4) % AUTHORS, place, pick);
        // A revoke by an equal has no effect, so every second is by a root.
        let by_root = matches!(act, Act::Revoke { .. }) && place & 0x40 != 0;
        Self {
            author: if by_root { usize::from(who & 1) } else { WHO[usize::from(who & 0xf)] },
            act,
            // Half of what happens is in the topmost directory that the author may change.
            dir: (place & 0xf).saturating_sub(7),
            name: name(place >> 4),
            base: base(style & 0xf, pick),
            cap: match style >> 4 & 3 {
                0 | 1 => Cap::Narrowest,
                2 => Cap::Widest,
                _ => Cap::Any(pick),
            },
            chain: match style >> 6 {
                0 | 1 => Chain::Next,
                2 => Chain::Fork,
                _ => Chain::Restart,
            },
            flaw: flaw_of(flaw, pick),
        }
    }
}

/// The operations in a sequence of bytes; what is left over at the end is ignored.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Operation> {
    bytes.as_chunks().0.iter().map(|bytes| Operation::decode(*bytes)).collect()
}

fn act(what: u8, other: usize, place: u8, pick: u8) -> Act {
    match what {
        0..48 => Act::Write { text: pick % 3 },
        48..64 => Act::WriteBlocks { content: usize::from(pick % 4) },
        64..72 => Act::Chmod { pick },
        72..92 => Act::Mkdir,
        92..112 => Act::Delete,
        112..124 => Act::Link { pick },
        124..128 => Act::Slink,
        128..152 => Act::Move { to_dir: pick & 0xf, to_name: name(pick >> 4) },
        152..156 => Act::HalfMove { to_dir: pick, is_deletion: place & 0x80 != 0 },
        156..184 => Act::Grant {
            who: other,
            rights: [Rights::All, Rights::Write, Rights::Grant, Rights::All][usize::from(pick & 3)],
            after: match pick >> 2 & 3 {
                0 | 1 => After::Nothing,
                2 => After::Known,
                _ => After::One(pick >> 4),
            },
        },
        184..216 => Act::Revoke {
            who: other,
            keep: match pick & 7 {
                0 | 1 => Keep::Nothing,
                2 | 3 => Keep::Heads,
                4 => Keep::AllHeads,
                5 | 6 => Keep::One(pick >> 3),
                _ => Keep::Missing,
            },
            amends: pick & 0x80 != 0,
        },
        216..246 => Act::Hear { from: other },
        255 if pick < 24 => Act::Big(match pick % 3 {
            0 => Big::Delegation,
            1 => Big::LongPath,
            _ => Big::Tower,
        }),
        _ => Act::HearOne { pick },
    }
}

fn base(style: u8, pick: u8) -> Base {
    match style {
        0..7 => Base::Tip,
        7..10 => Base::AllTips,
        10 | 11 => Base::AllTipsReversed,
        12 | 13 => Base::Nothing,
        _ => Base::Old(pick),
    }
}

/// One entry in eight has a flaw.
fn flaw_of(byte: u8, pick: u8) -> Option<Flaw> {
    Some(match byte {
        224..228 => Flaw::ForeignCap(pick),
        228..231 => Flaw::ForeignChain(pick),
        231..234 => Flaw::Gap,
        234..238 => Flaw::ForeignPrev(pick),
        238..244 => Flaw::WrongKind(pick),
        244..250 => Flaw::OnFlawed(pick),
        250 | 251 => Flaw::Missing,
        252 => Flaw::NoDirectory,
        253.. => Flaw::Genesis,
        _ => return None,
    })
}
