//! Where objects come from: both listings joined, or the failed items of an earlier run; and what is decided about each.

use std::sync::Arc;

use dth_proto::{
    failure::{FailureClass, Side},
    spec::{Compare, S3Job},
};
use tokio::sync::mpsc;

use super::{
    PassEnd, RunInput,
    account::{Account, Open},
    ends::Ends,
};
use crate::{
    clock,
    s3::{
        client::Bucket,
        compare::{CompareRules, CopyReason, Decision, decide},
        filter::Filter,
        join::{self, Join},
        key::{KeyMap, KeyTooLong},
        list::ListError,
        object::Entry,
        page::EntryRef,
        provider::ByteOrder,
        stream::{EntryStream, Range},
    },
    store::{RunKind, Store, item::ItemOutcome},
    transfer::TransferError,
};

/// Failed items read from the store at once.
const PAGE: usize = 500;

/// An object that must be copied.
#[derive(Debug)]
pub(super) struct Task {
    /// Its entry in the books.
    pub(super) open: Open,
    /// The generation that was compared.
    pub(super) entry: Entry,
    /// Where it goes.
    pub(super) destination_key: String,
    /// Why.
    pub(super) reason: CopyReason,
    /// The destination's listing lacked it, and is not known to be in byte order: ask before copying.
    pub(super) ask_first: bool,
}

/// An object and what the destination has in its place.
struct Pair {
    source: Entry,
    destination: Option<Entry>,
}

enum Origin {
    Listing(Box<Join>),
    Failures { of: u32, class: Option<FailureClass>, after: Option<String>, page: std::vec::IntoIter<String>, ended: bool },
}

/// See the module.
pub(super) struct Feed {
    uid: u64,
    store: Store,
    account: Arc<Account>,
    origin: Origin,
    source: Bucket,
    destination: Bucket,
    map: KeyMap,
    filter: Filter,
    compare: Compare,
    rules: CompareRules,
    suspect: bool,
    destination_seen: bool,
    queue: mpsc::Sender<Task>,
}

impl Feed {
    pub(super) fn open(
        input: &RunInput,
        job: &S3Job,
        ends: &Ends,
        account: &Arc<Account>,
        queue: mpsc::Sender<Task>,
    ) -> Result<Self, String> {
        let map = KeyMap::new(&job.source, &job.destination).map_err(|e| e.to_string())?;
        let since = input.record.started.unwrap_or_else(clock::now);
        let filter = Filter::new(&job.options, since).map_err(|problems| problems.join("; "))?;
        let cursor = account.cursor();
        let origin = match &input.record.kind {
            RunKind::Full => Origin::Listing(Box::new(join(job, ends, &map, cursor))),
            RunKind::Retry { of, class } => {
                Origin::Failures { of: *of, class: *class, after: cursor, page: Vec::new().into_iter(), ended: false }
            }
        };
        Ok(Self {
            uid: input.uid,
            store: input.store.clone(),
            account: Arc::clone(account),
            origin,
            source: ends.source.clone(),
            destination: ends.destination.clone(),
            map,
            filter,
            compare: job.options.compare,
            rules: ends.rules,
            suspect: ends.destination_order == ByteOrder::Unknown,
            destination_seen: false,
            queue,
        })
    }

    pub(super) async fn run(mut self) -> PassEnd {
        loop {
            // records are written behind, but memory stays bounded
            if let Err(error) = self.store.writer().room().await {
                return PassEnd::Failed(error.to_string());
            }
            let pair = match self.next().await {
                Ok(Some(pair)) => pair,
                Ok(None) => break,
                Err(ListError::Unordered { side, .. }) => return PassEnd::Unordered(side),
                Err(error) => return PassEnd::Failed(error.to_string()),
            };
            self.destination_seen |= pair.destination.is_some();
            if let Some(task) = self.sort_out(pair)
                && self.queue.send(task).await.is_err()
            {
                return PassEnd::Stopped;
            }
        }
        self.account.listing_done();
        PassEnd::Complete
    }

    /// Decides; what is not to be copied is finished here.
    fn sort_out(&self, pair: Pair) -> Option<Task> {
        let Pair { source: entry, destination } = pair;
        let destination_key = self.map.map_any(&entry.key);
        let open = self.account.open(&entry.key, entry.size);
        if let Some(rule) = self.filter.skip(&EntryRef::from(&entry)) {
            self.account.skipped(&open, rule.word(), rule.is_about_the_object());
            return None;
        }
        if let Err(error) = KeyTooLong::check(&destination_key) {
            self.account.failed(&open, 1, too_long(&error));
            return None;
        }
        if let Some(record) = self.account.earlier(&entry.key, entry.etag.as_str()) {
            self.account.copied_earlier(&open, &record);
            return None;
        }
        // a record that cannot be read is as good as none: the object is compared by what the listings say
        let recorded = || self.store.pair(self.uid, &destination_key).ok().flatten();
        match decide(self.compare, (&entry).into(), destination.as_ref().map(Into::into), recorded, &self.rules) {
            Decision::Same(_) => {
                self.account.same(&open);
                None
            }
            Decision::Copy(reason) => {
                let ask_first = self.suspect && reason == CopyReason::Missing && self.something_is_there();
                Some(Task { open, entry, destination_key, reason, ask_first })
            }
        }
    }

    /// Whether the destination had anything so far; an empty one cannot be out of order.
    fn something_is_there(&self) -> bool {
        match &self.origin {
            Origin::Listing(join) => self.destination_seen || join.destination_has_keys(),
            Origin::Failures { .. } => false,
        }
    }

    async fn next(&mut self) -> Result<Option<Pair>, ListError> {
        loop {
            let key = match &mut self.origin {
                Origin::Listing(join) => {
                    let owned = |p: join::Pair<'_>| Pair { source: p.source.to_entry(), destination: p.destination.map(|d| d.to_entry()) };
                    match join.next().map(owned) {
                        Some(pair) => return Ok(Some(pair)),
                        None if join.fill().await? => continue,
                        None => return Ok(None),
                    }
                }
                Origin::Failures { of, class, after, page, ended } => match page.next() {
                    Some(key) => key,
                    None if *ended => return Ok(None),
                    None => {
                        let wanted = *class;
                        let read = self.store.items(self.uid, *of, "", after.as_deref(), PAGE, |r| r.is_failure(wanted));
                        let (items, next) = read.map_err(|e| unreadable(&e))?;
                        *ended = next.is_none();
                        *after = next;
                        *page = items.into_iter().map(|(key, _)| key).collect::<Vec<_>>().into_iter();
                        continue;
                    }
                },
            };
            if let Some(pair) = self.look(key).await? {
                return Ok(Some(pair));
            }
        }
    }

    /// Both ends of a key, asked one by one. What cannot be read at the source is entered and finished here.
    async fn look(&mut self, key: String) -> Result<Option<Pair>, ListError> {
        let destination_key = match self.map.map(&key) {
            Ok(mapped) => mapped,
            Err(error) => {
                let open = self.account.open(&key, 0);
                self.account.failed(&open, 1, too_long(&error));
                return Ok(None);
            }
        };
        let (source, destination) = tokio::join!(self.source.head(&key, None), self.destination.head(&destination_key, None));
        match source {
            Ok(info) => {
                let source = info.entry(key);
                // what the destination does not tell is compared as missing, and copied
                let destination = destination.ok().map(|info| info.entry(destination_key.clone()));
                Ok(Some(Pair { source, destination }))
            }
            Err(error) if error.class == FailureClass::Changed => {
                let open = self.account.open(&key, 0);
                self.account.skipped(&open, "vanished", true);
                Ok(None)
            }
            Err(error) => {
                let open = self.account.open(&key, 0);
                self.account.failed(&open, 1, failed(&error));
                Ok(None)
            }
        }
    }
}

fn join(job: &S3Job, ends: &Ends, map: &KeyMap, cursor: Option<String>) -> Join {
    let prefix = job.source.prefix.clone();
    let behind = cursor.as_deref().map(|key| map.start_after(key));
    let there = map.destination_prefix(&prefix);
    let range = Range { after: cursor, ..Range::all(&prefix) };
    let source = EntryStream::open(Arc::new(ends.source.clone()), Side::Source, range, ends.source_order, ends.sort.clone());
    let (order, sort) = (ends.destination_order, ends.sort.clone());
    let range = Range { after: behind, ..Range::all(&there) };
    let destination = EntryStream::open(Arc::new(ends.destination.clone()), Side::Destination, range, order, sort);
    Join::new(source, destination, map, &prefix)
}

/// A failure of the run itself, not of an object.
fn unreadable(error: &crate::store::StoreError) -> ListError {
    TransferError::new(FailureClass::Permanent, Side::Source, "ReadFailures", "StateUnreadable", error.to_string()).into()
}

fn too_long(error: &KeyTooLong) -> ItemOutcome {
    failed(&TransferError::new(FailureClass::Permanent, Side::Destination, "PutObject", "KeyTooLong", error.to_string()))
}

/// A failed request as the outcome of an item.
pub(super) fn failed(error: &TransferError) -> ItemOutcome {
    ItemOutcome::Failed {
        class: error.class,
        side: error.side,
        operation: error.operation.to_owned(),
        code: error.code.clone(),
        message: error.message.clone(),
        request_id: error.request_id.clone(),
    }
}
