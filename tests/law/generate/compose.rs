//! The entries that an operation makes.

use basefs::entry::{Body, FileData, Payload, Rights, VerifiedEntry};
use basefs::id::{Content, DirId, EntryId};
use basefs::limits;
use basefs::time::WallTime;

use super::operation::{Act, After, Base, Cap, Chain, Flaw, Keep, Operation};
use super::world::{Made, ROOTS, World, contents, founding, key, picked};

/// Where an entry goes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) dir: usize,
    pub(super) name: &'static str,
}

impl World {
    /// Does what an operation says, as far as that makes sense here.
    pub(crate) fn apply(&mut self, operation: &Operation) {
        if self.is_full() {
            return;
        }
        let author = operation.author;
        let dirs = self.likely_dirs(operation);
        let place = Place { dir: picked(&dirs, operation.dir).unwrap_or(0), name: operation.name };
        match operation.act {
            Act::Hear { from } => self.hear(author, from),
            Act::HearOne { pick } => self.hear_one(author, pick),
            Act::Big(big) => self.do_big(author, big),
            Act::Move { to_dir, to_name } => {
                let dir = picked(&dirs, to_dir).unwrap_or(0);
                self.do_move(operation, place, Place { dir, name: to_name });
            }
            Act::HalfMove { to_dir, is_deletion } => {
                let dir = picked(&dirs, to_dir).unwrap_or(0);
                self.do_half_move(operation, place, Place { dir, ..place }, is_deletion);
            }
            _ => {
                if let Some(payload) = self.payload_of(operation, place) {
                    self.make(operation, place, payload);
                }
            }
        }
    }

    /// Where an operation may take place: mostly where the author has a capability.
    fn likely_dirs(&self, operation: &Operation) -> Vec<usize> {
        let (author, dirs) = (operation.author, self.known_dirs(operation.author));
        let caps = self.caps(author);
        let is_covered =
            |dir: &usize| caps.iter().any(|cap| self.is_in_lineage(self.cap_dir(*cap), *dir));
        let covered: Vec<usize> = dirs.iter().copied().filter(is_covered).collect();
        if covered.is_empty() || matches!(operation.cap, Cap::Any(_)) { dirs } else { covered }
    }

    /// Signs an entry and takes it in; gives its position unless it is not even well formed.
    pub(super) fn make(
        &mut self,
        operation: &Operation,
        place: Place,
        payload: Payload,
    ) -> Option<usize> {
        let author = operation.author;
        if let Some(Flaw::Genesis) = operation.flaw {
            let roots = vec![key(author).public()];
            return Some(
                self.push(author, founding(author, Payload::Genesis { roots, nonce: [9; 16] })),
            );
        }
        let mut body = self.body(operation, place, payload);
        self.spoil(author, &mut body, operation.flaw);
        let entry = body.sign(key(author)).ok()?;
        Some(self.push(author, entry))
    }

    fn body(&self, operation: &Operation, place: Place, payload: Payload) -> Body {
        let author = operation.author;
        let is_data = payload.action().is_data();
        let prev = match &payload {
            Payload::Grant { .. } => Vec::new(),
            Payload::Revoke { .. } => self.amended(operation, place),
            _ => self.prev(operation, place),
        };
        let cap = self.cap(author, place.dir, operation.cap);
        let (seq, aprev) = self.next_in_chain(author, cap, operation.chain);
        // A liar's clock stands still; nothing must depend on it.
        let ts = if let Base::Old(_) = operation.base { 0 } else { self.made.len() as u64 };
        Body {
            dir: self.dirs[place.dir].id,
            name: if is_data { place.name.into() } else { "".into() },
            prev,
            cap,
            key: key(author).public(),
            seq,
            aprev,
            ts: WallTime::from_millis(ts),
            payload,
        }
    }

    /// An entry that an author would make on top of another, with its best capability; it is not
    /// taken in. Nothing if it is not well formed.
    pub(crate) fn on_top(
        &self,
        author: usize,
        base: &EntryId,
        payload: Payload,
    ) -> Option<VerifiedEntry> {
        let below = self.body_of(base);
        let dir = self.dir_position(&below.dir)?;
        let cap = self.cap(author, dir, Cap::Widest);
        let (seq, aprev) = self.next_in_chain(author, cap, Chain::Next);
        let body = Body {
            dir: below.dir,
            name: below.name.clone(),
            prev: vec![*base],
            cap,
            key: key(author).public(),
            seq,
            aprev,
            ts: WallTime::from_millis(0),
            payload,
        };
        body.sign(key(author)).ok()
    }

    fn payload_of(&self, operation: &Operation, place: Place) -> Option<Payload> {
        let author = operation.author;
        let data: Vec<&Made> = self.known(author).map(|(_, made)| made).collect();
        Some(match operation.act {
            Act::Mkdir => Payload::Mkdir,
            Act::Write { text } => {
                let text = ["", "one", "two"][usize::from(text % 3)].as_bytes();
                Payload::Write { executable: false, data: FileData::Inline(text.into()) }
            }
            Act::WriteBlocks { content } => {
                let data = FileData::Blocks(contents()[content]);
                Payload::Write { executable: false, data }
            }
            Act::Chmod { pick } => {
                let writes: Vec<&FileData> = data
                    .iter()
                    .filter_map(|made| match &made.entry.body().payload {
                        Payload::Write { data, .. } => Some(data),
                        _ => None,
                    })
                    .collect();
                Payload::Write { executable: true, data: picked(&writes, pick)?.clone() }
            }
            Act::Delete => Payload::Delete { moved_to: None },
            Act::Slink => Payload::Slink { text: operation.name.into() },
            Act::Link { pick } => {
                let data = data.iter().filter(|made| made.entry.body().payload.action().is_data());
                let targets: Vec<EntryId> = data.map(|made| made.entry.id()).collect();
                Payload::Link { target: picked(&targets, pick)? }
            }
            Act::Grant { who, rights, after } => self.grant(author, who, rights, after),
            Act::Revoke { who, keep, .. } => self.revoke(author, who, keep, place.dir),
            _ => return None,
        })
    }

    fn grant(&self, author: usize, who: usize, rights: Rights, after: After) -> Payload {
        let who = key(who).public();
        let of_who = |made: &Made| match &made.entry.body().payload {
            Payload::Revoke { who: revoked, .. } => *revoked == who,
            _ => false,
        };
        let revokes: Vec<EntryId> = self
            .known(author)
            .filter(|(_, made)| of_who(made))
            .map(|(_, made)| made.entry.id())
            .collect();
        let mut after = match after {
            After::Nothing => Vec::new(),
            After::Known => revokes[revokes.len().saturating_sub(limits::MAX_AFTER)..].to_vec(),
            After::One(pick) => picked(&revokes, pick).into_iter().collect(),
        };
        after.sort_unstable();
        Payload::Grant { who, rights, after }
    }

    fn revoke(&self, author: usize, who: usize, keep: Keep, dir: usize) -> Payload {
        let is_below = |made: &Made| {
            let cap = self.position(&made.entry.body().cap);
            let cap_dir = cap.map_or(0, |cap| self.cap_dir(cap));
            self.is_by_or_below(made, who) && self.is_in_lineage(dir, cap_dir)
        };
        let known = self.known(author).filter(|(_, made)| is_below(made));
        let known: Vec<EntryId> = known.map(|(_, made)| made.entry.id()).collect();
        let mut keep = match keep {
            Keep::Nothing => Vec::new(),
            Keep::Heads => self.heads(&known),
            Keep::AllHeads => {
                let admitted = self.made.iter().filter(|made| made.refused.is_none());
                let all = admitted.filter(|made| self.is_by_or_below(made, who));
                let all = all.map(|made| made.entry.id());
                self.heads(&all.collect::<Vec<_>>())
            }
            Keep::One(pick) => picked(&known, pick).into_iter().collect(),
            Keep::Missing => vec![EntryId::from_bytes([0xee; 32])],
        };
        keep.sort_unstable();
        keep.truncate(limits::MAX_KEEP);
        Payload::Revoke { who: key(who).public(), keep }
    }

    /// Whether an entry is by an author, or under a grant that comes from theirs.
    fn is_by_or_below(&self, made: &Made, author: usize) -> bool {
        let above = |made: &&Made| {
            let grant = self.position(&made.entry.body().cap).filter(|cap| *cap > 0)?;
            Some(&self.made[grant])
        };
        core::iter::successors(Some(made), above).any(|made| made.author == author)
    }

    /// Those of the entries that no other follows in its chain.
    fn heads(&self, entries: &[EntryId]) -> Vec<EntryId> {
        let aprev = |id: &EntryId| self.made[self.position(id)?].entry.body().aprev;
        let followed: Vec<EntryId> = entries.iter().filter_map(aprev).collect();
        entries.iter().copied().filter(|id| !followed.contains(id)).collect()
    }

    /// The revokes that a revoke amends.
    fn amended(&self, operation: &Operation, place: Place) -> Vec<EntryId> {
        let Act::Revoke { who, amends: true, .. } = operation.act else { return Vec::new() };
        let (who, dir) = (key(who).public(), self.dirs[place.dir].id);
        let is_same = |made: &Made| match &made.entry.body().payload {
            Payload::Revoke { who: revoked, .. } => *revoked == who && made.entry.body().dir == dir,
            _ => false,
        };
        let same = self.known(operation.author).rev().filter(|(_, made)| is_same(made));
        let mut prev: Vec<EntryId> = same.take(2).map(|(_, made)| made.entry.id()).collect();
        prev.sort_unstable();
        prev
    }

    /// The entries of a slot that an author knows, the latest last.
    pub(super) fn slot(&self, author: usize, place: Place) -> Vec<usize> {
        let dir = self.dirs[place.dir].id;
        let is_in = |made: &Made| {
            let body = made.entry.body();
            body.payload.action().is_data() && body.dir == dir && *body.name == *place.name
        };
        self.known(author).filter(|(_, made)| is_in(made)).map(|(at, _)| at).collect()
    }

    /// The entries of a slot on which nothing stands that the author knows.
    pub(super) fn tips(&self, author: usize, place: Place) -> Vec<EntryId> {
        let entries = self.slot(author, place);
        let prev = |at: &usize| self.made[*at].entry.body().prev.iter();
        let below: Vec<EntryId> = entries.iter().flat_map(prev).copied().collect();
        let ids = entries.iter().map(|at| self.made[*at].entry.id());
        ids.filter(|id| !below.contains(id)).collect()
    }

    fn prev(&self, operation: &Operation, place: Place) -> Vec<EntryId> {
        let mut tips = self.tips(operation.author, place);
        match operation.base {
            Base::Tip => tips.last().copied().into_iter().collect(),
            Base::Nothing => Vec::new(),
            Base::Old(pick) => {
                let entries = self.slot(operation.author, place);
                picked(&entries, pick).map(|at| self.made[at].entry.id()).into_iter().collect()
            }
            Base::AllTips => {
                tips.reverse();
                in_order(tips)
            }
            Base::AllTipsReversed => in_order(tips),
        }
    }

    /// The capabilities of an author, as positions of grants; a root's is the genesis.
    pub(super) fn caps(&self, author: usize) -> Vec<usize> {
        let who = key(author).public();
        let is_cap = |(position, made): &(usize, &Made)| match &made.entry.body().payload {
            Payload::Grant { who: granted, .. } => *granted == who,
            _ => *position == 0 && author < ROOTS,
        };
        self.known(author).filter(is_cap).map(|(position, _)| position).collect()
    }

    /// The directory that a capability governs.
    pub(super) fn cap_dir(&self, cap: usize) -> usize {
        if cap == 0 {
            return 0;
        }
        self.dir_position(&self.made[cap].entry.body().dir).unwrap_or(0)
    }

    fn cap(&self, author: usize, dir: usize, choice: Cap) -> EntryId {
        let caps = self.caps(author);
        let covering =
            caps.iter().copied().filter(|cap| self.is_in_lineage(self.cap_dir(*cap), dir));
        let depth = |cap: &usize| self.dirs[self.cap_dir(*cap)].depth;
        let chosen = match choice {
            Cap::Narrowest => covering.max_by_key(|cap| (depth(cap), *cap)),
            Cap::Widest => covering.min_by_key(|cap| (depth(cap), *cap)),
            Cap::Any(pick) => picked(&caps, pick),
        };
        chosen.or(caps.first().copied()).map_or(self.genesis, |cap| self.made[cap].entry.id())
    }

    fn next_in_chain(&self, author: usize, cap: EntryId, chain: Chain) -> (u64, Option<EntryId>) {
        let is_own = |made: &Made| made.author == author && made.entry.body().cap == cap;
        let head = self.known(author).rev().find(|(_, made)| is_own(made)).map(|(_, made)| made);
        match (head, chain) {
            (None, _) | (_, Chain::Restart) => (0, None),
            (Some(head), Chain::Next) => (head.entry.body().seq + 1, Some(head.entry.id())),
            (Some(head), Chain::Fork) => (head.entry.body().seq, head.entry.body().aprev),
        }
    }

    fn do_move(&mut self, operation: &Operation, from: Place, to: Place) {
        let tips = self.tips(operation.author, from);
        let Some(target) = tips.last().copied() else { return };
        let Some(link) = self.make(operation, to, Payload::Link { target }) else { return };
        let moved_to = Some(self.made[link].entry.id());
        self.make(operation, from, Payload::Delete { moved_to });
    }

    fn do_half_move(&mut self, operation: &Operation, from: Place, to: Place, is_deletion: bool) {
        if !is_deletion {
            if let Some(target) = self.tips(operation.author, from).last().copied() {
                self.make(operation, to, Payload::Link { target });
            }
            return;
        }
        let is_link = |made: &Made| matches!(made.entry.body().payload, Payload::Link { .. });
        let mut known = self.known(operation.author).rev();
        let link = known.find(|(_, made)| is_link(made)).map(|(_, made)| made.entry.id());
        drop(known);
        self.make(operation, from, Payload::Delete { moved_to: link });
    }

    /// Puts a flaw into a body that would be in order.
    fn spoil(&self, author: usize, body: &mut Body, flaw: Option<Flaw>) {
        let known: Vec<&Made> = self.known(author).map(|(_, made)| made).collect();
        let missing = EntryId::from_bytes([0xdd; 32]);
        match flaw {
            None | Some(Flaw::Genesis) => {}
            Some(Flaw::ForeignCap(pick)) => {
                let is_foreign = |made: &Made| match &made.entry.body().payload {
                    Payload::Grant { who, .. } => *who != body.key,
                    _ => false,
                };
                let grants: Vec<&Made> =
                    known.into_iter().filter(|made| is_foreign(made)).collect();
                if let Some(grant) = picked(&grants, pick) {
                    (body.cap, body.seq, body.aprev) = (grant.entry.id(), 0, None);
                }
            }
            Some(Flaw::ForeignChain(pick)) => {
                if let Some(made) = picked(&known, pick) {
                    body.aprev = Some(made.entry.id());
                    body.seq = made.entry.body().seq + 1;
                }
            }
            Some(Flaw::Gap) => body.seq += u64::from(body.aprev.is_some()),
            Some(Flaw::ForeignPrev(pick)) => {
                add_reference(body, picked(&known, pick).map(|made| made.entry.id()));
            }
            Some(Flaw::WrongKind(pick)) => {
                let wrong = picked(&known, pick).map_or(missing, |made| made.entry.id());
                match &mut body.payload {
                    Payload::Link { target } => *target = wrong,
                    Payload::Delete { moved_to } => *moved_to = Some(wrong),
                    Payload::Grant { after, .. } => *after = vec![wrong],
                    _ => {}
                }
            }
            Some(Flaw::OnFlawed(pick)) => {
                let refused = self.made.iter().filter(|made| made.refused.is_some());
                let refused: Vec<EntryId> = refused.map(|made| made.entry.id()).collect();
                add_reference(body, picked(&refused, pick));
            }
            Some(Flaw::Missing) => add_reference(body, Some(missing)),
            Some(Flaw::NoDirectory) => body.dir = DirId::from_bytes([0xcc; 32]),
        }
    }

    /// The contents that anybody ever has in full.
    pub(crate) fn completable() -> &'static [usize] {
        &[0, 1, 2]
    }

    /// A content by number.
    pub(crate) fn content(number: usize) -> Content {
        contents()[number]
    }
}

/// Adds a hard reference where an entry of its kind has room for one.
fn add_reference(body: &mut Body, id: Option<EntryId>) {
    let Some(id) = id else { return };
    match &mut body.payload {
        Payload::Grant { after, .. } => *after = vec![id],
        _ => {
            body.prev.push(id);
            body.prev = in_order(core::mem::take(&mut body.prev));
        }
    }
}

/// As ENTRY-3 has it: the first stays, the others ascend, none twice.
fn in_order(ids: Vec<EntryId>) -> Vec<EntryId> {
    let Some((base, rest)) = ids.split_first() else { return ids };
    let mut rest: Vec<EntryId> = rest.iter().copied().filter(|id| id != base).collect();
    rest.sort_unstable();
    rest.dedup();
    rest.truncate(limits::MAX_PREV - 1);
    rest.insert(0, *base);
    rest
}
