//! The numbers of membership, for each kind of network, with their reasons.
//!
//! What they come to is measured in a simulated world: how much an idle node sends, how soon a
//! death is known everywhere, how many are suspected or given up wrongly.

use core::time::Duration;

use super::Profile;

/// How often, how long, how patient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    /// Between the pings of one node. Each costs some 260 bytes on the wire: ping, ack and
    /// QUIC's acknowledgement of the ack.
    pub(super) interval: Duration,
    /// Every so many pings go to the successor on the ring, whatever the others' turn: so nobody
    /// stays unprobed for long, which chance alone would allow.
    pub(super) ring_every: u32,
    /// How long a probe may take, repetitions and the help of others included.
    pub(super) period: Duration,
    /// The least time after which a ping is repeated.
    pub(super) retry: Duration,
    /// Pings that go unanswered before others are asked to try.
    pub(super) tries_alone: u32,
    /// The least time between the pings to a suspect.
    pub(super) retry_suspect: Duration,
    /// How long a suspicion stands at least, when enough others share it.
    pub(super) suspicion_min: Duration,
    /// How long it stands at most, when nobody does.
    pub(super) suspicion_max: Duration,
    /// Who was heard from so lately is not suspected on hearsay.
    pub(super) fresh: Duration,
    /// How long a member that should have a link may be without.
    pub(super) unlinked: Duration,
    /// Between the rounds in which news is sent to a few peers at once.
    pub(super) round: Duration,
    /// The most that a node which finds nobody stretches its own times (Lifeguard): by so many
    /// halves.
    pub(super) health_max: u32,
}

/// One site. Serf's profile for it sends 8 to 10 kB/s with 30 nodes in all; this one less.
const LAN: Tuning = Tuning {
    interval: Duration::from_millis(1_100),
    ring_every: 4,
    period: Duration::from_millis(1_000),
    retry: Duration::from_millis(150),
    tries_alone: 2,
    retry_suspect: Duration::from_millis(250),
    suspicion_min: Duration::from_millis(2_000),
    suspicion_max: Duration::from_millis(10_000),
    fresh: Duration::from_millis(750),
    unlinked: Duration::from_millis(3_000),
    round: Duration::from_millis(100),
    health_max: 2,
};

/// Half of all packets may be lost: a ping and its ack then come through one time in four, and ten
/// tries fail one time in eighteen.
const MESH: Tuning = Tuning {
    interval: Duration::from_millis(1_000),
    ring_every: 4,
    period: Duration::from_millis(4_000),
    retry: Duration::from_millis(300),
    tries_alone: 5,
    retry_suspect: Duration::from_millis(500),
    suspicion_min: Duration::from_millis(5_000),
    suspicion_max: Duration::from_millis(30_000),
    fresh: Duration::from_millis(2_000),
    unlinked: Duration::from_millis(6_000),
    round: Duration::from_millis(200),
    health_max: 2,
};

impl Tuning {
    pub(super) const fn of(profile: Profile) -> &'static Self {
        match profile {
            Profile::Lan => &LAN,
            Profile::Mesh => &MESH,
        }
    }
}

const _: () = {
    // Those who are asked have time to try.
    assert!(LAN.retry.as_micros() * 2 * LAN.tries_alone as u128 <= LAN.period.as_micros());
    assert!(MESH.retry.as_micros() * 2 * MESH.tries_alone as u128 <= MESH.period.as_micros());
    assert!(LAN.fresh.as_millis() < LAN.period.as_millis());
    assert!(MESH.fresh.as_millis() < MESH.period.as_millis());
    assert!(LAN.ring_every > 0 && MESH.ring_every > 0);
};
