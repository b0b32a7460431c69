//! Spreading what is new: eager pushes along the overlay, announcements beside it, pulls.
//!
//! Who takes an entry in [`publishes`](Input::Publish) it. It then goes to all neighbours that are
//! not known to have it, in parcels: the first leaves at once, and what comes while it is under way
//! is batched into the next. Each parcel travels on a one-way stream of its own, so that a lost
//! packet holds up nothing else, and the transport repeats what was lost. Some other links hear the
//! ids a little later; who lacks an entry pulls it. Whatever all that misses, the comparison of
//! sets finds.
//!
//! Where every copy counts, entries and contents go along trees instead; where much is lost,
//! contents go in pieces (`onward` has both).
//!
//! Relaying once to each of a few neighbours along a strongly connected graph reaches everybody;
//! fresh random targets for each message would not ("Epidemic broadcast trees", Leitão, Pereira
//! and Rodrigues 2007, push eagerly along fixed links and announce along others, as here).

mod hot;
mod io;
mod losses;
mod message;
mod nudges;
mod onward;
mod parcel;
mod partial;
mod peer;
mod route;
mod uplink;

pub use io::{Input, Output};
pub use parcel::{Carried, MAX_BODY, MAX_PARCEL_ITEMS, PARCEL_FILL, Parcelled, PushError, Pushed};

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::PushId;
use crate::id::{EntryId, LinkId};
use crate::time::Timestamp;
use hot::Hot;
use losses::Losses;
use message::{MAX_IDS, Message};
use partial::Partials;
use peer::Peer;
use uplink::Uplink;

/// How long ids wait to be announced: by then most of the others have the entries, and the ids of
/// a burst share a datagram.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(100);
/// The same for what goes along a tree, which takes its time: a pull would only add to the load.
const ANNOUNCE_LATE: Duration = Duration::from_secs(10);
/// Links that hear each announcement, in turn: the fault of one neighbour is made good by another.
const ANNOUNCE_TO: usize = 2;
/// Ids that wait to be announced; of a longer burst, the comparison of sets tells.
const MAX_UNANNOUNCED: usize = 4 * MAX_IDS;
/// Entries that are pulled at a time.
const MAX_WANTED: usize = 1_024;
/// Times that an entry is pulled; after that a session is cheaper.
const MAX_TRIES: u8 = 4;
/// The least wait for the answer to a pull.
const PULL_PATIENCE: Duration = Duration::from_millis(100);

/// An entry that is pulled.
#[derive(Debug)]
struct Wanted {
    /// Who has it, the next to be asked first.
    sources: VecDeque<LinkId>,
    tries: u8,
    /// When to ask again.
    due: Timestamp,
}

/// The state machine that spreads entries. It holds what is new for a minute, and nothing else.
///
/// ```
/// use basefs::gossip::{Carried, Parcelled, Spread, SpreadInput as Input, SpreadOutput as Output};
/// use basefs::id::{EntryId, LinkId};
/// use basefs::time::Timestamp;
///
/// let mut spread = Spread::new();
/// let link = LinkId::new(1);
/// spread.handle(Timestamp::ZERO, Input::LinkUp { link });
/// spread.handle(Timestamp::ZERO, Input::Neighbours(vec![link]));
/// let (id, entry) = (EntryId::from_bytes([7; 32]), b"entry"[..].into());
/// let item = Parcelled { entry, body: Carried::Nothing };
/// let (block, from, span) = (None, None, None);
/// spread.handle(Timestamp::ZERO, Input::Publish { id, item, block, from, span });
/// assert!(matches!(spread.poll_output(), Some(Output::Push { .. })));
/// ```
#[derive(Debug, Default)]
pub struct Spread {
    now: Timestamp,
    peers: BTreeMap<LinkId, Peer>,
    neighbours: Vec<LinkId>,
    ring: Vec<LinkId>,
    hot: Hot,
    partials: Partials,
    uplink: Uplink,
    losses: Losses,
    unannounced: Vec<EntryId>,
    announce_at: Option<Timestamp>,
    /// Whose turn it is to hear an announcement.
    turn: usize,
    wanted: BTreeMap<EntryId, Wanted>,
    outputs: VecDeque<Output>,
}

impl Spread {
    /// Without peers.
    ///
    /// ```
    /// use basefs::gossip::Spread;
    ///
    /// assert_eq!(Spread::new().poll_timeout(), None, "nobody to tell anything");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The next thing to do.
    ///
    /// ```
    /// # use basefs::gossip::{Carried, Parcelled, Spread, SpreadInput as Input, SpreadOutput as Output};
    /// # use basefs::id::{EntryId, LinkId};
    /// # use basefs::time::Timestamp;
    /// # let mut spread = Spread::new();
    /// # let link = LinkId::new(1);
    /// # spread.handle(Timestamp::ZERO, Input::LinkUp { link });
    /// # spread.handle(Timestamp::ZERO, Input::Neighbours(vec![link]));
    /// # let (id, entry) = (EntryId::from_bytes([7; 32]), b"entry"[..].into());
    /// # let item = Parcelled { entry, body: Carried::Nothing };
    /// # let (block, from, span) = (None, None, None);
    /// # spread.handle(Timestamp::ZERO, Input::Publish { id, item, block, from, span });
    /// while let Some(output) = spread.poll_output() {
    ///     println!("to do: {output:?}");
    /// }
    /// ```
    #[must_use = "an output taken out and ignored is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to handle [`Input::Timeout`] unless another input comes first.
    ///
    /// ```
    /// # use basefs::gossip::{Carried, Parcelled, Spread, SpreadInput as Input, SpreadOutput as Output};
    /// # use basefs::id::{EntryId, LinkId};
    /// # use basefs::time::Timestamp;
    /// # let mut spread = Spread::new();
    /// # let link = LinkId::new(1);
    /// # spread.handle(Timestamp::ZERO, Input::LinkUp { link });
    /// # spread.handle(Timestamp::ZERO, Input::Neighbours(vec![link]));
    /// # let (id, entry) = (EntryId::from_bytes([7; 32]), b"entry"[..].into());
    /// # let item = Parcelled { entry, body: Carried::Nothing };
    /// # let (block, from, span) = (None, None, None);
    /// # spread.handle(Timestamp::ZERO, Input::Publish { id, item, block, from, span });
    /// let due = spread.poll_timeout().expect("ids are announced later");
    /// spread.handle(due, Input::Timeout);
    /// ```
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let pulls = self.wanted.values().map(|wanted| wanted.due);
        let pushes = self.peers.values().filter_map(Peer::due);
        let others = self.announce_at.into_iter().chain(self.uplink.due()).chain(self.nudge_due());
        pulls.chain(pushes).chain(others).min()
    }

    /// Entries that wait to be pushed to a peer.
    ///
    /// ```
    /// # use basefs::gossip::{Carried, Parcelled, Spread, SpreadInput as Input, SpreadOutput as Output};
    /// # use basefs::id::{EntryId, LinkId};
    /// # use basefs::time::Timestamp;
    /// # let mut spread = Spread::new();
    /// # let link = LinkId::new(1);
    /// # spread.handle(Timestamp::ZERO, Input::LinkUp { link });
    /// # spread.handle(Timestamp::ZERO, Input::Neighbours(vec![link]));
    /// # let (id, entry) = (EntryId::from_bytes([7; 32]), b"entry"[..].into());
    /// # let item = Parcelled { entry, body: Carried::Nothing };
    /// # let (block, from, span) = (None, None, None);
    /// # spread.handle(Timestamp::ZERO, Input::Publish { id, item, block, from, span });
    /// assert_eq!(spread.queued(link), 0, "it left at once");
    /// assert_eq!(spread.queued(LinkId::new(2)), 0, "there is no such link");
    /// ```
    pub fn queued(&self, link: LinkId) -> usize {
        self.peers.get(&link).map_or(0, Peer::queued)
    }

    /// Takes an input.
    ///
    /// ```
    /// # use basefs::gossip::{Carried, Parcelled, Spread, SpreadInput as Input, SpreadOutput as Output};
    /// # use basefs::id::{EntryId, LinkId};
    /// # use basefs::time::Timestamp;
    /// # let mut spread = Spread::new();
    /// # let link = LinkId::new(1);
    /// # spread.handle(Timestamp::ZERO, Input::LinkUp { link });
    /// # spread.handle(Timestamp::ZERO, Input::Neighbours(vec![link]));
    /// # let (id, entry) = (EntryId::from_bytes([7; 32]), b"entry"[..].into());
    /// # let item = Parcelled { entry, body: Carried::Nothing };
    /// # let (block, from, span) = (None, None, None);
    /// # spread.handle(Timestamp::ZERO, Input::Publish { id, item, block, from, span });
    /// let Some(Output::Push { link, push, .. }) = spread.poll_output() else { panic!("no push") };
    /// spread.handle(Timestamp::ZERO, Input::PushEnded { link, push, delivered: true });
    /// ```
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = now.max(self.now);
        self.hot.forget_old(self.now);
        self.partials.forget_old(self.now);
        match input {
            Input::LinkUp { link } => drop(self.peers.insert(link, Peer::default())),
            Input::LinkDown { link } => self.link_down(link),
            Input::Neighbours(links) => self.neighbours = links,
            Input::Ring(links) => self.ring = links,
            Input::Path { link, path } => {
                if let Some(peer) = self.peers.get_mut(&link) {
                    let packets = path.packets.saturating_sub(peer.path.packets);
                    let lost = path.lost.saturating_sub(peer.path.lost);
                    peer.path = path;
                    let is_queued = peer.is_queued(self.now);
                    let was_lossy = self.is_lossy();
                    self.losses.add(self.now, packets, lost, is_queued);
                    if self.is_lossy() && !was_lossy {
                        self.flood_routed();
                    }
                }
            }
            Input::Publish { id, item, block, from, span } => {
                self.publish(id, item, from, span);
                if let Some((root, length)) = block {
                    self.name(root, length);
                }
            }
            Input::Again { id, span } => self.route(id, span),
            Input::Piece { link, span, root, length, piece } => {
                let way = partial::Way { from: link, span };
                self.take_piece(root, length, piece, way);
            }
            Input::Has { link, id } => self.hot.note_known(&id, link),
            Input::Missing { link, id } => self.miss(link, id),
            Input::Datagram { link, bytes } => self.take_datagram(link, &bytes),
            Input::PushEnded { link, push, delivered } => self.push_ended(link, push, delivered),
            Input::Timeout => {}
        }
        self.advance();
    }

    fn link_down(&mut self, link: LinkId) {
        self.peers.remove(&link);
        self.neighbours.retain(|neighbour| *neighbour != link);
        self.ring.clear();
        self.uplink.link_down(link);
        self.hot.forget_link(link);
        for wanted in self.wanted.values_mut() {
            wanted.sources.retain(|source| *source != link);
        }
        self.wanted.retain(|_, wanted| !wanted.sources.is_empty());
    }

    fn publish(&mut self, id: EntryId, item: Parcelled, from: Option<LinkId>, span: Option<usize>) {
        self.wanted.remove(&id);
        let (item, span) = if from.is_none() { self.choose_way(item) } else { (item, span) };
        if !self.hot.insert(id, item, self.now) {
            return;
        }
        if let Some(from) = from {
            self.hot.note_known(&id, from);
        }
        match span {
            Some(span) => self.route(id, span),
            None => self.flood(id, from),
        }
        if self.unannounced.len() < MAX_UNANNOUNCED {
            self.unannounced.push(id);
            let (soon, late) = (self.now + ANNOUNCE_AFTER, self.now + ANNOUNCE_LATE);
            let due = self.announce_at.get_or_insert(soon);
            if span.is_some() {
                *due = late;
            }
        }
    }

    fn flood(&mut self, id: EntryId, from: Option<LinkId>) {
        for link in &self.neighbours {
            if let Some(peer) = self.peers.get_mut(link)
                && Some(*link) != from
                && !peer.push_later(id)
            {
                self.outputs.push_back(Output::Lagging { link: *link });
            }
        }
    }

    fn miss(&mut self, link: LinkId, id: EntryId) {
        if !self.peers.contains_key(&link) || self.hot.contains(&id) {
            return;
        }
        if let Some(wanted) = self.wanted.get_mut(&id) {
            if !wanted.sources.contains(&link) {
                wanted.sources.push_back(link);
            }
        } else if self.wanted.len() < MAX_WANTED {
            let sources = VecDeque::from([link]);
            self.wanted.insert(id, Wanted { sources, tries: 0, due: self.now });
        } else {
            self.outputs.push_back(Output::Lagging { link });
        }
    }

    fn take_datagram(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        match Message::decode(bytes) {
            Some(Message::Announce(ids)) => {
                ids.iter().for_each(|id| self.hot.note_known(id, link));
                self.outputs.push_back(Output::Announced { link, ids });
            }
            Some(Message::Pull(ids)) => {
                for id in ids {
                    self.hot.note_unknown(&id, link);
                    if let Some(item) = self.hot.get(&id) {
                        peer.push_first(self.now, id, item.size());
                    }
                }
            }
            None => self.outputs.push_back(Output::Fault { link }),
        }
    }

    fn push_ended(&mut self, link: LinkId, push: PushId, delivered: bool) {
        let late = self.late(link);
        self.uplink.ended(self.now, (link, push), delivered, late);
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let ids = peer.ended(push);
        if !delivered {
            ids.iter().for_each(|id| self.hot.note_unknown(id, link));
            self.outputs.push_back(Output::Lagging { link });
        }
    }

    /// Does what is due.
    fn advance(&mut self) {
        for (link, peer) in &mut self.peers {
            while peer.may_push(self.now) {
                let (ids, items) = peer.next_parcel(*link, &mut self.hot);
                if items.is_empty() {
                    break;
                }
                let bytes = Pushed::Parcel(items).encode();
                let push = peer.began(self.now, ids);
                self.uplink.began(self.now, (*link, push), bytes.len(), false);
                self.outputs.push_back(Output::Push { link: *link, push, bytes });
            }
        }
        self.send_copies();
        if self.announce_at.is_some_and(|at| at <= self.now) {
            self.announce();
        }
        self.pull();
        self.nudge();
    }

    fn announce(&mut self) {
        self.announce_at = None;
        let ids = core::mem::take(&mut self.unannounced);
        let others: Vec<LinkId> =
            self.peers.keys().filter(|link| !self.neighbours.contains(link)).copied().collect();
        for _ in 0..ANNOUNCE_TO.min(others.len()) {
            self.turn = self.turn.wrapping_add(1);
            let link = others[self.turn % others.len()];
            let unknown: Vec<EntryId> =
                ids.iter().filter(|id| !self.hot.is_known(id, link)).copied().collect();
            for ids in unknown.chunks(MAX_IDS) {
                let bytes = Message::Announce(ids.to_vec()).encode();
                self.outputs.push_back(Output::Datagram { link, bytes });
            }
        }
    }

    /// Asks for what is missing, again where the answer did not come.
    fn pull(&mut self) {
        let mut asks: BTreeMap<LinkId, Vec<EntryId>> = BTreeMap::new();
        let mut given_up = Vec::new();
        for (id, wanted) in &mut self.wanted {
            if wanted.due > self.now {
                continue;
            }
            let Some(link) = wanted.sources.pop_front() else { continue };
            wanted.sources.push_back(link);
            if wanted.tries == MAX_TRIES {
                given_up.push((*id, link));
                continue;
            }
            wanted.tries += 1;
            let rtt = self.peers.get(&link).map_or(Duration::ZERO, |peer| peer.path.rtt);
            wanted.due = self.now + PULL_PATIENCE + rtt.saturating_mul(2);
            asks.entry(link).or_default().push(*id);
        }
        for (link, ids) in asks {
            for ids in ids.chunks(MAX_IDS) {
                let bytes = Message::Pull(ids.to_vec()).encode();
                self.outputs.push_back(Output::Datagram { link, bytes });
            }
        }
        for (id, link) in given_up {
            self.wanted.remove(&id);
            self.outputs.push_back(Output::Lagging { link });
        }
    }
}
