//! The processes, seen from the one in charge.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Error;
use crate::measure::{Cluster, Seen};
use crate::network::Network;
use crate::node::SEEN;
use crate::options::Options;

/// How long an answer may take: thirty processes share a core or two.
const PATIENCE: Duration = Duration::from_secs(120);
/// Nodes that hear of all others from the one they joined do so within this time.
const TO_MEET: Duration = Duration::from_secs(10);

/// A process.
pub(crate) struct Node {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    ticket: String,
    /// Its identity on the network.
    pub(crate) id: String,
    author: String,
}

impl Node {
    /// Gives an order without waiting for the answer.
    pub(crate) fn order(&mut self, order: &str) -> Result<(), Error> {
        Ok(writeln!(self.orders, "{order}")?)
    }

    /// The next answer; an error if the process is gone or said that it failed.
    pub(crate) fn answer(&mut self) -> Result<String, Error> {
        let answer = self.answers.recv_timeout(PATIENCE)?;
        if answer.starts_with("failed") { Err(answer.into()) } else { Ok(answer) }
    }

    pub(crate) fn ask(&mut self, order: &str) -> Result<String, Error> {
        self.order(order)?;
        self.answer()
    }

    /// Ends the process as a power failure would, and gives what it had answered until then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        let gone = self.child.kill().and_then(|()| self.child.wait());
        debug_assert!(gone.is_ok(), "a child of ours can be killed");
        self.answers.iter().collect()
    }
}

/// All the processes; one that was killed is missing.
pub(crate) struct Swarm {
    pub(crate) nodes: Vec<Option<Node>>,
    network: Network,
    dirs: Vec<PathBuf>,
    /// Where each listens, found when it was first started.
    listens: Vec<String>,
    tickets: Vec<String>,
    /// Whether every node is told of all others, since they do not hear of each other by themselves.
    tells_all: bool,
    seen: Receiver<Seen>,
    seer: Sender<Seen>,
    _root: TempDir,
}

impl Drop for Swarm {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().filter_map(Option::take) {
            node.kill();
        }
    }
}

impl Swarm {
    /// Starts all, lets them meet, and lets everyone write.
    pub(crate) fn start(options: &Options, network: Network) -> Result<Self, Error> {
        let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let root = tempfile::tempdir_in(parent)?;
        let (seer, seen) = channel();
        let mut swarm = Self {
            nodes: Vec::new(),
            network,
            dirs: (0..options.nodes).map(|n| root.path().join(n.to_string())).collect(),
            listens: Vec::new(),
            tickets: Vec::new(),
            tells_all: options.tickets,
            seen,
            seer,
            _root: root,
        };
        for index in 0..options.nodes {
            let listen = swarm.network.listen(index);
            let first = swarm.tickets.first().map(|ticket| format!("join {ticket}"));
            let node = swarm.spawn(index, &listen, &first.unwrap_or("found".to_owned()))?;
            swarm.tickets.push(node.ticket.clone());
            swarm.listens.push(address(&node.ticket)?);
            swarm.nodes.push(Some(node));
        }
        swarm.prepare(options)?;
        Ok(swarm)
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    fn spawn(&self, index: usize, listen: &str, first: &str) -> Result<Node, Error> {
        let mut command = self.network.command()?;
        command.arg("--child").arg(&self.dirs[index]).arg(listen);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn()?;
        let (mut orders, out) =
            child.stdin.take().zip(child.stdout.take()).ok_or("a process without pipes")?;
        let (answer, answers) = channel();
        let seer = self.seer.clone();
        thread::spawn(move || listen_to(index, out, &answer, &seer));
        answers.recv_timeout(PATIENCE)?;
        self.network.attach(index, child.id())?;
        writeln!(orders, "{first}")?;
        let ready = answers.recv_timeout(PATIENCE)?;
        match ready.split(' ').collect::<Vec<_>>()[..] {
            ["ready", ticket, id, author] => Ok(Node {
                child,
                orders,
                answers,
                ticket: ticket.to_owned(),
                id: id.to_owned(),
                author: author.to_owned(),
            }),
            _ => Err(format!("a node said: {ready}").into()),
        }
    }

    /// Starts a process again that was killed, where it was.
    pub(crate) fn restart(&mut self, index: usize) -> Result<(), Error> {
        let other = if index == 0 { 1 } else { 0 };
        let first = format!("join {}", self.tickets[other]);
        let mut node = self.spawn(index, &self.listens[index], &first)?;
        if self.tells_all {
            for ticket in &self.tickets {
                node.ask(&format!("peer {ticket}"))?;
            }
        }
        node.ask("watch")?;
        self.nodes[index] = Some(node);
        Ok(())
    }

    fn prepare(&mut self, options: &Options) -> Result<(), Error> {
        let authors: Vec<String> = self.alive().map(|node| node.author.clone()).collect();
        let founder = self.node(0)?;
        founder.ask("found")?;
        for author in &authors[1..] {
            founder.ask(&format!("grant {author}"))?;
        }
        if !self.tells_all && !self.all_met()? {
            self.tells_all = true;
            if !options.json {
                println!("they do not hear of each other from one: each is told of all");
            }
        }
        if self.tells_all {
            let tickets = self.tickets.clone();
            for node in self.alive() {
                for ticket in &tickets {
                    node.ask(&format!("peer {ticket}"))?;
                }
            }
        }
        for node in self.alive() {
            node.order("watch")?;
        }
        for node in self.alive() {
            node.answer()?;
        }
        self.await_equal(PATIENCE)?;
        Ok(())
    }

    /// Whether, in a while, everyone knows of everyone.
    fn all_met(&mut self) -> Result<bool, Error> {
        let others = self.nodes.len() - 1;
        let begun = Instant::now();
        loop {
            let mut met = 0;
            for node in self.alive() {
                let peers = node.ask("peers")?;
                met += usize::from(peers.split_whitespace().count() >= others);
            }
            if met == self.nodes.len() || begun.elapsed() > TO_MEET {
                return Ok(met == self.nodes.len());
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until all have the same, and gives how long that took; nothing if it took too long.
    pub(crate) fn await_equal(&mut self, patience: Duration) -> Result<Option<Duration>, Error> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let digests: Result<Vec<String>, Error> =
                self.alive().map(|node| node.ask("digest")).collect();
            if digests?.windows(2).all(|two| two[0] == two[1]) {
                return Ok(Some(begun.elapsed()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }

    pub(crate) fn alive(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut().flatten()
    }

    pub(crate) fn node(&mut self, index: usize) -> Result<&mut Node, Error> {
        self.nodes[index].as_mut().ok_or_else(|| format!("node {index} was killed").into())
    }
}

/// Sorts what a process says: what its watch saw, and answers.
fn listen_to(node: usize, out: ChildStdout, answers: &Sender<String>, seer: &Sender<Seen>) {
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        let told = match line.strip_prefix(SEEN).and_then(|seen| seen.split_once(' ')) {
            Some((number, at)) => match (number.parse(), at.parse()) {
                (Ok(number), Ok(at)) => seer.send(Seen { node, number, at }).is_ok(),
                _ => true,
            },
            None => answers.send(line).is_ok(),
        };
        if !told {
            return;
        }
    }
}

/// The socket address in a ticket.
fn address(ticket: &str) -> Result<String, Error> {
    let ticket: basefs::net::Ticket = ticket.parse()?;
    let address = ticket.peers().iter().flat_map(|peer| &peer.addresses).next();
    Ok(address.ok_or("a ticket without an address")?.to_string())
}

impl Cluster for Swarm {
    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn write(&mut self, node: usize, number: u64, size: usize) -> Result<u64, Error> {
        let answer = self.node(node)?.ask(&format!("write {number} {size}"))?;
        Ok(answer.strip_prefix("wrote ").unwrap_or_default().parse()?)
    }

    fn arrivals(&self) -> &Receiver<Seen> {
        &self.seen
    }

    fn pids(&self) -> Vec<u32> {
        self.nodes.iter().flatten().map(|node| node.child.id()).collect()
    }

    fn sent_bytes(&mut self) -> Result<u64, Error> {
        if let Some(bytes) = self.network.sent_bytes(&self.pids()) {
            return Ok(bytes);
        }
        let mut sum = 0;
        for node in self.alive() {
            sum += node.ask("bytes")?.parse::<u64>()?;
        }
        Ok(sum)
    }
}
