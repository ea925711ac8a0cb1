//! Pages from a task of their own to one consumer, with an end that cannot be mistaken.

use std::future::Future;

use dth_proto::failure::Side;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{ListError, Pages};
use crate::s3::page::Page;

/// What the producer says.
pub(in crate::s3) enum Batch {
    /// More entries; `memory` is given back when the consumer asks for the next ones.
    Page { page: Page, memory: Option<Box<dyn Send>> },
    /// That was all. A channel that closes without this is a failure.
    End,
}

/// Where a producer puts its batches.
pub(in crate::s3) type Sink = mpsc::Sender<Result<Batch, ListError>>;

/// The consumer's end.
pub(in crate::s3) struct Feed {
    batches: mpsc::Receiver<Result<Batch, ListError>>,
    memory: Option<Box<dyn Send>>,
    side: Side,
    ended: bool,
    _task: AbortOnDropHandle<()>,
}

impl Feed {
    /// Runs `produce` as a task that is aborted when the feed is dropped. One batch waits in the channel at most.
    pub(in crate::s3) fn spawn<F>(side: Side, produce: impl FnOnce(Sink) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sink, batches) = mpsc::channel(1);
        let task = AbortOnDropHandle::new(tokio::spawn(produce(sink)));
        Self { batches, memory: None, side, ended: false, _task: task }
    }

    /// The pages of a cursor. A page is asked for only when there is room for it.
    pub(in crate::s3) fn prefetch(mut pages: impl Pages, side: Side) -> Self {
        Self::spawn(side, |sink| async move {
            // no room ever again: nobody listens
            while let Ok(room) = sink.reserve().await {
                match pages.next().await {
                    Ok(Some(page)) => room.send(Ok(Batch::Page { page, memory: None })),
                    Ok(None) => return room.send(Ok(Batch::End)),
                    Err(error) => return room.send(Err(error)),
                }
            }
        })
    }

    /// The next page; `None` at the end, and only there. Cancel safe.
    pub(in crate::s3) async fn next(&mut self) -> Result<Option<Page>, ListError> {
        self.memory = None;
        if self.ended {
            return Ok(None);
        }
        match self.batches.recv().await {
            Some(Ok(Batch::Page { page, memory })) => {
                self.memory = memory;
                Ok(Some(page))
            }
            Some(Ok(Batch::End)) => {
                self.ended = true;
                Ok(None)
            }
            Some(Err(error)) => Err(error),
            None => Err(ListError::stopped(self.side)),
        }
    }
}
