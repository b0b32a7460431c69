//! Peers that send rubbish, or follow the protocol in bad faith.

use basefs::sync::{KeyRange, Nonce, Session, Start, SyncError};
use proptest::prelude::*;

use super::replica::{End, Item, Pair, Replica, file, pair};

fn responder(count: u64) -> End {
    let session = Session::respond(Nonce::from_bytes([1; 16]), KeyRange::ALL);
    End::new(Replica::new((0..count).map(file)), session)
}

fn feed(end: &mut End, message: &[u8]) -> Result<(), SyncError> {
    end.session.handle(message)?;
    while end.session.advance(&mut end.replica.tree, &end.replica.keys)? {}
    while end.session.poll_transmit().is_some() {}
    while end.session.poll_event().is_some() {}
    Ok(())
}

/// An opening of the whole range without a root.
fn opening() -> Vec<u8> {
    [&[1, 1][..], &[9; 16], &[0, 0]].concat()
}

#[test]
fn malformed_messages_end_the_session_with_a_reason() {
    let bound = |kind: u8, shared: u8, bytes: &[u8], payload: &[u8]| {
        [&[kind, shared, u8::try_from(bytes.len()).unwrap()], bytes, payload].concat()
    };
    let sum = |bytes: &[u8]| bound(1, 0, bytes, &[7; 8]);
    for (body, error) in [
        (vec![], SyncError::Truncated),
        (vec![99], SyncError::UnknownKind(99)),
        (vec![3, 9], SyncError::Truncated),
        (vec![3, 0x89, 1], SyncError::UnknownKind(0x89)),
        ([&[3][..], &sum(b"m"), &bound(1, 0, b"a", &[7; 8])].concat(), SyncError::BadBound),
        ([&[3][..], &sum(b"m"), &bound(1, 0, b"m", &[7; 8])].concat(), SyncError::BadBound),
        ([&[3][..], &bound(1, 3, b"m", &[7; 8])].concat(), SyncError::BadBound),
        (vec![3, 1, 0, 0], SyncError::BadBound),
        (vec![3, 1, 0, 0xff, 0xff, 0x03], SyncError::BadBound),
        (vec![3, 1, 0, 0xff, 0xff, 0xff, 0x01], SyncError::TooMuch),
        (vec![3, 1, 0x80, 0], SyncError::NotCanonical),
        (vec![3, 0x80], SyncError::NotCanonical),
        ([&[3][..], &bound(0, 0, b"a", &[])].concat(), SyncError::NotCanonical),
        ([&[3][..], &bound(4, 0, b"a", &[65])].concat(), SyncError::TooMuch),
        ([&[3][..], &bound(4, 0, b"a", &[1, 2, 3])].concat(), SyncError::Truncated),
        ([&[3][..], &[0x84, 2], &[9; 5], &[8; 5]].concat(), SyncError::NotCanonical),
        ([&[3][..], &[0x83], &[0x83]].concat(), SyncError::Trailing),
        (vec![5, 5], SyncError::Trailing),
        (vec![8, 2], SyncError::NotCanonical),
        (opening(), SyncError::OutOfPlace),
        (vec![5], SyncError::OutOfPlace),
        (vec![7], SyncError::OutOfPlace),
        (vec![8, 1], SyncError::OutOfPlace),
        (vec![3; 60_000], SyncError::TooMuch),
    ] {
        let mut end = responder(500);
        feed(&mut end, &opening()).unwrap();
        assert_eq!(feed(&mut end, &body), Err(error), "{body:02x?}");
        assert!(end.session.is_over());
        assert_eq!(feed(&mut end, &body), Err(SyncError::Over));
    }
}

#[test]
fn a_session_beyond_what_is_offered_is_refused() {
    let range = KeyRange::with_prefix(b"users\0");
    let mut session = Session::respond(Nonce::from_bytes([1; 16]), range);
    assert_eq!(session.handle(&opening()), Err(SyncError::ForeignRange));
    let mut other_version = opening();
    other_version[1] = 2;
    let mut session = Session::respond(Nonce::from_bytes([1; 16]), KeyRange::ALL);
    assert_eq!(session.handle(&other_version), Err(SyncError::UnknownVersion(2)));
}

#[test]
fn a_peer_that_asks_without_end_is_stopped() {
    // "I have nothing", so that everything is due; "this differs", so that it is cut up.
    for (message, most) in [([3, 0x84, 0].as_slice(), 20), (&[3, 0x83], 20_000)] {
        let mut end = responder(500);
        feed(&mut end, &opening()).unwrap();
        let asked = (1..1_000_000).find(|_| feed(&mut end, message).is_err());
        assert!(asked.unwrap() <= most, "{asked:?}");
        assert_eq!(feed(&mut end, message), Err(SyncError::Over));
    }
}

#[test]
fn a_responder_that_never_agrees_is_stopped() {
    let replica = Replica::new((0..5_000).map(file));
    let session = Session::initiate(Nonce::from_bytes([1; 16]), KeyRange::ALL, Start::Differs);
    let mut end = End::new(replica, session);
    assert_eq!(end.drive().len(), 2);
    feed(&mut end, &[&[2][..], &[3; 16]].concat()).unwrap();
    let answered = (1..1_000_000).find(|_| feed(&mut end, &[4, 0x83]).is_err());
    assert!((10..2_000).contains(&answered.unwrap()), "{answered:?}");
    assert!(end.session.is_over());
}

/// The messages of an honest session, those of the initiator marked.
fn honest() -> (Pair, Vec<(bool, Vec<u8>)>) {
    let shared = (0..600).map(|n| file(2 * n));
    let make = || pair(shared.clone(), [file(1), file(99)], [file(7), file(11)]);
    let (a, b) = make();
    let mut ends = Pair::new(a, b, Start::Differs);
    let mut messages = Vec::new();
    let mut flight = ends.a.drive();
    let mut from_a = true;
    while !flight.is_empty() {
        let to = if from_a { &mut ends.b } else { &mut ends.a };
        let mut reply = Vec::new();
        for item in flight {
            if let Item::Message(message) = &item {
                messages.push((from_a, message.clone()));
            }
            reply.extend(to.take(item));
        }
        flight = reply;
        from_a = !from_a;
    }
    let (a, b) = make();
    (Pair::new(a, b, Start::Differs), messages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn arbitrary_bytes_do_no_harm(messages in prop::collection::vec(
        (1u8..9, prop::collection::vec(any::<u8>(), 0..80)), 1..8,
    )) {
        let mut end = responder(300);
        let _ = feed(&mut end, &opening());
        for (kind, mut body) in messages {
            body.insert(0, kind);
            let _ = feed(&mut end, &body);
            prop_assert_eq!(end.replica.tree.len(), 300);
        }
    }

    #[test]
    fn damaged_messages_do_no_harm(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let (mut ends, mut messages) = honest();
        let which = which.index(messages.len());
        let message = &mut messages[which].1;
        let at = at.index(message.len());
        if cut { message.truncate(at) } else { message[at] ^= with }
        ends.a.drive();
        for (from_a, message) in messages {
            let to = if from_a { &mut ends.b } else { &mut ends.a };
            let _ = feed(to, &message);
            to.session.entries_sent();
            to.session.entries_admitted();
        }
        prop_assert_eq!(ends.a.replica.tree.len(), 602);
        prop_assert_eq!(ends.b.replica.tree.len(), 602);
    }
}
