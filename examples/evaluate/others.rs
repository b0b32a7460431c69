//! The two families in which more than one write, or none, is watched: what comparing logs costs,
//! and the published workload.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use crate::args::Args;
use crate::chart::{Chart, Look, Panel, Point, Series, What, Who};
use crate::published;
use crate::run;
use crate::scenario::{Outcome, Scenario};
use crate::stats::Summary;
use crate::system::{IDLE, System};
use crate::{baseline, replicas};

/// Seconds between comparisons of logs in basefs: there is nothing to choose.
const BASEFS_INTERVAL: u32 = 20;

/// What idle nodes send, by how often they compare logs.
pub(crate) fn interval(args: &Args) -> Result<(), Box<dyn Error>> {
    let published = published::sync_interval();
    let seconds = published.iter().map(|row| row.0).step_by(if args.quick { 3 } else { 1 });
    let seeds = args.seed..args.seed + args.seeds.min(3);
    let mut jobs = Vec::new();
    for second in seconds {
        jobs.extend(seeds.clone().map(|seed| (second, System::Baseline, seed)));
    }
    jobs.extend(seeds.map(|seed| (BASEFS_INTERVAL, System::Basefs, seed)));
    let bar = run::progress("interval", jobs.len());
    let rates = run::parallel(&bar, &jobs, |&(seconds, system, seed)| {
        let interval = Some(Duration::from_secs(seconds.into()));
        match system {
            System::Basefs => replicas::idle(args.nodes, IDLE, seed),
            System::Baseline => baseline::idle(interval, args.nodes, IDLE, seed),
        }
    });
    bar.finish();
    let mut csv = String::from("system,interval_s,median_bytes_per_s,max_bytes_per_s\n");
    let mut lines = Vec::new();
    for system in [System::Basefs, System::Baseline] {
        let mut points = Vec::new();
        let runs: Vec<_> = jobs.iter().zip(&rates).filter(|(job, _)| job.1 == system).collect();
        for runs in runs.chunk_by(|(a, _), (b, _)| a.0 == b.0) {
            let Some(((seconds, ..), _)) = runs.first() else { continue };
            let Summary { median, max, .. } = Summary::of(runs.iter().map(|run| *run.1).collect());
            writeln!(csv, "{},{seconds},{median:.1},{max:.1}", system.who().id())?;
            points.push((f64::from(*seconds), median));
        }
        lines.push(series(system.who(), What::Median, points));
    }
    for (seconds, mean, max) in &published {
        writeln!(csv, "{},{seconds},{mean},{max}", Who::Published.id())?;
    }
    let of = |y: fn(&(u32, f64, f64)) -> f64| {
        published.iter().map(|row| (f64::from(row.0), y(row))).collect::<Vec<_>>()
    };
    lines.push(series(Who::Published, What::Median, of(|row| row.1)));
    lines.push(series(Who::Published, What::Worst, of(|row| row.2)));
    let chart = Chart {
        title: format!(
            "What each of {} idle nodes sends, by how often logs are compared",
            args.nodes
        ),
        x: "interval of comparisons [s]".into(),
        y: "sent by each node [bytes/s]".into(),
        log_x: true,
        ticks: published.iter().map(|row| f64::from(row.0)).collect(),
        panels: vec![Panel { title: String::new(), lines }],
    };
    write(args, "interval", &csv, &chart)
}

fn series(who: Who, what: What, points: Vec<(f64, f64)>) -> Series {
    let point = |(x, y)| Point { x, y, complete: true };
    Series { look: Look { who, what }, points: points.into_iter().map(point).collect() }
}

/// The 560 writes of the publication: how many of which size, from the samples behind its rows of
/// 36 real nodes. Twenty more were too large for gossip there; they count as the largest size that
/// it gossiped elsewhere.
const MIX: [(usize, usize); 5] = [(1, 340), (2, 160), (3, 20), (5, 20), (17, 20)];
/// Between two writes, each by the next node.
const PAUSE: Duration = Duration::from_secs(1);

/// When what is written: the sizes in an order that spreads each evenly.
fn plan(quick: bool) -> Vec<(Duration, usize)> {
    let total: usize = MIX.iter().map(|(_, count)| count).sum();
    let mut given = [0_usize; MIX.len()];
    let mut writes = Vec::new();
    for number in 1..=total {
        // Whichever size is furthest behind its share is next.
        let behind = |i: usize| (MIX[i].1 * number).saturating_sub(given[i] * total);
        let next = (0..MIX.len()).max_by_key(|&i| behind(i)).unwrap_or_default();
        given[next] += 1;
        let at = PAUSE * u32::try_from(number).expect("560 writes");
        writes.push((at, MIX[next].0));
    }
    if quick {
        writes.truncate(56);
    }
    writes
}

/// 560 writes on the nodes of a clean network: how long each size takes to reach each other node.
pub(crate) fn workload(args: &Args) -> Result<(), Box<dyn Error>> {
    let plan = plan(args.quick);
    let scenario = Scenario { nodes: args.nodes, ..Scenario::default() };
    let seeds = args.seed..args.seed + args.seeds.min(5);
    let mut jobs = Vec::new();
    for system in [System::Basefs, System::Baseline] {
        jobs.extend(seeds.clone().map(|seed| (system, seed)));
    }
    let bar = run::progress("workload", jobs.len());
    let runs = run::parallel(&bar, &jobs, |&(system, seed)| match system {
        System::Basefs => replicas::writes(&scenario, &plan, seed),
        System::Baseline => baseline::writes(&scenario, &plan, seed),
    });
    bar.finish();
    let mut csv = String::from("system,objects,samples,median_s,p90_s,p99_s,max_s\n");
    let mut lines = Vec::new();
    for system in [System::Basefs, System::Baseline] {
        let outcomes = jobs.iter().zip(&runs).filter(|(job, _)| job.0 == system);
        let by_size = by_size(&plan, &outcomes.map(|(_, run)| run.as_slice()));
        for (objects, Summary { samples, median, p90, p99, max }) in &by_size {
            let who = system.who().id();
            writeln!(csv, "{who},{objects},{samples},{median:.4},{p90:.4},{p99:.4},{max:.4}")?;
        }
        let of =
            |y: fn(&Summary) -> f64| by_size.iter().map(|(x, s)| (*x, y(s))).collect::<Vec<_>>();
        lines.push(series(system.who(), What::Median, of(|s| s.median)));
        lines.push(series(system.who(), What::Worst, of(|s| s.max)));
    }
    let theirs: Vec<_> = published::convergence()
        .into_iter()
        .filter(|row| row.experiment == "basefs-docker" && row.objects.is_some())
        .collect();
    for row in &theirs {
        writeln!(
            csv,
            "{},{},{},{},{},{},{}",
            Who::Published.id(),
            row.objects.unwrap_or_default(),
            row.samples,
            row.median,
            row.p90,
            row.p99,
            row.max
        )?;
    }
    let of = |y: fn(&published::Published) -> f64| {
        theirs.iter().filter_map(|row| Some((f64::from(row.objects?), y(row)))).collect::<Vec<_>>()
    };
    lines.push(series(Who::Published, What::Median, of(|row| row.median)));
    lines.push(series(Who::Published, What::Worst, of(|row| row.max)));
    let chart = Chart {
        title: format!("{} writes on {} nodes, one a second, by size", plan.len(), args.nodes),
        x: "size [objects of 480 bytes]".into(),
        y: "until a node has it, complete [s]".into(),
        log_x: true,
        ticks: MIX.iter().map(|(objects, _)| *objects as f64).collect(),
        panels: vec![Panel { title: String::new(), lines }],
    };
    write(args, "workload", &csv, &chart)
}

/// What the writes of each size came to in several runs.
fn by_size<'a>(
    plan: &[(Duration, usize)],
    runs: &(impl Iterator<Item = &'a [Outcome]> + Clone),
) -> Vec<(f64, Summary)> {
    let of = |(objects, _): (usize, usize)| {
        let writes = runs.clone().flat_map(|outcomes| plan.iter().zip(outcomes));
        let of_size = writes.filter(|((_, size), _)| *size == objects);
        let summary = Summary::of_times(of_size.flat_map(|(_, outcome)| outcome.reached.clone()));
        (summary.samples > 0).then_some((objects as f64, summary))
    };
    MIX.into_iter().filter_map(of).collect()
}

fn write(args: &Args, name: &str, csv: &str, chart: &Chart) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&args.out)?;
    std::fs::write(args.out.join(format!("{name}.csv")), csv)?;
    chart.write(&args.out.join(format!("{name}.svg")))?;
    Ok(())
}
