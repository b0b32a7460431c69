//! Who may: which admitted entries count today.
//!
//! Capabilities come from the log and never change; revokes freeze them at a frontier. An entry
//! that is admitted but not authorised is *cut*. Everything here is maintained as entries arrive:
//! an entry costs what it affects, and evaluation needs no recursion because a revoke affects only
//! capabilities of strictly worse rank than its own.
//!
//! Architecture invariant: the authority reads the log and knows nothing of slots or winners.

mod cut;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::id::EntryId;
use crate::log::{AdmittedEntry, CapNo, Detail, DirNo, EntryNo, KeyNo, Log, Rank};

pub use cut::CutBy;

/// What is known of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flag {
    /// It was not applied; whatever the log has of it, nothing here may depend on it.
    #[default]
    Unknown,
    Cut,
    Authorised,
}

impl Flag {
    fn of(authorised: bool) -> Self {
        if authorised { Flag::Authorised } else { Flag::Cut }
    }
}

/// Flags and indexes over the entries applied so far.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (_, genesis) = author::genesis();
/// use basefs::authority::Authority;
/// use basefs::log::{Log, Source};
///
/// let mut log = Log::new(genesis.id(), 1);
/// let mut authority = Authority::new();
/// log.offer(genesis, Source::Local);
/// while let Some(entry) = log.next_admitted() {
///     let flipped = authority.apply(&log, &entry);
///     assert!(flipped.is_empty(), "nothing earlier counts more or less for it");
///     assert!(authority.is_authorised(entry.no()));
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Authority {
    flags: Vec<Flag>,
    /// Entries by the capability they cite, in order of application.
    by_cap: Vec<Vec<EntryNo>>,
    /// The entry of the highest `seq` under each capability, the latest applied if there are more.
    heads: Vec<Option<EntryNo>>,
    /// Capabilities by the one they were granted under.
    sub_caps: Vec<Vec<CapNo>>,
    grants_of: BTreeMap<KeyNo, Vec<CapNo>>,
    /// Revokes by whom they revoke and where.
    revokes_of: BTreeMap<(KeyNo, DirNo), Vec<EntryNo>>,
    /// Revokes by the heads they keep, in order of application, which is that of their numbers.
    keeping: BTreeMap<EntryId, Vec<EntryNo>>,
    /// The revokes in effect against each capability itself (REVOKE-3).
    effective: Vec<Vec<EntryNo>>,
    /// Entries whose flag was computed, for tests of the cost.
    computed: u64,
    /// Pairs of a revoke and a capability that were compared.
    compared: u64,
}

impl Authority {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an entry counts. Entries that were not applied yet do not.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    /// assert!(replica.authority().is_authorised(hello));
    /// ana.revoke(&mut replica, &ben, &[]);
    /// assert!(!replica.authority().is_authorised(hello), "in the log, and cut");
    /// ```
    pub fn is_authorised(&self, no: EntryNo) -> bool {
        self.flag(no) == Flag::Authorised
    }

    fn flag(&self, no: EntryNo) -> Flag {
        self.flags.get(no.index()).copied().unwrap_or_default()
    }

    fn set(&mut self, no: EntryNo, authorised: bool) {
        self.flags[no.index()] = Flag::of(authorised);
    }

    /// How many flags were computed since the start; a measure of work, for tests.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let before = replica.authority().computed();
    /// ana.write(&mut replica, "motd", "hello", &[]);
    /// assert_eq!(replica.authority().computed() - before, 1, "its own flag");
    /// assert_eq!(replica.authority().compared(), 0, "there is no revoke");
    /// ```
    pub fn computed(&self) -> u64 {
        self.computed
    }

    /// How often a revoke was held against a capability since the start; a measure of work, for
    /// tests.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// The capabilities of a key, in order of their admission.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// use basefs::entry::Rights;
    ///
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// ana.grant(&mut replica, &mut ben, Rights::All);
    /// let (log, authority) = (replica.log(), replica.authority());
    /// let caps = authority.caps_of(log.key_no(&ben.key.public()).unwrap());
    /// let rights: Vec<Rights> = caps.iter().map(|cap| log.cap_rights(*cap)).collect();
    /// assert_eq!(rights, [Rights::Write, Rights::All]);
    /// ```
    pub fn caps_of(&self, key: KeyNo) -> &[CapNo] {
        self.grants_of.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Whether a capability can be exercised by a new entry: its grant counts and nothing revokes
    /// it or what it comes from.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    /// let cap = replica.log().cap_of(hello);
    /// assert!(replica.authority().is_live(replica.log(), cap));
    /// ana.revoke(&mut replica, &ben, &[hello]);
    /// assert!(!replica.authority().is_live(replica.log(), cap), "what is kept is kept, no more");
    /// ```
    pub fn is_live(&self, log: &Log, cap: CapNo) -> bool {
        self.is_granted(log, cap) && upwards(log, cap).all(|above| self.effective(above).is_empty())
    }

    /// The head of the longest chain under a capability: what the next entry of its key follows.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let readme = ana.write(&mut replica, "readme", "see motd", &[]);
    /// let cap = replica.log().cap_of(hello);
    /// assert_eq!(replica.authority().chain_head(cap), Some(readme));
    /// assert_eq!(replica.authority().entries_of(cap), [hello, readme]);
    /// ```
    pub fn chain_head(&self, cap: CapNo) -> Option<EntryNo> {
        self.heads.get(cap.index()).copied().flatten()
    }

    /// The entries that cite a capability, in the order they were applied.
    pub fn entries_of(&self, cap: CapNo) -> &[EntryNo] {
        self.by_cap.get(cap.index()).map_or(&[], Vec::as_slice)
    }

    /// The capabilities that were granted under one, in the order they were applied.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// let grant = ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let (log, authority) = (replica.log(), replica.authority());
    /// let granted = authority.granted_under(log.cap_of(grant));
    /// assert_eq!(granted.len(), 1);
    /// assert_eq!(log.cap_entry(granted[0]), grant);
    /// ```
    pub fn granted_under(&self, cap: CapNo) -> &[CapNo] {
        self.sub_caps.get(cap.index()).map_or(&[], Vec::as_slice)
    }

    /// The revokes in effect against a capability itself; those against what it was granted under
    /// freeze it too.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    /// let revoke = ana.revoke(&mut replica, &ben, &[]);
    /// let cap = replica.log().cap_of(hello);
    /// assert_eq!(replica.authority().effective(cap), [revoke]);
    /// ```
    // rule: REVOKE-3
    pub fn effective(&self, cap: CapNo) -> &[EntryNo] {
        self.effective.get(cap.index()).map_or(&[], Vec::as_slice)
    }

    /// The authorised revokes of a key at a directory or above, in the order of admission, whatever
    /// they are able to do there.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let users = ana.mkdir(&mut replica, "users");
    /// let revoke = ana.revoke(&mut replica, &ben, &[]);
    /// let (log, authority) = (replica.log(), replica.authority());
    /// let (who, dir) = (log.key_no(&ben.key.public()).unwrap(), log.dir(&users).unwrap());
    /// assert_eq!(authority.revokes_at(log, who, dir), [revoke], "made at the root, above it");
    /// ```
    pub fn revokes_at(&self, log: &Log, who: KeyNo, dir: DirNo) -> Vec<EntryNo> {
        let upwards = core::iter::successors(Some(dir), |dir| log.parent(*dir));
        let all = upwards.filter_map(|at| self.revokes_of.get(&(who, at))).flatten().copied();
        let mut found: Vec<EntryNo> = all.filter(|no| self.is_authorised(*no)).collect();
        found.sort_unstable();
        found
    }

    /// Takes in one admitted entry; gives the entries whose flag changed, itself not included.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::{authority::Authority, entry::{Payload, Rights}, log::Source};
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let hello = ben.write(&mut replica, "motd", "hello", &[]);
    ///
    /// let (mut log, mut authority) = (replica.log().clone(), replica.authority().clone());
    /// # let root = basefs::log::root_dir(&log.genesis());
    /// # let revoke = ana.sign(root, "", &[], Payload::Revoke { who: ben.key.public(), keep: vec![] });
    /// log.offer(revoke, Source::Local);
    /// let revoke = log.next_admitted().unwrap();
    /// assert_eq!(authority.apply(&log, &revoke), [hello], "it counts no longer");
    /// ```
    pub fn apply(&mut self, log: &Log, entry: &AdmittedEntry) -> Vec<EntryNo> {
        self.apply_number(log, entry.no())
    }

    /// Takes in an entry that the log has admitted, by number. All that it refers to must have been
    /// taken in before, other entries need not be.
    pub(crate) fn apply_number(&mut self, log: &Log, no: EntryNo) -> Vec<EntryNo> {
        self.grow(log);
        if matches!(log.record(no).detail, Detail::Genesis) {
            self.set(no, true);
            self.register_roots(log);
            return Vec::new();
        }
        self.register(log, no);
        // It is known from here on: it may be the head that keeps its own chain.
        self.set(no, false);
        if let Detail::Grant(cap) = log.record(no).detail {
            self.effective[cap.index()] = self.select(log, cap);
        }
        let authorised = self.evaluate(log, no);
        self.set(no, authorised);
        let mut pass = Pass::default();
        if authorised {
            self.enqueue_affected(log, no, &mut pass);
        }
        self.keep_head_arrived(log, no, &mut pass);
        while let Some((_, cap)) = pass.queue.pop_first() {
            let selected = self.select(log, cap);
            if selected != self.effective[cap.index()] {
                self.effective[cap.index()] = selected;
                self.recompute_below(log, cap, &mut pass);
            }
        }
        pass.flipped
    }

    /// Takes in an entry whose flag is known from the store; call
    /// [`finish_restore`](Self::finish_restore) after the last.
    pub(crate) fn restore(&mut self, log: &Log, no: EntryNo, authorised: bool) {
        self.grow(log);
        self.set(no, authorised);
        match log.record(no).detail {
            Detail::Genesis => self.register_roots(log),
            _ => self.register(log, no),
        }
    }

    /// Finds the revokes in effect once all flags are known.
    pub(crate) fn finish_restore(&mut self, log: &Log) {
        if self.revokes_of.is_empty() {
            return;
        }
        for cap in (0..log.caps()).filter_map(CapNo::from_index) {
            self.effective[cap.index()] = self.select(log, cap);
        }
    }

    fn grow(&mut self, log: &Log) {
        self.flags.resize(log.len(), Flag::Unknown);
        self.by_cap.resize_with(log.caps(), Vec::new);
        self.heads.resize(log.caps(), None);
        self.sub_caps.resize_with(log.caps(), Vec::new);
        self.effective.resize_with(log.caps(), Vec::new);
    }

    /// The genesis gives every root key its capability.
    fn register_roots(&mut self, log: &Log) {
        for cap in (0..log.caps()).filter_map(CapNo::from_index) {
            if log.cap(cap).parent.is_none() {
                self.grants_of.entry(log.cap(cap).key).or_default().push(cap);
            }
        }
    }

    /// Enters an entry into the indexes.
    fn register(&mut self, log: &Log, no: EntryNo) {
        let cap = log.cap_of(no).index();
        self.by_cap[cap].push(no);
        if self.heads[cap].is_none_or(|head| log.seq(head) <= log.seq(no)) {
            self.heads[cap] = Some(no);
        }
        match log.record(no).detail {
            Detail::Grant(cap) => {
                self.sub_caps[log.cap_of(no).index()].push(cap);
                self.grants_of.entry(log.cap(cap).key).or_default().push(cap);
            }
            Detail::Revoke { who, dir } => {
                self.revokes_of.entry((who, dir)).or_default().push(no);
                for head in log.revoke(no).into_iter().flat_map(|revoke| &revoke.keep) {
                    self.keeping.entry(*head).or_default().push(no);
                }
            }
            _ => {}
        }
    }

    /// Whether `x` stays in spite of a revoke: it is chain-below a head that the revoke, or one it
    /// amends, keeps.
    // rule: REVOKE-1
    fn is_kept(&self, log: &Log, x: EntryNo, revoke: EntryNo) -> bool {
        let closure = log.revoke(revoke).map_or(&[][..], |revoke| &revoke.closure);
        closure
            .iter()
            .filter_map(|member| log.revoke(*member))
            .flat_map(|member| &member.keep)
            .filter_map(|head| log.number(head).filter(|no| self.flag(*no) != Flag::Unknown))
            .any(|head| log.cap_of(head) == log.cap_of(x) && log.is_chain_below(x, head))
    }

    /// Whether a revoke can act against a capability.
    // rule: REVOKE-2
    fn is_applicable(log: &Log, revoke: EntryNo, cap: CapNo) -> bool {
        let Detail::Revoke { who, dir } = log.record(revoke).detail else { return false };
        let against = log.cap(cap);
        who == against.key
            && log.is_in_lineage(dir, against.dir)
            && log.rank(revoke) < against.rank
            && !Self::is_spared(log, revoke, cap)
    }

    /// Whether a grant was made in spite of a revoke: they share a revoke that its issuer could
    /// set aside.
    // rule: REVOKE-2
    fn is_spared(log: &Log, revoke: EntryNo, cap: CapNo) -> bool {
        let capability = log.cap(cap);
        let Some(revoke) = log.revoke(revoke) else { return false };
        let issuer = log.rank(capability.entry);
        capability.after.iter().filter_map(|named| log.revoke(*named)).any(|named| {
            let shared = |member: &&EntryNo| revoke.closure.binary_search(member).is_ok();
            named.closure.iter().filter(shared).any(|member| log.rank(*member) >= issuer)
        })
    }

    /// The revokes that count against a capability: of the best rank, less what others amend.
    // rule: REVOKE-3
    fn select(&mut self, log: &Log, cap: CapNo) -> Vec<EntryNo> {
        let capability = log.cap(cap);
        let mut best: Option<Rank> = None;
        let mut selected: Vec<EntryNo> = Vec::new();
        let mut dir = Some(capability.dir);
        while let Some(at) = dir {
            dir = log.parent(at);
            for revoke in self.revokes_of.get(&(capability.key, at)).into_iter().flatten() {
                self.compared += 1;
                let counts = self.is_authorised(*revoke) && Self::is_applicable(log, *revoke, cap);
                if !counts || best.is_some_and(|best| best < log.rank(*revoke)) {
                    continue;
                }
                if best != Some(log.rank(*revoke)) {
                    best = Some(log.rank(*revoke));
                    selected.clear();
                }
                selected.push(*revoke);
            }
        }
        selected.sort_unstable();
        let amended: BTreeSet<EntryNo> = selected
            .iter()
            .flat_map(|no| {
                let closure = log.revoke(*no).map_or(&[][..], |revoke| &revoke.closure);
                closure.iter().copied().filter(move |member| member != no)
            })
            .collect();
        selected.retain(|no| !amended.contains(no));
        selected
    }

    /// Whether the grant behind a capability counts.
    fn is_granted(&self, log: &Log, cap: CapNo) -> bool {
        let capability = log.cap(cap);
        capability.parent.is_none() || self.is_authorised(capability.entry)
    }

    // rule: AUTH-1
    fn evaluate(&mut self, log: &Log, no: EntryNo) -> bool {
        self.computed += 1;
        let cap = log.cap_of(no);
        self.is_granted(log, cap)
            && upwards(log, cap)
                .flat_map(|above| &self.effective[above.index()])
                .all(|revoke| self.is_kept(log, no, *revoke))
    }

    /// Queues the capabilities that a revoke, now in force or no longer, may affect. All have a
    /// worse rank than the revoke, so that in order of rank each comes up once.
    fn enqueue_affected(&mut self, log: &Log, no: EntryNo, pass: &mut Pass) {
        let Detail::Revoke { who, .. } = log.record(no).detail else { return };
        for cap in self.grants_of.get(&who).into_iter().flatten() {
            self.compared += 1;
            if Self::is_applicable(log, no, *cap) {
                pass.queue.insert((log.cap(*cap).rank, *cap));
            }
        }
    }

    /// If the entry is a head that an effective revoke keeps, what is chain-below it may stay now.
    fn keep_head_arrived(&mut self, log: &Log, head: EntryNo, pass: &mut Pass) {
        let Some(naming) = self.keeping.get(&log.id(head)) else { return };
        // Any number of revokes may name a head, but a closure is short.
        let is_named = |revoke: &EntryNo| {
            let closure = log.revoke(*revoke).map_or(&[][..], |revoke| &revoke.closure);
            closure.iter().any(|member| naming.binary_search(member).is_ok())
        };
        let in_effect = upwards(log, log.cap_of(head))
            .flat_map(|cap| &self.effective[cap.index()])
            .any(is_named);
        if !in_effect {
            return;
        }
        let mut below: Vec<EntryNo> =
            core::iter::successors(log.chain_before(head), |no| log.chain_before(*no)).collect();
        below.reverse();
        for no in below {
            self.recompute(log, no, pass);
            if pass.flipped.last() == Some(&no)
                && let Detail::Grant(cap) = log.record(no).detail
            {
                self.recompute_below(log, cap, pass);
            }
        }
    }

    /// Computes the flags of all entries under a capability and those granted under it, parents
    /// first.
    fn recompute_below(&mut self, log: &Log, cap: CapNo, pass: &mut Pass) {
        let mut caps = Vec::from([cap]);
        let mut next = 0;
        while let Some(cap) = caps.get(next).copied() {
            next += 1;
            for position in 0..self.by_cap[cap.index()].len() {
                let no = self.by_cap[cap.index()][position];
                self.recompute(log, no, pass);
            }
            caps.extend(&self.sub_caps[cap.index()]);
        }
    }

    fn recompute(&mut self, log: &Log, no: EntryNo, pass: &mut Pass) {
        let authorised = self.evaluate(log, no);
        if authorised != self.is_authorised(no) {
            self.set(no, authorised);
            pass.flipped.push(no);
            self.enqueue_affected(log, no, pass);
        }
    }
}

/// The state of one application: what flipped, and which capabilities remain to be looked at.
#[derive(Default)]
struct Pass {
    flipped: Vec<EntryNo>,
    queue: BTreeSet<(Rank, CapNo)>,
}

/// A capability, the one it was granted under, and so on to the root's: at most 17.
fn upwards(log: &Log, cap: CapNo) -> impl Iterator<Item = CapNo> {
    core::iter::successors(Some(cap), |cap| log.cap(*cap).parent)
}
