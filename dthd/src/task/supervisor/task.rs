//! What the owner knows of one task, and what follows from that.

use std::sync::Arc;

use dth_proto::{
    spec::{EventQueue, Trigger},
    time::Timestamp,
    view::{Counters, RunOutcome},
};
use tokio::time::Instant;

use crate::{
    clock,
    schedule::Schedule,
    store::{RunKind, RunRecord, TaskRecord, restore::Restoring},
    task::{active::Active, state::Situation},
    transfer::{Stop, progress::TaskTotals},
};

/// A task as its owner knows it.
pub(super) struct Task {
    pub(super) record: TaskRecord,
    pub(super) run: Option<RunRecord>,
    pub(super) active: Option<Active>,
    pub(super) schedule: Option<Schedule>,
    pub(super) totals: Arc<TaskTotals>,
    /// What a paused run had counted; its checkpoint may lie behind.
    pub(super) counted: Option<Counters>,
    /// How the last full compare ended, of a task with events: when it failed, since when and why.
    pub(super) compared: Option<(Timestamp, Option<String>)>,
    /// The last run that was over and copied, where a later one changes nothing.
    pub(super) copied: Option<RunRecord>,
    /// When a client last asked for it; see [`TaskRecord::hidden`].
    pub(super) asked: Instant,
    /// What it waits for to come out of an archive.
    pub(super) restoring: Option<Restoring>,
}

impl Task {
    /// The last run that copied, or is about to.
    pub(super) fn last_copy(&self) -> Option<&RunRecord> {
        self.run.as_ref().filter(|run| run.kind.writes()).or(self.copied.as_ref())
    }

    pub(super) fn situation(&self) -> Situation {
        Situation {
            phase: self.record.phase,
            stopping: self.active.as_ref().is_some_and(Active::stopping),
            triggered: self.next_run(clock::now()).is_some(),
            events: self.runs_events(),
        }
    }

    /// Its events' queue, if it has events.
    pub(super) fn queue(&self) -> Option<&EventQueue> {
        match &self.record.spec.trigger {
            Some(Trigger::Events { events }) => Some(events),
            _ => None,
        }
    }

    /// Its newest run is one of events.
    pub(super) fn has_events_run(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.kind == RunKind::Events)
    }

    /// A run of events is going.
    pub(super) fn runs_events(&self) -> bool {
        self.active.is_some() && self.has_events_run()
    }

    /// Tells its run, if one is going.
    pub(super) fn tell(&self, stop: Stop) {
        if let Some(active) = &self.active {
            active.stop.send_if_modified(|old| std::mem::replace(old, stop.max(*old)) < stop);
        }
    }
}

/// When a full compare ended, and why it failed if it did.
pub(super) fn compared(run: &RunRecord) -> (Timestamp, Option<String>) {
    let failed = run.outcome == Some(RunOutcome::Failed);
    let why = failed.then(|| run.error.clone().unwrap_or_else(|| "no reason was recorded".to_owned()));
    (run.ended.unwrap_or(run.queued), why)
}
