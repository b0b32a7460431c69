// Authors for the examples of the log and of what is built on it; hidden there, for what a body
// consists of is no part of what they show. Included by the examples, public to nobody.

use basefs::entry::{Body, FileData, Payload, Rights, VerifiedEntry};
use basefs::id::{DirId, EntryId};
use basefs::log::{EntryNo, Offered, Source, root_dir};
use basefs::node::{Effects, Replica};
use basefs::time::WallTime;
use basefs::wire::SecretKey;

/// Somebody with a key, and the head of their chain.
pub struct Author {
    pub key: SecretKey,
    pub cap: EntryId,
    pub seq: u64,
    pub last: Option<EntryId>,
}

/// The entry that founds the hierarchy of all examples, and its author.
pub fn genesis() -> (Author, VerifiedEntry) {
    let mut ana = Author::new(1);
    let roots = vec![ana.key.public()];
    let payload = Payload::Genesis { roots, nonce: [1; 16] };
    let none = DirId::from_bytes([0; 32]);
    let genesis = ana.sign(none, "example", &[], payload);
    ana = Author { cap: genesis.id(), ..Author::new(1) };
    (ana, genesis)
}

/// The same with a replica that has the genesis.
pub fn found() -> (Author, Replica) {
    let (ana, genesis) = genesis();
    let mut replica = Replica::new(genesis.id(), 1);
    replica.offer(genesis, Source::Local, &mut Effects::default());
    (ana, replica)
}

impl Author {
    /// Somebody without authority; a grant gives it.
    pub fn new(seed: u8) -> Self {
        let key = SecretKey::from_seed([seed; 32]);
        Self { key, cap: EntryId::from_bytes([0; 32]), seq: 0, last: None }
    }

    /// The next entry of this author's chain.
    pub fn sign(
        &mut self,
        dir: DirId,
        name: &str,
        prev: &[EntryId],
        payload: Payload,
    ) -> VerifiedEntry {
        let body = Body {
            dir,
            name: name.into(),
            prev: prev.to_vec(),
            cap: self.cap,
            key: self.key.public(),
            seq: self.seq,
            aprev: self.last,
            ts: WallTime::from_millis(0),
            payload,
        };
        let entry = body.sign(&self.key).expect("a valid body");
        (self.seq, self.last) = (self.seq + 1, Some(entry.id()));
        entry
    }

    /// Says something in the root directory; gives its number.
    pub fn say(
        &mut self,
        replica: &mut Replica,
        name: &str,
        prev: &[EntryNo],
        payload: Payload,
    ) -> EntryNo {
        let root = root_dir(&replica.log().genesis());
        self.say_in(replica, root, name, prev, payload)
    }

    /// Says something in a directory; gives its number.
    pub fn say_in(
        &mut self,
        replica: &mut Replica,
        dir: DirId,
        name: &str,
        prev: &[EntryNo],
        payload: Payload,
    ) -> EntryNo {
        let prev: Vec<EntryId> = prev.iter().map(|no| replica.log().id(*no)).collect();
        let entry = self.sign(dir, name, &prev, payload);
        let id = entry.id();
        let offered = replica.offer(entry, Source::Local, &mut Effects::default());
        assert_eq!(offered, Offered::Admitted);
        replica.log().number(&id).expect("just admitted")
    }

    /// Writes a file in the root directory.
    pub fn write(
        &mut self,
        replica: &mut Replica,
        name: &str,
        text: &'static str,
        prev: &[EntryNo],
    ) -> EntryNo {
        let data = FileData::Inline(text.as_bytes().into());
        self.say(replica, name, prev, Payload::Write { executable: false, data })
    }

    /// Makes a directory in the root directory; gives its id.
    pub fn mkdir(&mut self, replica: &mut Replica, name: &str) -> DirId {
        self.say(replica, name, &[], Payload::Mkdir);
        basefs::log::child_dir(&root_dir(&replica.log().genesis()), None, name)
    }

    /// Gives somebody rights at the root directory.
    pub fn grant(&mut self, replica: &mut Replica, to: &mut Author, rights: Rights) -> EntryNo {
        let payload = Payload::Grant { who: to.key.public(), rights, after: vec![] };
        let no = self.say(replica, "", &[], payload);
        to.cap = replica.log().id(no);
        no
    }

    /// Revokes everything of somebody, save what comes up to an entry of theirs.
    pub fn revoke(&mut self, replica: &mut Replica, who: &Author, keep: &[EntryNo]) -> EntryNo {
        let keep = keep.iter().map(|no| replica.log().id(*no)).collect();
        self.say(replica, "", &[], Payload::Revoke { who: who.key.public(), keep })
    }
}
