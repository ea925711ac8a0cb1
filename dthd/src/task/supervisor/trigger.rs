//! When a task runs by itself: by its schedule, because of its events, for what comes out of an archive.

use std::time::Duration;

use dth_proto::{id::TaskName, time::Timestamp, view::RunOutcome};

use super::{Supervisor, task::Task};
use crate::{
    store::{RunKind, TaskPhase},
    transfer::Stop,
};

/// After a full compare or a run of events that could not run at all, the next one waits so long (or `reconcile`, if that is less).
const COMPARE_AGAIN: Duration = Duration::from_hours(1);
const EVENTS_AGAIN: Duration = Duration::from_secs(30);

impl Supervisor {
    /// Queues a run for every trigger that is due. However many times were missed, it is one run.
    pub(super) fn fire(&mut self, now: Timestamp) {
        if self.refusing().is_some() {
            return;
        }
        let asks: Vec<(TaskName, RunKind, String)> = self.tasks.values().filter_map(|task| task.asks(now)).collect();
        for (name, kind, cause) in asks {
            self.queue(&name, kind, cause);
        }
        // events give way to the next full compare
        for task in self.tasks.values() {
            if task.runs_events() && task.is_due(now) {
                task.tell(Stop::Finish);
            }
        }
        // events give way to what is out of its archive
        let ready = |task: &&mut Task| task.runs_events() && task.record.after.is_none() && task.is_restored(now);
        for task in self.tasks.values_mut().filter(ready) {
            task.record.after = Some((RunKind::Restore, "restored objects".to_owned()));
            self.store.put_task(&task.record);
            task.tell(Stop::Finish);
        }
        let ready = |task: &&Task| task.record.phase == TaskPhase::Rest && task.is_restored(now);
        let ready: Vec<TaskName> = self.tasks.values().filter(ready).map(|task| task.record.spec.name.clone()).collect();
        for name in ready {
            self.queue(&name, RunKind::Restore, "restored objects".to_owned());
        }
    }
}

impl Task {
    /// What it waits for may be out of its archive.
    fn is_restored(&self, now: Timestamp) -> bool {
        self.restoring.as_ref().is_some_and(|restoring| restoring.next <= now)
    }

    /// The run that its trigger asks for now.
    fn asks(&self, now: Timestamp) -> Option<(TaskName, RunKind, String)> {
        let trigger = self.record.spec.trigger.as_ref().filter(|_| self.record.phase == TaskPhase::Rest)?;
        let name = self.record.spec.name.clone();
        if self.is_due(now) {
            return Some((name, RunKind::Full, trigger.to_string()));
        }
        self.queue()?;
        let failed = self.run.as_ref().filter(|run| run.kind == RunKind::Events && run.outcome == Some(RunOutcome::Failed));
        let waits = failed.and_then(|run| run.ended).is_some_and(|ended| now.since(ended) < EVENTS_AGAIN);
        // what is out of its archive goes first
        (!waits && !self.is_restored(now)).then(|| (name, RunKind::Events, trigger.to_string()))
    }

    /// Whether a full run should begin.
    fn is_due(&self, now: Timestamp) -> bool {
        let by_schedule = self.schedule.as_ref().and_then(|s| s.due(now, self.record.last_start, self.record.trigger_set)).is_some();
        // a full compare that could not run is no backstop
        let again = self
            .queue()
            .zip(self.compared.as_ref())
            .is_some_and(|(queue, (ended, failed))| failed.is_some() && now.since(*ended) >= COMPARE_AGAIN.min(queue.reconcile.0));
        by_schedule || again
    }

    pub(super) fn next_run(&self, now: Timestamp) -> Option<Timestamp> {
        let held = matches!(self.record.phase, TaskPhase::Held | TaskPhase::Paused);
        let scheduled = self.schedule.as_ref().filter(|_| !held).and_then(|s| s.next(now, self.record.last_start, self.record.trigger_set));
        let restored = self.restoring.as_ref().filter(|_| !held).map(|restoring| restoring.next);
        scheduled.into_iter().chain(restored).min()
    }
}
