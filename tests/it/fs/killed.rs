//! Nodes as processes of their own, over real QUIC, each killed at any time while all write.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use basefs::net::{QuicConfig, Ticket};
use basefs::{Fs, WriteError};

use crate::store::Random;

const PATIENCE: Duration = Duration::from_secs(60);
const NODES: usize = 3;
const KILLS: usize = 8;

const DIR: &str = "BASEFS_TEST_DIR";
/// Tickets of those to join, if any.
const JOIN: &str = "BASEFS_TEST_JOIN";
const LISTEN: &str = "BASEFS_TEST_LISTEN";
const NAME: &str = "BASEFS_TEST_NAME";
/// What begins the lines that mean something; the test harness prints too.
const MARK: &str = "node: ";

/// A node in another process.
struct Node {
    child: Child,
    orders: ChildStdin,
    lines: Receiver<String>,
    ticket: String,
    author: String,
}

impl Node {
    fn start(dir: &Path, join: &str, listen: &str, name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fs::killed::child_serves", "--ignored", "--nocapture"])
            .arg("--test-threads=1")
            .envs([(JOIN, join), (LISTEN, listen), (NAME, name)])
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let (send, lines) = channel();
        // Lines cut off by the kill do not count: only whole ones were acknowledged.
        std::thread::spawn(move || {
            let marked = out.map_while(Result::ok);
            let marked = marked.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
            marked.for_each(|line| drop(send.send(line)));
        });
        let orders = child.stdin.take().unwrap();
        let next = || lines.recv_timeout(PATIENCE).unwrap();
        let (ticket, author) = (next(), next());
        Self { child, orders, lines, ticket, author }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next line that begins so; what was acknowledged before it is kept.
    fn await_line(&self, start: &str, acknowledged: &mut BTreeSet<String>) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            match line.strip_prefix("acknowledged ") {
                Some(path) => drop(acknowledged.insert(path.to_owned())),
                None if line.starts_with(start) => return line[start.len()..].to_owned(),
                None => {}
            }
        }
    }

    /// `kill -9`.
    fn kill(mut self, acknowledged: &mut BTreeSet<String>) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let paths = self.lines.iter();
        acknowledged
            .extend(paths.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned)));
    }
}

fn address(ticket: &str) -> String {
    ticket.parse::<Ticket>().unwrap().peers()[0].addresses[0].to_string()
}

#[test]
fn nothing_acknowledged_is_lost_to_kills_at_any_time() {
    let root = tempfile::tempdir().unwrap();
    let dirs: Vec<_> = (0..NODES).map(|n| root.path().join(n.to_string())).collect();
    let mut nodes = vec![Node::start(&dirs[0], "", "127.0.0.1:0", "0-0")];
    for (n, dir) in dirs.iter().enumerate().skip(1) {
        let name = format!("{n}-0");
        let node = Node::start(dir, &nodes[0].ticket, "127.0.0.1:0", &name);
        nodes[0].order(&format!("grant {}", node.author));
        nodes.push(node);
    }
    let listens: Vec<String> = nodes.iter().map(|node| address(&node.ticket)).collect();
    let mut acknowledged = BTreeSet::new();
    for node in &nodes {
        let first = node.await_line("began", &mut acknowledged);
        assert_eq!(first, "", "everyone may write before anyone is killed");
    }
    let mut random = Random(7);
    for kill in 1..=KILLS {
        std::thread::sleep(Duration::from_millis(random.below(200) as u64));
        let victim = random.below(NODES);
        nodes.remove(victim).kill(&mut acknowledged);
        // The others notice in their own time; the killed one comes back to them.
        let others: Vec<&str> = nodes.iter().map(|node| node.ticket.as_str()).collect();
        let others = others.join(" ");
        std::thread::sleep(Duration::from_millis(random.below(50) as u64));
        let name = format!("{victim}-{kill}");
        nodes.insert(victim, Node::start(&dirs[victim], &others, &listens[victim], &name));
    }
    nodes.iter_mut().for_each(|node| node.order("stop"));
    for node in &nodes {
        node.await_line("stopped", &mut acknowledged);
    }
    let all = agreement(&mut nodes, &mut acknowledged);
    let lost: Vec<_> = acknowledged.difference(&all).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > 10 * NODES, "enough was written to lose some");
}

/// The paths that all show, once they show the same.
fn agreement(nodes: &mut [Node], acknowledged: &mut BTreeSet<String>) -> BTreeSet<String> {
    let begun = Instant::now();
    loop {
        let mut lists = nodes.iter_mut().map(|node| {
            node.order("list");
            node.await_line("list ", acknowledged)
        });
        let first = lists.next().unwrap();
        if lists.all(|list| list == first) {
            return first.split(' ').map(str::to_owned).collect();
        }
        assert!(begun.elapsed() < PATIENCE, "the replicas do not agree");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "the other process of a test"]
fn child_serves() {
    let var = |name| std::env::var(name).expect("runs only as a child of another test");
    let (dir, name) = (var(DIR), var(NAME));
    let tickets: Vec<Ticket> =
        var(JOIN).split_whitespace().map(|ticket| ticket.parse().unwrap()).collect();
    let fs = match tickets.first() {
        None => Fs::open(&dir).unwrap(),
        Some(ticket) => Fs::join(&dir, ticket).unwrap(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut config = QuicConfig::default();
    config.listen = var(LISTEN).parse().unwrap();
    let serving = runtime.block_on(fs.serve(config)).unwrap();
    tickets.iter().for_each(|ticket| serving.add_peer(ticket.peers()[0].clone()));
    println!("\n{MARK}{}\n{MARK}{}", serving.ticket(), fs.author());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (fs, stop) = (fs.clone(), Arc::clone(&stop));
        std::thread::spawn(move || write_until(&fs, &name, &stop))
    };
    let mut writer = Some(writer);
    // When the test is gone, so is this.
    for order in std::io::stdin().lines().map_while(Result::ok) {
        match order.split_once(' ') {
            Some(("grant", author)) => {
                fs.create_dir_all("/all").unwrap();
                fs.grant("/all", author.parse().unwrap()).unwrap();
            }
            None if order == "stop" => {
                stop.store(true, Ordering::Relaxed);
                writer.take().unwrap().join().unwrap();
                println!("{MARK}stopped");
            }
            _ => {
                let paths = fs.walk("/all").unwrap().filter(|entry| fs.read(entry.path()).is_ok());
                let paths: Vec<String> = paths.map(|entry| entry.path().to_owned()).collect();
                println!("{MARK}list {}", paths.join(" "));
            }
        }
    }
}

/// Writes small and large files, and says of each when it is durable.
fn write_until(fs: &Fs, name: &str, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let path = format!("/all/{name}-{number}");
        match fs.write(&path, path.repeat(1 + number % 3 * 100)) {
            Ok(_) => {
                if number == 0 {
                    println!("{MARK}began");
                }
                println!("{MARK}acknowledged {path}");
                number += 1;
            }
            // The hierarchy, or the right to write in it, is on its way.
            Err(WriteError::NotSynced | WriteError::Denied { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
