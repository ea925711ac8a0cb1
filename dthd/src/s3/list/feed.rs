//! Batches of entries from a task of their own to one consumer, with an end that cannot be mistaken.

use std::{future::Future, vec};

use dth_proto::failure::Side;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{ListError, ListPages, PageCursor};
use crate::s3::object::Entry;

/// What the producer says.
pub(in crate::s3) enum Batch {
    /// More entries; `memory` is given back when the consumer is through with them.
    Entries { entries: Vec<Entry>, memory: Option<Box<dyn Send>> },
    /// That was all. A channel that closes without this is a failure.
    End,
}

/// Where a producer puts its batches.
pub(in crate::s3) type Sink = mpsc::Sender<Result<Batch, ListError>>;

/// The consumer's end.
pub(in crate::s3) struct Feed {
    batches: mpsc::Receiver<Result<Batch, ListError>>,
    current: vec::IntoIter<Entry>,
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
        Self { batches, current: Vec::new().into_iter(), memory: None, side, ended: false, _task: task }
    }

    /// The pages of a cursor. A page is asked for only when there is room for it.
    pub(in crate::s3) fn prefetch<S: ListPages>(mut cursor: PageCursor<S>, side: Side) -> Self {
        Self::spawn(side, |sink| async move {
            // no room ever again: nobody listens
            while let Ok(room) = sink.reserve().await {
                match cursor.next().await {
                    Ok(Some(entries)) => room.send(Ok(Batch::Entries { entries, memory: None })),
                    Ok(None) => return room.send(Ok(Batch::End)),
                    Err(error) => return room.send(Err(error.into())),
                }
            }
        })
    }

    pub(in crate::s3) async fn next(&mut self) -> Result<Option<Entry>, ListError> {
        loop {
            if let Some(entry) = self.current.next() {
                return Ok(Some(entry));
            }
            self.memory = None;
            if self.ended {
                return Ok(None);
            }
            match self.batches.recv().await {
                Some(Ok(Batch::Entries { entries, memory })) => {
                    self.current = entries.into_iter();
                    self.memory = memory;
                }
                Some(Ok(Batch::End)) => self.ended = true,
                Some(Err(error)) => return Err(error),
                None => return Err(ListError::stopped(self.side)),
            }
        }
    }

    /// Takes no more: every further [`next`](Self::next) is an error.
    pub(in crate::s3) fn stop(&mut self) {
        self.batches.close();
        while self.batches.try_recv().is_ok() {}
        self.current = Vec::new().into_iter();
        self.ended = false;
    }
}
