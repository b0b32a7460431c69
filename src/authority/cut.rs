//! Why an entry does not count.

use alloc::vec::Vec;

use crate::authority::{Authority, upwards};
use crate::log::{EntryNo, KeyNo, Log};

/// One revoke that keeps an entry from counting.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// # use author::Author;
/// # use basefs::entry::Rights;
/// use basefs::authority::CutBy;
///
/// let (mut ben, mut carl) = (Author::new(2), Author::new(3));
/// ana.grant(&mut replica, &mut ben, Rights::All);
/// let grant = ben.grant(&mut replica, &mut carl, Rights::Write);
/// let hello = carl.write(&mut replica, "motd", "hello", &[]);
/// let revoke = ana.revoke(&mut replica, &ben, &[]);
/// let (log, authority) = (replica.log(), replica.authority());
/// let why = authority.cut_by(log, hello);
/// assert!(why.contains(&CutBy { revoke, not_kept: grant }), "Carl had it from Ben");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CutBy {
    /// The revoke in effect.
    pub revoke: EntryNo,
    /// What it does not keep: the entry itself, or a grant that the entry's authority comes from.
    /// It would have been kept if the revoke, or one that amends it, named this or a later entry
    /// of the same chain.
    pub not_kept: EntryNo,
}

impl Authority {
    /// The revokes that keep an entry from counting, those against the entry itself first; none if
    /// it counts.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// use basefs::authority::CutBy;
    ///
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let kept = ben.write(&mut replica, "motd", "hello", &[]);
    /// let spam = ben.write(&mut replica, "spam", "buy", &[]);
    /// let revoke = ana.revoke(&mut replica, &ben, &[kept]);
    /// let (log, authority) = (replica.log(), replica.authority());
    /// assert_eq!(authority.cut_by(log, spam), [CutBy { revoke, not_kept: spam }]);
    /// assert_eq!(authority.cut_by(log, kept), []);
    /// ```
    // rule: AUTH-1
    pub fn cut_by(&self, log: &Log, no: EntryNo) -> Vec<CutBy> {
        // The grants between an entry and the root, at most 16, each cut for itself.
        let grants = upwards(log, log.cap_of(no)).map(|cap| log.cap_entry(cap));
        let suspects = core::iter::once(no).chain(grants).filter(|no| !self.is_authorised(*no));
        let mut found = Vec::new();
        for not_kept in suspects {
            let effective = upwards(log, log.cap_of(not_kept)).flat_map(|cap| self.effective(cap));
            let against = effective.filter(|revoke| !self.is_kept(log, not_kept, **revoke));
            found.extend(against.map(|revoke| CutBy { revoke: *revoke, not_kept }));
        }
        found
    }

    /// The entries that cite capabilities of a key, in the order of admission.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    /// let morning = ben.write(&mut replica, "motd", "good morning", &[hello]);
    /// let key = replica.log().key_no(&ben.key.public()).unwrap();
    /// assert_eq!(replica.authority().entries_by(key), [hello, morning]);
    /// ```
    pub fn entries_by(&self, key: KeyNo) -> Vec<EntryNo> {
        let by_cap = self.caps_of(key).iter().filter_map(|cap| self.by_cap.get(cap.index()));
        let mut entries: Vec<EntryNo> = by_cap.flatten().copied().collect();
        entries.sort_unstable();
        entries
    }
}
