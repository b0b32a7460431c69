//! Who may write where.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::entry::{Payload, Rights};
use crate::fs::Fs;
use crate::fs::engine::Engine;
use crate::fs::error::{ReadError, WriteError};
use crate::fs::path::{join, parse};
use crate::fs::plan::{Dir, Need, Plan, Weight};
use crate::fs::shown::Shown;
use crate::id::{EntryId, PublicKey};
use crate::limits::{MAX_AFTER, MAX_AMEND, MAX_CLOSURE};
use crate::log::{CapNo, Detail, DirNo, EntryNo, Rank};
use crate::node::Replica;
use crate::store::StoreError;

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

/// A grant that covers one of two places and not the other.
///
/// ```
/// use basefs::WriteError;
///
/// let fs = basefs::Fs::in_memory()?;
/// fs.write("/ben/notes/1", "one")?;
/// let ben = basefs::wire::SecretKey::from_seed([7; 32]).public();
/// let grant = fs.grant("/ben", ben)?;
/// let Err(WriteError::CrossesGrant { grants, .. }) = fs.rename("/ben/notes", "/notes") else {
///     return Err("permissions do not move".into());
/// };
/// assert_eq!((grants[0].key, grants[0].grant), (ben, grant));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Boundary {
    /// The path of the directory it governs; none if that is not shown anywhere.
    pub path: Option<String>,
    /// Whom it lets write.
    pub key: PublicKey,
    /// The grant.
    pub grant: EntryId,
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or("a hidden directory");
        write!(f, "{:.16} at {path}", self.key)
    }
}

/// Who may write where, and letting others.
impl Fs {
    /// Lets another key write at a directory and below.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]: this author may not grant there, or there is no such directory.
    ///
    /// ```
    /// use basefs::wire::SecretKey;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let ana = SecretKey::from_seed([7; 32]);
    /// fs.create_dir_all("/users/ana")?;
    /// fs.grant("/users/ana", ana.public())?;
    /// assert_eq!(fs.keys()?[1].path.as_deref(), Some("/users/ana"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grant(&self, path: impl AsRef<str>, who: PublicKey) -> Result<EntryId, WriteError> {
        self.grant_with(path, who, Rights::Write, "")
    }

    /// Gives another key rights at a directory and below, under a label of at most 64 bytes.
    ///
    /// A key that was revoked there is let in again, as far as this author may: the grant names the
    /// revokes that it is made in spite of. What they cut stays cut; see [`amend`](Self::amend).
    ///
    /// # Errors
    ///
    /// As for [`grant`](Self::grant). [`WriteError::Outranked`] if the key was revoked by somebody
    /// who outranks this author: a grant would have no effect.
    ///
    /// ```
    /// use basefs::entry::Rights;
    /// use basefs::wire::SecretKey;
    ///
    /// let fs = basefs::Fs::in_memory()?;
    /// let admin = SecretKey::from_seed([7; 32]);
    /// fs.grant_with("/", admin.public(), Rights::All, "ana's laptop")?;
    /// assert_eq!(fs.keys()?[1].label, "ana's laptop");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grant_with(
        &self,
        path: impl AsRef<str>,
        who: PublicKey,
        rights: Rights,
        label: &str,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.grant(path.as_ref(), who, rights, label))
    }

    /// Finds out whether this author may write at a path now, without writing: something can be
    /// there or not. For whoever collects content before it writes it.
    ///
    /// # Errors
    ///
    /// What [`write`](Self::write) would say, whatever the content: [`WriteError::Denied`] above
    /// all.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.check_write("/users/ana/info")?;
    /// assert!(!fs.exists("/users"), "nothing was made");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_write(&self, path: impl AsRef<str>) -> Result<(), WriteError> {
        self.engine.check()?;
        self.draft().check_write(path.as_ref())
    }

    /// Every capability ever given: the root keys first, then in the order of admission.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let ben = basefs::wire::SecretKey::from_seed([7; 32]).public();
    /// fs.create_dir_all("/users/ben")?;
    /// fs.grant("/users/ben", ben)?;
    /// let keys = fs.keys()?;
    /// assert_eq!(keys[0].key, fs.author()); // the root key
    /// assert_eq!((keys[1].key, keys[1].path.as_deref()), (ben, Some("/users/ben")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(&self) -> Result<Vec<KeyInfo>, ReadError> {
        self.engine.keys()
    }

    /// The grants in force at a directory and below it: what deleting the directory does not
    /// revoke. Labels and keys are those of [`keys`](Self::keys).
    ///
    /// A directory that was moved here counts with the place where it was made, for that is where
    /// its authority comes from.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not a directory, or the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// let ana = basefs::wire::SecretKey::from_seed([7; 32]).public();
    /// fs.create_dir_all("/users/ana")?;
    /// fs.grant("/users/ana", ana)?;
    /// for grant in fs.grants_below("/users")? {
    ///     fs.revoke(grant.path.expect("it is shown"), grant.key)?;
    /// }
    /// fs.remove_all("/users")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // rule: CLIENT-10
    pub fn grants_below(&self, path: impl AsRef<str>) -> Result<Vec<KeyInfo>, ReadError> {
        let top = self.engine.now().dir_id(path.as_ref())?;
        self.engine.key_infos(|replica, cap| {
            let log = replica.log();
            let is_grant = log.cap_rank(cap).grants > 0;
            let top = log.dir(&top);
            is_grant
                && replica.authority().is_live(log, cap)
                && top.is_some_and(|top| log.is_in_lineage(top, log.cap_dir(cap)))
        })
    }
}

impl Engine {
    pub(super) fn keys(&self) -> Result<Vec<KeyInfo>, ReadError> {
        self.key_infos(|_, _| true)
    }

    pub(super) fn key_infos(
        &self,
        is_asked_for: impl Fn(&Replica, CapNo) -> bool,
    ) -> Result<Vec<KeyInfo>, ReadError> {
        let infos = self.read(|node| {
            let replica = node.replica();
            let caps = (0..replica.log().caps()).filter_map(CapNo::from_index);
            let caps = caps.filter(|cap| is_asked_for(replica, *cap));
            caps.map(|cap| unlabelled(replica, cap)).collect()
        });
        Ok(self.labelled(infos)?)
    }

    /// Adds what only the bytes of the grants say.
    pub(super) fn labelled(&self, infos: Vec<KeyInfo>) -> Result<Vec<KeyInfo>, StoreError> {
        let labelled = |info: KeyInfo| {
            let grant = info
                .granted_by
                .and_then(|_| self.read(|node| node.replica().log().number(&info.grant)));
            let label = match grant {
                Some(no) => String::from(&*self.entry(no)?.body().name),
                None => String::new(),
            };
            Ok(KeyInfo { label, ..info })
        };
        infos.into_iter().map(labelled).collect()
    }
}

/// What is known of a capability without its grant at hand.
pub(super) fn unlabelled(replica: &Replica, cap: CapNo) -> KeyInfo {
    let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    let entry = log.cap_entry(cap);
    let path = view.path_of_dir(log, authority, log.cap_dir(cap));
    let is_root = log.cap_rank(cap).grants == 0;
    KeyInfo {
        key: log.key(log.cap_key(cap)),
        path: path.map(|names| join(&names)),
        rights: log.cap_rights(cap),
        rank: log.cap_rank(cap),
        grant: log.id(entry),
        granted_by: (!is_root).then(|| log.author(entry)),
        label: String::new(),
        is_live: authority.is_live(log, cap),
    }
}

/// A revoke that a new grant is made in spite of.
struct Standing {
    id: EntryId,
    dir: DirNo,
    /// Itself and what it amends.
    closure: BTreeSet<EntryId>,
}

impl Plan<'_> {
    fn check_write(&mut self, path: &str) -> Result<(), WriteError> {
        let names = parse(path)?;
        let at = self.target(&names, true)?;
        let need = Need { right: Rights::Write, gives: None, weight: Weight::Narrowest };
        self.capability(at.dir.logged, need).map(drop).ok_or_else(|| self.denied(&names))
    }

    /// A capability for another key at a directory and below.
    // rule: CAP-1
    // rule: CLIENT-6
    pub(super) fn grant(
        &mut self,
        path: &str,
        who: PublicKey,
        rights: Rights,
        label: &str,
    ) -> Result<EntryId, WriteError> {
        let names = parse(path)?;
        let dir = self.walk_to(&names, false)?;
        self.grant_in(&names, dir, who, rights, label)
    }

    /// The same capability as one that does not count any more, from this author. It is for the same
    /// directory, wherever that is by now.
    pub(super) fn grant_again(&mut self, info: &KeyInfo) -> Result<EntryId, WriteError> {
        let not_found = || WriteError::NotFound { path: info.path.clone().unwrap_or_default() };
        let (dir, names) = self
            .engine
            .read(|node| {
                let shown = Shown::now(node.replica());
                let dir = shown.log.dir_of(shown.log.number(&info.grant)?)?;
                let now = shown.view.path_of_dir(shown.log, shown.authority, dir);
                Some((dir, now.unwrap_or_else(|| shown.dir_made_at(dir))))
            })
            .ok_or_else(not_found)?;
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        self.grant_in(&names, self.logged(dir), info.key, info.rights, &info.label)
    }

    fn grant_in(
        &mut self,
        names: &[&str],
        dir: Dir,
        who: PublicKey,
        rights: Rights,
        label: &str,
    ) -> Result<EntryId, WriteError> {
        let need = |weight| Need { right: Rights::Grant, gives: Some(rights), weight };
        let capability = |plan: &Self, weight| {
            plan.capability(dir.logged, need(weight)).ok_or_else(|| plan.denied(names))
        };
        let mut cap = capability(self, Weight::Narrowest)?;
        let mut after = Vec::new();
        if !self.against(dir, who, cap).is_empty() {
            // Letting somebody in again overrules.
            cap = capability(self, Weight::Best)?;
            let standing = self.set_aside(names, dir, who, cap)?;
            after = self.join_revokes(names, who, standing)?;
            after.sort_unstable();
        }
        self.sign(dir.id, label.into(), Vec::new(), cap, Payload::Grant { who, rights, after })
    }

    /// The revokes that would act against a grant under `cap` that names none of them.
    fn against(&self, dir: Dir, who: PublicKey, cap: CapNo) -> Vec<EntryNo> {
        self.engine.read(|node| {
            let (log, authority) = (node.replica().log(), node.replica().authority());
            let Some(who) = log.key_no(&who) else { return Vec::new() };
            let rank = Rank { depth: dir.depth, grants: log.cap_rank(cap).grants + 1, root: 0 };
            let mut revokes = authority.revokes_at(log, who, dir.logged);
            revokes.retain(|no| log.rank(*no) < rank);
            revokes
        })
    }

    /// The revokes that a grant under `cap` has to name to stand, less those that others of them
    /// amend.
    // rule: REVOKE-2
    fn set_aside(
        &self,
        names: &[&str],
        dir: Dir,
        who: PublicKey,
        cap: CapNo,
    ) -> Result<Vec<Standing>, WriteError> {
        let against = self.against(dir, who, cap);
        self.engine.read(|node| {
            let log = node.replica().log();
            let closure = |no: EntryNo| log.revoke(no).map_or(&[][..], |revoke| &revoke.closure);
            let is_mine = |no: &EntryNo| {
                closure(*no).iter().any(|member| log.rank(*member) >= log.cap_rank(cap))
            };
            if let Some(no) = against.iter().find(|no| !is_mine(no)) {
                return Err(WriteError::Outranked {
                    path: join(names),
                    key: who,
                    revoke: log.id(*no),
                    by: log.author(*no),
                });
            }
            let is_amended = |no: &EntryNo| {
                against.iter().any(|other| other != no && closure(*other).contains(no))
            };
            let standing = |no: &EntryNo| {
                let Detail::Revoke { dir, .. } = log.record(*no).detail else { return None };
                let closure = closure(*no).iter().map(|member| log.id(*member)).collect();
                Some(Standing { id: log.id(*no), dir, closure })
            };
            Ok(against.iter().filter(|no| !is_amended(no)).filter_map(standing).collect())
        })
    }

    /// The ids of these revokes, or if there are more than a grant can name, of revokes that amend
    /// several of them and keep nothing more.
    fn join_revokes(
        &mut self,
        names: &[&str],
        who: PublicKey,
        mut standing: Vec<Standing>,
    ) -> Result<Vec<EntryId>, WriteError> {
        let count = standing.len();
        let too_many = || WriteError::TooManyRevokes { path: join(names), key: who, count };
        while standing.len() > MAX_AFTER {
            let excess = standing.len() - MAX_AFTER;
            let of_dir = |dir: DirNo, all: &[Standing]| all.iter().filter(|s| s.dir == dir).count();
            let dirs = standing.iter().map(|revoke| revoke.dir);
            let dir = dirs.max_by_key(|dir| of_dir(*dir, &standing)).ok_or_else(too_many)?;
            let take = of_dir(dir, &standing).min(MAX_AMEND).min(excess + 1);
            if take < 2 {
                return Err(too_many());
            }
            let mut joined = Vec::new();
            while joined.len() < take {
                let next = standing.iter().position(|revoke| revoke.dir == dir);
                joined.push(standing.remove(next.ok_or_else(too_many)?));
            }
            standing.push(self.join_some(who, dir, joined).map_err(|()| too_many())?);
        }
        if count > standing.len() && self.gives_back() {
            return Err(too_many());
        }
        Ok(standing.iter().map(|revoke| revoke.id).collect())
    }

    fn join_some(
        &mut self,
        who: PublicKey,
        dir: DirNo,
        joined: Vec<Standing>,
    ) -> Result<Standing, ()> {
        let mut prev: Vec<EntryId> = joined.iter().map(|revoke| revoke.id).collect();
        prev[1..].sort_unstable();
        let mut closure: BTreeSet<EntryId> =
            joined.into_iter().flat_map(|revoke| revoke.closure).collect();
        let need = Need { right: Rights::Grant, gives: None, weight: Weight::Narrowest };
        let cap = self.capability(dir, need).ok_or(())?;
        if closure.len() >= MAX_CLOSURE {
            return Err(());
        }
        let dir_id = self.engine.read(|node| node.replica().log().dir_id(dir));
        let payload = Payload::Revoke { who, keep: Vec::new() };
        let id = self.sign(dir_id, "".into(), prev, cap, payload).map_err(drop)?;
        closure.insert(id);
        Ok(Standing { id, dir, closure })
    }

    /// Whether what is planned makes cut entries count again. Joining revokes keeps what any of them
    /// kept, where separate ones keep only what all did.
    fn gives_back(&self) -> bool {
        let (_, effects) = self.rehearse();
        effects.authorised.iter().any(|(_, authorised)| *authorised)
    }
}
