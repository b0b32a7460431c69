//! What the log knows of an entry, by its number, and of the contents that entries name.

use crate::entry::Action;
use crate::id::{Content, EntryId, PublicKey};
use crate::log::Log;
use crate::log::number::{ContentNo, DirNo, EntryNo, KeyNo, SlotNo, ValueNo};
use crate::log::record::{Detail, Record, Value};

impl Log {
    /// The number of an admitted entry.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::id::EntryId;
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// assert_eq!(log.number(&log.id(hello)), Some(hello));
    /// assert_eq!(log.number(&EntryId::from_bytes([7; 32])), None);
    /// ```
    pub fn number(&self, id: &EntryId) -> Option<EntryNo> {
        let hash = self.by_id.hash(id);
        let index = self.by_id.find(hash, |position| self.records[position].id == *id)?;
        EntryNo::from_index(index)
    }

    /// The id of an entry.
    pub fn id(&self, no: EntryNo) -> EntryId {
        self.records[no.index()].id
    }

    pub(crate) fn record(&self, no: EntryNo) -> &Record {
        &self.records[no.index()]
    }

    /// The action of an entry.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// use basefs::entry::Action;
    ///
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// assert_eq!(log.action(hello), Action::Write);
    /// assert_eq!(log.author(hello), ana.key.public());
    /// ```
    pub fn action(&self, no: EntryNo) -> Action {
        match self.record(no).detail {
            Detail::Genesis => Action::Genesis,
            Detail::Data { action, .. } => action,
            Detail::Grant(_) => Action::Grant,
            Detail::Revoke { .. } => Action::Revoke,
        }
    }

    /// The author of an entry.
    pub fn author(&self, no: EntryNo) -> PublicKey {
        self.keys[self.caps[self.record(no).cap.index()].key.index()]
    }

    /// The entries that an entry names in `prev`.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let readme = ana.write(&mut replica, "readme", "see motd", &[]);
    /// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let log = replica.log();
    /// assert_eq!(log.prev(morning), [hello], "what it replaces");
    /// assert_eq!(log.chain_before(morning), Some(readme), "what its author said before");
    /// assert_eq!((log.seq(hello), log.seq(morning)), (0, 2));
    /// ```
    pub fn prev(&self, no: EntryNo) -> &[EntryNo] {
        let (start, len) = self.record(no).prev;
        &self.prevs[start as usize..start as usize + usize::from(len)]
    }

    /// The author's entry before this one.
    pub fn chain_before(&self, no: EntryNo) -> Option<EntryNo> {
        self.record(no).aprev
    }

    /// The position of an entry in its author's chain.
    pub fn seq(&self, no: EntryNo) -> u64 {
        u64::from(self.record(no).seq)
    }

    /// Whether `x` is `head` or reached from it through `aprev`.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let readme = ana.write(&mut replica, "readme", "see motd", &[]);
    /// let log = replica.log();
    /// assert!(log.is_chain_below(hello, readme) && log.is_chain_below(readme, readme));
    /// assert!(!log.is_chain_below(readme, hello));
    /// ```
    // rule: CHAIN-2
    pub fn is_chain_below(&self, x: EntryNo, head: EntryNo) -> bool {
        let seq = self.record(x).seq;
        let mut at = head;
        while self.record(at).seq > seq {
            let record = self.record(at);
            let jump = record.jump.filter(|jump| self.record(*jump).seq >= seq);
            match jump.or(record.aprev) {
                Some(next) => at = next,
                None => return false,
            }
        }
        at == x
    }

    /// The slot of a data entry.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// let slot = log.slot_of(hello).unwrap();
    /// assert_eq!(&**log.slot_name(slot), "motd");
    /// assert_eq!(Some(log.slot_dir(slot)), log.root());
    /// assert_eq!(log.slot_of(log.number(&log.genesis()).unwrap()), None, "no data");
    /// ```
    pub fn slot_of(&self, no: EntryNo) -> Option<SlotNo> {
        match self.record(no).detail {
            Detail::Data { slot, .. } => Some(slot),
            _ => None,
        }
    }

    /// The number of the value of a data entry.
    pub fn value_no(&self, no: EntryNo) -> Option<ValueNo> {
        match self.record(no).detail {
            Detail::Data { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The value of a data entry.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// use basefs::log::Value;
    ///
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let copy = ana.write(&mut replica, "copy", "hello", &[]);
    /// let log = replica.log();
    /// assert_eq!(log.value_no(hello), log.value_no(copy), "equal values have one number");
    /// let Some(Value::File { content, executable: false }) = log.value(hello) else {
    ///     panic!("a write makes a file");
    /// };
    /// assert_eq!(log.content(*content).size, 5);
    /// ```
    pub fn value(&self, no: EntryNo) -> Option<&Value> {
        self.value_no(no).map(|value| &self.values[value.index()])
    }

    /// The entry that the value of a data entry comes from: itself, or behind links the write.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let target = replica.log().id(hello);
    /// let link = ana.say(&mut replica, "copy", &[], Payload::Link { target });
    /// let log = replica.log();
    /// assert_eq!((log.origin(link), log.origin(hello)), (hello, hello));
    /// assert_eq!((log.target(link), log.target(hello)), (Some(hello), None));
    /// ```
    pub fn origin(&self, no: EntryNo) -> EntryNo {
        match self.record(no).detail {
            Detail::Data { origin, .. } => origin,
            _ => no,
        }
    }

    /// The link that a deletion moved to.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// // A rename is a link at the new place, and a deletion at the old one that names it.
    /// let draft = ana.write(&mut replica, "draft", "hello", &[]);
    /// let target = replica.log().id(draft);
    /// let link = ana.say(&mut replica, "motd", &[], Payload::Link { target });
    /// let moved_to = Some(replica.log().id(link));
    /// let delete = ana.say(&mut replica, "draft", &[draft], Payload::Delete { moved_to });
    /// assert_eq!(replica.log().moved_to(delete), Some(link));
    /// ```
    pub fn moved_to(&self, no: EntryNo) -> Option<EntryNo> {
        match self.record(no).detail {
            Detail::Data { action: Action::Delete, other, .. } => other,
            _ => None,
        }
    }

    /// The entry whose value a link adopted.
    pub fn target(&self, no: EntryNo) -> Option<EntryNo> {
        match self.record(no).detail {
            Detail::Data { action: Action::Link, other, .. } => other,
            _ => None,
        }
    }

    /// The grants and revokes, each in the order of admission.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// use basefs::entry::Rights;
    ///
    /// let mut ben = Author::new(2);
    /// let grant = ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let revoke = ana.revoke(&mut replica, &ben, &[]);
    /// let log = replica.log();
    /// assert!(log.control().eq([grant, revoke]));
    /// assert_eq!(log.grantee(grant), log.key_no(&ben.key.public()));
    /// assert_eq!(log.dir_of(revoke), log.root(), "what it governs");
    /// ```
    pub fn control(&self) -> impl Iterator<Item = EntryNo> + '_ {
        let grants = self.caps.iter().filter(|cap| cap.parent.is_some()).map(|cap| cap.entry);
        grants.chain(self.revokes.keys().copied())
    }

    /// The key that a grant is for, or that a revoke is against.
    pub fn grantee(&self, no: EntryNo) -> Option<KeyNo> {
        match self.record(no).detail {
            Detail::Grant(cap) => Some(self.cap_key(cap)),
            Detail::Revoke { who, .. } => Some(who),
            _ => None,
        }
    }

    /// The directory that a grant or a revoke governs, or that holds a data entry; none for the
    /// genesis.
    pub fn dir_of(&self, no: EntryNo) -> Option<DirNo> {
        match self.record(no).detail {
            Detail::Genesis => None,
            Detail::Data { slot, .. } => Some(self.slot_dir(slot)),
            Detail::Grant(cap) => Some(self.cap_dir(cap)),
            Detail::Revoke { dir, .. } => Some(dir),
        }
    }

    /// The directory that a mkdir or the genesis defines.
    pub(super) fn defined_dir(&self, no: EntryNo) -> Option<DirNo> {
        match self.record(no).detail {
            Detail::Genesis => self.root(),
            Detail::Data { action: Action::Mkdir, value, .. } => match self.values[value.index()] {
                Value::Dir(dir) => Some(dir),
                _ => None,
            },
            _ => None,
        }
    }

    /// A content by number.
    pub fn content(&self, no: ContentNo) -> &Content {
        &self.contents[no.index()]
    }

    /// The number of a content that some write names.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// ana.write(&mut replica, "copy", "hello", &[]);
    /// let log = replica.log();
    /// let no = log.content_of(hello).unwrap();
    /// assert_eq!(log.content_no(log.content(no)), Some(no));
    /// assert_eq!(log.contents(), 1, "both name the same");
    /// ```
    pub fn content_no(&self, content: &Content) -> Option<ContentNo> {
        let hash = self.by_content.hash(content);
        let index = self.by_content.find(hash, |position| self.contents[position] == *content)?;
        ContentNo::from_index(index)
    }

    /// Number of contents that writes name.
    pub fn contents(&self) -> usize {
        self.contents.len()
    }

    /// The content of the value of a data entry, if it is a file.
    pub fn content_of(&self, no: EntryNo) -> Option<ContentNo> {
        match self.value(no) {
            Some(Value::File { content, .. }) => Some(*content),
            _ => None,
        }
    }
}
