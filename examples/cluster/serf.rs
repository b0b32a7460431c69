//! Agents of serf, doing the same: an event stands for a write.
//!
//! Its agents keep nothing and sign nothing; what is compared is how fast news spread and what
//! knowing each other costs. Spoken is their RPC protocol, msgpack over TCP, as little as it takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::clock;
use crate::measure::{Cluster, Seen};

const PATIENCE: Duration = Duration::from_secs(60);
/// Stands before the number in an event, and nowhere else.
const MARK: &[u8] = b"number:";
/// Digits of a number.
const DIGITS: usize = 8;

struct Agent {
    shell: Child,
    pid: u32,
    rpc: String,
    /// Where events are handed in.
    orders: Option<TcpStream>,
    /// Number of the next order.
    next: u64,
}

/// See the module.
pub(crate) struct Agents {
    agents: Vec<Agent>,
    seen: Receiver<Seen>,
}

impl Drop for Agents {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            drop(agent.shell.stdin.take());
            // One that has ended by itself is no reason to leave the others.
            let _ = agent.shell.wait();
        }
    }
}

impl Agents {
    /// Starts so many in a profile, `lan` or `wan`, and waits until all know all.
    pub(crate) fn start(count: usize, profile: &str) -> Result<Self, Error> {
        let (seer, seen) = channel();
        let mut agents = Self { agents: Vec::new(), seen };
        let mut first: Option<String> = None;
        for node in 0..count {
            let (bind, rpc) = (address(profile, 2 * node), address(profile, 2 * node + 1));
            let agent = format!(
                "agent -node node{node} -profile {profile} -bind {bind} -rpc-addr {rpc} \
                 -log-level err"
            );
            let join = first.as_ref().map(|first| format!("-retry-join {first}"));
            first.get_or_insert(bind);
            let (shell, pid) = start(&format!("{agent} {}", join.unwrap_or_default()))?;
            agents.agents.push(Agent { shell, pid, rpc, orders: None, next: 1 });
            let agent = &mut agents.agents[node];
            agent.orders = Some(connect(&agent.rpc)?);
            watch(node, &agent.rpc, seer.clone())?;
        }
        agents.await_members()?;
        Ok(agents)
    }

    fn await_members(&self) -> Result<(), Error> {
        let begun = Instant::now();
        for agent in &self.agents {
            loop {
                let mut command = Command::new("serf");
                command.args(["members", "-status", "alive", "-rpc-addr", &agent.rpc]);
                let output = command.output()?;
                let alive = String::from_utf8_lossy(&output.stdout).lines().count();
                if alive == self.agents.len() {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    return Err(format!("{} knows {alive} members only", agent.rpc).into());
                }
                thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }
}

/// Starts an agent that ends when the pipe to its shell does, however this process ends. Gives the
/// shell and the agent's own id.
fn start(arguments: &str) -> Result<(Child, u32), Error> {
    let script = format!("serf {arguments} >/dev/null 2>&1 & echo $!; cat; kill -9 $!");
    let mut shell = Command::new("sh");
    let mut shell =
        shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(shell.stdout.take().ok_or("a shell without pipes")?).read_line(&mut line)?;
    Ok((shell, line.trim().parse()?))
}

/// An address below those that the system gives to sockets by itself, another in each profile: the
/// sockets of those before may linger.
fn address(profile: &str, number: usize) -> String {
    let base = if profile == "lan" { 20_000 } else { 21_000 };
    format!("127.0.0.1:{}", base + number)
}

/// A connection with the handshake done, once the agent listens.
fn connect(rpc: &str) -> Result<TcpStream, Error> {
    let begun = Instant::now();
    let mut socket = loop {
        match TcpStream::connect(rpc) {
            Ok(socket) => break socket,
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    };
    socket.set_nodelay(true)?;
    let mut order = header("handshake", 0);
    order.push(0x81);
    put(&mut order, b"Version");
    order.push(1);
    socket.write_all(&order)?;
    Ok(socket)
}

/// Reports every event at an agent.
fn watch(node: usize, rpc: &str, seer: Sender<Seen>) -> Result<(), Error> {
    let mut socket = connect(rpc)?;
    let mut order = header("stream", 1);
    order.push(0x81);
    put(&mut order, b"Type");
    put(&mut order, b"user");
    socket.write_all(&order)?;
    thread::spawn(move || {
        let (mut waiting, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = socket.read(&mut buffer) {
            let at = clock::now();
            waiting.extend_from_slice(&buffer[..length]);
            while let Some(number) = take_number(&mut waiting) {
                if seer.send(Seen { node, number, at }).is_err() {
                    return;
                }
            }
        }
    });
    Ok(())
}

/// The next number, with everything up to it taken away.
fn take_number(bytes: &mut Vec<u8>) -> Option<u64> {
    let start = bytes.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    let digits = bytes.get(start..start + DIGITS)?;
    let number = String::from_utf8_lossy(digits).parse().ok();
    bytes.drain(..start + DIGITS);
    number
}

fn header(command: &str, seq: u64) -> Vec<u8> {
    let mut bytes = vec![0x82];
    put(&mut bytes, b"Command");
    put(&mut bytes, command.as_bytes());
    put(&mut bytes, b"Seq");
    bytes.push(0xcf);
    bytes.extend(seq.to_be_bytes());
    bytes
}

/// Appends a string of at most 65,535 bytes.
fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length @ ..32) => bytes.push(0xa0 | length),
        _ => {
            bytes.push(0xda);
            bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    bytes.extend_from_slice(text);
}

impl Cluster for Agents {
    fn len(&self) -> usize {
        self.agents.len()
    }

    fn write(&mut self, node: usize, number: u64, size: usize) -> Result<u64, Error> {
        let agent = &mut self.agents[node];
        let mut payload = [MARK, format!("{number:0DIGITS$}").as_bytes()].concat();
        payload.resize(size.max(payload.len()), b'.');
        let mut order = header("event", agent.next);
        agent.next += 1;
        order.push(0x83);
        put(&mut order, b"Name");
        // An agent drops what has the name and the time of another.
        put(&mut order, format!("write{number}").as_bytes());
        put(&mut order, b"Payload");
        put(&mut order, &payload);
        put(&mut order, b"Coalesce");
        order.push(0xc2);
        let began = clock::now();
        agent.orders.as_mut().ok_or("an agent without a connection")?.write_all(&order)?;
        Ok(began)
    }

    fn arrivals(&self) -> &Receiver<Seen> {
        &self.seen
    }

    fn pids(&self) -> Vec<u32> {
        self.agents.iter().map(|agent| agent.pid).collect()
    }

    fn sent_bytes(&mut self) -> Result<u64, Error> {
        Ok(crate::network::Network::Own.sent_bytes(&[]).unwrap_or_default())
    }
}
