// Two members and a wire between them that loses nothing, for the examples of membership. Included
// by the examples, public to nobody.

use basefs::gossip::{
    LocalMember, MemberEvent, Membership, MembershipInput as Input, MembershipOutput as Output,
    Profile,
};
use basefs::id::LinkId;
use basefs::time::Timestamp;
use basefs::wire::SecretKey;

/// The wire, at both ends.
pub const WIRE: LinkId = LinkId::new(0);

/// Somebody who may become a member.
pub fn local(seed: u8) -> LocalMember {
    LocalMember {
        key: SecretKey::from_seed([seed; 32]),
        addresses: vec!["192.0.2.1:4000".parse().expect("an address")],
        weight: 1,
        zone: "hall".into(),
        profile: Profile::Lan,
    }
}

/// Two that were just connected and have said nothing yet.
pub fn connected() -> (Membership, Membership) {
    let mut ana = Membership::new(local(1), [1; 32], 1);
    let mut ben = Membership::new(local(2), [2; 32], 1);
    let (at_ana, at_ben) = (ana.node(), ben.node());
    ana.handle(Timestamp::ZERO, Input::LinkUp { link: WIRE, peer: at_ben, dialed: true });
    ben.handle(Timestamp::ZERO, Input::LinkUp { link: WIRE, peer: at_ana, dialed: false });
    (ana, ben)
}

/// Carries what the two say until neither says more; gives what happened at the first.
pub fn talk(now: Timestamp, ana: &mut Membership, ben: &mut Membership) -> Vec<MemberEvent> {
    let mut events = Vec::new();
    loop {
        let (to_ben, at_ana) = said(now, ana);
        let (to_ana, _) = said(now, ben);
        events.extend(at_ana);
        if to_ben.is_empty() && to_ana.is_empty() {
            return events;
        }
        to_ben.into_iter().for_each(|input| ben.handle(now, input));
        to_ana.into_iter().for_each(|input| ana.handle(now, input));
    }
}

/// What a member says to the other, and what happened to it.
fn said(now: Timestamp, member: &mut Membership) -> (Vec<Input>, Vec<MemberEvent>) {
    let (mut said, mut events) = (Vec::new(), Vec::new());
    if member.poll_timeout().is_some_and(|due| due <= now) {
        member.handle(now, Input::Timeout);
    }
    while let Some(output) = member.poll_output() {
        match output {
            Output::Datagram { link, bytes } => said.push(Input::Datagram { link, bytes }),
            Output::Table { link, bytes } => said.push(Input::Table { link, bytes }),
            Output::Event(event) => events.push(event),
            _ => {}
        }
    }
    (said, events)
}
