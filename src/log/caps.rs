//! Capabilities and keys.

use crate::entry::Rights;
use crate::id::PublicKey;
use crate::log::Log;
use crate::log::number::{CapNo, DirNo, EntryNo, KeyNo};
use crate::log::record::{Capability, Rank, Revoke};

impl Log {
    pub(crate) fn revoke(&self, no: EntryNo) -> Option<&Revoke> {
        self.revokes.get(&no)
    }

    pub(crate) fn cap(&self, cap: CapNo) -> &Capability {
        &self.caps[cap.index()]
    }

    /// The capability that an entry cites.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// use basefs::entry::Rights;
    ///
    /// let mut ben = Author::new(2);
    /// let grant = ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// let cap = log.cap_of(hello);
    /// assert_eq!((log.cap_entry(cap), log.cap_rights(cap)), (grant, Rights::Write));
    /// assert_eq!(Some(log.cap_dir(cap)), log.root());
    /// assert_eq!(log.key(log.cap_key(cap)), ben.key.public());
    /// assert_eq!(log.caps(), 2, "of the root key, and of Ben");
    /// ```
    pub fn cap_of(&self, no: EntryNo) -> CapNo {
        self.record(no).cap
    }

    /// The rank of an entry: that of the capability it cites.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// let grant = ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// assert!(log.rank(grant) < log.rank(hello), "Ana stands above Ben");
    /// assert_eq!(log.rank(hello), log.cap_rank(log.cap_of(hello)));
    /// ```
    // rule: RANK-2
    pub fn rank(&self, no: EntryNo) -> Rank {
        self.cap(self.record(no).cap).rank
    }

    /// Number of capabilities.
    pub fn caps(&self) -> usize {
        self.caps.len()
    }

    /// The grant behind a capability, or the genesis.
    pub fn cap_entry(&self, cap: CapNo) -> EntryNo {
        self.cap(cap).entry
    }

    /// The directory that a capability governs.
    pub fn cap_dir(&self, cap: CapNo) -> DirNo {
        self.cap(cap).dir
    }

    /// What a capability allows.
    pub fn cap_rights(&self, cap: CapNo) -> Rights {
        self.cap(cap).rights
    }

    /// The weight of a capability.
    pub fn cap_rank(&self, cap: CapNo) -> Rank {
        self.cap(cap).rank
    }

    /// The key of a capability.
    pub fn cap_key(&self, cap: CapNo) -> KeyNo {
        self.cap(cap).key
    }

    /// A key by number.
    pub fn key(&self, no: KeyNo) -> PublicKey {
        self.keys[no.index()]
    }

    /// The number of a key that has or had a capability.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (ana, replica) = author::found();
    /// # use author::Author;
    /// let log = replica.log();
    /// let no = log.key_no(&ana.key.public()).unwrap();
    /// assert_eq!(log.key(no), ana.key.public());
    /// assert_eq!(log.key_no(&Author::new(2).key.public()), None, "never granted anything");
    /// ```
    pub fn key_no(&self, key: &PublicKey) -> Option<KeyNo> {
        self.key_by_id.get(key).copied()
    }
}
