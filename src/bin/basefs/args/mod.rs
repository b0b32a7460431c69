//! The command line.

mod node;
mod people;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::place::Place;
use crate::request::From;

pub(crate) use node::{Join, Mount, Mounted, New, Profile, Resources, Run, Status, Sync};
pub(crate) use people::{Adopt, Amend, Audit, Grant, Other, Revoke, Rotate, Settle};

/// What `basefs --help` prints: the verbs by theme, for a list of forty in one piece is not read.
const OVERVIEW: &str = "\
A shared, signed, versioned hierarchy of files, replicated peer to peer

Usage: basefs VERB NAME …

Hierarchies    new, join, ticket, genkey, doctor
Nodes          run, mount, status, resources, members, sync, inspect, systemd
Files          ls, tree, cat, put, rm, mv, ln, mkdir, import, export, watch
History        log, show, versions, diff, at, revert, revive
Conflicts      conflicts, explain, hidden, resolve, dismiss, ack
People         keys, grant, revoke, audit, amend, adopt
Readers        rotate, expel, readmit, expelled
This command   completions, man, help

NAME is a hierarchy in ~/.local/share/basefs, or the path of a directory. A verb talks to the
running node, or opens the files itself if none runs; the output is the same.

Options, with any verb:
      --json           Print JSON
      --color <WHEN>   Use colours: auto, always or never
  -h, --help           Print help, with an example: basefs VERB --help
  -V, --version        Print the version

Exit codes: 0 done, 1 failed, 2 the command line makes no sense, 3 not allowed, 4 somebody was
faster, 5 not now: no node runs, the store is in use or what was waited for has not come, 6 the
disk is full

Begin with: basefs new NAME
";

/// The command line of `basefs`.
#[derive(Debug, Parser)]
#[command(name = "basefs", version, override_help = OVERVIEW, disable_help_subcommand = false)]
#[command(about = "A shared, signed, versioned hierarchy of files, replicated peer to peer")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also into a file or a pipe
    Always,
    /// Not at all
    Never,
}

/// A hierarchy and a path in it.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The hierarchy
    pub(crate) name: Place,
    /// The path in it
    #[arg(default_value = "/")]
    pub(crate) path: String,
}

/// A hierarchy and a path in it that must be given.
#[derive(Debug, Args)]
pub(crate) struct Path {
    /// The hierarchy
    pub(crate) name: Place,
    /// The path in it
    pub(crate) path: String,
}

/// A hierarchy.
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The hierarchy
    pub(crate) name: Place,
}

/// What to inspect.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The hierarchy
    pub(crate) name: Place,
    /// The port on 127.0.0.1; any free one unless given
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a new hierarchy, whose root key is kept in its directory
    #[command(visible_alias = "bootstrap", after_help = "Example:\n  basefs new team")]
    New(New),
    /// Make a replica of an existing hierarchy
    #[command(
        visible_alias = "get",
        after_help = "Example:\n  ssh ana basefs ticket team | basefs join team -"
    )]
    Join(Join),
    /// Print a ticket: who has it can read everything
    #[command(after_help = "Example:\n  basefs ticket team > team.ticket")]
    Ticket(Name),
    /// Run the node: replicate, and answer the other verbs
    #[command(
        after_help = "Examples:\n  basefs run team --listen 0.0.0.0:4711\n  basefs run team --handler '/users=echo $BASEFS_EVENT_TYPE $BASEFS_EVENT_PATH'"
    )]
    Run(Run),
    /// Run the node, and show the hierarchy as a folder until that is unmounted
    #[cfg(target_os = "linux")]
    #[command(
        after_help = "Examples:\n  basefs mount team ~/team\n  basefs mount team /mnt/then --read-only --at \"$(basefs at team --full)\""
    )]
    Mount(Mount),
    /// Say how the replica is, and its node if that runs
    #[command(
        alias = "blocks",
        after_help = "Examples:\n  basefs status team\n  basefs status team --every 2"
    )]
    Status(Status),
    /// Show what the running node takes and how far it is, as it goes
    #[command(
        after_help = "Examples:\n  basefs resources team\n  basefs resources team --once\n  basefs resources team --every 10 --json >> team.log\n\nlag: for how long a peer has had what this node lacks; behind: peers that lack what it has"
    )]
    Resources(Resources),
    /// List the nodes of the group, as the running node knows them
    #[command(after_help = "Example:\n  basefs members team")]
    Members(Name),
    /// Wait until the node has what its peers have, or enough of them have what it has
    #[command(
        after_help = "Examples:\n  basefs sync team\n  basefs put team /motd motd && basefs sync team --replicated 2"
    )]
    Sync(Sync),
    /// Check everything, and say what is wrong and what to do
    #[command(after_help = "Example:\n  basefs doctor team")]
    Doctor(Name),
    /// Show the hierarchy in a browser on this machine, as it lives; nothing can be changed there
    #[command(after_help = "Example:\n  basefs inspect team --port 8080")]
    Inspect(Inspect),
    /// Make a key file for an author, and print the public key
    #[command(after_help = "Example:\n  basefs genkey ana.key")]
    Genkey(Genkey),
    /// Print a unit for systemd that runs the node
    #[command(
        after_help = "Example:\n  basefs systemd team > ~/.config/systemd/user/basefs-team.service\n  systemctl --user enable --now basefs-team"
    )]
    Systemd(Run),

    /// List a directory
    #[command(visible_alias = "list", after_help = "Example:\n  basefs ls -l team /etc")]
    Ls(Ls),
    /// Draw a directory and all below it as a tree
    #[command(after_help = "Example:\n  basefs tree team /etc")]
    Tree(Tree),
    /// Print a file
    #[command(after_help = "Example:\n  basefs cat team /etc/motd")]
    Cat(Cat),
    /// Write a file, and the directories above it
    #[command(after_help = "Example:\n  echo hello | basefs put team /etc/motd")]
    Put(Put),
    /// Remove a file, a link or an empty directory; the history keeps it
    #[command(after_help = "Example:\n  basefs rm -r team /drafts")]
    Rm(Rm),
    /// Move a file or a directory
    #[command(after_help = "Example:\n  basefs mv team /drafts /archive/2025")]
    Mv(Mv),
    /// Give a file or directory a further name, or make a symbolic link
    #[command(
        after_help = "Example:\n  basefs ln team /etc/hosts /etc/hosts.backup\n  basefs ln -s team ../etc /conf"
    )]
    Ln(Ln),
    /// Make a directory and those above it
    #[command(after_help = "Example:\n  basefs mkdir team /users/ana")]
    Mkdir(Path),
    /// Copy a directory of this machine into the hierarchy
    #[command(after_help = "Example:\n  basefs import team ~/notes /notes --dry-run")]
    Import(Import),
    /// Copy a directory of the hierarchy to this machine
    #[command(after_help = "Example:\n  basefs export team /notes ~/notes")]
    Export(Export),
    /// Tell what changes, until interrupted
    #[command(after_help = "Example:\n  basefs watch team /etc --from snapshot")]
    Watch(Watch),

    /// Tell how what a path shows came to be
    #[command(after_help = "Example:\n  basefs log team /etc/motd")]
    Log(Log),
    /// Draw the versions of a path: what each was built on, and which one shows
    #[command(
        after_help = "Example:\n  basefs show team /etc/motd\n\n● shows, ○ something was built \
                            on it, ◌ lost or has no content here, ✕ cut by a revoke"
    )]
    Show(Path),
    /// List every version of a path, with where it stands
    #[command(after_help = "Example:\n  basefs versions team /etc/motd")]
    Versions(Path),
    /// Tell what differs between two versions of the hierarchy
    #[command(
        after_help = "Example:\n  before=$(basefs at team)\n  basefs import team ~/notes /notes\n  basefs diff team $before"
    )]
    Diff(Diff),
    /// Print the present version of the hierarchy, for `--at` and `diff`
    #[command(after_help = "Example:\n  then=$(basefs at team)\n  basefs ls team / --at $then")]
    At(AtVerb),
    /// Show an earlier version of a path again
    #[command(
        after_help = "Example:\n  basefs versions team /etc/motd\n  basefs revert team /etc/motd 3f9a2c41"
    )]
    Revert(Chosen),
    /// Bring back what was removed, a directory with all that was in it
    #[command(after_help = "Example:\n  basefs rm -r team /drafts\n  basefs revive team /drafts")]
    Revive(Path),

    /// List the paths at which authors disagree
    #[command(after_help = "Example:\n  basefs conflicts team")]
    Conflicts(At),
    /// Say why a path shows what it shows
    #[command(after_help = "Example:\n  basefs explain team /etc/motd")]
    Explain(Explain),
    /// List what was written and is shown nowhere: cut by a revoke, without content or a place
    #[command(after_help = "Example:\n  basefs hidden team /etc")]
    Hidden(At),
    /// Settle a conflict in favour of a version, or with new content
    #[command(
        after_help = "Examples:\n  basefs conflicts team\n  basefs resolve team /etc/motd 3f9a2c41\n  basefs resolve team /etc/motd --with merged"
    )]
    Resolve(Settle),
    /// Settle a conflict in favour of what shows
    #[command(after_help = "Example:\n  basefs dismiss team /etc/motd")]
    Dismiss(Path),
    /// Confirm what a path shows: nobody of lower rank displaces it from an older version
    #[command(after_help = "Example:\n  basefs ack team /etc/motd")]
    Ack(Path),

    /// List who may write where
    #[command(after_help = "Example:\n  basefs keys team")]
    Keys(Name),
    /// Let a key write at a directory and below
    #[command(after_help = "Example:\n  basefs grant team /users/ana 8c1f…(64 digits) --label ana")]
    Grant(Grant),
    /// Take from a key what it may do at a directory and below
    #[command(
        after_help = "Example:\n  basefs revoke team ana          # says what it would do\n  basefs revoke team ana --yes"
    )]
    Revoke(Revoke),
    /// Tell all that a key holds and did
    #[command(after_help = "Example:\n  basefs audit team ana")]
    Audit(Audit),
    /// Let versions count again that a revoke cut
    #[command(after_help = "Example:\n  basefs audit team ana\n  basefs amend team ana 3f9a2c41")]
    Amend(Amend),
    /// Take over what a revoked key wrote and does not count any more
    #[command(
        after_help = "Example:\n  basefs revoke team ana --discard --yes\n  basefs adopt team ana --path /notes"
    )]
    Adopt(Adopt),

    /// Make a new secret for readers; who has an old ticket is let in until the old is dropped
    #[command(
        after_help = "Example, to keep somebody from reading on:\n  basefs rotate team                        # on one replica\n  basefs ticket team                        # hand it to the others, but one\n  basefs rotate team --ticket -             # on each of the others; paste it\n  basefs rotate team --drop-old             # on every replica"
    )]
    Rotate(Rotate),
    /// Neither accept nor dial a node any more, on this replica
    #[command(after_help = "Example:\n  basefs members team\n  basefs expel team 8c1f03ab")]
    Expel(Other),
    /// Let a node in again that was expelled
    #[command(after_help = "Example:\n  basefs expelled team\n  basefs readmit team 8c1f03ab")]
    Readmit(Other),
    /// List the nodes that are expelled
    #[command(after_help = "Example:\n  basefs expelled team")]
    Expelled(Name),

    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  basefs completions bash > ~/.local/share/bash-completion/completions/basefs"
    )]
    Completions(Completions),
    /// Print the manual page, or write one for each verb
    #[command(after_help = "Example:\n  basefs man | man -l -")]
    Man(Man),
}

#[derive(Debug, Args)]
pub(crate) struct Genkey {
    /// The file to make; it must not exist
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) at: At,
    /// One line each, with kind, size and version
    #[arg(short, long)]
    pub(crate) long: bool,
    /// All that is below too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// As of this version of the hierarchy
    #[arg(long = "at", value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Tree {
    #[command(flatten)]
    pub(crate) at: At,
    /// As of this version of the hierarchy
    #[arg(long = "at", value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Cat {
    #[command(flatten)]
    pub(crate) at: Path,
    /// As of this version of the hierarchy, or this version of the file
    #[arg(long = "at", value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) at: Path,
    /// The file with the content; standard input if it is `-` or left out
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// It is a program
    #[arg(short = 'x', long)]
    pub(crate) executable: bool,
    /// Only if the path is at this version
    #[arg(long, value_name = "VERSION", conflicts_with = "new")]
    pub(crate) over: Option<String>,
    /// Only if nothing is there
    #[arg(long)]
    pub(crate) new: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    pub(crate) at: Path,
    /// A directory with all that is in it
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Mv {
    /// The hierarchy
    pub(crate) name: Place,
    /// The present path
    pub(crate) from: String,
    /// The new path
    pub(crate) to: String,
    /// Even if others may write at the new place than at the old one
    #[arg(long)]
    pub(crate) across: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ln {
    /// The hierarchy
    pub(crate) name: Place,
    /// The path of what is there; with -s, any text
    pub(crate) target: String,
    /// The path of the further name
    pub(crate) path: String,
    /// A symbolic link
    #[arg(short, long)]
    pub(crate) symbolic: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The hierarchy
    pub(crate) name: Place,
    /// The directory on this machine
    pub(crate) dir: PathBuf,
    /// The path in the hierarchy
    pub(crate) path: String,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The hierarchy
    pub(crate) name: Place,
    /// The path in the hierarchy
    pub(crate) path: String,
    /// The directory on this machine
    pub(crate) dir: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// As of this version of the hierarchy
    #[arg(long = "at", value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) at: At,
    /// Where to begin: `now`, `snapshot` (what is there, then what changes), or a cursor that
    /// `--json` printed with an event
    #[arg(long, default_value = "now", value_parser = from)]
    pub(crate) from: From,
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "now" => Ok(From::Now),
        "snapshot" => Ok(From::Snapshot),
        cursor => match cursor.parse::<basefs::fs::Cursor>() {
            Ok(_) => Ok(From::After(cursor.into())),
            Err(error) => Err(format!("neither `now`, `snapshot` nor a cursor: {error}")),
        },
    }
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(flatten)]
    pub(crate) at: At,
    /// Print at most so many
    #[arg(short = 'n', long, default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The hierarchy
    pub(crate) name: Place,
    /// The earlier version of the hierarchy
    pub(crate) before: String,
    /// The later one; the present one if left out
    pub(crate) after: Option<String>,
    /// Only below this path
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
}

#[derive(Debug, Args)]
pub(crate) struct AtVerb {
    /// The hierarchy
    pub(crate) name: Place,
    /// The long form, which other replicas understand too
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    #[command(flatten)]
    pub(crate) at: Path,
    /// The version: its first digits, as `basefs versions` prints them
    pub(crate) version: String,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) at: Path,
    /// As of this version of the hierarchy
    #[arg(long = "at", value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for each verb into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Every verb is in the overview, and its help has an example that names it.
    #[test]
    fn every_verb_is_explained() {
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            let words: Vec<&str> =
                OVERVIEW.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
            assert!(words.contains(&name), "{name} is missing in the overview");
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("basefs {name}")), "{name} has no example");
        }
    }
}
