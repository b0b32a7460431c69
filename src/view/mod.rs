//! The view: what the hierarchy looks like today.
//!
//! A pure function of the admitted entries and the complete contents, kept up to date as either
//! arrives. [`View::apply`] costs O(log n) for the common case, an entry written on top of the
//! winner; only a slot with a real fork is decided anew, by the rule in one file, `fork.rs`.
//!
//! Architecture invariant: the view keeps no bytes and no signatures, and nothing in it depends on
//! a clock.

mod fork;
mod history;
mod past;
mod place;
mod spare;
mod verb;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::authority::Authority;
use crate::id::Content;
use crate::limits::MAX_INLINE;
use crate::log::{AdmittedEntry, ContentNo, EntryNo, Log, SlotNo, Value};

pub use fork::{Beaten, Decided, Outcome};
pub use history::{Explanation, Loser, Status, Version};
pub use past::Past;
pub use place::{Node, NodeKind};
pub use spare::SpareContents;
pub use verb::Verb;

/// What is remembered of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct SlotState {
    /// The entry applied last; the others are linked behind it.
    last: Option<EntryNo>,
    winner: Option<EntryNo>,
    /// Some entry did not simply follow the winner, so that the winner cannot be told from the
    /// order of arrival.
    is_forked: bool,
}

/// A slot whose winner changed, or whose state must be stored because it forked.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// # use basefs::{entry::{FileData, Payload}, log::{Source, root_dir}, node::Effects};
/// # let data = FileData::Inline(b"hello"[..].into());
/// # let write = Payload::Write { executable: false, data };
/// # let hello = ana.sign(root_dir(&replica.log().genesis()), "motd", &[], write);
/// let mut effects = Effects::default();
/// replica.offer(hello, Source::Local, &mut effects);
/// let change = effects.slots[0];
/// assert_eq!((change.before, change.after), (None, Some(effects.admitted[0].no())));
/// assert!(!change.is_forked);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// Which slot.
    pub slot: SlotNo,
    /// The winner before.
    pub before: Option<EntryNo>,
    /// The winner now.
    pub after: Option<EntryNo>,
    /// Whether the winner must be stored, for replaying the entries would not give it.
    pub is_forked: bool,
}

/// Winners and readiness.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// use basefs::view::NodeKind;
///
/// let hello = ana.write(&mut replica, "motd", "hello", &[]);
/// let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
/// let node = view.resolve(log, authority, ["motd"]).unwrap();
/// assert_eq!(node.winner, Some(hello));
/// assert!(matches!(node.kind, NodeKind::File { executable: false, .. }));
/// ```
#[derive(Clone, Debug, Default)]
pub struct View {
    slots: Vec<SlotState>,
    /// The entry applied before in the same slot.
    before: Vec<Option<EntryNo>>,
    complete: Vec<bool>,
    /// Contents that were complete before an entry named them.
    early: BTreeSet<Content>,
    /// The entry applied last with a content; the others are linked behind it.
    last_user: Vec<Option<EntryNo>>,
    user_before: Vec<Option<EntryNo>>,
    /// The slots that have or had more than one branch, in the order in which they forked; those
    /// from the store in its order.
    forked: Vec<SlotNo>,
    /// Deletions by the link that they name as where something moved to.
    moves: BTreeSet<(EntryNo, EntryNo)>,
    /// Slots that have to be decided before their winner is right again.
    undecided: BTreeSet<SlotNo>,
    decisions: u64,
    examined: u64,
}

impl View {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many slots were decided by the full walk since the start; a measure of work, for tests.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// assert_eq!(replica.view().decisions(), 0, "each stood on the winner");
    /// ana.write(&mut replica, "motd", "good evening", &[hello]);
    /// assert_eq!((replica.view().decisions(), replica.view().examined()), (1, 3));
    /// ```
    pub fn decisions(&self) -> u64 {
        self.decisions
    }

    /// How many entries those walks went through; a measure of work, for tests.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// The winner of a slot, if anything in it counts.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let slot = replica.log().slot_of(hello).unwrap();
    /// assert_eq!(replica.view().winner(slot), Some(morning));
    /// ```
    pub fn winner(&self, slot: SlotNo) -> Option<EntryNo> {
        self.slots.get(slot.index()).and_then(|state| state.winner)
    }

    /// Whether a slot has or had more than one branch: only then can it have further tips.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let slot = replica.log().slot_of(hello).unwrap();
    /// assert!(!replica.view().is_forked(slot));
    /// let unaware = ana.write(&mut replica, "motd", "good morning", &[]);
    /// assert!(replica.view().is_forked(slot));
    /// assert_eq!(replica.view().forked(), [slot]);
    /// ```
    pub fn is_forked(&self, slot: SlotNo) -> bool {
        self.slots.get(slot.index()).is_some_and(|state| state.is_forked)
    }

    /// The slots for which [`is_forked`](Self::is_forked) holds, in no particular order.
    pub fn forked(&self) -> &[SlotNo] {
        &self.forked
    }

    /// The deletions that name a link as where something moved to, in the order of admission. Not
    /// all need be authorised.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let draft = ana.write(&mut replica, "draft", "hello", &[]);
    /// let target = replica.log().id(draft);
    /// let link = ana.say(&mut replica, "motd", &[], Payload::Link { target });
    /// let moved_to = Some(replica.log().id(link));
    /// let delete = ana.say(&mut replica, "draft", &[draft], Payload::Delete { moved_to });
    /// assert!(replica.view().moves_to(link).eq([delete]));
    /// assert_eq!(replica.view().renamed_from(replica.authority(), link), Some(delete));
    /// ```
    pub fn moves_to(&self, link: EntryNo) -> impl Iterator<Item = EntryNo> + '_ {
        let first = EntryNo::from_index(0).map(|least| (link, least));
        let range = first.into_iter().flat_map(|first| self.moves.range(first..));
        range.take_while(move |(to, _)| *to == link).map(|(_, delete)| *delete)
    }

    /// The entries of a slot, in the order they were applied.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// ana.write(&mut replica, "readme", "see motd", &[]);
    /// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let slot = replica.log().slot_of(hello).unwrap();
    /// assert_eq!(replica.view().entries(slot), [hello, morning]);
    /// ```
    pub fn entries(&self, slot: SlotNo) -> Vec<EntryNo> {
        let last = self.slots.get(slot.index()).and_then(|state| state.last);
        let mut entries: Vec<EntryNo> =
            core::iter::successors(last, |no| self.before[no.index()]).collect();
        entries.reverse();
        entries
    }

    /// Whether a content is complete on this replica; short content always is.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::{FileData, Payload};
    /// use basefs::node::Effects;
    ///
    /// let content = basefs::block::encode(&vec![7; 600_000].into())?.content;
    /// let data = FileData::Blocks(content);
    /// let film = ana.say(&mut replica, "film", &[], Payload::Write { executable: false, data });
    /// let no = replica.log().content_no(&content).unwrap();
    /// assert!(!replica.view().is_complete(replica.log(), no));
    /// assert!(replica.view().incomplete(replica.log()).eq([no]));
    /// assert!(replica.view().users_of(no).eq([film]));
    /// replica.complete(&content, &mut Effects::default()); // its blocks have come
    /// assert!(replica.view().is_complete(replica.log(), no));
    /// # Ok::<(), basefs::block::BuildError>(())
    /// ```
    // rule: READY-1
    pub fn is_complete(&self, log: &Log, content: ContentNo) -> bool {
        log.content(content).size <= MAX_INLINE as u64
            || self.complete.get(content.index()).copied().unwrap_or(false)
    }

    /// Whether an entry's value is here in full.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::{FileData, Payload};
    /// let content = basefs::block::encode(&vec![7; 600_000].into())?.content;
    /// let data = FileData::Blocks(content);
    /// let film = ana.say(&mut replica, "film", &[], Payload::Write { executable: false, data });
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// assert!(replica.view().is_ready(replica.log(), hello), "it stands in the entry");
    /// assert!(!replica.view().is_ready(replica.log(), film), "its blocks are elsewhere");
    /// # Ok::<(), basefs::block::BuildError>(())
    /// ```
    // rule: READY-1
    pub fn is_ready(&self, log: &Log, no: EntryNo) -> bool {
        match log.value(no) {
            Some(Value::File { content, .. }) => self.is_complete(log, *content),
            _ => true,
        }
    }

    /// The contents that some entry wants and that are not complete here, in order of admission.
    pub fn incomplete<'a>(&'a self, log: &'a Log) -> impl Iterator<Item = ContentNo> + 'a {
        (0..log.contents())
            .filter_map(ContentNo::from_index)
            .filter(|content| !self.is_complete(log, *content))
    }

    /// The entries with a content, the latest first. Not all need be authorised.
    pub fn users_of(&self, content: ContentNo) -> impl Iterator<Item = EntryNo> + '_ {
        let last = self.last_user.get(content.index()).copied().flatten();
        core::iter::successors(last, |no| self.user_before[no.index()])
    }

    /// Takes in one admitted entry and the flags it changed; gives the slots that changed. Until
    /// [`settle`](Self::settle), winners are out of date where more than that is needed: a slot that
    /// many entries of one batch touch is decided once.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # use basefs::{entry::Payload, log::root_dir};
    /// # let (mut ana, genesis) = author::genesis();
    /// # let mut mkdir = |name: &str| ana.sign(root_dir(&genesis.id()), name, &[], Payload::Mkdir);
    /// # let entries = [genesis.clone(), mkdir("users"), mkdir("lib")];
    /// use basefs::authority::Authority;
    /// use basefs::log::{Log, Source};
    /// use basefs::view::View;
    ///
    /// let (mut log, mut authority) = (Log::new(genesis.id(), 1), Authority::new());
    /// let (mut view, mut changes) = (View::new(), Vec::new());
    /// for entry in entries {
    ///     log.offer(entry, Source::Local);
    /// }
    /// while let Some(entry) = log.next_admitted() {
    ///     let flipped = authority.apply(&log, &entry);
    ///     changes.extend(view.apply(&log, &authority, &entry, &flipped));
    /// }
    /// changes.extend(view.settle(&log, &authority));
    /// assert_eq!(changes.len(), 2, "two names that were not there before");
    /// ```
    pub fn apply(
        &mut self,
        log: &Log,
        authority: &Authority,
        entry: &AdmittedEntry,
        flipped: &[EntryNo],
    ) -> Option<SlotChange> {
        self.apply_number(log, authority, entry.no(), flipped)
    }

    /// Takes in an entry that the log has admitted, by number. Of other entries of the log only
    /// those that were taken in before matter.
    fn apply_number(
        &mut self,
        log: &Log,
        authority: &Authority,
        no: EntryNo,
        flipped: &[EntryNo],
    ) -> Option<SlotChange> {
        self.link(log, no);
        self.undecided.extend(flipped.iter().filter_map(|no| log.slot_of(*no)));
        let slot = log.slot_of(no).filter(|slot| !self.undecided.contains(slot))?;
        self.append(log, authority, slot, no)
    }

    /// Decides the slots that are out of date; gives those that changed.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, replica) = author::found();
    /// # use basefs::{entry::Payload, log::{Source, root_dir}};
    /// # let root = root_dir(&replica.log().genesis());
    /// # let mut slink = |text: &str| {
    /// #     ana.sign(root, "latest", &[], Payload::Slink { text: text.into() })
    /// # };
    /// # let (mut log, mut authority) = (replica.log().clone(), replica.authority().clone());
    /// # let mut view = replica.view().clone();
    /// // Three links made without knowing of each other.
    /// for entry in [slink("v1"), slink("v2"), slink("v3")] {
    ///     log.offer(entry, Source::Local);
    ///     let entry = log.next_admitted().unwrap();
    ///     let flipped = authority.apply(&log, &entry);
    ///     view.apply(&log, &authority, &entry, &flipped);
    /// }
    /// view.settle(&log, &authority);
    /// assert_eq!(view.decisions(), 1, "once, not for each");
    /// ```
    pub fn settle(&mut self, log: &Log, authority: &Authority) -> Vec<SlotChange> {
        let undecided = core::mem::take(&mut self.undecided);
        undecided.into_iter().filter_map(|slot| self.decide(log, authority, slot)).collect()
    }

    /// A content that no entry names yet is here in full; says whether that is news.
    ///
    /// ```
    /// # use basefs::id::{BlockId, Content};
    /// let mut view = basefs::view::View::new();
    /// let content = Content { root: BlockId::from_bytes([7; 32]), size: 600_000, levels: 1 };
    /// assert!(view.complete_early(content));
    /// assert!(!view.complete_early(content), "known already");
    /// ```
    pub fn complete_early(&mut self, content: Content) -> bool {
        self.early.insert(content)
    }

    /// A content was verified in full: the slots of the entries that have it may change.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::{FileData, Payload};
    /// let content = basefs::block::encode(&vec![7; 600_000].into())?.content;
    /// let data = FileData::Blocks(content);
    /// let film = ana.say(&mut replica, "film", &[], Payload::Write { executable: false, data });
    /// let mut view = replica.view().clone();
    /// let no = replica.log().content_of(film).unwrap();
    /// let changes = view.complete(replica.log(), replica.authority(), no);
    /// assert_eq!((changes[0].before, changes[0].after), (None, Some(film)));
    /// # Ok::<(), basefs::block::BuildError>(())
    /// ```
    pub fn complete(
        &mut self,
        log: &Log,
        authority: &Authority,
        content: ContentNo,
    ) -> Vec<SlotChange> {
        self.grow(log);
        if core::mem::replace(&mut self.complete[content.index()], true) {
            return Vec::new();
        }
        let mut users: BTreeMap<SlotNo, Vec<EntryNo>> = BTreeMap::new();
        for no in self.users_of(content).filter(|no| authority.is_authorised(*no)) {
            if let Some(slot) = log.slot_of(no) {
                users.entry(slot).or_default().push(no);
            }
        }
        let decide = |(slot, users): (SlotNo, Vec<EntryNo>)| match users[..] {
            [no] if self.follows_winner(log, slot, no) => self.set_winner(slot, Some(no), true),
            _ => self.decide(log, authority, slot),
        };
        users.into_iter().filter_map(decide).collect()
    }

    /// Takes in an entry when loading from the store, where forked slots have their winner stored.
    pub(crate) fn restore(&mut self, log: &Log, no: EntryNo, authorised: bool) {
        self.link(log, no);
        if let Some(slot) = log.slot_of(no)
            && authorised
            && self.is_ready(log, no)
            && self.winner(slot) == log.prev(no).first().copied()
        {
            self.slots[slot.index()].winner = Some(no);
        }
    }

    /// Marks a content complete when loading from the store.
    pub(crate) fn restore_complete(&mut self, log: &Log, content: ContentNo) {
        self.grow(log);
        self.complete[content.index()] = true;
    }

    /// Sets the stored winner of a forked slot.
    pub(crate) fn restore_winner(&mut self, log: &Log, slot: SlotNo, winner: Option<EntryNo>) {
        self.grow(log);
        let state = &mut self.slots[slot.index()];
        state.winner = winner;
        if !core::mem::replace(&mut state.is_forked, true) {
            self.forked.push(slot);
        }
    }

    fn grow(&mut self, log: &Log) {
        self.slots.resize(log.slots(), SlotState::default());
        self.before.resize(log.len(), None);
        self.user_before.resize(log.len(), None);
        for no in (self.complete.len()..log.contents()).filter_map(ContentNo::from_index) {
            self.complete.push(self.early.remove(log.content(no)));
        }
        self.last_user.resize(log.contents(), None);
    }

    /// Links an entry into the lists of its slot and its content.
    fn link(&mut self, log: &Log, no: EntryNo) {
        self.grow(log);
        let Some(slot) = log.slot_of(no) else { return };
        self.before[no.index()] = self.slots[slot.index()].last.replace(no);
        if let Some(link) = log.moved_to(no) {
            self.moves.insert((link, no));
        }
        if let Some(content) = log.content_of(no) {
            self.user_before[no.index()] = self.last_user[content.index()].replace(no);
        }
    }

    /// The cheap way: an entry on top of the winner wins, one that does not count changes nothing.
    // rule: FORK-5
    fn append(
        &mut self,
        log: &Log,
        authority: &Authority,
        slot: SlotNo,
        no: EntryNo,
    ) -> Option<SlotChange> {
        // Nothing descends from a new entry, so while its content is missing it has no effect.
        if !authority.is_authorised(no) || !self.is_ready(log, no) {
            let winner = self.winner(slot);
            return self.set_winner(slot, winner, true);
        }
        if self.follows_winner(log, slot, no) {
            let in_order = self.winner(slot) == log.prev(no).first().copied();
            return self.set_winner(slot, Some(no), !in_order);
        }
        self.undecided.insert(slot);
        None
    }

    /// Whether an authorised entry that just became ready wins without a decision: it stands on
    /// the winner, which is a tip, so that nothing else that counts descends from it; or nothing
    /// counts yet at all.
    fn follows_winner(&self, log: &Log, slot: SlotNo, no: EntryNo) -> bool {
        let winner = self.winner(slot);
        winner.is_none() || winner == log.prev(no).first().copied()
    }

    /// The full way.
    fn decide(&mut self, log: &Log, authority: &Authority, slot: SlotNo) -> Option<SlotChange> {
        let outcome = self.outcome(log, authority, slot);
        self.decisions += 1;
        self.examined += outcome.len() as u64;
        let winner = outcome.winner;
        self.set_winner(slot, winner, true)
    }

    /// Decides a slot with all details, changing nothing.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let slot = replica.log().slot_of(hello).unwrap();
    /// let outcome = replica.view().outcome(replica.log(), replica.authority(), slot);
    /// assert_eq!(outcome.winner, replica.view().winner(slot));
    /// ```
    pub fn outcome(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Outcome {
        fork::decide(log, authority, slot, self.entries(slot), |no| self.is_ready(log, no))
    }

    fn set_winner(
        &mut self,
        slot: SlotNo,
        after: Option<EntryNo>,
        forks: bool,
    ) -> Option<SlotChange> {
        let state = &mut self.slots[slot.index()];
        let newly_forked = forks && !state.is_forked;
        let before = core::mem::replace(&mut state.winner, after);
        state.is_forked |= forks;
        let is_forked = state.is_forked;
        if newly_forked {
            self.forked.push(slot);
        }
        let changed = newly_forked || before != after;
        changed.then_some(SlotChange { slot, before, after, is_forked })
    }
}
