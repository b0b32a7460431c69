//! The conflict rule: which entry of a slot wins.
//!
//! Everything that decides between concurrent entries is in this file: which entries count
//! (READY-2), what each votes for (FORK-1, FORK-2), how branches compare (FORK-4) and the walk
//! down the winning branch (FORK-3). O(m log m) for the m entries of a slot, without recursion.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::authority::Authority;
use crate::entry::Action;
use crate::log::{EntryNo, KeyNo, Log, Rank, SlotNo};

/// The context in which ties between keys are hashed.
const TIE_CONTEXT: &str = "basefs v1 tie";

/// What decided between two branches (FORK-4).
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// # use author::Author;
/// # use basefs::entry::{Payload, Rights};
/// use basefs::view::Decided;
///
/// let mut ben = Author::new(2);
/// ana.grant(&mut replica, &mut ben, Rights::Write);
/// let by_ben = ben.write(&mut replica, "motd", "hello", &[]);
/// let by_ana = ana.write(&mut replica, "motd", "good morning", &[]);
/// let (log, slot) = (replica.log(), replica.log().slot_of(by_ana).unwrap());
/// let explanation = replica.view().explain(log, replica.authority(), slot);
/// assert_eq!(explanation.losers[0].decided, Decided::Rank, "Ana stands above Ben");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Decided {
    /// The other branch has the entry of the better rank.
    Rank,
    /// Ranks are equal, and more keys of that rank stand behind the other branch.
    Keys,
    /// Keys are as many, and the other branch hides less: it is not a deletion.
    Kind,
    /// All that is equal; a hash over the keys decided.
    Tie,
    /// The same keys stand behind both: the greater id won.
    Id,
}

/// A branch that a step of the walk passed over.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// # use author::Author;
/// # use basefs::entry::Rights;
/// use basefs::view::{Beaten, Decided};
///
/// let mut ben = Author::new(2);
/// ana.grant(&mut replica, &mut ben, Rights::Write);
/// let branch = ben.write(&mut replica, "motd", "hello", &[]);
/// ben.write(&mut replica, "motd", "hello again", &[branch]);
/// let by = ana.write(&mut replica, "motd", "good morning", &[]);
/// let (log, slot) = (replica.log(), replica.log().slot_of(by).unwrap());
/// let outcome = replica.view().outcome(log, replica.authority(), slot);
/// assert_eq!(outcome.beaten, [Beaten { branch, by, decided: Decided::Rank }]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beaten {
    /// The first entry of the branch that lost.
    pub branch: EntryNo,
    /// The first entry of the branch that won.
    pub by: EntryNo,
    /// What decided.
    pub decided: Decided,
}

/// What fork choice found out about a slot.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// let hello = ana.write(&mut replica, "motd", "hello", &[]);
/// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
/// let (log, slot) = (replica.log(), replica.log().slot_of(hello).unwrap());
/// let outcome = replica.view().outcome(log, replica.authority(), slot);
/// assert_eq!((outcome.winner, outcome.beaten.len()), (Some(morning), 0));
/// assert!(outcome.line().eq([morning, hello]));
/// ```
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The winner, if anything counts.
    pub winner: Option<EntryNo>,
    /// The branches that the walk passed over.
    pub beaten: Vec<Beaten>,
    entries: Vec<EntryNo>,
    live: Vec<bool>,
    is_tip: Vec<bool>,
    is_followed: Vec<bool>,
    parent: Vec<usize>,
}

impl Outcome {
    /// How many entries the slot has.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn position(&self, no: EntryNo) -> Option<usize> {
        self.entries.binary_search(&no).ok()
    }

    /// Whether an entry counts: authorised, and ready or followed by one that is (READY-2).
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let cut = ben.write(&mut replica, "motd", "buy", &[]);
    /// ana.revoke(&mut replica, &ben, &[]);
    /// let hello = ana.write(&mut replica, "motd", "hello", &[cut]);
    /// let (log, slot) = (replica.log(), replica.log().slot_of(hello).unwrap());
    /// let outcome = replica.view().outcome(log, replica.authority(), slot);
    /// assert!(outcome.is_live(hello) && !outcome.is_live(cut));
    /// assert!(outcome.is_followed(cut), "by Ana's entry, which stands all the same");
    /// ```
    pub fn is_live(&self, no: EntryNo) -> bool {
        self.position(no).is_some_and(|position| self.live[position])
    }

    /// Whether an authorised, ready entry descends from an entry.
    pub fn is_followed(&self, no: EntryNo) -> bool {
        self.position(no).is_some_and(|position| self.is_followed[position])
    }

    /// The live entries that nothing live descends from, in order of admission.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let base = ana.write(&mut replica, "motd", "hello", &[]);
    /// let by_ben = ben.write(&mut replica, "motd", "hi", &[base]);
    /// let by_ana = ana.write(&mut replica, "motd", "good morning", &[base]);
    /// let (log, slot) = (replica.log(), replica.log().slot_of(base).unwrap());
    /// let outcome = replica.view().outcome(log, replica.authority(), slot);
    /// assert!(outcome.tips().eq([by_ben, by_ana]));
    /// assert!(outcome.is_tip(by_ben) && !outcome.is_tip(base));
    /// ```
    pub fn tips(&self) -> impl Iterator<Item = EntryNo> + '_ {
        self.entries.iter().zip(&self.is_tip).filter(|(_, tip)| **tip).map(|(no, _)| *no)
    }

    /// Whether an entry is live and nothing live descends from it.
    pub fn is_tip(&self, no: EntryNo) -> bool {
        self.position(no).is_some_and(|position| self.is_tip[position])
    }

    /// The winner, what it was built on, and so on (the line of a slot).
    pub fn line(&self) -> impl Iterator<Item = EntryNo> + '_ {
        let start = self.winner.and_then(|winner| self.position(winner));
        core::iter::successors(start, |at| Some(self.parent[*at]).filter(|p| *p < *at))
            .map(|at| self.entries[at])
    }

    /// Where the branch of an entry was passed over; nothing if it is on the winning line.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use author::Author;
    /// # use basefs::entry::Rights;
    /// let mut ben = Author::new(2);
    /// ana.grant(&mut replica, &mut ben, Rights::Write);
    /// let first = ben.write(&mut replica, "motd", "hi", &[]);
    /// let second = ben.write(&mut replica, "motd", "hello", &[first]);
    /// let winner = ana.write(&mut replica, "motd", "good morning", &[]);
    /// let (log, slot) = (replica.log(), replica.log().slot_of(winner).unwrap());
    /// let outcome = replica.view().outcome(log, replica.authority(), slot);
    /// let beaten = outcome.beaten_at(second).unwrap();
    /// assert_eq!((beaten.branch, beaten.by), (first, winner));
    /// assert_eq!(outcome.beaten_at(winner), None);
    /// assert_eq!(outcome.beaten_tips(), [(second, beaten)]);
    /// ```
    pub fn beaten_at(&self, no: EntryNo) -> Option<Beaten> {
        self.position(no).and_then(|position| self.passed_over()[position])
    }

    /// The tips that lost and where their branches were passed over, in order of admission.
    pub fn beaten_tips(&self) -> Vec<(EntryNo, Beaten)> {
        let passed_over = self.passed_over();
        let tips = self.entries.iter().zip(&self.is_tip).zip(passed_over);
        tips.filter_map(|((no, is_tip), beaten)| Some((*no, beaten.filter(|_| *is_tip)?))).collect()
    }

    /// Where the branch of each entry was passed over, by position. For all of them at once: a
    /// search for each would take a long time in a slot of many deep branches.
    fn passed_over(&self) -> Vec<Option<Beaten>> {
        let mut passed_over = alloc::vec![None; self.entries.len()];
        for beaten in &self.beaten {
            if let Some(position) = self.position(beaten.branch) {
                passed_over[position] = Some(*beaten);
            }
        }
        // A parent comes before its children.
        for (position, above) in self.parent.iter().enumerate() {
            passed_over[position] = passed_over[position].or(passed_over[*above]);
        }
        passed_over
    }
}

/// Votes for a branch: the keys that have an entry of the best rank in it.
#[derive(Clone, Debug)]
struct Votes {
    rank: Rank,
    keys: BTreeSet<KeyNo>,
    tie: [u8; 32],
}

impl Votes {
    /// The better rank wins; equal ranks unite their keys, the smaller set into the larger.
    fn merge(into: &mut Option<Votes>, mut other: Votes) {
        let Some(votes) = into else {
            *into = Some(other);
            return;
        };
        match other.rank.cmp(&votes.rank) {
            Ordering::Less => *votes = other,
            Ordering::Greater => {}
            Ordering::Equal => {
                if votes.keys.len() < other.keys.len() {
                    core::mem::swap(votes, &mut other);
                }
                votes.tie = votes.tie.max(other.tie);
                votes.keys.extend(other.keys);
            }
        }
    }
}

/// The score of a branch, compared in the order of its fields; greater wins.
// rule: FORK-4
#[derive(Clone, Copy, Debug)]
struct Score {
    rank: Rank,
    keys: usize,
    kind: u8,
    tie: [u8; 32],
}

impl Score {
    fn compare(&self, other: &Score) -> (Ordering, Decided) {
        let steps = [
            (other.rank.cmp(&self.rank), Decided::Rank),
            (self.keys.cmp(&other.keys), Decided::Keys),
            (self.kind.cmp(&other.kind), Decided::Kind),
            (self.tie.cmp(&other.tie), Decided::Tie),
        ];
        steps.into_iter().find(|(order, _)| order.is_ne()).unwrap_or((Ordering::Equal, Decided::Id))
    }
}

/// The entries of one slot as a forest with ⊥ as common root, by position in order of admission.
///
/// Positions are below `m`, and `m` itself stands for ⊥. A parent comes before its children.
struct Forest<'a> {
    log: &'a Log,
    slot: SlotNo,
    entries: Vec<EntryNo>,
    authorised: Vec<bool>,
    live: Vec<bool>,
    /// `prev` of each entry as positions.
    prev: Vec<Vec<usize>>,
    /// T: the nearest authorised entry along `prev[0]`, or ⊥.
    parent: Vec<usize>,
    depth: Vec<usize>,
    jump: Vec<usize>,
}

/// Decides a slot. `entries` are all its applied entries in order of admission, `is_ready` says
/// whose content is complete.
pub(super) fn decide(
    log: &Log,
    authority: &Authority,
    slot: SlotNo,
    entries: Vec<EntryNo>,
    is_ready: impl Fn(EntryNo) -> bool,
) -> Outcome {
    let authorised: Vec<bool> = entries.iter().map(|no| authority.is_authorised(*no)).collect();
    let mut forest = Forest::grow(log, slot, entries, authorised);
    let is_followed = forest.find_live(is_ready);
    let (votes, is_tip) = forest.vote();
    let scores = forest.score(votes);
    let (winner, beaten) = forest.walk(&scores);
    let Forest { entries, live, mut parent, .. } = forest;
    // For the reader of the outcome a missing parent is the entry itself.
    let bottom = entries.len();
    parent.truncate(bottom);
    for (position, above) in parent.iter_mut().enumerate() {
        if *above == bottom {
            *above = position;
        }
    }
    Outcome { winner, beaten, entries, live, is_tip, is_followed, parent }
}

impl<'a> Forest<'a> {
    // rule: FORK-1
    fn grow(log: &'a Log, slot: SlotNo, entries: Vec<EntryNo>, authorised: Vec<bool>) -> Self {
        let bottom = entries.len();
        let position = |no: &EntryNo| entries.binary_search(no).ok();
        let prev: Vec<Vec<usize>> =
            entries.iter().map(|no| log.prev(*no).iter().filter_map(position).collect()).collect();
        let mut star = Vec::with_capacity(bottom);
        let mut parent = Vec::with_capacity(bottom + 1);
        for at in 0..bottom {
            let above = prev[at].first().map_or(bottom, |base| star[*base]);
            star.push(if authorised[at] { at } else { above });
            parent.push(above);
        }
        parent.push(bottom);
        let mut depth = alloc::vec![0; bottom + 1];
        let mut jump = alloc::vec![bottom; bottom + 1];
        for at in 0..bottom {
            let above = parent[at];
            depth[at] = depth[above] + 1;
            // Skew-binary jump pointers (Myers 1983): two equally long jumps become one.
            let (first, second) = (jump[above], jump[jump[above]]);
            let is_pair = depth[above] - depth[first] == depth[first] - depth[second];
            jump[at] = if is_pair { second } else { above };
        }
        let live = alloc::vec![false; bottom];
        Self { log, slot, entries, authorised, live, prev, parent, depth, jump }
    }

    /// Finds the live entries; gives those that an authorised, ready entry descends from.
    // rule: READY-2
    fn find_live(&mut self, is_ready: impl Fn(EntryNo) -> bool) -> Vec<bool> {
        let mut has_ready_descendant = alloc::vec![false; self.entries.len()];
        for at in (0..self.entries.len()).rev() {
            let counts = self.authorised[at] && is_ready(self.entries[at]);
            let carries = counts || has_ready_descendant[at];
            self.live[at] = self.authorised[at] && carries;
            if carries {
                for above in &self.prev[at] {
                    has_ready_descendant[*above] = true;
                }
            }
        }
        has_ready_descendant
    }

    /// The lowest common ancestor of two nodes of the tree.
    fn common(&self, mut a: usize, mut b: usize) -> usize {
        if self.depth[a] < self.depth[b] {
            core::mem::swap(&mut a, &mut b);
        }
        while self.depth[a] > self.depth[b] {
            let jump = self.jump[a];
            a = if self.depth[jump] >= self.depth[b] { jump } else { self.parent[a] };
        }
        while a != b {
            // Nodes of equal depth have jumps of equal length.
            if self.jump[a] == self.jump[b] {
                (a, b) = (self.parent[a], self.parent[b]);
            } else {
                (a, b) = (self.jump[a], self.jump[b]);
            }
        }
        a
    }

    /// Gives the votes at each node alone, and which nodes are live tips.
    ///
    /// An entry votes at its anchor: the deepest node that has it and its whole live future below.
    // rule: FORK-2
    fn vote(&self) -> (Vec<Option<Votes>>, Vec<bool>) {
        let bottom = self.entries.len();
        let mut anchor: Vec<Option<usize>> = alloc::vec![None; bottom];
        let mut votes: Vec<Option<Votes>> = alloc::vec![None; bottom + 1];
        let mut is_tip = alloc::vec![false; bottom];
        let mut ties = BTreeMap::new();
        for at in (0..bottom).rev() {
            if self.live[at] {
                is_tip[at] = anchor[at].is_none();
                let own = anchor[at].map_or(at, |future| self.common(at, future));
                anchor[at] = Some(own);
                if own != bottom {
                    Votes::merge(&mut votes[own], self.vote_of(at, &mut ties));
                }
            }
            let Some(own) = anchor[at] else { continue };
            for above in &self.prev[at] {
                anchor[*above] = Some(anchor[*above].map_or(own, |other| self.common(other, own)));
            }
        }
        (votes, is_tip)
    }

    fn vote_of(&self, at: usize, ties: &mut BTreeMap<KeyNo, [u8; 32]>) -> Votes {
        let no = self.entries[at];
        let key = self.log.cap_key(self.log.cap_of(no));
        let tie = *ties.entry(key).or_insert_with(|| tie(self.log, self.slot, key));
        Votes { rank: self.log.rank(no), keys: BTreeSet::from([key]), tie }
    }

    /// The scores of all branches: the votes at a node and everywhere below it.
    // rule: FORK-4
    fn score(&self, mut votes: Vec<Option<Votes>>) -> Vec<Option<Score>> {
        let mut scores = alloc::vec![None; self.entries.len()];
        for at in (0..self.entries.len()).rev().filter(|at| self.live[*at]) {
            let Some(below) = votes[at].take() else { continue };
            scores[at] = Some(Score {
                rank: below.rank,
                keys: below.keys.len(),
                kind: kind(self.log, self.entries[at]),
                tie: below.tie,
            });
            Votes::merge(&mut votes[self.parent[at]], below);
        }
        scores
    }

    // rule: FORK-3
    fn walk(&self, scores: &[Option<Score>]) -> (Option<EntryNo>, Vec<Beaten>) {
        let bottom = self.entries.len();
        let mut children: Vec<Vec<usize>> = alloc::vec![Vec::new(); bottom + 1];
        for at in (0..bottom).filter(|at| scores[*at].is_some()) {
            children[self.parent[at]].push(at);
        }
        let mut at = bottom;
        let mut beaten = Vec::new();
        while let Some((first, rest)) = children[at].split_first() {
            let best = rest.iter().fold(*first, |best, other| {
                if self.compare(scores, *other, best).0.is_gt() { *other } else { best }
            });
            for lost in children[at].iter().filter(|other| **other != best) {
                beaten.push(Beaten {
                    branch: self.entries[*lost],
                    by: self.entries[best],
                    decided: self.compare(scores, best, *lost).1,
                });
            }
            at = best;
        }
        (self.entries.get(at).copied(), beaten)
    }

    fn compare(&self, scores: &[Option<Score>], a: usize, b: usize) -> (Ordering, Decided) {
        let (Some(score_a), Some(score_b)) = (&scores[a], &scores[b]) else {
            return (scores[a].is_some().cmp(&scores[b].is_some()), Decided::Rank);
        };
        let (order, decided) = score_a.compare(score_b);
        let by_id = || self.log.id(self.entries[a]).cmp(&self.log.id(self.entries[b]));
        (order.then_with(by_id), decided)
    }
}

/// Among equals hide less: something shown, then a move, then a deletion.
fn kind(log: &Log, no: EntryNo) -> u8 {
    match (log.action(no), log.moved_to(no)) {
        (Action::Delete, None) => 0,
        (Action::Delete, Some(_)) => 1,
        _ => 2,
    }
}

fn tie(log: &Log, slot: SlotNo, key: KeyNo) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(TIE_CONTEXT);
    hasher.update(log.dir_id(log.slot_dir(slot)).as_bytes());
    hasher.update(log.slot_name(slot).as_bytes());
    hasher.update(log.key(key).as_bytes());
    *hasher.finalize().as_bytes()
}
