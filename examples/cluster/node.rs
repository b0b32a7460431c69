//! One process of the cluster: a replica that does what it is told on its standard input, a line
//! an order, and answers on its standard output. It ends when its input does: whoever started it
//! is gone then.

use std::io::{self, BufRead, Write};
use std::thread;
use std::time::{Duration, Instant};

use basefs::fs::{PathChange, Serving};
use basefs::id::PublicKey;
use basefs::net::{PeerAddress, QuicConfig, Ticket};
use basefs::{Fs, Watch, WatchEvent, WatchFrom};
use tokio::runtime::Runtime;

use crate::Error;
use crate::clock;
use crate::options::Child;

/// Where all write.
pub(crate) const NEWS: &str = "/news";
/// What a line about a write that is readable here begins with; all other lines are answers.
pub(crate) const SEEN: &str = "seen ";

/// How long a node waits for its hierarchy.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the node until its input ends.
pub(crate) fn run(child: &Child) -> Result<(), Error> {
    // Before anything else: the one in charge may have to lay a cable to this process first.
    say("here")?;
    let mut orders = io::stdin().lock().lines();
    let Some(first) = orders.next().transpose()? else { return Ok(()) };
    let fs = match first.split_once(' ') {
        Some(("join", ticket)) => Fs::join(&child.dir, &ticket.parse()?)?,
        _ => Fs::open(&child.dir)?,
    };
    let runtime = Runtime::new()?;
    let mut config = QuicConfig::default();
    config.listen = child.listen.parse()?;
    let serving = runtime.block_on(fs.serve(config))?;
    say(&format!("ready {} {} {}", serving.ticket(), fs.node(), fs.author()))?;
    for order in orders {
        let order = order?;
        let answer =
            follow(&order, &fs, &serving).unwrap_or_else(|error| format!("failed {error}"));
        say(&answer)?;
    }
    Ok(())
}

/// Says a line at once. Fails when nobody listens any more.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn follow(order: &str, fs: &Fs, serving: &Serving) -> Result<String, Error> {
    let words: Vec<&str> = order.split_whitespace().collect();
    Ok(match words[..] {
        ["peer", ticket] => {
            ticket.parse::<Ticket>()?.peers().iter().cloned().for_each(|peer: PeerAddress| {
                serving.add_peer(peer);
            });
            "done".to_owned()
        }
        ["found"] => {
            fs.create_dir_all(NEWS)?;
            "done".to_owned()
        }
        ["grant", author] => {
            fs.grant(NEWS, author.parse::<PublicKey>()?)?;
            "done".to_owned()
        }
        ["watch"] => {
            await_news(fs)?;
            let (fs, watch) = (fs.clone(), fs.watch(NEWS, WatchFrom::Snapshot)?);
            thread::spawn(move || tell(&fs, &watch));
            "done".to_owned()
        }
        ["write", number, size] => {
            let content = content(number, size.parse()?);
            let began = clock::now();
            fs.write(format!("{NEWS}/{number}"), content)?;
            format!("wrote {began}")
        }
        ["peers"] => peers(serving),
        ["digest"] => digest(fs)?,
        ["numbers"] => numbers(fs)?,
        ["bytes"] => {
            let links = serving.peers().into_iter().filter_map(|peer| peer.link);
            links.map(|link| link.stats.sent).sum::<u64>().to_string()
        }
        _ => format!("failed: what is {order}?"),
    })
}

/// Waits until the directory for all is here, and the right to write in it.
fn await_news(fs: &Fs) -> Result<(), Error> {
    let begun = Instant::now();
    while !fs.exists(NEWS) {
        if begun.elapsed() > PATIENCE {
            return Err("the hierarchy does not arrive".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Reports every write the moment it can be read here.
fn tell(fs: &Fs, watch: &Watch) {
    loop {
        let event = watch.next_blocking(PATIENCE);
        let at = clock::now();
        let told = match event {
            Some(WatchEvent::Change(PathChange { path, .. })) if path != NEWS => {
                let number = path.rsplit('/').next().unwrap_or_default();
                say(&format!("{SEEN}{number} {at}"))
            }
            // The directory came with what is in it.
            Some(WatchEvent::Change(_)) => {
                let all = fs.read_dir(NEWS).unwrap_or_default();
                all.iter().try_for_each(|entry| say(&format!("{SEEN}{} {at}", entry.name())))
            }
            Some(_) | None => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}

/// Every peer by id, with a `+` if it is connected.
fn peers(serving: &Serving) -> String {
    let name = |peer: basefs::net::PeerStatus| {
        format!("{}{}", peer.node, if peer.link.is_some() { "+" } else { "-" })
    };
    serving.peers().into_iter().map(name).collect::<Vec<_>>().join(" ")
}

/// A hash of all paths and versions, equal for replicas that agree.
fn digest(fs: &Fs) -> Result<String, Error> {
    let mut hasher = blake3::Hasher::new();
    for entry in fs.walk("/")? {
        let metadata = entry.metadata();
        hasher.update(
            format!("{} {:?} {}\n", entry.path(), metadata.version(), metadata.is_here())
                .as_bytes(),
        );
    }
    Ok(format!("{} {}", fs.entries(), hasher.finalize()))
}

/// The writes that can be read here, and that read as they were written.
fn numbers(fs: &Fs) -> Result<String, Error> {
    let mut numbers = Vec::new();
    for entry in fs.read_dir(NEWS)? {
        let read = fs.read(entry.path())?;
        if read == content(entry.name(), read.len()) {
            numbers.push(entry.name().to_owned());
        }
    }
    Ok(numbers.join(" "))
}

/// Bytes that differ from write to write.
fn content(number: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(number.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
