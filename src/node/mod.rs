//! A replica and its conversations behind one vocabulary of inputs and outputs.
//!
//! A [`Node`] owns a [`Replica`], the order of its entries for reconciliation, and what it knows of
//! each connected peer. It does nothing by itself: it is told what happened ([`Input`]) and says
//! what is to be done ([`Output`]). Time, randomness, signatures, the store and the network are all
//! outside, so a whole network of nodes runs in one test, and runs the same way every time.
//!
//! The loop of whoever drives it:
//!
//! 1. [`handle`](Node::handle) an input;
//! 2. drain [`poll_output`](Node::poll_output) and do what it says;
//! 3. when [`poll_timeout`](Node::poll_timeout) has come, handle [`Input::Timeout`].
//!
//! Local changes go in through [`offer`](Node::offer) and [`complete`](Node::complete) at any time.
//! What must be stored collects in [`Effects`]. Only when the host says that they are durable
//! ([`stored`](Node::stored)) do entries take part in reconciliation, and so can leave the node: an
//! entry that was sent and then lost in a crash would be followed by another with the same number,
//! which is what a liar's chain looks like.
//!
//! Of two connected nodes, the one that dialled starts the sessions of reconciliation; the other
//! gives it a hint when there is something new. Sessions also take place every now and then without
//! a reason, so nothing depends on the hint. `examples/sans_io.rs` connects two nodes by hand.
//!
//! Architecture invariant: nothing here reads a clock, a store or a socket, and no peer is believed
//! about anything that can be computed from signed entries and hashes.

mod claims;
mod conversation;
mod durable;
mod fetch;
mod frame;
mod group;
mod io;
mod link;
mod outgoing;
mod random;
mod replica;
mod replicated;
mod spreading;
mod standing;
mod status;

pub use crate::id::LinkId;
pub use fetch::Walk;
pub use frame::{Frame, FrameError, MAX_FRAME_ENTRIES, MAX_FRAME_IDS};
pub use io::{Input, NodeEvent, Output, PeerFault};
pub use outgoing::{Archive, Outgoing};
pub use replica::{Effects, Origin, Replica, Restore, RestoreError};
pub use replicated::{MAX_AWAITED_IDS, MAX_AWAITS};
pub use standing::{Standing, Standings};
pub use status::Unsent;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use crate::entry::VerifiedEntry;
use crate::gossip::{Membership, MembershipInput, Spread, SpreadInput};
use crate::id::{EntryId, NodeId};
use crate::log::{EntryNo, Log, Offered, Source};
use crate::sync::{Order, Tree};
use crate::time::Timestamp;
use claims::Claims;
use durable::Taken;
use fetch::{Fetched, Fetcher};
use link::Link;
use random::Random;
use replicated::Replicated;
use spreading::{Came, Spreading};

/// A replica that talks to others.
///
/// ```
/// use basefs::id::EntryId;
/// use basefs::node::{Node, Replica};
///
/// let replica = Replica::new(EntryId::from_bytes([1; 32]), 7);
/// let node = Node::new(replica, [2; 32]);
/// assert_eq!(node.replica().log().len(), 0);
/// assert_eq!(node.poll_timeout(), None, "nobody to talk to");
/// ```
pub struct Node {
    replica: Replica,
    /// The durable entries.
    tree: Tree,
    links: BTreeMap<LinkId, Link>,
    fetcher: Fetcher,
    replicated: Replicated,
    standings: Standings,
    random: Random,
    now: Timestamp,
    effects: Effects,
    /// What was taken and is not known to be durable, oldest first.
    taken: VecDeque<Taken>,
    next_mark: u64,
    /// Nothing before this node has joined.
    membership: Option<Membership>,
    spread: Spread,
    claims: Claims,
    spreading: Spreading,
    /// How many entries are durable; they are the first ones.
    durable: usize,
    /// The host was told that there are effects and has not taken them since.
    store_asked: bool,
    /// How many sessions have begun.
    sessions: u64,
    /// There is work that waits for nothing.
    more: bool,
    outputs: VecDeque<Output>,
}

impl Node {
    /// A node without peers. All entries in `replica` must be durable. The seed must come from a
    /// cryptographic random source, fresh for each node: peers must not know it.
    ///
    /// ```
    /// use basefs::id::EntryId;
    /// use basefs::node::{Node, Replica};
    ///
    /// let seed = [2; 32]; // in earnest, from the operating system
    /// let node = Node::new(Replica::new(EntryId::from_bytes([1; 32]), 7), seed);
    /// assert_eq!(node.peers().count(), 0);
    /// ```
    pub fn new(replica: Replica, seed: [u8; 32]) -> Self {
        let log = replica.log();
        let ordered = log.in_order();
        let numbers = ordered.iter().filter_map(|no| u32::try_from(no.index()).ok()).collect();
        let tree = Tree::load(&LogOrder(log), numbers, None);
        let mut fetcher = Fetcher::default();
        replica.view().incomplete(log).for_each(|content| fetcher.want(content));
        Self {
            durable: log.len(),
            tree,
            replica,
            links: BTreeMap::new(),
            fetcher,
            replicated: Replicated::default(),
            standings: Standings::default(),
            random: Random::new(&seed),
            now: Timestamp::ZERO,
            effects: Effects::default(),
            taken: VecDeque::new(),
            next_mark: 1,
            membership: None,
            spread: Spread::new(),
            claims: Claims::default(),
            spreading: Spreading::default(),
            store_asked: false,
            sessions: 0,
            more: false,
            outputs: VecDeque::new(),
        }
    }

    /// The replica.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, ben) = nodes::connected();
    /// assert_eq!(ana.node.replica().log().len(), ben.node.replica().log().len());
    /// ```
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The peers connected now.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, _) = nodes::connected();
    /// let peers: Vec<_> = ana.node.peers().collect();
    /// assert_eq!(peers, [(nodes::WIRE, nodes::BEN)]);
    /// ```
    pub fn peers(&self) -> impl Iterator<Item = (LinkId, NodeId)> + '_ {
        self.links.iter().map(|(link, state)| (*link, state.peer))
    }

    /// How many sessions of reconciliation have begun. One with a higher number covers everything
    /// that is durable now.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, ben) = nodes::connected();
    /// assert_eq!((ana.node.sessions(), ben.node.sessions()), (1, 1));
    /// ```
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// How many contents are wanted that are neither here nor known to be invalid. The last blocks
    /// of one that is here may still be among the effects, on their way to the store.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, _) = nodes::connected();
    /// assert_eq!(ana.node.wanted(), 0, "no entry names any content");
    /// ```
    pub fn wanted(&self) -> usize {
        self.fetcher.wanted()
    }

    /// Offers a local entry. What comes of it is added to the effects.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::log::Offered;
    ///
    /// let (mut ana, mut ben) = nodes::connected();
    /// assert_eq!(ana.node.offer(nodes::motd()), Offered::Admitted);
    /// assert_eq!(ana.node.offer(nodes::motd()), Offered::Known);
    /// ana.store(); // it leaves when it is durable
    /// nodes::talk(&mut ana, &mut ben);
    /// assert_eq!(ben.node.replica().log().len(), 2);
    /// ```
    pub fn offer(&mut self, entry: VerifiedEntry) -> Offered {
        let before = self.effects.admitted.len();
        let offered = self.replica.offer(entry, Source::Local, &mut self.effects);
        self.effects.origins.resize(self.effects.admitted.len(), Origin::Local);
        self.note_admitted(before, &Came::default());
        self.spread_admitted(before, &Came::default());
        offered
    }

    /// Offers what a peer sent, with what came along.
    fn offer_all(
        &mut self,
        entries: Vec<VerifiedEntry>,
        came: &Came,
        passes_on: bool,
    ) -> Vec<Offered> {
        let before = self.effects.admitted.len();
        let source = came.from.map_or(Source::Local, |link| Source::Peer(link.number()));
        let offered = self.replica.offer_all(entries, source, &mut self.effects);
        let link = came.from.and_then(|link| self.links.get(&link));
        let origin = link.map_or(Origin::Unknown, |link| Origin::Peer(link.peer));
        self.effects.origins.resize(self.effects.admitted.len(), origin);
        self.take_bodies(before, &came.bodies);
        self.note_admitted(before, came);
        if passes_on {
            self.spread_admitted(before, came);
        }
        offered
    }

    /// Wants the contents of the entries admitted since there were `before` among the effects.
    fn note_admitted(&mut self, before: usize, came: &Came) {
        for at in before..self.effects.admitted.len() {
            let (no, id) = (self.effects.admitted[at].no(), self.effects.admitted[at].id());
            let (log, view) = (self.replica.log(), self.replica.view());
            let content = log.content_of(no).filter(|content| !view.is_complete(log, *content));
            if let Some(content) = content
                && !self.expect(&id, content, came)
            {
                self.fetcher.want(content);
                self.more = true;
            }
        }
    }

    /// Whether the next frame of a link should be read. If not, [`Output::Receive`] says when; a
    /// frame that is handed over all the same is taken.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (mut ana, _) = nodes::connected();
    /// assert!(ana.node.wants_input(nodes::WIRE), "it has stored all that it had");
    /// ```
    pub fn wants_input(&mut self, link: LinkId) -> bool {
        let has_room = self.has_room();
        let Some(state) = self.links.get_mut(&link) else { return true };
        state.paused = !(has_room && state.has_room());
        !state.paused
    }

    /// The next thing to send on a link; what waited longest, except that blocks come last.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::node::Input;
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, mut ben) = nodes::machines();
    /// nodes::connect(&mut ana, &mut ben);
    /// let mut outgoing = ana.node.next_send(nodes::WIRE).expect("whoever dialled begins");
    /// while let Some(frame) = outgoing.next_frame(&ana.disk)? {
    ///     println!("to send: {} bytes", frame.len());
    /// }
    /// ana.node.handle(Timestamp::ZERO, Input::Sent { link: nodes::WIRE, outgoing });
    /// # Ok::<(), std::convert::Infallible>(())
    /// ```
    pub fn next_send(&mut self, link: LinkId) -> Option<Outgoing> {
        let state = self.links.get_mut(&link)?;
        let next = state.next_send();
        state.sending = next.is_some();
        next
    }

    /// The next thing to do.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (mut ana, mut ben) = nodes::machines();
    /// nodes::connect(&mut ana, &mut ben);
    /// while let Some(output) = ana.node.poll_output() {
    ///     println!("to do: {output:?}");
    /// }
    /// ```
    #[must_use = "an output taken out and ignored stalls the node"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to handle [`Input::Timeout`] unless another input comes first. In the past if there is
    /// more to do at once. Ask again after every call that may have changed something.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::node::Input;
    ///
    /// let (mut ana, mut ben) = nodes::connected();
    /// ana.offer(nodes::motd());
    /// let due = ana.node.poll_timeout().expect("a peer is to hear of it");
    /// ana.node.handle(due, Input::Timeout);
    /// assert!(ana.node.poll_output().is_some());
    /// ```
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.more {
            return Some(Timestamp::ZERO);
        }
        let times = self.claims_due().into_iter().chain(self.fetcher.deadline());
        let times = times.chain(self.spread.poll_timeout()).chain(self.spreading.due());
        times.chain(self.membership.as_ref().and_then(Membership::poll_timeout)).min()
    }

    /// Takes an input. Work that would take long is cut into pieces of some milliseconds; see
    /// [`poll_timeout`](Self::poll_timeout).
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::node::{Input, NodeEvent};
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, mut ben) = nodes::connected();
    /// ana.node.handle(Timestamp::ZERO, Input::Synchronise { link: nodes::WIRE });
    /// nodes::talk(&mut ana, &mut ben);
    /// assert!(matches!(ana.events.last(), Some(NodeEvent::SyncFinished { session: 2, equal: true, .. })));
    /// ```
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = now.max(self.now);
        match input {
            Input::LinkUp { link, peer, dialed } => self.link_up(link, peer, dialed),
            Input::LinkDown { link } => self.forget(link),
            Input::Frame { link, bytes } => {
                self.tell_members(MembershipInput::Heard { link });
                let taken = self.take_frame(link, &bytes);
                self.close_on_fault(link, taken);
            }
            Input::Verified { link, entries, invalid } => {
                let taken = self.take_verified(link, entries, invalid);
                self.close_on_fault(link, taken);
            }
            Input::Walked(walk) => self.fetcher.walked(walk),
            Input::Sent { link, outgoing } => {
                if let Some((asked, absent)) = outgoing.into_answer()
                    && let Some(state) = self.links.get_mut(&link)
                {
                    state.answered(&asked, &absent);
                }
            }
            Input::Synchronise { link } => {
                if let Some(state) = self.links.get_mut(&link) {
                    state.is_behind = true;
                }
            }
            Input::Datagram { link, bytes } => {
                self.take_datagram(link, bytes);
            }
            Input::Pushed { link, bytes } => {
                self.tell_members(MembershipInput::Heard { link });
                let taken = self.take_push(link, &bytes);
                self.close_on_fault(link, taken);
            }
            Input::PushEnded { link, push, delivered } => {
                self.spread.handle(self.now, SpreadInput::PushEnded { link, push, delivered });
            }
            Input::Path { link, path } => {
                if let Some(state) = self.links.get_mut(&link) {
                    state.rtt = path.rtt;
                }
                self.spread.handle(self.now, SpreadInput::Path { link, path });
                self.tell_members(MembershipInput::Path { link, path });
            }
            Input::AwaitReplicated { token, heads } => self.await_replicated(token, heads),
            Input::ForgetReplicated { token } => self.forget_replicated(token),
            Input::DialFailed { peer } => self.tell_members(MembershipInput::DialFailed { peer }),
            Input::AddPeer { peer, addresses } => self.add_peer(peer, addresses),
            Input::Leave => self.tell_members(MembershipInput::Leave),
            Input::Timeout => self.adapt_to_paths(),
        }
        self.advance();
    }

    fn link_up(&mut self, link: LinkId, peer: NodeId, dialed: bool) {
        self.links.insert(link, Link::new(peer, dialed, self.now));
        self.fetcher.link_up(link, self.now);
        self.spread.handle(self.now, SpreadInput::LinkUp { link });
        self.tell_members(MembershipInput::LinkUp { link, peer, dialed });
        self.note_neighbours();
        self.replicated.link_up(link, peer);
        self.ask_replicated();
    }

    /// Forgets a link that is gone.
    fn forget(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.replica.forget_source(Source::Peer(link.number()));
            self.fetcher.link_down(link);
            self.spreading.forget_link(link);
            self.spread.handle(self.now, SpreadInput::LinkDown { link });
            self.tell_members(MembershipInput::LinkDown { link });
            self.note_neighbours();
            self.replicated.link_down(link);
        }
    }

    /// Without membership, everybody is a neighbour.
    fn note_neighbours(&mut self) {
        if self.membership.is_some() {
            return;
        }
        let links = self.links.keys().copied().collect();
        self.spread.handle(self.now, SpreadInput::Neighbours(links));
    }

    fn close_on_fault(&mut self, link: LinkId, taken: Result<(), PeerFault>) {
        if let Err(fault) = taken {
            self.forget(link);
            self.outputs.push_back(Output::Close { link, fault });
        }
    }

    /// Does what can be done now.
    fn advance(&mut self) {
        self.more = false;
        self.tell_members(MembershipInput::Timeout);
        self.drain_members();
        self.claim();
        self.choose_sessions();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in &links {
            let done = self.converse(*link);
            self.close_on_fault(*link, done);
        }
        self.ask_for_expected();
        self.fetch();
        self.spread.handle(self.now, SpreadInput::Timeout);
        self.drain_spread();
        if !self.effects.is_empty() && !self.store_asked {
            self.store_asked = true;
            self.outputs.push_back(Output::Store);
        }
        let has_room = self.has_room();
        for (link, state) in &mut self.links {
            if state.has_output() && !state.sending {
                state.sending = true;
                self.outputs.push_back(Output::Send { link: *link });
            }
            if state.paused && has_room && state.has_room() {
                state.paused = false;
                self.outputs.push_back(Output::Receive { link: *link });
            }
        }
    }

    /// Lets the fetcher go on, and takes over what came of it.
    fn fetch(&mut self) {
        self.fetcher.advance(&self.replica, self.now);
        for fetched in self.fetcher.take_fetched() {
            match fetched {
                Fetched::Block(id, bytes) => self.effects.blocks.push((id, bytes)),
                Fetched::Complete(no) => {
                    let content = *self.replica.log().content(no);
                    self.replica.complete(&content, &mut self.effects);
                }
                Fetched::Invalid(no, error) => {
                    let content = *self.replica.log().content(no);
                    let event = NodeEvent::ContentInvalid { content, error };
                    self.outputs.push_back(Output::Event(event));
                }
            }
        }
        for (link, ids) in self.fetcher.ask(self.now) {
            if let Some(state) = self.links.get_mut(&link) {
                state.send(&Frame::Ask(ids));
            }
        }
        if let Some(walk) = self.fetcher.walk() {
            self.outputs.push_back(Output::Walk(walk));
        }
        if self.fetcher.is_idle() {
            self.links.values_mut().for_each(Link::settle_debt);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("entries", &self.replica.log().len())
            .field("durable", &self.durable)
            .field("links", &self.links.len())
            .field("wanted", &self.wanted())
            .finish_non_exhaustive()
    }
}

/// The order of entries, by number.
struct LogOrder<'a>(&'a Log);

impl LogOrder<'_> {
    fn no(number: u32) -> EntryNo {
        let no = usize::try_from(number).ok().and_then(EntryNo::from_index);
        no.expect("the tree holds only numbers of entries in the log")
    }
}

impl Order for LogOrder<'_> {
    fn compare(&self, a: u32, b: u32) -> Ordering {
        self.0.compare(Self::no(a), Self::no(b))
    }

    fn compare_key(&self, a: u32, key: &[u8]) -> Ordering {
        self.0.compare_key(Self::no(a), key)
    }

    fn order_key(&self, a: u32) -> Vec<u8> {
        self.0.order_key(Self::no(a))
    }

    fn id(&self, a: u32) -> EntryId {
        self.0.id(Self::no(a))
    }
}
