//! What events say of objects, brought to the destination: asked for at both ends, compared and copied as in a full run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use dth_proto::{
    event::Level,
    failure::FailureClass,
    spec::{Delete, EventQueue, S3Job, S3Options},
};
use tokio::sync::mpsc;

use super::{
    ends::Ends,
    feed::Task,
    removal::{Removal, Verdict, is_missing},
    rules::{Rules, too_long},
};
use crate::{
    clock,
    events::{
        Sequencer,
        consumer::{Applied, Apply, Consumer, Owner},
        inbox::Hint,
        message::{self, Happened, Reading},
        queue::Queue,
    },
    s3::{
        client::Bucket,
        metadata::ObjectInfo,
        object::{Entry, Pin},
        page::EntryRef,
        prefix::Selection,
    },
    store::{Store, StoreError},
    transfer::{
        TransferError,
        account::{Open, failed},
        checkpoint::Checkpoint,
        progress::Progress,
        run::RunInput,
        ticket::{Ticket, Told, may_pass},
        turns::Turns,
        watermark::{Block, Span},
    },
};

/// How often an object is looked at anew because it came or went under the copy.
const LOOKS: u32 = 4;

/// What is said of a key, by one event or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// One of them says that it was removed.
    removed: bool,
    /// The newest of them.
    newest: Option<Sequencer>,
    /// One of them has no place in the order.
    unordered: bool,
}

impl Hint for Said {
    fn merge(&mut self, later: &Self) {
        self.removed |= later.removed;
        self.unordered |= later.unordered;
        // Some is more than None
        self.newest = self.newest.take().max(later.newest.clone());
    }
}

/// See the module.
pub(super) struct Events {
    uid: u64,
    owner: Owner,
    store: Store,
    source: Bucket,
    destination: Bucket,
    removal: Removal,
    rules: Rules,
    job: S3Job,
    selection: Selection,
    progress: Arc<Progress>,
    queue: mpsc::Sender<Task>,
    turns: Arc<Turns>,
    checkpoint: Arc<Checkpoint>,
    /// The guard of deletes has been told.
    guarded: AtomicBool,
}

/// How a look at an object ended.
enum Looked {
    /// Its outcome is in the books, and its events are dealt with.
    Done,
    /// The turn ends like this; its events are not dealt with, or not well.
    Ended(Applied),
    /// It is not what it was a moment ago.
    Changed,
}

/// The consumer of a run that applies events.
///
/// # Errors
/// When the queue cannot be asked at all, in words.
pub(super) async fn consumer(
    input: &RunInput,
    (events, job, selection): (&EventQueue, &S3Job, &Selection),
    ends: &Ends,
    rules: Rules,
    (queue, turns): (mpsc::Sender<Task>, &Arc<Turns>),
    checkpoint: &Arc<Checkpoint>,
) -> Result<Consumer<Events>, String> {
    let region = job.source.store.region.as_deref();
    let opened = Queue::open(events, region, &input.resources.credentials()).await.map_err(|e| e.to_string())?;
    let apply = Events {
        uid: input.uid,
        owner: Owner::of(input),
        store: input.store.clone(),
        source: ends.source.clone(),
        destination: ends.destination.clone(),
        removal: Removal::new(input, ends),
        rules,
        job: job.clone(),
        selection: selection.clone(),
        progress: Arc::clone(&input.progress),
        queue,
        turns: Arc::clone(turns),
        checkpoint: Arc::clone(checkpoint),
        guarded: AtomicBool::new(false),
    };
    Ok(Consumer::new(opened, apply, Owner::of(input)))
}

impl Apply for Events {
    type Hint = Said;

    fn read(&self, body: &str) -> Reading<(String, Said)> {
        let changes = match message::read(body) {
            Reading::Changes(changes) => changes,
            Reading::Nothing(why) => return Reading::Nothing(why),
            Reading::Unknown(why) => return Reading::Unknown(why),
        };
        let ours = self.source.name();
        if changes.iter().any(|change| change.bucket.as_deref().is_some_and(|bucket| bucket != ours)) {
            return Reading::Unknown("about another bucket");
        }
        let selected = changes.into_iter().filter(|change| self.selects(&change.key));
        let said: Vec<(String, Said)> = selected
            .map(|change| {
                let removed = matches!(change.happened, Happened::Removed | Happened::VersionRemoved);
                (change.key, Said { removed, unordered: change.sequencer.is_none(), newest: change.sequencer })
            })
            .collect();
        if said.is_empty() { Reading::Nothing("about keys that the task does not select") } else { Reading::Changes(said) }
    }

    async fn apply(&self, key: Arc<str>, said: Said, last: bool) -> Applied {
        if self.is_dealt_with(&key, &said) {
            return Applied::Done;
        }
        for _ in 0..LOOKS {
            match self.look(&key, &said, last).await {
                Looked::Done => {
                    if let Some(newest) = &said.newest {
                        self.store.put_sequencer(self.uid, &key, newest, clock::now());
                    }
                    return Applied::Done;
                }
                Looked::Ended(applied) => return applied,
                Looked::Changed => {}
            }
        }
        let message = format!("the object came and went {LOOKS} times while it was looked at");
        self.trouble(&key, TransferError::new(FailureClass::Changed, self.source.side(), "HeadObject", "ComesAndGoes", message), last)
    }

    async fn kept(&self, retention: Duration) {
        if let Err(error) = self.store.forget_sequencers(self.uid, retention, clock::now()).await {
            tracing::warn!("events that are too old to come again are remembered longer: {error}");
        }
    }

    async fn commit(&self) -> Result<(), StoreError> {
        self.checkpoint.durable().await
    }
}

impl Events {
    /// Whether a key is one that a full run would list. What cannot be told is looked at: too much is compared, nothing is lost.
    fn selects(&self, key: &str) -> bool {
        self.selection.selects(key).unwrap_or(true)
    }

    /// Whether all that is said happened before, or is, what was acted upon last: the source was asked after that.
    fn is_dealt_with(&self, key: &str, said: &Said) -> bool {
        let Some(newest) = said.newest.as_ref().filter(|_| !said.unordered) else { return false };
        // what cannot be read is looked at again
        self.store.sequencer(self.uid, key).ok().flatten().is_some_and(|done| *newest <= done)
    }

    async fn look(&self, key: &str, said: &Said, last: bool) -> Looked {
        let destination_key = match self.rules.map.map(key) {
            Ok(mapped) => mapped,
            Err(error) => {
                let mut block = Block::new(Span::OUTSIDE);
                self.rules.failed(&mut block, key, 0, too_long(&error));
                self.rules.account.enter(&mut block);
                return Looked::Done;
            }
        };
        let (source, destination) =
            tokio::join!(self.source.head(key, Pin::default()), self.destination.head(&destination_key, Pin::default()));
        match source {
            Ok(info) => self.copy(info.entry(key.to_owned()), destination_key, destination.ok(), last).await,
            Err(error) if is_missing(&error) => self.gone(key, &destination_key, destination, said, last).await,
            Err(error) => Looked::Ended(self.trouble(key, error, last)),
        }
    }

    /// Compares, and copies if need be. What the destination does not tell is compared as missing, and copied.
    async fn copy(&self, entry: Entry, destination_key: String, destination: Option<ObjectInfo>, last: bool) -> Looked {
        let account = &self.rules.account;
        let mut block = Block::new(Span::OUTSIDE);
        let there: Option<Entry> = destination.map(|info| info.entry(destination_key.clone()));
        let Some(reason) = self.rules.decide(&mut block, (&entry).into(), there.as_ref().map(Into::into), None) else {
            let entered = account.enter(&mut block);
            if entered.tally.counters.same > 0 && account.has_failed(&entry.key) {
                account.forget(&entry.key);
            }
            return Looked::Done;
        };
        let open = Open::new(&mut block, &entry.key, entry.size);
        account.enter(&mut block);
        let (ticket, told) = Ticket::new(last);
        let task = Task { open, entry, destination_key, reason, ask_first: false, ticket: Some(ticket) };
        if self.queue.send(task).await.is_err() {
            return Looked::Ended(Applied::Stopped);
        }
        match told.await {
            Ok(Told::Done) => Looked::Done,
            Ok(Told::GivenUp) => Looked::Ended(Applied::Done),
            Ok(Told::Vanished) => Looked::Changed,
            Ok(Told::Failed(error)) => Looked::Ended(Applied::Again(error)),
            Err(_) => Looked::Ended(Applied::Stopped),
        }
    }

    /// The source does not have it.
    async fn gone(
        &self,
        key: &str,
        destination_key: &str,
        destination: Result<ObjectInfo, TransferError>,
        said: &Said,
        last: bool,
    ) -> Looked {
        if !said.removed {
            // its removal has an event of its own
            return self.skip(key, "vanished");
        }
        if self.job.options.delete != Delete::Mirror {
            return self.skip(key, "removed");
        }
        let there = match destination {
            Ok(there) => there.entry(key.to_owned()),
            Err(error) if is_missing(&error) => return Looked::Done,
            Err(error) => return Looked::Ended(self.trouble(key, error, last)),
        };
        // what the task leaves out is not its to delete; what it was modified at and where it is stored says nothing here
        let listed = EntryRef { modified: clock::now(), class: "", ..(&there).into() };
        if self.rules.leaves_out_key_or_size(&listed) {
            return self.skip(key, "removed");
        }
        let most = self.job.options.max_deletes.unwrap_or(S3Options::MAX_DELETES);
        if self.progress.counters().deleted >= most {
            if !self.guarded.swap(true, Relaxed) {
                let message = format!(
                    "{most} objects were deleted by events of this run: further ones stay until the next full compare (options.max_deletes)"
                );
                self.owner.events.push(Level::Warn, Some((&self.owner.name, Some(self.owner.run))), message);
            }
            return self.skip(key, "delete-guard");
        }
        let _turn = self.turns.take(destination_key).await;
        match self.removal.remove(key, destination_key).await {
            Verdict::Delete => {
                self.rules.account.removed(key, there.size);
                Looked::Done
            }
            Verdict::Gone => Looked::Done,
            Verdict::Keep => Looked::Changed,
            Verdict::Fail(error) => Looked::Ended(self.trouble(key, error, last)),
        }
    }

    fn skip(&self, key: &str, rule: &str) -> Looked {
        let mut block = Block::new(Span::OUTSIDE);
        self.rules.skipped(&mut block, key, 0, rule, true);
        self.rules.account.enter(&mut block);
        Looked::Done
    }

    fn trouble(&self, key: &str, error: TransferError, last: bool) -> Applied {
        if !last && may_pass(&error) {
            return Applied::Again(error);
        }
        let mut block = Block::new(Span::OUTSIDE);
        self.rules.failed(&mut block, key, 0, failed(&error));
        self.rules.account.enter(&mut block);
        Applied::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_events_of_a_key_become_one() {
        let said = |removed, newest: Option<&str>| Said { removed, unordered: newest.is_none(), newest: newest.and_then(Sequencer::new) };
        let merged = |mut a: Said, b: &Said| {
            a.merge(b);
            a
        };
        let both = |removed, newest: &str, unordered| Said { removed, newest: Sequencer::new(newest), unordered };
        assert_eq!(merged(said(false, Some("0A")), &said(false, Some("09"))), both(false, "0A", false), "reordered");
        assert_eq!(merged(said(true, Some("0A")), &said(false, Some("0B"))), both(true, "0B", false));
        assert_eq!(merged(said(false, None), &said(false, Some("0B"))), both(false, "0B", true));
        assert_eq!(merged(said(false, Some("0B")), &said(true, None)), both(true, "0B", true));
    }
}
