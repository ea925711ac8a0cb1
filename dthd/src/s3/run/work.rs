//! Copies side by side, as many as the limits allow; each object by itself, so that one failure never ends the run.

use std::{sync::Arc, time::Duration};

use dth_proto::failure::{FailureClass, Side};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{ends::Ends, feed::Task};
use crate::{
    s3::{
        client::Bucket,
        compare::Recorded,
        copy::{Copied, Copier, CopyError, CopyRequest, was_read_again},
        journal::JournalError,
        object::Pin,
    },
    store::{Store, item::ItemOutcome, upload::Uploads},
    transfer::{
        TransferError,
        account::{Account, failed},
        progress::Progress,
        retry::RetryPolicy,
        run::RunInput,
        ticket::Told,
        turns::Turns,
        window::Kind,
    },
};

/// How often an object is begun again when its requests failed in a way that may pass.
const TRIES: u32 = 3;
/// How long a pass that is stopped waits for what is in flight: small objects finish, large ones continue later from their parts.
const GRACE: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Clone)]
pub(super) struct Work(Arc<Inner>);

struct Inner {
    uid: u64,
    store: Store,
    account: Arc<Account>,
    progress: Arc<Progress>,
    copier: Arc<Copier<Uploads>>,
    destination: Bucket,
    unordered: mpsc::Sender<Side>,
    stop: CancellationToken,
    /// Events may tell of an object that is being copied: then its copies take turns, so that the older one is not the last.
    turns: Option<Arc<Turns>>,
    /// What is to be copied is copied; else it is only told.
    writes: bool,
}

impl Work {
    pub(super) fn new(
        input: &RunInput,
        ends: &Ends,
        account: &Arc<Account>,
        unordered: mpsc::Sender<Side>,
        stop: CancellationToken,
        turns: Option<Arc<Turns>>,
    ) -> Self {
        Self(Arc::new(Inner {
            uid: input.uid,
            store: input.store.clone(),
            account: Arc::clone(account),
            progress: Arc::clone(&input.progress),
            copier: Arc::clone(&ends.copier),
            destination: ends.destination.clone(),
            unordered,
            stop,
            turns,
            writes: input.record.kind.writes(),
        }))
    }

    /// Copies what comes through the queue, and before that what comes through `urgent`, at most `most` objects at once and not many more than the endpoints take, until the queue is closed and empty, or it is told to
    /// stop: then no request is begun that need not be, what is in flight has a moment to finish, and the rest is left. When this
    /// returns, nothing is in flight.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Task>, mut urgent: mpsc::Receiver<Task>, most: usize) {
        let mut flying = JoinSet::new();
        let (mut open, mut open_urgent) = (true, true);
        while open || open_urgent || !flying.is_empty() {
            tokio::select! {
                biased;
                () = self.0.stop.cancelled() => break,
                Some(_) = flying.join_next() => {}
                task = urgent.recv(), if open_urgent && flying.len() < most.min(self.0.wanted()) => match task {
                    Some(task) => {
                        let work = Arc::clone(&self.0);
                        flying.spawn(async move { work.object(task).await });
                    }
                    None => open_urgent = false,
                },
                task = queue.recv(), if open && flying.len() < most.min(self.0.wanted()) => match task {
                    Some(task) => {
                        let work = Arc::clone(&self.0);
                        flying.spawn(async move { work.object(task).await });
                    }
                    None => open = false,
                },
            }
        }
        let finished = async { while flying.join_next().await.is_some() {} };
        if timeout(GRACE, finished).await.is_err() {
            flying.shutdown().await;
        }
    }
}

/// Without the journal nothing is uploaded in parts; the run itself ends when it sees that the state cannot be written.
fn unjournaled(error: &JournalError) -> ItemOutcome {
    let (class, code) = (FailureClass::Transient, "StateNotWritable");
    failed(&TransferError::new(class, Side::Destination, "CreateMultipartUpload", code, error.to_string()))
}

impl Inner {
    /// Objects enough that both ends have all the requests they take, with some ready to follow: more would only wait.
    fn wanted(&self) -> usize {
        let requests = self.copier.source.at_a_time(Kind::Read) + self.copier.destination.at_a_time(Kind::Write);
        requests + requests / 4
    }

    async fn object(&self, mut task: Task) {
        if task.ask_first && Box::pin(self.is_there(&task)).await {
            // the listing lacked a key that exists: it is not in order, and nothing it says can be relied on
            // full: another worker has already said so
            let _ = self.unordered.try_send(Side::Destination);
            return;
        }
        if !self.writes {
            self.account.planned(&task.open, task.open.size, task.reason.word());
            return;
        }
        let _turn = match &self.turns {
            Some(turns) => Some(turns.take(&task.destination_key).await),
            None => None,
        };
        let retry = RetryPolicy::default();
        let mut tries = 1;
        let result = loop {
            let flight = self.progress.fly(&task.entry.key, task.entry.size);
            let (entry, progress) = (&task.entry, &*flight.item);
            let request = CopyRequest { entry, destination_key: &task.destination_key, progress, stop: &self.stop };
            match self.copier.copy(request).await {
                Err(CopyError::Failed(error)) if tries < TRIES && error.is_retryable() && !was_read_again(&error) => {
                    drop(flight);
                    let Some(wait) = retry.next_wait(tries, &error, rand::random()) else { break Err(CopyError::Failed(error)) };
                    tokio::select! {
                        () = self.stop.cancelled() => break Err(CopyError::Stopped),
                        () = sleep(wait) => tries += 1,
                    }
                }
                result => break result,
            }
        };
        let ticket = task.ticket.take();
        let told = match result {
            Ok(copied) => {
                self.copied(&task, tries, &copied);
                Told::Done
            }
            // not finished: it stays pending, and the next pass lists it again
            Err(CopyError::Stopped) => return,
            Err(CopyError::Vanished) if ticket.is_some() => {
                self.account.withdraw(&task.open);
                Told::Vanished
            }
            Err(CopyError::Vanished) => {
                self.account.skipped(&task.open, "vanished", true);
                Told::Done
            }
            Err(CopyError::Failed(error)) if ticket.as_ref().is_some_and(|ticket| ticket.takes_back(&error)) => {
                self.account.withdraw(&task.open);
                Told::Failed(error)
            }
            Err(CopyError::Failed(error)) => {
                self.account.failed(&task.open, tries, failed(&error));
                Told::GivenUp
            }
            Err(CopyError::Journal(error)) => {
                self.account.failed(&task.open, tries, unjournaled(&error));
                Told::GivenUp
            }
        };
        if let Some(ticket) = ticket {
            ticket.tell(told);
        }
    }

    fn copied(&self, task: &Task, tries: u32, copied: &Copied) {
        // ETags that agree need no memory: the next listing shows it
        if copied.source_etag != copied.destination_etag {
            let pair = Recorded { source_etag: copied.source_etag.clone(), destination_etag: copied.destination_etag.clone() };
            self.store.put_pair(self.uid, &task.destination_key, &pair);
        }
        let outcome = ItemOutcome::Copied {
            reason: task.reason.word().to_owned(),
            verified: copied.verified.to_string(),
            source_etag: copied.source_etag.as_str().to_owned(),
            destination_etag: copied.destination_etag.as_str().to_owned(),
        };
        self.account.copied(&task.open, copied.size, tries, outcome);
    }

    async fn is_there(&self, task: &Task) -> bool {
        // not there, or not to be told: the copy itself will say what is wrong
        self.destination.head(&task.destination_key, Pin::default()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F>(_: impl FnOnce(Arc<Inner>, Task) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_thousand_objects_that_wait_take_little_memory() {
        let each = size_of_future(|work: Arc<Inner>, task: Task| async move { work.object(task).await });
        println!("{each} bytes per object");
        assert!(each <= 6 * 1024, "{each} bytes each: 1,024 of them would take more than 6 MiB");
    }
}
