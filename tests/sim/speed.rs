//! How fast the simulator is.

use std::time::{Duration, Instant};

use crate::engine::hosts::{Options, World};
use crate::engine::packets::{Loss, Packets, Way};
use crate::engine::queue::Queue;
use crate::engine::rng::Rng;

/// Events a second, at least, of the engine alone and with whole nodes, optimised and not.
const ENGINE: f64 = if cfg!(debug_assertions) { 100_000.0 } else { 300_000.0 };
const NODES: f64 = if cfg!(debug_assertions) { 1_000.0 } else { 50_000.0 };

#[test]
fn packets_fly_fast() {
    let hosts = 30;
    let (mut queue, mut packets) = (Queue::default(), Packets::new(1, hosts));
    packets.set_way(Way { deviation: 0.2, loss: Loss::Independent(0.1), ..Way::default() });
    let mut rng = Rng::new(1, 9);
    let events = if cfg!(debug_assertions) { 100_000 } else { 3_000_000 };
    let began = Instant::now();
    for _ in 0..300 {
        queue.push(0, rng.index(hosts));
    }
    for _ in 0..events {
        let Some(at) = queue.pop_until(u64::MAX) else { break };
        let (now, to) = (queue.now(), rng.index(hosts));
        // A lost packet is sent again.
        let arrival = packets.send(now, at, to, 1_228)[0].unwrap_or(now + 100_000);
        queue.push(arrival, to);
    }
    let rate = f64::from(events) / began.elapsed().as_secs_f64();
    println!("{rate:.0} packets a second");
    assert!(rate > ENGINE, "{rate}");
}

#[test]
#[ignore = "measures whole nodes; of use with --release"]
fn thirty_nodes_run_fast() {
    let began = Instant::now();
    let mut world = World::new(Options::default());
    world.run_for(Duration::from_secs(60));
    let up = began.elapsed();
    println!("up: {} events in {up:.1?}, {} links", world.events(), world.links());
    world.packets.set_way(Way { loss: Loss::Independent(0.3), ..Way::default() });
    for idle in [true, false] {
        let (began, events) = (Instant::now(), world.events());
        for second in 0..120 {
            if !idle {
                world.write(second % 30, &format!("file {second}"), &[7; 1_000]);
            }
            world.run_for(Duration::from_secs(1));
        }
        let took = began.elapsed().as_secs_f64();
        let events = world.events() - events;
        let rate = events as f64 / took;
        println!("idle {idle}: {events} events in {took:.1} s: {rate:.0} a second");
        assert!(rate > NODES, "{rate}");
    }
}
