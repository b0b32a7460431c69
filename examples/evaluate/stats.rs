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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let summary = Summary::of((1..=200).rev().map(f64::from).collect());
        let Summary { samples, median, p90, p99, max } = summary;
        assert_eq!((samples, median, p90, p99, max), (200, 100.0, 180.0, 198.0, 200.0));
        let Summary { median, max, .. } = Summary::of_times([None, Some(Duration::from_secs(2))]);
        assert_eq!((median, max), (2.0, f64::INFINITY), "what never happened comes last");
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.0, 0.0312, 2.5, 43.21, 1267.0, f64::INFINITY].map(figure);
        assert_eq!(figures, ["0", "0.031", "2.50", "43.2", "1267", "never"]);
    }
}
