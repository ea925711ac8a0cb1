//! The last phase of a run that mirrors: what only the destination has is deleted there, unless anything speaks against it.
//!
//! The listing has left a record of each object that the source lacked (`planned`, reason `delete`). When both sides are listed to their
//! ends and everything is copied, the guards look at all of them together. Then, batch by batch: a fresh 404 of each source key; the source's bucket still
//! answers, so that the 404s were about the keys; the deletion; the record of what became of it. A run that is continued here sees by the records
//! what is left to do.

use std::{collections::BTreeMap, sync::Arc};

use dth_proto::{event::Level, failure::FailureClass, spec::S3Job, view::Counters};
use futures::{StreamExt, stream};

use super::{
    Otherwise, PassEnd,
    ends::Ends,
    estimate,
    guard::guard,
    removal::{Removal, Verdict},
};
use crate::{
    s3::{
        client::{Bucket, fits_in_xml},
        key::KeyMap,
    },
    store::{
        RunKind, StoreError,
        item::{ItemOutcome, ItemRecord, TO_DELETE},
        record::Tally,
    },
    transfer::{
        Stop, TransferError,
        account::{Account, failed},
        run::RunInput,
        window::Kind,
    },
};

/// Objects looked at before the next ones; also the most that S3 deletes with one request (AWS: `DeleteObjects`).
const BATCH: usize = 1_000;
/// Requests about single objects at once, also where an endpoint would take more.
const AT_ONCE: usize = 64;
/// What a failed delete is called in records, whichever request it was: so a run that is continued knows it from a failed copy.
const OPERATION: &str = "DeleteObject";
/// An object was put to the source after the listing had passed.
const CREATED_AGAIN: &str = "created-again";

/// What the records of a run say about deletes.
enum Record {
    /// To be deleted, if nothing speaks against it.
    Candidate,
    /// Deleted earlier in this run.
    Deleted,
    /// Given up earlier in this run.
    Failed,
}

impl Record {
    fn of(record: &ItemRecord) -> Option<Self> {
        match &record.outcome {
            ItemOutcome::Planned { reason } if reason == TO_DELETE => Some(Self::Candidate),
            ItemOutcome::Deleted => Some(Self::Deleted),
            ItemOutcome::Failed { operation, .. } if operation == OPERATION => Some(Self::Failed),
            _ => None,
        }
    }
}

/// One object that may have to go.
struct Candidate {
    source_key: String,
    destination_key: String,
    size: u64,
}

/// See the module.
pub(super) struct Deletes<'r> {
    input: &'r RunInput,
    account: &'r Arc<Account>,
    removal: Removal,
    map: &'r KeyMap,
    /// An earlier life of the run may have deleted objects without having said so.
    continued: bool,
}

impl<'r> Deletes<'r> {
    pub(super) fn new(input: &'r RunInput, account: &'r Arc<Account>, ends: &'r Ends, map: &'r KeyMap) -> Self {
        let continued = input.record.remaining.as_ref().is_some_and(Vec::is_empty);
        Self { input, account, removal: Removal::new(input, ends), map, continued }
    }

    /// Deletes what is to be deleted, within the guards. A run of a kind that does not write only says what the guards would.
    pub(super) async fn run(&self, job: &S3Job) -> PassEnd {
        let Tally { counters: Counters { to_delete, .. }, there, .. } = self.input.progress.tally();
        let guarded = guard(&self.input.name, &job.options, to_delete, there);
        match (&self.input.record.kind, guarded) {
            (RunKind::Full, Ok(())) if to_delete > 0 => self.all().await.unwrap_or_else(|error| PassEnd::Failed(error.to_string())),
            (RunKind::Full, Err(too_many)) => PassEnd::Other(Otherwise::Guarded(too_many.to_string())),
            (RunKind::Plan, Ok(())) => {
                let requests = estimate::deletes(to_delete, self.removal.destination.profile());
                self.input.progress.decided(&Tally { requests, ..Tally::default() }, 0);
                PassEnd::Complete
            }
            (RunKind::Plan, Err(too_many)) => {
                let message = format!("a run would delete nothing: {too_many}");
                self.input.events.push(Level::Warn, Some((&self.input.name, Some(self.input.record.run))), message);
                PassEnd::Complete
            }
            _ => PassEnd::Complete,
        }
    }

    async fn all(&self) -> Result<PassEnd, StoreError> {
        let (store, uid, run) = (&self.input.store, self.input.uid, self.input.record.run);
        // what is deleted must be known to be deleted by this run, also after a crash
        store.writer().durable().await?;
        let mut after = None;
        loop {
            if self.is_stopped() {
                return Ok(PassEnd::Stopped);
            }
            let (records, next) = store.items(uid, run, "", after.as_deref(), BATCH, |record| Record::of(record).is_some())?;
            let mut candidates = Vec::new();
            for (source_key, record) in records {
                match Record::of(&record) {
                    Some(Record::Candidate) => {
                        let destination_key = self.map.map_any(&source_key);
                        candidates.push(Candidate { source_key, destination_key, size: record.size });
                    }
                    Some(Record::Deleted) => self.account.count_beside(&Tally::deleted()),
                    Some(Record::Failed) => self.account.count_beside(&Tally::not_deleted()),
                    None => {}
                }
            }
            self.batch(candidates).await;
            // the batch is on disk before the next one is begun: what is asked for twice after a crash is one batch at most
            store.writer().durable().await?;
            after = next;
            if after.is_none() {
                return Ok(PassEnd::Complete);
            }
        }
    }

    fn is_stopped(&self) -> bool {
        *self.input.stop.borrow() != Stop::Go
    }

    async fn batch(&self, candidates: Vec<Candidate>) {
        let mut verdicts: Vec<(Candidate, Verdict)> = stream::iter(candidates)
            .map(|candidate| async { (self.look(&candidate).await, candidate) })
            .buffered(self.removal.source().at_a_time(Kind::Read).clamp(1, AT_ONCE))
            .map(|(verdict, candidate)| (candidate, verdict))
            .collect()
            .await;
        let sure =
            verdicts.iter().find(|(_, verdict)| matches!(verdict, Verdict::Delete)).map(|(candidate, _)| candidate.source_key.clone());
        let refuted = match sure {
            Some(key) => self.refuted(&key).await,
            None => return self.settle(verdicts),
        };
        if let Some(error) = refuted {
            for (_, verdict) in &mut verdicts {
                if matches!(verdict, Verdict::Delete) {
                    *verdict = Verdict::Fail(error.clone());
                }
            }
        }
        self.delete(&mut verdicts).await;
        self.settle(verdicts);
    }

    async fn look(&self, candidate: &Candidate) -> Verdict {
        let Candidate { source_key, destination_key, .. } = candidate;
        if self.is_stopped() {
            // nothing is begun any more; the record stays as it is
            return Verdict::Fail(stopped(self.removal.source()));
        }
        if self.continued { self.removal.look_at_both(source_key, destination_key).await } else { self.removal.look(source_key).await }
    }

    /// What speaks against all the 404s of the source's, by one of their keys.
    async fn refuted(&self, key: &str) -> Option<TransferError> {
        match self.removal.is_not_listed(key).await {
            Ok(true) => None,
            Ok(false) => {
                let message = format!("the source lists {key:?} and answers 404 for it: nothing is deleted on such an answer");
                let side = self.removal.source().side();
                Some(TransferError::new(FailureClass::Transient, side, OPERATION, "Contradiction", message))
            }
            Err(error) => Some(error),
        }
    }

    /// Deletes what is condemned: many at a time where the store can, one by one what a request for many cannot name.
    async fn delete(&self, verdicts: &mut [(Candidate, Verdict)]) {
        let destination = &self.removal.destination;
        let most = usize::try_from(destination.profile().bulk_delete).unwrap_or(usize::MAX).min(BATCH);
        let condemned = verdicts
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Delete))
            .map(|(candidate, _)| candidate.destination_key.clone());
        let (many, single): (Vec<String>, Vec<String>) = condemned.partition(|key| most > 1 && fits_in_xml(key));
        let mut refused = BTreeMap::new();
        for keys in many.chunks(most.max(1)) {
            match destination.delete_many(keys).await {
                Ok(some) => refused.extend(some),
                Err(error) => refused.extend(keys.iter().map(|key| (key.clone(), error.clone()))),
            }
        }
        // slow down, try again: such answers are of one key each
        let again: Vec<String> =
            refused.iter().filter(|(key, error)| error.is_retryable() && many.contains(key)).map(|(key, _)| key.clone()).collect();
        let mut one_by_one = stream::iter(single.into_iter().chain(again))
            .map(|key| async move { (destination.delete(&key).await, key) })
            .buffer_unordered(destination.at_a_time(Kind::Write).clamp(1, AT_ONCE));
        while let Some((result, key)) = one_by_one.next().await {
            match result {
                Ok(()) => drop(refused.remove(&key)),
                Err(error) => drop(refused.insert(key, error)),
            }
        }
        for (candidate, verdict) in verdicts {
            if let (Verdict::Delete, Some(error)) = (&verdict, refused.remove(&candidate.destination_key)) {
                *verdict = Verdict::Fail(error);
            }
        }
    }

    fn settle(&self, verdicts: Vec<(Candidate, Verdict)>) {
        for (Candidate { source_key, destination_key, size }, verdict) in verdicts {
            match verdict {
                Verdict::Delete | Verdict::Gone => {
                    self.removal.forget(&destination_key);
                    self.account.deleted(&source_key, size);
                }
                Verdict::Keep => self.account.note_skipped(&source_key, size, CREATED_AGAIN),
                Verdict::Fail(error) if error.code == STOPPED => {}
                Verdict::Fail(error) => {
                    let message = match error.operation {
                        OPERATION => error.message,
                        request => format!("{request}: {}", error.message),
                    };
                    self.account.not_deleted(&source_key, size, failed(&TransferError { operation: OPERATION, message, ..error }));
                }
            }
        }
    }
}

/// Not a word of any store.
const STOPPED: &str = "RunStopped";

fn stopped(bucket: &Bucket) -> TransferError {
    TransferError::new(FailureClass::Transient, bucket.side(), OPERATION, STOPPED, "the run was stopped")
}

#[cfg(test)]
mod tests {
    use dth_proto::{failure::Side, time::Timestamp};

    use super::*;

    #[test]
    fn records_tell_deletes_from_copies() {
        let kind = |outcome| Record::of(&ItemRecord { size: 1, at: Timestamp(0), tries: 1, outcome });
        let error = |operation| failed(&TransferError::new(FailureClass::Auth, Side::Destination, operation, "AccessDenied", "no"));
        assert!(matches!(kind(ItemOutcome::Planned { reason: TO_DELETE.to_owned() }), Some(Record::Candidate)));
        assert!(matches!(kind(ItemOutcome::Deleted), Some(Record::Deleted)));
        assert!(matches!(kind(error(OPERATION)), Some(Record::Failed)));
        assert!(kind(error("PutObject")).is_none());
        assert!(kind(ItemOutcome::Planned { reason: "missing".to_owned() }).is_none());
        assert!(kind(ItemOutcome::Skipped { reason: CREATED_AGAIN.to_owned() }).is_none());
    }
}
