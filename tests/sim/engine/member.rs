//! How hosts become members. The only place that knows of membership.

use basefs::node::NodeEvent;

use super::hosts::World;

pub(super) fn join(_world: &mut World, _at: usize) {}

pub(super) fn is_about_members(_event: &NodeEvent) -> bool {
    false
}
