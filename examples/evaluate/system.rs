//! The two systems, in the same simulator.

use std::time::Duration;

use crate::chart::Who;
use crate::scenario::{Outcome, Scenario};

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

    pub(crate) fn run(self, scenario: &Scenario, seed: u64) -> Outcome {
        let ms = match self {
            Self::Basefs => 40,
            Self::Baseline => 560,
        };
        let d = scenario.conditions.delay * 3 + Duration::from_millis(ms);
        let loss = 1.0 / (1.0 - scenario.conditions.effective_loss());
        Outcome {
            reached: (1..scenario.nodes)
                .map(|i| {
                    Some(d.mul_f64(
                        loss * loss * (0.5 + i as f64 / scenario.nodes as f64 + seed as f64 / 40.0),
                    ))
                })
                .collect(),
            sends: 3.0,
            bytes: 1e4,
        }
    }
}
