//! Frames that arrive each on a stream of its own.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use quinn::{RecvStream, VarInt};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::super::{CloseReason, LinkError, MAX_PUSH};
use super::config::PUSH_STREAMS;
use super::connection::link_error;

/// Bytes of one peer's frames that have begun to arrive and are not whole: as many as may be on
/// their way, each two thirds of the longest. A frame that would need more is refused, not kept
/// waiting: what is there already could not become whole either, if all wait for each other.
const MAX_UNFINISHED: u32 = 4 << 20;
/// What a frame is counted for before its first byte: its stream and its task.
const STREAM_COST: u32 = 1_024;

const _: () = assert!((PUSH_STREAMS * STREAM_COST) as usize + MAX_PUSH <= MAX_UNFINISHED as usize);

/// Reads what one peer pushes. Streams are read beside each other: one that stalls keeps none
/// back.
pub(super) struct Pushes {
    room: Arc<Semaphore>,
    /// Frames of which a part had arrived when their stream was first seen.
    reading: Mutex<JoinSet<Result<Option<Bytes>, LinkError>>>,
}

impl Pushes {
    pub(super) fn new() -> Self {
        let room = Arc::new(Semaphore::new(MAX_UNFINISHED as usize));
        Self { room, reading: Mutex::default() }
    }

    /// The next frame that is whole.
    pub(super) async fn next(&self, connection: &quinn::Connection) -> Result<Bytes, LinkError> {
        let mut reading = self.reading.lock().await;
        loop {
            let read = tokio::select! {
                biased;
                // A task is lost only with the runtime.
                Some(read) = reading.join_next() => read.unwrap_or(Ok(None)),
                stream = connection.accept_uni() => {
                    let stream = stream.map_err(|error| link_error(&error))?;
                    let mut push = Push::begin(stream, self.room.clone());
                    tokio::select! {
                        biased;
                        // Most are whole when their first packet is here: no task for those.
                        read = push.read() => read,
                        () = core::future::ready(()) => {
                            reading.spawn(async move { push.read().await });
                            Ok(None)
                        }
                    }
                }
            };
            if let Some(frame) = read? {
                return Ok(frame);
            }
        }
    }
}

impl fmt::Debug for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unfinished = MAX_UNFINISHED as usize - self.room.available_permits();
        f.debug_struct("Pushes").field("unfinished", &unfinished).finish_non_exhaustive()
    }
}

/// A frame that is arriving.
struct Push {
    stream: RecvStream,
    body: Vec<u8>,
    /// What it occupies of the room of all.
    taken: Option<OwnedSemaphorePermit>,
    room: Arc<Semaphore>,
}

impl Push {
    fn begin(stream: RecvStream, room: Arc<Semaphore>) -> Self {
        let taken = room.clone().try_acquire_many_owned(STREAM_COST).ok();
        Self { stream, body: Vec::new(), taken, room }
    }

    /// The whole of it, or nothing if the peer broke it off or there is no room. May be called
    /// again if it was interrupted.
    async fn read(&mut self) -> Result<Option<Bytes>, LinkError> {
        loop {
            let chunk = match self.stream.read_chunk(usize::MAX, true).await {
                Ok(Some(chunk)) => chunk.bytes,
                Ok(None) => return Ok(Some(core::mem::take(&mut self.body).into())),
                // Of this stream alone; a lost connection is seen by whoever accepts the next.
                Err(_broken_off) => return Ok(None),
            };
            let length = self.body.len() + chunk.len();
            if length > MAX_PUSH {
                return Err(LinkError::FrameTooLong { length: length as u64 });
            }
            if !self.take_room(chunk.len()) {
                // Fails only if the stream has ended already.
                let _ = self.stream.stop(VarInt::from_u32(CloseReason::Busy.code()));
                return Ok(None);
            }
            // Copied: the chunk would keep the whole receive buffer alive.
            self.body.extend_from_slice(&chunk);
        }
    }

    fn take_room(&mut self, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match (&mut self.taken, self.room.clone().try_acquire_many_owned(bytes)) {
            (Some(taken), Ok(more)) => {
                taken.merge(more);
                true
            }
            _ => false,
        }
    }
}
