//! Directories and the names in them.

use alloc::sync::Arc;

use crate::id::DirId;
use crate::log::Log;
use crate::log::number::{DirNo, SlotNo};
use crate::log::record::Slot;

impl Log {
    /// The root directory, once the genesis is admitted.
    pub fn root(&self) -> Option<DirNo> {
        if self.dirs.is_empty() { None } else { DirNo::from_index(0) }
    }

    /// The number of a directory.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let users = ana.mkdir(&mut replica, "users");
    /// let log = replica.log();
    /// let dir = log.dir(&users).unwrap();
    /// assert_eq!((log.dir_id(dir), log.dirs()), (users, 2));
    /// assert_eq!(log.parent(dir), log.root());
    /// assert_eq!(log.home(dir), log.child(log.root().unwrap(), "users"));
    /// assert_eq!((log.depth(dir), log.static_path_len(dir)), (1, "users/".len()));
    /// ```
    pub fn dir(&self, id: &DirId) -> Option<DirNo> {
        self.dir_by_id.get(id).copied()
    }

    /// Number of directories ever defined.
    pub fn dirs(&self) -> usize {
        self.dirs.len()
    }

    /// The id of a directory.
    pub fn dir_id(&self, dir: DirNo) -> DirId {
        self.dirs[dir.index()].id
    }

    /// The slot in which a directory was made; none for the root.
    // rule: DIR-2
    pub fn home(&self, dir: DirNo) -> Option<SlotNo> {
        self.dirs[dir.index()].home.map(|(_, slot)| slot)
    }

    /// The directory in which a directory was made; none for the root.
    pub fn parent(&self, dir: DirNo) -> Option<DirNo> {
        self.dirs[dir.index()].home.map(|(parent, _)| parent)
    }

    /// Steps from the root to a directory.
    pub fn depth(&self, dir: DirNo) -> u8 {
        self.dirs[dir.index()].depth
    }

    /// The length of a directory's static path in bytes, each name counted with one separator.
    pub fn static_path_len(&self, dir: DirNo) -> usize {
        usize::from(self.dirs[dir.index()].path_len)
    }

    /// Whether `above` is `dir` or on its way to the root.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let (users, lib) = (ana.mkdir(&mut replica, "users"), ana.mkdir(&mut replica, "lib"));
    /// let log = replica.log();
    /// let [users, lib] = [users, lib].map(|dir| log.dir(&dir).unwrap());
    /// assert!(log.is_in_lineage(log.root().unwrap(), users));
    /// assert!(!log.is_in_lineage(lib, users));
    /// ```
    pub fn is_in_lineage(&self, above: DirNo, dir: DirNo) -> bool {
        let depth = self.depth(above);
        let mut at = dir;
        while self.depth(at) > depth {
            match self.parent(at) {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        at == above
    }

    /// The names ever used in a directory, in order, with their slots.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let readme = ana.write(&mut replica, "readme", "see motd", &[]);
    /// ana.write(&mut replica, "motd", "hello", &[]);
    /// ana.say(&mut replica, "readme", &[readme], Payload::Delete { moved_to: None });
    /// let log = replica.log();
    /// let names: Vec<&str> = log.children(log.root().unwrap()).map(|(name, _)| &**name).collect();
    /// assert_eq!(names, ["motd", "readme"], "the log forgets no name");
    /// ```
    pub fn children(&self, dir: DirNo) -> impl DoubleEndedIterator<Item = (&Arc<str>, SlotNo)> {
        self.dirs[dir.index()].children.iter().map(|(name, slot)| (name, *slot))
    }

    /// The slot of a name in a directory.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let log = replica.log();
    /// let root = log.root().unwrap();
    /// assert_eq!(log.child(root, "motd"), log.slot_of(hello));
    /// assert_eq!((log.child(root, "readme"), log.slots()), (None, 1));
    /// ```
    pub fn child(&self, dir: DirNo, name: &str) -> Option<SlotNo> {
        let is_it = |position: usize| {
            let slot: &Slot = &self.slots[position];
            slot.dir == dir && *slot.name == *name
        };
        SlotNo::from_index(self.by_name.find(self.by_name.hash(&(dir, name)), is_it)?)
    }

    /// Number of slots ever used.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The directory of a slot.
    pub fn slot_dir(&self, slot: SlotNo) -> DirNo {
        self.slots[slot.index()].dir
    }

    /// The name of a slot.
    pub fn slot_name(&self, slot: SlotNo) -> &Arc<str> {
        &self.slots[slot.index()].name
    }
}
