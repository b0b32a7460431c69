//! Log, authority and view as one: entries go in, effects come out.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::authority::Authority;
use crate::entry::{SignedEntry, VerifiedEntry};
use crate::id::{BlockId, Content, EntryId, NodeId};
use crate::log::{AdmittedEntry, EntryNo, Log, Offered, Refused, SlotNo, Source};
use crate::view::{SlotChange, View};

/// Where an entry came from.
///
/// ```
/// use basefs::node::Origin;
/// use basefs::id::NodeId;
///
/// let origin = Origin::Peer(NodeId::from_bytes([7; 32]));
/// assert!(origin != Origin::Local && Origin::default() == Origin::Unknown);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// It was written here, in this run of the process.
    Local,
    /// This peer passed it on; somebody else may have written it.
    Peer(NodeId),
    /// It is not known: the peer is gone, or the entry was here before this run of the process.
    #[default]
    Unknown,
}

/// What must be stored, and what watchers want to know, after something was taken in.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::node::{Effects, Origin};
///
/// let (mut ana, _) = nodes::machines();
/// ana.node.offer(nodes::motd());
/// let effects = ana.node.take_effects();
/// assert_eq!((effects.admitted.len(), effects.slots.len()), (1, 1), "an entry, at one path");
/// assert_eq!(effects.origins, [Origin::Local]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Entries admitted, in order.
    pub admitted: Vec<AdmittedEntry>,
    /// Where each of them came from, as far as it is told; those at the end may be missing. Of an
    /// entry that had waited for others, it is where the last of those came from.
    pub origins: Vec<Origin>,
    /// Entries whose authorisation differs from what an entry has by default, which is to have
    /// it; and entries that got it back.
    pub authorised: Vec<(EntryNo, bool)>,
    /// Slots whose winner changed or that forked.
    pub slots: Vec<SlotChange>,
    /// Contents that became complete.
    pub completed: Vec<Content>,
    /// Entries that had waited and were rejected.
    pub refused: Vec<Refused>,
    /// Verified blocks of contents that others wrote.
    pub blocks: Vec<(BlockId, Bytes)>,
    /// The position of these among all effects that a [`Node`](super::Node) gave out, for
    /// [`Node::stored`](super::Node::stored).
    pub mark: u64,
}

impl Effects {
    /// Whether nothing happened.
    ///
    /// ```
    /// assert!(basefs::node::Effects::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.admitted.is_empty()
            && self.slots.is_empty()
            && self.completed.is_empty()
            && self.refused.is_empty()
            && self.blocks.is_empty()
    }
}

/// The state of one replica: what is in the log, what of it counts, and what it shows.
///
/// ```
/// use basefs::entry::{Body, Payload};
/// use basefs::id::{DirId, EntryId};
/// use basefs::log::{Offered, Source};
/// use basefs::node::{Effects, Replica};
/// use basefs::time::WallTime;
/// use basefs::wire::SecretKey;
///
/// let key = SecretKey::from_seed([7; 32]);
/// let genesis = Body {
///     dir: DirId::from_bytes([0; 32]),
///     name: "example".into(),
///     prev: vec![],
///     cap: EntryId::from_bytes([0; 32]),
///     key: key.public(),
///     seq: 0,
///     aprev: None,
///     ts: WallTime::from_millis(0),
///     payload: Payload::Genesis { roots: vec![key.public()], nonce: [1; 16] },
/// }
/// .sign(&key)?;
///
/// let mut replica = Replica::new(genesis.id(), 1);
/// let mut effects = Effects::default();
/// assert_eq!(replica.offer(genesis, Source::Local, &mut effects), Offered::Admitted);
/// assert_eq!((replica.log().len(), effects.admitted.len()), (1, 1));
/// # Ok::<(), basefs::entry::InvalidEntry>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replica {
    log: Log,
    authority: Authority,
    view: View,
}

impl Replica {
    /// A replica of the hierarchy that `genesis` founds, with nothing in it. The seed scatters
    /// hash tables and should be unpredictable to peers.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::node::Replica;
    ///
    /// let replica = Replica::new(EntryId::from_bytes([1; 32]), 7);
    /// assert!(replica.log().is_empty());
    /// ```
    pub fn new(genesis: EntryId, seed: u64) -> Self {
        Self { log: Log::new(genesis, seed), authority: Authority::new(), view: View::new() }
    }

    /// The log.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, _) = nodes::machines();
    /// assert_eq!(ana.node.replica().log().genesis(), nodes::genesis().id());
    /// ```
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Who may.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, _) = nodes::machines();
    /// let replica = ana.node.replica();
    /// let genesis = replica.log().number(&nodes::genesis().id()).expect("it is here");
    /// assert!(replica.authority().is_authorised(genesis));
    /// ```
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What it shows.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (mut ana, _) = nodes::machines();
    /// ana.offer(nodes::motd());
    /// let (log, view) = (ana.node.replica().log(), ana.node.replica().view());
    /// let motd = log.number(&nodes::motd().id()).expect("it is here");
    /// assert_eq!(view.winner(log.slot_of(motd).expect("it has a path")), Some(motd));
    /// ```
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Offers an entry to the log and brings the view up to date with everything it releases.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::log::{Offered, Source};
    /// use basefs::node::{Effects, Replica};
    ///
    /// let mut replica = Replica::new(nodes::genesis().id(), 7);
    /// let mut effects = Effects::default();
    /// // It comes before what it refers to, and waits.
    /// let offered = replica.offer(nodes::motd(), Source::Peer(1), &mut effects);
    /// assert!(matches!(offered, Offered::Waiting(_)));
    /// assert_eq!(replica.offer(nodes::genesis(), Source::Peer(1), &mut effects), Offered::Admitted);
    /// assert_eq!(effects.admitted.len(), 2);
    /// ```
    pub fn offer(
        &mut self,
        entry: VerifiedEntry,
        source: Source,
        effects: &mut Effects,
    ) -> Offered {
        let offered = self.take(entry, source, effects);
        self.settle(effects);
        offered
    }

    /// Offers entries in order, with the same outcome as one by one; but a slot that many of them
    /// touch is decided once. Concurrent versions of one path would otherwise cost in proportion to
    /// the square of their number.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::log::{Offered, Source};
    /// use basefs::node::{Effects, Replica};
    ///
    /// let mut replica = Replica::new(nodes::genesis().id(), 7);
    /// let mut effects = Effects::default();
    /// let entries = [nodes::genesis(), nodes::motd()];
    /// let offered = replica.offer_all(entries, Source::Local, &mut effects);
    /// assert_eq!(offered, [Offered::Admitted, Offered::Admitted]);
    /// ```
    pub fn offer_all(
        &mut self,
        entries: impl IntoIterator<Item = VerifiedEntry>,
        source: Source,
        effects: &mut Effects,
    ) -> Vec<Offered> {
        let offered = entries.into_iter().map(|entry| self.take(entry, source, effects)).collect();
        self.settle(effects);
        offered
    }

    /// Offers an entry; slots may remain to be decided.
    fn take(&mut self, entry: VerifiedEntry, source: Source, effects: &mut Effects) -> Offered {
        let offered = self.log.offer(entry, source);
        while let Some(entry) = self.log.next_admitted() {
            let flipped = self.authority.apply(&self.log, &entry);
            let slots = self.view.apply(&self.log, &self.authority, &entry, &flipped);
            let no = entry.no();
            if !self.authority.is_authorised(no) {
                effects.authorised.push((no, false));
            }
            let flags = flipped.iter().map(|no| (*no, self.authority.is_authorised(*no)));
            effects.authorised.extend(flags);
            effects.slots.extend(slots);
            effects.admitted.push(entry);
        }
        effects.refused.extend(self.log.take_refused());
        offered
    }

    fn settle(&mut self, effects: &mut Effects) {
        effects.slots.extend(self.view.settle(&self.log, &self.authority));
    }

    /// Notes that a content is here in full and verified. It may come before the entry that names
    /// it, which is then ready from the start.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::block;
    /// use basefs::id::Content;
    /// use bytes::Bytes;
    /// use basefs::node::{Effects, Replica};
    ///
    /// let mut replica = Replica::new(nodes::genesis().id(), 7);
    /// let bytes = Bytes::from_static(b"content of one block");
    /// let content = Content { root: block::id(&bytes), size: bytes.len() as u64, levels: 0 };
    /// let mut effects = Effects::default();
    /// replica.complete(&content, &mut effects);
    /// replica.complete(&content, &mut effects); // says nothing new
    /// assert_eq!(effects.completed, [content]);
    /// ```
    pub fn complete(&mut self, content: &Content, effects: &mut Effects) {
        match self.log.content_no(content) {
            Some(no) if self.view.is_complete(&self.log, no) => {}
            Some(no) => {
                let slots = self.view.complete(&self.log, &self.authority, no);
                effects.slots.extend(slots);
                effects.completed.push(*content);
            }
            None if self.view.complete_early(*content) => effects.completed.push(*content),
            None => {}
        }
    }

    /// Drops what a peer that is gone left waiting.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::log::Source;
    /// use basefs::node::{Effects, Replica};
    ///
    /// let mut replica = Replica::new(nodes::genesis().id(), 7);
    /// replica.offer(nodes::motd(), Source::Peer(1), &mut Effects::default());
    /// assert_eq!(replica.log().waiting(), 1);
    /// replica.forget_source(Source::Peer(1));
    /// assert_eq!(replica.log().waiting(), 0);
    /// ```
    pub fn forget_source(&mut self, source: Source) {
        self.log.forget_source(source);
    }
}

/// What a store holds does not fit together; it is damaged or was changed from outside.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::entry::SignedEntry;
/// use basefs::node::{Restore, RestoreError};
///
/// let mut restore = Restore::new(nodes::genesis().id(), 7);
/// // The first one is missing.
/// let entry = SignedEntry::decode(nodes::motd().bytes())?;
/// let id = entry.id();
/// assert_eq!(restore.entry(entry), Err(RestoreError::Inadmissible(id)));
/// # Ok::<(), basefs::entry::InvalidEntry>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// A stored entry is not admissible after those before it.
    Inadmissible(EntryId),
    /// A stored fact is about an entry or slot that does not exist.
    Dangling,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Inadmissible(id) => {
                write!(f, "the stored entry {id:.16} does not fit those stored before it")
            }
            RestoreError::Dangling => f.write_str("a stored fact is about nothing that is stored"),
        }
    }
}

impl core::error::Error for RestoreError {}

/// Rebuilds a replica from its own store: no signature is checked and no conflict is decided
/// again.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::node::Restore;
/// use std::collections::BTreeSet;
///
/// let restore = Restore::new(EntryId::from_bytes([7; 32]), 1);
/// let replica = restore.finish(&[], &BTreeSet::new(), &[])?;
/// assert!(replica.log().is_empty());
/// # Ok::<(), basefs::node::RestoreError>(())
/// ```
#[derive(Debug)]
pub struct Restore {
    replica: Replica,
    order: Vec<EntryNo>,
}

impl Restore {
    /// Starts with nothing.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::node::Restore;
    ///
    /// let restore = Restore::new(EntryId::from_bytes([1; 32]), 7);
    /// ```
    pub fn new(genesis: EntryId, seed: u64) -> Self {
        Self { replica: Replica::new(genesis, seed), order: Vec::new() }
    }

    /// Makes room for so many entries at once; more may come.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::node::Restore;
    ///
    /// let restore = Restore::new(EntryId::from_bytes([1; 32]), 7).with_capacity(1_000);
    /// ```
    #[must_use]
    pub fn with_capacity(mut self, entries: usize) -> Self {
        self.replica.log.reserve(entries);
        self.order.reserve(entries);
        self
    }

    /// Takes the next entry, in the order of admission. It must come from this replica's own
    /// store, where only verified entries go.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use std::collections::BTreeSet;
    ///
    /// use basefs::entry::SignedEntry;
    /// use basefs::node::Restore;
    ///
    /// let (ana, _) = nodes::machines();
    /// let mut restore = Restore::new(nodes::genesis().id(), 7);
    /// for bytes in &ana.disk.entries {
    ///     restore.entry(SignedEntry::decode(bytes)?)?;
    /// }
    /// let replica = restore.finish(&[], &BTreeSet::new(), &[])?;
    /// assert_eq!(replica.log().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RestoreError::Inadmissible`]: the store is damaged. What was restored so far is of no use.
    pub fn entry(&mut self, entry: SignedEntry) -> Result<(), RestoreError> {
        let id = entry.id();
        let offered = self.replica.log.offer(VerifiedEntry::from_own_store(entry), Source::Local);
        match (offered, self.replica.log.next_admitted()) {
            (Offered::Admitted, Some(admitted)) => self.order.push(admitted.no()),
            _ => return Err(RestoreError::Inadmissible(id)),
        }
        Ok(())
    }

    /// Adds the stored facts: complete contents, cut entries, winners of forked slots; both by
    /// position in their order.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use std::collections::BTreeSet;
    ///
    /// use basefs::node::{Restore, RestoreError};
    ///
    /// let restore = Restore::new(nodes::genesis().id(), 7);
    /// let cut = BTreeSet::from([5]); // an entry that is not there
    /// assert_eq!(restore.finish(&[], &cut, &[]).unwrap_err(), RestoreError::Dangling);
    /// ```
    ///
    /// # Errors
    ///
    /// [`RestoreError::Dangling`]: the store is damaged.
    pub fn finish(
        self,
        contents: &[Content],
        cut: &BTreeSet<usize>,
        winners: &[(usize, Option<usize>)],
    ) -> Result<Replica, RestoreError> {
        let Replica { log, mut authority, mut view } = self.replica;
        // The genesis is never cut.
        if cut.contains(&0) || cut.last().is_some_and(|last| *last >= log.len()) {
            return Err(RestoreError::Dangling);
        }
        for content in contents {
            match log.content_no(content) {
                Some(no) => view.restore_complete(&log, no),
                None => drop(view.complete_early(*content)),
            }
        }
        for no in self.order {
            let authorised = !cut.contains(&no.index());
            authority.restore(&log, no, authorised);
            view.restore(&log, no, authorised);
        }
        authority.finish_restore(&log);
        for (slot, winner) in winners {
            let slot = SlotNo::from_index(*slot).filter(|slot| slot.index() < log.slots());
            let winner_no = winner.and_then(EntryNo::from_index);
            let fits = |no: EntryNo| no.index() < log.len() && log.slot_of(no) == slot;
            match slot {
                Some(slot) if winner.is_none() || winner_no.is_some_and(fits) => {
                    view.restore_winner(&log, slot, winner_no);
                }
                _ => return Err(RestoreError::Dangling),
            }
        }
        Ok(Replica { log, authority, view })
    }
}
