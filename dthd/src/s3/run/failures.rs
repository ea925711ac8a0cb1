//! The failed items of an earlier run, or what is being restored from an archive, as objects to look at again.

use std::sync::Arc;

use dth_proto::{failure::FailureClass, time::Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    PassEnd,
    archives::Archives,
    ends::Ends,
    feed::Task,
    rules::{Rules, too_long},
};
use crate::{
    s3::{
        client::Bucket,
        object::{Entry, Pin},
        version::as_of::AsOf,
    },
    store::{
        Store, StoreError,
        item::{ItemOutcome, ItemRecord},
    },
    transfer::{
        TransferError,
        account::{Open, failed},
        run::RunInput,
        watermark::Block,
    },
};

/// Failed items read from the store at once.
const PAGE: usize = 500;

/// Which objects are looked at again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// What failed in a run, in this class only.
    Failed(u32, Option<FailureClass>),
    /// What is being restored.
    Restoring,
}

impl Which {
    /// The names of some items behind `after`, in order, and the name to continue after when there may be more.
    pub(super) fn page(self, store: &Store, uid: u64, after: Option<&str>) -> Result<(Vec<String>, Option<String>), StoreError> {
        let (items, next) = match self {
            Self::Failed(of, class) => {
                let (items, next) = store.items(uid, of, "", after, PAGE, |record: &ItemRecord| record.is_failure(class))?;
                (items.into_iter().map(|(name, _)| name).collect(), next)
            }
            Self::Restoring => {
                let (keys, next) = store.restores(uid, after, PAGE)?;
                (keys.into_iter().map(|(key, _)| key).collect(), next)
            }
        };
        Ok((items, next))
    }
}

/// Asks both ends for each object, one by one.
pub(super) struct Failures {
    uid: u64,
    which: Which,
    as_of: Option<Timestamp>,
    archives: Arc<Archives>,
    store: Store,
    source: Bucket,
    destination: Bucket,
    rules: Rules,
    queue: mpsc::Sender<Task>,
}

impl Failures {
    pub(super) fn new(
        input: &RunInput,
        (which, as_of): (Which, Option<Timestamp>),
        ends: &Ends,
        rules: Rules,
        queue: mpsc::Sender<Task>,
    ) -> Self {
        let (source, destination) = (ends.source.clone(), ends.destination.clone());
        let archives = Arc::clone(&ends.archives);
        Self { uid: input.uid, which, as_of, archives, store: input.store.clone(), source, destination, rules, queue }
    }

    pub(super) async fn run(self, stop: CancellationToken) -> PassEnd {
        tokio::select! {
            () = stop.cancelled() => PassEnd::Stopped,
            end = self.all() => end,
        }
    }

    async fn all(&self) -> PassEnd {
        let account = &self.rules.account;
        for piece in account.pieces() {
            let mut block = Block::new(piece.span);
            let mut after = piece.part.after.clone();
            loop {
                if let Err(error) = self.store.writer().room().await {
                    return PassEnd::Failed(error.to_string());
                }
                let (items, next) = match self.which.page(&self.store, self.uid, after.as_deref()) {
                    Ok(read) => read,
                    Err(error) => return PassEnd::Failed(error.to_string()),
                };
                for key in items {
                    let task = self.look(&mut block, &key).await;
                    account.enter(&mut block);
                    if let Some(task) = task
                        && self.queue.send(task).await.is_err()
                    {
                        return PassEnd::Stopped;
                    }
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
            account.listed(piece.span);
        }
        account.listing_done();
        PassEnd::Complete
    }

    /// The object that the task wants; `None`: there is none.
    async fn at_source(&self, key: &str) -> Result<Option<Entry>, TransferError> {
        if let Some(at) = self.as_of {
            return AsOf { bucket: self.source.clone(), at }.entry(key).await;
        }
        match self.source.head(key, Pin::default()).await {
            Ok(info) => Ok(Some(info.entry(key.to_owned()))),
            Err(error) if error.class == FailureClass::Changed => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks both ends. What cannot be read at the source is finished here.
    async fn look(&self, block: &mut Block, key: &str) -> Option<Task> {
        let give_up = |block: &mut Block, outcome: ItemOutcome| self.rules.failed(block, key, 0, outcome);
        let destination_key = match self.rules.map.map(key) {
            Ok(mapped) => mapped,
            Err(error) => {
                give_up(block, too_long(&error));
                return None;
            }
        };
        let (source, destination) = tokio::join!(self.at_source(key), self.destination.head(&destination_key, Pin::default()));
        let source: Entry = match source {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                self.archives.forget(key);
                self.rules.skipped(block, key, 0, "vanished", true);
                return None;
            }
            Err(error) => {
                give_up(block, failed(&error));
                return None;
            }
        };
        // what the destination does not tell is compared as missing, and copied
        let destination: Option<Entry> = destination.ok().map(|info| info.entry(destination_key.clone()));
        let Some(reason) = self.rules.decide(block, (&source).into(), destination.as_ref().map(Into::into), None) else {
            // the same, or left out by now
            self.archives.forget(key);
            return None;
        };
        Some(Task { open: Open::new(block, key, source.size), entry: source, destination_key, reason, ask_first: false, ticket: None })
    }
}
