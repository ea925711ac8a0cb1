//! A request's body that comes from somewhere else while it is sent: of known length, never held as a whole.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Nobody takes what is sent any more: the connection has ended, or the answer came before the body was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection no longer reads the body")]
pub struct Gone;

/// The body ended before its length. A connection that meets this is closed, so that the request can never be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body was given up before its end")]
pub struct Cut;

/// The receiving end of a channel of pieces, read by a connection.
pub struct Flow {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
    shared: Arc<Shared>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Feeds a [`Flow`]. Dropped before the last byte was sent, the body is cut as by [`FlowSender::abort`].
pub struct FlowSender {
    pieces: mpsc::Sender<Bytes>,
    left: u64,
    shared: Arc<Shared>,
}

struct Shared {
    length: u64,
    /// Bytes that were put into the channel.
    queued: AtomicU64,
    /// Bytes that the connection has taken out of it.
    taken: AtomicU64,
    cut: CancellationToken,
}

/// Watches a flow while it is sent, and cuts what is left of it when dropped.
pub struct FlowWatch(Arc<Shared>);

impl Flow {
    /// A body of `length` bytes, of which at most `depth` pieces (at least 1) wait between the two ends.
    #[must_use]
    pub fn new(length: u64, depth: usize) -> (FlowSender, Self) {
        let (sender, receiver) = mpsc::channel(depth.max(1));
        let shared = Arc::new(Shared { length, queued: AtomicU64::new(0), taken: AtomicU64::new(0), cut: CancellationToken::new() });
        let cut = Box::pin(shared.cut.clone().cancelled_owned());
        (FlowSender { pieces: sender, left: length, shared: Arc::clone(&shared) }, Self { pieces: receiver, left: length, shared, cut })
    }

    /// Bytes in all.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.shared.length
    }

    /// See [`FlowWatch`].
    #[must_use]
    pub fn watch(&self) -> FlowWatch {
        FlowWatch(Arc::clone(&self.shared))
    }
}

impl FlowSender {
    /// Sends a piece, when there is room for it. More bytes than were announced cut the body.
    ///
    /// # Errors
    /// [`Gone`] when nobody reads any more; the answer to the request, if there is one, says why.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), Gone> {
        let length = piece.len() as u64;
        if length > self.left {
            self.shared.cut.cancel();
            return Err(Gone);
        }
        if piece.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.shared.cut.cancelled() => return Err(Gone),
            sent = self.pieces.send(piece) => sent.map_err(|_| Gone)?,
        }
        // only now: a future that is dropped while it waits has sent nothing
        self.left -= length;
        self.shared.queued.fetch_add(length, Relaxed);
        Ok(())
    }

    /// Bytes that are still to be sent.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Gives the body up: what the connection has not taken yet is never sent, and the connection is closed. Whoever must be able to take
    /// a body back keeps its last piece until it is sure.
    pub fn abort(self) {
        self.shared.cut.cancel();
    }
}

impl Drop for FlowSender {
    fn drop(&mut self) {
        if self.left > 0 {
            self.shared.cut.cancel();
        }
    }
}

impl FlowWatch {
    /// Whether the connection has taken all of the body.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.taken.load(Relaxed) == self.0.length
    }

    /// Bytes that the connection has taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Relaxed)
    }

    /// Whether pieces wait for the connection (and not the connection for pieces).
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.queued.load(Relaxed) > self.0.taken.load(Relaxed)
    }
}

impl Drop for FlowWatch {
    fn drop(&mut self) {
        if !self.is_complete() {
            self.0.cut.cancel();
        }
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        if this.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Cut)));
        }
        let Some(piece) = ready!(this.pieces.poll_recv(cx)) else { return Poll::Ready(Some(Err(Cut))) };
        let length = piece.len() as u64;
        // the sender sends no more than was announced
        this.left = this.left.saturating_sub(length);
        this.shared.taken.fetch_add(length, Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.taken.load(Relaxed), self.length)
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({:?})", self.shared)
    }
}

impl fmt::Debug for FlowSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowSender({:?})", self.shared)
    }
}

impl fmt::Debug for FlowWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowWatch({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_arrives_and_no_more_waits_than_allowed() {
        let (mut sender, mut flow) = Flow::new(5, 2);
        assert_eq!(flow.size_hint().exact(), Some(5));
        sender.send(Bytes::from_static(b"a")).await.expect("room");
        sender.send(Bytes::from_static(b"bc")).await.expect("room");
        let mut third = Box::pin(sender.send(Bytes::from_static(b"de")));
        assert!(third.as_mut().now_or_never().is_none(), "two pieces wait already");
        let first = flow.frame().await.expect("more").expect("whole").into_data().expect("data");
        assert_eq!(&first[..], b"a");
        third.await.expect("room again");
        drop(sender);
        assert_eq!(&flow.collect().await.expect("whole").to_bytes()[..], b"bcde");
    }

    #[tokio::test]
    async fn bodies_that_end_early_are_errors() {
        let (sender, flow) = Flow::new(5, 2);
        drop(sender);
        assert_eq!(flow.collect().await.expect_err("nothing was sent"), Cut);

        let (mut sender, flow) = Flow::new(5, 2);
        sender.send(Bytes::from_static(b"abcde")).await.expect("room");
        sender.abort();
        assert_eq!(flow.collect().await.expect_err("given up before it was taken"), Cut);

        let (mut sender, flow) = Flow::new(2, 2);
        assert_eq!(sender.send(Bytes::from_static(b"abc")).await, Err(Gone), "more than announced");
        assert_eq!(flow.collect().await.expect_err("cut"), Cut);

        let (sender, flow) = Flow::new(0, 1);
        drop(sender);
        assert!(flow.is_end_stream(), "of nothing nothing is missing");
    }

    #[tokio::test]
    async fn senders_hear_that_nobody_reads() {
        let (mut sender, flow) = Flow::new(9, 1);
        sender.send(Bytes::from_static(b"abc")).await.expect("room");
        let mut waiting = Box::pin(sender.send(Bytes::from_static(b"def")));
        assert!(waiting.as_mut().now_or_never().is_none());
        let watch = flow.watch();
        assert!(watch.is_waiting() && !watch.is_complete());
        drop(watch);
        assert_eq!(waiting.await, Err(Gone));
        drop(flow);
        assert_eq!(sender.send(Bytes::from_static(b"g")).await, Err(Gone));
    }
}
