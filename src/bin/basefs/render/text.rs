//! Answers as people read them.

use std::fmt::Write;

use super::table::{Cell, Table, cell, painted};
use super::{Listing, Paint, Style, count, plain};
use crate::request::{
    AuditItem, CheckItem, ConflictItem, EventItem, Item, KeyItem, Kind, MemberItem, PeerItem,
    Response, RevokeItem, Rights, StatusItem, VersionItem,
};

/// Digits of an id that are shown: enough to tell it from others, and to type.
const SHORT: usize = 8;

/// What an answer says; nothing if all is said by its having come.
pub(super) fn text(answer: &Response, style: Style) -> String {
    match answer {
        Response::Done { .. } | Response::Content { .. } => String::new(),
        Response::Granted { path, key, rights, .. } => {
            let what = verb(*rights);
            format!("{} may {what} at {} and below\n", id(key, style), plain(path))
        }
        Response::Shows { path, version } => {
            format!("{} is at version {} now\n", plain(path), id(version, style))
        }
        Response::Listing { top, items } => listing(top, items, style),
        Response::Version { id, text } => format!("{}\n", if style.full { text } else { id }),
        Response::Versions { versions } => version_table(versions, style),
        Response::Graph { versions } => version_graph(versions, style),
        Response::Differences { differences } => {
            let lines = differences.iter().map(|difference| plain(&difference.text) + "\n");
            lines.collect()
        }
        Response::Explanation { lines, .. } => {
            lines.iter().map(|line| plain(line) + "\n").collect()
        }
        Response::Conflicts { conflicts } => conflict_list(conflicts, style),
        Response::Hidden { incomplete, cut, lost } => hidden(incomplete, cut, lost, style),
        Response::Keys { keys } => key_table(keys, style),
        Response::Revoke(revoke) => revoke_text(revoke, style),
        Response::Audit(audit) => audit_text(audit, style),
        Response::Amended { path, key, versions, .. } => {
            let versions: Vec<String> = versions.iter().map(|text| id(text, style)).collect();
            let (key, versions) = (id(key, style), versions.join(", "));
            format!("what {key} wrote up to {versions} counts again at {} and below\n", plain(path))
        }
        Response::Adopted { key, paths } => adopted(key, paths, style),
        Response::Secrets { old, dropped } => secrets(*old, *dropped),
        Response::Expulsion { node, expelled, before } => {
            let again = if expelled == before { "already" } else { "from now on" };
            let what = if *expelled { "neither accepts nor dials" } else { "talks to" };
            format!("this replica {what} {} {again}\n", id(node, style))
        }
        Response::Expelled { nodes } if nodes.is_empty() => "nobody is expelled\n".into(),
        Response::Expelled { nodes } => nodes.iter().map(|node| format!("{node}\n")).collect(),
        Response::Ticket { ticket, .. } => format!("{ticket}\n"),
        Response::Status(status) => status_text(status, style),
        Response::Members { members } => member_table(members, style),
        Response::Check(check) => check_text(check, style),
        Response::Synced { entries, holders: None } => {
            format!("here is what the others have: {}\n", count(*entries, "entry", "entries"))
        }
        Response::Synced { entries, holders: Some(holders) } => {
            let nodes = count(holders.len(), "other node holds", "other nodes hold");
            let mut text = format!("{nodes} {}\n", count(*entries, "entry", "entries"));
            text.extend(holders.iter().map(|node| format!("  {}\n", id(node, style))));
            text
        }
        Response::Event(event) => event_text(event, style),
    }
}

fn verb(rights: Rights) -> &'static str {
    match rights {
        Rights::Write => "write",
        Rights::Grant => "grant",
        Rights::All => "write and grant",
    }
}

/// The first digits of an id.
fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn id(text: &str, style: Style) -> String {
    style.paint(short(text), Paint::Id)
}

fn listing(top: &str, items: &[Item], style: Style) -> String {
    match style.listing {
        Listing::Tree => tree(top, items, style),
        Listing::Long => {
            let mut table = Table::new(style, &[1]);
            for item in items {
                let version = item.version.as_deref().map_or("-", short);
                table.row([
                    cell(kind(item)),
                    cell(item.size.to_string()),
                    painted(version, Paint::Id),
                    (below(top, &item.path).to_owned() + &suffix(item), paint(item)),
                ]);
            }
            table.text()
        }
        Listing::Short => {
            let name = |item: &Item| {
                let name = plain(below(top, &item.path));
                paint(item).map_or_else(|| name.clone(), |paint| style.paint(&name, paint)) + "\n"
            };
            items.iter().map(name).collect()
        }
    }
}

/// A path without that of the directory listed.
fn below<'p>(top: &str, path: &'p str) -> &'p str {
    let rest = path.strip_prefix(top).map(|rest| rest.trim_start_matches('/'));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(path)
}

fn kind(item: &Item) -> &'static str {
    match item.kind {
        Kind::Dir => "dir",
        Kind::Symlink => "link",
        Kind::Alias => "alias",
        Kind::File if item.executable => "program",
        Kind::File => "file",
    }
}

fn paint(item: &Item) -> Option<Paint> {
    match item.kind {
        Kind::Dir => Some(Paint::Dir),
        Kind::Symlink | Kind::Alias => Some(Paint::Link),
        Kind::File if item.executable => Some(Paint::Program),
        Kind::File => None,
    }
}

/// What stands after a name.
fn suffix(item: &Item) -> String {
    let mut text = String::new();
    if let Some(target) = &item.target {
        text = format!(" -> {target}");
    }
    if !item.here {
        text.push_str(" (content not here yet)");
    }
    text
}

fn tree(top: &str, items: &[Item], style: Style) -> String {
    let mut text = style.paint(&plain(top), Paint::Dir) + "\n";
    let depth = |item: &Item| below(top, &item.path).matches('/').count();
    // Of each level above an item, whether something follows there: known from below.
    let mut follows: Vec<bool> = Vec::new();
    let mut lines = Vec::with_capacity(items.len());
    for item in items.iter().rev() {
        let depth = depth(item);
        let is_last = !follows.get(depth).copied().unwrap_or_default();
        follows.resize(depth, false);
        let mut line: String =
            follows.iter().map(|more| if *more { "│   " } else { "    " }).collect();
        follows.push(true);
        let name = plain(item.path.rsplit('/').next().unwrap_or_default());
        let name = paint(item).map_or_else(|| name.clone(), |paint| style.paint(&name, paint));
        line.push_str(if is_last { "└── " } else { "├── " });
        lines.push(line + &name + &plain(&suffix(item)) + "\n");
    }
    lines.reverse();
    text.extend(lines);
    let dirs = items.iter().filter(|item| item.kind == Kind::Dir).count();
    let _ = writeln!(text, "{}, {}", count(dirs, "directory", "directories"), {
        count(items.len() - dirs, "file", "files")
    });
    text
}

/// A length for people.
pub(crate) fn bytes(length: u64) -> String {
    let mut unit = 1;
    for name in ["B", "KiB", "MiB", "GiB"] {
        if length < unit * 1_024 {
            return match unit {
                1 => format!("{length} {name}"),
                _ => format!("{}.{} {name}", length / unit, length % unit * 10 / unit),
            };
        }
        unit *= 1_024;
    }
    format!("{} TiB", length / unit)
}

fn who(version: &VersionItem) -> String {
    match version.label.as_str() {
        "" => short(&version.author).to_owned(),
        label => label.to_owned(),
    }
}

fn version_table(versions: &[VersionItem], style: Style) -> String {
    let mut table = Table::new(style, &[4]);
    for version in versions {
        table.row(version_cells(version));
    }
    table.text()
}

/// The versions of a path, with lines to what each was built on.
fn version_graph(versions: &[VersionItem], style: Style) -> String {
    let mut table = Table::new(style, &[5]);
    for (line, number) in super::graph::rows(versions) {
        let cells = number.map_or_else(Vec::new, |number| version_cells(&versions[number]).into());
        table.row(std::iter::once(cell(line)).chain(cells));
    }
    table.text()
}

fn version_cells(version: &VersionItem) -> [Cell; 6] {
    let status = match version.status.as_str() {
        "current" => Paint::Good,
        "superseded" => Paint::Faint,
        _ => Paint::Bad,
    };
    let renamed = version.renamed_to.as_ref().map(|to| format!(" to {to}"));
    let renamed = renamed.or(version.renamed_from.as_ref().map(|from| format!(" from {from}")));
    [
        painted(short(&version.id), Paint::Id),
        cell(when(version.time)),
        cell(who(version)),
        painted(version.status.as_str(), status),
        cell(version.size.map_or_else(String::new, |size| size.to_string())),
        cell(format!("{} {}{}", version.verb, version.path, renamed.unwrap_or_default())),
    ]
}

/// A time of the wall clock, in UTC.
fn when(millis: u64) -> String {
    let (days, seconds) = (millis / 86_400_000, millis / 1_000 % 86_400);
    // Days since 1 March of the year 0, in eras of 400 years of 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    let (hour, minute) = (seconds / 3_600, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}")
}

fn conflict_list(conflicts: &[ConflictItem], style: Style) -> String {
    if conflicts.is_empty() {
        return "nobody disagrees\n".into();
    }
    let mut text = String::new();
    for conflict in conflicts {
        let _ = writeln!(text, "{}", style.paint(&plain(&conflict.path), Paint::Strong));
        let mut table = Table::new(style, &[]);
        let losers = conflict.losers.iter().map(|loser| ("lost", loser));
        for (word, version) in std::iter::once(("shows", &conflict.winner)).chain(losers) {
            let paint = if word == "shows" { Paint::Good } else { Paint::Bad };
            table.row([
                cell(" "),
                painted(word, paint),
                painted(short(&version.id), Paint::Id),
                cell(when(version.time)),
                cell(who(version)),
                cell(version.verb.as_str()),
            ]);
        }
        text.push_str(&table.text());
    }
    text
}

/// What is shown nowhere, and why.
fn hidden(
    incomplete: &[VersionItem],
    cut: &[VersionItem],
    lost: &[VersionItem],
    style: Style,
) -> String {
    let mut text = String::new();
    for (versions, why) in [
        (incomplete, "wait for content that no peer has sent yet"),
        (cut, "do not count because of a revoke: basefs explain, amend, adopt"),
        (lost, "are in directories that have no place: basefs explain, revive"),
    ] {
        if !versions.is_empty() {
            let title = format!("{} {why}", count(versions.len(), "version", "versions"));
            let _ = writeln!(text, "{}", style.paint(&title, Paint::Strong));
            text.push_str(&version_table(versions, style));
        }
    }
    if text.is_empty() { "nothing is hidden\n".into() } else { text }
}

fn key_table(keys: &[KeyItem], style: Style) -> String {
    let mut table = Table::new(style, &[]);
    for key in keys {
        let is_root = key.granted_by.is_none();
        let state =
            if key.live { painted("live", Paint::Good) } else { painted("revoked", Paint::Bad) };
        let mut name = if is_root { "root".to_owned() } else { key.label.clone() };
        if key.own {
            name = format!("{name} (you)").trim_start().to_owned();
        }
        table.row([
            painted(short(&key.key), Paint::Id),
            state,
            cell(verb(key.rights)),
            cell(key.path.as_deref().unwrap_or("(not shown)")),
            cell(name),
        ]);
    }
    table.text()
}

fn revoke_text(revoke: &RevokeItem, style: Style) -> String {
    let plan: String = revoke.text.lines().map(|line| plain(line) + "\n").collect();
    match &revoke.revoke {
        Some(done) => {
            let mut text = format!("{plan}revoked ({})\n", id(done, style));
            if !revoke.adopted.is_empty() {
                text.push_str(&adopted(&revoke.key, &revoke.adopted, style));
            }
            if !revoke.regranted.is_empty() {
                let grants = count(revoke.regranted.len(), "grant", "grants");
                let _ = writeln!(text, "{grants} made again");
            }
            text
        }
        None => format!("{plan}Nothing was done yet: add --yes to do it.\n"),
    }
}

/// Paths that were taken over.
fn adopted(key: &str, paths: &[String], style: Style) -> String {
    let mut text: String = paths.iter().map(|path| plain(path) + "\n").collect();
    let (count, key) = (count(paths.len(), "path", "paths"), id(key, style));
    let _ = writeln!(text, "{count} taken over from {key}");
    text
}

fn secrets(old: usize, dropped: usize) -> String {
    match (old, dropped) {
        (0, 0) => "no old secret is accepted\n".into(),
        (0, dropped) => {
            let dropped = count(dropped, "old secret is", "old secrets are");
            format!("{dropped} accepted no more\n")
        }
        (old, _) => {
            let old = count(old, "old one", "old ones");
            format!(
                "a new secret lets readers in, and {old} until dropped\n  hand on the new ticket: \
                 basefs ticket; then, on every replica: basefs rotate --drop-old\n"
            )
        }
    }
}

fn audit_text(audit: &AuditItem, style: Style) -> String {
    let mut text = format!("key {}\n", audit.key);
    if audit.equivocations > 0 {
        let times = count(audit.equivocations, "time", "times");
        let line = format!("it signed two things in place of one, {times}: revoke it\n");
        text.push_str(&style.paint(&line, Paint::Bad));
    }
    for (title, body) in
        [("holds", key_table(&audit.holds, style)), ("wrote", version_table(&audit.wrote, style))]
    {
        let _ = writeln!(text, "{}", style.paint(title, Paint::Strong));
        text.push_str(if body.is_empty() { "nothing\n" } else { &body });
    }
    if !audit.cut.is_empty() {
        let _ = writeln!(text, "{} of these do not count", audit.cut.len());
    }
    text
}

fn status_text(status: &StatusItem, style: Style) -> String {
    let mut table = Table::new(style, &[]);
    let alarm = |number: usize| {
        (number.to_string(), Some(if number == 0 { Paint::Good } else { Paint::Bad }))
    };
    table.row([cell("hierarchy"), cell(status.hierarchy.as_str())]);
    table.row([cell("author"), cell(status.author.as_str())]);
    table.row([cell("node"), cell(status.node.as_str())]);
    table.row([cell("version"), cell(status.version.as_str())]);
    table.row([cell("entries"), cell(status.entries.to_string())]);
    table.row([cell("conflicts"), alarm(status.conflicts)]);
    table.row([cell("waiting for content"), alarm(status.pending)]);
    for (what, number) in [("old secrets", status.old_secrets), ("expelled nodes", status.expelled)]
    {
        if number > 0 {
            table.row([cell(what), alarm(number)]);
        }
    }
    let Some(running) = &status.running else {
        table.row([cell("running"), cell("no")]);
        return table.text();
    };
    table.row([cell("running"), cell(format!("process {}", running.pid))]);
    table.row([cell("listening"), cell(running.addresses.join(", "))]);
    table.row([cell("members"), cell(running.members.to_string())]);
    let written = bytes(running.stored_bytes);
    table.row([cell("written"), cell(format!("{written} since it runs"))]);
    if let Some(memory) = running.memory {
        table.row([cell("memory"), cell(bytes(memory * 1_024))]);
    }
    if let Some(cpu) = running.cpu {
        let (seconds, tenths) = (cpu / 1_000, cpu / 100 % 10);
        table.row([cell("processor"), cell(format!("{seconds}.{tenths} s since it runs"))]);
    }
    table.text() + &peer_table(&running.peers, style)
}

fn peer_table(peers: &[PeerItem], style: Style) -> String {
    let mut table = Table::new(style, &[]);
    for peer in peers {
        let state = match (&peer.error, peer.connected) {
            (_, true) => painted("connected", Paint::Good),
            (Some(error), _) => painted(error.as_str(), Paint::Bad),
            (None, _) => painted("not connected", Paint::Faint),
        };
        let rtt = peer
            .rtt_micros
            .map_or_else(String::new, |rtt| format!("{}.{} ms", rtt / 1_000, rtt / 100 % 10));
        table.row([
            cell("peer"),
            painted(short(&peer.node), Paint::Id),
            cell(peer.standing.as_str()),
            cell(format!("{} s", peer.since / 1_000)),
            cell(rtt),
            cell(peer.sent.map_or_else(String::new, |sent| format!("sent {}", bytes(sent)))),
            cell(
                peer.received.map_or_else(String::new, |came| format!("received {}", bytes(came))),
            ),
            state,
        ]);
    }
    table.text()
}

fn member_table(members: &[MemberItem], style: Style) -> String {
    if members.is_empty() {
        return "nobody else is in the group yet\n".into();
    }
    let mut table = Table::new(style, &[]);
    for member in members {
        let paint = if member.state == "alive" { Paint::Good } else { Paint::Bad };
        table.row([
            painted(short(&member.node), Paint::Id),
            painted(member.state.as_str(), paint),
            cell(if member.connected { "connected" } else { "" }),
            cell(member.zone.as_str()),
            cell(member.addresses.join(", ")),
        ]);
    }
    table.text()
}

fn check_text(check: &CheckItem, style: Style) -> String {
    let mut text = format!(
        "{}, {} of {} bytes read\n",
        count(check.entries, "entry", "entries"),
        count(check.files, "file", "files"),
        check.bytes
    );
    for (lines, paint, word) in
        [(&check.problems, Paint::Bad, "problem"), (&check.notes, Paint::Id, "note")]
    {
        for line in lines {
            let _ = writeln!(text, "{}: {}", style.paint(word, paint), plain(line));
        }
    }
    if check.problems.is_empty() {
        text.push_str("nothing is damaged\n");
    }
    text
}

fn event_text(event: &EventItem, style: Style) -> String {
    let author = event.author.as_deref().map(|key| format!(" by {}", id(key, style)));
    let key = event.key.as_deref().map(|key| format!(" {}", id(key, style)));
    let warning = event.overruled.as_ref().map(|what| format!(" ({what})"));
    match (event.event.as_str(), &event.path, event.reason.as_deref()) {
        ("snapshot-end", ..) => "that is all that is there; what follows are changes\n".into(),
        ("resync", _, Some("initial")) => String::new(),
        ("resync", _, Some("foreign-cursor")) => {
            "the cursor is of another replica: this is all that is there\n".into()
        }
        ("resync", ..) => {
            "events were lost, or too much changed: this is all that is there\n".into()
        }
        (word, Some(path), _) => {
            let tail = [key, author, warning].map(Option::unwrap_or_default).concat();
            format!("{word:<8} {}{tail}\n", plain(path))
        }
        (word, ..) => format!("{word}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_units() {
        let said = [0, 1_023, 1_024, 1_700_000, 3 << 40].map(bytes);
        assert_eq!(said, ["0 B", "1023 B", "1.0 KiB", "1.6 MiB", "3 TiB"]);
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(when(0), "1970-01-01 00:00");
        assert_eq!(when(951_782_400_000), "2000-02-29 00:00");
        assert_eq!(when(1_767_225_599_000), "2025-12-31 23:59");
        assert_eq!(when(1_772_323_200_000), "2026-03-01 00:00");
    }
}
