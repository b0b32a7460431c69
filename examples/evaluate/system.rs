//! The two systems, in the same simulator.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::baseline;
use crate::chart::Who;
use crate::scenario::{Outcome, Scenario};

/// How long nodes have, on a clean network, to connect and to come to rest.
pub(crate) const WARM_UP: Duration = Duration::from_secs(20);
/// How long the network has been what the scenario says when the write happens.
pub(crate) const SETTLED: Duration = Duration::from_secs(10);

/// How long idle nodes are watched.
pub(crate) const IDLE: Duration = Duration::from_secs(1_800);
/// How often the original BaseFS compares logs.
pub(crate) const SYNC_INTERVAL: Option<Duration> = Some(Duration::from_secs(20));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Basefs,
    Baseline,
}

impl System {
    pub(crate) const fn who(self) -> Who {
        match self {
            Self::Basefs => Who::Basefs,
            Self::Baseline => Who::Baseline,
        }
    }

    /// A few writes, one after the other, each watched until all have it. Families and targets
    /// share scenarios: what was run once is remembered, for it would come out the same.
    pub(crate) fn run(self, scenario: &Scenario, seed: u64) -> Vec<Outcome> {
        static KNOWN: Mutex<BTreeMap<String, Vec<Outcome>>> = Mutex::new(BTreeMap::new());
        let known = || KNOWN.lock().expect("nothing panics while it is held");
        let name = format!("{self:?} {scenario:?} {seed}");
        if let Some(outcomes) = known().get(&name) {
            return outcomes.clone();
        }
        let outcomes = match self {
            Self::Basefs => crate::replicas::single_writes(scenario, seed),
            Self::Baseline => baseline::single_writes(scenario, seed),
        };
        known().insert(name, outcomes.clone());
        outcomes
    }
}
