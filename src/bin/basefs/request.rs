//! What a verb asks of a replica, and what comes back: the same whether the replica is opened
//! here or is in a running node.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What is asked of a replica. Content goes beside it, see [`Message`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// What a directory shows, or a path itself if it is none.
    List { path: String, recursive: bool, at: Option<String> },
    /// The content of a file; with `at`, of a version of it or of the hierarchy.
    Read { path: String, at: Option<String> },
    /// A whole file: the content is beside.
    Write { path: String, executable: Option<bool>, expected: Option<Expected> },
    /// Changes that are made together; the contents are beside, one after the other.
    Batch { changes: Vec<Change> },
    /// Removes what is at a path.
    Remove { path: String, recursive: bool },
    /// Moves what is at a path.
    Rename { from: String, to: String, across: bool },
    /// A further name for what is at a path.
    Link { original: String, path: String },
    /// A symbolic link.
    Symlink { target: String, path: String },
    /// A directory and those above it.
    MakeDir { path: String },
    /// The version of the hierarchy as it is now.
    Version,
    /// How what a path shows came to be; of a directory, all that was written below.
    Log { path: String, limit: usize },
    /// Every version of a path.
    Versions { path: String },
    /// The versions of a path, with what each was built on.
    Show { path: String },
    /// What differs between two versions of the hierarchy.
    Diff { before: String, after: Option<String>, path: String },
    /// Why a path shows what it shows.
    Explain { path: String, at: Option<String> },
    /// Shows a version of a path again.
    Revert { path: String, version: String },
    /// The paths at which authors disagree.
    Conflicts { path: String },
    /// What was written at a path and below and is shown nowhere.
    Hidden { path: String },
    /// Settles a conflict in favour of a version.
    Resolve { path: String, version: String },
    /// Settles a conflict with new content, which is beside.
    ResolveWith { path: String },
    /// Settles a conflict in favour of what shows.
    Dismiss { path: String },
    /// Confirms what a path shows.
    Ack { path: String },
    /// Brings back what was removed.
    Revive { path: String },
    /// Who may write where.
    Keys,
    /// Lets a key write.
    Grant { path: String, key: String, rights: Rights, label: String },
    /// What revoking a key would do, or that it be done.
    Revoke { path: String, key: String, keep: Keep, apply: bool, adopt: bool, regrant: bool },
    /// All that a key did.
    Audit { key: String },
    /// Lets versions count again that a revoke cut.
    Amend { path: String, key: String, versions: Vec<String> },
    /// Takes over what a revoked key wrote.
    Adopt { path: String, key: String },
    /// Makes a new secret for readers.
    Rotate,
    /// Takes over the secret of a newer ticket.
    AdoptTicket { ticket: String },
    /// Accepts old secrets no more.
    DropSecrets,
    /// Neither accepts nor dials a node any more, or does so again.
    Expel { node: String, readmit: bool },
    /// The nodes that are expelled.
    Expelled,
    /// Where to join.
    Ticket,
    /// How the replica is, and the node if it runs.
    Status,
    /// The nodes of the group.
    Members,
    /// Reads everything and says what is wrong.
    Check,
    /// That the node has what others have, or so many others what it has; seconds to wait.
    Sync { replicated: Option<usize>, timeout: u64 },
    /// What changes, one [`Response::Event`] after the other.
    Watch { path: String, from: From },
}

/// Where a watch begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum From {
    /// What changes from now on.
    Now,
    /// What is there, then what changes.
    Snapshot,
    /// What has changed since a cursor, then what changes.
    After(String),
}

/// What a path has to be at for a write.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expected {
    Absent,
    Version(String),
}

/// What a key is let do.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rights {
    /// Write files.
    #[default]
    Write,
    /// Let others do so.
    Grant,
    /// Both.
    All,
}

/// What a revoke keeps of what the key wrote.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Keep {
    Seen,
    Nothing,
}

/// One of many changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub(crate) enum Change {
    /// A file; `length` bytes of what is beside are its content.
    File { path: String, length: usize, executable: bool },
    /// A symbolic link.
    Symlink { path: String, target: String },
    /// A directory.
    Dir { path: String },
}

/// What a replica answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Response {
    /// It is done; with the version that there is now, if there is one.
    Done { version: Option<String> },
    /// Who did what with a key.
    Granted { path: String, key: String, rights: Rights, grant: String },
    /// A conflict is settled, or another version shows.
    Shows { path: String, version: String },
    /// The content is beside.
    Content { version: Option<String> },
    /// What a directory shows.
    Listing { top: String, items: Vec<Item> },
    /// A version of the whole hierarchy, in short and in full.
    Version { id: String, text: String },
    /// Versions of paths.
    Versions { versions: Vec<VersionItem> },
    /// The versions of a path, with what each was built on.
    Graph { versions: Vec<VersionItem> },
    /// What differs.
    Differences { differences: Vec<DifferenceItem> },
    /// Why a path shows what it shows.
    Explanation { path: String, rule: String, reasons: Vec<ReasonItem>, lines: Vec<String> },
    /// The paths at which authors disagree.
    Conflicts { conflicts: Vec<ConflictItem> },
    /// What is shown nowhere: for lack of content, because of a revoke, for lack of a place.
    Hidden { incomplete: Vec<VersionItem>, cut: Vec<VersionItem>, lost: Vec<VersionItem> },
    /// Who may write where.
    Keys { keys: Vec<KeyItem> },
    /// What a revoke would do or did.
    Revoke(RevokeItem),
    /// What a key did.
    Audit(AuditItem),
    /// What a key wrote up to these versions counts again.
    Amended { path: String, key: String, versions: Vec<String>, revoke: String },
    /// These paths show again what a key wrote.
    Adopted { key: String, paths: Vec<String> },
    /// A new secret lets readers in, or some old ones do no more.
    Secrets { old: usize, dropped: usize },
    /// A node is expelled or not; and whether that was so before.
    Expulsion { node: String, expelled: bool, before: bool },
    /// The nodes that are expelled.
    Expelled { nodes: Vec<String> },
    /// Where to join.
    Ticket { ticket: String, peers: usize },
    /// How it is.
    Status(Box<StatusItem>),
    /// The nodes of the group.
    Members { members: Vec<MemberItem> },
    /// What is wrong.
    Check(CheckItem),
    /// All is the same; or these nodes hold all that is here.
    Synced { entries: usize, holders: Option<Vec<String>> },
    /// A watch tells something.
    Event(EventItem),
}

/// What kind of thing a path shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink,
    /// A second name of a directory.
    Alias,
}

/// Something that a directory shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// Length in bytes.
    pub(crate) size: u64,
    pub(crate) executable: bool,
    /// Where a symbolic link leads.
    pub(crate) target: Option<String>,
    pub(crate) version: Option<String>,
    /// Whether all content is on this replica.
    pub(crate) here: bool,
}

impl Item {
    /// A directory, of which no more is known.
    pub(crate) fn dir(path: &str) -> Self {
        let (kind, path) = (Kind::Dir, path.to_owned());
        Self { path, kind, size: 0, executable: false, target: None, version: None, here: true }
    }
}

/// A version of a path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VersionItem {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) verb: String,
    pub(crate) status: String,
    pub(crate) author: String,
    /// What the grant of the author says who that is.
    pub(crate) label: String,
    /// Milliseconds since 1970, as the author says.
    pub(crate) time: u64,
    pub(crate) size: Option<u64>,
    pub(crate) renamed_to: Option<String>,
    pub(crate) renamed_from: Option<String>,
    /// The versions that it was built on, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) prev: Vec<String>,
}

/// A path that two versions show differently.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DifferenceItem {
    pub(crate) path: String,
    /// `added`, `removed`, `changed` or `renamed`.
    pub(crate) kind: String,
    pub(crate) from: Option<String>,
    /// The line that says it.
    pub(crate) text: String,
}

/// A rule that had a say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReasonItem {
    pub(crate) rule: String,
    pub(crate) text: String,
}

/// A path at which authors disagree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConflictItem {
    pub(crate) path: String,
    pub(crate) winner: VersionItem,
    pub(crate) losers: Vec<VersionItem>,
    /// The lines that say it.
    pub(crate) text: String,
}

/// A capability of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyItem {
    pub(crate) key: String,
    pub(crate) label: String,
    /// Where, unless that is not shown anywhere.
    pub(crate) path: Option<String>,
    pub(crate) rights: Rights,
    /// Distance from the root: the smaller, the more it weighs in a conflict.
    pub(crate) rank: (u8, u8),
    pub(crate) grant: String,
    pub(crate) granted_by: Option<String>,
    pub(crate) live: bool,
    /// Whether it is the key of this replica.
    pub(crate) own: bool,
}

/// What a revoke does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RevokeItem {
    pub(crate) path: String,
    pub(crate) key: String,
    /// Entries that count no more.
    pub(crate) cut: Vec<String>,
    /// Paths that show something else.
    pub(crate) paths: Vec<String>,
    /// The revoke, if it was made.
    pub(crate) revoke: Option<String>,
    /// The paths that were taken over.
    pub(crate) adopted: Vec<String>,
    /// The grants that were made again.
    pub(crate) regranted: Vec<String>,
    /// The lines that say what it does.
    pub(crate) text: String,
}

/// What a key did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AuditItem {
    pub(crate) key: String,
    pub(crate) holds: Vec<KeyItem>,
    pub(crate) wrote: Vec<VersionItem>,
    /// Entries that do not count.
    pub(crate) cut: Vec<String>,
    /// Times that it signed two things in place of one.
    pub(crate) equivocations: usize,
}

/// How a replica is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatusItem {
    pub(crate) hierarchy: String,
    pub(crate) author: String,
    pub(crate) node: String,
    pub(crate) version: String,
    pub(crate) entries: usize,
    pub(crate) conflicts: usize,
    /// Versions whose content is not here.
    pub(crate) pending: usize,
    /// Secrets that let readers in besides the present one.
    pub(crate) old_secrets: usize,
    /// Nodes that are expelled.
    pub(crate) expelled: usize,
    /// Of the node, if it runs.
    pub(crate) running: Option<RunningItem>,
}

/// How a node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunningItem {
    pub(crate) pid: u32,
    pub(crate) addresses: Vec<String>,
    pub(crate) waiting: usize,
    pub(crate) unstored: usize,
    pub(crate) wanted: usize,
    pub(crate) members: usize,
    pub(crate) peers: Vec<PeerItem>,
    /// Bytes that were written to the store since the node runs, and how often.
    pub(crate) stored_bytes: u64,
    pub(crate) commits: u64,
    /// KiB of memory, where the system tells.
    pub(crate) memory: Option<u64>,
    /// Milliseconds of the processor, where the system tells.
    pub(crate) cpu: Option<u64>,
}

/// How a peer is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PeerItem {
    pub(crate) node: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) connected: bool,
    /// How it stands to this node: `equal`, `behind` and so on.
    pub(crate) standing: String,
    /// Milliseconds since that is so.
    pub(crate) since: u64,
    pub(crate) rtt_micros: Option<u64>,
    pub(crate) sent: Option<u64>,
    pub(crate) received: Option<u64>,
    /// Bytes that wait to be sent to it.
    pub(crate) unsent: u64,
    /// Why it could not be dialled.
    pub(crate) error: Option<String>,
}

/// A node of the group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MemberItem {
    pub(crate) node: String,
    pub(crate) state: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) zone: String,
    pub(crate) connected: bool,
}

/// What a check found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckItem {
    pub(crate) entries: usize,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// What is wrong, each in a line.
    pub(crate) problems: Vec<String>,
    /// What deserves attention and is no damage.
    pub(crate) notes: Vec<String>,
}

/// What a watch tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventItem {
    /// `present`, `created`, `modified`, `removed`, `conflict`, `conflict-over`, `granted`,
    /// `revoked`, `content`, `snapshot-end` or `resync`.
    pub(crate) event: String,
    pub(crate) path: Option<String>,
    /// Who was granted or revoked something.
    pub(crate) key: Option<String>,
    /// `local`, or the node that it came from, if that is known.
    pub(crate) origin: Option<String>,
    /// Why everything is told anew.
    pub(crate) reason: Option<String>,
    /// Where to resume after this.
    pub(crate) cursor: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) author: Option<String>,
    /// Why this hides what the replica's own author wrote, if it does.
    pub(crate) overruled: Option<String>,
}

/// A request or an answer, and the bytes that go with it.
#[derive(Clone, Debug)]
pub(crate) struct Message<Head> {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

impl<Head> Message<Head> {
    /// Without bytes beside.
    pub(crate) fn bare(head: Head) -> Self {
        Self { head, body: Bytes::new() }
    }
}
