//! The targets S1 to S8: what is measured for each, and what it should be.

use std::time::Duration;

use basefs::gossip::Profile;

use crate::args::Args;
use crate::published;
use crate::replicas;
use crate::run;
use crate::scenario::{OBJECT_BYTES, Outcome, Scenario};
use crate::stats::{Summary, seconds};
use crate::system::System;
use crate::table::{Row, Target};
use crate::{baseline, system};

/// Sizes that the publication has for every scenario.
pub(crate) const SIZES: [usize; 6] = [1, 2, 4, 6, 8, 12];

/// Measures one target; some have several rows.
type Measure = fn(&Args) -> Vec<Row>;

/// The rows that were asked for, in order.
pub(crate) fn rows(args: &Args) -> Vec<Row> {
    let all: [(&str, Measure); 8] = [
        ("S1", clean),
        ("S2", independent_loss),
        ("S3", published_loss),
        ("S4", published_delay),
        ("S5", published_bandwidth),
        ("S6", deaths),
        ("S7", partition),
        ("S8", idle),
    ];
    let wanted = all.into_iter().filter(|(id, _)| args.wants(id));
    wanted.flat_map(|(_, rows)| rows(args)).collect()
}

/// Both systems: all writes of all seeds.
struct Compared {
    basefs: Vec<Outcome>,
    baseline: Vec<Outcome>,
}

fn seeds(args: &Args) -> std::ops::Range<u64> {
    args.seed..args.seed + args.seeds
}

/// Runs scenarios with every seed in both systems.
fn compare(args: &Args, title: &str, scenarios: &[Scenario]) -> Vec<Compared> {
    let mut jobs = Vec::new();
    for scenario in scenarios {
        for system in [System::Basefs, System::Baseline] {
            jobs.extend(seeds(args).map(|seed| (*scenario, system, seed)));
        }
    }
    let bar = run::progress(title, jobs.len());
    let outcomes =
        run::parallel(&bar, &jobs, |(scenario, system, seed)| system.run(scenario, *seed));
    bar.finish();
    let count = seeds(args).count();
    let runs = outcomes.chunks(2 * count).map(|both| {
        let (basefs, baseline) = both.split_at(count);
        Compared { basefs: basefs.concat(), baseline: baseline.concat() }
    });
    runs.collect()
}

/// Runs something else with every seed.
fn measure<R: Send>(args: &Args, title: &str, run: impl Fn(u64) -> R + Sync) -> Vec<R> {
    let jobs: Vec<u64> = seeds(args).collect();
    let bar = run::progress(title, jobs.len());
    let results = run::parallel(&bar, &jobs, |&seed| run(seed));
    bar.finish();
    results
}

/// When the last node had it, over all runs.
fn last(outcomes: &[Outcome]) -> Summary {
    Summary::of(outcomes.iter().map(|outcome| seconds(outcome.last())).collect())
}

fn milliseconds(seconds: f64) -> f64 {
    seconds * 1e3
}

fn base(args: &Args) -> Scenario {
    Scenario { nodes: args.nodes, ..Scenario::default() }
}

fn clean(args: &Args) -> Vec<Row> {
    let mut rows = Vec::new();
    let many = if args.quick { 300 } else { 1_000 };
    let scenarios = [base(args), base(args).nodes(many)];
    let few = Args { seeds: scenarios[1].seeds(args.seeds), ..args.clone() };
    let mut runs = compare(args, "S1", &scenarios[..1]);
    runs.extend(compare(&few, "S1", &scenarios[1..]));
    for ((scenario, runs), target) in scenarios.iter().zip(&runs).zip([40.0, 70.0]) {
        let Summary { median, max, .. } = last(&runs.basefs);
        rows.push(Row {
            id: "S1",
            case: format!("clean, 20 ms round trip, {} nodes: last node", scenario.nodes),
            value: milliseconds(median),
            worst: Some(milliseconds(max)),
            unit: "ms",
            peer: Some(milliseconds(last(&runs.baseline).median)),
            target: Target::AtMost(target),
        });
        let per_node = |outcomes: &[Outcome]| {
            let sends = outcomes.iter().map(|outcome| outcome.sends / scenario.nodes as f64);
            Summary::of(sends.collect())
        };
        let Summary { median, max, .. } = per_node(&runs.basefs);
        rows.push(Row {
            id: "S1",
            case: format!("clean, {} nodes: sends of the payload per node", scenario.nodes),
            value: median,
            worst: Some(max),
            unit: "",
            peer: Some(per_node(&runs.baseline).median),
            target: Target::AtMost(5.0),
        });
    }
    rows
}

fn independent_loss(args: &Args) -> Vec<Row> {
    /// No comparison of logs begins earlier because of the write.
    const BEFORE_SYNC: Duration = Duration::from_secs(2);
    let mut scenario = base(args);
    scenario.conditions.loss = 0.5;
    let runs = compare(args, "S2", &[scenario]);
    let early = |outcomes: &[Outcome]| {
        let mut reached = outcomes.iter().flat_map(|outcome| &outcome.reached);
        let all = reached.clone().count();
        let early = reached.by_ref().filter(|at| at.is_some_and(|at| at < BEFORE_SYNC)).count();
        100.0 * early as f64 / all as f64
    };
    let [Compared { basefs, baseline }] = &runs[..] else { return Vec::new() };
    let Summary { median, max, .. } = last(basefs);
    vec![
        Row {
            id: "S2",
            case: "50 % lost independently: last node".into(),
            value: milliseconds(median),
            worst: Some(milliseconds(max)),
            unit: "ms",
            peer: Some(milliseconds(last(baseline).median)),
            target: Target::AtMost(150.0),
        },
        Row {
            id: "S2",
            case: "50 % lost independently: reached before any anti-entropy".into(),
            value: early(basefs),
            worst: None,
            unit: "%",
            peer: Some(early(baseline)),
            target: Target::AtLeast(100.0),
        },
    ]
}

fn published_loss(args: &Args) -> Vec<Row> {
    let row = |(percent, seconds): (u32, f64)| {
        let scenarios = SIZES.map(|objects| Scenario { objects, ..base(args) }.loss(percent));
        let runs = compare(args, "S3", &scenarios);
        let medians = runs.iter().map(|run| last(&run.basefs).median);
        let worst = runs.iter().map(|run| last(&run.basefs).max);
        let name = format!("loss-{percent}");
        let published = published::convergence().into_iter().filter(|row| {
            row.experiment == "basefs" && row.scenario == name && row.objects.is_some()
        });
        let effective = 100.0 * scenarios[0].conditions.effective_loss();
        Row {
            id: "S3",
            case: format!(
                "{percent} % nominal, {effective:.0} % effective, 1-12 objects: last node"
            ),
            value: medians.fold(0.0, f64::max),
            worst: Some(worst.fold(0.0, f64::max)),
            unit: "s",
            peer: Some(published.map(|row| row.max).fold(0.0, f64::max)),
            target: Target::WorstAtMost(seconds),
        }
    };
    [(30, 3.0), (50, 10.0), (70, 60.0)].map(row).into()
}

fn published_delay(args: &Args) -> Vec<Row> {
    let stride = if args.quick { 3 } else { 1 };
    let delays: Vec<u32> = (0..10).map(|doublings| 10 << doublings).step_by(stride).collect();
    let row = |(objects, times): (usize, f64)| {
        let scenarios: Vec<Scenario> =
            delays.iter().map(|&ms| Scenario { objects, ..base(args) }.delay(ms)).collect();
        let runs = compare(args, "S4", &scenarios);
        let in_delays = |which: fn(&Compared) -> &[Outcome], of: fn(Summary) -> f64| {
            let each = scenarios.iter().zip(&runs).map(|(scenario, run)| {
                of(last(which(run))) / scenario.conditions.delay.as_secs_f64()
            });
            each.fold(0.0, f64::max)
        };
        Row {
            id: "S4",
            case: format!("10-5120 ms +- 20 %, {objects} objects: last node, worst of the delays"),
            value: in_delays(|run| &run.basefs, |last| last.median),
            worst: Some(in_delays(|run| &run.basefs, |last| last.max)),
            unit: "x delay",
            peer: Some(in_delays(|run| &run.baseline, |last| last.median)),
            target: Target::AtMost(times),
        }
    };
    [(1, 6.0), (12, 12.0)].map(row).into()
}

/// What every node has to receive at least: the entry in its frame, and the content.
fn must_receive(objects: usize) -> f64 {
    const ENTRY: usize = 400;
    (ENTRY + objects * OBJECT_BYTES) as f64
}

fn published_bandwidth(args: &Args) -> Vec<Row> {
    let rates: &[u32] = if args.quick { &[16, 128] } else { &[16, 32, 64, 128, 256, 512, 1024] };
    let mut rows = vec![wide_enough(args, rates)];
    rows.extend([1, 12].map(|objects| narrow(args, objects)));
    rows
}

fn wide_enough(args: &Args, rates: &[u32]) -> Row {
    let mut scenarios = Vec::new();
    for &rate in rates {
        scenarios.extend(SIZES.map(|objects| Scenario { objects, ..base(args) }.rate(rate)));
    }
    let runs = compare(args, "S5", &scenarios);
    let of_bound = |which: fn(&Compared) -> &[Outcome], of: fn(Summary) -> f64| {
        let each = scenarios.iter().zip(&runs).map(|(scenario, run)| {
            let rate = scenario.conditions.rate.unwrap_or(u64::MAX) as f64;
            let bound = 3.0 * must_receive(scenario.objects) * 8.0 / rate + 2.0;
            of(last(which(run))) / bound
        });
        each.fold(0.0, f64::max)
    };
    Row {
        id: "S5",
        case: "16-1024 kbit/s, 1-12 objects: last node / (3 bytes / rate + 2 s)".into(),
        value: of_bound(|run| &run.basefs, |last| last.median),
        worst: Some(of_bound(|run| &run.basefs, |last| last.max)),
        unit: "x bound",
        peer: Some(of_bound(|run| &run.baseline, |last| last.median)),
        target: Target::AtMost(1.0),
    }
}

fn narrow(args: &Args, objects: usize) -> Row {
    let rates = [2, 4, 8];
    let scenarios = rates.map(|rate| Scenario { objects, ..base(args) }.rate(rate));
    let runs = compare(args, "S5", &scenarios);
    let of_published = |which: fn(&Compared) -> &[Outcome]| {
        let each = rates.iter().zip(&runs).map(|(rate, run)| {
            let name = format!("bw-{rate}");
            let mut published = published::convergence().into_iter();
            let row = published.find(|row| {
                row.experiment == "basefs"
                    && row.scenario == name
                    && row.objects.and_then(|n| usize::try_from(n).ok()) == Some(objects)
            });
            let reached = which(run).iter().flat_map(|outcome| outcome.reached.clone());
            Summary::of_times(reached).median / row.map_or(f64::NAN, |row| row.median)
        });
        each.fold(0.0, f64::max)
    };
    Row {
        id: "S5",
        case: format!("2-8 kbit/s, {objects} objects: median / published median"),
        value: of_published(|run| &run.basefs),
        worst: None,
        unit: "x",
        peer: Some(of_published(|run| &run.baseline)),
        target: Target::AtMost(0.5),
    }
}

fn deaths(args: &Args) -> Vec<Row> {
    let watched = Duration::from_secs(if args.quick { 1_200 } else { 4 * 3_600 });
    let mut half_lost = base(args);
    half_lost.conditions.loss = 0.5;
    // Hours of all nodes in each run: a few seeds are as good as many.
    let few = Args { seeds: args.seeds.min(4), ..args.clone() };
    let deaths = measure(&few, "S6", |seed| {
        let basefs = replicas::false_deaths(&half_lost, watched, seed);
        (basefs, baseline::false_deaths(&half_lost, watched, seed))
    });
    let basefs = Summary::of(deaths.iter().map(|deaths| deaths.0).collect());
    let hours = watched.as_secs_f64() / 3_600.0;
    let mut rows = vec![Row {
        id: "S6",
        case: format!("50 % lost, {hours:.1} h: false deaths per node and hour"),
        value: basefs.median,
        worst: Some(basefs.max),
        unit: "",
        peer: Some(Summary::of(deaths.iter().map(|deaths| deaths.1).collect()).median),
        target: Target::WorstAtMost(0.0),
    }];
    let cases = [
        (Profile::Mesh, 0.0, 20.0),
        (Profile::Mesh, 0.5, 20.0),
        (Profile::Lan, 0.0, 8.0),
        (Profile::Lan, 0.1, 8.0),
    ];
    rows.extend(cases.map(|(profile, loss, target)| death_known(args, profile, loss, target)));
    rows
}

fn death_known(args: &Args, profile: Profile, loss: f64, target: f64) -> Row {
    let mut scenario = base(args);
    scenario.conditions.loss = loss;
    let known = measure(args, "S6", |seed| {
        let basefs = replicas::death_known(profile, &scenario, seed);
        (seconds(basefs), seconds(baseline::death_known(&scenario, seed)))
    });
    let basefs = Summary::of(known.iter().map(|known| known.0).collect());
    Row {
        id: "S6",
        case: format!(
            "a death known to all, {}, {:.0} % lost",
            replicas::name(profile),
            100.0 * loss
        ),
        value: basefs.median,
        worst: Some(basefs.max),
        unit: "s",
        peer: Some(Summary::of(known.iter().map(|known| known.1).collect()).median),
        target: Target::WorstAtMost(target),
    }
}

fn partition(args: &Args) -> Vec<Row> {
    let apart = Duration::from_secs(if args.quick { 600 } else { 3_600 });
    let healed =
        measure(args, "S7", |seed| seconds(replicas::partition_healed(&base(args), apart, seed)));
    let healed = Summary::of(healed);
    vec![Row {
        id: "S7",
        case: format!("apart for {} minutes, healed: equal roots", apart.as_secs() / 60),
        value: healed.median,
        worst: Some(healed.max),
        unit: "s",
        peer: None,
        target: Target::WorstAtMost(5.0),
    }]
}

fn idle(args: &Args) -> Vec<Row> {
    let few = Args { seeds: args.seeds.min(4), ..args.clone() };
    let kilobits = |bytes: f64| bytes * 8.0 / 1e3;
    let rates = measure(&few, "S8", |seed| {
        let basefs = replicas::idle(args.nodes, system::IDLE, seed);
        let theirs = baseline::idle(system::SYNC_INTERVAL, args.nodes, system::IDLE, seed);
        (kilobits(basefs), kilobits(theirs))
    });
    let basefs = Summary::of(rates.iter().map(|rates| rates.0).collect());
    vec![Row {
        id: "S8",
        case: format!("{} idle nodes: each sends, with IP headers", args.nodes),
        value: basefs.median,
        worst: Some(basefs.max),
        unit: "kbit/s",
        peer: Some(Summary::of(rates.iter().map(|rates| rates.1).collect()).median),
        target: Target::AtMost(4.0),
    }]
}
