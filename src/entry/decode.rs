//! Bytes to body: shape first, then every rule that needs no other entry.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::body::{Action, Body, FileData, Payload, Rights};
use crate::entry::rule::{InvalidEntry, Rule};
use crate::id::{BlockId, Content, DirId, EntryId, PublicKey};
use crate::limits;
use crate::time::WallTime;
use crate::wire::cbor::{self, CborError, Reader};

type Result<T> = core::result::Result<T, InvalidEntry>;

/// Decodes one entry and checks every rule that concerns it alone, except the signature.
// rule: ENTRY-1
pub(super) fn decode(bytes: &Bytes) -> Result<Body> {
    check_length(bytes)?;
    cbor::check(bytes, limits::MAX_NESTING).map_err(encoding)?;
    let mut reader = Reader::new(bytes);
    shape(reader.array(2..=2), "an entry has a body and a signature")?;
    let body = decode_body(bytes, &mut reader)?;
    shape(reader.bytes_exact::<64>(), "a signature has 64 bytes")?;
    check_body(&body)?;
    Ok(body)
}

/// Refuses what is too long to be worth a copy.
pub(super) fn check_length(bytes: &[u8]) -> Result<()> {
    if bytes.len() > limits::MAX_ENTRY {
        return Err(InvalidEntry::new(Rule::Entry1, "longer than an entry may be"));
    }
    Ok(())
}

fn encoding(error: CborError) -> InvalidEntry {
    InvalidEntry::new(
        Rule::Entry1,
        match error {
            CborError::Truncated => "the bytes end early",
            CborError::Trailing => "bytes follow the entry",
            CborError::NotCanonical => "a number or length is not in its shortest form",
            CborError::NotUtf8 => "text is not UTF-8",
            CborError::TooDeep => "arrays are nested too deeply",
            _ => "a type that entries do not use",
        },
    )
}

/// Once the encoding is known to be canonical, what goes wrong is a field of the wrong type.
fn shape<T>(result: core::result::Result<T, CborError>, what: &'static str) -> Result<T> {
    result.map_err(|_| InvalidEntry::new(Rule::Entry2, what))
}

// rule: ENTRY-2
fn decode_body(bytes: &Bytes, reader: &mut Reader<'_>) -> Result<Body> {
    shape(reader.array(11..=11), "a body has eleven fields")?;
    if shape(reader.uint(), "the version is a number")? != 1 {
        return Err(InvalidEntry::new(Rule::Entry2, "an unknown version"));
    }
    let action = Action::from_code(shape(reader.uint(), "the action is a number")?)
        .ok_or(InvalidEntry::new(Rule::Entry2, "an unknown action"))?;
    Ok(Body {
        dir: DirId::from_bytes(shape(reader.bytes_exact(), "dir has 32 bytes")?),
        name: shape(reader.text(), "the name is text")?.into(),
        prev: ids(reader)?,
        cap: EntryId::from_bytes(shape(reader.bytes_exact(), "cap has 32 bytes")?),
        key: PublicKey::from_bytes(shape(reader.bytes_exact(), "key has 32 bytes")?),
        seq: shape(reader.uint(), "seq is a number")?,
        aprev: optional_id(reader)?,
        ts: WallTime::from_millis(shape(reader.uint(), "ts is a number")?),
        payload: decode_payload(action, bytes, reader)?,
    })
}

fn decode_payload(action: Action, bytes: &Bytes, reader: &mut Reader<'_>) -> Result<Payload> {
    let lengths = match action {
        Action::Mkdir => 0..=0,
        Action::Delete | Action::Link | Action::Slink => 1..=1,
        Action::Genesis | Action::Revoke => 2..=2,
        Action::Grant => 3..=3,
        Action::Write => 2..=4,
    };
    let length = shape(reader.array(lengths), "the payload has another length")?;
    Ok(match action {
        Action::Genesis => Payload::Genesis {
            roots: ids(reader)?.iter().map(|id| PublicKey::from_bytes(*id.as_bytes())).collect(),
            nonce: shape(reader.bytes_exact(), "the nonce has 16 bytes")?,
        },
        Action::Mkdir => Payload::Mkdir,
        Action::Write => decode_write(length, bytes, reader)?,
        Action::Delete => Payload::Delete { moved_to: optional_id(reader)? },
        Action::Link => Payload::Link {
            target: EntryId::from_bytes(shape(reader.bytes_exact(), "a target has 32 bytes")?),
        },
        Action::Slink => Payload::Slink { text: shape(reader.text(), "text is expected")?.into() },
        Action::Grant => Payload::Grant {
            who: PublicKey::from_bytes(shape(reader.bytes_exact(), "a key has 32 bytes")?),
            rights: Rights::from_code(shape(reader.uint(), "rights are a number")?)
                .ok_or(InvalidEntry::new(Rule::Entry6, "rights are W, G or both"))?,
            after: ids(reader)?,
        },
        Action::Revoke => Payload::Revoke {
            who: PublicKey::from_bytes(shape(reader.bytes_exact(), "a key has 32 bytes")?),
            keep: ids(reader)?,
        },
    })
}

/// The two forms of a write are told apart by the length of the payload. Inline content is shared
/// with the bytes of the entry.
// rule: WRITE-1
fn decode_write(length: usize, bytes: &Bytes, reader: &mut Reader<'_>) -> Result<Payload> {
    let flags = |reader: &mut Reader<'_>| match shape(reader.uint(), "flags are a number")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(InvalidEntry::new(Rule::Write1, "unknown flags")),
    };
    match length {
        2 => {
            let executable = flags(reader)?;
            let inline = shape(reader.bytes(), "inline content is bytes")?;
            Ok(Payload::Write { executable, data: FileData::Inline(bytes.slice_ref(inline)) })
        }
        4 => {
            let root = shape(reader.bytes_exact(), "a root has 32 bytes")?;
            let size = shape(reader.uint(), "a size is a number")?;
            let levels = shape(reader.uint(), "levels are a number")?;
            let executable = flags(reader)?;
            let levels = u8::try_from(levels).unwrap_or(u8::MAX);
            let content = Content { root: BlockId::from_bytes(root), size, levels };
            Ok(Payload::Write { executable, data: FileData::Blocks(content) })
        }
        _ => Err(InvalidEntry::new(Rule::Entry2, "a write has two or four fields")),
    }
}

fn ids(reader: &mut Reader<'_>) -> Result<Vec<EntryId>> {
    let length = shape(reader.array(0..=usize::MAX), "an array of ids is expected")?;
    // The canonical check has seen that the values are there, so `length` is bounded by the size
    // of the entry.
    (0..length)
        .map(|_| shape(reader.bytes_exact(), "an id has 32 bytes").map(EntryId::from_bytes))
        .collect()
}

fn optional_id(reader: &mut Reader<'_>) -> Result<Option<EntryId>> {
    if shape(reader.null(), "an id or null is expected")? {
        return Ok(None);
    }
    shape(reader.bytes_exact(), "an id has 32 bytes").map(|bytes| Some(EntryId::from_bytes(bytes)))
}

/// Everything about a body that its fields' types leave open.
pub(super) fn check_body(body: &Body) -> Result<()> {
    check_prev(body)?;
    // rule: ENTRY-4
    if (body.seq == 0) != body.aprev.is_none() {
        return Err(InvalidEntry::new(Rule::Entry4, "seq is 0 exactly where aprev is null"));
    }
    if body.payload.action().is_data() {
        check_name(&body.name)?;
    } else if body.name.len() > limits::MAX_LABEL {
        // rule: NAME-2
        return Err(InvalidEntry::new(Rule::Name2, "the label is longer than 64 bytes"));
    }
    check_payload(body)
}

// rule: ENTRY-3
fn check_prev(body: &Body) -> Result<()> {
    let bound = match body.payload.action() {
        Action::Genesis | Action::Grant => 0,
        Action::Revoke => limits::MAX_AMEND,
        _ => limits::MAX_PREV,
    };
    if body.prev.len() > bound {
        return Err(InvalidEntry::new(Rule::Entry3, "prev names too many entries"));
    }
    let Some((base, rest)) = body.prev.split_first() else { return Ok(()) };
    if !is_ascending(rest) || rest.contains(base) {
        return Err(InvalidEntry::new(Rule::Entry3, "prev is not in order or names one twice"));
    }
    Ok(())
}

fn is_ascending(ids: &[EntryId]) -> bool {
    ids.is_sorted_by(|a, b| a < b)
}

// rule: ENTRY-6
fn check_payload(body: &Body) -> Result<()> {
    let fail = |what| Err(InvalidEntry::new(Rule::Entry6, what));
    match &body.payload {
        Payload::Genesis { roots, .. } => check_genesis(body, roots),
        Payload::Mkdir | Payload::Link { .. } => Ok(()),
        Payload::Write { data, .. } => check_data(data),
        Payload::Delete { .. } if body.prev.is_empty() => fail("a deletion needs a base"),
        Payload::Delete { .. } => Ok(()),
        Payload::Slink { text } if text.is_empty() => fail("the text of a symbolic link is empty"),
        Payload::Slink { text } if text.contains('\0') => fail("a symbolic link contains NUL"),
        Payload::Slink { .. } => Ok(()),
        Payload::Grant { after, .. } if after.len() > limits::MAX_AFTER => {
            fail("a grant names too many revokes")
        }
        Payload::Grant { after, .. } if !is_ascending(after) => fail("after is not in order"),
        Payload::Grant { .. } => Ok(()),
        Payload::Revoke { keep, .. } if keep.len() > limits::MAX_KEEP => {
            fail("a revoke keeps too many heads")
        }
        Payload::Revoke { keep, .. } if !is_ascending(keep) => fail("keep is not in order"),
        Payload::Revoke { .. } => Ok(()),
    }
}

// rule: ENTRY-5
fn check_genesis(body: &Body, roots: &[PublicKey]) -> Result<()> {
    let fail = |what| Err(InvalidEntry::new(Rule::Entry5, what));
    if roots.is_empty() || roots.len() > limits::MAX_ROOTS {
        return fail("a hierarchy has one to eight root keys");
    }
    if (1..roots.len()).any(|i| roots[..i].contains(&roots[i])) {
        return fail("a root key is named twice");
    }
    if *body.dir.as_bytes() != [0; 32] || *body.cap.as_bytes() != [0; 32] {
        return fail("dir and cap of a genesis are zero");
    }
    if body.key != roots[0] || body.seq != 0 {
        return fail("a genesis is the first entry of the first root key");
    }
    Ok(())
}

fn check_data(data: &FileData) -> Result<()> {
    match data {
        // rule: WRITE-2
        FileData::Inline(bytes) if bytes.len() > limits::MAX_INLINE => {
            Err(InvalidEntry::new(Rule::Write2, "inline content is longer than 320 bytes"))
        }
        FileData::Inline(_) => Ok(()),
        FileData::Blocks(content) => {
            if content.levels > limits::MAX_LEVELS || content.size > limits::MAX_SIZE {
                return Err(InvalidEntry::new(Rule::Write1, "levels or size are out of range"));
            }
            if content.size <= limits::MAX_INLINE as u64 {
                return Err(InvalidEntry::new(Rule::Write2, "content this short stands inline"));
            }
            Ok(())
        }
    }
}

/// Checks that a text can name a file: 1 to 255 bytes, not `.`, `..` or `.basefs`, no control
/// characters and no slash.
///
/// # Errors
///
/// Says what is wrong with the name; [`Rule::Name1`] always.
///
/// ```
/// assert!(basefs::entry::check_name("été.txt").is_ok());
/// assert!(basefs::entry::check_name("..").is_err());
/// ```
// rule: NAME-1
pub fn check_name(name: &str) -> Result<()> {
    let fail = |what| Err(InvalidEntry::new(Rule::Name1, what));
    if name.is_empty() || name.len() > limits::MAX_NAME {
        return fail("a name has 1 to 255 bytes");
    }
    if matches!(name, "." | ".." | ".basefs") {
        return fail("this name is reserved");
    }
    if name.bytes().any(|byte| byte < 0x20 || byte == 0x7f || byte == b'/') {
        return fail("a name contains a control character or a slash");
    }
    Ok(())
}
