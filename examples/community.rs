//! The main job, end to end: three replicas of one hierarchy on one machine.
//!
//! ```sh
//! cargo run --release --example community [-- DIR] [--keep]
//! ```
//!
//! The first replica founds a hierarchy and imports DIR (default `/etc`). A second and a third join
//! by ticket over loopback QUIC: they share no memory, only sockets and directories of their own.
//! The second is granted a subtree; then, disconnected, both write the same path, and the third,
//! whom nobody granted anything, tries to. Connected again, the first renames what the second edits,
//! takes a version back, and at last revokes the second. In the end all three are compared with DIR
//! file by file. Any difference makes the exit code non-zero.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

#[path = "community/administer.rs"]
mod administer;
#[path = "community/check.rs"]
mod check;
#[path = "community/import.rs"]
mod import;
#[path = "community/sabotage.rs"]
mod sabotage;
#[path = "community/table.rs"]
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use basefs::fs::Serving;
use basefs::net::QuicConfig;
use basefs::{Fs, WriteError};
use indicatif::{ProgressBar, ProgressStyle};
use table::Table;

type Error = Box<dyn std::error::Error>;

/// How long a replica may take to catch up before the run counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// The path that is written on both sides of a disconnection.
const CONTESTED: &str = "/users/ben/status";

const USAGE: &str = "\
usage: community [DIR] [--keep] [--sabotage]

  DIR         the directory to import (default /etc)
  --keep      keep the three replicas' directories and say where they are
  --sabotage  damage one file of the third replica before the comparison, to see it fail";

struct Options {
    source: PathBuf,
    keep: bool,
    sabotage: bool,
}

fn options() -> Result<Option<Options>, String> {
    let mut options = Options { source: "/etc".into(), keep: false, sabotage: false };
    let mut source = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--keep" => options.keep = true,
            "--sabotage" => options.sabotage = true,
            "--help" | "-h" => return Ok(None),
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            dir if source.is_none() => source = Some(PathBuf::from(dir)),
            other => return Err(format!("one directory is enough, {other} is a second")),
        }
    }
    options.source = source.unwrap_or(options.source);
    Ok(Some(options))
}

/// A replica on its own directory, connected or not.
struct Replica {
    name: &'static str,
    dir: PathBuf,
    fs: Fs,
    node: Option<Serving>,
    /// Bytes sent and received over all connections so far.
    wire: (u64, u64),
}

impl Replica {
    async fn connect(&mut self) -> Result<(), Error> {
        let mut config = QuicConfig::default();
        config.listen = "127.0.0.1:0".parse()?;
        self.node = Some(self.fs.serve(config).await?);
        Ok(())
    }

    /// Adds what the present connections have carried to the sums.
    fn count(&mut self) {
        let peers = self.node.as_ref().map(Serving::peers).unwrap_or_default();
        for link in peers.iter().filter_map(|peer| peer.link.as_ref()) {
            self.wire.0 += link.stats.sent;
            self.wire.1 += link.stats.received;
        }
    }

    async fn disconnect(&mut self) -> Result<(), Error> {
        match self.node.take() {
            Some(node) => Ok(node.shutdown().await?),
            None => Ok(()),
        }
    }
}

/// Counts what all have sent and received, then takes them off the network. The order matters: a
/// connection that one end has closed is gone at the other.
async fn part(replicas: &mut [Replica]) -> Result<(), Error> {
    replicas.iter_mut().for_each(Replica::count);
    for replica in replicas {
        replica.disconnect().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("community: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(differences) => {
            eprintln!("community: the replicas or the directory differ, {differences} times");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("community: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<usize, Error> {
    if !options.source.is_dir() {
        return Err(format!("{}: not a directory", options.source.display()).into());
    }
    let home = tempfile::Builder::new().prefix("basefs-community-").tempdir()?;
    let mut table = Table::default();

    let first = found(home.path(), &options.source, &mut table)?;
    let mut replicas = join(home.path(), first, &mut table).await?;
    let stranger = write_apart(&mut replicas, &mut table).await?;
    let mut differences = usize::from(!stranger);
    differences += reunite(&mut replicas, &mut table).await?;
    differences += administer::administer(&mut replicas, &mut table).await?;
    if options.sabotage {
        replicas.iter_mut().for_each(Replica::count);
        replicas = sabotage::damage_last(replicas, &options.source).await?;
    }
    differences += compare(&replicas, &options.source, &mut table)?;
    part(&mut replicas).await?;
    for replica in &replicas {
        table.wire(replica.name, replica.wire);
    }
    println!("\n{table}");
    if options.keep {
        println!("the replicas are in {}", home.keep().display());
    }
    Ok(differences)
}

fn spinner(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}

/// The first replica: a new hierarchy with the directory in it.
fn found(home: &Path, source: &Path, table: &mut Table) -> Result<Replica, Error> {
    let dir = home.join("ana");
    let fs = Fs::builder().dir(&dir).name("community").open()?;
    println!("ana founds the hierarchy {:.16}", fs.hierarchy());
    let start = Instant::now();
    let imported = import::import(&fs, source)?;
    table.imported(&imported, fs.entries(), start.elapsed());
    for (path, why) in imported.skipped.iter().take(3) {
        println!("  skipped {}: {why}", path.display());
    }
    Ok(Replica { name: "ana", dir, fs, node: None, wire: (0, 0) })
}

/// The second and the third join by ticket.
async fn join(home: &Path, mut first: Replica, table: &mut Table) -> Result<Vec<Replica>, Error> {
    first.connect().await?;
    let ticket = first.node.as_ref().ok_or("not connected")?.ticket().to_string();
    println!("ana's ticket: {}… ({} letters)", &ticket[..24.min(ticket.len())], ticket.len());
    let mut replicas = vec![first];
    for name in ["ben", "eve"] {
        let dir = home.join(name);
        let start = Instant::now();
        let fs = Fs::join(&dir, &ticket.parse()?)?;
        let mut replica = Replica { name, dir, fs, node: None, wire: (0, 0) };
        let bar = spinner(&format!("{name} joins"));
        replica.connect().await?;
        settle(&replica).await?;
        bar.finish_and_clear();
        println!("{name} joined and has {} entries", replica.fs.entries());
        table.joined(name, replica.fs.entries(), start.elapsed());
        replicas.push(replica);
    }
    Ok(replicas)
}

async fn settle(replica: &Replica) -> Result<(), Error> {
    let node = replica.node.as_ref().ok_or("not connected")?;
    Ok(node.wait_synced(PATIENCE).await?)
}

/// Ben is granted his subtree; then everybody writes while apart. Says whether the stranger was
/// kept out.
async fn write_apart(replicas: &mut [Replica], table: &mut Table) -> Result<bool, Error> {
    if let [ana, ben, eve] = &*replicas {
        ana.fs.create_dir_all("/users/ben")?;
        ana.fs.grant("/users/ben", ben.fs.author())?;
        settle(ben).await?;
        settle(eve).await?;
        ben.fs.write(CONTESTED, "ben: here")?;
        settle(ben).await?;
    }
    part(replicas).await?;
    let [ana, ben, eve] = replicas else { return Err("three replicas are expected".into()) };
    println!("all three are disconnected and write to {CONTESTED}");
    ana.fs.write(CONTESTED, "ana: ben is on leave")?;
    ben.fs.write(CONTESTED, "ben: at work")?;
    let refused = matches!(eve.fs.write(CONTESTED, "eve was here"), Err(WriteError::Denied { .. }));
    // Her own replica refuses; so do the others, should she sign an entry all the same.
    let forged = check::forged_by_stranger(&ana.fs, CONTESTED)?;
    let verdict = ana.fs.admit(&forged)?;
    let verdict = match verdict {
        basefs::log::Offered::Rejected(rule) => format!("rejected by rule {rule}"),
        other => format!("NOT REJECTED: {other:?}"),
    };
    println!("eve, a stranger, is refused by her own replica; an entry she signs is {verdict}");
    let kept_out = refused && verdict.starts_with("rejected");
    table.stranger(&verdict);
    Ok(kept_out)
}

/// Connects all, as after a disconnection, and waits until everything is everywhere.
async fn connect_again(replicas: &mut [Replica]) -> Result<(), Error> {
    // Addresses have changed: whoever joined is told the new one.
    let [ana, others @ ..] = replicas else { return Err("three replicas are expected".into()) };
    ana.connect().await?;
    let address = ana.node.as_ref().ok_or("not connected")?.address();
    for replica in &mut *others {
        replica.connect().await?;
        let node = replica.node.as_ref().ok_or("not connected")?;
        node.add_peer(address.clone());
    }
    // Twice: what ben brings to ana has to reach eve.
    for _ in 0..2 {
        for replica in &*others {
            settle(replica).await?;
        }
    }
    Ok(())
}

/// Connected again, all must agree on the contested path, for the same reason.
async fn reunite(replicas: &mut [Replica], table: &mut Table) -> Result<usize, Error> {
    let start = Instant::now();
    connect_again(replicas).await?;
    table.reunited(start.elapsed());
    let explanation = replicas[0].fs.explain(CONTESTED)?;
    println!("{explanation}");
    table.contest(&explanation);
    let first = (replicas[0].fs.read(CONTESTED)?, explanation);
    let differs = |replica: &&Replica| {
        let theirs = (replica.fs.read(CONTESTED), replica.fs.explain(CONTESTED));
        !matches!(theirs, (Ok(content), Ok(why)) if (&content, &why) == (&first.0, &first.1))
    };
    Ok(replicas.iter().filter(differs).count())
}

/// All replicas against the directory, and against each other.
fn compare(replicas: &[Replica], source: &Path, table: &mut Table) -> Result<usize, Error> {
    let mut differences = 0;
    for replica in replicas {
        let compared = check::compare(&replica.fs, source)?;
        for difference in compared.differences.iter().take(5) {
            eprintln!("{}: {difference}", replica.name);
        }
        table.compared(replica.name, &compared);
        differences += compared.differences.len();
    }
    let listing = |replica: &Replica| check::listing(&replica.fs);
    let first = listing(&replicas[0])?;
    for replica in &replicas[1..] {
        if listing(replica)? != first {
            eprintln!("{}: shows another tree than {}", replica.name, replicas[0].name);
            differences += 1;
        }
    }
    Ok(differences)
}
