//! Opening and creating replicas.

#[cfg(feature = "quic")]
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::entry::{Body, Payload, VerifiedEntry};
use crate::fs::engine::{Engine, SharedStore};
use crate::fs::error::OpenError;
use crate::fs::flusher::Flusher;
use crate::fs::keyfile::{self, MAX_OLD_SECRETS, Secrets, TOO_MANY};
use crate::fs::watch::ReplicaId;
use crate::fs::{Fs, Identity};
#[cfg(feature = "quic")]
use crate::id::NodeId;
use crate::id::{DirId, EntryId};
use crate::node::{Effects, Node, Replica};
use crate::store::{Batch, Durability, MemoryStore, StoreError, layout};
use crate::wire::{ReadSecret, SecretKey};

/// The file of the author's key in the directory of a replica.
pub const AUTHOR_KEY_FILE: &str = "author.key";
/// The file of the node's key.
pub const NODE_KEY_FILE: &str = "node.key";
/// The file of the read secret.
pub const READ_SECRET_FILE: &str = "read.secret";
/// The file of the read secrets that others are still let in with; there only after a rotation.
pub const OLD_SECRETS_FILE: &str = "read.secrets-old";

/// What to say when the key that a replica wrote with is gone.
const MISSING_AUTHOR: &str = "the author's key is missing; restore it from a backup, or give a key \
                              with `Builder::key`";

const MISSING_SECRET: &str = "the read secret is missing: put it back, or join again with a ticket";

/// How to open a replica.
///
/// ```
/// use basefs::Fs;
/// use basefs::wire::SecretKey;
///
/// let dir = tempfile::tempdir()?;
/// let key = SecretKey::from_seed([7; 32]);
/// let fs = Fs::builder().dir(dir.path()).key(key.clone()).name("team").open()?;
/// assert_eq!(fs.author(), key.public());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `open`"]
pub struct Builder {
    dir: Option<PathBuf>,
    store: Option<SharedStore>,
    author: Option<SecretKey>,
    node_key: Option<SecretKey>,
    secret: Option<ReadSecret>,
    name: String,
    hierarchy: Option<EntryId>,
    durability: Durability,
    #[cfg(feature = "quic")]
    ticket: Option<crate::net::Ticket>,
}

impl Builder {
    /// Keeps keys and, unless a store is given, the store in this directory. Without a directory
    /// keys are made anew and forgotten with the process, unless they are given.
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::fs::{AUTHOR_KEY_FILE, NODE_KEY_FILE};
    ///
    /// # #[cfg(feature = "redb")] {
    /// let dir = tempfile::tempdir()?;
    /// let author = Fs::builder().dir(dir.path()).open()?.author();
    /// for file in [AUTHOR_KEY_FILE, NODE_KEY_FILE] {
    ///     assert!(dir.path().join(file).exists());
    /// }
    /// assert_eq!(Fs::builder().dir(dir.path()).open()?.author(), author);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_path_buf());
        self
    }

    /// Uses this store.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use basefs::Fs;
    /// use basefs::store::{MemoryStore, Store};
    ///
    /// let store = Arc::new(MemoryStore::new()); // or one of your own
    /// let fs = Fs::builder().store(store.clone()).open()?;
    /// fs.write("/motd", "hello")?;
    /// drop(fs);
    /// assert!(store.stats().commits > 0);
    /// let fs = Fs::builder().store(store).open()?; // a new key, the same hierarchy
    /// assert_eq!(fs.read("/motd")?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store(mut self, store: SharedStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Writes as this author. The key is not stored: give it again when opening again. The author
    /// of a new hierarchy becomes its root key.
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::wire::SecretKey;
    ///
    /// let root = SecretKey::from_seed([7; 32]); // from where keys are kept
    /// let fs = Fs::builder().key(root.clone()).open()?;
    /// assert_eq!((fs.author(), fs.keys()?[0].key), (root.public(), root.public()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(mut self, author: SecretKey) -> Self {
        self.author = Some(author);
        self
    }

    /// Is this node on the network; the key is not stored.
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::wire::SecretKey;
    ///
    /// let key = SecretKey::from_seed([7; 32]);
    /// let fs = Fs::builder().node_key(key.clone()).open()?;
    /// assert_eq!(fs.node().as_bytes(), key.public().as_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn node_key(mut self, key: SecretKey) -> Self {
        self.node_key = Some(key);
        self
    }

    /// The label of the hierarchy, if it is created: at most 64 bytes.
    ///
    /// ```
    /// use basefs::{Fs, OpenError};
    ///
    /// Fs::builder().name("the team's files").open()?;
    /// let long = Fs::builder().name("a".repeat(65)).open();
    /// assert!(matches!(long, Err(OpenError::Name(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// When writes survive a crash: before they return (the default), or within half a second; see
    /// [`Fs::with_durability`].
    ///
    /// ```
    /// use basefs::Fs;
    /// use basefs::store::Durability;
    ///
    /// let fs = Fs::builder().durability(Durability::Deferred).open()?;
    /// for n in 0..100 {
    ///     fs.write(format!("/samples/{n}"), "")?; // none waits for the disk
    /// }
    /// fs.sync()?;
    /// assert!(fs.store_stats().durable_commits < 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Makes a replica of an existing hierarchy instead of a new one, and remembers whom the ticket
    /// names as peers.
    ///
    /// ```
    /// let ana = basefs::Fs::in_memory()?;
    /// let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// assert_eq!(ben.hierarchy(), ana.hierarchy());
    /// assert_ne!(ben.author(), ana.author()); // a key of his own, without a grant yet
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "quic")]
    pub fn join(mut self, ticket: &crate::net::Ticket) -> Self {
        self.hierarchy = Some(ticket.hierarchy());
        self.secret = ticket.secret().cloned();
        self.ticket = Some(ticket.clone());
        self
    }

    /// Opens the replica, or creates it.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. What was there before is as it was.
    ///
    /// ```
    /// use basefs::{Fs, OpenError};
    /// use basefs::fs::AUTHOR_KEY_FILE;
    ///
    /// # #[cfg(feature = "redb")] {
    /// let dir = tempfile::tempdir()?;
    /// drop(Fs::builder().dir(dir.path()).open()?);
    /// std::fs::remove_file(dir.path().join(AUTHOR_KEY_FILE))?;
    /// let Err(OpenError::Key { what, .. }) = Fs::builder().dir(dir.path()).open() else {
    ///     panic!("a new key in place of the lost one could not write");
    /// };
    /// assert!(what.contains("restore it from a backup"));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(mut self) -> Result<Fs, OpenError> {
        #[cfg(feature = "quic")]
        if self.ticket.as_ref().is_some_and(|ticket| ticket.secret().is_none()) {
            return Err(OpenError::PublicTicket);
        }
        let is_own_store = self.store.is_none() && self.dir.is_some();
        let store = self.open_store()?;
        let held = layout::hierarchy(&*store)?;
        if let (Some(held), Some(wanted)) = (held, self.hierarchy)
            && held != wanted
        {
            return Err(OpenError::OtherHierarchy);
        }
        let seed = keyfile::random()?;
        // Before any file is touched: a store that does not load leaves everything as it was.
        let loaded = held.map(|held| layout::load(&*store, held, table_seed(&seed))).transpose()?;
        #[cfg(feature = "quic")]
        let expelled = crate::fs::serve::load_expelled(&*store)?;
        let given = self.secret.take();
        let identity = Identity {
            author: self.author_key(held.is_some() && is_own_store)?,
            node: self.secret_key(self.node_key.clone(), NODE_KEY_FILE)?,
        };
        let secrets = self.read_secrets(given, held.is_some() && is_own_store)?;
        let replica = match (loaded, self.hierarchy) {
            (Some(replica), _) => replica,
            (None, Some(hierarchy)) => join(&store, hierarchy, table_seed(&seed))?,
            (None, None) => self.found(&store, &identity.author, table_seed(&seed))?,
        };
        #[cfg(feature = "quic")]
        if let Some(ticket) = &self.ticket {
            crate::fs::serve::remember_peers(&*store, ticket)?;
        }
        let author = identity.author.public();
        #[cfg(feature = "quic")]
        let door = door(&replica, secrets, expelled, self.dir.clone());
        #[cfg(not(feature = "quic"))]
        drop(secrets);
        let replica_id = replica_id(&store)?;
        let contents = layout::completed(&*store)?;
        let node = Node::new(replica, *seed);
        let engine = Engine::new(node, store, author, replica_id, contents);
        let flusher = Flusher::start(Arc::clone(&engine))
            .map_err(|error| OpenError::Io { path: self.dir.unwrap_or_default(), error })?;
        Ok(Fs {
            flusher: Arc::new(flusher),
            engine,
            identity: Arc::new(identity),
            #[cfg(feature = "quic")]
            door,
            planning: Arc::new(Mutex::new(())),
            durability: self.durability,
        })
    }

    fn open_store(&mut self) -> Result<SharedStore, OpenError> {
        if let Some(store) = self.store.take() {
            return Ok(store);
        }
        match &self.dir {
            None => Ok(Arc::new(MemoryStore::new())),
            Some(dir) => open_in(dir),
        }
    }

    /// The author's key: given, kept from before, or new with the replica. A new one in place of
    /// one that was lost would have no permissions, which is found out much later.
    fn author_key(&self, must_exist: bool) -> Result<SecretKey, OpenError> {
        let path = self.dir.as_ref().map(|dir| dir.join(AUTHOR_KEY_FILE));
        if let (None, true, Some(path)) = (&self.author, must_exist, path)
            && keyfile::load(&path)?.is_none()
        {
            return Err(OpenError::Key { path, what: MISSING_AUTHOR.into() });
        }
        self.secret_key(self.author.clone(), AUTHOR_KEY_FILE)
    }

    fn secret_key(&self, given: Option<SecretKey>, file: &str) -> Result<SecretKey, OpenError> {
        let seed = match (given, &self.dir) {
            (Some(key), _) => return Ok(key),
            (None, Some(dir)) => keyfile::load_or_create(&dir.join(file))?,
            (None, None) => keyfile::random()?,
        };
        Ok(SecretKey::from_seed(*seed))
    }

    /// The read secrets: the current one from the ticket, kept from before, or new with the
    /// hierarchy. A new one in place of one that was lost would shut the replica out without a
    /// word. A newer ticket of the same hierarchy may bring a rotated one; those before it are kept
    /// until they are dropped.
    fn read_secrets(
        &self,
        given: Option<ReadSecret>,
        must_exist: bool,
    ) -> Result<Secrets, OpenError> {
        let Some(dir) = &self.dir else {
            let make = || keyfile::random().map(|bytes| ReadSecret::from_bytes(*bytes));
            return Ok(Secrets { current: given.map_or_else(make, Ok)?, old: Vec::new() });
        };
        let io = |(path, error)| OpenError::Io { path, error };
        match (Secrets::load(dir)?, given) {
            (Some(mut kept), Some(secret)) => {
                if kept.current != secret {
                    kept.adopt(secret);
                    if kept.old.len() > MAX_OLD_SECRETS {
                        let (path, what) = (dir.join(OLD_SECRETS_FILE), TOO_MANY.into());
                        return Err(OpenError::Key { path, what });
                    }
                    kept.save(dir).map_err(io)?;
                }
                Ok(kept)
            }
            (Some(kept), None) => Ok(kept),
            (None, Some(current)) => {
                let new = Secrets { current, old: Vec::new() };
                new.save(dir).map_err(io)?;
                Ok(new)
            }
            (None, None) if must_exist => Err(OpenError::Key {
                path: dir.join(READ_SECRET_FILE),
                what: MISSING_SECRET.into(),
            }),
            (None, None) => {
                let secret = keyfile::load_or_create(&dir.join(READ_SECRET_FILE))?;
                Ok(Secrets { current: ReadSecret::from_bytes(*secret), old: Vec::new() })
            }
        }
    }

    /// Founds a hierarchy with the author as its only root key.
    fn found(
        &self,
        store: &SharedStore,
        author: &SecretKey,
        seed: u64,
    ) -> Result<Replica, OpenError> {
        let genesis = genesis(author, &self.name)?;
        let mut replica = Replica::new(genesis.id(), seed);
        let mut effects = Effects::default();
        let mut batch = Batch::new();
        layout::found(&mut batch, genesis.id());
        replica.offer(genesis, crate::log::Source::Local, &mut effects);
        layout::record(&mut batch, &effects);
        store.commit(&batch, Durability::Durable)?;
        Ok(replica)
    }
}

/// Who is let in by a replica.
#[cfg(feature = "quic")]
fn door(
    replica: &Replica,
    secrets: Secrets,
    expelled: BTreeSet<NodeId>,
    dir: Option<PathBuf>,
) -> Arc<crate::fs::serve::Door> {
    use crate::net::{Access, Admission};

    let Secrets { current, old: also_accepted } = secrets;
    let access = Access::Secret { current, also_accepted };
    let admission = Admission { expelled, ..Admission::new(replica.log().genesis(), access) };
    crate::fs::serve::Door::new(admission, dir)
}

#[cfg(feature = "redb")]
fn open_in(dir: &Path) -> Result<SharedStore, OpenError> {
    Ok(Arc::new(crate::store::RedbStore::open(dir)?))
}

#[cfg(not(feature = "redb"))]
fn open_in(dir: &Path) -> Result<SharedStore, OpenError> {
    let what = alloc::format!(
        "{}: this build has no durable store; enable the feature `redb` or give a store",
        dir.display()
    );
    Err(StoreError::Io { what }.into())
}

/// Claims the store for a hierarchy whose genesis will come from a peer.
fn join(store: &SharedStore, hierarchy: EntryId, seed: u64) -> Result<Replica, StoreError> {
    let mut batch = Batch::new();
    layout::found(&mut batch, hierarchy);
    store.commit(&batch, Durability::Durable)?;
    Ok(Replica::new(hierarchy, seed))
}

/// The id of the data directory; made when it is opened for the first time.
fn replica_id(store: &SharedStore) -> Result<ReplicaId, OpenError> {
    if let Some(id) = layout::replica_id(&**store)? {
        return Ok(id);
    }
    let random = keyfile::random()?;
    let mut id = ReplicaId::default();
    id.copy_from_slice(&random[..layout::REPLICA_ID]);
    let mut batch = Batch::new();
    layout::name_replica(&mut batch, &id);
    store.commit(&batch, Durability::Durable)?;
    Ok(id)
}

fn genesis(author: &SecretKey, name: &str) -> Result<VerifiedEntry, OpenError> {
    let random = keyfile::random()?;
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&random[..16]);
    let body = Body {
        dir: DirId::from_bytes([0; 32]),
        name: name.into(),
        prev: alloc::vec::Vec::new(),
        cap: EntryId::from_bytes([0; 32]),
        key: author.public(),
        seq: 0,
        aprev: None,
        ts: crate::fs::engine::wall_time(),
        payload: Payload::Genesis { roots: alloc::vec![author.public()], nonce },
    };
    body.sign(author).map_err(OpenError::Name)
}

fn table_seed(random: &[u8; 32]) -> u64 {
    random.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
