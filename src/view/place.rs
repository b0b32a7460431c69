//! Where directories hang, and what a path shows.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::authority::Authority;
use crate::limits::MAX_DEPTH;
use crate::log::{ContentNo, DirNo, EntryNo, Log, SlotNo, Value};
use crate::view::View;

/// Something that a path shows (VIEW-1).
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (_, replica) = author::found();
/// use basefs::view::{Node, NodeKind};
///
/// let root = NodeKind::Dir(replica.log().root().unwrap());
/// let shown = replica.view().resolve(replica.log(), replica.authority(), []);
/// assert_eq!(shown, Some(Node { slot: None, winner: None, kind: root }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The slot; none for the root directory.
    pub slot: Option<SlotNo>,
    /// The winner of the slot; none for the root directory.
    pub winner: Option<EntryNo>,
    /// What it is.
    pub kind: NodeKind,
}

/// The kinds of things that a path shows.
///
/// ```
/// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
/// # let (mut ana, mut replica) = author::found();
/// use basefs::entry::Payload;
/// use basefs::view::NodeKind;
///
/// ana.say(&mut replica, "latest", &[], Payload::Slink { text: "v2".into() });
/// let users = ana.mkdir(&mut replica, "users");
/// # let (log, authority) = (replica.log(), replica.authority());
/// let kind = |name| replica.view().resolve(log, authority, [name]).map(|node| node.kind);
/// assert_eq!(kind("latest"), Some(NodeKind::Symlink("v2".into())));
/// assert_eq!(kind("users"), log.dir(&users).map(NodeKind::Dir));
/// assert_eq!(kind("nothing"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Dir(DirNo),
    /// A file.
    File {
        /// What it contains.
        content: ContentNo,
        /// Whether it is a program.
        executable: bool,
    },
    /// A symbolic link with its text.
    Symlink(String),
    /// A second name of a directory, shown as a symbolic link to its path.
    Alias(DirNo),
}

impl View {
    /// The next entry of the line of a slot: the nearest authorised one along `prev[0]`.
    pub(super) fn line_next(log: &Log, authority: &Authority, no: EntryNo) -> Option<EntryNo> {
        let mut at = log.prev(no).first().copied()?;
        while !authority.is_authorised(at) {
            at = log.prev(at).first().copied()?;
        }
        Some(at)
    }

    /// The winner of a slot, what it was built on, and so on: the line of the slot.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let morning = ana.write(&mut replica, "motd", "good morning", &[hello]);
    /// let (log, slot) = (replica.log(), replica.log().slot_of(hello).unwrap());
    /// assert!(replica.view().line(log, replica.authority(), slot).eq([morning, hello]));
    /// ```
    pub fn line<'a>(
        &self,
        log: &'a Log,
        authority: &'a Authority,
        slot: SlotNo,
    ) -> impl Iterator<Item = EntryNo> + use<'a> {
        let next = |no: &EntryNo| Self::line_next(log, authority, *no);
        core::iter::successors(self.winner(slot), next)
    }

    /// The slot where a directory hangs: its home, or where it was moved. None for the root and
    /// for what was deleted or whose move lost its way.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let users = ana.mkdir(&mut replica, "users");
    /// let dir = replica.log().dir(&users).unwrap();
    /// let home = replica.log().home(dir).unwrap();
    /// let place = |replica: &basefs::node::Replica| {
    ///     replica.view().place(replica.log(), replica.authority(), dir)
    /// };
    /// assert_eq!(place(&replica), Some(home), "where it was made");
    /// let mkdir = replica.view().winner(home).unwrap();
    /// ana.say(&mut replica, "users", &[mkdir], Payload::Delete { moved_to: None });
    /// assert_eq!(place(&replica), None);
    /// ```
    // rule: TREE-2
    // rule: TREE-5
    pub fn place(&self, log: &Log, authority: &Authority, dir: DirNo) -> Option<SlotNo> {
        self.locate(log, authority, dir, &mut 0)
    }

    /// As [`place`](Self::place); counts the entries that it looked at, which are those on the
    /// lines of the slots that the directory was moved through.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// let users = ana.mkdir(&mut replica, "users");
    /// let (log, dir) = (replica.log(), replica.log().dir(&users).unwrap());
    /// let mut looked_at = 0;
    /// let place = replica.view().locate(log, replica.authority(), dir, &mut looked_at);
    /// assert_eq!((place, looked_at), (log.home(dir), 1), "never moved");
    /// ```
    pub fn locate(
        &self,
        log: &Log,
        authority: &Authority,
        dir: DirNo,
        looked_at: &mut usize,
    ) -> Option<SlotNo> {
        let is_dir = |no: EntryNo| log.value(no) == Some(&Value::Dir(dir));
        let home = log.home(dir)?;
        // Nearly every directory is where it was made, and every path leads through some.
        if self.winner(home).is_some_and(is_dir) {
            *looked_at += 1;
            return Some(home);
        }
        self.follow(log, authority, dir, &mut BTreeSet::new(), looked_at)
    }

    /// The slots that decide where a directory hangs: its home, where it was moved from there, and
    /// so on. A link to the directory in one of them moves it, elsewhere it is an alias.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// // `users` is renamed to `people`.
    /// let users = ana.mkdir(&mut replica, "users");
    /// let dir = replica.log().dir(&users).unwrap();
    /// let home = replica.log().home(dir).unwrap();
    /// let mkdir = replica.view().winner(home).unwrap();
    /// let target = replica.log().id(mkdir);
    /// let link = ana.say(&mut replica, "people", &[], Payload::Link { target });
    /// let moved_to = Some(replica.log().id(link));
    /// ana.say(&mut replica, "users", &[mkdir], Payload::Delete { moved_to });
    /// let (log, authority) = (replica.log(), replica.authority());
    /// let people = log.slot_of(link).unwrap();
    /// assert_eq!(replica.view().place(log, authority, dir), Some(people));
    /// assert_eq!(replica.view().trail(log, authority, dir), [home, people].into());
    /// ```
    // rule: TREE-2
    pub fn trail(&self, log: &Log, authority: &Authority, dir: DirNo) -> BTreeSet<SlotNo> {
        let mut visited = BTreeSet::new();
        self.follow(log, authority, dir, &mut visited, &mut 0);
        visited
    }

    fn follow(
        &self,
        log: &Log,
        authority: &Authority,
        dir: DirNo,
        visited: &mut BTreeSet<SlotNo>,
        looked_at: &mut usize,
    ) -> Option<SlotNo> {
        let is_dir = |no: EntryNo| log.value(no) == Some(&Value::Dir(dir));
        let mut slot = log.home(dir)?;
        while visited.insert(slot) {
            let winner = self.winner(slot)?;
            let line =
                core::iter::successors(Some(winner), |no| Self::line_next(log, authority, *no))
                    .inspect(|_| *looked_at += 1);
            // Only the moves of this directory matter, not those of others that had the name.
            let mut said = line.filter_map(|no| match log.moved_to(no) {
                _ if is_dir(no) => Some((no, None)),
                Some(link) if is_dir(link) => Some((no, Some(link))),
                _ => None,
            });
            match said.next()? {
                (no, None) => return (no == winner).then_some(slot),
                (_, Some(link)) => slot = log.slot_of(link)?,
            }
        }
        None
    }

    /// The path of a directory as components; none if it has no place, lies in itself or would be
    /// more than 64 components deep.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// use basefs::log::child_dir;
    ///
    /// let users = ana.mkdir(&mut replica, "users");
    /// ana.say_in(&mut replica, users, "ana", &[], Payload::Mkdir);
    /// let (log, authority) = (replica.log(), replica.authority());
    /// let home = log.dir(&child_dir(&users, None, "ana")).unwrap();
    /// let path = replica.view().path_of_dir(log, authority, home).unwrap();
    /// assert_eq!(path.join("/"), "users/ana");
    /// ```
    // rule: TREE-4
    pub fn path_of_dir(
        &self,
        log: &Log,
        authority: &Authority,
        dir: DirNo,
    ) -> Option<Vec<Arc<str>>> {
        let mut names = Vec::new();
        let mut at = dir;
        while Some(at) != log.root() {
            if names.len() == usize::from(MAX_DEPTH) {
                return None;
            }
            let slot = self.place(log, authority, at)?;
            names.push(log.slot_name(slot).clone());
            at = log.slot_dir(slot);
        }
        names.reverse();
        Some(names)
    }

    /// What the winner of a slot shows; nothing if it is absent.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let hello = ana.write(&mut replica, "motd", "hello", &[]);
    /// let slot = replica.log().slot_of(hello).unwrap();
    /// let node = replica.view().node(replica.log(), replica.authority(), slot).unwrap();
    /// assert_eq!(node.winner, Some(hello));
    /// ana.say(&mut replica, "motd", &[hello], Payload::Delete { moved_to: None });
    /// assert_eq!(replica.view().node(replica.log(), replica.authority(), slot), None);
    /// ```
    // rule: TREE-1
    // rule: TREE-3
    // rule: VIEW-1
    pub fn node(&self, log: &Log, authority: &Authority, slot: SlotNo) -> Option<Node> {
        let winner = self.winner(slot)?;
        let kind = match log.value(winner)? {
            Value::Tomb => return None,
            Value::Dir(dir) if self.place(log, authority, *dir) == Some(slot) => {
                NodeKind::Dir(*dir)
            }
            Value::Dir(dir) => NodeKind::Alias(*dir),
            Value::File { content, executable } => {
                NodeKind::File { content: *content, executable: *executable }
            }
            Value::Sym(text) => NodeKind::Symlink(String::from(&**text)),
        };
        Some(Node { slot: Some(slot), winner: Some(winner), kind })
    }

    /// What a directory, itself at `depth`, shows under a name. A directory too deep for a path is
    /// shown as an alias that leads nowhere.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// use basefs::view::NodeKind;
    ///
    /// let users = ana.mkdir(&mut replica, "users");
    /// let (log, dir) = (replica.log(), replica.log().dir(&users).unwrap());
    /// let slot = log.home(dir).unwrap();
    /// let kind = |depth| {
    ///     let node = replica.view().node_at_depth(log, replica.authority(), slot, depth);
    ///     node.map(|node| node.kind)
    /// };
    /// assert_eq!(kind(0), Some(NodeKind::Dir(dir)));
    /// assert_eq!(kind(64), Some(NodeKind::Alias(dir)), "too deep for a path");
    /// ```
    pub fn node_at_depth(
        &self,
        log: &Log,
        authority: &Authority,
        slot: SlotNo,
        depth: usize,
    ) -> Option<Node> {
        let mut node = self.node(log, authority, slot)?;
        if let NodeKind::Dir(dir) = node.kind
            && depth >= usize::from(MAX_DEPTH)
        {
            node.kind = NodeKind::Alias(dir);
        }
        Some(node)
    }

    /// Resolves a path; symbolic links and aliases are not followed.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let users = ana.mkdir(&mut replica, "users");
    /// let home = ana.say_in(&mut replica, users, "ana", &[], Payload::Mkdir);
    /// let (log, authority, view) = (replica.log(), replica.authority(), replica.view());
    /// let node = view.resolve(log, authority, "users/ana".split('/')).unwrap();
    /// assert_eq!(node.winner, Some(home));
    /// assert_eq!(view.resolve(log, authority, ["users", "ben"]), None);
    /// ```
    // rule: TREE-1
    pub fn resolve<'p>(
        &self,
        log: &Log,
        authority: &Authority,
        path: impl IntoIterator<Item = &'p str>,
    ) -> Option<Node> {
        let mut node = Node { slot: None, winner: None, kind: NodeKind::Dir(log.root()?) };
        for (depth, name) in path.into_iter().enumerate() {
            let NodeKind::Dir(dir) = node.kind else { return None };
            node = self.node_at_depth(log, authority, log.child(dir, name)?, depth)?;
        }
        Some(node)
    }

    /// The directories that are unreachable although they have a place: those that contain
    /// themselves, and those just below the deepest that a path can name. What lies inside one of
    /// these is found through it and not listed.
    ///
    /// Linear in the number of directories, however long a cycle is.
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// // One moves `users` into `lib`, another `lib` into `users`, at the same time.
    /// let (users, lib) = (ana.mkdir(&mut replica, "users"), ana.mkdir(&mut replica, "lib"));
    /// for (name, dir, into) in [("users", users, lib), ("lib", lib, users)] {
    ///     let slot = replica.log().home(replica.log().dir(&dir).unwrap()).unwrap();
    ///     let mkdir = replica.view().winner(slot).unwrap();
    ///     let target = replica.log().id(mkdir);
    ///     let link = ana.say_in(&mut replica, into, name, &[], Payload::Link { target });
    ///     let moved_to = Some(replica.log().id(link));
    ///     ana.say(&mut replica, name, &[mkdir], Payload::Delete { moved_to });
    /// }
    /// let (log, authority) = (replica.log(), replica.authority());
    /// let both = [users, lib].map(|dir| log.dir(&dir).unwrap());
    /// assert_eq!(replica.view().lost_and_found(log, authority), both);
    /// ```
    // rule: TREE-4
    pub fn lost_and_found(&self, log: &Log, authority: &Authority) -> Vec<DirNo> {
        let above: Vec<Above> = (0..log.dirs())
            .filter_map(DirNo::from_index)
            .map(|dir| match self.place(log, authority, dir) {
                _ if Some(dir) == log.root() => Above::Root,
                Some(slot) => Above::Dir(log.slot_dir(slot).index()),
                None => Above::Nowhere,
            })
            .collect();
        let mut found = alloc::vec![None; above.len()];
        for start in 0..above.len() {
            trace(&above, start, &mut found);
        }
        let is_lost = |found: &Option<Reach>| match found {
            Some(Reach::Cycle) => true,
            Some(Reach::Depth(depth)) => *depth == usize::from(MAX_DEPTH) + 1,
            _ => false,
        };
        (0..above.len()).filter(|dir| is_lost(&found[*dir])).filter_map(DirNo::from_index).collect()
    }

    /// The winners of slots in directories that have no path (VIEW-4).
    ///
    /// ```
    /// # mod author { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/author.rs")); }
    /// # let (mut ana, mut replica) = author::found();
    /// # use basefs::entry::Payload;
    /// let users = ana.mkdir(&mut replica, "users");
    /// let home = ana.say_in(&mut replica, users, "ana", &[], Payload::Mkdir);
    /// let (dir, root) = (replica.log().dir(&users).unwrap(), replica.log().root().unwrap());
    /// let mkdir = replica.view().winner(replica.log().home(dir).unwrap()).unwrap();
    /// ana.say(&mut replica, "users", &[mkdir], Payload::Delete { moved_to: None });
    /// let orphans = replica.view().orphans(replica.log(), replica.authority());
    /// assert_eq!(orphans, [(dir, home)], "they come back with the directory");
    /// ```
    // rule: VIEW-4
    pub fn orphans(&self, log: &Log, authority: &Authority) -> Vec<(DirNo, EntryNo)> {
        let hidden = (0..log.dirs())
            .filter_map(DirNo::from_index)
            .filter(|dir| self.path_of_dir(log, authority, *dir).is_none());
        hidden
            .flat_map(|dir| log.children(dir).map(move |(_, slot)| (dir, slot)))
            .filter_map(|(dir, slot)| Some((dir, self.winner(slot)?)))
            .collect()
    }
}

/// What a directory hangs in.
#[derive(Clone, Copy)]
enum Above {
    Root,
    Dir(usize),
    Nowhere,
}

/// Where following places upward from a directory leads.
#[derive(Clone, Copy)]
enum Reach {
    /// To the root, over so many steps.
    Depth(usize),
    /// Back to itself.
    Cycle,
    /// Somewhere else without end, or nowhere.
    Nothing,
}

/// Finds out where a directory and all above it lead, unless that is known.
fn trace(above: &[Above], start: usize, found: &mut [Option<Reach>]) {
    let mut trail = Vec::new();
    let mut on_trail = BTreeSet::new();
    let mut at = start;
    let mut reach = loop {
        if let Some(reach) = found[at] {
            break if let Reach::Depth(_) = reach { reach } else { Reach::Nothing };
        }
        if !on_trail.insert(at) {
            while let Some(member) = trail.pop() {
                found[member] = Some(Reach::Cycle);
                if member == at {
                    break;
                }
            }
            break Reach::Nothing;
        }
        trail.push(at);
        match above[at] {
            Above::Dir(next) => at = next,
            Above::Root => {
                found[at] = Some(Reach::Depth(0));
                trail.pop();
                break Reach::Depth(0);
            }
            Above::Nowhere => break Reach::Nothing,
        }
    };
    while let Some(dir) = trail.pop() {
        if let Reach::Depth(depth) = &mut reach {
            *depth += 1;
        }
        found[dir] = Some(reach);
    }
}
