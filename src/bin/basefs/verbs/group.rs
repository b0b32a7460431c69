//! The replica, its node, and the others.

use basefs::Fs;
use basefs::entry::SignedEntry;
use basefs::fs::{PeerReport, Serving};
use basefs::gossip::{Member, MemberState};

use crate::failure::Failure;
use crate::request::{CheckItem, MemberItem, PeerItem, Response, RunningItem, StatusItem};

/// What to say where only a node knows.
pub(crate) const RUN_FIRST: &str = "no node of this hierarchy runs here, and only that can tell\n  \
                                    start it with `basefs run NAME`, or as a service (`basefs \
                                    systemd --help`)";

/// The unit of times in `/proc`: USER_HZ is 100 on every architecture that Linux runs on.
const TICK_MILLIS: u64 = 10;
/// Problems that a check names one by one; of more, the number.
const MAX_PROBLEMS: usize = 1_000;

pub(super) fn ticket(fs: &Fs, node: Option<&Serving>) -> Response {
    let ticket = node.map_or_else(|| fs.ticket(Vec::new()), Serving::ticket);
    Response::Ticket { ticket: ticket.to_string(), peers: ticket.peers().len() }
}

pub(super) fn status(fs: &Fs, node: Option<&Serving>) -> Result<Response, Failure> {
    Ok(Response::Status(Box::new(StatusItem {
        hierarchy: fs.hierarchy().to_string(),
        author: fs.author().to_string(),
        node: fs.node().to_string(),
        version: fs.version()?.id().to_string(),
        entries: fs.entries(),
        conflicts: fs.conflicts("/")?.len(),
        pending: fs.pending("/")?.len(),
        old_secrets: fs.old_secrets(),
        expelled: fs.expelled().len(),
        running: node.map(|node| running(fs, node)),
    })))
}

fn running(fs: &Fs, node: &Serving) -> RunningItem {
    let (status, store) = (node.status(), fs.store_stats());
    RunningItem {
        pid: std::process::id(),
        addresses: texts(&node.address().addresses),
        waiting: status.waiting,
        unstored: status.unstored,
        wanted: status.wanted,
        members: status.members.len(),
        peers: status.peers.iter().map(peer).collect(),
        stored_bytes: store.bytes_written,
        commits: store.commits,
        memory: memory(),
        cpu: cpu(),
    }
}

/// Milliseconds of the processor that this process took, where the system tells.
fn cpu() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program comes in brackets and may have any characters.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>().ok()?;
    Some(ticks * TICK_MILLIS)
}

/// KiB of memory that this process has, where the system tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn texts(things: &[impl ToString]) -> Vec<String> {
    things.iter().map(ToString::to_string).collect()
}

fn peer(report: &PeerReport) -> PeerItem {
    let peer = &report.peer;
    let stats = peer.link.as_ref().map(|link| &link.stats);
    PeerItem {
        node: peer.node.to_string(),
        addresses: texts(&peer.addresses),
        connected: peer.link.is_some(),
        standing: report.standing.to_string(),
        since: u64::try_from(report.since.as_millis()).unwrap_or(u64::MAX),
        rtt_micros: stats.map(|stats| stats.rtt_micros),
        sent: stats.map(|stats| stats.sent),
        received: stats.map(|stats| stats.received),
        unsent: report.unsent.bytes as u64,
        error: peer.error.as_ref().map(ToString::to_string),
    }
}

pub(super) fn members(node: Option<&Serving>) -> Result<Response, Failure> {
    let node = node.ok_or_else(|| Failure::unavailable(RUN_FIRST))?;
    Ok(Response::Members { members: node.members().iter().map(member).collect() })
}

fn member(member: &Member) -> MemberItem {
    let state = match member.state {
        MemberState::Alive => "alive",
        MemberState::Suspect => "suspect",
        MemberState::Dead => "dead",
        MemberState::Left => "left",
    };
    MemberItem {
        node: member.node.to_string(),
        state: state.to_owned(),
        addresses: texts(&member.addresses),
        zone: member.zone.clone(),
        connected: member.link.is_some(),
    }
}

/// Reads every entry and every file.
pub(super) fn check(fs: &Fs) -> Result<Response, Failure> {
    let mut found = CheckItem {
        entries: fs.entries(),
        files: 0,
        bytes: 0,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    for entry in fs.export() {
        let entry = entry.map_err(|error| error.to_string());
        let checked = entry.and_then(|bytes| {
            let entry = SignedEntry::decode(&bytes).map_err(|error| error.to_string())?;
            entry.verify().map_err(|error| error.to_string())
        });
        if let Err(what) = checked {
            found.problems.push(format!("an entry of the log: {what}"));
        }
    }
    for entry in fs.walk("/")?.filter(|entry| entry.metadata().is_file()) {
        found.files += 1;
        found.bytes += entry.metadata().len();
        match fs.read(entry.path()) {
            Ok(_) => {}
            // Removed since it was listed.
            Err(_) if !fs.exists(entry.path()) => {}
            Err(error) => found.problems.push(error.to_string()),
        }
    }
    let more = found.problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        found.problems.truncate(MAX_PROBLEMS);
        found.problems.push(format!("and {more} more"));
    }
    found.notes = notes(fs)?;
    Ok(Response::Check(found))
}

/// What somebody should look at.
fn notes(fs: &Fs) -> Result<Vec<String>, Failure> {
    let counted = [
        (fs.conflicts("/")?.len(), "paths are in conflict; see `basefs conflicts`"),
        (
            fs.pending("/")?.len(),
            "versions wait for content; run the node until a peer has sent it",
        ),
        (fs.lost_and_found().len(), "directories lost their place in the tree"),
    ];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    let mut notes: Vec<String> = counted.map(|(count, what)| format!("{count} {what}")).collect();
    if !fs.keys()?.iter().any(|info| info.is_live && info.key == fs.author()) {
        notes.push(format!(
            "this replica may write nowhere; somebody has to run: basefs grant NAME PATH {}",
            fs.author()
        ));
    }
    Ok(notes)
}
