//! The command line.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: cluster [options]

  --nodes N       processes (default 30)
  --writes N      writes, each at a node drawn at random, one after the other (default 200)
  --size BYTES    of each write (default 400)
  --idle TIME     how long the idle cluster is watched, as in 30s or 500ms (default 30s)
  --serf          measure the installed serf as well, in both profiles, and compare
  --netns         a network namespace per node, joined by a bridge; wants root
  --rate RATE     with --netns: what a node can send, and receive, as tc writes it: 64kbit
  --loss PERCENT  with --netns: packets dropped on their way into a node: 30%
  --kill          kill processes at any time while others write, start them again, compare
  --kills N       how many (default: twice the nodes)
  --deaths N      of the first so many it is measured when all know of them (default 3)
  --tickets       tell every node of all others from the start, instead of one
  --dir DIR       where the replicas are kept meanwhile (default: the system's for such)
  --seed N        draw other numbers (default 1)
  --json          print an object a row";

/// What this process is to be, if not the one in charge.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) dir: PathBuf,
    /// The socket to listen at.
    pub(crate) listen: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) nodes: usize,
    pub(crate) writes: usize,
    pub(crate) size: usize,
    pub(crate) idle: Duration,
    pub(crate) serf: bool,
    pub(crate) netns: bool,
    pub(crate) rate: Option<String>,
    pub(crate) loss: u32,
    pub(crate) kill: bool,
    pub(crate) kills: Option<usize>,
    pub(crate) deaths: usize,
    pub(crate) tickets: bool,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) seed: u64,
    pub(crate) json: bool,
    /// Already in a network namespace of the cluster's own.
    pub(crate) inside: bool,
    pub(crate) child: Option<Child>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 30,
            writes: 200,
            size: 400,
            idle: Duration::from_secs(30),
            serf: false,
            netns: false,
            rate: None,
            loss: 0,
            kill: false,
            kills: None,
            deaths: 3,
            tickets: false,
            dir: None,
            seed: 1,
            json: false,
            inside: false,
            child: None,
        }
    }
}

impl Options {
    /// Nothing if help was asked for.
    pub(crate) fn from_args() -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--nodes" => options.nodes = number(&value()?)?,
                "--writes" => options.writes = number(&value()?)?,
                "--size" => options.size = number(&value()?)?,
                "--idle" => options.idle = time(&value()?)?,
                "--kills" => options.kills = Some(number(&value()?)?),
                "--deaths" => options.deaths = number(&value()?)?,
                "--seed" => options.seed = number(&value()?)?,
                "--rate" => options.rate = Some(value()?),
                "--loss" => options.loss = number(value()?.trim_end_matches('%'))?,
                "--dir" => options.dir = Some(value()?.into()),
                "--serf" => options.serf = true,
                "--netns" => options.netns = true,
                "--kill" => options.kill = true,
                "--tickets" => options.tickets = true,
                "--json" => options.json = true,
                "--inside" => options.inside = true,
                "--child" => {
                    options.child = Some(Child { dir: value()?.into(), listen: value()? });
                }
                other => return Err(format!("unknown option {other}")),
            }
        }
        options.check().map(|()| Some(options))
    }

    fn check(&self) -> Result<(), String> {
        if !(2..=250).contains(&self.nodes) {
            return Err("--nodes wants 2 to 250".to_owned());
        }
        if !(32..=450).contains(&self.size) && self.serf {
            return Err("an event of serf has 32 to 450 bytes".to_owned());
        }
        if self.loss >= 100 {
            return Err("--loss wants a percentage below 100".to_owned());
        }
        if (self.rate.is_some() || self.loss > 0) && !self.netns {
            return Err("--rate and --loss want --netns".to_owned());
        }
        if self.serf && self.netns {
            return Err("--serf is measured on loopback only, without --netns".to_owned());
        }
        Ok(())
    }

    pub(crate) fn serf_profiles(&self) -> &'static [&'static str] {
        if self.serf { &["lan", "wan"] } else { &[] }
    }

    /// The command that repeats this run.
    pub(crate) fn command(&self) -> String {
        let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--inside").collect();
        format!("cargo run --release --example cluster -- {}", args.join(" "))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number that fits here"))
}

/// `30s`, `500ms`, or seconds.
fn time(text: &str) -> Result<Duration, String> {
    if let Some(millis) = text.strip_suffix("ms") {
        return number(millis).map(Duration::from_millis);
    }
    number(text.trim_end_matches('s')).map(Duration::from_secs)
}
