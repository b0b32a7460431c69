//! What the processes are connected by: the loopback of the machine, one of their own, or a
//! bridge with a namespace, a rate and a loss for each.
//!
//! Namespaces are made by `unshare` and belong to the processes in them: the system removes them
//! with the last process, so there is nothing to clean up, whatever way a run ends.

use std::env;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

use crate::Error;
use crate::options::Options;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Network {
    /// The loopback that everybody uses.
    Shared,
    /// A loopback that only the cluster uses.
    Own,
    /// A namespace for each node.
    Bridged { rate: Option<String>, loss: u32 },
}

impl Network {
    /// Takes this process into a namespace of its own, where that is allowed: it begins again in
    /// there, and this does not return.
    pub(crate) fn enter(options: &Options) -> Result<Self, Error> {
        if options.inside {
            sh("ip link set lo up")?;
            if !options.netns {
                return Ok(Network::Own);
            }
            sh(
                "ip link add br0 type bridge && echo 1 > /proc/sys/net/ipv6/conf/br0/disable_ipv6 \
                && ip link set br0 up",
            )?;
            let (rate, loss) = (options.rate.clone(), options.loss);
            return Ok(Network::Bridged { rate, loss });
        }
        let ways: [&[&str]; 2] = [&["--net"], &["--map-root-user", "--net"]];
        let works = |way: &&&[&str]| {
            let mut command = Command::new("unshare");
            command.args(**way).args(["ip", "link", "set", "lo", "up"]);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        let Some(way) = ways.iter().find(works) else {
            if options.netns {
                return Err("--netns wants root, `unshare` and `ip`".into());
            }
            return Ok(Network::Shared);
        };
        let mut again = Command::new("unshare");
        again.args(*way).arg(env::current_exe()?).arg("--inside").args(env::args_os().skip(1));
        Err(replace(&mut again).into())
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Network::Shared => "on the loopback that all use: bytes are UDP payload".to_owned(),
            Network::Own => "on a loopback of their own".to_owned(),
            Network::Bridged { rate, loss } => {
                let rate = rate.as_deref().unwrap_or("any rate");
                format!("joined by a bridge, {rate}, {loss} % loss")
            }
        }
    }

    /// The command that runs this program as a node.
    pub(crate) fn command(&self) -> Result<Command, Error> {
        let program = env::current_exe()?;
        if !matches!(self, Network::Bridged { .. }) {
            return Ok(Command::new(program));
        }
        let mut command = Command::new("unshare");
        command.arg("--net").arg(program);
        Ok(command)
    }

    /// Where a node listens.
    pub(crate) fn listen(&self, index: usize) -> String {
        match self {
            Network::Bridged { .. } => format!("{}:7000", address(index)),
            _ => "127.0.0.1:0".to_owned(),
        }
    }

    /// Lays a cable from the bridge to a process that has a namespace of its own.
    pub(crate) fn attach(&self, index: usize, pid: u32) -> Result<(), Error> {
        let Network::Bridged { rate, loss } = self else { return Ok(()) };
        let cable = format!("node{index}");
        // The one before is still there for a moment if the process was killed just now.
        let mut gone = Command::new("ip");
        gone.args(["link", "delete", &cable]).stderr(Stdio::null()).status()?;
        // Without offloading: what is limited and lost are packets as they are on a wire.
        sh(&format!(
            "ip link add {cable} type veth peer name eth0 netns {pid} \
             && echo 1 > /proc/sys/net/ipv6/conf/{cable}/disable_ipv6 \
             && ip link set {cable} gso_max_segs 1 && ip link set {cable} master br0 up"
        ))?;
        inside(
            pid,
            &format!(
                "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6 \
                 && ip link set lo up && ip link set eth0 gso_max_segs 1 \
                 && ip address add {}/16 dev eth0 && ip link set eth0 up",
                address(index)
            ),
        )?;
        if let Some(rate) = rate {
            // Half a second in the queue, as in a modem; more is dropped.
            let limit = format!("root tbf rate {rate} burst 4kb latency 500ms");
            sh(&format!("tc qdisc add dev {cable} {limit}"))?;
            inside(pid, &format!("tc qdisc add dev eth0 {limit}"))?;
        }
        if *loss > 0 {
            inside(
                pid,
                &format!(
                    "nft 'add table inet wire; add chain inet wire in {{ type filter hook input \
                     priority 0; }}; add rule inet wire in iif lo accept; \
                     add rule inet wire in counter comment \"all\"; \
                     add rule inet wire in numgen random mod 100 < {loss} counter drop'"
                ),
            )?;
        }
        Ok(())
    }

    /// Bytes of all packets sent by these processes; nothing if others send on the same network.
    pub(crate) fn sent_bytes(&self, pids: &[u32]) -> Option<u64> {
        match self {
            Network::Shared => None,
            Network::Own => sent("self", "lo"),
            Network::Bridged { .. } => {
                pids.iter().map(|pid| sent(&pid.to_string(), "eth0")).sum::<Option<u64>>()
            }
        }
    }

    /// The part of packets that was dropped on the way in; nothing where none is to be.
    pub(crate) fn measured_loss(&self, pids: &[u32]) -> Option<f64> {
        let Network::Bridged { loss: 1.., .. } = self else { return None };
        let (mut all, mut dropped) = (0, 0);
        for pid in pids {
            let rules = inside(*pid, "nft list table inet wire").ok()?;
            for rule in rules.lines() {
                let Some((_, counted)) = rule.split_once("counter packets ") else { continue };
                let packets: u64 = counted.split(' ').next()?.parse().ok()?;
                if rule.contains("drop") {
                    dropped += packets;
                } else {
                    all += packets;
                }
            }
        }
        (all > 0).then(|| dropped as f64 / all as f64)
    }
}

/// Becomes another program: whoever stops this one stops that. Returns only if it cannot.
#[cfg(unix)]
fn replace(command: &mut Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

#[cfg(not(unix))]
fn replace(_: &mut Command) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Bytes that an interface in the namespace of a process has sent.
fn sent(process: &str, interface: &str) -> Option<u64> {
    let table = fs::read_to_string(format!("/proc/{process}/net/dev")).ok()?;
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(interface))?;
    line.trim_start_matches(':').split_whitespace().nth(8)?.parse().ok()
}

fn address(index: usize) -> String {
    format!("10.77.{}.{}", index / 250, index % 250 + 1)
}

/// Runs commands in the namespace of a process.
fn inside(pid: u32, script: &str) -> Result<String, Error> {
    let mut command = Command::new("nsenter");
    run(command.args(["--net", "--target", &pid.to_string(), "--", "sh", "-c", script]))
}

fn sh(script: &str) -> Result<String, Error> {
    run(Command::new("sh").args(["-c", script]))
}

fn run(command: &mut Command) -> Result<String, Error> {
    let output = command.output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?} failed: {why}").into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
