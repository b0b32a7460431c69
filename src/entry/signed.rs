//! Entries as bytes with a proof of what was checked.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::body::Body;
use crate::entry::decode::{check_body, check_length, decode};
use crate::entry::rule::{InvalidEntry, Rule};
use crate::id::EntryId;
use crate::limits::MAX_ENTRY;
use crate::wire::cbor::{Reader, Writer};
use crate::wire::key::{SecretKey, Verifier};

/// What signatures are made over, before the encoded body: no signature of a body can be mistaken
/// for one of anything else.
const SIGNATURE_PREFIX: &[u8; 13] = b"basefs v1 sig";

/// The context in which entry ids are hashed.
const ID_CONTEXT: &str = "basefs v1 entry";

/// `[body, signature]`: one byte before the body, two before the 64 of the signature.
const SIGNATURE_TAIL: usize = 2 + 64;

/// An entry that is well formed by itself; its signature has not been looked at. The
/// [module](crate::entry) has an example.
///
/// ```
/// use basefs::entry::{Rule, SignedEntry};
/// # use basefs::entry::{Body, Payload};
/// # use basefs::id::{DirId, EntryId};
/// # let key = basefs::wire::SecretKey::from_seed([7; 32]);
/// # let body = Body {
/// #     dir: DirId::from_bytes([1; 32]), name: "users".into(), prev: vec![], key: key.public(),
/// #     cap: EntryId::from_bytes([2; 32]), seq: 0, aprev: None, ts: Default::default(),
/// #     payload: Payload::Mkdir,
/// # };
///
/// let mut bytes = body.sign(&key)?.bytes().to_vec();
/// *bytes.last_mut().unwrap() ^= 1;
/// let forged = SignedEntry::decode(&bytes)?;
/// assert_eq!(&*forged.body().name, "users", "well formed, and readable");
/// assert_eq!(forged.verify().unwrap_err().rule, Rule::Sig1);
/// # Ok::<(), basefs::entry::InvalidEntry>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEntry {
    body: Body,
    bytes: Bytes,
    id: EntryId,
}

impl SignedEntry {
    /// Decodes an entry and checks every rule that concerns it alone, except the signature.
    ///
    /// # Errors
    ///
    /// Names the first rule that fails; nothing of the bytes is kept.
    ///
    /// ```
    /// use basefs::entry::{Rule, SignedEntry};
    ///
    /// let not_cbor = SignedEntry::decode(&[0xff; 100]).unwrap_err();
    /// assert_eq!(not_cbor.rule, Rule::Entry1);
    /// let a_number = SignedEntry::decode(&[0x07]).unwrap_err();
    /// assert_eq!(a_number.rule, Rule::Entry2);
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidEntry> {
        check_length(bytes)?;
        Self::decode_shared(Bytes::copy_from_slice(bytes))
    }

    /// Decodes an entry without copying it. As long as it lives, so does what `bytes` is a part of.
    pub(crate) fn decode_shared(bytes: Bytes) -> Result<Self, InvalidEntry> {
        let body = decode(&bytes)?;
        let id = id_of(&bytes);
        Ok(Self { body, bytes, id })
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`Rule::Sig1`] if it does not hold.
    ///
    /// ```
    /// # use basefs::entry::{Body, Payload, SignedEntry};
    /// # use basefs::id::{DirId, EntryId};
    /// # let key = basefs::wire::SecretKey::from_seed([7; 32]);
    /// # let body = Body {
    /// #     dir: DirId::from_bytes([1; 32]), name: "users".into(), prev: vec![], key: key.public(),
    /// #     cap: EntryId::from_bytes([2; 32]), seq: 0, aprev: None, ts: Default::default(),
    /// #     payload: Payload::Mkdir,
    /// # };
    /// # let received = body.sign(&key)?.bytes().clone();
    /// let verified = SignedEntry::decode(&received)?.verify()?;
    /// assert_eq!(verified.body().key, key.public(), "this key signed it");
    /// # Ok::<(), basefs::entry::InvalidEntry>(())
    /// ```
    // rule: SIG-1
    pub fn verify(self) -> Result<VerifiedEntry, InvalidEntry> {
        self.verify_with(&mut Verifier::new())
    }

    /// Checks the signature with a verifier that remembers keys: for many entries.
    ///
    /// # Errors
    ///
    /// [`Rule::Sig1`] if it does not hold.
    ///
    /// ```
    /// use basefs::entry::SignedEntry;
    /// use basefs::wire::key::Verifier;
    /// # use basefs::entry::{Body, Payload};
    /// # use basefs::id::{DirId, EntryId};
    /// # let key = basefs::wire::SecretKey::from_seed([7; 32]);
    /// # let entry = |name: &str| Body {
    /// #     dir: DirId::from_bytes([1; 32]), name: name.into(), prev: vec![], key: key.public(),
    /// #     cap: EntryId::from_bytes([2; 32]), seq: 0, aprev: None, ts: Default::default(),
    /// #     payload: Payload::Mkdir,
    /// # }.sign(&key);
    /// # let received = [entry("users")?, entry("lib")?].map(|entry| entry.bytes().clone());
    ///
    /// let mut verifier = Verifier::new();
    /// for bytes in &received {
    ///     let entry = SignedEntry::decode(bytes)?.verify_with(&mut verifier)?;
    ///     assert_eq!(entry.bytes(), bytes);
    /// }
    /// # Ok::<(), basefs::entry::InvalidEntry>(())
    /// ```
    // rule: SIG-1
    pub fn verify_with(self, verifier: &mut Verifier) -> Result<VerifiedEntry, InvalidEntry> {
        let (signed, signature) = self.signed_parts();
        verifier
            .verify(&self.body.key, &signed, &signature)
            .map_err(|_| InvalidEntry::new(Rule::Sig1, "the signature does not hold"))?;
        Ok(VerifiedEntry(self))
    }

    fn signed_parts(&self) -> (Vec<u8>, [u8; 64]) {
        let (body, tail) = self.bytes.split_at(self.bytes.len() - SIGNATURE_TAIL);
        let mut signature = [0; 64];
        signature.copy_from_slice(&tail[2..]);
        (signing_input(&body[1..]), signature)
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Its exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The hash of its exact bytes.
    pub fn id(&self) -> EntryId {
        self.id
    }
}

/// An entry whose signature holds. Whether a hierarchy admits it is for its log to say.
///
/// ```
/// use basefs::entry::VerifiedEntry;
/// # use basefs::entry::{Body, Payload};
/// # use basefs::id::{DirId, EntryId};
/// # let key = basefs::wire::SecretKey::from_seed([7; 32]);
/// # let body = Body {
/// #     dir: DirId::from_bytes([1; 32]), name: "users".into(), prev: vec![], key: key.public(),
/// #     cap: EntryId::from_bytes([2; 32]), seq: 0, aprev: None, ts: Default::default(),
/// #     payload: Payload::Mkdir,
/// # };
///
/// let entry: VerifiedEntry = body.sign(&key)?;
/// let id = blake3::derive_key("basefs v1 entry", entry.bytes());
/// assert_eq!(entry.id(), EntryId::from_bytes(id));
/// assert_eq!(&*entry.body().name, "users");
/// # Ok::<(), basefs::entry::InvalidEntry>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEntry(SignedEntry);

impl VerifiedEntry {
    /// Takes an entry from this replica's own store, where only verified entries go. Checking its
    /// signature again at every start would cost 38 µs an entry.
    pub(crate) fn from_own_store(entry: SignedEntry) -> Self {
        Self(entry)
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.0.body
    }

    /// Its exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The hash of its exact bytes.
    pub fn id(&self) -> EntryId {
        self.0.id
    }
}

impl Body {
    /// Checks the body and signs it.
    ///
    /// # Errors
    ///
    /// Names the rule that the body fails, or [`Rule::Sig1`] if `key` is not the author. Nothing
    /// is signed then.
    ///
    /// ```
    /// use basefs::entry::Rule;
    /// use basefs::wire::SecretKey;
    /// # use basefs::entry::{Body, Payload};
    /// # use basefs::id::{DirId, EntryId};
    /// # let key = SecretKey::from_seed([7; 32]);
    /// # let body = Body {
    /// #     dir: DirId::from_bytes([1; 32]), name: "users".into(), prev: vec![], key: key.public(),
    /// #     cap: EntryId::from_bytes([2; 32]), seq: 0, aprev: None, ts: Default::default(),
    /// #     payload: Payload::Mkdir,
    /// # };
    ///
    /// let another = SecretKey::from_seed([8; 32]);
    /// assert_eq!(body.clone().sign(&another).unwrap_err().rule, Rule::Sig1);
    /// let unnamed = Body { name: "..".into(), ..body.clone() };
    /// assert_eq!(unnamed.sign(&key).unwrap_err().rule, Rule::Name1);
    /// assert!(body.sign(&key).is_ok());
    /// ```
    // rule: SIG-1
    pub fn sign(self, key: &SecretKey) -> Result<VerifiedEntry, InvalidEntry> {
        check_body(&self)?;
        if key.public() != self.key {
            return Err(InvalidEntry::new(Rule::Sig1, "the author is another key"));
        }
        let encoded = self.encode();
        let signature = key.sign(&signing_input(&encoded));
        let bytes = assemble(&encoded, &signature);
        if bytes.len() > MAX_ENTRY {
            return Err(InvalidEntry::new(Rule::Entry1, "longer than an entry may be"));
        }
        let id = id_of(&bytes);
        Ok(VerifiedEntry(SignedEntry { body: self, bytes: Bytes::from(bytes), id }))
    }
}

/// The inline content of an encoded write, given its length: what the body ends with. For entries
/// from this replica's own store, where only verified ones go, so that reading need not decode.
/// Gives nothing if there is no content of this length.
///
/// ```
/// # use basefs::entry::{Body, FileData, Payload, inline_content};
/// # use basefs::id::{DirId, EntryId};
/// # let key = basefs::wire::SecretKey::from_seed([7; 32]);
/// # let data = FileData::Inline(b"hi"[..].into());
/// # let body = Body {
/// #     dir: DirId::from_bytes([1; 32]), name: "f".into(), prev: vec![], key: key.public(),
/// #     cap: EntryId::from_bytes([2; 32]), seq: 0, aprev: None, ts: Default::default(),
/// #     payload: Payload::Write { executable: false, data },
/// # };
/// let entry = body.sign(&key)?;
/// assert_eq!(inline_content(entry.bytes(), 2).as_deref(), Some(&b"hi"[..]));
/// # Ok::<(), basefs::entry::InvalidEntry>(())
/// ```
pub fn inline_content(entry: &Bytes, length: usize) -> Option<Bytes> {
    let end = entry.len().checked_sub(SIGNATURE_TAIL)?;
    // A length stands in the head itself, or in one or two bytes after it (MAX_INLINE).
    let head = match length {
        0..24 => 1,
        24..256 => 2,
        _ => 3,
    };
    let start = end.checked_sub(length)?.checked_sub(head)?;
    let mut reader = Reader::new(&entry[start..end]);
    let content = reader.bytes().ok()?;
    reader.finish().ok()?;
    Some(entry.slice_ref(content))
}

fn signing_input(body: &[u8]) -> Vec<u8> {
    [SIGNATURE_PREFIX, body].concat()
}

fn assemble(body: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.array(2).raw(body).bytes(signature);
    writer.into_bytes()
}

// rule: ID-1
fn id_of(bytes: &[u8]) -> EntryId {
    EntryId::from_bytes(blake3::derive_key(ID_CONTEXT, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{FileData, Payload};
    use crate::id::DirId;
    use crate::limits::MAX_INLINE;
    use crate::time::WallTime;

    fn sign(payload: Payload) -> VerifiedEntry {
        let key = SecretKey::from_seed([7; 32]);
        let body = Body {
            dir: DirId::from_bytes([1; 32]),
            name: "file".into(),
            prev: Vec::new(),
            cap: EntryId::from_bytes([2; 32]),
            key: key.public(),
            seq: 0,
            aprev: None,
            ts: WallTime::from_millis(0),
            payload,
        };
        body.sign(&key).expect("a valid body")
    }

    // rule: WRITE-2
    #[test]
    fn inline_content_of_every_length_is_found_without_decoding() {
        let content = Bytes::from(alloc::vec![0x5a; MAX_INLINE]);
        for length in 0..=MAX_INLINE {
            let data = FileData::Inline(content.slice(..length));
            let entry = sign(Payload::Write { executable: false, data });
            assert_eq!(inline_content(entry.bytes(), length), Some(content.slice(..length)));
            assert_eq!(inline_content(entry.bytes(), length + 1), None);
            assert_eq!(inline_content(entry.bytes(), 2_000), None);
        }
        let mkdir = sign(Payload::Mkdir);
        assert_eq!(inline_content(mkdir.bytes(), 4), None);
        assert_eq!(inline_content(&Bytes::from_static(b"short"), 4), None);
    }
}
