//! Copies side by side, as many as the limits allow; each object by itself, so that one failure never ends the run.

use std::{future::Future, sync::Arc};

use dth_proto::{
    failure::{FailureClass, Side},
    spec::Compare,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Otherwise,
    archives::{Archives, Away, RESTORE},
    ends::Ends,
    estimate,
    feed::Task,
};
use crate::{
    s3::{
        client::Bucket,
        compare::{CompareRules, CopyReason, Recorded, by_checksum},
        copy::{Copied, Copier, CopyError, CopyRequest, was_read_again},
        journal::JournalError,
        object::{Entry, Pin},
    },
    store::{Store, item::ItemOutcome, upload::Uploads},
    transfer::{
        TransferError,
        account::{Account, failed},
        estimate::Operation,
        progress::Progress,
        retry::RetryPolicy,
        run::RunInput,
        ticket::{Ticket, Told},
        turns::Turns,
        window::Kind,
        workers::{Queues, work_off},
    },
};

/// How often an object is begun again when its requests failed in a way that may pass.
const TRIES: u32 = 3;

/// See the module.
#[derive(Clone)]
pub(super) struct Work(Arc<Inner>);

pub(super) struct Inner {
    pub(super) uid: u64,
    pub(super) store: Store,
    pub(super) account: Arc<Account>,
    progress: Arc<Progress>,
    copier: Arc<Copier<Uploads>>,
    pub(super) archives: Arc<Archives>,
    pub(super) destination: Bucket,
    comparable: CompareRules,
    unordered: mpsc::Sender<Otherwise>,
    pub(super) stop: CancellationToken,
    /// Events may tell of an object that is being copied: then its copies take turns, so that the older one is not the last.
    turns: Option<Arc<Turns>>,
    /// What is to be copied is copied; else it is only told.
    pub(super) writes: bool,
}

impl Work {
    pub(super) fn new(
        input: &RunInput,
        ends: &Ends,
        account: &Arc<Account>,
        unordered: mpsc::Sender<Otherwise>,
        stop: CancellationToken,
        turns: Option<Arc<Turns>>,
    ) -> Self {
        Self(Arc::new(Inner {
            uid: input.uid,
            store: input.store.clone(),
            account: Arc::clone(account),
            progress: Arc::clone(&input.progress),
            copier: Arc::clone(&ends.copier),
            archives: Arc::clone(&ends.archives),
            destination: ends.destination.clone(),
            comparable: ends.rules,
            unordered,
            stop,
            turns,
            writes: input.record.kind.writes(),
        }))
    }

    /// Copies what comes through the queues, at most `most` objects at once and not many more than the endpoints take. When it is told to
    /// stop, no request is begun that need not be. See [`work_off`].
    pub(super) async fn run(self, queues: Queues<Task>, most: usize) {
        self.each(queues, most, Inner::object).await;
    }

    /// As [`Self::run`], with whatever is to be done for each.
    pub(super) async fn each<T, F>(self, queues: Queues<T>, most: usize, act: impl Fn(Arc<Inner>, T) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self(work) = self;
        work_off(queues, || most.min(work.wanted()), &work.stop, |task| act(Arc::clone(&work), task)).await;
    }
}

/// The source must restore the object first.
pub(super) fn is_in_archive(error: &TransferError) -> bool {
    error.side == Side::Source && error.code == "InvalidObjectState"
}

/// Without the journal nothing is uploaded in parts; the run itself ends when it sees that the state cannot be written.
pub(super) fn unjournaled(error: &JournalError) -> ItemOutcome {
    let (class, code) = (FailureClass::Transient, "StateNotWritable");
    failed(&TransferError::new(class, Side::Destination, "CreateMultipartUpload", code, error.to_string()))
}

impl Inner {
    /// Objects enough that both ends have all the requests they take, with some ready to follow: more would only wait.
    fn wanted(&self) -> usize {
        let requests = self.copier.source.at_a_time(Kind::Read) + self.copier.destination.at_a_time(Kind::Write);
        requests + requests / 4
    }

    #[expect(clippy::manual_async_fn, reason = "an `async fn` would hold the task twice, as its argument and as its variable")]
    fn object(self: Arc<Self>, mut task: Task) -> impl Future<Output = ()> + Send + 'static {
        async move {
            let ticket = task.ticket.take();
            let told = self.outcome(&mut task, ticket.as_ref()).await;
            if let (Some(ticket), Some(told)) = (ticket, told) {
                ticket.tell(told);
            }
        }
    }

    /// What became of it; `None`: it is not finished.
    async fn outcome(&self, task: &mut Task, ticket: Option<&Ticket>) -> Option<Told> {
        if task.ask_first && Box::pin(self.is_there(task)).await {
            // the listing lacked a key that exists: it is not in order, and nothing it says can be relied on
            // full: another worker has already said so
            let _ = self.unordered.try_send(Otherwise::Unordered(Side::Destination));
            return None;
        }
        if self.archives.suspects(&task.entry) && Box::pin(self.is_away(task, false)).await {
            return Some(Told::Done);
        }
        if task.reason == CopyReason::Checksum {
            match Box::pin(self.by_checksum(task)).await {
                Ok(Some(reason)) => task.reason = reason,
                Ok(None) => {
                    self.account.same(&task.open);
                    return Some(Told::Done);
                }
                // what cannot be asked cannot be known to be there: the copy itself will say what is wrong
                Err(error) => tracing::debug!(key = ?task.entry.key, code = %error.code, "stored checksums cannot be compared"),
            }
        }
        if !self.writes {
            let size = task.open.size;
            self.account.planned(&task.open, size, estimate::copy(size, &self.copier), task.reason.word());
            return Some(Told::Done);
        }
        let _turn = match &self.turns {
            Some(turns) => Some(turns.take(&task.destination_key).await),
            None => None,
        };
        let (tries, result) = self.copy(&task.entry, &task.destination_key).await;
        Some(match result {
            Ok(copied) => {
                self.copied(task, tries, &copied);
                Told::Done
            }
            // not finished: it stays pending, and the next pass lists it again
            Err(CopyError::Stopped) => return None,
            Err(CopyError::Vanished) => {
                self.archives.forget(&task.entry.key);
                if ticket.is_some() {
                    self.account.withdraw(&task.open);
                } else {
                    self.account.skipped(&task.open, "vanished", true);
                }
                Told::Vanished
            }
            // of some classes only the attempt shows it
            Err(CopyError::Failed(error)) if is_in_archive(&error) && Box::pin(self.is_away(task, true)).await => Told::Done,
            Err(CopyError::Failed(error)) if ticket.is_some_and(|ticket| ticket.takes_back(&error)) => {
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
        })
    }

    /// Whether the object is in an archive and cannot be copied now; it is finished then.
    async fn is_away(&self, task: &Task, refused: bool) -> bool {
        match self.archives.look(&task.entry, refused).await {
            Ok(None) => return false,
            Ok(Some(Away::Skipped(why))) => self.account.skipped(&task.open, why, true),
            Ok(Some(Away::Planned)) => {
                let requests = estimate::copy(task.open.size, &self.copier).with(Operation::RestoreObject, 1);
                self.account.planned(&task.open, task.open.size, requests, RESTORE);
            }
            Err(error) if error.class == FailureClass::Changed => {
                self.archives.forget(&task.entry.key);
                self.account.skipped(&task.open, "vanished", true);
            }
            Err(error) => self.account.failed(&task.open, 1, failed(&error)),
        }
        true
    }

    /// What copies.
    pub(super) fn copier(&self) -> &Copier<Uploads> {
        &self.copier
    }

    /// Copies one object, beginning again as often as makes sense; with the number of tries.
    pub(super) async fn copy(&self, entry: &Entry, destination_key: &str) -> (u32, Result<Copied, CopyError>) {
        let retry = RetryPolicy::default();
        let mut tries = 1;
        let result = loop {
            let flight = self.progress.fly(&entry.key, entry.size);
            let request = CopyRequest { entry, destination_key, progress: &flight.item, stop: &self.stop };
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
        (tries, result)
    }

    fn copied(&self, task: &Task, tries: u32, copied: &Copied) {
        // ETags that agree need no memory: the next listing shows it, unless the task wants more than that
        if copied.source_etag != copied.destination_etag || self.copier.options.compare == Compare::Checksum {
            let pair = Recorded { source_etag: copied.source_etag.clone(), destination_etag: copied.destination_etag.clone() };
            self.store.put_pair(self.uid, &task.destination_key, &pair);
        }
        self.archives.forget(&task.entry.key);
        let outcome = ItemOutcome::Copied {
            reason: task.reason.word().to_owned(),
            verified: copied.verified.to_string(),
            source_etag: copied.source_etag.as_str().to_owned(),
            destination_etag: copied.destination_etag.as_str().to_owned(),
        };
        self.account.copied(&task.open, copied.size, tries, outcome);
    }

    /// Why the object must be copied, by what both ends have stored about it; `None`: it is there.
    async fn by_checksum(&self, task: &Task) -> Result<Option<CopyReason>, TransferError> {
        let (source, destination) = (&self.copier.source, &self.destination);
        let pin = if task.entry.etag.as_str().is_empty() { task.entry.version_pin() } else { task.entry.pin() };
        let source = source.head(&task.entry.key, pin);
        let (source, destination) = tokio::try_join!(source, destination.head(&task.destination_key, Pin::default()))?;
        // a record that cannot be read is as good as none
        let recorded = || self.store.pair(self.uid, &task.destination_key).ok().flatten();
        Ok(by_checksum(&source, &destination, recorded, &self.comparable))
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
        let each = size_of_future(Inner::object);
        println!("{each} bytes per object");
        assert!(each <= 6 * 1024, "{each} bytes each: 1,024 of them would take more than 6 MiB");
    }
}
