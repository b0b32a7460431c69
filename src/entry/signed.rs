//! Entries as bytes with a proof of what was checked.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::body::Body;
use crate::entry::decode::{check_body, decode};
use crate::entry::rule::{InvalidEntry, Rule};
use crate::id::EntryId;
use crate::limits::MAX_ENTRY;
use crate::wire::key::{SecretKey, verify};

/// What signatures are made over, before the encoded body: no signature of a body can be mistaken
/// for one of anything else.
const SIGNATURE_PREFIX: &[u8; 13] = b"basefs v1 sig";

/// The context in which entry ids are hashed.
const ID_CONTEXT: &str = "basefs v1 entry";

/// `[body, signature]`: one byte before the body, two before the 64 of the signature.
const SIGNATURE_TAIL: usize = 2 + 64;

/// An entry that is well formed by itself; its signature has not been looked at.
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
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidEntry> {
        let body = decode(bytes)?;
        Ok(Self { body, bytes: Bytes::copy_from_slice(bytes), id: id_of(bytes) })
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`Rule::Sig1`] if it does not hold.
    // rule: SIG-1
    pub fn verify(self) -> Result<VerifiedEntry, InvalidEntry> {
        let (signed, signature) = self.signed_parts();
        verify(&self.body.key, &signed, &signature)
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

/// An entry whose signature holds.
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

fn signing_input(body: &[u8]) -> Vec<u8> {
    [SIGNATURE_PREFIX, body].concat()
}

fn assemble(body: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut writer = crate::wire::cbor::Writer::new();
    writer.array(2).raw(body).bytes(signature);
    writer.into_bytes()
}

// rule: ID-1
fn id_of(bytes: &[u8]) -> EntryId {
    EntryId::from_bytes(blake3::derive_key(ID_CONTEXT, bytes))
}
