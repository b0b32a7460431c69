//! Making handles: how a replica is opened, who it is, and how durable its writes are.

#[cfg(feature = "redb")]
use std::path::Path;

use crate::fs::error::OpenError;
use crate::fs::{Builder, Fs};
use crate::id::{EntryId, NodeId, PublicKey};
use crate::store::{Durability, StoreError, StoreStats};

impl Fs {
    /// Opens the replica in a directory, or creates it together with a new hierarchy.
    ///
    /// A new hierarchy gets a new root key, which is kept in the directory (`author.key`, mode
    /// 0600) and writes everything. That is right for trying things out. For more, grant daily
    /// work to other keys and keep the root key on no machine: who has it can do everything, and
    /// it cannot be revoked.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; what was there before is as it was.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let fs = Fs::open(dir.path())?; // makes a hierarchy
    /// fs.write("/motd", "hello")?;
    /// let hierarchy = fs.hierarchy();
    /// drop(fs);
    ///
    /// let fs = Fs::open(dir.path())?; // opens it again
    /// assert_eq!((fs.hierarchy(), fs.read("/motd")?), (hierarchy, "hello".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "redb")]
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder().dir(dir).open()
    }

    /// Makes a replica of an existing hierarchy in a directory, or opens it again.
    ///
    /// It has a new author key, which may write once somebody [grants](Self::grant) it something,
    /// and is empty until it is connected to a peer.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; what was there before is as it was.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// # let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// let fs = Fs::open(here.path())?;
    /// let ticket = fs.ticket(vec![]).to_string(); // that of `Serving::ticket` says where to connect to
    /// let other = Fs::join(there.path(), &ticket.parse()?)?;
    /// assert_eq!(other.hierarchy(), fs.hierarchy());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(all(feature = "redb", feature = "quic"))]
    pub fn join(dir: impl AsRef<Path>, ticket: &crate::net::Ticket) -> Result<Self, OpenError> {
        Self::builder().dir(dir).join(ticket).open()
    }

    /// A new hierarchy that is forgotten with the process.
    ///
    /// # Errors
    ///
    /// The system gave no randomness or no thread.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// assert_eq!((fs.entries(), fs.keys()?[0].key), (1, fs.author())); // the genesis; the root key
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::builder().open()
    }

    /// All the ways to open a replica.
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::store::Durability;
    /// use basefs::wire::SecretKey;
    ///
    /// let key = SecretKey::from_seed([7; 32]);
    /// let builder = Fs::builder().key(key.clone()).name("team").durability(Durability::Deferred);
    /// assert_eq!(builder.open()?.author(), key.public());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The id of the hierarchy: that of its genesis entry.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// let (one, other) = (Fs::in_memory()?, Fs::in_memory()?);
    /// assert_ne!(one.hierarchy(), other.hierarchy()); // two hierarchies never become one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hierarchy(&self) -> EntryId {
        self.engine.hierarchy()
    }

    /// The key that this handle writes with.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// let fs = Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// assert_eq!(fs.versions("/motd")?[0].author, fs.author());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn author(&self) -> PublicKey {
        self.identity.author.public()
    }

    /// The identity of this replica on the network.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// let fs = Fs::in_memory()?;
    /// assert_ne!(fs.node().as_bytes(), fs.author().as_bytes()); // a key of its own
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn node(&self) -> NodeId {
        NodeId::from_bytes(*self.identity.node.public().as_bytes())
    }

    /// A handle that writes with other durability.
    ///
    /// ```
    /// use basefs::store::Durability;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let fast = fs.with_durability(Durability::Deferred);
    /// fast.write("/counter", "1")?; // on disk within half a second
    /// fast.sync()?; // or now
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self { durability, ..self.clone() }
    }

    /// Makes deferred writes durable now.
    ///
    /// # Errors
    ///
    /// The store failed; what was durable before is intact.
    ///
    /// ```
    /// use basefs::store::Durability;
    ///
    /// let fs = basefs::Fs::in_memory()?.with_durability(Durability::Deferred);
    /// fs.write("/a", "1")?;
    /// fs.write("/b", "2")?;
    /// fs.sync()?; // one wait for the disk for both
    /// assert_eq!(fs.read("/b")?, "2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync(&self) -> Result<(), StoreError> {
        self.engine.flush()
    }

    /// Number of entries in the log.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/motd", "hello")?;
    /// fs.remove("/motd")?;
    /// assert_eq!(fs.entries(), 3, "the genesis, the write, the removal: the log only grows");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn entries(&self) -> usize {
        self.engine.read(|node| node.replica().log().len())
    }

    /// Counters of the store since it was opened.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let before = fs.store_stats();
    /// fs.write("/motd", "hello")?;
    /// let after = fs.store_stats();
    /// assert_eq!(after.durable_commits - before.durable_commits, 1);
    /// assert!(after.bytes_written > before.bytes_written);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store_stats(&self) -> StoreStats {
        self.engine.stats()
    }
}
