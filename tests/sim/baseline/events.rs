//! User events: Serf's buffer of recent ones by logical time, and the log that the original BaseFS
//! keeps beside it.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a user event at most: Serf's `UserEventSizeLimit`.
const MAX_EVENT: u16 = 512;
/// Logical times that Serf remembers: `EventBuffer`.
const EVENT_BUFFER: u32 = 512;

/// Something that was written once and is to reach all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    /// Different for every event of a run.
    pub(crate) id: u32,
    /// Serf's Lamport time.
    pub(crate) time: u32,
    /// Bytes that it carries.
    pub(crate) length: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    clock: u32,
    recent: BTreeMap<u32, BTreeSet<u32>>,
    log: BTreeMap<u32, Event>,
}

impl Events {
    /// A new event.
    pub(crate) fn write(&mut self, id: u32, length: u16) -> Event {
        assert!(length <= MAX_EVENT, "Serf refuses events of {length} bytes");
        let event = Event { id, time: self.clock + 1, length };
        self.hear(event);
        self.log.insert(id, event);
        event
    }

    /// Whether gossip brought something that goes on to others. What is older than the buffer does
    /// not, for nobody could tell whether it was seen.
    pub(crate) fn hear(&mut self, event: Event) -> bool {
        self.clock = self.clock.max(event.time);
        if event.time + EVENT_BUFFER < self.clock {
            return false;
        }
        self.recent = self.recent.split_off(&self.clock.saturating_sub(EVENT_BUFFER));
        self.recent.entry(event.time).or_default().insert(event.id)
    }

    /// Puts an event into the log; whether it is new there.
    pub(crate) fn keep(&mut self, event: Event) -> bool {
        self.log.insert(event.id, event).is_none()
    }

    /// What a push/pull tells of recent events.
    pub(crate) fn recent(&self) -> impl Iterator<Item = &Event> {
        self.recent.values().flatten().filter_map(|id| self.log.get(id))
    }

    pub(crate) fn log(&self) -> &BTreeMap<u32, Event> {
        &self.log
    }

    /// Something that is equal where logs are.
    pub(crate) fn digest(&self) -> u64 {
        // Sums of the ids and of their squares: nobody forges anything here.
        self.log.keys().fold(0, |sum, &id| {
            sum.wrapping_add(u64::from(id).wrapping_mul(u64::from(id)).wrapping_add(1 << 40))
        })
    }
}
