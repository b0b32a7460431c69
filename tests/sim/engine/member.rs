//! How hosts become members. The only place of the engine that knows of membership.

use basefs::gossip::{LocalMember, MemberEvent};
use basefs::node::{Input, NodeEvent};

use super::author;
use super::hosts::{World, address, node_id};

/// A host joins the group through the first host, and the first host through the second.
pub(super) fn join(world: &mut World, at: usize) {
    let local = LocalMember {
        key: author::node_key(at),
        addresses: vec![address(at)],
        weight: 1,
        zone: String::new(),
        profile: world.options.profile,
    };
    // The wall clock, which goes on while a host is down.
    let incarnation = 1_000 + world.now() / 1_000;
    let host = &mut world.hosts[at];
    if let Some(node) = &mut host.node {
        node.join(local, incarnation);
    }
    if world.options.hosts > 1 {
        introduce(world, at, usize::from(at == 0));
    }
}

/// A host learns where another is.
pub fn introduce(world: &mut World, at: usize, to: usize) {
    let (peer, addresses) = (node_id(to), vec![address(to)]);
    world.tell(at, Input::AddPeer { peer, addresses });
}

/// A host takes its leave of the group; it stays up.
pub fn leave(world: &mut World, at: usize) {
    world.tell(at, Input::Leave);
}

/// Whether an event is about members, and not about sessions or contents.
pub(super) fn is_about_members(event: &NodeEvent) -> bool {
    matches!(event, NodeEvent::Member(_))
}

/// How many members were declared dead by a host since some time.
pub fn deaths(world: &World, host: usize, since: u64) -> usize {
    count(world, host, since, |event| matches!(event, MemberEvent::Died(_)))
}

/// How many things of one kind a host has learnt of members since some time.
pub fn count(world: &World, host: usize, since: u64, of: impl Fn(&MemberEvent) -> bool) -> usize {
    let counts = |(at, event): &&(u64, NodeEvent)| {
        *at >= since && matches!(event, NodeEvent::Member(event) if of(event))
    };
    world.hosts[host].members.iter().filter(counts).count()
}
