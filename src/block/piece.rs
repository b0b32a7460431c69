//! Parts of a small block, each verified by itself: what a slow or lossy network passes on before
//! the whole is there.
//!
//! BLAKE3 is a Merkle tree over chunks of 1,024 bytes, so a chunk with the chaining values beside
//! its way to the root proves that it belongs to a block of a given id and length. The parts are
//! these chunks; nothing is added to the format of blocks. (Bao does the same for streams.)

use alloc::vec::Vec;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use bytes::Bytes;

use crate::id::BlockId;

/// Length of every piece but the last: a chunk of BLAKE3.
pub const PIECE: usize = blake3::CHUNK_LEN;
/// Longest block that is sent in pieces.
///
/// ```
/// use basefs::block::{MAX_PIECED, MAX_PROOF, Piece};
///
/// let pieces = Piece::split(&vec![7; MAX_PIECED].into());
/// assert_eq!(pieces.len(), 16);
/// assert!(pieces.iter().all(|piece| piece.proof.len() == MAX_PROOF));
/// assert!(Piece::split(&vec![7; MAX_PIECED + 1].into()).is_empty(), "it goes as a whole");
/// ```
pub const MAX_PIECED: usize = 16 * PIECE;
/// Chaining values beside the way to the root of sixteen chunks.
pub const MAX_PROOF: usize = 4;

/// One piece of a block, with its proof.
///
/// ```
/// use basefs::block::{self, Piece};
///
/// let block = vec![7; 5_000];
/// let pieces = Piece::split(&block.clone().into());
/// assert_eq!(pieces.len(), 5);
/// assert!(pieces.iter().all(|piece| piece.is_of(&block::id(&block), 5_000)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which: its bytes start at `index * PIECE`.
    pub index: usize,
    /// The chaining values beside its way to the root, from the bottom.
    pub proof: Vec<[u8; 32]>,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How many pieces a block of so many bytes has.
///
/// ```
/// use basefs::block::{PIECE, pieces};
///
/// assert_eq!([pieces(1), pieces(PIECE), pieces(PIECE + 1)], [1, 1, 2]);
/// ```
pub const fn pieces(length: usize) -> usize {
    length.div_ceil(PIECE)
}

impl Piece {
    /// All pieces of a block of 1 to [`MAX_PIECED`] bytes; none of any other.
    ///
    /// ```
    /// use basefs::block::{PIECE, Piece};
    ///
    /// let block: Vec<u8> = (0..PIECE * 2 + 10).map(|n| n as u8).collect();
    /// let pieces = Piece::split(&block.clone().into());
    /// let proofs: Vec<usize> = pieces.iter().map(|piece| piece.proof.len()).collect();
    /// assert_eq!(proofs, [2, 2, 1], "the last chunk hangs one step below the root");
    /// assert_eq!(pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect::<Vec<_>>(), block);
    /// ```
    pub fn split(block: &Bytes) -> Vec<Piece> {
        if block.is_empty() || block.len() > MAX_PIECED {
            return Vec::new();
        }
        let mut proofs = alloc::vec![Vec::new(); pieces(block.len())];
        if proofs.len() > 1 {
            collect_proofs(block, 0, &mut proofs);
        }
        let part = |index: usize| block.slice(index * PIECE..block.len().min((index + 1) * PIECE));
        let piece = |(index, proof)| Piece { index, proof, bytes: part(index) };
        proofs.into_iter().enumerate().map(piece).collect()
    }

    /// Whether it is a piece of the block with this id and length. The length must be known from
    /// elsewhere: all but the last piece may fit other lengths as well.
    ///
    /// ```
    /// use basefs::block::{self, Piece};
    ///
    /// let block = vec![7; 5_000];
    /// let id = block::id(&block);
    /// let mut piece = Piece::split(&block.into()).remove(3);
    /// assert!(piece.is_of(&id, 5_000));
    /// piece.index = 2;
    /// assert!(!piece.is_of(&id, 5_000), "its place is part of the proof");
    /// ```
    pub fn is_of(&self, id: &BlockId, length: usize) -> bool {
        let start = self.index.saturating_mul(PIECE);
        let in_place = (1..=MAX_PIECED).contains(&length)
            && start < length
            && self.bytes.len() == PIECE.min(length - start);
        if !in_place {
            return false;
        }
        if length <= PIECE {
            return self.proof.is_empty() && blake3::hash(&self.bytes) == *id.as_bytes();
        }
        let mut ends = Vec::new();
        let (mut low, mut rest) = (0, length);
        // The subtrees that the way goes through, from the root: whether it turns left.
        while rest > PIECE {
            let left = left_length(rest);
            let goes_left = start < low + left;
            ends.push(goes_left);
            (low, rest) = if goes_left { (low, left) } else { (low + left, rest - left) };
        }
        if ends.len() != self.proof.len() {
            return false;
        }
        let mut value = chunk(&self.bytes, start);
        for (depth, beside) in (0..ends.len()).rev().zip(&self.proof) {
            let (left, right) = if ends[depth] { (&value, beside) } else { (beside, &value) };
            if depth == 0 {
                return merge_subtrees_root(left, right, Mode::Hash) == *id.as_bytes();
            }
            value = merge_subtrees_non_root(left, right, Mode::Hash);
        }
        false
    }
}

fn left_length(length: usize) -> usize {
    // Blocks here have at most 16 KiB.
    usize::try_from(left_subtree_len(length as u64)).unwrap_or(usize::MAX)
}

fn chunk(bytes: &[u8], start: usize) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(start as u64).update(bytes);
    hasher.finalize_non_root()
}

/// Adds to the proof of each chunk of a subtree what is beside it within; gives the subtree's
/// value. At most four levels deep.
fn collect_proofs(bytes: &[u8], start: usize, proofs: &mut [Vec<ChainingValue>]) -> ChainingValue {
    if bytes.len() <= PIECE {
        return chunk(bytes, start);
    }
    let left = left_length(bytes.len());
    let (low, high) = proofs.split_at_mut(left / PIECE);
    let values = (
        collect_proofs(&bytes[..left], start, low),
        collect_proofs(&bytes[left..], start + left, high),
    );
    low.iter_mut().for_each(|proof| proof.push(values.1));
    high.iter_mut().for_each(|proof| proof.push(values.0));
    merge_subtrees_non_root(&values.0, &values.1, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_of_their_block_and_of_no_other(
            length in 1..=MAX_PIECED, seed in any::<u8>(), flip in any::<usize>(),
        ) {
            let mut block = alloc::vec![0; length];
            blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut block);
            let (block, id) = (Bytes::from(block.clone()), super::super::id(&block));
            let split = Piece::split(&block);
            prop_assert_eq!(split.len(), pieces(length));
            let mut whole = Vec::new();
            for piece in &split {
                prop_assert!(piece.is_of(&id, length));
                prop_assert!(piece.proof.len() <= MAX_PROOF);
                if piece.index + 1 == split.len() {
                    prop_assert!(!piece.is_of(&id, length + 1) && !piece.is_of(&id, length - 1));
                }
                whole.extend_from_slice(&piece.bytes);
                let mut wrong = piece.bytes.to_vec();
                let at = flip % wrong.len();
                wrong[at] ^= 1;
                let mut forged = Piece { bytes: wrong.into(), ..piece.clone() };
                prop_assert!(!forged.is_of(&id, length));
                forged = Piece { index: piece.index + 1, ..piece.clone() };
                prop_assert!(!forged.is_of(&id, length));
                if !piece.proof.is_empty() {
                    forged = piece.clone();
                    forged.proof[0][0] ^= 1;
                    prop_assert!(!forged.is_of(&id, length));
                    forged = piece.clone();
                    forged.proof.pop();
                    prop_assert!(!forged.is_of(&id, length));
                }
            }
            prop_assert_eq!(whole, block);
        }
    }

    #[test]
    fn what_is_too_long_or_empty_has_no_pieces() {
        assert!(Piece::split(&Bytes::new()).is_empty());
        assert!(Piece::split(&Bytes::from(alloc::vec![0; MAX_PIECED + 1])).is_empty());
    }
}
