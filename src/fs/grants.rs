//! Who may write where.

use alloc::string::String;
use alloc::vec::Vec;

use crate::entry::Rights;
use crate::fs::engine::Engine;
use crate::fs::error::ReadError;
use crate::fs::path::join;
use crate::id::{EntryId, PublicKey};
use crate::log::{CapNo, EntryNo, Rank};

/// A capability of a key.
///
/// ```
/// use basefs::entry::Rights;
///
/// let fs = basefs::Fs::in_memory()?;
/// let root = &fs.keys()?[0];
/// assert_eq!((root.key, root.rights), (fs.author(), Rights::All));
/// assert_eq!((root.path.as_deref(), root.is_live), (Some("/"), true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The key.
    pub key: PublicKey,
    /// The directory it governs, as a path; none if that directory is not shown anywhere.
    pub path: Option<String>,
    /// What it allows there and below.
    pub rights: Rights,
    /// Its weight in conflicts; smaller is better.
    pub rank: Rank,
    /// The grant, or the genesis for a root key.
    pub grant: EntryId,
    /// Who granted it; none for a root key.
    pub granted_by: Option<PublicKey>,
    /// What the grant says the key is; empty for root keys.
    pub label: String,
    /// Whether it can be used: nothing revokes it.
    pub is_live: bool,
}

impl Engine {
    pub(super) fn keys(&self) -> Result<Vec<KeyInfo>, ReadError> {
        let found: Vec<(EntryNo, KeyInfo)> = self.read(|node| {
            let replica = node.replica();
            let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
            let info = |cap: CapNo| {
                let entry = log.cap_entry(cap);
                let path = view.path_of_dir(log, authority, log.cap_dir(cap));
                let is_root = log.cap_rank(cap).grants == 0;
                let info = KeyInfo {
                    key: log.key(log.cap_key(cap)),
                    path: path.map(|names| join(&names)),
                    rights: log.cap_rights(cap),
                    rank: log.cap_rank(cap),
                    grant: log.id(entry),
                    granted_by: (!is_root).then(|| log.author(entry)),
                    label: String::new(),
                    is_live: authority.is_live(log, cap),
                };
                (entry, info)
            };
            (0..log.caps()).filter_map(CapNo::from_index).map(info).collect()
        });
        let labelled = |(entry, info): (EntryNo, KeyInfo)| {
            let label = match info.granted_by {
                Some(_) => String::from(&*self.entry(entry)?.body().name),
                None => String::new(),
            };
            Ok(KeyInfo { label, ..info })
        };
        found.into_iter().map(labelled).collect()
    }
}
