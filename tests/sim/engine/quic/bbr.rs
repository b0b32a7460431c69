//! BBR as quinn has it, its deviations from the draft included: the rate is measured between one
//! acknowledgement and the next, the highest counts until a higher one comes, and a round with
//! losses is conserved.

use super::super::queue::{MILLI, Micros, SECOND};
use super::super::rng::mix;
use super::PACKET;
use super::congestion::Sample;

/// Bytes under way before anything is known.
const INITIAL: u64 = 200 * PACKET;
/// The least window.
const LEAST: u64 = 4 * PACKET;
/// Growth of startup: 2/ln 2, which doubles the rate with every round.
const HIGH_GAIN: f64 = 2.885;
/// Window relative to the measured rate, one round each: tries for more, gives way, then cruises.
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// How often the shortest round trip is measured anew, and how long that takes.
const PROBE_RTT_EVERY: Micros = 10 * SECOND;
const PROBE_RTT_FOR: Micros = 200 * MILLI;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    ProbeBw,
    ProbeRtt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    Not,
    Conservation,
    Growth,
}

/// The state of one sender. Rates are in bytes a second.
#[derive(Debug)]
pub struct Bbr {
    mode: Mode,
    recovery: Recovery,
    recovery_window: u64,
    window: u64,
    rate: u64,
    is_full: bool,
    gain: f64,
    cycle: usize,
    cycle_began: Micros,
    flight_before: u64,
    min_rtt: Micros,
    probed_rtt: Option<Micros>,
    probe_ends: Option<Micros>,
    last_sent: u64,
    largest_acked: u64,
    recovery_ends: u64,
    round_ends: u64,
    rounds: u64,
    rate_before: u64,
    rounds_without_growth: u32,
    acked: u64,
    acked_now: u64,
    lost_now: u64,
    sends: [Option<Micros>; 2],
    sent_bytes: u64,
    acked_at: Option<Micros>,
}

impl Default for Bbr {
    fn default() -> Self {
        Self {
            mode: Mode::Startup,
            recovery: Recovery::Not,
            recovery_window: 0,
            window: INITIAL,
            rate: 0,
            is_full: false,
            gain: HIGH_GAIN,
            cycle: 0,
            cycle_began: 0,
            flight_before: 0,
            min_rtt: 0,
            probed_rtt: None,
            probe_ends: None,
            last_sent: 0,
            largest_acked: 0,
            recovery_ends: 0,
            round_ends: 0,
            rounds: 0,
            rate_before: 0,
            rounds_without_growth: 0,
            acked: 0,
            acked_now: 0,
            lost_now: 0,
            sends: [None; 2],
            sent_bytes: 0,
            acked_at: None,
        }
    }
}

impl Bbr {
    pub fn window(&self) -> u64 {
        if self.mode == Mode::ProbeRtt {
            self.target(0.75)
        } else if self.recovery != Recovery::Not && self.mode != Mode::Startup {
            self.window.min(self.recovery_window)
        } else {
            self.window
        }
    }

    fn target(&self, gain: f64) -> u64 {
        let product = (gain * self.rate as f64 * self.min_rtt as f64 / 1e6) as u64;
        if product == 0 { INITIAL } else { product.max(LEAST) }
    }

    pub fn sent(&mut self, now: Micros, number: u64, bytes: u64) {
        self.last_sent = number;
        self.sends = [self.sends[1], Some(now)];
        self.sent_bytes = bytes;
    }

    fn is_rtt_old(&self, now: Micros, app_limited: bool) -> bool {
        !app_limited && self.probed_rtt.is_none_or(|last| now > last + PROBE_RTT_EVERY)
    }

    pub fn acked(&mut self, sample: &Sample) {
        let (now, bytes) = (sample.now, sample.bytes);
        let before = self.acked_at.replace(now);
        if let [Some(first), Some(second)] = self.sends {
            let rate = |bytes: u64, took: Micros| (bytes * SECOND).checked_div(took);
            let sending = rate(self.sent_bytes, second - first).unwrap_or(u64::MAX);
            let arriving = before.and_then(|before| rate(bytes, now - before)).unwrap_or(0);
            if !sample.is_app_limited {
                self.rate = self.rate.max(sending.min(arriving));
            }
        }
        self.acked += bytes;
        self.acked_now += bytes;
        if self.is_rtt_old(now, sample.is_app_limited) || self.min_rtt > sample.min_rtt {
            self.min_rtt = sample.min_rtt;
        }
    }

    pub fn lost(&mut self, bytes: u64) {
        self.lost_now += bytes;
    }

    /// All of an acknowledgement was told.
    pub fn acked_all(&mut self, now: Micros, in_flight: u64, app_limited: bool, largest: u64) {
        let acked = std::mem::take(&mut self.acked_now);
        self.largest_acked = largest;
        let begins_round = acked > 0 && largest > self.round_ends;
        if begins_round {
            self.round_ends = self.last_sent;
            self.rounds += 1;
        }
        self.update_recovery(begins_round);
        if self.mode == Mode::ProbeBw {
            self.update_cycle(now, in_flight);
        }
        if begins_round && !self.is_full && !app_limited {
            self.look_at_growth();
        }
        if self.mode == Mode::Startup && self.is_full {
            (self.mode, self.gain) = (Mode::Drain, 1.0 / HIGH_GAIN);
        }
        if self.mode == Mode::Drain && in_flight <= self.target(1.0) {
            self.probe_bandwidth(now);
        }
        self.probe_rtt(now, begins_round, in_flight, app_limited);
        self.set_windows(acked, in_flight);
        self.flight_before = in_flight;
        self.lost_now = 0;
    }

    fn update_recovery(&mut self, begins_round: bool) {
        let has_losses = self.lost_now > 0;
        if has_losses {
            self.recovery_ends = self.last_sent;
        }
        if self.recovery == Recovery::Not {
            if has_losses {
                (self.recovery, self.recovery_window) = (Recovery::Conservation, 0);
                self.round_ends = self.last_sent;
            }
            return;
        }
        if self.recovery == Recovery::Conservation && begins_round {
            self.recovery = Recovery::Growth;
        }
        if !has_losses && self.largest_acked > self.recovery_ends {
            self.recovery = Recovery::Not;
        }
    }

    fn update_cycle(&mut self, now: Micros, in_flight: u64) {
        let is_short = self.flight_before < self.target(self.gain);
        let mut goes_on = now > self.cycle_began + self.min_rtt;
        goes_on &= !(self.gain > 1.0 && self.lost_now == 0 && is_short);
        goes_on |= self.gain < 1.0 && in_flight <= self.target(1.0);
        if goes_on {
            self.cycle = (self.cycle + 1) % CYCLE.len();
            self.cycle_began = now;
            let stays = self.gain < 1.0 && CYCLE[self.cycle] == 1.0 && in_flight > self.target(1.0);
            if !stays {
                self.gain = CYCLE[self.cycle];
            }
        }
    }

    fn look_at_growth(&mut self) {
        if self.rate >= (self.rate_before as f64 * 1.25) as u64 {
            (self.rate_before, self.rounds_without_growth) = (self.rate, 0);
            return;
        }
        self.rounds_without_growth += 1;
        self.is_full = self.rounds_without_growth >= 3 || self.recovery != Recovery::Not;
    }

    fn probe_bandwidth(&mut self, now: Micros) {
        (self.mode, self.cycle_began) = (Mode::ProbeBw, now);
        // Any but the second.
        let start = usize::try_from(mix(now ^ self.acked) % 7).expect("it is below seven");
        self.cycle = if start >= 1 { start + 1 } else { 0 };
        self.gain = CYCLE[self.cycle];
    }

    fn probe_rtt(&mut self, now: Micros, begins_round: bool, in_flight: u64, app_limited: bool) {
        if self.is_rtt_old(now, app_limited) && self.mode != Mode::ProbeRtt {
            self.mode = Mode::ProbeRtt;
            self.gain = 1.0;
            (self.probe_ends, self.probed_rtt) = (None, Some(now));
        }
        if self.mode != Mode::ProbeRtt {
            return;
        }
        match self.probe_ends {
            None if in_flight < self.target(0.75) + PACKET => {
                self.probe_ends = Some(now + PROBE_RTT_FOR);
            }
            Some(end) if begins_round && now >= end => {
                if self.is_full {
                    self.probe_bandwidth(now);
                } else {
                    (self.mode, self.gain) = (Mode::Startup, HIGH_GAIN);
                }
            }
            _ => {}
        }
    }

    fn set_windows(&mut self, acked: u64, in_flight: u64) {
        let high = matches!(self.mode, Mode::Startup | Mode::Drain);
        if self.mode != Mode::ProbeRtt {
            if self.is_full {
                let target = self.target(if high { HIGH_GAIN } else { 2.0 });
                self.window = target.min(self.window + acked);
            } else {
                self.window += acked;
            }
            self.window = self.window.max(LEAST);
        }
        if self.recovery == Recovery::Not {
            return;
        }
        if self.recovery_window == 0 {
            self.recovery_window = LEAST.max(in_flight + acked);
            return;
        }
        let left = self.recovery_window.checked_sub(self.lost_now);
        self.recovery_window = left.unwrap_or(PACKET);
        if self.recovery == Recovery::Growth {
            self.recovery_window += acked;
        }
        self.recovery_window = self.recovery_window.max(in_flight + acked).max(LEAST);
    }
}
