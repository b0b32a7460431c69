//! What a node knows of its own state, for those who watch it.

use super::{Node, Standing};
use crate::id::{Content, LinkId, NodeId};
use crate::time::Timestamp;

/// What waits to be sent on a link.
///
/// ```
/// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
/// use basefs::node::Unsent;
///
/// let (ana, _) = nodes::connected();
/// assert_eq!(ana.node.unsent(nodes::WIRE), Some(Unsent::default()), "all has left");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsent {
    /// Bytes of messages.
    pub bytes: usize,
    /// Entries, besides.
    pub entries: usize,
    /// Blocks that the peer asked for, besides.
    pub blocks: usize,
}

/// For those who watch a node.
///
/// ```
/// use basefs::id::{EntryId, NodeId};
/// use basefs::node::{Node, Replica, Standing};
///
/// let node = Node::new(Replica::new(EntryId::from_bytes([1; 32]), 7), [2; 32]);
/// assert_eq!(node.standing(&NodeId::from_bytes([3; 32])).0, Standing::Unknown);
/// assert_eq!((node.durable(), node.oldest_wanted()), (0, None));
/// ```
impl Node {
    /// The time of the last input.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::node::Input;
    /// use basefs::time::Timestamp;
    ///
    /// let (mut ana, _) = nodes::machines();
    /// ana.node.handle(Timestamp::from_micros(5), Input::Timeout);
    /// assert_eq!(ana.node.now(), Timestamp::from_micros(5));
    /// ```
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many entries are durable here: the first ones of the log.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, _) = nodes::machines();
    /// assert_eq!(ana.node.durable(), 1, "the genesis");
    /// ```
    pub fn durable(&self) -> usize {
        self.durable
    }

    /// How far the peers are that were ever heard of, and since when, in the order of their ids.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::node::Standing;
    ///
    /// let (ana, _) = nodes::connected();
    /// let standings: Vec<_> = ana.node.standings().map(|(peer, standing, _)| (peer, standing)).collect();
    /// assert_eq!(standings, [(nodes::BEN, Standing::Equal)]);
    /// ```
    pub fn standings(&self) -> impl Iterator<Item = (NodeId, Standing, Timestamp)> + '_ {
        self.standings.all()
    }

    /// How far one peer is, and since when: one that was never heard of is unknown.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// use basefs::node::Standing;
    ///
    /// let (ana, _) = nodes::machines();
    /// assert_eq!(ana.node.standing(&nodes::BEN).0, Standing::Unknown);
    /// ```
    pub fn standing(&self, peer: &NodeId) -> (Standing, Timestamp) {
        self.standings.standing(peer)
    }

    /// What waits to be sent on a link, if it is up.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (mut ana, mut ben) = nodes::machines();
    /// assert_eq!(ana.node.unsent(nodes::WIRE), None, "there is no such link");
    /// nodes::connect(&mut ana, &mut ben);
    /// assert!(ana.node.unsent(nodes::WIRE).is_some_and(|unsent| unsent.bytes > 0));
    /// ```
    pub fn unsent(&self, link: LinkId) -> Option<Unsent> {
        self.links.get(&link).map(super::link::Link::unsent)
    }

    /// Of the contents that are wanted and not here, the one that was named first in the log.
    ///
    /// ```
    /// # mod nodes { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/nodes.rs")); }
    /// let (ana, _) = nodes::connected();
    /// assert_eq!(ana.node.oldest_wanted(), None, "no entry names any content");
    /// ```
    pub fn oldest_wanted(&self) -> Option<Content> {
        self.fetcher.oldest().map(|no| *self.replica.log().content(no))
    }
}
