//! News that is still being passed on.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::super::message::Rumor;
use crate::id::NodeId;

/// Rumors held at a time; the most told make room. What is lost so, tables bring.
const MAX_NEWS: usize = 512;
/// Times that a rumor is told for each bit of the number of members: 20 among 30. Half of that
/// arriving still misses nobody but one time in thousands.
const TIMES_PER_BIT: u32 = 4;

/// What a rumor is about: newer ones about the same replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Record(NodeId),
    /// By whom.
    Suspect(NodeId, NodeId),
    Dead(NodeId),
}

/// Rumors, the least told first.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    rumors: BTreeMap<Subject, (u32, u64, Rumor)>,
    order: BTreeSet<(u32, u64, Subject)>,
    added: u64,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.rumors.is_empty()
    }

    pub(super) fn add(&mut self, rumor: Rumor) {
        let subject = match &rumor {
            Rumor::Record(signed) => Subject::Record(signed.record.node),
            Rumor::Suspect(about) => Subject::Suspect(about.node, about.by),
            Rumor::Dead(about) => Subject::Dead(about.node),
        };
        self.remove(subject);
        if self.rumors.len() >= MAX_NEWS
            && let Some((_, _, most_told)) = self.order.last().copied()
        {
            self.remove(most_told);
        }
        self.added += 1;
        self.order.insert((0, self.added, subject));
        self.rumors.insert(subject, (0, self.added, rumor));
    }

    fn remove(&mut self, subject: Subject) {
        if let Some((told, added, _)) = self.rumors.remove(&subject) {
            self.order.remove(&(told, added, subject));
        }
    }

    /// Drops what was said about a member that does not answer: it does, or more is known.
    pub(super) fn withdraw(&mut self, node: NodeId) {
        self.remove(Subject::Dead(node));
        let none = NodeId::from_bytes([0; 32]);
        let from = Subject::Suspect(node, none);
        let to = Subject::Suspect(node, NodeId::from_bytes([0xff; 32]));
        let subjects: Vec<Subject> =
            self.rumors.range(from..=to).map(|(subject, _)| *subject).collect();
        subjects.into_iter().for_each(|subject| self.remove(subject));
    }

    /// The rumors that were told least.
    pub(super) fn first(&self, count: usize) -> Vec<Rumor> {
        let first = self.order.iter().take(count);
        first.filter_map(|(_, _, subject)| Some(self.rumors.get(subject)?.2.clone())).collect()
    }

    /// The first `count` were told to `times` of `members` members.
    pub(super) fn told(&mut self, count: usize, times: u32, members: usize) {
        let limit = TIMES_PER_BIT * (usize::BITS - members.leading_zeros()).max(1);
        let told: Vec<(u32, u64, Subject)> = self.order.iter().take(count).copied().collect();
        for (before, added, subject) in told {
            self.order.remove(&(before, added, subject));
            let now = before.saturating_add(times);
            if now >= limit {
                self.rumors.remove(&subject);
            } else if let Some(rumor) = self.rumors.get_mut(&subject) {
                rumor.0 = now;
                self.order.insert((now, added, subject));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::message::About;
    use super::*;

    fn about(node: u16, by: u8) -> Rumor {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&node.to_le_bytes());
        let (node, by) = (NodeId::from_bytes(id), NodeId::from_bytes([by; 32]));
        Rumor::Suspect(About { node, incarnation: 0, by })
    }

    #[test]
    fn the_least_told_goes_first_and_ends() {
        let mut news = News::default();
        news.add(about(1, 1));
        news.told(1, 1, 30);
        news.add(about(2, 1));
        assert_eq!(news.first(1), [about(2, 1)]);
        assert_eq!(news.first(9).len(), 2);
        for _ in 0..19 {
            assert!(!news.is_empty());
            news.told(2, 1, 30);
        }
        assert_eq!(news.first(9), [about(2, 1)], "told twenty times is enough");
        news.told(1, 1, 30);
        assert!(news.is_empty());
    }

    #[test]
    fn what_is_over_is_dropped() {
        let mut news = News::default();
        (1..5).for_each(|by| news.add(about(1, by)));
        news.add(about(2, 1));
        news.withdraw(match about(1, 1) {
            Rumor::Suspect(about) => about.node,
            _ => unreachable!(),
        });
        assert_eq!(news.first(9), [about(2, 1)]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut news = News::default();
        (0..2_000).for_each(|node| news.add(about(node, 1)));
        assert_eq!(news.first(usize::MAX).len(), MAX_NEWS);
    }
}
