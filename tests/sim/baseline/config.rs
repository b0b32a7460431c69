//! The defaults of memberlist and Serf, from their sources.

use std::time::Duration;

/// How often a member does what, and how patient it is. The names are memberlist's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Time between two rounds of gossip.
    pub(crate) gossip_interval: Duration,
    /// Members a round goes to.
    pub(crate) gossip_nodes: usize,
    /// How long a dead member is still told what goes on.
    pub(crate) gossip_to_the_dead: Duration,
    /// Messages are sent so many times, per decimal digit of the number of members.
    pub(crate) retransmit_mult: u32,
    /// Time between two probes while the member is healthy.
    pub(crate) probe_interval: Duration,
    /// How long a direct answer may take before others are asked.
    pub(crate) probe_timeout: Duration,
    /// How many others.
    pub(crate) indirect_checks: usize,
    /// A suspect has so many probe intervals, times the logarithm of the number of members.
    pub(crate) suspicion_mult: u32,
    /// And so many times more while nobody confirms the suspicion.
    pub(crate) suspicion_max_timeout_mult: u32,
    /// Where the local health score ends.
    pub(crate) awareness_max: u32,
    /// Time between two exchanges of the whole state; none for never.
    pub(crate) push_pull_interval: Option<Duration>,
    /// How long a stream may take.
    pub(crate) stream_timeout: Duration,
    /// Bytes in a UDP packet.
    pub(crate) udp_buffer_size: usize,
    /// Time between two comparisons of logs, as the original BaseFS adds them to Serf; none for
    /// never.
    pub(crate) sync_interval: Option<Duration>,
}

impl Config {
    /// `memberlist.DefaultLANConfig`.
    pub(crate) const LAN: Self = Self {
        gossip_interval: Duration::from_millis(200),
        gossip_nodes: 3,
        gossip_to_the_dead: Duration::from_secs(30),
        retransmit_mult: 4,
        probe_interval: Duration::from_secs(1),
        probe_timeout: Duration::from_millis(500),
        indirect_checks: 3,
        suspicion_mult: 4,
        suspicion_max_timeout_mult: 6,
        awareness_max: 8,
        push_pull_interval: Some(Duration::from_secs(30)),
        stream_timeout: Duration::from_secs(10),
        udp_buffer_size: 1400,
        sync_interval: Some(Duration::from_secs(20)),
    };

    /// `memberlist.DefaultWANConfig`.
    pub(crate) const WAN: Self = Self {
        gossip_interval: Duration::from_millis(500),
        gossip_nodes: 4,
        gossip_to_the_dead: Duration::from_secs(60),
        probe_interval: Duration::from_secs(5),
        probe_timeout: Duration::from_secs(3),
        suspicion_mult: 6,
        push_pull_interval: Some(Duration::from_secs(60)),
        stream_timeout: Duration::from_secs(30),
        ..Self::LAN
    };

    /// The same without anything that repairs what gossip missed.
    pub(crate) const fn gossip_alone(mut self) -> Self {
        self.push_pull_interval = None;
        self.sync_interval = None;
        self
    }

    /// How many times a message is sent among so many members: `retransmitLimit`.
    pub(crate) fn retransmit_limit(&self, members: usize) -> u32 {
        // The logarithm of n + 1, rounded up, is the number of digits of n.
        let digits = members.checked_ilog10().map_or(0, |log| log + 1);
        self.retransmit_mult * digits
    }

    /// The least time a suspect has among so many members: `suspicionTimeout`.
    pub(crate) fn suspicion_min(&self, members: usize) -> Duration {
        let scale = (members.max(1) as f64).log10().max(1.0);
        self.probe_interval.mul_f64(f64::from(self.suspicion_mult) * scale)
    }

    /// Time between two exchanges of the whole state among so many members: `pushPullScale`.
    pub(crate) fn push_pull(&self, members: usize) -> Option<Duration> {
        const THRESHOLD: f64 = 32.0;
        let doublings = ((members as f64) / THRESHOLD).log2().ceil().max(0.0);
        self.push_pull_interval.map(|interval| interval.mul_f64(doublings + 1.0))
    }
}
