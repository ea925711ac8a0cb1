//! The failed items of an earlier run as objects to look at again.

use dth_proto::failure::FailureClass;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    PassEnd,
    feed::Task,
    rules::{Rules, too_long},
};
use crate::{
    s3::{
        client::Bucket,
        object::{Entry, Pin},
    },
    store::{
        Store,
        item::{ItemOutcome, ItemRecord},
    },
    transfer::{
        account::{Open, failed},
        run::RunInput,
        watermark::Block,
    },
};

/// Failed items read from the store at once.
const PAGE: usize = 500;

/// Asks both ends for each object, one by one.
pub(super) struct Failures {
    uid: u64,
    /// The run whose items failed.
    of: u32,
    /// Only those of this class.
    class: Option<FailureClass>,
    store: Store,
    source: Bucket,
    destination: Bucket,
    rules: Rules,
    queue: mpsc::Sender<Task>,
}

impl Failures {
    pub(super) fn new(
        input: &RunInput,
        (of, class): (u32, Option<FailureClass>),
        (source, destination): (&Bucket, &Bucket),
        rules: Rules,
        queue: mpsc::Sender<Task>,
    ) -> Self {
        let (source, destination) = (source.clone(), destination.clone());
        Self { uid: input.uid, of, class, store: input.store.clone(), source, destination, rules, queue }
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
                let wanted = |record: &ItemRecord| record.is_failure(self.class);
                let (items, next) = match self.store.items(self.uid, self.of, "", after.as_deref(), PAGE, wanted) {
                    Ok(read) => read,
                    Err(error) => return PassEnd::Failed(error.to_string()),
                };
                for (key, _) in items {
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
        let (source, destination) =
            tokio::join!(self.source.head(key, Pin::default()), self.destination.head(&destination_key, Pin::default()));
        let source: Entry = match source {
            Ok(info) => info.entry(key.to_owned()),
            Err(error) if error.class == FailureClass::Changed => {
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
        let reason = self.rules.decide(block, (&source).into(), destination.as_ref().map(Into::into), None)?;
        Some(Task { open: Open::new(block, key, source.size), entry: source, destination_key, reason, ask_first: false, ticket: None })
    }
}
