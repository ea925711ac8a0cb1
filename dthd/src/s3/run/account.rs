//! The books of a run: every object that is listed is entered once, and crossed out once with its outcome.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{RunInput, with_listing};
use crate::{
    clock,
    store::{
        RunRecord, Store,
        item::{ItemOutcome, ItemRecord},
        record::Tally,
    },
    transfer::{
        progress::Progress,
        watermark::{Seq, Watermark},
    },
};

/// An object that was listed and is not finished.
#[derive(Debug)]
pub(super) struct Open {
    seq: Seq,
    /// Source key.
    pub(super) key: String,
    /// Bytes as listed.
    pub(super) size: u64,
}

/// See the module.
pub(super) struct Account {
    uid: u64,
    run: u32,
    store: Store,
    progress: Arc<Progress>,
    books: Mutex<Books>,
}

struct Books {
    mark: Watermark,
    /// Up to this key an earlier pass may have finished objects behind the checkpoint.
    resumed_to: Option<String>,
}

impl Account {
    /// Continues from the checkpoint of the record.
    pub(super) fn resume(input: &RunInput) -> Arc<Self> {
        let record = &input.record;
        let mark = Watermark::new(record.cursor.clone(), record.tally.clone());
        let account = Self {
            uid: input.uid,
            run: record.run,
            store: input.store.clone(),
            progress: Arc::clone(&input.progress),
            books: Mutex::new(Books { mark, resumed_to: last_item(&input.store, input.uid, record.run) }),
        };
        account.restore_failures(record.cursor.as_deref());
        Arc::new(account)
    }

    /// Begins again at the first key; what has a record is not done again.
    pub(super) fn restart(&self, store: &Store) {
        let mut books = self.books();
        books.mark = Watermark::new(None, Tally::default());
        books.resumed_to = last_item(store, self.uid, self.run);
        self.progress.reset(Tally::default());
    }

    /// Failed objects up to the checkpoint stay failed; those behind it are tried again.
    fn restore_failures(&self, cursor: Option<&str>) {
        let Some(cursor) = cursor else { return };
        let restored = self.store.each_failure(self.uid, self.run, |item| {
            if item.key.as_str() <= cursor {
                self.progress.failed(&item);
            }
        });
        if let Err(error) = restored {
            tracing::warn!("cannot read the failures of the run: {error}");
        }
    }

    /// Where the listing has to begin.
    pub(super) fn cursor(&self) -> Option<String> {
        self.books().mark.checkpoint().0.map(str::to_owned)
    }

    /// Enters an object that was listed.
    pub(super) fn open(&self, key: &str, size: u64) -> Open {
        let seq = self.books().mark.open(key.to_owned());
        self.progress.listed(size);
        Open { seq, key: key.to_owned(), size }
    }

    /// What an earlier pass of this run did with the object, if it finished it.
    pub(super) fn earlier(&self, key: &str, source_etag: &str) -> Option<ItemRecord> {
        if !self.resumed(key) {
            return None;
        }
        let record = self.store.item(self.uid, self.run, key).ok().flatten()?;
        // copied from the generation that is there now, or left out by a rule; what failed is tried again
        match &record.outcome {
            ItemOutcome::Copied { source_etag: copied, .. } if copied == source_etag => Some(record),
            _ => None,
        }
    }

    /// Whether an earlier pass of this run may have finished the object.
    fn resumed(&self, key: &str) -> bool {
        self.books().resumed_to.as_deref().is_some_and(|last| key <= last)
    }

    /// The object is the same at both ends.
    pub(super) fn same(&self, open: &Open) {
        if self.resumed(&open.key) {
            // an earlier pass may have failed with it
            self.store.remove_item(self.uid, self.run, &open.key);
        }
        self.close(open, &Tally::same(open.size));
    }

    /// An earlier pass copied it; nothing is recorded or measured again.
    pub(super) fn copied_earlier(&self, open: &Open, record: &ItemRecord) {
        if let ItemOutcome::Copied { verified, .. } = &record.outcome {
            self.close(open, &Tally::copied(record.size, verified));
        }
    }

    /// A rule leaves it out. `record`: keep a record of it (not for rules that leave out a part of the bucket).
    pub(super) fn skipped(&self, open: &Open, rule: &str, record: bool) {
        if record {
            self.put(open, open.size, 1, ItemOutcome::Skipped { reason: rule.to_owned() });
        }
        self.close(open, &Tally::skipped(open.size, rule));
    }

    /// It was copied and verified; `size` of the generation that was copied.
    pub(super) fn copied(&self, open: &Open, size: u64, tries: u32, outcome: ItemOutcome) {
        let ItemOutcome::Copied { verified, .. } = &outcome else { return };
        let mut tally = Tally::copied(size, verified);
        // another generation than the listed one may have another size; what was listed is what is done
        tally.counters.bytes_done = open.size;
        self.progress.totals.add_copied(size);
        self.put(open, size, tries, outcome);
        self.close(open, &tally);
    }

    /// It was given up.
    pub(super) fn failed(&self, open: &Open, tries: u32, outcome: ItemOutcome) {
        let record = self.put(open, open.size, tries, outcome);
        if let Some(item) = record.failure(open.key.clone()) {
            self.progress.failed(&item);
        }
        self.progress.totals.add_failed();
        self.close(open, &Tally::failed(open.size));
    }

    fn put(&self, open: &Open, size: u64, tries: u32, outcome: ItemOutcome) -> ItemRecord {
        let tries = u16::try_from(tries).unwrap_or(u16::MAX);
        let record = ItemRecord { size, at: clock::now(), tries, outcome };
        self.store.put_item(self.uid, self.run, &open.key, &record);
        record
    }

    fn close(&self, open: &Open, outcome: &Tally) {
        self.books().mark.done(open.seq, with_listing(open.size, outcome));
        self.progress.finished(outcome);
    }

    /// The listing of the source is complete.
    pub(super) fn listing_done(&self) {
        self.progress.listing_done();
    }

    /// The record with the present checkpoint.
    pub(super) fn record(&self, began: &RunRecord, worked: Duration) -> RunRecord {
        let mut record = began.clone();
        {
            let books = self.books();
            let (cursor, tally) = books.mark.checkpoint();
            record.cursor = cursor.map(str::to_owned);
            record.tally = tally.clone();
        }
        let counters = self.progress.counters();
        record.tally.counters.requests = counters.requests;
        record.tally.counters.retries = counters.retries;
        record.worked = worked;
        record
    }

    /// The books are changed in single steps: they are whole also when a holder panicked.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without this key nothing is looked up and everything is compared again: slower, and as right.
fn last_item(store: &Store, uid: u64, run: u32) -> Option<String> {
    store.last_item(uid, run).ok().flatten()
}
