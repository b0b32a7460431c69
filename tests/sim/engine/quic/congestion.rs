//! How much may be under way: three ways to decide it.

use super::super::queue::{Micros, SECOND};
use super::PACKET;
use super::bbr::Bbr;

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
/// The least window of one that backs off.
const MIN_CUBIC: u64 = 2 * PACKET;

/// What is measured when a packet is acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub now: Micros,
    pub sent_at: Micros,
    pub bytes: u64,
    /// The sender has nothing more to send.
    pub is_app_limited: bool,
    pub srtt: Micros,
    pub min_rtt: Micros,
}

/// The state of one direction.
#[derive(Debug)]
pub enum Controller {
    Bbr(Box<Bbr>),
    Fixed(u64),
    Cubic(Cubic),
}

impl Controller {
    pub fn new(control: Control) -> Self {
        match control {
            Control::Bbr => Self::Bbr(Box::default()),
            Control::Fixed(window) => Self::Fixed(window as u64),
            Control::Cubic => Self::Cubic(Cubic::default()),
        }
    }

    /// Bytes that may be under way.
    pub fn window(&self) -> u64 {
        match self {
            Self::Bbr(bbr) => bbr.window(),
            Self::Fixed(window) => *window,
            Self::Cubic(cubic) => cubic.window as u64,
        }
    }

    /// A packet that wants an acknowledgement was sent.
    pub fn sent(&mut self, now: Micros, number: u64, bytes: u64) {
        if let Self::Bbr(bbr) = self {
            bbr.sent(now, number, bytes);
        }
    }

    /// A packet was acknowledged.
    pub fn acked(&mut self, sample: &Sample) {
        match self {
            Self::Bbr(bbr) => bbr.acked(sample),
            Self::Fixed(_) => {}
            Self::Cubic(cubic) => cubic.acked(sample),
        }
    }

    /// All packets of an acknowledgement were told; `largest` is the latest that ever was.
    pub fn acked_all(&mut self, now: Micros, in_flight: u64, is_app_limited: bool, largest: u64) {
        if let Self::Bbr(bbr) = self {
            bbr.acked_all(now, in_flight, is_app_limited, largest);
        }
    }

    /// So many bytes were lost, the latest packet of which was sent then; `for_long` if nothing
    /// arrived for several time-outs.
    pub fn lost(&mut self, now: Micros, bytes: u64, sent_at: Micros, for_long: bool) {
        match self {
            Self::Bbr(bbr) => bbr.lost(bytes),
            Self::Fixed(_) => {}
            Self::Cubic(cubic) => cubic.lost(now, sent_at, for_long),
        }
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
