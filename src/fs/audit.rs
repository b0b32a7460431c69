//! All that a key did: for those who must decide what becomes of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::SignedEntry;
use crate::fs::Fs;
use crate::fs::error::ReadError;
use crate::fs::explain::CutVersion;
use crate::fs::grants::KeyInfo;
use crate::fs::history::Version;
use crate::fs::shown::{Reading, Shown};
use crate::id::{EntryId, PublicKey};
use crate::log::EntryNo;
use crate::node::Replica;

/// All that a key holds and did.
///
/// ```
/// # let ana = basefs::Fs::in_memory()?;
/// # #[cfg(feature = "quic")] {
/// # let ben = basefs::Fs::builder().join(&ana.ticket(vec![])).open()?;
/// # ana.create_dir_all("/team")?;
/// # ana.grant("/team", ben.author())?;
/// # for entry in ana.export() { ben.admit(&entry?)?; }
/// let version = ben.write("/team/plan", "ben's")?;
/// # for entry in ben.export() { ana.admit(&entry?)?; }
/// let audit = ana.audit(&ben.author())?;
/// assert_eq!((audit.wrote.len(), audit.wrote[0].id), (1, version));
/// assert_eq!((audit.chains[0].path.as_str(), audit.chains[0].length), ("/team", 1));
/// assert!(audit.cut.is_empty() && audit.equivocations.is_empty());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// The key.
    pub key: PublicKey,
    /// What was granted to it.
    pub holds: Vec<KeyInfo>,
    /// The entries it signed, in the order in which they were taken in here.
    pub wrote: Vec<Version>,
    /// The ends of its chains: what a revoke names that is to keep all of them.
    pub chains: Vec<Chain>,
    /// Proofs that it signed two entries for one place in a chain.
    pub equivocations: Vec<Equivocation>,
    /// What of it does not count, and who cut it.
    pub cut: Vec<CutVersion>,
}

/// A chain of entries under one capability.
///
/// ```
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/motd", "hello")?;
/// let last = fs.write("/motd", "good morning")?;
/// let chain = &fs.audit(&fs.author())?.chains[0];
/// assert_eq!((chain.path.as_str(), chain.head, chain.length), ("/", last, 2));
/// assert_eq!(chain.grant, fs.hierarchy()); // a root key writes by the genesis
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// The capability: the grant, or the genesis for a root key.
    pub grant: EntryId,
    /// The directory it governs; where that is not shown, the path that it was made at.
    pub path: String,
    /// The last entry.
    pub head: EntryId,
    /// Number of entries from the first to the last.
    pub length: u64,
}

/// Two entries with one predecessor: a proof that their author signed two pasts.
///
/// Honest software does not do that, except when a replica is restored from a copy and goes on
/// writing. The bytes prove it to anybody, without this replica.
///
/// ```
/// # use basefs::entry::{Body, FileData, InvalidEntry, Payload};
/// # use basefs::id::{DirId, EntryId};
/// # use basefs::time::WallTime;
/// # use basefs::wire::SecretKey;
/// use basefs::fs::Equivocation;
///
/// let key = SecretKey::from_seed([7; 32]);
/// let after_the_same = |name: &str| {
/// #     let body = Body {
/// #         dir: DirId::from_bytes([1; 32]),
/// #         name: name.into(),
/// #         prev: vec![],
/// #         cap: EntryId::from_bytes([2; 32]),
/// #         key: key.public(),
/// #         seq: 1,
/// #         aprev: Some(EntryId::from_bytes([3; 32])),
/// #         ts: WallTime::from_millis(0),
/// #         payload: Payload::Write { executable: false, data: FileData::Inline("".into()) },
/// #     };
///     // An entry of the key, always with the same predecessor.
/// #     Ok::<_, InvalidEntry>(body.sign(&key)?.bytes().clone())
/// };
/// let proof = Equivocation { first: after_the_same("a")?, second: after_the_same("b")? };
/// assert_eq!(proof.convicts(), Some(key.public()));
/// # Ok::<(), InvalidEntry>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// The bytes of one entry.
    pub first: Bytes,
    /// The bytes of another.
    pub second: Bytes,
}

impl Equivocation {
    /// The key that two entries convict, if they do: both have its signature, differ, and follow
    /// the same entry.
    ///
    /// ```
    /// use basefs::fs::Equivocation;
    ///
    /// let rumour = Equivocation { first: "entry".into(), second: "another".into() };
    /// assert_eq!(rumour.convicts(), None);
    /// ```
    // rule: CHAIN-1
    pub fn convicts(&self) -> Option<PublicKey> {
        let verified = |bytes: &Bytes| SignedEntry::decode(bytes).ok()?.verify().ok();
        let (first, second) = (verified(&self.first)?, verified(&self.second)?);
        let (a, b) = (first.body(), second.body());
        let is_same_place = a.aprev.is_some() && (a.key, a.cap, a.aprev) == (b.key, b.cap, b.aprev);
        (is_same_place && first.id() != second.id()).then_some(a.key)
    }
}

impl Fs {
    /// All that a key holds and did, with what of it was cut, and proofs if it signed two pasts.
    /// Of a key that nothing was granted to, all is empty. Reads every entry of the key.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let version = fs.write("/motd", "hello")?;
    /// let audit = fs.audit(&fs.author())?;
    /// assert_eq!((audit.holds.len(), audit.chains[0].head), (1, version));
    /// assert!(audit.equivocations.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn audit(&self, key: &PublicKey) -> Result<Audit, ReadError> {
        self.engine.now().audit(key)
    }
}

impl Reading<'_> {
    fn audit(self, key: &PublicKey) -> Result<Audit, ReadError> {
        let (wrote, cut, chains, forks) = self.look(|shown| {
            let entries =
                shown.log.key_no(key).map_or_else(Vec::new, |key| shown.authority.entries_by(key));
            let cut = entries.iter().filter(|no| !shown.authority.is_authorised(**no));
            let cut: Vec<_> = cut.map(|no| shown.cut(*no)).collect();
            (shown.sketch_all(&entries), cut, chains(shown, &entries), forks(shown, &entries))
        });
        let bytes = |no: EntryNo| self.engine.entry_bytes(no);
        let equivocations = forks.into_iter().map(|(first, second)| {
            Ok(Equivocation { first: bytes(first)?, second: bytes(second)? })
        });
        let is_held =
            |replica: &Replica, cap| replica.log().key(replica.log().cap_key(cap)) == *key;
        Ok(Audit {
            key: *key,
            holds: self.engine.key_infos(is_held)?,
            wrote: self.complete_all(wrote)?,
            chains,
            equivocations: equivocations.collect::<Result<_, ReadError>>()?,
            cut: cut.into_iter().map(|cut| self.complete_cut(cut)).collect::<Result<_, _>>()?,
        })
    }
}

fn chains(shown: Shown<'_>, entries: &[EntryNo]) -> Vec<Chain> {
    let log = shown.log;
    let followed: BTreeSet<EntryNo> =
        entries.iter().filter_map(|no| log.chain_before(*no)).collect();
    let heads = entries.iter().filter(|no| !followed.contains(no));
    let chain = |head: &EntryNo| {
        let cap = log.cap_of(*head);
        let dir = log.cap_dir(cap);
        let made_at = || crate::fs::path::join(&shown.dir_made_at(dir));
        Chain {
            grant: log.id(log.cap_entry(cap)),
            path: shown.path_of(dir).unwrap_or_else(made_at),
            head: log.id(*head),
            length: log.seq(*head) + 1,
        }
    };
    heads.map(chain).collect()
}

/// Pairs of entries with one predecessor: each with the first that followed it.
fn forks(shown: Shown<'_>, entries: &[EntryNo]) -> Vec<(EntryNo, EntryNo)> {
    let mut first_after: BTreeMap<EntryNo, EntryNo> = BTreeMap::new();
    let mut forks = Vec::new();
    for no in entries {
        let Some(before) = shown.log.chain_before(*no) else { continue };
        let first = *first_after.entry(before).or_insert(*no);
        forks.extend((first != *no).then_some((first, *no)));
    }
    forks
}
