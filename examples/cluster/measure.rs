//! What is measured, of whatever cluster.

use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::options::Options;
use crate::random::Random;

/// After this time a write that has not arrived is missing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between a write that is everywhere and the next: up to this, so that no write keeps step with
/// the rounds of a protocol.
const PAUSE: Duration = Duration::from_millis(300);
/// What starting up still sets off is not what an idle cluster costs.
const TO_SETTLE: Duration = Duration::from_secs(5);

/// A write that can be read at a node, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) node: usize,
    pub(crate) number: u64,
    /// On the common clock.
    pub(crate) at: u64,
}

/// Processes that tell each other what is new.
pub(crate) trait Cluster {
    fn len(&self) -> usize;

    /// Lets a node write, and gives the moment just before it did.
    fn write(&mut self, node: usize, number: u64, size: usize) -> Result<u64, Error>;

    fn arrivals(&self) -> &Receiver<Seen>;

    fn pids(&self) -> Vec<u32>;

    /// Bytes that all have sent to each other until now.
    fn sent_bytes(&mut self) -> Result<u64, Error>;
}

/// How writes spread: times until the last node had each.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    pub(crate) writes: usize,
    pub(crate) median_ms: f64,
    pub(crate) slowest_ms: f64,
    /// Arrivals that were waited for in vain, over all writes.
    pub(crate) missed: usize,
}

/// What a cluster costs in which nothing happens.
#[derive(Clone, Debug)]
pub(crate) struct Idle {
    /// Of one core, all processes together.
    pub(crate) cpu_percent: f64,
    pub(crate) bytes_per_second: f64,
}

/// Writes here and there, one after the other, each when the one before has arrived everywhere.
pub(crate) fn spread(
    cluster: &mut dyn Cluster,
    options: &Options,
    random: &mut Random,
) -> Result<Spread, Error> {
    let (mut times, mut missed) = (Vec::new(), 0);
    for number in 0..options.writes {
        thread::sleep(random.up_to(PAUSE));
        let writer = random.below(cluster.len());
        let number = number as u64;
        let began = cluster.write(writer, number, options.size)?;
        let (last, here) = await_everywhere(cluster, writer, number);
        missed += cluster.len() - 1 - here;
        times.push(Duration::from_nanos(last.saturating_sub(began)));
    }
    times.sort();
    let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    Ok(Spread {
        writes: times.len(),
        median_ms: millis(times.get(times.len() / 2)),
        slowest_ms: millis(times.last()),
        missed,
    })
}

/// When the last of the others had a write, and how many have it.
fn await_everywhere(cluster: &dyn Cluster, writer: usize, number: u64) -> (u64, usize) {
    let deadline = Instant::now() + PATIENCE;
    let (mut here, mut last) = (BTreeSet::new(), 0);
    while here.len() < cluster.len() - 1 {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(seen) = cluster.arrivals().recv_timeout(left) else { break };
        if seen.number == number && seen.node != writer && here.insert(seen.node) {
            last = last.max(seen.at);
        }
    }
    (last, here.len())
}

/// Watches a cluster in which nobody writes.
pub(crate) fn idle(cluster: &mut dyn Cluster, options: &Options) -> Result<Idle, Error> {
    thread::sleep(TO_SETTLE.min(options.idle));
    let pids = cluster.pids();
    let (begun, ticks, bytes) = (Instant::now(), cpu_ticks(&pids), cluster.sent_bytes()?);
    thread::sleep(options.idle);
    let seconds = begun.elapsed().as_secs_f64();
    let ticks = cpu_ticks(&pids).saturating_sub(ticks);
    let bytes = cluster.sent_bytes()?.saturating_sub(bytes);
    // A tick is 10 ms on every Linux that people run, a hundredth of a second's core.
    Ok(Idle { cpu_percent: ticks as f64 / seconds, bytes_per_second: bytes as f64 / seconds })
}

/// Processor time of some processes so far, in ticks; 0 where there is no `/proc`.
fn cpu_ticks(pids: &[u32]) -> u64 {
    let ticks = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program, in parentheses, may contain anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let user_and_system = fields.split(' ').skip(11).take(2);
        Some(user_and_system.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>())
    };
    pids.iter().filter_map(ticks).sum()
}
