//! The order of entries for reconciliation: by static path, then by id.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::limits::MAX_DEPTH;
use crate::log::number::{DirNo, EntryNo, SlotNo};
use crate::log::{Detail, Log};

/// The directories from below the root down to one, and a last name if there is one.
struct Components<'a> {
    dirs: [Option<DirNo>; MAX_DEPTH as usize],
    depth: usize,
    name: Option<&'a str>,
}

/// Entries and directories by where they stand.
struct Places {
    /// Data entries by slot.
    data: Vec<(SlotNo, EntryNo)>,
    /// Grants and revokes by the directory they govern.
    control: Vec<(DirNo, EntryNo)>,
    /// Directories by the slot they were made in.
    made: Vec<(SlotNo, DirNo)>,
}

impl Log {
    /// All entries in the order of [`compare`](Self::compare). Names in a directory are in order
    /// already, so this takes a fraction of the time of a sort, which would look up names some
    /// twenty times an entry.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let readme = ana.write(&mut replica, "readme", "see motd", &[]);
    /// let motd = ana.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// let genesis = log.number(&log.genesis()).unwrap();
    /// assert_eq!(log.in_order(), [genesis, motd, readme], "by path");
    /// ```
    // rule: ORDER-1
    pub fn in_order(&self) -> Vec<EntryNo> {
        let places = Places::of(self);
        let mut ordered = Vec::with_capacity(self.len());
        // The root's path is empty, and of no slot.
        ordered.extend(self.number(&self.genesis));
        let root: Vec<DirNo> = self.root().into_iter().collect();
        let mut open = self.append_path(&places, &[], &root, 0, &mut ordered);
        while let Some(slots) = open.pop() {
            let dirs: Vec<DirNo> = slots
                .iter()
                .flat_map(|slot| equal(&places.made, *slot))
                .map(|made| made.1)
                .collect();
            let start = ordered.len();
            open.extend(self.append_path(&places, &slots, &dirs, start, &mut ordered));
        }
        ordered
    }

    /// Appends the entries of one path, those from `start` on included: of its slots, and what
    /// governs its directories. There can be several of either, for a directory that was deleted
    /// and made again is another one. Gives the slots of each path one step longer, the last first.
    fn append_path(
        &self,
        places: &Places,
        slots: &[SlotNo],
        dirs: &[DirNo],
        start: usize,
        ordered: &mut Vec<EntryNo>,
    ) -> Vec<Vec<SlotNo>> {
        for slot in slots {
            ordered.extend(equal(&places.data, *slot).iter().map(|(_, no)| *no));
        }
        for dir in dirs {
            ordered.extend(equal(&places.control, *dir).iter().map(|(_, no)| *no));
        }
        ordered[start..].sort_unstable_by_key(|no| self.id(*no));
        let mut below: Vec<_> = dirs.iter().flat_map(|dir| self.children(*dir)).collect();
        below.sort_by(|a, b| b.0.cmp(a.0));
        let of_one_name = below.chunk_by(|a, b| a.0 == b.0);
        of_one_name.map(|slots| slots.iter().map(|(_, slot)| *slot).collect()).collect()
    }

    /// Compares two entries by path, component by component and bytewise, a prefix first, then by
    /// id; without building either key.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let users = ana.mkdir(&mut replica, "users");
    /// let below = ana.say_in(&mut replica, users, "ana", &[], Payload::Mkdir);
    /// let beside = ana.write(&mut replica, "users.txt", "ana", &[]);
    /// let log = replica.log();
    /// assert!(log.compare(below, beside).is_lt(), "a subtree stands together");
    /// assert!(log.order_key(below) < log.order_key(beside));
    /// ```
    // rule: ORDER-1
    pub fn compare(&self, a: EntryNo, b: EntryNo) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let by_id = || self.id(a).cmp(&self.id(b));
        let (slot_a, slot_b) = (self.slot_of(a), self.slot_of(b));
        if let (Some(slot_a), Some(slot_b)) = (slot_a, slot_b)
            && self.slot_dir(slot_a) == self.slot_dir(slot_b)
        {
            return self.slot_name(slot_a).cmp(self.slot_name(slot_b)).then_with(by_id);
        }
        self.components(a).cmp_path(&self.components(b), self).then_with(by_id)
    }

    /// The order key of an entry as bytes: each component and a zero byte, another zero byte, the
    /// id. Up to 4.4 kB; nothing stores these.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let users = ana.mkdir(&mut replica, "users");
    /// let home = ana.say_in(&mut replica, users, "ana", &[], Payload::Mkdir);
    /// let log = replica.log();
    /// let (path, id) = (b"users\0ana\0\0", log.id(home));
    /// assert_eq!(log.order_key(home), [&path[..], id.as_bytes()].concat());
    /// ```
    // rule: ORDER-1
    pub fn order_key(&self, no: EntryNo) -> Vec<u8> {
        let mut key = Vec::new();
        for component in self.components(no).iter(self) {
            key.extend_from_slice(component.as_bytes());
            key.push(0);
        }
        key.push(0);
        key.extend_from_slice(self.id(no).as_bytes());
        key
    }

    /// Compares the order key of an entry with any bytes, without building the key.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let motd = ana.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// assert!(log.compare_key(motd, &log.order_key(motd)).is_eq());
    /// assert!(log.compare_key(motd, b"motd\0").is_gt(), "a prefix comes first");
    /// assert!(log.compare_key(motd, b"readme\0").is_lt());
    /// ```
    pub fn compare_key(&self, no: EntryNo, mut key: &[u8]) -> Ordering {
        let id = self.id(no);
        let components = self.components(no);
        let parts = components
            .iter(self)
            .flat_map(|component| [component.as_bytes(), &[0]])
            .chain([&[0][..], id.as_bytes()]);
        for part in parts {
            let common = part.len().min(key.len());
            let order = part[..common].cmp(&key[..common]);
            if order.is_ne() || part.len() > common {
                return order.then(Ordering::Greater);
            }
            key = &key[common..];
        }
        if key.is_empty() { Ordering::Equal } else { Ordering::Less }
    }

    /// Where an entry belongs: the slot of data, the directory that a grant or revoke governs.
    fn components(&self, no: EntryNo) -> Components<'_> {
        let (dir, name) = match self.record(no).detail {
            Detail::Genesis => (None, None),
            Detail::Data { slot, .. } => (Some(self.slot_dir(slot)), Some(&**self.slot_name(slot))),
            Detail::Grant(cap) => (Some(self.cap(cap).dir), None),
            Detail::Revoke { dir, .. } => (Some(dir), None),
        };
        let mut components = Components { dirs: [None; MAX_DEPTH as usize], depth: 0, name };
        let mut at = dir;
        components.depth = dir.map_or(0, |dir| usize::from(self.depth(dir)));
        for position in (0..components.depth).rev() {
            components.dirs[position] = at;
            at = at.and_then(|dir| self.parent(dir));
        }
        components
    }
}

impl Places {
    fn of(log: &Log) -> Self {
        let mut places = Self { data: Vec::new(), control: Vec::new(), made: Vec::new() };
        for no in (0..log.len()).filter_map(EntryNo::from_index) {
            match log.record(no).detail {
                Detail::Genesis => {}
                Detail::Data { slot, .. } => places.data.push((slot, no)),
                Detail::Grant(cap) => places.control.push((log.cap(cap).dir, no)),
                Detail::Revoke { dir, .. } => places.control.push((dir, no)),
            }
        }
        for dir in (0..log.dirs()).filter_map(DirNo::from_index) {
            places.made.extend(log.home(dir).map(|slot| (slot, dir)));
        }
        places.data.sort_unstable();
        places.control.sort_unstable();
        places.made.sort_unstable();
        places
    }
}

/// The pairs of a sorted list that begin with `key`.
fn equal<K: Ord + Copy, T>(sorted: &[(K, T)], key: K) -> &[(K, T)] {
    let start = sorted.partition_point(|pair| pair.0 < key);
    let length = sorted[start..].partition_point(|pair| pair.0 == key);
    &sorted[start..start + length]
}

impl<'a> Components<'a> {
    fn iter(&self, log: &'a Log) -> impl Iterator<Item = &'a str> {
        let names = self.dirs[..self.depth].iter().filter_map(|dir| log.home((*dir)?));
        names.map(|slot| &**log.slot_name(slot)).chain(self.name)
    }

    fn cmp_path(&self, other: &Components<'a>, log: &'a Log) -> Ordering {
        let shared = self.dirs[..self.depth]
            .iter()
            .zip(&other.dirs[..other.depth])
            .take_while(|(a, b)| a == b)
            .count();
        self.iter(log).skip(shared).cmp(other.iter(log).skip(shared))
    }
}
