//! Copies side by side, as many as the limits allow; each object by itself, so that one failure never ends the run.

use std::sync::Arc;

use dth_proto::failure::{FailureClass, Side};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    RunInput,
    account::Account,
    ends::Ends,
    feed::{Task, failed},
};
use crate::{
    s3::{
        client::Bucket,
        compare::Recorded,
        copy::{Copied, Copier, CopyError, CopyRequest},
        journal::JournalError,
    },
    store::{Store, item::ItemOutcome, upload::Uploads},
    transfer::{TransferError, progress::Progress, retry::RetryPolicy},
};

/// How often an object is begun again when its requests failed in a way that may pass.
const TRIES: u32 = 3;

/// What the workers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Orders {
    /// Take from the queue.
    Work,
    /// Take nothing more, finish what is in flight.
    Finish,
    /// Drop what is in flight.
    Drop,
}

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
}

impl Work {
    pub(super) fn new(input: &RunInput, ends: &Ends, account: &Arc<Account>, unordered: mpsc::Sender<Side>) -> Self {
        Self(Arc::new(Inner {
            uid: input.uid,
            store: input.store.clone(),
            account: Arc::clone(account),
            progress: Arc::clone(&input.progress),
            copier: Arc::clone(&ends.copier),
            destination: ends.destination.clone(),
            unordered,
        }))
    }

    /// Copies what comes through the queue, at most `limit` objects at once, until the queue is closed and empty or `orders` say
    /// otherwise. When it returns, no copy is going any more.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Task>, limit: usize, mut orders: watch::Receiver<Orders>) {
        let mut flying = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = told(&mut orders, Orders::Finish) => break,
                Some(_) = flying.join_next() => {}
                task = queue.recv(), if flying.len() < limit => {
                    let Some(task) = task else { break };
                    let work = Arc::clone(&self.0);
                    flying.spawn(async move { work.object(task).await });
                }
            }
        }
        tokio::select! {
            () = told(&mut orders, Orders::Drop) => {}
            () = async { while flying.join_next().await.is_some() {} } => {}
        }
        flying.shutdown().await;
    }
}

/// Resolves when the orders are `least` or stronger; a run that is gone has none to give any more.
async fn told(orders: &mut watch::Receiver<Orders>, least: Orders) {
    if orders.wait_for(|orders| *orders >= least).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Without the journal nothing is uploaded in parts; the run itself ends when it sees that the state cannot be written.
fn unjournaled(error: &JournalError) -> ItemOutcome {
    let (class, code) = (FailureClass::Transient, "StateNotWritable");
    failed(&TransferError::new(class, Side::Destination, "CreateMultipartUpload", code, error.to_string()))
}

impl Inner {
    async fn object(&self, task: Task) {
        if task.ask_first && self.is_there(&task).await {
            // the listing lacked a key that exists: it is not in order, and nothing it says can be relied on
            // full: another worker has already said so
            let _ = self.unordered.try_send(Side::Destination);
            return;
        }
        let retry = RetryPolicy::default();
        let mut tries = 1;
        let result = loop {
            let flight = self.progress.fly(&task.entry.key, task.entry.size);
            let request = CopyRequest { entry: &task.entry, destination_key: &task.destination_key, progress: &flight.item };
            match self.copier.copy(request).await {
                Err(CopyError::Failed(error)) if tries < TRIES && error.is_retryable() => {
                    drop(flight);
                    let Some(wait) = retry.next_wait(tries, &error, rand::random()) else { break Err(CopyError::Failed(error)) };
                    tokio::time::sleep(wait).await;
                    tries += 1;
                }
                result => break result,
            }
        };
        match result {
            Ok(copied) => self.copied(&task, tries, &copied),
            Err(CopyError::Vanished) => self.account.skipped(&task.open, "vanished", true),
            Err(CopyError::Failed(error)) => self.account.failed(&task.open, tries, failed(&error)),
            Err(CopyError::Journal(error)) => self.account.failed(&task.open, tries, unjournaled(&error)),
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
        self.destination.head(&task.destination_key, None).await.is_ok()
    }
}
