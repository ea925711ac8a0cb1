//! What a run needs, whichever engine it is of, and how it ends.

use std::{sync::Arc, time::Duration};

use dth_proto::{
    id::TaskName,
    spec::{EventQueue, Trigger},
    view::RunOutcome,
};
use tokio::sync::watch;

use super::{Stop, account::Account, progress::Progress, resources::Resources};
use crate::{
    event::EventLog,
    store::{RunRecord, Store},
};

/// What a run needs.
pub struct RunInput {
    /// The task's uid.
    pub uid: u64,
    /// The task's name, for events.
    pub name: TaskName,
    /// The run, with its checkpoint.
    pub record: RunRecord,
    /// Records go here.
    pub store: Store,
    /// Events go here.
    pub events: EventLog,
    /// Configuration, memory, bandwidth.
    pub resources: Arc<Resources>,
    /// What clients watch.
    pub progress: Arc<Progress>,
    /// What the run is told.
    pub stop: watch::Receiver<Stop>,
}

impl RunInput {
    /// The queue of the task's events, if it has some and the run may write: then it applies them.
    #[must_use]
    pub fn events_to_apply(&self) -> Option<&EventQueue> {
        match &self.record.spec.trigger {
            Some(Trigger::Events { events }) if self.record.kind.writes() => Some(events),
            _ => None,
        }
    }

    /// The books of the run, as its checkpoint has them.
    #[must_use]
    pub fn account(&self) -> Arc<Account> {
        let (run, tally) = ((self.uid, self.record.run), self.record.tally.clone());
        Account::resume(&self.store, run, self.record.remaining.as_deref(), tally, &self.progress)
    }

    /// The record of the run when a pass has ended, with its checkpoint, after so long at work in this process.
    #[must_use]
    pub fn closed(&self, account: &Account, worked: Duration) -> RunRecord {
        let mut record = account.record(&self.record, self.record.worked + worked);
        record.listing_done = self.progress.is_listing_done();
        record.failures = self.progress.failures();
        record
    }

    /// Whether what the run has begun to upload is given up when it ends like this. What could not run may run again: the next run goes on
    /// with what is there.
    #[must_use]
    pub fn gives_up_uploads(&self, end: &RunEnd) -> bool {
        self.record.kind.writes() && matches!(end, RunEnd::Finished(outcome, _) if *outcome != RunOutcome::Failed)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It is over; the reason when it failed or was cancelled.
    Finished(RunOutcome, Option<String>),
    /// It can be continued from its checkpoint.
    Suspended,
}
