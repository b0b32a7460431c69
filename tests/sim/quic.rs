//! The model of QUIC against what quinn did on a real socket.

use std::time::Duration;

use bytes::Bytes;

use crate::engine::packets::{IP_UDP, Loss, Packets, Way};
use crate::engine::queue::{Micros, Queue};
use crate::engine::quic::{Connection, Control, Datagram, Event, Up};

/// Two ends and what is between them.
struct Pair {
    queue: Queue<(usize, Option<Datagram>)>,
    packets: Packets,
    connection: Connection,
}

impl Pair {
    fn new(seed: u64, loss: f64, control: Control) -> Self {
        let mut packets = Packets::new(seed, 2);
        packets.set_way(Way {
            delay: Duration::from_millis(25),
            loss: Loss::Independent(loss),
            ..Way::default()
        });
        packets.set_rate(Some(10_000_000));
        Self { queue: Queue::default(), packets, connection: Connection::dial([0, 1], control, 0) }
    }

    fn send(&mut self, at: usize, datagram: &Datagram) {
        let now = self.queue.now();
        for arrival in
            self.packets.send(now, at, 1 - at, datagram.size() + IP_UDP).into_iter().flatten()
        {
            self.queue.push(arrival, (1 - at, Some(datagram.clone())));
        }
    }

    fn transmit(&mut self, at: usize) {
        let now = self.queue.now();
        while let Some(packet) = self.connection.end(at).and_then(|end| end.next_packet(now)) {
            self.send(at, &Datagram::Packet(packet));
        }
        if let Some(due) = self.connection.timeout(at) {
            self.queue.push(due.max(now + 1), (at, None));
        }
    }

    /// Runs until `is_it`; gives the time.
    fn until(&mut self, mut is_it: impl FnMut(usize, &Event) -> bool) -> Option<Micros> {
        self.transmit(0);
        while let Some((at, datagram)) = self.queue.pop_until(600_000_000) {
            let now = self.queue.now();
            let mut answers = Vec::new();
            let events = match &datagram {
                Some(datagram) => self.connection.take(now, at, datagram, &mut answers),
                None if self.connection.timeout(at).is_some_and(|due| due <= now) => {
                    self.connection.handle_timeout(now, at, &mut answers)
                }
                None => continue,
            };
            answers.iter().for_each(|answer| self.send(at, answer));
            let found = events.iter().any(|event| is_it(at, event));
            self.transmit(at);
            if found {
                return Some(now);
            }
        }
        None
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Seconds for 256 KiB on a connection that stands.
fn upload(seed: u64, loss: f64, control: Control) -> f64 {
    let mut pair = Pair::new(seed, 0.0, control);
    let began = pair.until(|at, event| at == 0 && matches!(event, Event::Opened)).unwrap();
    pair.packets.set_way(Way {
        delay: Duration::from_millis(25),
        loss: Loss::Independent(loss),
        ..Way::default()
    });
    for _ in 0..16 {
        pair.connection.end(0).unwrap().say(Bytes::from(vec![7; 16_384]));
    }
    let mut frames = 0;
    let done = pair.until(|_, event| {
        frames += usize::from(matches!(event, Event::Up(Up::Frame(_))));
        frames == 16
    });
    (done.unwrap_or(600_000_000) - began) as f64 / 1e6
}

#[test]
fn an_upload_takes_what_it_took_for_real() {
    let real = [
        (Control::Cubic, [0.38, 2.8, 9.2]),
        (Control::Bbr, [0.39, 0.51, 1.4]),
        (Control::Fixed(65_536), [0.31, 0.43, 0.76]),
    ];
    for (control, expected) in real {
        for (loss, expected) in [0.0, 0.1, 0.3].into_iter().zip(expected) {
            let times = (0..41).map(|seed| upload(seed, loss, control)).collect();
            let took = median(times);
            println!("{control:?} at {loss}: {took:.2} s, for real {expected} s");
            assert!(
                (expected / 1.5..=expected * 1.5).contains(&took),
                "{control:?} {loss}: {took}"
            );
        }
    }
}

#[test]
fn a_handshake_takes_what_it_took_for_real() {
    let shake = |seed| {
        let mut pair = Pair::new(seed, 0.3, Control::Bbr);
        pair.until(|at, event| at == 0 && matches!(event, Event::Opened)).unwrap() as f64 / 1e6
    };
    let times: Vec<f64> = (0..200).map(shake).collect();
    let worst = times.iter().copied().fold(0.0, f64::max);
    println!("at 30 % loss: {:.2} s, worst {worst:.1} s", median(times.clone()));
    assert!((0.2..=0.8).contains(&median(times)));
    assert!(worst < 20.0);
}
