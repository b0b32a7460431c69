//! Many nodes, each a process with a replica of its own, on this machine: how fast a write is
//! everywhere, what an idle cluster costs, and what `kill -9` does to it.
//!
//! ```sh
//! cargo run --release --example cluster -- [--nodes 30] [--serf] [--kill] [--netns …]
//! ```
//!
//! The first node founds a hierarchy, the others join by its ticket over QUIC and share nothing
//! with it but sockets. Where that is allowed the whole cluster runs in a network namespace, so
//! that the bytes counted are its own; with `--netns` each node has one, and its link a rate and a
//! loss. `--help` tells the rest. What is not reached makes the exit code non-zero: a write that
//! is missing somewhere, replicas that do not end equal.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

#[path = "cluster/clock.rs"]
mod clock;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/measure.rs"]
mod measure;
#[path = "cluster/network.rs"]
mod network;
#[path = "cluster/node.rs"]
mod node;
#[path = "cluster/options.rs"]
mod options;
#[path = "cluster/random.rs"]
mod random;
#[path = "../benches/support/report.rs"]
mod report;
#[path = "cluster/serf.rs"]
mod serf;
#[path = "cluster/swarm.rs"]
mod swarm;

use std::process::ExitCode;

use measure::{Cluster, Idle, Spread};
use network::Network;
use options::{Options, USAGE};
use random::Random;
use report::{Reference, Report, Row, Target};
use swarm::Swarm;

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let options = match Options::from_args() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match &options.child {
        Some(child) => node::run(child).map(|()| true),
        None => run(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What was measured of one cluster.
struct Measured {
    spread: Spread,
    idle: Idle,
}

/// Runs what was asked for; whether everything arrived.
fn run(options: &Options) -> Result<bool, Error> {
    let network = Network::enter(options)?;
    if !options.json {
        println!("{} nodes, {}; again: {}\n", options.nodes, network.describe(), options.command());
    }
    let report = Report::with_json(options.json);
    let mut others = Vec::new();
    for profile in options.serf_profiles() {
        match serf::Agents::start(options.nodes, profile) {
            Ok(mut agents) => others.push((format!("serf {profile}"), all(&mut agents, options)?)),
            Err(why) => report.skip("N6", &format!("serf: {why}")),
        }
    }
    let mut swarm = Swarm::start(options, network)?;
    let own = all(&mut swarm, options)?;
    let mut good = own.spread.missed == 0;
    print_rows(options, &report, &own, &others);
    if let (false, Some(loss)) = (options.json, swarm.network().measured_loss(&swarm.pids())) {
        println!("{:.1} % of the packets that came to a node were dropped", loss * 100.0);
    }
    if options.kill {
        good &= faults::run(&mut swarm, options, &report)?;
    }
    Ok(good)
}

fn all(cluster: &mut dyn Cluster, options: &Options) -> Result<Measured, Error> {
    let mut random = Random::new(options.seed);
    let spread = measure::spread(cluster, options, &mut random)?;
    Ok(Measured { spread, idle: measure::idle(cluster, options)? })
}

fn print_rows(options: &Options, report: &Report, own: &Measured, others: &[(String, Measured)]) {
    let compared: Vec<Option<&(String, Measured)>> =
        if others.is_empty() { vec![None] } else { others.iter().map(Some).collect() };
    let row =
        |id, what: String, figure: fn(&Measured) -> f64, unit, other: Option<&(_, _)>, target| {
            let peer =
                other.map(|(name, measured): &(String, _)| Reference::new(name, figure(measured)));
            report.row(&Row { id, what, value: figure(own), unit, limit: None, peer, target });
        };
    let last = options.nodes - 1;
    for other in compared {
        let what = format!("{} B written, last of {last} has it", options.size);
        let median = |measured: &Measured| measured.spread.median_ms;
        row("N6", what, median, "ms", other, Target::TimesPeer(0.1));
        let slowest = |measured: &Measured| measured.spread.slowest_ms;
        row("N6", "the same, slowest".to_owned(), slowest, "ms", other, Target::TimesPeer(0.1));
        let cpu = |measured: &Measured| measured.idle.cpu_percent;
        let what = format!("{} idle: CPU of all, of one core", options.nodes);
        row("N7", what, cpu, "%", other, Target::TimesPeer(1.0));
        let bytes = |measured: &Measured| measured.idle.bytes_per_second / 1e3;
        row("N7", "the same, sent by all".to_owned(), bytes, "kB/s", other, Target::TimesPeer(1.0));
    }
    let what = format!("{} writes: missed anywhere", own.spread.writes);
    let missed = |measured: &Measured| measured.spread.missed as f64;
    row("N6", what, missed, "", others.first(), Target::AtMost(0.0));
}
