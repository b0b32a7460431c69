//! The families of scenarios: what is varied, and the picture and the table that come of it.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::args::Args;
use crate::chart::{self, Chart, Look, Panel, Series, What, Who};
use crate::published::{self, Published};
use crate::run;
use crate::scenario::{Outcome, Scenario};
use crate::stats::{Summary, seconds};
use crate::system::System;

/// A family of scenarios that differ in one number.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    title: &'static str,
    x: &'static str,
    /// The values of the number.
    values: Vec<u32>,
    /// Sizes of the write, one panel for each; none where the size is what is varied.
    objects: Vec<usize>,
    scenario: fn(u32, Scenario) -> Scenario,
    /// How the publication names the scenarios, if it has them.
    published: Option<&'static str>,
}

/// All that the publication varies and that concerns one write, and the number of nodes beside it.
pub(crate) fn all() -> Vec<Family> {
    vec![
        Family {
            name: "delay",
            title: "One write on 30 nodes, by delay (deviation 20 %)",
            x: "delay, one way [ms]",
            values: (0..10).map(|doublings| 10 << doublings).collect(),
            objects: vec![1, 12],
            scenario: |delay, scenario| scenario.delay(delay),
            published: Some("delay-"),
        },
        Family {
            name: "loss",
            title: "One write on 30 nodes, by nominal loss (correlation 25 %)",
            x: "loss, nominal [%]",
            values: (1..10).map(|tens| 10 * tens).collect(),
            objects: vec![1, 12],
            scenario: |loss, scenario| scenario.loss(loss),
            published: Some("loss-"),
        },
        Family {
            name: "bandwidth",
            title: "One write on 30 nodes, by bandwidth",
            x: "bandwidth of each node's uplink [kbit/s]",
            values: (1..11).map(|doublings| 1 << doublings).collect(),
            objects: vec![1, 12],
            scenario: |rate, scenario| scenario.rate(rate),
            published: Some("bw-"),
        },
        Family {
            name: "objects",
            title: "One write on 30 nodes, by its size",
            x: "size [objects of 480 bytes]",
            values: vec![1, 2, 4, 6, 8, 12, 17],
            objects: Vec::new(),
            scenario: |objects, scenario| scenario.objects(objects),
            published: Some("baseline"),
        },
        Family {
            name: "size",
            title: "One write of one object, by the number of nodes",
            x: "nodes",
            values: vec![10, 30, 100, 300, 1000],
            objects: Vec::new(),
            scenario: |nodes, scenario| scenario.nodes(nodes),
            published: None,
        },
    ]
}

impl Scenario {
    pub(crate) fn delay(mut self, milliseconds: u32) -> Self {
        self.conditions.delay = Duration::from_millis(milliseconds.into());
        self.conditions.deviation = 0.2;
        self
    }

    pub(crate) fn loss(mut self, percent: u32) -> Self {
        self.conditions.loss = f64::from(percent) / 100.0;
        self.conditions.correlation = 0.25;
        self
    }

    pub(crate) fn rate(mut self, kilobits: u32) -> Self {
        self.conditions.rate = Some(u64::from(kilobits) * 1_000);
        self
    }

    pub(crate) fn objects(mut self, objects: u32) -> Self {
        self.objects = usize::try_from(objects).expect("32 bits");
        self
    }

    pub(crate) fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = usize::try_from(nodes).expect("32 bits");
        self
    }
}

/// What a point of a family came to.
struct Point {
    value: u32,
    objects: usize,
    scenario: Scenario,
    who: Who,
    /// Of every other node's time in all runs.
    each: Summary,
    /// Of the last node's in each run.
    last: Summary,
    delivered: f64,
    bytes: f64,
}

impl Family {
    /// Runs all of it, and writes `NAME.svg` and `NAME.csv`.
    pub(crate) fn run(&self, args: &Args) -> Result<(), Box<dyn Error>> {
        let jobs = self.jobs(args);
        let bar = run::progress(self.name, jobs.len());
        let outcomes = run::parallel(&bar, &jobs, |job| job.system.run(&job.scenario, job.seed));
        bar.finish();
        let points = points(&jobs, &outcomes);
        std::fs::create_dir_all(&args.out)?;
        self.table(&points, &args.out.join(format!("{}.csv", self.name)))?;
        self.chart(&points).write(&args.out.join(format!("{}.svg", self.name)))?;
        Ok(())
    }

    fn jobs(&self, args: &Args) -> Vec<Job> {
        let stride = if args.quick { 2 } else { 1 };
        let base = Scenario { nodes: args.nodes, ..Scenario::default() };
        let sizes = if self.objects.is_empty() { vec![1] } else { self.objects.clone() };
        let mut jobs = Vec::new();
        for &value in self.values.iter().step_by(stride) {
            for &objects in &sizes {
                let scenario = (self.scenario)(value, Scenario { objects, ..base });
                for system in [System::Basefs, System::Baseline] {
                    for seed in args.seed..args.seed + scenario.seeds(args.seeds) {
                        jobs.push(Job { value, objects, scenario, system, seed });
                    }
                }
            }
        }
        jobs
    }

    fn published(&self, objects: usize) -> Vec<(f64, Published)> {
        let Some(prefix) = self.published else { return Vec::new() };
        let rows = published::convergence()
            .into_iter()
            .filter(|row| row.experiment == "basefs" && row.scenario.starts_with(prefix));
        let objects = u32::try_from(objects).ok();
        let mut rows: Vec<_> = if self.objects.is_empty() {
            rows.filter_map(|row| Some((f64::from(row.objects?), row))).collect()
        } else {
            rows.filter(|row| row.objects == objects)
                .filter_map(|row| Some((f64::from(row.number()?), row)))
                .collect()
        };
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows
    }

    fn table(&self, points: &[Point], path: &Path) -> Result<(), Box<dyn Error>> {
        let mut csv = String::from(
            "system,value,nodes,objects,effective_loss,samples,median_s,p90_s,p99_s,max_s,\
             last_median_s,last_worst_s,delivered,bytes_per_node\n",
        );
        for point in points {
            let Point { value, scenario, who, each, last, delivered, bytes, .. } = point;
            let Summary { samples, median, p90, p99, max } = each;
            writeln!(
                csv,
                "{},{value},{},{},{:.3},{samples},{median:.4},{p90:.4},{p99:.4},{max:.4},{:.4},\
                 {:.4},{delivered:.4},{bytes:.0}",
                who.id(),
                scenario.nodes,
                scenario.objects,
                scenario.conditions.effective_loss(),
                last.median,
                last.max,
            )?;
        }
        let sizes = if self.objects.is_empty() { vec![1] } else { self.objects.clone() };
        for (value, row) in sizes.iter().flat_map(|&objects| self.published(objects)) {
            let Published { objects, samples, median, p90, p99, max, .. } = row;
            writeln!(
                csv,
                "{},{value},30,{},,{samples},{median},{p90},{p99},{max},,,{},",
                Who::Published.id(),
                objects.unwrap_or_default(),
                row.converged.map_or(String::new(), |nodes| format!("{:.3}", nodes / 30.0)),
            )?;
        }
        std::fs::write(path, csv)?;
        Ok(())
    }

    fn chart(&self, points: &[Point]) -> Chart {
        let sizes = if self.objects.is_empty() { vec![1] } else { self.objects.clone() };
        let panel = |&objects: &usize| Panel {
            title: match self.objects.len() {
                0 => String::new(),
                _ if objects == 1 => "one object".to_owned(),
                _ => format!("{objects} objects"),
            },
            lines: self.lines(points, objects),
        };
        let mut ticks: Vec<f64> = points.iter().map(|point| f64::from(point.value)).collect();
        let theirs = sizes.iter().flat_map(|&objects| self.published(objects));
        ticks.extend(theirs.map(|(value, _)| value));
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        Chart {
            title: self.title.to_owned(),
            x: self.x.to_owned(),
            y: "until a node has it, complete [s]".to_owned(),
            log_x: self.name != "loss",
            ticks,
            panels: sizes.iter().map(panel).collect(),
        }
    }

    fn lines(&self, points: &[Point], objects: usize) -> Vec<Series> {
        let of = |who: Who, what: What, y: fn(&Point) -> f64| Series {
            look: Look { who, what },
            points: points
                .iter()
                .filter(|point| point.who == who && point.objects == objects)
                .map(|point| chart::Point {
                    x: f64::from(point.value),
                    y: y(point),
                    complete: point.delivered == 1.0,
                })
                .collect(),
        };
        let published = self.published(objects);
        let theirs = |what: What, y: fn(&Published) -> f64| Series {
            look: Look { who: Who::Published, what },
            points: published
                .iter()
                .map(|(value, row)| chart::Point {
                    x: *value,
                    y: y(row),
                    complete: row.converged.is_none_or(|nodes| nodes == 30.0),
                })
                .collect(),
        };
        let mut lines = Vec::new();
        for who in [Who::Basefs, Who::Baseline] {
            lines.push(of(who, What::Median, |point| point.each.median));
            lines.push(of(who, What::Worst, |point| point.last.max));
        }
        if !published.is_empty() {
            lines.push(theirs(What::Median, |row| row.median));
            lines.push(theirs(What::Worst, |row| row.max));
        }
        lines
    }
}

struct Job {
    value: u32,
    objects: usize,
    scenario: Scenario,
    system: System,
    seed: u64,
}

/// Puts the runs of a scenario together.
fn points(jobs: &[Job], outcomes: &[Vec<Outcome>]) -> Vec<Point> {
    let mut points = Vec::new();
    let runs: Vec<(&Job, &Vec<Outcome>)> = jobs.iter().zip(outcomes).collect();
    for runs in runs.chunk_by(|(a, _), (b, _)| a.scenario == b.scenario && a.system == b.system) {
        let Some((job, _)) = runs.first() else { continue };
        let all = runs.iter().flat_map(|(_, outcomes)| *outcomes);
        let count = all.clone().count() as f64;
        points.push(Point {
            value: job.value,
            objects: job.objects,
            scenario: job.scenario,
            who: job.system.who(),
            each: Summary::of_times(all.clone().flat_map(|outcome| outcome.reached.clone())),
            last: Summary::of(all.clone().map(|outcome| seconds(outcome.last())).collect()),
            delivered: all.clone().map(|outcome| outcome.delivered()).sum::<f64>() / count,
            bytes: all.map(|outcome| outcome.bytes).sum::<f64>()
                / count
                / job.scenario.nodes as f64,
        });
    }
    points
}
