//! What all handles of one replica share: the state, the store, and the one who commits.
//!
//! Local entries and those of peers take the same way: into the node under its lock, as effects
//! into a pending batch, then to the store. Whoever waits for durability first commits for all who
//! came meanwhile, so that many writers share one wait for the disk.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use crate::entry::VerifiedEntry;
use crate::fs::watch::{News, Position, ReplicaId, Watchers};
use crate::id::{BlockId, Content, EntryId, PublicKey};
use crate::log::{EntryNo, Offered};
use crate::node::{Effects, Node};
use crate::store::{Batch, Durability, Store, StoreError, StoreStats, layout};
use crate::time::WallTime;

/// A store that handles can share between threads.
pub(super) type SharedStore = Arc<dyn Store + Send + Sync>;

/// Pending bytes from which on a deferred write commits at once: memory stays bounded however fast
/// an application writes.
const MAX_PENDING: usize = 16 << 20;

/// The longest that a commit is put off for the sake of others: a few commits of a fast disk. The
/// last commit may have been that of a long import, whose time says nothing about the next.
const MAX_GATHERING: Duration = Duration::from_millis(5);

/// The position of a batch in the order of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

impl Ticket {
    /// Before every change.
    #[cfg(test)]
    pub(super) const ZERO: Self = Self(0);
}

/// A change that is not durable yet.
pub(super) struct Queued {
    pub(super) ticket: Ticket,
    effects: Effects,
    /// What it is to those who watch.
    pub(super) news: Vec<News>,
    /// Where the replica is with it.
    pub(super) position: Position,
}

/// What was taken in and is not durable yet.
#[derive(Default)]
struct Pending {
    queue: Vec<Queued>,
    /// Where the replica is with all of the queue.
    position: Position,
    /// Length of the entries and blocks in the queue.
    bytes: usize,
    /// What readers need of it before the store has it.
    unstored: Unstored,
    /// The last ticket given out, and the last that is durable.
    given: u64,
    durable: u64,
    /// Someone is committing; the others wait for it.
    is_committing: bool,
    /// The tickets that are waited for now, that of the one who commits included.
    waiting: Vec<Ticket>,
    /// How many waited when the last commit began, and how long it took.
    last_group: usize,
    last_took: Duration,
    /// The store failed: nothing more will become durable.
    failed: Option<StoreError>,
    /// Somebody who writes knows why.
    is_failure_told: bool,
}

/// Entries and blocks on their way to the store: readers wait for no disk.
#[derive(Default)]
struct Unstored {
    entries: BTreeMap<EntryNo, (Ticket, Bytes)>,
    blocks: BTreeMap<BlockId, (Ticket, Bytes)>,
}

impl Unstored {
    fn add(&mut self, ticket: Ticket, effects: &Effects) {
        let entries = effects.admitted.iter().map(|e| (e.no(), (ticket, e.bytes().clone())));
        self.entries.extend(entries);
        let blocks = effects.blocks.iter().map(|(id, bytes)| (*id, (ticket, bytes.clone())));
        self.blocks.extend(blocks);
    }

    fn drop_until(&mut self, ticket: Ticket) {
        self.entries.retain(|_, (given, _)| *given > ticket);
        self.blocks.retain(|_, (given, _)| *given > ticket);
    }
}

/// The shared part of all handles.
pub(super) struct Engine {
    node: RwLock<Node>,
    store: SharedStore,
    /// The key of this replica's author, for warnings.
    author: PublicKey,
    /// Names the data directory in cursors.
    replica_id: ReplicaId,
    pending: Mutex<Pending>,
    committed: Condvar,
    /// Tells the one who is about to commit that one more waits.
    joined: Condvar,
    watchers: Watchers,
    /// Wakes whoever drives connections: there may be something to send.
    #[cfg(feature = "quic")]
    wake: tokio::sync::Notify,
    /// The members of the group are others than those that the store remembers.
    #[cfg(feature = "quic")]
    pub(super) members_changed: core::sync::atomic::AtomicBool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Engine {
    /// All that is in the node is durable in the store, with so many complete contents numbered.
    pub(super) fn new(
        node: Node,
        store: SharedStore,
        author: PublicKey,
        replica_id: ReplicaId,
        contents: u32,
    ) -> Arc<Self> {
        let position = Position::of(node.replica().log(), contents);
        Arc::new(Self {
            node: RwLock::new(node),
            store,
            author,
            replica_id,
            pending: Mutex::new(Pending { position, ..Pending::default() }),
            committed: Condvar::new(),
            joined: Condvar::new(),
            watchers: Watchers::new(position),
            #[cfg(feature = "quic")]
            wake: tokio::sync::Notify::new(),
            #[cfg(feature = "quic")]
            members_changed: core::sync::atomic::AtomicBool::new(false),
        })
    }

    pub(super) fn store(&self) -> &SharedStore {
        &self.store
    }

    pub(super) fn replica_id(&self) -> &ReplicaId {
        &self.replica_id
    }

    pub(super) fn stats(&self) -> StoreStats {
        self.store.stats()
    }

    pub(super) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Looks at the state; other readers are not kept out.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Node) -> T) -> T {
        look(&self.node.read())
    }

    /// Looks at the state between two changes; the ticket says which of them it includes.
    pub(super) fn read_at<T>(&self, look: impl FnOnce(&Node, Ticket) -> T) -> T {
        let node = self.node.read();
        let given = Ticket(self.pending.lock().given);
        look(&node, given)
    }

    /// Changes the node and queues what has to be stored, in the order of the changes.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Node) -> T) -> (T, Ticket) {
        let mut node = self.node.write();
        let result = change(&mut node);
        if !node.has_effects() {
            return (result, Ticket(self.pending.lock().given));
        }
        let effects = node.take_effects();
        let news = self.watchers.describe(node.replica(), &effects, &self.author);
        let mut pending = self.pending.lock();
        pending.given += 1;
        let ticket = Ticket(pending.given);
        pending.bytes += effects.admitted.iter().map(|entry| entry.bytes().len()).sum::<usize>();
        pending.bytes += effects.blocks.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        pending.unstored.add(ticket, &effects);
        let completed = u32::try_from(effects.completed.len()).unwrap_or(u32::MAX);
        let contents = pending.position.contents.saturating_add(completed);
        let position = Position::of(node.replica().log(), contents);
        pending.position = position;
        pending.queue.push(Queued { ticket, effects, news, position });
        (result, ticket)
    }

    /// Takes in entries of this replica's own author, with the content they need.
    pub(super) fn author(
        &self,
        entries: Vec<VerifiedEntry>,
        blocks: Vec<(BlockId, Bytes)>,
        contents: &[Content],
    ) -> Result<Ticket, StoreError> {
        self.check()?;
        let (all_admitted, ticket) = self.change(|node| {
            node.add_blocks(blocks);
            contents.iter().for_each(|content| node.complete(content));
            entries.into_iter().all(|entry| node.offer(entry) == Offered::Admitted)
        });
        debug_assert!(all_admitted, "what was planned against this log is admissible in it");
        Ok(ticket)
    }

    /// Drops blocks that are here already: equal parts are stored once.
    pub(super) fn retain_new(&self, blocks: &mut Vec<(BlockId, Bytes)>) -> Result<(), StoreError> {
        let mut new = Vec::with_capacity(blocks.len());
        for (id, bytes) in blocks.drain(..) {
            if self.block(&id)?.is_none() {
                new.push((id, bytes));
            }
        }
        *blocks = new;
        Ok(())
    }

    /// Fails if the store has failed before. Whoever comes first after a failure in the background
    /// is told the reason.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let mut pending = self.pending.lock();
        let was_told = pending.is_failure_told;
        match pending.failed.clone() {
            None => Ok(()),
            Some(_) if was_told => Err(StoreError::Poisoned),
            Some(error) => {
                pending.is_failure_told = true;
                Err(error)
            }
        }
    }

    fn told(&self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        if outcome.is_err() {
            self.pending.lock().is_failure_told = true;
        }
        outcome
    }

    /// Waits until everything up to a ticket is as durable as asked for.
    pub(super) fn settle(&self, ticket: Ticket, durability: Durability) -> Result<(), StoreError> {
        match durability {
            Durability::Deferred if self.pending.lock().bytes <= MAX_PENDING => Ok(()),
            _ => self.told(self.commit(ticket)),
        }
    }

    /// Makes everything taken in so far durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.told(self.commit_all())
    }

    /// Like [`flush`](Self::flush), for those who cannot tell anybody why it failed.
    pub(super) fn commit_all(&self) -> Result<(), StoreError> {
        let given = self.pending.lock().given;
        self.commit(Ticket(given))
    }

    /// Commits, or waits for the one who does.
    pub(super) fn commit(&self, ticket: Ticket) -> Result<(), StoreError> {
        let mut pending = self.pending.lock();
        if pending.durable < ticket.0 {
            pending.waiting.push(ticket);
        }
        loop {
            if pending.durable >= ticket.0 {
                return Ok(());
            }
            if let Some(error) = &pending.failed {
                return Err(error.clone());
            }
            if pending.is_committing {
                self.joined.notify_one();
                self.committed.wait(&mut pending);
                continue;
            }
            pending.is_committing = true;
            self.gather(&mut pending);
            pending.last_group = pending.waiting.len();
            let queue = core::mem::take(&mut pending.queue);
            let given = pending.given;
            pending.bytes = 0;
            let (outcome, took) = MutexGuard::unlocked(&mut pending, || {
                let begun = Instant::now();
                let outcome = self.commit_batch(&queue);
                let took = begun.elapsed();
                if outcome.is_ok() {
                    self.published(&queue);
                }
                (outcome, took)
            });
            pending.last_took = took;
            pending.is_committing = false;
            pending.waiting.retain(|waiting| waiting.0 > given);
            match outcome {
                Ok(()) => {
                    pending.durable = given;
                    pending.unstored.drop_until(Ticket(given));
                }
                Err(error) => pending.failed = Some(error),
            }
            self.committed.notify_all();
        }
    }

    /// Waits for those who shared the last commit: just woken by it, they are about to write again,
    /// and to commit without them would cost each of them a commit more. Whoever writes alone waits
    /// for nobody, and nobody waits longer than the last commit took.
    fn gather(&self, pending: &mut MutexGuard<'_, Pending>) {
        let until = Instant::now() + pending.last_took.min(MAX_GATHERING);
        while pending.waiting.len() < pending.last_group {
            if self.joined.wait_until(pending, until).timed_out() {
                break;
            }
        }
    }

    /// A store that panics has failed: those who wait must not wait for ever.
    fn commit_batch(&self, queue: &[Queued]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let mut contents = self.watchers.published().contents;
        for Queued { effects, .. } in queue {
            layout::record(&mut batch, effects);
            contents = layout::number_completed(&mut batch, &effects.completed, contents);
        }
        let commit = || self.store.commit(&batch, Durability::Durable);
        catch_unwind(AssertUnwindSafe(commit)).unwrap_or(Err(StoreError::Poisoned))
    }

    /// What is durable may leave the node, and watchers hear of it.
    fn published(&self, queue: &[Queued]) {
        if let Some(last) = queue.last() {
            self.node.write().stored(last.effects.mark);
        }
        self.watchers.publish(queue);
        #[cfg(feature = "quic")]
        self.wake.notify_one();
    }

    /// The bytes of an entry. What is on its way is looked up first: it is in the store before it
    /// is forgotten here.
    pub(super) fn entry_bytes(&self, no: EntryNo) -> Result<Bytes, StoreError> {
        if let Some((_, bytes)) = self.pending.lock().unstored.entries.get(&no) {
            return Ok(bytes.clone());
        }
        layout::entry_bytes(&*self.store, no.index())?.ok_or_else(|| StoreError::Corrupt {
            what: alloc::format!("entry {} is missing", no.index()),
        })
    }

    /// A block, if it is here.
    pub(super) fn block(&self, id: &BlockId) -> Result<Option<Bytes>, StoreError> {
        if let Some((_, bytes)) = self.pending.lock().unstored.blocks.get(id) {
            return Ok(Some(bytes.clone()));
        }
        layout::block(&*self.store, id)
    }

    /// Notified when something became durable.
    #[cfg(feature = "quic")]
    pub(super) fn waker(&self) -> &tokio::sync::Notify {
        &self.wake
    }

    /// The hierarchy.
    pub(super) fn hierarchy(&self) -> EntryId {
        self.read(|node| node.replica().log().genesis())
    }
}

/// What the wall clock says.
pub(super) fn wall_time() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
