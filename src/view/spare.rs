//! What could be dropped without changing what is shown. Nothing here drops anything.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::authority::Authority;
use crate::entry::Action;
use crate::log::{ContentNo, EntryNo, Log, SlotNo, Value};
use crate::view::View;
use crate::view::fork::Outcome;

/// Contents that are here and that the view does not need.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// # use basefs::{entry::{FileData, Payload}, node::Effects};
/// let content = basefs::block::encode(&vec![7; 600_000].into())?.content;
/// let data = FileData::Blocks(content);
/// let film = ana.say(&mut replica, "film", &[], Payload::Write { executable: false, data });
/// replica.complete(&content, &mut Effects::default());
/// ana.say(&mut replica, "film", &[film], Payload::Delete { moved_to: None });
/// let spare = replica.view().spare_contents(replica.log(), replica.authority());
/// assert_eq!(spare.superseded, [replica.log().content_of(film).unwrap()]);
/// assert!(spare.cut.is_empty());
/// # Ok::<(), basefs::block::BuildError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpareContents {
    /// Every version that has them and counts was built upon since.
    pub superseded: Vec<ContentNo>,
    /// No version that has them counts. A revoke can be amended, so these are better kept for a
    /// while.
    pub cut: Vec<ContentNo>,
}

impl View {
    /// The contents, of those that are complete here in blocks, that may be dropped, in the order
    /// of their first entry.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::{entry::{FileData, Payload}, node::Effects, view::SpareContents};
    /// let content = basefs::block::encode(&vec![7; 600_000].into())?.content;
    /// let data = FileData::Blocks(content);
    /// ana.say(&mut replica, "film", &[], Payload::Write { executable: false, data });
    /// replica.complete(&content, &mut Effects::default());
    /// let spare = replica.view().spare_contents(replica.log(), replica.authority());
    /// assert_eq!(spare, SpareContents::default(), "it is what `film` shows");
    /// # Ok::<(), basefs::block::BuildError>(())
    /// ```
    // rule: GC-1
    pub fn spare_contents(&self, log: &Log, authority: &Authority) -> SpareContents {
        let mut decided: BTreeMap<SlotNo, Outcome> = BTreeMap::new();
        let mut spare = SpareContents::default();
        let here = self.complete.iter().enumerate().filter(|(_, complete)| **complete);
        for content in here.filter_map(|(index, _)| ContentNo::from_index(index)) {
            let mut any_live = false;
            let mut all_followed = true;
            for (slot, no) in self.users(log, content) {
                let (live, followed) = if self.is_forked(slot) {
                    let outcome =
                        decided.entry(slot).or_insert_with(|| self.outcome(log, authority, slot));
                    (outcome.is_live(no), outcome.is_followed(no))
                } else {
                    // Each entry followed the one before; the last is the winner.
                    (true, self.winner(slot) != Some(no))
                };
                any_live |= live;
                all_followed &= followed || !live;
            }
            match (any_live, all_followed) {
                (false, _) => spare.cut.push(content),
                (true, true) => spare.superseded.push(content),
                (true, false) => {}
            }
        }
        spare
    }

    /// The entries that have a content, with their slots, from the latest back.
    fn users<'a>(
        &'a self,
        log: &'a Log,
        content: ContentNo,
    ) -> impl Iterator<Item = (SlotNo, EntryNo)> + 'a {
        self.users_of(content).filter_map(|no| Some((log.slot_of(no)?, no)))
    }

    /// The entries that the view depends on, by number; the others may be dropped. Linear in the
    /// log.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let spam = ben.write(&mut replica, "motd", "buy", &[]);
    /// ana.revoke(&mut replica, &ben, &[]);
    /// let needed = replica.view().needed_entries(replica.log(), replica.authority());
    /// assert!(!needed[spam.index()], "cut, and nothing that counts refers to it");
    /// assert_eq!(needed.iter().filter(|needed| **needed).count(), 3);
    /// ```
    // rule: GC-2
    pub fn needed_entries(&self, log: &Log, authority: &Authority) -> Vec<bool> {
        let mut needed = alloc::vec![false; log.len()];
        let mut definers = definers(log);
        let all = (0..log.len()).filter_map(EntryNo::from_index);
        let mut open: Vec<EntryNo> = all.filter(|no| authority.is_authorised(*no)).collect();
        while let Some(no) = open.pop() {
            if core::mem::replace(&mut needed[no.index()], true) {
                continue;
            }
            open.extend(log.hard_references(no));
            let keep = log.revoke(no).into_iter().flat_map(|revoke| &revoke.keep);
            open.extend(keep.filter_map(|head| log.number(head)));
            if let Some(dir) = log.dir_of(no) {
                // Once for all entries in it.
                open.append(&mut definers[dir.index()]);
            }
        }
        needed
    }
}

/// The entries that define each directory; none for the root, which the genesis does.
fn definers(log: &Log) -> Vec<Vec<EntryNo>> {
    let mut definers = alloc::vec![Vec::new(); log.dirs()];
    for no in (0..log.len()).filter_map(EntryNo::from_index) {
        if let (Action::Mkdir, Some(Value::Dir(dir))) = (log.action(no), log.value(no)) {
            definers[dir.index()].push(no);
        }
    }
    definers
}
