//! Percentiles.

use std::time::Duration;

/// What is told of many times, or of many of anything.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) samples: usize,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of numbers in any order. What never happened is infinite.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |permille: usize| {
            let rank = (values.len() * permille).div_ceil(1000).max(1) - 1;
            values.get(rank).copied().unwrap_or(f64::NAN)
        };
        Self { samples: values.len(), median: at(500), p90: at(900), p99: at(990), max: at(1000) }
    }

    /// Of times, in seconds; none is never.
    pub(crate) fn of_times(times: impl IntoIterator<Item = Option<Duration>>) -> Self {
        Self::of(times.into_iter().map(seconds).collect())
    }
}

/// A time in seconds; none is never.
pub(crate) fn seconds(time: Option<Duration>) -> f64 {
    time.map_or(f64::INFINITY, |time| time.as_secs_f64())
}

/// Three significant digits.
pub(crate) fn figure(value: f64) -> String {
    match value {
        _ if value.is_infinite() => "never".to_owned(),
        _ if value.is_nan() => "-".to_owned(),
        0.0 => "0".to_owned(),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ if value >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}
