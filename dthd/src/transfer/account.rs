//! The books of a run: every item that is listed is entered once, and crossed out once with its outcome.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    clock,
    store::{
        RunRecord, Store,
        item::{ItemOutcome, ItemRecord, TO_DELETE},
        record::{Remaining, Tally},
    },
    transfer::{
        TransferError,
        estimate::Requests,
        progress::Progress,
        watermark::{Block, Piece, Seq, Span, Watermark},
    },
};

/// An item that was listed and is not finished.
#[derive(Debug)]
pub struct Open {
    seq: Seq,
    /// Source key.
    pub key: String,
    /// Bytes as listed, or as told since by [`Account::sized`].
    pub size: u64,
}

/// Items under one key that were listed together, and finish one after the other: a checkpoint has all of them or none.
#[derive(Debug)]
pub struct OpenGroup {
    seq: Seq,
    /// Listing of all of them, and the outcomes so far.
    tally: Tally,
}

impl OpenGroup {
    /// Lists them in a block that is still to be entered: `tally` has the listing of all and the outcomes of those that are finished,
    /// `open` are not.
    pub fn new(block: &mut Block, key: &str, tally: Tally, open: u64) -> Self {
        Self { seq: block.open_all(key, &tally, open), tally }
    }
}

/// See the module.
pub struct Account {
    uid: u64,
    run: u32,
    store: Store,
    progress: Arc<Progress>,
    books: Mutex<Books>,
}

struct Books {
    mark: Watermark,
    /// An earlier pass may have finished objects in what remains: it left records.
    continued: bool,
}

impl Open {
    /// Lists an object in a block that is still to be entered.
    pub fn new(block: &mut Block, key: &str, size: u64) -> Self {
        Self { seq: block.open(key, size), key: key.to_owned(), size }
    }
}

impl Account {
    /// Continues the run with this uid and number from its checkpoint.
    pub fn resume(
        store: &Store,
        (uid, run): (u64, u32),
        remaining: Option<&[Remaining]>,
        tally: Tally,
        progress: &Arc<Progress>,
    ) -> Arc<Self> {
        let mark = Watermark::new(remaining, tally);
        let account = Self {
            uid,
            run,
            store: store.clone(),
            progress: Arc::clone(progress),
            books: Mutex::new(Books { mark, continued: has_records(store, uid, run) }),
        };
        account.restore_failures(remaining);
        Arc::new(account)
    }

    /// Begins again at the first key; what has a record is not done again. Nobody may be listing.
    pub fn restart(&self) {
        let mut books = self.books();
        books.mark.restart();
        books.continued = has_records(&self.store, self.uid, self.run);
        self.progress.reset(Tally::default());
    }

    /// Failed objects in what is finished stay failed; those in what remains are tried again.
    fn restore_failures(&self, remaining: Option<&[Remaining]>) {
        let Some(remaining) = remaining else { return };
        let restored = self.store.each_failure(self.uid, self.run, |item| {
            if !remaining.iter().any(|part| part.contains(&item.key)) {
                self.progress.failed(&item);
            }
        });
        if let Err(error) = restored {
            tracing::warn!("cannot read the failures of the run: {error}");
        }
    }

    /// What is to be listed.
    pub fn pieces(&self) -> Vec<Piece> {
        self.books().mark.pieces()
    }

    /// Cuts a span behind each of these keys: see [`Watermark::split`].
    pub fn split(&self, span: Span, cuts: &[String]) -> Vec<Piece> {
        self.books().mark.split(span, cuts)
    }

    /// Everything of a span has been listed.
    pub fn listed(&self, span: Span) {
        self.books().mark.listed(span);
    }

    /// Spans that are not finished.
    pub fn spans(&self) -> usize {
        self.books().mark.spans()
    }

    /// Whether an earlier pass of this run may have finished objects in what remains.
    pub fn is_continued(&self) -> bool {
        self.books().continued
    }

    /// Enters what was listed and decided. Open objects may be worked on from now on, not earlier.
    pub fn enter(&self, block: &mut Block) {
        let entered = self.books().mark.enter(block);
        self.progress.decided(&entered.tally, entered.open);
    }

    /// The object need not be copied, whatever an earlier pass said of it.
    pub fn forget(&self, key: &str) {
        self.store.remove_item(self.uid, self.run, key);
    }

    /// Records that the state of an object leaves it out.
    pub fn note_skipped(&self, key: &str, size: u64, rule: &str) {
        self.put(key, size, 1, ItemOutcome::Skipped { reason: rule.to_owned() });
    }

    /// Records that an object is given up.
    pub fn note_failed(&self, key: &str, size: u64, tries: u32, outcome: ItemOutcome) {
        let record = self.put(key, size, tries, outcome);
        if let Some(item) = record.failure(key.to_owned()) {
            self.progress.failed(&item);
        }
        self.progress.totals.add_failed();
    }

    /// A rule leaves it out. `record`: keep a record of it (not for rules that leave out a part of the bucket).
    pub fn skipped(&self, open: &Open, rule: &str, record: bool) {
        if record {
            self.note_skipped(&open.key, open.size, rule);
        }
        self.close(open, &Tally::skipped(open.size, rule));
    }

    /// How large it is turned out after it was listed (images: when their manifests were read).
    pub fn sized(&self, open: &mut Open, size: u64) {
        self.progress.resized(open.size, size);
        open.size = size;
    }

    /// It turned out not to need a copy.
    pub fn same(&self, open: &Open) {
        if self.is_continued() {
            // an earlier pass may have failed with it
            self.forget(&open.key);
        }
        self.close(open, &Tally::same(open.size));
    }

    /// It was copied and verified; `size` of the generation that was copied.
    pub fn copied(&self, open: &Open, size: u64, tries: u32, outcome: ItemOutcome) {
        let ItemOutcome::Copied { verified, .. } = &outcome else { return };
        let mut tally = Tally::copied(size, verified);
        // another generation than the listed one may have another size; what was listed is what is done
        tally.counters.bytes_done = open.size;
        self.progress.totals.add_copied(size);
        self.put(&open.key, size, tries, outcome);
        self.close(open, &tally);
    }

    /// A run that changes nothing would copy it by sending so many bytes in these requests.
    pub fn planned(&self, open: &Open, bytes: u64, requests: Requests, reason: &str) {
        self.put(&open.key, open.size, 1, ItemOutcome::Planned { reason: reason.to_owned() });
        self.close(open, &Tally::planned(open.size, bytes, requests, reason));
    }

    /// Records that a run that changes nothing would remove an item from the destination. It is counted by whoever enters it
    /// ([`Tally::to_delete`]).
    pub fn note_to_delete(&self, key: &str, size: u64) {
        self.put(key, size, 1, ItemOutcome::Planned { reason: TO_DELETE.to_owned() });
    }

    /// It was given up.
    pub fn failed(&self, open: &Open, tries: u32, outcome: ItemOutcome) {
        self.note_failed(&open.key, open.size, tries, outcome);
        self.close(open, &Tally::failed(open.size));
    }

    /// One of a group is finished; `size` as it was listed, the outcome as it is recorded; `requests`: what it would take, where it is only
    /// planned.
    pub fn close_one(
        &self,
        group: &mut OpenGroup,
        (name, size): (&str, u64),
        tries: u32,
        outcome: ItemOutcome,
        requests: impl FnOnce() -> Requests,
    ) {
        let tally = match &outcome {
            ItemOutcome::Copied { verified, .. } => {
                self.progress.totals.add_copied(size);
                Tally::copied(size, verified)
            }
            ItemOutcome::Skipped { reason } => Tally::skipped(size, reason),
            ItemOutcome::Planned { reason } => Tally::planned(size, size, requests(), reason),
            _ => Tally::failed(size),
        };
        match outcome {
            failed @ ItemOutcome::Failed { .. } => self.note_failed(name, size, tries, failed),
            outcome => drop(self.put(name, size, tries, outcome)),
        }
        group.tally.add(&tally);
        self.progress.finished(&tally);
    }

    /// All of a group are finished.
    pub fn close_group(&self, group: OpenGroup) {
        self.books().mark.done(group.seq, group.tally);
    }

    /// What an earlier pass of this run recorded of an item.
    pub fn recorded(&self, name: &str) -> Option<ItemRecord> {
        if self.is_continued() { self.store.item(self.uid, self.run, name).ok().flatten() } else { None }
    }

    fn put(&self, key: &str, size: u64, tries: u32, outcome: ItemOutcome) -> ItemRecord {
        let tries = u16::try_from(tries).unwrap_or(u16::MAX);
        let record = ItemRecord { size, at: clock::now(), tries, outcome };
        self.store.put_item(self.uid, self.run, key, &record);
        record
    }

    fn close(&self, open: &Open, outcome: &Tally) {
        self.books().mark.done(open.seq, with_listing(open.size, outcome));
        self.progress.finished(outcome);
    }

    /// The listing of the source is complete.
    pub fn listing_done(&self) {
        self.progress.listing_done();
    }

    /// The record with the present checkpoint.
    pub fn record(&self, began: &RunRecord, worked: Duration) -> RunRecord {
        let mut record = began.clone();
        {
            let books = self.books();
            let (remaining, tally) = books.mark.checkpoint();
            record.remaining = Some(remaining);
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

/// If it cannot be told, nothing is looked up and everything is compared again: slower, and as right.
fn has_records(store: &Store, uid: u64, run: u32) -> bool {
    matches!(store.last_item(uid, run), Ok(Some(_)))
}

/// Counts of an item with its listing, as the watermark keeps them.
fn with_listing(size: u64, outcome: &Tally) -> Tally {
    let mut tally = Tally::default();
    tally.list(size);
    tally.add(outcome);
    tally
}

/// A failed request as the outcome of an item.
#[must_use]
pub fn failed(error: &TransferError) -> ItemOutcome {
    ItemOutcome::Failed {
        class: error.class,
        side: error.side,
        operation: error.operation.to_owned(),
        code: error.code.clone(),
        message: error.message.clone(),
        request_id: error.request_id.clone(),
    }
}
