//! What is simulated.

use std::time::Duration;

use crate::engine::packets::{Loss, Way};

/// Bytes of content that one object stands for: what a user event of Serf, 512 bytes at most,
/// carried of a write of the original BaseFS once its envelope is taken off.
pub(crate) const OBJECT_BYTES: usize = 480;

/// How many writes are watched in each run, one after the other. The first of them finds nodes that
/// have not learnt yet what the network has become; it counts as the others do.
pub(crate) const WRITES: usize = 3;

/// What every link does to packets, in each direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conditions {
    /// Mean, one way.
    pub(crate) delay: Duration,
    /// Of the delay, evenly to both sides.
    pub(crate) deviation: f64,
    /// Nominal: what is configured. With correlation fewer get lost, see `effective_loss`.
    pub(crate) loss: f64,
    /// Of each packet's fate with that of the one before, as netem does it.
    pub(crate) correlation: f64,
    /// Bits per second of every node's uplink.
    pub(crate) rate: Option<u64>,
}

impl Conditions {
    /// A round trip of 20 ms and nothing lost: what connections are made on.
    pub(crate) const CLEAN: Self = Self {
        delay: Duration::from_millis(10),
        deviation: 0.0,
        loss: 0.0,
        correlation: 0.0,
        rate: None,
    };

    /// The same for the simulator.
    pub(crate) fn way(&self) -> Way {
        let &Self { delay, deviation, loss, correlation, .. } = self;
        let loss = match (loss, correlation) {
            (0.0, _) => Loss::None,
            (p, 0.0) => Loss::Independent(p),
            (p, c) => Loss::Correlated { p, c },
        };
        Way { delay, deviation, loss, ..Way::default() }
    }

    /// The loss that netem's correlation leaves of the nominal one. A packet is lost where
    /// `P(n) = c P(n-1) + (1 - c) R` with uniform R is below the nominal loss; P has less spread
    /// than R, so that low losses become lower and high ones higher.
    pub(crate) fn effective_loss(&self) -> f64 {
        if self.correlation == 0.0 {
            return self.loss;
        }
        const SAMPLES: u32 = 1_000_000;
        // A fixed seed: this is a property of the numbers, not of a run.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut p = 0.5;
        let mut lost = 0_u32;
        for _ in 0..SAMPLES {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
            p = self.correlation * p + (1.0 - self.correlation) * uniform;
            lost += u32::from(p < self.loss);
        }
        f64::from(lost) / f64::from(SAMPLES)
    }
}

/// How long a write is watched. No target is above a minute; what takes longer than this is never.
const PATIENCE: Duration = Duration::from_secs(600);

/// One write on a network of nodes that know each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) nodes: usize,
    pub(crate) conditions: Conditions,
    /// Size of the write, in objects of [`OBJECT_BYTES`].
    pub(crate) objects: usize,
    /// How long, of the network's time, it is watched.
    pub(crate) patience: Duration,
}

impl Default for Scenario {
    fn default() -> Self {
        Self { nodes: 30, conditions: Conditions::CLEAN, objects: 1, patience: PATIENCE }
    }
}

impl Scenario {
    /// Of so many seeds, how many are run: many nodes take long, and tell much in each run.
    pub(crate) fn seeds(&self, wanted: u64) -> u64 {
        if self.nodes > 100 { wanted.min(3) } else { wanted }
    }

    /// Which node does the first write, the second, and so on.
    pub(crate) const fn writer(&self, number: usize) -> usize {
        number * 7 % self.nodes
    }
}

/// What became of a write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// When each other node had it, its content complete; none for never.
    pub(crate) reached: Vec<Option<Duration>>,
    /// How often it was sent, by all nodes.
    pub(crate) sends: f64,
    /// IP bytes that all nodes sent, from the write to the last node.
    pub(crate) bytes: f64,
}

impl Outcome {
    /// When the last node had it.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.reached.iter().copied().try_fold(Duration::ZERO, |last, at| Some(last.max(at?)))
    }

    /// Of the other nodes, the part that has it.
    pub(crate) fn delivered(&self) -> f64 {
        let have = self.reached.iter().filter(|at| at.is_some()).count();
        have as f64 / self.reached.len().max(1) as f64
    }
}
