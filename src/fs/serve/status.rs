//! What people want to know of a running node.

use alloc::vec::Vec;
use core::time::Duration;

use super::Serving;
use crate::gossip::Member;
use crate::id::{Content, NodeId};
use crate::log::Missing;
use crate::net::PeerStatus;
use crate::node::{Standing, Unsent};

/// Missing references that a status names: enough to see what it is about.
const MAX_NAMED: usize = 16;

/// The state of a node: who it is connected to, how far they are, and what waits for what.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let mut config = basefs::net::QuicConfig::default();
/// # config.listen = "127.0.0.1:0".parse()?;
/// let fs = basefs::Fs::in_memory()?;
/// let node = fs.serve(config).await?;
/// fs.write("/motd", "hello")?;
/// let status = node.status();
/// let is_idle = status.unstored + status.waiting + status.wanted == 0;
/// assert_eq!((status.entries, is_idle, status.peers.len()), (2, true, 0));
/// # node.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The peers that are known or connected, in the order of their ids.
    pub peers: Vec<PeerReport>,
    /// The members of the group, this node excepted, in the order of their ids: also those that it
    /// is not connected with, and for two days those that are dead or have left.
    pub members: Vec<Member>,
    /// Entries here.
    pub entries: usize,
    /// Of those, entries that a crash now would lose; they have not left this node.
    pub unstored: usize,
    /// Entries that came and wait for something that they refer to. They are not part of
    /// `entries`.
    pub waiting: usize,
    /// The first 16 of the things that they wait for.
    pub missing: Vec<Missing>,
    /// Contents that are named by entries and not here.
    pub wanted: usize,
    /// Of those, the one that was named first.
    pub oldest_wanted: Option<Content>,
    /// Old read secrets that are still accepted.
    pub old_secrets: usize,
    /// The nodes that are expelled.
    pub expelled: Vec<NodeId>,
}

/// What is known of one peer.
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
/// let report = &at_ben.status().peers[0];
/// assert_eq!((report.peer.node, report.standing.to_string().as_str()), (ana.node(), "equal"));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerReport {
    /// Who and where it is, its connection with counters, and why it could not be dialled.
    pub peer: PeerStatus,
    /// How far it is, as far as was heard of it; of one that is not connected, when it was last.
    pub standing: Standing,
    /// For how long that has been so.
    pub since: Duration,
    /// What waits to be sent to it.
    pub unsent: Unsent,
}

impl Serving {
    /// What this node knows of itself and its peers, at one moment.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let mut config = basefs::net::QuicConfig::default();
    /// # config.listen = "127.0.0.1:0".parse()?;
    /// # let fs = basefs::Fs::in_memory()?;
    /// let node = fs.serve(config).await?;
    /// let status = node.status();
    /// for report in &status.peers {
    ///     println!("{}: {} for {:?}", report.peer.node, report.standing, report.since);
    /// }
    /// assert_eq!((status.entries, status.waiting, status.wanted), (1, 0, 0));
    /// # node.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn status(&self) -> Status {
        let (peers, now) = (self.peers(), self.handle.now());
        self.fs.engine.read(|node| {
            let report = |peer: PeerStatus| {
                let (standing, since) = node.standing(&peer.node);
                let links = node.peers().filter(|(_, of)| *of == peer.node);
                let unsent = links.filter_map(|(link, _)| node.unsent(link)).last();
                let (since, unsent) = (now - since, unsent.unwrap_or_default());
                PeerReport { peer, standing, since, unsent }
            };
            let log = node.replica().log();
            Status {
                peers: peers.into_iter().map(report).collect(),
                members: node.members().cloned().collect(),
                entries: log.len(),
                unstored: log.len() - node.durable(),
                waiting: log.waiting(),
                missing: log.missing().take(MAX_NAMED).collect(),
                wanted: node.wanted(),
                oldest_wanted: node.oldest_wanted(),
                old_secrets: self.fs.old_secrets(),
                expelled: self.fs.expelled(),
            }
        })
    }
}
