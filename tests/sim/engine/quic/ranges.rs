//! Which bytes of a stream are here, or acknowledged, or to be sent again.

/// Ranges of offsets, in order, none touching another.
#[derive(Clone, Debug, Default)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds a range, from its start up to and without its end.
    pub fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|(_, e)| *e < start);
        let last = self.0.partition_point(|(s, _)| *s <= end);
        if first == last {
            self.0.insert(first, (start, end));
            return;
        }
        let merged = (start.min(self.0[first].0), end.max(self.0[last - 1].1));
        self.0[first] = merged;
        self.0.drain(first + 1..last);
    }

    /// Removes a range.
    pub fn remove(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let mut at = self.0.partition_point(|(_, e)| *e <= start);
        while let Some((s, e)) = self.0.get(at).copied().filter(|(s, _)| *s < end) {
            match (s < start, e > end) {
                (true, true) => {
                    self.0[at].1 = start;
                    self.0.insert(at + 1, (end, e));
                    return;
                }
                (true, false) => self.0[at].1 = start,
                (false, true) => self.0[at].0 = end,
                (false, false) => {
                    self.0.remove(at);
                    continue;
                }
            }
            at += 1;
        }
    }

    /// Removes what another has.
    pub fn remove_all(&mut self, other: &Ranges) {
        if let (Some((first, _)), Some((_, last))) = (self.0.first(), self.0.last()) {
            let (first, last) = (*first, *last);
            let from = other.0.partition_point(|(_, e)| *e <= first);
            let found = other.0[from..].iter().take_while(|(s, _)| *s < last);
            found.for_each(|(s, e)| self.remove(*s, *e));
        }
    }

    /// Takes at most so many bytes from the front.
    pub fn take(&mut self, most: u64) -> Option<(u64, u64)> {
        let (start, end) = *self.0.first()?;
        if end - start <= most {
            self.0.remove(0);
            return Some((start, end));
        }
        self.0[0].0 = start + most;
        Some((start, start + most))
    }

    /// How far the range goes that starts at zero.
    pub fn prefix(&self) -> u64 {
        self.0.first().filter(|(start, _)| *start == 0).map_or(0, |(_, end)| *end)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn like_a_set(steps in proptest::collection::vec((0_u64..40, 0_u64..9, 0_u8..2), 0..60)) {
            let (mut ranges, mut set) = (Ranges::default(), std::collections::BTreeSet::new());
            for (start, length, adds) in steps {
                if adds == 1 {
                    ranges.insert(start, start + length);
                    set.extend(start..start + length);
                } else {
                    ranges.remove(start, start + length);
                    set.retain(|at| !(start..start + length).contains(at));
                }
                let flat: Vec<u64> = ranges.0.iter().flat_map(|(s, e)| *s..*e).collect();
                assert_eq!(flat, set.iter().copied().collect::<Vec<_>>());
                assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
        }
    }
}
