//! Why a verb failed: an exit code for scripts and a message for people.

use std::io;

use basefs::fs::{
    AUTHOR_KEY_FILE, AdoptTicketError, DiffError, DropSecretsError, ExpelError, OpenError,
    ReadError, RevertError, RevokeError, RotateSecretError, SnapshotError, WriteError,
};
use basefs::store::StoreError;
use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::render::{plain, word};

/// Characters of the command line of another process that are shown: enough to know it again.
const MAX_COMMAND: usize = 80;
/// What every ticket begins with.
const TICKET: &str = "basefs1";

/// What kind of failure it is; each has an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// Nothing is there, or it was refused.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The key of this replica may not do that, or the system does not let this user.
    Denied,
    /// Somebody was faster, or the two ends do not understand each other.
    Conflict,
    /// Not now: the store is open elsewhere, there is no node where one is needed, or what was
    /// waited for has not come.
    Unavailable,
    /// A disk is full.
    Full,
    /// Whoever reads the output has gone; that is no failure.
    Closed,
}

impl Cause {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Cause::Closed => 0,
            Cause::Failed => 1,
            Cause::Usage => 2,
            Cause::Denied => 3,
            Cause::Conflict => 4,
            Cause::Unavailable => 5,
            Cause::Full => 6,
        }
    }
}

/// Why a verb failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Cause::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Cause::Usage, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Cause::Unavailable, message)
    }

    /// A failure of the system at a place.
    pub(crate) fn io(place: impl std::fmt::Display, error: &io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::PermissionDenied => Cause::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::Full,
            _ => Cause::Failed,
        };
        Self::new(cause, format!("{place}: {error}"))
    }

    /// A failure to print.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Cause::Closed, ""),
            _ => Self::io("standard output", error),
        }
    }

    /// The same with the name of the hierarchy in the advice, so that it can be copied.
    pub(crate) fn about(mut self, name: &Place) -> Self {
        let name = word(&name.to_string());
        let line = |line: &str| match line.strip_prefix("  ") {
            Some(advice) => format!("  {}", advice.replace(" NAME", &format!(" {name}"))),
            None => line.to_owned(),
        };
        let lines: Vec<String> = self.message.lines().map(line).collect();
        self.message = lines.join("\n");
        self
    }

    /// The message with advice after it.
    fn advise(cause: Cause, error: &dyn std::fmt::Display, advice: &str) -> Self {
        Self::new(cause, format!("{}\n  {advice}", said(error)))
    }
}

/// What an error says, in one line: a name in it may contain anything.
fn said(error: &dyn std::fmt::Display) -> String {
    plain(&error.to_string())
}

/// The command line of a process, as far as the system tells; without tickets, for what is said here
/// may end in a log.
fn command(holder: &str) -> Option<String> {
    let pid: u32 = holder.strip_prefix("process ")?.parse().ok()?;
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.split(|byte| *byte == 0).map(|word| untold(&String::from_utf8_lossy(word)));
    let line = words.collect::<Vec<_>>().join(" ");
    let line: String = plain(line.trim()).chars().take(MAX_COMMAND).collect();
    (!line.is_empty()).then_some(line)
}

/// A word, but if there is a ticket in it, not that.
fn untold(word: &str) -> String {
    match word.split_once(TICKET) {
        Some((before, secret)) if !secret.is_empty() => format!("{before}{TICKET}…"),
        _ => word.to_owned(),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Locked { holder } => {
                let command =
                    command(holder).map_or_else(String::new, |line| format!("it is `{line}`; "));
                let advice = format!(
                    "{command}wait for it to end, or if it is to go on, let it be the node, which \
                     answers others: basefs run NAME"
                );
                Self::advise(Cause::Unavailable, &error, &advice)
            }
            StoreError::Full => Self::advise(
                Cause::Full,
                &error,
                "make room on the disk; a node has to be started again; then do it again",
            ),
            StoreError::Corrupt { .. } => Self::advise(
                Cause::Failed,
                &error,
                "`basefs export` what can be read, then join again with a ticket of another node",
            ),
            StoreError::Poisoned => Self::advise(
                Cause::Unavailable,
                &error,
                "put right what failed first, such as a full disk, and start the node again: basefs \
                 run NAME",
            ),
            StoreError::NewerFormat { .. } => {
                Self::advise(Cause::Conflict, &error, "install a newer basefs")
            }
            _ => Self::failed(said(&error)),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Io { ref path, error: ref why } => Self::io(path.display(), why),
            OpenError::Key { ref path, .. }
                if path.ends_with(AUTHOR_KEY_FILE) && !path.exists() =>
            {
                let (file, quoted) = (path.display(), word(&path.display().to_string()));
                Self::failed(format!(
                    "{file}: missing, and with it this replica signs; nothing was changed\n  put it \
                     back from a backup, or go on as somebody new, who is to be granted what the \
                     old one might: basefs genkey {quoted}"
                ))
            }
            OpenError::OtherHierarchy => {
                Self::advise(Cause::Conflict, &error, "join it under another name")
            }
            error => Self::failed(said(&error)),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Path(_) => Self::new(Cause::Usage, said(&error)),
            ReadError::IsADirectory { .. } => {
                Self::advise(Cause::Failed, &error, "list it with `basefs ls`")
            }
            ReadError::NotHere { .. } => Self::advise(
                Cause::Unavailable,
                &error,
                "run the node (`basefs run`) until its peers have sent it",
            ),
            error => Self::failed(said(&error)),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::Path(_) => Self::new(Cause::Usage, said(&error)),
            WriteError::Denied { ref path, key } => {
                // Grants are for directories, and there may be nothing at the path yet.
                let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                let dir = if dir.is_empty() { "/" } else { dir };
                let advice = format!(
                    "ask somebody who may (`basefs keys NAME`) to run: basefs grant NAME {} {key}",
                    word(dir)
                );
                Self::advise(Cause::Denied, &error, &advice)
            }
            WriteError::Outranked { .. } => Self::new(Cause::Denied, said(&error)),
            WriteError::NotSynced => Self::advise(
                Cause::Unavailable,
                &error,
                "run the node until it has met a peer: basefs run NAME",
            ),
            WriteError::NotEmpty { .. } => {
                Self::advise(Cause::Failed, &error, "remove all of it with `basefs rm -r`")
            }
            WriteError::CrossesGrant { .. } => Self::advise(
                Cause::Denied,
                &error,
                "move it all the same with `basefs mv --across`",
            ),
            WriteError::Changed { .. } => {
                Self::advise(Cause::Conflict, &error, "read it again, then write on that version")
            }
            error => Self::failed(said(&error)),
        }
    }
}

impl From<RevertError> for Failure {
    fn from(error: RevertError) -> Self {
        match error {
            RevertError::Write(error) => error.into(),
            RevertError::NotHere { .. } => Self::new(Cause::Unavailable, said(&error)),
            RevertError::Exists { .. } => Self::advise(
                Cause::Failed,
                &error,
                "see which there are with `basefs versions NAME PATH`, and show one with `basefs revert`",
            ),
            RevertError::NotInConflict { .. } => Self::advise(
                Cause::Failed,
                &error,
                "to confirm what it shows all the same, use `basefs ack`",
            ),
            RevertError::NoSuchVersion { .. } => Self::advise(
                Cause::Failed,
                &error,
                "see which there are with `basefs versions NAME PATH`",
            ),
            error => Self::failed(said(&error)),
        }
    }
}

impl From<RevokeError> for Failure {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Write(error) => error.into(),
            RevokeError::NotOutranked { .. } => Self::new(Cause::Denied, said(&error)),
            RevokeError::Changed { .. } => Self::new(Cause::Conflict, said(&error)),
            error => Self::failed(said(&error)),
        }
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Store(error) => error.into(),
            SnapshotError::Missing(_) => Self::new(Cause::Unavailable, said(&error)),
            error => Self::failed(said(&error)),
        }
    }
}

impl From<DiffError> for Failure {
    fn from(error: DiffError) -> Self {
        match error {
            DiffError::Version(error) => error.into(),
            error => Self::failed(said(&error)),
        }
    }
}

/// What to do where too many old secrets are accepted.
const DROP_FIRST: &str = "drop the old ones first: basefs rotate NAME --drop-old";

impl From<RotateSecretError> for Failure {
    fn from(error: RotateSecretError) -> Self {
        match error {
            RotateSecretError::TooManyOld { .. } => Self::advise(Cause::Failed, &error, DROP_FIRST),
            RotateSecretError::Io { ref path, error: ref why } => Self::io(path.display(), why),
            error => Self::unavailable(said(&error)),
        }
    }
}

impl From<AdoptTicketError> for Failure {
    fn from(error: AdoptTicketError) -> Self {
        match error {
            AdoptTicketError::Store(error) => error.into(),
            AdoptTicketError::TooManyOld { .. } => Self::advise(Cause::Failed, &error, DROP_FIRST),
            AdoptTicketError::Io { ref path, error: ref why } => Self::io(path.display(), why),
            error => Self::usage(said(&error)),
        }
    }
}

impl From<DropSecretsError> for Failure {
    fn from(error: DropSecretsError) -> Self {
        match error {
            DropSecretsError::Io { ref path, error: ref why } => Self::io(path.display(), why),
            error => Self::failed(said(&error)),
        }
    }
}

impl From<ExpelError> for Failure {
    fn from(error: ExpelError) -> Self {
        match error {
            ExpelError::Store(error) => error.into(),
            ExpelError::TooMany { .. } => {
                Self::advise(Cause::Failed, &error, "rotate the secret instead: basefs rotate NAME")
            }
            error => Self::usage(said(&error)),
        }
    }
}
