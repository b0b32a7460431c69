//! A congestion controller that does not take a lost packet for congestion.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::time::Duration;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

/// Rounds over which the highest rate counts.
const ROUNDS: usize = 10;
/// Packets that may always be under way: with fewer, losses are found only by waiting.
const MIN_PACKETS: u64 = 4;
/// Packets that may be under way before anything is known of the path (RFC 9002).
const FIRST_PACKETS: u64 = 10;

/// Keeps twice as much under way as was delivered at the highest rate of late within the shortest
/// round trip.
#[derive(Clone, Debug)]
pub(super) struct Steady {
    mtu: u64,
    window: u64,
    /// Bytes acknowledged so far.
    delivered: u64,
    /// When the round began, and what had been delivered by then. It ends when something is
    /// acknowledged that was sent later.
    round: (Instant, u64),
    /// Bytes per second in the last rounds.
    rates: [u64; ROUNDS],
    at: usize,
    limited: bool,
    grown: bool,
    min_rtt: Duration,
}

impl Steady {
    fn new(now: Instant, mtu: u64) -> Self {
        let window = FIRST_PACKETS * mtu;
        let (rates, min_rtt) = ([0; ROUNDS], Duration::MAX);
        Self {
            mtu,
            window,
            delivered: 0,
            round: (now, 0),
            rates,
            at: 0,
            limited: false,
            grown: false,
            min_rtt,
        }
    }

    fn end_round(&mut self, now: Instant) {
        let (began, before) = self.round;
        let micros = u64::try_from((now - began).as_micros()).unwrap_or(u64::MAX).max(1);
        let rate = (self.delivered - before).saturating_mul(1_000_000) / micros;
        self.round = (now, self.delivered);
        let highest = self.rates.iter().copied().max().unwrap_or(0);
        // A sender with little to say learns nothing of what the path could bear.
        if self.limited && rate <= highest {
            self.limited = false;
            return;
        }
        self.limited = false;
        self.rates[self.at] = rate;
        self.at = (self.at + 1) % ROUNDS;
        let highest = highest.max(rate);
        let rtt = u64::try_from(self.min_rtt.as_micros()).unwrap_or(u64::MAX);
        let product = highest.saturating_mul(rtt) / 1_000_000;
        let window = product.saturating_mul(2).max(MIN_PACKETS * self.mtu);
        if !self.grown && window < self.window {
            return;
        }
        self.grown = true;
        self.window = window;
    }
}

impl Controller for Steady {
    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.delivered += bytes;
        self.limited |= app_limited;
        self.min_rtt = rtt.min().max(Duration::from_micros(1));
        if sent >= self.round.0 {
            self.end_round(now);
        }
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
        self.window = self.window.max(MIN_PACKETS * self.mtu);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        FIRST_PACKETS * self.mtu
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Makes them.
#[derive(Debug)]
pub(super) struct SteadyFactory;

impl ControllerFactory for SteadyFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Steady::new(now, current_mtu.into()))
    }
}
