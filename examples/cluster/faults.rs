//! Processes are killed at any time, while others and they themselves write.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::measure::Cluster;
use crate::options::Options;
use crate::random::Random;
use crate::report::{Report, Row, Target};
use crate::swarm::{Node, Swarm};

/// Numbers of these writes: far from those before.
const FIRST: u64 = 1_000_000;
/// Writes under way when a process is killed.
const UNDER_WAY: usize = 3;
/// A process is killed within this time after the writes were asked for.
const SOON: Duration = Duration::from_millis(10);
/// It is started again within this time.
const LATER: Duration = Duration::from_millis(500);
/// A death is known by then, or never.
const TO_NOTICE: Duration = Duration::from_secs(90);
const TO_AGREE: Duration = Duration::from_secs(120);

/// Kills and restarts, then compares; whether nothing was lost and all ended equal.
pub(crate) fn run(swarm: &mut Swarm, options: &Options, report: &Report) -> Result<bool, Error> {
    let mut random = Random::new(options.seed ^ 0x6b69_6c6c);
    let kills = options.kills.unwrap_or(2 * options.nodes);
    let (mut written, mut noticed) = (BTreeSet::new(), Vec::new());
    let mut next = FIRST;
    for kill in 0..kills {
        let victim = random.below(swarm.len());
        let id = kill_one(swarm, victim, &mut next, options.size, &mut random, &mut written)?;
        if kill < options.deaths {
            noticed.push(await_notice(swarm, &id)?);
        } else {
            thread::sleep(random.up_to(LATER));
        }
        swarm.restart(victim)?;
    }
    let agreed = swarm.await_equal(TO_AGREE)?;
    let mut lost = 0;
    for node in swarm.alive() {
        let here = node.ask("numbers")?;
        let here: BTreeSet<u64> = here.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        lost += written.difference(&here).count();
    }
    let asked = next - FIRST;
    rows(report, kills, (written.len(), asked), &mut noticed, lost, agreed);
    Ok(lost == 0 && agreed.is_some())
}

/// Has a few write, the victim among them every second time, and kills it at any moment. What was
/// acknowledged is added to `written`. Gives the id of the victim.
fn kill_one(
    swarm: &mut Swarm,
    victim: usize,
    next: &mut u64,
    size: usize,
    random: &mut Random,
    written: &mut BTreeSet<u64>,
) -> Result<String, Error> {
    let mut asked: Vec<(usize, u64)> = Vec::new();
    for n in 0..UNDER_WAY {
        let writer =
            if n == 0 && random.below(2) == 0 { victim } else { random.below(swarm.len()) };
        swarm.node(writer)?.order(&format!("write {next} {size}"))?;
        asked.push((writer, *next));
        *next += 1;
    }
    thread::sleep(random.up_to(SOON));
    let node = swarm.nodes[victim].take().ok_or("killed twice")?;
    let id = node.id.clone();
    let mut answers = node.kill().into_iter();
    for (writer, number) in asked {
        let answer = match swarm.nodes[writer].as_mut() {
            Some(writer) => Some(Node::answer(writer)?),
            None => answers.next(),
        };
        if answer.is_some_and(|answer| answer.starts_with("wrote")) {
            written.insert(number);
        }
    }
    Ok(id)
}

/// How long until nobody thinks any more to be connected to the dead.
fn await_notice(swarm: &mut Swarm, dead: &str) -> Result<Option<Duration>, Error> {
    let connected = format!("{dead}+");
    let begun = Instant::now();
    while begun.elapsed() < TO_NOTICE {
        let mut unaware = 0;
        for node in swarm.alive() {
            unaware += usize::from(node.ask("peers")?.split(' ').any(|peer| peer == connected));
        }
        if unaware == 0 {
            return Ok(Some(begun.elapsed()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

fn rows(
    report: &Report,
    kills: usize,
    (written, asked): (usize, u64),
    noticed: &mut [Option<Duration>],
    lost: usize,
    agreed: Option<Duration>,
) {
    let row = |what: String, value: f64, unit, most: f64| {
        let (limit, peer, target) = (None, None, Target::AtMost(most));
        report.row(&Row { id: "K", what, value, unit, limit, peer, target });
    };
    let seconds = |time: Option<Duration>| time.map_or(f64::INFINITY, |time| time.as_secs_f64());
    row(format!("{kills} x kill -9: lost of {written} writes"), lost as f64, "", 0.0);
    row("all equal after the last restart".to_owned(), seconds(agreed), "s", 60.0);
    if !noticed.is_empty() {
        // One that nobody noticed took longest.
        noticed.sort_by_key(|time| time.unwrap_or(Duration::MAX));
        let median = noticed[noticed.len() / 2];
        row("a death is known everywhere".to_owned(), seconds(median), "s", 20.0);
    }
    if asked == 0 {
        report.skip("K", "nothing was killed");
    }
}
