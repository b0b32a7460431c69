//! How hosts become members. The only place of the engine that knows of membership.

use basefs::gossip::{LocalMember, MemberEvent};
use basefs::node::{Input, NodeEvent};

use super::author;
use super::hosts::{World, address, node_id};

/// A host joins the group through the first host, or whichever else it is told of.
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
    let seed = if at == 0 { 1 } else { 0 };
    if world.options.hosts > 1 {
        let (peer, addresses) = (node_id(seed), vec![address(seed)]);
        world.tell(at, Input::AddPeer { peer, addresses });
    }
}

/// Whether an event is about members, and not about sessions or contents.
pub(super) fn is_about_members(event: &NodeEvent) -> bool {
    matches!(event, NodeEvent::Member(_))
}

/// How many members were declared dead by a host since some time.
pub fn deaths(world: &World, host: usize, since: u64) -> usize {
    let died = |(at, event): &&(u64, NodeEvent)| {
        *at >= since && matches!(event, NodeEvent::Member(MemberEvent::Died(_)))
    };
    world.hosts[host].members.iter().filter(died).count()
}
