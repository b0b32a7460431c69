//! The peers that a replica remembers, and those that it has expelled.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use crate::fs::Fs;
use crate::fs::engine::Engine;
use crate::gossip::MemberState;
use crate::id::NodeId;
use crate::net::{PeerAddress, Ticket};
use crate::store::{Batch, Durability, Store, StoreError, Table};

/// Where the peers of a replica are kept: as a ticket without the secret.
const PEERS_KEY: &[u8] = b"peers";
/// Where the expelled nodes are kept: their ids, ascending.
const EXPELLED_KEY: &[u8] = b"expelled";
/// Members that are remembered: as many as a ticket has room for.
const MAX_REMEMBERED: usize = 16;
/// Nodes that may be expelled at a time: 32 KiB. Who has to keep out more rotates the secret.
pub const MAX_EXPELLED: usize = 1_024;

/// The peers that a replica was told of.
pub(super) fn load_peers(store: &dyn Store) -> Result<Vec<PeerAddress>, StoreError> {
    let Some(text) = store.get(Table::Meta, PEERS_KEY)? else { return Ok(Vec::new()) };
    let ticket = core::str::from_utf8(&text).ok().and_then(|text| text.parse::<Ticket>().ok());
    let damaged = || StoreError::Corrupt { what: "the list of peers is unreadable".into() };
    Ok(ticket.ok_or_else(damaged)?.peers().to_vec())
}

/// Keeps the peers of a ticket before those known already, of which a ticket has room for some; one
/// entry a node, the newer addresses.
pub(in crate::fs) fn remember_peers(store: &dyn Store, ticket: &Ticket) -> Result<(), StoreError> {
    let mut peers = ticket.peers().to_vec();
    let is_new = |known: &PeerAddress| peers.iter().all(|new| new.node != known.node);
    let known: Vec<PeerAddress> = load_peers(store)?.into_iter().filter(is_new).collect();
    peers.extend(known);
    let public = Ticket::new(ticket.hierarchy(), None, peers);
    let mut batch = Batch::new();
    batch.put(Table::Meta, PEERS_KEY, public.to_string().into_bytes());
    store.commit(&batch, Durability::Durable)
}

/// Keeps the members that are alive, so that a node that starts again finds the others although
/// the one whose ticket it has is gone.
pub(super) fn remember_members(engine: &Engine) -> Result<(), StoreError> {
    let (hierarchy, peers) = engine.read(|node| {
        let alive = node.members().filter(|member| member.state == MemberState::Alive);
        let peers = alive
            .map(|member| PeerAddress { node: member.node, addresses: member.addresses.clone() });
        (node.replica().log().genesis(), peers.take(MAX_REMEMBERED).collect())
    });
    remember_peers(&**engine.store(), &Ticket::new(hierarchy, None, peers))
}

/// The nodes that a replica has expelled.
pub(in crate::fs) fn load_expelled(store: &dyn Store) -> Result<BTreeSet<NodeId>, StoreError> {
    let bytes = store.get(Table::Meta, EXPELLED_KEY)?.unwrap_or_default();
    let (ids, rest) = bytes.as_chunks::<{ NodeId::LEN }>();
    if !rest.is_empty() || ids.len() > MAX_EXPELLED {
        let what = "the list of expelled nodes is unreadable".into();
        return Err(StoreError::Corrupt { what });
    }
    Ok(ids.iter().map(|id| NodeId::from_bytes(*id)).collect())
}

fn save_expelled(store: &dyn Store, expelled: &BTreeSet<NodeId>) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    let bytes: Vec<u8> = expelled.iter().flat_map(|node| *node.as_bytes()).collect();
    batch.put(Table::Meta, EXPELLED_KEY, bytes);
    store.commit(&batch, Durability::Durable)
}

/// Why a node could not be expelled. Nothing was changed.
///
/// ```
/// use basefs::fs::{ExpelError, Fs};
///
/// let fs = Fs::in_memory()?;
/// assert!(matches!(fs.expel(fs.node()), Err(ExpelError::Itself)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ExpelError {
    /// It is this node.
    Itself,
    /// As many nodes are expelled as may be: rotate the secret instead.
    TooMany {
        /// How many may be.
        limit: usize,
    },
    /// The store failed.
    Store(StoreError),
}

impl fmt::Display for ExpelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpelError::Itself => f.write_str("a node cannot expel itself; nothing was changed"),
            ExpelError::TooMany { limit } => write!(
                f,
                "{limit} nodes are expelled, and no more can be; rotate the secret, nothing was \
                 changed"
            ),
            ExpelError::Store(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ExpelError {}

impl From<StoreError> for ExpelError {
    fn from(error: StoreError) -> Self {
        ExpelError::Store(error)
    }
}

impl Fs {
    /// Expels a node: from now on this replica neither accepts nor dials it, and a connection to
    /// it is closed at once. The node is told so, if it proves that it may read. Survives
    /// restarts, until it is [readmitted](Self::readmit). Says whether it was not expelled before.
    ///
    /// It holds for this replica alone. Others still talk to that node and pass on to it what is
    /// written here; whoever runs it can make another node with the ticket they have. To keep
    /// somebody out everywhere, [rotate the secret](Self::rotate_secret). What they may *write* is
    /// another matter: see [`revoke`](Self::revoke).
    ///
    /// # Errors
    ///
    /// See [`ExpelError`]; nothing was changed.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// let (fs, other) = (Fs::in_memory()?, Fs::in_memory()?);
    /// assert!(fs.expel(other.node())?);
    /// assert_eq!(fs.expelled(), [other.node()]);
    /// assert!(fs.readmit(other.node())?);
    /// assert!(fs.expelled().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expel(&self, node: NodeId) -> Result<bool, ExpelError> {
        if node == self.node() {
            return Err(ExpelError::Itself);
        }
        let _changing = self.door.changing();
        let mut expelled = self.door.admission().expelled.clone();
        if !expelled.insert(node) {
            return Ok(false);
        }
        if expelled.len() > MAX_EXPELLED {
            return Err(ExpelError::TooMany { limit: MAX_EXPELLED });
        }
        save_expelled(&**self.engine.store(), &expelled)?;
        self.door.gate().change(|admission| admission.expelled = expelled);
        Ok(true)
    }

    /// Ends the [expulsion](Self::expel) of a node. Says whether there was one.
    ///
    /// # Errors
    ///
    /// The store failed; the node stays expelled.
    ///
    /// ```
    /// let (fs, other) = (basefs::Fs::in_memory()?, basefs::Fs::in_memory()?);
    /// assert!(!fs.readmit(other.node())?, "it was not expelled");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readmit(&self, node: NodeId) -> Result<bool, StoreError> {
        let _changing = self.door.changing();
        let mut expelled = self.door.admission().expelled.clone();
        if !expelled.remove(&node) {
            return Ok(false);
        }
        save_expelled(&**self.engine.store(), &expelled)?;
        self.door.gate().change(|admission| admission.expelled = expelled);
        Ok(true)
    }

    /// The nodes that are expelled, in the order of their ids.
    ///
    /// ```
    /// # #[cfg(feature = "redb")] {
    /// use basefs::Fs;
    ///
    /// let (dir, other) = (tempfile::tempdir()?, Fs::in_memory()?);
    /// let fs = Fs::open(dir.path())?;
    /// fs.expel(other.node())?;
    /// drop(fs);
    /// assert_eq!(Fs::open(dir.path())?.expelled(), [other.node()]); // remembered
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expelled(&self) -> Vec<NodeId> {
        self.door.admission().expelled.iter().copied().collect()
    }
}
