//! Packets between hosts: how long they take, which are lost, and how much fits an uplink.
//!
//! Contents stay with the caller: [`Packets::send`] says when a packet arrives, if it does, and
//! the caller has that happen.

use std::collections::BTreeMap;

use super::queue::{Micros, SECOND};
use super::rng::{Purpose, Rng};

/// IPv4 and UDP headers of a packet.
pub const OVERHEAD: u64 = 28;
/// The least that waits at an uplink before packets are dropped.
const MIN_QUEUE: u64 = 65_536;

/// How long packets are under way, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// All the same time.
    Fixed(Micros),
    /// Evenly spread around a mean.
    Uniform {
        /// The mean.
        mean: Micros,
        /// Up to this part of it less or more.
        percent: u64,
    },
}

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// None.
    None,
    /// Each with this probability.
    Independent(f64),
    /// As the network emulator of Linux does it: `P_n = c · P_{n-1} + (1 - c) · R`, lost if below
    /// `p`. That loses less than `p`: 23 % of nominal 30 % with a correlation of 25 %.
    Correlated {
        /// The nominal probability.
        p: f64,
        /// The correlation.
        c: f64,
    },
    /// Gilbert and Elliott's chain of a good and a bad state, one step per packet.
    Bursts {
        /// From good to bad.
        worsens: f64,
        /// From bad to good.
        recovers: f64,
        /// Loss in the good state.
        good: f64,
        /// Loss in the bad state.
        bad: f64,
    },
}

/// The way from one host to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkModel {
    /// How long packets are under way.
    pub delay: Delay,
    /// Which are lost.
    pub loss: Loss,
    /// The probability that a packet arrives twice.
    pub duplicate: f64,
    /// The probability that a packet overtakes all that are under way.
    pub reorder: f64,
}

impl LinkModel {
    /// A way that loses nothing.
    pub fn fixed(delay: Micros) -> Self {
        Self { delay: Delay::Fixed(delay), loss: Loss::None, duplicate: 0.0, reorder: 0.0 }
    }

    /// The same with loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }
}

/// What went through the network card of a host. Bytes are those of IP packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets given to the uplink and not dropped there.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that came in.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Packets sent that were lost under way: lost over sent is the effective loss.
    pub lost: u64,
    /// Packets that found the queue of the uplink full.
    pub dropped: u64,
}

/// What the loss of one direction remembers from packet to packet.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    last: f64,
    is_bad: bool,
}

/// The uplink of a host.
#[derive(Clone, Copy, Debug, Default)]
struct Egress {
    /// Bits per second; zero for no limit.
    rate: u64,
    /// Bytes that may wait.
    queue: u64,
    /// When the last packet has left.
    free_at: Micros,
}

/// When a packet arrives: never, once or twice.
pub type Arrivals = [Option<Micros>; 2];

/// The network.
#[derive(Debug)]
pub struct Packets {
    rng: Rng,
    hosts: usize,
    everywhere: LinkModel,
    ways: BTreeMap<(usize, usize), LinkModel>,
    /// By sender, then receiver.
    memories: Vec<Memory>,
    cut: Vec<bool>,
    egress: Vec<Egress>,
    counters: Vec<Counters>,
}

impl Packets {
    /// A network of so many hosts, all at the same distance.
    pub fn new(hosts: usize, model: LinkModel, seed: u64) -> Self {
        Self {
            rng: Rng::new(seed, Purpose::Network),
            hosts,
            everywhere: model,
            ways: BTreeMap::new(),
            memories: vec![Memory::default(); hosts * hosts],
            cut: vec![false; hosts * hosts],
            egress: vec![Egress::default(); hosts],
            counters: vec![Counters::default(); hosts],
        }
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// Sets the model of all pairs, also of those that have one of their own.
    pub fn set_all(&mut self, model: LinkModel) {
        self.everywhere = model;
        self.ways.clear();
    }

    /// Sets the model of one direction.
    pub fn set_one(&mut self, from: usize, to: usize, model: LinkModel) {
        self.ways.insert((from, to), model);
    }

    /// Sets the rate of a host's uplink, in bits per second, zero for no limit; and how many bytes
    /// may wait, as much as leaves in a second unless said.
    pub fn set_rate(&mut self, host: usize, rate: u64, queue: Option<u64>) {
        let queue = queue.unwrap_or((rate / 8).max(MIN_QUEUE));
        self.egress[host] = Egress { rate, queue, ..self.egress[host] };
    }

    /// Cuts or restores one direction.
    pub fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from * self.hosts + to] = cut;
    }

    /// Nothing passes between one group and all others, in either direction.
    pub fn partition(&mut self, group: &[usize]) {
        for a in 0..self.hosts {
            for b in 0..self.hosts {
                if group.contains(&a) != group.contains(&b) {
                    self.set_cut(a, b, true);
                }
            }
        }
    }

    /// A host hears and reaches nobody.
    pub fn isolate(&mut self, host: usize) {
        self.partition(&[host]);
    }

    /// All directions are open.
    pub fn heal(&mut self) {
        self.cut.fill(false);
    }

    /// What went through a host's card.
    pub fn counters(&self, host: usize) -> Counters {
        self.counters[host]
    }

    /// The sum over all hosts.
    pub fn total(&self) -> Counters {
        let mut sum = Counters::default();
        for one in &self.counters {
            sum.sent += one.sent;
            sum.sent_bytes += one.sent_bytes;
            sum.received += one.received;
            sum.received_bytes += one.received_bytes;
            sum.lost += one.lost;
            sum.dropped += one.dropped;
        }
        sum
    }

    /// How long a packet sent now waits before it has left.
    pub fn backlog(&self, host: usize, now: Micros) -> Micros {
        self.egress[host].free_at.saturating_sub(now)
    }

    /// Sends a packet of so many bytes, without the headers of IP and UDP: says when it arrives.
    pub fn send(&mut self, now: Micros, from: usize, to: usize, bytes: u64) -> Arrivals {
        let bytes = bytes + OVERHEAD;
        let Some(left) = self.leave(now, from, bytes) else {
            self.counters[from].dropped += 1;
            return [None; 2];
        };
        self.counters[from].sent += 1;
        self.counters[from].sent_bytes += bytes;
        let way = from * self.hosts + to;
        let model = *self.ways.get(&(from, to)).unwrap_or(&self.everywhere);
        if self.cut[way] || is_lost(&model.loss, &mut self.memories[way], &mut self.rng) {
            self.counters[from].lost += 1;
            return [None; 2];
        }
        let overtakes = self.rng.chance(model.reorder);
        let first = if overtakes { left } else { left + self.delay(model.delay) };
        let twice = self.rng.chance(model.duplicate);
        let second = twice.then(|| left + self.delay(model.delay));
        [Some(first), second]
    }

    /// Counts a packet that arrived.
    pub fn arrived(&mut self, to: usize, bytes: u64) {
        self.counters[to].received += 1;
        self.counters[to].received_bytes += bytes + OVERHEAD;
    }

    /// When a packet has left its host, unless there is no room for it.
    fn leave(&mut self, now: Micros, from: usize, bytes: u64) -> Option<Micros> {
        let egress = &mut self.egress[from];
        if egress.rate == 0 {
            return Some(now);
        }
        let start = egress.free_at.max(now);
        let waiting = (start - now).saturating_mul(egress.rate) / (8 * SECOND);
        if waiting + bytes > egress.queue {
            return None;
        }
        egress.free_at = start + (bytes * 8 * SECOND).div_ceil(egress.rate);
        Some(egress.free_at)
    }

    fn delay(&mut self, delay: Delay) -> Micros {
        match delay {
            Delay::Fixed(delay) => delay,
            Delay::Uniform { mean, percent } => {
                let spread = mean * percent / 100;
                mean - spread + self.rng.below(2 * spread + 1)
            }
        }
    }
}

fn is_lost(loss: &Loss, memory: &mut Memory, rng: &mut Rng) -> bool {
    match *loss {
        Loss::None => false,
        Loss::Independent(p) => rng.chance(p),
        Loss::Correlated { p, c } => {
            memory.last = c * memory.last + (1.0 - c) * rng.unit();
            memory.last < p
        }
        Loss::Bursts { worsens, recovers, good, bad } => {
            let changes = if memory.is_bad { recovers } else { worsens };
            memory.is_bad ^= rng.chance(changes);
            rng.chance(if memory.is_bad { bad } else { good })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(loss: Loss) -> f64 {
        let mut packets = Packets::new(2, LinkModel::fixed(10).with_loss(loss), 1);
        (0..20_000).for_each(|now| _ = packets.send(now, 0, 1, 100));
        packets.counters(0).lost as f64 / packets.counters(0).sent as f64
    }

    #[test]
    fn losses_are_as_stated() {
        assert!((measured(Loss::Independent(0.3)) - 0.3).abs() < 0.02);
        let correlated = measured(Loss::Correlated { p: 0.3, c: 0.25 });
        assert!((correlated - 0.23).abs() < 0.02, "{correlated}");
        let bursts = Loss::Bursts { worsens: 0.01, recovers: 0.09, good: 0.0, bad: 0.5 };
        assert!((measured(bursts) - 0.05).abs() < 0.02);
    }

    #[test]
    fn an_uplink_has_a_rate_and_a_queue() {
        let mut packets = Packets::new(2, LinkModel::fixed(1_000), 1);
        packets.set_rate(0, 1_000_000, Some(3_000));
        // 972 bytes and headers are 8,000 bits: 8 ms at this rate.
        let times: Vec<_> = (0..4).map(|_| packets.send(0, 0, 1, 972)[0]).collect();
        assert_eq!(times, [Some(9_000), Some(17_000), Some(25_000), None]);
        assert_eq!(packets.counters(0).dropped, 1);
        assert_eq!(packets.backlog(0, 4_000), 20_000);
    }

    #[test]
    fn partitions_have_directions() {
        let mut packets = Packets::new(3, LinkModel::fixed(1), 1);
        packets.set_cut(0, 1, true);
        assert_eq!(packets.send(0, 0, 1, 1)[0], None);
        assert_eq!(packets.send(0, 1, 0, 1)[0], Some(1));
        packets.heal();
        packets.isolate(2);
        assert_eq!(packets.send(0, 0, 1, 1)[0], Some(1));
        assert_eq!([packets.send(0, 2, 1, 1)[0], packets.send(0, 0, 2, 1)[0]], [None; 2]);
    }
}
