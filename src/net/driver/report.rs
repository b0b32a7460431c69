//! What a driver tells of its peers, and of itself when it fails.

use ::core::fmt;
use ::core::time::Duration;
use alloc::string::String;
use alloc::vec::Vec;
use std::net::SocketAddr;

use crate::id::NodeId;
use crate::net::{ConnectError, LinkStats};

/// What is known of a peer.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// let ana = Fs::in_memory()?;
/// let at_ana = ana.serve(config.clone()).await?;
/// let ben = Fs::builder().join(&at_ana.ticket()).open()?;
/// let at_ben = ben.serve(config).await?;
/// at_ben.wait_synced(Duration::from_secs(9)).await?;
/// let peer = &at_ben.peers()[0];
/// assert_eq!((peer.node, peer.error.as_ref()), (ana.node(), None));
/// assert!(peer.link.as_ref().is_some_and(|link| link.stats.received > 0));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Who.
    pub node: NodeId,
    /// Where it is dialled; nothing if it only ever dialled this node.
    pub addresses: Vec<SocketAddr>,
    /// Its connection, if there is one.
    pub link: Option<LinkStatus>,
    /// How many attempts to dial it failed in a row.
    pub failures: u32,
    /// Why the last attempt failed, unless one succeeded since.
    pub error: Option<ConnectError>,
}

/// What is known of a connection.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// # let ana = Fs::in_memory()?;
/// # let at_ana = ana.serve(config.clone()).await?;
/// # let ben = Fs::builder().join(&at_ana.ticket()).open()?;
/// # let at_ben = ben.serve(config).await?;
/// # at_ben.wait_synced(Duration::from_secs(9)).await?;
/// let link = at_ben.peers()[0].link.clone().ok_or("not connected")?;
/// assert!(link.dialed, "Ben joined, so he dialled");
/// println!("for {:?}, {} bytes received", link.age, link.stats.received);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStatus {
    /// Whether this node dialled.
    pub dialed: bool,
    /// For how long it has been connected.
    pub age: Duration,
    /// Counters of the connection.
    pub stats: LinkStats,
    /// The last session of reconciliation that ended.
    pub last_sync: Option<SyncReport>,
}

/// How a session of reconciliation ended.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// # let ana = Fs::in_memory()?;
/// # let at_ana = ana.serve(config.clone()).await?;
/// # let ben = Fs::builder().join(&at_ana.ticket()).open()?;
/// # let at_ben = ben.serve(config).await?;
/// # at_ben.wait_synced(Duration::from_secs(9)).await?;
/// let link = at_ben.peers()[0].link.clone().ok_or("not connected")?;
/// if let Some(sync) = link.last_sync {
///     assert!(sync.equal);
///     println!("{} sent, {} received, {:?} ago", sync.sent, sync.received, sync.age);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// Whether both sides had the same entries.
    pub equal: bool,
    /// Entries sent in it.
    pub sent: u64,
    /// Entries received in it.
    pub received: u64,
    /// How long ago it ended.
    pub age: Duration,
}

/// Why waiting for a peer to be equal was given up.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::time::Duration;
/// # use basefs::Fs;
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// use basefs::net::SynchroniseError;
///
/// let node = Fs::in_memory()?.serve(config).await?;
/// match node.wait_synced(Duration::from_millis(10)).await {
///     Ok(()) => println!("as far as everybody else"),
///     Err(SynchroniseError::NotConnected) => println!("nobody is there: look at `peers`"),
///     Err(error) => println!("{error}"),
/// }
/// let alone = node.sync_now(Duration::from_secs(9)).await;
/// assert_eq!(alone, Err(SynchroniseError::NotConnected));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynchroniseError {
    /// No peer, or not the one given, is connected, or the last of them was lost meanwhile.
    NotConnected,
    /// It took too long.
    TimedOut,
    /// The node was stopped.
    Stopped,
}

impl fmt::Display for SynchroniseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SynchroniseError::NotConnected => "not connected to a peer to synchronise with",
            SynchroniseError::TimedOut => "synchronising took too long; it goes on",
            SynchroniseError::Stopped => "the node was stopped",
        })
    }
}

impl ::core::error::Error for SynchroniseError {}

/// Why waiting for peers to have something was given up. Nothing is undone: it spreads on.
///
/// ```
/// use basefs::net::ReplicationError;
///
/// let error = ReplicationError::TimedOut { reached: 1 };
/// assert_eq!(error.to_string(), "only 1 of the peers had it in time; it spreads on");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicationError {
    /// It took too long.
    TimedOut {
        /// How many peers have it.
        reached: usize,
    },
    /// The node was stopped.
    Stopped,
}

impl fmt::Display for ReplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplicationError::TimedOut { reached } => {
                write!(f, "only {reached} of the peers had it in time; it spreads on")
            }
            ReplicationError::Stopped => f.write_str("the node was stopped"),
        }
    }
}

impl ::core::error::Error for ReplicationError {}

/// Why a node stopped otherwise than it was told to. All its connections are closed.
///
/// ```
/// use basefs::net::DriverError;
///
/// let error = DriverError::Host { what: "no space is left on the device".into() };
/// let told = error.to_string();
/// assert_eq!(told, "the node stopped, its store failed: no space is left on the device");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverError {
    /// The host could not read or store.
    Host {
        /// What it said.
        what: String,
    },
    /// A task of the driver panicked: a bug.
    Panicked,
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriverError::Host { what } => write!(f, "the node stopped, its store failed: {what}"),
            DriverError::Panicked => f.write_str("the node stopped because of a bug in it"),
        }
    }
}

impl ::core::error::Error for DriverError {}
