//! A few nodes, the cables between them and their disks, all moved by one seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use basefs::block;
use basefs::entry::{Body, FileData, Payload, SignedEntry, VerifiedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId, NodeId};
use basefs::log::{EntryNo, Offered, root_dir};
use basefs::node::{
    Archive, Effects, Frame, Input, LinkId, Node, NodeEvent, Outgoing, Output, PeerFault, Replica,
    Restore,
};
use basefs::time::{Timestamp, WallTime};
use basefs::wire::SecretKey;
use bytes::Bytes;

/// Frames on their way on one link in one direction before the sender has to wait.
const PIPE: usize = 4;

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

fn key(machine: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(machine).unwrap() + 1; 32])
}

/// The genesis of a hierarchy in which each of eight machines has a root key.
pub(super) fn genesis() -> VerifiedEntry {
    let roots = (0..8).map(|machine| key(machine).public()).collect();
    let body = Body {
        dir: DirId::from_bytes([0; 32]),
        name: "test".into(),
        prev: vec![],
        cap: EntryId::from_bytes([0; 32]),
        key: key(0).public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(0),
        payload: Payload::Genesis { roots, nonce: [7; 16] },
    };
    body.sign(&key(0)).unwrap()
}

/// Bytes that no other seed gives, and that do not compress.
pub(super) fn random_bytes(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// What survives a crash.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) entries: Vec<Bytes>,
    pub(super) blocks: BTreeMap<BlockId, Bytes>,
    contents: BTreeSet<Content>,
    cut: BTreeSet<usize>,
    winners: BTreeMap<usize, Option<usize>>,
}

impl Disk {
    fn commit(&mut self, effects: &Effects) {
        for entry in &effects.admitted {
            assert_eq!(entry.no().index(), self.entries.len(), "entries are stored in order");
            self.entries.push(entry.bytes().clone());
        }
        for (no, authorised) in &effects.authorised {
            if *authorised {
                self.cut.remove(&no.index());
            } else {
                self.cut.insert(no.index());
            }
        }
        for change in effects.slots.iter().filter(|change| change.is_forked) {
            self.winners.insert(change.slot.index(), change.after.map(EntryNo::index));
        }
        self.blocks.extend(effects.blocks.iter().cloned());
        for content in &effects.completed {
            // A content must never be called complete before all its blocks are stored.
            self.read(content);
            self.contents.insert(*content);
        }
    }

    pub(super) fn read(&self, content: &Content) -> Bytes {
        let mut source = |id: &BlockId| Ok::<_, Infallible>(self.blocks.get(id).cloned());
        block::read(content, 1 << 30, &mut source).unwrap().into()
    }

    fn restore(&self) -> Replica {
        let mut restore = Restore::new(genesis().id(), 9);
        for bytes in &self.entries {
            restore.entry(SignedEntry::decode(bytes).unwrap()).unwrap();
        }
        let contents: Vec<Content> = self.contents.iter().copied().collect();
        let winners: Vec<_> = self.winners.iter().map(|(slot, no)| (*slot, *no)).collect();
        restore.finish(&contents, &self.cut, &winners).unwrap()
    }
}

impl Archive for Disk {
    type Error = Infallible;

    fn entry(&self, no: EntryNo) -> Result<Bytes, Infallible> {
        // An entry that is not durable must not leave: here that is a panic.
        Ok(self.entries[no.index()].clone())
    }

    fn block(&self, id: &BlockId) -> Result<Option<Bytes>, Infallible> {
        Ok(self.blocks.get(id).cloned())
    }
}

pub(super) struct Machine {
    pub(super) node: Node,
    pub(super) disk: Disk,
    /// Effects taken and not committed.
    staged: VecDeque<Effects>,
    /// Verifications and walks to be done.
    jobs: Vec<Output>,
    /// What is being sent on each link that has something to send.
    sending: BTreeMap<LinkId, Option<Outgoing>>,
    pub(super) events: Vec<NodeEvent>,
    pub(super) faults: Vec<PeerFault>,
    /// The disk is so slow that nothing is ever committed.
    pub(super) is_stuck: bool,
}

impl Machine {
    fn take(&mut self, now: Timestamp, input: Input) {
        self.node.handle(now, input);
    }

    /// Commits whatever there is.
    pub(super) fn commit(&mut self) {
        self.staged.push_back(self.node.take_effects());
        while !self.staged.is_empty() {
            self.commit_next();
        }
    }

    fn commit_next(&mut self) {
        if let Some(effects) = self.staged.pop_front() {
            self.disk.commit(&effects);
            self.node.stored(effects.mark);
        }
    }

    /// The author's chain as far as it is known here.
    fn chain(&self, author: usize) -> Option<EntryNo> {
        let (log, author) = (self.node.replica().log(), key(author).public());
        let mut all = (1..log.len()).rev().filter_map(EntryNo::from_index);
        // Numbers ascend along a chain.
        all.find(|no| log.author(*no) == author)
    }

    pub(super) fn entry(&self, author: usize, name: &str, payload: Payload) -> VerifiedEntry {
        let log = self.node.replica().log();
        let root = root_dir(&log.genesis());
        let slot = log.root().and_then(|root| log.child(root, name));
        let winner = slot.and_then(|slot| self.node.replica().view().winner(slot));
        let chain = self.chain(author);
        let body = Body {
            dir: root,
            name: name.into(),
            prev: winner.map(|no| log.id(no)).into_iter().collect(),
            cap: log.genesis(),
            key: key(author).public(),
            seq: chain.map_or(0, |no| log.seq(no) + 1),
            aprev: chain.map(|no| log.id(no)),
            ts: WallTime::from_millis(0),
            payload,
        };
        body.sign(&key(author)).unwrap()
    }

    fn offer(&mut self, entry: VerifiedEntry) {
        assert_eq!(self.node.offer(entry), Offered::Admitted);
    }

    /// Writes a file in the root; what it does not hold inline is stored at once.
    pub(super) fn write(&mut self, author: usize, name: &str, bytes: &Bytes) {
        let (data, content) = if bytes.len() <= basefs::limits::MAX_INLINE {
            (FileData::Inline(bytes.clone()), None)
        } else {
            let encoded = block::encode(bytes).unwrap();
            self.disk.blocks.extend(encoded.blocks);
            (FileData::Blocks(encoded.content), Some(encoded.content))
        };
        let entry = self.entry(author, name, Payload::Write { executable: false, data });
        self.offer(entry);
        content.iter().for_each(|content| self.node.complete(content));
    }

    /// Writes a file in the root whose blocks are stored with its entry.
    pub(super) fn write_blocks(&mut self, author: usize, name: &str, bytes: &Bytes) {
        let encoded = block::encode(bytes).unwrap();
        let data = FileData::Blocks(encoded.content);
        let entry = self.entry(author, name, Payload::Write { executable: false, data });
        self.node.add_blocks(encoded.blocks);
        self.node.complete(&encoded.content);
        self.offer(entry);
    }

    /// What it shows: names with the winners' ids.
    pub(super) fn shown(&self) -> BTreeMap<String, EntryId> {
        let (log, view) = (self.node.replica().log(), self.node.replica().view());
        let winner = |(name, slot): (&std::sync::Arc<str>, _)| {
            Some((name.to_string(), log.id(view.winner(slot)?)))
        };
        log.root().map(|root| log.children(root).filter_map(winner).collect()).unwrap_or_default()
    }

    pub(super) fn ids(&self) -> BTreeSet<EntryId> {
        let log = self.node.replica().log();
        (0..log.len()).filter_map(EntryNo::from_index).map(|no| log.id(no)).collect()
    }

    pub(super) fn equal_sessions(&self) -> usize {
        let equal =
            |event: &&NodeEvent| matches!(event, NodeEvent::SyncFinished { equal: true, .. });
        self.events.iter().filter(equal).count()
    }
}

/// Something that can happen next.
enum Move {
    Job(usize, usize),
    Commit(usize),
    Timeout(usize),
    Send(usize, LinkId),
    Deliver(usize, LinkId),
    /// A push or datagram arrives.
    Arrive(usize),
}

pub(super) struct World {
    pub(super) machines: Vec<Machine>,
    /// The two ends of each link.
    ends: BTreeMap<LinkId, [usize; 2]>,
    /// What is on its way to a machine.
    pipes: BTreeMap<(usize, LinkId), VecDeque<Bytes>>,
    /// Pushes and datagrams on their way, each with its sender.
    loose: Vec<(usize, Output)>,
    next_link: u64,
    pub(super) now: Timestamp,
    pub(super) rng: Rng,
    /// Every frame sent, by its kind, and their bytes.
    pub(super) frames: BTreeMap<u8, usize>,
    pub(super) bytes: usize,
    /// Half of all pushes and datagrams are lost.
    pub(super) loses_pushes: bool,
}

impl World {
    /// Machines that hold nothing but the genesis.
    pub(super) fn new(machines: usize, seed: u64) -> Self {
        let mut world = Self {
            machines: Vec::new(),
            ends: BTreeMap::new(),
            pipes: BTreeMap::new(),
            loose: Vec::new(),
            next_link: 0,
            now: Timestamp::from_micros(1),
            rng: Rng(seed),
            frames: BTreeMap::new(),
            bytes: 0,
            loses_pushes: false,
        };
        for _ in 0..machines {
            let machine = world.start(Disk::default());
            world.machines.push(machine);
            let last = world.machines.last_mut().unwrap();
            last.offer(genesis());
            last.commit();
        }
        world
    }

    fn start(&mut self, disk: Disk) -> Machine {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.rng.next().to_le_bytes());
        let replica =
            if disk.entries.is_empty() { Replica::new(genesis().id(), 7) } else { disk.restore() };
        Machine {
            node: Node::new(replica, seed),
            disk,
            staged: VecDeque::new(),
            jobs: Vec::new(),
            sending: BTreeMap::new(),
            events: Vec::new(),
            faults: Vec::new(),
            is_stuck: false,
        }
    }

    /// Connects two machines; the first dials.
    pub(super) fn connect(&mut self, dialer: usize, other: usize) -> LinkId {
        let link = LinkId::new(self.next_link);
        self.next_link += 1;
        self.ends.insert(link, [dialer, other]);
        for (at, peer, dialed) in [(dialer, other, true), (other, dialer, false)] {
            self.pipes.insert((at, link), VecDeque::new());
            let peer = NodeId::from_bytes([u8::try_from(peer).unwrap(); 32]);
            self.input(at, Input::LinkUp { link, peer, dialed });
        }
        link
    }

    /// A link on which the test itself speaks for the other end.
    pub(super) fn connect_stranger(&mut self, at: usize, dialed: bool) -> LinkId {
        let link = LinkId::new(self.next_link);
        self.next_link += 1;
        let peer = NodeId::from_bytes([0xee; 32]);
        self.input(at, Input::LinkUp { link, peer, dialed });
        link
    }

    pub(super) fn disconnect(&mut self, link: LinkId) {
        for at in self.ends.remove(&link).into_iter().flatten() {
            self.pipes.remove(&(at, link));
            self.machines[at].sending.remove(&link);
            self.input(at, Input::LinkDown { link });
        }
    }

    pub(super) fn disconnect_all(&mut self) {
        let links: Vec<LinkId> = self.ends.keys().copied().collect();
        links.into_iter().for_each(|link| self.disconnect(link));
    }

    /// A machine loses everything that is not on its disk, and starts again.
    pub(super) fn crash(&mut self, at: usize) {
        let links: Vec<LinkId> = self
            .ends
            .iter()
            .filter(|(_, ends)| ends.contains(&at))
            .map(|(link, _)| *link)
            .collect();
        links.into_iter().for_each(|link| self.disconnect(link));
        let disk = std::mem::take(&mut self.machines[at].disk);
        self.machines[at] = self.start(disk);
    }

    pub(super) fn input(&mut self, at: usize, input: Input) {
        let now = self.now;
        self.machines[at].take(now, input);
        self.drain(at);
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.machines[at].node.poll_output() {
            let machine = &mut self.machines[at];
            match output {
                Output::Send { link } => drop(machine.sending.entry(link).or_default()),
                // Whether a link is read is asked anew at every step.
                Output::Receive { .. } => {}
                Output::Verify { .. } | Output::Walk(_) => machine.jobs.push(output),
                Output::Store => machine.staged.push_back(machine.node.take_effects()),
                Output::Event(event) => machine.events.push(event),
                Output::Close { link, fault } => {
                    machine.faults.push(fault);
                    machine.sending.remove(&link);
                    self.disconnect(link);
                }
                output @ (Output::Push { .. } | Output::Datagram { .. }) => {
                    self.loose.push((at, output));
                }
                output => panic!("an output that nobody knows: {output:?}"),
            }
        }
    }

    fn moves(&mut self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (at, machine) in self.machines.iter().enumerate() {
            moves.extend((0..machine.jobs.len()).map(|job| Move::Job(at, job)));
            if !machine.staged.is_empty() && !machine.is_stuck {
                moves.push(Move::Commit(at));
            }
            if machine.node.poll_timeout().is_some_and(|due| due <= self.now) {
                moves.push(Move::Timeout(at));
            }
            for link in machine.sending.keys() {
                let Some(ends) = self.ends.get(link) else { continue };
                let other = ends[usize::from(ends[0] == at)];
                if self.pipes[&(other, *link)].len() < PIPE {
                    moves.push(Move::Send(at, *link));
                }
            }
        }
        moves.extend((0..self.loose.len()).map(Move::Arrive));
        for ((at, link), frames) in &self.pipes {
            if !frames.is_empty() && self.machines[*at].node.wants_input(*link) {
                moves.push(Move::Deliver(*at, *link));
            }
        }
        moves
    }

    /// Makes one random move; `false` if there is none.
    pub(super) fn step(&mut self) -> bool {
        let mut moves = self.moves();
        if moves.is_empty() {
            return false;
        }
        let next = self.rng.below(moves.len());
        match moves.swap_remove(next) {
            Move::Job(at, job) => {
                let answer = match self.machines[at].jobs.remove(job) {
                    Output::Verify { link, entries } => verify(link, entries),
                    Output::Walk(mut walk) => {
                        walk.run(&self.machines[at].disk).unwrap();
                        Input::Walked(walk)
                    }
                    other => panic!("no job: {other:?}"),
                };
                self.input(at, answer);
            }
            Move::Commit(at) => self.machines[at].commit_next(),
            Move::Timeout(at) => self.input(at, Input::Timeout),
            Move::Send(at, link) => self.send(at, link),
            Move::Arrive(which) => self.arrive(which),
            Move::Deliver(at, link) => {
                let bytes = self.pipes.get_mut(&(at, link)).unwrap().pop_front().unwrap();
                self.input(at, Input::Frame { link, bytes });
            }
        }
        true
    }

    /// Something that was sent beside the stream arrives, in any order.
    fn arrive(&mut self, which: usize) {
        let (from, output) = self.loose.swap_remove(which);
        let (Output::Push { link, .. } | Output::Datagram { link, .. }) = output else { return };
        let Some(ends) = self.ends.get(&link) else { return };
        let to = ends[usize::from(ends[0] == from)];
        if self.loses_pushes && self.rng.below(2) == 0 {
            if let Output::Push { link, push, .. } = output {
                self.input(from, Input::PushEnded { link, push, delivered: false });
            }
            return;
        }
        match output {
            Output::Push { link, push, bytes } => {
                self.input(to, Input::Pushed { link, bytes });
                self.input(from, Input::PushEnded { link, push, delivered: true });
            }
            Output::Datagram { link, bytes } => self.input(to, Input::Datagram { link, bytes }),
            _ => {}
        }
    }

    fn send(&mut self, at: usize, link: LinkId) {
        let machine = &mut self.machines[at];
        let current = machine.sending.get_mut(&link).unwrap();
        let Some(outgoing) = current.take().or_else(|| machine.node.next_send(link)) else {
            machine.sending.remove(&link);
            return;
        };
        let outgoing = current.insert(outgoing);
        if let Some(frame) = outgoing.next_frame(&machine.disk).unwrap() {
            *self.frames.entry(frame[0]).or_default() += 1;
            self.bytes += frame.len();
            let ends = self.ends[&link];
            let other = ends[usize::from(ends[0] == at)];
            self.pipes.get_mut(&(other, link)).unwrap().push_back(frame);
        } else {
            let outgoing = current.take().unwrap();
            self.input(at, Input::Sent { link, outgoing });
        }
    }

    /// What a machine says to the stranger on a link, without its claims.
    pub(super) fn said(&mut self, at: usize, link: LinkId) -> Vec<Frame> {
        let machine = &mut self.machines[at];
        machine.sending.remove(&link);
        let mut said = Vec::new();
        while let Some(mut outgoing) = self.machines[at].node.next_send(link) {
            while let Some(frame) = outgoing.next_frame(&self.machines[at].disk).unwrap() {
                said.push(Frame::decode(&frame).unwrap());
                said.pop_if(|frame| matches!(frame, Frame::Claim(_)));
            }
            self.input(at, Input::Sent { link, outgoing });
        }
        said
    }

    /// Takes the next look-up away, for the test to answer.
    pub(super) fn take_walk(&mut self, at: usize) -> Option<Output> {
        let jobs = &mut self.machines[at].jobs;
        let walk = jobs.iter().position(|job| matches!(job, Output::Walk(_)))?;
        Some(jobs.remove(walk))
    }

    /// The stranger on a link says something.
    pub(super) fn hear(&mut self, at: usize, link: LinkId, frame: &Frame) {
        self.input(at, Input::Frame { link, bytes: frame.encode() });
        self.run();
    }

    /// Goes on until nothing moves without time.
    pub(super) fn run(&mut self) {
        for _ in 0..5_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it never ends");
    }

    /// Lets time pass, and everything that it brings.
    pub(super) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.run();
            let due = self.machines.iter().filter_map(|machine| machine.node.poll_timeout()).min();
            match due.filter(|due| *due <= end) {
                Some(due) => self.now = due.max(self.now),
                None => break,
            }
        }
        self.now = end;
    }

    /// All machines hold and show the same, and nobody wrote two entries of one number.
    pub(super) fn assert_converged(&self, context: &str) {
        let first = &self.machines[0];
        for machine in &self.machines {
            assert_eq!(machine.faults, [], "{context}: a fault among honest nodes");
            assert_eq!(machine.ids(), first.ids(), "{context}: entries");
            assert_eq!(machine.shown(), first.shown(), "{context}: view");
            assert_eq!(machine.node.wanted(), 0, "{context}: contents");
            assert_eq!(machine.disk.entries.len(), first.ids().len(), "{context}: durable");
            let log = machine.node.replica().log();
            let mut numbers = BTreeSet::new();
            for no in (1..log.len()).filter_map(EntryNo::from_index) {
                let place = (log.author(no), log.seq(no));
                assert!(numbers.insert(place), "{context}: two entries of one number");
            }
        }
    }
}

fn verify(link: LinkId, entries: Vec<SignedEntry>) -> Input {
    let all = entries.len();
    let entries: Vec<VerifiedEntry> = entries.into_iter().flat_map(SignedEntry::verify).collect();
    let invalid = all - entries.len();
    Input::Verified { link, entries, invalid }
}
