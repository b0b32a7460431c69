//! A network of datagrams: delay, loss, rate, partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use super::queue::Micros;
use super::rng::Rng;

/// IPv4 and UDP headers.
pub const IP_UDP: usize = 28;

/// How packets are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    None,
    /// Each by itself.
    Independent(f64),
    /// As netem does it: `P_n = c · P_{n−1} + (1 − c) · R`, lost if it is below `p`. That loses
    /// fewer than `p` below a half, and more above.
    Correlated {
        p: f64,
        c: f64,
    },
    /// Good and bad times: the chance to turn bad and good at each packet, and the loss in each.
    GilbertElliott {
        to_bad: f64,
        to_good: f64,
        good: f64,
        bad: f64,
    },
}

/// What the way from one host to another does to a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// The mean delay, one way.
    pub delay: Duration,
    /// The delay is evenly up to this part of it more or less.
    pub deviation: f64,
    pub loss: Loss,
    /// The part of packets that arrive twice.
    pub duplicates: f64,
    /// The part of packets that overtake all that are under way.
    pub reorder: f64,
}

impl Default for Way {
    /// 20 ms there and back, and nothing else.
    fn default() -> Self {
        let delay = Duration::from_millis(10);
        Self { delay, deviation: 0.0, loss: Loss::None, duplicates: 0.0, reorder: 0.0 }
    }
}

/// What a host has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// IP bytes.
    pub bytes: u64,
    pub packets: u64,
    /// Packets that did not arrive, whatever the reason.
    pub lost: u64,
    /// IP bytes that came in.
    pub received_bytes: u64,
    pub received: u64,
}

#[derive(Clone, Debug, Default)]
struct Memory {
    /// The last `P` of correlated loss.
    last: f64,
    is_bad: bool,
}

/// The network. It does not carry packets: it says when they arrive.
pub struct Packets {
    way: Way,
    /// Ways that differ from the usual one.
    special: BTreeMap<(usize, usize), Way>,
    /// By sender, then receiver; so is `cut`.
    memory: Vec<Memory>,
    /// Bits a second that a host can send, and how many bytes may wait.
    rate: Option<(u64, usize)>,
    slow: BTreeMap<usize, (u64, usize)>,
    free_at: Vec<Micros>,
    cut: Vec<bool>,
    pub counters: Vec<Counters>,
    rng: Rng,
}

impl Packets {
    pub fn new(seed: u64, hosts: usize) -> Self {
        Self {
            way: Way::default(),
            special: BTreeMap::new(),
            memory: vec![Memory::default(); hosts * hosts],
            rate: None,
            slow: BTreeMap::new(),
            free_at: vec![0; hosts],
            cut: vec![false; hosts * hosts],
            counters: vec![Counters::default(); hosts],
            rng: Rng::new(seed, 1),
        }
    }

    /// What all ways are like from now on.
    pub fn set_way(&mut self, way: Way) {
        self.way = way;
        self.special.clear();
    }

    /// What one way is like, in one direction.
    pub fn set_way_between(&mut self, from: usize, to: usize, way: Way) {
        self.special.insert((from, to), way);
    }

    /// How many bits a second each host can send; a second's worth may wait, or 64 KiB.
    pub fn set_rate(&mut self, bits: Option<u64>) {
        let queue = |bits: u64| usize::try_from(bits / 8).unwrap_or(usize::MAX).max(65_536);
        self.rate = bits.map(|bits| (bits, queue(bits)));
    }

    /// The same for one host.
    pub fn set_rate_of(&mut self, host: usize, bits: u64, queue: usize) {
        self.slow.insert(host, (bits, queue));
    }

    fn way(&self, from: usize, to: usize) -> usize {
        from * self.counters.len() + to
    }

    /// Nothing gets from one host to another any more.
    pub fn cut(&mut self, from: usize, to: usize) {
        let way = self.way(from, to);
        self.cut[way] = true;
    }

    /// Nothing gets from one side to the other, or back.
    pub fn partition(&mut self, sides: impl Fn(usize) -> bool) {
        for from in 0..self.counters.len() {
            for to in (0..self.counters.len()).filter(|to| sides(from) != sides(*to)) {
                self.cut(from, to);
            }
        }
    }

    /// A host reaches and hears nobody.
    pub fn isolate(&mut self, host: usize) {
        self.partition(|other| other == host);
    }

    /// Undoes all cuts.
    pub fn heal(&mut self) {
        self.cut.fill(false);
    }

    /// Counts a packet that came in, of so many bytes, IP headers included.
    pub fn arrived(&mut self, host: usize, bytes: usize) {
        self.counters[host].received += 1;
        self.counters[host].received_bytes += bytes as u64;
    }

    /// The part of packets that were lost so far.
    pub fn effective_loss(&self) -> f64 {
        let (lost, sent) = self
            .counters
            .iter()
            .fold((0, 0), |(lost, sent), one| (lost + one.lost, sent + one.packets));
        lost as f64 / (sent.max(1)) as f64
    }

    /// A host sends a packet of so many bytes, IP headers included; gives when it arrives, perhaps
    /// twice, perhaps never.
    pub fn send(
        &mut self,
        now: Micros,
        from: usize,
        to: usize,
        bytes: usize,
    ) -> [Option<Micros>; 2] {
        let counter = &mut self.counters[from];
        counter.bytes += bytes as u64;
        counter.packets += 1;
        let mut leaves = now;
        if let Some((bits, queue)) = self.slow.get(&from).copied().or(self.rate) {
            let free_at = &mut self.free_at[from];
            let waiting = free_at.saturating_sub(now) * bits / 8_000_000;
            if waiting > queue as u64 {
                counter.lost += 1;
                return [None, None];
            }
            *free_at = now.max(*free_at) + bytes as u64 * 8_000_000 / bits;
            leaves = *free_at;
        }
        let index = self.way(from, to);
        let special = if self.special.is_empty() { None } else { self.special.get(&(from, to)) };
        let way = special.copied().unwrap_or(self.way);
        if self.cut[index] || is_lost(way.loss, &mut self.memory[index], &mut self.rng) {
            self.counters[from].lost += 1;
            return [None, None];
        }
        let mut arrival = || {
            let part = 1.0 + way.deviation * (2.0 * self.rng.unit() - 1.0);
            leaves + (way.delay.as_micros() as f64 * part) as u64
        };
        let first = arrival();
        let first = if self.rng.chance(way.reorder) { leaves } else { first };
        let twice = way.duplicates > 0.0 && self.rng.unit() < way.duplicates;
        [Some(first), twice.then_some(first + 1_000)]
    }
}

fn is_lost(loss: Loss, memory: &mut Memory, rng: &mut Rng) -> bool {
    match loss {
        Loss::None => false,
        Loss::Independent(p) => rng.chance(p),
        Loss::Correlated { p, c } => {
            memory.last = c * memory.last + (1.0 - c) * rng.unit();
            memory.last < p
        }
        Loss::GilbertElliott { to_bad, to_good, good, bad } => {
            let turn = if memory.is_bad { to_good } else { to_bad };
            memory.is_bad ^= rng.chance(turn);
            rng.chance(if memory.is_bad { bad } else { good })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(loss: Loss) -> f64 {
        let mut packets = Packets::new(1, 2);
        packets.set_way(Way { loss, ..Way::default() });
        (0..20_000).for_each(|now| _ = packets.send(now, 0, 1, 100));
        packets.effective_loss()
    }

    #[test]
    fn losses_are_as_stated() {
        assert!((measured(Loss::Independent(0.3)) - 0.3).abs() < 0.02);
        let correlated = measured(Loss::Correlated { p: 0.3, c: 0.25 });
        assert!((correlated - 0.23).abs() < 0.02, "{correlated}");
        let bursts = Loss::GilbertElliott { to_bad: 0.01, to_good: 0.09, good: 0.0, bad: 0.5 };
        assert!((measured(bursts) - 0.05).abs() < 0.02);
    }

    #[test]
    fn an_uplink_has_a_rate_and_a_queue() {
        let mut packets = Packets::new(1, 2);
        packets.set_rate_of(0, 1_000_000, 2_000);
        // 1,000 bytes take 8 ms at this rate; and then 10 ms to arrive.
        let times: Vec<_> = (0..5).map(|_| packets.send(0, 0, 1, 1_000)[0]).collect();
        assert_eq!(times, [Some(18_000), Some(26_000), Some(34_000), None, None]);
        assert_eq!(packets.counters[0].lost, 2);
    }

    #[test]
    fn cuts_have_directions() {
        let mut packets = Packets::new(1, 3);
        packets.cut(0, 1);
        assert_eq!(packets.send(0, 0, 1, 1)[0], None);
        assert_eq!(packets.send(0, 1, 0, 1)[0], Some(10_000));
        packets.heal();
        packets.isolate(2);
        assert_eq!(packets.send(0, 0, 1, 1)[0], Some(10_000));
        assert_eq!([packets.send(0, 2, 1, 1)[0], packets.send(0, 0, 2, 1)[0]], [None; 2]);
    }
}
