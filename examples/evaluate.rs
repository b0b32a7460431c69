//! How fast what one node writes reaches the others, on networks of every kind: basefs, a baseline
//! after memberlist and Serf in the same simulator, and the published evaluation of the original
//! BaseFS beside them.
//!
//! ```sh
//! cargo run --release --example evaluate -- [--help] [NAME…]
//! ```
//!
//! Time is simulated: every run depends on its seed alone, whatever the machine does meanwhile.
//! All nodes know each other and are connected before the network becomes what the scenario says;
//! then, some seconds later, one of them writes. Nothing is tuned to a scenario: basefs uses its
//! mesh profile in all of them, where nothing else is said.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

#[path = "evaluate/args.rs"]
mod args;
#[path = "evaluate/chart.rs"]
mod chart;
#[path = "evaluate/families.rs"]
mod families;
#[path = "evaluate/published.rs"]
mod published;
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
    for family in families::all().iter().filter(|family| args.wants(family.name)) {
        family.run(args)?;
    }
    Ok(())
}
