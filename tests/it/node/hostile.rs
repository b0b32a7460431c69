//! Peers that do what no honest one does: they are closed, and nothing of it stays.

use basefs::block;
use basefs::id::BlockId;
use basefs::node::{Frame, FrameError, Input, LinkId, NodeEvent, Output, PeerFault};
use bytes::Bytes;

use super::world::{World, random_bytes};

/// A node with a few files, and a stranger who dialled it, or was dialled.
fn visited(dialed: bool) -> (World, LinkId) {
    let mut world = World::new(1, 1);
    for at in 0..5 {
        world.machines[0].write(0, &format!("file-{at}"), &random_bytes(at, 1_000));
    }
    world.machines[0].commit();
    let link = world.connect_stranger(0, dialed);
    (world, link)
}

/// The stranger was thrown out, and everything is as before.
fn assert_thrown_out(world: &World, fault: PeerFault) {
    assert_eq!(world.machines[0].faults, [fault]);
    assert_eq!(world.machines[0].node.peers().count(), 0);
    assert_eq!(world.machines[0].ids().len(), 6);
    assert_eq!(world.machines[0].disk.entries.len(), 6);
    assert_eq!(world.machines[0].node.replica().log().waiting(), 0);
}

/// The opening of a session by an honest node that has nothing.
fn opening() -> Frame {
    let mut world = World::new(1, 2);
    let link = world.connect_stranger(0, true);
    world.said(0, link).into_iter().next().unwrap()
}

#[test]
fn frames_without_a_place_end_the_connection() {
    let garbage = || Bytes::from_static(b"\xffgarbage");
    let cases: [(bool, Bytes, PeerFault); 6] = [
        (false, garbage(), PeerFault::Frame(FrameError::UnknownKind(0xff))),
        (false, Bytes::new(), PeerFault::Frame(FrameError::Empty)),
        // Only who was dialled hints.
        (false, Frame::Changed.encode(), PeerFault::OutOfPlace),
        // Entries are part of a session.
        (false, Frame::Entries(vec![garbage()]).encode(), PeerFault::OutOfPlace),
        (true, Frame::Blocks(vec![garbage()]).encode(), PeerFault::UnaskedBlock),
        (true, Frame::Absent(vec![BlockId::from_bytes([1; 32])]).encode(), PeerFault::UnaskedBlock),
    ];
    for (dialed, bytes, fault) in cases {
        let (mut world, link) = visited(dialed);
        world.input(0, Input::Frame { link, bytes });
        world.run();
        assert_thrown_out(&world, fault);
    }
}

#[test]
fn whoever_was_dialled_cannot_open_a_session() {
    let (mut world, link) = visited(true);
    let _opening = world.said(0, link);
    world.hear(0, link, &opening());
    assert!(matches!(world.machines[0].faults[..], [PeerFault::Sync(_)]));
}

#[test]
fn entries_that_are_none_end_the_connection() {
    let other = World::new(1, 9);
    let good = other.machines[0].entry(3, "new", basefs::entry::Payload::Mkdir);
    let mut forged = good.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    for (bytes, is_signature) in [(forged, true), (b"none".to_vec(), false)] {
        let (mut world, link) = visited(false);
        world.hear(0, link, &opening());
        world.hear(0, link, &Frame::Entries(vec![good.bytes().clone(), bytes.into()]));
        assert_eq!(world.machines[0].faults.len(), 1);
        let fault = world.machines[0].faults[0];
        assert_eq!(fault == PeerFault::Signature, is_signature, "{fault:?}");
        assert_thrown_out(&world, fault);
    }
}

#[test]
fn the_same_entries_again_and_again_end_the_connection() {
    let (mut world, link) = visited(false);
    world.hear(0, link, &opening());
    let known: Vec<Bytes> = world.machines[0].disk.entries.clone();
    let frame = Frame::Entries(known.into_iter().cycle().take(128).collect());
    for sent in 1.. {
        world.hear(0, link, &frame);
        if !world.machines[0].faults.is_empty() {
            println!("{} known entries were borne", sent * 128);
            assert!(sent < 20);
            break;
        }
    }
    assert_thrown_out(&world, PeerFault::Flood);
}

#[test]
fn entries_that_refer_to_nothing_are_borne_up_to_a_number() {
    // The author's chain is in another log, so every entry here lacks the one before.
    let mut elsewhere = World::new(1, 9);
    let mut orphans = Vec::new();
    for at in 0..2_500 {
        elsewhere.machines[0].write(1, &format!("file-{at}"), &Bytes::from_static(b"x"));
    }
    elsewhere.machines[0].commit();
    orphans.extend(elsewhere.machines[0].disk.entries.iter().skip(2).cloned());
    let (mut world, link) = visited(false);
    world.hear(0, link, &opening());
    for part in orphans.chunks(128) {
        world.hear(0, link, &Frame::Entries(part.to_vec()));
        assert!(world.machines[0].node.replica().log().waiting() <= 1_024);
    }
    assert_thrown_out(&world, PeerFault::Flood);
}

#[test]
fn questions_without_end_end_the_connection() {
    let (mut world, link) = visited(false);
    let ids: Vec<BlockId> = (0..256_u32).map(|at| block::id(&at.to_le_bytes())).collect();
    for _ in 0..4 {
        world.hear(0, link, &Frame::Ask(ids.clone()));
    }
    assert_eq!(world.machines[0].faults, [], "as many as may be asked at a time");
    world.hear(0, link, &Frame::Ask(ids));
    assert_thrown_out(&world, PeerFault::TooManyQuestions);
}

#[test]
fn answers_come_to_who_waits_for_them() {
    let (mut world, link) = visited(false);
    let absent = BlockId::from_bytes([9; 32]);
    let here = *world.machines[0].disk.blocks.keys().next().unwrap();
    world.hear(0, link, &Frame::Ask(vec![absent, here]));
    let block = world.machines[0].disk.blocks[&here].clone();
    assert_eq!(world.said(0, link), [Frame::Blocks(vec![block]), Frame::Absent(vec![absent])]);
}

#[test]
fn a_session_that_is_never_ended_costs_nothing_and_ends_with_the_link() {
    let (mut world, link) = visited(false);
    world.hear(0, link, &opening());
    world.run_for(std::time::Duration::from_secs(3_600));
    world.input(0, Input::LinkDown { link });
    let finished = |event: &NodeEvent| matches!(event, NodeEvent::SyncFinished { .. });
    assert!(!world.machines[0].events.iter().any(finished));
    assert_eq!(world.machines[0].faults, []);
    // Whatever is said about a link that is gone does nothing.
    world.hear(0, link, &Frame::Changed);
    world.input(0, Input::Verified { link, entries: vec![], invalid: 3 });
    assert_eq!(world.machines[0].faults, []);
    assert!(!matches!(world.machines[0].node.poll_output(), Some(Output::Close { .. })));
}
