//! Body to bytes.

use alloc::vec::Vec;

use crate::entry::body::{Body, FileData, Payload};
use crate::id::EntryId;
use crate::wire::cbor::Writer;

impl Body {
    /// The canonical encoding of the body, the part that is signed.
    ///
    /// The result is only as valid as the fields are: [`Body::sign`] checks them.
    ///
    /// ```
    /// # use basefs::entry::{Body, Payload};
    /// # use basefs::id::{DirId, EntryId};
    /// # let key = basefs::wire::SecretKey::from_seed([7; 32]);
    /// # let body = Body {
    /// #     dir: DirId::from_bytes([1; 32]), name: "users".into(), prev: vec![], key: key.public(),
    /// #     cap: EntryId::from_bytes([2; 32]), seq: 0, aprev: None, ts: Default::default(),
    /// #     payload: Payload::Mkdir,
    /// # };
    /// let encoded = body.encode();
    /// assert_eq!(encoded[..3], [0x8b, 1, 1], "eleven fields, format 1, mkdir");
    /// let entry = body.sign(&key)?;
    /// assert_eq!(entry.bytes()[1..=encoded.len()], encoded, "a signature follows");
    /// # Ok::<(), basefs::entry::InvalidEntry>(())
    /// ```
    // rule: ENTRY-2
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(11).uint(1).uint(u64::from(self.payload.action().code()));
        writer.bytes(self.dir.as_bytes()).text(&self.name);
        ids(&mut writer, &self.prev);
        writer.bytes(self.cap.as_bytes()).bytes(self.key.as_bytes()).uint(self.seq);
        optional_id(&mut writer, self.aprev.as_ref());
        writer.uint(self.ts.as_millis());
        self.payload.encode(&mut writer);
        writer.into_bytes()
    }
}

impl Payload {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Payload::Genesis { roots, nonce } => {
                writer.array(2).array(roots.len());
                for root in roots {
                    writer.bytes(root.as_bytes());
                }
                writer.bytes(nonce);
            }
            Payload::Mkdir => {
                writer.array(0);
            }
            Payload::Write { executable, data: FileData::Inline(bytes) } => {
                writer.array(2).uint(u64::from(*executable)).bytes(bytes);
            }
            Payload::Write { executable, data: FileData::Blocks(content) } => {
                writer.array(4).bytes(content.root.as_bytes()).uint(content.size);
                writer.uint(u64::from(content.levels)).uint(u64::from(*executable));
            }
            Payload::Delete { moved_to } => {
                writer.array(1);
                optional_id(writer, moved_to.as_ref());
            }
            Payload::Link { target } => {
                writer.array(1).bytes(target.as_bytes());
            }
            Payload::Slink { text } => {
                writer.array(1).text(text);
            }
            Payload::Grant { who, rights, after } => {
                writer.array(3).bytes(who.as_bytes()).uint(u64::from(rights.code()));
                ids(writer, after);
            }
            Payload::Revoke { who, keep } => {
                writer.array(2).bytes(who.as_bytes());
                ids(writer, keep);
            }
        }
    }
}

fn ids(writer: &mut Writer, ids: &[EntryId]) {
    writer.array(ids.len());
    for id in ids {
        writer.bytes(id.as_bytes());
    }
}

fn optional_id(writer: &mut Writer, id: Option<&EntryId>) {
    match id {
        Some(id) => writer.bytes(id.as_bytes()),
        None => writer.null(),
    };
}
