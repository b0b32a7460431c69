//! Frames on a byte stream: a length of four bytes, big endian, then that many bytes.

use alloc::vec::Vec;

use bytes::{Buf, Bytes};

use super::{LinkError, MAX_PUSH};
use crate::limits::MAX_FRAME;

/// Bytes of a frame's head.
const HEAD: usize = 4;
/// What is set aside for a frame of which nothing has arrived yet.
const FIRST_ALLOCATION: usize = 4_096;

/// The head of a frame that is to be sent.
///
/// # Errors
///
/// [`LinkError::FrameTooLong`]; nothing was sent.
pub(super) fn head(frame: &[u8]) -> Result<[u8; HEAD], LinkError> {
    match u32::try_from(frame.len()) {
        Ok(length) if frame.len() <= MAX_FRAME => Ok(length.to_be_bytes()),
        _ => Err(LinkError::FrameTooLong { length: frame.len() as u64 }),
    }
}

/// Whether a frame may be pushed: the end of its stream is its end, so it needs no head.
///
/// # Errors
///
/// [`LinkError::FrameTooLong`]; nothing was sent.
pub(super) fn check_push(frame: &[u8]) -> Result<(), LinkError> {
    if frame.len() <= MAX_PUSH {
        Ok(())
    } else {
        Err(LinkError::FrameTooLong { length: frame.len() as u64 })
    }
}

/// Puts frames together from a stream's bytes, however they were cut on the way.
///
/// It sets aside 4 KiB or twice what has arrived of a frame, whatever length the peer announced.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// What has arrived and belongs to no frame yet.
    chunk: Bytes,
    head: [u8; HEAD],
    /// How much of `head` is there; a frame begins with the first byte of it.
    head_filled: usize,
    body: Vec<u8>,
}

impl Assembler {
    /// Adds the next bytes of the stream; [`Self::next`] must have used up the ones before.
    pub(super) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "bytes would be lost");
        self.chunk = chunk;
    }

    /// The next frame, or nothing if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`LinkError::FrameTooLong`] if the head announces more than `limit` bytes; the stream
    /// cannot be read on with that limit.
    pub(super) fn next(&mut self, limit: usize) -> Result<Option<Bytes>, LinkError> {
        let missing = (HEAD - self.head_filled).min(self.chunk.len());
        self.chunk.copy_to_slice(&mut self.head[self.head_filled..self.head_filled + missing]);
        self.head_filled += missing;
        if self.head_filled < HEAD {
            return Ok(None);
        }
        let announced = u32::from_be_bytes(self.head);
        let length = match usize::try_from(announced) {
            Ok(length) if length <= limit => length,
            _ => return Err(LinkError::FrameTooLong { length: announced.into() }),
        };
        // Copied: a slice would keep the whole receive buffer alive for as long as the frame.
        let part = self.chunk.split_to((length - self.body.len()).min(self.chunk.len()));
        self.make_room(part.len(), length);
        self.body.extend_from_slice(&part);
        if self.body.len() < length {
            return Ok(None);
        }
        self.head_filled = 0;
        Ok(Some(core::mem::take(&mut self.body).into()))
    }

    /// Grows the body by doubling, and never past its length: a finished frame has no slack.
    fn make_room(&mut self, arrived: usize, length: usize) {
        if self.body.capacity() - self.body.len() < arrived {
            let ahead = self.body.len().max(FIRST_ALLOCATION).max(arrived);
            self.body.reserve_exact(ahead.min(length - self.body.len()));
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    ///
    /// [`LinkError::Truncated`] if it ended inside a frame.
    pub(super) fn end(&self) -> Result<(), LinkError> {
        if self.head_filled == 0 { Ok(()) } else { Err(LinkError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|frame| [&head(frame).unwrap()[..], frame].concat()).collect()
    }

    proptest::proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in proptest::collection::vec(proptest::collection::vec(0u8.., 0..9_000), 0..5),
            cut in 1usize..5_000,
        ) {
            let mut assembler = Assembler::default();
            let mut got = Vec::new();
            for chunk in framed(&frames).chunks(cut) {
                assembler.push(Bytes::copy_from_slice(chunk));
                while let Some(frame) = assembler.next(MAX_FRAME).unwrap() {
                    got.push(frame.to_vec());
                }
            }
            assert_eq!(got, frames);
            assert_eq!(assembler.end(), Ok(()));
        }
    }

    #[test]
    fn an_announcement_alone_costs_nothing() {
        let mut assembler = Assembler::default();
        let longest = u32::try_from(MAX_FRAME).unwrap();
        assembler.push(Bytes::copy_from_slice(&longest.to_be_bytes()));
        assert_eq!(assembler.next(MAX_FRAME), Ok(None));
        assembler.push(Bytes::from_static(&[7]));
        assert_eq!(assembler.next(MAX_FRAME), Ok(None));
        assert!(assembler.body.capacity() <= FIRST_ALLOCATION);
        assert_eq!(assembler.end(), Err(LinkError::Truncated));
    }

    #[test]
    fn too_long_is_refused_both_ways() {
        let length = MAX_FRAME + 1;
        let error = LinkError::FrameTooLong { length: length as u64 };
        assert_eq!(head(&vec![0; length]), Err(error.clone()));

        let mut assembler = Assembler::default();
        assembler.push(Bytes::copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes()));
        assert_eq!(assembler.next(MAX_FRAME), Err(error));
    }

    #[test]
    fn a_finished_frame_has_no_slack() {
        let frame = vec![1; 100_000];
        let mut assembler = Assembler::default();
        for chunk in framed(core::slice::from_ref(&frame)).chunks(1_400) {
            assembler.push(Bytes::copy_from_slice(chunk));
            if assembler.body.len() + 1_400 >= frame.len() {
                assert!(assembler.body.capacity() <= frame.len());
            }
            if let Some(done) = assembler.next(MAX_FRAME).unwrap() {
                assert_eq!(done, frame);
            }
        }
    }
}
