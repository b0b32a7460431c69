//! How much may be under way.

use std::collections::VecDeque;

use super::super::queue::Micros;

/// A full packet.
const PACKET: f64 = 1_200.0;
/// What may be under way before anything is known, as quinn has it.
const INITIAL: f64 = 14_720.0;

/// Which controller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// By rate and delay; loss does not matter.
    Bbr,
    /// Always so many bytes.
    Fixed(usize),
    /// By loss (RFC 9438).
    Cubic,
}

/// The state of one.
#[derive(Debug)]
pub struct Congestion {
    control: Control,
    window: f64,
    // Bbr.
    rates: VecDeque<(Micros, f64)>,
    best: f64,
    rounds_without_growth: u32,
    round_ends: u64,
    is_starting: bool,
    // Cubic.
    threshold: f64,
    max: f64,
    epoch: Option<Micros>,
    recovering_until: Micros,
}

impl Congestion {
    pub fn new(control: Control) -> Self {
        let window = if let Control::Fixed(bytes) = control { bytes as f64 } else { INITIAL };
        Self {
            control,
            window,
            rates: VecDeque::new(),
            best: 0.0,
            rounds_without_growth: 0,
            round_ends: 0,
            is_starting: true,
            threshold: f64::MAX,
            max: 0.0,
            epoch: None,
            recovering_until: 0,
        }
    }

    pub fn window(&self) -> usize {
        self.window as usize
    }

    /// Something was acknowledged: bytes; bytes delivered by now and when the packet was sent;
    /// bytes a microsecond, and whether all was sent that there was.
    pub fn acked(&mut self, now: Micros, ack: &Acked) {
        match self.control {
            Control::Fixed(_) => {}
            Control::Bbr => self.acked_bbr(now, ack),
            Control::Cubic => self.acked_cubic(now, ack),
        }
    }

    fn acked_bbr(&mut self, now: Micros, ack: &Acked) {
        let known = self.rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        if !ack.app_limited || ack.rate > known {
            self.rates.push_back((now, ack.rate));
        }
        let oldest = now.saturating_sub(10 * ack.min_rtt.max(1_000));
        while self.rates.len() > 1 && self.rates[0].0 < oldest {
            self.rates.pop_front();
        }
        let rate = self.rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        if ack.delivered_before >= self.round_ends {
            self.round_ends = ack.delivered;
            if rate > self.best * 1.25 {
                self.best = rate;
                self.rounds_without_growth = 0;
            } else if !ack.app_limited {
                self.rounds_without_growth += 1;
            }
            self.is_starting &= self.rounds_without_growth < 3;
        }
        if self.is_starting {
            self.window += ack.bytes as f64;
        } else {
            self.window = (2.0 * rate * ack.min_rtt as f64).max(4.0 * PACKET);
        }
    }

    fn acked_cubic(&mut self, now: Micros, ack: &Acked) {
        if self.window < self.threshold {
            self.window += ack.bytes as f64;
            return;
        }
        let epoch = *self.epoch.get_or_insert(now);
        let seconds = (now - epoch + ack.min_rtt) as f64 / 1e6;
        let (max, now_in) = (self.max / PACKET, self.window / PACKET);
        let k = ((max * 0.3) / 0.4).max(0.0).cbrt();
        let target = 0.4 * (seconds - k).powi(3) + max;
        let reno = PACKET * ack.bytes as f64 / self.window * 0.53;
        let cubic = ((target - now_in) / now_in).max(0.0) * ack.bytes as f64;
        self.window += cubic.max(reno).min(ack.bytes as f64 / 2.0);
    }

    /// Packets sent at `sent` were lost.
    pub fn lost(&mut self, now: Micros, sent: Micros, persistent: bool) {
        if self.control != Control::Cubic || sent < self.recovering_until {
            return;
        }
        self.recovering_until = now;
        self.max = self.window;
        self.window = (self.window * 0.7).max(2.0 * PACKET);
        self.threshold = self.window;
        self.epoch = None;
        if persistent {
            self.window = 2.0 * PACKET;
        }
    }
}

/// What an acknowledgement tells.
#[derive(Debug)]
pub struct Acked {
    pub bytes: usize,
    pub delivered: u64,
    pub delivered_before: u64,
    /// Bytes a microsecond.
    pub rate: f64,
    pub app_limited: bool,
    pub min_rtt: Micros,
}
