//! What the store still knows of a task when its owner begins to look after it.

use dth_proto::time::Timestamp;

use super::{
    Supervisor,
    task::{Task, compared},
};
use crate::store::{RunKind, RunRecord, restore::Restoring};

/// Newest runs among which the last full compare is looked for.
const RUNS_LOOKED_AT: usize = 50;

impl Supervisor {
    /// How the last full compare ended. What cannot be read is told by whoever needs it.
    pub(super) fn last_compare(&self, task: &Task) -> Option<(Timestamp, Option<String>)> {
        let mut runs = self.store.runs_back(task.record.uid, None).map_while(Result::ok).take(RUNS_LOOKED_AT);
        runs.find(|run| run.kind == RunKind::Full && run.outcome.is_some()).as_ref().map(compared)
    }

    /// The newest run before this one that copied. One that cannot be read is not shown.
    pub(super) fn copied_before(&self, uid: u64, run: u32) -> Option<RunRecord> {
        self.store.runs_back(uid, Some(run)).map_while(Result::ok).find(|run| run.kind.writes())
    }

    /// What a task waits for; what cannot be read is looked for by the next full run.
    pub(super) fn restoring(&self, uid: u64) -> Option<Restoring> {
        self.store.restoring(uid).unwrap_or_else(|error| {
            tracing::warn!("cannot read what is being restored: {error}");
            None
        })
    }
}
