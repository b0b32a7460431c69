//! Every entry that three keys can write over two names, given what was written before: every
//! action with every `prev`, capability, chain and set of kept heads. A grant is made in spite of at
//! most one revoke, a revoke amends at most one, and rights are both or the one to write.
//!
//! A log is a set; as a list it would be found once for every order in which it can be written.
//! The list that counts is the one in which each entry, from where it could first stand, has only
//! smaller ones before it. Of logs that differ only in the names of the two files, or of the two
//! keys with equal grants, one counts.

/// The names that entries use.
pub(super) const NAMES: [&str; 2] = ["f", "g"];

/// The keys: the root's, and two that it granted everything at the root directory.
pub(super) const KEYS: u8 = 3;

/// What an entry does. Other entries are meant by their position in the log, sets of them by bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Mkdir,
    WriteInline,
    /// A content in blocks that is complete sooner or later.
    WriteComplete,
    /// A content in blocks that never is.
    WriteIncomplete,
    Slink,
    Delete,
    Move(u8),
    Link(u8),
    Grant {
        who: u8,
        all: bool,
        after: u8,
    },
    Revoke {
        who: u8,
        keep: u8,
    },
}

impl Action {
    fn is_data(self) -> bool {
        !matches!(self, Action::Grant { .. } | Action::Revoke { .. })
    }
}

/// An entry, with others meant by their position in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) action: Action,
    /// The mkdir that defines the directory; none for the root.
    pub(super) dir: Option<u8>,
    /// Which of the names, for data.
    pub(super) name: u8,
    pub(super) base: Option<u8>,
    /// The rest of `prev`, as bits.
    pub(super) rest: u8,
    pub(super) key: u8,
    /// The grant that is cited; none for what the key had from the start.
    pub(super) cap: Option<u8>,
    pub(super) aprev: Option<u8>,
}

/// A number for an entry and all it refers to, under each renaming: as it is, keys exchanged, names
/// exchanged, both.
pub(super) type Shape = [u64; 4];

/// An entry of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) step: Step,
    pub(super) shape: Shape,
    /// The number of the directory that a mkdir defines.
    dir: Shape,
}

/// All entries that can follow.
pub(super) fn menu(log: &[Made]) -> Vec<Made> {
    let mut menu = Menu { log, steps: Vec::new() };
    for key in 0..KEYS {
        for cap in menu.caps(key) {
            for aprev in menu.chain(key, cap) {
                menu.data(key, cap, aprev);
                menu.control(key, cap, aprev);
            }
        }
    }
    menu.steps.into_iter().map(|step| Made::new(step, log)).collect()
}

/// Whether a log with this entry at the end is the list that counts for its set.
pub(super) fn is_in_order(log: &[Made], made: &Made) -> bool {
    let first = usize::try_from(made.references().ilog2()).expect("a position");
    log[first..].iter().all(|before| before.shape[0] < made.shape[0])
}

/// Whether a log is the one that counts among those that differ only in names.
pub(super) fn is_representative(log: &[Made]) -> bool {
    let sum = |renaming: usize| {
        log.iter().fold(0_u64, |sum, made| sum.wrapping_add(mix(1, made.shape[renaming])))
    };
    (1..4).all(|renaming| sum(0) <= sum(renaming))
}

struct Menu<'a> {
    log: &'a [Made],
    steps: Vec<Step>,
}

impl Menu<'_> {
    fn positions(&self, fits: impl Fn(&Step) -> bool) -> Vec<u8> {
        (0..).zip(self.log).filter(|(_, made)| fits(&made.step)).map(|(at, _)| at).collect()
    }

    fn caps(&self, key: u8) -> Vec<Option<u8>> {
        let is_for_key =
            |step: &Step| matches!(step.action, Action::Grant { who, .. } if who == key);
        let granted = self.positions(is_for_key).into_iter().map(Some);
        std::iter::once(None).chain(granted).collect()
    }

    fn chain(&self, key: u8, cap: Option<u8>) -> Vec<Option<u8>> {
        let before = self.positions(|step| step.key == key && step.cap == cap);
        std::iter::once(None).chain(before.into_iter().map(Some)).collect()
    }

    /// The root and every directory that was defined, by the first entry that defines it.
    fn dirs(&self) -> Vec<Option<u8>> {
        let mut dirs = vec![None];
        for at in self.positions(|step| step.action == Action::Mkdir) {
            if !dirs.iter().any(|dir| dir_shape(self.log, *dir) == dir_shape(self.log, Some(at))) {
                dirs.push(Some(at));
            }
        }
        dirs
    }

    fn data(&mut self, key: u8, cap: Option<u8>, aprev: Option<u8>) {
        let data = self.positions(|step| step.action.is_data());
        let moves =
            self.positions(|step| matches!(step.action, Action::Link(_)) && step.key == key);
        for dir in self.dirs() {
            for name in [0, 1] {
                let slot = self.positions(|s| s.action.is_data() && s.dir == dir && s.name == name);
                for (base, rest) in prevs(&slot) {
                    let mut add = |action| {
                        let step = Step { action, dir, name, base, rest, key, cap, aprev };
                        self.steps.push(step);
                    };
                    add(Action::Mkdir);
                    add(Action::WriteInline);
                    add(Action::WriteComplete);
                    add(Action::WriteIncomplete);
                    add(Action::Slink);
                    data.iter().for_each(|target| add(Action::Link(*target)));
                    if base.is_some() {
                        add(Action::Delete);
                        moves.iter().for_each(|link| add(Action::Move(*link)));
                    }
                }
            }
        }
    }

    fn control(&mut self, key: u8, cap: Option<u8>, aprev: Option<u8>) {
        let may_grant = |cap: u8| {
            matches!(self.log[usize::from(cap)].step.action, Action::Grant { all: true, .. })
        };
        if !cap.is_none_or(may_grant) {
            return;
        }
        for dir in self.dirs() {
            for who in 0..KEYS {
                let revokes = self.positions(
                    |step| matches!(step.action, Action::Revoke { who: of, .. } if of == who),
                );
                let mut add = |action, base| {
                    let step = Step { action, dir, name: 0, base, rest: 0, key, cap, aprev };
                    self.steps.push(step);
                };
                for after in std::iter::once(0).chain(revokes.iter().map(|at| 1 << at)) {
                    add(Action::Grant { who, all: false, after }, None);
                    add(Action::Grant { who, all: true, after }, None);
                }
                // Only what the key wrote, or what was written under another grant, is affected.
                let heads = (0..)
                    .zip(self.log)
                    .filter(|(_, made): &(u8, _)| made.step.key == who || made.step.cap.is_some());
                let heads = heads.fold(0_u8, |bits, (at, _)| bits | 1 << at);
                let amends = revokes
                    .iter()
                    .copied()
                    .filter(|at| self.log[usize::from(*at)].step.dir == dir)
                    .map(Some);
                for base in std::iter::once(None).chain(amends) {
                    for keep in (0..=heads).filter(|keep| keep & !heads == 0) {
                        add(Action::Revoke { who, keep }, base);
                    }
                }
            }
        }
    }
}

/// All ways to name entries of a slot in `prev`: nothing, or a base and any of the others.
fn prevs(slot: &[u8]) -> Vec<(Option<u8>, u8)> {
    let mut prevs = vec![(None, 0)];
    let all = slot.iter().fold(0_u8, |bits, at| bits | 1 << at);
    for base in slot {
        let others = all & !(1 << base);
        prevs.extend((0..=others).filter(|rest| rest & !others == 0).map(|r| (Some(*base), r)));
    }
    prevs
}

impl Made {
    fn new(step: Step, log: &[Made]) -> Self {
        let mut made = Self { step, shape: [0; 4], dir: [0; 4] };
        for renaming in 0..4 {
            made.shape[renaming] = made.shape_under(log, renaming);
            if step.action == Action::Mkdir {
                let base = step.base.map_or(0, |at| log[usize::from(at)].shape[renaming]);
                let dir = mix(dir_shape(log, step.dir)[renaming], base);
                made.dir[renaming] = mix(dir, renamed_name(step.name, renaming));
            }
        }
        made
    }

    fn shape_under(&self, log: &[Made], renaming: usize) -> u64 {
        let step = &self.step;
        let one = |at: u8| log[usize::from(at)].shape[renaming];
        let maybe = |at: Option<u8>| at.map_or(2, one);
        let all = |bits: u8| {
            let named = (0..8).filter(|at| bits & 1 << at != 0);
            named.fold(3_u64, |sum, at| sum.wrapping_add(mix(4, one(at))))
        };
        let key = |key: u8| renamed_key(key, renaming);
        let (kind, first, second) = match step.action {
            Action::Mkdir => (0, 0, 0),
            Action::WriteInline => (1, 0, 0),
            Action::WriteComplete => (2, 0, 0),
            Action::WriteIncomplete => (3, 0, 0),
            Action::Slink => (4, 0, 0),
            Action::Delete => (5, 0, 0),
            Action::Move(link) => (6, one(link), 0),
            Action::Link(target) => (7, one(target), 0),
            Action::Grant { who, all: is_all, after } => {
                (8 + u64::from(is_all), key(who), all(after))
            }
            Action::Revoke { who, keep } => (10, key(who), all(keep)),
        };
        let name = if step.action.is_data() { renamed_name(step.name, renaming) } else { 9 };
        let dir = dir_shape(log, step.dir)[renaming];
        let fields = [
            first,
            second,
            dir,
            name,
            maybe(step.base),
            all(step.rest),
            key(step.key),
            maybe(step.cap),
            maybe(step.aprev),
        ];
        fields.into_iter().fold(mix(5, kind), mix)
    }

    /// What it refers to as bits, one place up: the highest bit says from where it could stand.
    fn references(&self) -> u16 {
        let step = &self.step;
        let others = match step.action {
            Action::Move(other) | Action::Link(other) => 1 << other,
            Action::Grant { after, .. } => after,
            Action::Revoke { keep, .. } => keep,
            _ => 0,
        };
        let single = [step.dir, step.base, step.cap, step.aprev];
        let single = single.into_iter().flatten().fold(0_u8, |bits, at| bits | 1 << at);
        u16::from(others | step.rest | single) << 1 | 1
    }
}

fn dir_shape(log: &[Made], dir: Option<u8>) -> Shape {
    dir.map_or([6; 4], |at| log[usize::from(at)].dir)
}

fn renamed_key(key: u8, renaming: usize) -> u64 {
    u64::from(if renaming & 1 != 0 && key > 0 { KEYS - key } else { key })
}

fn renamed_name(name: u8, renaming: usize) -> u64 {
    u64::from(if renaming & 2 != 0 { 1 - name } else { name })
}

/// Mixes two numbers (the finaliser of SplitMix64).
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.rotate_left(23).wrapping_add(b).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
