//! Who is there, and what is new.
//!
//! Architecture invariant: nothing here knows what an entry means or how sets are compared; items
//! are bytes with a name, and what a member claims about its state is passed on unread.

use core::time::Duration;

mod bucket;
mod claim;
mod membership;
mod message;
mod overlay;
mod record;
mod spread;
mod tuning;

pub use claim::Claim;
pub use membership::{
    Input as MembershipInput, LocalMember, MAX_ADDRESSES, MAX_TABLE, MAX_ZONE, Member, MemberEvent,
    MemberFault, MemberState, Membership, Output as MembershipOutput,
};
pub use spread::{
    Carried, Input as SpreadInput, MAX_BODY, MAX_PARCEL_ITEMS, Output as SpreadOutput, PARCEL_FILL,
    Parcelled, PushError, Pushed, Spread,
};

/// A frame on its way on a one-way stream, by a number that is never used again on its link.
///
/// ```
/// assert_eq!(basefs::gossip::PushId::new(7).number(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushId(u64);

impl PushId {
    /// The push with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What a transport has learnt about the way to a peer.
///
/// ```
/// let path = basefs::gossip::Path::default();
/// assert_eq!((path.packets, path.lost), (0, 0), "nothing is known yet");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The smoothed round-trip time.
    pub rtt: Duration,
    /// Packets sent since the connection began.
    pub packets: u64,
    /// How many of these were found lost.
    pub lost: u64,
}

impl Default for Path {
    /// A path of which nothing is known yet.
    fn default() -> Self {
        Self { rtt: Duration::from_millis(100), packets: 0, lost: 0 }
    }
}

/// What kind of network the members are on.
///
/// ```
/// use basefs::gossip::Profile;
///
/// assert_eq!(Profile::default(), Profile::Lan);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// One site: round trips of milliseconds, little loss; failures are noticed within seconds.
    #[default]
    Lan,
    /// Radio links and the open internet: slow, lossy; patient, and sparing with packets.
    Mesh,
}
