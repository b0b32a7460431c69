//! A scenario from the command line.

use serde_json::json;

use crate::args::Args;
use crate::run;
use crate::scenario::{Conditions, Outcome, Scenario};
use crate::stats::{Summary, figure, seconds};
use crate::system::System;

/// Runs it in both systems and prints what came out.
pub(crate) fn run(args: &Args, scenario: &Scenario) {
    let mut jobs = Vec::new();
    for system in [System::Basefs, System::Baseline] {
        jobs.extend((args.seed..args.seed + args.seeds).map(|seed| (system, seed)));
    }
    let bar = run::progress("custom", jobs.len());
    let outcomes = run::parallel(&bar, &jobs, |&(system, seed)| system.run(scenario, seed));
    bar.finish();
    if !args.json {
        println!("{}", describe(scenario));
        println!(
            "{:<31} {:>9} {:>9} {:>9} {:>9} {:>12} {:>9} {:>12}",
            "", "median", "p90", "p99", "max", "last, median", "delivered", "bytes/node"
        );
    }
    let count = outcomes.len() / 2;
    for (system, outcomes) in
        [System::Basefs, System::Baseline].into_iter().zip(outcomes.chunks(count))
    {
        print(args, scenario, system, &outcomes.concat());
    }
}

fn describe(scenario: &Scenario) -> String {
    let Conditions { delay, deviation, loss, correlation, rate } = scenario.conditions;
    let rate = match rate {
        Some(rate) => format!("{} kbit/s", rate as f64 / 1e3),
        None => "any rate".to_owned(),
    };
    format!(
        "{} nodes; {delay:?} one way +- {:.0} %; {:.0} % lost, correlation {:.0} %: {:.1} % effective; \
         {rate}; a write of {} objects",
        scenario.nodes,
        100.0 * deviation,
        100.0 * loss,
        100.0 * correlation,
        100.0 * scenario.conditions.effective_loss(),
        scenario.objects,
    )
}

fn print(args: &Args, scenario: &Scenario, system: System, outcomes: &[Outcome]) {
    let each = Summary::of_times(outcomes.iter().flat_map(|outcome| outcome.reached.clone()));
    let last = Summary::of(outcomes.iter().map(|outcome| seconds(outcome.last())).collect());
    let count = outcomes.len() as f64;
    let delivered = outcomes.iter().map(Outcome::delivered).sum::<f64>() / count;
    let sent = outcomes.iter().map(|outcome| outcome.bytes).sum::<f64>();
    let bytes = sent / count / scenario.nodes as f64;
    let Summary { samples, median, p90, p99, max } = each;
    if args.json {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let line = json!({
            "system": system.who().name(),
            "samples": samples,
            "median_s": finite(median),
            "p90_s": finite(p90),
            "p99_s": finite(p99),
            "max_s": finite(max),
            "last_median_s": finite(last.median),
            "delivered": delivered,
            "bytes_per_node": bytes,
        });
        println!("{line}");
        return;
    }
    println!(
        "{:<31} {:>7} s {:>7} s {:>7} s {:>7} s {:>10} s {:>7.1} % {bytes:>12.0}",
        system.who().name(),
        figure(median),
        figure(p90),
        figure(p99),
        figure(max),
        figure(last.median),
        100.0 * delivered,
    );
}
