//! The tree against an ordered set.

use std::collections::BTreeSet;

use basefs::sync::{LtHash, Order, Tree, Work};
use proptest::prelude::*;

use super::replica::{Keys, key};

#[derive(Clone, Debug)]
enum Operation {
    Insert(u16),
    InsertMany(u16, u16),
    Remove(u16),
    RemoveMany(u16, u16),
    Summary(u16, u16, u64),
    Reload(bool),
}

fn operation() -> impl Strategy<Value = Operation> {
    let n = 0u16..2_000;
    let some = 1u16..400;
    prop_oneof![
        4 => n.clone().prop_map(Operation::Insert),
        4 => (n.clone(), some.clone()).prop_map(|(n, some)| Operation::InsertMany(n, some)),
        3 => n.clone().prop_map(Operation::Remove),
        3 => (n.clone(), some).prop_map(|(n, some)| Operation::RemoveMany(n, some)),
        4 => (n.clone(), n, 1u64..20_000).prop_map(|(a, b, work)| Operation::Summary(a, b, work)),
        1 => any::<bool>().prop_map(Operation::Reload),
    ]
}

/// Keys in an order that has nothing to do with the numbers.
fn keys() -> Keys {
    Keys(
        (0..2_400)
            .map(|n| key(&format!("d{}/f{}", n * 7_919 % 50, n * 104_729 % 2_400), n))
            .collect(),
    )
}

struct Model {
    keys: Keys,
    tree: Tree,
    set: BTreeSet<(std::rc::Rc<[u8]>, u32)>,
}

impl Model {
    fn insert(&mut self, n: u16) {
        let new = self.set.insert((self.keys.0[usize::from(n)].clone(), u32::from(n)));
        assert_eq!(self.tree.insert(&self.keys, u32::from(n)), new);
    }

    fn remove(&mut self, n: u16) {
        let was = self.set.remove(&(self.keys.0[usize::from(n)].clone(), u32::from(n)));
        assert_eq!(self.tree.remove(&self.keys, u32::from(n)), was);
    }

    fn hash(&self, numbers: impl Iterator<Item = u32>) -> LtHash {
        let mut hash = LtHash::EMPTY;
        numbers.for_each(|n| hash.add(&self.keys.id(n)));
        hash
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Insert(n) => self.insert(n),
            Operation::InsertMany(n, some) => (n..n + some).for_each(|n| self.insert(n)),
            Operation::Remove(n) => self.remove(n),
            Operation::RemoveMany(n, some) => (n..n + some).for_each(|n| self.remove(n)),
            Operation::Summary(a, b, units) => self.check_summary(a, b, units),
            Operation::Reload(with_hash) => {
                let numbers: Vec<u32> = self.set.iter().map(|(_, n)| *n).rev().collect();
                let hash = with_hash.then(|| self.hash(numbers.iter().copied()));
                self.tree = Tree::load(&self.keys, numbers, hash.clone());
                if hash.is_some() && !self.set.is_empty() {
                    assert_eq!(self.tree.hash(), hash.as_ref());
                }
            }
        }
    }

    fn check_summary(&mut self, a: u16, b: u16, units: u64) {
        let (lo, hi) = (self.keys.0[usize::from(a)].clone(), self.keys.0[usize::from(b)].clone());
        let (lo, hi) = if lo < hi { (lo, hi) } else { (hi, lo) };
        let expected: Vec<u32> =
            self.set.range((lo.clone(), 0)..(hi.clone(), 0)).map(|(_, n)| *n).collect();
        let ranks = self.tree.rank(&self.keys, &lo)..self.tree.rank(&self.keys, &hi);
        assert_eq!(self.tree.range(ranks.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(self.tree.get(ranks.start), self.set.range((lo, 0)..).next().map(|(_, n)| *n));
        let summary = (0..10_000)
            .find_map(|_| self.tree.summary(&self.keys, ranks.clone(), &mut Work::new(units)));
        let summary = summary.expect("each call makes progress");
        assert_eq!(summary.count, expected.len() as u64);
        assert_eq!(summary.hash, self.hash(expected.into_iter()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn agrees_with_an_ordered_set(operations in prop::collection::vec(operation(), 1..60)) {
        let mut model = Model { keys: keys(), tree: Tree::new(), set: BTreeSet::new() };
        for operation in &operations {
            model.apply(operation);
            prop_assert_eq!(model.tree.len(), model.set.len());
        }
        let all = 0..model.tree.len();
        let inside: Vec<u32> = model.tree.range(all.clone()).collect();
        prop_assert_eq!(&inside, &model.set.iter().map(|(_, n)| *n).collect::<Vec<_>>());
        let whole = model.tree.summary(&model.keys, all, &mut Work::unlimited()).unwrap();
        prop_assert_eq!(&whole.hash, &model.hash(inside.into_iter()));
        prop_assert_eq!(model.tree.hash(), Some(&whole.hash));
    }
}

#[test]
fn emptied_and_filled_again() {
    let keys = keys();
    let mut tree = Tree::new();
    for _ in 0..3 {
        (0..2_400).for_each(|n| assert!(tree.insert(&keys, n)));
        assert!(!tree.insert(&keys, 7));
        (0..2_400).rev().for_each(|n| assert!(tree.remove(&keys, n)));
        assert!(tree.is_empty() && !tree.remove(&keys, 7));
        let nothing = tree.summary(&keys, 0..9, &mut Work::unlimited()).unwrap();
        assert_eq!((nothing.count, nothing.hash), (0, LtHash::EMPTY));
    }
}
