//! Between membership and the rest of a node: who is there decides who hears what.

use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;

use super::Node;
use super::frame::Frame;
use super::io::{NodeEvent, Output, PeerFault};
use crate::gossip::{
    LocalMember, Member, MemberEvent, Membership, MembershipInput, MembershipOutput, SpreadInput,
};
use crate::id::{LinkId, NodeId};

/// From so much loss on, in permille, a node pushes to more neighbours.
const LOSSY: u64 = 20;
/// Neighbours that a node pushes to where nothing is lost.
const FANOUT: u64 = 4;
/// The most where much is lost.
const MAX_FANOUT: u64 = 16;

/// The first byte of a datagram that is not membership's.
const SPREAD_KINDS: u8 = 16;

impl Node {
    /// Becomes a member of the group that replicates this hierarchy. Without it, a node talks to
    /// whom it is connected with and knows of nobody else.
    ///
    /// `incarnation` must be larger than whenever this node joined before: the wall clock in
    /// milliseconds will do.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// let (mut ana, _) = nodes::machines();
    /// ana.node.join(members::local(1), 1_700_000_000_000);
    /// assert!(ana.node.is_member());
    /// ```
    pub fn join(&mut self, local: LocalMember, incarnation: u64) {
        let mut membership = Membership::new(local, self.random.seed(), incarnation);
        if let Some(claim) = self.claims.own() {
            membership.set_claim(claim);
        }
        for (link, state) in &self.links {
            let (link, peer, dialed) = (*link, state.peer, state.dialed);
            membership.handle(self.now, MembershipInput::LinkUp { link, peer, dialed });
        }
        self.membership = Some(membership);
        self.more = true;
    }

    /// Whether it has [joined](Self::join).
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, _) = nodes::connected();
    /// assert!(!ana.node.is_member(), "it talks to whom it is connected with");
    /// ```
    pub fn is_member(&self) -> bool {
        self.membership.is_some()
    }

    /// The members that were heard of, this node excepted; none before it [joined](Self::join).
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// # mod members { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/members.rs")); }
    /// use basefs::gossip::MemberState;
    /// use basefs::id::NodeId;
    /// use basefs::node::Input;
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, mut ben) = nodes::machines();
    /// let [at_ana, at_ben] =
    ///     [1, 2].map(|seed| NodeId::from_bytes(*members::local(seed).key.public().as_bytes()));
    /// for (machine, seed, peer) in [(&mut ana, 1, at_ben), (&mut ben, 2, at_ana)] {
    ///     machine.node.join(members::local(seed), 1);
    ///     let (link, dialed) = (nodes::WIRE, seed == 1);
    ///     machine.node.handle(Timestamp::ZERO, Input::LinkUp { link, peer, dialed });
    /// }
    /// nodes::talk(&mut ana, &mut ben);
    /// let members: Vec<_> = ana.node.members().map(|member| (member.node, member.state)).collect();
    /// assert_eq!(members, [(at_ben, MemberState::Alive)]);
    /// ```
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.membership.iter().flat_map(Membership::members)
    }

    /// Tells membership what happened, if there is one.
    pub(super) fn tell_members(&mut self, input: MembershipInput) {
        if let Some(membership) = &mut self.membership {
            membership.handle(self.now, input);
        }
    }

    /// Somebody who may be a member, as a ticket has it.
    pub(super) fn add_peer(&mut self, node: NodeId, addresses: Vec<SocketAddr>) {
        self.tell_members(MembershipInput::AddPeer { node, addresses });
    }

    pub(super) fn take_datagram(&mut self, link: LinkId, bytes: Bytes) {
        if !self.links.contains_key(&link) {
            return;
        }
        match bytes.first() {
            Some(kind) if *kind < SPREAD_KINDS => {
                self.tell_members(MembershipInput::Datagram { link, bytes });
            }
            // A nudge, which has done its work in the transport.
            None => self.tell_members(MembershipInput::Heard { link }),
            _ => {
                self.tell_members(MembershipInput::Heard { link });
                self.spread.handle(self.now, SpreadInput::Datagram { link, bytes });
            }
        }
    }

    /// Pushes to more neighbours where more is lost, and is sparing where the uplink is slow.
    pub(super) fn adapt_to_paths(&mut self) {
        let loss = self.spread.loss_permille().min(900);
        let more = (FANOUT * 1_000).div_ceil(1_000 - loss).min(MAX_FANOUT);
        let fanout = usize::try_from(more).ok().filter(|_| loss >= LOSSY);
        if let Some(membership) = &mut self.membership {
            membership.set_fanout(fanout);
            membership.set_slow(self.spread.is_slow());
        }
    }

    /// Does what membership wants done.
    pub(super) fn drain_members(&mut self) {
        while let Some(output) = self.membership.as_mut().and_then(Membership::poll_output) {
            match output {
                MembershipOutput::Datagram { link, bytes } => {
                    self.outputs.push_back(Output::Datagram { link, bytes });
                }
                MembershipOutput::Table { link, bytes } => {
                    if let Some(state) = self.links.get_mut(&link) {
                        state.send(&Frame::Members(bytes));
                    }
                }
                MembershipOutput::Dial { peer, addresses } => {
                    self.outputs.push_back(Output::Dial { peer, addresses });
                }
                MembershipOutput::HangUp { link } => {
                    self.outputs.push_back(Output::HangUp { link });
                }
                MembershipOutput::Neighbours(links) => {
                    self.spread.handle(self.now, SpreadInput::Neighbours(links));
                }
                MembershipOutput::Ring(links) => {
                    self.spread.handle(self.now, SpreadInput::Ring(links));
                }
                MembershipOutput::Event(MemberEvent::Claimed { link, claim }) => {
                    self.hear_claim(link, claim);
                }
                MembershipOutput::Event(event) => {
                    self.outputs.push_back(Output::Event(NodeEvent::Member(event)));
                }
                MembershipOutput::Fault { link, fault } => {
                    self.close_on_fault(link, Err(PeerFault::Member(fault)));
                }
            }
        }
    }
}
