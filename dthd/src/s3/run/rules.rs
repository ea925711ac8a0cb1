//! What is decided about each object; what is not to be copied is finished at once.

use std::sync::Arc;

use dth_proto::{
    failure::{FailureClass, Side},
    spec::{Compare, S3Job},
    time::Timestamp,
};

use super::records::Records;
use crate::{
    s3::{
        compare::{CompareRules, CopyReason, Decision, decide},
        filter::Filter,
        key::{KeyMap, KeyTooLong, LONGEST_KEY},
        page::EntryRef,
        prefix::Selection,
    },
    store::{
        Store,
        item::{ItemOutcome, ItemRecord},
        record::Tally,
    },
    transfer::{
        TransferError,
        account::{Account, failed},
        watermark::Block,
    },
};

/// The rules of one run. Costs nothing on the heap for an object that is the same at both ends.
pub(super) struct Rules {
    uid: u64,
    store: Store,
    pub(super) account: Arc<Account>,
    pub(super) map: KeyMap,
    /// What only the destination has is to be deleted.
    pub(super) mirrors: bool,
    pub(super) filter: Filter,
    compare: Compare,
    comparable: CompareRules,
    /// Lengths of what all keys begin with, at the source and at the destination.
    prefixes: (usize, usize),
}

impl Rules {
    /// The rules of a job for a run that started at `since`.
    pub(super) fn new(
        uid: u64,
        store: &Store,
        account: &Arc<Account>,
        job: &S3Job,
        selection: &Selection,
        comparable: CompareRules,
        since: Timestamp,
    ) -> Result<Self, String> {
        let map = selection.map().clone();
        let filter = Filter::new(&job.options, since).map_err(|problems| problems.join("; "))?;
        let prefixes = (selection.prefix().len(), map.destination_prefix(selection.prefix()).len());
        Ok(Self {
            uid,
            store: store.clone(),
            account: Arc::clone(account),
            map,
            mirrors: job.mirrors(),
            filter,
            compare: job.options.compare,
            comparable,
            prefixes,
        })
    }

    /// Why the object must be copied; `None`: it need not be, and is finished in the block. `records`: what an earlier pass of the
    /// run may have left.
    pub(super) fn decide(
        &self,
        block: &mut Block,
        source: EntryRef<'_>,
        destination: Option<EntryRef<'_>>,
        records: Option<&mut Records>,
    ) -> Option<CopyReason> {
        let EntryRef { key, size, .. } = source;
        let record = records.and_then(|records| records.of(key));
        if let Some(rule) = self.filter.skip(&source) {
            self.skipped(block, key, size, rule.word(), false);
            return None;
        }
        let bytes = (key.len() + self.prefixes.1).saturating_sub(self.prefixes.0);
        if bytes > LONGEST_KEY {
            self.failed(block, key, size, too_long(&KeyTooLong { bytes }));
            return None;
        }
        // copied from the generation that is there now; what failed is tried again
        if let Some(ItemRecord { size: copied, outcome: ItemOutcome::Copied { source_etag, verified, .. }, .. }) = &record
            && source_etag == source.etag
        {
            block.finished(key, size, |tally| tally.add(&Tally::copied(*copied, verified)));
            return None;
        }
        // a record that cannot be read is as good as none: the object is compared by what the listings say
        let recorded = || self.store.pair(self.uid, &self.map.map_any(key)).ok().flatten();
        match decide(self.compare, source, destination, recorded, &self.comparable) {
            Decision::Same(_) => {
                if record.is_some() {
                    // an earlier pass may have failed with it
                    self.account.forget(key);
                }
                block.finished(key, size, |tally| {
                    tally.counters.same += 1;
                    tally.counters.bytes_done += size;
                });
                None
            }
            Decision::Copy(reason) => Some(reason),
        }
    }

    /// Only the destination has an object, where this source key would go. It is to be deleted at the end of the run, unless the task would not have
    /// copied it: what it leaves out is none of its business.
    pub(super) fn extra(&self, block: &mut Block, key: &str, size: u64) {
        let is_ours = self.filter.skip_by_key(key).is_none();
        if is_ours {
            self.account.note_to_delete(key, size);
        }
        block.passed(key, |tally| {
            tally.there += 1;
            if is_ours {
                tally.add(&Tally::to_delete());
            }
        });
    }

    /// Whether the task leaves out objects of such a name or size.
    pub(super) fn leaves_out_key_or_size(&self, entry: &EntryRef<'_>) -> bool {
        use crate::s3::filter::SkipReason::{Excluded, ExcludedByRegex, NotIncluded, TooLarge, TooSmall};
        matches!(self.filter.skip(entry), Some(Excluded | ExcludedByRegex | NotIncluded | TooLarge | TooSmall))
    }

    /// A rule leaves it out. `record`: keep a record of it (not for rules that leave out a part of the bucket).
    pub(super) fn skipped(&self, block: &mut Block, key: &str, size: u64, rule: &str, record: bool) {
        if record {
            self.account.note_skipped(key, size, rule);
        }
        block.finished(key, size, |tally| {
            tally.counters.skipped += 1;
            tally.counters.bytes_done += size;
            tally.skipped.count(rule, 1);
        });
    }

    /// It cannot be copied.
    pub(super) fn failed(&self, block: &mut Block, key: &str, size: u64, outcome: ItemOutcome) {
        self.account.note_failed(key, size, 1, outcome);
        block.finished(key, size, |tally| tally.add(&Tally::failed(size)));
    }
}

/// A key that the destination has no room for as the outcome of an item.
pub(super) fn too_long(error: &KeyTooLong) -> ItemOutcome {
    failed(&TransferError::new(FailureClass::Permanent, Side::Destination, "PutObject", "KeyTooLong", error.to_string()))
}
