//! Other places and further names for what is there.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::entry::Payload;
use crate::fs::Fs;
use crate::fs::error::WriteError;
use crate::fs::grants::Boundary;
use crate::fs::path::{join, parse};
use crate::fs::plan::{Plan, Shows, Target, Weight, base};
use crate::id::{DirId, EntryId};
use crate::limits::MAX_DEPTH;
use crate::log::{CapNo, DirNo, Value};
use crate::node::Replica;
use crate::view::NodeKind;

impl Fs {
    /// Moves a file, a directory with all that is in it, a symbolic link or an alias. Replaces what
    /// is there as `std::fs::rename` does: a file by a file, an empty directory by a directory.
    /// Makes the directories above the new path. Gives the version that the new path is at.
    ///
    /// A directory stays itself: what others write into it meanwhile, under its old path, shows at
    /// the new one. A file that somebody else writes meanwhile shows at both, unless the one who
    /// moved it has the better rank: then what was written is a [conflict](Self::conflicts) under
    /// the old name.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    /// [`CrossesGrant`](WriteError::CrossesGrant) if other people may write at the new place than
    /// at the old one: a directory would go on being governed from where it was made.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/drafts/plan", "all of it")?;
    /// fs.rename("/drafts", "/archive/2025")?;
    /// assert_eq!(fs.read("/archive/2025/plan")?, "all of it");
    /// assert!(!fs.exists("/drafts"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rename(
        &self,
        from: impl AsRef<str>,
        to: impl AsRef<str>,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.rename(from.as_ref(), to.as_ref(), false))
    }

    /// Like [`rename`](Self::rename), also across the boundary of a grant. Who may write in a
    /// directory that was moved is decided where it was made, not where it is shown: grants at the
    /// new place do not reach into it. A file is governed by its new place.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/ben/notes/1", "one")?;
    /// fs.grant("/ben", basefs::wire::SecretKey::from_seed([7; 32]).public())?;
    /// assert!(fs.rename("/ben/notes", "/notes").is_err(), "permissions do not move");
    /// fs.rename_across("/ben/notes", "/notes")?; // the grant at /ben still covers it
    /// assert_eq!(fs.read("/notes/1")?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rename_across(
        &self,
        from: impl AsRef<str>,
        to: impl AsRef<str>,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.rename(from.as_ref(), to.as_ref(), true))
    }

    /// Gives what is at `original` a further name, which may replace a file or link.
    ///
    /// Of a file the new name is a snapshot: later changes of one do not show in the other, and no
    /// content is stored twice. Of a directory it is an alias, shown as a symbolic link that
    /// follows the directory wherever it is moved.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; nothing was written then, unless the store failed.
    ///
    /// ```
    /// let fs = basefs::Fs::in_memory()?;
    /// fs.write("/etc/hosts", "1")?;
    /// fs.link("/etc/hosts", "/etc/hosts.backup")?;
    /// fs.write("/etc/hosts", "2")?;
    /// assert_eq!(fs.read("/etc/hosts.backup")?, "1");
    /// fs.link("/etc", "/conf")?;
    /// fs.rename("/etc", "/settings")?;
    /// assert_eq!(fs.read_link("/conf")?, "/settings");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn link(
        &self,
        original: impl AsRef<str>,
        path: impl AsRef<str>,
    ) -> Result<EntryId, WriteError> {
        self.plan(|plan| plan.link(original.as_ref(), path.as_ref()))
    }
}

impl Plan<'_> {
    /// A link at the new place, then a deletion at the present one that says where it went. Both
    /// are by this author, who may need a different capability for each.
    // rule: CLIENT-4
    pub(super) fn rename(
        &mut self,
        from: &str,
        to: &str,
        across: bool,
    ) -> Result<EntryId, WriteError> {
        let (from, to) = (parse(from)?, parse(to)?);
        let source = self.target(&from, false)?;
        let shows = source.slot.shows;
        let version = shown(&source)?;
        if from == to {
            return Ok(version);
        }
        if matches!(shows, Shows::Dir(_)) && to.starts_with(&from) {
            return Err(WriteError::IntoItself { from: join(&from), to: join(&to) });
        }
        let at = self.target(&to, true)?;
        match (shows, at.slot.shows) {
            (Shows::Dir(_), Shows::Dir(inner)) if self.has_children(inner) => {
                return Err(WriteError::NotEmpty { path: join(&to) });
            }
            (Shows::Dir(_), Shows::File(_)) => {
                return Err(WriteError::NotADirectory { path: join(&to) });
            }
            (Shows::File(_) | Shows::Other, Shows::Dir(_)) => {
                return Err(WriteError::IsADirectory { path: join(&to) });
            }
            _ => {}
        }
        match shows {
            Shows::Dir(dir) => self.check_depth(dir, &source, &at)?,
            _ => self.check_former_place(version, &at)?,
        }
        if !across {
            self.check_boundary(&source, &at)?;
        }
        let link = Payload::Link { target: version };
        let link = self.data(&at, Weight::Narrowest, base(&at.slot), link, shows)?;
        let tips = self.all_tips(&source);
        let delete = Payload::Delete { moved_to: Some(link) };
        self.close(&source, Weight::Narrowest, tips, delete, Shows::Nothing)?;
        if let Shows::Dir(dir) = shows {
            self.moved.push((dir, source.dir.id, Arc::from(source.name)));
        }
        Ok(link)
    }

    // rule: TREE-3
    pub(super) fn link(&mut self, original: &str, path: &str) -> Result<EntryId, WriteError> {
        let (original, names) = (parse(original)?, parse(path)?);
        let source = self.target(&original, false)?;
        let version = shown(&source)?;
        if original == names {
            return Ok(version);
        }
        let at = self.target(&names, true)?;
        if let Shows::Dir(_) = at.slot.shows {
            return Err(WriteError::IsADirectory { path: join(&names) });
        }
        if let Shows::Dir(dir) = source.slot.shows
            && self.leaves(dir, &at)
        {
            return Err(WriteError::FormerPlace { path: join(&names), now: join(&original) });
        }
        self.check_former_place(version, &at)?;
        let shows = match source.slot.shows {
            Shows::File(executable) => Shows::File(executable),
            _ => Shows::Other,
        };
        let link = Payload::Link { target: version };
        self.data(&at, Weight::Narrowest, base(&at.slot), link, shows)
    }

    /// Refuses to put another name of a directory where it would move the directory instead: at a
    /// place that decides where it hangs.
    // rule: TREE-2
    pub(super) fn check_former_place(
        &self,
        version: EntryId,
        at: &Target<'_>,
    ) -> Result<(), WriteError> {
        self.engine.read(|node| {
            let replica = node.replica();
            let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
            let Some(Value::Dir(dir)) = log.number(&version).and_then(|no| log.value(no)) else {
                return Ok(());
            };
            let parent = log.dir(&at.dir.id);
            let slot = parent.and_then(|parent| log.child(parent, at.name));
            let (Some(slot), Some(now)) = (slot, view.path_of_dir(log, authority, *dir)) else {
                return Ok(());
            };
            let is_elsewhere = view.place(log, authority, *dir) != Some(slot);
            if is_elsewhere && view.trail(log, authority, *dir).contains(&slot) {
                return Err(WriteError::FormerPlace { path: join(at.names), now: join(&now) });
            }
            Ok(())
        })
    }

    /// Whether this plan moves a directory away from a slot.
    fn leaves(&self, dir: DirId, at: &Target<'_>) -> bool {
        self.moved.iter().any(|(moved, parent, name)| {
            *moved == dir && *parent == at.dir.id && **name == *at.name
        })
    }

    /// Refuses to move a directory to where something below it would be too deep for a path.
    // rule: TREE-4
    fn check_depth(
        &self,
        dir: DirId,
        source: &Target<'_>,
        at: &Target<'_>,
    ) -> Result<(), WriteError> {
        if at.names.len() <= source.names.len() {
            return Ok(());
        }
        let mut open = Vec::from([(dir, at.names.len())]);
        while let Some((dir, depth)) = open.pop() {
            if depth > usize::from(MAX_DEPTH) {
                return Err(WriteError::TooDeep { path: join(at.names) });
            }
            open.extend(self.subdirectories(dir).into_iter().map(|inner| (inner, depth + 1)));
        }
        Ok(())
    }

    fn subdirectories(&self, dir: DirId) -> Vec<DirId> {
        let planned = self.slots.get(&dir);
        let in_plan = planned.into_iter().flatten().filter_map(|(_, slot)| match slot.shows {
            Shows::Dir(inner) => Some(inner),
            _ => None,
        });
        let in_view = self.engine.read(|node| {
            let replica = node.replica();
            let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
            let children = log.dir(&dir).into_iter().flat_map(|dir| log.children(dir));
            let children = children
                .filter(|(name, _)| !planned.is_some_and(|slots| slots.contains_key(*name)));
            let dirs =
                children.filter_map(|(_, slot)| match view.node(log, authority, slot)?.kind {
                    NodeKind::Dir(inner) => Some(log.dir_id(inner)),
                    _ => None,
                });
            dirs.collect::<Vec<_>>()
        });
        in_plan.chain(in_view).collect()
    }

    /// Refuses a move to where other people may write. A directory may always go back to where its
    /// permissions come from.
    // rule: CLIENT-4
    // rule: TREE-5
    fn check_boundary(&self, source: &Target<'_>, at: &Target<'_>) -> Result<(), WriteError> {
        let (from, to) = (source.dir.logged, at.dir.logged);
        let grants = self.engine.read(|node| {
            let replica = node.replica();
            let log = replica.log();
            let home = match source.slot.shows {
                Shows::Dir(dir) => log.dir(&dir).and_then(|dir| log.parent(dir)),
                _ => None,
            };
            match home {
                Some(home) if boundary(replica, home, to).is_empty() => Vec::new(),
                _ => boundary(replica, from, to),
            }
        });
        if grants.is_empty() {
            return Ok(());
        }
        let (from, to) = (join(source.names), join(at.names));
        Err(WriteError::CrossesGrant { from, to, grants })
    }
}

/// The version that a path is at.
fn shown(source: &Target<'_>) -> Result<EntryId, WriteError> {
    let winner = source.slot.winner.filter(|_| source.slot.shows != Shows::Nothing);
    winner.ok_or_else(|| WriteError::NotFound { path: join(source.names) })
}

/// The grants in force that cover one of two directories and not the other.
fn boundary(replica: &Replica, from: DirNo, to: DirNo) -> Vec<Boundary> {
    let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    let covers = |cap: CapNo, dir: DirNo| log.is_in_lineage(log.cap_dir(cap), dir);
    let caps = (0..log.caps()).filter_map(CapNo::from_index);
    let crossed = caps
        .filter(|cap| covers(*cap, from) != covers(*cap, to) && authority.is_live(log, *cap))
        .map(|cap| Boundary {
            path: view.path_of_dir(log, authority, log.cap_dir(cap)).map(|names| join(&names)),
            key: log.key(log.cap_key(cap)),
            grant: log.id(log.cap_entry(cap)),
        });
    crossed.collect()
}
