//! Along a tree, for networks where every copy counts.
//!
//! All members stand on a ring. Whoever is sent something is told the *span* of the ring, itself
//! first, that it answers for: it sends to the middle of it and hands over the far half, then the
//! same with the rest. So everybody is sent one copy, after as many steps as a binomial tree has
//! levels. (The broadcast of El-Ansary et al. 2003, for a ring of which everybody knows all.)

/// What a node sends that answers for `span` members, itself counted: how far along the ring each
/// child is, and its span; the largest first.
pub(super) fn children(span: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut left = span;
    core::iter::from_fn(move || {
        if left <= 1 {
            return None;
        }
        let offset = left.div_ceil(2);
        let child = left - offset;
        left = offset;
        Some((offset, child))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn everybody_is_reached_once_and_soon() {
        for members in 1..200_usize {
            let mut reached = vec![0; members];
            let mut wave = vec![(0, members)];
            let mut steps = 0;
            reached[0] = 1;
            while !wave.is_empty() {
                let mut next = vec![];
                for (at, span) in wave {
                    for (offset, child) in children(span) {
                        reached[at + offset] += 1;
                        next.push((at + offset, child));
                    }
                }
                wave = next;
                steps += 1;
            }
            assert!(reached.iter().all(|times| *times == 1), "{members}: {reached:?}");
            assert!(steps <= members.next_power_of_two().ilog2() + 1, "{members}: {steps}");
        }
    }
}
