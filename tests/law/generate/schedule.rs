//! The order in which a replica learns of things.

/// SplitMix64.
#[derive(Clone, Debug)]
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
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// Something a replica learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An entry, by its position among those made.
    Entry(usize),
    /// A content became complete, by number.
    Complete(usize),
}

/// All entries and those contents that anybody ever has, some of them twice: nearly in order, in
/// any order, or backwards.
pub(crate) fn schedule(entries: usize, seed: u64) -> Vec<Event> {
    let mut rng = Rng(seed);
    let spread = [1, 6, entries, 4 * entries][rng.below(4)];
    let backwards = rng.one_in(6);
    let mut events: Vec<(usize, Event)> = Vec::new();
    for entry in 0..entries {
        let position = if backwards { entries - entry } else { entry };
        events.push((position + rng.below(spread), Event::Entry(entry)));
        if rng.one_in(8) {
            events.push((rng.below(entries), Event::Entry(entry)));
        }
    }
    for content in super::World::completable() {
        events.push((rng.below(entries + spread), Event::Complete(*content)));
    }
    events.sort_by_key(|(position, _)| *position);
    events.into_iter().map(|(_, event)| event).collect()
}
