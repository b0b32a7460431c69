//! Agents of serf, doing the same: an event stands for a write.
//!
//! Its agents keep nothing and sign nothing; what is compared is how fast news spread and what
//! knowing each other costs. Spoken is their RPC protocol, msgpack over TCP, as little as it takes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::clock;
use crate::measure::{Cluster, Seen};

const PATIENCE: Duration = Duration::from_secs(60);
/// Stands before and after the number in an event, and nowhere else in it.
const MARK: u8 = b'#';

struct Agent {
    process: Child,
    rpc: String,
    /// Where events are handed in.
    orders: TcpStream,
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
            // One that has ended by itself is no reason to leave the others.
            let _ = agent.process.kill();
            let _ = agent.process.wait();
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
            let (bind, rpc) = (free_address()?, free_address()?);
            let mut command = Command::new("serf");
            command.args(["agent", "-node", &format!("node{node}"), "-profile", profile]);
            command.args(["-bind", &bind, "-rpc-addr", &rpc, "-log-level", "err"]);
            if let Some(first) = &first {
                command.args(["-retry-join", first, "-retry-interval", "1s"]);
            }
            first.get_or_insert(bind);
            let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let process = quiet.spawn()?;
            let orders = match connect(&rpc) {
                Ok(orders) => orders,
                Err(error) => {
                    agents.agents.push(Agent { process, rpc, orders: nowhere()?, next: 0 });
                    return Err(error);
                }
            };
            watch(node, &rpc, seer.clone())?;
            agents.agents.push(Agent { process, rpc, orders, next: 1 });
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

/// A socket that is connected to nobody who answers.
fn nowhere() -> Result<TcpStream, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(TcpStream::connect(listener.local_addr()?)?)
}

/// An address that was free a moment ago.
fn free_address() -> Result<String, Error> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
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

/// The next number between marks, with everything up to it taken away.
fn take_number(bytes: &mut Vec<u8>) -> Option<u64> {
    let start = bytes.iter().position(|byte| *byte == MARK)?;
    let length = bytes[start + 1..].iter().position(|byte| *byte == MARK)?;
    let taken: Vec<u8> = bytes.drain(..start + length + 2).collect();
    String::from_utf8_lossy(&taken[start + 1..=start + length]).parse().ok()
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
        let mut payload = format!("#{number}#").into_bytes();
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
        agent.orders.write_all(&order)?;
        Ok(began)
    }

    fn arrivals(&self) -> &Receiver<Seen> {
        &self.seen
    }

    fn pids(&self) -> Vec<u32> {
        self.agents.iter().map(|agent| agent.process.id()).collect()
    }

    fn sent_bytes(&mut self) -> Result<u64, Error> {
        Ok(crate::network::Network::Own.sent_bytes(&[]).unwrap_or_default())
    }
}
