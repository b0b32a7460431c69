//! How fast what one node writes reaches the others, on networks of every kind: basefs, a baseline
//! after memberlist and Serf in the same simulator, and the published evaluation of the original
//! BaseFS beside them.
//!
//! ```sh
//! cargo run --release --example evaluate -- [--help] [NAME…]
//! ```
//!
//! Time is simulated: every run depends on its seed alone, whatever the machine does meanwhile.
//!
//! - All nodes know each other and connect on a clean network with a round trip of 20 ms. When they
//!   have come to rest the network becomes what the scenario says, and ten seconds later one node
//!   writes. A few writes follow one another in each run, each by another node, once all have the
//!   one before; the first, which finds nodes that know little of their new network, counts as the
//!   others do.
//! - A node has a write when the entry is admitted and its content is complete. Medians and
//!   percentiles are over all nodes, writes and seeds, as the published ones are over nodes; "last"
//!   and "worst" are of the last node.
//! - An object is 480 bytes that nothing makes shorter: what one user event of Serf, 512 bytes at
//!   most, carried of a write of the original. A write of k objects has 480 k bytes of content.
//! - A rate is that of each node's uplink. Loss is nominal; with correlation it is netem's, and
//!   tables tell the effective loss beside it.
//! - Nothing is tuned to a scenario: basefs has its mesh profile in all of them, where no other is
//!   named, and the baseline has the LAN defaults.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

#[path = "evaluate/args.rs"]
mod args;
#[path = "evaluate/baseline.rs"]
mod baseline;
#[path = "evaluate/chart.rs"]
mod chart;
#[path = "evaluate/custom.rs"]
mod custom;
#[path = "../tests/sim/engine/mod.rs"]
mod engine;
#[path = "evaluate/families.rs"]
mod families;
#[path = "../tests/sim/baseline/mod.rs"]
mod machine;
#[path = "evaluate/others.rs"]
mod others;
#[path = "evaluate/published.rs"]
mod published;
#[path = "evaluate/replicas.rs"]
mod replicas;
#[path = "evaluate/run.rs"]
mod run;
#[path = "evaluate/scenario.rs"]
mod scenario;
#[path = "evaluate/stats.rs"]
mod stats;
#[path = "evaluate/system.rs"]
mod system;
#[path = "evaluate/table.rs"]
mod table;
#[path = "evaluate/targets.rs"]
mod targets;

use std::error::Error;
use std::process::ExitCode;

use args::Args;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("evaluate: {problem}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match evaluate(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evaluate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn evaluate(args: &Args) -> Result<(), Box<dyn Error>> {
    if let Some(scenario) = &args.custom {
        custom::run(args, scenario);
        return Ok(());
    }
    // A machine that asks for rows wants no pictures.
    let draws = |name: &str| args.wants(name) && (!args.json || !args.names.is_empty());
    for family in families::all().iter().filter(|family| draws(family.name)) {
        family.run(args)?;
    }
    if draws("interval") {
        others::interval(args)?;
    }
    if draws("workload") {
        others::workload(args)?;
    }
    let rows = targets::rows(args);
    if args.json {
        rows.iter().for_each(|row| println!("{}", row.to_json()));
    } else if !rows.is_empty() {
        print!("{}", table::text(&rows));
    }
    Ok(())
}
