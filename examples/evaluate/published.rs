//! The published evaluation of the original BaseFS, 2016; `published/README.md` explains it.

const CONVERGENCE: &str = include_str!("published/basefs-convergence.csv");
const SYNC_INTERVAL: &str = include_str!("published/basefs-sync-interval.csv");

/// A row of `basefs-convergence.csv`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Published {
    pub(crate) experiment: &'static str,
    pub(crate) scenario: &'static str,
    /// Messages that the write took; none for writes that only the comparison of logs spread.
    pub(crate) objects: Option<u32>,
    pub(crate) samples: u32,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Of 30 nodes, how many had it in the end.
    pub(crate) converged: Option<f64>,
}

impl Published {
    /// The number in the name of the scenario: `loss-30` is 30.
    pub(crate) fn number(&self) -> Option<u32> {
        self.scenario.rsplit_once('-')?.1.parse().ok()
    }
}

/// All rows.
pub(crate) fn convergence() -> Vec<Published> {
    CONVERGENCE.lines().skip(1).map(row).collect()
}

fn row(line: &'static str) -> Published {
    let fields: Vec<&str> = line.trim_end().split(',').collect();
    let [experiment, scenario, objects, samples, median, p90, p99, max, converged] = fields[..]
    else {
        unreachable!("nine columns in every row: {line}");
    };
    let seconds = |field: &str| field.parse().expect("a number of seconds");
    Published {
        experiment,
        scenario,
        objects: objects.parse().ok(),
        samples: samples.parse().expect("a number of samples"),
        median: seconds(median),
        p90: seconds(p90),
        p99: seconds(p99),
        max: seconds(max),
        converged: converged.parse().ok(),
    }
}

/// By interval in seconds: bytes per second and node, mean and most.
pub(crate) fn sync_interval() -> Vec<(u32, f64, f64)> {
    let parse = |line: &str| {
        let (interval, rates) = line.trim_end().split_once(',')?;
        let (mean, most) = rates.split_once(',')?;
        Some((interval.parse().ok()?, mean.parse().ok()?, most.parse().ok()?))
    };
    SYNC_INTERVAL.lines().skip(1).filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_read() {
        let rows = convergence();
        assert_eq!(rows.len(), 819);
        let row = rows.iter().find(|row| row.scenario == "bw-16" && row.objects == Some(12));
        let row = row.expect("it is one of the published");
        assert_eq!((row.experiment, row.number(), row.median), ("basefs", Some(16), 43.77));
        assert_eq!(row.converged, Some(30.0));
        assert_eq!(sync_interval().len(), 8);
        assert_eq!(sync_interval()[0], (1, 2585.0, 8639.0));
    }
}
