//! Sets that fool weaker hashes do not fool this one.

use basefs::id::EntryId;
use basefs::sync::LtHash;

/// Ids as a writer gets them: by trying, without control over the bits.
fn id(n: u64) -> EntryId {
    EntryId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

fn hash(ids: &[EntryId]) -> LtHash {
    let mut hash = LtHash::EMPTY;
    ids.iter().for_each(|id| hash.add(id));
    hash
}

/// Some of `ids`, not none, whose XOR is zero: Gaussian elimination over GF(2).
fn xor_to_zero(ids: &[EntryId]) -> Vec<EntryId> {
    let bit = |row: &[u8; 32], bit: usize| row[bit / 8] >> (bit % 8) & 1 == 1;
    // Rows in echelon form, each with the set of ids that it is the XOR of.
    let mut echelon: Vec<([u8; 32], Vec<bool>, usize)> = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let mut row = *id.as_bytes();
        let mut of = vec![false; ids.len()];
        of[n] = true;
        for (other, others, pivot) in &echelon {
            if bit(&row, *pivot) {
                row.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
                of.iter_mut().zip(others).for_each(|(a, b)| *a ^= b);
            }
        }
        match (0..256).find(|&pivot| bit(&row, pivot)) {
            Some(pivot) => echelon.push((row, of, pivot)),
            None => return ids.iter().zip(of).filter(|(_, of)| *of).map(|(id, _)| *id).collect(),
        }
    }
    panic!("257 vectors of 256 bits are linearly dependent");
}

#[test]
fn a_writer_who_fools_xor_does_not_fool_the_hash() {
    let candidates: Vec<EntryId> = (0..257).map(id).collect();
    let extra = xor_to_zero(&candidates);
    let xor = extra.iter().fold([0; 32], |mut xor, id| {
        xor.iter_mut().zip(id.as_bytes()).for_each(|(a, b)| *a ^= b);
        xor
    });
    assert!(!extra.is_empty() && xor == [0; 32], "a replica with these has the same XOR");
    assert_ne!(hash(&extra), LtHash::EMPTY);
}

#[test]
fn a_writer_who_fools_a_sum_of_64_bits_does_not_fool_the_hash() {
    // Wagner's trick on two lists a level down: words that cancel in their upper half come in
    // pairs; two pairs whose remainders are equal have equal sums.
    let word = |n| u64::from_le_bytes(*id(n).as_bytes().first_chunk().unwrap());
    let mut words: Vec<(u64, u64)> = (0..1 << 18).map(|n| (word(n), n)).collect();
    words.sort_unstable();
    // Differences of neighbours are about 2^46, so two of 2^18 coincide in the upper bits only;
    // for equality in all of them, take the differences of neighbouring differences, and so on.
    let mut combined: Vec<(u64, Vec<(u64, bool)>)> =
        words.into_iter().map(|(word, n)| (word, vec![(n, true)])).collect();
    while combined.first().is_none_or(|(rest, _)| *rest != 0) {
        assert!(combined.len() > 1, "the lists are long enough");
        combined = combined
            .chunks_exact(2)
            .map(|two| {
                let minus = two[0].1.iter().map(|&(n, plus)| (n, !plus));
                (two[1].0 - two[0].0, two[1].1.iter().copied().chain(minus).collect())
            })
            .collect();
        combined.sort_unstable();
    }
    let side = |plus| -> Vec<u64> {
        combined[0].1.iter().filter(|(_, sign)| *sign == plus).map(|(n, _)| *n).collect()
    };
    let (left, right) = (side(true), side(false));
    let sum = |side: &[u64]| side.iter().fold(0u64, |sum, &n| sum.wrapping_add(word(n)));
    assert!(left != right && sum(&left) == sum(&right), "the sums of both sets are equal");
    let ids = |side: &[u64]| side.iter().map(|&n| id(n)).collect::<Vec<_>>();
    assert_ne!(hash(&ids(&left)), hash(&ids(&right)));
}
