//! The model of connections against what others measured of real ones.

use bytes::Bytes;

use crate::engine::net::{Net, Told};
use crate::engine::packets::{LinkModel, Loss};
use crate::engine::queue::{Fingerprint, MILLI, Micros, SECOND};
use crate::engine::quic::{Congestion, EndId, Happening};

/// The transport alone has nothing else happen.
#[derive(Debug)]
enum Nothing {}

impl Fingerprint for Nothing {
    fn fingerprint(&self) -> u64 {
        0
    }
}

fn network(loss: f64, congestion: Congestion, seed: u64) -> Net<Nothing> {
    let model = LinkModel::fixed(25 * MILLI).with_loss(Loss::Independent(loss));
    let mut net = Net::new(2, model, congestion, seed);
    net.packets.set_rate(0, 10_000_000, None);
    net.packets.set_rate(1, 10_000_000, None);
    net
}

/// Waits for something on an end.
fn wait(net: &mut Net<Nothing>, wanted: impl Fn(&EndId, &Happening) -> bool) -> Micros {
    while let Some(Told::Connection(end, happening)) = net.next(600 * SECOND) {
        if wanted(&end, &happening) {
            return net.now();
        }
    }
    Micros::MAX
}

fn median(mut times: Vec<Micros>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2] as f64 / SECOND as f64
}

/// Seconds from the first byte of 256 KiB to the acknowledgement of the last.
fn upload(loss: f64, congestion: Congestion) -> f64 {
    let one = |seed| {
        let mut net = network(loss, congestion, seed);
        let end = net.quic.dial(0, 0, 1);
        let start = wait(&mut net, |at, what| *at == end && matches!(what, Happening::Up));
        net.quic.push(end, 1, Bytes::from(vec![0; 262_144]));
        wait(&mut net, |_, what| matches!(what, Happening::PushEnded(1, true))) - start
    };
    median((0..40).map(one).collect())
}

#[test]
fn uploads_take_as_long_as_real_ones() {
    let fixed = Congestion::Fixed(65_536);
    let table = [
        (Congestion::Cubic, [0.38, 2.8, 9.2]),
        (Congestion::Bbr, [0.39, 0.51, 1.4]),
        (fixed, [0.31, 0.43, 0.76]),
    ];
    let mut off = Vec::new();
    for (congestion, measured) in table {
        for (loss, real) in [0.0, 0.1, 0.3].into_iter().zip(measured) {
            let here = upload(loss, congestion);
            println!("{congestion:?} at {loss}: {here:.2} s, really {real} s");
            if here > real * 1.5 || here < real / 1.5 {
                off.push((congestion, loss, here, real));
            }
        }
    }
    assert!(off.is_empty(), "{off:?}");
}

#[test]
fn handshakes_take_as_long_as_real_ones() {
    let one = |seed| {
        let mut net = network(0.3, Congestion::Bbr, seed);
        let end = net.quic.dial(0, 0, 1);
        let secured = wait(&mut net, |at, what| *at == end && matches!(what, Happening::Secured));
        (secured, wait(&mut net, |at, what| *at == end && matches!(what, Happening::Up)))
    };
    let (secured, up): (Vec<_>, Vec<_>) = (0..400).map(one).unzip();
    let (secured, up) = (median(secured), median(up));
    println!("at 0.3: a handshake {secured:.2} s, a link {up:.2} s");
    assert!((0.24..0.54).contains(&secured) && up < 1.0, "{secured} {up}");
}
