//! Packets leave a little apart, as quinn sees to it: a bucket of tokens that a window fills in
//! four fifths of a round trip.

use super::super::queue::Micros;

/// Packets that may leave at once, at least and at most.
const BURST: [u64; 2] = [10, 256];
/// Otherwise as much as may leave within this time.
const INTERVAL: Micros = 2_000;

/// The bucket.
#[derive(Debug, Default)]
pub struct Pacer {
    /// Bytes that may leave now; nothing before the first question.
    tokens: Option<u64>,
    at: Micros,
}

impl Pacer {
    pub fn sent(&mut self, bytes: usize) {
        self.tokens = self.tokens.map(|tokens| tokens.saturating_sub(bytes as u64));
    }

    /// When a packet may leave, if not now.
    pub fn wait(
        &mut self,
        now: Micros,
        rtt: Micros,
        packet: usize,
        window: usize,
    ) -> Option<Micros> {
        let (rtt, packet, window) = (rtt.max(1), packet as u64, window.max(1) as u64);
        let most = (window * INTERVAL / rtt).clamp(BURST[0] * packet, BURST[1] * packet);
        let tokens = self.tokens.map_or(most, |tokens| tokens.min(most));
        let new = window * (now - self.at) / 4 * 5 / rtt;
        let tokens = *self.tokens.insert((tokens + new).min(most));
        self.at = now;
        (tokens < packet).then(|| now + (rtt * (most - tokens) / window * 4 / 5).max(1))
    }
}
