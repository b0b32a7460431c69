//! Between the log and the gossip: parcels become entries, entries become parcels.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::Node;
use super::io::{Output, PeerFault};
use crate::block;
use crate::entry::{SignedEntry, VerifiedEntry};
use crate::gossip::{Carried, MAX_BODY, Parcelled, Pushed, SpreadInput, SpreadOutput};
use crate::id::{BlockId, Content, EntryId, LinkId};
use crate::log::{ContentNo, EntryNo, Missing, Offered};
use crate::time::Timestamp;

/// Entries of a session that are passed on at once: those of somebody who wrote while he was cut
/// off. What a newcomer is sent, the others have.
pub(super) const SHORT_SESSION: u64 = 64;
/// Entries written here that wait to become durable before they are pushed; of more than these,
/// the comparison of sets tells.
const MAX_FRESH: usize = 4_096;
/// Entries that a peer may push although they are here, beyond two for each entry of the log: an
/// honest one pushes each once, or again if it is asked to.
const MAX_REPEATS: usize = 8_192;
/// Blocks among the latest effects in which the content of a new entry is looked for: it was added
/// just before.
const RECENT_BLOCKS: usize = 8;
/// How long the next piece of a content may take where pieces are flooded, beside four round trips;
/// then the whole is asked for.
const PIECE_PATIENCE: Duration = Duration::from_millis(1_500);
/// The same where pieces go along trees, because the network is slow.
const SLOW_PATIENCE: Duration = Duration::from_secs(6);

/// What this node knows of entries that spread.
#[derive(Debug, Default)]
pub(super) struct Spreading {
    /// Written here and not durable yet: others may not see them.
    fresh: VecDeque<(EntryNo, EntryId, Parcelled)>,
    /// There were too many.
    overflowed: bool,
    /// Pushed, and being verified.
    verifying: BTreeMap<EntryId, Verifying>,
    /// Contents that come in pieces, each with the time when it is asked for as a whole, and how
    /// long each piece puts that off.
    expected: BTreeMap<ContentNo, (Timestamp, Duration)>,
}

/// A pushed entry whose signature is being checked.
#[derive(Debug)]
struct Verifying {
    /// Who sent it first.
    link: LinkId,
    span: Option<usize>,
    body: Carried,
}

impl Spreading {
    pub(super) fn forget_link(&mut self, link: LinkId) {
        self.verifying.retain(|_, verifying| verifying.link != link);
    }

    pub(super) fn is_verifying(&self, id: &EntryId, link: LinkId) -> bool {
        self.verifying.get(id).is_some_and(|verifying| verifying.link == link)
    }

    /// When a content is to be asked for as a whole.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.expected.values().map(|(due, _)| *due).min()
    }
}

/// What came along with entries of a peer.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// The link they came on; nothing for those written here.
    pub(super) from: Option<LinkId>,
    pub(super) bodies: Vec<(EntryId, Bytes)>,
    pub(super) in_pieces: BTreeSet<EntryId>,
    pub(super) spans: BTreeMap<EntryId, usize>,
}

/// Pushes in.
impl Node {
    pub(super) fn take_push(&mut self, link: LinkId, bytes: &Bytes) -> Result<(), PeerFault> {
        if !self.links.contains_key(&link) {
            return Ok(());
        }
        match Pushed::decode(bytes).map_err(PeerFault::Push)? {
            Pushed::Parcel(items) => {
                items.into_iter().try_for_each(|item| self.take_item(link, item, None))
            }
            Pushed::Routed { span, item } => self.take_item(link, item, Some(span)),
            Pushed::Piece { span, root, length, piece } => {
                let content = Content { root, size: length as u64, levels: 0 };
                let no = self.replica.log().content_no(&content);
                if let Some((due, patience)) =
                    no.and_then(|no| self.spreading.expected.get_mut(&no))
                {
                    *due = self.now + *patience;
                }
                self.spread
                    .handle(self.now, SpreadInput::Piece { link, span, root, length, piece });
                Ok(())
            }
        }
    }

    fn take_item(
        &mut self,
        link: LinkId,
        item: Parcelled,
        span: Option<usize>,
    ) -> Result<(), PeerFault> {
        let entry = SignedEntry::decode(&item.entry).map_err(PeerFault::Entry)?;
        let id = entry.id();
        let known = self.replica.log().number(&id).is_some();
        let verifying = self.spreading.verifying.get_mut(&id);
        if known || verifying.is_some() {
            let most = 2 * self.replica.log().len() + MAX_REPEATS;
            let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
            state.repeats += 1;
            if state.repeats > most {
                return Err(PeerFault::Flood);
            }
            self.spread.handle(self.now, SpreadInput::Has { link, id });
            match (verifying, span) {
                (Some(verifying), _) => verifying.span = verifying.span.max(span),
                (None, Some(span)) => {
                    self.spread.handle(self.now, SpreadInput::Again { id, span });
                }
                (None, None) => {}
            }
            return Ok(());
        }
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        self.spreading.verifying.insert(id, Verifying { link, span, body: item.body });
        state.unverified.push_back(entry);
        Ok(())
    }

    /// Takes entries that were pushed; gives how many were of no use.
    pub(super) fn take_pushed_entries(
        &mut self,
        link: LinkId,
        entries: Vec<VerifiedEntry>,
    ) -> usize {
        let ids: Vec<EntryId> = entries.iter().map(VerifiedEntry::id).collect();
        let mut came = Came { from: Some(link), ..Came::default() };
        for id in &ids {
            let Some(verifying) = self.spreading.verifying.remove(id) else { continue };
            if let Some(span) = verifying.span {
                came.spans.insert(*id, span);
            }
            match verifying.body {
                Carried::Nothing => {}
                Carried::InPieces => drop(came.in_pieces.insert(*id)),
                Carried::Block(body) => came.bodies.push((*id, body)),
            }
        }
        let offered = self.offer_all(entries, &came, true);
        for (id, offered) in ids.into_iter().zip(&offered) {
            self.note_pushed(link, id, offered);
        }
        offered.iter().filter(|offered| matches!(offered, Offered::Rejected(_))).count()
    }

    /// What became of a pushed entry.
    fn note_pushed(&mut self, link: LinkId, id: EntryId, offered: &Offered) {
        let input = match offered {
            Offered::Waiting(Missing::Entry(id)) => SpreadInput::Missing { link, id: *id },
            Offered::Known => SpreadInput::Has { link, id },
            // The directory cannot be asked for by name: only a session finds it.
            Offered::Waiting(Missing::Dir(_)) | Offered::Dropped(_) => {
                return self.lags(link);
            }
            Offered::Admitted | Offered::Rejected(_) => return,
        };
        self.spread.handle(self.now, input);
    }

    /// Waits for the pieces of a content before it is asked for; `false` if it must be asked for
    /// now.
    pub(super) fn expect(&mut self, id: &EntryId, content: ContentNo, came: &Came) -> bool {
        if !came.in_pieces.contains(id) {
            return false;
        }
        let rtt =
            came.from.and_then(|link| self.links.get(&link)).map_or(Duration::ZERO, |l| l.rtt);
        let is_slow = came.spans.contains_key(id);
        let patience = if is_slow { SLOW_PATIENCE } else { PIECE_PATIENCE } + rtt.saturating_mul(4);
        self.spreading.expected.insert(content, (self.now + patience, patience));
        true
    }

    /// Asks for contents whose pieces take too long.
    pub(super) fn ask_for_expected(&mut self) {
        let now = self.now;
        let overdue = self.spreading.expected.extract_if(.., |_, (due, _)| *due <= now);
        let (log, view) = (self.replica.log(), self.replica.view());
        for (content, _) in overdue {
            if !view.is_complete(log, content) {
                self.fetcher.want(content);
                self.more = true;
            }
        }
    }

    fn take_assembled(&mut self, root: BlockId, bytes: Bytes) {
        let content = Content { root, size: bytes.len() as u64, levels: 0 };
        let (log, view) = (self.replica.log(), self.replica.view());
        let Some(no) = log.content_no(&content) else { return };
        self.spreading.expected.remove(&no);
        if !view.is_complete(log, no) {
            self.effects.blocks.push((root, bytes));
            self.replica.complete(&content, &mut self.effects);
        }
    }

    /// Takes over the contents that came with entries, now that these are admitted.
    pub(super) fn take_bodies(&mut self, before: usize, bodies: &[(EntryId, Bytes)]) {
        for (id, body) in bodies {
            let admitted = self.effects.admitted[before..].iter().find(|entry| entry.id() == *id);
            let Some(entry) = admitted else { continue };
            let Some(content) = self.content(entry.no()) else { continue };
            // A body that is not the content is ignored: the content is asked for then.
            if content.levels == 0
                && content.size == body.len() as u64
                && block::id(body) == content.root
            {
                self.effects.blocks.push((content.root, body.clone()));
                self.replica.complete(&content, &mut self.effects);
            }
        }
    }

    /// Id and length of the content of an entry, if that is one small block.
    fn small_block(&self, no: EntryNo) -> Option<(BlockId, usize)> {
        let Content { root, size, levels } = self.content(no)?;
        let size = usize::try_from(size).ok().filter(|size| (1..=MAX_BODY).contains(size))?;
        (levels == 0).then_some((root, size))
    }

    fn content(&self, no: EntryNo) -> Option<Content> {
        let log = self.replica.log();
        log.content_of(no).map(|content| *log.content(content))
    }
}

/// Entries out.
impl Node {
    /// Passes on what was admitted since there were `before` entries among the effects: what came
    /// from a peer at once, what was written here as soon as it is durable.
    pub(super) fn spread_admitted(&mut self, before: usize, came: &Came) {
        for at in before..self.effects.admitted.len() {
            let entry = &self.effects.admitted[at];
            let (no, id, bytes) = (entry.no(), entry.id(), entry.bytes().clone());
            let mut item = Parcelled { entry: bytes, body: self.recent_body(no) };
            if came.in_pieces.contains(&id) {
                item.body = Carried::InPieces;
            }
            if came.from.is_some() {
                let (block, span) = (self.small_block(no), came.spans.get(&id).copied());
                let from = came.from;
                self.spread.handle(self.now, SpreadInput::Publish { id, item, block, from, span });
            } else if self.spreading.fresh.len() < MAX_FRESH {
                self.spreading.fresh.push_back((no, id, item));
            } else {
                self.spreading.overflowed = true;
            }
        }
    }

    fn recent_body(&self, no: EntryNo) -> Carried {
        let Some((root, _)) = self.small_block(no) else { return Carried::Nothing };
        let mut recent = self.effects.blocks.iter().rev().take(RECENT_BLOCKS);
        let found = recent.find(|(id, _)| *id == root);
        found.map_or(Carried::Nothing, |(_, block)| Carried::Block(block.clone()))
    }

    /// Pushes what was written here and is durable by now.
    pub(super) fn spread_durable(&mut self) {
        let durable = self.durable;
        while let Some((_, id, item)) =
            self.spreading.fresh.pop_front_if(|(no, ..)| no.index() < durable)
        {
            let (block, from, span) = (None, None, None);
            self.spread.handle(self.now, SpreadInput::Publish { id, item, block, from, span });
        }
        if self.spreading.fresh.is_empty() && core::mem::take(&mut self.spreading.overflowed) {
            self.links.values_mut().for_each(|state| state.is_behind = true);
        }
    }

    /// Does what the gossip wants done.
    pub(super) fn drain_spread(&mut self) {
        while let Some(output) = self.spread.poll_output() {
            match output {
                SpreadOutput::Push { link, push, bytes } => {
                    self.outputs.push_back(Output::Push { link, push, bytes });
                }
                SpreadOutput::Datagram { link, bytes } => {
                    self.outputs.push_back(Output::Datagram { link, bytes });
                }
                SpreadOutput::Announced { link, ids } => {
                    for id in ids {
                        let log = self.replica.log();
                        if log.number(&id).is_none() && !self.spreading.verifying.contains_key(&id)
                        {
                            self.spread.handle(self.now, SpreadInput::Missing { link, id });
                        }
                    }
                }
                SpreadOutput::Assembled { root, bytes } => self.take_assembled(root, bytes),
                SpreadOutput::Lagging { link } => self.lags(link),
                SpreadOutput::Fault { link } => {
                    self.close_on_fault(link, Err(PeerFault::OutOfPlace));
                }
            }
        }
    }

    /// A peer and this node have different entries for certain.
    pub(super) fn lags(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.is_behind = true;
        }
    }
}
