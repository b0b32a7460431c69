//! Streams of frames in the network in memory.

use alloc::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{End, Pipes};
use crate::net::{CloseReason, FrameReceiver, FrameSender, LinkError, framing};

/// Tells the peer of a stream. As with QUIC that happens with the first frame, not before.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) place: mpsc::OwnedPermit<Pipes>,
    pub(super) pipes: Pipes,
}

/// Sends frames in a [`MemoryNetwork`](super::MemoryNetwork).
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::net::{Connection, Transport};
/// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// # let to_ana = at_ben.accept().await.ok_or("closed")?;
/// use basefs::net::{FrameSender, LinkError};
///
/// let (mut sender, _receiver) = to_ben.open().await?;
/// sender.send("hello".into()).await?;
/// sender.finish();
/// assert_eq!(sender.send("more".into()).await, Err(LinkError::ClosedHere));
/// # drop(to_ana);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemorySender {
    end: Arc<End>,
    /// Nothing once the stream is finished.
    frames: Option<mpsc::Sender<Bytes>>,
    announcement: Option<Announcement>,
    /// A send was broken off; with QUIC, part of its frame would be on the way.
    inside_frame: bool,
}

impl MemorySender {
    pub(super) fn new(
        end: Arc<End>,
        frames: mpsc::Sender<Bytes>,
        announcement: Option<Announcement>,
    ) -> Self {
        Self { end, frames: Some(frames), announcement, inside_frame: false }
    }

    fn announce(&mut self) {
        if let Some(Announcement { place, pipes }) = self.announcement.take() {
            place.send(pipes);
        }
    }
}

impl FrameSender for MemorySender {
    async fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        framing::head(&frame)?;
        if self.inside_frame {
            return Err(LinkError::Failed { what: "an earlier frame was broken off".into() });
        }
        self.announce();
        let frames = self.frames.as_ref().ok_or(LinkError::ClosedHere)?;
        let (end, length) = (&self.end, frame.len() as u64);
        end.check().await?;
        let sending =
            async { frames.send(frame).await.map_err(|_| LinkError::Closed(CloseReason::Done)) };
        self.inside_frame = true;
        end.until_ended(sending).await?;
        self.inside_frame = false;
        end.count(length);
        Ok(())
    }

    fn finish(&mut self) {
        self.announce();
        self.frames = None;
    }
}

impl Drop for MemorySender {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Receives frames in a [`MemoryNetwork`](super::MemoryNetwork).
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use basefs::id::NodeId;
/// # use basefs::net::memory::MemoryNetwork;
/// # let [ana, ben] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
/// # let network = MemoryNetwork::new();
/// # let at_ana = network.bind("10.0.0.1:1".parse()?, ana)?;
/// # let at_ben = network.bind("10.0.0.2:1".parse()?, ben)?;
/// # use basefs::net::{Connection, Transport};
/// # let to_ben = at_ana.connect("10.0.0.2:1".parse()?, ben).await?;
/// # let to_ana = at_ben.accept().await.ok_or("closed")?;
/// use basefs::net::{FrameReceiver, FrameSender};
///
/// let (mut sender, _) = to_ben.open().await?;
/// sender.send("hello".into()).await?;
/// drop(sender);
/// let (_, mut receiver) = to_ana.accept().await?;
/// assert_eq!(receiver.receive().await?.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(receiver.receive().await?, None); // the end
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryReceiver {
    end: Arc<End>,
    arrived: mpsc::Receiver<Bytes>,
    /// A frame that was longer than the caller's limit.
    waiting: Option<Bytes>,
}

impl MemoryReceiver {
    pub(super) fn new(end: Arc<End>, arrived: mpsc::Receiver<Bytes>) -> Self {
        Self { end, arrived, waiting: None }
    }
}

impl FrameReceiver for MemoryReceiver {
    async fn receive_at_most(&mut self, limit: usize) -> Result<Option<Bytes>, LinkError> {
        if self.waiting.is_none() {
            let (end, arrived) = (&self.end, &mut self.arrived);
            self.waiting = end.until_ended(async { Ok(arrived.recv().await) }).await?;
        }
        match &self.waiting {
            Some(frame) if frame.len() > limit => {
                Err(LinkError::FrameTooLong { length: frame.len() as u64 })
            }
            Some(_) => Ok(self.waiting.take()),
            // Finished, or gone with the connection.
            None => self.end.check().await.map(|()| None),
        }
    }
}
