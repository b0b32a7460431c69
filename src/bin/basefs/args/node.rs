//! The verbs that make a replica and run its node.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::handlers::Wanted;
use crate::place::Place;

#[derive(Debug, Args)]
pub(crate) struct New {
    /// What to call it
    pub(crate) name: Place,
    /// Take the root key from this file, as `basefs genkey` makes it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Join {
    /// What to call it here
    pub(crate) name: Place,
    /// The ticket, or `-` to read it from standard input: what is in a command line, all users of
    /// the machine can see
    pub(crate) ticket: String,
    /// Write with the key in this file, as `basefs genkey` makes it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The hierarchy
    pub(crate) name: Place,
    /// Where to listen; port 0 picks a free one. Unless given: on all addresses, at the port of
    /// the last run
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// What to tell others instead of the addresses found; may be given more than once
    #[arg(long, value_name = "ADDR")]
    pub(crate) advertise: Vec<std::net::SocketAddr>,
    /// What kind of network this is
    #[arg(long, default_value = "lan")]
    pub(crate) profile: Profile,
    /// Connect to the peers of this ticket too, or of the one on standard input if it is `-`; may
    /// be given more than once
    #[arg(long, value_name = "TICKET")]
    pub(crate) join: Vec<String>,
    /// Run a line of shell for each path at or below PATH that changes, with BASEFS_EVENT_TYPE,
    /// BASEFS_EVENT_PATH, BASEFS_EVENT_VERSION and BASEFS_EVENT_AUTHOR in its environment; may be
    /// given more than once
    #[arg(long, value_name = "PATH=COMMAND")]
    pub(crate) handler: Vec<Wanted>,
}

/// What is mounted, by which node.
#[derive(Debug, Args)]
pub(crate) struct Mount {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(flatten)]
    pub(crate) mounted: Mounted,
}

/// What is mounted, and how.
#[derive(Debug, Args)]
pub(crate) struct Mounted {
    /// The directory to mount at, which must be empty
    pub(crate) dir: PathBuf,
    /// Show this version of the hierarchy, read-only
    #[arg(long, value_name = "VERSION")]
    pub(crate) at: Option<String>,
    /// Refuse all changes
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Refuse symbolic links that lead out of the mount
    #[arg(long)]
    pub(crate) confine_symlinks: bool,
    /// Let other users in
    #[arg(long)]
    pub(crate) allow_other: bool,
}

/// What kind of network a node is on.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Profile {
    /// One site: little delay and loss
    Lan,
    /// Radio links and the open internet
    Mesh,
}

impl Profile {
    /// As the command line has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Profile::Lan => "lan",
            Profile::Mesh => "mesh",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The hierarchy
    pub(crate) name: Place,
    /// Say it again every so many seconds, as long as the node runs
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) every: Option<u64>,
}

/// What a node takes, and how often that is shown.
#[derive(Debug, Args)]
pub(crate) struct Resources {
    /// The hierarchy
    pub(crate) name: Place,
    /// Show it again every so many seconds, as long as the node runs
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub(crate) every: u64,
    /// Show it once
    #[arg(long, conflicts_with = "every")]
    pub(crate) once: bool,
}

/// What to wait for, and how long.
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// The hierarchy
    pub(crate) name: Place,
    /// Wait until so many other nodes hold durably what is here, instead
    #[arg(long, value_name = "NODES", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) replicated: Option<u16>,
    /// Give up after so many seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub(crate) timeout: u64,
}
