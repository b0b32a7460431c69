//! Measuring times on a machine that has other things to do.

use std::time::{Duration, Instant};

/// How long some work takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let before = Instant::now();
    work();
    before.elapsed()
}

/// The middle one: what a disturbance now and then does not move.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
