//! The verbs about people, what they did, and whom this replica talks to.

use std::path::PathBuf;

use clap::Args;

use super::Path;
use crate::place::Place;
use crate::request::Rights;

#[derive(Debug, Args)]
pub(crate) struct Grant {
    #[command(flatten)]
    pub(crate) at: Path,
    /// The public key, 64 digits as `basefs status` and `basefs genkey` print it
    pub(crate) key: String,
    /// What to let it do
    #[arg(long, default_value = "write")]
    pub(crate) rights: Rights,
    /// Who that is, at most 64 bytes
    #[arg(long, default_value = "")]
    pub(crate) label: String,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The hierarchy
    pub(crate) name: Place,
    /// The public key, its first digits, or its label
    pub(crate) key: String,
    /// The directory
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    /// Nothing that it wrote counts any more
    #[arg(long)]
    pub(crate) discard: bool,
    /// Do it, instead of saying what it would do
    #[arg(long)]
    pub(crate) yes: bool,
    /// And take over what it wrote and does not count any more, as `basefs adopt` does
    #[arg(long, requires = "yes")]
    pub(crate) adopt: bool,
    /// And let those go on whom it had let in
    #[arg(long, requires = "yes")]
    pub(crate) regrant: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The hierarchy
    pub(crate) name: Place,
    /// The public key, its first digits, or its label
    pub(crate) key: String,
}

/// Which of the versions that a revoke cut count again.
#[derive(Debug, Args)]
pub(crate) struct Amend {
    /// The hierarchy
    pub(crate) name: Place,
    /// The public key that was revoked, its first digits, or its label
    pub(crate) key: String,
    /// The versions, each with all that the key wrote before it: first digits, as `basefs audit`
    /// prints them
    #[arg(required = true, value_name = "VERSION")]
    pub(crate) versions: Vec<String>,
    /// The directory at which it was revoked
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
}

/// Whose work is taken over, and where.
#[derive(Debug, Args)]
pub(crate) struct Adopt {
    /// The hierarchy
    pub(crate) name: Place,
    /// The public key that was revoked, its first digits, or its label
    pub(crate) key: String,
    /// Only at this path and below
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
}

/// A node that is let in or not.
#[derive(Debug, Args)]
pub(crate) struct Other {
    /// The hierarchy
    pub(crate) name: Place,
    /// The node: all 64 digits, or the first of one that is known here
    pub(crate) node: String,
}

/// What becomes of the secret that lets readers in.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The hierarchy
    pub(crate) name: Place,
    /// Take over the secret of this ticket, which another replica printed after it rotated; `-`
    /// reads it from standard input
    #[arg(long, value_name = "TICKET", conflicts_with = "drop_old")]
    pub(crate) ticket: Option<String>,
    /// Accept the old secrets no more
    #[arg(long)]
    pub(crate) drop_old: bool,
}

/// What a conflict is settled with.
#[derive(Debug, Args)]
pub(crate) struct Settle {
    #[command(flatten)]
    pub(crate) at: Path,
    /// The version: its first digits, as `basefs conflicts` prints them
    #[arg(required_unless_present = "with", conflicts_with = "with")]
    pub(crate) version: Option<String>,
    /// New content instead, such as all versions merged: a file, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) with: Option<PathBuf>,
}
