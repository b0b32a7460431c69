//! What a node takes and how far it is, as it goes: `basefs resources`, and `basefs status --every`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::args::Resources;
use crate::failure::Failure;
use crate::place::Place;
use crate::render::width::{clip, fit, rows};
use crate::render::{Paint, Style, Table, bytes, cell, count, painted, plain, show_status};
use crate::request::{PeerItem, Request, Response, RunningItem, StatusItem};
use crate::session::Session;
use crate::tell::output;
use crate::verbs::RUN_FIRST;

/// For how long the first numbers are measured: soon enough for whoever waits, and long enough for
/// the clock of the processor, which ticks a hundred times a second.
const FIRST: Duration = Duration::from_millis(500);

/// What a node takes, over a while.
#[derive(Debug, Serialize)]
struct Sample {
    /// Milliseconds since 1970.
    time: u64,
    /// Milliseconds that the rates are of.
    interval: u64,
    /// Thousandths of one processor, where the system tells.
    cpu_permille: Option<u64>,
    /// Bytes of memory, where the system tells.
    memory: Option<u64>,
    /// Bytes a second to peers, from peers, and to the store.
    sent: u64,
    received: u64,
    written: u64,
    entries: usize,
    conflicts: usize,
    /// What is not here and is known of: contents, and entries that others refer to.
    wanted: usize,
    waiting: usize,
    /// Milliseconds since which some connected peer has what this node lacks.
    lag: u64,
    /// Peers that are connected, and of those, the ones that lack what this node has.
    connected: usize,
    behind: usize,
    peers: Vec<PeerSample>,
}

/// What goes over one connection.
#[derive(Debug, Serialize)]
struct PeerSample {
    node: String,
    connected: bool,
    standing: String,
    /// Milliseconds since that is so.
    since: u64,
    rtt_micros: Option<u64>,
    /// Bytes a second.
    sent: u64,
    received: u64,
    /// Bytes that wait to be sent.
    unsent: u64,
}

/// Says what a node takes, again and again until it ends.
pub(crate) fn run(wanted: &Resources, style: Style) -> Result<(), Failure> {
    let every = Duration::from_secs(wanted.every);
    let mut screen = Screen::new(style, wanted.once);
    let mut last: Option<(Instant, StatusItem)> = None;
    samples(&wanted.name, |status| {
        let now = Instant::now();
        let Some((before, old)) = last.replace((now, status)) else {
            return Ok(Some(every.min(FIRST)));
        };
        let Some((_, status)) = &last else { return Ok(None) };
        let Some(sample) = sample(&old, status, now - before) else { return Ok(None) };
        let page = screen.is_live || wanted.once;
        screen.show(&text(&wanted.name, &sample, style.measured(), page)?)?;
        Ok((!wanted.once).then_some(every))
    })
}

/// Says how a replica and its node are, again and again until the node ends.
pub(crate) fn follow_status(place: &Place, seconds: u64, style: Style) -> Result<(), Failure> {
    let mut screen = Screen::new(style, false);
    samples(place, |status| {
        screen.show(&show_status(status, style.measured())?)?;
        Ok(Some(Duration::from_secs(seconds)))
    })
}

/// Asks a node how it is until it ends, or until `each` names no time to wait.
fn samples(
    place: &Place,
    mut each: impl FnMut(StatusItem) -> Result<Option<Duration>, Failure>,
) -> Result<(), Failure> {
    let session = Session::open(place)?;
    if matches!(session, Session::Here(_)) {
        return Err(Failure::unavailable(RUN_FIRST).about(place));
    }
    loop {
        let Response::Status(status) = session.ask(Request::Status)?.head else {
            return Err(Failure::failed("the node answers something else\n  start it again"));
        };
        match each(*status)? {
            Some(pause) => std::thread::sleep(pause),
            None => return Ok(()),
        }
    }
}

/// Where texts are shown one after the other: on a terminal each in place of the one before.
struct Screen {
    is_live: bool,
    is_new: bool,
}

impl Screen {
    fn new(style: Style, once: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let is_live = std::io::stdout().is_terminal() && !is_dumb && !style.json && !once;
        Self { is_live, is_new: true }
    }

    fn show(&mut self, text: &str) -> Result<(), Failure> {
        if !self.is_live {
            return output(text.as_bytes());
        }
        let mut drawn = String::from(if self.is_new { "\x1b[2J\x1b[H" } else { "\x1b[H" });
        self.is_new = false;
        // The last row is where the cursor stands.
        let room = rows().map_or(usize::MAX, |rows| rows.saturating_sub(1).max(1));
        for line in text.lines().take(room) {
            drawn.push_str(line);
            // What was there before goes away; and all below.
            drawn.push_str("\x1b[K\n");
        }
        drawn.push_str("\x1b[J");
        output(drawn.as_bytes())
    }
}

/// What happened between two answers of a node; nothing if it does not run any more.
fn sample(old: &StatusItem, new: &StatusItem, took: Duration) -> Option<Sample> {
    let (before, now) = (old.running.as_ref()?, new.running.as_ref()?);
    let interval = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    // A node that was started again counts from nothing.
    let grown = |old: u64, new: u64| new.checked_sub(old).unwrap_or(new);
    let rate = |old: u64, new: u64| grown(old, new).saturating_mul(1_000) / interval;
    let earlier: BTreeMap<&str, &PeerItem> =
        before.peers.iter().map(|peer| (peer.node.as_str(), peer)).collect();
    let peers: Vec<PeerSample> = now
        .peers
        .iter()
        .map(|peer| {
            let old = earlier.get(peer.node.as_str());
            let was = |count: fn(&PeerItem) -> Option<u64>| old.and_then(|old| count(old));
            let rate = |count: fn(&PeerItem) -> Option<u64>| {
                count(peer).map_or(0, |now| rate(was(count).unwrap_or_default(), now))
            };
            PeerSample {
                node: peer.node.clone(),
                connected: peer.connected,
                standing: peer.standing.clone(),
                since: peer.since,
                rtt_micros: peer.rtt_micros,
                sent: rate(|peer| peer.sent),
                received: rate(|peer| peer.received),
                unsent: peer.unsent,
            }
        })
        .collect();
    let connected = || peers.iter().filter(|peer| peer.connected);
    let lacks = |peer: &&PeerSample| matches!(peer.standing.as_str(), "behind" | "differs");
    let has_more = |peer: &&PeerSample| matches!(peer.standing.as_str(), "ahead" | "differs");
    let cpu = |running: &RunningItem| running.cpu;
    Some(Sample {
        time: now_millis(),
        interval,
        cpu_permille: cpu(before).zip(cpu(now)).map(|(old, new)| rate(old, new)),
        memory: now.memory.map(|kib| kib.saturating_mul(1_024)),
        sent: peers.iter().map(|peer| peer.sent).sum(),
        received: peers.iter().map(|peer| peer.received).sum(),
        written: rate(before.stored_bytes, now.stored_bytes),
        entries: new.entries,
        conflicts: new.conflicts,
        wanted: now.wanted,
        waiting: now.waiting,
        lag: connected().filter(has_more).map(|peer| peer.since).max().unwrap_or_default(),
        connected: connected().count(),
        behind: connected().filter(lacks).count(),
        peers,
    })
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A sample as it is shown: a page where there is room for one, else a line.
fn text(place: &Place, sample: &Sample, style: Style, page: bool) -> Result<String, Failure> {
    if style.json {
        let line = serde_json::to_string(sample).map_err(|error| Failure::output(&error.into()))?;
        return Ok(line + "\n");
    }
    let text = if page { whole(place, sample, style) } else { line(sample) };
    let Some(columns) = style.columns else { return Ok(text) };
    if page {
        return Ok(text.lines().map(|line| clip(line, columns) + "\n").collect());
    }
    Ok(fit(&text, Some(columns)))
}

/// The numbers that matter most, each with its name.
fn numbers(sample: &Sample) -> Vec<(&'static str, String, bool)> {
    let a_second = |number: u64| format!("{}/s", bytes(number));
    let unknown = || "unknown".to_owned();
    let cpu = |permille: u64| format!("{}.{} %", permille / 10, permille % 10);
    vec![
        ("cpu", sample.cpu_permille.map_or_else(unknown, cpu), false),
        ("memory", sample.memory.map_or_else(unknown, bytes), false),
        ("sent", a_second(sample.sent), false),
        ("received", a_second(sample.received), false),
        ("written", a_second(sample.written), false),
        ("entries", sample.entries.to_string(), false),
        ("conflicts", sample.conflicts.to_string(), sample.conflicts > 0),
        ("wanted", (sample.wanted + sample.waiting).to_string(), false),
        ("lag", seconds(sample.lag), sample.lag > 0),
        ("peers", format!("{}/{}", sample.connected, sample.peers.len()), false),
        ("behind", sample.behind.to_string(), sample.behind > 0),
    ]
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1_000, millis / 100 % 10)
}

fn line(sample: &Sample) -> String {
    let numbers = numbers(sample);
    let words: Vec<String> =
        numbers.iter().map(|(name, number, _)| format!("{name} {number}")).collect();
    words.join("  ") + "\n"
}

fn whole(place: &Place, sample: &Sample, style: Style) -> String {
    let mut table = Table::new(style, &[]);
    for (name, number, is_alarm) in numbers(sample) {
        let shown = if is_alarm { painted(number, Paint::Bad) } else { cell(number) };
        table.row([cell(name), shown]);
    }
    let title = style.paint(&plain(&place.to_string()), Paint::Strong);
    let mut peers = Table::new(style, &[]);
    for peer in &sample.peers {
        let rtt = |micros: u64| format!("{}.{} ms", micros / 1_000, micros / 100 % 10);
        let waits = format!("{} wait", bytes(peer.unsent));
        let state = match peer.connected {
            true => painted(peer.standing.as_str(), Paint::Good),
            false => painted("gone", Paint::Bad),
        };
        peers.row([
            painted(peer.node.get(..8).unwrap_or(&peer.node), Paint::Id),
            state,
            cell(seconds(peer.since)),
            cell(peer.rtt_micros.map_or_else(String::new, rtt)),
            cell(format!("sent {}/s", bytes(peer.sent))),
            cell(format!("received {}/s", bytes(peer.received))),
            cell(if peer.unsent > 0 { waits } else { String::new() }),
        ]);
    }
    let heading = match sample.peers.len() {
        0 => String::new(),
        known => count(known, "peer is known", "peers are known") + "\n",
    };
    format!("{title}\n{}{heading}{}", table.text(), peers.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::When;

    fn status(sent: u64, cpu: u64, standing: &str) -> StatusItem {
        let peer = serde_json::json!({
            "node": "0011223344", "addresses": [], "connected": true, "standing": standing,
            "since": 2_500, "rtt_micros": 1_250, "sent": sent, "received": 0, "unsent": 7,
            "error": null,
        });
        let running = serde_json::json!({
            "pid": 1, "addresses": [], "waiting": 1, "unstored": 0, "wanted": 2, "members": 1,
            "peers": [peer], "stored_bytes": 0, "commits": 0, "memory": 2_048, "cpu": cpu,
        });
        serde_json::from_value(serde_json::json!({
            "hierarchy": "", "author": "", "node": "", "version": "", "entries": 3,
            "conflicts": 1, "pending": 0, "old_secrets": 0, "expelled": 0, "running": running,
        }))
        .unwrap()
    }

    #[test]
    fn rates_are_what_grew_in_a_second() {
        let (old, new) = (status(1_000, 100, "equal"), status(5_096, 600, "ahead"));
        let measured = sample(&old, &new, Duration::from_secs(2)).unwrap();
        assert_eq!((measured.sent, measured.received), (2_048, 0));
        assert_eq!((measured.cpu_permille, measured.memory), (Some(250), Some(2 << 20)));
        assert_eq!((measured.lag, measured.behind, measured.connected), (2_500, 0, 1));
        // A connection that is new counts from nothing.
        let again = sample(&new, &status(100, 600, "behind"), Duration::from_secs(1)).unwrap();
        assert_eq!((again.sent, again.lag, again.behind), (100, 0, 1));
    }

    #[test]
    fn a_page_fits_in_twenty_columns() {
        let sample = sample(&status(0, 0, "equal"), &status(9 << 40, 9, "differs"), FIRST).unwrap();
        let place: Place = "./東京/a-long-name-of-a-hierarchy".parse().unwrap();
        for color in [When::Never, When::Always] {
            let style = Style { columns: Some(20), ..Style::new(false, color) };
            let page = text(&place, &sample, style, true).unwrap();
            for line in page.lines() {
                assert!(crate::render::width::width(line) <= 20, "{line}");
            }
            assert!(page.contains("lag") && page.contains("00112233"), "{page}");
        }
    }
}
