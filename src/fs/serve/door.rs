//! The read secrets of a replica: which lets it in, which let others in, and how they change.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::io;
use std::path::PathBuf;

use parking_lot::{Mutex, MutexGuard};

use crate::fs::keyfile::{self, MAX_OLD_SECRETS, Secrets};
use crate::fs::serve::peers::remember_peers;
use crate::fs::{Fs, OLD_SECRETS_FILE};
use crate::id::EntryId;
use crate::net::{Access, Admission, Gate, Ticket};
use crate::store::StoreError;
use crate::wire::ReadSecret;

/// Who is let in, and where that is kept.
#[derive(Debug)]
pub(in crate::fs) struct Door {
    gate: Gate,
    /// Where the secrets are; nothing if they are forgotten with the process.
    dir: Option<PathBuf>,
    /// Held by whoever changes something: files and gate say the same.
    changing: Mutex<()>,
}

impl Door {
    pub(in crate::fs) fn new(admission: Admission, dir: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { gate: Gate::new(admission), dir, changing: Mutex::new(()) })
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn admission(&self) -> Arc<Admission> {
        self.gate.admission()
    }

    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    pub(super) fn secrets(&self) -> Option<Secrets> {
        match &self.admission().access {
            Access::Secret { current, also_accepted } => {
                Some(Secrets { current: current.clone(), old: also_accepted.clone() })
            }
            Access::Public => None,
        }
    }

    /// Makes a secret the current one, and keeps those before as accepted. The caller holds the
    /// lock.
    fn adopt(&self, secret: ReadSecret) -> Result<(), ChangeError> {
        let Some(mut secrets) = self.secrets() else { return Ok(()) };
        secrets.adopt(secret);
        if secrets.old.len() > MAX_OLD_SECRETS {
            return Err(ChangeError::TooMany);
        }
        if let Some(dir) = &self.dir {
            secrets.save(dir).map_err(ChangeError::Io)?;
        }
        self.set(secrets);
        Ok(())
    }

    fn set(&self, Secrets { current, old: also_accepted }: Secrets) {
        let access = Access::Secret { current, also_accepted };
        self.gate.change(|admission| admission.access = access);
    }
}

/// Why the secrets are as they were.
enum ChangeError {
    TooMany,
    Io((PathBuf, io::Error)),
}

/// Why the read secret was not rotated: the current one is as it was.
///
/// ```
/// use basefs::Fs;
/// use basefs::fs::{MAX_OLD_SECRETS, RotateSecretError};
///
/// let fs = Fs::in_memory()?;
/// for _ in 0..MAX_OLD_SECRETS {
///     fs.rotate_secret()?;
/// }
/// assert!(matches!(fs.rotate_secret(), Err(RotateSecretError::TooManyOld { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RotateSecretError {
    /// As many old secrets are accepted as may be: drop them first.
    TooManyOld {
        /// How many may be.
        limit: usize,
    },
    /// The operating system refused.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The system gave no random numbers.
    NoRandomness,
}

impl fmt::Display for RotateSecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RotateSecretError::TooManyOld { limit } => write!(
                f,
                "{limit} old secrets are still accepted, and no more can be; drop them first, \
                 nothing was changed"
            ),
            RotateSecretError::Io { path, error } => {
                write!(f, "{}: {error}; the secret was not rotated", path.display())
            }
            RotateSecretError::NoRandomness => {
                f.write_str("the system gave no random numbers; nothing was changed")
            }
        }
    }
}

impl core::error::Error for RotateSecretError {}

/// Why a ticket was not taken over: the secrets are as they were.
///
/// ```
/// use basefs::Fs;
/// use basefs::fs::AdoptTicketError;
///
/// let (fs, other) = (Fs::in_memory()?, Fs::in_memory()?);
/// let adopted = fs.adopt_ticket(&other.ticket(vec![]));
/// assert!(matches!(adopted, Err(AdoptTicketError::OtherHierarchy)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AdoptTicketError {
    /// It is for another hierarchy.
    OtherHierarchy,
    /// It has no read secret: it is for a public hierarchy.
    PublicTicket,
    /// As many old secrets are accepted as may be: drop them first. The peers that the ticket
    /// names are remembered.
    TooManyOld {
        /// How many may be.
        limit: usize,
    },
    /// The operating system refused. The peers that the ticket names are remembered.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The store failed.
    Store(StoreError),
}

impl fmt::Display for AdoptTicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdoptTicketError::OtherHierarchy => {
                f.write_str("the ticket is for another hierarchy; nothing was changed")
            }
            AdoptTicketError::PublicTicket => {
                f.write_str("the ticket has no read secret; nothing was changed")
            }
            AdoptTicketError::TooManyOld { limit } => write!(
                f,
                "{limit} old secrets are still accepted, and no more can be; drop them first"
            ),
            AdoptTicketError::Io { path, error } => {
                write!(f, "{}: {error}; the secret was not taken over", path.display())
            }
            AdoptTicketError::Store(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AdoptTicketError {}

impl From<StoreError> for AdoptTicketError {
    fn from(error: StoreError) -> Self {
        AdoptTicketError::Store(error)
    }
}

/// Why old secrets are still accepted.
///
/// ```
/// # #[cfg(feature = "redb")] {
/// use basefs::Fs;
/// use basefs::fs::{DropSecretsError, OLD_SECRETS_FILE};
///
/// let dir = tempfile::tempdir()?;
/// let fs = Fs::open(dir.path())?;
/// fs.rotate_secret()?;
/// let file = dir.path().join(OLD_SECRETS_FILE);
/// std::fs::remove_file(&file)?;
/// std::fs::create_dir(&file)?; // cannot be removed as a file
/// let Err(DropSecretsError::Io { path, .. }) = fs.drop_old_secrets() else { panic!() };
/// assert_eq!((path, fs.old_secrets()), (file, 1)); // who has the old secret is still let in
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DropSecretsError {
    /// The operating system refused.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for DropSecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DropSecretsError::Io { path, error } = self;
        write!(f, "{}: {error}; the old secrets are still accepted", path.display())
    }
}

impl core::error::Error for DropSecretsError {}

impl Fs {
    /// Makes a new read secret, which is in every [ticket](Self::ticket) from now on. Whoever has
    /// an old one is let in until it is [dropped](Self::drop_old_secrets).
    ///
    /// To keep a reader out everywhere without losing anybody else: rotate the secret on one
    /// replica; hand a new ticket to everybody else, who [adopts](Self::adopt_ticket) it; then drop
    /// the old secret on every replica. A replica that dials one that has not heard of the new
    /// secret falls back on the old, so the order does not matter. What the reader has read, it
    /// keeps.
    ///
    /// # Errors
    ///
    /// See [`RotateSecretError`]; the current secret is as it was.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// let ana = Fs::in_memory()?;
    /// let ben = Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// ana.rotate_secret()?;
    /// ben.adopt_ticket(&ana.ticket(vec![]))?; // both still let in who has the old secret
    /// assert_eq!((ana.old_secrets(), ben.old_secrets()), (1, 1));
    /// ana.drop_old_secrets()?;
    /// ben.drop_old_secrets()?;
    /// assert_eq!(ana.ticket(vec![]), ben.ticket(vec![]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rotate_secret(&self) -> Result<(), RotateSecretError> {
        let random = keyfile::random().map_err(|_| RotateSecretError::NoRandomness)?;
        let _changing = self.door.changing();
        self.door.adopt(ReadSecret::from_bytes(*random)).map_err(|error| match error {
            ChangeError::TooMany => RotateSecretError::TooManyOld { limit: MAX_OLD_SECRETS },
            ChangeError::Io((path, error)) => RotateSecretError::Io { path, error },
        })
    }

    /// Takes over the read secret of a newer ticket of the same hierarchy: it becomes the current
    /// one, and those before are accepted until they are [dropped](Self::drop_old_secrets). The
    /// peers that the ticket names are remembered for the next time that this replica is
    /// [served](Self::serve); [`Serving::join`](super::Serving::join) connects to them at once.
    ///
    /// # Errors
    ///
    /// See [`AdoptTicketError`]; the current secret is as it was.
    ///
    /// ```
    /// use basefs::Fs;
    ///
    /// let ana = Fs::in_memory()?;
    /// let ben = Fs::builder().join(&ana.ticket(vec![])).open()?;
    /// ana.rotate_secret()?;
    /// let text = ana.ticket(vec![]).to_string(); // handed to Ben like a password
    /// ben.adopt_ticket(&text.parse()?)?;
    /// assert_eq!(ben.ticket(vec![]), ana.ticket(vec![]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt_ticket(&self, ticket: &Ticket) -> Result<(), AdoptTicketError> {
        self.take_ticket(ticket, |_| true)
    }

    /// Takes over a ticket; its secret becomes the current one if `adopts`.
    pub(super) fn take_ticket(
        &self,
        ticket: &Ticket,
        adopts: impl FnOnce(&Admission) -> bool,
    ) -> Result<(), AdoptTicketError> {
        if ticket.hierarchy() != self.hierarchy() {
            return Err(AdoptTicketError::OtherHierarchy);
        }
        let secret = ticket.secret().ok_or(AdoptTicketError::PublicTicket)?;
        let _changing = self.door.changing();
        remember_peers(&**self.engine.store(), ticket)?;
        if !adopts(&self.door.admission()) {
            return Ok(());
        }
        self.door.adopt(secret.clone()).map_err(|error| match error {
            ChangeError::TooMany => AdoptTicketError::TooManyOld { limit: MAX_OLD_SECRETS },
            ChangeError::Io((path, error)) => AdoptTicketError::Io { path, error },
        })
    }

    /// Lets nobody in any more who knows an old read secret only, and closes the connections of
    /// those who were let in by one. A peer that knows the current secret by now comes back at
    /// once. Says how many secrets were dropped.
    ///
    /// # Errors
    ///
    /// A file could not be removed; the old secrets are still accepted.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.rotate_secret()?;
    /// assert_eq!(fs.drop_old_secrets()?, 1);
    /// assert_eq!(fs.drop_old_secrets()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_old_secrets(&self) -> Result<usize, DropSecretsError> {
        let _changing = self.door.changing();
        let Some(Secrets { current, old }) = self.door.secrets() else { return Ok(0) };
        if let Some(dir) = &self.door.dir {
            let path = dir.join(OLD_SECRETS_FILE);
            keyfile::remove(&path).map_err(|error| DropSecretsError::Io { path, error })?;
        }
        self.door.set(Secrets { current, old: Vec::new() });
        Ok(old.len())
    }

    /// How many old read secrets are accepted besides the current one.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// assert_eq!(fs.old_secrets(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn old_secrets(&self) -> usize {
        self.door.secrets().map_or(0, |secrets| secrets.old.len())
    }

    /// The hierarchy and the secret that this replica hands on.
    pub(super) fn pass(&self) -> (EntryId, Option<ReadSecret>) {
        (self.hierarchy(), self.door.secrets().map(|secrets| secrets.current))
    }
}
