//! How fast the simulator is. To be run alone and optimised:
//! `cargo test --release --test sim speed -- --ignored --nocapture --test-threads 1`.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::engine::hosts::Options;
use crate::engine::net::{Carried, settle};
use crate::engine::packets::{Loss, Packets, Way};
use crate::engine::queue::{Queue, SECOND};
use crate::engine::quic::{Control, EndId, Happening, Quic};
use crate::spread::group;

/// The time that this thread had a core, where the system tells: other work on the machine does
/// not count.
fn busy() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

fn report(what: &str, events: u64, took: Duration, target: f64) {
    let rate = events as f64 / took.as_secs_f64();
    println!("{what}: {events} events in {took:.2?}, {rate:.0} per second");
    assert!(cfg!(debug_assertions) || rate >= target, "{what}: {rate} per second");
}

/// Two hundred connections with pushes and datagrams in both directions, and some loss.
#[test]
#[ignore = "measures"]
fn speed_of_the_engine() {
    let (mut queue, mut quic) = (Queue::<Carried>::default(), Quic::new(20, Control::Bbr));
    let mut packets = Packets::new(1, 20);
    packets.set_way(Way { loss: Loss::Independent(0.05), deviation: 0.2, ..Way::default() });
    let dial = |number: usize| quic.dial(0, number % 20, (number + 1 + number / 20) % 20);
    let ends: Vec<EndId> = (0..200).map(dial).collect();
    let body = Bytes::from(vec![1; 3_000]);
    let began = busy();
    for tick in 1..400_u64 {
        for end in ends.iter().flat_map(|end| [*end, end.other()]) {
            quic.datagram(end, body.slice(..200));
            if (tick + u64::from(end.connection)).is_multiple_of(8) {
                quic.push(end, tick, body.clone());
            }
        }
        settle(&mut queue, &mut packets, &mut quic);
        while let Some(carried) = queue.pop_until(tick * SECOND / 20) {
            carried.happen(&mut queue, &mut packets, &mut quic);
            settle(&mut queue, &mut packets, &mut quic);
            while let Some((_, happening)) = quic.poll() {
                drop::<Happening>(happening);
            }
        }
    }
    report("engine", queue.events(), busy() - began, 1e6);
}

#[test]
#[ignore = "measures"]
fn speed_with_whole_nodes() {
    let began = busy();
    let mut world = group(Options::default());
    let (founded, before) = (busy() - began, world.events());
    println!("thirty nodes found each other: {before} events in {founded:.2?}");
    let began = busy();
    for number in 0..60_usize {
        let length = if number % 4 == 0 { 5_000 } else { 200 };
        world.write(number % 30, &format!("file {number}"), &vec![1; length]);
        world.run_for(Duration::from_secs(2));
    }
    assert!(world.all_have_all());
    report("whole nodes", world.events() - before, busy() - began, 150e3);
}
