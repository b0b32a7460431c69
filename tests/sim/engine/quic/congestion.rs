//! How much may be under way: three ways to decide it.

use super::super::queue::{Micros, SECOND};
use super::PACKET;

/// Which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// By measured rate and round trip; losses mean nothing.
    #[default]
    Bbr,
    /// This many bytes.
    Fixed(usize),
    /// Growing until packets are lost.
    Cubic,
}

/// The window that connections start with.
const INITIAL_WINDOW: u64 = 10 * PACKET;
/// The least window of a controller that measures.
const MIN_BBR: u64 = 4 * PACKET;
/// The least window of one that backs off.
const MIN_CUBIC: u64 = 2 * PACKET;

/// What is measured when a packet is acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub now: Micros,
    pub sent_at: Micros,
    pub bytes: u64,
    /// All bytes acknowledged when it was sent, and when the last of those was.
    pub delivered_before: u64,
    pub delivered_at: Micros,
    /// The sender had nothing more to send then.
    pub is_app_limited: bool,
    /// All bytes acknowledged now.
    pub delivered: u64,
    pub srtt: Micros,
    pub min_rtt: Micros,
    pub in_flight: u64,
}

/// The state of one direction.
#[derive(Debug)]
pub enum Controller {
    Bbr(Bbr),
    Fixed(u64),
    Cubic(Cubic),
}

impl Controller {
    pub fn new(control: Control) -> Self {
        match control {
            Control::Bbr => Self::Bbr(Bbr::default()),
            Control::Fixed(window) => Self::Fixed(window as u64),
            Control::Cubic => Self::Cubic(Cubic::default()),
        }
    }

    /// Bytes that may be under way.
    pub fn window(&self) -> u64 {
        match self {
            Self::Bbr(bbr) => bbr.window,
            Self::Fixed(window) => *window,
            Self::Cubic(cubic) => cubic.window as u64,
        }
    }

    pub fn acked(&mut self, sample: &Sample) {
        match self {
            Self::Bbr(bbr) => bbr.acked(sample),
            Self::Fixed(_) => {}
            Self::Cubic(cubic) => cubic.acked(sample),
        }
    }

    /// Packets were lost, the latest of which was sent then; `for_long` if nothing arrived for
    /// several time-outs.
    pub fn lost(&mut self, now: Micros, sent_at: Micros, for_long: bool) {
        if let Self::Cubic(cubic) = self {
            cubic.lost(now, sent_at, for_long);
        }
    }
}

/// Rounds over which the greatest rate counts.
const ROUNDS: usize = 10;
/// Growth of startup: doubles the rate with every round, with what the delay of acknowledgements
/// costs.
const STARTUP_GAIN: f64 = 2.5;
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Startup,
    Drain,
    Probe,
}

/// Rate and round trip.
#[derive(Debug)]
pub struct Bbr {
    window: u64,
    mode: Mode,
    /// The greatest rates of the last rounds, bytes per second.
    rates: [u64; ROUNDS],
    round: usize,
    /// A round ends when what is sent now is acknowledged.
    round_end: u64,
    /// The rate that startup has reached, and for how many rounds it has not grown.
    full: u64,
    full_rounds: u32,
}

impl Default for Bbr {
    fn default() -> Self {
        Self {
            window: INITIAL_WINDOW,
            mode: Mode::default(),
            rates: [0; ROUNDS],
            round: 0,
            round_end: 0,
            full: 0,
            full_rounds: 0,
        }
    }
}

impl Bbr {
    fn rate(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    fn acked(&mut self, sample: &Sample) {
        let elapsed = (sample.now - sample.delivered_at).max(sample.min_rtt).max(1);
        let rate = (sample.delivered - sample.delivered_before) * SECOND / elapsed;
        if sample.delivered_before >= self.round_end {
            self.next_round(sample);
        }
        let slot = &mut self.rates[self.round % ROUNDS];
        if !sample.is_app_limited || rate > *slot {
            *slot = rate.max(*slot);
        }
        let bdp = self.rate() as f64 * sample.min_rtt as f64 / SECOND as f64;
        if self.mode == Mode::Drain && sample.in_flight as f64 <= bdp {
            self.mode = Mode::Probe;
        }
        self.window = match self.mode {
            Mode::Startup => ((bdp * STARTUP_GAIN) as u64).max(INITIAL_WINDOW),
            Mode::Drain | Mode::Probe => ((bdp * 2.0) as u64).max(MIN_BBR),
        };
    }

    fn next_round(&mut self, sample: &Sample) {
        self.round_end = sample.delivered;
        let rate = self.rate();
        if self.mode == Mode::Startup && !sample.is_app_limited {
            if rate as f64 >= self.full as f64 * 1.25 {
                (self.full, self.full_rounds) = (rate, 0);
            } else {
                self.full_rounds += 1;
            }
            if self.full_rounds >= 3 {
                self.mode = Mode::Drain;
            }
        }
        if sample.is_app_limited {
            // What was measured earlier stays valid: nothing better could be seen.
            return;
        }
        self.round += 1;
        self.rates[self.round % ROUNDS] = 0;
    }
}

/// RFC 8312, in bytes and seconds.
#[derive(Debug)]
pub struct Cubic {
    window: f64,
    threshold: f64,
    /// The window before the last reduction.
    greatest: f64,
    /// When the last reduction was.
    since: Option<Micros>,
}

impl Default for Cubic {
    fn default() -> Self {
        let window = INITIAL_WINDOW as f64;
        Self { window, threshold: f64::INFINITY, greatest: window, since: None }
    }
}

impl Cubic {
    fn acked(&mut self, sample: &Sample) {
        let bytes = sample.bytes as f64;
        // Whoever does not use the window learns nothing from its use.
        if sample.is_app_limited || self.since.is_some_and(|since| sample.sent_at <= since) {
            return;
        }
        let Some(since) = self.since.filter(|_| self.window >= self.threshold) else {
            self.window += bytes;
            return;
        };
        let packet = PACKET as f64;
        let t = (sample.now - since + sample.srtt) as f64 / SECOND as f64;
        let k = (self.greatest * 0.3 / packet / 0.4).cbrt();
        let target = (0.4 * (t - k).powi(3) * packet + self.greatest).min(self.window * 1.5);
        let cubic = (target - self.window).max(0.0) / self.window * bytes;
        self.window += cubic;
        // As fast as the old way at least: by its time, as RFC 8312 has it and quinn does it.
        let rounds = (sample.now - since) as f64 / sample.srtt.max(1) as f64;
        let friendly = self.greatest * 0.7 + 3.0 * 0.3 / 1.7 * rounds * packet;
        self.window = self.window.max(friendly);
    }

    fn lost(&mut self, now: Micros, sent_at: Micros, for_long: bool) {
        if self.since.is_some_and(|since| sent_at <= since) {
            return;
        }
        self.since = Some(now);
        self.greatest = self.window;
        self.window = (self.window * 0.7).max(MIN_CUBIC as f64);
        self.threshold = self.window;
        if for_long {
            self.window = MIN_CUBIC as f64;
        }
    }
}
