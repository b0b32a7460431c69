//! How much may be under way.

use super::super::queue::Micros;
use super::bbr::Bbr;

/// What may be under way before anything is known, as quinn has it.
const INITIAL: f64 = 14_720.0;

/// Which controller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// By rate and delay; loss does not matter.
    Bbr,
    /// Always so many bytes.
    Fixed(usize),
    /// By loss (RFC 8312).
    Cubic,
}

/// The state of one.
#[derive(Debug)]
pub struct Congestion {
    control: Control,
    window: f64,
    bbr: Option<Box<Bbr>>,
    // Cubic.
    threshold: f64,
    max: f64,
    k: f64,
    increment: f64,
    recovering_since: Option<Micros>,
}

impl Congestion {
    pub fn new(control: Control, packet: usize) -> Self {
        let window = if let Control::Fixed(bytes) = control { bytes as f64 } else { INITIAL };
        Self {
            control,
            window,
            bbr: (control == Control::Bbr).then(|| Box::new(Bbr::new(packet))),
            threshold: f64::MAX,
            max: 0.0,
            k: 0.0,
            increment: 0.0,
            recovering_since: None,
        }
    }

    pub fn window(&self) -> usize {
        match &self.bbr {
            Some(bbr) => usize::try_from(bbr.window()).unwrap_or(usize::MAX),
            None => self.window as usize,
        }
    }

    /// A packet that wants an acknowledgement was sent.
    pub fn sent(&mut self, now: Micros, number: u64, bytes: usize) {
        self.bbr.iter_mut().for_each(|bbr| bbr.sent(now, number, bytes));
    }

    /// A packet was acknowledged.
    pub fn acked(&mut self, now: Micros, ack: &Acked) {
        match self.control {
            Control::Fixed(_) => {}
            Control::Bbr => self.bbr.iter_mut().for_each(|bbr| bbr.acked(now, ack)),
            Control::Cubic => self.acked_cubic(now, ack),
        }
    }

    /// All packets of an acknowledgement were told.
    pub fn acked_all(&mut self, now: Micros, in_flight: usize, app_limited: bool, largest: u64) {
        let bbr = self.bbr.iter_mut();
        bbr.for_each(|bbr| bbr.acked_all(now, in_flight, app_limited, largest));
    }

    /// As quinn does it (RFC 8312), rounding included.
    fn acked_cubic(&mut self, now: Micros, ack: &Acked) {
        if ack.app_limited || self.recovering_since.is_some_and(|since| ack.sent <= since) {
            return;
        }
        if self.window < self.threshold {
            self.window += ack.bytes as f64;
            return;
        }
        let since = *self.recovering_since.get_or_insert_with(|| {
            (self.max, self.k) = (self.window, 0.0);
            now
        });
        let packet = ack.packet as f64;
        let (since, rtt) = ((now - since) as f64 / 1e6, ack.srtt.max(1) as f64 / 1e6);
        let cubic = 0.4 * (since + rtt - self.k).powi(3) * packet + self.max;
        let friendly = self.max * 0.7 + 3.0 * 0.3 / 1.7 * since / rtt * packet;
        let mut wanted = self.window;
        if cubic < friendly {
            wanted = wanted.max(friendly);
        } else if wanted < cubic {
            wanted += (cubic - wanted) / wanted * packet;
        }
        self.increment += wanted - self.window;
        if self.increment >= packet {
            self.window += packet;
            self.increment = 0.0;
        }
    }

    /// Packets were lost.
    pub fn lost(&mut self, now: Micros, lost: &Lost) {
        self.bbr.iter_mut().for_each(|bbr| bbr.lost(lost.bytes));
        let since = self.recovering_since;
        if self.control != Control::Cubic || since.is_some_and(|at| lost.sent <= at) {
            return;
        }
        let least = 2.0 * lost.packet as f64;
        self.recovering_since = Some(now);
        let converges = self.window < self.max;
        self.max = if converges { self.window * 0.85 } else { self.window };
        self.window = (self.window * 0.7).max(least);
        self.threshold = self.window;
        self.k = (self.max / lost.packet as f64 * 0.3 / 0.4).cbrt();
        self.increment *= 0.7;
        if lost.is_persistent {
            self.recovering_since = None;
            self.max = self.window;
            self.threshold = (self.window * 0.7).max(least);
            self.increment = 0.0;
            self.window = least;
        }
    }
}

/// What an acknowledgement tells.
#[derive(Debug)]
pub struct Acked {
    pub bytes: usize,
    /// Whether all was sent that there was.
    pub app_limited: bool,
    pub min_rtt: Micros,
    pub srtt: Micros,
    /// When the packet was sent.
    pub sent: Micros,
    /// The size of a full packet.
    pub packet: usize,
}

/// What a loss tells.
#[derive(Debug)]
pub struct Lost {
    pub bytes: usize,
    /// When the last of them was sent.
    pub sent: Micros,
    pub is_persistent: bool,
    /// The size of a full packet.
    pub packet: usize,
}
