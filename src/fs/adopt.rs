//! Keeping the work of somebody who was revoked.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::entry::Payload;
use crate::fs::Fs;
use crate::fs::path::{join, parse};
use crate::fs::plan::{Plan, Shows, Target, Weight};
use crate::fs::verbs::RevertError;
use crate::id::{EntryId, PublicKey};
use crate::log::{DirNo, EntryNo, KeyNo, Log, SlotNo, Value};
use crate::node::Replica;

impl Fs {
    /// Takes over what a revoked key wrote at a path and below and does not count any more: files,
    /// links and directories show again, as versions of this author. Gives their paths.
    ///
    /// Left alone is every path where somebody else wrote something the revoked key had not seen,
    /// or went on from its work; [`revert`](Self::revert) shows a single version there. Deletions
    /// and renames are not taken over.
    ///
    /// # Errors
    ///
    /// See [`RevertError`]. Nothing is taken over unless all of it is.
    ///
    /// ```
    /// use basefs::fs::Keep;
    /// # use basefs::Fs;
    /// # let fs = Fs::in_memory()?;
    /// # #[cfg(feature = "quic")] {
    /// # let ben = Fs::builder().join(&fs.ticket(vec![])).open()?;
    /// # fs.grant("/", ben.author())?;
    /// # for entry in fs.export() { ben.admit(&entry?)?; }
    /// # ben.write("/notes/1", "useful")?;
    /// # for entry in ben.export() { fs.admit(&entry?)?; }
    /// fs.revoke_plan("/", ben.author(), Keep::Nothing)?.apply()?;
    /// assert!(!fs.exists("/notes/1"));
    /// assert_eq!(fs.adopt("/notes", ben.author())?, ["/notes", "/notes/1"]);
    /// assert_eq!(fs.read("/notes/1")?, "useful");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // rule: CLIENT-3
    pub fn adopt(&self, path: impl AsRef<str>, of: PublicKey) -> Result<Vec<String>, RevertError> {
        self.plan(|plan| plan.adopt(path.as_ref(), &[of]))
    }
}

/// A slot to look at, by the path it has or will have.
struct Open {
    names: Vec<String>,
    slot: SlotNo,
}

/// What to do at a slot.
struct Found {
    dir: DirNo,
    /// What to adopt, with the `prev` of the link.
    adopted: Option<(EntryId, Vec<EntryId>)>,
    /// The directory that shows there, or will.
    inner: Option<DirNo>,
}

impl Plan<'_> {
    /// What keys that worked together made is taken over at once: a path of theirs shows the latest
    /// version that any of them made.
    pub(super) fn adopt(
        &mut self,
        path: &str,
        of: &[PublicKey],
    ) -> Result<Vec<String>, RevertError> {
        let names = parse(path)?;
        let mut open = self.adoption_starts(&names)?;
        let keys: BTreeSet<KeyNo> = self
            .engine
            .read(|node| of.iter().filter_map(|key| node.replica().log().key_no(key)).collect());
        let mut entered = BTreeSet::new();
        let mut paths = Vec::new();
        while let Some(Open { names, slot }) = open.pop() {
            let Found { dir, adopted, inner } =
                self.engine.read(|node| find(node.replica(), slot, &keys));
            if let Some((target, prev)) = adopted {
                let texts: Vec<&str> = names.iter().map(String::as_str).collect();
                let dir = self.logged(dir);
                let (Some(name), depth) = (texts.last(), texts.len() - 1) else { continue };
                let now = self.slot(dir, name, depth);
                let at = Target { names: &texts, dir, name, slot: now };
                self.data(&at, Weight::Narrowest, prev, Payload::Link { target }, Shows::Other)?;
                paths.push(join(&texts));
            }
            if let Some(inner) = inner.filter(|inner| entered.insert(*inner)) {
                open.extend(self.inside(inner, &names));
            }
        }
        Ok(paths)
    }

    /// The slot of the path, or for the root those in it.
    fn adoption_starts(&mut self, names: &[&str]) -> Result<Vec<Open>, RevertError> {
        let above = names.split_last().map_or(names, |(_, above)| above);
        let dir = self.walk_to(above, false)?.logged;
        let Some(name) = names.last() else { return Ok(self.inside(dir, &[])) };
        let slot = self.engine.read(|node| node.replica().log().child(dir, name));
        let names = names.iter().map(|name| String::from(*name)).collect();
        Ok(slot.map(|slot| Open { names, slot }).into_iter().collect())
    }

    /// The slots in a directory, the last name first.
    fn inside(&self, dir: DirNo, names: &[String]) -> Vec<Open> {
        self.engine.read(|node| {
            let children = node.replica().log().children(dir).rev();
            let open = children.map(|(name, slot)| {
                let names = names.iter().cloned().chain([String::from(&**name)]).collect();
                Open { names, slot }
            });
            open.collect()
        })
    }
}

fn find(replica: &Replica, slot: SlotNo, keys: &BTreeSet<KeyNo>) -> Found {
    let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    let winner = view.winner(slot);
    let shows = |no: EntryNo| match log.value(no) {
        None | Some(Value::Tomb) => false,
        // Elsewhere than at its home it would be a second name, or move what is not lost.
        Some(Value::Dir(dir)) => {
            log.home(*dir) == Some(slot) && view.place(log, authority, *dir).is_none()
        }
        Some(_) => view.is_ready(log, no),
    };
    let entries = view.entries(slot);
    let after_winner = winner.map(|winner| built_on(log, winner, &entries));
    let is_lost = |no: &EntryNo| {
        !authority.is_authorised(*no)
            && keys.contains(&log.cap_key(log.cap_of(*no)))
            && shows(*no)
            && after_winner.as_ref().is_none_or(|after| after.contains(no))
    };
    let lost = entries.iter().rev().copied().find(is_lost);
    let adopted = lost.map(|no| {
        let prev = winner.into_iter().chain([no]).map(|no| log.id(no)).collect();
        (log.id(no), prev)
    });
    let inner = match lost.or(winner).and_then(|no| log.value(no)) {
        Some(Value::Dir(dir)) if lost.is_some() => Some(*dir),
        Some(Value::Dir(dir)) if view.place(log, authority, *dir) == Some(slot) => Some(*dir),
        _ => None,
    };
    Found { dir: log.slot_dir(slot), adopted, inner }
}

/// The entries of a slot, given in the order of admission, from which another is reached by
/// following `prev`.
fn built_on(log: &Log, no: EntryNo, entries: &[EntryNo]) -> BTreeSet<EntryNo> {
    let mut found = BTreeSet::from([no]);
    for entry in entries {
        if log.prev(*entry).iter().any(|before| found.contains(before)) {
            found.insert(*entry);
        }
    }
    found
}
