//! Records and tables of members.

use alloc::vec::Vec;
use core::time::Duration;

use super::super::message::{
    About, Digest, Purpose as Why, Row, Rumor, Table, Undecoded, rows_per_table,
};
use super::super::overlay::Place;
use super::super::record::SignedRecord;
use super::known::{Dialling, Known, Link, MAX_MEMBERS, REMEMBERED};
use super::{MAX_TABLE, Member, MemberEvent, MemberFault, MemberState, Membership, Output};
use crate::id::{LinkId, NodeId};
use crate::time::Timestamp;

/// How long prints may differ before digests are compared: news takes less.
const SETTLE: Duration = Duration::from_secs(5);
/// The least time between two comparisons that this node starts, whoever with.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// The least time between two tables sent on the same link, the first aside.
const TABLE_EVERY: Duration = Duration::from_secs(5);

/// How long after its first link a node is still being told who is there.
const JOINING: Duration = Duration::from_secs(10);

/// What a peer says in greeting.
struct Hello {
    purpose: Why,
    digest: Digest,
    members: u32,
    own: SignedRecord,
}

/// The digest.
impl Membership {
    /// The short name of this node's table.
    pub(super) fn digest(&mut self) -> Digest {
        if let Some(digest) = self.digest {
            return digest;
        }
        let mut hasher = blake3::Hasher::new_derive_key("basefs v1 member table");
        let mut add = |node: &NodeId, incarnation: u64, state: u8| {
            hasher.update(node.as_bytes());
            hasher.update(&incarnation.to_le_bytes());
            hasher.update(&[state]);
        };
        let own = &self.own.record;
        let mut is_own_due = true;
        for (node, known) in &self.members {
            if is_own_due && own.node < *node {
                add(&own.node, own.incarnation, if own.left { 2 } else { 1 });
                is_own_due = false;
            }
            let state = match known.member.state {
                MemberState::Alive | MemberState::Suspect => 1,
                MemberState::Left => 2,
                MemberState::Dead => 3,
            };
            add(node, known.member.incarnation, state);
        }
        if is_own_due {
            add(&own.node, own.incarnation, if own.left { 2 } else { 1 });
        }
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        *self.digest.insert(Digest(digest))
    }

    /// A peer told the print of its table. If prints go on to differ, news was lost.
    pub(super) fn note_print(&mut self, link: LinkId, print: [u8; 4]) {
        let own = self.digest();
        let now = self.now;
        let Some(state) = self.links.get_mut(&link) else { return };
        if print == own.print() {
            state.differs_since = None;
            return;
        }
        let since = *state.differs_since.get_or_insert(now);
        let may = self.compared_at.is_none_or(|at| now - at >= COMPARE_EVERY);
        if may && now - since >= SETTLE {
            state.differs_since = None;
            self.compared_at = Some(now);
            self.hello(link, Why::Compare, own);
        }
    }
}

/// Tables.
impl Membership {
    pub(super) fn take_table(&mut self, link: LinkId, bytes: &[u8]) {
        if !self.links.contains_key(&link) || self.has_left {
            return;
        }
        if bytes.len() > MAX_TABLE {
            return self.fault(link, MemberFault::Table);
        }
        let taken = match Table::decode(bytes) {
            Ok(Table::Hello { purpose, digest, members, own }) => {
                self.take_hello(link, Hello { purpose, digest, members, own })
            }
            Ok(Table::Members(rows)) => {
                rows.into_iter().try_for_each(|row| self.take_row(link, row))
            }
            Err(Undecoded::Unknown) => Ok(()),
            Err(Undecoded::Malformed) => Err(MemberFault::Table),
        };
        match taken {
            Ok(()) => self.heard(link),
            Err(fault) => self.fault(link, fault),
        }
    }

    fn take_hello(&mut self, link: LinkId, hello: Hello) -> Result<(), MemberFault> {
        let Hello { purpose, digest, members, own } = hello;
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        if state.peer != own.record.node {
            return Err(MemberFault::Table);
        }
        // Two that know each other and as many others differ by little: news makes up for it.
        let knows_little = usize::try_from(members).is_ok_and(|few| few < self.members.len() / 2);
        let is_close = state.was_known && !knows_little && self.members.len() > 1;
        // Compared as things were when the peer looked, or whoever is new would always differ.
        let differs = digest != self.digest();
        self.take_record(link, own)?;
        if !differs || digest == self.digest() {
            return Ok(());
        }
        match purpose {
            Why::Greet if is_close => {}
            Why::Greet | Why::Answer => {
                self.send_table(link);
            }
            Why::Compare => {
                if self.send_table(link) {
                    let digest = self.digest();
                    self.hello(link, Why::Answer, digest);
                }
            }
        }
        Ok(())
    }

    /// Sends all that is known, unless that was done lately.
    fn send_table(&mut self, link: LinkId) -> bool {
        let now = self.now;
        let Some(state) = self.links.get_mut(&link) else { return false };
        if state.table_at.is_some_and(|at| now - at < TABLE_EVERY) {
            return false;
        }
        state.table_at = Some(now);
        let dead = |member: &Member| {
            let age = (member.state == MemberState::Dead).then(|| (now - member.since).as_secs());
            age.map(|age| u32::try_from(age).unwrap_or(u32::MAX))
        };
        let others = self.members.values();
        let others =
            others.map(|known| Row { signed: known.signed.clone(), dead: dead(&known.member) });
        let own = Row { signed: self.own.clone(), dead: None };
        let rows: Vec<Row> = core::iter::once(own).chain(others).collect();
        for rows in rows.chunks(rows_per_table(MAX_TABLE)) {
            let bytes = Table::Members(rows.to_vec()).encode().into();
            self.outputs.push_back(Output::Table { link, bytes });
        }
        true
    }

    fn take_row(&mut self, link: LinkId, row: Row) -> Result<(), MemberFault> {
        let Row { signed, dead } = row;
        let (node, incarnation) = (signed.record.node, signed.record.incarnation);
        let age = dead.map(|age| Duration::from_secs(age.into()));
        if age.is_some_and(|age| age >= REMEMBERED) {
            return Ok(());
        }
        let is_new = !self.members.contains_key(&node);
        let is_news = self.brings_news(link);
        self.take_record_as(link, signed, is_news)?;
        let Some(age) = age else { return Ok(()) };
        let Some(by) = self.links.get(&link).map(|link| link.peer) else { return Ok(()) };
        let about = About { node, incarnation, by };
        let known = self.members.get(&node);
        if is_new && known.is_some_and(|known| known.is_active() && known.member.link.is_none()) {
            // It may have died before this node's clock began.
            let age = age.min(self.now - Timestamp::ZERO);
            let since = Timestamp::ZERO + ((self.now - Timestamp::ZERO) - age);
            if is_news {
                self.spread(Rumor::Dead(about));
            }
            self.bury(node, MemberState::Dead, since);
            self.event(MemberEvent::Died(node));
        } else {
            self.hear_verdict(Some(link), about);
        }
        Ok(())
    }
}

/// Records.
impl Membership {
    /// Whether what a table from there says may be new to others: not if it is the first that this
    /// node hears of them.
    fn brings_news(&self, link: LinkId) -> bool {
        let is_joining = |link: &Link| link.is_first && self.now - link.up_at < JOINING;
        !self.links.get(&link).is_some_and(is_joining)
    }

    /// Takes a record that a peer passed on, if it says something new.
    pub(super) fn take_record(
        &mut self,
        link: LinkId,
        signed: SignedRecord,
    ) -> Result<(), MemberFault> {
        self.take_record_as(link, signed, true)
    }

    fn take_record_as(
        &mut self,
        link: LinkId,
        signed: SignedRecord,
        is_news: bool,
    ) -> Result<(), MemberFault> {
        let record = &signed.record;
        let (known_incarnation, known_left) = if record.node == self.node() {
            (Some(self.own.record.incarnation), self.own.record.left)
        } else {
            let known = self.members.get(&record.node);
            let has_left = known.is_some_and(|known| known.signed.record.left);
            (known.map(|known| known.member.incarnation), has_left)
        };
        let new = (Some(record.incarnation), record.left) > (known_incarnation, known_left);
        // A link that has used up its budget is no worse than one that lost packets.
        let now = self.now;
        if !new || !self.links.get_mut(&link).is_some_and(|link| link.may_check(now)) {
            return Ok(());
        }
        if !signed.holds() {
            return Err(MemberFault::Signature);
        }
        if signed.record.node == self.node() {
            // Said in an earlier life, by a clock that was ahead.
            self.say(signed.record.incarnation, self.own.record.clone());
        } else if self.members.contains_key(&signed.record.node) {
            self.renew(signed, is_news);
        } else {
            self.meet(signed, is_news);
        }
        Ok(())
    }

    /// A member that was not known.
    fn meet(&mut self, signed: SignedRecord, is_news: bool) {
        if self.members.len() >= MAX_MEMBERS && !self.make_room() {
            return;
        }
        let record = &signed.record;
        let (node, has_left) = (record.node, record.left);
        let member = Member {
            node,
            state: MemberState::Left,
            since: self.now,
            incarnation: record.incarnation,
            addresses: record.addresses.clone(),
            weight: record.weight,
            zone: record.zone.clone(),
            link: self.by_peer.get(&node).copied(),
            claim: None,
        };
        let known = Known {
            member,
            place: Place::of(node),
            signed: signed.clone(),
            accusers: alloc::collections::BTreeSet::new(),
            is_given_up: false,
            heard: self.by_peer.contains_key(&node).then_some(self.now),
            dialling: Dialling::default(),
            patience: 0,
        };
        if known.member.link.is_some() {
            self.seeds.remove(&node);
        }
        self.members.insert(node, known);
        if is_news {
            self.spread(Rumor::Record(signed));
        }
        if has_left {
            self.bury(node, MemberState::Left, self.now);
        } else {
            self.raise(node);
            self.event(MemberEvent::Joined(node));
        }
    }

    /// Forgets the one that has been dead, or away, for longest.
    fn make_room(&mut self) -> bool {
        let inactive = self.members.values().filter(|known| !known.is_active());
        let oldest = inactive.min_by_key(|known| known.member.since).map(|known| known.member.node);
        if let Some(node) = oldest {
            self.forget(node);
        }
        oldest.is_some()
    }

    /// A member said something new of itself.
    fn renew(&mut self, signed: SignedRecord, is_news: bool) {
        let record = &signed.record;
        let Some(known) = self.members.get_mut(&record.node) else { return };
        let (node, has_left) = (record.node, record.left);
        let has_moved = known.member.addresses != record.addresses;
        let state = known.member.state;
        known.member.incarnation = record.incarnation;
        known.member.addresses.clone_from(&record.addresses);
        known.member.weight = record.weight;
        known.member.zone.clone_from(&record.zone);
        known.signed = signed.clone();
        self.digest = None;
        self.news.withdraw(node);
        if is_news {
            self.spread(Rumor::Record(signed));
        }
        match (state, has_left) {
            (MemberState::Left, true) => {}
            (_, true) => {
                self.bury(node, MemberState::Left, self.now);
                self.event(MemberEvent::Left(node));
            }
            (MemberState::Dead | MemberState::Left, false) => {
                self.raise(node);
                self.event(MemberEvent::Returned(node));
            }
            (MemberState::Suspect, false) => {
                self.clear(node);
            }
            (MemberState::Alive, false) => {}
        }
        if has_moved && !has_left {
            self.event(MemberEvent::Moved(node));
            self.dial_afresh(node);
            self.doubt(node);
        }
    }
}
