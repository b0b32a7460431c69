//! What a peer may send, and how little comes of it.

use std::time::Duration;

use basefs::gossip::{
    LocalMember, MAX_TABLE, MemberEvent, MemberFault, Membership, MembershipInput as Input,
    MembershipOutput as Output, Profile,
};
use basefs::id::{LinkId, NodeId};
use basefs::limits::MAX_DATAGRAM;
use basefs::time::Timestamp;
use basefs::wire::SecretKey;
use bytes::Bytes;
use proptest::prelude::*;

use super::world::{Ways, World, node, secs};

const LINK: LinkId = LinkId::new(1);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn key(number: u64) -> SecretKey {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(seed)
}

fn id(number: u64) -> NodeId {
    NodeId::from_bytes(*key(number).public().as_bytes())
}

fn membership(number: u64) -> Membership {
    let local = LocalMember {
        key: key(number),
        addresses: vec!["192.0.2.1:1".parse().unwrap()],
        weight: 1,
        zone: "here".into(),
        profile: Profile::Lan,
    };
    Membership::new(local, [8; 32], 100)
}

/// A membership with one peer, and what that sent in greeting.
fn linked() -> (Membership, Bytes) {
    let (mut one, mut other) = (membership(1), membership(2));
    one.handle(NOW, Input::LinkUp { link: LINK, peer: id(2), dialed: true });
    other.handle(NOW, Input::LinkUp { link: LINK, peer: id(1), dialed: false });
    let Some(Output::Table { bytes, .. }) = other.poll_output() else { panic!("it greets") };
    one.handle(NOW, Input::Table { link: LINK, bytes: bytes.clone() });
    drain(&mut one);
    (one, bytes)
}

fn drain(membership: &mut Membership) -> Vec<Output> {
    std::iter::from_fn(|| membership.poll_output()).collect()
}

fn faults(outputs: &[Output]) -> Vec<MemberFault> {
    let fault = |output: &Output| match output {
        Output::Fault { fault, .. } => Some(*fault),
        _ => None,
    };
    outputs.iter().filter_map(fault).collect()
}

/// A signed record as it is encoded, of a member without addresses or zone.
fn record(key: &SecretKey, incarnation: u64) -> Vec<u8> {
    let plain = [&key.public().as_bytes()[..], &incarnation.to_le_bytes(), &[1, 1, 0, 0]].concat();
    let signature = key.sign(&[b"basefs v1 member\0", &plain[..]].concat());
    [&signature[..], &plain].concat()
}

fn table(records: &[Vec<u8>]) -> Bytes {
    let rows: Vec<u8> = records.iter().flat_map(|record| [&[0], &record[..]].concat()).collect();
    [&[2][..], &rows].concat().into()
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_teach_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..MAX_DATAGRAM + 10),
        kind in 0_u8..8,
    ) {
        let (mut one, _) = linked();
        let bytes: Bytes = [&[kind], &bytes[..]].concat().into();
        one.handle(NOW, Input::Datagram { link: LINK, bytes: bytes.clone() });
        one.handle(NOW, Input::Table { link: LINK, bytes });
        prop_assert!(drain(&mut one).len() <= 64);
        prop_assert_eq!(one.members().count(), 1);
    }

    #[test]
    fn a_changed_greeting_is_refused(at in 0_usize..179, bit in 0_u8..8) {
        let (_, greeting) = linked();
        let mut one = membership(1);
        one.handle(NOW, Input::LinkUp { link: LINK, peer: id(2), dialed: true });
        drain(&mut one);
        let mut changed = greeting.to_vec();
        prop_assume!(at < changed.len());
        changed[at] ^= 1 << bit;
        one.handle(NOW, Input::Table { link: LINK, bytes: changed.into() });
        let faults = faults(&drain(&mut one));
        // The kind, the purpose, the digest and the count are not signed.
        prop_assert!(at < 22 || faults.len() == 1, "byte {}", at);
        prop_assert!(at < 22 || one.members().count() == 0);
    }
}

#[test]
fn nobody_speaks_for_another() {
    let (mut one, greeting) = linked();
    let mut forged = record(&key(3), 7);
    forged[0] ^= 1;
    one.handle(NOW, Input::Table { link: LINK, bytes: table(&[forged]) });
    assert_eq!(faults(&drain(&mut one)), [MemberFault::Signature]);
    // A greeting is about the one who greets.
    one.handle(NOW, Input::LinkUp { link: LinkId::new(2), peer: id(3), dialed: true });
    one.handle(NOW, Input::Table { link: LinkId::new(2), bytes: greeting });
    assert_eq!(faults(&drain(&mut one)), [MemberFault::Table]);
    one.handle(NOW, Input::Table { link: LINK, bytes: vec![2; MAX_TABLE + 1].into() });
    assert_eq!(faults(&drain(&mut one)), [MemberFault::Table]);
    assert_eq!(one.members().count(), 1);
}

#[test]
fn what_a_later_version_says_is_passed_over() {
    let (mut one, _) = linked();
    one.handle(NOW, Input::Datagram { link: LINK, bytes: vec![15, 1, 2].into() });
    one.handle(NOW, Input::Table { link: LINK, bytes: vec![9, 1, 2].into() });
    assert_eq!(drain(&mut one), []);
}

#[test]
fn inventing_members_has_an_end() {
    let (mut one, _) = linked();
    let records: Vec<Vec<u8>> = (10..6_010).map(|number| record(&key(number), 1)).collect();
    for records in records.chunks(200) {
        one.handle(NOW, Input::Table { link: LINK, bytes: table(records) });
    }
    assert_eq!(faults(&drain(&mut one)), []);
    // The checks of this link are used up, one for the greeting.
    assert_eq!(one.members().count(), 4_096);
    let later = NOW + secs(1_000);
    let (link, peer) = (LinkId::new(2), id(10));
    one.handle(later, Input::LinkUp { link, peer, dialed: false });
    one.handle(later, Input::Table { link, bytes: table(&records[5_990..]) });
    assert_eq!(one.members().count(), 4_096, "there is no room");
    let outputs = drain(&mut one);
    let dials = outputs.iter().filter(|output| matches!(output, Output::Dial { .. })).count();
    assert_eq!(dials, 0, "without addresses there is nobody to dial");
}

#[test]
fn asking_has_an_end() {
    let (mut one, _) = linked();
    let (link, peer) = (LinkId::new(2), id(3));
    one.handle(NOW, Input::LinkUp { link, peer, dialed: true });
    drain(&mut one);
    let (mut pings, mut nacks) = (0, 0);
    for seq in 0_u32..1_000 {
        let ask = [&[3][..], &seq.to_le_bytes(), peer.as_bytes()].concat();
        one.handle(NOW, Input::Datagram { link: LINK, bytes: ask.into() });
        for output in drain(&mut one) {
            let Output::Datagram { bytes, .. } = output else { continue };
            pings += u32::from(bytes[0] == 1);
            nacks += u32::from(bytes[0] == 5);
        }
    }
    assert_eq!((pings, nacks), (8, 992));
}

/// One member accuses all others, in the name of many, all the time.
#[test]
fn a_liar_kills_nobody_who_has_links() {
    let mut world = World::joined(12, Profile::Lan, Ways::lan(0), 2);
    for round in 0..200_u64 {
        let victim = 1 + usize::try_from(round).unwrap() % 11;
        let incarnation = world.of(victim).incarnation();
        let said = |kind: u8, by: u64| {
            let about = [&[kind][..], node(victim).as_bytes(), &incarnation.to_le_bytes()].concat();
            [&about[..], id(by).as_bytes()].concat()
        };
        let rumors: Vec<u8> = (0..10).flat_map(|by| said(2 + u8::from(by > 4), by)).collect();
        let bytes = Bytes::from([&[6][..], &rumors].concat());
        world.tell_all(0, &bytes);
        world.run(Duration::from_millis(50));
    }
    world.run(secs(20));
    assert_eq!(world.false_deaths, 0);
    assert!(world.is_agreed());
    let died = |(_, event): &(_, MemberEvent)| matches!(event, MemberEvent::Died(_));
    assert!(world.machines.iter().all(|machine| !machine.events.iter().any(died)));
}
