//! What waits to be pushed to one peer, and what is under way.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::super::bucket::Bucket;
use super::super::{Path, PushId};
use super::hot::Hot;
use super::nudges::Nudges;
use super::parcel::{MAX_PARCEL_ITEMS, PARCEL_FILL, Parcelled};
use crate::id::{EntryId, LinkId};
use crate::time::Timestamp;

/// Entries that wait for one peer; the oldest make room, and a session brings them.
const MAX_QUEUED: usize = 4_096;
/// Parcels under way to one peer. More than one are only when one takes longer than usual, which
/// on a lossy link means that it was lost: what is new need not wait for its repetition.
const MAX_UNDER_WAY: usize = 8;
/// Pieces and copies under way to one peer, beside parcels. A transport takes 128 one-way streams.
const MAX_BESIDE: usize = 96;
/// Bytes a second that a peer may pull, and how many it may have saved up: an honest one pulls what
/// a push has missed.
const PULLED: (u64, u64) = (256 << 10, 1 << 20);
/// How long the shortest round trip stands for what the way takes. A longer one is the way's own
/// after that.
const LEAST_FOR: Duration = Duration::from_secs(300);
/// A round trip that is so much longer than twice the shortest is spent in a queue: no jitter makes
/// a difference like that.
const QUEUE: Duration = Duration::from_millis(500);
/// The least time after which a parcel takes longer than usual.
const PATIENCE: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct UnderWay {
    ids: Vec<EntryId>,
    since: Timestamp,
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) path: Path,
    /// The shortest round trip, and since when it is.
    least: Option<(Duration, Timestamp)>,
    queue: VecDeque<EntryId>,
    under_way: BTreeMap<PushId, UnderWay>,
    beside: BTreeMap<PushId, Timestamp>,
    nudges: Nudges,
    pulled: Bucket,
    next: u64,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            path: Path::default(),
            least: None,
            queue: VecDeque::new(),
            under_way: BTreeMap::new(),
            beside: BTreeMap::new(),
            nudges: Nudges::default(),
            pulled: Bucket::new(PULLED.0, PULLED.1),
            next: 0,
        }
    }
}

impl Peer {
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether round trips have become so much longer than they can be that packets must wait in a
    /// queue. To be asked when the path was told.
    pub(super) fn is_queued(&mut self, now: Timestamp) -> bool {
        let rtt = self.path.rtt;
        let shorter = |(least, since): (Duration, Timestamp)| {
            (least <= rtt && now - since < LEAST_FOR).then_some((least, since))
        };
        let (least, since) = self.least.and_then(shorter).unwrap_or((rtt, now));
        self.least = Some((least, since));
        rtt > least * 2 + QUEUE
    }

    /// The shortest round trip of late, if one is known.
    pub(super) fn least(&self) -> Option<Duration> {
        self.least.map(|(least, _)| least)
    }

    /// Queues an entry; `false` if another had to make room for it.
    pub(super) fn push_later(&mut self, id: EntryId) -> bool {
        self.queue.push_back(id);
        self.queue.len() <= MAX_QUEUED || self.queue.pop_front().is_none()
    }

    /// Queues an entry of so many bytes before all others, because the peer asked for it.
    pub(super) fn push_first(&mut self, now: Timestamp, id: EntryId, bytes: usize) {
        if self.queue.len() < MAX_QUEUED
            && !self.queue.contains(&id)
            && self.pulled.take(now, bytes)
        {
            self.queue.push_front(id);
        }
    }

    pub(super) fn may_push(&self, now: Timestamp) -> bool {
        !self.queue.is_empty() && self.opens_at().is_some_and(|at| at <= now)
    }

    /// When the next parcel may leave, if something waits and that depends on time.
    pub(super) fn due(&self) -> Option<Timestamp> {
        if self.queue.is_empty() { None } else { self.opens_at() }
    }

    fn opens_at(&self) -> Option<Timestamp> {
        if self.under_way.len() >= MAX_UNDER_WAY {
            return None;
        }
        let patience = PATIENCE.max(self.path.rtt + self.path.rtt / 4);
        let newest = self.under_way.values().next_back();
        Some(newest.map_or(Timestamp::ZERO, |push| push.since + patience))
    }

    /// Takes from the queue what fills a parcel and the peer is not known to have; notes that it
    /// will have it.
    pub(super) fn next_parcel(
        &mut self,
        link: LinkId,
        hot: &mut Hot,
    ) -> (Vec<EntryId>, Vec<Parcelled>) {
        let (mut ids, mut items, mut size) = (Vec::new(), Vec::new(), 0);
        while let Some(id) = self.queue.front().copied() {
            let item = hot.get(&id).filter(|_| !hot.is_known(&id, link));
            if let Some(item) = item {
                size += item.size();
                if !items.is_empty() && (size > PARCEL_FILL || items.len() == MAX_PARCEL_ITEMS) {
                    break;
                }
                items.push(item.clone());
                ids.push(id);
                hot.note_known(&id, link);
            }
            self.queue.pop_front();
        }
        (ids, items)
    }

    /// A parcel is under way from now on.
    pub(super) fn began(&mut self, now: Timestamp, ids: Vec<EntryId>) -> PushId {
        let push = self.number();
        self.under_way.insert(push, UnderWay { ids, since: now });
        push
    }

    /// A push beside the parcels is under way from now on, unless there are too many.
    pub(super) fn began_beside(&mut self, now: Timestamp) -> Option<PushId> {
        if self.beside.len() >= MAX_BESIDE {
            return None;
        }
        let push = self.number();
        self.beside.insert(push, now);
        Some(push)
    }

    /// When a push has waited for so long that a nudge is due.
    pub(super) fn nudge_due(&self) -> Option<Timestamp> {
        let oldest = |(push, since): (&PushId, &Timestamp)| (*push, *since);
        let beside = self.beside.first_key_value().map(oldest);
        let parcel = self.under_way.first_key_value();
        let parcel = parcel.map(|(push, parcel)| (*push, parcel.since));
        let (_, since) = beside.into_iter().chain(parcel).min()?;
        self.nudges.due(since, self.path.rtt)
    }

    pub(super) fn nudged(&mut self, now: Timestamp) {
        self.nudges.sent(now);
    }

    fn number(&mut self) -> PushId {
        let push = PushId::new(self.next);
        self.next += 1;
        push
    }

    /// A push is no longer under way; gives what was in it, if it was a parcel.
    pub(super) fn ended(&mut self, push: PushId) -> Vec<EntryId> {
        self.nudges = Nudges::default();
        self.beside.remove(&push);
        self.under_way.remove(&push).map(|push| push.ids).unwrap_or_default()
    }
}
