//! Contents: whoever has the entry gets the content, from whoever has it.

use std::time::Duration;

use basefs::block;
use basefs::entry::{FileData, Payload};
use basefs::id::Content;
use basefs::node::{Frame, Input, NodeEvent, Output};
use bytes::Bytes;

use super::world::{World, random_bytes};

/// Sizes around every boundary: inline, one leaf, trees of one and two chunks and of many.
const SIZES: [usize; 12] =
    [0, 1, 320, 321, 4_096, 16_384, 100_000, 262_144, 262_145, 600_000, 3_000_000, 5_000_001];

fn write_all(world: &mut World, at: usize) -> Vec<Bytes> {
    let mut written = Vec::new();
    for (seed, size) in (0..).zip(SIZES) {
        let bytes = random_bytes(seed, size);
        world.machines[at].write(at, &format!("file-{size}"), &bytes);
        written.push(bytes);
    }
    world.machines[at].commit();
    written
}

fn assert_arrived(world: &World, at: usize, written: &[Bytes]) {
    for bytes in written.iter().filter(|bytes| bytes.len() > 320) {
        let content = block::encode(bytes).unwrap().content;
        assert_eq!(world.machines[at].disk.read(&content), *bytes, "{} bytes", bytes.len());
    }
}

#[test]
fn contents_of_every_size_arrive_down_a_line() {
    for seed in 0..3 {
        let mut world = World::new(3, seed);
        let written = write_all(&mut world, 0);
        world.connect(0, 1);
        world.connect(2, 1);
        world.run();
        world.assert_converged("line");
        assert_arrived(&world, 1, &written);
        assert_arrived(&world, 2, &written);
        assert_eq!(world.now.as_micros(), 1, "no timer was needed");
    }
}

#[test]
fn a_transfer_goes_on_from_what_is_stored_with_another_peer() {
    for seed in 0..20 {
        let mut world = World::new(3, seed);
        let written = write_all(&mut world, 0);
        world.connect(0, 1);
        world.run();
        world.disconnect_all();
        // The third begins with one and goes on with the other, crashing in between.
        world.connect(2, 0);
        for _ in 0..200 + world.rng.below(1_500) {
            world.step();
        }
        world.crash(2);
        let (entries, blocks) =
            (world.machines[2].disk.entries.len(), world.machines[2].disk.blocks.len());
        world.bytes = 0;
        world.connect(2, 1);
        world.run();
        world.assert_converged(&format!("seed {seed}: had {entries} entries, {blocks} blocks"));
        assert_arrived(&world, 2, &written);
    }
}

#[test]
fn two_peers_share_the_work_and_either_may_lack_something() {
    let mut world = World::new(3, 8);
    let written = write_all(&mut world, 0);
    world.connect(0, 1);
    world.run();
    world.disconnect_all();
    // The second has lost some blocks, behind its own back.
    let lost: Vec<_> = world.machines[1].disk.blocks.keys().copied().step_by(3).collect();
    lost.iter().for_each(|id| drop(world.machines[1].disk.blocks.remove(id)));
    let one = world.connect(2, 1);
    world.run();
    let wanted = world.machines[2].node.wanted();
    assert!(wanted > 0, "some contents are nowhere to be had");
    world.connect(2, 0);
    world.disconnect(one);
    world.run();
    assert_eq!(world.machines[2].node.wanted(), 0);
    assert_arrived(&world, 2, &written);
}

#[test]
fn who_is_asked_too_early_tells_when_the_block_has_come() {
    let mut world = World::new(3, 4);
    let bytes = random_bytes(1, 50_000);
    world.machines[0].write(0, "file", &bytes);
    world.machines[0].commit();
    // The middle one learns of the entry only.
    let first = world.connect(0, 1);
    while world.machines[1].ids().len() < 2 {
        assert!(world.step());
    }
    world.disconnect(first);
    world.run();
    world.connect(2, 1);
    world.run();
    assert_eq!((world.machines[1].node.wanted(), world.machines[2].node.wanted()), (1, 1));
    world.connect(0, 1);
    world.run();
    world.assert_converged("at last");
    assert_arrived(&world, 2, &[bytes]);
}

#[test]
fn thousands_of_small_contents_cost_few_questions() {
    let mut world = World::new(2, 6);
    let count = 3_000;
    let mut payloads = Vec::new();
    for seed in 0..count {
        let encoded = block::encode(&random_bytes(seed, 1_000)).unwrap();
        payloads.push((seed, encoded));
    }
    for (seed, encoded) in payloads {
        let machine = &mut world.machines[0];
        machine.disk.blocks.extend(encoded.blocks);
        let data = FileData::Blocks(encoded.content);
        let entry =
            machine.entry(0, &format!("file-{seed}"), Payload::Write { executable: false, data });
        machine.node.offer(entry);
        machine.node.complete(&encoded.content);
    }
    world.machines[0].commit();
    world.connect(0, 1);
    world.run();
    world.assert_converged("small ones");
    let (asks, blocks) = (world.frames[&4], world.frames[&5]);
    println!("{count} contents of 1 kB: {asks} questions, {blocks} frames of blocks");
    assert!(asks <= 60, "{asks} questions");
    assert!(blocks <= 200, "{blocks} frames");
}

/// Somebody commits to a content that no block can be.
fn write_lie(world: &mut World, block: &Bytes, content: Content) {
    let machine = &mut world.machines[0];
    machine.disk.blocks.insert(block::id(block), block.clone());
    let payload = Payload::Write { executable: false, data: FileData::Blocks(content) };
    let entry = machine.entry(0, "lie", payload);
    machine.node.offer(entry);
    machine.commit();
}

#[test]
fn a_content_that_can_never_be_complete_is_asked_for_once() {
    let block = random_bytes(1, 1_000);
    let one_less = Content { root: block::id(&block), size: 999, levels: 0 };
    let no_node = Content { root: block::id(&block), size: 1_000, levels: 1 };
    for content in [one_less, no_node] {
        let mut world = World::new(2, 1);
        write_lie(&mut world, &block, content);
        let link = world.connect(0, 1);
        world.run();
        let invalid = |event: &&NodeEvent| matches!(event, NodeEvent::ContentInvalid { content: of, .. } if *of == content);
        assert_eq!(world.machines[1].events.iter().filter(invalid).count(), 1);
        assert_eq!(world.machines[1].faults, [], "the author is at fault, not the peer");
        assert_eq!(world.machines[1].node.wanted(), 0);
        world.disconnect(link);
        world.frames.clear();
        world.connect(0, 1);
        world.run_for(Duration::from_secs(400));
        assert_eq!(world.frames.get(&4), None, "no more questions");
    }
}

#[test]
fn a_silent_peer_does_not_hold_up_what_others_have() {
    let mut world = World::new(2, 1);
    let bytes = random_bytes(1, 50_000);
    world.machines[0].write(0, "file", &bytes);
    world.machines[0].commit();
    let link = world.connect(0, 1);
    while world.machines[1].ids().len() < 2 {
        assert!(world.step());
    }
    world.disconnect(link);
    // The stranger is asked and says nothing.
    let stranger = world.connect_stranger(1, false);
    world.run();
    let asked = world.said(1, stranger);
    assert!(matches!(asked.last(), Some(Frame::Ask(ids)) if ids.len() == 1), "{asked:?}");
    world.connect(0, 1);
    world.run();
    assert_eq!(world.machines[1].node.wanted(), 1, "it is asked of one peer at a time");
    world.run_for(Duration::from_secs(61));
    assert_eq!(world.machines[1].node.wanted(), 0);
}

#[test]
fn a_store_that_fails_to_look_up_delays_a_content_and_no_more() {
    let mut world = World::new(2, 1);
    world.machines[0].write(0, "file", &random_bytes(1, 5_000));
    world.machines[0].commit();
    world.connect(0, 1);
    // The first look-up comes back undone, as it does when the store could not be read.
    loop {
        assert!(world.step());
        if world.machines[1].node.wanted() == 1
            && let Some(Output::Walk(walk)) = world.take_walk(1)
        {
            world.input(1, Input::Walked(walk));
            break;
        }
    }
    world.run();
    world.connect(1, 0);
    world.run();
    world.assert_converged("second try");
}
