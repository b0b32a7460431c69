//! The command line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::scenario::{Conditions, Scenario};

pub(crate) const USAGE: &str = "\
usage: evaluate [NAME...] [options]

Without NAME all families and all targets run. Each family makes a picture and a table of its own.

families:
  delay loss bandwidth objects interval size workload
targets:
  S1 S2 S3 S4 S5 S6 S7 S8, or `targets` for all of them

options:
  --seeds K         runs of each scenario (default 20)
  --seed N          the first seed (default 1); the same seed gives the same run
  --nodes N         nodes (default 30; does not concern the family `size`)
  --out DIR         where pictures and tables go (default src/manual/img)
  --quick           3 seeds, and every other scenario
  --json            one object for each target on standard output, nothing else
  --help            this

one scenario of your own, instead of the families:
  --delay TIME      one way: 640ms, 1.5s (default 10ms)
  --deviation PCT   of the delay (default 0%)
  --loss PCT        nominal loss (default 0%)
  --correlation PCT of each loss with the one before (default 0%)
  --rate RATE       of every node's uplink: 64kbit, 1mbit (default unlimited)
  --objects K       size of the write, in objects of 480 bytes (default 1)

examples:
  evaluate                                  everything
  evaluate loss S3                          one family and one target
  evaluate --delay 640ms --loss 40% --rate 64kbit --correlation 25% --objects 12
  evaluate --quick --out /tmp/figures       a first look, in a minute or two";

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) names: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) seeds: u64,
    pub(crate) nodes: usize,
    pub(crate) out: PathBuf,
    pub(crate) quick: bool,
    pub(crate) json: bool,
    /// A scenario of the caller's own.
    pub(crate) custom: Option<Scenario>,
}

/// What may stand for NAME.
const NAMES: [&str; 16] = [
    "delay",
    "loss",
    "bandwidth",
    "objects",
    "interval",
    "size",
    "workload",
    "targets",
    "S1",
    "S2",
    "S3",
    "S4",
    "S5",
    "S6",
    "S7",
    "S8",
];

/// More would take longer than anybody waits.
const MAX_NODES: usize = 2_000;
const MAX_SEEDS: u64 = 10_000;
const MAX_OBJECTS: usize = 500;

impl Args {
    /// Nothing when help was asked for.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut parsed = Self {
            names: Vec::new(),
            seed: 1,
            seeds: 20,
            nodes: 30,
            out: "src/manual/img".into(),
            quick: false,
            json: false,
            custom: None,
        };
        let mut seeds = None;
        let mut own = Scenario::default();
        let mut is_own = false;
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => parsed.quick = true,
                "--json" => parsed.json = true,
                "--seed" => parsed.seed = number(&arg, &value()?, &(0..=u64::MAX))?,
                "--seeds" => seeds = Some(number(&arg, &value()?, &(1..=MAX_SEEDS))?),
                "--nodes" => parsed.nodes = number(&arg, &value()?, &(2..=MAX_NODES))?,
                "--out" => parsed.out = value()?.into(),
                "--delay" | "--deviation" | "--loss" | "--correlation" | "--rate" | "--objects" => {
                    let value = value()?;
                    own.set(&arg, &value)?;
                    is_own = true;
                }
                flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
                name if NAMES.contains(&name) => parsed.names.push(name.to_owned()),
                name => {
                    return Err(format!("{name} is none of {}", NAMES.join(", ")));
                }
            }
        }
        parsed.seeds = seeds.unwrap_or(if parsed.quick { 3 } else { parsed.seeds });
        if is_own && !parsed.names.is_empty() {
            return Err(format!(
                "{} has its own scenarios: --delay, --loss, --rate and their like go without names",
                parsed.names.join(" ")
            ));
        }
        own.nodes = parsed.nodes;
        parsed.custom = is_own.then_some(own);
        Ok(Some(parsed))
    }

    /// Whether a family or target is to run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let is_target = name.starts_with('S');
        let asked = |wanted: &String| wanted == name || (is_target && wanted == "targets");
        self.custom.is_none() && (self.names.is_empty() || self.names.iter().any(asked))
    }
}

impl Scenario {
    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        let Conditions { delay, deviation, loss, correlation, rate } = &mut self.conditions;
        match option {
            "--delay" => *delay = time(option, value)?,
            "--deviation" => *deviation = share(option, value)?,
            "--loss" => *loss = share(option, value)?,
            "--correlation" => *correlation = share(option, value)?,
            "--rate" => *rate = Some(bits(option, value)?),
            _ => self.objects = number(option, value, &(1..=MAX_OBJECTS))?,
        }
        Ok(())
    }
}

fn number<T>(option: &str, value: &str, allowed: &RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    match value.parse::<T>() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        Ok(_) => {
            let (least, most) = (allowed.start(), allowed.end());
            Err(format!("{option} is from {least} to {most}, not {value}"))
        }
        Err(_) => Err(format!("{option} takes a whole number, not {value}")),
    }
}

/// A number and its unit.
fn split(value: &str) -> Option<(f64, &str)> {
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    Some((number.parse().ok()?, unit))
}

fn time(option: &str, value: &str) -> Result<Duration, String> {
    let seconds = match split(value) {
        Some((number, "s")) => number,
        Some((number, "ms")) => number / 1e3,
        _ => return Err(format!("{option} takes a time such as 640ms or 1.5s, not {value}")),
    };
    match seconds {
        0.0..=60.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("{option} is at most 60s, not {value}")),
    }
}

fn share(option: &str, value: &str) -> Result<f64, String> {
    match split(value) {
        Some((percent, "%")) if percent < 100.0 => Ok(percent / 100.0),
        Some((_, "%")) => Err(format!("{option} is less than 100%, not {value}")),
        _ => Err(format!("{option} takes a percentage such as 40%, not {value}")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the bounds are checked where it is cast"
)]
fn bits(option: &str, value: &str) -> Result<u64, String> {
    let bits = match split(value) {
        Some((number, "bit")) => number,
        Some((number, "kbit")) => number * 1e3,
        Some((number, "mbit")) => number * 1e6,
        Some((number, "gbit")) => number * 1e9,
        _ => return Err(format!("{option} takes a rate such as 64kbit or 1mbit, not {value}")),
    };
    match bits {
        1e3..=1e11 => Ok(bits.round() as u64),
        _ => Err(format!("{option} is from 1kbit to 100gbit, not {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_scenario_of_ones_own() {
        let args = parse("--delay 640ms --loss 40% --rate 64kbit --correlation 25% --objects 12");
        let scenario = args.unwrap().unwrap().custom.unwrap();
        let Conditions { delay, deviation, loss, correlation, rate } = scenario.conditions;
        assert_eq!((delay, deviation), (Duration::from_millis(640), 0.0));
        assert_eq!((loss, correlation, rate), (0.4, 0.25, Some(64_000)));
        assert_eq!((scenario.objects, scenario.nodes), (12, 30));
    }

    #[test]
    fn names_choose_and_nothing_means_all() {
        let args = parse("loss S3 --quick").unwrap().unwrap();
        assert!(
            args.wants("loss") && args.wants("S3") && !args.wants("S4") && !args.wants("delay")
        );
        assert_eq!(args.seeds, 3);
        let args = parse("").unwrap().unwrap();
        assert!(args.wants("delay") && args.wants("S8") && args.seeds == 20);
        assert!(parse("targets").unwrap().unwrap().wants("S5"));
        assert!(parse("loss --help").unwrap().is_none());
    }

    #[test]
    fn nonsense_is_told_what_is_wrong_with_it() {
        for (line, complaint) in [
            ("--loss 40", "--loss takes a percentage such as 40%, not 40"),
            ("--loss 100%", "--loss is less than 100%, not 100%"),
            ("--delay 5", "--delay takes a time such as 640ms or 1.5s, not 5"),
            ("--delay 2000s", "--delay is at most 60s, not 2000s"),
            ("--rate 5parsec", "--rate takes a rate such as 64kbit or 1mbit, not 5parsec"),
            ("--rate 1bit", "--rate is from 1kbit to 100gbit, not 1bit"),
            ("--nodes 1", "--nodes is from 2 to 2000, not 1"),
            ("--seeds many", "--seeds takes a whole number, not many"),
            ("--delay", "--delay needs a value"),
            ("--frobnicate", "unknown option --frobnicate"),
            ("loss --delay 5ms", "loss has its own scenarios"),
            ("frobnicate", "frobnicate is none of delay, loss"),
        ] {
            let told = parse(line).unwrap_err();
            assert!(told.starts_with(complaint), "{line}: {told}");
        }
    }
}
